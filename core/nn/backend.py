"""The one door to Keras: settles the environment before the framework loads, and finds the backend's own file.

Every module that builds or runs networks takes Keras from here (`from core.nn.backend import keras, ops`), so that
the first import, wherever it happens, sees the same settings. What differs between backends (devices, gradients,
compilation) lies in one file each, `core/nn/backend_<name>.py`, with the functions of the `Backend` protocol.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from core.errors import BadOption

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # the framework's chatter; its warnings and errors stay

import keras  # noqa: E402
from keras import ops  # noqa: E402

if TYPE_CHECKING:
    from core.nn.optimizers import Optimizer

__all__ = ["Backend", "Device", "Objective", "StepResult", "active_backend", "keras", "ops"]

Tensor = Any
"""A tensor of whichever framework Keras runs on."""

Objective = Callable[[Mapping[str, Tensor]], tuple[Tensor, Mapping[str, Tensor]]]
"""Batch arrays by name -> (the scalar to minimize, float32; scalars to report by name)."""


@dataclass(frozen=True)
class Device:
    """One processor that networks can run on.

    Attributes:
        name: the backend's word for it, e.g. "CPU:0" or "GPU:1".
        kind: "cpu" or "gpu".
        index: its number among the devices of its kind.
        description: what it calls itself, e.g. "NVIDIA H200".
        memory_bytes: its memory, None where it does not say.
    """

    name: str
    kind: str
    index: int
    description: str
    memory_bytes: int | None


@dataclass(frozen=True)
class StepResult:
    """What one update reports: scalars by name, and whether losses and gradients were finite (if not: no update)."""

    reported: dict[str, float]
    finite: bool


class Backend(Protocol):
    """What each `core/nn/backend_<name>.py` provides."""

    def list_devices(self) -> list[Device]:
        """All processors the framework can use: the CPU first, then the GPUs in its own order."""

    def placed_on(self, device: Device) -> AbstractContextManager[Any]:
        """Variables made and eager operations run inside live on this device."""

    def compile_forward(self, function: Callable[..., Any], device: Device) -> Callable[..., list[np.ndarray]]:
        """Compiles a function of arrays into one from NumPy arrays to a list of NumPy arrays; one graph per shape."""

    def compile_step(
        self, objective: Objective, optimizer: Optimizer, devices: Sequence[Device]
    ) -> Callable[[Mapping[str, np.ndarray]], StepResult]:
        """Compiles one update: objective, gradients, optimizer; nothing changes when anything is not finite.

        With several devices the batch is split among them, each computes its share with the same weights, and the
        shares' gradients are averaged.
        """


@cache
def active_backend() -> Backend:
    """The backend file of the framework that Keras runs on. Raises BadOption where FaceLoom has none for it."""
    name = keras.backend.backend()
    if not (Path(__file__).parent / f"backend_{name}.py").is_file():
        raise BadOption(
            f"FaceLoom cannot run its networks on this Keras backend. Received: KERAS_BACKEND={name}.",
            "Unset KERAS_BACKEND or set it to tensorflow.",
        )
    module: Any = importlib.import_module(f"core.nn.backend_{name}")
    return module
