"""What goes into and comes out of compiled training steps, and what a device is: words shared by all backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.nn.framework import Tensor

Objective = Callable[[Mapping[str, Tensor]], tuple[Mapping[str, Tensor], Mapping[str, Tensor]]]
"""Batch arrays by name -> (a float32 scalar to minimize for each optimizer by name; scalars to report by name)."""


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
