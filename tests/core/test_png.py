"""The chunks of a PNG file."""

import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from core.errors import BrokenFile
from core.images import encode_png
from core.png import read_png_chunk

HERE = Path("a.png")
PICTURE = encode_png(np.zeros((7, 5, 3), np.uint8))


def with_note() -> bytes:
    return PICTURE[:-12] + b"\0\0\0\x03noTeabc" + zlib.crc32(b"noTeabc").to_bytes(4, "big") + PICTURE[-12:]


def test_a_chunk_is_found_behind_the_picture() -> None:
    assert read_png_chunk(BytesIO(with_note()), b"noTe", 3, HERE) == ((5, 7), b"abc")
    assert read_png_chunk(BytesIO(PICTURE), b"noTe", 3, HERE) == ((5, 7), None)


def test_what_is_cut_damaged_or_too_long_is_refused() -> None:
    data = with_note()
    for length in range(len(data) - 12):
        with pytest.raises(BrokenFile):
            read_png_chunk(BytesIO(data[:length]), b"noTe", 3, HERE)
    with pytest.raises(BrokenFile, match="3 bytes, more than 2"):
        read_png_chunk(BytesIO(data), b"noTe", 2, HERE)
    with pytest.raises(BrokenFile, match="damaged"):
        read_png_chunk(BytesIO(data.replace(b"noTeabc", b"noTeabd")), b"noTe", 3, HERE)
    with pytest.raises(BrokenFile, match="not a PNG"):
        read_png_chunk(BytesIO(b"\xff\xd8" + data), b"noTe", 3, HERE)
    huge = b"\x89PNG\r\n\x1a\n" + PICTURE[8:33] + b"\xff\xff\xff\xffIDAT"
    with pytest.raises(BrokenFile, match="cut off"):
        read_png_chunk(BytesIO(huge), b"noTe", 3, HERE)
