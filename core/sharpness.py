"""How sharp a picture is: a perceptual measure of blur, and a quick one that motion blur lowers.

`perceived_sharpness` is the cumulative probability of blur detection (CPBD): the width of every steep edge is held
against the width at which people begin to see blur; the result is the share of edges that look sharp. Widths come from
running counts of rising and falling steps along every row, so a picture takes milliseconds.

Source: N. D. Narvekar, L. J. Karam, "A No-Reference Image Blur Metric Based on the Cumulative Probability of Blur
Detection", IEEE Transactions on Image Processing 20 (9), 2011; constants: spec steps-and-cli 6.3.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_BLOCK = 64
_LEAST_EDGES = 0.002  # of a block's pixels, or the block says nothing
_LONGEST_RUN = 100
_SHARP_BELOW = 63  # percent of people who would see the blur
_STEEPNESS = 3.6
_WIDTHS_SEEN = (5.0, 3.0)  # just noticeable, for contrasts up to 50 and above
_LOW_CONTRAST = 50
_TANGENT_OF_HALF_A_TURN_STEP = np.tan(np.pi / 8)
_EDGE_SCALE = 10.0  # thresholds of 0.1 and 0.2 as whole numbers


def perceived_sharpness(gray: NDArray) -> float:
    """The share of edges that look sharp, 0..1; 0 where there are none, and for pictures smaller than 64 pixels.

    gray: (H, W), values 0..255 of any type.
    """
    picture = np.ascontiguousarray(gray, np.float64)
    height, width = picture.shape
    rows, columns = height // _BLOCK, width // _BLOCK
    if rows == 0 or columns == 0:
        return 0.0
    widths = edge_widths(picture)[: rows * _BLOCK, : columns * _BLOCK]
    blocks = _blocks(picture, rows, columns)
    contrast = (blocks.max(axis=(1, 3)) - blocks.min(axis=(1, 3))).astype(int)
    busy = _blocks(fine_edges(picture), rows, columns).sum(axis=(1, 3)) > _LEAST_EDGES * _BLOCK * _BLOCK
    y, x = np.nonzero(widths)
    block = (y // _BLOCK, x // _BLOCK)
    counted = busy[block]
    just_seen = np.where(contrast[block] <= _LOW_CONTRAST, *_WIDTHS_SEEN)[counted]
    if len(just_seen) == 0:
        return 0.0
    seen_by = 1 - np.exp(-((widths[y, x][counted] / just_seen) ** _STEEPNESS))
    return float(np.mean(np.round(100 * seen_by) <= _SHARP_BELOW))


def edge_widths(picture: NDArray[np.float64]) -> NDArray[np.int32]:
    """Width in pixels of the steep edges that run upright, 0 elsewhere: (H, W) for a gray (H, W), values 0..255."""
    height, width = picture.shape
    edges = _steep_edges(picture)
    edges[[0, -1]] = False
    edges[:, [0, -1]] = False
    down, across = np.gradient(picture)
    upright = np.abs(down) <= _TANGENT_OF_HALF_A_TURN_STEP * np.abs(across)
    upright |= across == 0
    widths = np.zeros((height, width), np.int32)
    if not np.any((across != 0) & (down != 0)) and not np.any(across < 0):  # every angle is 0
        return widths
    step = np.diff(picture, axis=1)
    for chosen, runs in ((across >= 0, step > 0), (across < 0, step < 0)):
        y, x = np.nonzero(edges & upright & chosen)
        ending, starting = _run_lengths(runs)
        left = np.where(x >= 2, ending[y, np.maximum(x - 2, 0)], 0)
        right = np.where(x + 1 < width - 1, starting[y, np.minimum(x + 1, width - 2)], 0)
        widths[y, x] = np.minimum(left, _LONGEST_RUN) + np.minimum(right, _LONGEST_RUN) + 2
    return widths


def fine_edges(picture: NDArray) -> NDArray[np.bool_]:
    """Canny edges at the finest scale (sigma 1, thresholds 0.1 and 0.2 of 255): nearly every ridge of the gradient."""
    smooth = cv2.GaussianBlur(picture, (9, 9), 1.0, borderType=cv2.BORDER_REPLICATE)
    slopes = [cv2.Sobel(smooth, cv2.CV_64F, *order, borderType=cv2.BORDER_REPLICATE) for order in ((1, 0), (0, 1))]
    x, y = ((slope * _EDGE_SCALE).round().clip(-32767, 32767).astype(np.int16) for slope in slopes)
    return cv2.Canny(x, y, 1, 2, L2gradient=True) > 0


def laplacian_variance(image: NDArray) -> float:
    """Variance over all pixels and channels of the Laplacian (aperture 11): low where motion has smeared the picture.

    image: (H, W, 3) or (H, W), values 0..255.
    """
    return float(np.var(cv2.Laplacian(np.asarray(image, np.float64), cv2.CV_64F, ksize=11)))


def _steep_edges(picture: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the squared horizontal slope is a ridge along its row or its column."""
    kernel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8
    steep = cv2.filter2D(picture, cv2.CV_64F, kernel, borderType=cv2.BORDER_REFLECT) ** 2
    steep[steep <= 2 * np.sqrt(steep.mean())] = 0
    framed = np.pad(steep, 1)
    along_row = (steep > framed[1:-1, :-2]) & (steep > framed[1:-1, 2:])
    along_column = (steep > framed[:-2, 1:-1]) & (steep > framed[2:, 1:-1])
    return along_row | along_column


def _run_lengths(yes: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """How many in a row are true up to and with each place, and from each place on: two (H, W) for a (H, W)."""
    count = yes.shape[1]
    places = np.arange(count, dtype=np.int32)
    last_no = np.maximum.accumulate(np.where(yes, np.int32(-1), places), axis=1)
    next_no = np.minimum.accumulate(np.where(yes, np.int32(count), places)[:, ::-1], axis=1)[:, ::-1]
    return places - last_no, next_no - places


def _blocks(picture: NDArray, rows: int, columns: int) -> NDArray:
    return picture[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
