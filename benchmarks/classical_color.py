"""Color matching of the merger as it was classically done, pixel by pixel and without a thought of speed.

Tests hold the merger's fast forms against these, and benchmarks measure how much faster they are. Pictures are
(H, W, 3) BGR float32 in [0, 1]. What it does is spec samples-and-colour 8.2-8.8 and merging 3.6, 3.8.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

BILATERAL_COLOR = 5.0


def linear(
    new: NDArray, old: NDArray, measured: NDArray, most: float = np.inf, applied_to: NDArray | None = None
) -> NDArray:
    """lct: symmetric square roots of the covariances.

    most: of the gains; where there is a most, the least is 0.3. applied_to: another picture to change.
    """
    return _by_matrix(new, old, measured, lambda a, b: _power(b, 0.5) @ _power(a, -0.5), 1e-5, most, applied_to)


def monge_kantorovich(
    new: NDArray,
    old: NDArray,
    measured: NDArray,
    floor: float = 0.0,
    most: float = np.inf,
    applied_to: NDArray | None = None,
) -> NDArray:
    """mkl; arguments as `linear`."""

    def matrix(a: NDArray, b: NDArray) -> NDArray:
        root, back = _power(a, 0.5), _power(a, -0.5)
        return back @ _power(root @ b @ root, 0.5) @ back

    return _by_matrix(new, old, measured, matrix, floor, most, applied_to)


def _by_matrix(
    new: NDArray,
    old: NDArray,
    measured: NDArray,
    fit: Callable[[NDArray, NDArray], NDArray],
    floor: float,
    most: float,
    applied_to: NDArray | None,
) -> NDArray:
    a, b = new[measured].astype(np.float64), old[measured].astype(np.float64)
    matrix = fit(np.cov(a.T, bias=True) + floor * np.eye(3), np.cov(b.T, bias=True) + floor * np.eye(3))
    if np.isfinite(most):
        u, gains, v = np.linalg.svd(matrix)
        matrix = u @ np.diag(np.clip(gains, 0.3, most)) @ v
    picture = new if applied_to is None else applied_to
    return np.clip((picture - a.mean(axis=0)) @ matrix.T + b.mean(axis=0), 0, 1).astype(np.float32)


def _power(matrix: NDArray, exponent: float) -> NDArray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.maximum(values, 1e-12) ** exponent) @ vectors.T


def distribution(new: NDArray, old: NDArray, rng: np.random.Generator) -> NDArray:
    """idt: 20 rotations, every pixel through 256 bins per axis, a twentieth of the way each time. Any equal shapes."""
    moved, wanted = new.reshape(-1, 3).astype(np.float64), old.reshape(-1, 3).astype(np.float64)
    for _ in range(20):
        q, r = np.linalg.qr(rng.standard_normal((3, 3)))
        rotation = q * np.sign(np.diag(r))
        a, b = moved @ rotation.T, wanted @ rotation.T
        mapped = np.empty_like(a)
        for axis in range(3):
            low, high = min(a[:, axis].min(), b[:, axis].min()), max(a[:, axis].max(), b[:, axis].max())
            has, edges = np.histogram(a[:, axis], 256, (low, high))
            wants, _ = np.histogram(b[:, axis], 256, (low, high))
            curve = np.interp(np.cumsum(has) / has.sum(), np.cumsum(wants) / wants.sum(), edges[1:])
            mapped[:, axis] = np.interp(a[:, axis], edges[1:], curve)
        moved += (mapped - a) @ rotation / 20
    return np.clip(moved, 0, 1).reshape(new.shape).astype(np.float32)


def transport(
    new: NDArray, old: NDArray, rng: np.random.Generator, directions: int = 30, space: float = 16.0
) -> NDArray:
    """sot: ten steps of sorting along random directions, every pixel; then the movement is smoothed (not clipped).

    space: of the smoothing, pixels.
    """
    moved, wanted = new.reshape(-1, 3).astype(np.float64), old.reshape(-1, 3).astype(np.float64)
    for _ in range(10):
        total = np.zeros_like(moved)
        for _ in range(directions):
            direction = rng.standard_normal(3)
            direction /= np.linalg.norm(direction)
            a, b = moved @ direction, wanted @ direction
            order = np.argsort(a)
            total[order] += (np.sort(b) - a[order])[:, None] * direction
        moved += total / directions
    movement = (moved.reshape(new.shape) - new).astype(np.float32)
    return new + cv2.bilateralFilter(movement, 0, BILATERAL_COLOR, space)


def mix(new: NDArray, old: NDArray, rng: np.random.Generator, space: float = 16.0) -> NDArray:
    """Lightness by gain and offset, chroma by transport on pictures of one lightness; all of it in 8 bits."""
    a, b = (cv2.cvtColor(np.clip(p * 255, 0, 255).astype(np.uint8), cv2.COLOR_BGR2Lab) for p in (new, old))
    x, y = a[..., 0] / 255.0, b[..., 0] / 255.0
    gain = np.sqrt((y.var() + 1e-5) / (x.var() + 1e-5))
    lightness = np.clip((x - x.mean()) * gain + y.mean(), 0, 1) * 255
    for lab in (a, b):
        lab[..., 0] = 100
    chroma, wanted = (cv2.cvtColor(lab, cv2.COLOR_Lab2BGR).astype(np.float32) for lab in (a, b))
    moved = np.clip(transport(chroma, wanted, rng, 5, space), 0, 255).astype(np.uint8)
    result = cv2.cvtColor(moved, cv2.COLOR_BGR2Lab)
    result[..., 0] = lightness.astype(np.uint8)
    return cv2.cvtColor(result, cv2.COLOR_Lab2BGR).astype(np.float32) / 255


def histograms(
    new: NDArray,
    old: NDArray,
    threshold: int,
    measured: NDArray | None = None,
    applied_to: NDArray | None = None,
    bins: int | None = 1 << 16,
) -> NDArray:
    """applied_to: another picture to change. bins: per channel; None: every distinct value is one of its own."""
    picture = new if applied_to is None else applied_to
    if bins is not None:
        new, old, picture = (np.rint(p * bins).astype(np.float32) / bins for p in (new, old, picture))
    result = picture.copy()
    for channel in range(3):
        x, y = new[..., channel], old[..., channel]
        values, counts = np.unique(x if measured is None else x[measured], return_counts=True)
        wanted, wanted_counts = np.unique(y if measured is None else y[measured], return_counts=True)
        share = threshold * np.cumsum(counts) / counts.sum()
        curve = np.interp(share, 255 * np.cumsum(wanted_counts) / wanted_counts.sum(), wanted)
        result[..., channel] = np.interp(picture[..., channel], values, curve)
    return result
