"""Face files: reading and writing the record of a face (face_record.py) in a picture.

A face file is a JPEG whose FaceLoom segments (layout: core/jpeg.py) hold two records, JSON and, where a mask was
applied, MASK. A file without them is looked at for the record of DeepFaceLab (legacy.py), which is read just the same.
"""

from pathlib import Path

from core.errors import BrokenFile, NotAFace
from core.files import atomic_write_bytes
from core.jpeg import (
    JpegHead,
    Segment,
    is_record,
    marked_records,
    parse_segments,
    read_segments,
    record_segments,
    replace_segments,
)
from facelib import legacy
from facelib.face_record import LARGEST_RECORD_BYTES
from facelib.face_record import FaceMetadata as FaceMetadata
from facelib.face_record import Polygon as Polygon
from facelib.face_record import png_size as png_size


def read_metadata(path: Path) -> FaceMetadata:
    """The record of a face file; only the head of the file is read.

    NotAFace: a sound picture without a record, or with one that marks a whole frame. BrokenFile: damaged, cut off, no
    face file at all, or a record that breaks the rules.
    """
    if path.suffix.casefold() == ".png":
        return legacy.read_png_face(path)[0]
    return metadata_from_head(read_segments(path), path)


def metadata_from_jpeg(data: bytes, path: Path) -> FaceMetadata:
    """The record of a face file in memory; `path` is only named in errors. Errors as in `read_metadata`."""
    return metadata_from_head(parse_segments(data, path), path)


def metadata_from_head(head: JpegHead, path: Path) -> FaceMetadata:
    """The record in the head of a JPEG file: that of FaceLoom, else of DeepFaceLab. Errors as in `read_metadata`."""
    records = marked_records(head, path)
    if "JSON" in records:
        return FaceMetadata.from_json(records["JSON"], path, records.get("MASK"))
    metadata = legacy.face_from_segments(head, path)
    if metadata is None:
        raise NotAFace(f"{path}: this picture carries no face record.", "Extract faces first, or leave it out.")
    return metadata


def read_face(path: Path) -> tuple[bytes, FaceMetadata]:
    """The whole face file as it lies on disk, and its record. Errors as in `read_metadata`."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem
    return data, metadata_from_jpeg(data, path)


def with_metadata(jpeg: bytes, metadata: FaceMetadata, path: Path = Path("(face in memory)")) -> bytes:
    """The same JPEG file with this record in place of an earlier one, DeepFaceLab's included, which would only grow old
    beside it. The picture stays bit for bit.
    """
    records = {"JSON": metadata.to_json().encode("ascii")}
    if metadata.xseg_mask is not None:
        records["MASK"] = metadata.xseg_mask
    if len(records["JSON"]) > LARGEST_RECORD_BYTES:
        raise ValueError(f"a face record has at most {LARGEST_RECORD_BYTES} bytes. Received: {len(records['JSON'])}.")
    return replace_segments(jpeg, _is_earlier_record, record_segments(records), path)


def write_face(path: Path, jpeg: bytes, metadata: FaceMetadata) -> None:
    """Write a face file whole or not at all. jpeg: a JPEG file, with or without an earlier record."""
    atomic_write_bytes(path, with_metadata(jpeg, metadata, path))


def _is_earlier_record(segment: Segment) -> bool:
    return is_record(segment) or legacy.is_legacy_segment(segment)
