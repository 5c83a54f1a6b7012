"""Resampling as older tools did it, for `--compat dfl`: the whole frame's arithmetic, on a part of the frame.

A bare cubic kernel, black beyond the picture. Coordinates are counted from the frame's corner, not from the region's:
single-precision coordinates that are shifted are rounded otherwise, and where levels are cut off afterwards a last bit
decides about a whole level. Source: spec merging, notation; 3.2.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from merger.compositing import Region


def unit_values(frame: NDArray) -> NDArray[np.float32]:
    """uint8 or uint16 -> float32 in [0, 1], divided by the type's maximum: to the bit what older tools computed with.

    (A product with the reciprocal, as core.images.to_float forms it, is another number for every second level.)
    """
    return frame.astype(np.float32) / np.float32(np.iinfo(frame.dtype).max)


def cut_square(picture: NDArray, frame_to_square: NDArray, region: Region, side: int) -> NDArray[np.float32]:
    """A square, (side, side, 3) float32, out of the frame's pixels over `region`, about [0, 1]; black beyond them."""
    if region.is_empty:
        return np.zeros((side, side, 3), np.float32)
    # Zeros that nobody reads cost nothing: their memory is never touched.
    canvas = np.zeros((region.bottom, region.right, 3), np.float32)
    region.of(canvas)[...] = picture
    return cv2.warpAffine(canvas, frame_to_square, (side, side), flags=cv2.INTER_CUBIC)


def paste_square(square: NDArray, frame_to_square: NDArray, region: Region) -> NDArray[np.float32]:
    """A square where it lies in the frame, (h, w) or (h, w, 3) float32 over `region`; black beyond it."""
    size = (region.right, region.bottom)
    return region.of(cv2.warpAffine(square, frame_to_square, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP))
