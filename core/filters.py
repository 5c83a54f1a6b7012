"""Filters a finished picture may need: sharper, softer, moved. Pictures are (H, W, 3), floats are not clipped.

Source: spec merging 3.8, samples-and-colour 9.1, 9.2; the strengths are those people know from older tools.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

SHARPEN_MODES = ("none", "box", "gaussian")

_MEDIAN_SIDE = 5


def blur_or_sharpen(image: NDArray, mode: str, amount: int) -> NDArray:
    """Sharpens (amount above 0, by the kind of `mode`) or softens (below 0, whatever the mode) a float picture.

    Args:
        image: float32 (H, W, 3).
        mode: box adds `amount` times what a 3 x 3 mean takes away; gaussian half of it, against a 3 x 3 Gaussian.
        amount: -100..100; every 10 below 0 is one pass of a 5 x 5 median, the rest a part of one.
    """
    if amount < 0:
        return median_passes(image, -amount, whole_at=10)
    if amount == 0 or mode == "none":
        return image
    if mode == "box":
        strength, soft = float(amount), cv2.blur(image, (3, 3))
    else:
        strength, soft = 0.5 * amount, cv2.GaussianBlur(image, (3, 3), 0)
    return cv2.addWeighted(image, 1.0 + strength, soft, -strength, 0.0)


def median_passes(image: NDArray, power: int, whole_at: int) -> NDArray:
    """Medians over 5 x 5 pixels, again and again, each pass worth 10 of `power`; a pass with less than `whole_at` left
    replaces only that part of the picture.

    Args:
        image: uint8, uint16 or float32. Whole passes are done in its own type, which loses nothing and is much faster
            in integers; the rest in float32 of the same scale.

    Returns:
        The type of `image` where only whole passes were needed, else float32.
    """
    while power >= whole_at:
        image = cv2.medianBlur(image, _MEDIAN_SIDE)
        power -= 10
    if power > 0:
        image = image.astype(np.float32)
    while power > 0:
        share = power / whole_at
        image = cv2.addWeighted(image, 1.0 - share, cv2.medianBlur(image, _MEDIAN_SIDE), share, 0.0)
        power -= 10
    return image


def denoise(image: NDArray, power: int) -> NDArray:
    """Takes grain and detail out of a picture: power 1..500, every 10 one pass, the last ten fading."""
    return median_passes(image, power, whole_at=100)


def lose_detail(image: NDArray, power: int) -> NDArray:
    """Makes a picture as soft as if it had been smaller: power 100 of its size 1/101. Cubic both ways, not clipped."""
    height, width = image.shape[:2]
    scale = 1.0 - power / 101.0
    small = (max(1, int(width * scale)), max(1, int(height * scale)))
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_CUBIC)
    return cv2.resize(reduced, (width, height), interpolation=cv2.INTER_CUBIC)


def motion_kernel(dx: float, dy: float) -> NDArray[np.float32]:
    """The way of a point that moves by (dx, dy) pixels while the shutter is open: an odd square, centered, sum 1.

    The line is as thin as pixels allow, and a length between whole pixels is kept: dots along it are shared among the
    pixels around them.
    """
    length = math.hypot(dx, dy)
    reach = math.ceil(max(abs(dx), abs(dy)) / 2)
    side = 2 * reach + 1
    count = max(1, math.ceil(8 * length))
    along = (np.arange(count) + 0.5) / count - 0.5
    x, y = along * dx + reach, along * dy + reach
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    kernel = np.zeros((side + 1, side + 1))
    for right in (0, 1):
        for below in (0, 1):
            weight = np.abs(1 - right - (x - left)) * np.abs(1 - below - (y - top))
            np.add.at(kernel, (top + below, left + right), weight)
    return (kernel[:side, :side] / kernel.sum()).astype(np.float32)


def blur_along(image: NDArray, dx: float, dy: float) -> NDArray:
    """Smears a float32 picture as a movement of (dx, dy) pixels would."""
    if math.hypot(dx, dy) < 0.05:
        return image
    return cv2.filter2D(image, -1, motion_kernel(dx, dy), borderType=cv2.BORDER_REPLICATE)


def classical_motion_kernel(size: int, degrees: float) -> NDArray[np.float32]:
    """The kernel of older tools: a row of ones, turned counter-clockwise. Source: spec merging 3.8."""
    kernel = np.zeros((size, size), np.float32)
    kernel[(size - 1) // 2] = 1
    middle = size / 2 - 0.5
    turn = cv2.getRotationMatrix2D((middle, middle), degrees, 1.0)
    kernel = cv2.warpAffine(kernel, turn, (size, size))
    return kernel / kernel.sum()
