"""Painted scenes and stand-in models for the merger's tests: no weights are needed, and every answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facelib.face_type import FaceType
from facelib.landmarks import POSE_POINTS
from facelib.prediction import Prediction

PLAIN: dict[str, Any] = {"mask_mode": "dst", "color_transfer": "none", "hist_match_threshold": 255}
"""What tests of pixels merge with where they name nothing else: the outline of the landmarks, colors as predicted."""


def painted_landmarks(center: tuple[float, float], width: float, angle: float = 0.0) -> NDArray:
    """(68, 2) float32: the mean head seen from the front, `width` pixels from ear to ear, turned by `angle` radians.

    The square of a FULL face is about 1.3 times `width` wide.
    """
    points = POSE_POINTS[:, :2]
    points = (points - points[17:48].mean(axis=0)) / np.ptp(points[:17, 0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (points @ turn * width + center).astype(np.float32)


def smooth_frame(height: int, width: int, seed: int = 0, dtype: type = np.uint8) -> NDArray:
    """(height, width, 3): soft colored clouds over the whole range of the type."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((max(2, height // 24), max(2, width // 24), 3), dtype=np.float32)
    clouds = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.rint(np.clip(clouds, 0, 1) * np.iinfo(dtype).max).astype(dtype)


def disc(side: int, radius: float, softness: float = 0.05, shift: float = 0.0) -> NDArray:
    """(side, side) float32: 1 inside `radius` (in sides) of a point `shift` right of the center, falling to 0."""
    rows, columns = np.mgrid[:side, :side]
    center = side / 2 - 0.5
    distance = np.hypot(rows - center, columns - center - shift * side) / side
    return np.clip((radius - distance) / softness + 0.5, 0, 1).astype(np.float32)


class TintedPredictor:
    """Returns what it is shown, mirrored and tinted, with two overlapping discs for masks."""

    face_type = FaceType.FULL

    def __init__(self, resolution: int = 48) -> None:
        self.resolution = resolution
        self.calls: list[int] = []

    def predict(self, faces: NDArray) -> Sequence[Prediction]:
        self.calls.append(len(faces))
        return [Prediction(*self.predict_one(face)) for face in faces]

    def predict_one(self, face: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        tinted = face[:, ::-1] * np.array([0.9, 0.7, 0.5], np.float32) + np.float32(0.1)
        new_mask, old_mask = disc(self.resolution, 0.42, shift=-0.04), disc(self.resolution, 0.38, 0.2, shift=0.06)
        return tinted, new_mask, old_mask


class HonestPredictor(TintedPredictor):
    """Returns exactly what it is shown, with full masks: the perfect prediction."""

    def predict_one(self, face: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        ones = np.ones(face.shape[:2], np.float32)
        return face.copy(), ones, ones


class BlankPredictor(TintedPredictor):
    """Draws a white face and sees no face to put it on: both masks are empty."""

    def predict_one(self, face: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        zeros = np.zeros(face.shape[:2], np.float32)
        return np.ones_like(face), zeros, zeros


def segment_blobs(face: NDArray) -> NDArray:
    """A stand-in for XSeg: (256, 256, 3) -> (256, 256), soft blobs that depend on what is seen."""
    gray = cv2.GaussianBlur(np.clip(face, 0, 1).mean(axis=2), (0, 0), 6)
    return np.clip(disc(256, 0.45, 0.1) * (0.4 + gray), 0, 1).astype(np.float32)


def enlarge(face: NDArray, crispness: float = 0.5) -> NDArray:
    """A stand-in for the face enhancer: (h, w, 3) -> (4 h, 4 w, 3), pixel (4 x, 4 y) over pixel (x, y), crisper."""
    side = 4 * len(face)
    large = cv2.warpAffine(
        face, np.array([[4.0, 0, 0], [0, 4.0, 0]]), (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    soft = cv2.GaussianBlur(large, (0, 0), 4)
    return np.clip((1 + crispness) * large - crispness * soft, 0, 1)
