"""Seamless: the pasted face keeps its gradients and takes its colors from around the mask.

The frame's own border holds nothing: where the mask touches it, the face's gradients alone decide (core/poisson.py),
and nothing moves there. Source: spec merging 3.6e-g; 8, Q20.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from core.poisson import FreeSides, clone_seamlessly
from merger.compositing import PlacedMask, Region
from merger.masks import nonzero_box

_STEPS = 10
_LEAST_MARGIN = 3
"""Pixels around the mask that are solved for as well."""


def seamless_threshold(weights: NDArray) -> float:
    """The mask's value from which a pixel is cloned: 0.1 in nearly all cases. Source: spec merging 3.6e."""
    most = float(weights.max(initial=0.0))
    return next((step / _STEPS for step in range(1, _STEPS) if most > step / _STEPS), 1.0)


def clone_region(placed: PlacedMask, frame_shape: tuple[int, ...]) -> tuple[Region, FreeSides]:
    """The rectangle to solve: the cloned pixels and some around them, of a size whose transform is fast; and along
    which sides the cloned pixels touch the frame's border.
    """
    height, width = frame_shape[:2]
    box = nonzero_box(placed.weights, seamless_threshold(placed.weights))
    if box is None:
        return Region(0, 0, 0, 0), FreeSides()
    left, top = box[0] + placed.region.left, box[1] + placed.region.top
    right, bottom = box[2] + placed.region.left, box[3] + placed.region.top
    free = FreeSides(left == 0, top == 0, right == width, bottom == height)
    x0, x1 = _fast_span(left, right, width, free.left, free.right)
    y0, y1 = _fast_span(top, bottom, height, free.top, free.bottom)
    return Region(x0, y0, x1, y1), free


def _fast_span(first: int, last: int, size: int, first_free: bool, last_free: bool) -> tuple[int, int]:
    """Grows [first, last) at its held ends until the number of unknown pixels suits the transform."""
    first = first if first_free else max(0, first - _LEAST_MARGIN)
    last = last if last_free else min(size, last + _LEAST_MARGIN)
    held = 2 - first_free - last_free
    if held == 0:
        return first, last
    # The transform between two held ends works on twice (unknown + 1) values, the one with a free end on twice unknown.
    extra = 1 if held == 2 else 0
    missing = int(scipy.fft.next_fast_len(last - first - held + extra, real=True)) - (last - first - held + extra)
    before = 0 if first_free else (missing if last_free else math.floor(missing / 2))
    after = missing - before
    return max(0, first - before), min(size, last + after)


def clone_into(target: NDArray, pasted: NDArray, weights: NDArray, free: FreeSides) -> NDArray[np.float32]:
    """The target's rectangle with the pasted face cloned in.

    Args:
        target: (h, w, 3) float32 in [0, 1], the frame's pixels of `clone_region`.
        pasted: the same pixels of the pasted face.
        weights: (h, w), the mask there.

    Returns:
        float32 (h, w, 3), clipped to [0, 1].
    """
    cloned = clone_seamlessly(pasted, target, weights > seamless_threshold(weights), free)
    return np.clip(cloned, 0.0, 1.0, out=cloned)
