"""The face layer: what the faces look like alone, without the frame, for programs that put it there themselves.

Its colors are straight, not multiplied by the alpha, and go on beyond the edge of the mask, over the whole square the
model drew: a compositor may soften or widen the mask and finds no black fringe. The frame with the layer over it
through the mask is the merged frame, within rounding, unless the frame itself was softened. Source: spec merging 10.7.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.geometry import invert_affine
from merger.compositing import FaceLayers, PlacedMask, Region, reachable_region


class LayerBuilder:
    """Gathers the layer of one frame, face by face, the later over the earlier.

    Args:
        shape: of the frame, (H, W, ...).
        dtype: of the frame.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._colors = np.zeros((*shape[:2], 3), dtype)
        self._alpha = np.zeros(shape[:2], np.float32)
        self._known = np.zeros(shape[:2], bool)
        self._numbers = np.zeros(shape[:2], np.uint8)
        self._faces = 0

    def reach(self, frame_to_face: NDArray, side: int) -> Region:
        """The frame pixels that the model's square covers; `frame_to_face` leads to its `side` pixels."""
        to_frame = invert_affine(frame_to_face)
        return reachable_region(np.ones((side, side), np.float32), to_frame, self._alpha.shape)

    def add(self, pasted: NDArray, region: Region, placed: PlacedMask) -> None:
        """A face over `region`, which contains its mask's region.

        Args:
            pasted: (h, w, 3) float32 in [0, 1].
        """
        self._faces += 1
        if region.is_empty:
            return
        weights = placed.over(region)
        before, known, colors = region.of(self._alpha), region.of(self._known), region.of(self._colors)
        covered = before + weights * (1 - before)
        share = np.where(covered > 0, weights / np.maximum(covered, np.float32(1e-6)), ~known)
        mixed = colors.astype(np.float32)
        mixed += (pasted * np.float32(np.iinfo(colors.dtype).max) - mixed) * share[..., None]
        colors[...] = np.rint(mixed)
        before[...] = covered
        known[...] = True
        region.of(self._numbers)[weights >= 0.5] = min(self._faces, 255)

    def add_blended(self, original: NDArray, blended: NDArray, placed: PlacedMask) -> None:
        """A face that is known only as it was blended into the frame: its colors are worked out, and beyond the mask
        the nearest ones go on.

        Args:
            original, blended: (h, w, 3) float32 in [0, 1] over the mask's region, without and with the face.
        """
        inside = placed.weights > 0
        if not inside.any():
            self.add(original, placed.region, placed)
            return
        weights = np.where(inside, placed.weights, 1)[..., None]
        colors = np.clip(original + (blended - original) / weights, 0.0, 1.0)
        outside = np.asarray(~inside, np.uint8)
        _, nearest = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        pixel_of_label = np.zeros(int(nearest.max()) + 1, np.int64)
        pixel_of_label[nearest[inside]] = np.flatnonzero(inside)
        self.add(colors.reshape(-1, 3)[pixel_of_label[nearest]].astype(np.float32), placed.region, placed)

    def finish(self) -> FaceLayers:
        """The layer of all faces."""
        return FaceLayers(self._colors, self._numbers)


def square_region(builder: LayerBuilder | None, region: Region, frame_to_paste: NDArray, side: int) -> Region:
    """`region`, and with a builder all of the model's square, so that the layer goes on beyond the mask."""
    if builder is None:
        return region
    square = builder.reach(frame_to_paste, side)
    return region if square.is_empty else region.joined(square)
