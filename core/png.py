"""The chunks of a PNG file, without decoding a pixel.

A PNG file is eight fixed bytes and chunks: 32-bit big-endian length, four letters, that many bytes, 32-bit checksum.
The first chunk, IHDR, begins with width and height; the last is IEND.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

from core.errors import BrokenFile

PNG_START = b"\x89PNG\r\n\x1a\n"

_MOST_CHUNKS = 1 << 20


def read_png_chunk(stream: BinaryIO, kind: bytes, longest: int, path: Path) -> tuple[tuple[int, int], bytes | None]:
    """((width, height), the first chunk of this kind or None) of a PNG file; other chunks are passed over unread.

    Args:
        kind: four letters.
        longest: most bytes the chunk may have.
        path: named in errors.

    Raises:
        BrokenFile: no PNG, cut off, or the chunk is too long or damaged.
    """
    if stream.read(8) != PNG_START:
        raise BrokenFile(path, "this is not a PNG file.")
    size: tuple[int, int] | None = None
    for _ in range(_MOST_CHUNKS):
        head = stream.read(8)
        if len(head) != 8:
            raise BrokenFile(path, "the PNG file is cut off.", "Delete it, or make it again.")
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if size is None:
            body = stream.read(length) if length == 13 else b""
            if name != b"IHDR" or len(body) != 13:
                raise BrokenFile(path, "the PNG file does not begin with its size.")
            size = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
            stream.seek(4, 1)
        elif name == kind:
            if length > longest:
                raise BrokenFile(path, f"its {kind.decode()} chunk has {length} bytes, more than {longest}.")
            body = stream.read(length)
            if len(body) != length or stream.read(4) != zlib.crc32(name + body).to_bytes(4, "big"):
                raise BrokenFile(path, f"its {kind.decode()} chunk is cut off or damaged.")
            return size, body
        elif name == b"IEND":
            return size, None
        else:
            stream.seek(length + 4, 1)
    raise BrokenFile(path, "the PNG file has too many chunks.")
