"""Exact rates from rounded time stamps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from core.video.timing import dropped_frames, fit_rate, layout_rate

MILLISECONDS = Fraction(1, 1000)


@pytest.mark.parametrize("text", ["24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "12.5", "15"])
def test_matroska_milliseconds_give_the_exact_rate(text: str) -> None:
    rate = Fraction(text)
    times = [round(1000 * k / rate) for k in range(200)]
    assert fit_rate(times, MILLISECONDS, round(float(rate), 2)) == (rate, True)


@pytest.mark.parametrize("text", ["24000/1001", "30000/1001", "25", "997/33"])
def test_a_fine_clock_gives_any_rate_exactly(text: str) -> None:
    rate = Fraction(text)
    times = [1000 + k * rate.denominator for k in range(50)]
    assert fit_rate(times, Fraction(1, rate.numerator), 0.0) == (rate, True)


def test_a_few_frames_are_decided_by_the_description() -> None:
    times = [0, 42, 83, 125]  # fits 24 and 24000/1001 alike
    assert fit_rate(times, MILLISECONDS, 23.98) == (Fraction(24000, 1001), True)
    assert fit_rate(times, MILLISECONDS, 24.0) == (Fraction(24), True)


def test_one_frame_has_the_rate_of_its_description() -> None:
    assert fit_rate([0], MILLISECONDS, 29.97) == (Fraction(30000, 1001), True)


def test_a_gap_makes_the_spacing_vary() -> None:
    times = [k * 40 for k in range(20)] + [k * 40 + 500 for k in range(20, 40)]
    assert fit_rate(times, MILLISECONDS, 25.0) == (Fraction(25), False)


def test_layout_rate_keeps_ninety_nine_frames_of_a_hundred() -> None:
    half_30_half_15 = np.cumsum([0.0] + [1 / 30] * 100 + [1 / 15] * 100)
    assert layout_rate(half_30_half_15) == 30
    assert dropped_frames(half_30_half_15, Fraction(30)) == 0
    assert dropped_frames(half_30_half_15, Fraction(15)) == 50


def test_layout_rate_tells_30_from_its_television_neighbor() -> None:
    gap = [0.0] * 60 + [0.4] * 60
    assert layout_rate(np.arange(120) * 1.001 / 30 + gap) == Fraction(30000, 1001)
    assert layout_rate(np.arange(120) / 30 + gap) == 30


def test_layout_rate_forgives_a_shaking_clock() -> None:
    shaken = np.arange(300) / 30 + np.random.default_rng(7).uniform(-0.004, 0.004, 300)
    assert layout_rate(shaken - shaken[0]) in (30, Fraction(30000, 1001))
