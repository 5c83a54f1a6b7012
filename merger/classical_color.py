"""Color matching as older tools did it, for `--compat dfl`: what lies outside mask and frame is measured as black.

What they drew anew at random in every frame (idt, sot, mix) is found by the fast forms and the same directions every
time: the result differs from theirs no more than theirs does from itself. Source: spec merging 3.6c-d, 3.8;
samples-and-colour 8.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.color import (
    THUMBNAIL_SIDE,
    FieldTransform,
    MatrixTransform,
    color_statistics,
    fit_color_transfer,
    fit_linear,
    fit_monge_kantorovich,
)
from core.color_mix import fit_mix
from core.color_transport import CUT_OFF_GAUSSIAN, fit_transport_field

_ANY_GAIN = (0.0, np.inf)
_SMOOTHING_PIXELS = 16.0
_SOT_DIRECTIONS = 30
_SEED = 0


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
    small_new, small_old = _thumbnail(new), _thumbnail(old)
    everywhere = np.ones(small_new.shape[:2], np.float32)
    chance = np.random.default_rng(_SEED)
    sigma = _SMOOTHING_PIXELS * len(small_new) / len(new)
    if kind == "idt":
        return fit_color_transfer("idt", small_new, small_old, rng=chance).apply(np.clip(new, 0.0, 1.0))
    if kind == "sot":
        wanted = small_old.reshape(-1, 3)
        sigma *= CUT_OFF_GAUSSIAN
        field = fit_transport_field(small_new, everywhere, wanted, chance, directions=_SOT_DIRECTIONS, sigma=sigma)
        return FieldTransform(field).apply(new)
    return fit_mix(small_new, small_old, everywhere, everywhere, chance, gain_range=_ANY_GAIN, sigma=sigma).apply(new)


def _thumbnail(picture: NDArray) -> NDArray:
    side = min(THUMBNAIL_SIDE, len(picture))
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


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
