"""Quick96: the small model without questions. DF-UD at 96 pixels, full face. Source: spec models 6.1.

Losses per side: structure, pixels and learned mask, faces compared inside the blurred mask. RMSprop at 2e-4 with
learning-rate dropout. Every third iteration sees the batch of the one before again, this time undistorted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from core.nn.framework import Tensor, ops
from core.nn.optimizers import OptimizerSettings, RMSprop
from facelib.face_type import FaceType
from models.architecture import Architecture, Dims
from models.autoencoder_model import AutoencoderModel, unit
from models.face_losses import blurred_mask, reconstruction_loss
from models.quick96_options import Quick96Options
from samplelib.augmentation import SampleSettings

if TYPE_CHECKING:
    from samplelib.batches import FaceBatch, TrainingBatch

__all__ = ["DIMS", "SIZES", "Quick96", "Quick96Options"]

DIMS = Dims(resolution=96, ae=128, e=64, d=64, d_mask=16)
SIZES = {"full": DIMS, "small": Dims(resolution=96, ae=128, e=32, d=32, d_mask=16)}
OPTIMIZER = OptimizerSettings(learning_rate=2e-4, keep_probability=0.3)


class Quick96(AutoencoderModel):
    """See the module's docstring; the attributes are those of `SwapModel`."""

    name = "Quick96"

    def __init__(
        self,
        options: Quick96Options | None = None,
        *,
        device: str = "auto",
        precision: str = "fp32",
        seed: int = 0,
        training: bool = True,
        dims: Dims | None = None,
    ) -> None:
        """See `AutoencoderModel`.

        Args:
            options: the user's settings.
            training: False for use alone: no optimizer, no step.
            dims: other sizes than `options.size` says, for tests.
        """
        options = options or Quick96Options()
        super().__init__(
            Architecture.parse("df-ud"),
            dims or SIZES[options.size],
            batch_size=options.batch_size,
            device=device,
            precision=precision,
            seed=seed,
        )
        self.face_type = FaceType.FULL
        self.src_settings = self.dst_settings = SampleSettings(resolution=self.resolution, face_type=FaceType.FULL)
        if training:
            self._learn("optimizer", list(self._networks), RMSprop, OPTIMIZER)
            self._compile()

    def batch_number(self, iteration: int) -> int:
        """0 1 2 2 3 4 4 5 6 6 ...: iterations 3, 6, 9, ... see the batch before them again."""
        return iteration - iteration // 3

    def train_step(self, batch: TrainingBatch) -> dict[str, float]:
        iteration = self.iteration
        undistorted = iteration > 0 and iteration % 3 == 0
        return self._trained_on({**_named("src", batch.src, undistorted), **_named("dst", batch.dst, undistorted)})

    def _objective(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The sum over the batch of both sides' losses, to be minimized, and the mean of each, to be reported."""
        images = {name: unit(array) for name, array in batch.items()}
        drawn = self._autoencoder.redraw(images["src_input"], images["dst_input"])
        losses = {}
        for side, face, mask in (("src", drawn.src, drawn.src_mask), ("dst", drawn.dst, drawn.dst_mask)):
            true_mask = images[f"{side}_mask"]
            weight = blurred_mask(true_mask, self.resolution)
            losses[f"{side}_loss"] = reconstruction_loss(images[f"{side}_target"], face, true_mask, mask, weight)
        total = sum(ops.sum(loss) for loss in losses.values())
        return {"optimizer": total}, {name: ops.mean(loss) for name, loss in losses.items()}


def _named(side: str, faces: FaceBatch, undistorted: bool) -> dict[str, np.ndarray]:
    """The arrays of one side as the objective calls them."""
    return {
        f"{side}_input": faces.target if undistorted else faces.warped,
        f"{side}_target": faces.target,
        f"{side}_mask": faces.mask,
    }
