"""How colors are measured for merging; idt, sot and mix against the classical forms, which draw at random."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks import classical_color
from benchmarks.color_spread import merging_distances
from core.color import ColorTransform
from merger.color_match import fit_colors, fit_histograms, thumbnail_to_square
from merger.settings import COLOR_TRANSFERS
from tests.merger.scenes import disc
from tests.portraits import portrait_pairs

SIDE = 128
MODES = [mode for mode in COLOR_TRANSFERS if mode != "none"]


def faces(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A new face and an old one of other colors."""
    rng = np.random.default_rng(seed)

    def clouds(low: tuple[float, ...], high: tuple[float, ...]) -> np.ndarray:
        coarse = cv2.resize(rng.random((8, 8, 3), dtype=np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        return (np.array(low) + (np.array(high) - low) * np.clip(coarse, 0, 1)).astype(np.float32)

    return clouds((0.2, 0.3, 0.4), (0.5, 0.6, 0.8)), clouds((0.3, 0.2, 0.2), (0.7, 0.5, 0.6))


def fitted(
    mode: str, new: np.ndarray, old: np.ndarray, mask: np.ndarray, is_inside: np.ndarray | None = None
) -> ColorTransform:
    transform = fit_colors(mode, new, old, mask, is_inside)
    assert transform is not None
    return transform


EVERYWHERE = np.ones((SIDE, SIDE), np.float32)


@pytest.mark.parametrize("mode", MODES)
def test_the_same_is_done_every_time(mode: str) -> None:
    new, old = faces()
    results = [fitted(mode, new, old, EVERYWHERE).apply(new) for _ in range(2)]
    assert np.array_equal(results[0], results[1])
    assert results[0].min() >= 0
    assert results[0].max() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_the_mean_comes_nearer(mode: str) -> None:
    new, old = faces()
    result = fitted(mode, new, old, EVERYWHERE).apply(new)
    before, after = (np.abs(p.mean(axis=(0, 1)) - old.mean(axis=(0, 1))).sum() for p in (new, result))
    assert after < (0.45 if mode.startswith("idt") else 0.2) * before  # idt keeps 0.36 of the distance by design


@pytest.mark.parametrize("mode", MODES)
def test_what_is_measured(mode: str) -> None:
    """Masked modes do not see what lies outside the mask; no mode sees what lies outside the frame."""
    new, old = faces()
    mask, spoiled = disc(SIDE, 0.35), old.copy()
    spoiled[disc(SIDE, 0.45) == 0] = (1, 0, 0)
    pair = [fitted(mode, new, o, mask).apply(new) for o in (old, spoiled)]
    masked = mode == "rct" or mode.endswith("-m")
    assert np.array_equal(pair[0], pair[1]) == masked
    inside = np.ones((SIDE, SIDE), bool)
    inside[:, :32] = False
    beyond = old.copy()
    beyond[:, :32] = 0
    pair = [fitted(mode, new, o, EVERYWHERE, inside).apply(new) for o in (old, beyond)]
    assert np.array_equal(pair[0], pair[1])


@pytest.mark.parametrize("mode", MODES)
def test_too_few_pixels_say_nothing(mode: str) -> None:
    new, old = faces()
    few = np.zeros((SIDE, SIDE), np.float32)
    few[0, :15] = 1
    outside = np.zeros((SIDE, SIDE), bool)
    assert fit_colors(mode, new, old, few, outside) is None
    assert fit_colors("none", new, old, EVERYWHERE, None) is None


@pytest.mark.parametrize("mode", ["idt", "idt-m", "sot-m", "mix-m"])
def test_the_fast_forms_are_nearer_to_the_classical_ones_than_those_to_themselves(mode: str) -> None:
    """The classical forms draw random directions: two runs differ. Ours lies among them, for every pair of faces."""
    for new, old in portrait_pairs():
        distances = merging_distances(mode, new, old, seeds=(1, 2, 3))
        assert 0.1 < distances.spread < 5
        assert distances.ours < distances.spread, (mode, distances)


def test_the_linear_forms_equal_the_classical_ones() -> None:
    new, old = faces(4)
    measured = np.ones((SIDE, SIDE), bool)
    expected = classical_color.linear(new, old, measured, 3.0)
    assert fitted("lct", new, old, EVERYWHERE).apply(new) == pytest.approx(expected, abs=1e-4)
    expected = classical_color.monge_kantorovich(new, old, measured, 1e-5, 3.0)
    assert fitted("mkl", new, old, EVERYWHERE).apply(new) == pytest.approx(expected, abs=1e-4)
    mask = disc(SIDE, 0.3)
    expected = classical_color.monge_kantorovich(new, old, mask >= 1 / 255, 1e-5, 3.0)
    assert fitted("mkl-m", new, old, mask).apply(new) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("threshold", [255, 238])
def test_masked_histograms_count_the_outside_as_white(threshold: int) -> None:
    new, old = faces(5)
    mask = (disc(SIDE, 0.35) > 0.5).astype(np.float32)
    white_new, white_old = (np.where(mask[..., None] > 0, p, 1).astype(np.float32) for p in (new, old))
    expected = classical_color.histograms(white_new, white_old, threshold)
    got = fit_histograms(new, old, mask, threshold, None).apply(new)
    assert got[mask > 0] == pytest.approx(expected[mask > 0], abs=1 / 255)
    whole = fit_histograms(new, old, None, threshold, None).apply(new)
    assert whole == pytest.approx(classical_color.histograms(new, old, threshold), abs=1 / 255)


def test_where_a_thumbnails_pixels_lie() -> None:
    """Of a square of 256 each thumbnail pixel covers two: pixel 0 lies at 0.5, pixel 127 at 254.5."""
    assert thumbnail_to_square(256).tolist() == [[2, 0, 0.5], [0, 2, 0.5]]
    assert thumbnail_to_square(48).tolist() == [[1, 0, 0], [0, 1, 0]]
