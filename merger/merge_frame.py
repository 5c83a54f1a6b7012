"""READ THIS FIRST. One frame, from start to end:

    align             cut every face out of the frame, at the model's resolution
    predict           the model answers with the new face and two masks
    choose the mask   the outline of the landmarks, what the model learned, or both together
    shape the mask    shrink or grow it, soften its edge
    match the colors  the new face takes the colors of the old one
    put it back       through the same matrix, backwards; only where the mask is

`merge_frame` does all of it. The engine runs the same two halves, `align_faces` and `composite_faces`, in worker
processes, and the prediction between them in the process that owns the model.

Several faces go onto one canvas, one after the other; each is cut, and its colors measured, in the untouched frame.
Outside the masks every pixel of the result is, to the bit, what it was.

Source: spec merging 3, with the decisions of 8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.color import fit_reinhard, lab_statistics
from core.geometry import compose_affine, invert_affine, transform_points, warp
from core.images import to_float
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.prediction import Prediction, Predictor
from merger.compositing import Region, add_coverage, blend_face, place_mask
from merger.frames import FrameFace
from merger.masks import FAINTEST, FaceMask, choose_mask, shape_mask
from merger.settings import MergeSettings

FEWEST_COLOR_PIXELS = 16
"""Colors measured on fewer pixels than this say nothing; the face then keeps its own."""


@dataclass(frozen=True)
class AlignedFace:
    """A face cut out of its frame for the model.

    Attributes:
        source: the face as the frame's records know it.
        pixels: (R, R, 3) float32 BGR in [0, 1]; beyond the frame its edge pixels go on.
        frame_to_face: (2, 3), frame pixels to R pixels, as the face was cut.
        is_inside: (R, R) bool, which pixels lie in the frame; None: all.
    """

    source: FrameFace
    pixels: NDArray
    frame_to_face: NDArray
    is_inside: NDArray | None


@dataclass(frozen=True)
class FaceTools:
    """What the acts on a frame need beside numbers.

    Attributes:
        resolution: R, side of the square the model sees.
        face_type: how much of the head that square shows.
        predict: (N, R, R, 3) float32 BGR in [0, 1] -> N predictions.
    """

    resolution: int
    face_type: FaceType
    predict: Callable[[NDArray], Sequence[Prediction]]

    @classmethod
    def of(cls, predictor: Predictor) -> FaceTools:
        return cls(predictor.resolution, predictor.face_type, predictor.predict)


@dataclass(frozen=True)
class MergedFrame:
    """A finished frame.

    Attributes:
        image: (H, W, 3) BGR, of the source frame's type.
        mask: (H, W), same type, full scale where the frame was replaced; 0 where it kept its bits (in raw-rgb mode the
            mask is the one asked for, the picture changed in the whole square).
    """

    image: NDArray
    mask: NDArray


def merge_frame(frame: NDArray, faces: Sequence[FrameFace], settings: MergeSettings, tools: FaceTools) -> MergedFrame:
    """Merges one frame. `frame` is (H, W, 3) BGR uint8 or uint16 and is not changed."""
    aligned = align_faces(frame, faces, tools.resolution, tools.face_type)
    predictions: Sequence[Prediction] = ()
    if aligned and settings.needs_prediction:
        predictions = tools.predict(np.stack([face.pixels for face in aligned]))
    return composite_faces(frame, aligned, predictions, settings, tools.face_type)


def align_faces(frame: NDArray, faces: Sequence[FrameFace], resolution: int, face_type: FaceType) -> list[AlignedFace]:
    """Cuts out every face of which the frame shows something; faces wholly outside it are passed over."""
    aligned = []
    for face in faces:
        matrix = frame_to_face(face.landmarks, face_type, resolution)
        part = _part_of_frame_around(matrix, resolution, frame.shape)
        if part.is_empty:
            continue
        pixels = warp(
            to_float(part.of(frame)),
            compose_affine(np.array([[1.0, 0, part.left], [0, 1.0, part.top]]), matrix),
            resolution,
            "cubic",
            "replicate",
        )
        is_inside = _pixels_inside(matrix, resolution, frame.shape)
        aligned.append(AlignedFace(face, np.clip(pixels, 0.0, 1.0, out=pixels), matrix, is_inside))
    return aligned


def composite_faces(
    frame: NDArray,
    aligned: Sequence[AlignedFace],
    predictions: Sequence[Prediction],
    settings: MergeSettings,
    face_type: FaceType,
) -> MergedFrame:
    """The second half: from the predictions (none where the settings need none) to the finished frame."""
    canvas = frame.copy()
    coverage = np.zeros(frame.shape[:2], frame.dtype)
    for number, face in enumerate(aligned):
        prediction = predictions[number] if settings.needs_prediction else None
        side = face.pixels.shape[0]
        frame_to_paste = frame_to_face(face.source.landmarks, face_type, side, settings.paste_scale)
        if settings.mode == "raw-rgb":
            assert prediction is not None
            _paste_square(canvas, coverage, face, prediction, frame_to_paste, settings)
        else:
            _overlay(canvas, coverage, face, prediction, frame_to_paste, settings)
    return MergedFrame(canvas, coverage)


def _overlay(
    canvas: NDArray,
    coverage: NDArray,
    face: AlignedFace,
    prediction: Prediction | None,
    frame_to_paste: NDArray,
    settings: MergeSettings,
) -> None:
    """Modes overlay and original (which writes the mask and leaves the picture)."""
    chosen = _choose_mask(face, prediction, settings)
    mask = shape_mask(chosen, settings.erode_mask, settings.blur_mask)
    placed = place_mask(mask, frame_to_paste, canvas.shape)
    add_coverage(coverage, placed)
    if settings.mode == "original" or not placed.is_worth_pasting:
        return
    assert prediction is not None
    pixels = np.clip(prediction.face, 0.0, 1.0)
    if settings.color_transfer != "none":
        pixels = match_colors(pixels, face, mask)
    blend_face(canvas, pixels, frame_to_paste, placed)


def _paste_square(
    canvas: NDArray,
    coverage: NDArray,
    face: AlignedFace,
    prediction: Prediction,
    frame_to_paste: NDArray,
    settings: MergeSettings,
) -> None:
    """Mode raw-rgb: the whole square, its edge smooth over one model pixel; the mask is the chosen one, unshaped."""
    side = face.pixels.shape[0]
    square = place_mask(FaceMask(np.ones((side, side), np.float32), 1), frame_to_paste, canvas.shape)
    if not square.region.is_empty:
        blend_face(canvas, np.clip(prediction.face, 0.0, 1.0), frame_to_paste, square)
    chosen = FaceMask(_choose_mask(face, prediction, settings), 1)
    add_coverage(coverage, place_mask(chosen, frame_to_paste, canvas.shape))


def _choose_mask(face: AlignedFace, prediction: Prediction | None, settings: MergeSettings) -> NDArray:
    return choose_mask(
        settings.mask_mode,
        prediction,
        face.source.landmarks,
        face.frame_to_face,
        face.pixels.shape[0],
        face.source.brow_lift,
    )


def match_colors(pixels: NDArray, face: AlignedFace, mask: FaceMask) -> NDArray:
    """Gives the predicted face the Lab mean and deviation of the old one (rct), both measured where the mask is.

    Pixels that lie beyond the frame are not measured (spec merging 8, Q18).

    Args:
        pixels: (R, R, 3) float32 BGR in [0, 1], the predicted face.
    """
    measured = mask.at_model_resolution() >= FAINTEST
    if face.is_inside is not None:
        measured &= face.is_inside
    if np.count_nonzero(measured) < FEWEST_COLOR_PIXELS:
        return pixels
    return fit_reinhard(lab_statistics(pixels, measured), lab_statistics(face.pixels, measured)).apply(pixels)


def _part_of_frame_around(matrix: NDArray, side: int, frame_shape: tuple[int, ...]) -> Region:
    """The part of the frame the aligned square needs: its bounding box and the reach of resampling; may be empty."""
    height, width = frame_shape[:2]
    square = np.array([[-0.5, -0.5], [side - 0.5, -0.5], [side - 0.5, side - 0.5], [-0.5, side - 0.5]])
    corners = transform_points(square, invert_affine(matrix))
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int) + 1
    if high[0] <= 0 or high[1] <= 0 or low[0] >= width or low[1] >= height:
        return Region(0, 0, 0, 0)
    reach = 6 + int(4 / np.hypot(*matrix[:, 0]))  # cubic kernel; smoothing before shrinking
    left, top = np.maximum(low - reach, 0)
    right, bottom = np.minimum(high + reach, (width, height))
    return Region(int(left), int(top), int(right), int(bottom))


def _pixels_inside(matrix: NDArray, side: int, frame_shape: tuple[int, ...]) -> NDArray | None:
    """Which pixels of the aligned square lie in the frame; None where all do."""
    height, width = frame_shape[:2]
    to_frame = invert_affine(matrix)
    limit = np.array([width, height]) - 0.5
    last = side - 1.0
    corners = transform_points(np.array([[0.0, 0], [last, 0], [last, last], [0, last]]), to_frame)
    if (corners >= -0.5).all() and (corners <= limit).all():
        return None
    steps = np.arange(side)
    across = to_frame[:, 0] * steps[:, None]
    down = to_frame[:, 1] * steps[:, None] + to_frame[:, 2]
    x = across[None, :, 0] + down[:, None, 0]
    y = across[None, :, 1] + down[:, None, 1]
    return (x >= -0.5) & (x <= limit[0]) & (y >= -0.5) & (y <= limit[1])
