"""A painted film of two people and a finder that knows where they are, for tests of tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.images import write_image
from facelib.extraction import FaceFinder, FoundFace
from mainscripts.extract_worker import FinderChoice
from tests.painting import head_landmarks, paint_background, paint_head

WIDTH, HEIGHT, FRAMES = 640, 320, 20
MISSED = {(8, 0), (9, 0), (12, 1)}
"""(frame, person) that the detector does not see, though the face is there."""
HIDDEN = {(15, 1), (16, 1)}
"""(frame, person) where somebody is not there at all."""


def true_landmarks(frame: int, person: int) -> np.ndarray:
    """Anna (0) is larger and drifts to image-right; Bert (1) is smaller and drifts to image-left; they do not meet."""
    place, size = ((170 + 2.0 * frame, 165), 110.0) if person == 0 else ((500 - 1.5 * frame, 150), 70.0)
    return head_landmarks(place, size, yaw=0.01 * frame)


def trembling(frame: int, person: int) -> np.ndarray:
    """What the finder says of it."""
    noise = np.random.default_rng((frame, person)).normal(0, 0.25, (68, 2))
    return np.asarray(true_landmarks(frame, person) + noise, np.float32)


def write_film(folder: Path, frames: int = FRAMES) -> None:
    """Frames 00001.png and so on; the first pixel of each says its number, counted from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(frames):
        picture = paint_background(WIDTH, HEIGHT, 1)
        for person in (0, 1):
            if (n, person) not in HIDDEN:
                paint_head(picture, true_landmarks(n, person), seed=10 + 2 * person)
        picture[0, 0] = n
        write_image(folder / f"{n + 1:05d}.png", picture)


class FilmFinder:
    """Sees everybody who is not missed; looking near a place, it sees those as well. Bert's score is lower."""

    identity = "film 1"

    def find(self, frame: np.ndarray) -> list[FoundFace]:
        number = int(frame[0, 0, 0])
        people = [p for p in (0, 1) if (number, p) not in MISSED | HIDDEN]
        faces = [FoundFace.from_landmarks(trembling(number, p), 0.9 - 0.3 * p, 20.0 - p) for p in people]
        return sorted(faces, key=lambda face: -face.area)

    def find_near(self, frame: np.ndarray, landmarks: np.ndarray) -> FoundFace | None:
        number = int(frame[0, 0, 0])
        for person in {0, 1} - {p for f, p in HIDDEN if f == number}:
            there = trembling(number, person)
            if np.abs(there.mean(axis=0) - landmarks.mean(axis=0)).max() < 40:
                return FoundFace.from_landmarks(there, 0.8, 14.0)
        return None


def film_finder(choice: FinderChoice) -> FaceFinder:
    return FilmFinder()
