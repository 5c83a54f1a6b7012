"""The index of a pack: the records of all faces as a few arrays, and back. The file is in samplelib/pack.py.

Making 100,000 checked records one by one takes half a minute, so the rules of facelib/face_record.py are checked here
over all faces at once, and the records are then put together without looking at each number again. The test breaks
every rule in turn and compares what both say.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelib.face_type import FaceType
from facelib.landmarks import LANDMARKS
from facelib.legacy import plain_name
from facelib.metadata import FaceMetadata, Polygon, png_size
from samplelib.sample import LARGEST_SIDE

TEXT = "texts"

_SHAPES: Mapping[str, tuple[type, tuple[int, ...]]] = {
    "sha256": (np.uint8, (32,)),
    "sides": (np.uint16, ()),
    "face_types": (np.uint8, ()),
    "landmarks": (np.float32, (LANDMARKS, 2)),
    "frame_landmarks": (np.float32, (LANDMARKS, 2)),
    "frame_bboxes": (np.float32, (4,)),
    "frame_to_face": (np.float64, (2, 3)),
    "brow_lifts": (np.float64, ()),
}
"""Kind of number and shape for one face."""

INDEX_ARRAYS = ("offsets", *_SHAPES, "mask_offsets", "masks", TEXT)

_FACE_TYPES = tuple(FaceType)
_FARTHEST = 1e6
_LONGEST_TEXT = 1024
_SMALLEST_JPEG = 100


def columns_of(records: Sequence[FaceMetadata], names: Sequence[str]) -> dict[str, NDArray]:
    """The arrays of samplelib/pack.py that follow from the records.

    names: of the faces; with one folder at most, leading nowhere else. ValueError otherwise, or when two are the same.
    """
    _check_names(names)
    masks = [record.xseg_mask or b"" for record in records]
    further = {}
    for number, record in enumerate(records):
        if record.polygons or record.extra:
            polygons = record.to_record()["polygons"]
            further[str(number)] = {"polygons": polygons, "extra": dict(record.extra)}
    texts = {
        "names": list(names),
        "frame_names": [record.frame_name for record in records],
        "detectors": [record.detector for record in records],
        "further": further,
    }
    return {
        "face_types": np.array([_FACE_TYPES.index(record.face_type) for record in records], np.uint8),
        "landmarks": np.stack([record.landmarks for record in records]),
        "frame_landmarks": np.stack([record.frame_landmarks for record in records]),
        "frame_bboxes": np.stack([record.frame_bbox for record in records]),
        "frame_to_face": np.stack([record.frame_to_face for record in records]),
        "brow_lifts": np.array([record.brow_lift for record in records], np.float64),
        "mask_offsets": np.concatenate([[0], np.cumsum([len(mask) for mask in masks])]).astype(np.uint64),
        "masks": np.frombuffer(b"".join(masks), np.uint8),
        TEXT: np.frombuffer(json.dumps(texts, allow_nan=False).encode("ascii"), np.uint8),
    }


def check_index(columns: Mapping[str, NDArray], texts: Mapping[str, Any]) -> None:
    """Refuses an index that breaks a rule, of its own or of a face record.

    Raises:
        ValueError: one sentence what is wrong.
    """
    count = len(columns["offsets"]) - 1
    for name, (kind, shape) in _SHAPES.items():
        if columns[name].dtype != kind or columns[name].shape != (count, *shape):
            raise ValueError(f"{name} is not an array of {kind.__name__} of shape {(count, *shape)}.")
        if kind in (np.float32, np.float64):
            # One pass each: least and greatest are NaN where any number is.
            least, greatest = columns[name].min(), columns[name].max()
            if not (least >= -_FARTHEST and greatest <= _FARTHEST):
                raise ValueError(f"{name} holds a number that is not finite or larger than {_FARTHEST:.0f}.")
    _check_offsets("offsets", columns["offsets"], count, int(columns["offsets"][-1]), _SMALLEST_JPEG)
    _check_offsets("mask_offsets", columns["mask_offsets"], count, len(columns["masks"]), 0)
    if columns["masks"].dtype != np.uint8 or columns["masks"].ndim != 1:
        raise ValueError("masks is not a row of bytes.")
    if columns["face_types"].max() >= len(_FACE_TYPES):
        raise ValueError("face_type is not one this version knows.")
    if columns["sides"].min() < 1 or columns["sides"].max() > LARGEST_SIDE:
        raise ValueError(f"a face has 1 to {LARGEST_SIDE} pixels a side.")
    (a, b), (d, e) = columns["frame_to_face"][:, :, :2].transpose(1, 2, 0)
    if np.any(np.abs(a * e - b * d) <= 1e-12 * np.maximum(np.maximum(np.abs(a * e), np.abs(b * d)), 1e-300)):
        raise ValueError("frame_to_face flattens a face, so there is no way back to the frame.")
    for name in ("names", "frame_names", "detectors"):
        values = texts[name]
        if not isinstance(values, list) or len(values) != count or not all(isinstance(v, str) for v in values):
            raise ValueError(f"{name} is not a list of {count} texts.")
        if max(map(len, values)) > _LONGEST_TEXT:
            raise ValueError(f"one of {name} is longer than {_LONGEST_TEXT} letters.")
    _check_names(texts["names"])
    _check_frame_names(texts["frame_names"])


def _check_offsets(name: str, offsets: NDArray, count: int, end: int, least: int) -> None:
    whole = offsets.dtype == np.uint64 and offsets.shape == (count + 1,) and int(offsets[0]) == 0
    # In int64 a wild offset turns negative and so falls.
    if not whole or int(offsets[-1]) != end or np.any(np.diff(offsets.astype(np.int64)) < least):
        raise ValueError(f"{name} does not rise from 0 to {end}.")


_PLAIN = re.compile(r"(?:[A-Za-z0-9_-]+/)?[0-9]+(?:_[0-9]+)*\.jpe?g", re.IGNORECASE | re.ASCII)
"""The names that nearly all faces have; they need no closer look."""


def _check_names(names: Sequence[str]) -> None:
    """Every name is a file name, perhaps below one folder, that leads nowhere else on any system; no two are one."""
    for name in names:
        if _PLAIN.fullmatch(name) and not name.upper().startswith(("CON/", "PRN/", "AUX/", "NUL/", "COM", "LPT")):
            continue
        parts = name.split("/")
        if len(parts) > 2:
            raise ValueError(f"the name {name[:60]!r} has more than one folder.")
        for part in parts:
            plain_name(part)
    if len({name.casefold() for name in names}) != len(names):
        raise ValueError("two faces have the same name.")


def _check_frame_names(names: Sequence[str]) -> None:
    """Plain file names, as face_record.py wants them; looked at all at once, set apart by line feeds."""
    joined = "\n".join(names)
    if joined.count("\n") != len(names) - 1 or re.search(r"[/\\\x00-\x09\x0b-\x1f]|(?:^|\n)[A-Za-z]:", joined):
        raise ValueError("a frame_name is not a plain file name.")
    if not {"", ".", ".."}.isdisjoint(names):
        raise ValueError("a frame_name is not a plain file name.")


def assemble_records(columns: Mapping[str, NDArray], texts: Mapping[str, Any]) -> list[FaceMetadata]:
    """The records of an index that `check_index` has passed.

    Raises:
        ValueError: a mask is no PNG file, or what only some faces have (polygons, unknown keys) breaks a rule.
    """
    for column in columns.values():
        column.setflags(write=False)
    masks = columns["masks"].tobytes()
    ends = columns["mask_offsets"].tolist()
    rows = zip(
        [_FACE_TYPES[number] for number in columns["face_types"].tolist()],
        columns["landmarks"],
        texts["frame_names"],
        columns["frame_bboxes"],
        columns["frame_landmarks"],
        columns["frame_to_face"],
        columns["brow_lifts"].tolist(),
        [masks[start:end] if end > start else None for start, end in itertools.pairwise(ends)],
        texts["detectors"],
        strict=True,
    )
    further = _further(texts["further"], len(ends) - 1)
    names = ("face_type", "landmarks", "frame_name", "frame_bbox", "frame_landmarks", "frame_to_face", "brow_lift")
    keys = (*names, "xseg_mask", "detector")
    records = []
    for row in rows:
        fields = dict(zip(keys, row, strict=True))
        if fields["xseg_mask"] is not None:
            png_size(fields["xseg_mask"])
        record = object.__new__(FaceMetadata)  # past the checks of its own, which check_index has made
        record.__dict__.update(fields, polygons=(), extra={})
        records.append(record)
    for number, (polygons, extra) in further.items():
        few = records[number]
        records[number] = FaceMetadata(**{**few.__dict__, "polygons": polygons, "extra": extra})
    return records


def _further(entries: Any, count: int) -> dict[int, tuple[tuple[Polygon, ...], Mapping[str, Any]]]:
    if not isinstance(entries, dict):
        raise ValueError("what only some faces have is not an object.")
    found = {}
    for key, entry in entries.items():
        if not (key.isascii() and key.isdigit() and int(key) < count):
            raise ValueError(f"there is no face number {key[:20]}.")
        if not isinstance(entry, dict) or set(entry) != {"polygons", "extra"}:
            raise ValueError(f"what is further known of face {key} is not polygons and extra.")
        polygons = tuple(Polygon(polygon["include"], polygon["points"]) for polygon in entry["polygons"])
        found[int(key)] = (polygons, entry["extra"])
    return found


def packed_path(folder: Path, name: str) -> Path:
    """Where a face of a pack goes when it is unpacked into `folder`."""
    return folder.joinpath(*name.split("/"))
