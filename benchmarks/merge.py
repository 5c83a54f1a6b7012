"""How long merging a frame takes on one processor core and on two, and how much faster that is than the classical way.

    python benchmarks/merge.py [--frames 40] [--resolution 128] [--pictures FOLDER]

Frames are painted, or taken from a folder of real ones; the face is 300 pixels from ear to ear. Three tables:

    compositing   frame and prediction in memory -> finished frame and mask in memory: align, mask, colors, paste.
                  "classical" is benchmarks/classical_merge.py, whole frames in float32; the two take turns. The
                  pictures of both are compared, too: idt, sot and mix draw at random classically, and OpenCV's
                  seamless clone works in whole levels, on a slightly smaller rectangle. "2 cores": of two processes
                  side by side, each on a core of its own, as the engine's compositors are; on the wall's clock.
    whole frame   read, composite, write: what one worker process does; prediction is a stand-in and costs nothing.
    growth        the same face in ever larger frames.

Figures are medians of processor time, on one core; "wall" counts the waiting as well (disk, other programs). At the
end stand the rows of docs/measurements.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.classical_merge import classical_merge
from core.console import say
from core.files import atomic_write_bytes
from core.images import encode_png, read_image, write_image
from facelib.face_type import FaceType
from facelib.prediction import Prediction
from merger.aligning import align_faces
from merger.compositing import MergedFrame
from merger.compositors import Compositor, CompositorSetup, Finish, Prepare, settle_process
from merger.face_tools import FaceAnswer, FaceTools
from merger.frames import FrameFace, FrameFaces, Motion
from merger.merge_frame import merge_frame
from merger.settings import MergeSettings
from tests.painting import head_landmarks, paint_frame

FACE_PIXELS = 300
PLAIN: dict[str, Any] = {"color_transfer": "none", "hist_match_threshold": 255}
LEARNED: dict[str, Any] = {**PLAIN, "mask_mode": "learned-prd*learned-dst"}
SHAPED: dict[str, Any] = {**LEARNED, "erode_mask": 20, "blur_mask": 40}
COMPOSITING: dict[str, dict[str, Any]] = {
    "overlay, learned mask, rct": {**LEARNED, "color_transfer": "rct"},
    "overlay, learned mask": LEARNED,
    "overlay, landmark mask": {**PLAIN, "mask_mode": "dst"},
    "overlay, erode 20, blur 40": SHAPED,
    "overlay, rct, erode 20, blur 40": {**SHAPED, "color_transfer": "rct"},
    "overlay, lct": {**LEARNED, "color_transfer": "lct"},
    "overlay, mkl-m": {**LEARNED, "color_transfer": "mkl-m"},
    "overlay, idt": {**LEARNED, "color_transfer": "idt"},
    "overlay, sot-m": {**LEARNED, "color_transfer": "sot-m"},
    "overlay, mix-m": {**LEARNED, "color_transfer": "mix-m"},
    "hist-match": {**LEARNED, "mode": "hist-match"},
    "seamless": {**LEARNED, "mode": "seamless"},
    "seamless, rct": {**LEARNED, "mode": "seamless", "color_transfer": "rct"},
    "seamless-hist-match": {**LEARNED, "mode": "seamless-hist-match"},
    "raw-rgb": {**LEARNED, "mode": "raw-rgb"},
    "original": {**LEARNED, "mode": "original"},
    "overlay, motion blur 50": {**LEARNED, "motion_blur_power": 50},
    "overlay, sharpen gaussian 10": {**LEARNED, "sharpen_mode": "gaussian", "blursharpen_amount": 10},
    "overlay, denoise 50, bicubic 30": {**LEARNED, "image_denoise_power": 50, "bicubic_degrade_power": 30},
}
USUAL = "overlay, learned mask, rct"
HEADS = f"{'ms':>8}{'frames/s':>10}{'2 cores':>9}{'classical ms':>14}{'times':>7}"
SLOW = ("idt", "sot-m", "mix-m", "seamless")
"""Settings whose classical form takes so long that a few frames have to do."""

MOTION = (12.0, 5.0)


@dataclass(frozen=True)
class Figures:
    """Of one way of merging: milliseconds of ours and of the classical way (processor time), our frames per second on
    two cores (None: there is one), and how far the pictures differ, in levels: on the average where the mask is, and at
    most."""

    ours: float
    classical: float
    pair_rate: float | None
    mean: float
    most: int

    @property
    def times(self) -> float:
        return self.classical / self.ours

    @property
    def words(self) -> str:
        pair = "-" if self.pair_rate is None else f"{self.pair_rate:.0f}"
        return f"{self.ours:>8.2f}{1000 / self.ours:>10.0f}{pair:>9}{self.classical:>14.1f}{self.times:>7.1f}"


class Merging:
    """One frame after the other, by us."""

    def __init__(self, frames: Sequence[NDArray], landmarks: NDArray, resolution: int) -> None:
        self.frames, self.landmarks = frames, landmarks
        self.model = StandIn(resolution)
        self._tools = FaceTools.of(self.model)
        self._faces = [FrameFace(landmarks, motion=Motion(*MOTION, 1))]

    def merge(self, number: int, settings: MergeSettings) -> MergedFrame:
        return merge_frame(self.frames[number % len(self.frames)], self._faces, settings, self._tools)

    def rate(self, settings: MergeSettings, rounds: int) -> float:
        """Frames per second on the wall's clock."""
        start = time.perf_counter()
        for number in range(rounds):
            self.merge(number, settings)
        return rounds / (time.perf_counter() - start)


class Neighbor:
    """A process on another core that merges the same frames at the same time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rate_of_both(self, merging: Merging, settings: MergeSettings, rounds: int) -> float:
        """Frames per second of both processes together."""
        self._connection.send((settings, rounds))
        merging.merge(0, settings)
        self._connection.recv()  # it is warm, too
        self._connection.send(None)
        return merging.rate(settings, rounds) + self._connection.recv()


@contextmanager
def neighbor(core: int | None, merging: Merging) -> Iterator[Neighbor | None]:
    """None where there is no other core."""
    if core is None:
        yield None
        return
    work = (core, merging.frames, merging.landmarks, merging.model.resolution)
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_merge_beside, args=(there, *work), daemon=True)
    process.start()
    there.close()
    try:
        yield Neighbor(here)
    finally:
        here.close()
        process.join()


def _merge_beside(
    connection: Connection, core: int, frames: Sequence[NDArray], landmarks: NDArray, resolution: int
) -> None:
    os.sched_setaffinity(0, {core})
    settle_process()
    merging = Merging(frames, landmarks, resolution)
    while True:
        try:
            settings, rounds = connection.recv()
        except EOFError:
            return
        merging.merge(0, settings)
        connection.send(None)
        connection.recv()
        connection.send(merging.rate(settings, rounds))


class StandIn:
    """A model that costs nothing: a painted face and soft oval masks."""

    def __init__(self, resolution: int) -> None:
        rows, columns = np.mgrid[:resolution, :resolution] / resolution - 0.5
        oval = np.clip((0.42 - np.hypot(rows, columns * 1.15)) * 20, 0, 1).astype(np.float32)
        rng = np.random.default_rng(5)
        face = cv2.GaussianBlur(rng.random((resolution, resolution, 3), dtype=np.float32), (0, 0), resolution / 24)
        face = cv2.normalize(face, None, 0.1, 0.9, cv2.NORM_MINMAX).astype(np.float32)
        self.resolution, self.face_type = resolution, FaceType.FULL
        self.answer = (face, oval, oval)

    def predict(self, faces: NDArray) -> Sequence[Prediction]:
        return [Prediction(*self.answer) for _ in faces]


def frames_of(width: int, height: int, pictures: Sequence[NDArray]) -> tuple[list[NDArray], NDArray]:
    """Some frames of that size, and the landmarks of the face in them."""
    center = (width * 0.45, height * 0.5)
    if pictures:
        frames = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in pictures]
    else:
        frames = [paint_frame(width, height, center, FACE_PIXELS, seed=seed)[0] for seed in range(3)]
    return frames, head_landmarks(center, FACE_PIXELS, yaw=0.2, roll=0.1)


def take_turns(tasks: Sequence[Callable[[int], object]], rounds: int) -> list[tuple[float, float]]:
    """Median milliseconds of each task: (processor time, time on the wall). They take turns, so that a busy machine
    slows all of them alike."""
    times: list[list[tuple[float, float]]] = [[] for _ in tasks]
    for number in range(rounds + 2):
        for task, taken in zip(tasks, times, strict=True):
            start = time.process_time(), time.perf_counter()
            task(number)
            taken.append((1000 * (time.process_time() - start[0]), 1000 * (time.perf_counter() - start[1])))
    return [(statistics.median(c for c, _ in t[2:]), statistics.median(w for _, w in t[2:])) for t in times]


def compare(settings: MergeSettings, merging: Merging, rounds: int, pair_rate: float | None = None) -> Figures:
    """Ours against the classical way."""
    model, frames = merging.model, merging.frames

    def ours(number: int) -> MergedFrame:
        return merging.merge(number, settings)

    def classical(number: int) -> NDArray:
        frame, predict = frames[number % len(frames)], lambda _: model.answer
        values = {**vars(settings), "clone": "opencv"}
        faces = [merging.landmarks]
        return classical_merge(frame, faces, values, model.resolution, FaceType.FULL, predict, MOTION)[0]

    merged = ours(0)
    difference = np.abs(merged.image.astype(int) - classical(0))
    (mine, _), (theirs, _) = take_turns([ours, classical], rounds)
    return Figures(mine, theirs, pair_rate, float(difference[merged.mask > 0].mean()), int(difference.max()))


def compositing_table(merging: Merging, rounds: int, other_core: int | None) -> dict[str, Figures]:
    """Ours against the classical way, for several settings."""
    height, width = merging.frames[0].shape[:2]
    title = f"compositing, {width} x {height}"
    say(f"\n{title:<42}{HEADS}{'levels: mean':>14}{'most':>6}")
    table = {}
    with neighbor(other_core, merging) as beside:
        for name, given in COMPOSITING.items():
            few = max(2, rounds // 10) if any(word in name for word in SLOW) else rounds
            settings = MergeSettings.of(**given)
            pair_rate = beside.rate_of_both(merging, settings, rounds) if beside else None
            figures = table[name] = compare(settings, merging, few, pair_rate)
            say(f"{name:<42}{figures.words}{figures.mean:>14.2f}{figures.most:>6}")
    return table


def whole_frame_table(frames: Sequence[NDArray], landmarks: NDArray, model: StandIn, rounds: int) -> None:
    """What a worker process does, from file to files, and its parts."""
    settings = MergeSettings.of(**COMPOSITING[USUAL])
    tools = FaceTools.of(model)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths = []
        for number, frame in enumerate(frames):
            paths.append(folder / "frames" / f"{number:05d}.png")
            write_image(paths[-1], frame)
        compositor = Compositor(CompositorSetup(folder / "merged", folder / "masks", model.resolution, FaceType.FULL))
        faces = (FrameFace(landmarks),)

        def everything(number: int) -> None:
            compositor.work_through(Prepare(number, FrameFaces(paths[number % len(paths)], faces), settings))
            compositor.work_through(Finish(number, [FaceAnswer(Prediction(*model.answer))]))

        merged = merge_frame(frames[0], faces, settings, tools)
        encoded = encode_png(merged.image)
        shape = (model.resolution, FaceType.FULL)
        parts: dict[str, Callable[[int], object]] = {
            "read + composite + write": everything,
            "  read the PNG": lambda number: read_image(paths[number % len(paths)]),
            "  align": lambda number: align_faces(frames[number % len(frames)], faces, *shape, settings),
            "  align + composite": lambda number: merge_frame(frames[number % len(frames)], faces, settings, tools),
            "  write the frame": lambda _: atomic_write_bytes(folder / "written.png", encoded),
            "  encode the frame": lambda _: encode_png(merged.image),
            "  encode the mask": lambda _: encode_png(merged.mask),
        }
        say(f"\n{'whole frame':<48}{'ms':>8}{'frames/s':>10}{'wall ms':>14}{'frames/s':>10}")
        for name, (mine, wall) in zip(parts, take_turns(list(parts.values()), rounds), strict=True):
            say(f"{name:<48}{mine:>8.2f}{1000 / mine:>10.0f}{wall:>14.2f}{1000 / wall:>10.0f}")


def growth_table(pictures: Sequence[NDArray], resolution: int, rounds: int) -> dict[str, Figures]:
    """One size of face in frames of many sizes."""
    settings = MergeSettings.of(**COMPOSITING[USUAL])
    say(f"\n{f'growth ({USUAL})':<42}{HEADS}")
    table = {}
    for width, height in ((512, 512), (1280, 720), (1920, 1080), (3840, 2160)):
        merging = Merging(*frames_of(width, height, pictures[:1]), resolution)
        name = f"{width} x {height}"
        table[name] = compare(settings, merging, max(3, rounds // 4))
        say(f"  {name:<40}{table[name].words}")
    return table


def rows(small: dict[str, Figures], large: dict[str, Figures], growth: dict[str, Figures]) -> str:
    """The rows of docs/measurements.md."""

    def cells(of: Figures) -> str:
        pair = "" if of.pair_rate is None else f"; {of.pair_rate:.0f}"
        return f"{of.ours:.1f} ms, {1000 / of.ours:.0f} frames/s{pair} | {of.classical:.0f} ms, {of.times:.1f} times"

    p720, p4k = growth["1280 x 720"], growth["3840 x 2160"]
    lines = [
        "| | 512×512, one core; two (frames/s) | full-frame float32 | 720p, one core; two | full-frame float32 |",
        "|---|---|---|---|---|",
        *(f"| {name} | {cells(small[name])} | {cells(large[name])} |" for name in large),
        "",
        f"The same face in 4K instead of 720p ({USUAL}): {p4k.ours:.1f} for {p720.ours:.1f} ms, full-frame float32 "
        f"{p4k.classical:.0f} for {p720.classical:.0f} ms.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=40, help="frames per figure")
    parser.add_argument("--resolution", type=int, default=128, help="side of the model's square")
    parser.add_argument("--pictures", type=Path, help="folder of real frames to use")
    arguments = parser.parse_args()
    other_core = None
    if hasattr(os, "sched_setaffinity"):
        *others, core = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
        other_core = others[0] if others else None
    settle_process()
    pictures: list[NDArray] = []
    if arguments.pictures:
        pictures = [read_image(path) for path in sorted(arguments.pictures.iterdir())[:8] if path.is_file()]
    small, large = (Merging(*frames_of(*size, pictures), arguments.resolution) for size in ((512, 512), (1280, 720)))
    kind = "real" if pictures else "painted"
    say(f"{kind} frames, face of {FACE_PIXELS} pixels, model of {arguments.resolution}")
    small_table = compositing_table(small, arguments.frames, other_core)
    large_table = compositing_table(large, arguments.frames, other_core)
    whole_frame_table(large.frames, large.landmarks, large.model, arguments.frames)
    growth = growth_table(pictures, arguments.resolution, arguments.frames)
    say(f"\n{rows(small_table, large_table, growth)}")


if __name__ == "__main__":
    main()
