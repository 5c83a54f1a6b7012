"""A picture in few colors: a palette found by median cut, and each color replaced by the nearest entry.

Source: Heckbert, "Color Image Quantization for Frame Buffer Display", 1982. The cut works on a histogram of 32 levels
per channel, so its time does not depend on the picture's size.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

PALETTE_COLORS = 256
_LEVELS = 32
_SHIFT = 3


def median_cut(image: NDArray, colors: int = PALETTE_COLORS) -> NDArray[np.float32]:
    """At most `colors` colors that stand for those of `image` (H, W, 3) uint8: (n, 3) float32 in levels of 0..255."""
    counts, sums = _histogram(image)
    cells = np.flatnonzero(counts)
    places = np.stack(np.unravel_index(cells, (_LEVELS,) * 3), axis=1)
    boxes = [_Box(np.arange(len(cells)), places, counts[cells])]
    while len(boxes) < colors:
        box = max(boxes, key=lambda b: b.priority)
        if box.priority == 0:
            break
        boxes.remove(box)
        boxes += [_Box(part, places, counts[cells]) for part in box.halves()]
    palette = [sums[cells[box.cells]].sum(axis=0) / counts[cells[box.cells]].sum() for box in boxes]
    return np.array(palette, np.float32)


def _histogram(image: NDArray) -> tuple[NDArray, NDArray]:
    """Pixels per cell (32768,), and the sums of their colors (32768, 3)."""
    pixels = image.reshape(-1, 3)
    index = _cell_of(image).reshape(-1)
    counts = np.bincount(index, minlength=_LEVELS**3)
    sums = [np.bincount(index, weights=pixels[:, channel], minlength=_LEVELS**3) for channel in range(3)]
    return counts, np.stack(sums, axis=1)


def _cell_of(image: NDArray) -> NDArray:
    """(H, W) int16: which of the 32768 cells every pixel of (H, W, 3) uint8 lies in."""
    levels = (image >> _SHIFT).astype(np.float32)
    return cv2.transform(levels, np.array([[_LEVELS**2, _LEVELS, 1]], np.float32)).astype(np.int16)


class _Box:
    """Some cells of the histogram, and how it would be cut."""

    def __init__(self, cells: NDArray, places: NDArray, counts: NDArray) -> None:
        self.cells = cells
        self._places = places[cells]
        self._counts = counts[cells]
        extent = np.ptp(self._places, axis=0)
        self._axis = int(extent.argmax())
        self.priority = int(self._counts.sum()) if extent.max() > 0 else 0
        """The box with most pixels is cut next; one cell cannot be cut."""

    def halves(self) -> tuple[NDArray, NDArray]:
        """Along the longest side, where half of the pixels lie on either side; neither half is empty."""
        values = self._places[:, self._axis]
        per_level = np.cumsum(np.bincount(values, weights=self._counts))
        cut = int(np.searchsorted(per_level, per_level[-1] / 2))
        cut = min(max(cut, int(values.min())), int(values.max()) - 1)
        return self.cells[values <= cut], self.cells[values > cut]


def nearest_colors(image: NDArray, palette: NDArray) -> NDArray[np.float32]:
    """Every pixel of (H, W, 3) uint8 by the palette's nearest color, float32 in levels.

    The nearest color is found once for each of the 32768 cells that is in use, by the cell's middle.
    """
    index = _cell_of(image)
    used = np.zeros(_LEVELS**3, bool)
    used[index] = True
    cells = np.flatnonzero(used)
    middles = np.stack(np.unravel_index(cells, (_LEVELS,) * 3), axis=1) * (1 << _SHIFT) + ((1 << _SHIFT) - 1) / 2
    # |m - p|^2 without |m|^2, which is the same for every color of the palette.
    distance = (palette**2).sum(axis=1) - 2 * np.einsum("mc,pc->mp", middles.astype(np.float32), palette)
    nearest = np.zeros((_LEVELS**3, 3), np.float32)
    nearest[cells] = palette[distance.argmin(axis=1)]
    return np.take(nearest, index, axis=0)


def lose_colors(image: NDArray, power: int, palette: NDArray | None = None) -> NDArray[np.float32]:
    """Mixes a picture with itself in 256 colors.

    Args:
        image: (H, W, 3) float32 in [0, 1].
        power: 0..100, how much of it.
        palette: of `median_cut`; None: the picture's own. One palette for a whole shot keeps it from flickering.
    """
    levels = np.clip(image * 255.0, 0, 255).astype(np.uint8)
    reduced = nearest_colors(levels, median_cut(levels) if palette is None else palette)
    share = power / 100.0
    return cv2.addWeighted(image, 1.0 - share, reduced, share / 255.0, 0.0)
