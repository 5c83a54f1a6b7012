"""Color transfers against formulas worked out here, and on pictures that are hard on them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from core.color import (
    COLOR_TRANSFER_MODES,
    GAIN_RANGE,
    ColorStatistics,
    MatrixTransform,
    bgr_to_lab,
    color_statistics,
    color_transfer,
    fit_color_transfer,
    fit_linear,
    fit_monge_kantorovich,
    fit_reinhard,
    lab_statistics,
    lab_to_bgr,
    linear_color_transfer,
    monge_kantorovich_transfer,
    reinhard_transfer,
    shift_hsv,
)
from core.errors import BadOption

TRANSFERS = [mode for mode in COLOR_TRANSFER_MODES if mode != "none"]


def cloudy(seed: int, side: int = 96, low: float = 0.3, high: float = 0.6) -> np.ndarray:
    """A smooth picture whose channels are correlated and stay well inside [0, 1]."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((6, 6, 3)).astype(np.float32) @ np.array(
        [[1, 0.3, 0.2], [0, 0.8, 0.3], [0, 0, 0.7]], np.float32
    )
    picture = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    low_end, high_end = picture.min(axis=(0, 1)), picture.max(axis=(0, 1))
    return (low + (picture - low_end) / (high_end - low_end) * (high - low)).astype(np.float32)


def lab_by_definition(color: list[float]) -> np.ndarray:
    """CIE 1976 L*a*b* (D65) of one BGR sRGB color, from the standard's formulas."""
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[::-1]])
    xyz = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    ratio = xyz @ linear / np.array([0.950456, 1.0, 1.088754])
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_lab_statistics_follow_the_definition_of_lab() -> None:
    colors = [[0.2, 0.4, 0.6], [0.8, 0.5, 0.3]]
    image = np.array([colors], np.float32)
    expected = np.array([lab_by_definition(color) for color in colors])
    statistics = lab_statistics(image)
    np.testing.assert_allclose(statistics.mean, expected.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(statistics.std, np.abs(expected[0] - expected[1]) / 2, atol=0.02)


def test_lab_there_and_back() -> None:
    image = cloudy(1)
    # A twentieth of the step of an 8-bit picture.
    np.testing.assert_allclose(lab_to_bgr(bgr_to_lab(image)), image, atol=2e-4)
    dark = np.linspace(0, 0.06, 60, dtype=np.float32).reshape(4, 5, 3)
    np.testing.assert_allclose(lab_to_bgr(bgr_to_lab(dark)), dark, atol=2e-4)


def test_statistics_count_pixels_by_the_weight_of_the_mask() -> None:
    image = np.array([[[0.0, 0.2, 0.4], [1.0, 0.4, 0.4], [0.5, 0.9, 0.9]]], np.float32)
    mask = np.array([[0.5, 0.25, 0.0]], np.float32)
    statistics = color_statistics(image, mask)
    np.testing.assert_allclose(statistics.mean, [1 / 3, 0.8 / 3, 0.4], atol=1e-7)
    # Weights 2/3 and 1/3: variance 2/9 of the squared difference, covariance 2/9 of the product of differences.
    np.testing.assert_allclose(statistics.covariance[0, 0], 2 / 9, atol=1e-7)
    np.testing.assert_allclose(statistics.covariance[0, 1], 2 / 9 * 0.2, atol=1e-7)
    np.testing.assert_allclose(statistics.covariance[:, 2], 0, atol=1e-7)


def test_an_empty_mask_counts_as_none() -> None:
    image = cloudy(2)
    nothing = np.zeros(image.shape[:2], np.float32)
    np.testing.assert_array_equal(lab_statistics(image, nothing).mean, lab_statistics(image).mean)


def test_rct_is_gain_and_offset_in_lab() -> None:
    source, target = cloudy(3), cloudy(4, low=0.2, high=0.7)
    have, want = lab_statistics(source), lab_statistics(target)
    transform = fit_reinhard(have, want)
    np.testing.assert_allclose(transform.gain, want.std / have.std)
    expected = (bgr_to_lab(source) - have.mean) * (want.std / have.std) + want.mean
    np.testing.assert_allclose(bgr_to_lab(reinhard_transfer(source, want)), expected, atol=0.1)


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_rct_reaches_mean_and_deviation(seed: int) -> None:
    source, target = cloudy(seed), cloudy(seed + 50, low=0.35, high=0.65)
    reached, wanted = lab_statistics(reinhard_transfer(source, lab_statistics(target))), lab_statistics(target)
    # 0.1 of 100 is 1e-3 of the range of L.
    np.testing.assert_allclose(reached.mean, wanted.mean, atol=0.1)
    np.testing.assert_allclose(reached.std, wanted.std, atol=0.1)


def test_masked_rct_reaches_the_mean_inside_the_mask() -> None:
    source, target = cloudy(8), cloudy(9, low=0.35, high=0.65)
    mask = np.zeros(source.shape[:2], np.float32)
    mask[20:60, 30:80] = 1.0
    target_mask = mask.T.copy()
    result = color_transfer("rct", source, target, mask, target_mask)
    wanted = lab_statistics(target, target_mask)
    np.testing.assert_allclose(lab_statistics(result, mask).mean, wanted.mean, atol=0.1)
    unmasked = color_transfer("rct", source, target)
    assert np.abs(lab_statistics(unmasked, mask).mean - wanted.mean).max() > 1.0


@pytest.mark.parametrize("transfer", [linear_color_transfer, monge_kantorovich_transfer])
def test_linear_transfers_reach_mean_and_covariance(transfer: Callable[..., np.ndarray]) -> None:
    source, target = cloudy(10), cloudy(11, low=0.4, high=0.65)
    wanted = color_statistics(target)
    reached = color_statistics(transfer(source, wanted))
    np.testing.assert_allclose(reached.mean, wanted.mean, atol=1e-3)
    np.testing.assert_allclose(reached.covariance, wanted.covariance, atol=1e-3)


def test_linear_transfers_scale_each_channel_when_channels_are_independent() -> None:
    source = ColorStatistics(np.array([0.5, 0.5, 0.5]), np.diag([0.01, 0.04, 0.02]))
    target = ColorStatistics(np.array([0.4, 0.5, 0.6]), np.diag([0.02, 0.02, 0.02]))
    expected = np.diag(np.sqrt((0.02 + 1e-5) / (np.array([0.01, 0.04, 0.02]) + 1e-5)))
    for fit in (fit_linear, fit_monge_kantorovich):
        matrix = fit(source, target).matrix
        np.testing.assert_allclose(matrix[:, :3], expected, atol=1e-9)
        np.testing.assert_allclose(matrix[:, 3], target.mean - expected @ source.mean, atol=1e-9)


def test_mkl_moves_along_a_symmetric_matrix_and_lct_need_not() -> None:
    source, target = color_statistics(cloudy(12)), color_statistics(cloudy(13))
    mkl = fit_monge_kantorovich(source, target).matrix[:, :3]
    np.testing.assert_allclose(mkl, mkl.T, atol=1e-9)
    lct = fit_linear(source, target).matrix[:, :3]
    assert np.abs(lct - lct.T).max() > 1e-3


@pytest.mark.parametrize("mode", TRANSFERS)
def test_flat_gray_black_and_white_pictures_give_finite_colors(mode: str) -> None:
    pictures = [np.full((32, 32, 3), value, np.float32) for value in (0.0, 0.5, 1.0)]
    pictures.append(np.repeat(cloudy(14, 32)[..., :1], 3, axis=2))
    for image in pictures:
        for reference in pictures:
            result = color_transfer(mode, image, reference)
            assert result.shape == image.shape
            assert result.dtype == np.float32
            assert np.isfinite(result).all()
            assert result.min() >= 0.0
            assert result.max() <= 1.0


@pytest.mark.parametrize("mode", ["rct", "lct", "mkl"])
def test_noise_on_a_flat_picture_is_not_blown_up(mode: str) -> None:
    rng = np.random.default_rng(15)
    nearly_flat = np.float32(0.5) + rng.normal(0, 0.01, (64, 64, 3)).astype(np.float32)
    lively = rng.random((64, 64, 3)).astype(np.float32)
    result = color_transfer(mode, nearly_flat, lively)
    assert result.std() < GAIN_RANGE[1] * nearly_flat.std() * 1.6  # gains act on Lab or along axes, hence the slack


@pytest.mark.parametrize("mode", TRANSFERS)
def test_a_picture_keeps_its_own_colors(mode: str) -> None:
    image = cloudy(16)
    tolerance = {"idt": 0.02, "sot": 0.01}.get(mode, 2e-3)  # a lattice of 33 steps; a smoothed field
    np.testing.assert_allclose(color_transfer(mode, image, image), image, atol=tolerance)


def test_the_same_seed_gives_the_same_transfer() -> None:
    image, reference = cloudy(17), cloudy(18)
    for mode in ("idt", "sot"):
        first, again, other = (
            color_transfer(mode, image, reference, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 0


def test_a_transform_is_fitted_once_and_fits_pictures_of_any_size() -> None:
    image, reference = cloudy(19, 64), cloudy(20, 64)
    for mode in TRANSFERS:
        transform = fit_color_transfer(mode, image, reference)
        large = cv2.resize(image, (200, 200), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(transform.apply(large).mean(), transform.apply(image).mean(), atol=5e-3)


def test_a_matrix_transform_by_hand() -> None:
    transform = MatrixTransform(np.array([[0.5, 0, 0, 0.1], [0, 1.0, 0, 0], [0, 0, 2.0, 0]]))
    result = transform.apply(np.array([[[0.2, 0.3, 0.8]]], np.float32))
    np.testing.assert_allclose(result, [[[0.2, 0.3, 1.0]]], atol=1e-6)


def test_hsv_shift_turns_red_to_green_and_darkens() -> None:
    red = np.array([[[0.0, 0.0, 1.0]]], np.float32)
    np.testing.assert_allclose(shift_hsv(red, 120, 0, 0), [[[0, 1, 0]]], atol=1e-6)
    np.testing.assert_allclose(shift_hsv(red, -120, 0, 0), [[[1, 0, 0]]], atol=1e-6)
    np.testing.assert_allclose(shift_hsv(red, 0, -0.5, 0), [[[0.5, 0.5, 1]]], atol=1e-6)
    np.testing.assert_allclose(shift_hsv(red, 0, 0.5, -0.25), [[[0, 0, 0.75]]], atol=1e-6)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(BadOption, match="Received: sepia"):
        color_transfer("sepia", cloudy(1, 16), cloudy(2, 16))
