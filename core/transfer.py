"""Transfer functions: from the codes a video stores to linear light and back, named as ffmpeg names their tags.

A code is R'G'B' in [0, 1]; light is linear: of "arib-std-b67" and the camera curves the share of the light that gives
code 1, of "smpte2084", which is absolute, 1 stands for 100 cd/m². Sources: Recommendations ITU-R BT.709-6, BT.2020-2,
BT.2100-2; SMPTE 240M, ST 428-1, ST 2084; IEC 61966-2-1, 61966-2-4.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]

REFERENCE_NITS = 100.0
"""cd/m² of linear 1.0 where a curve is absolute."""


def _camera(slope: float, linear_until: float, gain: float, exponent: float) -> _Curve:
    """The inverse of code = slope light up to `linear_until`, then gain light^exponent - (gain - 1)."""

    def light(code: NDArray[np.float64]) -> NDArray[np.float64]:
        upper = np.power((np.maximum(code, 0.0) + (gain - 1)) / gain, 1 / exponent)
        return np.where(code < slope * linear_until, code / slope, upper)

    return light


def _power(exponent: float) -> _Curve:
    return lambda code: np.power(np.maximum(code, 0.0), exponent)


def _logarithmic(decades: float) -> _Curve:
    return lambda code: np.where(code <= 0, 0.0, np.power(10.0, (code - 1) * decades))


def _perceptual_quantizer(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """ST 2084, equation 4.1: the light in units of `REFERENCE_NITS`."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = np.power(np.clip(code, 0.0, 1.0), 1 / m2)
    return np.power(np.maximum(root - c1, 0.0) / (c2 - c3 * root), 1 / m1) * (10000.0 / REFERENCE_NITS)


def _hybrid_log_gamma(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2100, table 5: the inverse of the camera's curve, scene light in [0, 1]."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)


_BT709 = _camera(4.5, 0.018053968510807, 1.09929682680944, 0.45)  # the exact constants, where both pieces meet
_CURVES: dict[str, _Curve] = {
    "bt709": _BT709,
    "smpte170m": _BT709,
    "bt2020-10": _BT709,
    "bt2020-12": _BT709,
    "iec61966-2-4": _BT709,
    "bt1361e": _BT709,
    "smpte240m": _camera(4.0, 0.0228, 1.1115, 0.45),
    "iec61966-2-1": _camera(12.92, 0.0031308, 1.055, 1 / 2.4),
    "bt470m": _power(2.2),
    "gamma22": _power(2.2),
    "bt470bg": _power(2.8),
    "gamma28": _power(2.8),
    "smpte428": lambda code: np.power(np.maximum(code, 0.0), 2.6) * (52.37 / 48),
    "log100": _logarithmic(2.0),
    "log316": _logarithmic(2.5),
    "linear": lambda code: code,
    "smpte2084": _perceptual_quantizer,
    "arib-std-b67": _hybrid_log_gamma,
}

TRANSFERS = tuple(_CURVES)
"""Tags whose curve is known here."""

_LEVELS = {8: 256, 16: 65536}


def light_of_levels(transfer: str, depth: int) -> NDArray[np.float32]:
    """(2^depth,) float32: the light of every code of this depth (8 or 16 bits, full range).

    A picture becomes linear by indexing: `light_of_levels("bt709", 16)[picture]`.

    Raises:
        KeyError: the curve is not one of TRANSFERS.
    """
    levels = _LEVELS[depth]
    return _light(transfer, levels).astype(np.float32)


@lru_cache(maxsize=4)
def levels_of_halves(transfer: str) -> NDArray[np.uint16]:
    """(65536,) uint16: the 16-bit code of every half float, the way back of `light_of_levels`.

    A linear picture becomes codes by indexing: `levels_of_halves("bt709")[halves.view(np.uint16)]`. Light beyond black
    and white ends there; what is no number is black.

    Raises:
        KeyError: the curve is not one of TRANSFERS.
    """
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64)
    light = np.maximum.accumulate(_light(transfer, 65536))  # where a standard rounds its constants, pieces may overlap
    codes = np.rint(np.interp(np.nan_to_num(halves, nan=0.0), light, np.arange(65536))).astype(np.uint16)
    codes.flags.writeable = False  # all who ask are given the same
    return codes


def have_same_curve(one: str, other: str) -> bool:
    """Whether two tags of TRANSFERS mean the same curve, as those of BT.709 and BT.2020 do."""
    return one == other or np.array_equal(light_of_levels(one, 8), light_of_levels(other, 8))


def _light(transfer: str, levels: int) -> NDArray[np.float64]:
    return _CURVES[transfer](np.arange(levels) / (levels - 1))
