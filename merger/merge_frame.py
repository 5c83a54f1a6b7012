"""READ THIS FIRST. One frame, from start to end:

    align             cut every face out of the frame, at the model's resolution
    ask               the networks answer: the new face, two masks; what XSeg sees; finer detail
    choose the mask   the outline of the landmarks, what the model learned, what XSeg sees, or products of them
    shape the mask    shrink or grow it, soften its edge
    match the colors  the new face takes the old one's colors and histogram
    sharpen           or soften the new face
    paste             through the same matrix, backwards, into the part of the frame the mask reaches
    clone             in seamless modes: its gradients with the colors around it; then match the colors there
    move              smear it as the camera would have
    put it back       blended through the mask
    finish            only if asked to: soften the frame around it, take colors away
    mix               only where settings dissolve into others: of a frame rendered with each

`merge_frame` does all of it. The engine runs the same two halves, `align_faces` and `composite_faces`, in worker
processes, and the networks between them in the process that owns them.

Several faces go onto one canvas, one after the other; each is cut, and its colors measured, in the untouched frame.
Unless the frame is to be softened, outside the masks every pixel of the result is, to the bit, what it was. All
arithmetic is float32, on the part of the frame a mask can reach.

What the frames around have to say (merger/stabilizers.py) comes in as an adjustment of each face; without one a frame
is made of itself alone.

With `--compat dfl` merger/classical.py takes the place of these steps. Source: spec merging 3, with the decisions of 8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.filters import blur_along, blur_or_sharpen
from core.geometry import compose_affine, invert_affine, warp
from core.images import to_float
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from merger import classical
from merger.adjustments import AS_MEASURED, FaceAdjustment, added_inside
from merger.aligning import AlignedFace, FaceLayer, align_faces, face_layer, seen_in_frame
from merger.color_match import fit_colors, fit_histograms, thumbnail_to_square
from merger.compositing import MergedFrame, PlacedMask, Region, add_coverage, blend, paste, place_mask
from merger.dissolving import mix_renderings
from merger.face_tools import ENHANCER_SCALE, FaceAnswer, FaceTools, ask_networks, seen_by_model
from merger.finishing import finish_frame, soften_frame, to_levels
from merger.frames import FrameFace, every_settings
from merger.layers import LayerBuilder, square_region
from merger.masks import FaceMask, choose_mask, outline_mask, shape_mask
from merger.seamless import clone_into, clone_region
from merger.settings import MergeSettings


def merge_frame(
    frame: NDArray,
    faces: Sequence[FrameFace],
    settings: MergeSettings,
    tools: FaceTools,
    shares: Sequence[float] = (1.0,),
) -> MergedFrame:
    """Merges one frame. `frame` is (H, W, 3) BGR uint8 or uint16 and is not changed.

    Args:
        settings: of the faces that have none of their own.
        shares: of the renderings the frame is mixed of.

    Raises:
        UserError: the settings need a network that is not there.
    """
    every = every_settings(faces, settings)
    for one in every:
        tools.require(one)
    aligned = align_faces(frame, faces, tools.resolution, tools.face_type, settings, tools.segment_face_type)
    answers: Sequence[FaceAnswer] = ()
    if aligned and any(one.needs_prediction for one in every):
        answers = ask_networks(tools, [face.question for face in aligned], settings)
    return composite_faces(frame, aligned, answers, settings, tools.face_type, tools.resolution, shares=shares)


def composite_faces(
    frame: NDArray,
    aligned: Sequence[AlignedFace],
    answers: Sequence[FaceAnswer],
    settings: MergeSettings,
    face_type: FaceType,
    resolution: int,
    with_layers: bool = False,
    adjustment: Sequence[FaceAdjustment] | None = None,
    shares: Sequence[float] = (1.0,),
) -> MergedFrame:
    """The second half: from the networks' answers (none where no face needs one) to the finished frame.

    Args:
        settings: of the faces that have none of their own. What is done to the frame as a whole is the same in all.
        with_layers: whether the result brings its face layer along.
        adjustment: what each aligned face does otherwise because of the frames around, in each rendering; None:
            nothing. The classical way knows none.
        shares: of the renderings the frame is mixed of.
    """
    count = len(aligned)
    changes = adjustment or [AS_MEASURED] * (count * len(shares))
    renderings = []
    for number in range(len(shares) if aligned else 1):
        mine = changes[number * count : (number + 1) * count]
        builder = LayerBuilder(frame.shape, frame.dtype) if with_layers and settings.mode != "raw-predict" else None
        fixed = (settings, face_type, resolution, builder)
        if settings.is_classical:
            renderings.append(classical.composite_faces(frame, aligned, answers, *fixed, number))
        else:
            renderings.append(_render(frame, aligned, answers, mine, *fixed, number))
    return mix_renderings(renderings, shares)


def _render(
    frame: NDArray,
    aligned: Sequence[AlignedFace],
    answers: Sequence[FaceAnswer],
    changes: Sequence[FaceAdjustment],
    settings: MergeSettings,
    face_type: FaceType,
    resolution: int,
    builder: LayerBuilder | None,
    rendering: int,
) -> MergedFrame:
    """One of the renderings of a frame."""
    if settings.mode == "raw-predict":
        return _predicted_square(frame, aligned, answers, settings, resolution, *changes[:1])
    told: Sequence[FaceAnswer | None] = answers or [None] * len(aligned)
    own = [face.source.settings_in(settings, rendering) for face in aligned]
    whole = next((one for one in own if one.softens_frame), settings)
    masks = [_mask_of(*face) for face in zip(aligned, told, changes, own, strict=True)]
    pastes = [
        frame_to_face(face.source.landmarks, face_type, face.side, one.paste_scale)
        for face, one in zip(aligned, own, strict=True)
    ]
    placed = [place_mask(mask, matrix, frame.shape) for mask, matrix in zip(masks, pastes, strict=True)]
    shows_a_face = any(p.is_worth_pasting for p in placed)  # else nothing in the frame is touched
    canvas = soften_frame(frame, whole) if shows_a_face else frame.copy()
    coverage = np.zeros(frame.shape[:2], frame.dtype)
    for number, face in enumerate(aligned):
        add_coverage(coverage, placed[number])
        mine = (placed[number], pastes[number], own[number], builder)
        if own[number].mode == "raw-rgb":
            _paste_square(canvas, answers[number], *mine)
        elif own[number].mode != "original" and placed[number].is_worth_pasting:
            _put_face(canvas, frame, face, answers[number], masks[number], changes[number], *mine)
        elif builder is not None:  # the frame stays as it is
            builder.add(to_float(placed[number].region.of(frame)), placed[number].region, placed[number])
    layers = builder.finish() if builder is not None else None
    return MergedFrame(finish_frame(canvas, whole) if shows_a_face else canvas, coverage, layers)


def _mask_of(
    face: AlignedFace, answer: FaceAnswer | None, adjustment: FaceAdjustment, settings: MergeSettings
) -> FaceMask:
    """Where the face goes, in face space."""
    mask = chosen_mask(face, answer, settings) if adjustment.mask is None else adjustment.mask
    return shaped_mask(mask, settings)


def chosen_mask(face: AlignedFace, answer: FaceAnswer | None, settings: MergeSettings) -> NDArray[np.float32]:
    """What the mask mode names: (R, R) float32 in [0, 1]."""
    side = face.side
    parts = {"dst": lambda: outline_mask(face.source.landmarks, face.frame_to_face, side, face.source.brow_lift)}
    if answer is not None:
        told, to_segment = answer, face.face_to_segment
        parts["learned-prd"] = lambda: told.prediction.src_mask
        parts["learned-dst"] = lambda: told.prediction.dst_mask
        parts["XSeg-prd"] = lambda: seen_by_model(_required(told.src_segment), to_segment, side)
        parts["XSeg-dst"] = lambda: seen_by_model(_required(told.dst_segment), to_segment, side)
    return choose_mask(settings.mask_mode, parts, side)


def shaped_mask(mask: NDArray, settings: MergeSettings) -> FaceMask:
    """A chosen mask shrunk and softened as set; in the raw modes as it is."""
    return FaceMask(mask, 1) if "raw" in settings.mode else shape_mask(mask, settings.erode_mask, settings.blur_mask)


def _required(segment: NDArray | None) -> NDArray:
    assert segment is not None, "XSeg was not asked"
    return segment


def _put_face(
    canvas: NDArray,
    frame: NDArray,
    face: AlignedFace,
    answer: FaceAnswer,
    mask: FaceMask,
    adjustment: FaceAdjustment,
    placed: PlacedMask,
    frame_to_paste: NDArray,
    settings: MergeSettings,
    builder: LayerBuilder | None,
) -> None:
    """Modes overlay, hist-match, seamless, seamless-hist-match: colors, sharpness, paste, clone, motion, blend."""
    layer = face_layer(answer, settings)
    seen = mask.at_model_resolution()
    if not settings.is_seamless:
        layer = _match_colors(layer, face, seen, settings, adjustment)
    pixels = blur_or_sharpen(layer.pixels, settings.sharpen_mode, settings.blursharpen_amount)
    layer = FaceLayer(np.clip(pixels, 0.0, 1.0), layer.face_to_layer)
    dx, dy = face.source.motion.per_frame(settings.motion_blur_power / 100)
    region = placed.region.grown(int(np.ceil(max(abs(dx), abs(dy)) / 2)), frame.shape)
    region = square_region(builder, region, frame_to_paste, face.side)
    if settings.is_seamless:
        region, pasted = clone(layer, frame, face, placed, region, frame_to_paste, settings, seen, adjustment)
    else:
        pasted = paste(layer.pixels, compose_affine(frame_to_paste, layer.face_to_layer), region)
    pasted = blur_along(pasted, dx, dy)
    if builder is not None:
        builder.add(pasted, region, placed)
    blend(canvas, np.ascontiguousarray(placed.region.within(region).of(pasted)), placed)


def _match_colors(
    layer: FaceLayer, face: AlignedFace, seen: NDArray, settings: MergeSettings, adjustment: FaceAdjustment
) -> FaceLayer:
    """The new face with the old one's colors, and in mode hist-match with its histogram."""
    pixels, side = layer.pixels, face.side
    transform = adjustment.colors or fit_colors(
        *(settings.color_transfer, layer.at_model_resolution(side), face.pixels, seen, face.is_inside)
    )
    if transform is not None:
        pixels = transform.apply(pixels, compose_affine(thumbnail_to_square(side), layer.face_to_layer))
        layer = FaceLayer(pixels, layer.face_to_layer)
    if settings.mode == "hist-match":
        inside = seen if settings.masked_hist_match else None
        curves = adjustment.curves or fit_histograms(
            *(layer.at_model_resolution(side), face.pixels, inside, settings.hist_match_threshold, face.is_inside)
        )
        layer = FaceLayer(curves.apply(pixels), layer.face_to_layer)
    if adjustment.level is not None:
        layer = FaceLayer(adjustment.level.apply(layer.pixels), layer.face_to_layer)
    return layer


def clone(
    layer: FaceLayer,
    frame: NDArray,
    face: AlignedFace,
    placed: PlacedMask,
    region: Region,
    frame_to_paste: NDArray,
    settings: MergeSettings,
    seen: NDArray,
    adjustment: FaceAdjustment,
) -> tuple[Region, NDArray]:
    """The frame's own pixels with the face cloned in, and the region they lie in: `region`, or more."""
    rectangle, free = clone_region(placed, frame.shape)
    region = region.joined(rectangle)
    pasted = paste(layer.pixels, compose_affine(frame_to_paste, layer.face_to_layer), region)
    picture = to_float(region.of(frame))
    part = rectangle.within(region)
    part.of(picture)[...] = clone_into(part.of(picture), part.of(pasted), placed.over(rectangle), free)
    picture = _match_cloned_colors(picture, region, frame, face, settings, seen)
    if adjustment.cloned is not None:
        added = added_inside(adjustment.cloned, seen)
        to_region = region.seen_from(invert_affine(frame_to_paste))
        picture = np.clip(picture + warp(added, to_region, region.size, "linear", "constant"), 0.0, 1.0)
    return region, picture


def _match_cloned_colors(
    picture: NDArray, region: Region, frame: NDArray, face: AlignedFace, settings: MergeSettings, seen: NDArray
) -> NDArray:
    """A cloned face with the old one's colors, and in mode seamless-hist-match with its histogram."""
    if settings.color_transfer == "none" and settings.mode == "seamless":
        return picture
    new = seen_in_frame(frame, picture, region, face)
    transform = fit_colors(settings.color_transfer, new, face.pixels, seen, face.is_inside)
    if transform is not None:
        to_frame = compose_affine(thumbnail_to_square(face.side), invert_affine(face.frame_to_face))
        picture = transform.apply(picture, region.seen_from(to_frame))
        new = seen_in_frame(frame, picture, region, face)
    if settings.mode == "seamless-hist-match":
        curves = fit_histograms(new, face.pixels, None, settings.hist_match_threshold, face.is_inside)
        picture = curves.apply(picture)
    return picture


def _paste_square(
    canvas: NDArray,
    answer: FaceAnswer,
    placed: PlacedMask,
    frame_to_paste: NDArray,
    settings: MergeSettings,
    builder: LayerBuilder | None,
) -> None:
    """Mode raw-rgb: the whole square, its edge smooth over one model pixel."""
    layer = face_layer(answer, settings)
    side = len(answer.prediction.face)
    square = place_mask(FaceMask(np.ones((side, side), np.float32), 1), frame_to_paste, canvas.shape)
    to_layer = compose_affine(frame_to_paste, layer.face_to_layer)
    if not square.region.is_empty:
        blend(canvas, paste(layer.pixels, to_layer, square.region), square)
    if builder is not None and not placed.region.is_empty:
        region = square_region(builder, placed.region, frame_to_paste, side)
        builder.add(paste(layer.pixels, to_layer, region), region, placed)


def _predicted_square(
    frame: NDArray,
    aligned: Sequence[AlignedFace],
    answers: Sequence[FaceAnswer],
    settings: MergeSettings,
    resolution: int,
    adjustment: FaceAdjustment = AS_MEASURED,
) -> MergedFrame:
    """Mode raw-predict: the predicted face of the frame's first face and its mask, alone, always of one size; black
    where there is no face.
    """
    most = np.iinfo(frame.dtype).max
    side = resolution * (ENHANCER_SCALE if settings.super_resolution_power else 1)
    image, mask = np.zeros((side, side, 3), frame.dtype), np.zeros((side, side), frame.dtype)
    if aligned:
        layer = face_layer(answers[0], settings)
        chosen = _mask_of(aligned[0], answers[0], adjustment, settings).values
        if side != resolution:
            chosen = np.clip(warp(chosen, layer.face_to_layer, side, "cubic", "replicate"), 0, 1)
        image[...] = to_levels(layer.pixels * np.float32(most), frame.dtype)
        mask[...] = to_levels(chosen * np.float32(most), frame.dtype)
    return MergedFrame(image, mask)
