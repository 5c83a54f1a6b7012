"""How fast faces are extracted: frames per second of the whole step, and where the milliseconds go.

    python benchmarks/extract.py [--frames 160] [--pictures FOLDER]

Frames are 512 x 512 PNG files made of scikit-image's portrait (drifting and zooming), or those of a folder. Tables:

    whole step    `extract` as a user runs it: read the PNG, find, align, cut out at 512 pixels, JPEG, record, journal.
                  "running" leaves the start of the processes out, which costs a second or two once.
    stages        one frame in one process, medians of processor time in milliseconds.
    frame sizes   finding alone, with one face of an eighth of the height, and in a frame without any.

Other programs on the machine slow the first table, not the others.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.console import say
from core.files import list_images
from core.images import decode_image, encode_jpeg, read_image, to_uint8, write_image
from core.paths import Workspace
from core.progress import SilentProgress
from facelib.alignment import frame_to_face
from facelib.extraction import ExtractionSettings, cut_out
from facelib.face_type import FaceType
from facelib.metadata import write_face
from facelib.nets.face_mesh import FaceMeshFinder
from mainscripts.extract import ExtractOptions, run

SIDE = 512


class Watch(SilentProgress):
    """Notes when the first frame was done, which is when all processes run."""

    def __init__(self) -> None:
        self.times: list[float] = []

    @contextmanager
    def task(self, title: str, total: int | None, unit: str = "frame", *, brief: bool = False) -> Iterator[Watch]:
        yield self

    def advance(self, steps: int = 1) -> None:
        self.times.append(time.perf_counter())

    def note(self, text: str) -> None:
        pass


def portrait() -> np.ndarray:
    return to_uint8(decode_image(files("skimage").joinpath("data", "astronaut.png").read_bytes(), Path("astronaut")))


def paint_frames(folder: Path, count: int) -> None:
    """A camera that drifts and zooms over the portrait."""
    picture = portrait()
    for n in range(count):
        zoom = 1.5 + 0.4 * np.sin(n / 40)
        matrix = np.array([[zoom, 0, 256 - zoom * 224 + 30 * np.sin(n / 17)], [0, zoom, 230 - zoom * 130]])
        write_image(folder / f"{n + 1:05d}.png", cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC))


def whole_step(frames: Path, scratch: Path) -> None:
    say(f"{'whole step':<34}{'frames/s':>10}{'running':>10}")
    for workers in (1, 2):
        for debug in (False, True):
            watch, output = Watch(), scratch / f"{workers}{debug}" / "faces"
            options = ExtractOptions.of(
                input_dir=frames, output_dir=output, workers=workers, output_debug=debug, image_size=SIDE
            )
            start = time.perf_counter()
            report = run(Workspace(scratch), options, watch)
            seconds = time.perf_counter() - start
            running = (len(watch.times) - 1) / (watch.times[-1] - watch.times[0])
            name = f"{workers} worker{'s' * (workers > 1)}{', debug pictures' * debug}"
            say(f"  {name:<32}{report.frames / seconds:>10.1f}{running:>10.1f}   ({report.faces} faces)")


def milliseconds(work: Callable[[], object], repeats: int = 25) -> float:
    """Median processor time of one call."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times)


def stages(frame_path: Path, scratch: Path) -> None:
    finder, quick = FaceMeshFinder(), FaceMeshFinder(accurate=False)
    frame = to_uint8(read_image(frame_path))
    found = finder.find(frame)
    if not found:
        say("The first frame shows no face; no stages are measured.")
        return
    landmarks, settings = found[0].landmarks, ExtractionSettings(FaceType.WHOLE, SIDE)
    face = cut_out(frame, frame_path.name, landmarks, "benchmark", settings)
    picture = to_uint8(decode_image(face.jpeg, frame_path))
    rows: dict[str, Callable[[], object]] = {
        "read the frame": lambda: read_image(frame_path),
        "find, accurate": lambda: finder.find(frame),
        "find, one look": lambda: quick.find(frame),
        "align": lambda: frame_to_face(landmarks, FaceType.WHOLE, SIDE),
        "cut out, JPEG, record": lambda: cut_out(frame, frame_path.name, landmarks, "benchmark", settings),
        "  of it JPEG": lambda: encode_jpeg(picture),
        "write the face": lambda: write_face(scratch / "face.jpg", face.jpeg, face.metadata),
    }
    say(f"\n{'stages':<34}{'ms':>10}")
    for name, work in rows.items():
        say(f"  {name:<32}{milliseconds(work):>10.2f}")


def frame_sizes() -> None:
    finder, picture = FaceMeshFinder(), portrait()
    say(f"\n{'frame sizes, find (ms)':<34}{'one face':>10}{'no face':>10}")
    for width, height in ((512, 512), (1280, 720), (1920, 1080), (3840, 2160)):
        empty = np.full((height, width, 3), 110, np.uint8)
        scale = height / 8 / 105  # her face is 105 pixels high
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
        frame = empty.copy()
        frame[: small.shape[0], : small.shape[1]] = small
        times = [milliseconds(lambda shown=shown: finder.find(shown), 9) for shown in (frame, empty)]  # type: ignore[misc]
        note = "" if finder.find(frame) else "   (the face was not found)"
        say(f"  {f'{width} x {height}':<32}{times[0]:>10.1f}{times[1]:>10.1f}{note}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=160, help="how many frames are made")
    parser.add_argument("--pictures", type=Path, help="a folder of frames to use instead")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        frames = arguments.pictures or Path(scratch) / "frames"
        if arguments.pictures is None:
            frames.mkdir()
            paint_frames(frames, arguments.frames)
        whole_step(frames, Path(scratch))
        stages(list_images(frames)[0], Path(scratch))
    frame_sizes()


if __name__ == "__main__":
    main()
