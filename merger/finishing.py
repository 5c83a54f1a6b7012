"""What is done to the frame as a whole, and only if asked to: softer around the face, fewer colors everywhere.

A sharp frame gives a soft face away; these make the frame softer, instead of inventing detail. Source: spec merging 3.7
(6, 7), 3.8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.filters import denoise, lose_detail
from core.images import to_float
from core.palette import lose_colors
from merger.settings import MergeSettings


def soften_frame(frame: NDArray, settings: MergeSettings) -> NDArray:
    """A copy of the frame, with grain and detail taken out as set: the canvas the faces are put on."""
    power, degrade = settings.image_denoise_power, settings.bicubic_degrade_power
    if not settings.softens_frame or not (power or degrade):
        return frame.copy()
    softened = denoise(frame, power) if power else frame
    if degrade:
        softened = lose_detail(softened.astype(np.float32), degrade)
    return to_levels(softened, frame.dtype)


def finish_frame(canvas: NDArray, settings: MergeSettings, palette: NDArray | None = None) -> NDArray:
    """The finished frame, some of its colors taken away as set.

    Args:
        palette: of core.palette.median_cut, one for the shot; None: of this frame.
    """
    if not settings.softens_frame or not settings.color_degrade_power:
        return canvas
    most = np.float32(np.iinfo(canvas.dtype).max)
    return to_levels(lose_colors(to_float(canvas), settings.color_degrade_power, palette) * most, canvas.dtype)


def to_levels(picture: NDArray, dtype: np.dtype) -> NDArray:
    """Rounds a picture that is in levels already."""
    if picture.dtype == dtype:
        return picture
    return np.rint(np.clip(picture, 0, np.iinfo(dtype).max)).astype(dtype)
