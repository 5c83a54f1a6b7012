"""How faces move from frame to frame, for motion blur.

The center of a face is followed from the frame before to the frame after. Where one of them does not show the face, or
shows it far away (a cut, or somebody else), there is no motion. Source: spec merging 1.4; 8, Q6.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace
from core.geometry import invert_affine, transform_points
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from merger.frames import STILL, FrameFace, FrameFaces, Motion

FARTHEST_STEP = 0.5
"""A face that moves by more than this part of its width in one frame was cut to."""

_SIDE = 256

_Center = tuple[float, float, float]


def with_motion(frames: Sequence[FrameFaces], scene_starts: Container[int] = ()) -> list[FrameFaces]:
    """The frames with every face's motion entered.

    Args:
        frames: of the whole shot, in order.
        scene_starts: numbers of frames that begin a scene, where those are known; no motion reaches across.
    """
    centers = [[_center_if_any(face) for face in frame.faces] for frame in frames]
    moved = []
    for number, frame in enumerate(frames):
        before = number if number == 0 or number in scene_starts else number - 1
        last = number + 1 == len(frames) or number + 1 in scene_starts
        after = number if last else number + 1
        faces = []
        for face, here in zip(frame.faces, centers[number], strict=True):
            came = here if before == number or here is None else _follow(here, centers[before])
            went = here if after == number or here is None else _follow(here, centers[after])
            motion = STILL
            if came is not None and went is not None and after > before:
                motion = Motion(went[0] - came[0], went[1] - came[1], after - before)
            faces.append(dataclasses.replace(face, motion=motion))
        moved.append(dataclasses.replace(frame, faces=tuple(faces)))
    return moved


def _center(face: FrameFace) -> _Center:
    """Center (x, y) of the FULL square and its side, in frame pixels."""
    matrix = frame_to_face(face.landmarks, FaceType.FULL, _SIDE)
    x, y = transform_points(np.array([_SIDE / 2, _SIDE / 2]), invert_affine(matrix))
    return float(x), float(y), _SIDE / math.hypot(*matrix[:, 0])


def _center_if_any(face: FrameFace) -> _Center | None:
    """None where the landmarks are no face's; its frame will be told of when it is merged."""
    try:
        return _center(face)
    except NotAFace:
        return None


def _follow(here: _Center, there: Sequence[_Center | None]) -> _Center | None:
    """The same face in a neighboring frame: the nearest, if it is near enough."""
    known = [other for other in there if other is not None]
    if not known:
        return None
    nearest = min(known, key=lambda other: math.dist(here[:2], other[:2]))
    return nearest if math.dist(here[:2], nearest[:2]) <= FARTHEST_STEP * max(here[2], nearest[2]) else None


def with_classical_motion(frames: Sequence[FrameFaces]) -> list[FrameFaces]:
    """As older tools did it: centers in whole pixels, across cuts too, and nowhere if any frame has two faces."""
    if any(len(frame.faces) > 1 for frame in frames):
        return list(frames)
    centers = [_classical_center(frame.faces[0].landmarks) if frame.faces else None for frame in frames]
    moved = []
    for number, frame in enumerate(frames):
        before, after = centers[max(0, number - 1)], centers[min(number + 1, len(frames) - 1)]
        if centers[number] is None or before is None or after is None:
            moved.append(frame)
            continue
        motion = Motion(float(after[0] - before[0]), float(after[1] - before[1]))
        moved.append(dataclasses.replace(frame, faces=(dataclasses.replace(frame.faces[0], motion=motion),)))
    return moved


def _classical_center(landmarks: NDArray) -> NDArray[np.int64] | None:
    try:
        to_frame = invert_affine(frame_to_face(landmarks, FaceType.FULL, _SIDE))
    except NotAFace:
        return None
    return np.rint(transform_points(np.array([_SIDE / 2 - 1, _SIDE / 2 - 1]), to_frame)).astype(np.int64)
