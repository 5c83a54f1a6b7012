"""Putting a face back into its frame: only the region the mask can reach is touched, the rest is never even read.

A canvas is the frame's own pixels, (H, W, 3) uint8 or uint16; a coverage is (H, W) of the same type: how much of each
pixel has been replaced, type maximum for all of it. A region's arithmetic is float32. Source: spec merging 3.6, 9.3;
the classical way's defects that are mended here: spec merging 8, Q14 (mask off by 0.375 pixels), Q17 (seam around the
raw square), Q24 (soft edges of several faces applied twice), Q25 (truncation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.geometry import compose_affine, invert_affine, transform_points, warp
from merger.masks import FAINTEST, FaceMask, nonzero_box

SMALLEST_MASK_PIXELS = 4
"""A mask narrower than this in the frame leaves the frame as it is: a face of three pixels is noise."""


@dataclass(frozen=True)
class Region:
    """A rectangle of frame pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.right - self.left, self.bottom - self.top

    @property
    def is_empty(self) -> bool:
        return self.right <= self.left or self.bottom <= self.top

    def grown(self, pixels: int, frame_shape: tuple[int, ...]) -> Region:
        """So many pixels more on every side, as far as the frame goes."""
        height, width = frame_shape[:2]
        return Region(
            max(0, self.left - pixels),
            max(0, self.top - pixels),
            min(width, self.right + pixels),
            min(height, self.bottom + pixels),
        )

    def joined(self, other: Region) -> Region:
        """The smallest region around both."""
        return Region(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def within(self, other: Region) -> Region:
        """The same pixels, counted from the corner of another region."""
        return Region(self.left - other.left, self.top - other.top, self.right - other.left, self.bottom - other.top)

    def of(self, picture: NDArray) -> NDArray:
        """The part of a frame-sized array: a view."""
        return picture[self.top : self.bottom, self.left : self.right]

    def seen_from(self, to_frame: NDArray) -> NDArray:
        """`<space>_to_frame` -> `<space>_to_region`."""
        shifted = np.array(to_frame, np.float64)
        shifted[:, 2] -= (self.left, self.top)
        return shifted


def reachable_region(mask: NDArray, mask_to_frame: NDArray, frame_shape: tuple[int, ...]) -> Region:
    """The frame pixels that pasting `mask` can change: the box of its values above 0, grown by what resampling reaches.

    Args:
        mask: (side, side) float32.
        mask_to_frame: (2, 3), mask pixels to frame pixels.
        frame_shape: (H, W, ...).
    """
    box = nonzero_box(mask, 0.0)
    if box is None:
        return Region(0, 0, 0, 0)
    shrink = max(1.0, 1.0 / float(np.hypot(*mask_to_frame[:, 0])))
    margin = 3.0 + (4.0 * shrink if shrink > 1.0 else 0.0)  # cubic kernel; smoothing before shrinking
    left, top, right, bottom = box
    x0, y0, x1, y1 = left - margin, top - margin, right - 1 + margin, bottom - 1 + margin
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)
    placed = transform_points(corners, mask_to_frame)
    low, high = placed.min(axis=0), placed.max(axis=0)
    height, width = frame_shape[:2]
    return Region(
        max(0, math.floor(low[0])),
        max(0, math.floor(low[1])),
        min(width, math.ceil(high[0]) + 1),
        min(height, math.ceil(high[1]) + 1),
    )


@dataclass(frozen=True)
class PlacedMask:
    """A mask where it lies in the frame: `weights` is float32 (h, w) in [0, 1] over `region`, exactly 0 or >= 1/255."""

    region: Region
    weights: NDArray

    @property
    def is_worth_pasting(self) -> bool:
        """Whether more than a speck would be seen. Source: spec merging 3.6a."""
        box = None if self.region.is_empty else nonzero_box(self.weights, 0.1)
        return box is not None and min(box[2] - box[0], box[3] - box[1]) > SMALLEST_MASK_PIXELS

    def over(self, region: Region) -> NDArray[np.float32]:
        """The weights over another region that overlaps this one; 0 beyond."""
        width, height = region.size
        weights = np.zeros((height, width), np.float32)
        shared = Region(
            max(region.left, self.region.left),
            max(region.top, self.region.top),
            min(region.right, self.region.right),
            min(region.bottom, self.region.bottom),
        )
        if not shared.is_empty:
            shared.within(region).of(weights)[...] = shared.within(self.region).of(self.weights)
        return weights


@dataclass(frozen=True)
class FaceLayers:
    """The faces of a frame without the frame (merger/layers.py).

    Attributes:
        colors: (H, W, 3) BGR of the frame's type, not multiplied by the mask, going on beyond its edge; black where no
            face is near.
        numbers: (H, W) uint8, which face is seen: 1 is the frame's first, 0 none (the mask is below one half).
    """

    colors: NDArray
    numbers: NDArray


@dataclass(frozen=True)
class MergedFrame:
    """A finished frame.

    Attributes:
        image: (H, W, 3) BGR, of the source frame's type; in raw-predict mode the face's square.
        mask: (H, W), same type, full scale where the frame was replaced; 0 where it kept its bits (in the raw modes the
            mask is the one asked for, the picture changed in the whole square).
        layers: the faces alone, where they were asked for; in raw-predict mode the image is the face.
    """

    image: NDArray
    mask: NDArray
    layers: FaceLayers | None = None


def place_mask(mask: FaceMask, frame_to_face: NDArray, frame_shape: tuple[int, ...]) -> PlacedMask:
    """Resamples a face mask once, into the part of the frame it reaches.

    Args:
        frame_to_face: (2, 3), frame pixels to the model's R pixels, as the face is pasted.
        frame_shape: (H, W, ...).
    """
    mask_to_frame = invert_affine(compose_affine(frame_to_face, mask.model_to_mask))
    region = reachable_region(mask.values, mask_to_frame, frame_shape)
    if region.is_empty:
        return PlacedMask(region, np.zeros((0, 0), np.float32))
    weights = warp(mask.values, region.seen_from(mask_to_frame), region.size, "cubic", "constant")
    np.clip(weights, 0.0, 1.0, out=weights)
    weights[weights < FAINTEST] = 0.0
    return PlacedMask(region, weights)


def paste(layer: NDArray, frame_to_layer: NDArray, region: Region) -> NDArray[np.float32]:
    """A face where it lies in the frame: (h, w, 3) float32 in [0, 1] over `region`. Beyond its square its edge pixels
    go on, so that only the mask decides where it ends.

    Args:
        layer: (S, S, 3) float32 BGR in [0, 1].
        frame_to_layer: (2, 3), frame pixels to layer pixels.
    """
    pasted = warp(layer, region.seen_from(invert_affine(frame_to_layer)), region.size, "cubic", "replicate")
    return np.clip(pasted, 0.0, 1.0, out=pasted)


def blend(canvas: NDArray, pasted: NDArray, placed: PlacedMask) -> None:
    """canvas = canvas (1 - mask) + pasted mask, in place. Where the mask is 0 the canvas keeps its bits.

    Args:
        canvas: (H, W, 3) uint8 or uint16.
        pasted: (h, w, 3) float32 in [0, 1] over the mask's region; it is used up.
    """
    pixels = placed.region.of(canvas)
    old = pixels.astype(np.float32)
    # old + (face - old) mask: exactly `old` where the mask is 0.
    pasted *= np.float32(np.iinfo(canvas.dtype).max)
    pasted -= old
    pasted *= cv2.merge([placed.weights] * 3)
    pasted += old
    pixels[...] = np.rint(pasted, out=pasted)


def add_coverage(coverage: NDArray, placed: PlacedMask) -> None:
    """Adds a mask to the frame's coverage, in place: of two faces over one pixel, what either covers.

    covered = 1 - (1 - before)(1 - mask), rounded to the coverage's levels.
    """
    if placed.region.is_empty:
        return
    levels = placed.region.of(coverage)
    full = np.float32(np.iinfo(coverage.dtype).max)
    mask: NDArray = placed.weights * full
    if levels.any():
        before = levels.astype(np.float32)
        mask = before + mask * (full - before) / full
    levels[...] = np.rint(mask)
