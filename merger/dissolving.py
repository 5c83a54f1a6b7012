"""A frame between two settings: rendered with each, and mixed.

The mean is that of the finished frames, in the levels they are written in: at half way each channel of a pixel is the
mean of both, rounded to the nearest whole level, and to the even one of two. So are masks. Source: spec merging 10.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from merger.compositing import FaceLayers, MergedFrame

_BEYOND = np.float32(1e-6)
"""What a layer weighs where its mask has ended: its colors go on, but count for nothing beside those of another's."""


def mix_renderings(renderings: Sequence[MergedFrame], shares: Sequence[float]) -> MergedFrame:
    """One frame of several of the same shape. shares: of each, with sum 1."""
    if len(renderings) == 1:
        return renderings[0]
    image = _mean([one.image for one in renderings], shares)
    mask = _mean([one.mask for one in renderings], shares)
    return MergedFrame(image, mask, _mix_layers(renderings, shares, mask))


def _mean(pictures: Sequence[NDArray], shares: Sequence[float]) -> NDArray:
    mean = np.zeros(pictures[0].shape, np.float64)
    for picture, share in zip(pictures, shares, strict=True):
        mean += share * picture
    return np.rint(mean).astype(pictures[0].dtype)


def _mix_layers(renderings: Sequence[MergedFrame], shares: Sequence[float], mask: NDArray) -> FaceLayers | None:
    """Straight colors, so that the frame with the layer over it through the mixed mask is the mixed frame. A face is
    seen where the mixed mask is at least one half; whose it is says the rendering with the larger share.
    """
    colors, total = np.zeros((*mask.shape, 3), np.float32), np.zeros((*mask.shape, 1), np.float32)
    numbers = np.zeros(mask.shape, np.uint8)
    most = np.iinfo(mask.dtype).max
    for place in np.argsort(shares, kind="stable"):
        layers = renderings[place].layers
        if layers is None:
            return None
        known = layers.colors.any(axis=2)
        weights = np.float32(shares[place]) * (renderings[place].mask / np.float32(most) + _BEYOND * known)
        colors += layers.colors * weights[..., None]
        total += weights[..., None]
        numbers = np.where(layers.numbers > 0, layers.numbers, numbers)
    straight = np.rint(colors / np.maximum(total, np.float32(1e-12))).astype(mask.dtype)
    return FaceLayers(straight, np.where(mask >= most / 2, numbers, 0).astype(np.uint8))
