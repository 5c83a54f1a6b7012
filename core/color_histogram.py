"""Histogram match: each channel takes on another picture's distribution of values, up to a cap.

The classical form treats every distinct float as a bin of its own and sorts all pixels. Here values are counted in
`BINS` steps, 64 to an 8-bit level; nobody sees the difference, and nothing is sorted.

Source: spec merging 3.8, samples-and-colour 8.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 16384
FULL_MATCH = 255


@dataclass(frozen=True)
class HistogramTransform:
    """One curve per channel: (3, BINS) float32, the new value of each step from 0 to 1."""

    curves: NDArray

    def apply(self, image: NDArray, thumbnail_to_image: NDArray | None = None) -> NDArray[np.float32]:
        """(H, W, 3) float32 -> the same; values beyond [0, 1] move as the nearest end does."""
        places = _places(image)
        return np.stack([self.curves[channel][places[..., channel]] for channel in range(3)], axis=-1)


def fit_histogram(
    image: NDArray, reference: NDArray, threshold: int, measured: NDArray | None = None
) -> HistogramTransform:
    """The curves that give `image` the values of `reference`, both (H, W, 3) float32 in [0, 1] of one size.

    Args:
        threshold: 0..255. 255 is the full match; below, the brightest pixel becomes only as bright as that share of the
            reference's pixels, and everything else shifts darker with it.
        measured: (H, W) bool, the pixels that count; None: all.
    """
    places, wanted = _places(image), _places(reference)
    if measured is not None and measured.any():
        places, wanted = places[measured], wanted[measured]
    places, wanted = places.reshape(-1, 3), wanted.reshape(-1, 3)
    steps = np.linspace(0.0, 1.0, BINS)
    curves = np.empty((3, BINS), np.float32)
    for channel in range(3):
        has = np.bincount(places[:, channel], minlength=BINS)
        # Between values that were measured the curve goes straight, so that it can be applied to other pixels.
        share = np.interp(np.arange(BINS), np.flatnonzero(has), np.cumsum(has)[has > 0] / len(places))
        counts = np.bincount(wanted[:, channel], minlength=BINS)
        there = counts > 0
        wanted_share = np.cumsum(counts)[there] / len(wanted)
        curves[channel] = np.interp(threshold * share, FULL_MATCH * wanted_share, steps[there])
    return HistogramTransform(curves)


def _places(image: NDArray) -> NDArray[np.intp]:
    return np.rint(np.clip(image, 0.0, 1.0) * np.float32(BINS - 1)).astype(np.intp)
