"""Questions and answers of faces in shared memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.shared_arrays import SharedArrays
from facelib.prediction import Prediction
from merger.face_slots import Asked, FaceSlots, Told
from merger.face_tools import SEGMENT_SIDE, FaceAnswer, FaceQuestion

R = 8
DICE = np.random.default_rng(11)


def numbers(*shape: int) -> np.ndarray:
    return DICE.random(shape, np.float32)


def question(around: bool = False) -> FaceQuestion:
    return FaceQuestion(numbers(R, R, 3), numbers(SEGMENT_SIDE, SEGMENT_SIDE, 3) if around else None, numbers(2, 3))


def answer(further: bool = False) -> FaceAnswer:
    told = FaceAnswer(Prediction(numbers(R, R, 3), numbers(R, R), numbers(R, R)))
    if further:
        segment = numbers(SEGMENT_SIDE, SEGMENT_SIDE)
        told = dataclasses.replace(told, enhanced=numbers(4 * R, 4 * R, 3), dst_segment=segment)
    return told


def same(one: object, other: object) -> bool:
    """Whether all arrays of two records are equal, and of one type but for the width of a float."""
    for field in dataclasses.fields(one):  # type: ignore[arg-type]
        first, second = getattr(one, field.name), getattr(other, field.name)
        if dataclasses.is_dataclass(first):
            if not same(first, second):
                return False
        elif (first is None) != (second is None) or (first is not None and not np.array_equal(first, second)):
            return False
    return True


@pytest.mark.parametrize("further", [False, True])
def test_question_and_answer_arrive_as_they_were_sent(further: bool) -> None:
    engine = FaceSlots.create(2, R, segments=further, enhances=further)
    compositor = FaceSlots.attach(engine.handle)
    engine.forget_name()
    sent, said = question(further), answer(further)
    asked = compositor.ask(sent)
    assert isinstance(asked, Asked)
    assert same(engine.question(asked), sent)
    told = engine.tell(asked, said)
    assert isinstance(told, Told)
    assert same(compositor.answer(told), said)
    compositor.close()
    engine.close()


def test_an_older_answer_does_not_shine_through() -> None:
    slots = FaceSlots.create(1, R, segments=True, enhances=True)
    asked = slots.ask(question(True))
    slots.tell(asked, answer(True))
    slots.release(asked)
    again = slots.ask(question(False))
    assert slots.question(again).around is None
    assert slots.answer(slots.tell(again, answer(False))).enhanced is None
    slots.close()


def test_a_crowd_travels_in_the_messages_and_released_slots_are_used_again() -> None:
    slots = FaceSlots.create(2, R, segments=False, enhances=False)
    first, second, third = question(), question(), question()
    asked = [slots.ask(q) for q in (first, second, third)]
    assert [type(a) for a in asked] == [Asked, Asked, FaceQuestion]
    assert same(slots.question(asked[2]), third)
    said = answer()
    assert slots.tell(asked[2], said) is said
    assert slots.answer(said) is said
    slots.release(asked[2])
    assert slots.ask(third) is third
    slots.release(asked[0])
    again = slots.ask(third)
    assert isinstance(again, Asked)
    assert same(slots.question(asked[1]), second)
    slots.close()


def test_what_was_not_planned_for_travels_in_the_messages() -> None:
    slots = FaceSlots.create(2, R, segments=False, enhances=False)
    seen = question(True)
    assert slots.ask(seen) is seen
    asked = slots.ask(question())
    said = answer(True)
    assert slots.tell(asked, said) is said
    slots.close()


def test_without_shared_memory_everything_travels_in_the_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(layout: object) -> SharedArrays:
        raise FaceLoomError("There is no shared memory.")

    monkeypatch.setattr(SharedArrays, "create", refuse)
    slots = FaceSlots.create(4, R, segments=False, enhances=False)
    assert slots.handle is None
    other, sent = FaceSlots.attach(slots.handle), question()
    assert other.ask(sent) is sent
    slots.forget_name()
    slots.close()
