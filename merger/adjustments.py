"""What the frames around a frame change of one of its faces (merger/stabilizers.py); `merge_frame` carries it out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.color import ColorTransform, ReinhardTransform
from core.color_histogram import HistogramTransform
from core.geometry import warp

_EDGE_SHARE = 0.06
"""So near to the edge of the mask, in parts of the square's side, a cloned face is tied to the frame around it."""


@dataclass(frozen=True)
class FaceAdjustment:
    """What one face does otherwise than its frame alone would have it. None: as the frame alone.

    Attributes:
        mask: (R, R) float32 in [0, 1] instead of the chosen mask, before it is shaped.
        colors: instead of the color transfer measured in this frame.
        curves: instead of the histograms measured in this frame.
        level: after both, the last correction of lightness, color and contrast.
        cloned: (n, n, 3) float32, what is added to a cloned face, over the model's square.
    """

    mask: NDArray | None = None
    colors: ColorTransform | None = None
    curves: HistogramTransform | None = None
    level: ReinhardTransform | None = None
    cloned: NDArray | None = None


AS_MEASURED = FaceAdjustment()


def added_inside(field: NDArray, seen: NDArray) -> NDArray[np.float32]:
    """What a field (n, n, 3) adds to each pixel of the model's square: all of it well inside the mask, nothing at the
    mask's edge, where a cloned face meets the frame.

    Args:
        seen: (R, R) float32 in [0, 1], the mask.
    """
    side = len(seen)
    scale = side / len(field)
    shift = (scale - 1) / 2
    fine = warp(field, np.array([[scale, 0, shift], [0, scale, shift]]), side, "linear", "replicate")
    inside = np.pad((seen >= 0.5).astype(np.uint8), 1)  # beyond the square is outside
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    share = np.clip(distance / (_EDGE_SHARE * side), 0.0, 1.0)
    return np.asarray(fine * share[..., None], np.float32)
