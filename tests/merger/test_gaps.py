"""Faces laid into gaps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from merger.face_choice import FaceChoice
from merger.frames import FrameFace, FrameFaces, Motion
from merger.gaps import bridge_gaps
from merger.settings import MergeSettings
from tests.merger.scenes import painted_landmarks
from tests.merger.shots import film


def moving(missing: tuple[int, ...], frames: int = 10) -> list[FrameFaces]:
    return film(frames, path=lambda n: (80 + 3 * n, 60 - n), missing=missing, angle=lambda n: 0.02 * n)


def bridged(frames: list[FrameFaces]) -> dict[int, int]:
    """Place of a frame -> how many faces were laid into it."""
    found = {number: sum(face.is_bridged for face in frame.faces) for number, frame in enumerate(frames)}
    return {number: count for number, count in found.items() if count}


def test_landmarks_go_evenly_from_before_to_after() -> None:
    frames = moving((4, 5, 6))
    filled = bridge_gaps(frames)
    assert bridged(filled) == {4: 1, 5: 1, 6: 1}
    before, after = (frames[number].faces[0].landmarks.astype(float) for number in (3, 7))
    for number in (4, 5, 6):
        expected = before + (number - 3) / 4 * (after - before)
        assert np.abs(filled[number].faces[0].landmarks - expected).max() < 1e-4
        truth = moving(())[number].faces[0].landmarks
        assert np.abs(filled[number].faces[0].landmarks - truth).max() < 0.1
    assert filled[5].faces[0].landmarks.dtype == np.float32
    for number in (0, 3, 7, 9):  # what was found stays, to the object
        assert filled[number] is frames[number]


@pytest.mark.parametrize(("missing", "count"), [((5,), 1), (tuple(range(3, 8)), 5), (tuple(range(3, 9)), 0)])
def test_gaps_of_up_to_five_frames_are_bridged(missing: tuple[int, ...], count: int) -> None:
    assert sum(bridged(bridge_gaps(moving(missing, 12))).values()) == count


def test_the_ends_of_a_shot_are_no_gaps() -> None:
    assert bridged(bridge_gaps(moving((0, 1, 8, 9)))) == {}
    assert bridge_gaps([]) == []


def test_nothing_is_laid_across_a_cut() -> None:
    frames = moving((4, 5))
    assert set(bridged(bridge_gaps(frames))) == {4, 5}
    for cut in (4, 5, 6):
        assert bridged(bridge_gaps(frames, [cut])) == {}
    assert set(bridged(bridge_gaps(frames, [3, 7]))) == {4, 5}


def test_nobody_becomes_somebody_else() -> None:
    """The face before the gap and the face behind it are two people's; or they are far apart."""
    frames = moving((5,))
    people = [
        dataclasses.replace(frame, faces=tuple(dataclasses.replace(f, track=1 + (n > 5)) for f in frame.faces))
        for n, frame in enumerate(frames)
    ]
    assert bridged(bridge_gaps(people)) == {}
    apart = film(10, path=lambda n: (80.0 + 150 * (n > 5), 60), missing=(5,))
    assert bridged(bridge_gaps(apart)) == {}


def test_the_other_face_of_a_frame_is_no_reason_not_to() -> None:
    frames = moving((4, 5))
    other = FrameFace(painted_landmarks((250, 150), 60), track=7)
    frames = [
        dataclasses.replace(f, faces=(other, *(dataclasses.replace(one, track=3) for one in f.faces))) for f in frames
    ]
    filled = bridge_gaps(frames)
    assert [[face.track for face in filled[number].faces] for number in (4, 5)] == [[7, 3], [7, 3]]


def test_a_face_that_is_there_but_was_not_followed_is_not_doubled() -> None:
    frames = moving((5,))
    there = dataclasses.replace(moving(())[5].faces[0], track=9)
    frames[5] = FrameFaces(frames[5].path, (there,))
    frames = [
        frame
        if n == 5
        else dataclasses.replace(frame, faces=tuple(dataclasses.replace(f, track=1) for f in frame.faces))
        for n, frame in enumerate(frames)
    ]
    assert bridge_gaps(frames)[5].faces == (there,)


def test_what_is_laid_in_has_the_settings_of_its_track_and_nothing_that_was_measured() -> None:
    own = MergeSettings(erode_mask=5)
    face = FrameFace(painted_landmarks((80, 60), 60), 1.0, "a.jpg", Motion(3, 4), 0.9, 2, (own,))
    after = dataclasses.replace(face, brow_lift=2.0)
    frames = [FrameFaces(Path(f"{n}.png"), faces) for n, faces in enumerate([(face,), (), (after,)])]
    (made,) = bridge_gaps(frames)[1].faces
    assert (made.track, made.settings, made.brow_lift, made.is_bridged) == (2, (own,), 1.5, True)
    assert (made.name, made.confidence, made.motion) == ("", None, Motion())


def test_landmarks_that_are_no_face_are_no_face_there() -> None:
    frames = moving((5,))
    line = FrameFace(np.tile(np.arange(68, dtype=np.float32)[:, None], 2))
    frames[5] = FrameFaces(frames[5].path, (line,))
    assert bridged(bridge_gaps(frames)) == {5: 1}


def test_a_face_that_was_found_and_not_chosen_is_not_missed() -> None:
    """The largest face of each frame is swapped, and for two frames that is another one."""
    frames = moving((), 10)
    for number in (4, 5):
        closer = FrameFace(painted_landmarks((200, 60), 90))
        frames[number] = dataclasses.replace(frames[number], faces=(*frames[number].faces, closer))
    chosen = FaceChoice.parse("largest").of(frames)
    assert [len(frame.left_out) for frame in chosen] == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert bridged(bridge_gaps(chosen)) == {}
