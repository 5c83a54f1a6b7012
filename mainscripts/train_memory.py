"""When the device's memory does not suffice: half the batch, said aloud and kept with the model, instead of an end.

A step that finds no memory has learned nothing, so what was learned before it is saved (models/engine.py), and the
model is built anew from there for the smaller batch. `--on-out-of-memory stop` ends with the advice instead, and so do
networks that do not fit even without a batch.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.errors import FaceLoomError, OutOfMemory, ToolFailed
from core.progress import Progress

if TYPE_CHECKING:
    from mainscripts.train_options import TrainOptions
    from models.report import TrainingReport

HALVE, STOP = "halve", "stop"
"""What `--on-out-of-memory` knows."""

ADVICE = (
    "Any of these helps: a smaller batch (--batch-size), --precision bf16, a new model with a lower resolution or "
    "smaller dims. Closing other programs that use the device may be enough; --device cpu uses the computer's memory."
)

_ADVICE_FOR_NETWORKS = (
    "Closing other programs that use the device may be enough; --set adabelief=n, where the model has it, or a new "
    "model with a lower resolution or smaller dims needs less; --device cpu uses the computer's memory."
)

Session = Callable[["TrainOptions", Mapping[str, Any]], "TrainingReport"]
"""Builds the model by these settings, from its last save, and trains it."""


def train_within_memory(
    train: Session, options: TrainOptions, values: Mapping[str, Any], progress: Progress
) -> TrainingReport:
    """Trains; with half the batch, and half of that, where the device's memory does not suffice.

    Args:
        values: the model's settings; "batch_size" among them.

    Raises:
        ToolFailed: not even one face per side fits, or the user wants to hear of it at once.
    """
    while True:
        smaller = 0
        try:
            with _device_errors_in_words():
                return train(options, values)
        except OutOfMemory as problem:
            batch_size = int(values["batch_size"])
            if options.on_out_of_memory == STOP or batch_size == 1:
                raise ToolFailed(problem.tool, f"{problem.last_words} (Batch size {batch_size}.)", ADVICE) from problem
            smaller = batch_size // 2
            progress.say(
                f"{problem.tool}: {problem.last_words} Training goes on with batches of {smaller} instead of "
                f"{batch_size}, which the model keeps (--batch-size {batch_size} tries again). {ADVICE}"
            )
        # The error is gone now, and with it the last that held the large model: its memory is free for the next one.
        gc.collect()
        values = {**values, "batch_size": smaller}
        options = replace(options, reset=None, restore_backup=None)  # both are done, and saved


@contextlib.contextmanager
def networks_must_fit() -> Iterator[None]:
    """Around building and loading a model: where its weights do not fit no batch is small enough.

    Raises:
        ToolFailed: the device's memory does not suffice.
    """
    try:
        with _device_errors_in_words():
            yield
    except OutOfMemory as problem:
        words = f"{problem.last_words} The networks alone need more than is free, whatever the batch size."
        raise ToolFailed(problem.tool, words, _ADVICE_FOR_NETWORKS) from problem


@contextlib.contextmanager
def _device_errors_in_words() -> Iterator[None]:
    """Memory used up, whatever part of a framework reports it and however, as OutOfMemory."""
    try:
        yield
    except FaceLoomError:
        raise
    except Exception as problem:
        kinds = {kind.__name__ for kind in type(problem).__mro__}
        if (
            not kinds & {"ResourceExhaustedError", "OutOfMemoryError", "MemoryError"}
            and "out of memory" not in str(problem).lower()
        ):
            raise
        raise OutOfMemory("The device", "out of memory.", ADVICE) from problem
