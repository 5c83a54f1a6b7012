"""Batches that the device has no room for: halved and said aloud, or an end with advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from core.errors import OutOfMemory, ToolFailed
from mainscripts.train_memory import networks_must_fit, train_within_memory
from mainscripts.train_options import TrainOptions
from models.report import TrainingReport
from tests.models.fake_model import Said


class ResourceExhaustedError(Exception):
    """By its name what TensorFlow raises."""


@dataclass
class Card:
    """A training that fits in memory up to a batch size; remembers how it was tried."""

    most: int
    error: Exception

    def __post_init__(self) -> None:
        self.tried: list[tuple[int, str | None, int | None]] = []

    def train(self, options: TrainOptions, values: Mapping[str, Any]) -> TrainingReport:
        self.tried.append((values["batch_size"], options.reset, options.restore_backup))
        if values["batch_size"] > self.most:
            raise self.error
        return TrainingReport(7, {}, {}, 0.0, 0.0, 0, 0.0, 0.0, 0, ())


IN_WORDS = OutOfMemory("GPU:0 (a card)", "out of memory.", "")


@pytest.mark.parametrize(
    "error", [IN_WORDS, ResourceExhaustedError("OOM when allocating"), RuntimeError("CUDA error: out of memory")]
)
def test_the_batch_is_halved_until_it_fits(error: Exception) -> None:
    card, said = Card(3, error), Said()
    options = TrainOptions.of(reset="encoder", restore_backup=2)
    assert train_within_memory(card.train, options, {"batch_size": 12}, said).iteration == 7
    # a part is reset, and a backup restored, once only: the second time the last save is gone on from
    assert card.tried == [(12, "encoder", 2), (6, None, None), (3, None, None)]
    assert "out of memory. Training goes on with batches of 6 instead of 12, which the model keeps" in said.texts[0]
    assert "(--batch-size 12 tries again)" in said.texts[0]
    for setting in ("--batch-size", "--precision bf16", "lower resolution"):
        assert setting in said.texts[0]
    assert len(said.texts) == 2


def test_one_face_a_side_that_does_not_fit_is_the_end() -> None:
    card = Card(0, IN_WORDS)
    with pytest.raises(ToolFailed, match=r"GPU:0 .* out of memory\. \(Batch size 1\.\) Any of these helps") as caught:
        train_within_memory(card.train, TrainOptions.of(), {"batch_size": 3}, Said())
    assert not isinstance(caught.value, OutOfMemory)
    assert [batch for batch, *_ in card.tried] == [3, 1]


@pytest.mark.parametrize("error", [IN_WORDS, ResourceExhaustedError("OOM when allocating")])
def test_networks_that_do_not_fit_are_not_tried_with_smaller_batches(error: Exception) -> None:
    tried = []

    def train(options: TrainOptions, values: Mapping[str, Any]) -> TrainingReport:
        tried.append(options.restore_backup)
        with networks_must_fit():
            raise error

    with pytest.raises(ToolFailed, match=r"networks alone need more than is free, whatever the batch size\.") as caught:
        train_within_memory(train, TrainOptions.of(restore_backup=2), {"batch_size": 8}, Said())
    assert not isinstance(caught.value, OutOfMemory)
    assert "adabelief=n" in str(caught.value)
    assert tried == [2]


def test_who_wants_to_decide_is_told_at_once() -> None:
    card, said = Card(4, IN_WORDS), Said()
    with pytest.raises(ToolFailed, match=r"\(Batch size 8\.\) Any of these helps: a smaller batch"):
        train_within_memory(card.train, TrainOptions.of(on_out_of_memory="stop"), {"batch_size": 8}, said)
    assert [batch for batch, *_ in card.tried] == [8]
    assert said.texts == []


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError):
        train_within_memory(Card(0, ZeroDivisionError()).train, TrainOptions.of(), {"batch_size": 8}, Said())
