"""Parts of a video: the right frames, by time and by number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption
from core.video.cutting import Moment, cut_video, frame_range, parse_moment
from core.video.probe import probe_video
from core.video.properties import VideoProperties
from tests.core.video.clips import ffmpeg, make_clip, packet_hash, raw_frames

BRIGHTER = "geq=lum='16+2*N':cb=128:cr=128"


def cut(path: Path, target: Path, start: str, end: str | None, **rest: Any) -> VideoProperties:
    moments = parse_moment(start), parse_moment(end) if end else None
    return cut_video(path, probe_video(path), target, *moments, **rest)


def first_frame(path: Path) -> int:
    """The number, from 0, that the first frame of a cut BRIGHTER clip had in the whole one."""
    return round((float(raw_frames(path, 64, 48, "gray", 1)[0].mean()) * 219 / 255) / 2)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90", Moment(Fraction(90))),
        ("90,5", Moment(Fraction("90.5"))),
        ("1:30", Moment(Fraction(90))),
        ("01:02:03.250", Moment(Fraction("3723.25"))),
        (" 00:00:00.000 ", Moment(Fraction(0))),
        ("#120", Moment(frame=120)),
    ],
)
def test_times_are_read_as_people_write_them(text: str, moment: Moment) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize("text", ["", "soon", "-3", "1:2:3:4", "#0", "#1.5", "1e3", "::5"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(BadOption, match="Received: "):
        parse_moment(text)


def test_times_name_the_frames_they_should() -> None:
    times = 0.5 + np.arange(100) / 25
    assert frame_range(times, parse_moment("0"), None) == (0, 100)
    assert frame_range(times, parse_moment("1"), parse_moment("2")) == (25, 50)
    assert frame_range(times, parse_moment("1.001"), parse_moment("99")) == (26, 100)
    assert frame_range(times, parse_moment("#10"), parse_moment("#20")) == (9, 20)
    assert frame_range(times, parse_moment("#10"), parse_moment("#10")) == (9, 10)
    for start, end in (("2", "1"), ("2", "2"), ("4", None), ("#101", None)):
        with pytest.raises(BadOption, match="must lie"):
            frame_range(times, parse_moment(start), parse_moment(end) if end else None)


@pytest.mark.parametrize("rate", ["24000/1001", "30"])
def test_a_cut_has_exactly_its_frames(odd_folder: Path, rate: str) -> None:
    words = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "12")
    clip = make_clip(
        odd_folder / "a.mp4", rate=rate, frames=60, filters=f"{BRIGHTER},setsar=4/3", words=words, sound=True
    )
    made = cut(clip, odd_folder / "b.mp4", "#31", "#42")
    assert (made.frames, made.rate, made.sample_aspect) == (12, Fraction(rate), Fraction(4, 3))
    assert first_frame(odd_folder / "b.mp4") == 30
    assert made.colors.matrix == "smpte170m"
    assert len(made.audio) == 1
    heard = ffmpeg("-i", odd_folder / "b.mp4", "-map", "0:a", "-f", "s16le", "-ac", "1", "pipe:1")
    assert len(heard) / 2 / 44100 == pytest.approx(12 / float(Fraction(rate)), abs=0.05)


def test_the_defaults_take_everything(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=20, filters=BRIGHTER)
    made = cut(clip, tmp_path / "b.mp4", "00:00:00.000", None)
    assert (made.frames, made.has_audio) == (20, False)


def test_a_file_whose_clock_starts_late_is_cut_right(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.ts", frames=50, filters=BRIGHTER)  # such streams begin at 1.4 s
    assert float(probe_video(clip).video.start_seconds) > 1
    made = cut(clip, tmp_path / "b.mp4", "1.0", "1.4")
    assert made.frames == 10
    assert first_frame(tmp_path / "b.mp4") == 25


def test_odd_sizes_can_be_cut(tmp_path: Path) -> None:
    crop = "format=yuv444p,crop=65:49:0:0:exact=1"
    clip = make_clip(tmp_path / "a.mkv", size="66x50", filters=crop, words=("-c:v", "ffv1"))
    made = cut(clip, tmp_path / "b.mp4", "#2", "#4")
    assert (made.width, made.height, made.frames) == (65, 49, 3)


def test_copying_keeps_packets_and_starts_at_a_key_frame(tmp_path: Path) -> None:
    words = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "10", "-bf", "0")
    clip = make_clip(tmp_path / "a.mkv", frames=40, filters=BRIGHTER, words=words)
    made = cut(clip, tmp_path / "whole.mkv", "0", None, copy=True)
    assert made.frames == 40
    assert packet_hash(tmp_path / "whole.mkv", "v:0") == packet_hash(clip, "v:0")
    cut(clip, tmp_path / "part.mkv", "#21", None, copy=True)
    assert first_frame(tmp_path / "part.mkv") == 20
