"""Points, affine matrices and resampling: numbers only, nothing of faces.

Conventions used everywhere in FaceLoom:

* a point is (x right, y down) in pixels, (0, 0) is the center of the first pixel;
* an affine matrix is float64 (2, 3), named `<from>_to_<to>`, and maps from-pixels to to-pixels:
  `to = matrix[:, :2] @ from + matrix[:, 2]`;
* no half-pixel correction is made anywhere: the matrix that moves the points also moves the picture (the convention of
  OpenCV's `warpAffine`). Source: spec faces-and-formats 2.4.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

# Shrinking by more than this makes `warp` filter first; below it a cubic kernel aliases less than a filter would blur.
UNFILTERED_SHRINK = 1.5

_BORDERS = {"constant": cv2.BORDER_CONSTANT, "replicate": cv2.BORDER_REPLICATE}
_INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area-cubic": cv2.INTER_CUBIC,
}


def transform_points(points: NDArray, matrix: NDArray) -> NDArray:
    """Map points by an affine matrix.

    points: (..., 2) of any number type. matrix: (2, 3). The sum is formed in float64; float32 points come back as
    float32, everything else as float64, in the shape they came in.
    """
    points = np.asarray(points)
    matrix = np.asarray(matrix, np.float64)
    moved = points.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return moved.astype(np.float32) if points.dtype == np.float32 else moved


def invert_affine(matrix: NDArray) -> NDArray:
    """`a_to_b` (2, 3) -> `b_to_a` float64 (2, 3). ValueError where the matrix flattens the plane."""
    (a, b, c), (d, e, f) = np.asarray(matrix, np.float64)
    determinant = a * e - b * d
    if not math.isfinite(determinant) or abs(determinant) <= 1e-12 * max(abs(a * e), abs(b * d), 1e-300):
        raise ValueError(f"An affine matrix with determinant {determinant:g} cannot be inverted.")
    return np.array([[e, -b, b * f - c * e], [-d, a, c * d - a * f]]) / determinant


def compose_affine(first: NDArray, second: NDArray) -> NDArray:
    """`a_to_b`, `b_to_c` -> `a_to_c`, float64 (2, 3)."""
    first = np.asarray(first, np.float64)
    second = np.asarray(second, np.float64)
    composed = second[:, :2] @ first
    composed[:, 2] += second[:, 2]
    return composed


def similarity_from_points(from_points: NDArray, to_points: NDArray) -> NDArray:
    """The rotation, uniform scale and shift that best carry one point set onto another: `from_to_to`, float64 (2, 3).

    from_points, to_points: (K, 2). Least squares with equal weights; never a reflection. In the plane Umeyama's
    singular value decomposition has the closed form used here: with centered points s (from) and d (to), the best
    rotation has the direction (sum s.d, sum s x d) and the scale is its length over sum |s|^2.
    ValueError where the points leave the rotation open (all in one place, or an exact mirror image).
    Source: S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991;
    spec faces-and-formats 2.3.
    """
    from_points = np.asarray(from_points, np.float64)
    to_points = np.asarray(to_points, np.float64)
    from_mean = from_points.mean(axis=0)
    to_mean = to_points.mean(axis=0)
    s = from_points - from_mean
    d = to_points - to_mean
    along = np.sum(s * d)
    across = np.sum(s[:, 0] * d[:, 1] - s[:, 1] * d[:, 0])
    spread = np.sum(s * s)
    reach = math.hypot(along, across)
    if not math.isfinite(reach) or reach <= 1e-12 * max(spread, 1e-300) ** 0.5 * np.sum(d * d) ** 0.5:
        raise ValueError("The points leave the rotation open, so no similarity can be fitted.")
    linear = np.array([[along, -across], [across, along]]) / spread
    return np.column_stack([linear, to_mean - linear @ from_mean])


def warp(
    image: NDArray,
    from_to_out: NDArray,
    size: int | tuple[int, int],
    interpolation: str = "cubic",
    border: str = "constant",
) -> NDArray:
    """Resample a picture or mask by an affine matrix.

    image: (H, W) or (H, W, 3), uint8, uint16 or float32. from_to_out: (2, 3), image pixels to output pixels.
    size: (width, height) of the output, or the side of a square. Returns (height, width[, 3]) of the image's type.
    interpolation: "nearest"; "linear"; "cubic" (integers saturate; float32 may overshoot [0, 1] by some percent at hard
    edges, so warp masks "linear"); "area-cubic" filters from the first bit of shrinking on, the others (except
    "nearest") where the picture shrinks more than UNFILTERED_SHRINK times.
    border: what lies outside the image, "constant" (black) or "replicate" (its edge pixels go on).
    """
    if interpolation not in _INTERPOLATIONS or border not in _BORDERS:
        known = [*_INTERPOLATIONS, *_BORDERS]
        raise ValueError(f"warp knows {known}. Received: {interpolation}, {border}.")
    width, height = (size, size) if isinstance(size, int) else size
    border_mode = _BORDERS[border]
    from_to_out = np.array(from_to_out, np.float64)
    shrink = _shrink_factors(from_to_out)
    limit = 1.0 if interpolation == "area-cubic" else UNFILTERED_SHRINK
    filtered = interpolation != "nearest" and max(shrink) > limit
    margin = 4 + (math.ceil(3 * max(shrink)) if filtered else 0)
    image, from_to_out = _crop_to_need(image, from_to_out, width, height, margin)
    if filtered:
        image, from_to_out = _prefilter(image, from_to_out, shrink, border_mode)
    return cv2.warpAffine(
        image, from_to_out, (width, height), flags=_INTERPOLATIONS[interpolation], borderMode=border_mode
    )


def _shrink_factors(from_to_out: NDArray) -> tuple[float, float]:
    """How many from-pixels fall on one output pixel along the picture's x and y axes."""
    lengths = np.hypot(from_to_out[0, :2], from_to_out[1, :2])
    if not np.all(np.isfinite(from_to_out)) or lengths.min() <= 0:
        raise ValueError("A picture cannot be warped by a matrix that flattens it.")
    return float(1 / lengths[0]), float(1 / lengths[1])


def _crop_to_need(
    image: NDArray, from_to_out: NDArray, width: int, height: int, margin: int
) -> tuple[NDArray, NDArray]:
    """Cut the part of the picture that the output can see (a view), so that filtering never touches the rest."""
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
    seen = transform_points(corners, invert_affine(from_to_out))
    limits = np.array([image.shape[1], image.shape[0]])
    # At least one pixel stays, so that "replicate" has an edge to repeat where the output lies outside the picture.
    low = np.clip(np.floor(seen.min(axis=0)) - margin, 0, limits - 1).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0)) + margin + 1, low + 1, limits).astype(int)
    shifted = from_to_out.copy()
    shifted[:, 2] += from_to_out[:, :2] @ low
    return image[low[1] : high[1], low[0] : high[0]], shifted


def _prefilter(
    image: NDArray, from_to_out: NDArray, shrink: tuple[float, float], border_mode: int
) -> tuple[NDArray, NDArray]:
    """Remove what the output cannot hold: block means of whole pixels first (fast), then a Gaussian.

    Together they have the variance 0.2 (shrink^2 - 1) per axis, in from-pixels, of which block means of n pixels bring
    (n^2 - 1) / 12. Of stripes as wide as one output pixel (light and dark together), which would show as moire, at most
    a tenth is left from a shrink of 2 on; stripes four output pixels wide keep four fifths of their contrast.
    """
    blocks = [max(1, int(factor / 2)) for factor in shrink]
    sigmas = [
        math.sqrt(max(0.0, 0.2 * (factor * factor - 1) - (n * n - 1) / 12)) / n
        for factor, n in zip(shrink, blocks, strict=True)
    ]
    if max(blocks) > 1:
        nx, ny = blocks
        height, width = image.shape[:2]
        image = cv2.copyMakeBorder(image, 0, -height % ny, 0, -width % nx, border_mode)
        image = cv2.resize(image, (image.shape[1] // nx, image.shape[0] // ny), interpolation=cv2.INTER_AREA)
        # The center of block pixel X lies at n X + (n - 1) / 2.
        reduced_to_from = np.array([[nx, 0, (nx - 1) / 2], [0, ny, (ny - 1) / 2]])
        from_to_out = compose_affine(reduced_to_from, from_to_out)
    if max(sigmas) > 0.1:
        image = cv2.GaussianBlur(
            image, (0, 0), sigmaX=max(sigmas[0], 0.01), sigmaY=max(sigmas[1], 0.01), borderType=border_mode
        )
    return image, from_to_out


def intersection_over_union(box: NDArray, other: NDArray) -> NDArray:
    """What boxes (..., 4) have in common, as a part of their union: (...) in 0..1."""
    shared = intersection_area(box, other)
    return shared / np.maximum(box_area(box) + box_area(other) - shared, 1e-12)


def intersection_area(box: NDArray, other: NDArray) -> NDArray:
    """(..., 4) twice, left, top, right, bottom -> (...) in square pixels."""
    sides = np.minimum(box[..., 2:], other[..., 2:]) - np.maximum(box[..., :2], other[..., :2])
    return np.prod(np.maximum(sides, 0), axis=-1)


def box_area(box: NDArray) -> NDArray:
    """(..., 4) -> (...) in square pixels; inside-out boxes have none."""
    return np.prod(np.maximum(box[..., 2:] - box[..., :2], 0), axis=-1)


def distance_of_points(points: NDArray, other: NDArray) -> float:
    """Root of the mean square distance of (K, 2) points, in their unit."""
    apart = np.asarray(points, np.float64) - other
    return float(np.sqrt((apart**2).sum(axis=1).mean()))
