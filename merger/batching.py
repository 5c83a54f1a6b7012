"""Asks the model about many faces, in batches that are always padded to one size.

So a face is computed by the same code whatever its neighbors are, and the files do not depend on the number of workers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import FaceLoomError
from core.progress import Progress
from facelib.prediction import Prediction
from merger.face_tools import FaceTools

FACES_PER_BATCH = 4


class ModelFailed(FaceLoomError):
    """The model cannot predict at all, or its weights are damaged: no frame would fare better."""


class Predictions:
    """The model, asked in batches of `batch` faces; one the device cannot hold is halved, for the rest of the run."""

    def __init__(self, tools: FaceTools, progress: Progress, batch: int = FACES_PER_BATCH) -> None:
        self.tools = tools
        self.batch = batch
        self._progress = progress
        self._has_answered = False

    def of(self, faces: Sequence[NDArray], morph_factor: float) -> list[Prediction]:
        """Faces (R, R, 3) float32 -> a prediction of each.

        Raises:
            ModelFailed: the model has never answered, not even about one face; or it answers nonsense.
            Exception: whatever the model raised, when it has answered before.
        """
        predictions: list[Prediction] = []
        while len(predictions) < len(faces):
            part = faces[len(predictions) : len(predictions) + self.batch]
            asked = np.zeros((self.batch, *part[0].shape), np.float32)
            asked[: len(part)] = part
            try:
                answers = self.tools.predict_faces(asked, morph_factor)
            except Exception as problem:
                if self.batch == 1 and not self._has_answered:
                    raise ModelFailed(f"The model cannot predict: {problem}") from problem
                if self.batch == 1:
                    raise
                self.batch = self.batch // 2
                self._progress.say(f"The model failed on a batch ({problem}); going on with {self.batch} at a time.")
                continue
            self._has_answered = True
            predictions += [_checked(answer) for answer in answers[: len(part)]]
        return predictions


def _checked(prediction: Prediction) -> Prediction:
    arrays = [np.asarray(a, np.float32) for a in (prediction.face, prediction.src_mask, prediction.dst_mask)]
    if not all(np.isfinite(array.sum()) for array in arrays):
        raise ModelFailed(
            "The model predicts values that are not numbers: its weights are damaged.",
            "Take one of its backups, or train it again.",
        )
    return Prediction(*arrays)
