"""RMSprop and AdaBelief with learning-rate dropout, as pure functions of tensors. Source: spec models 4.

An optimizer holds what it remembers (accumulators, the number of updates, the seed of its chance) as variables and
computes new values of everything in `updated`; the backend's file compiles that and assigns the results. Epsilon is
1e-6, outside the square root; no bias correction; clipping is by the norm over all gradients together.

Learning-rate dropout keeps each scalar's update with probability p; the accumulators always move. The choice is a
hash of (seed, iteration, variable, position): no state, the same on every device, and an interrupted run continues
with the very choices it would have made.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.nn.framework import Tensor, keras, ops

EPSILON = 1e-6


@dataclass(frozen=True)
class OptimizerSettings:
    """How updates are made.

    Attributes:
        learning_rate: size of an update.
        keep_probability: share of the scalars that an update reaches; 1 switches learning-rate dropout off.
        clip_norm: largest norm of all gradients together; 0 = no limit.
        cosine_period: updates in which the rate swings from full to zero and back; 0 = constant.
    """

    learning_rate: float
    keep_probability: float = 1.0
    clip_norm: float = 0.0
    cosine_period: int = 0


class Optimizer(ABC):
    """Variables by name, and everything it takes to update them.

    Attributes:
        variables: what is trained, by "<part>/<tensor>".
        slots: for each word of `slot_names`, one accumulator per variable, by the same names.
        iterations: number of completed updates, int64.
        seed: seed of the learning-rate dropout, int64.
    """

    slot_names: ClassVar[tuple[str, ...]]

    def __init__(self, variables: Mapping[str, keras.Variable], settings: OptimizerSettings, seed: int) -> None:
        self.settings = settings
        self.variables = dict(variables)
        self.slots = {
            slot: {
                name: keras.Variable(np.zeros(v.shape, np.float32), trainable=False, autocast=False)
                for name, v in self.variables.items()
            }
            for slot in self.slot_names
        }
        self.iterations = keras.Variable(0, dtype="int64", trainable=False, autocast=False)
        self.seed = keras.Variable(seed, dtype="int64", trainable=False, autocast=False)

    @property
    def state(self) -> dict[str, keras.Variable]:
        """Everything remembered, by name: "iterations", "seed", and "<slot>/<part>/<tensor>"."""
        accumulators = {
            f"{slot}/{name}": variable for slot, named in self.slots.items() for name, variable in named.items()
        }
        return {"iterations": self.iterations, "seed": self.seed, **accumulators}

    def reset(self, prefix: str = "") -> None:
        """Zeroes the accumulators of the variables whose names begin with prefix; without one, the counter too."""
        for named in self.slots.values():
            for name, variable in named.items():
                if name.startswith(prefix):
                    variable.assign(np.zeros(variable.shape, np.float32))
        if not prefix:
            self.iterations.assign(0)

    def updated(
        self,
        values: Sequence[Tensor],
        slots: Sequence[Sequence[Tensor]],
        gradients: Sequence[Tensor],
        norm: Tensor,
        iteration: Tensor,
        seed: Tensor,
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        """New values and new slots; the old ones, to the bit, when the norm is not finite.

        Args:
            values: one tensor per variable, in the order of `variables`.
            slots: per word of `slot_names`, one tensor per variable.
            gradients: one tensor per variable.
            norm: sqrt of the sum of all gradients' squares, float32 scalar; NaN or infinite to keep all as it is.
            iteration, seed: int64 scalars.
        """
        finite = ops.isfinite(norm)
        clip = self.settings.clip_norm
        scale = ops.where(norm >= clip, clip / norm, 1.0) if clip > 0 else None
        rate = self._rate(iteration)
        new_values: list[Tensor] = []
        new_slots: list[list[Tensor]] = [[] for _ in slots]
        for number, (value, gradient) in enumerate(zip(values, gradients, strict=True)):
            old = [slot[number] for slot in slots]
            direction, new = self._direction(gradient if scale is None else gradient * scale, old)
            reached = finite
            if self.settings.keep_probability < 1.0:
                mask = keep_mask(value.shape, self.settings.keep_probability, seed, iteration, number)
                reached = ops.logical_and(mask, finite)
            new_values.append(ops.where(reached, value - rate * direction, value))
            for k, (before, after) in enumerate(zip(old, new, strict=True)):
                new_slots[k].append(ops.where(finite, after, before))
        return new_values, new_slots

    def _rate(self, iteration: Tensor) -> Tensor | float:
        """The learning rate of this update; the cosine's argument comes from an integer, never from a large float."""
        period = self.settings.cosine_period
        if not period:
            return self.settings.learning_rate
        phase = ops.cast(ops.mod(iteration, period), "float32") * (2.0 * math.pi / period)
        return self.settings.learning_rate * (ops.cos(phase) + 1.0) / 2.0

    @abstractmethod
    def _direction(self, gradient: Tensor, slots: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """What to subtract from a variable at rate 1, and its new slots."""


class RMSprop(Optimizer):
    """a <- 0.9 a + 0.1 g^2; the update is g / (sqrt(a) + eps)."""

    slot_names = ("acc",)

    def _direction(self, gradient: Tensor, slots: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        accumulator = 0.9 * slots[0] + 0.1 * ops.square(gradient)
        return gradient / (ops.sqrt(accumulator) + EPSILON), [accumulator]


class AdaBelief(Optimizer):
    """m <- 0.9 m + 0.1 g; v <- 0.999 v + 0.001 (g - m)^2 with the new m; the update is m / (sqrt(v) + eps).

    Source: Zhuang et al. 2020, "AdaBelief Optimizer", here without bias correction.
    """

    slot_names = ("ms", "vs")

    def _direction(self, gradient: Tensor, slots: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        mean = 0.9 * slots[0] + 0.1 * gradient
        variance = 0.999 * slots[1] + 0.001 * ops.square(gradient - mean)
        return mean / (ops.sqrt(variance) + EPSILON), [mean, variance]


def keep_mask(shape: Sequence[int], probability: float, seed: Tensor, iteration: Tensor, number: int) -> Tensor:
    """Booleans of a shape, each True with the given probability (to 2^-32), by a hash of everything named.

    Position and key go through the finalizer of MurmurHash3 with a second key in its middle, so that no two
    iterations see the same sequence at a shift. All in int32, which wraps alike everywhere.
    """
    first = _mix(_int32(seed) + _signed(0x9E3779B9 * (number + 1)))
    first = _mix(first ^ _int32(iteration))
    second = _mix(first + _signed(0x7F4A7C15))
    h = ops.arange(math.prod(shape), dtype="int32") * _signed(0x9E3779B1) + first
    h = (h ^ _shifted(h, 16)) * _signed(0x85EBCA6B) + second
    h = (h ^ _shifted(h, 13)) * _signed(0xC2B2AE35)
    h = h ^ _shifted(h, 16)
    limit = round(probability * 2**32) - 2**31
    return ops.reshape(h < limit, tuple(shape))


def _mix(h: Tensor) -> Tensor:
    """The finalizer of MurmurHash3 on int32."""
    h = (h ^ _shifted(h, 16)) * _signed(0x85EBCA6B)
    h = (h ^ _shifted(h, 13)) * _signed(0xC2B2AE35)
    return h ^ _shifted(h, 16)


def _shifted(h: Tensor, bits: int) -> Tensor:
    """Logical right shift of int32: the arithmetic one with the sign's copies cleared."""
    return ops.bitwise_and(ops.right_shift(h, bits), (1 << (32 - bits)) - 1)


def _int32(x: Tensor) -> Tensor:
    """The low 32 bits."""
    return ops.cast(x, "int32")


def _signed(bits: int) -> int:
    """The int32 with these low 32 bits."""
    return (bits + 2**31) % 2**32 - 2**31
