"""Asks the model about many faces, in batches that are always padded to one size.

So a face is computed by the same code whatever its neighbors are, and the files do not depend on the number of workers.
Larger batches than four are taken where they pay, but only where every face gets the same answer, to the bit. Source:
spec merging 9.2, 9.7.

2026-11: processor milliseconds per face on a CPU in batches of 4, 8, 16: Quick96 42, 40, 36, to the bit the same; SAEHD
of 128 pixels 114, 102, 98, but from 8 on not the same (2e-7), so it stays at 4.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core import console
from core.errors import FaceLoomError
from core.progress import Progress
from facelib.prediction import Prediction
from merger.face_tools import FaceTools, predict_by_factor

FACES_PER_BATCH = 4

_FACES_WORTH_A_TRIAL = 1000
_SECONDS_WORTH_A_TRIAL = 60.0
"""A network is compiled anew for every size, which takes seconds: that much the model must have to do."""

_LEAST_GAIN = 0.1


class ModelFailed(FaceLoomError):
    """The model cannot predict at all, or its weights are damaged: no frame would fare better."""


class Predictions:
    """The model, asked in batches of `batch` faces; one the device cannot hold is halved, for the rest of the run."""

    def __init__(self, tools: FaceTools, progress: Progress, batch: int = FACES_PER_BATCH) -> None:
        self.tools = tools
        self.batch = batch
        self._progress = progress
        self._has_answered = False
        self._on_cpu: FaceTools | None = None

    def of(self, faces: Sequence[NDArray], morph_factors: Sequence[float]) -> list[Prediction]:
        """Faces (R, R, 3) float32 -> a prediction of each. Those of one morph factor are asked about together.

        Raises:
            ModelFailed: the model has never answered, not even about one face; or it answers nonsense.
            Exception: whatever the model raised, when it has answered before.
        """
        return predict_by_factor(faces, morph_factors, self._of_factor)

    def _of_factor(self, faces: Sequence[NDArray], morph_factor: float) -> list[Prediction]:
        predictions: list[Prediction] = []
        while len(predictions) < len(faces):
            part = faces[len(predictions) : len(predictions) + self.batch]
            asked = np.zeros((self.batch, *part[0].shape), np.float32)
            asked[: len(part)] = part
            try:
                answers = self.tools.predict_faces(asked, morph_factor)
            except Exception as problem:
                if self.batch == 1:
                    answers = self._ask_cpu(asked, morph_factor, problem)
                else:
                    self.batch = self.batch // 2
                    self._progress.say(
                        f"The model failed on a batch ({problem}); going on with {self.batch} at a time."
                    )
                    continue
            self._has_answered = True
            predictions += [_checked(answer) for answer in answers[: len(part)]]
        return predictions

    def _ask_cpu(self, face: NDArray, morph_factor: float, problem: Exception) -> Sequence[Prediction]:
        """The answer about a face that the device fails on, where there is another device."""
        try:
            if self.tools.on_cpu is None:
                raise problem
            if self._on_cpu is None:
                self._progress.say(
                    f"The model failed on a single face ({problem}); such faces are computed on the CPU, slower."
                )
                self._on_cpu = self.tools.on_cpu()
            return self._on_cpu.predict_faces(face, morph_factor)
        except Exception as failure:
            if self._has_answered:
                raise
            raise ModelFailed(f"The model cannot predict: {failure}") from failure


def best_batch(tools: FaceTools, faces: int, clock: Callable[[], float] = time.perf_counter) -> int:
    """How many faces the model is best asked about at once: four, or twice as many, and so on, while the time per face
    shrinks by a tenth at least, the device has room, and the answers are the same to the bit.

    Args:
        faces: how many there are. For few of them nothing is tried.
    """
    side = tools.resolution
    dice = np.random.default_rng(1)
    batch, shown = FACES_PER_BATCH, np.empty((0, side, side, 3), np.float32)

    def ask(size: int) -> tuple[list[Prediction], float]:
        """All that is shown, in batches; and the seconds per face of a batch, the better of two."""
        parts = [shown[first : first + size] for first in range(0, len(shown), size)]
        answers = [answer for part in parts for answer in tools.predict_faces(part, 1.0)]
        seconds = []
        for _ in range(2):
            start = clock()
            tools.predict_faces(parts[0], 1.0)
            seconds.append(clock() - start)
        return answers, min(seconds) / size

    try:
        while faces >= _FACES_WORTH_A_TRIAL:
            shown = np.concatenate([shown, dice.random((2 * batch - len(shown), side, side, 3), np.float32)])
            answers, seconds = ask(batch)
            if faces * seconds < _SECONDS_WORTH_A_TRIAL:
                return batch
            others, faster = ask(2 * batch)
            same = all(_are_same(a, b) for a, b in zip(answers, others, strict=True))
            if not same or faster > (1 - _LEAST_GAIN) * seconds:
                return batch
            batch *= 2
    except Exception as problem:  # no room; a model that cannot predict at all says so when it is asked in earnest
        console.log_only(f"No more than {batch} faces at once: {problem}")
    return batch


def _are_same(one: Prediction, other: Prediction) -> bool:
    pairs = ((one.face, other.face), (one.src_mask, other.src_mask), (one.dst_mask, other.dst_mask))
    return all(np.array_equal(mine, theirs) for mine, theirs in pairs)


def _checked(prediction: Prediction) -> Prediction:
    arrays = [np.asarray(a, np.float32) for a in (prediction.face, prediction.src_mask, prediction.dst_mask)]
    if not all(np.isfinite(array.sum()) for array in arrays):
        raise ModelFailed(
            "The model predicts values that are not numbers: its weights are damaged.",
            "Take one of its backups, or train it again.",
        )
    return Prediction(*arrays)
