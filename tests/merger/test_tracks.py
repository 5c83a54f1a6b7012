"""Settings over time: what lies between keys."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from core.errors import BadOption
from merger.tracks import (
    DISSOLVING,
    Key,
    check_dissolve,
    check_key,
    curve_at,
    following,
    mixture_at,
    settled,
    shifted,
    value_at,
)


def test_before_the_first_key_a_setting_is_what_it_is_without_keys_and_a_key_holds_up_to_the_next() -> None:
    keys = [Key(3, 10), Key(6, -4)]
    assert [value_at(keys, frame, 0) for frame in range(9)] == [0, 0, 0, 10, 10, 10, -4, -4, -4]
    assert value_at([], 5, "overlay") == "overlay"


def test_a_linear_key_changes_evenly() -> None:
    keys = [Key(0, 0, "linear"), Key(4, 10), Key(6, 0)]
    assert [value_at(keys, frame, 7) for frame in range(8)] == [0, 2.5, 5, 7.5, 10, 10, 0, 0]


def test_a_single_smooth_step_eases_in_and_out() -> None:
    # 3 t^2 - 2 t^3 at quarters: 0, 5/32, 1/2, 27/32, 1.
    keys = [Key(10, 0, "smooth"), Key(14, 32)]
    assert [value_at(keys, frame, 0) for frame in range(10, 15)] == [0, 5, 16, 27, 32]


def test_inside_a_smooth_curve_the_slopes_are_those_of_the_published_method() -> None:
    frames, values = [0, 4, 10, 12, 20], [0.0, 3.0, 5.0, 30.0, 31.0]
    keys = [Key(f, v, "smooth") for f, v in zip(frames, values, strict=True)]
    judge = PchipInterpolator(frames, values)
    for frame in range(4, 13):  # the outer parts begin and end at rest, which the other implementation does not
        assert value_at(keys, frame, 0) == pytest.approx(float(judge(frame)), abs=1e-9)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(-50, 50)), min_size=2, max_size=8),
    st.sampled_from(["linear", "smooth"]),
)
def test_no_value_lies_beyond_the_keys_around_it(steps: list[tuple[int, int]], curve: str) -> None:
    frames = np.cumsum([length for length, _ in steps])
    keys = [Key(int(frame), value, curve) for frame, (_, value) in zip(frames, steps, strict=True)]
    for first, last in pairwise(keys):
        between = [value_at(keys, frame, 0) for frame in range(first.frame, last.frame + 1)]
        assert (between[0], between[-1]) == (first.value, last.value)
        low, high = sorted((first.value, last.value))
        assert all(low - 1e-9 <= value <= high + 1e-9 for value in between)
        changes = np.diff(between)
        assert (changes >= -1e-9).all() or (changes <= 1e-9).all()


@pytest.mark.parametrize("curve", ["linear", "smooth"])
def test_nothing_changes_across_a_cut(curve: str) -> None:
    keys = [Key(0, 0, curve), Key(10, 100, curve), Key(14, 0, curve)]
    assert [value_at(keys, frame, 0, cuts=[5]) for frame in (0, 4, 5, 9, 10)] == [0, 0, 0, 0, 100]
    assert 0 < value_at(keys, 12, 0, cuts=[5]) < 100  # both keys lie in one scene
    assert value_at(keys, 5, 0) == pytest.approx(50, abs=20)  # linked: no cut is named
    assert value_at(keys, 9, 0, cuts=[10]) == 0  # the cut is where the key is


def test_a_smooth_curve_does_not_look_beyond_a_cut_for_its_slope() -> None:
    alone = [Key(10, 0, "smooth"), Key(14, 32)]
    with_neighbor = [Key(0, -100, "smooth"), *alone]
    assert [value_at(with_neighbor, n, 0, cuts=[10]) for n in range(10, 15)] == [0, 5, 16, 27, 32]


def test_keys_are_checked() -> None:
    assert check_key("mask_mode", 4) == ("learned-prd*learned-dst", "hold")
    assert check_key("erode_mask", -400, "smooth") == (-400, "smooth")
    assert check_key("masked_hist_match", False) == (False, "hold")
    for name, value, curve, said in [
        ("erode_mask", 401, "hold", "Received: 401"),
        ("mode", "overlay", "linear", "only hold"),
        ("masked_hist_match", True, "smooth", "only hold"),
        ("erode_mask", 0, "wavy", "Received: wavy"),
        ("zoom", 1, "hold", "Received: zoom"),
    ]:
        with pytest.raises(BadOption, match=said):
            check_key(name, value, curve)


def test_kernels_have_whole_sizes_and_other_numbers_decimals() -> None:
    assert settled("erode_mask", 3.6) == 4
    assert settled("output_face_scale", 3.6) == 3.6
    whole = settled("output_face_scale", 4.0)
    assert whole == 4
    assert isinstance(whole, int)
    assert settled("morph_factor", 1.0) == 1.0
    assert settled("mode", "overlay") == "overlay"


def test_steps_end_at_the_limits() -> None:
    assert shifted("erode_mask", 398, 5) == 400
    assert shifted("blur_mask", 0, -1) == 0
    assert shifted("output_face_scale", 3.7, 1) == 5


def test_words_follow_each_other_in_a_circle() -> None:
    assert following("sharpen_mode", "gaussian") == "none"
    assert following("mask_mode", "full") == "dst"
    assert following("mask_mode", "learned-prd+learned-dst", ["XSeg-prd", "XSeg-dst"]) == "XSeg-prd*XSeg-dst"


def test_a_key_put_into_a_curve_carries_the_curve_on() -> None:
    keys = [Key(0, 0, "linear"), Key(10, 10)]
    assert [curve_at(keys, frame) for frame in (0, 5, 10, 20)] == ["linear", "linear", "hold", "hold"]
    assert curve_at(keys, 5, cuts=[3]) == "hold"
    assert curve_at([], 5) == "hold"


def shares(keys: list[Key], frames: range, cuts: tuple[int, ...] = ()) -> list[dict[str, float]]:
    return [dict(mixture_at(keys, frame, [("old", 1.0)], cuts)) for frame in frames]


def test_a_word_dissolves_in_even_steps_and_half_way_it_is_half() -> None:
    keys = [Key(4, "new", dissolve=3)]
    assert shares(keys, range(3, 9)) == [
        {"old": 1},
        {"new": 0.25, "old": 0.75},
        {"new": 0.5, "old": 0.5},
        {"new": 0.75, "old": 0.25},
        {"new": 1},
        {"new": 1},
    ]
    assert shares([Key(4, "new")], range(3, 5)) == [{"old": 1}, {"new": 1}]
    assert shares([Key(4, "new", dissolve=1)], range(4, 6)) == [{"new": 0.5, "old": 0.5}, {"new": 1}]


def test_one_dissolve_goes_on_under_the_next() -> None:
    keys = [Key(2, "a", dissolve=3), Key(4, "b", dissolve=1)]
    assert shares(keys, range(3, 6)) == [
        {"a": 0.5, "old": 0.5},
        {"b": 0.5, "a": 0.375, "old": 0.125},
        {"b": 1},
    ]
    assert shares([Key(2, "a"), Key(4, "a", dissolve=9)], range(4, 6)) == [{"a": 1}, {"a": 1}]


def test_nothing_dissolves_across_a_cut_nor_into_a_scene() -> None:
    keys = [Key(4, "new", dissolve=7)]
    assert shares(keys, range(5, 8), (6,)) == [{"new": 0.25, "old": 0.75}, {"new": 1}, {"new": 1}]
    assert shares(keys, range(4, 6), (4,)) == [{"new": 1}, {"new": 1}]
    assert shares([Key(0, "new", dissolve=5)], range(2)) == [{"new": 1}, {"new": 1}]


def test_only_words_that_are_seen_as_a_whole_dissolve() -> None:
    assert [check_dissolve(name, 12) for name in DISSOLVING] == [12] * 4
    assert check_dissolve("erode_mask", 0) == 0
    for name, frames in (("erode_mask", 3), ("compat", 1), ("mode", -1), ("mode", 251), ("mode", 2.5), ("mode", True)):
        with pytest.raises(BadOption, match="Received"):
            check_dissolve(name, frames)  # type: ignore[arg-type]
