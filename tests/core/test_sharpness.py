"""Sharpness: the quick widths equal the walked ones, blur lowers the measure, flat pictures have none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.sharpness import edge_widths, fine_edges, laplacian_variance, perceived_sharpness


def textured(side: int = 192, seed: int = 1) -> np.ndarray:
    """Clouds with a few hard shapes: (side, side) float64, 0..255."""
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.uniform(90, 150, (12, 12)), (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    for _ in range(side // 4):
        corner = rng.integers(0, side - 40, 2)
        picture[corner[0] : corner[0] + 30, corner[1] : corner[1] + 25] += rng.uniform(-90, 90)
    picture += rng.normal(0, 0.5, picture.shape)
    return picture.clip(0, 255)


def walked_widths(picture: np.ndarray) -> np.ndarray:
    """Spec steps-and-cli 6.3, steps 2 to 4, pixel by pixel."""
    height, width = picture.shape
    framed = np.pad(picture, 1, mode="symmetric")
    slope = np.zeros_like(picture)
    for y in range(height):
        for x in range(width):
            near = framed[y : y + 3, x : x + 3]
            slope[y, x] = ((near[:, 0] - near[:, 2]) * (1, 2, 1)).sum() / 8
    squared = slope**2
    squared[squared <= 2 * np.sqrt(squared.mean())] = 0
    widths = np.zeros((height, width), int)
    down, across = np.gradient(picture)
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            here = squared[y, x]
            ridge = (here > squared[y, x - 1] and here > squared[y, x + 1]) or (
                here > squared[y - 1, x] and here > squared[y + 1, x]
            )
            angle = np.degrees(np.arctan2(down[y, x], across[y, x])) if across[y, x] != 0 else 0.0
            rounded = 45 * round(angle / 45)
            if not ridge or rounded not in (0, 180, -180):
                continue
            sign = 1 if rounded == 0 else -1
            left = right = 0
            while left < 100 and x - 2 - left >= 0 and sign * (picture[y, x - 2 - left] - picture[y, x - 1 - left]) < 0:
                left += 1
            while (
                right < 100
                and x + 2 + right < width
                and sign * (picture[y, x + 2 + right] - picture[y, x + 1 + right]) > 0
            ):
                right += 1
            widths[y, x] = left + right + 2
    return widths


@pytest.mark.parametrize("seed", [1, 2])
def test_widths_equal_those_walked_pixel_by_pixel(seed: int) -> None:
    picture = textured(96, seed)
    expected = walked_widths(picture)
    assert (expected > 0).sum() > 50
    np.testing.assert_array_equal(edge_widths(picture), expected)


def test_a_ramp_has_the_width_of_the_ramp() -> None:
    """Seven steps up between two plains, steepest at the pixel of 115."""
    row = np.concatenate([np.full(40, 50.0), [60, 80, 115, 155, 180, 200], np.full(40, 210.0)])
    widths = edge_widths(np.tile(row, (20, 1)) + np.linspace(0, 1e-3, 20)[:, None])
    middle = widths[10, 38:50]
    assert middle.tolist() == [0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]


def test_fine_edges_are_those_of_a_second_implementation() -> None:
    canny = pytest.importorskip("skimage.feature").canny
    picture = textured()
    ours, theirs = fine_edges(picture), canny(picture, sigma=1.0, low_threshold=0.1, high_threshold=0.2)
    both = (ours & theirs).sum() / theirs.sum()
    assert both > 0.8
    # What they are used for: does a block have enough of them? Both must say the same.
    assert all(
        (part.sum() >= 9) == (other.sum() >= 9)
        for part, other in zip(np.vsplit(ours, 3), np.vsplit(theirs, 3), strict=True)
    )


def test_blur_lowers_the_measure_step_by_step() -> None:
    picture = textured()
    measured = [perceived_sharpness(picture)]
    measured += [perceived_sharpness(cv2.GaussianBlur(picture, (0, 0), sigma)) for sigma in (1.0, 2.0, 4.0)]
    assert measured == sorted(measured, reverse=True)
    assert measured[0] > measured[-1] + 0.3


def test_the_measure_is_the_share_of_narrow_edges() -> None:
    """One block, high contrast: an edge counts as sharp while round(100 (1 - exp(-(w/3)^3.6))) <= 63, i.e. w <= 3."""
    picture = textured(64)
    widths = walked_widths(picture)
    assert picture.max() - picture.min() > 51
    found = widths[widths > 0]
    assert perceived_sharpness(picture) == pytest.approx((found <= 3).mean())


def test_nothing_to_see_is_zero() -> None:
    assert perceived_sharpness(np.full((128, 128), 90.0)) == 0.0
    assert perceived_sharpness(textured(63)) == 0.0


def test_motion_lowers_the_variance_of_the_laplacian() -> None:
    picture = textured()
    smeared = cv2.blur(picture, (9, 1))
    assert laplacian_variance(smeared) < 0.8 * laplacian_variance(picture)
    assert laplacian_variance(np.full((64, 64, 3), 7, np.uint8)) == pytest.approx(0.0, abs=1e-6)
