"""The exact rate of a video, from the time stamps of its frames."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

_NTSC = Fraction(1000, 1001)
STANDARD_RATES = (
    *(Fraction(n) for n in (24, 25, 30, 48, 50, 60, 100, 120, 240, 12, 15, 10, 8, 6, 5, 4, 3, 2, 1, 72, 75, 90, 144)),
    *(n * _NTSC for n in (24, 30, 48, 60, 120, 15)),
    Fraction(25, 2),
)
"""Rates that cameras, discs and screens use; preferred when the clock of a file is too coarse to tell."""

_LAYOUT_RATES = tuple(Fraction(n) for n in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 24, 25, 30, 48, 50, 60, 100, 120, 240))
_DROPPED_SHARE = 0.01


def fit_rate(times: list[int], time_base: Fraction, hint: float) -> tuple[Fraction, bool]:
    """The rate that puts frame k of a video at `times[0] + k / rate`, within one tick or one millisecond.

    (A millisecond: files that went through Matroska carry its coarse clock on inside a finer one.)

    Args:
        times: ascending time stamps in ticks.
        time_base: seconds per tick.
        hint: the rate of the file's description, rounded to two decimals; decides when several rates fit.

    Returns:
        (rate, True); or, when no rate fits, (`layout_rate`, False).
    """
    ticks = np.asarray(times, np.float64)
    if len(ticks) < 2 or ticks[-1] == ticks[0]:
        hinted = min(STANDARD_RATES, key=lambda r: abs(float(r) - hint))
        near = abs(float(hinted) - hint) < 0.01
        return (hinted if near else Fraction(str(hint)) if hint > 0 else Fraction(25)), True
    spacing = np.diff(ticks)
    base = float(time_base)
    if spacing.min() == spacing.max() and base < 2e-4:
        return 1 / (int(spacing[0]) * time_base), True
    mean = (len(ticks) - 1) / ((ticks[-1] - ticks[0]) * base)
    candidates = {r for r in STANDARD_RATES if abs(float(r) / mean - 1) < 0.02}
    candidates |= {Fraction(mean).limit_denominator(d) for d in (1, 10, 1001)}
    fitting = []
    for rate in candidates:
        if rate <= 0:
            continue
        offset = ticks - ticks[0] - np.arange(len(ticks)) / (float(rate) * base)
        deviation = float(offset.max() - offset.min())  # a constant shift is only the rounding of the first stamp
        if deviation <= max(1.0, 1e-3 / base) * (1 + 1e-6):
            fitting.append((abs(float(rate) - hint) > 0.006, rate not in STANDARD_RATES, deviation, rate))
    if fitting:
        return min(fitting)[-1], True
    return layout_rate((ticks - ticks[0]) * base), False


def layout_rate(seconds: np.ndarray) -> Fraction:
    """The constant rate for frames of varying spacing: the lowest usual rate that drops at most one frame in a hundred.

    Between a whole rate and its 1000/1001 neighbor, the one nearer to the spacings of about that length.

    Args:
        seconds: (N,) float64, N >= 2, ascending, the first is 0.
    """
    rate = next((r for r in _LAYOUT_RATES if dropped_frames(seconds, r) <= _DROPPED_SHARE * len(seconds)), None)
    if rate is None:
        return _LAYOUT_RATES[-1]
    spacing = np.diff(seconds)
    near = spacing[np.abs(spacing * float(rate) - 1) < 0.1]
    if rate in (24, 30, 48, 60, 120) and len(near):
        own = 1 / float(near.mean())
        if abs(own - float(rate * _NTSC)) < abs(own - float(rate)) - 1e-3:
            return rate * _NTSC
    return rate


def dropped_frames(seconds: np.ndarray, rate: Fraction) -> int:
    """How many frames share their place on the grid of `rate` with a later one.

    Args:
        seconds: (N,) float64, ascending, the first is 0.
    """
    places = np.floor(seconds * float(rate) + 0.5)
    return int(np.count_nonzero(np.diff(places) <= 0))
