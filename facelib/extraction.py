"""One frame -> its faces: find, align, cut out, describe. No files, no processes: `mainscripts/extract.py` has those.

A finder is anything with `find`; the default one is facelib/nets/face_mesh.py, tests use painted faces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace
from core.geometry import invert_affine, transform_points, warp
from core.images import encode_jpeg, to_uint8
from facelib import landmarks as points
from facelib.alignment import bbox_from_landmarks, frame_to_face, frame_to_unit
from facelib.face_type import FaceType
from facelib.masks import hull_mask
from facelib.metadata import FaceMetadata


@dataclass(frozen=True)
class FoundFace:
    """A face as a finder reports it, in frame pixels.

    Attributes:
        landmarks: float32 (68, 2).
        bbox: float32 (4,) left, top, right, bottom; one meaning for all finders: `bbox_from_landmarks`.
        score: 0..1, how sure the finder is.
        presence: what the landmark network says of there being a face (a logit: 15 and more for clear faces); None
            where it says nothing.
        track: number of the person's track (facelib/tracking.py); 0: none.
        gap: whether the finder missed it, and it was found where its track led.
        moved: how far smoothing moved the landmark that it moved most, in sides of the box; None: not smoothed.
    """

    landmarks: NDArray
    bbox: NDArray
    score: float
    presence: float | None = None
    track: int = 0
    gap: bool = False
    moved: float | None = None

    @classmethod
    def from_landmarks(cls, landmarks: NDArray, score: float, presence: float | None = None) -> FoundFace:
        """The box follows from the landmarks. NotAFace where these do not form a face."""
        landmarks = np.asarray(landmarks, np.float32)
        return cls(landmarks, bbox_from_landmarks(landmarks), score, presence)

    @property
    def side(self) -> float:
        """Of the box, in pixels."""
        return float(self.bbox[2] - self.bbox[0])

    @property
    def finding(self) -> dict[str, Any]:
        """What the record of the face keeps of how it was found, under the key "finding"."""
        told: dict[str, Any] = {"score": round(self.score, 4)}
        if self.presence is not None:
            told["presence"] = round(self.presence, 2)
        if self.track:
            told["track"] = self.track
        if self.gap:
            told["gap"] = True
        if self.moved is not None:
            told["moved"] = round(self.moved, 5)
        return told

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        left, top, right, bottom = (float(v) for v in self.bbox)
        return (right - left) * (bottom - top)


class FaceFinder(Protocol):
    """Whoever finds faces and their landmarks."""

    @property
    def identity(self) -> str:
        """Name, version and weights, as recorded with every face."""
        ...

    def find(self, frame: NDArray) -> list[FoundFace]:
        """The faces of (H, W, 3) BGR uint8, largest first; each person once."""
        ...


@runtime_checkable
class NearFinder(Protocol):
    """A finder that can also look where a face is expected."""

    def find_near(self, frame: NDArray, landmarks: NDArray) -> FoundFace | None:
        """The face at a place where `find` may have missed it; None where its networks see none.

        Args:
            frame: (H, W, 3) BGR uint8.
            landmarks: (68, 2), where they are expected, frame pixels.
        """
        ...


@dataclass(frozen=True)
class ExtractionSettings:
    """How faces are cut out.

    Attributes:
        side: of the stored face in pixels.
        max_faces: keep only so many, the largest; 0 keeps all.
        jpeg_quality: 1..100.
    """

    face_type: FaceType
    side: int
    max_faces: int = 0
    jpeg_quality: int = 90


@dataclass(frozen=True)
class ExtractedFace:
    """A face cut out of its frame: the picture as a JPEG file without record, and the record."""

    jpeg: bytes
    metadata: FaceMetadata


def extract_faces(
    frame: NDArray, frame_name: str, finder: FaceFinder, settings: ExtractionSettings
) -> list[ExtractedFace]:
    """All faces of one frame, largest first.

    Args:
        frame: (H, W, 3) BGR uint8 or uint16; 16-bit frames are cut out at full depth, then rounded to 8 bits.
        frame_name: file name without folder; goes into the records.
    """
    found = finder.find(to_uint8(frame))
    if settings.max_faces > 0:
        found = found[: settings.max_faces]
    return [cut_out(frame, frame_name, face.landmarks, finder.identity, settings, face.finding) for face in found]


def cut_out(
    frame: NDArray,
    frame_name: str,
    landmarks: NDArray,
    detector: str,
    settings: ExtractionSettings,
    finding: Mapping[str, Any] | None = None,
) -> ExtractedFace:
    """One aligned face; finding: goes into its record. NotAFace where the landmarks do not form a face."""
    to_face = frame_to_face(landmarks, settings.face_type, settings.side)
    face = to_uint8(warp(frame, to_face, settings.side, interpolation="area-cubic"))
    frame_landmarks = np.asarray(landmarks, np.float32)
    metadata = FaceMetadata(
        face_type=settings.face_type,
        landmarks=transform_points(frame_landmarks, to_face),
        frame_name=frame_name,
        frame_bbox=bbox_from_landmarks(frame_landmarks),
        frame_landmarks=frame_landmarks,
        frame_to_face=to_face,
        detector=detector,
        extra={} if finding is None else {"finding": dict(finding)},
    )
    return ExtractedFace(encode_jpeg(face, settings.jpeg_quality), metadata)


def crop_side_pixels(landmarks: NDArray, face_type: FaceType) -> float:
    """Side of the crop in frame pixels: the picture side at which nothing is lost and nothing is invented."""
    to_frame = invert_affine(frame_to_unit(landmarks))
    return face_type.unit_sides * math.hypot(*to_frame[:, 0])


def suggest_side(sides: Sequence[float], low: int = 256, high: int = 2048, step: int = 64) -> int:
    """A picture side for a whole faceset: nine of ten faces fit without losing detail.

    Args:
        sides: `crop_side_pixels` of a sample of its faces; must not be empty.
    """
    wanted = float(np.percentile(np.asarray(sides, np.float64), 90))
    return int(np.clip(math.ceil(wanted / step) * step, low, high))


_GREEN, _BLUE, _RED = (0, 255, 0), (255, 0, 0), (0, 0, 255)
_OPEN_LINES = (points.LEFT_BROW, points.RIGHT_BROW, points.JAW, points.NOSE_BRIDGE, points.NOSE_BASE)
_CLOSED_LINES = (points.LEFT_EYE, points.RIGHT_EYE, points.OUTER_MOUTH, points.INNER_MOUTH)
_SUBPIXEL_BITS = 4


def draw_debug(frame: NDArray, faces: Sequence[FaceMetadata]) -> NDArray:
    """The frame with what was found: landmarks green on the darkened hull, box blue, crop red with its corner marked,
    and the number of the track where there is one.

    Args:
        frame: (H, W, 3) BGR uint8 or uint16, not changed.

    Returns:
        (H, W, 3) BGR uint8. Source: spec faces-and-formats 6.5.
    """
    picture = to_uint8(frame).copy()
    height, width = picture.shape[:2]
    for face in faces:
        draw_landmarks(picture, face.frame_landmarks)
        hull = hull_mask(face.frame_landmarks, height, width)[..., None]
        picture = np.asarray(picture * (1 - hull / 2) + 0.5, np.uint8)
        draw_outline(picture, face.frame_bbox[[[0, 1], [2, 1], [2, 3], [0, 3]]], _BLUE, 2)
        draw_crop(picture, invert_affine(face.frame_to_face), _side_of(face))
        _draw_track(picture, face)
    return picture


def _draw_track(picture: NDArray, face: FaceMetadata) -> None:
    """Writes the number of the face's track into the upper left corner of its box."""
    finding = face.extra.get("finding")
    number = finding.get("track") if isinstance(finding, dict) else None
    if isinstance(number, int):
        left, top, right, _ = (float(v) for v in np.clip(face.frame_bbox, -1e5, 1e5))
        size = max(0.5, (right - left) / 300)
        place = round(max(left, 0) + 6), round(max(top, 0) + 6 + 22 * size)
        cv2.putText(picture, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, size, _BLUE, 2, cv2.LINE_AA)


def draw_crop(picture: NDArray, face_to_picture: NDArray, side: float) -> None:
    """Draws the outline of an aligned square in red, its upper left corner marked, into (H, W, 3) uint8, in place.

    face_to_picture: float64 (2, 3), pixels of the (side, side) face -> pixels of the picture.
    """
    outline = np.array([[0, 0], [side, 0], [side, side], [0, side]])
    corner = np.array([[0.05 * side, 0], [0.1 * side, 0.1 * side], [0, 0.1 * side]])
    draw_outline(picture, transform_points(outline, face_to_picture), _RED, 2)
    draw_outline(picture, transform_points(corner, face_to_picture), _RED, 1)


def draw_outline(picture: NDArray, corners: NDArray, color: tuple[int, int, int], thickness: int) -> None:
    """Draws a closed line through corners (K, 2) into (H, W, 3) uint8, in place."""
    _draw_lines(picture, corners, color, closed=True, thickness=thickness)


def draw_landmarks(picture: NDArray, landmarks: NDArray, color: tuple[int, int, int] = _GREEN) -> None:
    """Draws the 68 points and their lines, in green if not told otherwise, into (H, W, 3) uint8, in place."""
    for line in _OPEN_LINES:
        _draw_lines(picture, landmarks[line], color, closed=False, thickness=1)
    for line in _CLOSED_LINES:
        _draw_lines(picture, landmarks[line], color, closed=True, thickness=1)
    for number, point in enumerate(_fixed(landmarks)):
        radius = 2 if number in points.JAW else 1
        cv2.circle(picture, point.tolist(), radius << _SUBPIXEL_BITS, color, 1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _side_of(face: FaceMetadata) -> float:
    """The side of the aligned picture follows from the record: crop side in the frame times the scale of the matrix."""
    scale = math.hypot(*face.frame_to_face[:, 0])
    return crop_side_pixels(face.frame_landmarks, face.face_type) * scale


def _draw_lines(
    picture: NDArray, corners: NDArray, color: tuple[int, int, int], *, closed: bool, thickness: int
) -> None:
    cv2.polylines(picture, [_fixed(corners)], closed, color, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed(corners: NDArray) -> NDArray:
    """Sub-pixel positions as OpenCV's drawing functions take them; far outside ones are pulled in."""
    limited = np.clip(np.asarray(corners, np.float64), -1e5, 1e5)
    return np.round(limited * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def plausible_face(landmarks: NDArray, frame_height: int, frame_width: int, *, least_side: float = 24.0) -> bool:
    """Whether landmarks can belong to a real face worth cutting out.

    They must fit the mean face (a profile leaves a residual of about 0.15 unit sides, scattered points much more),
    have enough of themselves inside the frame, and be at least `least_side` pixels large (side of the box).
    """
    try:
        to_unit = frame_to_unit(landmarks)
    except NotAFace:
        return False
    fitted = transform_points(np.asarray(landmarks, np.float64), to_unit)[points.ALIGNMENT_INDICES]
    residual = np.sqrt(np.mean(np.sum((fitted - points.MEAN_FACE[points.ALIGNMENT_INDICES]) ** 2, axis=1)))
    inside = ((landmarks >= -0.5) & (landmarks <= (frame_width - 0.5, frame_height - 0.5))).all(axis=1)
    side = crop_side_pixels(landmarks, FaceType.FULL)
    return bool(residual < _WORST_RESIDUAL and inside.mean() >= _LEAST_INSIDE and side >= least_side)


_WORST_RESIDUAL = 0.25
_LEAST_INSIDE = 0.4
