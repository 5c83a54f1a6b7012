"""Pictures become a video: count, rate, colors, size, sound, all as they were."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ToolFailed
from core.images import read_image
from core.video.assembly import encode_video, plan_sound
from core.video.commands import EncodingPlan, RawFrames, build_encoding
from core.video.extraction import extract_frames
from core.video.probe import probe_video
from core.video.properties import ColorTags, VideoProperties, settle_colors
from core.video.tool import ffmpeg_binary, running
from tests.core.video.clips import ffmpeg, make_clip, packet_hash, raw_frames, smooth_chart, to_limited_444

BT709 = ColorTags("bt709", "bt709", "bt709", "tv", "left")
NTSC_FILM = Fraction(24000, 1001)
NOISE = np.random.default_rng(5).integers(0, 256, (4, 49, 65, 3)).astype(np.uint8)


def encode(target: Path, pictures: np.ndarray, **rest: Any) -> VideoProperties:
    """Encodes (N, H, W[, 3]) pictures; what is not given is CRF 10, BT.709, 24000/1001."""
    channels = 3 if pictures.ndim == 4 else 1
    frames = RawFrames(
        pictures.shape[2], pictures.shape[1], channels, 8 * pictures.itemsize, rest.pop("rate", NTSC_FILM)
    )
    plan = EncodingPlan(
        extension=target.suffix,
        lossless=rest.pop("lossless", False),
        crf=rest.pop("crf", 10),
        bitrate_megabits=rest.pop("bitrate", None),
        colors=rest.pop("colors", BT709),
        sample_aspect=rest.pop("aspect", Fraction(1)),
    )
    return encode_video(iter(pictures), frames, rest.pop("count", len(pictures)), plan, target, **rest)


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".avi", ".mkv"])
@pytest.mark.parametrize("rate", [NTSC_FILM, Fraction(25), Fraction(997, 33)])
def test_rate_count_tags_and_pixel_aspect_arrive(odd_folder: Path, extension: str, rate: Fraction) -> None:
    target = odd_folder / f"result{extension}"
    encode(target, NOISE[:, :48, :64], rate=rate, aspect=Fraction(15, 16))
    made = probe_video(target).video
    # Matroska's clock counts milliseconds: four frames of 33.099 ms cannot say more than that.
    if extension != ".mkv" or rate != Fraction(997, 33):
        assert made.rate == rate
    assert (made.frames, made.width, made.height, made.has_audio) == (4, 64, 48, False)
    assert made.sample_aspect == Fraction(15, 16)
    assert made.colors == BT709
    assert made.pixel_format == "yuv420p"


@pytest.mark.parametrize(
    "colors",
    [
        BT709,
        settle_colors(ColorTags(), 640, 480),
        settle_colors(ColorTags(), 720, 576),
        settle_colors(ColorTags("bt709", range="pc"), 640, 480),
        ColorTags("bt2020nc", "bt2020", "smpte2084", "tv", "left"),
    ],
    ids=["709", "601", "576 lines", "full range", "HDR"],
)
def test_colors_go_there_and_back(tmp_path: Path, colors: ColorTags) -> None:
    """Encode, probe, extract: the tags are those asked for, and the chart comes back without a shift."""
    chart = smooth_chart(128, 96)
    encode(tmp_path / "a.mp4", np.stack([chart] * 3), colors=colors, crf=1)
    probe = probe_video(tmp_path / "a.mp4")
    assert probe.video.colors == colors
    extract_frames(tmp_path / "a.mp4", probe, tmp_path / "out", trash=tmp_path / "trash")
    off = read_image(tmp_path / "out" / "00002.png").astype(int) - chart
    assert np.abs(off).mean() < 0.7  # 8-bit Y'CbCr alone costs about 0.5
    assert np.abs(off.mean(axis=(0, 1))).max() < 0.1


def test_a_tagged_709_source_comes_back_with_the_same_codes(tmp_path: Path) -> None:
    """Source video -> pictures -> result: luma and color differences agree code by code."""
    tags = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    planes = to_limited_444(smooth_chart(128, 96), "bt709").tobytes() * 3
    source = tmp_path / "a.mkv"
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv444p", "-video_size", "128x96", "-framerate", "25", "-i", "pipe:0")
    ffmpeg(*raw, "-vf", f"format=yuv420p,{tags}", "-c:v", "ffv1", source, feed=planes)
    probe = probe_video(source)
    extract_frames(source, probe, tmp_path / "out", trash=tmp_path / "trash")
    pictures = np.stack([read_image(tmp_path / "out" / f"0000{n}.png") for n in (1, 2, 3)])
    encode(tmp_path / "b.mp4", pictures, rate=probe.video.rate, colors=probe.video.settled_colors, crf=1)
    before = raw_frames(source, 128, 96, "yuv444p").astype(int)
    assert probe.video.settled_colors == probe_video(tmp_path / "b.mp4").video.colors
    after = raw_frames(tmp_path / "b.mp4", 128, 96, "yuv444p").astype(int)
    assert np.abs(before - after).mean() < 0.5
    assert abs((before - after).mean()) < 0.05


@pytest.mark.parametrize(("extension", "depth"), [(".mp4", 8), (".mov", 8), (".avi", 8), (".mov", 16), (".mkv", 16)])
def test_lossless_is_lossless(tmp_path: Path, extension: str, depth: int) -> None:
    pictures = NOISE if depth == 8 else NOISE.astype(np.uint16) * 257 + 13
    target = tmp_path / f"a{extension}"
    made = encode(target, pictures, lossless=True)
    assert (made.width, made.height) == (65, 49)  # odd sizes included
    data = ffmpeg("-i", target, "-f", "rawvideo", "-pix_fmt", "bgr24" if depth == 8 else "bgr48le", "pipe:1")
    back = np.frombuffer(data, np.uint8 if depth == 8 else "<u2").reshape(pictures.shape)
    assert np.array_equal(back, pictures)


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".avi"])
def test_masks_are_gray_and_lossless_masks_exact(tmp_path: Path, extension: str) -> None:
    masks = NOISE[..., 0]
    target = tmp_path / f"mask{extension}"
    made = encode(target, masks, lossless=True)
    assert made.pixel_format in ("gray", "yuvj420p")  # H.264 without color is decoded with neutral color
    back = np.frombuffer(ffmpeg("-i", target, "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"), np.uint8)
    assert np.array_equal(back.reshape(masks.shape), masks)


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".avi"])
def test_a_lossless_mask_is_extracted_as_it_was(tmp_path: Path, extension: str) -> None:
    """.avi carries no range: gray without a tag is full range."""
    masks = NOISE[..., 0]
    target = tmp_path / f"mask{extension}"
    encode(target, masks, lossless=True)
    extract_frames(target, probe_video(target), tmp_path / "back", trash=tmp_path / "trash")
    for number, mask in enumerate(masks, start=1):
        picture = read_image(tmp_path / "back" / f"{number:05d}.png")
        assert np.array_equal(picture, np.repeat(mask[..., None], 3, axis=2))


def test_lossy_masks_keep_black_and_white(tmp_path: Path) -> None:
    mask = np.zeros((3, 48, 64), np.uint8)
    mask[:, 10:30, 20:40] = 255
    encode(tmp_path / "a.mp4", mask)
    back = np.frombuffer(ffmpeg("-i", tmp_path / "a.mp4", "-f", "rawvideo", "-pix_fmt", "gray", "-"), np.uint8)
    off = back.reshape(mask.shape).astype(int) - mask
    assert np.abs(off).max() <= 12
    assert np.abs(off).mean() < 0.5


def test_an_odd_picture_gets_its_last_column_and_row_twice(tmp_path: Path) -> None:
    pictures = np.stack([smooth_chart(65, 49)] * 2)
    made = encode(tmp_path / "a.mp4", pictures, crf=1)
    assert (made.width, made.height) == (66, 50)
    back = raw_frames(tmp_path / "a.mp4", 66, 50)[0].astype(int)
    assert np.abs(back[:, -1] - back[:, -2]).mean() < 4
    assert np.abs(back[-1] - back[-2]).mean() < 4


def test_sixteen_bits_become_ten(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    pictures = np.broadcast_to(ramp[None, None, :, None], (2, 48, 256, 3)).copy()
    made = encode(tmp_path / "a.mp4", pictures, crf=1)
    assert made.bit_depth == 10
    data = ffmpeg("-i", tmp_path / "a.mp4", "-f", "rawvideo", "-pix_fmt", "yuv420p10le", "pipe:1")
    luma = np.frombuffer(data, "<u2")[: 48 * 256].reshape(48, 256)
    expected = 64 + 876 * ramp.astype(float) / 65535
    assert np.abs(luma - expected).max() <= 2.5


# -------------------------------------------------------------------------------------------------------------- sound


def tone_video(path: Path, *words: object) -> Path:
    first = make_clip(path.with_name("first.mp4"), sound=True, frames=50)
    ffmpeg("-i", first, *(words or ("-c", "copy")), path)
    return path


@pytest.mark.parametrize(
    ("source", "words", "extension"),
    [
        ("a.mp4", (), ".mp4"),
        ("a.mp4", (), ".mov"),
        ("a.mp4", (), ".mkv"),
        ("a.mov", ("-c:v", "copy", "-c:a", "pcm_s16le"), ".mov"),
        ("a.mov", ("-c:v", "copy", "-c:a", "pcm_s16le"), ".avi"),
        ("a.mp4", ("-c:v", "copy", "-c:a", "libmp3lame"), ".avi"),
        ("a.mkv", ("-c:v", "copy", "-c:a", "flac"), ".mp4"),
        ("a.mkv", ("-c:v", "copy", "-c:a", "libvorbis"), ".mkv"),
    ],
)
def test_sound_is_copied_bit_for_bit(tmp_path: Path, source: str, words: tuple[object, ...], extension: str) -> None:
    video = tone_video(tmp_path / source, *words)
    sound = plan_sound(video, probe_video(video).video, 0, extension)
    assert sound.copy
    target = tmp_path / f"result{extension}"
    encode(target, NOISE[:, :48, :64], sound=sound)
    assert packet_hash(target) == packet_hash(video)


def heard_at(path: Path) -> float:
    """When the tone begins, in seconds after the first picture."""
    loud = np.frombuffer(
        ffmpeg(
            "-i", path, "-map", "0:a:0", "-af", "aresample=async=1:first_pts=0", "-f", "f32le", "-ac", "1", "pipe:1"
        ),
        np.float32,
    )
    return float(np.argmax(np.abs(loud) > 0.05)) / 44100


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".avi", ".mkv"])
def test_sound_that_begins_later_stays_later(tmp_path: Path, extension: str) -> None:
    first = make_clip(tmp_path / "first.mp4", sound=True, frames=50)
    late = tmp_path / "late.mp4"
    ffmpeg("-i", first, "-itsoffset", "0.5", "-i", first, "-map", "0:v", "-map", "1:a", "-c", "copy", late)
    target = tmp_path / f"result{extension}"
    encode(target, NOISE[:, :48, :64], sound=plan_sound(late, probe_video(late).video, 0, extension))
    assert heard_at(target) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("extension", [".mp4", ".avi"])
def test_sound_before_the_first_picture_is_not_heard_after_it(tmp_path: Path, extension: str) -> None:
    """The picture begins at 0.5 s, the tone stops at 1 s: in the result it stops at 0.5 s."""
    first = make_clip(tmp_path / "first.mp4", sound=True, frames=25)
    late = tmp_path / "late.mp4"
    ffmpeg("-itsoffset", "0.5", "-i", first, "-i", first, "-map", "0:v", "-map", "1:a", "-c", "copy", late)
    target = tmp_path / f"result{extension}"
    encode(target, NOISE[:, :48, :64], sound=plan_sound(late, probe_video(late).video, 0, extension))
    data = ffmpeg("-i", target, "-map", "0:a:0", "-f", "f32le", "-ac", "1", "pipe:1")
    loud = np.abs(np.frombuffer(data, np.float32)) > 0.05
    assert (len(loud) - np.argmax(loud[::-1])) / 44100 == pytest.approx(0.5, abs=0.05)


def test_what_a_container_cannot_hold_becomes_another_sound(tmp_path: Path) -> None:
    video = tone_video(tmp_path / "a.mkv", "-c:v", "copy", "-c:a", "libvorbis")
    for extension, codec in ((".mp4", "aac"), (".avi", "pcm_s16le")):
        sound = plan_sound(video, probe_video(video).video, 0, extension)
        assert not sound.copy
        made = encode(tmp_path / f"result{extension}", NOISE[:, :48, :64], sound=sound)
        assert made.audio[0].codec == codec


# ------------------------------------------------------------------------------------------------------------- safety


def test_ffmpeg_is_silent_while_it_is_fed(tmp_path: Path) -> None:
    """Reports of progress that nobody reads would fill the pipe after some minutes and hold ffmpeg up for ever."""
    frames = RawFrames(65, 49, 3, 8, Fraction(25))
    plan = EncodingPlan(".mkv", True, 16, None, settle_colors(ColorTags(), 65, 49), Fraction(1))
    with running(build_encoding(ffmpeg_binary(), frames, plan, None, tmp_path / "a.mkv"), feeding=True) as tool:
        for picture in NOISE:
            tool.feed(picture.data)
        tool.end_feed()
        assert tool.output.read() == b""
        tool.finish()


def test_nothing_half_is_left(tmp_path: Path) -> None:
    target = tmp_path / "result.mp4"
    target.write_bytes(b"the result of yesterday")

    def broken() -> Any:
        yield NOISE[0]
        raise KeyboardInterrupt

    frames = RawFrames(65, 49, 3, 8, Fraction(25))
    plan = EncodingPlan(".mp4", False, 16, None, BT709, Fraction(1))
    with pytest.raises(KeyboardInterrupt):
        encode_video(broken(), frames, 4, plan, target)
    with pytest.raises(ToolFailed, match="4 frames instead of 5"):
        encode(target, NOISE, count=5)
    assert target.read_bytes() == b"the result of yesterday"
    assert list(tmp_path.iterdir()) == [target]


def test_the_last_words_of_ffmpeg_are_told(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match=r"(?i)crf|bitrate|libx264|out of range|invalid"):
        encode(tmp_path / "a.mp4", NOISE, bitrate=-5.0)
    assert list(tmp_path.iterdir()) == []
