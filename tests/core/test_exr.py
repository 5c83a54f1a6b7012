"""OpenEXR files: what is written can be read by the reference library and, independently, by ffmpeg; what other
programs write can be read here."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import BrokenFile, FaceLoomError
from core.exr import ExrHeader, encode_exr, read_exr, read_exr_header, require_exr
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


def test_what_is_written_is_read_again(odd_folder: Path) -> None:
    stored = picture()
    path = odd_folder / "a.exr"
    path.write_bytes(encode_exr(stored, transfer="bt709"))
    assert read_exr_header(path) == ExrHeader(23, 17, "bt709", has_alpha=False)
    assert np.array_equal(read_exr(path), np.dstack([stored[name] for name in "BGR"]).astype(np.float16))
    path.write_bytes(encode_exr(stored))
    assert read_exr_header(path).transfer == ""


def other(path: Path, channels: dict[str, np.ndarray], **header: object) -> Path:
    """As another program would write it."""
    plain = {"compression": OpenEXR.PIZ_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File({**plain, **header}, dict(channels)).write(str(path))
    return path


def test_files_of_other_programs_are_read(tmp_path: Path) -> None:
    """Single floats, an alpha, and a stored part that is neither all of the picture nor inside it."""
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    channels = {"R": values, "G": values + 100, "B": values + 1e6, "A": values / 11}
    windows = {"dataWindow": ((2, -1), (5, 1)), "displayWindow": ((0, 0), (4, 3))}
    path = other(tmp_path / "a.exr", channels, **windows)
    assert read_exr_header(path) == ExrHeader(5, 4, "", has_alpha=True)
    expected = np.zeros((4, 5, 4), np.float16)
    with np.errstate(over="ignore"):
        for number, name in enumerate("BGRA"):
            expected[:2, 2:, number] = channels[name][1:, :3]
    assert np.array_equal(read_exr(path, with_alpha=True), expected)
    assert np.array_equal(read_exr(path), expected[..., :3])
    assert np.isposinf(expected[0, 2, 0])


def test_what_is_no_picture_is_said_in_words(tmp_path: Path) -> None:
    depth = other(tmp_path / "z.exr", {"Z": np.zeros((3, 4), np.float32)})
    for reader in (read_exr, read_exr_header):
        with pytest.raises(BrokenFile, match=r"z\.exr.*no channels R, G and B"):
            reader(depth)
        with pytest.raises(BrokenFile, match="cannot be read"):
            reader(tmp_path / "gone.exr")
    data = encode_exr(picture())
    for length in (0, 4, 40, len(data) - 9):
        (tmp_path / "b.exr").write_bytes(data[:length])
        with pytest.raises(BrokenFile, match=r"b\.exr.*damaged"):
            read_exr(tmp_path / "b.exr")
