"""Keeps one part of a video.

Moments are written as people do: `90` and `90.5` (seconds), `1:30`, `00:01:30.500`, or `#120`, the frame that
extraction names 00120. The part begins with the first frame at or after From and ends before To; with `#` both named
frames belong to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from core.errors import BadOption, ToolFailed
from core.files import atomic_path
from core.video.commands import CutPlan, build_cut
from core.video.probe import Probe, probe_video
from core.video.properties import VideoProperties
from core.video.tool import ffmpeg_binary, run

_ROUNDING = 1e-6
_WITHOUT_INDEX = (".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob")


@dataclass(frozen=True)
class Moment:
    """A place in a video: seconds from its first frame, or a frame number counted from 1."""

    seconds: Fraction = Fraction(0)
    frame: int | None = None


def parse_moment(text: str) -> Moment:
    """Reads a moment as this module's docstring says; a decimal comma is a point.

    Raises:
        BadOption: anything else.
    """
    plain = text.strip().replace(",", ".")
    if match := re.fullmatch(r"#(\d+)", plain):
        if int(match[1]) >= 1:
            return Moment(frame=int(match[1]))
    elif match := re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", plain):
        hours, minutes, seconds = match.groups()
        return Moment(int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds))
    raise BadOption(
        f"A time is written as 90, 1:30, 00:01:30.500 or #120 (a frame number). Received: {text}.",
        "Correct --from-time or --to-time.",
    )


def frame_range(frame_seconds: np.ndarray, start: Moment, end: Moment | None) -> tuple[int, int]:
    """Turns moments into frames.

    Args:
        frame_seconds: (N,) float64, when each frame is shown, ascending.
        start, end: see the module's docstring; end None: to the last frame.

    Returns:
        (first, behind): frames first..behind-1 counted from 0, at least one.

    Raises:
        BadOption: the part would be empty or begins behind the end.
    """
    times = frame_seconds - frame_seconds[0]
    count = len(times)
    first = start.frame - 1 if start.frame is not None else _first_at(times, start.seconds)
    if end is None:
        behind = count
    else:
        behind = min(count, end.frame if end.frame is not None else _first_at(times, end.seconds))
    if first >= count:
        raise BadOption(
            f"From must lie before the end of the video ({count} frames, {times[-1]:.3f} s). Received: {_show(start)}.",
            "Choose an earlier --from-time.",
        )
    if behind <= first:
        raise BadOption(
            f"To must lie behind From ({_show(start)}). Received: {_show(end)}.",
            "Choose a later --to-time, or leave it empty for the end.",
        )
    return first, behind


def _first_at(times: np.ndarray, seconds: Fraction) -> int:
    return int(np.searchsorted(times, float(seconds) - _ROUNDING))


def _show(moment: Moment | None) -> str:
    if moment is None:
        return "the end"
    return f"#{moment.frame}" if moment.frame is not None else f"{float(moment.seconds):g} s"


def cut_video(
    path: Path,
    probe: Probe,
    target: Path,
    start: Moment,
    end: Moment | None,
    *,
    copy: bool = False,
    crf: int = 16,
    bitrate_megabits: float | None = None,
    audio_track: int | None = 0,
    ffmpeg: str | None = None,
    put_away: Callable[[], None] = lambda: None,
    on_frame: Callable[[int], None] = lambda _: None,
) -> VideoProperties:
    """Writes the part between two moments, frame-exact, with the same rate, colors, pixel aspect and upright picture.

    Args:
        path, probe: the video.
        target: the new video; an earlier one is replaced when the new one is whole.
        copy: keep the packets bit for bit; the part then begins at the key frame before From.
        crf, bitrate_megabits: quality of the new picture.
        audio_track: which track goes along, counted from 0; None: none.
        put_away: called just before the new video takes its place.
        on_frame: told how many more frames are done.

    Returns:
        Properties of the new video.

    Raises:
        BadOption: the moments make no part.
        ToolFailed: ffmpeg failed, or the result has not the frames it should have; nothing is written then.
    """
    video = probe.video
    first, behind = frame_range(probe.frame_seconds, start, end)
    begin = Fraction(probe.frame_seconds[first]) - video.file_start_seconds
    last = float(probe.frame_seconds[behind]) if behind < video.frames else None
    seconds = video.start_seconds + video.seconds if last is None else Fraction(last)
    seconds -= Fraction(probe.frame_seconds[first])
    track = video.audio[audio_track] if audio_track is not None and audio_track < len(video.audio) else None
    plan = CutPlan(
        start_seconds=Fraction(int(begin * 10**6), 10**6) if first else None,
        decode_all=not copy and path.suffix.casefold() in _WITHOUT_INDEX,
        frames=None if copy else behind - first,
        seconds=seconds,
        copy=copy,
        bitrate_megabits=bitrate_megabits,
        crf=crf,
        audio_stream=track.stream if track else None,
        audio_channels=track.channels if track else 0,
    )
    with atomic_path(target) as unfinished:
        run(build_cut(ffmpeg_binary(ffmpeg), path, video, plan, unfinished), on_frame)
        made = probe_video(unfinished, ffmpeg).video
        if not copy and made.frames != behind - first:
            raise ToolFailed("ffmpeg", f"{target.name} came out with {made.frames} frames instead of {behind - first}.")
        put_away()
    return made
