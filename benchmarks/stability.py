"""How much the stabilizers of merging take out: flicker and jitter of a shot, merged with them and without.

    python benchmarks/stability.py --frames FOLDER --aligned FOLDER [--first 0] [--count 80] [--noise 1] [--tremble 0]
                                   [--model "SAEHD mine" --model-dir FOLDER] [--modes overlay,rct seamless,none ...]

Without a model a stand-in answers with the face it is shown, in other colors that flicker by `--noise` times 2 % and
with masks whose edges tremble by about a model pixel. `--tremble` adds noise to the landmarks, in thousandths of the
side of the face. Columns, each without the stabilizers and with them at their defaults:

    flicker   root mean square of the second difference of the color between face and ring, Lab; the figure of the
              footage itself is given behind: no merge should come below it
    jitter    root mean square of the second difference of the pasted square's corners, thousandths of its side
    edge      mean change of the mask's edge from frame to frame, model pixels
    lag       frames by which the pasted face follows the unsteadied one, by least squares of its motion
    moved     largest distance of a square's center from where it was, thousandths of the side
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.merge_matrix import trained
from core.console import say
from core.files import list_images
from core.images import read_image
from core.progress import TqdmProgress
from facelib.face_type import FaceType
from facelib.metadata import read_metadata
from facelib.prediction import Prediction
from merger.face_tools import FaceTools
from merger.frames import FrameFaces, collect_frames
from merger.meters import MeterRecord, steadiness, with_figures
from merger.sequence import merge_sequence
from merger.settings import MergeSettings
from merger.temporal import link_faces

OFF = {"stabilize_landmarks": 0, "stabilize_colors": 0, "stabilize_mask": 0, "stabilize_seamless": 0}


class FlickeringPredictor:
    """Shows the face it is shown, warmer, in colors and with mask edges that change from answer to answer."""

    face_type = FaceType.FULL

    def __init__(self, resolution: int, noise: float) -> None:
        self.resolution = resolution
        self._noise = noise
        self._chance = np.random.default_rng(1)

    def predict(self, faces: NDArray) -> Sequence[Prediction]:
        return [self._answer(face) for face in faces]

    def _answer(self, face: NDArray) -> Prediction:
        gain = 1 + 0.02 * self._noise * self._chance.standard_normal(3)
        shift = 0.02 * self._noise * self._chance.standard_normal(3) + (-0.02, 0.0, 0.05)
        shown = np.clip(face * gain + shift, 0, 1).astype(np.float32)
        side = self.resolution
        rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
        masks = []
        for _ in range(2):
            angles = np.arctan2(rows, columns)
            waves = sum(self._chance.standard_normal() * np.cos(n * angles + n) for n in range(6))
            edge = 0.4 * side + 0.5 * self._noise * waves
            masks.append(np.clip(edge - np.hypot(rows * 0.9, columns) + 0.5, 0, 1).astype(np.float32))
        return Prediction(shown, *masks)


def merge_shot(
    frames: Sequence[FrameFaces], settings: MergeSettings, tools: FaceTools
) -> tuple[list[MeterRecord], list[FrameFaces], float]:
    """The records, the frames with the landmarks they were merged with, and the mean change of the mask's edge."""
    records: list[MeterRecord] = []
    sources, changes = [], []
    before: NDArray | None = None
    with TqdmProgress().task(f"{settings.mode}, {settings.color_transfer}", total=len(frames)) as task:
        for one in merge_sequence(frames, lambda f: read_image(f.path), [settings] * len(frames), tools):
            records += one.records
            sources.append(one.source)
            small = cv2.resize(one.merged.mask.astype(np.float32) / 255, None, fx=0.25, fy=0.25)
            if before is not None and one.records:
                outline = 4 * np.sqrt(max(float(small.sum()), 1.0))
                pixels_per_frame = float(np.abs(small - before).sum()) / outline * 4
                changes.append(pixels_per_frame * tools.resolution / one.records[0].side)
            before = small
            task.advance()
    tracks = link_faces(frames)
    return with_figures(records, tracks), sources, float(np.mean(changes)) if changes else 0.0


def row(frames: Sequence[FrameFaces], given: dict[str, Any], tools: list[FaceTools]) -> str:
    """The figures of one way of merging, without and with the stabilizers."""
    plain, _, plain_edge = merge_shot(frames, MergeSettings.of(**given, **OFF), tools[0])
    steady, sources, edge = merge_shot(frames, MergeSettings.of(**given), tools[1])
    before, after = steadiness(plain), steadiness(steady)
    places = [n for n, frame in enumerate(frames) if frame.faces]
    raw = np.array([frames[n].faces[0].landmarks.mean(axis=0) for n in places])
    moved = np.array([sources[n].faces[0].landmarks.mean(axis=0) for n in places]) - raw
    speed = np.gradient(raw, axis=0)
    lag = -float((moved * speed).sum() / max(float((speed**2).sum()), 1e-9))
    farthest = 1000 * float(np.linalg.norm(moved, axis=1).max()) / steady[0].side
    return (
        f"{before.flicker or 0:8.3f}{after.flicker or 0:8.3f}{after.old_flicker or 0:8.3f}"
        f"{before.jitter or 0:10.2f}{after.jitter or 0:8.2f}{plain_edge:10.3f}{edge:8.3f}{lag:10.4f}{farthest:8.2f}"
    )


def trembling(frames: Sequence[FrameFaces], thousandths: float) -> list[FrameFaces]:
    """The frames with noise on their landmarks: a shift of each face, and of each point."""
    chance = np.random.default_rng(2)
    shaken = []
    for frame in frames:
        faces = []
        for face in frame.faces:
            spread = thousandths / 1000 * float(np.ptp(face.landmarks[:, 0])) * 1.3
            noise = spread * (chance.standard_normal((1, 2)) + chance.standard_normal((68, 2)))
            faces.append(dataclasses.replace(face, landmarks=(face.landmarks + noise).astype(np.float32)))
        shaken.append(dataclasses.replace(frame, faces=tuple(faces)))
    return shaken


def open_tools(arguments: argparse.Namespace) -> list[FaceTools]:
    """Two that answer alike."""
    if arguments.model is None:
        return [FaceTools.of(FlickeringPredictor(arguments.resolution, arguments.noise)) for _ in range(2)]
    return [trained(arguments.model_dir, arguments.model)] * 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--aligned", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--noise", type=float, default=1.0)
    parser.add_argument("--tremble", type=float, default=0.0)
    parser.add_argument("--resolution", type=int, default=96)
    parser.add_argument("--model", metavar="CLASS NAME", help="a trained model, as in 'SAEHD mine'")
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--modes", nargs="+", default=["overlay,none", "overlay,rct", "overlay,idt-m", "seamless,none"])
    arguments = parser.parse_args()
    paths = list_images(arguments.frames)[arguments.first : arguments.first + arguments.count]
    stems = {path.stem for path in paths}
    faces = [(path.name, read_metadata(path)) for path in list_images(arguments.aligned)]
    known = [(name, record) for name, record in faces if Path(record.frame_name).stem in stems]
    frames = trembling(collect_frames(paths, known).frames, arguments.tremble)
    say(f"{'':<28}{'flicker':>16}{'footage':>8}{'jitter':>18}{'edge':>18}{'lag':>10}{'moved':>8}")
    for words in arguments.modes:
        mode, transfer = words.split(",")
        given = {"mode": mode, "color_transfer": transfer, "mask_mode": "learned-prd*learned-dst", "blur_mask": 20}
        say(f"{words:<28}{row(frames, given, open_tools(arguments))}")


if __name__ == "__main__":
    main()
