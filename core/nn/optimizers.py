"""RMSprop and AdaBelief with learning-rate dropout, as pure functions of tensors. Source: spec models 4.

An optimizer holds what it remembers (accumulators, the number of updates, the seed of its chance) as variables, and
computes what one trained variable becomes in `updated`; the backend's file compiles that and assigns the results.
Epsilon is 1e-6, outside the square root; no bias correction; clipping is by the norm over all gradients together.

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
        settings: how updates are made.
        frozen: prefixes of names ("inter_AB/") that get no update for now and whose accumulators do not move.
        variables: what can be trained, by "<part>/<tensor>".
        slots: for each word of `slot_names`, one accumulator per variable, by the same names.
        iterations: number of completed updates, int64.
        seed: seed of the learning-rate dropout, int64.
    """

    slot_names: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        variables: Mapping[str, keras.Variable],
        settings: OptimizerSettings,
        seed: int,
        frozen: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.frozen = tuple(frozen)
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
    def trained(self) -> dict[str, keras.Variable]:
        """The variables that are not frozen."""
        return {name: v for name, v in self.variables.items() if not name.startswith(self.frozen)}

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
        value: Tensor,
        slots: Sequence[Tensor],
        gradient: Tensor,
        norm: Tensor,
        iteration: Tensor,
        seed: Tensor,
        number: Tensor | int,
    ) -> tuple[Tensor, list[Tensor]]:
        """The new value and slots of one variable; the old ones, to the bit, when the norm is not finite.

        Args:
            value, gradient: float32 of the variable's shape.
            slots: one tensor of that shape for each word of `slot_names`.
            norm: sqrt of the sum of the squares of all variables' gradients, float32 scalar.
            iteration, seed: int64 scalars.
            number: the variable's place in `variables`, int64 scalar.
        """
        finite = ops.isfinite(norm)
        if self.settings.clip_norm > 0:
            gradient = gradient * ops.where(norm >= self.settings.clip_norm, self.settings.clip_norm / norm, 1.0)
        direction, new_slots = self._direction(gradient, slots)
        reached = finite
        if self.settings.keep_probability < 1.0:
            mask = keep_mask(value.shape, self.settings.keep_probability, seed, iteration, number)
            reached = ops.logical_and(mask, finite)
        new_value = ops.where(reached, value - self._rate(iteration) * direction, value)
        return new_value, [ops.where(finite, new, old) for new, old in zip(new_slots, slots, strict=True)]

    def _rate(self, iteration: Tensor) -> Tensor | float:
        """The learning rate of this update; the cosine's argument comes from an integer, never from a large float."""
        period = self.settings.cosine_period
        if not period:
            return self.settings.learning_rate
        phase = ops.cast(ops.mod(iteration, period), "float32") * (2.0 * math.pi / period)
        return self.settings.learning_rate * (ops.cos(phase) + 1.0) / 2.0

    @abstractmethod
    def _direction(self, gradient: Tensor, slots: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """What to subtract from a variable at rate 1, and its new slots."""


class RMSprop(Optimizer):
    """a <- 0.9 a + 0.1 g^2; the update is g / (sqrt(a) + eps)."""

    slot_names = ("acc",)

    def _direction(self, gradient: Tensor, slots: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        accumulator = 0.9 * slots[0] + 0.1 * ops.square(gradient)
        return gradient / (ops.sqrt(accumulator) + EPSILON), [accumulator]


class AdaBelief(Optimizer):
    """m <- 0.9 m + 0.1 g; v <- 0.999 v + 0.001 (g - m)^2 with the new m; the update is m / (sqrt(v) + eps).

    Source: Zhuang et al. 2020, "AdaBelief Optimizer", here without bias correction.
    """

    slot_names = ("ms", "vs")

    def _direction(self, gradient: Tensor, slots: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        mean = 0.9 * slots[0] + 0.1 * gradient
        variance = 0.999 * slots[1] + 0.001 * ops.square(gradient - mean)
        return mean / (ops.sqrt(variance) + EPSILON), [mean, variance]


def keep_mask(
    shape: Sequence[int], probability: float, seed: Tensor, iteration: Tensor, number: Tensor | int
) -> Tensor:
    """Booleans of a shape, each True with the given probability (to 2^-32), by a hash of everything named.

    Position and key go through the finalizer of MurmurHash3 with a second key in its middle, so that no two
    iterations see the same sequence at a shift. All in int32, which wraps alike everywhere.
    """
    first = _mix(_int32(seed) + (_int32(number) + 1) * _signed(0x9E3779B9))
    first = _mix(first ^ _int32(iteration))
    second = _mix(first + _signed(0x7F4A7C15))
    h = first
    for axis, length in reversed(list(enumerate(shape))):  # a range over all would be a constant as large as the mask
        steps = ops.arange(length, dtype="int32") * _signed(math.prod(shape[axis + 1 :]) * 0x9E3779B1)
        h = h + ops.reshape(steps, (length, *[1] * (len(shape) - axis - 1)))
    h = (h ^ _shifted(h, 16)) * _signed(0x85EBCA6B) + second
    h = (h ^ _shifted(h, 13)) * _signed(0xC2B2AE35)
    h = h ^ _shifted(h, 16)
    limit = round(probability * 2**32) - 2**31
    return h < limit


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
