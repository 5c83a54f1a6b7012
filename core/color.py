"""Color: statistics of a picture's colors, and moving one picture's colors onto another.

Pictures are (H, W, 3) BGR float32 in [0, 1], display-referred sRGB; masks are (H, W) weights in [0, 1].

| mode | what it matches | in | how it moves a color |
|---|---|---|---|
| rct | mean and deviation of each channel | Lab | gain and offset per channel |
| lct | mean and covariance, symmetric square roots | BGR | one 3 x 4 matrix |
| mkl | mean and covariance, least movement (Monge-Kantorovich) | BGR | one 3 x 4 matrix |
| idt | the whole distribution, along many axes | BGR | a 33^3 lattice of colors |
| sot | the whole distribution, pixel by pixel | BGR | a smooth field added to the picture |

A transfer is fitted once and applied as often as wanted: `fit_color_transfer(...)` gives a `ColorTransform`, and
`transform.apply(picture)` is pure. Only colors under the masks are measured; every pixel is changed. Floors keep a flat
or nearly gray picture from blowing up, and `GAIN_RANGE` bounds how much contrast a transfer may add or take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from core.color_transport import fit_distribution_lattice, fit_transport_field, look_up_lattice, thinned
from core.errors import BadOption

COLOR_TRANSFER_MODES = ("none", "rct", "lct", "mkl", "idt", "sot")

GAIN_RANGE = (0.3, 3.0)
"""Least and most contrast gain of a transfer along any color axis."""

LAB_DEVIATION_FLOOR = 0.1
"""A Lab channel (0..100) that varies less is treated as varying this much."""

COVARIANCE_FLOOR = 1e-5
"""Added to the diagonal of BGR covariances (colors in [0, 1])."""

_LAB_RANGE = ((0.0, -127.0, -127.0), (100.0, 127.0, 127.0))
"""Least and largest L, a and b after a transfer."""

THUMBNAIL_SIDE = 128
"""Side of the pictures that idt, sot and mix are fitted on."""

_MOST_MEASURED = 8192
"""Pixels of each picture that idt and sot look at, about."""


@dataclass(frozen=True)
class LabStatistics:
    """Mean and population standard deviation of L (0..100), a and b (about -108..98); both float64 (3,)."""

    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class ColorStatistics:
    """Mean (3,) and covariance (3, 3), divided by the weight, of BGR in [0, 1]; float64."""

    mean: np.ndarray
    covariance: np.ndarray


class ColorTransform(Protocol):
    """A fitted color transfer."""

    def apply(self, image: np.ndarray, thumbnail_to_image: np.ndarray | None = None) -> np.ndarray:
        """Changes the colors of (H, W, 3) BGR float32 in [0, 1]; a new array of the same kind.

        Args:
            thumbnail_to_image: (2, 3) matrix from the picture the transfer was fitted on to `image`, in pixels. Only
                a transfer that depends on the place (sot) reads it; None: both show the same square.
        """
        ...


def bgr_to_lab(image: np.ndarray) -> np.ndarray:
    """BGR float32 in [0, 1] (clamped) -> CIE Lab float32, D65: L 0..100, a and b about -108..98.

    The sRGB curve is taken out here: the way OpenCV goes from sRGB to Lab interpolates in a table and is off by
    up to half a gray level.
    """
    clamped = np.clip(image, 0.0, 1.0, dtype=np.float32)
    linear = cv2.pow((clamped + np.float32(0.055)) * np.float32(1 / 1.055), 2.4)
    np.copyto(linear, clamped * np.float32(1 / 12.92), where=clamped <= 0.04045)
    return cv2.cvtColor(linear, cv2.COLOR_LBGR2Lab)


def lab_to_bgr(lab: np.ndarray) -> np.ndarray:
    """CIE Lab float32 -> BGR float32, clamped to [0, 1]."""
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2BGR), 0.0, 1.0)


def shift_hsv(image: np.ndarray, hue_degrees: float, saturation: float, value: float) -> np.ndarray:
    """Turns the hue and adds to saturation and value (both clipped to [0, 1]).

    Args:
        image: (H, W, 3) BGR float32 in [0, 1].
        hue_degrees: any angle; 120 makes red green.
        saturation: added, -1..1.
        value: added, -1..1.

    Returns: as `image`.
    """
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0] + hue_degrees) % 360.0
    hsv[..., 1] = np.clip(hsv[..., 1] + saturation, 0.0, 1.0)
    hsv[..., 2] = np.clip(hsv[..., 2] + value, 0.0, 1.0)
    return np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), 0.0, 1.0)


def lab_statistics(image: np.ndarray, mask: np.ndarray | None = None) -> LabStatistics:
    """Lab mean and deviation of the pixels under `mask` (all of them without one, or where it is empty).

    A mask of bool, which only chooses pixels, is several times faster than one of weights.
    """
    lab = bgr_to_lab(image)
    if mask is not None and mask.dtype == bool and mask.any():
        mean, std = cv2.meanStdDev(lab, mask=mask.view(np.uint8))
        return LabStatistics(mean[:, 0], std[:, 0])
    values, weights = _weighted_pixels(lab, mask)
    mean = np.einsum("n,nc->c", weights, values)
    return LabStatistics(mean, np.sqrt(np.einsum("n,nc->c", weights, (values - mean) ** 2)))


def color_statistics(image: np.ndarray, mask: np.ndarray | None = None) -> ColorStatistics:
    """BGR mean and covariance of the pixels under `mask` (all of them without one, or where it is empty)."""
    values, weights = _weighted_pixels(image, mask)
    mean = np.einsum("n,nc->c", weights, values)
    centered = values - mean
    return ColorStatistics(mean, np.einsum("nc,nd->cd", centered * weights[:, None], centered))


def _weighted_pixels(image: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """((N, 3) float64 values, (N,) float64 weights with sum 1), without pixels of no weight.

    What follows sums with einsum: the library behind NumPy's products would wake threads in every worker.
    """
    values = image.reshape(-1, 3).astype(np.float64)
    if mask is not None:
        weights = mask.reshape(-1).astype(np.float64)
        total = weights.sum()
        if total > 0.0:
            inside = weights > 0.0
            return values[inside], weights[inside] / total
    return values, np.full(len(values), 1.0 / len(values))


@dataclass(frozen=True)
class ReinhardTransform:
    """Lab' = Lab * gain + offset per channel; L clipped to [0, 100], a and b to [-127, 127]."""

    gain: np.ndarray
    offset: np.ndarray

    def apply(self, image: np.ndarray, thumbnail_to_image: np.ndarray | None = None) -> np.ndarray:
        # Planes are contiguous, which makes this several times faster than broadcasting over the last axis.
        planes = cv2.split(bgr_to_lab(image))
        for plane, gain, offset, low, high in zip(planes, self.gain, self.offset, *_LAB_RANGE, strict=True):
            plane *= np.float32(gain)
            plane += np.float32(offset)
            np.clip(plane, low, high, out=plane)
        return lab_to_bgr(cv2.merge(planes))


@dataclass(frozen=True)
class MatrixTransform:
    """BGR' = matrix[:, :3] BGR + matrix[:, 3], clipped to [0, 1]; matrix (3, 4) float64."""

    matrix: np.ndarray

    def apply(self, image: np.ndarray, thumbnail_to_image: np.ndarray | None = None) -> np.ndarray:
        return np.clip(cv2.transform(np.ascontiguousarray(image, np.float32), self.matrix), 0.0, 1.0)


@dataclass(frozen=True)
class LatticeTransform:
    """Each color goes where a lattice (n, n, n, 3) of colors sends it, trilinear in between."""

    lattice: np.ndarray

    def apply(self, image: np.ndarray, thumbnail_to_image: np.ndarray | None = None) -> np.ndarray:
        return np.clip(look_up_lattice(self.lattice, image), 0.0, 1.0)


@dataclass(frozen=True)
class FieldTransform:
    """A smooth field (h, w, 3) of color differences, enlarged to the picture and added."""

    field: np.ndarray

    def apply(self, image: np.ndarray, thumbnail_to_image: np.ndarray | None = None) -> np.ndarray:
        height, width = image.shape[:2]
        if thumbnail_to_image is None:
            added = cv2.resize(self.field, (width, height), interpolation=cv2.INTER_LINEAR)
        else:
            added = cv2.warpAffine(
                self.field, thumbnail_to_image, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        return np.clip(image + added, 0.0, 1.0)


def fit_reinhard(source: LabStatistics, target: LabStatistics) -> ReinhardTransform:
    """Lab gains and offsets that give `source` the mean and deviation of `target`.

    Source: Reinhard, Ashikhmin, Gooch, Shirley, "Color Transfer between Images", 2001, in CIE Lab; spec
    samples-and-colour 8.2 (the gain is deviation wanted over deviation had).
    """
    floor = LAB_DEVIATION_FLOOR
    gain = np.clip(np.maximum(target.std, floor) / np.maximum(source.std, floor), *GAIN_RANGE)
    return ReinhardTransform(gain, target.mean - gain * source.mean)


def fit_linear(
    source: ColorStatistics, target: ColorStatistics, gain_range: tuple[float, float] = GAIN_RANGE
) -> MatrixTransform:
    """Matrix that takes mean and covariance of `source` to those of `target` by symmetric square roots.

    Source: spec samples-and-colour 8.3: y = Q_B Q_A^-1 (x - mean_A) + mean_B with Q = sqrt(C).
    """
    wanted = _matrix_power(_floored(target), 0.5)
    return _around_means(wanted @ _matrix_power(_floored(source), -0.5), source, target, gain_range)


def fit_monge_kantorovich(
    source: ColorStatistics,
    target: ColorStatistics,
    gain_range: tuple[float, float] = GAIN_RANGE,
    floor: float = COVARIANCE_FLOOR,
) -> MatrixTransform:
    """The symmetric matrix that takes `source` to `target` moving colors as little as possible.

    Source: Pitie and Kokaram, "The linear Monge-Kantorovitch linear colour mapping", 2007:
    T = A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2.
    """
    has, wants = _floored(source, floor), _floored(target, floor)
    root, inverse_root = _matrix_power(has, 0.5), _matrix_power(has, -0.5)
    matrix = inverse_root @ _matrix_power(root @ wants @ root, 0.5) @ inverse_root
    return _around_means(matrix, source, target, gain_range)


def _floored(statistics: ColorStatistics, floor: float = COVARIANCE_FLOOR) -> np.ndarray:
    return statistics.covariance + floor * np.eye(3)


def _matrix_power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    """Power of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(symmetric)
    return (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T


def _around_means(
    linear: np.ndarray, source: ColorStatistics, target: ColorStatistics, gain_range: tuple[float, float]
) -> MatrixTransform:
    left, gains, right = np.linalg.svd(linear)
    bounded = (left * np.clip(gains, *gain_range)) @ right
    return MatrixTransform(np.column_stack([bounded, target.mean - bounded @ source.mean]))


def reinhard_transfer(image: np.ndarray, target: LabStatistics, source: LabStatistics | None = None) -> np.ndarray:
    """Gives `image` the Lab mean and deviation `target`; `source` are its own where they are known already."""
    return fit_reinhard(source or lab_statistics(image), target).apply(image)


def linear_color_transfer(
    image: np.ndarray, target: ColorStatistics, source: ColorStatistics | None = None
) -> np.ndarray:
    """Gives `image` the BGR mean and covariance `target` by `fit_linear`."""
    return fit_linear(source or color_statistics(image), target).apply(image)


def monge_kantorovich_transfer(
    image: np.ndarray, target: ColorStatistics, source: ColorStatistics | None = None
) -> np.ndarray:
    """Gives `image` the BGR mean and covariance `target` by `fit_monge_kantorovich`."""
    return fit_monge_kantorovich(source or color_statistics(image), target).apply(image)


def fit_color_transfer(
    mode: str,
    image: np.ndarray,
    reference: np.ndarray,
    image_mask: np.ndarray | None = None,
    reference_mask: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> ColorTransform:
    """Finds how to give `image` the colors of `reference`; the two may differ in size.

    Args:
        mode: one of `COLOR_TRANSFER_MODES` but "none".
        image: (H, W, 3) BGR float32 in [0, 1]; for idt and sot `THUMBNAIL_SIDE` is right.
        reference: as `image`.
        image_mask: (H, W) in [0, 1]; which pixels of `image` are measured.
        reference_mask: the same for `reference`.
        rng: turns the directions of idt and sot; None: a fixed seed.

    Raises:
        BadOption: no such mode.
    """
    if mode == "rct":
        return fit_reinhard(lab_statistics(image, image_mask), lab_statistics(reference, reference_mask))
    if mode in ("lct", "mkl"):
        fit = fit_linear if mode == "lct" else fit_monge_kantorovich
        return fit(color_statistics(image, image_mask), color_statistics(reference, reference_mask))
    if mode in ("idt", "sot"):
        chance = rng or np.random.default_rng(0)
        inside = thinned(measured_pixels(image, image_mask), _MOST_MEASURED)
        wanted = reference[thinned(measured_pixels(reference, reference_mask), _MOST_MEASURED)]
        if mode == "idt":
            return LatticeTransform(fit_distribution_lattice(image[inside], wanted, chance))
        return FieldTransform(fit_transport_field(image, inside, wanted, chance))
    raise BadOption(f"A color transfer is one of {', '.join(COLOR_TRANSFER_MODES)}. Received: {mode}.")


def measured_pixels(picture: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """(H, W) bool: where the mask is at least one half; everywhere without a mask or where it is nowhere."""
    inside = np.ones(picture.shape[:2], bool) if mask is None else mask >= 0.5
    return inside if inside.any() else np.ones_like(inside)


def color_transfer(
    mode: str,
    image: np.ndarray,
    reference: np.ndarray,
    image_mask: np.ndarray | None = None,
    reference_mask: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Gives a square-ish `image` the colors of `reference`; arguments as `fit_color_transfer`, and mode "none".

    rct, lct and mkl measure every pixel; idt and sot are fitted on thumbnails (`THUMBNAIL_SIDE`).

    Returns: (H, W, 3) float32 in [0, 1], a new array.
    """
    if mode == "none":
        return image.copy()
    if mode in ("idt", "sot"):
        image_mask = None if image_mask is None else _thumbnail(image_mask)
        reference_mask = None if reference_mask is None else _thumbnail(reference_mask)
        small, small_reference = _thumbnail(image), _thumbnail(reference)
        return fit_color_transfer(mode, small, small_reference, image_mask, reference_mask, rng).apply(image)
    return fit_color_transfer(mode, image, reference, image_mask, reference_mask, rng).apply(image)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    if max(image.shape[:2]) <= THUMBNAIL_SIDE:
        return image
    return cv2.resize(image, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
