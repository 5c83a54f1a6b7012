"""OpenEXR files: what is written can be read by the reference library and, independently, by ffmpeg."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.exr import encode_exr, require_exr
from tests.core.video.clips import ffmpeg

OpenEXR = pytest.importorskip("OpenEXR")


def picture() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.random((17, 23), np.float32) for name in ("R", "G", "B", "face.R", "mask.A")}


def test_channels_come_back_as_half_floats_and_integers() -> None:
    stored = {**picture(), "face.id": np.arange(17 * 23, dtype=np.uint8).reshape(17, 23)}
    data = encode_exr(stored, "bt709", "Grüße")
    with OpenEXR.File(io.BytesIO(data), separate_channels=True) as opened:
        back = {name: channel.pixels for name, channel in opened.channels().items()}
        header = dict(opened.header())
    assert set(back) == set(stored)
    for name, values in stored.items():
        assert back[name].dtype == (np.uint32 if name == "face.id" else np.float16)
        assert np.array_equal(back[name], values.astype(back[name].dtype))
    assert header["comments"] == "Grüße"
    assert np.allclose(header["chromaticities"][:6], (0.64, 0.33, 0.30, 0.60, 0.15, 0.06))
    assert header["compression"] == OpenEXR.ZIP_COMPRESSION


def test_unknown_primaries_are_left_out_and_equal_input_gives_equal_bytes() -> None:
    data = encode_exr(picture(), "smpte-something")
    assert data == encode_exr(picture())
    assert data != encode_exr(picture(), "bt2020")


def test_ffmpeg_reads_the_same_colors(tmp_path: Path) -> None:
    stored = picture()
    (tmp_path / "a.exr").write_bytes(encode_exr(stored))
    raw = ffmpeg("-i", tmp_path / "a.exr", "-f", "rawvideo", "-pix_fmt", "gbrpf32le", "pipe:1")
    planes = np.frombuffer(raw, "<f4").reshape(3, 17, 23)
    for plane, name in zip(planes, "GBR", strict=True):
        assert np.abs(plane - stored[name]).max() < 1e-3  # half floats near 1 are 5e-4 apart; swscale adds its own


def test_a_missing_library_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    require_exr()
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(FaceLoomError, match=r"OpenEXR is not there.*--out tiff16"):
        require_exr()
