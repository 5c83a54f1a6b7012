"""The rectangle that is laid over a face by hand: placed by the pointer, sized by the wheel, turned by keys."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SMALL = 40.0
"""Half sizes, in frame pixels, up to which the view is magnified and the rectangle grows pixel by pixel."""

_SMALLEST = 5.0


@dataclass(frozen=True)
class FaceRectangle:
    """A square in a frame.

    Attributes:
        center, half_size: frame pixels.
        turn: radians, clockwise.
    """

    center: tuple[float, float]
    half_size: float = 100.0
    turn: float = 0.0

    @property
    def corners(self) -> NDArray[np.float64]:
        """(4, 2), frame pixels, clockwise from its top left."""
        along = self.half_size * np.array([math.cos(self.turn), math.sin(self.turn)])
        down = np.array([-along[1], along[0]])
        return np.array(self.center) + np.stack([-along - down, along - down, along + down, down - along])

    @property
    def box(self) -> NDArray[np.float64]:
        """(4,): left, top, right, bottom of the square before it is turned."""
        return np.array([*self.center, *self.center]) + self.half_size * np.array([-1, -1, 1, 1])

    def grown(self, steps: int) -> FaceRectangle:
        """Larger by steps of the wheel, below 0 smaller. A step is a pixel, or a tenth of a large one, 10 at most."""
        size = self.half_size
        for _ in range(abs(steps)):
            step = 1.0 if size <= SMALL else min(max(size / 10, 1.0), 10.0)
            size = max(_SMALLEST, size + math.copysign(step, steps))
        return replace(self, half_size=size)

    def turned(self, steps: int) -> FaceRectangle:
        """By steps of 15 degrees, clockwise above 0."""
        return replace(self, turn=math.remainder(self.turn + math.radians(15 * steps), 2 * math.pi))
