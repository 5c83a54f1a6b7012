"""idt and sot against slow, straightforward versions of the same methods written here."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from core.color import ColorTransform, FieldTransform, LatticeTransform
from core.color_transport import (
    fit_distribution_lattice,
    fit_transport_field,
    look_up_lattice,
    random_rotation,
    thinned,
)
from tests.portraits import collins, hopper


def picture(seed: int, side: int, low: float, high: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(low, high, (7, 7, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)


def slow_distribution_transfer(image: np.ndarray, reference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every pixel, exact marginals by sorting, 20 steps of 1/20."""
    moved = image.reshape(-1, 3).astype(np.float64)
    wanted = reference.reshape(-1, 3).astype(np.float64)
    for _ in range(20):
        rotation = random_rotation(rng)
        turned, goal = moved @ rotation.T, wanted @ rotation.T
        step = np.empty_like(turned)
        for channel in range(3):
            order = np.argsort(turned[:, channel])
            step[order, channel] = np.sort(goal[:, channel]) - turned[order, channel]
        moved += step @ rotation / 20
    return np.clip(moved, 0, 1).reshape(image.shape)


def slow_sliced_transport(image: np.ndarray, reference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every pixel, one direction after another, then a bilateral filter of 16/256 of the side on the difference."""
    moved = image.reshape(-1, 3).astype(np.float64)
    wanted = reference.reshape(-1, 3).astype(np.float64)
    for _ in range(10):
        total = np.zeros_like(moved)
        for _ in range(5):
            axis = rng.standard_normal(3)
            axis /= np.linalg.norm(axis)
            order = np.argsort(moved @ axis)
            total[order] += (np.sort(wanted @ axis) - (moved @ axis)[order])[:, None] * axis
        moved += total / 5
    difference = (moved.reshape(image.shape) - image).astype(np.float32)
    smooth = cv2.bilateralFilter(difference, -1, 5.0, image.shape[0] / 16)
    return np.clip(image + smooth, 0, 1)


def small(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)


def test_rotations_are_rotations() -> None:
    rng = np.random.default_rng(0)
    mean = np.zeros((3, 3))
    for _ in range(400):
        rotation = random_rotation(rng)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) > 0.999
        mean += rotation / 400
    assert np.abs(mean).max() < 0.12  # uniform: no direction preferred; four deviations of 0.577 / sqrt(400)


def test_a_lattice_of_itself_changes_nothing() -> None:
    axis = np.linspace(0, 1, 17, dtype=np.float32)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    colors = np.random.default_rng(1).random((40, 50, 3)).astype(np.float32)
    colors[0, :2] = [[0, 0, 0], [1, 1, 1]]
    # OpenCV rounds places to 1/32 of a step of 1/16.
    np.testing.assert_allclose(look_up_lattice(lattice, colors), colors, atol=0.5 / 32 / 16 + 1e-6)


def test_a_lattice_knows_its_channels_apart() -> None:
    axis = np.linspace(0, 1, 17, dtype=np.float32)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    lattice = np.stack([0.5 * blue, green**2, 1 - red], axis=-1).astype(np.float32)
    result = look_up_lattice(lattice, np.array([[[0.5, 0.25, 0.75]]], np.float32))
    np.testing.assert_allclose(result, [[[0.25, 0.0625, 0.25]]], atol=1e-5)


def test_idt_leaves_the_known_part_of_the_mean_error() -> None:
    image, reference = picture(2, 64, 0.2, 0.5), picture(3, 64, 0.5, 0.8)
    lattice = fit_distribution_lattice(image.reshape(-1, 3), reference.reshape(-1, 3), np.random.default_rng(4))
    result = LatticeTransform(lattice).apply(image)
    before = reference.mean(axis=(0, 1)) - image.mean(axis=(0, 1))
    after = reference.mean(axis=(0, 1)) - result.mean(axis=(0, 1))
    np.testing.assert_allclose(after / before, 0.95**20, atol=0.01)  # 0.3585


def test_idt_with_full_steps_arrives() -> None:
    image, reference = picture(2, 64, 0.2, 0.5), picture(3, 64, 0.5, 0.8)
    pixels, wanted = image.reshape(-1, 3), reference.reshape(-1, 3)
    lattice = fit_distribution_lattice(pixels, wanted, np.random.default_rng(4), keeps=0.0)
    result = LatticeTransform(lattice).apply(image).reshape(-1, 3)
    np.testing.assert_allclose(result.mean(axis=0), wanted.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(np.cov(result.T), np.cov(wanted.T), atol=2e-3)


def test_idt_by_lattice_stays_close_to_the_slow_version() -> None:
    image, reference = picture(5, 128, 0.1, 0.6), picture(6, 128, 0.4, 0.9)
    slow = slow_distribution_transfer(image, reference, np.random.default_rng(7))
    colors = small(image).reshape(-1, 3), small(reference).reshape(-1, 3)
    fast = LatticeTransform(fit_distribution_lattice(*colors, np.random.default_rng(7))).apply(image)
    other_seed = slow_distribution_transfer(image, reference, np.random.default_rng(8))
    assert np.abs(fast - slow).mean() < max(0.004, 2 * np.abs(other_seed - slow).mean())


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("slow", [slow_distribution_transfer, slow_sliced_transport])
def test_on_portraits_both_are_nearer_to_the_slow_version_than_another_seed(
    slow: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray], turned: bool
) -> None:
    image, reference = (hopper(), collins()) if turned else (collins(), hopper())
    thumbnail, colors, rng = small(image), small(reference).reshape(-1, 3), np.random.default_rng(7)
    fast: ColorTransform
    if slow is slow_distribution_transfer:
        fast = LatticeTransform(fit_distribution_lattice(thumbnail.reshape(-1, 3), colors, rng))
    else:
        fast = FieldTransform(fit_transport_field(thumbnail, np.ones((64, 64), bool), colors, rng))
    same, *others = (slow(image, reference, np.random.default_rng(seed)) for seed in (7, 8, 9))
    spread = np.mean([np.abs(other - same).mean() for other in others])
    assert np.abs(fast.apply(image) - same).mean() < 0.9 * spread


def test_sot_on_thumbnails_stays_close_to_the_slow_version() -> None:
    image, reference = picture(8, 128, 0.1, 0.6), picture(9, 128, 0.4, 0.9)
    slow = np.mean([slow_sliced_transport(image, reference, np.random.default_rng(seed)) for seed in range(10, 14)], 0)
    everywhere = np.ones((64, 64), bool)
    wanted = small(reference).reshape(-1, 3)
    fast = FieldTransform(fit_transport_field(small(image), everywhere, wanted, np.random.default_rng(10))).apply(image)
    assert np.abs(fast - slow).mean() < 0.004


def test_sot_measures_under_the_mask_and_goes_on_smoothly_outside() -> None:
    image = np.full((64, 64, 3), 0.2, np.float32)
    image[16:48, 16:48] = 0.4
    inside = np.zeros((64, 64), bool)
    inside[16:48, 16:48] = True
    wanted = np.full((500, 3), 0.7, np.float32)
    field = fit_transport_field(image, inside, wanted, np.random.default_rng(11), keeps=0.0)
    np.testing.assert_allclose(field[20:44, 20:44], 0.3, atol=0.01)
    np.testing.assert_allclose(field[0, 0], 0.3, atol=0.01)


def test_sot_keeps_the_known_part_of_the_mean_error() -> None:
    image, inside = np.full((64, 64, 3), 0.4, np.float32), np.ones((64, 64), bool)
    field = fit_transport_field(image, inside, np.full((500, 3), 0.7, np.float32), np.random.default_rng(0))
    np.testing.assert_allclose(field, 0.3 * (1 - (2 / 3) ** 10), atol=1e-3)


def test_with_a_range_movements_that_differ_are_not_smoothed_together() -> None:
    """Two halves that move apart: the field follows the edge between them, and knows nothing of what lies outside."""
    rng = np.random.default_rng(12)
    image = rng.uniform(0.25, 0.35, (64, 64, 3)).astype(np.float32)
    image[:, 32:] += 0.3
    wanted = rng.uniform(0.15, 0.25, (1000, 3)).astype(np.float32)
    wanted[500:] += 0.5
    inside = np.zeros((64, 64), bool)
    inside[8:56, 8:56] = True
    columns = {}
    for limit in (None, 0.05):
        field = fit_transport_field(image, inside, wanted, np.random.default_rng(0), limit)
        columns[limit] = field[8:56, 8:56].mean(axis=(0, 2))
    np.testing.assert_allclose(columns[0.05], [-0.1] * 24 + [0.1] * 24, atol=0.01)
    assert np.abs(columns[None][23:25]).max() < 0.03  # smoothed across the edge


def test_idt_is_told_by_colors_between_lattice_points_and_elsewhere_by_a_coarse_lattice() -> None:
    colors = np.random.default_rng(0).uniform(0.4, 0.45, (4000, 3)).astype(np.float32)
    lattice = fit_distribution_lattice(colors, colors + np.float32(0.2), np.random.default_rng(1), keeps=0.0)
    result = look_up_lattice(lattice, colors.reshape(40, 100, 3)).reshape(-1, 3)
    np.testing.assert_allclose(result.mean(axis=0), colors.mean(axis=0) + 0.2, atol=5e-4)
    np.testing.assert_allclose(result, colors + 0.2, atol=0.01)
    far = look_up_lattice(lattice, np.full((1, 1, 3), 0.1, np.float32))
    np.testing.assert_allclose(far, 0.3, atol=0.03)  # moves like the nearest color that was measured


def test_thinning_leaves_every_other_pixel() -> None:
    whole = np.ones((8, 8), bool)
    assert thinned(whole, 64) is whole
    assert np.count_nonzero(thinned(whole, 63)) == 32
    assert not (thinned(whole, 63)[:, :-1] & thinned(whole, 63)[:, 1:]).any()
    assert np.array_equal(thinned(whole, 31).nonzero()[0], np.repeat([0, 2, 4, 6], 4))
    assert np.count_nonzero(thinned(whole, 15)) == 8
    part = whole.copy()
    part[:4] = False
    assert not thinned(part, 10)[:4].any()
