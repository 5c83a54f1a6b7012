"""A picture in few colors."""

from __future__ import annotations

import numpy as np
import pytest

from core.palette import lose_colors, median_cut, nearest_colors


def test_few_colors_stay_what_they_are() -> None:
    colors = np.array([[10, 20, 30], [200, 100, 50], [0, 0, 0], [255, 255, 255]], np.uint8)
    image = colors[np.random.default_rng(1).integers(0, 4, (20, 30))]
    palette = median_cut(image)
    assert sorted(palette.tolist()) == sorted(colors.astype(float).tolist())
    assert np.array_equal(nearest_colors(image, palette), image.astype(np.float32))


def test_the_cut_divides_pixels_in_halves() -> None:
    """A ramp of 256 grays in two colors: the means of its halves, 63.5 and 191.5."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert sorted(median_cut(ramp, 2)[:, 0].tolist()) == [63.5, 191.5]
    assert len(median_cut(ramp, 16)) == 16


def test_colors_that_are_used_much_get_more_of_the_palette() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[:90] = np.linspace(0, 100, 100)[None, :, None]
    image[90:] = np.linspace(150, 255, 100)[None, :, None]
    grays = median_cut(image, 10)[:, 0]
    assert (grays < 120).sum() >= 8


def test_a_smooth_picture_stays_near() -> None:
    rng = np.random.default_rng(2)
    image = np.clip(np.cumsum(rng.normal(0, 3, (60, 80, 3)), axis=1) + 128, 0, 255).astype(np.uint8)
    palette = median_cut(image)
    assert len(palette) <= 256
    reduced = nearest_colors(image, palette)
    assert np.abs(reduced - image).mean() < 6
    assert len(np.unique(reduced.reshape(-1, 3), axis=0)) <= 256


def test_every_pixel_gets_nearly_the_nearest_color() -> None:
    rng = np.random.default_rng(3)
    image, palette = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8), rng.random((40, 3), dtype=np.float32) * 255
    chosen = np.linalg.norm(nearest_colors(image, palette) - image, axis=-1)
    best = np.linalg.norm(image[:, :, None].astype(np.float32) - palette, axis=-1).min(axis=-1)
    assert (chosen - best).max() < 2 * 4 * np.sqrt(3) + 0.01  # a cell's corner is that far from its middle


def test_power_is_the_share_of_the_reduced_picture() -> None:
    image = np.random.default_rng(4).random((20, 20, 3), dtype=np.float32)
    palette = np.array([[0, 0, 0], [255, 255, 255]], np.float32)
    whole = lose_colors(image, 100, palette)
    assert set(np.unique(whole).round(6)) == {0.0, 1.0}
    assert lose_colors(image, 25, palette) == pytest.approx(0.75 * image + 0.25 * whole, abs=1e-6)
