"""Who is who in a merge: recorded tracks, and tracks found by place, shape and looks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption
from core.progress import SilentProgress
from mainscripts.merge_faces import choose_faces, with_tracks
from merger.face_choice import FaceChoice
from merger.frames import FrameFace, FrameFaces
from tests.merger.scenes import painted_landmarks


class Listener(SilentProgress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def say(self, text: str) -> None:
        self.words.append(text)


def shot(*, recorded: bool = False, both: bool = True) -> list[FrameFaces]:
    """One person walks to the right, one to the left, above; in the files they change places from frame to frame."""
    frames = []
    for number in range(8):
        right = FrameFace(painted_landmarks((40 + 4 * number, 150), 40), name=f"right {number}")
        left = FrameFace(painted_landmarks((160 - 4 * number, 60), 50), name=f"left {number}")
        if recorded:
            right, left = dataclasses.replace(right, track=5), dataclasses.replace(left, track=3)
        pair = (right, left) if number % 2 else (left, right)
        frames.append(FrameFaces(Path(f"{number:05d}.png"), pair if both else (right,)))
    return frames


def names(frames: list[FrameFaces]) -> set[str]:
    return {face.name.split()[0] for frame in frames for face in frame.faces}


def test_faces_without_tracks_are_followed() -> None:
    frames = with_tracks(shot(), [], Listener())
    tracks = {face.name.split()[0]: set[int]() for frame in frames for face in frame.faces}
    for frame in frames:
        for face in frame.faces:
            tracks[face.name.split()[0]].add(face.track)
    assert tracks == {"left": {1}, "right": {2}}


def test_recorded_tracks_stay() -> None:
    given = shot(recorded=True)
    assert with_tracks(given, [], Listener()) == given


def test_one_of_several_is_chosen_and_the_tracks_are_told() -> None:
    listener = Listener()
    frames = choose_faces(shot(), [], FaceChoice.parse("2"), listener)
    assert names(frames) == {"right"}
    assert all(len(frame.faces) == 1 for frame in frames)
    assert listener.words[0].strip().startswith("Track 1: 00000 to 00007, 8 frames")
    assert listener.words[-1] == "Left as filmed (--faces 2): 8 faces."
    with pytest.raises(BadOption, match="There is no track 3"):
        choose_faces(shot(), [], FaceChoice.parse("3"), listener)


def test_where_every_frame_shows_one_face_nothing_is_told() -> None:
    listener = Listener()
    given = shot(both=False)
    assert choose_faces(given, [], FaceChoice.parse("all"), listener) == given
    largest = choose_faces(given, [], FaceChoice.parse("largest"), listener)
    assert [frame.faces for frame in largest] == [frame.faces for frame in given]
    assert listener.words == []


def test_a_face_that_is_none_has_no_track() -> None:
    frames = shot()
    frames[2] = dataclasses.replace(frames[2], faces=(FrameFace(np.zeros((68, 2), np.float32)), *frames[2].faces))
    tracked = with_tracks(frames, [], Listener())
    assert tracked[2].faces[0].track == 0
    assert {face.track for frame in tracked for face in frame.faces} == {0, 1, 2}
