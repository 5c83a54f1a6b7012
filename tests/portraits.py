"""Two portraits in the public domain as pairs of faces that trade colors: real skin, hair and light."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.color_spread import Square
from core.images import read_image, to_float, to_uint8


def portrait(package: str, name: str, top: int, left: int, side: int) -> NDArray[np.float32]:
    """A square cut out of a picture, reduced to 128 pixels: (128, 128, 3)."""
    path = files(package).joinpath(name)
    assert isinstance(path, Path)
    cut = to_float(read_image(path))[top : top + side, left : left + side]
    return cv2.resize(cut, (128, 128), interpolation=cv2.INTER_AREA)


def collins() -> NDArray[np.float32]:
    """Eileen Collins, NASA."""
    return portrait("skimage", "data/astronaut.png", 0, 128, 256)


def hopper() -> NDArray[np.float32]:
    """Grace Hopper, US Navy."""
    return portrait("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", 60, 80, 340)


def portrait_pairs() -> list[tuple[Square, Square]]:
    """Each in the colors of the other, and one in warmer and darker colors whose left border lies beyond the frame."""
    first, second = collins(), hopper()
    warm = np.clip(first * np.array([0.45, 0.6, 0.75], np.float32) + np.float32(0.04), 0, 1)
    return [
        (_square(first, 0.40), _square(second, 0.36)),
        (_square(second, 0.36), _square(first, 0.40)),
        (_square(second, 0.42), _square(warm, 0.38, beyond=14)),
    ]


def _square(color: NDArray, radius: float, beyond: int = 0) -> Square:
    rows, columns = (np.indices((128, 128)) + 0.5) / 128 - 0.5
    mask = np.clip((radius - np.hypot(rows, 1.2 * columns)) * 60, 0, 1).astype(np.float32)
    in_frame = np.ones((128, 128), bool)
    in_frame[:, :beyond] = False
    thumbnail = np.dstack([to_uint8(color), to_uint8(mask)])
    return Square(color.astype(np.float32), mask, in_frame, thumbnail)
