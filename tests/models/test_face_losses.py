"""The composite loss against the same formula in float64 NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from models.face_losses import blurred_mask, reconstruction_loss, soft_mask, structure_windows


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
