"""The mask of one face: chosen, then shrunk or grown, then softened. Source: spec merging 3.4, 3.5.

Masks are float32 (side, side) in [0, 1] in the space of the aligned face. They are chosen at the model's resolution R.
Erode and blur are measured in quarters of a model pixel and done at 4R; a mask that needs neither stays at R.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.geometry import transform_points
from facelib.masks import hull_mask

FAINTEST = np.float32(1 / 255)
"""Below this a mask counts as 0: it could not be told apart in an 8-bit mask file."""

FINE_SCALE = 4
"""Erode and blur work on a mask this many times finer than the model's."""


@dataclass(frozen=True)
class FaceMask:
    """A mask in face space.

    Attributes:
        values: (scale R, scale R) float32 in [0, 1].
        scale: pixels of this mask per model pixel along one side: 1 or FINE_SCALE.
    """

    values: NDArray
    scale: int

    @property
    def model_to_mask(self) -> NDArray:
        """(2, 3) float64, model pixels to mask pixels. Pixel centers meet: the mask lies exactly on the face."""
        shift = (self.scale - 1) / 2
        return np.array([[self.scale, 0, shift], [0, self.scale, shift]], np.float64)

    def at_model_resolution(self) -> NDArray:
        """(R, R) float32 in [0, 1]: the mean of the fine pixels of each model pixel."""
        if self.scale == 1:
            return self.values
        side = self.values.shape[0] // self.scale
        return cv2.resize(self.values, (side, side), interpolation=cv2.INTER_AREA)


def choose_mask(mode: str, parts: Mapping[str, Callable[[], NDArray]], side: int) -> NDArray[np.float32]:
    """The mask a mode names, at the model's resolution: (side, side) float32 in [0, 1], faint values cleared.

    Args:
        mode: a word of settings.MASK_MODES: "full", or names of parts joined by * (product) or + (sum).
        parts: what can be asked for by name ("dst", "learned-prd", "XSeg-dst", ...), each (side, side); only what the
            mode needs is called.
    """
    if mode == "full":
        return np.ones((side, side), np.float32)
    if "+" in mode:
        values = [np.clip(parts[name](), 0.0, 1.0) for name in mode.split("+")]
        mask = np.clip(np.sum(values, axis=0), 0.0, 1.0)
    else:
        values = [np.clip(parts[name](), 0.0, 1.0) for name in mode.split("*")]
        mask = np.prod(values, axis=0)
    mask = mask.astype(np.float32)
    mask[mask < FAINTEST] = 0.0
    return mask


def outline_mask(landmarks: NDArray, frame_to_face: NDArray, side: int, brow_lift: float) -> NDArray:
    """The landmark hull in face space, (side, side) float32 in [0, 1].

    Each pixel holds the part of it that is covered, so the edge is as smooth as the side allows.
    """
    return hull_mask(transform_points(landmarks, frame_to_face), side, side, brow_lift)


def shape_mask(mask: NDArray, erode: int, blur: int) -> FaceMask:
    """Shrinks (erode > 0) or grows (erode < 0) a mask, then softens its edge.

    Args:
        mask: (R, R) float32 in [0, 1].
        erode: size of the elliptic structuring element in quarter model pixels, -400..400; +-1 does nothing.
        blur: width of the Gaussian kernel in quarter model pixels, 0..400. As much is cleared along the border of the
            square beforehand as the kernel reaches, so that the softened mask ends inside it.
    """
    if abs(erode) <= 1 and blur <= 1:
        return FaceMask(mask, 1)
    side = FINE_SCALE * mask.shape[0]
    fine = cv2.resize(mask, (side, side), interpolation=cv2.INTER_CUBIC)
    return FaceMask(shape_fine_mask(np.clip(fine, 0.0, 1.0, out=fine), erode, blur), FINE_SCALE)


def shape_fine_mask(fine: NDArray, erode: int, blur: int, exact: bool = False) -> NDArray[np.float32]:
    """The same for a mask that has its fine resolution already: (4R, 4R) float32 in [0, 1].

    `exact` shrinks and grows floats instead of 16-bit levels, which takes twice as long.
    """
    side = len(fine)
    reach = abs(erode) // 2 + 1 + blur // 2 + 1
    box = nonzero_box(fine, 0.0)
    if box is None or (abs(erode) <= 1 and blur <= 1):
        return fine
    # Everything beyond what the kernels can reach from the mask is 0 and stays 0: work on that part alone.
    left, top, right, bottom = box
    part = cv2.copyMakeBorder(fine[top:bottom, left:right], reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    part = _erode(part, erode, exact)
    _clear_rim(part, left - reach, top - reach, side, blur // 2)
    part = _soften(part, blur)
    shaped = np.zeros((side, side), np.float32)
    x0, y0 = max(0, left - reach), max(0, top - reach)
    x1, y1 = min(side, right + reach), min(side, bottom + reach)
    shaped[y0:y1, x0:x1] = part[y0 - top + reach : y1 - top + reach, x0 - left + reach : x1 - left + reach]
    return np.clip(shaped, 0.0, 1.0, out=shaped)


def _erode(part: NDArray, erode: int, exact: bool) -> NDArray:
    size = abs(erode)
    if size <= 1:
        return part
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    if exact:
        return cv2.erode(part, element) if erode > 0 else cv2.dilate(part, element)
    # 16 bits hold a mask to 1/65535 and are twice as fast as floats here.
    levels = np.rint(part * np.float32(65535)).astype(np.uint16)
    shaped = cv2.erode(levels, element) if erode > 0 else cv2.dilate(levels, element)
    return shaped.astype(np.float32) * np.float32(1 / 65535)


def _clear_rim(part: NDArray, left: int, top: int, side: int, inset: int) -> None:
    """Clears everything within `inset` of the border of the square, and beyond it; `part` starts at (left, top)."""
    low_x, low_y = max(0, inset - left), max(0, inset - top)
    high_x, high_y = max(0, side - inset - left), max(0, side - inset - top)
    part[:low_y] = 0.0
    part[high_y:] = 0.0
    part[:, :low_x] = 0.0
    part[:, high_x:] = 0.0


def _soften(part: NDArray, blur: int) -> NDArray:
    if blur <= 1:
        return part
    width = blur | 1
    return cv2.GaussianBlur(part, (width, width), 0, borderType=cv2.BORDER_CONSTANT)


def nonzero_box(mask: NDArray, above: float) -> tuple[int, int, int, int] | None:
    """The smallest box (left, top, right, bottom; ends exclusive) with all values > `above`; None: there are none."""
    left, top, width, height = cv2.boundingRect((mask > above).view(np.uint8))
    return (left, top, left + width, top + height) if width and height else None
