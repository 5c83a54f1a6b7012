"""Answers that are kept from one pass to the next: whose, how many, and as copies."""

from __future__ import annotations

import numpy as np

from facelib.prediction import Prediction
from merger.face_tools import FaceAnswer
from merger.kept_answers import KeptAnswers, answer_bytes
from merger.settings import MergeSettings

R = 8
FACE_BYTES = 4 * 5 * R * R


def answer(value: float = 0.5) -> FaceAnswer:
    square = np.full((R, R), value, np.float32)
    return FaceAnswer(Prediction(np.dstack([square] * 3), square, square))


def test_only_what_is_expected_is_kept_and_only_until_it_is_over() -> None:
    kept = KeptAnswers()
    kept.expect(["a", "b"])
    for stem in ("a", "c"):
        kept.keep(stem, [answer(), answer()])
    assert len(kept.of("a") or ()) == 2
    assert kept.of("b") is None
    assert kept.of("c") is None
    kept.forget(["a", "b", "c"])
    assert kept.of("a") is None
    kept.keep("a", [answer()])  # it will not be asked for again
    assert kept.of("a") is None


def test_never_more_than_there_is_room_for_and_the_room_is_given_back() -> None:
    kept = KeptAnswers(3 * FACE_BYTES)
    kept.expect("abcd")
    kept.keep("a", [answer(), answer()])
    kept.keep("a", [answer(), answer()])  # known already: takes no room
    kept.keep("b", [answer(), answer()])  # too much
    kept.keep("c", [answer()])
    kept.keep("d", [answer()])
    assert [kept.of(stem) is not None for stem in "abcd"] == [True, False, True, False]
    kept.forget("a")
    kept.keep("b", [answer(), answer()])
    assert kept.of("b") is not None


def test_what_is_kept_does_not_change_with_its_source() -> None:
    """A model may hand out views of an array that it uses again."""
    batch = np.full((2, R, R), 0.25, np.float32)
    said = FaceAnswer(Prediction(np.dstack([batch[0]] * 3), batch[0], batch[1]), dst_segment=batch[1])
    kept = KeptAnswers()
    kept.expect(["a"])
    kept.keep("a", [said])
    batch[...] = 9
    (mine,) = kept.of("a") or ()
    assert mine.prediction.src_mask.max() == mine.prediction.dst_mask.max() == 0.25
    assert mine.dst_segment is not None
    assert mine.dst_segment.max() == 0.25
    assert mine.src_segment is None
    assert mine.enhanced is None


def test_the_size_of_an_answer_is_known_before() -> None:
    plain, seen = MergeSettings.of(mask_mode="learned-dst"), MergeSettings.of(mask_mode="XSeg-prd*XSeg-dst")
    fine = MergeSettings.of(super_resolution_power=50)
    assert answer_bytes(R, [plain]) == FACE_BYTES
    assert answer_bytes(R, [plain, seen]) == FACE_BYTES + 4 * 2 * 256 * 256
    assert answer_bytes(R, [fine, plain]) == FACE_BYTES + 4 * 3 * (4 * R) ** 2
