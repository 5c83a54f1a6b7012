"""The display that HDR pictures were graded on: read out of every kind of file, written into every kind of result."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import core.video.assembly as assembly
from core.video.assembly import encode_video
from core.video.commands import EncodingPlan, RawFrames
from core.video.encoders import find_encoder
from core.video.mastering import read_mastering
from core.video.probe import probe_video
from core.video.properties import ColorTags
from core.video.segments import SegmentedVideo, plan_parts
from tests.core.video.clips import ffmpeg, make_clip

# A P3 display of 1000 cd/m2: chromaticities times 50,000 and light times 10,000, worked out by hand.
MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
HDR = ColorTags("bt2020nc", "bt2020", "smpte2084", "tv", "left", MASTERING, "1000,400")
NOISE = np.random.default_rng(5).integers(0, 65536, (4, 48, 64, 3)).astype(np.uint16)
FRAMES = RawFrames(64, 48, 3, 16, Fraction(25))


def plan_for(extension: str, encoder: str = "x264", colors: ColorTags = HDR) -> EncodingPlan:
    return EncodingPlan(extension, False, 20, None, colors, Fraction(1), find_encoder(encoder))


def test_what_ffmpeg_says_becomes_the_codes_of_the_standards() -> None:
    said = [
        "      Mastering display metadata: has_primaries:1 has_luminance:1 r(0.7080,0.2920) g(0.1700,0.7970) "
        "b(0.1310 0.0460) wp(0.3127, 0.3290) min_luminance=0.000100, max_luminance=4000.000000",
        "      Content light level metadata: MaxCLL=3999, MaxFALL=0",
        "      DOVI configuration record: version: 1.0, profile: 8, level: 4, rpu flag: 1, el flag: 0, bl flag: 1",
    ]
    display = "G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(40000000,1)"
    assert read_mastering(said) == (display, "3999,0", ("Dolby Vision",))
    assert read_mastering(["      CPB properties: bitrate max/min/avg: 0/0/0"]) == (None, None, ())


@pytest.mark.parametrize(
    ("encoder", "extension"),
    [
        *(("x264", ending) for ending in (".mp4", ".mov", ".mkv", ".avi")),
        *(("x265", ending) for ending in (".mp4", ".mov", ".mkv")),
        ("av1", ".mp4"),
        ("av1", ".mkv"),
        ("prores4444", ".mov"),
    ],
)
def test_every_encoder_and_container_carries_it(tmp_path: Path, encoder: str, extension: str) -> None:
    target = tmp_path / f"a{extension}"
    made = encode_video(iter(NOISE), FRAMES, 4, plan_for(extension, encoder), target)
    assert (made.colors.mastering, made.colors.light) == (MASTERING, "1000,400")
    assert made.colors.transfer == "smpte2084"


def test_nothing_is_said_of_other_pictures(tmp_path: Path) -> None:
    """HLG without a display stays without one; masks and lossless RGB in .mov go without."""
    hlg = replace(HDR, transfer="arib-std-b67", mastering=None, light=None)
    made = encode_video(iter(NOISE), FRAMES, 4, plan_for(".mp4", "x265", hlg), tmp_path / "a.mp4")
    assert made.colors == hlg
    masks = replace(FRAMES, channels=1)
    made = encode_video(iter(NOISE[..., 0]), masks, 4, plan_for(".mp4"), tmp_path / "b.mp4")
    assert b"mdcv" not in (tmp_path / "b.mp4").read_bytes()
    lossless = replace(plan_for(".mov"), lossless=True)
    encode_video(iter(NOISE), FRAMES, 4, lossless, tmp_path / "c.mov")
    assert b"mdcv" not in (tmp_path / "c.mov").read_bytes()


def test_it_is_found_where_only_the_pictures_say_it(tmp_path: Path) -> None:
    """A broadcast stream has no header of its own."""
    encode_video(iter(NOISE), FRAMES, 4, plan_for(".mp4", "x265"), tmp_path / "a.mp4")
    ffmpeg("-i", tmp_path / "a.mp4", "-c", "copy", tmp_path / "a.ts")
    assert probe_video(tmp_path / "a.ts").video.colors.mastering == MASTERING


def test_a_video_in_parts_carries_it(tmp_path: Path) -> None:
    video = SegmentedVideo(tmp_path / "a.mp4", FRAMES, plan_for(".mp4"), plan_parts(4, about=2), list("abcd"))
    for number, picture in enumerate(NOISE):
        video.write(number, picture)
    assert len(video.parts) == 2
    assert video.join().colors.mastering == MASTERING


def test_data_of_single_pictures_are_named(tmp_path: Path) -> None:
    scene = {
        "LuminanceParameters": {
            "AverageRGB": 10,
            "LuminanceDistributions": {
                "DistributionIndex": [1, 5, 10, 25, 50, 75, 90, 95, 99],
                "DistributionValues": list(range(1, 10)),
            },
            "MaxScl": [100, 100, 100],
        },
        "NumberOfWindows": 1,
        "TargetedSystemDisplayMaximumLuminance": 400,
        "SceneFrameIndex": 0,
        "SceneId": 0,
        "SequenceFrameIndex": 0,
    }
    summary = {"SceneFirstFrameIndex": [0], "SceneFrameNumbers": [1]}
    plus = {"JSONInfo": {"HDR10plusProfile": "A", "Version": "1.0"}, "SceneInfo": [scene], "SceneInfoSummary": summary}
    (tmp_path / "plus.json").write_text(json.dumps(plus))
    tags = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv"
    told = f"log-level=error:dhdr10-info={(tmp_path / 'plus.json').as_posix()}"
    words = ("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", told)
    clip = make_clip(tmp_path / "a.mp4", frames=1, size="64x64", filters=tags, words=words)
    assert probe_video(clip).video.bound_to_pictures == ("HDR10+",)


def test_an_older_ffmpeg_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would refuse the option, and with it the whole video."""
    monkeypatch.setattr(assembly, "knows_option", lambda binary, name: False)
    made = encode_video(iter(NOISE), FRAMES, 4, plan_for(".mp4"), tmp_path / "a.mp4")
    assert (made.colors.mastering, made.colors.transfer) == (None, "smpte2084")
