"""Mix: lightness and chroma apart, compared with the classical form in 8 bits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks import classical_color
from core.color import bgr_to_lab
from core.color_mix import evenly_lit, fit_mix


def clouds(seed: int, side: int, low: float, high: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.random((6, 6, 3), dtype=np.float32)
    soft = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC) + rng.normal(0, 0.01, (side, side, 3))
    return (low + (high - low) * np.clip(soft, 0, 1)).astype(np.float32)


def everywhere(side: int) -> np.ndarray:
    return np.ones((side, side), np.float32)


def test_lightness_gets_mean_and_deviation() -> None:
    new, old = clouds(1, 64, 0.2, 0.5), clouds(2, 64, 0.3, 0.9)
    result = fit_mix(new, old, everywhere(64), everywhere(64), np.random.default_rng(0)).apply(new)
    got, wanted = bgr_to_lab(result)[..., 0], bgr_to_lab(old)[..., 0]
    assert got.mean() == pytest.approx(wanted.mean(), abs=1.5)
    assert got.std() == pytest.approx(wanted.std(), abs=1.5)
    chroma = [bgr_to_lab(p)[..., 1:].mean(axis=(0, 1)) for p in (new, result, old)]
    before, after = (np.abs(one - chroma[2]) for one in chroma[:2])
    assert after.max() < 3
    assert after.sum() < before.sum()


def test_a_picture_given_its_own_colors_stays() -> None:
    new = clouds(1, 64, 0.2, 0.8)
    result = fit_mix(new, new, everywhere(64), everywhere(64), np.random.default_rng(0)).apply(new)
    assert np.abs(result - new).mean() < 1 / 255


def test_it_is_nearer_to_the_classical_form_than_that_is_to_itself() -> None:
    """Classically it was rounded to 8 bits twice as well, which every run shares: that is left out on both sides."""
    new, old = clouds(3, 128, 0.3, 0.6), clouds(4, 128, 0.2, 0.7)
    runs = [classical_color.mix(new, old, np.random.default_rng(seed), 8.0, rounded=False) for seed in (1, 2, 3)]
    ours = fit_mix(new, old, everywhere(128), everywhere(128), np.random.default_rng(0)).apply(new)
    spread = np.mean([np.abs(runs[a] - runs[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))])
    assert np.mean([np.abs(ours - run).mean() for run in runs]) < spread
    # What the rounding amounts to: cut off twice, half a level each on the average.
    rounded = classical_color.mix(new, old, np.random.default_rng(1), 8.0)
    assert 0.1 / 255 < np.abs(rounded - runs[0]).mean() < 2 / 255


def test_only_masked_colors_are_taken() -> None:
    new, old, mask = clouds(1, 64, 0.3, 0.5), clouds(2, 64, 0.4, 0.8), np.zeros((64, 64), np.float32)
    mask[10:50, 10:50] = 1
    spoiled = old.copy()
    spoiled[mask == 0] = (1, 0, 0)
    results = [fit_mix(new, o, mask, mask, np.random.default_rng(0)).apply(new) for o in (old, spoiled)]
    assert np.array_equal(results[0], results[1])


def test_even_light_keeps_chroma() -> None:
    gray = np.full((4, 4, 3), 0.3, np.float32)
    even = evenly_lit(bgr_to_lab(gray))
    assert np.ptp(even) < 0.01
    assert bgr_to_lab(even)[..., 0] == pytest.approx(100 * 100 / 255, abs=0.2)
