"""Two short clips painted from two public-domain portraits, so that FaceLoom can be shown without anybody's video.

The portraits ship inside packages FaceLoom needs anyway: `grace_hopper` (matplotlib; Grace Hopper, photograph of the
U.S. Navy) and `astronaut` (scikit-image; Eileen Collins, photograph of NASA). A clip moves a camera over one of them
(pan, zoom, roll), lets light wander, and bends the face smoothly: smile, brows, lids, mouth, and a nod and a turn of
the head by parallax. Nothing here looks for faces: where eyes and mouth lie in these pictures is written down below.
"""

from __future__ import annotations

import importlib.util
import math
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from core.errors import BrokenFile, MissingInput
from core.files import atomic_path
from core.images import read_image

FRAME_SIDE = 448
"""Width and height of a clip in pixels."""

_SAMPLE_RATE = 44100


@dataclass(frozen=True)
class Portrait:
    """A picture inside an installed package, and where its face lies. Points are (x, y) in pixels of the picture.

    Attributes:
        package, file: where it is.
        size: (width, height) the points belong to.
        eyes, brows, mouth_corners: the one on the left of the picture first.
        nose, lower_lip: the tip; the middle of its edge.
        center: what the camera looks at.
        zoom: frame pixels per picture pixel.
    """

    package: str
    file: str
    size: tuple[int, int]
    eyes: tuple[tuple[float, float], tuple[float, float]]
    brows: tuple[tuple[float, float], tuple[float, float]]
    mouth_corners: tuple[tuple[float, float], tuple[float, float]]
    nose: tuple[float, float]
    lower_lip: tuple[float, float]
    center: tuple[float, float]
    zoom: float

    @property
    def unit(self) -> float:
        """Distance of the eyes in pixels: what all displacements are measured in."""
        return math.dist(*self.eyes)


HOPPER = Portrait(
    package="matplotlib",
    file="mpl-data/sample_data/grace_hopper.jpg",
    size=(512, 600),
    eyes=((218.5, 192.2), (309.8, 187.2)),
    brows=((209.6, 170.1), (316.7, 164.3)),
    mouth_corners=((231.0, 277.3), (304.8, 273.8)),
    nose=(267.7, 237.2),
    lower_lip=(269.2, 289.7),
    center=(266.0, 250.0),
    zoom=1.12,
)

ASTRONAUT = Portrait(
    package="skimage",
    file="data/astronaut.png",
    size=(512, 512),
    eyes=((203.0, 100.8), (246.8, 103.0)),
    brows=((199.6, 88.7), (250.8, 91.0)),
    mouth_corners=((201.0, 139.0), (245.8, 141.1)),
    nose=(223.8, 126.4),
    lower_lip=(222.7, 155.3),
    center=(226.0, 152.0),
    zoom=1.75,
)


@dataclass(frozen=True)
class Moment:
    """How a clip looks at one time. Strengths are about -1 .. 1; 0 is the picture as it was taken."""

    smile: float
    brows: float
    lids: float
    mouth: float
    turn: float
    nod: float
    roll_radians: float
    zoom: float
    shift: tuple[float, float]
    light: float
    light_side: float


def moment_at(seconds: float, seed: int) -> Moment:
    """The look of a clip at a time; slow waves whose periods never meet, with phases drawn from `seed`."""
    phases = np.random.default_rng(seed).uniform(0, 2 * math.pi, 11)

    def wave_of(number: int, period_seconds: float) -> float:
        return math.sin(2 * math.pi * seconds / period_seconds + phases[number])

    return Moment(
        smile=wave_of(0, 2.3),
        brows=wave_of(1, 1.9),
        lids=max(0.0, wave_of(2, 1.3)) ** 6,
        mouth=max(0.0, wave_of(3, 1.1)),
        turn=wave_of(4, 3.1),
        nod=wave_of(5, 2.7),
        roll_radians=0.045 * wave_of(6, 3.7),
        zoom=1 + 0.04 * wave_of(7, 4.3),
        shift=(9.0 * wave_of(8, 3.3), 7.0 * wave_of(9, 2.9)),
        light=wave_of(10, 3.9),
        light_side=wave_of(4, 5.3),
    )


def displacement(portrait: Portrait, moment: Moment, points: np.ndarray) -> np.ndarray:
    """How far the face has moved at each point of the picture.

    Args:
        points: (H, W, 2) float32, x and y in pixels of the portrait.

    Returns:
        (H, W, 2) float32, in pixels of the portrait. Everything fades out smoothly; the background stays.
    """
    unit = portrait.unit
    across = np.subtract(portrait.eyes[1], portrait.eyes[0]) / unit
    down = np.array([-across[1], across[0]])
    moved = np.zeros_like(points)

    def bump(center: tuple[float, float], spread: float) -> np.ndarray:
        x, y = points[..., 0] - center[0], points[..., 1] - center[1]
        return np.exp(-(x * x + y * y) / (2 * (spread * unit) ** 2))[..., None]

    def push(center: tuple[float, float], spread: float, right: float, lower: float) -> None:
        direction = np.asarray(unit * (right * across + lower * down), np.float32)
        moved[...] += bump(center, spread) * direction

    for side, corner in zip((-1, 1), portrait.mouth_corners, strict=True):
        push(corner, 0.28, 0.07 * side * moment.smile, -0.07 * moment.smile)
    for brow in portrait.brows:
        push(brow, 0.33, 0.0, -0.06 * moment.brows)
    push(portrait.lower_lip, 0.3, 0.0, 0.08 * moment.mouth)
    push(portrait.nose, 0.65, 0.07 * moment.turn, 0.05 * moment.nod)  # what is nearer moves more: the head turns
    push(portrait.nose, 1.5, 0.06 * moment.turn, 0.05 * moment.nod)
    for eye in portrait.eyes:  # the lids come together: what lies above and below moves to the eye's middle
        above = (points - np.asarray(eye, np.float32)) @ down.astype(np.float32)
        moved -= bump(eye, 0.16) * (0.45 * moment.lids * above[..., None] * down.astype(np.float32))
    return moved


def paint_frame(picture: np.ndarray, portrait: Portrait, moment: Moment, side: int = FRAME_SIDE) -> np.ndarray:
    """One frame of a clip.

    Args:
        picture: (H, W, 3) uint8 BGR, the portrait.
        side: of the frame in pixels.

    Returns:
        (side, side, 3) uint8 BGR.
    """
    scale = FRAME_SIDE / side / (portrait.zoom * moment.zoom)
    cosine, sine = math.cos(moment.roll_radians) * scale, math.sin(moment.roll_radians) * scale
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) - (side - 1) / 2
    points = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)
    points += np.add(portrait.center, np.divide(moment.shift, portrait.zoom)).astype(np.float32)
    source = points - displacement(portrait, moment, points)
    frame = cv2.remap(picture, source[..., 0], source[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    gain = 1 + 0.07 * moment.light + 0.10 * moment.light_side * x[..., None] / (side / 2)
    return np.asarray(np.clip(frame * gain + 0.5, 0, 255), np.uint8)


def paint_clip(portrait: Portrait, frames: int, rate: Fraction, seed: int) -> Iterator[np.ndarray]:
    """The frames of a clip; the same seed paints the same clip."""
    picture = read_portrait(portrait)
    for number in range(frames):
        yield paint_frame(picture, portrait, moment_at(float(number / rate), seed))


def read_portrait(portrait: Portrait) -> np.ndarray:
    """The picture, (H, W, 3) uint8 BGR.

    Raises:
        MissingInput: its package is not installed, or does not hold it.
        BrokenFile: it is not the picture the points were measured in.
    """
    found = importlib.util.find_spec(portrait.package)
    folders = list(found.submodule_search_locations or []) if found else []
    path = Path(folders[0]) / portrait.file if folders else Path(portrait.file)
    if not path.is_file():
        raise MissingInput(
            f"The demo needs a picture of the package {portrait.package}: {path} is not there.", "Run the set-up again."
        )
    picture = read_image(path)
    if picture.shape[1::-1] != portrait.size:
        raise BrokenFile(path, f"{picture.shape[1]}x{picture.shape[0]} is another picture.", "Run the set-up again.")
    return picture


def write_music(path: Path, seconds: float) -> None:
    """A soft chord that changes every second, as 16-bit stereo WAV."""
    time = np.arange(round(seconds * _SAMPLE_RATE)) / _SAMPLE_RATE
    roots = 220.0 * 2 ** (np.array([0, 5, 7, 3])[time.astype(int) % 4] / 12)
    fade = np.minimum(1.0, 12 * (time % 1)) * np.exp(-1.5 * (time % 1))
    phase = 2 * math.pi * np.cumsum(roots) / _SAMPLE_RATE
    left = fade * (np.sin(phase) + 0.6 * np.sin(1.5 * phase))
    right = fade * (np.sin(phase) + 0.6 * np.sin(1.25 * phase))
    samples = np.round(np.stack([left, right], axis=1) * 0.2 * 32767).astype("<i2")
    with atomic_path(path) as unfinished, wave.open(str(unfinished), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(_SAMPLE_RATE)
        sound.writeframes(samples.tobytes())
