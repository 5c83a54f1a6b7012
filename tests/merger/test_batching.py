"""Batches of one size, halved where the device has no room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from core.progress import SilentProgress
from facelib.prediction import Prediction
from merger.batching import ModelFailed, Predictions
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
    return Predictions(FaceTools.of(device), listener, batch).of(FACES, 1.0), listener


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
    predictions.of(FACES[:1], 1.0)
    device.room = 0
    with pytest.raises(RuntimeError, match="out of memory"):
        predictions.of(FACES[:1], 1.0)
    device.room = 1
    assert len(predictions.of(FACES[:3], 1.0)) == 3
