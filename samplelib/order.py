"""Whose turn it is: the face for the g-th sample of a stream, as a pure function of seed and g.

Nothing is kept between calls but a cache: any process can name any sample's face, and training resumes anywhere.
Source: spec samples-and-colour 3.3 and 10.4.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

import numpy as np

YAW_LIMIT = 1.2
"""Radians; faces turned further share the outermost bins, where 68 flat landmarks tell no more."""

YAW_BINS = 128


class Stream(IntEnum):
    """Independent sources of chance; the numbers are part of every recorded training and never change."""

    ORDER_SRC = 1
    ORDER_DST = 2
    DONOR_SRC = 3
    DONOR_DST = 4
    AUGMENTATION_SRC = 5
    AUGMENTATION_DST = 6


def keyed_rng(seed: int, stream: int, *place: int) -> np.random.Generator:
    """A generator that depends on nothing but its arguments (Philox, counter-based).

    Args:
        seed: 0 .. 2^64 - 1.
        stream: which source of chance.
        place: up to three numbers 0 .. 2^64 - 1: sample number, epoch, bin.
    """
    counter = np.zeros(4, np.uint64)
    counter[1 : 1 + len(place)] = place
    return np.random.Generator(np.random.Philox(counter=counter, key=np.array([seed, stream], np.uint64)))


class Order(Protocol):
    """An endless sequence of face indices."""

    def index(self, number: int) -> int:
        """The face of sample `number` >= 0."""
        ...


class PlainOrder:
    """Shuffled epochs: every face once, in an order of its own each time."""

    def __init__(self, count: int, seed: int, stream: int) -> None:
        self._shuffle = _Shuffles(count, seed, stream)

    def index(self, number: int) -> int:
        return self._shuffle.at(number)


class UniformYawOrder:
    """Each direction of view as often as any other: first a yaw bin, then a face in it, both in shuffled epochs.

    Bins are equal steps of yaw between -1.2 and 1.2 radians; empty ones are left out.

    Args:
        yaws: (N,) radians; not-a-number counts as a front view.
    """

    def __init__(self, yaws: np.ndarray, seed: int, stream: int) -> None:
        bins = yaw_bins(yaws)
        self._members = [np.flatnonzero(bins == number) for number in np.unique(bins)]
        self._bins = _Shuffles(len(self._members), seed, stream)
        self._faces = [
            _Shuffles(len(members), seed, stream, 1 + number) for number, members in enumerate(self._members)
        ]

    def index(self, number: int) -> int:
        chosen = self._bins.at(number)
        bin_epoch = number // len(self._members)
        return int(self._members[chosen][self._faces[chosen].at(bin_epoch)])


def yaw_bins(yaws: np.ndarray) -> np.ndarray:
    """The bin 0..127 of each yaw in radians; bin 0 looks furthest to image-left.

    With s = -yaw and edges g_k = -1.2 + k 2.4 / 127: bin 0 is s < g_1, bin k is g_k <= s < g_k+1, bin 127 is s >= 1.2.
    Source: spec samples-and-colour 3.3.
    """
    edges = np.linspace(-YAW_LIMIT, YAW_LIMIT, YAW_BINS)
    return np.searchsorted(edges[1:], -np.nan_to_num(np.asarray(yaws, np.float64)), side="right")


class _Shuffles:
    """Endless shuffled epochs over 0..count-1; the last two epochs looked at are kept."""

    def __init__(self, count: int, seed: int, stream: int, part: int = 0) -> None:
        self._count = count
        self._key = (seed, stream, part)
        self._epochs: dict[int, np.ndarray] = {}

    def at(self, number: int) -> int:
        epoch, rank = divmod(number, self._count)
        if self._count == 1:
            return 0
        if epoch not in self._epochs:
            while len(self._epochs) >= 2:
                del self._epochs[next(iter(self._epochs))]
            seed, stream, part = self._key
            self._epochs[epoch] = keyed_rng(seed, stream, epoch, part).permutation(self._count)
        return int(self._epochs[epoch][rank])
