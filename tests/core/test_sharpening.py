"""Classical sharpening: edges get steeper without halos, colors and flat areas stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.sharpening import upscale_and_sharpen
from tests.painting import paint_face


def soft_face() -> tuple[np.ndarray, np.ndarray]:
    sharp, _ = paint_face(128)
    return sharp, cv2.GaussianBlur(sharp, (0, 0), 1.2)


def steepness(image: np.ndarray) -> float:
    return float(np.abs(np.diff(image.astype(np.float32), axis=1)).max(axis=1).mean())


def test_a_soft_picture_comes_nearer_to_the_sharp_one() -> None:
    sharp, soft = soft_face()
    crisp = upscale_and_sharpen(soft, 1, 0.8)
    error = [np.square(picture.astype(np.float32) - sharp).mean() for picture in (soft, crisp)]
    assert error[1] < 0.7 * error[0]
    assert steepness(crisp) > 1.2 * steepness(soft)


def test_there_is_no_halo() -> None:
    """Beside an edge from 60 to 180 nothing leaves that range by more than three levels and rounding."""
    step = np.full((32, 32, 3), 60, np.uint8)
    step[:, 16:] = 180
    soft = cv2.GaussianBlur(step, (0, 0), 1.5)
    crisp = upscale_and_sharpen(soft, 1, 2.0)
    assert crisp.min() >= 60 - 5
    assert crisp.max() <= 180 + 5


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_flat_areas_and_sizes(scale: int) -> None:
    flat = np.full((24, 20, 3), (40, 90, 200), np.uint8)
    larger = upscale_and_sharpen(flat, scale, 1.0)
    assert larger.shape == (24 * scale, 20 * scale, 3)
    assert np.abs(larger.astype(int) - flat[0, 0]).max() <= 2  # rounding of the color space


def test_no_strength_is_no_change() -> None:
    _, soft = soft_face()
    assert np.array_equal(upscale_and_sharpen(soft, 1, 0.0), soft)
