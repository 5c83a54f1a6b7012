"""The new face takes the old one's colors: what is measured, and where.

`fit_colors` finds a transform from two aligned squares; applying it is another matter (core/color.py), so that a
transform may be smoothed over time in between. Only pixels inside the frame are measured; those modes whose name ends
in -m, and rct, look at the mask's inside only. What is drawn at random (how the directions of idt, sot and mix are
turned) is the same in every frame, so that nothing flickers by chance. Source: spec merging 3.6c-d; 8, Q18, Q19.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.color import (
    THUMBNAIL_SIDE,
    ColorTransform,
    color_statistics,
    fit_color_transfer,
    fit_linear,
    fit_monge_kantorovich,
    fit_reinhard,
    lab_statistics,
)
from core.color_histogram import HistogramTransform, fit_histogram
from core.color_mix import fit_mix
from merger.masks import FAINTEST

FEWEST_COLOR_PIXELS = 16
"""Colors measured on fewer pixels than this say nothing; the face then keeps its own."""

_SEED = 2


def fit_colors(
    mode: str, new: NDArray, old: NDArray, mask: NDArray, is_inside: NDArray | None
) -> ColorTransform | None:
    """How the new face takes the old one's colors; None: not at all.

    Args:
        mode: a word of settings.COLOR_TRANSFERS.
        new, old: (R, R, 3) float32 BGR in [0, 1].
        mask: (R, R) float32, where the face will be seen.
        is_inside: (R, R) bool, which pixels of `old` lie in the frame; None: all.
    """
    if mode == "none":
        return None
    kind, masked = mode.removesuffix("-m"), mode == "rct" or mode.endswith("-m")
    measured = mask >= FAINTEST if masked else np.ones(mask.shape, bool)
    if is_inside is not None:
        measured &= is_inside
    if np.count_nonzero(measured) < FEWEST_COLOR_PIXELS:
        return None
    if kind == "rct":
        return fit_reinhard(lab_statistics(new, measured), lab_statistics(old, measured))
    if kind in ("lct", "mkl"):
        fit = fit_linear if kind == "lct" else fit_monge_kantorovich
        return fit(color_statistics(new, measured), color_statistics(old, measured))
    small_new, small_old, share = (_thumbnail(a) for a in (new, old, measured.astype(np.float32)))
    chance = np.random.default_rng(_SEED)
    if kind == "mix":
        return fit_mix(small_new, small_old, share, share, chance)
    return fit_color_transfer(kind, small_new, small_old, share, share, chance)


def fit_histograms(
    new: NDArray, old: NDArray, mask: NDArray | None, threshold: int, is_inside: NDArray | None
) -> HistogramTransform:
    """How the new face takes the old one's histogram.

    Args:
        mask: (R, R) float32; outside it both faces count as white, which takes part in what the threshold means. None:
            the whole squares are matched.
    """
    if mask is not None:
        outside = (mask < FAINTEST)[..., None]
        new, old = np.where(outside, np.float32(1), new), np.where(outside, np.float32(1), old)
    return fit_histogram(new, old, threshold, is_inside)


def thumbnail_to_square(side: int) -> NDArray[np.float64]:
    """(2, 3), pixels of the thumbnails transforms are fitted on to pixels of the square they were made of."""
    scale = side / min(side, THUMBNAIL_SIDE)
    shift = (scale - 1) / 2
    return np.array([[scale, 0, shift], [0, scale, shift]])


def _thumbnail(picture: NDArray) -> NDArray:
    if len(picture) <= THUMBNAIL_SIDE:
        return picture
    return cv2.resize(picture, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
