"""Pictures and a sound track become a video.

The video is written under a hidden name, read back (frame count, rate, size, sound), and only then takes its place: a
result is whole or it is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from core.errors import ToolFailed
from core.files import atomic_path
from core.video.commands import EncodingPlan, RawFrames, SoundPlan, build_encoding
from core.video.probe import probe_video
from core.video.properties import VideoProperties, show_rate
from core.video.tool import ffmpeg_binary, knows_option, running

CONTAINERS = (".mp4", ".mov", ".avi", ".mkv")
"""What results can be written as."""

_PCM = ("s16le", "s16be", "s24le", "s24be", "f32le")
_COPIES: dict[str, tuple[str, ...]] = {
    ".mp4": ("aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts"),
    ".mov": ("aac", "mp3", "mp2", "ac3", "eac3", "alac", *(f"pcm_{kind}" for kind in _PCM)),
    ".avi": ("mp3", "mp2", "ac3", "pcm_s16le", "pcm_u8", "pcm_s24le"),
}
_NEGLIGIBLE_SHIFT = Fraction(1, 1000)
_CLOCK_SECONDS = Fraction(2, 1000)
"""What the length of a result may be off by: Matroska's clock counts milliseconds."""


def plan_sound(path: Path, video: VideoProperties, track: int, extension: str) -> SoundPlan:
    """How an audio track of a source goes into a result whose first picture stands at 0.

    Its packets are copied bit for bit wherever the container knows the codec. Otherwise it becomes AAC; in .avi, which
    has no time stamps and where few programs expect AAC, it becomes uncompressed 16-bit sound, and a track that does
    not begin together with the picture is never copied there.

    Args:
        path: the source.
        video: its properties; it has a track number `track`.
        track: counted from 0 among the audio tracks.
        extension: of the result, e.g. ".mp4".
    """
    audio = video.audio[track]
    shift = -video.start_seconds
    copy = extension == ".mkv" or audio.codec in _COPIES.get(extension, ())
    if extension == ".avi":
        copy = copy and abs(audio.start_seconds + shift) <= Fraction(1, 20)
        if copy:  # a negative time stamp would push the picture back by a frame
            shift = -audio.start_seconds
    return SoundPlan(
        path=path,
        stream=audio.stream,
        copy=copy,
        codec="pcm_s16le" if extension == ".avi" else "aac",
        channels=audio.channels,
        shift_seconds=shift if abs(shift) > _NEGLIGIBLE_SHIFT else Fraction(0),
    )


def encode_video(
    pictures: Iterable[np.ndarray],
    frames: RawFrames,
    count: int,
    plan: EncodingPlan,
    target: Path,
    *,
    sound: SoundPlan | None = None,
    ffmpeg: str | None = None,
    put_away: Callable[[], None] = lambda: None,
    on_frame: Callable[[int], None] = lambda _: None,
) -> VideoProperties:
    """Makes a video.

    4:2:0 needs even sides: an odd picture gets its last column or row once more. Lossless and 4:4:4 results keep the
    exact size.

    Args:
        pictures: uint8 or uint16, (H, W, 3) BGR, (H, W, 4) BGRA or (H, W) gray, as `frames` says; `count` of them.
        frames: what they look like.
        count: how many there must be in the result.
        target: the video; its suffix is `plan.extension`.
        sound: the audio track, or None: the result has none.
        put_away: called just before the new video takes the place of an earlier one.
        on_frame: told of every picture handed over.

    Returns:
        Properties of the finished video.

    Raises:
        ToolFailed: ffmpeg failed, or the result is not what it must be; `target` is as it was before.
    """
    binary = ffmpeg_binary(ffmpeg)
    stored = plan.padded(frames)
    with atomic_path(target) as unfinished:
        command = build_encoding(binary, stored, known_to(binary, plan), sound, unfinished)
        with running(command, feeding=True) as tool:
            for picture in pictures:
                tool.feed(padded(picture, stored).data)
                on_frame(1)
            tool.end_feed()
            tool.output.read()
            tool.finish()
        made = probe_video(unfinished, ffmpeg).video
        verify(made, stored, count, sound, target)
        put_away()
    return made


def known_to(binary: Path, plan: EncodingPlan) -> EncodingPlan:
    """The plan without what this ffmpeg cannot be told: releases before 9 take no mastering display."""
    if knows_option(binary, "mastering_display") or (plan.colors.mastering, plan.colors.light) == (None, None):
        return plan
    return replace(plan, colors=replace(plan.colors, mastering=None, light=None))


def padded(picture: np.ndarray, frames: RawFrames) -> np.ndarray:
    """A picture as the encoder takes it: one piece of memory, the last column and row repeated up to its size."""
    rows, columns = frames.height - picture.shape[0], frames.width - picture.shape[1]
    if rows or columns:
        picture = np.pad(picture, [(0, rows), (0, columns), (0, 0)][: picture.ndim], mode="edge")
    return np.ascontiguousarray(picture)


def verify(made: VideoProperties, frames: RawFrames, count: int, sound: SoundPlan | None, target: Path) -> None:
    """Raises ToolFailed when a finished video is not what was asked for."""
    faults = []
    if made.frames != count:
        faults.append(f"{made.frames} frames instead of {count}")
    if abs(count / made.rate - count / frames.rate) > _CLOCK_SECONDS:
        faults.append(f"{show_rate(made.rate)} frames/s instead of {show_rate(frames.rate)}")
    if (made.width, made.height) != (frames.width, frames.height):
        faults.append(f"{made.width}x{made.height} instead of {frames.width}x{frames.height}")
    if made.has_audio != (sound is not None):
        faults.append("sound that nobody asked for" if made.has_audio else "no sound")
    if faults:
        raise ToolFailed("ffmpeg", f"{target.name} came out with {', '.join(faults)}.", "Please report this.")
