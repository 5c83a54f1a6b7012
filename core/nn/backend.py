"""What differs between the frameworks that Keras runs on, as one protocol, and the choice of its implementation.

Each framework has one small file, `core/nn/backend_<name>.py`, with these functions at its top level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Protocol

import numpy as np

from core.errors import BadOption
from core.nn.chatter import held_back
from core.nn.framework import Tensor, keras
from core.nn.optimizers import Optimizer
from core.nn.steps import Device, Objective, StepResult


class Backend(Protocol):
    """Devices, compiled forward passes, compiled updates."""

    def list_devices(self) -> list[Device]:
        """All processors the framework can use: the CPU first, then the GPUs in its own order."""

    def placed_on(self, device: Device) -> AbstractContextManager[Any]:
        """Variables made and eager operations run inside live on this device."""

    def compile_forward(self, function: Callable[..., Any], device: Device) -> Callable[..., list[np.ndarray]]:
        """Compiles a function of arrays into one from NumPy arrays to a list of NumPy arrays; one graph per shape."""

    def convolve(
        self, x: Tensor, kernel: Tensor, bias: Tensor, *, strides: int, margin: int, slope: float, to_space: bool
    ) -> Tensor:
        """leaky((N, H, W, in) by (k, k, in, out) + bias), to space where wanted, of x's type.

        `margin` zeros lie on each side of the picture; the result is (N, floor((H + 2*margin - k) / strides) + 1, ...,
        out), or twice as high and wide with a quarter of the channels (`core.nn.layers.depth_to_space`). It may be
        computed by whatever is fastest on the device of the step that is being compiled.
        """

    def leaky(self, x: Tensor, slope: float) -> Tensor:
        """max(x, slope * x), 0 < slope <= 1."""

    def compile_step(
        self,
        objective: Objective,
        optimizers: Mapping[str, Optimizer],
        devices: Sequence[Device],
        home: Device | None = None,
    ) -> Callable[[Mapping[str, np.ndarray]], StepResult]:
        """Compiles one update: objective, gradients, optimizers; nothing changes when anything is not finite.

        The objective runs once and gives one total for each optimizer, by the same names; the gradients of a total are
        taken of what its optimizer trains, and all updates are made from the weights as they were before. Settings
        and frozen parts are those that the optimizers have now: where they change, compile anew.

        With several devices the batch is split among them, each computes its share with the same weights, and the
        shares' gradients are averaged. `home` is where the variables live and are updated, else the first device; the
        others work on copies of the weights.
        """


@cache
def active_backend() -> Backend:
    """The implementation for the framework that Keras runs on. Raises BadOption where FaceLoom has none for it."""
    name = keras.backend.backend()
    if name != "tensorflow":
        raise BadOption(
            f"FaceLoom runs its networks on TensorFlow. Received: KERAS_BACKEND={name}.",
            "Unset KERAS_BACKEND or set it to tensorflow.",
        )
    with held_back():
        from core.nn import backend_tensorflow
    return backend_tensorflow
