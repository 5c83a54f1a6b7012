"""The random distortion of a training face: a coarse lattice of pushes, and the dense field it stands for.

The face is divided into 2 x 2, 4 x 4 or 8 x 8 cells; each inner node of that lattice is pushed a little, the rim stays,
and between nodes the push is interpolated. With C the side of a cell, a push has deviation 0.129 C and never exceeds
0.48 C in x and in y.

Two kinds. The clean one draws x and y independently and distorts nothing where nothing is drawn. The legacy one
reproduces what DeepFaceLab really does, for comparisons: x and y are coupled (the field is mirror-symmetric about the
main diagonal) and the whole picture moves by half a pixel.

Source: spec samples-and-colour 5.2.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

CELL_COUNTS = (2, 4, 8)
PUSH_DEVIATION = 0.129
PUSH_LIMIT = 0.48
_LEGACY_PUSH = 0.24
_LEGACY_TRUNCATION = 2.5
_DISPLACEMENT_OF_HALF_A_PIXEL = 0.5


def draw_displacement(rng: np.random.Generator, legacy: bool = False) -> np.ndarray:
    """Pushes of the lattice nodes: (n + 1, n + 1, 2) float32, x then y, as parts of the side; n is 2, 4 or 8."""
    cells = int(rng.choice(CELL_COUNTS))
    displacement = np.zeros((cells + 1, cells + 1, 2), np.float32)
    if legacy:
        along = _truncated_normal(rng, (cells - 1, cells - 1), _LEGACY_TRUNCATION) / _LEGACY_TRUNCATION
        across = _truncated_normal(rng, (cells - 1, cells - 1), _LEGACY_TRUNCATION) / _LEGACY_TRUNCATION
        push = (along + across.T) * (_LEGACY_PUSH / cells)
        displacement[1:-1, 1:-1, 0] = push
        displacement[1:-1, 1:-1, 1] = push.T
    else:
        push = _truncated_normal(rng, (cells - 1, cells - 1, 2), PUSH_LIMIT / PUSH_DEVIATION)
        displacement[1:-1, 1:-1] = push * (PUSH_DEVIATION / cells)
    return displacement


def _truncated_normal(rng: np.random.Generator, shape: tuple[int, ...], limit: float) -> np.ndarray:
    """Standard normal numbers, each drawn again until it lies within +-limit."""
    values = rng.standard_normal(shape)
    while (outside := np.abs(values) > limit).any():
        values[outside] = rng.standard_normal(int(outside.sum()))
    return values


def displacement_field(displacement: np.ndarray, side: int) -> np.ndarray:
    """The push of every pixel: (side, side, 2) float32, x then y, in pixels.

    The lattice spans the picture from the outer edge of its first pixel to the outer edge of its last, so that the
    field of a mirrored lattice is the mirrored field.
    """
    weights = _hat_weights(displacement.shape[0], side)
    planes = cv2.split(displacement.astype(np.float32) * np.float32(side))
    # OpenCV's products, not NumPy's: the library behind those wakes threads of its own, which costs a busy machine.
    down = [cv2.gemm(weights, plane, 1.0, None, 0.0) for plane in planes]
    return cv2.merge([cv2.gemm(plane, weights, 1.0, None, 0.0, flags=cv2.GEMM_2_T) for plane in down])


def legacy_map(displacement: np.ndarray, side: int) -> np.ndarray:
    """Where each pixel of the legacy distortion comes from: (side, side, 2) float32 pixels, half a pixel off."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    place = np.stack([columns, rows], axis=-1) + np.float32(_DISPLACEMENT_OF_HALF_A_PIXEL)
    return place + displacement_field(displacement, side)


@lru_cache(maxsize=16)
def _hat_weights(nodes: int, side: int) -> np.ndarray:
    """(side, nodes) float32: how much each node has to say at each pixel of a row, linear interpolation."""
    place = (np.arange(side) + 0.5) * (nodes - 1) / side
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(nodes))).astype(np.float32)
