"""Frames that stay where they were measured: which, with whom, and how many."""

from __future__ import annotations

import numpy as np

from facelib.prediction import Prediction
from merger.face_tools import FaceAnswer
from merger.kept_frames import KeptFrames, bytes_of, copy_of
from tests.merger.scenes import painted_landmarks

R = 8


def test_only_what_is_expected_is_kept_and_only_until_it_is_over() -> None:
    kept = KeptFrames()
    kept.expect(["a", "b"])
    assert kept.keep("a", "first", 100)
    assert not kept.keep("c", "first", 100)
    assert [kept.keeper(stem) for stem in "abc"] == ["first", None, None]
    kept.release("a")
    assert kept.keeper("a") is None
    assert not kept.keep("a", "first", 100)  # it will not be asked for again


def test_never_more_than_there_is_room_for_and_the_room_is_given_back() -> None:
    kept = KeptFrames(300)
    kept.expect("abcd")
    assert kept.keep("a", "first", 200)
    assert not kept.keep("a", "second", 100)  # somebody has it
    assert not kept.keep("b", "second", 200)  # too much
    assert kept.keep("c", "second", 100)
    assert not kept.keep("d", "first", 1)
    kept.release("a")
    assert kept.keep("b", "second", 200)
    assert not kept.keep("d", "first", 1)
    kept.lose("second")  # with b and c
    assert [kept.keeper(stem) for stem in "bc"] == [None, None]
    assert kept.keep("b", "first", 300)


def test_how_many_there_is_room_for() -> None:
    kept = KeptFrames(1000)
    assert kept.room is None
    kept.expect("ab")
    for stem, size in (("a", 90), ("b", 300), ("c", 80)):
        kept.keep(stem, "first", size)
    assert kept.room == 3


def test_what_is_kept_does_not_change_with_its_source() -> None:
    """A model may hand out views of an array that it uses again."""
    batch = np.full((2, R, R), 0.25, np.float32)
    said = FaceAnswer(Prediction(np.dstack([batch[0]] * 3), batch[0], batch[1]), dst_segment=batch[1])
    mine = copy_of(said)
    batch[...] = 9
    assert mine.prediction.src_mask.max() == mine.prediction.dst_mask.max() == 0.25
    assert mine.dst_segment is not None
    assert mine.dst_segment.max() == 0.25
    assert mine.src_segment is None
    assert mine.enhanced is None


def test_the_size_of_a_record_is_that_of_its_arrays() -> None:
    square = np.zeros((R, R), np.float32)
    answer = FaceAnswer(Prediction(np.dstack([square] * 3), square, square))
    assert bytes_of(answer) == 4 * 5 * R * R
    assert bytes_of([answer, (painted_landmarks((5, 5), 9), None, "word")]) == 4 * 5 * R * R + 4 * 2 * 68
