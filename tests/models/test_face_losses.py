"""The losses of faces against the same formulas in float64 NumPy and SciPy, and where their gradients go."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from core.nn.backend import active_backend
from core.nn.framework import Tensor, keras, ops
from core.nn.optimizers import AdaBelief, OptimizerSettings
from models.face_losses import (
    background_style_loss,
    background_weight,
    blur_out,
    blurred_mask,
    classical_background_weight,
    code_discriminator_loss,
    eyes_mouth_loss,
    face_style_loss,
    gan_loss,
    patch_discriminator_loss,
    reconstruction_loss,
    soft_mask,
    structure_windows,
    surroundings_loss,
    true_face_loss,
)


def rng_pictures(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random(shape, dtype=np.float32) for shape in shapes]


def windowed(x: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Means under a separable window, where it fits inside."""
    n = len(taps)
    before, after = n // 2, n - 1 - n // 2
    for axis in (1, 2):
        x = correlate1d(x, taps, axis=axis, mode="constant")
        inside = [slice(None)] * 4
        inside[axis] = slice(before, x.shape[axis] - after)
        x = x[tuple(inside)]
    return x


def blurred(x: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian window of trunc(4 * sigma), made odd, at least 3, with zeros around."""
    size = max(3, int(4 * sigma))
    size += 1 - size % 2
    taps = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    for axis in (1, 2):
        x = correlate1d(x.astype(np.float64), taps, axis=axis, mode="constant")
    return x


def masks(side: int, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    """One mask per box of top, bottom, left, right."""
    out = np.zeros((len(boxes), side, side, 1), np.float32)
    for mask, (top, bottom, left, right) in zip(out, boxes, strict=True):
        mask[top:bottom, left:right] = 1.0
    return out


def cross_entropy(logits: np.ndarray, label: int) -> np.ndarray:
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return -np.log(probability if label else 1 - probability).mean(axis=(1, 2, 3))


def structure(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    taps = np.exp(-((np.arange(n) - (n - 1) / 2) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()
    ma, mb, squares, product = (windowed(x, taps) for x in (a, b, a * a + b * b, a * b))
    luminance = (2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2)
    contrast = (2 * product - 2 * ma * mb + 0.03**2) / (squares - ma**2 - mb**2 + 0.03**2)
    return (1 - (luminance * contrast).mean(axis=(1, 2, 3))) / 2


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [(64, (5,)), (96, (8,)), (128, (11,)), (160, (13,)), (192, (16,)), (224, (19,)), (256, (22, 11)), (320, (27, 13)),
     (384, (33, 16)), (448, (38, 19)), (512, (44, 22)), (640, (55, 27))],
)  # fmt: skip
def test_structure_windows(resolution: int, expected: tuple[int, ...]) -> None:
    assert structure_windows(resolution) == expected


@pytest.mark.parametrize(("resolution", "windows"), [(96, (8,)), (256, (22, 11))])
def test_reconstruction_loss(resolution: int, windows: tuple[int, ...]) -> None:
    size = (2, resolution, resolution)
    target, face, mask, drawn_mask, weight = rng_pictures(1, (*size, 3), (*size, 3), (*size, 1), (*size, 1), (*size, 1))
    a, b = (target * weight).astype(np.float64), (face * weight).astype(np.float64)
    expected = sum(10 / len(windows) * structure(a, b, n) for n in windows)
    expected += 10 * ((a - b) ** 2).mean(axis=(1, 2, 3))
    expected += 10 * ((mask - drawn_mask).astype(np.float64) ** 2).mean(axis=(1, 2, 3))
    got = np.asarray(reconstruction_loss(target, face, mask, drawn_mask, weight))
    np.testing.assert_allclose(got, expected, rtol=2e-5)


def test_a_perfect_drawing_costs_nothing() -> None:
    target, mask = rng_pictures(2, (1, 96, 96, 3), (1, 96, 96, 1))
    assert float(np.asarray(reconstruction_loss(target, target, mask, mask, mask))[0]) == pytest.approx(0.0, abs=1e-5)


def test_outside_the_weight_the_face_is_free() -> None:
    target, face, mask = rng_pictures(3, (1, 96, 96, 3), (1, 96, 96, 3), (1, 96, 96, 1))
    weight = np.zeros((1, 96, 96, 1), np.float32)
    weight[:, 20:70, 20:70] = 1.0
    face = np.where(weight > 0, target, face)
    assert float(np.asarray(reconstruction_loss(target, face, mask, mask, weight))[0]) == pytest.approx(0.0, abs=1e-5)


def test_masks_fall_off_as_they_should() -> None:
    """Half a picture of mask, blurred with sigma 3 (window 13): at the edge one half, six pixels away nothing."""
    mask = np.zeros((1, 96, 96, 1), np.float32)
    mask[:, :, :48] = 1.0
    blurred = np.asarray(blurred_mask(mask, 96))[0, 48, :, 0]
    soft = np.asarray(soft_mask(mask, 96))[0, 48, :, 0]
    taps = np.exp(-(np.arange(-6, 7) ** 2) / 18)
    taps /= taps.sum()
    assert blurred[48] == pytest.approx(taps[:6].sum(), abs=1e-6)
    assert blurred[54] == 0.0
    assert blurred[30] == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(soft, 2 * np.clip(blurred, 0, 0.5), atol=1e-6)
    assert soft[47] == 1.0
    assert 0.0 < soft[50] < 1.0


def test_reconstruction_without_a_weight_compares_everything() -> None:
    target, face, mask, drawn = rng_pictures(4, (2, 64, 64, 3), (2, 64, 64, 3), (2, 64, 64, 1), (2, 64, 64, 1))
    ones = np.ones((2, 64, 64, 1), np.float32)
    np.testing.assert_array_equal(
        np.asarray(reconstruction_loss(target, face, mask, drawn)),
        np.asarray(reconstruction_loss(target, face, mask, drawn, ones)),
    )


@pytest.mark.parametrize("resolution", [64, 224])
def test_blur_out(resolution: int) -> None:
    """By its formula, soft mask edges included; sigma is no whole number."""
    (target,) = rng_pictures(5, (2, resolution, resolution, 3))
    mask = blurred(masks(resolution, (20, 50, 10, 40), (5, 60, 30, 64)), 3.0).astype(np.float32)
    inside, outside = mask.astype(np.float64), 1.0 - mask.astype(np.float64)
    share = blurred(outside, resolution / 128)
    around = blurred(target * outside, resolution / 128) / np.where(share < 1e-4, 1.0, share)
    got = np.asarray(blur_out(target, mask, resolution))
    np.testing.assert_allclose(got, target * inside + around * outside, atol=2e-5)


def test_blur_out_keeps_the_face_and_smears_none_of_it() -> None:
    target = np.full((1, 64, 64, 3), 0.25, np.float32)
    target[:, 20:40, 20:40] = 1.0
    mask = masks(64, (20, 40, 20, 40))
    got = np.asarray(blur_out(target, mask, 64))
    assert (got[:, 20:40, 20:40] == 1.0).all()
    # to the picture's very border, whose zeros the blur does see
    np.testing.assert_allclose(got[mask[..., 0] == 0], 0.25, atol=1e-5)


def test_blur_out_of_a_picture_that_is_all_face() -> None:
    (target,) = rng_pictures(6, (1, 64, 64, 3))
    np.testing.assert_array_equal(np.asarray(blur_out(target, np.ones((1, 64, 64, 1), np.float32), 64)), target)


def test_eyes_mouth_loss() -> None:
    target, face, mask = rng_pictures(7, (2, 64, 64, 3), (2, 64, 64, 3), (2, 64, 64, 1))
    expected = 300 * np.abs((target.astype(np.float64) - face) * mask).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(np.asarray(eyes_mouth_loss(target, face, mask)), expected, rtol=1e-5)


def test_face_style_loss() -> None:
    swap, swap_mask, dst, dst_mask = rng_pictures(8, *[(2, 64, 64, 3), (2, 64, 64, 1)] * 2)
    a, b = blurred(swap * swap_mask, 8), blurred(dst * dst_mask * 0.7, 8)
    expected = ((a.mean(axis=(1, 2)) - b.mean(axis=(1, 2))) ** 2).sum(axis=1)
    expected += ((np.sqrt(a.var(axis=(1, 2)) + 1e-5) - np.sqrt(b.var(axis=(1, 2)) + 1e-5)) ** 2).sum(axis=1)
    got = np.asarray(face_style_loss(swap, swap_mask, dst * np.float32(0.7), dst_mask, 30.0))
    np.testing.assert_allclose(got, 10_000 * 0.3 / 3 * expected, rtol=2e-4)


@pytest.mark.parametrize(("resolution", "window"), [(64, 5), (256, 22)])
def test_background_style_loss(resolution: int, window: int) -> None:
    """The large window alone, at every resolution."""
    size = (2, resolution, resolution)
    swap, dst, weight = rng_pictures(9, (*size, 3), (*size, 3), (*size, 1))
    a, b = (swap * weight).astype(np.float64), (dst * weight).astype(np.float64)
    expected = 10 * 0.4 * (structure(a, b, window) + ((a - b) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(np.asarray(background_style_loss(swap, dst, weight, 40.0)), expected, rtol=2e-5)


def test_background_weights() -> None:
    """The intended one looks at the faces drawn in dst's place, the classical one at the mask of src."""
    swap, dst, src = masks(96, (10, 60, 10, 60)), masks(96, (30, 90, 30, 90)), masks(96, (0, 40, 50, 96))
    np.testing.assert_allclose(np.asarray(background_weight(swap, dst)), 1 - blurred(swap * dst, 3), atol=1e-6)
    expected = 1 - 2 * np.clip(blurred(src, 3), 0, 0.5)
    np.testing.assert_allclose(np.asarray(classical_background_weight(src)), expected, atol=1e-6)


def test_adversarial_losses() -> None:
    rng = np.random.default_rng(10)
    real, drawn = ([rng.normal(size=(2, n, n, 1)).astype(np.float32) for n in (4, 32)] for _ in "ab")
    src, dst = (rng.normal(size=(2, 3, 3, 1)).astype(np.float32) for _ in "ab")
    np.testing.assert_allclose(np.asarray(true_face_loss(src)), cross_entropy(src, 1), rtol=1e-5)
    np.testing.assert_allclose(
        np.asarray(code_discriminator_loss(src, dst)), (cross_entropy(dst, 1) + cross_entropy(src, 0)) / 2, rtol=1e-5
    )
    np.testing.assert_allclose(
        np.asarray(gan_loss((drawn[0], drawn[1]))), sum(cross_entropy(x, 1) for x in drawn), rtol=1e-5
    )
    told = sum(cross_entropy(x, 1) for x in real) + sum(cross_entropy(x, 0) for x in drawn)
    got = patch_discriminator_loss((real[0], real[1]), (drawn[0], drawn[1]))
    np.testing.assert_allclose(np.asarray(got), told / 2, rtol=1e-5)


def test_surroundings_loss() -> None:
    target, face, weight = rng_pictures(11, (2, 64, 64, 3), (2, 64, 64, 3), (2, 64, 64, 1))
    exact = face.astype(np.float64)
    variation = sum((np.diff(exact, axis=axis) ** 2).sum(axis=(1, 2, 3)) for axis in (1, 2))
    outside = ((exact - target) * (1 - weight.astype(np.float64))) ** 2
    expected = 1e-6 * variation + 0.02 * outside.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(np.asarray(surroundings_loss(target, face, weight)), expected, rtol=1e-5)


def moved(loss: Callable[..., Tensor], *arrays: np.ndarray) -> list[bool]:
    """Which arguments one training step on a loss changes."""
    variables = {str(k): keras.Variable(array) for k, array in enumerate(arrays)}
    optimizer = AdaBelief(variables, OptimizerSettings(learning_rate=1e-3), seed=0)

    def objective(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        total = ops.sum(loss(*[v.value for v in variables.values()]))
        return {"x": total + sum(0.0 * ops.sum(v.value) for v in variables.values())}, {}

    cpu = active_backend().list_devices()[0]
    assert active_backend().compile_step(objective, {"x": optimizer}, [cpu])({"unused": np.zeros(1, np.float32)}).finite
    return [bool((v.numpy() != array).any()) for v, array in zip(variables.values(), arrays, strict=True)]


def test_face_style_moves_the_swap_alone() -> None:
    swap, swap_mask, dst, dst_mask = rng_pictures(12, *[(1, 64, 64, 3), (1, 64, 64, 1)] * 2)

    def loss(swap: Tensor, swap_mask: Tensor, dst: Tensor, dst_mask: Tensor) -> Tensor:
        return face_style_loss(swap, swap_mask, dst, dst_mask, 10.0)

    assert moved(loss, swap, swap_mask, dst, dst_mask) == [True, False, False, False]


def test_background_style_moves_the_swap_and_no_mask() -> None:
    swap, swap_mask, dst, dst_mask = rng_pictures(13, *[(1, 64, 64, 3), (1, 64, 64, 1)] * 2)

    def loss(swap: Tensor, swap_mask: Tensor, dst_mask: Tensor) -> Tensor:
        return background_style_loss(swap, dst, background_weight(swap_mask, dst_mask), 10.0)

    assert moved(loss, swap, swap_mask, dst_mask) == [True, False, False]
