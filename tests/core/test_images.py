"""core.images: any depth in, atomic writes out, and every bad file named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from core import images
from core.errors import BrokenFile, FaceLoomError


def _picture(side: int = 16) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (side, side + 2, 3), dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_lossless_formats_round_trip_at_every_depth(odd_folder: Path, dtype: type, suffix: str) -> None:
    picture: np.ndarray = (_picture().astype(np.uint32) * (257 if dtype == np.uint16 else 1)).astype(dtype)
    images.write_image(odd_folder / f"x{suffix}", picture)
    np.testing.assert_array_equal(images.read_image(odd_folder / f"x{suffix}"), picture)
    assert images.image_size(odd_folder / f"x{suffix}") == (18, 16)


def test_jpeg_keeps_full_chroma_and_has_no_restart_markers() -> None:
    data = images.encode_jpeg(_picture(), 90)
    frame = data[data.index(b"\xff\xc0") :]
    assert [frame[11], frame[14], frame[17]] == [0x11, 0x11, 0x11]  # sampling factors of Y, Cb, Cr
    assert b"\xff\xdd" not in data[: data.index(b"\xff\xda")]


def test_gray_and_alpha_become_three_channels(tmp_path: Path) -> None:
    gray = _picture()[:, :, 0]
    (tmp_path / "g.png").write_bytes(images.encode_png(gray))
    np.testing.assert_array_equal(images.read_image(tmp_path / "g.png"), np.dstack([gray] * 3))
    rgba = np.dstack([_picture(), gray])
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", rgba)[1].tobytes())
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), rgba[:, :, :3])


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    data = images.encode_jpeg(np.zeros((8, 24, 3), np.uint8))
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    exif = b"Exif\x00\x00" + tiff
    turned = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    (tmp_path / "phone.jpg").write_bytes(turned)
    assert images.read_image(tmp_path / "phone.jpg").shape == (24, 8, 3)


@pytest.mark.parametrize("content", [b"", b"hello, I am text", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_bad_files_are_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.jpg"
    file.write_bytes(content)
    with pytest.raises(BrokenFile, match=r"bad\.jpg"):
        images.read_image(file)
    with pytest.raises(BrokenFile):
        images.read_image(tmp_path / "absent.png")


def test_an_unwritable_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FaceLoomError):
        images.write_image(tmp_path / "file" / "x.png", _picture())


def test_conversions_round_to_nearest() -> None:
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(images.to_uint8(images.to_float(levels)), levels)
    np.testing.assert_array_equal(images.to_uint8(levels.astype(np.uint16) * 257), levels)
    assert images.to_uint8(np.array([-1.0, 0.0019, 0.002, 2.0])).tolist() == [0, 0, 1, 255]
    assert images.to_float(np.array([65535], np.uint16))[0] == 1.0


def test_masks_round_trip_through_png(tmp_path: Path) -> None:
    mask = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    back = images.decode_png_mask(images.encode_png_mask(mask), tmp_path)
    assert back.shape == (8, 8)
    assert np.abs(back - mask).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_pnm_and_pngs_with_alpha_keep_every_level(tmp_path: Path, dtype: type) -> None:
    noise: np.ndarray = np.random.default_rng(4).integers(0, np.iinfo(dtype).max + 1, (9, 13, 4)).astype(dtype)
    color, gray = np.ascontiguousarray(noise[..., :3]), np.ascontiguousarray(noise[..., 3])
    for encode in (images.encode_tiff, images.encode_pnm):
        assert np.array_equal(images.decode_image(encode(color), tmp_path), color)
        assert np.array_equal(images.decode_gray(encode(gray), tmp_path), gray)
    noise[0, :, 3] = 0
    images.write_image(tmp_path / "a.png", noise)
    assert np.array_equal(images.read_bgra(tmp_path / "a.png"), noise)  # colors below a transparent pixel, too
    assert np.array_equal(images.read_image(tmp_path / "a.png"), noise[..., :3])
    images.write_image(tmp_path / "b.png", color)
    with pytest.raises(BrokenFile, match="no alpha"):
        images.read_bgra(tmp_path / "b.png")


def test_eight_bits_become_sixteen_white_on_white() -> None:
    levels = np.arange(256, dtype=np.uint8)
    deep = images.to_uint16(levels)
    assert (deep.dtype, int(deep[0]), int(deep[255])) == (np.uint16, 0, 65535)
    assert np.array_equal(images.to_uint8(deep), levels)
    assert images.to_uint16(deep) is deep
