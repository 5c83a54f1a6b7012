"""Seamless cloning: held against a sparse solver, and against OpenCV where it has no fault."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from core.poisson import FreeSides, clone_seamlessly, solve_poisson, taken_back

ALL_SIDES = [FreeSides(*sides) for sides in product((False, True), repeat=4)]


def second_difference(count: int, first_free: bool, last_free: bool) -> scipy.sparse.csr_array:
    """The operator along one axis: beyond a held end comes 0, beyond a free one the pixel before the last again."""
    matrix = scipy.sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(count, count)).tolil()
    if count > 1 and first_free:
        matrix[0, 1] = 2.0
    if count > 1 and last_free:
        matrix[count - 1, count - 2] = 2.0
    return matrix.tocsr()


@pytest.mark.parametrize("free", ALL_SIDES)
@pytest.mark.parametrize("size", [(7, 12), (16, 5), (2, 9)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-4), (np.float64, 1e-11)])
def test_equals_a_sparse_solver(free: FreeSides, size: tuple[int, int], dtype: type, tolerance: float) -> None:
    rng = np.random.default_rng(3)
    wanted = rng.normal(size=(*size, 3))
    down = second_difference(size[0], free.top, free.bottom)
    across = second_difference(size[1], free.left, free.right)
    laplacian = scipy.sparse.kron(down, np.eye(size[1])) + scipy.sparse.kron(np.eye(size[0]), across)
    if free == FreeSides(True, True, True, True):
        # Known but for a constant, and only where the divergence has a solution: take one that has.
        divergence = laplacian @ wanted.reshape(-1, 3)
        found = solve_poisson(divergence.reshape(wanted.shape).astype(dtype), free)
        assert found.dtype == dtype
        assert np.ptp(found - wanted, axis=(0, 1)).max() < tolerance
        return
    expected = scipy.sparse.linalg.spsolve(laplacian.tocsc(), wanted.reshape(-1, 3)).reshape(wanted.shape)
    found = solve_poisson(wanted.astype(dtype), free)
    assert found.dtype == dtype
    assert found == pytest.approx(expected, abs=tolerance)


def clouds(seed: int, size: tuple[int, int] = (120, 150)) -> NDArray:
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.random((7, 9, 3), np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse * 255 + rng.normal(0, 3, (*size, 3)), 0, 255).astype(np.uint8)


def test_equals_the_known_implementation_inside_a_picture() -> None:
    """It works in whole levels: it truncates what it is given and what it returns."""
    target, patch = clouds(1), clouds(2)
    mask = np.zeros(target.shape[:2], np.uint8)
    cv2.ellipse(mask, (75, 58), (44, 31), 20, 0, 360, 255, -1)
    left, top, width, height = cv2.boundingRect(mask)
    center = (left + width // 2, top + height // 2)
    expected = cv2.seamlessClone(patch, target, mask.copy(), center, cv2.NORMAL_CLONE)
    box = np.s_[top : top + height, left : left + width]
    found = target.astype(np.float32)
    found[box] = clone_seamlessly(patch[box].astype(np.float32), found[box], mask[box])
    difference = np.abs(np.floor(np.clip(found, 0, 255)) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("free", ALL_SIDES)
def test_a_patch_that_is_the_target_changes_nothing(free: FreeSides) -> None:
    target = clouds(4, (40, 30)).astype(np.float32)
    mask = np.ones((40, 30), np.uint8)
    assert np.abs(clone_seamlessly(target, target, mask, free) - target).max() < 1e-3


@pytest.mark.parametrize("free", [f for f in ALL_SIDES if f != FreeSides(True, True, True, True)])
def test_a_patch_that_is_only_brighter_becomes_the_target(free: FreeSides) -> None:
    target = clouds(4, (40, 30)).astype(np.float32)
    mask = np.zeros((40, 30), np.uint8)
    mask[0 if free.top else 8 : 40 if free.bottom else 32, 0 if free.left else 6 : 30 if free.right else 24] = 1
    assert np.abs(clone_seamlessly(target + 50, target, mask, free) - target).max() < 1e-2


def test_nothing_moves_at_the_border() -> None:
    """A thin line in the patch stays in its column, right up to the border where the area is cut."""
    target = np.full((60, 40, 3), 100, np.float32)
    patch = target.copy()
    patch[:, 30] += 80
    mask = np.zeros((60, 40), np.uint8)
    mask[10:50, 15:] = 1
    result = clone_seamlessly(patch, target, mask, FreeSides(right=True))[30, :, 0]
    assert result.argmax() == 30
    assert result[30] - result[29] == pytest.approx(80, abs=2)
    assert result[39] == pytest.approx(result[36], abs=3)


def test_the_mask_goes_on_beyond_a_free_side() -> None:
    mask = np.zeros((12, 12), np.uint8)
    mask[:, 4:] = 255
    assert np.flatnonzero(taken_back(mask, FreeSides(False, True, True, True))[6]).tolist() == [7, 8, 9, 10, 11]
    assert np.flatnonzero(taken_back(mask)[6]).tolist() == [7, 8]
    assert np.flatnonzero(taken_back(mask)[:, 7]).tolist() == [3, 4, 5, 6, 7, 8]


def test_an_area_of_nothing() -> None:
    target = clouds(4, (2, 2)).astype(np.float32)
    assert np.array_equal(clone_seamlessly(target + 9, target, np.ones((2, 2), np.uint8)), target)
    one = target[:1, :1]
    assert clone_seamlessly(
        one + 9, one, np.ones((1, 1), np.uint8), FreeSides(True, True, True, True)
    ) == pytest.approx(one)
