"""The segments of a JPEG file: reading its head, and keeping marked records in it. No pixel is decoded here.

A JPEG file is SOI (FF D8), segments (FF, marker, 16-bit big-endian length that counts itself, payload), then SOS, the
compressed picture and EOI (FF D9). Only the part before SOS, the head, is ever looked at.

A record of FaceLoom is kept in application segments APP7 that begin with a mark. Any length fits, split into parts:

    offset  bytes
    0       9       the mark "FaceLoom", 0
    9       4       kind, ASCII, for example "JSON"
    13      2       number of this part, from 0, big-endian
    15      2       number of parts of this kind, big-endian
    17      <=65516 this part of the record

Parts of one kind follow each other in order. Other segments, known or not, are kept byte for byte.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from core.errors import BrokenFile

MARK = b"FaceLoom\0"
RECORD_MARKER = 0xE7  # APP7, which no wide-spread format uses

_LARGEST_PAYLOAD = 65533
_RECORD_HEAD = len(MARK) + 8
_LARGEST_PART = _LARGEST_PAYLOAD - _RECORD_HEAD
_LARGEST_HEAD = 32 << 20
_LARGEST_PICTURE = 512 << 20
_MOST_FILL_BYTES = 4096

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)
_APPLICATIONS = range(0xE0, 0xF0)
_READABLE_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)  # lossless, hierarchical, arithmetic


@dataclass(frozen=True)
class Segment:
    """One segment of the head: its marker (0xE1 is APP1) and its payload, without the length."""

    marker: int
    payload: bytes


@dataclass(frozen=True)
class JpegHead:
    """What stands before the compressed picture.

    segments: in file order, from after SOI up to, not including, SOS. width, height: of the stored picture, pixels.
    scan_offset: where the SOS marker begins in the file, bytes.
    """

    segments: tuple[Segment, ...]
    width: int
    height: int
    scan_offset: int


def parse_segments(data: bytes, path: Path) -> JpegHead:
    """The head of a whole JPEG file in memory. `path` is only named in errors.

    BrokenFile with the reason where the file is damaged, cut off, or no JPEG.
    """
    head = _parse_head(BytesIO(data), path)
    if data.find(b"\xff\xd9", head.scan_offset) < 0:
        raise _cut_picture(path)
    return head


def read_segments(path: Path, part: tuple[int, int] | None = None, label: Path | None = None) -> JpegHead:
    """The head of a JPEG file; of the rest only the last bytes are read, to see that the file is whole.

    part: (offset, length) in bytes where the JPEG is a part of a larger file. label: what errors call it, else `path`.
    BrokenFile with the reason where the file is damaged, cut off, no JPEG, or cannot be read.
    """
    label = label or path
    try:
        with open(path, "rb") as stream:
            offset, length = part or (0, os.fstat(stream.fileno()).st_size)
            stream.seek(offset)
            head = _parse_head(stream, label)
            if head.scan_offset > length - 2:
                raise _cut_picture(label)
            stream.seek(offset + length - 2)
            if stream.read(2) != b"\xff\xd9":  # cut off, or other data follow the picture: look for its end
                stream.seek(offset + head.scan_offset)
                if b"\xff\xd9" not in stream.read(min(length - head.scan_offset, _LARGEST_PICTURE)):
                    raise _cut_picture(label)
            return head
    except OSError as problem:
        raise BrokenFile(label, f"cannot be read ({problem.strerror}).") from problem


def jpeg_size(data: bytes, path: Path) -> tuple[int, int]:
    """(width, height) in pixels of a JPEG file in memory. BrokenFile as in `parse_segments`."""
    head = parse_segments(data, path)
    return head.width, head.height


def marked_records(head: JpegHead, path: Path) -> dict[str, bytes]:
    """The FaceLoom records of a head, by kind, in file order; empty where there are none.

    BrokenFile where a part is missing, repeated, out of order or too short.
    """
    parts: dict[str, list[bytes]] = {}
    totals: dict[str, int] = {}
    for segment in head.segments:
        if not is_record(segment):
            continue
        body = segment.payload[len(MARK) :]
        if len(body) < 8 or not body[:4].isascii():
            raise BrokenFile(path, "a FaceLoom segment is too short to hold a record.")
        kind = body[:4].decode("ascii")
        number, total = int.from_bytes(body[4:6], "big"), int.from_bytes(body[6:8], "big")
        found = parts.setdefault(kind, [])
        if number != len(found) or total <= number or totals.setdefault(kind, total) != total:
            raise BrokenFile(path, f"part {number} of {total} of the {kind} record is out of order.")
        found.append(body[8:])
    for kind, found in parts.items():
        if len(found) != totals[kind]:
            raise BrokenFile(path, f"the {kind} record has {len(found)} of its {totals[kind]} parts.")
    return {kind: b"".join(found) for kind, found in parts.items()}


def replace_records(data: bytes, records: Mapping[str, bytes], path: Path) -> bytes:
    """The same JPEG file with exactly these FaceLoom records, which follow the last application segment.

    data: a whole JPEG file. records: kind (4 ASCII letters) -> bytes of any length. Earlier FaceLoom records go; the
    compressed picture and all other segments stay byte for byte; fill bytes between segments are dropped.
    BrokenFile as in `parse_segments`.
    """
    return replace_segments(data, is_record, record_segments(records), path)


def record_segments(records: Mapping[str, bytes]) -> list[Segment]:
    """The segments that hold FaceLoom records: kind (4 ASCII letters) -> bytes of any length."""
    return [segment for kind, record in records.items() for segment in _split(kind, record)]


def replace_segments(data: bytes, drop: Callable[[Segment], bool], add: Sequence[Segment], path: Path) -> bytes:
    """The same JPEG file without the segments that `drop` names, and with `add` after the last application segment.

    BrokenFile as in `parse_segments`.
    """
    head = parse_segments(data, path)
    kept = [segment for segment in head.segments if not drop(segment)]
    place = max((n + 1 for n, segment in enumerate(kept) if segment.marker in _APPLICATIONS), default=0)
    kept[place:place] = add
    written = [b"\xff\xd8"]
    for segment in kept:
        written.append(bytes([0xFF, segment.marker]))
        if segment.marker != _TEM:
            if len(segment.payload) > _LARGEST_PAYLOAD:
                raise ValueError(f"A segment has at most {_LARGEST_PAYLOAD} bytes. Received: {len(segment.payload)}.")
            written.append((len(segment.payload) + 2).to_bytes(2, "big") + segment.payload)
    return b"".join([*written, data[head.scan_offset :]])


def _split(kind: str, record: bytes) -> list[Segment]:
    total = max(1, -(-len(record) // _LARGEST_PART))
    if len(kind) != 4 or not kind.isascii() or total > 0xFFFF:
        raise ValueError(f"A record has a kind of 4 ASCII letters and less than 4 GB. Received: {kind}, {len(record)}.")
    mark = MARK + kind.encode("ascii")
    return [
        Segment(
            RECORD_MARKER,
            mark
            + number.to_bytes(2, "big")
            + total.to_bytes(2, "big")
            + record[number * _LARGEST_PART : (number + 1) * _LARGEST_PART],
        )
        for number in range(total)
    ]


def is_record(segment: Segment) -> bool:
    """Whether a segment is part of a FaceLoom record."""
    return segment.marker == RECORD_MARKER and segment.payload.startswith(MARK)


def _parse_head(stream: BinaryIO, path: Path) -> JpegHead:
    start = stream.read(2)
    if not start:
        raise BrokenFile(path, "the file is empty (0 bytes).", "Delete it, or make it again.")
    if start != b"\xff\xd8":
        raise BrokenFile(path, "this is not a JPEG file: it does not begin with FF D8.")
    segments: list[Segment] = []
    size: tuple[int, int] | None = None
    offset = 2
    while True:
        marker, fill_bytes = _read_marker(stream, offset, path)
        if marker == _SOS:
            if size is None:
                raise BrokenFile(path, "the compressed picture begins before its size is given (no SOF segment).")
            return JpegHead(tuple(segments), *size, scan_offset=offset + fill_bytes)
        if marker == _EOI:
            raise BrokenFile(path, "the JPEG file ends before a picture begins.")
        if marker == _SOI or marker in _RESTARTS:
            raise BrokenFile(path, f"marker FF {marker:02X} at byte {offset} does not belong before a picture.")
        payload = b"" if marker == _TEM else _read_payload(stream, marker, offset + fill_bytes + 2, path)
        if marker in _OTHER_FRAMES:
            kind = f"SOF{marker - 0xC0}"
            raise BrokenFile(path, f"this kind of JPEG ({kind}) is not supported.", "Save it as a baseline JPEG.")
        if marker in _READABLE_FRAMES:
            if size is not None:
                raise BrokenFile(path, "the size of the picture is given twice (two SOF segments).")
            size = _frame_size(payload, path)
        segments.append(Segment(marker, payload))
        offset += fill_bytes + 2 + (0 if marker == _TEM else 2 + len(payload))
        if offset > _LARGEST_HEAD:
            raise BrokenFile(path, f"the head of the file is longer than {_LARGEST_HEAD >> 20} MB.")


def _read_marker(stream: BinaryIO, offset: int, path: Path) -> tuple[int, int]:
    """The next marker and the number of fill bytes (extra FF) before it."""
    first = _read_exactly(stream, 1, "between two segments", path)[0]
    if first != 0xFF:
        raise BrokenFile(path, f"a segment should begin with FF at byte {offset}, but there is {first:02X}.")
    for fill_bytes in range(_MOST_FILL_BYTES):
        marker = _read_exactly(stream, 1, "between two segments", path)[0]
        if marker == 0x00:
            raise BrokenFile(path, f"a segment without a marker at byte {offset} (FF 00).")
        if marker != 0xFF:
            return marker, fill_bytes
    raise BrokenFile(path, f"more than {_MOST_FILL_BYTES} fill bytes at byte {offset}.")


def _read_payload(stream: BinaryIO, marker: int, offset: int, path: Path) -> bytes:
    where = f"inside segment FF {marker:02X}"
    length = int.from_bytes(_read_exactly(stream, 2, where, path), "big")
    if length < 2:
        raise BrokenFile(path, f"segment FF {marker:02X} at byte {offset} has the impossible length {length}.")
    return _read_exactly(stream, length - 2, where, path)


def _frame_size(payload: bytes, path: Path) -> tuple[int, int]:
    # Bits per value, height, width, number of channels, then three bytes per channel.
    if len(payload) < 6 or len(payload) != 6 + 3 * payload[5]:
        raise BrokenFile(path, "the segment that gives the size of the picture (SOF) has the wrong length.")
    height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    if width == 0 or height == 0:
        raise BrokenFile(path, f"the picture has no area ({width}x{height} pixels).")
    return width, height


def _read_exactly(stream: BinaryIO, count: int, where: str, path: Path) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise BrokenFile(path, f"the file is cut off {where}.", "Delete it, or make it again.")
    return data


def _cut_picture(path: Path) -> BrokenFile:
    return BrokenFile(path, "the file is cut off inside the compressed picture.", "Delete it, or make it again.")
