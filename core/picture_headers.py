"""Size and kind of a picture from its first bytes, so that a long sequence can be checked without decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import BrokenFile
from core.exr import AS_IS, EXR_START, read_exr_header
from core.images import read_image
from core.jpeg import read_segments

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 4: 1, 6: 4}
_TIFF_TAGS = {"width": 256, "height": 257, "bits": 258, "color": 262, "turn": 274, "samples": 277, "format": 339}
_SHORT = 3
_MOST_TIFF_TAGS = 1000


@dataclass(frozen=True)
class PictureKind:
    """What a picture is.

    Attributes:
        width, height: in pixels, as stored.
        channels: 1 (gray), 3 (color) or 4 (color and alpha; only of PNG and EXR it is known).
        depth: 8 or 16 bits per channel, as `read_image` or `read_gray` give it.
        light: of an .exr, `ExrHeader.transfer`; None: the picture holds codes.
    """

    width: int
    height: int
    channels: int
    depth: int
    light: str | None = None

    def __str__(self) -> str:
        color = {1: "gray", 3: "color", 4: "color and alpha"}[self.channels]
        if self.light is None or self.light == AS_IS:
            numbers = f"{self.depth} bit"
        else:
            numbers = f"linear light{' made from ' if self.light else ''}{self.light}"
        return f"{self.width}x{self.height} {color}, {numbers}"


def picture_kind(path: Path) -> PictureKind:
    """Reads the header of a PNG, JPEG, EXR or usual TIFF; decodes any other picture.

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
    if start.startswith(EXR_START):
        known = read_exr_header(path)
        return PictureKind(known.width, known.height, 4 if known.has_alpha else 3, 16, known.transfer)
    if start.startswith((b"II*\0", b"MM\0*")) and (kind := _tiff_kind(path)):
        return kind
    image = read_image(path)
    return PictureKind(image.shape[1], image.shape[0], 3, 8 * image.itemsize)


def _tiff_kind(path: Path) -> PictureKind | None:
    """The kind of an upright TIFF of 8 or 16 bits, gray or color; None: it has to be decoded to tell.

    Source: TIFF revision 6.0, section 2: a directory of entries, 12 bytes each: tag, type, count, value or its place.
    """
    with open(path, "rb") as stream:
        order: Literal["little", "big"] = "little" if stream.read(4).startswith(b"II") else "big"

        def number(length: int) -> int:
            return int.from_bytes(stream.read(length), order)

        def value(name: str, usual: int) -> int:
            """The value of a tag, or the first of several."""
            if _TIFF_TAGS[name] not in entries:
                return usual
            kind, count, field = entries[_TIFF_TAGS[name]]
            if kind == _SHORT and count > 2:
                stream.seek(int.from_bytes(field, order))
                return number(2)
            return int.from_bytes(field[: 2 if kind == _SHORT else 4], order)

        stream.seek(number(4))
        entries = {}
        for _ in range(min(number(2), _MOST_TIFF_TAGS)):
            tag, kind, count = number(2), number(2), number(4)
            entries[tag] = kind, count, stream.read(4)
        bits, color, samples = value("bits", 1), value("color", -1), value("samples", 1)
        if bits not in (8, 16) or value("turn", 1) != 1 or value("format", 1) != 1:
            return None
        channels = {(0, 1): 1, (1, 1): 1, (2, 3): 3, (2, 4): 3}.get((color, samples))
        return PictureKind(value("width", 0), value("height", 0), channels, bits) if channels else None
