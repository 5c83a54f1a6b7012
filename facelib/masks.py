"""Masks drawn from landmarks: the hull of a face, its eyes and the opening of its mouth.

All masks are float32 (H, W) in [0, 1]. Two ways to draw them:

* by default from sub-pixel landmarks with smooth edges: a pixel holds the part of it that is covered, so a mask follows
  a face that moves by a tenth of a pixel and does not flicker;
* `exact=True` repeats the integer drawing older projects were trained with, truncation included.

Source: spec faces-and-formats 3; golden numbers there in chapter 11.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facelib.landmarks import INNER_MOUTH, LEFT_EYE, RIGHT_EYE, require_landmarks

# The hull is the union of the convex hulls of these parts.
_HULL_PARTS = (
    (*range(9), 17),  # image-left jaw
    (*range(8, 17), 26),  # image-right jaw
    (*range(17, 20), 8),  # cheeks
    (*range(24, 27), 8),
    (*range(19, 25), 8),  # ridge of the nose
    (*range(17, 22), 27, *range(31, 36), 8),  # around the eyes
    (*range(22, 27), 27, *range(31, 36), 8),
    (*range(27, 36),),  # nose
)
_FINENESS = 4  # dots per pixel and axis, at least
_SOFT_PART_LINES = (
    2048  # eyes and mouth are small: in small masks they get more dots, so that there are this many lines
)
_SHIFT = 4  # binary digits after the point of a corner, in dots
_CIRCLE = np.stack([np.cos(np.arange(16) * np.pi / 8), np.sin(np.arange(16) * np.pi / 8)], axis=1)
_FARTHEST = 1 << 28  # keeps wild landmarks inside the integers of the drawing
# A face mask below this counts as outside: one step of an 8-bit mask, which lossy coding leaves behind.
_FAINTEST_FACE = 1.5 / 255


def hull_mask(
    landmarks: NDArray, height: int, width: int, brow_lift: float = 1.0, exact: bool = False
) -> NDArray[np.float32]:
    """The face from jaw to somewhat above the brows.

    landmarks: (68, 2), pixels of the mask. brow_lift: 0 ends at the brows, 1 rises by half the distance from brow to
    eye. NotAFace where the landmarks are not 68 finite points.
    """
    points = lift_brows(landmarks, brow_lift, exact)
    if exact:
        mask = np.zeros((height, width), np.uint8)
        for part in _HULL_PARTS:
            cv2.fillConvexPoly(mask, cv2.convexHull(points[list(part)]), 1)
        return mask.astype(np.float32)
    return _union_coverage([points[list(part)] for part in _HULL_PARTS], height, width, _FINENESS)


def lift_brows(landmarks: NDArray, brow_lift: float, exact: bool = False) -> NDArray:
    """The landmarks with the brows raised: float64 (68, 2), or int32 where exact (all points truncated)."""
    points = require_landmarks(landmarks)
    if exact:
        points = np.trunc(points)
    halve = _floor_halve if exact else _halve
    left_corner = halve(points[36], halve(points[36], points[0]))
    right_corner = halve(points[45], halve(points[16], points[45]))
    below = np.stack([left_corner, *points[36:40], *points[42:46], right_corner])
    lifted = points.copy()
    lifted[17:27] += 0.5 * brow_lift * (points[17:27] - below)
    return np.trunc(lifted).clip(-_FARTHEST, _FARTHEST).astype(np.int32) if exact else lifted


def eyes_mask(landmarks: NDArray, height: int, width: int, exact: bool = False) -> NDArray[np.float32]:
    """Both eyes, widened and blurred in proportion to the height of the mask. Arguments as in `hull_mask`."""
    return _soft_parts(landmarks, (LEFT_EYE, RIGHT_EYE), height, width, exact)


def mouth_mask(landmarks: NDArray, height: int, width: int, exact: bool = False) -> NDArray[np.float32]:
    """The opening of the mouth, widened and blurred like `eyes_mask`."""
    return _soft_parts(landmarks, (INNER_MOUTH,), height, width, exact)


def eyes_mouth_mask(
    landmarks: NDArray, height: int, width: int, face_mask: NDArray | None = None, exact: bool = False
) -> NDArray[np.float32]:
    """Eyes and mouth together, 0 where `face_mask` (H, W), float in [0, 1], has no face."""
    mask = np.minimum(eyes_mask(landmarks, height, width, exact) + mouth_mask(landmarks, height, width, exact), 1)
    if face_mask is not None:
        mask *= face_mask > (0 if exact else _FAINTEST_FACE)
    return mask


def _halve(first: NDArray, second: NDArray) -> NDArray:
    return (first + second) / 2


def _floor_halve(first: NDArray, second: NDArray) -> NDArray:
    return np.floor((first + second) / 2)


def _soft_parts(
    landmarks: NDArray, parts: Sequence[NDArray], height: int, width: int, exact: bool
) -> NDArray[np.float32]:
    points = require_landmarks(landmarks)
    blur = max(1, height // 16) | 1  # odd
    if exact:
        mask = np.zeros((height, width), np.float32)
        for part in parts:
            cv2.fillConvexPoly(
                mask, cv2.convexHull(np.trunc(points[part]).clip(-_FARTHEST, _FARTHEST).astype(np.int32)), 1.0
            )
        wide = max(1, height // 32)
        mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide)))
        return cv2.GaussianBlur(mask, (blur, blur), 0)
    # Widening a convex part by a disc is the hull of discs around its corners: no morphology needed.
    discs = height / 64 * _CIRCLE
    fineness = max(_FINENESS, min(16, _SOFT_PART_LINES // height))
    return _union_coverage(
        [(points[part][:, None] + discs).reshape(-1, 2) for part in parts], height, width, fineness, blur
    )


def _union_coverage(
    parts: Sequence[NDArray], height: int, width: int, fineness: int, blur: int = 0
) -> NDArray[np.float32]:
    """Which part of every pixel the union of the parts' convex hulls covers: float32 (H, W) in [0, 1].

    parts: points (N, 2) each. fineness: dots per pixel and axis. blur: side of a Gaussian kernel in pixels, odd; 0 for
    none. Only the part of the mask near the points is worked on. An outline takes in the dots it touches, so it stands
    about half a dot outside.
    """
    points = np.concatenate(parts)
    size = np.array([width, height])
    low = np.clip(np.floor(points.min(axis=0)) - 1 - blur, 0, size).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 2 + blur, 0, size).astype(int)
    mask = np.zeros((height, width), np.float32)
    if np.any(high <= low):
        return mask
    near_width, near_height = (high - low).tolist()
    dots = np.zeros((near_height * fineness, near_width * fineness), np.uint8)
    for part in parts:
        # Dot X of pixel x lies at x - 0.5 + (X + 0.5) / fineness.
        corners = (((part - low + 0.5) * fineness - 0.5) * (1 << _SHIFT)).round()
        corners = cv2.convexHull(corners.clip(-_FARTHEST, _FARTHEST).astype(np.int32))
        cv2.fillConvexPoly(dots, corners, 255, shift=_SHIFT)
    near = cv2.resize(dots, (near_width, near_height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    mask[low[1] : high[1], low[0] : high[0]] = cv2.GaussianBlur(near, (blur, blur), 0) if blur else near
    return mask
