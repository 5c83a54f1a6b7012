"""Stored faces in another size or type: the picture, and everything in its record that counts in pixels.

Whatever a step does to the picture, one matrix says it: `face_to_new`, pixels of the stored face to pixels of the new
one. Landmarks, polygons, the transform from the frame and the applied mask follow it, so they stay where they belong to
the pixel. Shrinking is anti-aliased, and a mask keeps its own resolution (spec steps-and-cli 7.7).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile
from core.geometry import compose_affine, invert_affine, transform_points, warp
from core.images import decode_png_mask, encode_png, to_uint8
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata
from samplelib.sample import resize_matrix

_LARGEST_MASK_SIDE = 4096
_LOOK_SIDE = 64
_MOST_DIFFERENCE = 24.0
"""Gray levels by which a face and its place in the frame differ on average when the frame is another one. A face stored
at JPEG quality 10 differs by about 5, the next shot of a film by 40 and more."""


def resized_metadata(metadata: FaceMetadata, side: int, new_side: int) -> FaceMetadata:
    """The record of a face whose square picture was resized from `side` to `new_side` pixels; the mask stays as it is,
    for its own size never was the picture's."""
    if side == new_side:
        return metadata
    return _moved(metadata, resize_matrix(side, new_side), metadata.face_type, metadata.xseg_mask)


def resize_face(
    image: NDArray, metadata: FaceMetadata, new_side: int, face_type: FaceType
) -> tuple[NDArray, FaceMetadata]:
    """A stored face in another size and perhaps type, from its own picture.

    Args:
        image: (S, S, 3) BGR uint8.

    Returns:
        (new_side, new_side, 3) uint8 and the record. Where a wider type asks for what is outside the old picture, it
        is black: `face_from_frame` has the whole frame.
    """
    side = image.shape[0]
    if face_type is metadata.face_type:
        if side == new_side:
            return image, metadata
        matrix = resize_matrix(side, new_side)
        return warp(image, matrix, new_side, "area-cubic", "replicate"), resized_metadata(metadata, side, new_side)
    matrix = frame_to_face(metadata.landmarks, face_type, new_side)
    mask = _moved_mask(metadata, side, matrix, new_side, face_type)
    return warp(image, matrix, new_side, "area-cubic"), _moved(metadata, matrix, face_type, mask)


def face_from_frame(
    frame: NDArray, metadata: FaceMetadata, side: int, new_side: int, face_type: FaceType
) -> tuple[NDArray, FaceMetadata]:
    """The face cut out of its frame anew: nothing is resampled twice, and a wider type shows what is really there.

    Args:
        frame: (H, W, 3) BGR uint8 or uint16.
        side: of the stored picture, to which the record belongs, pixels.
    """
    to_new = frame_to_face(metadata.frame_landmarks, face_type, new_side)
    face_to_new = compose_affine(invert_affine(metadata.frame_to_face), to_new)
    mask = metadata.xseg_mask
    if face_type is not metadata.face_type:
        mask = _moved_mask(metadata, side, face_to_new, new_side, face_type)
    moved = _moved(metadata, face_to_new, face_type, mask)
    landmarks = transform_points(metadata.frame_landmarks, to_new)
    picture = to_uint8(warp(frame, to_new, new_side, "area-cubic"))
    return picture, dataclasses.replace(moved, landmarks=landmarks, frame_to_face=to_new)


def require_same_picture(frame: NDArray, image: NDArray, metadata: FaceMetadata, path: Path) -> None:
    """Makes sure that a frame is the one a face was cut out of: frames may have been extracted anew since.

    Args:
        image: (S, S, 3) uint8, the stored face.
        path: of the frame, for the error.

    Raises:
        BrokenFile: the frame shows something else in that place.
    """
    to_look = resize_matrix(image.shape[0], _LOOK_SIDE)
    stored = warp(image, to_look, _LOOK_SIDE, "area-cubic", "replicate")
    there = to_uint8(warp(frame, compose_affine(metadata.frame_to_face, to_look), _LOOK_SIDE, "area-cubic"))
    if np.abs(stored.astype(np.float32) - there).mean() > _MOST_DIFFERENCE:
        raise BrokenFile(path, "this frame does not show the face that was cut out of it.")


def _moved(metadata: FaceMetadata, matrix: NDArray, face_type: FaceType, mask: bytes | None) -> FaceMetadata:
    return dataclasses.replace(
        metadata,
        face_type=face_type,
        landmarks=transform_points(metadata.landmarks, matrix),
        polygons=tuple(
            dataclasses.replace(polygon, points=transform_points(polygon.points, matrix))
            for polygon in metadata.polygons
        ),
        frame_to_face=compose_affine(metadata.frame_to_face, matrix),
        xseg_mask=mask,
    )


def _moved_mask(
    metadata: FaceMetadata, side: int, face_to_new: NDArray, new_side: int, face_type: FaceType
) -> bytes | None:
    """The applied mask for the new crop, with as many pixels per piece of face as it had."""
    if metadata.xseg_mask is None:
        return None
    mask = to_uint8(decode_png_mask(metadata.xseg_mask, Path(metadata.frame_name)))
    height, width = mask.shape
    wanted = round(max(height, width) * face_type.unit_sides / metadata.face_type.unit_sides)
    mask_side = min(max(wanted, 1), _LARGEST_MASK_SIDE)
    across, down = resize_matrix(width, side)[0], resize_matrix(height, side)[1]  # a mask need not be square
    mask_to_new = compose_affine(np.stack([across, down]), face_to_new)
    mask_to_mask = compose_affine(mask_to_new, resize_matrix(new_side, mask_side))
    return encode_png(warp(mask, mask_to_mask, mask_side, "linear"), compression=9)
