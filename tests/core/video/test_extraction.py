"""A video becomes pictures: every frame, in the right colors, and nobody's pictures are lost."""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from core.errors import BrokenFile, FaceLoomError, ToolFailed
from core.files import list_images
from core.images import read_image
from core.video.extraction import ExtractionReport, extract_frames
from core.video.probe import probe_video
from core.video.record import read_record
from tests.core.video.clips import ffmpeg, make_clip, raw_frames, smooth_chart, to_limited_444

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
BRIGHTER = "geq=lum='16+7*N':cb=128:cr=128"
"""Every frame is one gray, 7 codes of luma above the one before it."""


def brightness(path: Path) -> int:
    """The number of a frame of a BRIGHTER clip, from its gray alone."""
    return round(float(read_image(path).mean()) * 219 / 255 / 7)


def extract(path: Path, folder: Path, **rest: Any) -> ExtractionReport:
    return extract_frames(path, probe_video(path), folder, trash=folder.parent / "trash", **rest)


def chart_video(path: Path, matrix: str, pixel_format: str, tags: str, size: tuple[int, int] = (128, 96)) -> np.ndarray:
    """A lossless video of one chart in exact Y'CbCr; returns the chart."""
    chart = smooth_chart(*size)
    planes = to_limited_444(chart, matrix)
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv444p", "-video_size", f"{size[0]}x{size[1]}", "-i", "pipe:0")
    ffmpeg(*raw, "-vf", f"format={pixel_format}{tags}", "-c:v", "ffv1", path, feed=planes.tobytes() * 2)
    return chart


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
@pytest.mark.parametrize("extension", [".png", ".tif", ".jpg"])
def test_colors_are_right_within_rounding(tmp_path: Path, matrix: str, extension: str) -> None:
    tags = f",setparams=colorspace={matrix}:color_primaries={matrix}:color_trc={matrix}:range=tv"
    chart = chart_video(tmp_path / "a.mkv", matrix, "yuv444p", tags)
    extract(tmp_path / "a.mkv", tmp_path / "out", extension=extension)
    off = read_image(tmp_path / "out" / f"00001{extension}").astype(int) - chart
    # Y'CbCr of 8 bits alone costs up to 0.55 on average in a channel; JPEG of quality 2 doubles that.
    assert np.abs(off).mean() < (1.2 if extension == ".jpg" else 0.6)
    assert np.abs(off.mean(axis=(0, 1))).max() < (0.2 if extension == ".jpg" else 0.1)


def test_untagged_small_video_is_601_and_the_wrong_matrix_would_show(tmp_path: Path) -> None:
    chart = chart_video(tmp_path / "a.mkv", "smpte170m", "yuv444p", "")
    other = chart_video(tmp_path / "b.mkv", "bt709", "yuv444p", "")
    extract(tmp_path / "a.mkv", tmp_path / "a")
    extract(tmp_path / "b.mkv", tmp_path / "b")
    assert np.abs(read_image(tmp_path / "a" / "00001.png").astype(int) - chart).mean() < 0.6
    assert np.abs(read_image(tmp_path / "b" / "00001.png").astype(int) - other).mean() > 4


def test_every_frame_comes_out_with_its_own_picture(odd_folder: Path) -> None:
    clip = make_clip(odd_folder / "clip.mp4", rate="24000/1001", frames=29, filters=BRIGHTER)
    told: list[int] = []
    report = extract(clip, odd_folder / "100 % o%dd", on_frame=told.append)
    names = [p.name for p in list_images(odd_folder / "100 % o%dd")]
    assert names == [f"{n:05d}.png" for n in range(1, 30)]
    assert (report.record.frames, report.record.rate, report.unreadable) == (29, Fraction(24000, 1001), 0)
    assert sum(told) == 29
    assert [brightness(p) for p in list_images(odd_folder / "100 % o%dd")] == list(range(29))
    assert [p.name for p in (odd_folder / "100 % o%dd").iterdir() if p.name.startswith(".")] == [".frames.json"]


@pytest.mark.parametrize("size", ["65x49", "64x49", "65x48"])
def test_odd_sizes_keep_their_size(tmp_path: Path, size: str) -> None:
    even = "66x50"
    words = ("-c:v", "ffv1", "-pix_fmt", "yuv420p")
    width, height = map(int, size.split("x"))
    crop = f"format=yuv420p,crop={width}:{height}:0:0:exact=1"
    clip = make_clip(tmp_path / "a.mkv", size=even, frames=3, words=words, filters=crop)
    extract(clip, tmp_path / "out")
    ours = read_image(tmp_path / "out" / "00003.png").astype(int)
    assert ours.shape == (height, width, 3)
    theirs = cv2.cvtColor(raw_frames(clip, width, height, "rgb24")[2], cv2.COLOR_RGB2BGR).astype(int)
    assert np.abs(ours - theirs)[:, -1].mean() < 6  # the last column is picture, not padding


def test_a_turned_video_comes_out_upright(tmp_path: Path) -> None:
    upright = make_clip(tmp_path / "a.mp4", frames=2, filters="drawbox=0:0:20:12:red:fill")
    turned = tmp_path / "b.mp4"
    ffmpeg("-display_rotation", "270", "-i", upright, "-c", "copy", turned)  # a player turns it 90 degrees clockwise
    extract(turned, tmp_path / "out")
    picture = read_image(tmp_path / "out" / "00001.png")
    assert picture.shape == (64, 48, 3)
    blue, green, red = picture[6, -6].astype(int)  # the red corner is at the top right now
    assert red > 200
    assert max(blue, green) < 80
    record = read_record(tmp_path / "out")
    assert record is not None
    assert (record.width, record.height) == (48, 64)


def test_varying_spacing_is_laid_out_at_one_rate_and_counted(tmp_path: Path) -> None:
    slower = f"{BRIGHTER},setpts='if(lt(N,10),N,10+(N-10)*2)/30/TB'"
    clip = make_clip(tmp_path / "a.mp4", rate="30", frames=30, filters=slower, words=(*X264, "-fps_mode", "vfr"))
    record = extract(clip, tmp_path / "out").record
    # Frames stand at 0..9 and then at 10, 12, .. 48: 49 places, or 50 when the last frame's length counts as well.
    assert record.rate == 30
    assert (record.frames_read, record.dropped) == (30, 0)
    assert record.repeated == record.frames - 30
    assert record.frames in (49, 50)
    shown = [brightness(p) for p in list_images(tmp_path / "out")]
    assert shown[:49] == [k if k < 10 else 10 + (k - 10) // 2 for k in range(49)]


def test_another_rate_drops_by_time(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", rate="30", frames=30)
    record = extract(clip, tmp_path / "out", rate=Fraction(10)).record
    assert (record.frames, record.frames_read, record.dropped, record.repeated) == (10, 30, 20, 0)


def test_ten_bits_become_sixteen_or_are_dithered(tmp_path: Path) -> None:
    """White stays white, and a soft ramp keeps its values: exactly with 16 bits, on average with 8."""
    levels = np.round(64 + np.arange(1024) * 876 / 1023).astype("<u2")
    plane = np.tile(levels, (16, 1))
    gray = np.full_like(plane, 512)
    feed = np.stack([plane, gray, gray]).tobytes()
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv444p10le", "-video_size", "1024x16", "-i", "pipe:0")
    tags = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    ffmpeg(*raw, "-vf", tags, "-c:v", "ffv1", tmp_path / "a.mkv", feed=feed)
    truth = (plane.astype(float) - 64) / 876
    extract(tmp_path / "a.mkv", tmp_path / "deep", depth=16)
    extract(tmp_path / "a.mkv", tmp_path / "flat")
    deep = read_image(tmp_path / "deep" / "00001.png")
    assert deep.dtype == np.uint16
    assert deep.max() == 65535
    assert np.abs(deep[..., 1] / 65535 - truth).max() < 2 / 65535
    flat = read_image(tmp_path / "flat" / "00001.png")
    assert flat.dtype == np.uint8
    blocks = (flat[..., 1] / 255 - truth).reshape(2, 8, 128, 8).mean(axis=(1, 3))
    assert np.abs(blocks).max() * 255 < 0.3  # cut off instead of dithered: up to 0.5 and more


def test_pictures_that_were_there_are_in_the_trash(tmp_path: Path) -> None:
    folder = tmp_path / "data_src"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"mine")
    (folder / "aligned").mkdir()
    (folder / "aligned" / "00001_0.jpg").write_bytes(b"face")
    extract(make_clip(tmp_path / "a.mp4", frames=3), folder)
    assert [p.name for p in list_images(folder)] == ["00001.png", "00002.png", "00003.png"]
    assert [p.read_bytes() for p in (tmp_path / "trash").rglob("holiday.jpg")] == [b"mine"]
    assert (folder / "aligned" / "00001_0.jpg").read_bytes() == b"face"


def test_a_video_cut_off_gives_every_readable_frame(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "a.mkv", frames=100, size="320x240", words=(*X264, "-g", "10"))
    part = tmp_path / "part.mkv"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    readable = len(raw_frames(part, 320, 240))
    report = extract(part, tmp_path / "out")
    assert report.record.frames == readable > 10
    assert report.problems


def test_a_failure_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.png").write_bytes(b"mine")
    clip = make_clip(tmp_path / "a.mp4", frames=5)
    probe = probe_video(clip)
    clip.write_bytes(clip.read_bytes()[:600])  # broken between the look and the work
    with pytest.raises((ToolFailed, BrokenFile)):
        extract_frames(clip, probe, folder, trash=tmp_path / "trash")
    assert [p.name for p in folder.iterdir()] == ["mine.png"]
    whole = make_clip(tmp_path / "b.mp4", frames=200, size="640x480")

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(whole, folder, on_frame=stop)
    assert [p.name for p in folder.iterdir()] == ["mine.png"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.access(locked, os.W_OK):  # root may write anywhere: refuse in the system's place

        def refuse(path: Path, **_: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(FaceLoomError, match="cannot be written: Permission denied"):
        extract_frames(clip, probe_video(clip), locked / "out", trash=tmp_path / "trash")


def test_a_full_disk_is_seen_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=10)
    monkeypatch.setattr("core.files.free_bytes", lambda path: 1000)
    with pytest.raises(FaceLoomError, match="are needed"):
        extract(clip, tmp_path / "out")
    assert not (tmp_path / "out").exists()
