"""Size and kind of a picture from its first bytes, so that a long sequence can be checked without decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import BrokenFile
from core.images import read_image
from core.jpeg import read_segments

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 4: 1, 6: 4}


@dataclass(frozen=True)
class PictureKind:
    """What a picture is.

    Attributes:
        width, height: in pixels, as stored.
        channels: 1 (gray), 3 (color) or 4 (color and alpha; only of PNG it is known).
        depth: 8 or 16 bits per channel, as `read_image` or `read_gray` give it.
    """

    width: int
    height: int
    channels: int
    depth: int

    def __str__(self) -> str:
        color = {1: "gray", 3: "color", 4: "color and alpha"}[self.channels]
        return f"{self.width}x{self.height} {color}, {self.depth} bit"


def picture_kind(path: Path) -> PictureKind:
    """Reads the header of a PNG or JPEG; decodes any other picture.

    Raises:
        BrokenFile: not a picture, or damaged at its beginning.
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(33)
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem
    if not start:
        raise BrokenFile(path, "the file is empty (0 bytes).", "Delete it, or make it again.")
    if start.startswith(_PNG_START):
        if len(start) < 33 or start[12:16] != b"IHDR":
            raise BrokenFile(path, "the picture is cut off.", "Delete it, or make it again.")
        width, height = int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
        bits, color = start[24], start[25]
        return PictureKind(width, height, _PNG_CHANNELS.get(color, 3), 16 if bits == 16 else 8)
    if start.startswith(b"\xff\xd8"):
        head = read_segments(path)
        return PictureKind(head.width, head.height, 3, 8)
    image = read_image(path)
    return PictureKind(image.shape[1], image.shape[0], 3, 8 * image.itemsize)
