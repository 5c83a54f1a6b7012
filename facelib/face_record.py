"""The record of a face: what lets any step know where a face came from. metadata.py keeps it in files.

    JSON    one JSON object, ASCII:
            schema           "Face.1"
            face_type        "half_face", "midfull_face", "full_face", "whole_face" or "head"
            landmarks        68 pairs [x, y], pixels of this face
            frame_name       file name of the frame, without folder
            frame_bbox       [left, top, right, bottom], frame pixels; may leave the frame
            frame_landmarks  68 pairs [x, y], frame pixels
            frame_to_face    [[a, b, c], [d, e, f]]: face x = a*x + b*y + c, face y = d*x + e*y + f
            brow_lift        how far the hull mask rises above the brows: 1 is half the distance from brow to eye
            polygons         list of {"include": true or false, "points": list of [x, y], face pixels}
            detector         who found the face, for example "blazeface+mesh 1"
            finding          optional, how it was found (facelib/extraction.py): {"score": 0..1, "presence": logit,
                             "track": number, "gap": true where the detector missed it, "moved": by smoothing}
            any other key is kept as it is
    MASK    the applied mask as a PNG of any size, gray, 255 = face; absent where none was applied

Numbers are finite; coordinates lie within a million pixels of the origin. A reader refuses what breaks these rules and
never runs anything it finds.
"""

import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import BrokenFile
from core.geometry import invert_affine
from facelib.face_type import FaceType
from facelib.landmarks import LANDMARKS

SCHEMA = "Face.1"
# Schema of an older version -> function that turns its record into one of the next version (with its own "schema").
# None yet: "Face.1" is the first.
UPGRADES: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = MappingProxyType({})

_FARTHEST = 1e6
LARGEST_RECORD_BYTES = 4 << 20
_LARGEST_MASK_BYTES = 16 << 20
LARGEST_MASK_SIDE = 8192
_MOST_POLYGONS = 4096
_MOST_POLYGON_POINTS = 100_000
_LONGEST_TEXT = 1024
_AGAIN = "Extract this face again."


@dataclass(frozen=True, eq=False)
class Polygon:
    """A hand-drawn area of a face: part of it (include) or not. points: float32 (N, 2), face pixels."""

    include: bool
    points: NDArray

    def __post_init__(self) -> None:
        if not isinstance(self.include, bool):
            raise ValueError(f"whether a polygon includes is true or false. Received: {self.include!r}.")
        object.__setattr__(self, "points", _points("points of a polygon", self.points, None))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Polygon):
            return NotImplemented
        return self.include == other.include and np.array_equal(self.points, other.points)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class FaceMetadata:
    """Everything a face file knows of its face; checked when it is made, ValueError where a rule is broken.

    The fields are those of the module's docstring. Arrays are copied and read-only: landmarks and frame_landmarks
    float32 (68, 2), frame_bbox float32 (4,), frame_to_face float64 (2, 3). xseg_mask: PNG bytes or None.
    extra: keys of the JSON object that this version does not know.
    """

    face_type: FaceType
    landmarks: NDArray
    frame_name: str
    frame_bbox: NDArray
    frame_landmarks: NDArray
    frame_to_face: NDArray
    brow_lift: float = 1.0
    polygons: tuple[Polygon, ...] = ()
    xseg_mask: bytes | None = None
    detector: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.face_type, FaceType):
            raise ValueError(f"the face type is not known. Received: {self.face_type!r}.")
        checked = {
            "landmarks": _points("landmarks", self.landmarks, LANDMARKS),
            "frame_name": _frame_name(self.frame_name),
            "frame_bbox": _numbers("frame_bbox", self.frame_bbox, (4,), np.float32),
            "frame_landmarks": _points("frame_landmarks", self.frame_landmarks, LANDMARKS),
            "frame_to_face": _affine(self.frame_to_face),
            "brow_lift": float(_numbers("brow_lift", self.brow_lift, (), np.float64)),
            "polygons": _polygons(self.polygons),
            "detector": _text("detector", self.detector),
            "extra": _extra(self.extra),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.xseg_mask is not None:
            png_size(self.xseg_mask)

    @property
    def mask_size(self) -> tuple[int, int] | None:
        """(width, height) of the applied mask in pixels; None where there is none."""
        return None if self.xseg_mask is None else png_size(self.xseg_mask)

    def to_record(self) -> dict[str, Any]:
        """The JSON object of the module's docstring, without the mask. float32 values keep their shortest spelling."""
        return {
            **self.extra,
            "schema": SCHEMA,
            "face_type": self.face_type.value,
            "landmarks": _short_numbers(self.landmarks),
            "frame_name": self.frame_name,
            "frame_bbox": _short_numbers(self.frame_bbox),
            "frame_landmarks": _short_numbers(self.frame_landmarks),
            "frame_to_face": self.frame_to_face.tolist(),
            "brow_lift": self.brow_lift,
            "polygons": [{"include": p.include, "points": _short_numbers(p.points)} for p in self.polygons],
            "detector": self.detector,
        }

    def to_json(self) -> str:
        """`to_record` as text."""
        return json.dumps(self.to_record(), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes, path: Path, xseg_mask: bytes | None = None) -> "FaceMetadata":
        """Read and check a record. `path` is only named in errors. BrokenFile where a rule is broken."""
        try:
            record = _upgraded(_parse_object(text))
            values = {name: _take(record, name) for name in _FIELDS_IN_JSON}
            values["face_type"] = _face_type(values["face_type"])
            values["polygons"] = tuple(_polygon(entry) for entry in _list("polygons", values["polygons"]))
            return cls(**values, xseg_mask=xseg_mask, extra=record)
        except ValueError as problem:
            raise BrokenFile(path, f"its face record is damaged: {problem}", _AGAIN) from problem

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FaceMetadata):
            return NotImplemented
        return all(_same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]


_FIELDS_IN_JSON = tuple(f.name for f in fields(FaceMetadata) if f.name not in ("xseg_mask", "extra"))


def png_size(data: bytes) -> tuple[int, int]:
    """(width, height) in pixels of a PNG file in memory. ValueError where it is none, or too large for a mask."""
    if not isinstance(data, bytes) or len(data) > _LARGEST_MASK_BYTES:
        raise ValueError(f"the mask is a PNG file of at most {_LARGEST_MASK_BYTES >> 20} MB.")
    if data[:16] != b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" or len(data) < 24:
        raise ValueError("the mask is not a PNG file.")
    width, height = struct.unpack(">II", data[16:24])
    if not (0 < width <= LARGEST_MASK_SIDE and 0 < height <= LARGEST_MASK_SIDE):
        raise ValueError(f"a mask has at most {LARGEST_MASK_SIDE} pixels a side. Received: {width}x{height}.")
    return width, height


def _parse_object(text: str | bytes) -> dict[str, Any]:
    if len(text) > LARGEST_RECORD_BYTES:
        raise ValueError(f"it is longer than {LARGEST_RECORD_BYTES >> 20} MB.")
    try:
        record = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as problem:
        raise ValueError("it is nested too deep.") from problem
    if not isinstance(record, dict):
        raise ValueError("it is not a JSON object.")
    return record


def _upgraded(record: dict[str, Any]) -> dict[str, Any]:
    """The record in the present schema, whose name is taken out."""
    schema = _take(record, "schema")
    while schema != SCHEMA:
        if not isinstance(schema, str) or schema not in UPGRADES:
            raise ValueError(f"its schema is not one this version can read. Received: {str(schema)[:40]}.")
        record = UPGRADES[schema](record)
        schema = _take(record, "schema")
    return record


def _refuse_constant(word: str) -> float:
    raise ValueError(f"a number is not finite. Received: {word}.")


def _take(record: dict[str, Any], name: str) -> Any:
    if name not in record:
        raise ValueError(f"{name} is missing.")
    return record.pop(name)


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list.")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError(f"{name} is not a text of at most {_LONGEST_TEXT} letters.")
    return value


def _face_type(value: Any) -> FaceType:
    for face_type in FaceType:
        if face_type.value == value:
            return face_type
    raise ValueError(f"face_type is not one this version knows. Received: {str(value)[:40]}.")


def _frame_name(value: Any) -> str:
    name = _text("frame_name", value)
    # A name with a folder or a drive could lead a later step out of its folder.
    if name in ("", ".", "..") or re.search(r"[/\\\x00-\x1f]", name) or re.match(r"[A-Za-z]:", name):
        raise ValueError(f"frame_name is not a plain file name. Received: {name[:80]!r}.")
    return name


def _numbers(name: str, value: ArrayLike, shape: tuple[int | None, ...], kind: type) -> NDArray:
    """A checked, read-only copy. None in `shape` leaves that length open."""
    try:
        numbers = np.array(value)
    except (ValueError, OverflowError) as problem:
        raise ValueError(f"{name} is not an array of numbers of one shape.") from problem
    if numbers.size == 0 and shape[:1] == (None,):
        numbers = np.zeros((0, *shape[1:]))  # type: ignore[arg-type]
    if numbers.dtype.kind not in "iuf":
        raise ValueError(f"{name} holds something that is not a number.")
    if len(numbers.shape) != len(shape) or any(w not in (None, s) for w, s in zip(shape, numbers.shape, strict=True)):
        wanted = tuple("n" if length is None else length for length in shape)
        raise ValueError(f"{name} has the shape {numbers.shape} and not {wanted}.".replace("'", ""))
    if not np.all(np.abs(numbers.astype(np.float64)) <= _FARTHEST):  # also false for NaN
        raise ValueError(f"{name} holds a number that is not finite or larger than {_FARTHEST:.0f}.")
    checked: NDArray = numbers.astype(kind)
    checked.setflags(write=False)
    return checked


def _points(name: str, value: ArrayLike, count: int | None) -> NDArray:
    return _numbers(name, value, (count, 2), np.float32)


def _affine(value: ArrayLike) -> NDArray:
    matrix = _numbers("frame_to_face", value, (2, 3), np.float64)
    try:
        invert_affine(matrix)
    except ValueError as problem:
        raise ValueError("frame_to_face flattens the face, so there is no way back to the frame.") from problem
    return matrix


def _polygon(entry: Any) -> Polygon:
    if not isinstance(entry, dict) or set(entry) != {"include", "points"}:
        raise ValueError("a polygon is not an object with the keys include and points.")
    return Polygon(entry["include"], entry["points"])


def _polygons(value: Any) -> tuple[Polygon, ...]:
    polygons = tuple(value)
    if not all(isinstance(polygon, Polygon) for polygon in polygons):
        raise ValueError("polygons holds something that is not a Polygon.")
    points = sum(len(polygon.points) for polygon in polygons)
    if len(polygons) > _MOST_POLYGONS or points > _MOST_POLYGON_POINTS:
        raise ValueError(f"there are {len(polygons)} polygons with {points} points, too many for a face.")
    return polygons


def _extra(value: Any) -> dict[str, Any]:
    known = {"schema", *_FIELDS_IN_JSON}
    if not isinstance(value, Mapping) or any(not isinstance(key, str) or key in known for key in value):
        raise ValueError("extra is not an object of keys that this version does not know.")
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as problem:
        raise ValueError(f"a key that this version does not know cannot be kept: {problem}.") from problem
    return dict(value)


def _short_numbers(array: NDArray) -> Any:
    """float32 array -> nested lists with the fewest digits that read back as the same float32."""
    if array.ndim > 1:
        return [_short_numbers(row) for row in array]
    return [float(str(value)) for value in array]


def _same(first: Any, second: Any) -> bool:
    return np.array_equal(first, second) if isinstance(first, np.ndarray) else first == second
