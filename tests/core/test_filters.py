"""Filters: numbers worked out by hand, and the identities they must keep."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from core.filters import (
    blur_along,
    blur_or_sharpen,
    classical_motion_kernel,
    denoise,
    lose_detail,
    median_passes,
    motion_kernel,
)


def picture(seed: int = 0, size: tuple[int, int] = (24, 30)) -> np.ndarray:
    return np.random.default_rng(seed).random((*size, 3), dtype=np.float32)


def spike() -> np.ndarray:
    one = np.zeros((7, 7, 3), np.float32)
    one[3, 3] = 0.9
    return one


def test_box_sharpening_by_hand() -> None:
    """A spike of 0.9 and amount 2: the middle gets 0.9 (1 + 2 - 2/9) = 2.5, its neighbors -0.9 * 2/9 = -0.2."""
    sharp = blur_or_sharpen(spike(), "box", 2)
    assert sharp[3, 3, 0] == pytest.approx(2.5)
    assert sharp[2, 4, 1] == pytest.approx(-0.2)
    assert sharp[1, 1, 2] == pytest.approx(0.0, abs=1e-7)


def test_gaussian_sharpening_by_hand() -> None:
    """(1 + 0.5 * 4) x - 0.5 * 4 G x; the customary 3 x 3 Gaussian is (1/4, 1/2, 1/4) along each axis."""
    middle, side = 1 / 2, 1 / 4
    sharp = blur_or_sharpen(spike(), "gaussian", 4)
    assert sharp[3, 3, 0] == pytest.approx(0.9 * (3 - 2 * middle**2), abs=1e-5)
    assert sharp[3, 4, 0] == pytest.approx(0.9 * -2 * middle * side, abs=1e-5)


def test_no_mode_no_amount_no_change() -> None:
    image = picture()
    assert blur_or_sharpen(image, "none", 50) is image
    assert blur_or_sharpen(image, "box", 0) is image


@pytest.mark.parametrize("mode", ["none", "box", "gaussian"])
def test_a_negative_amount_softens_in_any_mode(mode: str) -> None:
    image = picture()
    once = cv2.medianBlur(image, 5)
    assert np.array_equal(blur_or_sharpen(image, mode, -10), once)
    half = once * 0.5 + cv2.medianBlur(once, 5) * 0.5
    assert blur_or_sharpen(image, mode, -15) == pytest.approx(half, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_whole_passes_in_integers_equal_those_in_floats(dtype: type) -> None:
    levels = np.rint(picture() * np.iinfo(dtype).max).astype(dtype)
    whole = median_passes(levels, 30, whole_at=10)
    assert whole.dtype == dtype
    assert np.array_equal(whole, median_passes(levels.astype(np.float32), 30, whole_at=10))
    assert median_passes(levels, 33, whole_at=10).dtype == np.float32


def test_denoise_fades_over_its_last_ten_passes() -> None:
    image = picture()
    once = image * 0.93 + cv2.medianBlur(image, 5) * 0.07
    assert denoise(image, 7) == pytest.approx(once, abs=1e-6)
    whole = cv2.medianBlur(image, 5)
    then = whole
    for share in range(9, 0, -1):
        then = then * (1 - share / 10) + cv2.medianBlur(then, 5) * (share / 10)
    assert denoise(image, 100) == pytest.approx(then, abs=1e-5)


def test_losing_detail_keeps_size_and_a_flat_picture() -> None:
    flat = np.full((31, 17, 3), 0.4, np.float32)
    for power in (1, 50, 100):
        assert lose_detail(flat, power) == pytest.approx(flat, abs=1e-6)
    assert lose_detail(picture(), 60).std() < 0.8 * picture().std()
    assert lose_detail(np.zeros((1, 1, 3), np.float32), 100).shape == (1, 1, 3)


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (0.4, 0), (5, 0), (0, -8), (7, 7), (-12.3, 4.5), (30, -50)])
def test_a_motion_kernel_has_the_motion_and_nothing_else(dx: float, dy: float) -> None:
    """Its weights sum to 1, lie around its middle, and spread as a line does: |d|^2 / 12 along it, and what pixels
    add (at most 1/4 per axis)."""
    kernel = motion_kernel(dx, dy)
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    rows, columns = np.mgrid[: kernel.shape[0], : kernel.shape[0]] - kernel.shape[0] // 2
    assert [(kernel * columns).sum(), (kernel * rows).sum()] == pytest.approx([0, 0], abs=1e-4)
    assert (kernel * columns**2).sum() == pytest.approx(dx * dx / 12 + 0.125, abs=0.13)
    assert (kernel * rows**2).sum() == pytest.approx(dy * dy / 12 + 0.125, abs=0.13)
    assert (kernel * rows * columns).sum() == pytest.approx(dx * dy / 12, abs=0.15)


def test_blur_along_smears_a_dot_into_its_way() -> None:
    dot = np.zeros((41, 41, 3), np.float32)
    dot[20, 20] = 1
    smeared = blur_along(dot, 10, 0)[20, :, 0]
    assert smeared.sum() == pytest.approx(1, abs=1e-5)
    assert smeared[16:25] == pytest.approx(np.full(9, 0.1), abs=0.005)
    assert blur_along(dot, 0.01, 0.01) is dot


def test_the_classical_kernel() -> None:
    """Five ones in a row; turned by 90 degrees, in a column."""
    assert classical_motion_kernel(5, 0)[2] == pytest.approx(np.full(5, 0.2))
    assert classical_motion_kernel(5, 90)[:, 2] == pytest.approx(np.full(5, 0.2), abs=1e-6)
    slanted = classical_motion_kernel(9, 45)
    assert slanted[1, 7] > 0 < slanted[7, 1]  # counter-clockwise: up to the right
    assert slanted[1, 1] == 0
    assert math.isclose(slanted.sum(), 1, abs_tol=1e-6)
