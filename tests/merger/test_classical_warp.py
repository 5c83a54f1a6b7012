"""A part of the frame is resampled to the very bits of the whole frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from merger.aligning import region_around
from merger.classical_warp import cut_square, paste_square, unit_values
from merger.compositing import Region
from tests.merger.scenes import painted_landmarks

SIDE = 64
SHAPE = (360, 640, 3)


@pytest.mark.parametrize("center", [(411.3, 207.9), (10.0, 40.0), (630.0, 350.0), (320.0, -10.0)])
def test_a_region_gives_the_bits_of_the_whole_frame(center: tuple[float, float]) -> None:
    rng = np.random.default_rng(3)
    frame, square = rng.random(SHAPE, dtype=np.float32), rng.random((SIDE, SIDE, 3), dtype=np.float32)
    matrix = frame_to_face(painted_landmarks(center, 130.0, 0.3), FaceType.FULL, SIDE)
    region = region_around(matrix, SIDE, SHAPE)
    assert region.size[0] * region.size[1] < SHAPE[0] * SHAPE[1] / 2
    whole = cv2.warpAffine(frame, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC)
    assert np.array_equal(cut_square(region.of(frame), matrix, region, SIDE), whole)
    placed = cv2.warpAffine(square, matrix, SHAPE[1::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    assert np.array_equal(paste_square(square, matrix, region), region.of(placed))
    beyond = placed.copy()
    region.of(beyond)[...] = 0
    assert not beyond.any()


def test_a_region_counted_from_its_own_corner_gives_other_bits() -> None:
    """Why the frame's corner is the one that counts."""
    rng = np.random.default_rng(3)
    square = rng.random((SIDE, SIDE), dtype=np.float32)
    matrix = frame_to_face(painted_landmarks((411.3, 207.9), 130.0, 0.3), FaceType.FULL, SIDE)
    region = region_around(matrix, SIDE, SHAPE)
    moved = matrix.copy()
    moved[:, 2] += moved[:, :2] @ (region.left, region.top)
    shifted = cv2.warpAffine(square, moved, region.size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    pasted = paste_square(square, matrix, region)
    assert not np.array_equal(shifted, pasted)
    assert shifted == pytest.approx(pasted, abs=1e-3)


def test_a_face_beyond_the_frame_is_black() -> None:
    nothing = np.zeros((0, 0, 3), np.float32)
    assert not cut_square(nothing, np.eye(2, 3), Region(0, 0, 0, 0), 8).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_survive_there_and_back(dtype: type) -> None:
    """Multiplied and cut off, each level is itself again. Source: spec merging 3.9."""
    most = np.iinfo(dtype).max
    levels: NDArray = np.arange(most + 1).astype(dtype)
    values = unit_values(levels)
    assert values.dtype == np.float32
    assert (values[0], values[-1]) == (0, 1)
    if dtype == np.uint8:
        assert np.array_equal((values * 255).astype(dtype), levels)
    assert np.array_equal(np.rint(values * np.float32(most)).astype(dtype), levels)
