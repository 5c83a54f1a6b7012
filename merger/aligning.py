"""Cutting faces out of a frame, for the networks to look at, and the picture that will be put back.

The model always sees the cut at its own resolution, whatever is done to its answer. Beyond the frame its edge pixels go
on, so that no network sees a black border. Source: spec merging 3.2, 3.3; 8, Q10, Q15, Q18.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.geometry import compose_affine, invert_affine, transform_points, warp
from core.images import to_float
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from merger import classical_warp
from merger.compositing import Region
from merger.face_tools import ENHANCER_SCALE, SEGMENT_SIDE, FaceAnswer, FaceQuestion
from merger.frames import FrameFace
from merger.settings import MergeSettings

_NO_REGION = Region(0, 0, 0, 0)


@dataclass(frozen=True)
class AlignedFace:
    """A face cut out of its frame for the networks.

    Attributes:
        source: the face as the frame's records know it.
        pixels: (R, R, 3) float32 BGR in [0, 1].
        frame_to_face: (2, 3), frame pixels to R pixels, as the face was cut.
        is_inside: (R, R) bool, which pixels lie in the frame; None: all.
        around: (256, 256, 3) float32, the face as XSeg sees it; None: it is not asked.
        face_to_segment: (2, 3), R pixels to the pixels of `around`.
    """

    source: FrameFace
    pixels: NDArray
    frame_to_face: NDArray
    is_inside: NDArray | None
    around: NDArray | None
    face_to_segment: NDArray

    @property
    def side(self) -> int:
        """R."""
        return self.pixels.shape[0]

    @property
    def question(self) -> FaceQuestion:
        """What the networks are shown."""
        return FaceQuestion(self.pixels, self.around, self.face_to_segment, self.source.settings)


def align_faces(
    frame: NDArray,
    faces: Sequence[FrameFace],
    resolution: int,
    face_type: FaceType,
    settings: MergeSettings,
    segment_face_type: FaceType | None = None,
) -> list[AlignedFace]:
    """Cuts out every face of which the frame shows something; faces wholly outside it are passed over.

    Args:
        frame: (H, W, 3) BGR uint8 or uint16.
        resolution, face_type: of the model.
        segment_face_type: of the XSeg model; None: as the model's.
    """
    segmented = face_type if segment_face_type is None or settings.is_classical else segment_face_type
    aligned = []
    for face in faces:
        matrix = frame_to_face(face.landmarks, face_type, resolution)
        if region_around(matrix, resolution, frame.shape).is_empty:
            continue
        to_segment = frame_to_face(face.landmarks, segmented, SEGMENT_SIDE)
        cut = _cut_classically if settings.is_classical else cut_square
        own = face.settings or (settings,)
        scale = ENHANCER_SCALE if settings.is_classical and own[0].super_resolution_power else 1
        pixels = np.clip(cut(frame, _scaled(matrix, scale), scale * resolution), 0.0, 1.0)
        if scale > 1:  # classically the finer cut is reduced for the model
            pixels = cv2.resize(pixels, (resolution, resolution), interpolation=cv2.INTER_LINEAR)
        around = None
        if any(one.segments_old_face or one.segments_new_face for one in own):
            around = cut(frame, to_segment, SEGMENT_SIDE)
            around = around if settings.is_classical else np.clip(around, 0.0, 1.0)
        is_inside = pixels_inside(matrix, resolution, frame.shape)
        face_to_segment = compose_affine(invert_affine(matrix), to_segment)
        aligned.append(AlignedFace(face, pixels, matrix, is_inside, around, face_to_segment))
    return aligned


def cut_square(frame: NDArray, frame_to_square: NDArray, side: int) -> NDArray[np.float32]:
    """A square of the frame, (side, side, 3) float32, about [0, 1]; beyond the frame its edge pixels go on."""
    part = region_around(frame_to_square, side, frame.shape)
    if part.is_empty:  # of a face at the border the wider square of another kind still shows something
        part = Region(0, 0, frame.shape[1], frame.shape[0])
    to_square = compose_affine(np.array([[1.0, 0, part.left], [0, 1.0, part.top]]), frame_to_square)
    return warp(to_float(part.of(frame)), to_square, side, "cubic", "replicate")


def seen_in_frame(frame: NDArray, picture: NDArray, region: Region, face: AlignedFace) -> NDArray[np.float32]:
    """A face as it would be cut if `picture`, (h, w, 3) float32 over `region`, were in the frame: (R, R, 3)."""
    whole = region_around(face.frame_to_face, face.side, frame.shape).joined(region)
    pixels = to_float(whole.of(frame))
    region.within(whole).of(pixels)[...] = picture
    to_square = compose_affine(np.array([[1.0, 0, whole.left], [0, 1.0, whole.top]]), face.frame_to_face)
    return np.clip(warp(pixels, to_square, face.side, "cubic", "replicate"), 0.0, 1.0)


def _cut_classically(frame: NDArray, frame_to_square: NDArray, side: int) -> NDArray[np.float32]:
    """The same with a bare cubic kernel, and black beyond the frame."""
    part = region_around(frame_to_square, side, frame.shape)
    return classical_warp.cut_square(classical_warp.unit_values(part.of(frame)), frame_to_square, part, side)


def _scaled(matrix: NDArray, scale: int) -> NDArray[np.float64]:
    """The same square with `scale` times as many pixels along each side: corners stay, so pixel 0 lies on pixel 0."""
    return scale * np.asarray(matrix, np.float64)


@dataclass(frozen=True)
class FaceLayer:
    """The new face as it will be pasted.

    Attributes:
        pixels: (S, S, 3) float32 BGR in [0, 1]; S is R, or 4R with super resolution.
        face_to_layer: (2, 3), R pixels to S pixels.
    """

    pixels: NDArray
    face_to_layer: NDArray

    def at_model_resolution(self, side: int) -> NDArray[np.float32]:
        """(R, R, 3), for measuring."""
        if len(self.pixels) == side:
            return self.pixels
        return warp(self.pixels, invert_affine(self.face_to_layer), side, "area-cubic", "replicate")


def face_layer(answer: FaceAnswer, settings: MergeSettings) -> FaceLayer:
    """The predicted face; with super resolution enlarged, and as much of the enhancer's detail in it as set."""
    face = np.clip(answer.prediction.face, 0.0, 1.0)
    if answer.enhanced is None:
        return FaceLayer(face, np.eye(2, 3))
    face_to_layer = _scaled(np.eye(2, 3), ENHANCER_SCALE)
    plain = warp(face, face_to_layer, len(answer.enhanced), "linear", "replicate")
    share = settings.super_resolution_power / 100
    pixels = cv2.addWeighted(plain, 1 - share, answer.enhanced.astype(np.float32), share, 0.0)
    return FaceLayer(np.clip(pixels, 0.0, 1.0, out=pixels), face_to_layer)


def region_around(frame_to_square: NDArray, side: int, frame_shape: tuple[int, ...]) -> Region:
    """The part of the frame the aligned square needs: its bounding box and the reach of resampling; may be empty."""
    height, width = frame_shape[:2]
    square = np.array([[-0.5, -0.5], [side - 0.5, -0.5], [side - 0.5, side - 0.5], [-0.5, side - 0.5]])
    corners = transform_points(square, invert_affine(frame_to_square))
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int) + 1
    if high[0] <= 0 or high[1] <= 0 or low[0] >= width or low[1] >= height:
        return _NO_REGION
    reach = 6 + int(4 / np.hypot(*frame_to_square[:, 0]))  # cubic kernel; smoothing before shrinking
    left, top = np.maximum(low - reach, 0)
    right, bottom = np.minimum(high + reach, (width, height))
    return Region(int(left), int(top), int(right), int(bottom))


def pixels_inside(matrix: NDArray, side: int, frame_shape: tuple[int, ...]) -> NDArray | None:
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
