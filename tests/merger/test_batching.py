"""Batches of one size, halved where the device has no room."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from core.progress import SilentProgress
from facelib.prediction import Prediction
from merger.batching import ModelFailed, Predictions, best_batch
from merger.face_tools import FaceTools
from tests.merger.scenes import TintedPredictor

FACES = [np.full((48, 48, 3), level / 10, np.float32) for level in range(7)]


class Listener(SilentProgress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def say(self, text: str) -> None:
        self.words.append(text)


class Device(TintedPredictor):
    """Has room for so many faces."""

    room = 100

    def predict(self, faces: NDArray) -> Sequence[Prediction]:
        if len(faces) > self.room:
            raise RuntimeError("out of memory")
        return super().predict(faces)


def ask(device: Device, batch: int = 4) -> tuple[list[Prediction], Listener]:
    listener = Listener()
    return Predictions(FaceTools.of(device), listener, batch).of(FACES, [1.0] * len(FACES)), listener


def test_every_face_is_answered_in_order_and_every_batch_is_full() -> None:
    device = Device()
    predictions, _ = ask(device)
    assert device.calls == [4, 4]
    for face, prediction in zip(FACES, predictions, strict=True):
        assert np.array_equal(prediction.face, TintedPredictor().predict(face[None])[0].face)


def test_a_batch_without_room_is_halved_for_good_and_told() -> None:
    device = Device()
    device.room = 2
    predictions, listener = ask(device, 8)
    assert set(device.calls) == {2}
    assert len(predictions) == 7
    assert [words for words in listener.words if "out of memory" in words] == listener.words
    assert listener.words[-1].endswith("going on with 2 at a time.")
    assert len(listener.words) == 2


def test_a_model_that_never_answers_and_one_that_answers_nonsense() -> None:
    device = Device()
    device.room = 0
    with pytest.raises(ModelFailed, match="out of memory"):
        ask(device)

    class Collapsed(Device):
        def predict_one(self, face: NDArray) -> tuple[NDArray, NDArray, NDArray]:
            return face, np.full(face.shape[:2], np.nan, np.float32), face[..., 0]

    with pytest.raises(ModelFailed, match="not numbers"):
        ask(Collapsed())


def test_a_failure_of_a_model_that_has_answered_is_not_the_end() -> None:
    device = Device()
    predictions = Predictions(FaceTools.of(device), Listener(), 2)
    predictions.of(FACES[:1], [1.0])
    device.room = 0
    with pytest.raises(RuntimeError, match="out of memory"):
        predictions.of(FACES[:1], [1.0])
    device.room = 1
    assert len(predictions.of(FACES[:3], [1.0] * 3)) == 3


class Clock:
    """Goes on by so much with every batch a model answers."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Timed(Device):
    """Takes so long for a batch of each size."""

    def __init__(self, clock: Clock, seconds: dict[int, float], noise: float = 0.0) -> None:
        super().__init__()
        self._clock, self._seconds, self._noise = clock, seconds, noise

    def predict(self, faces: NDArray) -> Sequence[Prediction]:
        self._clock.seconds += self._seconds[len(faces)]
        answers = super().predict(faces)
        if len(faces) > 8:
            return [Prediction(a.face + np.float32(self._noise), a.src_mask, a.dst_mask) for a in answers]
        return answers


def chosen(faces: int, seconds: dict[int, float], room: int = 100, noise: float = 0.0) -> tuple[int, set[int]]:
    """The batch that is chosen, and those that were tried."""
    clock = Clock()
    device = Timed(clock, seconds, noise)
    device.room = room
    return best_batch(FaceTools.of(device), faces, clock), set(device.calls)


def test_a_batch_is_doubled_while_it_pays() -> None:
    assert chosen(5000, {4: 0.4, 8: 0.6, 16: 0.9, 32: 1.7}) == (16, {4, 8, 16, 32})
    assert chosen(5000, {4: 0.4, 8: 0.73}) == (4, {4, 8})  # not a tenth
    assert chosen(5000, {4: 0.4, 8: 0.71, 16: 1.4}) == (8, {4, 8, 16})


def test_a_batch_is_doubled_no_further_than_there_is_room_and_the_answers_are_the_same() -> None:
    fast = {4: 0.4, 8: 0.4, 16: 0.4, 32: 0.4}
    assert chosen(5000, fast, room=8) == (8, {4, 8})
    assert chosen(5000, fast, room=2) == (4, set())
    assert chosen(5000, fast, noise=1e-6) == (8, {4, 8, 16})


def test_no_larger_batch_is_tried_where_there_is_little_to_do() -> None:
    assert chosen(999, {}) == (4, set())
    assert chosen(5000, {4: 0.04}) == (4, {4})  # 50 seconds


def test_a_face_the_device_has_no_room_for_is_computed_on_the_cpu_and_told_once() -> None:
    device, cpu, listener = Device(), Device(), Listener()
    loaded = []

    def load() -> FaceTools:
        loaded.append(cpu)
        return FaceTools.of(cpu)

    tools = dataclasses.replace(FaceTools.of(device), on_cpu=load)
    predictions = Predictions(tools, listener, 2)
    device.room = 0
    found = predictions.of(FACES, [1.0] * len(FACES))
    for face, prediction in zip(FACES, found, strict=True):
        assert np.array_equal(prediction.face, TintedPredictor().predict(face[None])[0].face)
    assert (device.calls, cpu.calls, len(loaded)) == ([], [1] * 7, 1)
    assert [words for words in listener.words if "computed on the CPU" in words] == listener.words[-1:]
    cpu.room = 0
    with pytest.raises(RuntimeError, match="out of memory"):
        predictions.of(FACES[:1], [1.0])
    with pytest.raises(ModelFailed, match="out of memory"):
        Predictions(tools, listener, 1).of(FACES[:1], [1.0])
