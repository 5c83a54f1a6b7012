"""Color matching as older tools did it, for `--compat dfl`: what lies outside mask and frame is measured as black.

What they drew anew at random in every frame (directions of idt, sot and mix) is the same in every frame; else the three
are what they were: every pixel counted, sorted, smoothed with a bilateral filter of 16 pixels, mix rounded to 8 bits
twice. They take as long as they did. Source: spec merging 3.6c-d, 3.8; samples-and-colour 8.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.color import COVARIANCE_FLOOR, MatrixTransform, color_statistics, fit_linear, fit_monge_kantorovich

_ANY_GAIN = (0.0, np.inf)
_SEED = 0
_HISTOGRAM_BINS = 256
_EVEN_LIGHTNESS = 100


def match_colors(mode: str, new: NDArray, old: NDArray, area: NDArray) -> NDArray[np.float32]:
    """The new face in the old one's colors.

    Args:
        mode: a word of settings.COLOR_TRANSFERS.
        new, old: (S, S, 3) float32.
        area: (S, S) float32, 1 where the mask is above 0.
    """
    if mode == "none":
        return new
    if mode == "rct":
        return _reinhard(new, old, area)
    if mode.endswith("-m"):
        new, old = new * area[..., None], old * area[..., None]
    kind = mode.removesuffix("-m")
    if kind == "lct":
        return _by_matrix(fit_linear(color_statistics(new), color_statistics(old), _ANY_GAIN), new)
    if kind == "mkl":
        return _by_matrix(fit_monge_kantorovich(color_statistics(new), color_statistics(old), _ANY_GAIN, 0.0), new)
    chance = np.random.default_rng(_SEED)
    if kind == "idt":
        return _distribution(new, old, chance)
    if kind == "sot":
        return np.clip(_transport(new, old, 30, chance), 0.0, 1.0)
    return _mix(new, old, chance)


def _distribution(new: NDArray, old: NDArray, chance: np.random.Generator) -> NDArray[np.float32]:
    """idt: 20 steps of a twentieth; what lies in a lowest bin is sent to 0. Source: samples-and-colour 8.5."""
    places, wanted = (picture.reshape(-1, 3).T.astype(np.float64) for picture in (new, old))
    for _ in range(20):
        orthogonal, triangular = np.linalg.qr(chance.standard_normal((3, 3)))
        axes = orthogonal * np.sign(np.diag(triangular))
        turned, goals = axes @ places, axes @ wanted
        places += axes.T @ np.stack([_marginal_shift(*pair) for pair in zip(turned, goals, strict=True)]) / 20
    return np.clip(places.T, 0.0, 1.0).reshape(new.shape).astype(np.float32)


def _marginal_shift(values: NDArray, wanted: NDArray) -> NDArray[np.float64]:
    """How far each value moves for them to be distributed as wanted, by bins and their upper edges."""
    span = (min(values.min(), wanted.min()), max(values.max(), wanted.max()))
    counts, edges = np.histogram(values, _HISTOGRAM_BINS, span)
    wanted_counts, _ = np.histogram(wanted, _HISTOGRAM_BINS, span)
    upper = edges[1:]
    curve = np.interp(np.cumsum(counts) / len(values), np.cumsum(wanted_counts) / len(wanted), upper)
    return np.interp(values, upper, curve, left=0.0) - values


def _transport(new: NDArray, old: NDArray, directions: int, chance: np.random.Generator) -> NDArray[np.float32]:
    """sot, not clipped: ten steps of sorting along random directions. Source: samples-and-colour 8.6."""
    start, wanted = (picture.reshape(-1, 3).astype(np.float64) for picture in (new, old))
    places = start.copy()
    for _ in range(10):
        moved = np.zeros_like(places)
        for axis in chance.standard_normal((directions, 3)):
            axis /= np.linalg.norm(axis)
            along = places @ axis
            order = np.argsort(along, kind="stable")
            moved[order] += np.outer(np.sort(wanted @ axis) - along[order], axis)
        places += moved / directions
    movement = (places - start).reshape(new.shape).astype(np.float32)
    return new + cv2.bilateralFilter(movement, -1, 5.0, 16.0)


def _mix(new: NDArray, old: NDArray, chance: np.random.Generator) -> NDArray[np.float32]:
    """Lightness by gain and offset, chroma by transport at one lightness, all in 8 bits. Source: 8.7."""
    has, wants = (cv2.cvtColor(_levels(255 * picture), cv2.COLOR_BGR2Lab) for picture in (new, old))
    light, wanted_light = (lab[..., 0] / 255.0 for lab in (has, wants))
    gain = np.sqrt((wanted_light.var() + COVARIANCE_FLOOR) / (light.var() + COVARIANCE_FLOOR))
    lightness = _levels(255 * (gain * (light - light.mean()) + wanted_light.mean()))
    for lab in (has, wants):
        lab[..., 0] = _EVEN_LIGHTNESS
    chroma, wanted_chroma = (cv2.cvtColor(lab, cv2.COLOR_Lab2BGR).astype(np.float32) for lab in (has, wants))
    moved = cv2.cvtColor(_levels(_transport(chroma, wanted_chroma, 5, chance)), cv2.COLOR_BGR2Lab)
    moved[..., 0] = lightness
    return cv2.cvtColor(moved, cv2.COLOR_Lab2BGR).astype(np.float32) / np.float32(255)


def _levels(values: NDArray) -> NDArray[np.uint8]:
    """0..255 and beyond -> uint8, cut off."""
    return np.clip(values, 0, 255).astype(np.uint8)


def _reinhard(new: NDArray, old: NDArray, area: NDArray) -> NDArray[np.float32]:
    """Mean and deviation per Lab channel, of all pixels; those outside the area count as Lab (0, 0, 0)."""
    lab, wanted = cv2.cvtColor(new, cv2.COLOR_BGR2Lab), cv2.cvtColor(old, cv2.COLOR_BGR2Lab)
    outside = area < 0.5
    has, wants = lab.copy(), wanted
    has[outside] = 0.0
    wants[outside] = 0.0
    (mean_has, std_has), (mean_wants, std_wants) = cv2.meanStdDev(has), cv2.meanStdDev(wants)
    std_has[std_has == 0] = 1.0  # a flat channel has nothing to scale
    moved = (lab - mean_has[:, 0]) * (std_wants / std_has)[:, 0] + mean_wants[:, 0]
    moved = np.clip(moved, (0, -127, -127), (100, 127, 127)).astype(np.float32)
    return np.clip(cv2.cvtColor(moved, cv2.COLOR_Lab2BGR), 0.0, 1.0)


def _by_matrix(transform: MatrixTransform, picture: NDArray) -> NDArray[np.float32]:
    """In double precision: in a histogram behind it a last bit decides which of two values is the greater."""
    moved = cv2.transform(picture.astype(np.float64), transform.matrix)
    return np.clip(moved, 0.0, 1.0).astype(np.float32)


def match_histograms(new: NDArray, old: NDArray, threshold: int) -> NDArray[np.float32]:
    """Every distinct value is a bin of its own. Source: spec merging 3.8."""
    matched = np.empty_like(new, np.float32)
    for channel in range(3):
        _, places, counts = np.unique(new[..., channel], return_inverse=True, return_counts=True)
        wanted, wanted_counts = np.unique(old[..., channel], return_counts=True)
        share = np.cumsum(counts) / new[..., channel].size
        wanted_share = np.cumsum(wanted_counts) / old[..., channel].size
        curve = np.interp(threshold * share, 255.0 * wanted_share, wanted)
        matched[..., channel] = curve[places].reshape(new.shape[:2])
    return matched
