"""Faces that were missed for a few frames: their landmarks are laid between those of the frames around.

A gap is up to LONGEST_GAP frames between two faces of one track (merger/temporal.py), so it lies within a scene. What
is laid into it goes evenly from the one to the other, and is marked: nobody has seen it. Where a face was found and
not chosen there is no gap. Source: spec merging 10.2.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from core.errors import NotAFace
from core.geometry import intersection_over_union
from facelib.alignment import bbox_from_landmarks
from merger.frames import STILL, FrameFace, FrameFaces
from merger.temporal import LONGEST_GAP, link_faces

_SAME_PLACE = 0.3
"""A face whose box covers so much of the expected one is there already."""


def bridge_gaps(frames: Sequence[FrameFaces], scene_starts: Sequence[int] = ()) -> list[FrameFaces]:
    """The frames of a whole shot with a face in every gap.

    Args:
        scene_starts: places of the frames that begin a scene; nothing leads across.
    """
    bridged = [list(frame.faces) for frame in frames]
    for place, face in _missed(frames, scene_starts):
        if not any(_covers(other, face) for other in (*bridged[place], *frames[place].left_out)):
            bridged[place].append(face)
    return [
        frame if len(faces) == len(frame.faces) else dataclasses.replace(frame, faces=tuple(faces))
        for frame, faces in zip(frames, bridged, strict=True)
    ]


def _missed(frames: Sequence[FrameFaces], scene_starts: Sequence[int]) -> Iterator[tuple[int, FrameFace]]:
    for track in link_faces(frames, scene_starts):
        for (first, before), (last, after) in pairwise(track):
            assert last - first <= LONGEST_GAP + 1, "tracks end in longer gaps"
            for place in range(first + 1, last):
                part = (place - first) / (last - first)
                yield place, _between(frames[first].faces[before], frames[last].faces[after], part)


def _between(one: FrameFace, other: FrameFace, part: float) -> FrameFace:
    start, end = (np.asarray(face.landmarks, np.float64) for face in (one, other))
    return dataclasses.replace(
        one,
        landmarks=np.asarray(start + part * (end - start), np.float32),
        brow_lift=one.brow_lift + part * (other.brow_lift - one.brow_lift),
        name="",
        motion=STILL,
        confidence=None,
        is_bridged=True,
    )


def _covers(face: FrameFace, expected: FrameFace) -> bool:
    with contextlib.suppress(NotAFace):
        boxes = (bbox_from_landmarks(one.landmarks) for one in (face, expected))
        return bool(intersection_over_union(*boxes) > _SAME_PLACE)
    return False
