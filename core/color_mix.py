"""Mix: lightness and chroma take on another picture's distribution apart from each other.

Lightness by gain and offset; chroma, looked at in a picture of one lightness, by sliced optimal transport whose
movement is smoothed only where it hardly changes, so that it follows the edges. All in floats: classically every step
was rounded to 8 bits, which banded.

Source: spec samples-and-colour 8.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.color import COVARIANCE_FLOOR, GAIN_RANGE, FieldTransform, bgr_to_lab, lab_to_bgr, measured_pixels
from core.color_transport import fit_transport_field

EVEN_LIGHTNESS = 100 * 100 / 255
"""The lightness chroma is looked at: 100 of 255."""

MOVEMENT_RANGE = 5 / 255
"""Movements that differ by more than about this much are not smoothed together."""


@dataclass(frozen=True)
class MixTransform:
    """L' = gain L + offset; chroma moved by a field."""

    gain: float
    offset: float
    chroma: FieldTransform

    def apply(self, image: NDArray, thumbnail_to_image: NDArray | None = None) -> NDArray:
        lab = bgr_to_lab(image)
        moved = bgr_to_lab(self.chroma.apply(evenly_lit(lab), thumbnail_to_image))
        lightness = np.clip(lab[..., 0] * np.float32(self.gain) + np.float32(self.offset), 0.0, 100.0)
        return lab_to_bgr(cv2.merge([lightness, *cv2.split(moved)[1:]]))


def evenly_lit(lab: NDArray) -> NDArray:
    """The colors of a Lab picture at one lightness, BGR float32 in [0, 1]."""
    even = lab.copy()
    even[..., 0] = EVEN_LIGHTNESS
    return lab_to_bgr(even)


def fit_mix(
    image: NDArray,
    reference: NDArray,
    image_mask: NDArray,
    reference_mask: NDArray,
    rng: np.random.Generator,
) -> MixTransform:
    """Finds how `image` takes the colors of `reference`.

    Args:
        image, reference: (h, w, 3) BGR float32 in [0, 1]; every pixel costs time: about 128 x 128 is right.
        image_mask, reference_mask: (h, w) in [0, 1]; pixels of at least one half count (all where none is).
        rng: turns the directions.
    """
    inside, inside_reference = measured_pixels(image, image_mask), measured_pixels(reference, reference_mask)
    lab, wanted = bgr_to_lab(image), bgr_to_lab(reference)
    has, wants = lab[inside][:, 0] / 100.0, wanted[inside_reference][:, 0] / 100.0
    gain = float(np.sqrt((wants.var() + COVARIANCE_FLOOR) / (has.var() + COVARIANCE_FLOOR)))
    gain = float(np.clip(gain, *GAIN_RANGE))
    chroma, wanted_chroma = evenly_lit(lab), evenly_lit(wanted)[inside_reference]
    field = fit_transport_field(chroma, inside, wanted_chroma, rng, movement_range=MOVEMENT_RANGE)
    return MixTransform(gain, 100.0 * float(wants.mean() - gain * has.mean()), FieldTransform(field))
