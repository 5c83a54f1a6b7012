"""Image measures against golden values (spec models, appendix A) and against a float64 loop."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from core.nn.losses import (
    dssim,
    gaussian_blur,
    gaussian_window,
    mean_squared,
    sigmoid_cross_entropy,
    style_loss,
    total_variation,
)


def picture(seed: int) -> np.ndarray:
    return np.random.RandomState(seed).rand(2, 64, 64, 3).astype(np.float32)


def check(got: object, shape: tuple[int, ...], mean: float, std: float, *elements: float) -> None:
    """Six printed digits, float32 rounding, first / third / last element."""
    array = np.asarray(got, np.float64)
    assert array.shape == shape
    flat = array.ravel()
    ours = [array.mean(), array.std(), flat[0], flat[flat.size // 3], flat[-1]]
    np.testing.assert_allclose(ours, [mean, std, *elements], rtol=1e-5, atol=1e-6)


def test_dssim_golden() -> None:
    a, b = picture(7), picture(8)
    check(dssim(a, b, 5), (2, 3), 0.498281, 0.00620543, 0.497534, 0.49018, 0.495162)
    check(dssim(a, b, 22), (2, 3), 0.495991, 0.00907612, 0.49294, 0.48837, 0.5078)


def test_blur_golden() -> None:
    check(gaussian_blur(picture(7), 2), (2, 64, 64, 3), 0.475553, 0.0694902, 0.157667, 0.492608, 0.14542)
    check(gaussian_blur(picture(7), 0.5), (2, 64, 64, 3), 0.494781, 0.186272, 0.133097, 0.689712, 0.172598)


@pytest.mark.parametrize("size", [1, 5, 8])
def test_dssim_matches_the_formula(size: int) -> None:
    a, b = picture(1)[:, :12, :12, :2].astype(np.float64), picture(2)[:, :12, :12, :2].astype(np.float64)
    taps = np.exp(-((np.arange(size) - (size - 1) / 2) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / np.outer(taps, taps).sum()
    similarity = np.zeros((2, 13 - size, 13 - size, 2))
    for row in range(13 - size):
        for column in range(13 - size):
            here = np.s_[:, row : row + size, column : column + size]
            ma, mb, aa, bb, ab = (np.einsum("nhwc,hw->nc", x[here], window) for x in (a, b, a * a, b * b, a * b))
            luminance = (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4)
            contrast = (2 * (ab - ma * mb) + 9e-4) / (aa + bb - ma**2 - mb**2 + 9e-4)
            similarity[:, row, column] = luminance * contrast
    got = np.asarray(dssim(a.astype(np.float32), b.astype(np.float32), size))
    np.testing.assert_allclose(got, (1 - similarity.mean(axis=(1, 2))) / 2, atol=2e-5)


def test_equal_pictures_cost_nothing() -> None:
    a = picture(3)
    assert np.abs(np.asarray(dssim(a, a, 8))).max() < 1e-6
    assert np.asarray(mean_squared(a, a)).tolist() == [0.0, 0.0]


def test_window_sums_to_one_and_peaks_at_its_center() -> None:
    window = gaussian_window(9, 2.0, 4)
    assert window.sum() == pytest.approx(1.0, abs=1e-6)
    assert window.argmax() == 4
    np.testing.assert_array_equal(window, window[::-1])


def test_blur_spreads_a_point_and_keeps_its_sum_inside() -> None:
    point = np.zeros((1, 21, 21, 1), np.float32)
    point[0, 10, 10, 0] = 1.0
    out = np.asarray(gaussian_blur(point, 2))[0, :, :, 0]
    assert np.count_nonzero(out) == 81  # a window of 9: trunc(4 * 2) made odd
    assert out.sum() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(out[10, 6:15], out[6:15, 10])
    assert out[10, 11] / out[10, 10] == pytest.approx(np.exp(-1 / 8), rel=1e-5)


def test_mean_squared() -> None:
    a = np.zeros((2, 2, 2, 1), np.float32)
    b = a.copy()
    b[1] = 3.0
    b[1, 0, 0, 0] = 1.0
    assert np.asarray(mean_squared(a, b)).tolist() == [0.0, 7.0]


@pytest.mark.parametrize(("shape", "sigma", "size"), [((2, 30, 50, 2), 0.5, 3), ((1, 40, 24, 3), 64, 257)])
def test_blur_matches_a_sliding_window(shape: tuple[int, ...], sigma: float, size: int) -> None:
    """Any sides, and a window far wider than the picture."""
    x = np.random.default_rng(5).random(shape)
    taps = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    expected = x
    for axis in (1, 2):
        expected = correlate1d(expected, taps / taps.sum(), axis=axis, mode="constant")
    np.testing.assert_allclose(np.asarray(gaussian_blur(x.astype(np.float32), sigma)), expected, atol=1e-6)


def test_style_golden() -> None:
    check(
        style_loss(picture(7), picture(8), 8, 10), (2,), 8.6756e-05, 1.12787e-05, 9.80347e-05, 9.80347e-05, 7.54772e-05
    )


def test_style_counts_mean_and_deviation_of_each_channel() -> None:
    """The formula in float64."""
    a, b = picture(1), picture(2) * 0.5 + 0.3
    taps = np.exp(-((np.arange(9) - 4) ** 2) / 8)
    blurred = []
    for x in (a, b):
        for axis in (1, 2):
            x = correlate1d(x.astype(np.float64), taps / taps.sum(), axis=axis, mode="constant")
        blurred.append(x)
    mean_a, mean_b = (x.mean(axis=(1, 2)) for x in blurred)
    std_a, std_b = (np.sqrt(x.var(axis=(1, 2)) + 1e-5) for x in blurred)
    expected = 30 / 3 * (((mean_a - mean_b) ** 2).sum(axis=1) + ((std_a - std_b) ** 2).sum(axis=1))
    np.testing.assert_allclose(np.asarray(style_loss(a, b, 2, 30)), expected, rtol=2e-5)


def test_total_variation_golden() -> None:
    check(total_variation(picture(7)), (2,), 4051.86, 16.2405, 4068.1, 4068.1, 4035.61)


def test_total_variation_is_blind_to_color_and_sees_both_directions() -> None:
    colors = np.broadcast_to(np.array([0.0, 0.5, 1.0], np.float32), (1, 4, 5, 3))
    assert np.asarray(total_variation(colors)).tolist() == [0.0]
    step = np.zeros((1, 4, 5, 1), np.float32)
    step[:, :2] = 1.0
    assert np.asarray(total_variation(step)).tolist() == [5.0]
    step = np.zeros((1, 4, 5, 1), np.float32)
    step[:, :, :2] = 1.0
    assert np.asarray(total_variation(step)).tolist() == [4.0]


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_sigmoid_cross_entropy(label: float) -> None:
    logits = np.random.default_rng(1).normal(0, 3, (3, 4, 5, 1))
    probability = 1 / (1 + np.exp(-logits))
    expected = -np.log(probability if label else 1 - probability).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(np.asarray(sigmoid_cross_entropy(logits.astype(np.float32), label)), expected, rtol=1e-5)


def test_sigmoid_cross_entropy_of_certain_critics_stays_finite() -> None:
    logits = np.array([[-1000.0], [1000.0]], np.float32)
    assert np.asarray(sigmoid_cross_entropy(logits, 1.0)).tolist() == [1000.0, 0.0]
    assert np.asarray(sigmoid_cross_entropy(logits, 0.0)).tolist() == [0.0, 1000.0]
