"""What the training loop, the checkpoints and the merger ask of any swap model.

A model owns its networks, its optimizer and its compiled functions. Everything that must survive a stop leaves it
as named tensors (`export_state`) and comes back the same way (`import_state`); files are not its business.

How a loop feeds it (the whole of it is `models/engine.py`):

    number = model.batch_number(model.iteration)
    with TrainingBatches(src, dst, model.src_settings, model.dst_settings, ..., first_iteration=number) as batches:
        batch = next(batches)
        while ...:
            if batch.iteration != model.batch_number(model.iteration):
                batch = next(batches)
            losses = model.train_step(batch)

This module loads no neural framework.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from facelib.face_type import FaceType
from facelib.prediction import Prediction

if TYPE_CHECKING:
    from samplelib.augmentation import SampleSettings
    from samplelib.batches import TrainingBatch

State = dict[str, dict[str, np.ndarray]]
"""Part name ("encoder", ..., "optimizer") -> tensor name ("down1/downs_0/conv1/weight") -> array."""


@dataclass(frozen=True)
class Reconstruction:
    """What a model makes of src and dst faces: both redrawn, and dst redrawn as src.

    All are float32 in [0, 1]; faces (N, R, R, 3) BGR, masks (N, R, R, 1).
    """

    src: np.ndarray
    src_mask: np.ndarray
    dst: np.ndarray
    dst_mask: np.ndarray
    swap: np.ndarray
    swap_mask: np.ndarray


TRAINING_PARTS = ("optimizer", "code_discriminator", "code_discriminator_optimizer", "GAN", "GAN_optimizer")
"""Parts that only training needs: whoever swaps faces need not read them."""


class SwapModel(ABC):
    """A pair of people and the networks that swap them.

    Attributes:
        name: the class word used in folder names and on the command line, e.g. "Quick96".
        resolution: side R of the square the networks see, in pixels.
        face_type: how much of the head that square shows.
        batch_size: faces per side in one training step.
        src_settings, dst_settings: how the training samples of each side are made.
    """

    name: ClassVar[str]
    resolution: int
    face_type: FaceType
    batch_size: int
    src_settings: SampleSettings
    dst_settings: SampleSettings

    @property
    @abstractmethod
    def part_names(self) -> Sequence[str]:
        """Names of the parts of the state that are in use: networks, then optimizers, "optimizer" the first of them."""

    @property
    @abstractmethod
    def iteration(self) -> int:
        """Number of completed updates; part of the state ("optimizer")."""

    def batch_number(self, iteration: int) -> int:
        """The number of the training batch (`TrainingBatch.iteration`) that this iteration learns from.

        Never decreases and grows by at most one per iteration. A model that sees a batch twice overrides it.
        """
        return iteration

    @abstractmethod
    def train_step(self, batch: TrainingBatch) -> dict[str, float]:
        """Makes one update and returns the mean losses by name: {"src_loss", "dst_loss"}, or whatever the model has.

        The names are the same at every iteration of a session. When a loss or a gradient is not finite, nothing is
        updated, `iteration` stays, and every loss is NaN.
        """

    def limit_gradients(self) -> bool:
        """From now on, for the rest of the session, clips every update's gradients by their global norm, at 1.0.

        The loop asks for it after a model broke; it is no option of the model's, and not remembered.

        Returns:
            Whether that is new: False when they were clipped already, or when this model cannot.
        """
        return False

    @property
    def parts_reset_after_pretraining(self) -> Sequence[str]:
        """The parts that start afresh when pretraining is switched off; none where a model knows no pretraining."""
        return ()

    @property
    def replaceable_parts(self) -> Sequence[str]:
        """Parts whose shape follows changeable options: a saved one that does not fit starts afresh, said aloud."""
        return ()

    @property
    def training_bytes(self) -> int:
        """Memory that training takes whatever the batch: weights, their gradients, and what the optimizers remember; 0
        where a model cannot tell."""
        return 0

    @abstractmethod
    def reconstruct(self, src: np.ndarray, dst: np.ndarray) -> Reconstruction:
        """Redraws N src and N dst faces, (N, R, R, 3) BGR, uint8 0..255 or float32 [0, 1]; any N including 0."""

    @abstractmethod
    def predict(self, faces: np.ndarray) -> list[Prediction]:
        """Swaps dst faces: (N, R, R, 3) BGR, uint8 0..255 or float32 [0, 1]; any N including 0."""

    @abstractmethod
    def export_state(self) -> State:
        """Copies of every tensor that training changes, by part and name."""

    @abstractmethod
    def import_state(self, part: str, tensors: Mapping[str, np.ndarray]) -> None:
        """Puts the tensors of one part back. Missing, unexpected or misshaped ones raise FaceLoomError, naming each."""

    @abstractmethod
    def reset_part(self, part: str) -> None:
        """Starts one part afresh from the model's seed; for "optimizer": all accumulators and the iteration at zero.

        Resetting a network also zeroes its accumulators.
        """

    @property
    def notes(self) -> Sequence[str]:
        """What the user should hear about the parts that were imported last; see `import_state`."""
        return ()

    def count_from_zero(self) -> None:
        """Sets `iteration` to 0, and everything that follows from it; weights and accumulators stay.

        For the end of pretraining, after `parts_reset_after_pretraining` were reset.
        """
        raise NotImplementedError(f"{self.name} always counts on.")
