"""Painted shots with known noise, for what is smoothed over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelib.face_type import FaceType
from facelib.prediction import Prediction
from merger.frames import FrameFace, FrameFaces
from tests.merger.scenes import disc, painted_landmarks

WIDTH = 60.0
"""Of the painted faces, frame pixels."""

SIDE = 1.3 * WIDTH
"""Of their squares, about."""


def film(
    frames: int,
    path: Callable[[int], tuple[float, float]] = lambda _: (80.0, 60.0),
    noise: float = 0.0,
    missing: Sequence[int] = (),
    width: Callable[[int], float] = lambda _: WIDTH,
    angle: Callable[[int], float] = lambda _: 0.0,
) -> list[FrameFaces]:
    """One face on its way; `noise` shifts, zooms and turns it, in pixels at its edge (standard deviation)."""
    chance = np.random.default_rng(4)
    shot = []
    for number in range(frames):
        shift = noise * chance.standard_normal(2)
        zoom, turn = noise / (SIDE / 2) * chance.standard_normal(2)
        center = np.add(path(number), shift)
        landmarks = painted_landmarks(
            (float(center[0]), float(center[1])), width(number) * (1 + zoom), angle(number) + turn
        )
        faces = () if number in missing else (FrameFace(landmarks),)
        shot.append(FrameFaces(Path(f"{number:05d}.png"), faces))
    return shot


class FlickeringPredictor:
    """Shows the face it is shown, warmer, in colors that change by `noise` from answer to answer."""

    face_type = FaceType.FULL

    def __init__(self, noise: float, resolution: int = 32) -> None:
        self.resolution = resolution
        self._noise = noise
        self._chance = np.random.default_rng(5)

    def predict(self, faces: NDArray) -> Sequence[Prediction]:
        answers = []
        for face in faces:
            shift = self._noise * self._chance.standard_normal(3)
            shown = np.clip(face + shift + (-0.02, 0, 0.05), 0, 1).astype(np.float32)
            mask = disc(self.resolution, 0.35 + 0.5 * self._noise * self._chance.standard_normal())
            answers.append(Prediction(shown, mask, mask))
        return answers
