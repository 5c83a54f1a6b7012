"""A face as DeepFaceLab and its editors read it: a plain JPEG with its record in one APP15 segment.

Such readers are strict: no fill bytes, no restart markers, only JFIF in APP0, baseline or progressive, nothing after
the end of the picture. A JPEG that is otherwise is saved anew (quality 100); all others keep their picture bit for bit.
Source: spec faces-and-formats 7.1, 7.3, 7.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import BrokenFile, FaceLoomError, NotAFace
from core.images import decode_gray, decode_image, encode_jpeg, to_uint8
from core.jpeg import Segment, is_record, parse_segments, replace_segments
from core.legacy_pickle import decode
from core.legacy_writer import encode
from facelib.face_record import FaceMetadata
from facelib.legacy import APP15, LARGEST_STREAM, face_from_stream, values_of

LARGEST_MASK_FILE = 50_000
"""Bytes DeepFaceLab gives an applied mask; a larger PNG becomes a JPEG of lower quality."""

_ARRAY_ROOM = 300
_APP0, _EXIF, _DRI, _BASELINE, _PROGRESSIVE = 0xE0, 0xE1, 0xDD, 0xC0, 0xC2
_END = b"\xff\xd9"


@dataclass(frozen=True)
class DflFace:
    """A face as the other tool keeps it.

    Attributes:
        jpeg: the file, record included.
        values: the record.
        saved_anew: whether the picture had to be encoded again.
        mask_quality: JPEG quality of the mask where it did not fit as a PNG; else None.
    """

    jpeg: bytes
    values: dict[str, Any]
    saved_anew: bool
    mask_quality: int | None


def dfl_face(jpeg: bytes, metadata: FaceMetadata, path: Path) -> DflFace:
    """Turns a face into one of DeepFaceLab; a file that is one already stays byte for byte.

    jpeg: the whole file; `path` is named in errors.

    Raises:
        BrokenFile: the picture or its mask is damaged.
        FaceLoomError: its polygons alone do not fit into a segment.
    """
    theirs = _as_it_is(jpeg, metadata, path)
    if theirs is not None:
        return theirs
    values = values_of(metadata)
    try:
        room = LARGEST_STREAM - len(encode(values)) - _ARRAY_ROOM
    except ValueError as problem:
        raise FaceLoomError(f"{path}: its record cannot be written as DeepFaceLab's. {problem}") from problem
    quality = None
    if metadata.xseg_mask is not None:
        mask, quality = _fitted_mask(metadata.xseg_mask, min(room, LARGEST_MASK_FILE), path)
        values["xseg_mask"] = np.frombuffer(mask, np.uint8).reshape(-1, 1)
    stream = encode(values)
    if len(stream) > LARGEST_STREAM:
        raise FaceLoomError(
            f"{path}: its record has {len(stream)} bytes as DeepFaceLab writes it, and a JPEG has room for "
            f"{LARGEST_STREAM}.",
            "Draw its polygons with fewer points.",
        )
    picture, saved_anew = _plain_picture(jpeg, path)
    record = [Segment(APP15, stream)]
    return DflFace(replace_segments(picture, _is_ours_or_older, record, path), values, saved_anew, quality)


def _as_it_is(jpeg: bytes, metadata: FaceMetadata, path: Path) -> DflFace | None:
    """The file itself, where it holds just this face in a form that the oldest reader understands."""
    head = parse_segments(jpeg, path)
    streams = [segment.payload for segment in head.segments if segment.marker == APP15]
    if len(streams) != 1 or any(is_record(segment) for segment in head.segments):
        return None
    if streams[0][1:2] not in (b"\x03", b"\x04") or b"numpy._core" in streams[0]:
        return None
    try:
        same = face_from_stream(streams[0], path) == metadata
    except (BrokenFile, NotAFace):
        return None
    if not same or _plain_picture(jpeg, path) != (jpeg, False):
        return None
    values = values_of(metadata)
    mask = decode(streams[0]).get("xseg_mask")
    return DflFace(jpeg, values if mask is None else values | {"xseg_mask": mask}, False, None)


def _is_ours_or_older(segment: Segment) -> bool:
    return is_record(segment) or segment.marker == APP15


def _fitted_mask(png: bytes, room: int, path: Path) -> tuple[bytes, int | None]:
    """The mask in at most `room` bytes, and its quality where it had to become a JPEG."""
    if len(png) <= room:
        return png, None
    gray = to_uint8(decode_gray(png, path))
    for quality in range(100, 0, -1):
        data = encode_jpeg(gray, quality)
        if len(data) <= room:
            return data, quality
    raise FaceLoomError(f"{path}: its mask does not fit into {room} bytes.", "Draw its polygons with fewer points.")


def _plain_picture(jpeg: bytes, path: Path) -> tuple[bytes, bool]:
    """The JPEG as strict readers want it, and whether it had to be encoded anew."""
    head = parse_segments(jpeg, path)
    markers = {segment.marker for segment in head.segments}
    jfif = all(s.payload.startswith(b"JFIF\0") for s in head.segments if s.marker == _APP0)
    end = jpeg.find(_END, head.scan_offset) + len(_END)
    if jfif and _DRI not in markers and (_BASELINE in markers or (_PROGRESSIVE in markers and end == len(jpeg))):
        return jpeg[:end], False
    as_stored = replace_segments(jpeg, lambda segment: segment.marker == _EXIF, (), path)  # landmarks fit no turned one
    return encode_jpeg(to_uint8(decode_image(as_stored, path)), quality=100), True
