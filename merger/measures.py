"""What is measured of each face before anything is composited, so that the frames around can be heard (stabilizers.py).

All of it is small: a hundred kilobytes for a model of 256 pixels, three hundred with color transfer idt. Colors are
measured at the model's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from core.color import ColorTransform, lab_statistics
from core.color_histogram import HistogramTransform
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from merger.adjustments import AS_MEASURED
from merger.aligning import AlignedFace, face_layer, seen_in_frame
from merger.color_match import fit_colors, fit_histograms, thumbnail_to_square
from merger.compositing import place_mask
from merger.face_tools import FaceAnswer
from merger.masks import FaceMask
from merger.merge_frame import chosen_mask, clone, shaped_mask
from merger.settings import MergeSettings

SHOWN_SIDE = 32
"""Side of the small picture of the new face."""

FIELD_SCALE = 8
"""A cloned face is compared with the old one in squares of so many model pixels."""

_SMALLEST_FIELD = 8
_RING = 0.08
"""Width of the ring around the mask, in parts of the square's side."""

_FEWEST_PIXELS = 16
_LEAST_DEVIATION = 0.5
"""Lab channels that vary less are treated as varying this much."""


@dataclass(frozen=True)
class ColorMeasures:
    """How one face is colored in one frame.

    Statistics are float64 (6,): mean L, a, b, and the logarithms of their standard deviations.

    Attributes:
        shown: (s, s, 3) float16 BGR, the new face before its colors are changed.
        weights: (s, s) float16, where it is seen.
        transform: how it takes the old face's colors in this frame; None: not at all.
        curves: the same of its histogram.
        new: statistics of the new face with its colors changed.
        old: of the old face.
        ring: of the frame around the mask; None where nothing of it is seen.
    """

    shown: NDArray
    weights: NDArray
    transform: ColorTransform | None
    curves: HistogramTransform | None
    new: NDArray
    old: NDArray
    ring: NDArray | None


@dataclass(frozen=True)
class FaceMeasures:
    """One face of one frame. What is not to be steadied is None.

    Attributes:
        point: (2,), the face's first landmark, which tells it from the others of its frame.
        kind: the settings that decide what is measured ; only faces of one kind are smoothed together.
        rendering: of the renderings its frame is mixed of, which.
        mask: (R, R) uint8, the chosen mask before it is shaped.
        colors: how the face is colored.
        cloned: (n, n, 3) float16 BGR, the cloned face less the old one.
    """

    point: NDArray
    kind: str
    mask: NDArray | None = None
    colors: ColorMeasures | None = None
    cloned: NDArray | None = None
    rendering: int = 0


def _kind_of(settings: MergeSettings) -> str:
    inside = (str(settings.masked_hist_match),) if settings.mode == "hist-match" else ()
    return " ".join((settings.mode, settings.mask_mode, settings.color_transfer, *inside))


def measure_faces(
    frame: NDArray,
    aligned: Sequence[AlignedFace],
    answers: Sequence[FaceAnswer],
    settings: MergeSettings,
    face_type: FaceType,
) -> list[FaceMeasures]:
    """Measures every face of a frame, with the arguments of `composite_faces`; cheap where nothing is to be steadied.
    One face after the other, each in every rendering of its frame.

    Args:
        frame: (H, W, 3) BGR uint8 or uint16.
        face_type: of the model.
    """
    told: Sequence[FaceAnswer | None] = answers or [None] * len(aligned)
    return [
        _measure_face(frame, face, answer, one, face_type, rendering)
        for face, answer in zip(aligned, told, strict=True)
        for rendering, one in enumerate(face.source.settings or (settings,))
    ]


def _measure_face(
    frame: NDArray,
    face: AlignedFace,
    answer: FaceAnswer | None,
    settings: MergeSettings,
    face_type: FaceType,
    rendering: int,
) -> FaceMeasures:
    measured = FaceMeasures(face.source.landmarks[0], _kind_of(settings), rendering=rendering)
    if not settings.looks_around:
        return measured
    chosen = chosen_mask(face, answer, settings)
    mask = np.rint(chosen * 255).astype(np.uint8) if settings.mask_strength else None
    if answer is None or not (settings.color_strength or settings.seamless_strength):
        return replace(measured, mask=mask)
    shaped = shaped_mask(chosen, settings)
    if settings.is_seamless:
        return replace(measured, mask=mask, cloned=_cloned(frame, face, answer, shaped, settings, face_type))
    colors = _measure_colors(face, answer, shaped.at_model_resolution(), settings)
    return replace(measured, mask=mask, colors=colors)


def _measure_colors(
    face: AlignedFace, answer: FaceAnswer, seen: NDArray, settings: MergeSettings
) -> ColorMeasures | None:
    """None where too little of the face is seen."""
    new = face_layer(answer, settings).at_model_resolution(face.side)
    inside = seen >= 0.5
    ring = cv2.dilate((seen > 0).view(np.uint8), _disc(max(1, round(_RING * face.side)))) > seen
    if face.is_inside is not None:
        inside, ring = inside & face.is_inside, ring & face.is_inside
    if np.count_nonzero(inside) < _FEWEST_PIXELS:
        return None
    transform = fit_colors(settings.color_transfer, new, face.pixels, seen, face.is_inside)
    curves = None
    if settings.mode == "hist-match":
        changed = new if transform is None else transform.apply(new, thumbnail_to_square(face.side))
        outline = seen if settings.masked_hist_match else None
        curves = fit_histograms(changed, face.pixels, outline, settings.hist_match_threshold, face.is_inside)
    small = min(face.side, SHOWN_SIDE)
    shown = cv2.resize(new, (small, small), interpolation=cv2.INTER_AREA).astype(np.float16)
    weights = cv2.resize(inside.astype(np.float32), (small, small), interpolation=cv2.INTER_AREA).astype(np.float16)
    return ColorMeasures(
        *(shown, weights, transform, curves),
        new=color_figures(recolored(shown, transform, curves), weights),
        old=color_figures(face.pixels, inside),
        ring=color_figures(face.pixels, ring) if np.count_nonzero(ring) >= _FEWEST_PIXELS else None,
    )


def _disc(radius: int) -> NDArray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def recolored(
    shown: NDArray, transform: ColorTransform | None, curves: HistogramTransform | None
) -> NDArray[np.float32]:
    """The small picture of the new face with its colors changed."""
    picture = shown.astype(np.float32)
    for change in (transform, curves):
        picture = picture if change is None else change.apply(picture)
    return picture


def color_figures(picture: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """(6,): mean Lab and logarithms of the deviations, of (H, W, 3) under weights (H, W) or bool."""
    statistics = lab_statistics(picture, weights)
    return np.concatenate([statistics.mean, np.log(np.maximum(statistics.std, _LEAST_DEVIATION))])


def _cloned(
    frame: NDArray,
    face: AlignedFace,
    answer: FaceAnswer,
    mask: FaceMask,
    settings: MergeSettings,
    face_type: FaceType,
) -> NDArray | None:
    """The cloned face less the old one, small; None where it is too small to be cloned."""
    frame_to_paste = frame_to_face(face.source.landmarks, face_type, face.side, settings.paste_scale)
    placed = place_mask(mask, frame_to_paste, frame.shape)
    if not placed.is_worth_pasting:
        return None
    layer, seen = face_layer(answer, settings), mask.at_model_resolution()
    region, picture = clone(layer, frame, face, placed, placed.region, frame_to_paste, settings, seen, AS_MEASURED)
    change = seen_in_frame(frame, picture, region, face) - face.pixels
    side = max(_SMALLEST_FIELD, face.side // FIELD_SCALE)
    return cv2.resize(change, (side, side), interpolation=cv2.INTER_AREA).astype(np.float16)
