"""Where the scenes of a shot begin: at cuts between pictures, and where the faces are somewhere else all at once.

Nothing that looks at neighboring frames reaches across: neither settings between keys, nor what steadies faces. Source:
spec merging 10.3.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace
from core.shots import find_shots
from facelib.alignment import bbox_from_landmarks
from merger.frames import FrameFaces

_JUMP = 0.5
"""In widths of the face: as far no face moves from one frame to the next."""


def find_cuts(
    frames: Sequence[FrameFaces], glances: Sequence[NDArray | None], sizes: Sequence[tuple[int, int] | None]
) -> list[int]:
    """The first frames of all scenes but the first.

    Args:
        glances, sizes: of each frame (core/shots.py); None where it could not be read.
    """
    shots = find_shots([frame.path.name for frame in frames], glances, sizes).shots
    places = [_places(frame) for frame in frames]
    return [n for n in range(1, len(frames)) if shots[n] != shots[n - 1] or _jumps(places, n)]


def _places(frame: FrameFaces) -> NDArray[np.float64]:
    """Centers and widths of the faces, (N, 3); landmarks that are no face's have none."""
    found = []
    for face in frame.faces:
        with contextlib.suppress(NotAFace):
            found.append(bbox_from_landmarks(face.landmarks))
    boxes = np.array(found, np.float64).reshape(-1, 4)
    return np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2, boxes[:, 2] - boxes[:, 0]], 1)


def _jumps(places: Sequence[NDArray], frame: int) -> bool:
    """Whether every face is far from all those of the frame before, and stays away from there."""
    if not _are_apart(places[frame - 1], places[frame]):
        return False
    # A face that was found in a wrong place for one frame is no cut.
    back = places[frame + 1] if frame + 1 < len(places) else places[frame]
    before = places[frame - 2] if frame >= 2 else places[frame - 1]
    return not _are_close(places[frame - 1], back) and not _are_close(before, places[frame])


def _are_apart(before: NDArray, after: NDArray) -> bool:
    return len(before) > 0 and len(after) > 0 and not _are_close(before, after)


def _are_close(before: NDArray, after: NDArray) -> bool:
    """Whether any face of the one frame is near one of the other."""
    if not len(before) or not len(after):
        return False
    distances = np.linalg.norm(before[:, None, :2] - after[None, :, :2], axis=2)
    widths = (before[:, None, 2] + after[None, :, 2]) / 2
    return bool((distances <= _JUMP * widths).any())
