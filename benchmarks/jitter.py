"""How much landmarks tremble on video: second differences from frame to frame, on real clips.

    python benchmarks/jitter.py [--frames 150] [--clips FOLDER]

A second difference (before - 2 now + after) takes steady motion out; what is left is trembling, and real jerks of the
head. "std" counts both, "typical" (1.48 times the median deviation) forgives rare jerks. Columns:

    points    33 alignment points, thousandths of the unit side (face width): std, typical
    size      of the crop, thousandths: typical
    place     of the crop's center, thousandths of the unit side: typical
    roll      of the crop, hundredths of a degree: typical
    lag       by how many frames the smoothed landmarks follow the others, by least squares of their motion
    moved     by smoothing, thousandths of the side of the box: 99 of 100 landmarks by no more than this

Rows: the bare mapping with one look, calibrated with one look, calibrated and accurate, and the last one smoothed over
time, which is the default for films.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.console import say
from core.files import list_images
from core.geometry import invert_affine
from core.images import read_image, to_uint8
from core.parallel import default_workers, map_ordered
from core.progress import TqdmProgress
from core.video.extraction import extract_frames
from core.video.probe import probe_video
from facelib.alignment import bbox_from_landmarks, frame_to_unit
from facelib.landmarks import ALIGNMENT_INDICES
from facelib.nets.face_mesh import FaceMeshFinder
from facelib.smoothing import smooth_landmarks

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "clips"
MODES = {
    "bare, one look": {"accurate": False, "calibrated": False},
    "one look": {"accurate": False, "calibrated": True},
    "accurate": {"accurate": True, "calibrated": True},
}
_finders: list[FaceMeshFinder] = []


def start_process() -> None:
    _finders[:] = [FaceMeshFinder(**mode) for mode in MODES.values()]


def look(path: Path) -> list[np.ndarray | None]:
    """The landmarks of the largest face, once per mode; None where there is none."""
    frame = to_uint8(read_image(path))
    found = [finder.find(frame) for finder in _finders]
    return [faces[0].landmarks if faces else None for faces in found]


def typical(values: np.ndarray) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def row(landmarks: np.ndarray) -> str:
    """(frames, 68, 2) -> the figures of one row."""
    to_frame = np.array([invert_affine(frame_to_unit(face)) for face in landmarks])
    side = np.hypot(to_frame[:, 0, 0], to_frame[:, 1, 0])
    center = to_frame @ [0.5, 0.5, 1.0]
    roll = np.unwrap(np.arctan2(to_frame[:, 1, 0], to_frame[:, 0, 0]))
    points = 1000 * np.diff(landmarks[:, ALIGNMENT_INDICES], 2, axis=0) / side.mean()
    size = 1000 * np.diff(np.log(side), 2)
    place = 1000 * np.diff(center, 2, axis=0) / side.mean()
    turn = 100 * np.degrees(np.diff(roll, 2))
    figures = (points.std(), typical(points), typical(size), typical(place), typical(turn))
    return "".join(f"{figure:>10.2f}" for figure in figures)


def smoothing_row(raw: np.ndarray) -> str:
    """(frames, 68, 2) -> the figures of the smoothed landmarks."""
    sides = np.array([box[2] - box[0] for box in map(bbox_from_landmarks, raw)], np.float64)
    smooth = smooth_landmarks(raw, sides)
    speed = np.gradient(raw, axis=0)
    lag = -float(((smooth - raw) * speed).sum() / (speed**2).sum())
    moved = np.linalg.norm(smooth - raw, axis=2) / sides[:, None]
    return f"{row(smooth)}{lag:>10.3f}{1000 * np.quantile(moved, 0.99):>10.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=150, help="of each clip, from its start")
    parser.add_argument("--clips", type=Path, default=CLIPS, help="a folder of .mp4 files with one person each")
    arguments = parser.parse_args()
    say(f"{'':<28}{'std':>10}{'points':>10}{'size':>10}{'place':>10}{'roll':>10}{'lag':>10}{'moved':>10}")
    for clip in sorted(arguments.clips.glob("*.mp4")):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "frames"
            extract_frames(clip, probe_video(clip), folder, trash=Path(scratch) / "trash")
            paths = list_images(folder)[: arguments.frames]
            seen: list[list[np.ndarray | None]] = []
            with TqdmProgress().task(clip.stem, total=len(paths)) as task:
                for outcome in map_ordered(look, paths, workers=default_workers(), initializer=start_process):
                    seen.append(outcome.value or [None] * len(MODES))
                    task.advance()
        say(f"{clip.stem} ({len(paths)} frames)")
        for number, name in enumerate(MODES):
            faces = [frame[number] for frame in seen]
            if any(face is None for face in faces):
                say(f"  {name:<26}{sum(face is None for face in faces)} frames show no face")
            else:
                say(f"  {name:<26}{row(np.array(faces, np.float64))}")
                if number == len(MODES) - 1:
                    say(f"  {'smoothed (default)':<26}{smoothing_row(np.array(faces, np.float64))}")


if __name__ == "__main__":
    main()
