"""Colors as older tools matched them: the classical formulas, also where those drew at random."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import classical_color
from merger.classical_color import match_colors, match_histograms
from tests.merger.scenes import disc
from tests.merger.test_color_match import SIDE, faces

EVERYWHERE = np.ones((SIDE, SIDE), np.float32)


def test_none_is_none() -> None:
    new, old = faces()
    assert match_colors("none", new, old, EVERYWHERE) is new


def test_masked_rct_counts_black_and_corrects_only_a_part() -> None:
    """Source: spec samples-and-colour 8.2: at a masked share f the mean becomes (1 - f) mA sB' / sA' + f mB."""
    new, old = faces()
    area = (disc(SIDE, 0.3) > 0.5).astype(np.float32)
    share = area.mean()
    inside = area > 0
    result = cv2.cvtColor(match_colors("rct", new, old, area), cv2.COLOR_BGR2Lab)[inside].mean(axis=0)
    a, b = (cv2.cvtColor(p, cv2.COLOR_BGR2Lab).astype(np.float64) for p in (new, old))
    for channel in range(1):  # a and b may leave the gamut
        x, y = a[inside][:, channel], b[inside][:, channel]
        spread = [np.sqrt(share * (v.var() + v.mean() ** 2) - share**2 * v.mean() ** 2) for v in (x, y)]
        expected = (1 - share) * x.mean() * spread[1] / spread[0] + share * y.mean()
        assert result[channel] == pytest.approx(expected, abs=1.0)


def test_a_flat_face_does_not_blow_up() -> None:
    _, old = faces()
    flat = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    assert np.isfinite(match_colors("rct", flat, old, EVERYWHERE)).all()


@pytest.mark.parametrize("mode", ["lct", "mkl"])
def test_linear_forms_have_no_bound(mode: str) -> None:
    new, old = faces()
    flat = 0.4 + 0.05 * new
    form = classical_color.linear if mode == "lct" else classical_color.monge_kantorovich
    expected = form(flat, old, np.ones((SIDE, SIDE), bool))
    assert match_colors(mode, flat, old, EVERYWHERE) == pytest.approx(expected, abs=2e-3)
    assert match_colors(mode, flat, old, EVERYWHERE).std() > 5 * flat.std()


@pytest.mark.parametrize("mode", ["idt", "idt-m", "sot-m", "mix-m"])
def test_what_was_drawn_at_random_is_the_classical_form_to_the_bit(mode: str) -> None:
    """With everything outside the mask black in both faces, and sot smoothed over 16 pixels at every resolution."""
    new, old = faces(7)
    area = (disc(SIDE, 0.4) > 0.5).astype(np.float32)
    form: Any = {
        "idt": classical_color.distribution,
        "sot": classical_color.transport,
        "mix": classical_color.mix,
    }[mode.removesuffix("-m")]
    seen = [p * area[..., None] if mode.endswith("-m") else p for p in (new, old)]
    expected = np.clip(form(*seen, np.random.default_rng(0)), 0, 1)
    assert np.array_equal(match_colors(mode, new, old, area), expected)


@pytest.mark.parametrize("threshold", [255, 200, 0])
def test_histograms(threshold: int) -> None:
    new, old = faces()
    expected = classical_color.histograms(new, old, threshold, bins=None)
    assert match_histograms(new, old, threshold) == pytest.approx(expected, abs=1e-5)
