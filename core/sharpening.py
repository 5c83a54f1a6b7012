"""A classical way to make a soft picture look crisper: Lanczos resampling and a limited unsharp mask.

No network is at work and no detail is invented: edges that are there become steeper, everything else stays.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_RADIUS_PIXELS = 1.2
"""Of the unsharp mask, in pixels of the picture as it came."""

_OVERSHOOT = 3.0
"""Gray levels by which an edge may become brighter or darker than the pixels around it: more would show as a halo."""


def upscale_and_sharpen(image: NDArray, scale: int, strength: float) -> NDArray:
    """A picture `scale` times as large, its brightness sharpened; its colors are only resampled.

    Args:
        image: (H, W, 3) BGR uint8.
        scale: 1 or more.
        strength: 0 resamples only; 1 doubles the contrast of the finest edges, as far as they do not overshoot.

    Returns:
        (scale * H, scale * W, 3) BGR uint8.
    """
    if scale > 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LANCZOS4)
    if strength == 0:
        return image
    parts = cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)
    luma = parts[:, :, 0].astype(np.float32)
    soft = cv2.GaussianBlur(luma, (0, 0), _RADIUS_PIXELS * scale)
    around = np.ones((2 * scale + 1, 2 * scale + 1), np.uint8)
    lowest, highest = cv2.erode(luma, around) - _OVERSHOOT, cv2.dilate(luma, around) + _OVERSHOOT
    crisp = np.clip(luma + strength * (luma - soft), np.maximum(lowest, 0), np.minimum(highest, 255))
    parts[:, :, 0] = np.round(crisp).astype(np.uint8)
    return np.asarray(cv2.cvtColor(parts, cv2.COLOR_YCrCb2BGR))
