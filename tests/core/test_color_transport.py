"""idt and sot against slow, straightforward versions of the same methods written here."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.color import ColorTransform, FieldTransform, LatticeTransform
from core.color_transport import fit_distribution_lattice, fit_transport_field, look_up_lattice, random_rotation
from core.images import read_image, to_float


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
    """Every pixel, one direction after another, then a Gaussian of 16/256 of the side on the difference."""
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
    smooth = cv2.GaussianBlur(difference, (0, 0), image.shape[0] / 16, borderType=cv2.BORDER_REFLECT)
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
    lattice = fit_distribution_lattice(pixels, wanted, np.random.default_rng(4), relaxation=1.0)
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


def portrait(package: str, name: str, top: int, left: int, side: int) -> np.ndarray:
    """A square cut out of a picture in the public domain, reduced to 128 pixels."""
    path = files(package).joinpath(name)
    assert isinstance(path, Path)
    cut = to_float(read_image(path))[top : top + side, left : left + side]
    return cv2.resize(cut, (128, 128), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("slow", [slow_distribution_transfer, slow_sliced_transport])
def test_on_portraits_both_are_nearer_to_the_slow_version_than_another_seed(
    slow: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray], turned: bool
) -> None:
    collins = portrait("skimage", "data/astronaut.png", 0, 128, 256)
    hopper = portrait("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", 60, 80, 340)
    image, reference = (hopper, collins) if turned else (collins, hopper)
    thumbnail, colors, rng = small(image), small(reference).reshape(-1, 3), np.random.default_rng(7)
    fast: ColorTransform
    if slow is slow_distribution_transfer:
        fast = LatticeTransform(fit_distribution_lattice(thumbnail.reshape(-1, 3), colors, rng))
    else:
        fast = FieldTransform(fit_transport_field(thumbnail, np.ones((64, 64), np.float32), colors, rng))
    same, *others = (slow(image, reference, np.random.default_rng(seed)) for seed in (7, 8, 9))
    spread = np.mean([np.abs(other - same).mean() for other in others])
    assert np.abs(fast.apply(image) - same).mean() < 0.9 * spread


def test_sot_on_thumbnails_stays_close_to_the_slow_version() -> None:
    image, reference = picture(8, 128, 0.1, 0.6), picture(9, 128, 0.4, 0.9)
    slow = slow_sliced_transport(image, reference, np.random.default_rng(10))
    everywhere = np.ones((64, 64), np.float32)
    wanted = small(reference).reshape(-1, 3)
    fast = FieldTransform(fit_transport_field(small(image), everywhere, wanted, np.random.default_rng(10))).apply(image)
    assert np.abs(fast - slow).mean() < 0.004


def test_sot_measures_under_the_mask_and_goes_on_smoothly_outside() -> None:
    image = np.full((64, 64, 3), 0.2, np.float32)
    image[16:48, 16:48] = 0.4
    mask = np.zeros((64, 64), np.float32)
    mask[16:48, 16:48] = 1.0
    wanted = np.full((500, 3), 0.7, np.float32)
    field = fit_transport_field(image, mask, wanted, np.random.default_rng(11), steps=40)
    np.testing.assert_allclose(field[20:44, 20:44], 0.3, atol=0.01)
    np.testing.assert_allclose(field[0, 0], 0.3, atol=0.01)
