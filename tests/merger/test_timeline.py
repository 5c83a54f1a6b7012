"""Settings of every frame out of keys, cuts and faces."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import BadOption
from merger.ledger import Ledger
from merger.settings import MergeSettings
from merger.timeline import Timeline


def timeline(count: int = 10, cuts: tuple[int, ...] = (), **base: Any) -> Timeline:
    return Timeline(count, MergeSettings(**base), Ledger({("cut", frame): True for frame in cuts}))


def erosions(line: Timeline, face: int = 0) -> list[int]:
    return [line.settings_at(frame, face).erode_mask for frame in range(line.count)]


def test_without_keys_every_frame_has_what_the_timeline_began_with() -> None:
    line = timeline(erode_mask=3)
    assert all(line.settings_at(frame) is line.base for frame in range(10))


def test_frames_with_equal_settings_share_one_object() -> None:
    line = timeline()
    line.spread("x", 2, 5, {"erode_mask": 4, "mode": "seamless"}, pin=True)
    assert line.settings_at(2) is line.settings_at(4)
    assert line.settings_at(5) is line.base
    assert (line.settings_at(3).erode_mask, line.settings_at(3).mode) == (4, "seamless")


def test_what_comes_after_follows_or_keeps_what_it_has() -> None:
    line = timeline()
    line.spread("x", 3, 4, {"erode_mask": 5}, pin=False)
    assert erosions(line) == [0, 0, 0, 5, 5, 5, 5, 5, 5, 5]
    line.spread("x", 6, 7, {"erode_mask": 9}, pin=True)
    assert erosions(line) == [0, 0, 0, 5, 5, 5, 9, 5, 5, 5]
    line.spread("x", 3, 4, {"erode_mask": 1}, pin=False)
    assert erosions(line) == [0, 0, 0, 1, 1, 1, 9, 5, 5, 5]


def test_keys_that_change_nothing_go_away() -> None:
    line = timeline()
    line.spread("x", 3, 4, {"erode_mask": 5}, pin=True)
    assert [key.frame for key in line.keys("erode_mask")] == [3, 4]
    line.spread("x", 3, 4, {"erode_mask": 0}, pin=True)
    assert line.keys("erode_mask") == []
    assert not line.spread("x", 3, 4, {"erode_mask": 0}, pin=True)


def test_a_key_put_into_a_moving_curve_leaves_the_rest_of_it() -> None:
    line = timeline()
    line.set_key("x", "output_face_scale", 0, 0, "linear")
    line.set_key("x", "output_face_scale", 8, 8, "hold")
    line.spread("x", 4, 5, {"output_face_scale": 6}, pin=False)
    assert [line.value("output_face_scale", frame) for frame in (0, 2, 4, 6, 8)] == [0, 3, 6, 7, 8]
    line.spread("x", 2, 3, {"output_face_scale": 0}, pin=True)
    assert [line.value("output_face_scale", frame) for frame in (2, 3, 4)] == [0, 4.5, 6]
    assert isinstance(line.value("output_face_scale", 4), int)


def test_a_wide_spread_takes_the_keys_it_covers() -> None:
    line = timeline()
    for frame in (0, 2, 4, 6):
        line.set_key("x", "erode_mask", frame, frame, "hold")
    line.spread("x", 1, 5, {"erode_mask": 50}, pin=True)
    assert erosions(line) == [0, 50, 50, 50, 50, 4, 6, 6, 6, 6]
    line.spread("x", 2, 10, {"erode_mask": 7}, pin=False)
    assert erosions(line) == [0, 50, 7, 7, 7, 7, 7, 7, 7, 7]


def test_nothing_leads_across_a_cut_unless_scenes_are_linked() -> None:
    line = timeline(cuts=(5,))
    line.set_key("x", "output_face_scale", 0, 0, "linear")
    line.set_key("x", "output_face_scale", 8, 40, "hold")
    assert [line.value("output_face_scale", frame) for frame in range(10)] == [0] * 8 + [40, 40]
    line.link(True)
    assert [line.value("output_face_scale", frame) for frame in (0, 4, 5, 8)] == [0, 20, 25, 40]
    line.link(False)
    line.change_cuts(not_here=[5])
    assert line.value("output_face_scale", 4) == 20


def test_scenes_are_what_lies_between_cuts() -> None:
    line = timeline(cuts=(4, 7))
    assert line.scenes == [range(4), range(4, 7), range(7, 10)]
    assert [line.scene_of(frame).start for frame in (0, 3, 4, 6, 7, 9)] == [0, 0, 4, 4, 7, 7]
    assert not line.change_cuts([0, 10])  # the shot begins and ends anyway
    assert timeline(1).scenes == [range(1)]


def test_a_face_may_have_tracks_of_its_own() -> None:
    line = timeline()
    line.set_key("x", "erode_mask", 0, 1, "hold")
    line.set_key("x", "erode_mask", 5, 2, "hold")
    line.set_key("x", "blur_mask", 0, 30, "hold")
    line.spread("x", 3, 4, {"erode_mask": 9}, 7, pin=True)
    assert erosions(line, face=7) == [1, 1, 1, 9, 1, 1, 1, 1, 1, 1]
    assert erosions(line, face=8) == erosions(line) == [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    assert line.settings_at(3, 7).blur_mask == 30
    assert line.faces_of_their_own() == [7]


def test_single_keys_are_put_moved_copied_and_removed() -> None:
    line = timeline()
    line.set_key("x", "erode_mask", 2, 5, "smooth")
    line.move_key("erode_mask", 2, 4)
    line.move_key("erode_mask", 4, 8, copy=True)
    assert [(key.frame, key.value, key.curve) for key in line.keys("erode_mask")] == [
        (4, 5, "smooth"),
        (8, 5, "smooth"),
    ]
    assert line.key_frames() == [4, 8]
    assert not line.move_key("erode_mask", 4, 4)
    with pytest.raises(BadOption, match="Received: 5"):
        line.move_key("erode_mask", 5, 6)
    assert line.remove_keys(4)
    assert line.key_frames() == [8]
    line.pin_all(3)
    assert [(key.frame, key.value, key.curve) for key in line.keys("erode_mask")] == [(3, 0, "hold"), (8, 5, "smooth")]


def test_settings_of_a_later_version_are_kept_and_passed_over() -> None:
    line = Timeline(3, MergeSettings(), Ledger({("key", 0, "sparkle", 1): (5, "hold")}))
    assert line.settings_at(2) is line.base
    assert ("key", 0, "sparkle", 1) in line.ledger.entries
