"""Transfer functions against figures of the standards that define them."""

from __future__ import annotations

import numpy as np
import pytest

from core.transfer import TRANSFERS, have_same_curve, levels_of_halves, light_of_levels


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("depth", [8, 16])
def test_black_is_black_white_is_white_and_nothing_falls(transfer: str, depth: int) -> None:
    light = light_of_levels(transfer, depth)
    assert light.shape == (1 << depth,)
    assert light.dtype == np.float32
    assert light[0] == pytest.approx(0, abs=1e-6) or transfer.startswith("log")
    whites = {"smpte2084": 100.0, "smpte428": 52.37 / 48}  # in units of 100 cd/m2; in units of the reference white
    assert light[-1] == pytest.approx(whites.get(transfer, 1.0), rel=1e-5)
    # Where a standard rounds the constants of its two pieces they meet within this.
    assert np.diff(light).min() >= -2e-4


@pytest.mark.parametrize(
    ("transfer", "code", "light"),
    [
        ("bt709", 0.08, 0.08 / 4.5),
        ("bt709", 0.409008, 0.18),  # 1.099 * 0.18 ^ 0.45 - 0.099
        ("bt2020-10", 0.409008, 0.18),
        ("iec61966-2-1", 0.04, 0.04 / 12.92),
        ("iec61966-2-1", 0.461356, 0.18),
        ("bt470m", 0.5, 0.217638),  # 0.5 ^ 2.2
        ("bt470bg", 0.5, 0.143587),  # 0.5 ^ 2.8
        ("smpte2084", 0.751827, 10.0),  # 1000 cd/m2 lie at code 0.7518 (ST 2084, BT.2408)
        ("smpte2084", 0.580689, 2.03),  # BT.2408: reference white, 203 cd/m2, at 58 %
        ("arib-std-b67", 0.75, 0.265),  # BT.2408: HLG's reference white at 75 %
        ("linear", 0.3, 0.3),
        ("log100", 0.5, 0.1),
    ],
)
def test_known_points(transfer: str, code: float, light: float) -> None:
    assert light_of_levels(transfer, 16)[round(code * 65535)] == pytest.approx(light, rel=1e-3)


def test_an_unknown_curve_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        light_of_levels("bt1886-ish", 8)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_light_in_half_floats_becomes_the_codes_it_was_made_of(transfer: str) -> None:
    """As exactly as half floats tell codes apart: the code that comes back has the very same half float; and 10-bit
    video comes back as it was, but for light so weak that half floats have no 11 bits for it."""
    light = light_of_levels(transfer, 16)
    halves = light.astype(np.float16)
    codes = levels_of_halves(transfer)[halves.view(np.uint16)]
    steps = np.abs(halves[codes].view(np.int16).astype(int) - halves.view(np.int16))
    # 240M's pieces overlap, for its constants are rounded: there two codes have one light.
    assert (steps <= (0 if transfer != "smpte240m" else 1)).mean() > 0.999
    assert steps.max() <= (1 if transfer != "smpte240m" else 8)
    of_ten_bits = np.round(np.arange(1024) / 1023 * 65535).astype(int)
    back = np.round(codes[of_ten_bits] / 65535 * 1023)
    seen = light[of_ten_bits] >= 2.0**-14
    assert seen.sum() > (1024 - 50)
    assert np.array_equal(back[seen], np.arange(1024)[seen])


def test_light_beyond_the_codes_ends_there() -> None:
    beyond = np.array([-1, -0.0, 7, np.inf, -np.inf, np.nan], np.float16)
    assert levels_of_halves("bt709")[beyond.view(np.uint16)].tolist() == [0, 0, 65535, 65535, 0, 0]
    bright = np.array([10, 100, 101], np.float16)
    assert levels_of_halves("smpte2084")[bright.view(np.uint16)] == pytest.approx([49271, 65535, 65535], abs=20)


def test_tags_of_one_curve() -> None:
    assert have_same_curve("bt709", "bt2020-10")
    assert have_same_curve("bt470m", "gamma22")
    assert not have_same_curve("bt709", "iec61966-2-1")
