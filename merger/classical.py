"""`--compat dfl`: one frame with the pixels older tools made of it, their faults included.

For shots that were begun there. The steps are those of merge_frame, with the older choices: bare cubic kernels, a mask
that lies 0.375 model pixels beside the face, black beyond the frame, several faces blended twice, a second resampling
for everything done after the paste, truncated levels. Settled otherwise even here, because nobody could want it: what
is drawn at random is the same every time, and a seamless face does not jump at the frame's border.

Only the part of the frame that the squares cover is computed, unless the whole frame is softened. Source: spec merging
3; what is kept and what is not: 8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.filters import blur_or_sharpen, classical_motion_kernel, denoise, lose_detail
from core.palette import lose_colors
from core.poisson import HELD, FreeSides, clone_seamlessly
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.masks import hull_mask
from merger.aligning import AlignedFace, region_around
from merger.classical_color import match_colors, match_histograms
from merger.classical_warp import cut_square, paste_square, unit_values
from merger.compositing import MergedFrame, PlacedMask, Region
from merger.face_tools import ENHANCER_SCALE, FaceAnswer, classical_face
from merger.frames import Motion
from merger.layers import LayerBuilder
from merger.masks import FAINTEST, FINE_SCALE, choose_mask, nonzero_box, shape_fine_mask
from merger.seamless import seamless_threshold
from merger.settings import MergeSettings

_MOST_MOTION = 50
_HAIR = np.float32(1e-3)
"""Levels are cut off, not rounded; one that floats left a hair below a whole number is that number."""


@dataclass(frozen=True)
class _Squares:
    """The matrices of one face, frame pixels to square pixels: `cut` and `paste` to `side` (S), `mask` to 4R."""

    side: int
    fine_side: int
    cut: NDArray
    paste: NDArray
    mask: NDArray


@dataclass(frozen=True)
class _Merged:
    """What one face made of its region: the picture (h, w, 3) in [0, 1] and the mask (h, w)."""

    region: Region
    picture: NDArray
    weights: NDArray


def composite_faces(
    frame: NDArray,
    aligned: Sequence[AlignedFace],
    answers: Sequence[FaceAnswer],
    settings: MergeSettings,
    face_type: FaceType,
    resolution: int,
    builder: LayerBuilder | None = None,
    rendering: int = 0,
) -> MergedFrame:
    """As merge_frame.composite_faces, one rendering of it; a builder takes the face layer."""
    told: Sequence[FaceAnswer | None] = answers or [None] * len(aligned)
    own = [face.source.settings_in(settings, rendering) for face in aligned]
    merged = [_merge_face(frame, *one, face_type) for one in zip(aligned, told, own, strict=True)]
    if settings.mode == "raw-predict":
        side = resolution * (ENHANCER_SCALE if settings.super_resolution_power else 1)
        frame = np.zeros((side, side, 3), frame.dtype)
    image, mask = frame.copy(), np.zeros(frame.shape[:2], frame.dtype)
    if not merged:
        return MergedFrame(image, mask, builder.finish() if builder else None)
    whole = merged[0].region
    for one in merged[1:]:
        whole = whole.joined(one.region)
    picture, covered = unit_values(whole.of(frame)), np.zeros(whole.size[::-1], np.float32)
    for number, one in enumerate(merged):
        place = one.region.within(whole)
        weights = one.weights[..., None]
        before = place.of(picture)
        before[...] = one.picture if number == 0 else before * (1 - weights) + one.picture * weights
        place.of(covered)[...] = np.clip(place.of(covered) + one.weights, 0.0, 1.0)
    most = np.float32(np.iinfo(frame.dtype).max)
    whole.of(image)[...] = np.clip(picture, 0.0, 1.0) * most + _HAIR
    whole.of(mask)[...] = covered * most + _HAIR
    if builder is None:
        return MergedFrame(image, mask)
    for one in merged:
        builder.add_blended(unit_values(one.region.of(frame)), one.picture, PlacedMask(one.region, one.weights))
    return MergedFrame(image, mask, builder.finish())


def _merge_face(
    frame: NDArray, face: AlignedFace, answer: FaceAnswer | None, settings: MergeSettings, face_type: FaceType
) -> _Merged:
    """Source: spec merging 3.4-3.8."""
    scale = ENHANCER_SCALE if settings.super_resolution_power else 1
    points, side, zoom = face.source.landmarks, scale * face.side, settings.paste_scale
    squares = _Squares(
        side,
        FINE_SCALE * face.side,
        frame_to_face(points, face_type, side),
        frame_to_face(points, face_type, side, zoom),
        frame_to_face(points, face_type, FINE_SCALE * face.side, zoom),
    )
    region = _region(squares, settings, frame.shape)
    fine = _fine_mask(frame, face, answer, squares, settings)
    in_square = _resized(fine, side)
    if settings.mode == "raw-predict":
        assert answer is not None
        return _Merged(Region(0, 0, side, side), classical_face(answer, settings), in_square)
    weights = np.clip(paste_square(fine, squares.mask, region), 0.0, 1.0)
    weights[weights < FAINTEST] = 0.0
    original = unit_values(region.of(frame))
    if settings.mode == "original":
        return _Merged(region, original, weights)
    assert answer is not None
    new = classical_face(answer, settings)
    if settings.mode == "raw-rgb":
        covered = paste_square(np.ones_like(new), squares.paste, region)
        picture = original * (1 - covered) + paste_square(new, squares.paste, region) * covered
        return _Merged(region, np.clip(picture, 0.0, 1.0), weights)
    placed = PlacedMask(region, weights)
    if not placed.is_worth_pasting:
        return _Merged(region, original, weights)
    old = np.clip(cut_square(original, squares.cut, region, side), 0.0, 1.0)
    area = (in_square > 0).astype(np.float32)
    pasted = _pasted_face(new, old, area, original, placed, squares, settings, frame)
    picture = original * (1 - weights[..., None]) + pasted * weights[..., None]
    if _is_worked_over(settings):
        picture = _work_over(picture, original, old, area, placed, squares, face.source.motion, settings)
    if settings.color_degrade_power:
        picture = lose_colors(picture, settings.color_degrade_power)
    return _Merged(region, picture, weights)


def _region(squares: _Squares, settings: MergeSettings, frame_shape: tuple[int, ...]) -> Region:
    """What has to be computed: all squares, or the whole frame where it is softened."""
    height, width = frame_shape[:2]
    if settings.softens_frame:
        return Region(0, 0, width, height)
    region = region_around(squares.cut, squares.side, frame_shape)
    for other in (
        region_around(squares.paste, squares.side, frame_shape),
        region_around(squares.mask, squares.fine_side, frame_shape),
    ):
        region = region if other.is_empty else region.joined(other)
    return region


def _fine_mask(
    frame: NDArray, face: AlignedFace, answer: FaceAnswer | None, squares: _Squares, settings: MergeSettings
) -> NDArray[np.float32]:
    """The mask at 4R, shaped but in the raw modes. Source: spec merging 3.4, 3.5."""
    side = squares.side

    def hull() -> NDArray:
        height, width = frame.shape[:2]
        exact = hull_mask(face.source.landmarks, height, width, exact=True)
        return cv2.warpAffine(exact, squares.cut, (side, side), flags=cv2.INTER_CUBIC)

    parts = {"dst": hull}
    if answer is not None:
        told = {
            "learned-prd": answer.prediction.src_mask,
            "learned-dst": answer.prediction.dst_mask,
            "XSeg-prd": answer.src_segment,
            "XSeg-dst": answer.dst_segment,
        }
        parts |= {name: lambda m=mask: _resized(np.clip(m, 0, 1), side) for name, mask in told.items()}  # type: ignore[misc]
    fine = _resized(choose_mask(settings.mask_mode, parts, side), squares.fine_side)
    if settings.mode.startswith("raw"):
        return fine
    return shape_fine_mask(fine, settings.erode_mask, settings.blur_mask, exact=True)


def _pasted_face(
    new: NDArray,
    old: NDArray,
    area: NDArray,
    original: NDArray,
    placed: PlacedMask,
    squares: _Squares,
    settings: MergeSettings,
    frame: NDArray,
) -> NDArray:
    """The face in the frame, its colors matched before or its gradients cloned. Source: spec merging 3.6c-g."""
    if not settings.is_seamless:
        new = match_colors(settings.color_transfer, new, old, area)
    if settings.mode == "hist-match":
        inside = area[..., None] if settings.masked_hist_match else np.float32(1)
        white = 1 - inside
        new = match_histograms(np.minimum(new * inside + white, 1), old * inside + white, settings.hist_match_threshold)
    pasted = np.clip(paste_square(new, squares.paste, placed.region), 0.0, 1.0)
    return _clone(pasted, original, placed, frame.shape) if settings.is_seamless else pasted


def _clone(pasted: NDArray, original: NDArray, placed: PlacedMask, frame_shape: tuple[int, ...]) -> NDArray:
    """In whole levels, which what follows may stretch: a last bit may not decide about one. So within the frame this is
    the very function older tools called; where the mask touches the frame's border, where that one moves the face (spec
    merging 8, Q20), Poisson's equation is solved in double precision.
    """
    region, threshold = placed.region, seamless_threshold(placed.weights)
    box = nonzero_box(placed.weights, threshold)
    assert box is not None, "a mask worth pasting has a value above its threshold"
    part, chosen = Region(*box), placed.weights > threshold
    free = FreeSides(
        part.left + region.left == 0,
        part.top + region.top == 0,
        part.right + region.left == frame_shape[1],
        part.bottom + region.top == frame_shape[0],
    )
    patch, target = _levels(pasted), _levels(original)
    if free == HELD:
        center = (part.left + part.size[0] // 2, part.top + part.size[1] // 2)
        return unit_values(cv2.seamlessClone(patch, target, chosen.view(np.uint8) * 255, center, cv2.NORMAL_CLONE))
    exact_patch, exact_target = (part.of(picture).astype(np.float64) for picture in (patch, target))
    cloned = clone_seamlessly(exact_patch, exact_target, part.of(chosen), free)
    part.of(target)[...] = np.clip(cloned, 0, 255) + _HAIR
    return unit_values(target)


def _levels(picture: NDArray) -> NDArray[np.uint8]:
    """[0, 1] -> uint8, cut off."""
    return (picture * 255 + _HAIR).astype(np.uint8)


def _is_worked_over(settings: MergeSettings) -> bool:
    """Whether the face is cut out of the finished frame once more. Source: spec merging 3.7."""
    return (
        (settings.is_seamless and settings.color_transfer != "none")
        or settings.mode == "seamless-hist-match"
        or any(
            (
                settings.motion_blur_power,
                settings.blursharpen_amount,
                settings.image_denoise_power,
                settings.bicubic_degrade_power,
            )
        )
    )


def _work_over(
    picture: NDArray,
    original: NDArray,
    old: NDArray,
    area: NDArray,
    placed: PlacedMask,
    squares: _Squares,
    motion: Motion,
    settings: MergeSettings,
) -> NDArray:
    """Cut out, matched, smeared, sharpened, and put back; the frame around it softened. Source: spec merging 3.7."""
    face = cut_square(picture, squares.cut, placed.region, squares.side)
    if settings.is_seamless:
        face = match_colors(settings.color_transfer, face, old, area)
    if settings.mode == "seamless-hist-match":
        face = match_histograms(face, old, settings.hist_match_threshold)
    steps = int(math.hypot(motion.dx, motion.dy) * settings.motion_blur_power / 100)
    if steps >= 1:
        size = min(max(steps + 1, 2), _MOST_MOTION) * (2 if settings.super_resolution_power else 1)
        kernel = classical_motion_kernel(size, -math.degrees(math.atan2(motion.dy, motion.dx)))
        face = cv2.filter2D(face, -1, kernel)
    face = blur_or_sharpen(face, settings.sharpen_mode, settings.blursharpen_amount)
    if settings.image_denoise_power:
        levels = denoise(np.rint(original * 65535).astype(np.uint16), settings.image_denoise_power)
        original = levels.astype(np.float32) / np.float32(65535)
    if settings.bicubic_degrade_power:
        original = lose_detail(original, settings.bicubic_degrade_power)
    weights = placed.weights[..., None]
    return np.clip(original * (1 - weights) + paste_square(face, squares.cut, placed.region) * weights, 0.0, 1.0)


def _resized(mask: NDArray, side: int) -> NDArray[np.float32]:
    """By corners, cubic, clipped."""
    if len(mask) == side:
        return np.clip(mask, 0.0, 1.0)
    return np.clip(cv2.resize(mask, (side, side), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
