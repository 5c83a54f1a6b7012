"""What chance does to one training sample: drawn once, written down, and applied by pure functions elsewhere.

The dice are thrown in a fixed order whatever the settings, so that turning one kind of augmentation on or off leaves
the numbers of all others as they were.

Numbers (source: spec samples-and-colour 4.6, 5.1 and 7): rotation +-10 degrees, shift +-5 % of the side; scale between
1 / (1 - low) and 1 + high; flips for one half of the samples (legacy: 0.4).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np

from core.color import COLOR_TRANSFER_MODES
from core.errors import BadOption
from facelib.face_type import FaceType
from samplelib.random_warp import draw_displacement

FLIP_PROBABILITY = 0.5
LEGACY_FLIP_PROBABILITY = 0.4


@dataclass(frozen=True)
class SampleSettings:
    """What the samples of one side look like.

    Attributes:
        resolution: side R of the square the network sees, in pixels.
        face_type: framing the network sees.
        rotation_range: radians, counter-clockwise above 0.
        scale_range: (low, high): the face is scaled by a factor between 1 / (1 - low) and 1 + high.
        shift_range: of x and of y, parts of the side.
        flip: mirror half of the samples.
        warp: distort the network's input.
        legacy_warp: distort as DeepFaceLab does, with its faults (see `samplelib/random_warp.py`).
        hsv_power: 0..1, how far hue, saturation and value of the input may shift.
        color_transfer: one of `core.color.COLOR_TRANSFER_MODES`.
        eyes_mouth: prepare the mask of eyes and mouth too.
        uniform_yaw: deal the faces out evenly over directions of view.
    """

    resolution: int
    face_type: FaceType
    rotation_range: tuple[float, float] = (-math.radians(10.0), math.radians(10.0))
    scale_range: tuple[float, float] = (-0.05, 0.05)
    shift_range: tuple[float, float] = (-0.05, 0.05)
    flip: bool = False
    warp: bool = True
    legacy_warp: bool = False
    hsv_power: float = 0.0
    color_transfer: str = "none"
    eyes_mouth: bool = False
    uniform_yaw: bool = False

    def __post_init__(self) -> None:
        if self.resolution < 16:
            raise BadOption(f"A resolution is at least 16 pixels. Received: {self.resolution}.")
        if self.color_transfer not in COLOR_TRANSFER_MODES:
            modes = ", ".join(COLOR_TRANSFER_MODES)
            raise BadOption(f"The color transfer is one of {modes}. Received: {self.color_transfer}.")
        if not 0.0 <= self.hsv_power <= 1.0:
            raise BadOption(f"The HSV power lies between 0 and 1. Received: {self.hsv_power}.")
        for name, (low, high) in (
            ("rotation", self.rotation_range),
            ("scale", self.scale_range),
            ("shift", self.shift_range),
        ):
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise BadOption(f"The {name} range goes from its lower to its higher end. Received: {low} .. {high}.")
        if self.scale_range[0] >= 1.0 or self.scale_range[1] <= -1.0:
            raise BadOption(f"A scale range stays within -1 and 1. Received: {self.scale_range}.")


@dataclass(frozen=True, eq=False)
class Augmentation:
    """Everything chance has to say about one sample.

    Attributes:
        rotation: radians, counter-clockwise.
        scale: factor, above 1 the face gets larger.
        shift: (x, y), parts of the side.
        flip: mirrored left to right.
        displacement: pushes of the warp lattice, (n + 1, n + 1, 2) float32 parts of the side; None: no warp.
        legacy_warp: how `displacement` is meant.
        hsv_shift: (hue in degrees, saturation, value); None: colors stay.
        donor: index of the face that lends its colors; None: nobody does.
        color_seed: of the random directions of a color transfer.
    """

    rotation: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    flip: bool = False
    displacement: np.ndarray | None = None
    legacy_warp: bool = False
    hsv_shift: tuple[float, float, float] | None = None
    donor: int | None = None
    color_seed: int = 0

    def face_to_network(self, side: int) -> np.ndarray:
        """The turn, scale, shift and flip as a matrix between squares of `side` pixels: float64 (2, 3).

        The face turns about (side // 2, side // 2). Source: spec samples-and-colour 5.1.
        """
        a = self.scale * math.cos(self.rotation)
        b = self.scale * math.sin(self.rotation)
        center = side // 2
        matrix = np.array(
            [
                [a, b, (1.0 - a) * center - b * center + self.shift[0] * side],
                [-b, a, b * center + (1.0 - a) * center + self.shift[1] * side],
            ]
        )
        if self.flip:
            matrix[0] = -matrix[0]
            matrix[0, 2] += side - 1
        return matrix

    def to_json(self) -> str:
        """One line that `from_json` turns back into the same augmentation, to the last bit."""
        displacement = None if self.displacement is None else self.displacement.tolist()
        return json.dumps({**self.__dict__, "displacement": displacement})

    @classmethod
    def from_json(cls, line: str) -> Augmentation:
        """The augmentation that `to_json` wrote down."""
        fields = json.loads(line)
        fields["shift"] = tuple(fields["shift"])
        if fields["displacement"] is not None:
            fields["displacement"] = np.array(fields["displacement"], np.float32)
        if fields["hsv_shift"] is not None:
            fields["hsv_shift"] = tuple(fields["hsv_shift"])
        return cls(**fields)


UNCHANGED = Augmentation()
"""The face as it is."""


def draw_augmentation(rng: np.random.Generator, settings: SampleSettings, donor: int | None = None) -> Augmentation:
    """Throws the dice for one sample.

    Args:
        rng: a generator of this sample's own.
        donor: the face whose colors are lent, chosen by the order of donors.
    """
    rotation = rng.uniform(*settings.rotation_range)
    low, high = settings.scale_range
    scale = rng.uniform(1.0 / (1.0 - low), 1.0 + high)
    shift = (rng.uniform(*settings.shift_range), rng.uniform(*settings.shift_range))
    flip_probability = LEGACY_FLIP_PROBABILITY if settings.legacy_warp else FLIP_PROBABILITY
    flip = bool(rng.random() < flip_probability)
    hsv_shift = _draw_hsv_shift(rng, settings.hsv_power)
    color_seed = int(rng.integers(1 << 32))
    displacement = draw_displacement(rng, settings.legacy_warp)
    return Augmentation(
        rotation=float(rotation),
        scale=float(scale),
        shift=shift,
        flip=flip and settings.flip,
        displacement=displacement if settings.warp else None,
        legacy_warp=settings.legacy_warp,
        hsv_shift=hsv_shift if settings.hsv_power > 0.0 else None,
        donor=donor if settings.color_transfer != "none" else None,
        color_seed=color_seed,
    )


def _draw_hsv_shift(rng: np.random.Generator, power: float) -> tuple[float, float, float]:
    """Whole degrees of hue within +-180 power (at least 1), saturation and value within +-power / 2."""
    hue_limit = max(1, int(360 * power * 0.5))
    hue = int(rng.integers(-hue_limit, hue_limit + 1))
    return float(hue), float(rng.uniform(-power / 2, power / 2)), float(rng.uniform(-power / 2, power / 2))
