"""Painted faces: cartoon heads whose 68 landmarks are known exactly, for tests that need exact answers.

    image, landmarks = paint_face(256, yaw=0.3, seed=7)                  # an aligned whole face
    frame, landmarks = paint_frame(640, 480, center=(300, 200), size=150)
    paths = write_painted_faceset(tmp_path / "aligned", count=20)        # face files with records

The head is the mean head in space, turned and seen by a camera; every landmark lies on the edge of something painted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from core.geometry import transform_points
from core.images import encode_jpeg, encode_png
from facelib.alignment import bbox_from_landmarks, frame_to_face
from facelib.face_type import FaceType
from facelib.landmarks import POSE_POINTS
from facelib.metadata import FaceMetadata, write_face

_CAMERA_DISTANCE = 600.0
"""Of the head from the camera, in the units of the mean head (which is about 150 wide)."""

_FRAME_SIDE = 640
_HEAD_WIDTH = 150.0
_BINARY_DIGITS = 4


def head_landmarks(
    center: tuple[float, float], size: float, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0
) -> np.ndarray:
    """Where a camera sees the landmarks of a turned head: (68, 2) float32 pixels.

    Args:
        center: of the head in the picture, pixels.
        size: width of the head, pixels.
        yaw: radians, above 0 the nose points to image-left.
        pitch: radians, above 0 the face looks up.
        roll: radians, above 0 clockwise.
    """
    x, y, z = -pitch, yaw, roll
    turn_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    turn_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turn_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    points = POSE_POINTS @ (turn_z @ turn_y @ turn_x).T
    seen = points[:, :2] * _CAMERA_DISTANCE / (_CAMERA_DISTANCE + points[:, 2:])
    return (seen * (size / _HEAD_WIDTH) + np.asarray(center)).astype(np.float32)


def paint_head(canvas: np.ndarray, landmarks: np.ndarray, seed: int = 0) -> None:
    """Paints a head into a (H, W, 3) uint8 picture, in place; `seed` decides its colors."""
    rng = np.random.default_rng(seed)
    skin = rng.integers((70, 100, 150), (150, 180, 240)).tolist()
    shade = (np.array(skin) * 0.8).tolist()
    hair = rng.integers(10, 90, 3).tolist()
    iris = rng.integers(20, 200, 3).tolist()
    jaw, brow_top = landmarks[:17], landmarks[17:27].mean(axis=0)
    up = brow_top - landmarks[8]
    forehead = np.array([jaw[12] + up, jaw[8] + 1.5 * up, jaw[4] + up])
    _fill(canvas, _grown(np.concatenate([jaw, forehead]), 1.12), hair)
    _fill(canvas, np.concatenate([jaw, jaw[16:] + 0.35 * up, jaw[:1] + 0.35 * up]), skin)
    for brow in (landmarks[17:22], landmarks[22:27]):
        _fill(canvas, np.concatenate([brow, brow[::-1] + 0.06 * up]), hair)
    _fill(canvas, landmarks[[27, 31, 33, 35]], shade)
    for eye in (landmarks[36:42], landmarks[42:48]):
        _fill(canvas, eye, (245, 245, 245))
        _fill(canvas, _grown(eye, 0.45), iris)
    _fill(canvas, landmarks[48:60], (60, 60, 190))
    _fill(canvas, landmarks[60:68], (30, 20, 60))


def _fill(canvas: np.ndarray, points: np.ndarray, color: Sequence[float]) -> None:
    corners = np.round(np.asarray(points) * (1 << _BINARY_DIGITS)).astype(np.int32)
    cv2.fillPoly(canvas, [corners], tuple(color), lineType=cv2.LINE_AA, shift=_BINARY_DIGITS)


def _grown(points: np.ndarray, factor: float) -> np.ndarray:
    middle = points.mean(axis=0)
    return (points - middle) * factor + middle


def paint_background(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Smooth colored clouds: (height, width, 3) uint8."""
    rng = np.random.default_rng(seed + 1_000_003)
    coarse = rng.integers(30, 220, (5, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def paint_frame(
    width: int,
    height: int,
    center: tuple[float, float],
    size: float,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """A frame with one head: (height, width, 3) BGR uint8 and its landmarks. Arguments as `head_landmarks`."""
    landmarks = head_landmarks(center, size, yaw, pitch, roll)
    frame = paint_background(width, height, seed)
    paint_head(frame, landmarks, seed)
    return frame, landmarks


def paint_face(
    side: int = 256,
    face_type: FaceType = FaceType.WHOLE,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """An aligned face painted straight into its square: (side, side, 3) BGR uint8 and landmarks (68, 2) float32."""
    frame_landmarks = _frame_landmarks(yaw, pitch, roll)
    landmarks = transform_points(frame_landmarks, frame_to_face(frame_landmarks, face_type, side))
    image = paint_background(side, side, seed)
    paint_head(image, landmarks, seed)
    return image, landmarks


def _frame_landmarks(yaw: float, pitch: float, roll: float) -> np.ndarray:
    return head_landmarks((_FRAME_SIDE / 2, _FRAME_SIDE / 2), _FRAME_SIDE / 3, yaw, pitch, roll)


def painted_metadata(
    side: int,
    face_type: FaceType,
    frame_name: str,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    xseg_mask: np.ndarray | None = None,
) -> FaceMetadata:
    """The record of the face that `paint_face` paints with the same arguments.

    Args:
        xseg_mask: (H, W) uint8, or None.
    """
    frame_landmarks = _frame_landmarks(yaw, pitch, roll)
    matrix = frame_to_face(frame_landmarks, face_type, side)
    return FaceMetadata(
        face_type=face_type,
        landmarks=transform_points(frame_landmarks, matrix),
        frame_name=frame_name,
        frame_bbox=bbox_from_landmarks(frame_landmarks),
        frame_landmarks=frame_landmarks,
        frame_to_face=matrix,
        xseg_mask=None if xseg_mask is None else encode_png(xseg_mask),
        detector="painted",
    )


def write_painted_faceset(
    folder: Path,
    count: int,
    side: int = 256,
    face_type: FaceType = FaceType.WHOLE,
    seed: int = 0,
    yaws: Sequence[float] | None = None,
    with_masks: bool = False,
    quality: int = 95,
) -> list[Path]:
    """Writes `count` painted faces with records, named 00001_0.jpg and so on.

    Args:
        seed: the face number is added to it, so every face has colors of its own.
        yaws: one for each face, radians; None: spread over +-0.5.
        with_masks: give each an applied mask (a soft disc of 64 pixels).
    """
    folder.mkdir(parents=True, exist_ok=True)
    turns = np.linspace(-0.5, 0.5, count) if yaws is None else np.asarray(yaws, np.float64)
    paths = []
    for number, yaw in enumerate(turns.tolist()):
        image, _ = paint_face(side, face_type, yaw, seed=seed + number)
        metadata = painted_metadata(
            side, face_type, f"{number + 1:05d}.png", yaw, xseg_mask=soft_disc(64) if with_masks else None
        )
        path = folder / f"{number + 1:05d}_0.jpg"
        write_face(path, encode_jpeg(image, quality), metadata)
        paths.append(path)
    return paths


def soft_disc(side: int) -> np.ndarray:
    """A mask: (side, side) uint8, 255 within a third of the side from the middle, fading to 0 at 0.4 of it."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    distance = np.hypot(rows, columns) / side
    return (np.clip((0.4 - distance) / (0.4 - 1 / 3), 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
