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


def distribution(
    new: NDArray,
    old: NDArray,
    rng: np.random.Generator,
    measured: NDArray | None = None,
    measured_old: NDArray | None = None,
) -> NDArray:
    """idt: 20 rotations, every pixel through 256 bins per axis, a twentieth of the way each time; what lies in a lowest
    bin is sent to 0.

    measured: bool (H, W), the pixels that are counted and changed; None: all. measured_old: those of `old`; None: the
    same.
    """
    inside, inside_old = _chosen(new, old, measured, measured_old)
    moved, wanted = new[inside].astype(np.float64), old[inside_old].astype(np.float64)
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
            mapped[:, axis] = np.interp(a[:, axis], edges[1:], curve, left=0)
        moved += (mapped - a) @ rotation / 20
    result = new.astype(np.float32)
    result[inside] = np.clip(moved, 0, 1)
    return result


def transport(
    new: NDArray,
    old: NDArray,
    rng: np.random.Generator,
    directions: int = 30,
    space: float = 16.0,
    measured: NDArray | None = None,
    measured_old: NDArray | None = None,
    color: float = BILATERAL_COLOR,
) -> NDArray:
    """sot: ten steps of sorting along random directions, every pixel; then the movement is smoothed (not clipped).

    space, color: of the smoothing, pixels and units of the pictures. measured, measured_old: as `distribution`.
    """
    inside, inside_old = _chosen(new, old, measured, measured_old)
    moved, wanted = new[inside].astype(np.float64), old[inside_old].astype(np.float64)
    places = np.linspace(0, len(wanted) - 1, len(moved))
    for _ in range(10):
        total = np.zeros_like(moved)
        for _ in range(directions):
            direction = rng.standard_normal(3)
            direction /= np.linalg.norm(direction)
            a, b = moved @ direction, np.sort(wanted @ direction)
            if len(b) != len(a):
                b = np.interp(places, np.arange(len(b)), b)
            order = np.argsort(a, kind="stable")
            total[order] += (b - a[order])[:, None] * direction
        moved += total / directions
    movement = np.zeros(new.shape, np.float32)
    movement[inside] = moved - new[inside]
    if inside.all():
        return new + cv2.bilateralFilter(movement, 0, color, space)
    return new + _bilateral_inside(movement, inside, color, space)


def _chosen(
    new: NDArray, old: NDArray, measured: NDArray | None, measured_old: NDArray | None
) -> tuple[NDArray, NDArray]:
    if measured is None:
        return np.ones(new.shape[:2], bool), np.ones(old.shape[:2], bool)
    return measured, measured if measured_old is None else measured_old


def _bilateral_inside(picture: NDArray, inside: NDArray, color: float, space: float) -> NDArray:
    """What cv2.bilateralFilter does, of the pixels inside only; 0 outside."""
    radius = max(1, round(1.5 * space))
    wide, wide_inside = (
        cv2.copyMakeBorder(p, radius, radius, radius, radius, cv2.BORDER_REFLECT_101)
        for p in (picture, inside.astype(np.float32))
    )
    height, width = inside.shape
    total, weights = np.zeros_like(picture), np.full(inside.shape, 1e-9, np.float32)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dx * dx + dy * dy > radius * radius:
                continue
            part = np.s_[radius + dy : radius + dy + height, radius + dx : radius + dx + width]
            apart = np.abs(wide[part] - picture).sum(axis=-1) / color
            weight = wide_inside[part] * np.exp(-(dx * dx + dy * dy) / (2 * space**2) - apart**2 / 2)
            total += wide[part] * weight[..., None]
            weights += weight
    return total / weights[..., None] * inside[..., None]


def mix(
    new: NDArray,
    old: NDArray,
    rng: np.random.Generator,
    space: float = 16.0,
    measured: NDArray | None = None,
    rounded: bool = True,
) -> NDArray:
    """Lightness by gain and offset, chroma by transport on pictures of one lightness.

    rounded: to 8 bits after every step, as it was; else all of it in floats.
    """
    inside, _ = _chosen(new, old, measured, None)

    def levels(values: NDArray) -> NDArray:
        return np.clip(values, 0, 255).astype(np.uint8) if rounded else np.clip(values, 0, 255).astype(np.float32)

    def to_lab(values: NDArray) -> NDArray:
        if rounded:
            return cv2.cvtColor(values, cv2.COLOR_BGR2Lab)
        unit = values / np.float32(255)
        linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
        lab = cv2.cvtColor(linear.astype(np.float32), cv2.COLOR_LBGR2Lab)
        return lab * np.array([2.55, 1, 1], np.float32) + np.array([0, 128, 128], np.float32)

    def to_bgr(lab: NDArray) -> NDArray:
        if rounded:
            return cv2.cvtColor(lab, cv2.COLOR_Lab2BGR).astype(np.float32)
        scaled = (lab - np.array([0, 128, 128], np.float32)) / np.array([2.55, 1, 1], np.float32)
        return np.clip(cv2.cvtColor(scaled, cv2.COLOR_Lab2BGR), 0, 1) * 255

    a, b = (to_lab(levels(p * 255)) for p in (new, old))
    x, y = a[..., 0] / 255.0, b[..., 0] / 255.0
    gain = np.sqrt((y[inside].var() + 1e-5) / (x[inside].var() + 1e-5))
    lightness = levels(255 * ((x - x[inside].mean()) * gain + y[inside].mean()))
    for lab in (a, b):
        lab[..., 0] = 100
    moved = to_lab(levels(transport(to_bgr(a), to_bgr(b), rng, 5, space, measured)))
    moved[..., 0] = lightness
    return to_bgr(moved) / np.float32(255)


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
