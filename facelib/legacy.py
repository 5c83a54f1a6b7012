"""Faces of DeepFaceLab: its record in a picture or a `meta.dat`, read as a `FaceMetadata` and written back.

    JPEG       segment APP15 (the last one counts): a dictionary, see below, as an object stream
    PNG        chunk "fcWp" before the end: the same with fewer keys (releases before 2.0)
    meta.dat   a dictionary of file name -> ((height, width, 3), dictionary)

    key                    here
    face_type              face_type; "full_face" where absent. "*_no_align" is read as the type it frames, and kept
    landmarks              landmarks, pixels of this face
    source_filename        frame_name; the name of the face file where absent
    source_rect            frame_bbox; around the landmarks where absent
    source_landmarks       frame_landmarks; through the matrix, or the landmarks themselves, where absent
    image_to_face_mat      frame_to_face; fitted to both sets of landmarks where absent
    eyebrows_expand_mod    brow_lift; 1 where absent
    seg_ie_polys           polygons, those that include first
    xseg_mask              xseg_mask: a PNG or JPEG file, turned into a gray PNG
    others                 extra["dfl"], arrays as base64, written back by `values_of`

A value None counts as absent. What breaks a rule is refused with a sentence; a face marked as "mark_only" is a whole
frame and no face. Streams are read by core/legacy_pickle, which never runs one.
Source: spec faces-and-formats 7, 8.2 and errata.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import BrokenFile, NotAFace
from core.geometry import invert_affine, similarity_from_points, transform_points
from core.images import decode_gray, encode_png
from core.jpeg import JpegHead, Segment, jpeg_size
from core.legacy_pickle import FACE_LIMITS, Limits, decode
from core.legacy_writer import encode
from core.png import read_png_chunk
from facelib.alignment import bbox_from_landmarks
from facelib.face_record import LARGEST_MASK_SIDE, FaceMetadata, Polygon, png_size
from facelib.face_type import FaceType
from facelib.landmarks import LANDMARKS

APP15 = 0xEF
LARGEST_STREAM = 65_533
"""Bytes that fit into one segment."""

DETECTOR = "dfl"
"""What a legacy record says of who found the face: nothing."""

_STREAM_START = b"\x80"
_LARGEST_META_DAT = 2 << 30
_PNG_LIMITS = Limits(length=1 << 20, steps=1 << 20)

_LARGEST_FACE_SIDE = 1 << 14
_MOST_EXTRA_TEXT = 1 << 20
_PNG_GRAY_8 = b"\x08\x00"
_NO_FACE_HERE = "Extract faces from the frame, or leave it out."
_AGAIN = "Extract this face again."
_UNALIGNED = {"full_face_no_align": FaceType.FULL, "head_no_align": FaceType.HEAD}
_GEOMETRY = ("face_type", "landmarks", "source_filename", "source_rect", "source_landmarks", "image_to_face_mat")
_KNOWN = frozenset((*_GEOMETRY, "eyebrows_expand_mod", "seg_ie_polys", "xseg_mask"))


def is_legacy_segment(segment: Segment) -> bool:
    """Whether a segment of a JPEG holds a record of DeepFaceLab, sound or not."""
    return segment.marker == APP15 and segment.payload.startswith(_STREAM_START)


def face_from_segments(head: JpegHead, path: Path) -> FaceMetadata | None:
    """The face that the last APP15 of a JPEG describes; None where there is none, or an empty dictionary.

    Raises:
        NotAFace: it marks a whole frame.
        BrokenFile: it is damaged, breaks a rule, or asks for something it must not have.
    """
    streams = [segment.payload for segment in head.segments if is_legacy_segment(segment)]
    return face_from_stream(streams[-1], path) if streams else None


def read_png_face(path: Path) -> tuple[FaceMetadata, tuple[int, int]]:
    """The face that the chunk of an old PNG describes, and (width, height) of the picture; no pixel is decoded.

    Raises:
        NotAFace: a PNG without such a chunk, or one that marks a whole frame.
        BrokenFile: as `face_from_segments`, or no PNG.
    """
    try:
        with open(path, "rb") as stream:
            size, payload = read_png_chunk(stream, b"fcWp", _PNG_LIMITS.length, path)
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem
    metadata = None if payload is None else face_from_stream(payload, path, _PNG_LIMITS)
    if metadata is None:
        raise NotAFace(f"{path}: this picture carries no face record.", "Extract faces first, or leave it out.")
    return metadata, size


def may_be_old_face(path: Path) -> bool:
    """Whether a PNG carries the chunk of an old face, or is damaged, so that nobody can tell."""
    try:
        with open(path, "rb") as stream:
            return read_png_chunk(stream, b"fcWp", _PNG_LIMITS.length, path)[1] is not None
    except (OSError, BrokenFile):
        return True


def face_from_stream(stream: bytes, path: Path, limits: Limits = FACE_LIMITS) -> FaceMetadata | None:
    """The face that an object stream describes; None for an empty dictionary. `path` is named in errors, and stands in
    for the frame where the record names none. Errors as in `face_from_segments`.
    """
    try:
        values = decode(stream, limits)
        if not isinstance(values, dict):
            raise ValueError("it is no dictionary.")
        return metadata_from_values(values, path)
    except ValueError as problem:
        raise BrokenFile(path, f"its DeepFaceLab record is refused: {problem}", _AGAIN) from problem


def metadata_from_values(values: Mapping[Any, Any], path: Path) -> FaceMetadata | None:
    """The face that a dictionary describes; None where it is empty. ValueError where it breaks a rule; NotAFace."""
    given = {key: value for key, value in values.items() if value is not None}
    if not given:
        return None
    word, face_type = _face_type(given.get("face_type", FaceType.FULL.value), path)
    if "landmarks" not in given:
        raise ValueError("landmarks are missing.")
    landmarks = _points("landmarks", given["landmarks"])
    frame_landmarks, matrix = _frame_geometry(given, landmarks)
    unknown = {key: value for key, value in given.items() if key not in _KNOWN}
    if word != face_type.value:
        unknown["face_type"] = word
    return FaceMetadata(
        face_type=face_type,
        landmarks=landmarks,
        frame_name=given.get("source_filename", path.name),
        frame_bbox=given["source_rect"] if "source_rect" in given else bbox_from_landmarks(frame_landmarks),
        frame_landmarks=frame_landmarks,
        frame_to_face=matrix,
        brow_lift=given.get("eyebrows_expand_mod", 1.0),
        polygons=_polygons(given.get("seg_ie_polys", ())),
        xseg_mask=_mask_file(given["xseg_mask"], path) if "xseg_mask" in given else None,
        detector=DETECTOR,
        extra={"dfl": _kept(unknown)} if unknown else {},
    )


def values_of(metadata: FaceMetadata) -> dict[str, Any]:
    """The dictionary that DeepFaceLab keeps of a face, in its own order and types. Counterpart of the reading above.

    The mask is left out: `facelib.legacy_export` fits it into what room there is.
    """
    extra = metadata.extra.get("dfl", {})
    restored = _restored(extra) if isinstance(extra, Mapping) else {}
    values: dict[str, Any] = {
        "face_type": metadata.face_type.value,
        "landmarks": metadata.landmarks.astype(float).tolist(),
        "source_filename": metadata.frame_name,
        "source_rect": np.rint(metadata.frame_bbox).astype("<i4"),
        "source_landmarks": metadata.frame_landmarks.astype(float).tolist(),
        "image_to_face_mat": metadata.frame_to_face.astype("<f8"),
    }
    if _UNALIGNED.get(str(restored.get("face_type"))) is metadata.face_type:
        values["face_type"] = restored["face_type"]
    if metadata.brow_lift != 1.0:
        values["eyebrows_expand_mod"] = metadata.brow_lift
    if metadata.polygons:
        values["seg_ie_polys"] = {
            "polys": [{"type": int(p.include), "pts": p.points.astype("<f4")} for p in metadata.polygons]
        }
    return values | {key: value for key, value in restored.items() if key not in _KNOWN and value is not None}


def read_meta_dat(path: Path) -> tuple[dict[str, tuple[tuple[int, int], FaceMetadata]], list[tuple[str, str]]]:
    """A metadata backup: file name -> ((width, height) of the picture, its face); and (name, reason) of others.

    Raises:
        BrokenFile: the file as a whole is damaged or asks for something it must not have.
    """
    try:
        length = path.stat().st_size
        if length > _LARGEST_META_DAT:
            raise ValueError(f"it is larger than {_LARGEST_META_DAT >> 30} GB.")
        entries = decode(path.read_bytes(), Limits.of_file(length))
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem
    except ValueError as problem:
        raise BrokenFile(path, f"this metadata backup is refused: {problem}") from problem
    if not isinstance(entries, dict):
        raise BrokenFile(path, "this metadata backup is refused: it is no dictionary.")
    faces: dict[str, tuple[tuple[int, int], FaceMetadata]] = {}
    problems: list[tuple[str, str]] = []
    for name, entry in entries.items():
        try:
            plain = plain_name(name)
            if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[1], dict):
                raise ValueError("it is not a size and a dictionary.")
            metadata = metadata_from_values(entry[1], path.parent / plain)
            if metadata is None:
                raise ValueError("its dictionary is empty.")
            faces[plain] = (picture_size(entry[0]), metadata)
        except (ValueError, BrokenFile, NotAFace) as problem:
            problems.append((str(name)[:80], problem.why if isinstance(problem, BrokenFile) else str(problem)))
    return faces, problems


def write_meta_dat(faces: Mapping[str, tuple[tuple[int, int], dict[str, Any]]]) -> bytes:
    """The bytes of a metadata backup: file name -> ((width, height), dictionary as of `values_of` with its mask)."""
    return encode({name: ((size[1], size[0], 3), values) for name, (size, values) in faces.items()}, protocol=3)


def plain_name(name: Any) -> str:
    """A file name that leads into no other folder, on any system. ValueError for any other."""
    if not isinstance(name, str) or not 0 < len(name.encode("utf-8", "replace")) <= 255:
        raise ValueError("a file name is no text of 1 to 255 bytes.")
    stem = name.split(".")[0].rstrip().upper()
    device = stem in _DEVICES or (stem[:-1] in ("COM", "LPT") and stem[-1:].isdigit())
    if device or _FORBIDDEN.search(name) or name[0] == "." or name[-1] in " .":
        raise ValueError(f"the name {name[:60]!r} could lead out of its folder.")
    return name


_DEVICES = frozenset(("CON", "PRN", "AUX", "NUL"))
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


def picture_size(shape: Any) -> tuple[int, int]:
    """(width, height) from (height, width, channels). ValueError where no face can have that size."""
    sides = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sides) not in (2, 3) or any(type(side) is not int for side in sides):
        raise ValueError("the size of a picture is not given by two or three whole numbers.")
    if not all(0 < side <= _LARGEST_FACE_SIDE for side in sides[:2]):
        raise ValueError(f"a face has at most {_LARGEST_FACE_SIDE} pixels a side. Received: {sides[1]}x{sides[0]}.")
    return sides[1], sides[0]


def _face_type(word: Any, path: Path) -> tuple[str, FaceType]:
    if not isinstance(word, str):
        raise ValueError("face_type is no text.")
    word = word.casefold()
    if word == "mark_only":
        raise NotAFace(f"{path}: this is a whole frame with marked landmarks (mark_only), no face.", _NO_FACE_HERE)
    for face_type in FaceType:
        if face_type.value == word:
            return word, face_type
    if word not in _UNALIGNED:
        raise ValueError(f"face_type is not one this version knows. Received: {word[:40]}.")
    return word, _UNALIGNED[word]


def _points(name: str, value: Any) -> np.ndarray:
    """(68, 2) float64; what is in them is checked with the record."""
    if not isinstance(value, list | tuple | np.ndarray) or len(value) != LANDMARKS:
        raise ValueError(f"{name} are not {LANDMARKS} points.")
    try:
        points = np.asarray(value, np.float64)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{name} hold something that is not a number.") from problem
    if points.shape != (LANDMARKS, 2) or not np.all(np.isfinite(points)):
        raise ValueError(f"{name} are not {LANDMARKS} pairs of finite numbers.")
    return points


def _frame_geometry(given: Mapping[Any, Any], landmarks: np.ndarray) -> tuple[np.ndarray, Any]:
    """Landmarks in the frame, and the matrix from the frame to the face; either follows from the other."""
    matrix = given.get("image_to_face_mat")
    if "source_landmarks" in given:
        frame_landmarks = _points("source_landmarks", given["source_landmarks"])
        return frame_landmarks, similarity_from_points(frame_landmarks, landmarks) if matrix is None else matrix
    if matrix is None:
        return landmarks, np.eye(2, 3)
    if not isinstance(matrix, np.ndarray) or matrix.shape != (2, 3):
        raise ValueError("image_to_face_mat is no matrix of 2 by 3 numbers.")
    return transform_points(landmarks, invert_affine(matrix.astype(np.float64))), matrix


def _polygons(value: Any) -> tuple[Polygon, ...]:
    """From {"polys": [{"type", "pts"}]} or the older list of (type, pts): those that include first; empty ones go."""
    entries = value.get("polys", ()) if isinstance(value, dict) else value
    if not isinstance(entries, list | tuple):
        raise ValueError("seg_ie_polys is not a list of polygons.")
    polygons = []
    for entry in entries:
        kind, points = (entry.get("type"), entry.get("pts")) if isinstance(entry, dict) else _pair(entry)
        if type(kind) is not int or kind not in (0, 1):
            raise ValueError("the type of a polygon is neither 0 nor 1.")
        if not isinstance(points, list | tuple | np.ndarray):
            raise ValueError("a polygon has no list of points.")
        if isinstance(points, np.ndarray) and points.ndim == 1 and len(points) == 2:
            points = points.reshape(1, 2)  # so the resizer left a polygon of one point
        if len(points):
            polygons.append(Polygon(bool(kind), np.asarray(points)))
    return (*(p for p in polygons if p.include), *(p for p in polygons if not p.include))


def _pair(entry: Any) -> tuple[Any, Any]:
    if not isinstance(entry, list | tuple | np.ndarray) or len(entry) != 2:
        raise ValueError("a polygon is not a type and its points.")
    return entry[0], entry[1]


def _mask_file(value: Any, path: Path) -> bytes | None:
    """The applied mask as a gray PNG, from the bytes of a PNG or JPEG file in an array."""
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8:
        raise ValueError("xseg_mask is not a file in an array of bytes.")
    data = value.tobytes()
    if not data:
        return None
    if data.startswith(b"\x89PNG"):
        png_size(data)
        if data[24:26] == _PNG_GRAY_8:
            return data
    elif max(jpeg_size(data, path)) > LARGEST_MASK_SIDE:
        raise ValueError(f"a mask has at most {LARGEST_MASK_SIDE} pixels a side.")
    return encode_png(decode_gray(data, path), compression=9)


def _kept(value: Any) -> Any:
    """A value as JSON can hold it; arrays as {"array", "shape", "base64"}, numbers that are not finite as null."""
    if isinstance(value, np.ndarray):
        native = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        text = base64.b64encode(native.tobytes()).decode("ascii")
        return {"array": native.dtype.str, "shape": list(native.shape), "base64": text}
    if isinstance(value, dict):
        return {str(key): _kept(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _restored(value: Any) -> Any:
    """Counterpart of `_kept`. An array that is none any more stays away."""
    if isinstance(value, dict) and set(value) == {"array", "shape", "base64"}:
        try:
            data = base64.b64decode(value["base64"], validate=True)
            if value["array"] not in ("<f8", "<f4", "<i8", "<i4", "|u1"):
                return None
            return np.frombuffer(data, value["array"]).reshape([int(side) for side in value["shape"]])
        except (TypeError, ValueError):
            return None
    if isinstance(value, Mapping):
        return {key: _restored(inner) for key, inner in value.items()}
    return [_restored(inner) for inner in value] if isinstance(value, list) else value
