"""Seamless cloning: a picture takes another's gradients where a mask says so, and keeps its own colors around it.

The sum of the gradients is found exactly, on the rectangle around the mask: a sine or cosine transform along each axis
turns Poisson's equation into a division. Along the sides of the rectangle the result is the target. Where the target
itself ends there (a face cut by the frame's border) nothing outside holds the result, and the gradients alone decide.

Source: Perez, Gangnet, Blake, "Poisson Image Editing", 2003; the transforms and their eigenvalues: Strang, "The
Discrete Cosine Transform", 1999.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

_EROSIONS = 3
"""The mask gives back so many pixels along its edge before gradients are mixed, so that none crosses it."""

_TRANSFORMS = {
    (False, False): (scipy.fft.dst, 1, scipy.fft.idst, 1),
    (False, True): (scipy.fft.idst, 2, scipy.fft.dst, 2),
    (True, True): (scipy.fft.dct, 1, scipy.fft.idct, 1),
}
"""(first end free, last end free) -> transform and its type, inverse and its type. A free end reflects the pixels."""


@dataclass(frozen=True)
class FreeSides:
    """Along which sides of a rectangle the target ends, so that nothing outside holds the result."""

    left: bool = False
    top: bool = False
    right: bool = False
    bottom: bool = False


HELD = FreeSides()


def clone_seamlessly(patch: NDArray, target: NDArray, mask: NDArray, free: FreeSides = HELD) -> NDArray:
    """`target` with the gradients of `patch` under the mask.

    Args:
        patch: (h, w, 3) float32 or float64.
        target: as patch. Its outermost pixels are kept, but for those of free sides.
        mask: (h, w), nonzero where the patch's gradients count, less three pixels along its edge.

    Returns:
        (h, w, 3) of the patch's type, in the units of the target, not clipped. Where nothing but the patch is seen (all
        sides free) its mean is the target's.
    """
    divergence = _masked_divergence(patch - target, taken_back(mask, free))
    rows, columns = _unknown(len(target), free.top, free.bottom), _unknown(target.shape[1], free.left, free.right)
    result = target.copy()
    if divergence[rows, columns].size:
        result[rows, columns] += solve_poisson(divergence[rows, columns], free)
    return result


def taken_back(mask: NDArray, free: FreeSides = HELD) -> NDArray[np.float32]:
    """The mask, 0 or 1, without the three outermost pixels of its area; beyond a free side the area goes on."""
    rim = ((int(not free.top), int(not free.bottom)), (int(not free.left), int(not free.right)))
    framed = np.pad((mask != 0).astype(np.uint8), rim)
    # Beyond the picture erosion sees nothing that could shrink the area; the rim of zeros around it does where it is.
    eroded = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=_EROSIONS)
    height, width = mask.shape
    return eroded[rim[0][0] : rim[0][0] + height, rim[1][0] : rim[1][0] + width].astype(np.float32)


def _masked_divergence(difference: NDArray, mask: NDArray) -> NDArray:
    """Divergence of (mask x gradient of the difference): forward differences, then backward ones."""
    divergence = np.zeros_like(difference)
    weights = cv2.merge([mask] * 3)  # a last axis of three, stretched by NumPy, takes several times as long
    across = difference[:, 1:] - difference[:, :-1]
    across *= weights[:, :-1]
    divergence[:, :-1] += across
    divergence[:, 1:] -= across
    down = np.subtract(difference[1:], difference[:-1])
    down *= weights[:-1]
    divergence[:-1] += down
    divergence[1:] -= down
    return divergence


def _unknown(count: int, first_free: bool, last_free: bool) -> slice:
    """The pixels along one axis that are to be found: all but the held ends."""
    return slice(0 if first_free else 1, count if last_free else count - 1)


def solve_poisson(divergence: NDArray, free: FreeSides = HELD) -> NDArray:
    """The picture whose Laplacian is `divergence` (h, w, 3), and which is 0 one pixel beyond every side that is held.

    Beyond a free side it is mirrored. With all four sides free it is known but for a constant: its mean is 0 then.
    """
    solved = divergence
    eigenvalues: list[NDArray] = []
    backward = []
    for axis, ends in ((0, (free.top, free.bottom)), (1, (free.left, free.right))):
        if ends == (True, False):  # the transforms know the free end as the last one
            solved = np.flip(solved, axis)
        forward, kind, inverse, inverse_kind = _TRANSFORMS[(False, True) if any(ends) and not all(ends) else ends]
        if ends == (True, True) and solved.shape[axis] == 1:
            eigenvalues.append(np.zeros(1))
            continue
        solved = forward(solved, type=kind, axis=axis)
        backward.append((inverse, inverse_kind, axis, ends))
        eigenvalues.append(_eigenvalues(solved.shape[axis], ends))
    total = eigenvalues[0][:, None] + eigenvalues[1]
    if free == FreeSides(True, True, True, True):  # the constant stays open
        total[0, 0] = np.inf
    solved /= cv2.merge([total.astype(solved.dtype)] * 3)
    for inverse, kind, axis, ends in reversed(backward):
        solved = inverse(solved, type=kind, axis=axis)
        if ends == (True, False):
            solved = np.flip(solved, axis)
    return solved


def _eigenvalues(count: int, ends: tuple[bool, bool]) -> NDArray:
    """Of the second difference along an axis of `count` unknown pixels."""
    if all(ends):
        waves = np.arange(count) / max(1, count - 1)
    elif any(ends):
        waves = (np.arange(count) + 0.5) / count
    else:
        waves = np.arange(1, count + 1) / (count + 1)
    return 2.0 * np.cos(np.pi * waves) - 2.0
