"""What all models of autoencoders share: their state by parts, the compiled step, and drawing any number of faces.

A subclass builds upon it in its constructor: `_add_critic` for networks that only training needs, `_learn` for each
optimizer, `_compile` at the end; and says in `_objective` what every optimizer minimizes.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.errors import BadOption, FaceLoomError
from core.nn.backend import active_backend
from core.nn.device import choose_devices
from core.nn.framework import Tensor, keras, ops
from core.nn.optimizers import AdaBelief, Optimizer, OptimizerSettings, RMSprop
from core.nn.steps import StepResult
from core.nn.weights import export_tensors, import_tensors, initialize, named_variables
from facelib.prediction import Prediction
from models.architecture import Architecture, Dims
from models.autoencoders import build_autoencoder
from models.base import Reconstruction, State, SwapModel

PRECISIONS = {"fp32": "float32", "bf16": "mixed_bfloat16"}
CLIP_NORM = 1.0
"""The global norm that gradients are clipped by, where they are."""

_LARGEST_PORTION = 16  # faces per forward pass; more than that is split
_PIXELS_PER_PORTION = 16 * 256**2  # of larger faces fewer go at once
_SLOTS = {slot: kind.__name__ for kind in (RMSprop, AdaBelief) for slot in kind.slot_names}

Tensors = dict[str, np.ndarray]


class AutoencoderModel(SwapModel):
    """See the module's docstring; the attributes are those of `SwapModel`, and:

    Attributes:
        devices: what it computes on.
        home: where its variables live and are updated, and where it draws: the first device, or the CPU.
        precision: "fp32" or "bf16".
    """

    def __init__(
        self,
        architecture: Architecture,
        dims: Dims,
        *,
        batch_size: int,
        device: str,
        precision: str,
        seed: int,
        at_home_on_cpu: bool = False,
    ) -> None:
        """Builds the networks with weights drawn from the seed; nothing is compiled before it is first used.

        Args:
            batch_size: faces per side and step; rounded down to a multiple of the number of devices.
            device: see `core.nn.device.choose_devices`.
            precision: "fp32", or "bf16" for convolutions in bfloat16 (weights and everything delicate stay float32).
            seed: of the first weights and of learning-rate dropout.
            at_home_on_cpu: the devices hold the weights only while they compute a step.
        """
        if precision not in PRECISIONS:
            raise BadOption(f"The precision is one of {', '.join(PRECISIONS)}. Received: {precision}.")
        self.devices = choose_devices(device)
        self.batch_size = max(1, batch_size // len(self.devices)) * len(self.devices)
        self.precision = precision
        self.resolution = dims.resolution
        self._trunk = PRECISIONS[precision]
        self._seed = seed
        self._optimizers: dict[str, Optimizer] = {}
        self._step: Callable[[Mapping[str, np.ndarray]], StepResult] | None = None
        self._facts: dict[str, Tensors] = {}
        self._other_slots: State = {}
        self._notes: dict[str, str] = {}
        self._backend = active_backend()
        self.home = self._backend.list_devices()[0] if at_home_on_cpu else self.devices[0]
        with self._backend.placed_on(self.home):
            self._autoencoder = build_autoencoder(architecture, dims, trunk=self._trunk)
        self._networks = dict(self._autoencoder.networks)
        for network in self._networks.values():
            initialize(network, seed)
        self._redraw = self._backend.compile_forward(self._redrawn, self.home)
        self._swap = self._backend.compile_forward(self._swapped, self.home)

    # ---------------------------------------------------------------------------------------------- for the subclass

    def _add_critic(
        self, part: str, critic: keras.layers.Layer, shape: tuple[int | None, ...], **facts: np.ndarray
    ) -> None:
        """Builds a network for training alone, as part `part`; `facts` are saved with it, and tell it from others of
        the same shapes."""
        with self._backend.placed_on(self.home):
            critic.build(shape)
        initialize(critic, self._seed)
        self._networks[part] = critic
        self._facts[part] = facts

    def _learn(
        self,
        part: str,
        networks: Sequence[str],
        kind: type[Optimizer],
        settings: OptimizerSettings,
        frozen: Sequence[str] = (),
    ) -> None:
        """Has networks trained by an optimizer, which is part `part` of the state; `frozen` ones rest for now."""
        variables = {
            f"{name}/{tensor}": variable
            for name in networks
            for tensor, variable in named_variables(self._networks[name]).items()
        }
        with self._backend.placed_on(self.home):
            self._optimizers[part] = kind(variables, settings, self._seed, [f"{name}/" for name in frozen])

    def _compile(self) -> None:
        """Makes the step anew from the objective, the optimizers and their settings as they are now."""
        self._step = self._backend.compile_step(self._objective, self._optimizers, self.devices, self.home)

    @abstractmethod
    def _objective(self, batch: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """What each optimizer minimizes, by its part's name, and what is reported; see `core.nn.steps.Objective`."""

    def _trained_on(self, batch: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Makes one step; NaN for every loss when nothing was updated."""
        if self._step is None:
            raise RuntimeError(f"This {self.name} model was built for use, not for training.")
        result = self._step(batch)
        return result.reported if result.finite else dict.fromkeys(result.reported, float("nan"))

    # --------------------------------------------------------------------------------------------------- the counting

    @property
    def iteration(self) -> int:
        main = self._optimizers.get("optimizer")
        return 0 if main is None else int(main.iterations.numpy())

    def count_from_zero(self) -> None:
        for optimizer in self._optimizers.values():
            optimizer.iterations.assign(0)

    def limit_gradients(self) -> bool:
        loose = [o for o in self._optimizers.values() if not 0.0 < o.settings.clip_norm <= CLIP_NORM]
        for optimizer in loose:
            optimizer.settings = replace(optimizer.settings, clip_norm=CLIP_NORM)
        if loose:
            self._compile()
        return bool(loose)

    @property
    def training_bytes(self) -> int:
        weights = [v for network in self._networks.values() for v in network.variables]
        optimizers = self._optimizers.values()
        gradients = [v for optimizer in optimizers for v in optimizer.trained.values()]
        slots = [v for optimizer in optimizers for named in optimizer.slots.values() for v in named.values()]
        return sum(4 * math.prod(v.shape) for v in (*weights, *gradients, *slots))

    # ------------------------------------------------------------------------------------------------------ the state

    @property
    def part_names(self) -> Sequence[str]:
        return [*self._networks, *self._optimizers]

    def export_state(self) -> State:
        state = {
            part: {**export_tensors(named_variables(network)), **self._facts.get(part, {})}
            for part, network in self._networks.items()
        }
        for part, optimizer in self._optimizers.items():
            state[part] = {**export_tensors(optimizer.state), **self._other_slots.get(part, {})}
        return state

    def import_state(self, part: str, tensors: Mapping[str, np.ndarray]) -> None:
        if part in self._networks:
            facts = self._facts.get(part, {})
            if any(not np.array_equal(fact, tensors.get(name, fact)) for name, fact in facts.items()):
                raise FaceLoomError(f"The weights of '{part}' were made for other settings of this network.")
            weights = {name: tensor for name, tensor in tensors.items() if name not in facts}
            import_tensors(part, named_variables(self._networks[part]), weights)
        elif part in self._optimizers:
            optimizer = self._optimizers[part]
            other = _slots_of_others(optimizer, tensors)
            own = {name: tensor for name, tensor in tensors.items() if name not in other}
            starts_anew = bool(other) and not any(name.partition("/")[0] in optimizer.slot_names for name in own)
            if starts_anew:
                own |= {name: np.zeros(v.shape, np.float32) for name, v in optimizer.state.items() if "/" in name}
            import_tensors(part, optimizer.state, own)
            self._other_slots[part] = other
            self._notes.pop(part, None)
            if starts_anew:
                self._notes[part] = _change_of_kind(part, optimizer, other)
        else:
            raise self._no_such_part(part)

    @property
    def notes(self) -> Sequence[str]:
        return list(self._notes.values())

    def reset_part(self, part: str) -> None:
        if part in self._networks:
            initialize(self._networks[part], self._seed)
            for trainer, optimizer in self._optimizers.items():
                if any(name.startswith(f"{part}/") for name in optimizer.variables):
                    optimizer.reset(f"{part}/")
                for name, tensor in self._other_slots.get(trainer, {}).items():
                    if name.partition("/")[2].startswith(f"{part}/"):
                        tensor[...] = 0.0
        elif part in self._optimizers:
            self._optimizers[part].reset()
            self._other_slots.pop(part, None)
        else:
            raise self._no_such_part(part)

    def _no_such_part(self, part: str) -> BadOption:
        return BadOption(f"The parts of {self.name} are {', '.join(self.part_names)}. Received: {part}.")

    # ---------------------------------------------------------------------------------------------------- the drawing

    def reconstruct(self, src: np.ndarray, dst: np.ndarray) -> Reconstruction:
        return Reconstruction(*self._in_portions(self._redraw, (3, 1, 3, 1, 3, 1), src, dst))

    def predict(self, faces: np.ndarray) -> list[Prediction]:
        drawn, src_masks, dst_masks = self._in_portions(self._swap, (3, 1, 1), faces)
        return [
            Prediction(face, src_mask[..., 0], dst_mask[..., 0])
            for face, src_mask, dst_mask in zip(drawn, src_masks, dst_masks, strict=True)
        ]

    def _redrawn(self, src: Tensor, dst: Tensor) -> list[Tensor]:
        drawn = self._autoencoder.redraw(unit(src), unit(dst))
        return [drawn.src, drawn.src_mask, drawn.dst, drawn.dst_mask, *self._autoencoder.draw_swap(drawn.swap_code)]

    def _swapped(self, dst: Tensor) -> list[Tensor]:
        swapped = self._autoencoder.swap(unit(dst))
        return [swapped.face, swapped.src_mask, swapped.dst_mask]

    def _in_portions(self, forward: Any, channels: Sequence[int], *faces: np.ndarray) -> list[np.ndarray]:
        """Runs any number of faces in portions of 1, 2, 4, 8 or 16, so that few graphs are ever compiled.

        Args:
            channels: of the outputs of `forward`.
        """
        side = (self.resolution, self.resolution, 3)
        for array in faces:
            if array.shape[1:] != side or array.dtype not in (np.uint8, np.float32) or len(array) != len(faces[0]):
                raise ValueError(f"Faces are (N, {side}) uint8 or float32, as many of each. Received: {array.shape}.")
        count = len(faces[0])
        largest = min(_LARGEST_PORTION, 1 << (_PIXELS_PER_PORTION // self.resolution**2).bit_length() - 1)
        portions: list[list[np.ndarray]] = []
        for start in range(0, count, largest):
            real = min(largest, count - start)
            size = 1 << (real - 1).bit_length()
            padded = [np.resize(array[start : start + real], (size, *side)) for array in faces]
            portions.append([output[:real] for output in forward(*padded)])
        if not portions:
            return [np.zeros((0, self.resolution, self.resolution, c), np.float32) for c in channels]
        return [np.concatenate(column) for column in zip(*portions, strict=True)]


def unit(image: Tensor) -> Tensor:
    """uint8 0..255 or float32 [0, 1] -> float32 [0, 1]."""
    if keras.backend.standardize_dtype(image.dtype) == "uint8":
        return ops.cast(image, "float32") / 255.0
    return image


def _slots_of_others(optimizer: Optimizer, tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Those that another kind of optimizer accumulated for the same variables; they are kept for its return."""
    places = {
        f"{slot}/{name}": tuple(variable.shape)
        for slot in _SLOTS
        if slot not in optimizer.slot_names
        for name, variable in optimizer.variables.items()
    }
    return {name: np.array(tensor) for name, tensor in tensors.items() if places.get(name) == tensor.shape}


def _change_of_kind(part: str, optimizer: Optimizer, other: Mapping[str, np.ndarray]) -> str:
    """In words: the moments of the other kind are no use to this one."""
    former = " and ".join(dict.fromkeys(_SLOTS[name.partition("/")[0]] for name in other))
    return f"What {type(optimizer).__name__} remembers starts at zero ({part}); what {former} remembers is kept."
