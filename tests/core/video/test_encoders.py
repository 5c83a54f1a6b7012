"""Encoders: found or refused before any work, and their files are what their names promise."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption, ToolFailed
from core.video.assembly import encode_video
from core.video.commands import EncodingPlan, RawFrames, build_encoding
from core.video.encoders import ENCODER_WORDS, X264, Encoder, find_encoder
from core.video.probe import probe_video
from core.video.properties import ColorTags
from tests.core.video.clips import ffmpeg, raw_frames, smooth_chart

BT709 = ColorTags("bt709", "bt709", "bt709", "tv", "left")
HDR = ColorTags("bt2020nc", "bt2020", "smpte2084", "tv", "left")
RATE = Fraction(30000, 1001)


def encode(target: Path, pictures: np.ndarray, encoder: Encoder, colors: ColorTags = BT709, crf: int = 8) -> None:
    """(N, H, W[, C]) pictures at 30000/1001."""
    channels = 1 if pictures.ndim == 3 else pictures.shape[3]
    frames = RawFrames(pictures.shape[2], pictures.shape[1], channels, 8 * pictures.itemsize, RATE)
    plan = EncodingPlan(target.suffix, False, crf, None, colors, Fraction(1), encoder)
    encode_video(iter(pictures), frames, len(pictures), plan, target)


@pytest.mark.parametrize(
    ("word", "extension", "codec"), [("x265", ".mp4", "hevc"), ("x265", ".mov", "hevc"), ("av1", ".mp4", "av1")]
)
@pytest.mark.parametrize(("colors", "dtype"), [(BT709, np.uint8), (HDR, np.uint16)], ids=["8 bits", "HDR"])
def test_small_encoders_keep_count_rate_tags_and_depth(
    tmp_path: Path, word: str, extension: str, codec: str, colors: ColorTags, dtype: type
) -> None:
    chart: np.ndarray = smooth_chart(128, 96).astype(dtype) * (1 if dtype == np.uint8 else 257)
    target = tmp_path / f"a{extension}"
    encode(target, np.stack([chart] * 5), find_encoder(word), colors)
    made = probe_video(target).video
    assert (made.codec, made.frames, made.rate) == (codec, 5, RATE)
    assert made.pixel_format == ("yuv420p" if dtype == np.uint8 else "yuv420p10le")
    tags = (made.colors.matrix, made.colors.primaries, made.colors.transfer, made.colors.range)
    assert tags == (colors.matrix, colors.primaries, colors.transfer, colors.range)
    if dtype == np.uint8:
        off = raw_frames(target, 128, 96)[2].astype(int) - chart
        assert np.abs(off).mean() < 2.5


def test_eight_bit_x264_is_the_profile_everybody_plays(tmp_path: Path) -> None:
    """High profile, 4:2:0, and the index in front of the pictures."""
    encode(tmp_path / "a.mp4", np.stack([smooth_chart(64, 48)] * 3), X264)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    configuration = data.index(b"avcC") + 4
    assert data[configuration + 1] == 100  # profile_idc of High (ISO/IEC 14496-10, A.2.4)


# -------------------------------------------------------------------------------------------------------- ProRes 4444


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_prores_keeps_the_alpha_exactly_and_the_colors_nearly(tmp_path: Path, dtype: type) -> None:
    """The alpha is stored without loss in ten bits; colors are compared where ProRes is nearly lossless: smooth."""
    most = np.iinfo(dtype).max
    chart: np.ndarray = smooth_chart(65, 49).astype(dtype) * (most // 255)  # odd sizes stay odd in 4:4:4
    alpha: np.ndarray = np.random.default_rng(1).integers(0, most + 1, (49, 65)).astype(dtype)
    alpha[:, :20], alpha[:, 20:30] = 0, most
    target = tmp_path / "a.mov"
    encode(target, np.stack([np.dstack([chart, alpha])] * 3), find_encoder("prores4444"))
    made = probe_video(target).video
    assert (made.codec, made.frames, made.rate, made.width, made.height) == ("prores", 3, RATE, 65, 49)
    assert (made.colors.matrix, made.colors.transfer, made.colors.range) == ("bt709", "bt709", "tv")
    assert made.pixel_format == "yuva444p12le"  # what ffmpeg reads 4444 as, so nothing is converted here:
    data = ffmpeg("-i", target, "-f", "rawvideo", "-pix_fmt", "yuva444p12le", "pipe:1")
    back = np.frombuffer(data, "<u2").reshape(3, 4, 49, 65)[1, 3].astype(int) >> 2
    if dtype == np.uint8:
        assert np.array_equal(np.floor(back * 255 / 1023 + 0.5), alpha)
    assert np.abs(back / 1023 - alpha / most).max() <= 0.5 / 1023 + 1e-5
    off = raw_frames(target, 65, 49)[1].astype(int) - chart.astype(float) / (most // 255)
    assert np.abs(off).mean() < 1.5


def test_prores_without_alpha_has_none(tmp_path: Path) -> None:
    encode(tmp_path / "a.mov", np.stack([smooth_chart(64, 48)] * 2), find_encoder("prores4444"))
    assert probe_video(tmp_path / "a.mov").video.pixel_format.startswith("yuv444p1")


def test_prores_of_full_range_footage_is_limited(tmp_path: Path) -> None:
    """It cannot say otherwise: read as what it says, the chart is what it was. The command says so by itself, so that
    it does not hang on what a release of ffmpeg inserts."""
    chart, full = smooth_chart(64, 48), replace(BT709, range="pc")
    encode(tmp_path / "a.mov", np.stack([chart] * 2), find_encoder("prores4444"), colors=full)
    assert probe_video(tmp_path / "a.mov").video.colors.range == "tv"
    assert np.abs(raw_frames(tmp_path / "a.mov", 64, 48)[1].astype(int) - chart).mean() < 1
    plan = EncodingPlan(".mov", False, 0, None, full, Fraction(1), find_encoder("prores4444"))
    command = build_encoding(Path("ffmpeg"), RawFrames(64, 48, 3, 8, Fraction(25)), plan, None, tmp_path / "a.mov")
    assert re.findall(r"range=(?:tv|pc|full|limited)", " ".join(command))[-2:] == ["range=tv", "range=tv"]


def test_gray_pictures_become_colorless_color(tmp_path: Path) -> None:
    """Encoders without a gray form get three equal channels; black and white stay."""
    mask = np.zeros((2, 64, 64), np.uint8)
    mask[:, 16:48, 16:48] = 255
    for word, extension in (("av1", ".mp4"), ("prores4444", ".mov")):
        target = tmp_path / f"{word}{extension}"
        encode(target, mask, find_encoder(word))
        off = raw_frames(target, 64, 64)[1].astype(int) - mask[1, ..., None]
        assert np.abs(off).mean() < 1
        assert np.abs(off.mean()) < 0.5


# ----------------------------------------------------------------------------------------------------------- refusals


def test_an_encoder_this_machine_lacks_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Encoder("dreamed_up", "libdream", "h264", "yuv420p", None, lambda q: {"crf": q})
    monkeypatch.setattr("core.video.encoders._ENCODERS", (absent,))
    with pytest.raises(BadOption, match=r"dreamed_up does not work on this machine \(.*libdream.*Leave --encoder out"):
        find_encoder("dreamed_up")


def test_the_first_of_two_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Encoder("av1", "libdream", "av1", "yuv420p", None, lambda q: {"crf": q})
    present = find_encoder("av1")
    monkeypatch.setattr("core.video.encoders._ENCODERS", (absent, present))
    assert find_encoder("av1") is present


@pytest.mark.parametrize("word", [w for w in ENCODER_WORDS if "_" in w])
def test_an_encoder_of_a_graphics_card_works_or_says_why_not(tmp_path: Path, word: str) -> None:
    try:
        encoder = find_encoder(word)
    except BadOption as refusal:
        refused = str(refusal)
    else:
        refused = ""
    if refused:
        assert f"Received: --encoder {word}." in refused
        return
    chart = np.stack([smooth_chart(256, 256)] * 3)
    try:
        encode(tmp_path / "a.mp4", chart, encoder, crf=encoder.usual_quality)
    except ToolFailed as problem:
        pytest.fail(f"{word} was promised and failed: {problem}")
    assert probe_video(tmp_path / "a.mp4").video.frames == 3


@pytest.mark.parametrize("word", ["x264", "x265", "av1", "prores4444"])
def test_an_encoder_reads_the_same_in_every_run(word: str) -> None:
    """Its text tells whether a part of a video is up to date: no address in memory may be in it."""
    assert " at 0x" not in repr(find_encoder(word))


def test_what_ffmpeg_is_told() -> None:
    x265, prores = find_encoder("x265"), find_encoder("prores4444")
    assert x265.command_words(18, None, True, ".mp4")["tag:v"] == "hvc1"
    assert "tag:v" not in x265.command_words(18, None, True, ".mkv")
    assert x265.command_words(18, 12.5, True, ".mp4")["b:v"] == "12.5M"
    assert "crf" not in x265.command_words(18, 12.5, True, ".mp4")
    assert X264.command_words(16, None, False, ".mp4")["profile:v"] == "high"
    assert "profile:v" not in X264.command_words(16, None, True, ".mp4")
    words = prores.command_words(0, None, True, ".mov")
    assert (words["profile:v"], words["alpha_bits"]) == ("4444", 16)
    assert not prores.has_quality
    assert prores.containers == (".mov",)
    assert ".avi" not in x265.containers
