"""How faces move: acceptance test 11.4."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from merger.frames import STILL, FrameFace, FrameFaces, Motion
from merger.motion import with_classical_motion, with_motion
from tests.merger.scenes import painted_landmarks


def shot(*centers: tuple[float, float] | list[tuple[float, float]] | None) -> list[FrameFaces]:
    """Frames whose faces, 50 wide, have these centers; None: no face."""
    frames = []
    for number, found in enumerate(centers):
        places = [] if found is None else found if isinstance(found, list) else [found]
        faces = tuple(FrameFace(painted_landmarks(center, 50)) for center in places)
        frames.append(FrameFaces(Path(f"{number}.png"), faces))
    return frames


def motions(frames: list[FrameFaces]) -> list[list[Motion]]:
    return [[face.motion for face in frame.faces] for frame in frames]


def near(motion: Motion, dx: float, dy: float, frames: int) -> bool:
    return motion.frames == frames and (motion.dx, motion.dy) == pytest.approx((dx, dy), abs=1e-3)


def test_from_the_frame_before_to_the_frame_after() -> None:
    first, second, third = (found[0] for found in motions(with_motion(shot((50, 50), (53.5, 48), (60, 50.25)))))
    assert near(first, 3.5, -2, 1)
    assert near(second, 10, 0.25, 2)
    assert near(third, 6.5, 2.25, 1)
    assert second.per_frame(0.5) == pytest.approx((2.5, 0.0625), abs=1e-3)


def test_no_motion_at_gaps() -> None:
    moved = motions(with_motion(shot((50, 50), None, (60, 50), (61, 50), (62, 50))))
    assert moved[0] == [STILL]
    assert moved[2] == [STILL]
    assert near(moved[3][0], 2, 0, 2)


def test_no_motion_across_a_cut() -> None:
    """A face that jumps by more than half its width was cut to; so was one in a scene that is known to begin."""
    moved = motions(with_motion(shot((50, 50), (52, 50), (200, 50), (203, 50))))
    assert [found[0] for found in moved[1:3]] == [STILL, STILL]
    moved = motions(with_motion(shot((50, 50), (52, 50), (55, 50), (59, 50)), scene_starts={2}))
    assert near(moved[1][0], 2, 0, 1)
    assert near(moved[2][0], 4, 0, 1)


def test_several_faces_move_apart() -> None:
    moved = motions(with_motion(shot([(50, 50), (150, 50)], [(148, 50), (53, 50)], [(56, 50), (146, 50)])))
    assert near(moved[1][0], -4, 0, 2)
    assert near(moved[1][1], 6, 0, 2)


def test_one_frame_and_none() -> None:
    assert motions(with_motion(shot((50, 50)))) == [[STILL]]
    assert with_motion([]) == with_classical_motion([]) == []


def test_classically_centers_are_whole_pixels() -> None:
    """Source: spec merging 1.4: the point (127, 127) of the FULL square of 256, rounded in each frame."""
    frames = shot((50.3, 50), (53.4, 48.6), (60.2, 50.9), (300, 50))
    rounded = []
    for frame in frames:
        matrix = frame_to_face(frame.faces[0].landmarks, FaceType.FULL, 256)
        back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
        rounded.append(np.rint((back @ (127, 127, 1))[:2]))
    for number, found in enumerate(motions(with_classical_motion(frames))):
        expected = rounded[min(number + 1, 3)] - rounded[max(number - 1, 0)]
        assert (found[0].dx, found[0].dy) == tuple(expected)  # across the cut, too


def test_classically_two_faces_anywhere_stop_all_motion() -> None:
    frames = shot((50, 50), (55, 50), [(60, 50), (150, 50)])
    assert all(m == STILL for found in motions(with_classical_motion(frames)) for m in found)
    moved = motions(with_classical_motion(shot((50, 50), None, (60, 50))))
    assert [found[0] for found in (moved[0], moved[2])] == [STILL, STILL]


def test_landmarks_that_are_no_faces_do_not_move_and_stop_nobody() -> None:
    """Such a frame is told of when it is merged; motion blur must not end the merge before."""
    frames = shot((50, 50), (52, 50), (54, 50), (56, 50), (58, 50))
    line = np.tile(np.arange(68, dtype=np.float32)[:, None], 2)
    frames[1] = FrameFaces(frames[1].path, (FrameFace(line),))
    for moved in (motions(with_motion(frames)), motions(with_classical_motion(frames))):
        assert [found[0] for found in moved[:3]] == [STILL] * 3
        assert moved[3][0].dx == pytest.approx(4, abs=1e-3)


def test_faces_move_along_the_tracks_that_steady_them_too() -> None:
    """Two people who are known by number are never taken for one, however near they come."""
    frames = shot((50, 50), (54, 50), (58, 50), (62, 50))
    frames = [
        FrameFaces(frame.path, tuple(dataclasses.replace(face, track=1 + number // 2) for face in frame.faces))
        for number, frame in enumerate(frames)
    ]
    moved = motions(with_motion(frames))
    assert near(moved[0][0], 4, 0, 1)
    assert moved[1:3] == [[STILL], [STILL]]


def test_motion_that_was_found_before_counts_for_nothing() -> None:
    once = with_motion(shot((50, 50), (52, 50), (55, 50), (59, 50)))
    assert motions(with_motion(once, [1, 2, 3])) == [[STILL]] * 4
