"""From landmarks to the aligned square: where a face is cut out of a frame.

The unit frame is a picture plane in which the 33 alignment points have the places of the mean face. Its square
(0, 0)-(1, 1) spans the face from brow to lip; every face type is that square widened, and for the larger types moved.

Source: spec faces-and-formats 2.3-2.5.
"""

import math

import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace
from core.geometry import invert_affine, similarity_from_points, transform_points
from facelib.face_type import FaceType
from facelib.landmarks import ALIGNMENT_INDICES, MEAN_FACE, require_landmarks

_ALIGNMENT_TARGETS = MEAN_FACE[ALIGNMENT_INDICES].astype(np.float64)
# Moves of the crop in unit sides: whole faces go up toward the forehead, heads further.
_WHOLE_RISE = 0.07
_HEAD_RISE = 0.50
# Points thinner than this part of their length are a line (a real face seen exactly from the side keeps about 0.1).
_THINNEST_FACE = 1e-3


def frame_to_unit(landmarks: NDArray) -> NDArray:
    """The similarity that carries a face onto the mean face: float64 (2, 3), frame pixels to the unit frame.

    landmarks: (68, 2), frame pixels; only the 33 alignment points count.
    NotAFace where these lie in one place or on one line.
    """
    points = require_landmarks(landmarks)[ALIGNMENT_INDICES]
    thin, long = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(points.T)), 0))
    if long <= 0 or thin < _THINNEST_FACE * long:
        raise NotAFace("The landmarks lie on one line, so no face can be aligned to them.", "Extract this face again.")
    try:
        return similarity_from_points(points, _ALIGNMENT_TARGETS)
    except ValueError as problem:
        raise NotAFace(f"The landmarks do not form a face: {problem}", "Extract this face again.") from problem


def frame_to_face(
    landmarks: NDArray, face_type: FaceType, side: int, scale: float = 1.0, yaw_gain: float = 1.0
) -> NDArray:
    """The transform that cuts the aligned face out of its frame: float64 (2, 3), frame pixels to face pixels.

    landmarks: (68, 2), frame pixels. side: side of the aligned square in pixels; the framed square maps to 0..side,
    corner to corner. scale: above 1 the square covers less of the frame (zooms in); its center does not move.
    yaw_gain: factor on the measured yaw of HEAD crops, for landmarks whose jaw lies deeper than in the 68-point
    convention (about 0.68 for the face mesh). Other types do not use it.
    NotAFace where the landmarks do not form a face.

    Landmarks given in face pixels yield the transform from that face to another crop of it, which is how a faceset
    changes its type.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"The scale of a crop is above 0. Received: {scale}.")
    to_unit = frame_to_unit(landmarks)
    to_frame = invert_affine(to_unit)
    across, down = to_frame[:, 0], to_frame[:, 1]  # unit axes in frame pixels: perpendicular, of length sigma
    center = transform_points(np.array([0.5, 0.5]), to_frame)
    if face_type is FaceType.WHOLE:
        center = center - _WHOLE_RISE * down
    elif face_type is FaceType.HEAD:
        yaw = damped_yaw(yaw_gain * average_yaw(transform_points(np.asarray(landmarks, np.float64), to_unit)))
        center = center + 0.5 * yaw * across - _HEAD_RISE * down
    unit_sides = face_type.unit_sides / scale
    origin = center - unit_sides / 2 * (across + down)
    linear = side / (unit_sides * (across @ across)) * np.stack([across, down])
    return np.column_stack([linear, -linear @ origin])


def bbox_from_landmarks(landmarks: NDArray) -> NDArray:
    """The upright square around a face, the same for every detector: float32 (4,), left, top, right, bottom.

    landmarks: (68, 2), frame pixels. The square has the center and the side of the FULL crop and may leave the frame.
    Source: spec faces-and-formats 10.2.
    """
    to_frame = invert_affine(frame_to_unit(landmarks))
    center = transform_points(np.array([0.5, 0.5]), to_frame)
    half = FaceType.FULL.unit_sides / 2 * math.hypot(*to_frame[:, 0])
    return np.concatenate([center - half, center + half]).astype(np.float32)


def average_yaw(landmarks: NDArray) -> float:
    """How far the nose is off the middle of the jaw; above 0 the face is turned toward image-left. In units of x.

    landmarks: (68, 2) with x along the face; in the unit frame about 0.20, 0.43, 0.91 for a yaw of 0.2, 0.4, 0.8
    radians. Mean distance from the bridge of the nose (27-29) to the image-right ear (16-14), less that to the
    image-left ear (0-2).
    """
    x = np.asarray(landmarks, np.float64)[:, 0]
    bridge = x[27:30]
    return float(np.mean(x[[16, 15, 14]] - bridge) - np.mean(bridge - x[0:3]))


def damped_yaw(yaw: float) -> float:
    """Average yaw, pressed toward 0 near the frontal view so that HEAD crops do not tremble."""
    return yaw * abs(math.tanh(2 * yaw))
