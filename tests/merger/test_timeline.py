"""Settings of every frame out of keys, cuts and faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from core.errors import BadOption
from merger.ledger import Ledger
from merger.settings import WHOLE_FRAME, MergeSettings
from merger.timeline import Timeline


def timeline(count: int = 10, cuts: tuple[int, ...] = (), **base: Any) -> Timeline:
    settings = MergeSettings(**{"mode": "overlay", "mask_mode": "dst", **base})
    return Timeline(count, settings, Ledger({("cut", frame): True for frame in cuts}))


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


# ------------------------------------------------------------- faces of one frame, and settings that dissolve


def words(line: Timeline, frame: int, faces: Sequence[int] = (0,)) -> list[tuple[float, list[tuple[str, str]]]]:
    return [(share, [(one.mode, one.mask_mode) for one in own]) for share, own in line.renderings(frame, faces)]


def test_what_is_done_to_the_whole_frame_is_no_faces_own() -> None:
    line = timeline()
    for name in WHOLE_FRAME:
        value = "dfl" if name == "compat" else 40
        line.set_key("x", name, 2, value, "hold", face=7)
        assert line.keys(name, 7) == []
        assert {getattr(line.settings_at(3, face), name) for face in (0, 1, 7)} == {value}
    line.spread("x", 4, 6, {"image_denoise_power": 9, "erode_mask": 3}, 7, pin=True)
    assert [line.settings_at(4, face).image_denoise_power for face in (0, 7)] == [9, 9]
    assert [line.settings_at(4, face).erode_mask for face in (0, 7)] == [0, 3]
    line.ledger.change("by hand", {("key", 7, "image_denoise_power", 0): (77, "hold")})
    assert line.settings_at(0, 7).image_denoise_power == 0


def test_a_square_is_of_the_whole_frame() -> None:
    line = timeline()
    line.set_key("x", "mode", 0, "seamless", "hold", face=2)
    with pytest.raises(BadOption, match="raw-predict for face 2"):
        line.set_key("x", "mode", 3, "raw-predict", "hold", face=2)
    line.ledger.change("by hand", {("key", 2, "mode", 3): ("raw-predict", "hold")})
    assert [line.settings_at(frame, 2).mode for frame in (2, 3)] == ["seamless", "overlay"]
    line.spread("x", 5, 10, {"mode": "raw-predict"}, pin=False)
    line.set_key("x", "erode_mask", 5, 9, "hold", face=2)
    assert line.settings_at(6, 2) == line.settings_at(6)
    assert line.spread("x", 5, 6, {"mode": "raw-predict"}, 2, pin=False) is False


def test_settings_that_dissolve_together_are_two_renderings() -> None:
    line = timeline()
    line.set_key("x", "mode", 2, "seamless", "hold", dissolve=3)
    line.set_key("x", "mask_mode", 2, "full", "hold", dissolve=3)
    assert words(line, 1) == [(1.0, [("overlay", "dst")])]
    assert words(line, 3) == [(0.5, [("seamless", "full")]), (0.5, [("overlay", "dst")])]
    assert words(line, 5) == [(1.0, [("seamless", "full")])]
    assert line.settings_at(2).mode == "seamless"


def test_settings_that_dissolve_one_after_the_other_are_more() -> None:
    line = timeline()
    line.set_key("x", "mode", 2, "seamless", "hold", dissolve=3)
    line.set_key("x", "mask_mode", 3, "full", "hold", dissolve=3)
    assert words(line, 3, (0, 5)) == [
        (0.25, [("seamless", "full")] * 2),
        (0.25, [("seamless", "dst")] * 2),
        (0.5, [("overlay", "dst")] * 2),
    ]
    for frame in range(10):
        assert sum(share for share, _ in line.renderings(frame, (0, 5))) == pytest.approx(1)


def test_one_face_dissolves_and_the_other_does_not() -> None:
    line = timeline()
    line.set_key("x", "mode", 4, "seamless", "hold", face=2, dissolve=1)
    assert words(line, 4, (1, 2)) == [
        (0.5, [("overlay", "dst"), ("seamless", "dst")]),
        (0.5, [("overlay", "dst"), ("overlay", "dst")]),
    ]
    assert words(line, 4, (1,)) == [(1.0, [("overlay", "dst")])]


def test_what_is_not_seen_needs_no_second_rendering_and_a_square_none_at_all() -> None:
    line = timeline()
    line.set_key("x", "sharpen_mode", 1, "gaussian", "hold")
    line.set_key("x", "sharpen_mode", 4, "box", "hold", dissolve=4)
    line.set_key("x", "sharpen_mode", 6, "gaussian", "hold", dissolve=6)
    for frame in range(line.count):  # no amount is sharpened
        assert line.renderings(frame, (0,)) == [(1.0, [line.settings_at(frame)])]
    line.set_key("x", "blursharpen_amount", 0, 20, "hold")
    assert len(line.renderings(5, (0,))) == 2
    line.set_key("x", "mode", 5, "raw-predict", "hold", dissolve=4)
    assert words(line, 6) == [(1.0, [("raw-predict", "dst")])]


def test_scenes_that_are_linked_do_not_dissolve_into_each_other_either() -> None:
    line = timeline(cuts=(5,))
    line.link(True)
    line.set_key("x", "mode", 4, "seamless", "hold", dissolve=4)
    assert [len(line.renderings(frame, (0,))) for frame in (4, 5, 6)] == [2, 1, 1]


def test_keys_keep_their_dissolve_and_new_ones_take_the_one_that_is_asked_for() -> None:
    line = timeline()
    line.spread("x", 3, 4, {"mode": "seamless", "erode_mask": 2}, pin=True, dissolve=6)
    assert [key.dissolve for key in line.keys("mode")] == [6, 0]
    assert [key.dissolve for key in line.keys("erode_mask")] == [0, 0]
    line.spread("x", 3, 4, {"mode": "hist-match"}, pin=True)
    assert [(key.value, key.dissolve) for key in line.keys("mode")] == [("hist-match", 6), ("overlay", 0)]
    with pytest.raises(BadOption, match="Received: erode_mask"):
        line.set_key("x", "erode_mask", 1, 1, "hold", dissolve=3)


def test_what_one_face_has_of_its_own_is_replaced_or_taken_away_alone() -> None:
    line = timeline()
    line.set_key("x", "erode_mask", 0, 3, "hold")
    line.set_key("x", "erode_mask", 0, 5, "hold", face=1)
    line.set_key("x", "erode_mask", 0, 7, "hold", face=2)
    line.replace_keys(
        "x", {2: {"erode_mask": 3, "mode": "seamless", "image_denoise_power": 9}, 4: {"mode": "seamless"}}, 2
    )
    assert erosions(line, 2)[:4] == [3, 3, 3, 3]
    assert [key.frame for key in line.keys("mode", 2)] == [2]
    assert line.settings_at(5).image_denoise_power == 0
    assert erosions(line, 1) == [5] * 10
    line.remove_tracks(1)
    assert erosions(line, 1) == [3] * 10
    assert line.faces_of_their_own() == [2]
    assert line.remove_tracks(0) is False
