"""Histogram match: acceptance test 11.3, and the classical form that sorts every float."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.classical_color import histograms
from core.color_histogram import fit_histogram


def pictures(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((40, 50, 3), dtype=np.float32) ** 2, 0.2 + 0.5 * rng.random((40, 50, 3), dtype=np.float32)


def test_a_full_match_with_itself_is_the_identity() -> None:
    image, _ = pictures()
    assert fit_histogram(image, image, 255).apply(image) == pytest.approx(image, abs=1e-4)


def test_no_threshold_gives_the_least_value() -> None:
    image, reference = pictures()
    matched = fit_histogram(image, reference, 0).apply(image)
    for channel in range(3):
        assert matched[..., channel] == pytest.approx(reference[..., channel].min(), abs=1e-4)


@pytest.mark.parametrize("threshold", [255, 238, 100])
def test_equals_the_classical_form(threshold: int) -> None:
    image, reference = pictures()
    expected = histograms(image, reference, threshold)
    difference = np.abs(fit_histogram(image, reference, threshold).apply(image) - expected)
    # With 2000 pixels a bin more or less is a quarter level at the ends of this distribution.
    assert difference.max() < 1 / 255
    assert difference.mean() < 0.05 / 255


def test_less_than_a_full_match_is_darker() -> None:
    image, reference = pictures()
    means = [fit_histogram(image, reference, t).apply(image).mean() for t in (255, 200, 100)]
    assert means[0] > means[1] > means[2]
    assert means[0] == pytest.approx(reference.mean(), abs=2e-3)


def test_only_measured_pixels_count() -> None:
    image, reference = pictures()
    measured = np.zeros((40, 50), bool)
    measured[5:30, 5:30] = True
    transform = fit_histogram(image, reference, 255, measured)
    spoiled_image, spoiled = image.copy(), reference.copy()
    spoiled_image[~measured], spoiled[~measured] = 1.0, 0.0
    assert np.array_equal(transform.curves, fit_histogram(spoiled_image, spoiled, 255, measured).curves)
    everywhere = fit_histogram(image, reference, 255, np.zeros((40, 50), bool))
    assert np.array_equal(everywhere.curves, fit_histogram(image, reference, 255).curves)


def test_values_beyond_the_range_move_as_its_ends_do() -> None:
    image, reference = pictures()
    transform = fit_histogram(image, reference, 255)
    outside = np.array([[[-0.5, 1.5, 0.5]]], np.float32)
    assert transform.apply(outside)[0, 0, 0] == transform.curves[0, 0]
    assert transform.apply(outside)[0, 0, 1] == transform.curves[1, -1]
