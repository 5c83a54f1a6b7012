"""`demo`: from two portraits to a finished face swap, with the very commands a user runs.

    _internal/demo/            (demo --quick: _internal/demo_quick; another place: --output)
      data_src.mp4             Grace Hopper, painted by demo_clips.py
      data_dst.mp4             Eileen Collins, painted likewise, with music
      ...                      a workspace like any other
      result.mp4               the swap, with data_dst's rate and sound; result_mask.mp4
      demo.png                 src, dst, swap and mask side by side, and the losses of the training

What is there already is not done again: a demo that was interrupted goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.errors import BadOption
from core.files import atomic_write_text, list_images, move_to_trash
from core.geometry import warp
from core.images import read_gray, read_image, write_image
from core.options import Options, option
from core.paths import FACE_EXTENSIONS, Workspace, internal_folder
from core.progress import Progress
from core.video.assembly import encode_video
from core.video.commands import EncodingPlan, RawFrames, SoundPlan
from core.video.properties import ColorTags, settle_colors
from facelib.metadata import read_metadata
from facelib.nets.pretrained import require_weights
from mainscripts import extract, merge, train
from mainscripts.demo_clips import ASTRONAUT, FRAME_SIDE, HOPPER, Portrait, paint_clip, write_music
from mainscripts.videoed import ExtractVideoOptions, extract_video
from mainscripts.videoed_result import VideoFromSequenceOptions, video_from_sequence
from models.checkpoint import CheckpointStore
from models.history import LossHistory, draw_loss_chart
from models.preview import draw_sheet
from models.registry import model_folder

_MODEL_NAME = "demo"
_PAINTED = "clips.json"
_ROWS = 4
_CELL = 240
_CROP_OF_FACE = 1.35
_MOST_IN_TIME = 20.0
"""Seconds of training left over that are not worth starting the network for."""


@dataclass(frozen=True)
class Recipe:
    """How long a demo is.

    Attributes:
        src_frames, dst_frames: of the clips.
        rate: of both clips.
        training_seconds, iterations: the training ends at whichever comes first.
    """

    src_frames: int
    dst_frames: int
    rate: Fraction
    training_seconds: float
    iterations: int


FULL = Recipe(src_frames=120, dst_frames=96, rate=Fraction(24000, 1001), training_seconds=480, iterations=6000)
QUICK = Recipe(src_frames=24, dst_frames=16, rate=Fraction(24000, 1001), training_seconds=35, iterations=300)
_SRC_SEED, _DST_SEED, _TRAINING_SEED = 11, 22, 33
_ALL_PARTS = ("encoder", "inter", "decoder_src", "decoder_dst", "optimizer")


@dataclass(kw_only=True)
class DemoOptions(Options):
    quick: bool = option(
        False, "Quick", ask=False, help="Under two minutes: shows that everything works; the face stays a blur."
    )
    output: Path | None = option(
        None, "Folder", ask=False, help="Where the demo works. Default: demo, or demo_quick, inside _internal."
    )


@dataclass(frozen=True)
class DemoReport:
    """What the demo made."""

    result: Path
    picture: Path
    iteration: int
    seconds: float


def run(workspace: Workspace, options: DemoOptions, progress: Progress) -> DemoReport:
    """Makes the clips, extracts frames and faces, trains, merges, and makes the video and the picture.

    The user's workspace is not touched.

    Raises:
        FaceLoomError: a step failed; its own sentence says why.
    """
    del workspace
    require_weights()
    return run_recipe(QUICK if options.quick else FULL, demo_workspace(options), progress, smoke_test=options.quick)


def demo_workspace(options: DemoOptions) -> Workspace:
    """The folder the demo works in."""
    return Workspace(options.output or internal_folder() / ("demo_quick" if options.quick else "demo"))


def run_recipe(recipe: Recipe, place: Workspace, progress: Progress, *, smoke_test: bool = False) -> DemoReport:
    """Runs the whole road; what is finished is passed over."""
    began = time.monotonic()
    progress.say(f"The demo works in {place.root}.")

    def step(title: str, command: Callable[..., Any], settings: Options) -> None:
        progress.say(f"\n== {title}   ({time.monotonic() - began:.0f} s)")
        command(place, settings, progress)

    progress.say("\n== 0) paint two clips from two portraits")
    paint_clips(recipe, place, progress)
    step("2) extract images from video data_src", extract_video, _frames_options(place, "src"))
    step("3) extract images from video data_dst FULL FPS", extract_video, _frames_options(place, "dst"))
    step(
        "4) data_src faceset extract",
        extract.run,
        extract.ExtractOptions.of(input_dir=place.data_src, output_dir=place.data_src_aligned),
    )
    step(
        "5) data_dst faceset extract",
        extract.run,
        extract.ExtractOptions.of(input_dir=place.data_dst, output_dir=place.data_dst_aligned, output_debug=True),
    )
    left, iteration = _training_left(recipe, place)
    if left > _MOST_IN_TIME or iteration == 0:
        step("6) train Quick96", train.run, _train_options(recipe, place, left))
    else:
        progress.say(f"\n== 6) train Quick96: done before, {iteration:,} iterations")
    step("7) merge Quick96", merge.run, _merge_options(place))
    title = "8) merged to mp4"
    if _is_older(place.result(".mp4"), place.data_dst_merged):
        frames = _video_options(place, place.data_dst_merged, place.result(".mp4"), include_audio=True)
        step(f"{title}: the video", video_from_sequence, frames)
    if _is_older(place.result_mask(".mp4"), place.data_dst_merged_mask):
        masks = _video_options(place, place.data_dst_merged_mask, place.result_mask(".mp4"), lossless=True)
        step(f"{title}: the masks", video_from_sequence, masks)
    picture = place.root / "demo.png"
    write_image(picture, draw_picture(place), compression=6)
    _, iteration = _training_left(recipe, place)
    report = DemoReport(place.result(".mp4"), picture, iteration, time.monotonic() - began)
    progress.say(_closing(report, smoke_test))
    return report


def _closing(report: DemoReport, smoke_test: bool) -> str:
    lines = [
        f"\nThe demo is done in {report.seconds:.0f} s, with {report.iteration:,} iterations of training.",
        f"  the finished video:  {report.result}",
        f"  the picture to see:  {report.picture}",
    ]
    if smoke_test:
        lines.append(
            "This was the quick demo. It shows that every part works; so short a training leaves the face a blur. "
            "Run the demo without --quick for a face."
        )
    return "\n".join(lines)


# -------------------------------------------------------------------------------------------------------------- clips


def paint_clips(recipe: Recipe, place: Workspace, progress: Progress) -> None:
    """Writes data_src.mp4 and data_dst.mp4, unless they are there.

    Raises:
        BadOption: the folder holds something that is no demo; it is left alone.
    """
    note = place.root / _PAINTED
    wanted = {name: str(value) for name, value in asdict(recipe).items() if name.endswith(("frames", "rate"))}
    if place.root.is_dir() and any(place.root.iterdir()):
        if not note.is_file():
            raise BadOption(
                f"The demo needs a folder of its own, and this one holds other things. Received: {place.root}.",
                "Name an empty or a new folder with --output.",
            )
        found = json.loads(note.read_text("utf-8"))
        if found == {**wanted, "done": True}:
            progress.say("The clips are there already.")
            return
        if found != {**wanted, "done": False}:
            old = [f for f in place.root.iterdir() if f not in (note, place.trash)]
            move_to_trash(place.trash, old, "a demo of another length")
    atomic_write_text(note, json.dumps({**wanted, "done": False}))
    _paint(place.root / "data_src.mp4", HOPPER, recipe.src_frames, recipe.rate, _SRC_SEED, None, progress)
    music = place.root / "music.wav"
    write_music(music, float(recipe.dst_frames / recipe.rate))
    _paint(place.root / "data_dst.mp4", ASTRONAUT, recipe.dst_frames, recipe.rate, _DST_SEED, music, progress)
    atomic_write_text(note, json.dumps({**wanted, "done": True}))


def _paint(
    target: Path, portrait: Portrait, count: int, rate: Fraction, seed: int, music: Path | None, progress: Progress
) -> None:
    frames = RawFrames(FRAME_SIDE, FRAME_SIDE, 3, 8, rate)
    colors = settle_colors(ColorTags(matrix="bt709"), FRAME_SIDE, FRAME_SIDE)
    plan = EncodingPlan(target.suffix, False, 12, None, colors, Fraction(1))
    sound = SoundPlan(music, 0, copy=False, codec="aac", channels=2, shift_seconds=Fraction(0)) if music else None
    with progress.task(f"Painting {target.name}", count) as task:
        encode_video(
            paint_clip(portrait, count, rate, seed), frames, count, plan, target, sound=sound, on_frame=task.advance
        )


# -------------------------------------------------------------------------------------------------------------- steps


def _frames_options(place: Workspace, side: str) -> ExtractVideoOptions:
    folder = place.data_src if side == "src" else place.data_dst
    return ExtractVideoOptions.of(input_file=place.video_pattern(side), output_dir=folder, yes=True)


def _training_left(recipe: Recipe, place: Workspace) -> tuple[float, int]:
    """Seconds of training that are left, and the iterations there are."""
    found = CheckpointStore(model_folder(place.model, _MODEL_NAME, "Quick96")).read(without=_ALL_PARTS)
    if found is None:
        return recipe.training_seconds, 0
    done = found.state.iteration >= recipe.iterations
    return (0.0 if done else max(0.0, recipe.training_seconds - found.state.seconds)), found.state.iteration


def _train_options(recipe: Recipe, place: Workspace, seconds: float) -> train.TrainOptions:
    return train.TrainOptions.of(
        model_dir=place.model,
        model_name=_MODEL_NAME,
        stop_after=f"{max(seconds, 1):.0f}s",
        save_every="90s",
        target_iteration=recipe.iterations,
        precision="bf16" if _has_bfloat16() else "fp32",
        size="small",
        preview_every=0,
        seed=_TRAINING_SEED,
    )


def _has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16 itself; where that cannot be told, the slower sure way is taken."""
    try:
        flags = Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _merge_options(place: Workspace) -> merge.MergeOptions:
    return merge.MergeOptions.of(
        input_dir=place.data_dst,
        output_dir=place.data_dst_merged,
        output_mask_dir=place.data_dst_merged_mask,
        aligned_dir=place.data_dst_aligned,
        model_dir=place.model,
        model="Quick96",
        model_name=_MODEL_NAME,
        mask_mode="dst",  # of a few minutes of training the learned one is rough
        blur_mask=40,
    )


def _video_options(place: Workspace, frames: Path, target: Path, **rest: bool) -> VideoFromSequenceOptions:
    reference = place.video_pattern("dst")
    return VideoFromSequenceOptions.of(input_dir=frames, output_file=target, reference_file=reference, **rest)


def _is_older(target: Path, folder: Path) -> bool:
    """Whether a video is missing, or older than the pictures it is made of."""
    if not target.is_file():
        return True
    return target.stat().st_mtime_ns < max(p.stat().st_mtime_ns for p in list_images(folder))


# ------------------------------------------------------------------------------------------------------------ picture


def draw_picture(place: Workspace) -> np.ndarray:
    """demo.png: a few frames as src, dst, swap and mask, cut to the faces, above the losses of the training.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    names = [p.stem for p in list_images(place.data_dst_merged)]
    chosen = [names[n] for n in np.linspace(0, len(names) - 1, 2 * _ROWS + 1).round().astype(int)[1::2]]
    src_faces = list_images(place.data_src_aligned, FACE_EXTENSIONS)
    src_chosen = [src_faces[n] for n in np.linspace(0, len(src_faces) - 1, _ROWS).round().astype(int)]
    columns: dict[str, list[np.ndarray]] = {"src": [], "dst": [], "swap": [], "mask": []}
    for src_face, name in zip(src_chosen, chosen, strict=True):
        src = read_metadata(src_face)
        columns["src"].append(_around(read_image(place.data_src / f"{src.frame_name}"), src.frame_bbox))
        bbox = read_metadata(place.data_dst_aligned / f"{name}_0.jpg").frame_bbox
        columns["dst"].append(_around(read_image(place.data_dst / f"{name}.png"), bbox))
        columns["swap"].append(_around(read_image(place.data_dst_merged / f"{name}.png"), bbox))
        mask = read_gray(place.data_dst_merged_mask / f"{name}.png")
        columns["mask"].append(_around(np.repeat(mask[..., None], 3, axis=2), bbox))
    checkpoint = CheckpointStore(model_folder(place.model, _MODEL_NAME, "Quick96")).read(without=_ALL_PARTS)
    title = "FaceLoom demo"
    history = checkpoint.state.history if checkpoint else LossHistory()
    if len(history):
        title += f": Quick96 (small), {len(history):,} iterations"
    sheet = draw_sheet([(name, np.stack(pictures)) for name, pictures in columns.items()], title)
    chart = draw_loss_chart(history, "Loss per iteration")
    height = round(chart.shape[0] * sheet.shape[1] / chart.shape[1])
    return np.concatenate([sheet, cv2.resize(chart, (sheet.shape[1], height), interpolation=cv2.INTER_AREA)])


def _around(frame: np.ndarray, bbox: np.ndarray) -> np.ndarray:
    """A square around a face, (_CELL, _CELL, 3) uint8; what lies outside the frame repeats its edge."""
    left, top, right, bottom = (float(v) for v in bbox)
    half = _CROP_OF_FACE * max(right - left, bottom - top) / 2
    scale = _CELL / (2 * half)
    matrix = np.array(
        [[scale, 0, _CELL / 2 - scale * (left + right) / 2], [0, scale, _CELL / 2 - scale * (top + bottom) / 2]]
    )
    return warp(frame, matrix, _CELL, border="replicate")
