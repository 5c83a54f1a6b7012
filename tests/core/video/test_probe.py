"""What a video file holds, compared with what was put into it."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import BrokenFile, MissingInput, ToolFailed
from core.video.probe import probe_video
from tests.core.video.clips import ffmpeg, make_clip

TAGGED_709 = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "60"])
@pytest.mark.parametrize("container", ["mp4", "mkv", "avi", "mov"])
def test_rate_and_frame_count_are_exact(odd_folder: Path, rate: str, container: str) -> None:
    words = (*X264, "-bf", "0") if container == "avi" else X264
    video = probe_video(make_clip(odd_folder / f"clip.{container}", rate=rate, frames=31, words=words)).video
    assert (video.rate, video.constant_rate, video.frames) == (Fraction(rate), True, 31)
    assert (video.width, video.height, video.has_audio) == (64, 48, False)
    assert video.seconds == 31 / Fraction(rate)


def test_colors_pixel_aspect_and_sound_are_read(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", sound=True, filters=f"setsar=15/16,{TAGGED_709}")
    video = probe_video(clip).video
    assert (video.colors.matrix, video.colors.primaries, video.colors.transfer) == ("bt709",) * 3
    assert (video.colors.range, video.sample_aspect, video.pixel_format) == ("tv", Fraction(15, 16), "yuv420p")
    assert [(a.codec, a.sample_rate, a.channels) for a in video.audio] == [("aac", 44100, 1)]


def test_three_different_color_tags_are_told_apart(tmp_path: Path) -> None:
    tags = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv"
    words = ("-c:v", "libx264", "-pix_fmt", "yuv420p10le")
    video = probe_video(make_clip(tmp_path / "a.mp4", filters=tags, words=words)).video
    assert (video.colors.matrix, video.colors.primaries, video.colors.transfer) == ("bt2020nc", "bt2020", "smpte2084")
    assert video.bit_depth == 10
    assert video.colors.is_hdr


@pytest.mark.parametrize(("counterclockwise", "clockwise"), [(90, 270), (270, 90), (180, 180)])
def test_rotation_is_the_turn_a_player_makes(tmp_path: Path, counterclockwise: int, clockwise: int) -> None:
    upright = make_clip(tmp_path / "a.mp4", filters="setsar=4/3")
    turned = tmp_path / "b.mp4"
    ffmpeg("-display_rotation", counterclockwise, "-i", upright, "-c", "copy", turned)
    video = probe_video(turned).video
    assert video.rotation_degrees == clockwise
    lying = clockwise != 180
    assert video.picture_size == ((48, 64) if lying else (64, 48))
    assert video.picture_sample_aspect == (Fraction(3, 4) if lying else Fraction(4, 3))


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=8)
    covered = tmp_path / "b.mp4"
    cover = ("-f", "lavfi", "-i", "color=red:size=32x32:rate=1:duration=1")
    maps = ("-map", "1:v", "-map", "0:v", "-c:v:0", "png", "-disposition:v:0", "attached_pic", "-c:v:1", "copy")
    ffmpeg("-i", clip, *cover, *maps, covered)
    video = probe_video(covered).video
    assert (video.codec, video.frames, video.width) == ("h264", 8, 64)


def test_varying_spacing_is_seen(tmp_path: Path) -> None:
    slower = "setpts='if(lt(N,10),N,10+(N-10)*2)/30/TB'"
    words = (*X264, "-fps_mode", "vfr")
    probe = probe_video(make_clip(tmp_path / "a.mp4", rate="30", frames=30, filters=slower, words=words))
    assert (probe.video.constant_rate, probe.video.rate, probe.video.frames) == (False, Fraction(30), 30)
    expected = np.array([k if k < 10 else 10 + (k - 10) * 2 for k in range(30)]) / 30
    np.testing.assert_allclose(probe.frame_seconds, expected, atol=1e-6)


def test_start_times_are_on_one_clock(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", sound=True, frames=25)
    late = tmp_path / "b.mp4"
    ffmpeg("-i", clip, "-itsoffset", "0.5", "-i", clip, "-map", "0:v", "-map", "1:a", "-c", "copy", late)
    video = probe_video(late).video
    assert float(video.start_seconds) == 0
    assert float(video.audio[0].start_seconds) == pytest.approx(0.5 - 1024 / 44100, abs=1e-3)  # AAC's silent beginning


def test_metadata_cannot_pose_as_a_stream(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", words=(*X264, "-metadata", "title=x\n  Stream #0:7: Audio: aac, 1 Hz, mono"))
    assert probe_video(clip).video.audio == ()


def test_what_is_no_video_is_said_so(odd_folder: Path) -> None:
    text = odd_folder / "text.mp4"
    text.write_text("hello\n" * 100)
    with pytest.raises(BrokenFile, match=r"not a video that can be read .*Invalid data"):
        probe_video(text)
    empty = odd_folder / "empty.mp4"
    empty.touch()
    with pytest.raises(BrokenFile, match="0 bytes"):
        probe_video(empty)
    sound = odd_folder / "sound.m4a"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", sound)
    with pytest.raises(BrokenFile, match="no picture stream"):
        probe_video(sound)
    with pytest.raises(MissingInput, match=r"nothing\.mp4"):
        probe_video(odd_folder / "nothing.mp4")


def test_a_video_cut_off_tells_how_much_is_missing(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "a.mkv", frames=100, size="320x240", words=(*X264, "-g", "10"))
    part = tmp_path / "part.mkv"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    video = probe_video(part).video
    assert 10 < video.frames < 90
    assert float(video.missing_seconds) == pytest.approx(4 - video.frames / 25, abs=0.2)
    assert video.rate == 25
    headless = tmp_path / "part.mp4"  # an mp4 keeps its table of contents at the end
    clip = make_clip(tmp_path / "b.mp4", frames=50)
    headless.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(BrokenFile, match="not a video that can be read"):
        probe_video(headless)


def test_an_ffmpeg_that_is_not_there_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    with pytest.raises(ToolFailed, match="no program no-such-ffmpeg"):
        probe_video(clip, "no-such-ffmpeg")
    monkeypatch.setenv("FACELOOM_FFMPEG", str(tmp_path / "gone"))
    with pytest.raises(ToolFailed, match="FACELOOM_FFMPEG"):
        probe_video(clip)
    if false := shutil.which("false"):
        with pytest.raises(ToolFailed, match="ffmpeg failed: exit code 1"):
            probe_video(clip, false)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "gone"))
    monkeypatch.delenv("FACELOOM_FFMPEG")
    with pytest.raises(ToolFailed, match="set-up"):
        probe_video(clip)


def test_the_shared_clips_are_read_right(shared_data: Path) -> None:
    clips = {p.stem: probe_video(p).video for p in (shared_data / "clips").glob("*.mp4")}
    assert {name: v.frames for name, v in clips.items()} == {
        "woman_bun_expressive": 1008,
        "woman_long_hair": 354,
        "man_glasses": 587,
        "woman_outdoor_portrait": 160,
    }
    assert all(v.rate == 30 and v.constant_rate and v.has_audio for v in clips.values())
    assert clips["man_glasses"].sample_aspect == Fraction(15, 16)
    assert clips["man_glasses"].colors.matrix == "bt709"
    assert clips["woman_long_hair"].colors.matrix is None
