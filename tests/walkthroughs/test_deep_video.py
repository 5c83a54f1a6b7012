"""Demonstrate the road of a ten-bit HDR shot: extracted, merged, and encoded in every form, measured by ffmpeg.

Of every form: how many frames, at which rate, with which color tags and range; the sound packet for packet; the alpha;
and that lossless means lossless.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.files import list_images
from core.images import read_gray, read_image
from core.paths import Workspace
from core.progress import SILENT
from core.video.probe import probe_video
from mainscripts import merge, videoed, videoed_result
from tests.core.video.clips import ffmpeg, make_clip, packet_hash
from tests.mainscripts.test_merge import Shot
from tests.merger.scenes import painted_landmarks

FRAMES = 4
RATE = Fraction(30000, 1001)
HDR = ("bt2020nc", "bt2020", "smpte2084", "tv")


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A shot that was extracted and merged, nothing asked for: its third frame has no face."""
    shot = Shot(tmp_path_factory.mktemp("shot"), frames=0)
    place = shot.workspace
    tags = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv"
    make_clip(
        place.root / "data_dst.mp4",
        rate="30000/1001",
        frames=FRAMES,
        size="160x120",
        sound=True,
        filters=f"gblur=sigma=8,hue=s=0.3,{tags}",  # without colors beyond RGB
        words=("-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p10le"),
    )
    wanted = videoed.ExtractVideoOptions.of(input_file=place.video_pattern("dst"), output_dir=place.data_dst)
    videoed.extract_video(place, wanted, SILENT)
    for number in (1, 2, 4):
        shot.write_face(f"{number:05d}_0.jpg", f"{number:05d}.png", painted_landmarks((70 + 4 * number, 60), 60))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "open_model", shot.open_model)
        shot.merge(mask_mode="learned-dst", color_transfer="rct")
    return place


def encode(place: Workspace, name: str, **given: Any) -> Path:
    target = place.root / name
    words = {"reference_file": place.video_pattern("dst"), "include_audio": True, "output_file": target}
    options = videoed_result.VideoFromSequenceOptions.of(input_dir=place.data_dst_merged, **words, **given)
    videoed_result.video_from_sequence(place, options, SILENT)
    return target


def decoded(path: Path, pixel_format: str, channels: int) -> np.ndarray:
    """(frames, H, W, C) uint16."""
    raw = ffmpeg("-i", path, "-map", "0:v:0", "-f", "rawvideo", "-pix_fmt", pixel_format, "pipe:1")
    return np.frombuffer(raw, "<u2").reshape(FRAMES, 120, 160, channels)


def test_frames_keep_sixteen_bits_and_what_no_face_reaches_its_bits(merged: Workspace) -> None:
    for source_path, path in zip(list_images(merged.data_dst), list_images(merged.data_dst_merged), strict=True):
        source, result = read_image(source_path), read_image(path)
        mask = read_gray(merged.data_dst_merged_mask / path.name)
        assert source.dtype == result.dtype == mask.dtype == np.uint16
        assert np.array_equal(source[mask == 0], result[mask == 0])
        assert mask.any() == (path.stem != "00003")
    assert len(np.unique(read_image(list_images(merged.data_dst)[0]))) > 400  # more than 8 bits are in them


@pytest.mark.parametrize(
    ("name", "given", "codec", "bits"),
    [
        ("h264.mp4", {"crf": 1}, "h264", 10),
        ("h264.mov", {"bitrate": 20.0}, "h264", 10),
        ("h265.mp4", {"encoder": "x265", "crf": 1}, "hevc", 10),
        ("av1.mp4", {"encoder": "av1", "crf": 5}, "av1", 10),
        ("prores.mov", {"encoder": "prores4444"}, "prores", 12),
    ],
)
def test_every_form_is_counted_timed_and_tagged_like_the_source(
    merged: Workspace, name: str, given: dict[str, Any], codec: str, bits: int
) -> None:
    path = encode(merged, name, **given)
    made = probe_video(path).video
    assert (made.codec, made.frames, made.rate, made.constant_rate) == (codec, FRAMES, RATE, True)
    assert (made.colors.matrix, made.colors.primaries, made.colors.transfer, made.colors.range) == HDR
    assert made.bit_depth == bits
    assert packet_hash(path) == packet_hash(merged.root / "data_dst.mp4")


@pytest.mark.parametrize(("name", "codec"), [("lossless.mov", "png"), ("lossless.mkv", "ffv1")])
def test_lossless_is_lossless_with_sixteen_bits(merged: Workspace, name: str, codec: str) -> None:
    path = encode(merged, name, lossless=True)
    made = probe_video(path).video
    assert (made.codec, made.frames) == (codec, FRAMES)
    assert made.is_rgb
    pictures = np.stack([read_image(p) for p in list_images(merged.data_dst_merged)])
    assert np.array_equal(decoded(path, "bgr48le", 3), pictures)


def test_prores_carries_the_mask_as_its_alpha(merged: Workspace) -> None:
    path = encode(merged, "alpha.mov", encoder="prores4444", alpha_dir=merged.data_dst_merged_mask)
    raw = ffmpeg("-i", path, "-map", "0:v:0", "-f", "rawvideo", "-pix_fmt", "yuva444p12le", "pipe:1")
    alpha = np.frombuffer(raw, "<u2").reshape(FRAMES, 4, 120, 160)[:, 3] / 4095
    masks = np.stack([read_gray(p) for p in list_images(merged.data_dst_merged_mask)]) / 65535
    assert np.abs(alpha - masks).max() <= 0.5 / 1023 + 1 / 4095  # ten bits go in, twelve come out
    assert not alpha[2].any()
