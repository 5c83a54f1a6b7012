"""Size and kind of a picture from its header agree with the picture itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import BrokenFile
from core.images import write_image
from core.picture_headers import PictureKind, picture_kind


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
def test_gray_and_deep_pngs(tmp_path: Path, picture: np.ndarray, kind: PictureKind) -> None:
    write_image(tmp_path / "a.png", picture)
    assert picture_kind(tmp_path / "a.png") == kind
    assert str(kind).startswith("7x5 ")


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
