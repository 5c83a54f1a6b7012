"""How faces move from frame to frame, for motion blur.

The center of a face is followed along its track (merger/temporal.py) from the frame before to the frame after. Where
one of them does not show the face, or shows it far away (a cut, or somebody else), there is no motion. Source: spec
merging 1.4; 8, Q6.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace
from core.geometry import invert_affine, transform_points
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from merger.frames import STILL, FrameFace, FrameFaces, Motion
from merger.temporal import link_faces

_SIDE = 256


def with_motion(frames: Sequence[FrameFaces], scene_starts: Collection[int] = ()) -> list[FrameFaces]:
    """The frames with every face's motion entered: from the frame before to the frame after, as far as its track goes.
    None where the frame before or after is there, but does not show the face: nobody knows how it came or went.

    Args:
        frames: of the whole shot, in order.
        scene_starts: places of frames that begin a scene, where those are known; no motion reaches across.
    """
    starts = {0, *scene_starts, len(frames)}
    moving = [[dataclasses.replace(face, motion=STILL) for face in frame.faces] for frame in frames]
    for track in link_faces(frames, scene_starts):
        centers = {number: _center(frames[number].faces[place]) for number, place in track}
        for number, place in track:
            before = number if number in starts else number - 1
            after = number if number + 1 in starts else number + 1
            if before < after and before in centers and after in centers:
                (x, y), (dx, dy) = centers[before], centers[after]
                motion = Motion(dx - x, dy - y, after - before)
                moving[number][place] = dataclasses.replace(moving[number][place], motion=motion)
    return [dataclasses.replace(frame, faces=tuple(faces)) for frame, faces in zip(frames, moving, strict=True)]


def _center(face: FrameFace) -> tuple[float, float]:
    """Center (x, y) of the FULL square, frame pixels."""
    matrix = frame_to_face(face.landmarks, FaceType.FULL, _SIDE)
    x, y = transform_points(np.array([_SIDE / 2, _SIDE / 2]), invert_affine(matrix))
    return float(x), float(y)


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
