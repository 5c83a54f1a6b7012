"""Size and kind of a picture from its header agree with the picture itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import BrokenFile
from core.exr import encode_exr
from core.images import read_gray, read_image, write_image
from core.picture_headers import PictureKind, picture_kind
from tests.core.video.clips import ffmpeg


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_color_pictures(odd_folder: Path, suffix: str) -> None:
    write_image(odd_folder / f"a{suffix}", np.zeros((31, 47, 3), np.uint8))
    assert picture_kind(odd_folder / f"a{suffix}") == PictureKind(47, 31, 3, 8)


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (np.zeros((5, 7), np.uint8), PictureKind(7, 5, 1, 8)),
        (np.zeros((5, 7), np.uint16), PictureKind(7, 5, 1, 16)),
        (np.zeros((5, 7, 3), np.uint16), PictureKind(7, 5, 3, 16)),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_gray_and_deep_pictures(tmp_path: Path, picture: np.ndarray, kind: PictureKind, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", picture)
    assert picture_kind(tmp_path / f"a{suffix}") == kind
    assert str(kind).startswith("7x5 ")


@pytest.mark.parametrize(
    ("pixel_format", "kind"),
    [
        ("gray", PictureKind(64, 48, 1, 8)),
        ("gray16le", PictureKind(64, 48, 1, 16)),
        ("rgb48be", PictureKind(64, 48, 3, 16)),
        ("rgba64le", PictureKind(64, 48, 3, 16)),
        ("pal8", PictureKind(64, 48, 3, 8)),
    ],
)
def test_tiffs_of_other_programs(tmp_path: Path, pixel_format: str, kind: PictureKind) -> None:
    path = tmp_path / "a.tif"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48", "-frames:v", 1, "-pix_fmt", pixel_format, path)
    assert picture_kind(path) == kind
    picture = read_gray(path) if kind.channels == 1 else read_image(path)
    assert (picture.shape[:2], 8 * picture.itemsize) == ((48, 64), kind.depth)


def test_exr_files_say_what_their_numbers_are(tmp_path: Path) -> None:
    pytest.importorskip("OpenEXR")
    channels = {name: np.zeros((5, 7), np.float16) for name in "RGBA"}
    for transfer, words in (
        ("bt709", "linear light made from bt709"),
        ("", "linear light"),
        ("asis", "16 bit"),
    ):
        (tmp_path / "a.exr").write_bytes(encode_exr(channels, transfer=transfer))
        kind = picture_kind(tmp_path / "a.exr")
        assert kind == PictureKind(7, 5, 4, 16, transfer)
        assert str(kind) == f"7x5 color and alpha, {words}"


def test_the_suffix_may_lie(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((5, 7), np.uint8))
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert picture_kind(tmp_path / "a.jpg") == PictureKind(7, 5, 1, 8)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "0 bytes"),
        (b"hello", "not a picture"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "cut off"),
        (b"\xff\xd8\xff", "."),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(BrokenFile, match=sentence):
        picture_kind(path)
    with pytest.raises(BrokenFile, match="cannot be read"):
        picture_kind(tmp_path / "gone.png")
