"""How long merging a frame takes on one processor core, and how much faster that is than the classical way.

    python benchmarks/merge.py [--frames 40] [--resolution 128] [--pictures FOLDER]

Frames are painted, or taken from a folder of real ones; the face is 300 pixels from ear to ear. Three tables:

    compositing   frame and prediction in memory -> finished frame and mask in memory: align, mask, colors, paste.
                  "classical" is benchmarks/classical_merge.py, whole frames in float32; the two take turns. The
                  pictures of both are compared, too: idt, sot and mix draw at random classically, and OpenCV's
                  seamless clone works in whole levels, on a slightly smaller rectangle.
    whole frame   read, composite, write: what one worker process does; prediction is a stand-in and costs nothing.
    growth        the same face in ever larger frames.

Figures are medians of processor time, on one core; "wall" counts the waiting as well (disk, other programs).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
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
LEARNED: dict[str, Any] = {"mask_mode": "learned-prd*learned-dst"}
SHAPED: dict[str, Any] = {**LEARNED, "erode_mask": 20, "blur_mask": 40}
COMPOSITING: dict[str, dict[str, Any]] = {
    "overlay, learned mask, rct": {**LEARNED, "color_transfer": "rct"},
    "overlay, learned mask": LEARNED,
    "overlay, landmark mask (the defaults)": {},
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
SLOW = ("idt", "sot-m", "mix-m", "seamless")
"""Settings whose classical form takes so long that a few frames have to do."""

MOTION = (12.0, 5.0)


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


def compare(
    settings: MergeSettings, frames: Sequence[NDArray], landmarks: NDArray, model: StandIn, rounds: int
) -> tuple[float, float, float, int]:
    """Milliseconds of ours and of the classical way (processor time), and how far their pictures differ, in levels: on
    the average where the mask is, and at most."""
    tools = FaceTools.of(model)
    face = FrameFace(landmarks, motion=Motion(*MOTION, 1))

    def ours(number: int) -> MergedFrame:
        return merge_frame(frames[number % len(frames)], [face], settings, tools)

    def classical(number: int) -> NDArray:
        frame, predict = frames[number % len(frames)], lambda _: model.answer
        values = {**vars(settings), "clone": "opencv"}
        return classical_merge(frame, [landmarks], values, model.resolution, FaceType.FULL, predict, MOTION)[0]

    merged = ours(0)
    difference = np.abs(merged.image.astype(int) - classical(0))
    (mine, _), (theirs, _) = take_turns([ours, classical], rounds)
    return mine, theirs, float(difference[merged.mask > 0].mean()), int(difference.max())


def compositing_table(frames: Sequence[NDArray], landmarks: NDArray, model: StandIn, rounds: int) -> None:
    """Ours against the classical way, for several settings."""
    height, width = frames[0].shape[:2]
    title = f"compositing, {width} x {height}"
    say(f"\n{title:<42}{'ms':>8}{'frames/s':>10}{'classical ms':>14}{'times':>7}{'levels: mean':>14}{'most':>6}")
    for name, given in COMPOSITING.items():
        few = max(2, rounds // 10) if any(word in name for word in SLOW) else rounds
        mine, theirs, mean, most = compare(MergeSettings.of(**given), frames, landmarks, model, few)
        say(f"{name:<42}{mine:>8.2f}{1000 / mine:>10.0f}{theirs:>14.1f}{theirs / mine:>7.1f}{mean:>14.2f}{most:>6}")


def whole_frame_table(frames: Sequence[NDArray], landmarks: NDArray, model: StandIn, rounds: int) -> None:
    """What a worker process does, from file to files, and its parts."""
    settings = MergeSettings.of(**COMPOSITING["overlay, learned mask, rct"])
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


def growth_table(pictures: Sequence[NDArray], model: StandIn, rounds: int) -> None:
    """One size of face in frames of many sizes."""
    settings = MergeSettings.of(**COMPOSITING["overlay, learned mask, rct"])
    say(f"\n{'growth (overlay, learned mask, rct)':<48}{'ms':>8}{'frames/s':>10}{'classical ms':>14}{'times':>7}")
    for width, height in ((512, 512), (1280, 720), (1920, 1080), (3840, 2160)):
        frames, landmarks = frames_of(width, height, pictures[:1])
        mine, theirs, _, _ = compare(settings, frames, landmarks, model, max(3, rounds // 4))
        say(f"  {width} x {height:<40}{mine:>8.2f}{1000 / mine:>10.0f}{theirs:>14.1f}{theirs / mine:>7.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=40, help="frames per figure")
    parser.add_argument("--resolution", type=int, default=128, help="side of the model's square")
    parser.add_argument("--pictures", type=Path, help="folder of real frames to use")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    settle_process()
    pictures: list[NDArray] = []
    if arguments.pictures:
        pictures = [read_image(path) for path in sorted(arguments.pictures.iterdir())[:8] if path.is_file()]
    model = StandIn(arguments.resolution)
    frames, landmarks = frames_of(1280, 720, pictures)
    kind = "real" if pictures else "painted"
    say(f"1280 x 720, {kind} frames, face of {FACE_PIXELS} pixels, model of {arguments.resolution}, one core")
    compositing_table(*frames_of(512, 512, pictures), model, arguments.frames)
    compositing_table(frames, landmarks, model, arguments.frames)
    whole_frame_table(frames, landmarks, model, arguments.frames)
    growth_table(pictures, model, arguments.frames)


if __name__ == "__main__":
    main()
