"""Quick96: the small model without questions. DF-UD at 96 pixels, full face. Source: spec models 6.1.

Losses per side: structure, pixels and learned mask, faces compared inside the blurred mask. RMSprop at 2e-4 with
learning-rate dropout. Every third iteration sees the batch of the one before again, this time undistorted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import BadOption
from core.nn.backend import active_backend
from core.nn.device import choose_devices
from core.nn.framework import Tensor, keras, ops
from core.nn.optimizers import OptimizerSettings, RMSprop
from core.nn.weights import export_tensors, import_tensors, initialize, named_variables
from facelib.face_type import FaceType
from facelib.prediction import Prediction
from models.autoencoders import Architecture, Dims, build_autoencoder
from models.base import Reconstruction, State, SwapModel
from models.face_losses import blurred_mask, reconstruction_loss
from models.quick96_options import Quick96Options
from samplelib.augmentation import SampleSettings

if TYPE_CHECKING:
    from samplelib.batches import FaceBatch, TrainingBatch

__all__ = ["DIMS", "SIZES", "Quick96", "Quick96Options"]

DIMS = Dims(resolution=96, ae=128, e=64, d=64, d_mask=16)
SIZES = {"full": DIMS, "small": Dims(resolution=96, ae=128, e=32, d=32, d_mask=16)}
OPTIMIZER = OptimizerSettings(learning_rate=2e-4, keep_probability=0.3)
PRECISIONS = {"fp32": "float32", "bf16": "mixed_bfloat16"}
LARGEST_FORWARD = 16  # faces per forward pass; more than that is split


class Quick96(SwapModel):
    """See the module's docstring; the attributes are those of `SwapModel`."""

    name = "Quick96"

    def __init__(
        self,
        options: Quick96Options | None = None,
        *,
        device: str = "auto",
        precision: str = "fp32",
        seed: int = 0,
        dims: Dims | None = None,
    ) -> None:
        """Builds the networks with weights drawn from the seed; nothing is compiled before it is first used.

        Args:
            options: the user's settings.
            device: see `core.nn.device.choose_devices`.
            precision: "fp32", or "bf16" for convolutions in bfloat16 (weights and everything delicate stay float32).
            seed: of the first weights and of learning-rate dropout.
            dims: other sizes than `options.size` says, for tests.
        """
        if precision not in PRECISIONS:
            raise BadOption(f"The precision is one of {', '.join(PRECISIONS)}. Received: {precision}.")
        options = options or Quick96Options()
        dims = dims or SIZES[options.size]
        self.devices = choose_devices(device)
        self.batch_size = max(1, options.batch_size // len(self.devices)) * len(self.devices)
        self.precision = precision
        self.resolution = dims.resolution
        self.face_type = FaceType.FULL
        self.src_settings = self.dst_settings = SampleSettings(resolution=dims.resolution, face_type=FaceType.FULL)
        self._seed = seed
        backend = active_backend()
        with backend.placed_on(self.devices[0]):
            self._autoencoder = build_autoencoder(Architecture.parse("df-ud"), dims, trunk=PRECISIONS[precision])
            self._networks = self._autoencoder.networks
            variables = {
                f"{part}/{name}": variable
                for part, network in self._networks.items()
                for name, variable in named_variables(network).items()
            }
            self._optimizer = RMSprop(variables, OPTIMIZER, seed)
        for network in self._networks.values():
            initialize(network, seed)
        self._step = backend.compile_step(self._objective, {"all": self._optimizer}, self.devices)
        self._redraw = backend.compile_forward(self._redrawn, self.devices[0])
        self._swap = backend.compile_forward(self._swapped, self.devices[0])

    @property
    def part_names(self) -> Sequence[str]:
        return [*self._networks, "optimizer"]

    @property
    def iteration(self) -> int:
        return int(self._optimizer.iterations.numpy())

    def batch_number(self, iteration: int) -> int:
        """0 1 2 2 3 4 4 5 6 6 ...: iterations 3, 6, 9, ... see the batch before them again."""
        return iteration - iteration // 3

    def train_step(self, batch: TrainingBatch) -> dict[str, float]:
        iteration = self.iteration
        undistorted = iteration > 0 and iteration % 3 == 0
        result = self._step({**_named("src", batch.src, undistorted), **_named("dst", batch.dst, undistorted)})
        return result.reported if result.finite else dict.fromkeys(result.reported, float("nan"))

    def reconstruct(self, src: np.ndarray, dst: np.ndarray) -> Reconstruction:
        return Reconstruction(*self._in_portions(self._redraw, 6, src, dst))

    def predict(self, faces: np.ndarray) -> list[Prediction]:
        drawn, src_masks, dst_masks = self._in_portions(self._swap, 3, faces)
        return [
            Prediction(face, src_mask[..., 0], dst_mask[..., 0])
            for face, src_mask, dst_mask in zip(drawn, src_masks, dst_masks, strict=True)
        ]

    def export_state(self) -> State:
        state = {part: export_tensors(named_variables(network)) for part, network in self._networks.items()}
        return {**state, "optimizer": export_tensors(self._optimizer.state)}

    def import_state(self, part: str, tensors: Mapping[str, np.ndarray]) -> None:
        variables = self._optimizer.state if part == "optimizer" else named_variables(self._network(part))
        import_tensors(part, variables, tensors)

    def reset_part(self, part: str) -> None:
        if part == "optimizer":
            self._optimizer.reset()
        else:
            initialize(self._network(part), self._seed)
            self._optimizer.reset(f"{part}/")

    def _network(self, part: str) -> keras.layers.Layer:
        if part not in self._networks:
            raise BadOption(f"The parts of {self.name} are {', '.join(self.part_names)}. Received: {part}.")
        return self._networks[part]

    def _objective(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The sum over the batch of both sides' losses, to be minimized, and the mean of each, to be reported."""
        images = {name: _unit(array) for name, array in batch.items()}
        drawn = self._autoencoder.redraw(images["src_input"], images["dst_input"])
        losses = {}
        for side, face, mask in (("src", drawn.src, drawn.src_mask), ("dst", drawn.dst, drawn.dst_mask)):
            true_mask = images[f"{side}_mask"]
            weight = blurred_mask(true_mask, self.resolution)
            losses[f"{side}_loss"] = reconstruction_loss(images[f"{side}_target"], face, true_mask, mask, weight)
        total = sum(ops.sum(loss) for loss in losses.values())
        return {"all": total}, {name: ops.mean(loss) for name, loss in losses.items()}

    def _redrawn(self, src: Tensor, dst: Tensor) -> list[Tensor]:
        src, dst = _unit(src), _unit(dst)
        drawn, swapped = self._autoencoder.redraw(src, dst), self._autoencoder.swap(dst)
        return [drawn.src, drawn.src_mask, drawn.dst, drawn.dst_mask, swapped.face, swapped.src_mask]

    def _swapped(self, dst: Tensor) -> list[Tensor]:
        swapped = self._autoencoder.swap(_unit(dst))
        return [swapped.face, swapped.src_mask, swapped.dst_mask]

    def _in_portions(self, forward: Any, outputs: int, *faces: np.ndarray) -> list[np.ndarray]:
        """Runs any number of faces in portions of 1, 2, 4, 8 or 16, so that few graphs are ever compiled."""
        side = (self.resolution, self.resolution, 3)
        for array in faces:
            if array.shape[1:] != side or array.dtype not in (np.uint8, np.float32) or len(array) != len(faces[0]):
                raise ValueError(f"Faces are (N, {side}) uint8 or float32, as many of each. Received: {array.shape}.")
        count = len(faces[0])
        portions: list[list[np.ndarray]] = []
        for start in range(0, count, LARGEST_FORWARD):
            real = min(LARGEST_FORWARD, count - start)
            size = 1 << (real - 1).bit_length()
            padded = [np.resize(array[start : start + real], (size, *side)) for array in faces]
            portions.append([output[:real] for output in forward(*padded)])
        if not portions:
            colors = [3, 1, 3, 1, 3, 1] if outputs == 6 else [3, 1, 1]
            return [np.zeros((0, self.resolution, self.resolution, channels), np.float32) for channels in colors]
        return [np.concatenate(column) for column in zip(*portions, strict=True)]


def _unit(image: Tensor) -> Tensor:
    """uint8 0..255 or float32 [0, 1] -> float32 [0, 1]."""
    if keras.backend.standardize_dtype(image.dtype) == "uint8":
        return ops.cast(image, "float32") / 255.0
    return image


def _named(side: str, faces: FaceBatch, undistorted: bool) -> dict[str, np.ndarray]:
    """The arrays of one side as the objective calls them."""
    return {
        f"{side}_input": faces.target if undistorted else faces.warped,
        f"{side}_target": faces.target,
        f"{side}_mask": faces.mask,
    }
