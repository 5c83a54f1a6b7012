"""A sitting at a shot: what is set where, what is rendered again, and how all of it is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from core.errors import BadOption
from merger.session import MergeSession, SessionFrame
from merger.settings import MergeSettings


def session(count: int = 6, cuts: Sequence[int] = (), tracks: Sequence[int] = (1,), **base: Any) -> MergeSession:
    frames = [SessionFrame(f"{n + 1:05d}.png", tuple((f"face {n} {t}", t) for t in tracks)) for n in range(count)]
    made = MergeSession(frames, MergeSettings(**base), cuts)
    made.ledger._clock = iter(range(1, 10_000_000)).__next__  # every step is one of its own
    return made


def render_all(made: MergeSession) -> list[int]:
    """Renders what has to be, and says what that was."""
    frames = made.unfinished()
    for frame in frames:
        made.rendered(frame)
    return sorted(frames)


def walk(made: MergeSession, to: int) -> MergeSession:
    """Steps there and back to the beginning, as a user who looks at every frame."""
    for _ in range(to):
        made.next_frame()
    for _ in range(to):
        made.previous_frame()
    return made


def erosions(made: MergeSession) -> list[int]:
    return [made.settings_at(frame).erode_mask for frame in range(len(made.frames))]


def test_everything_is_pending_at_first_and_nothing_once_rendered() -> None:
    made = session()
    assert {made.state_of(frame) for frame in range(6)} == {"pending"}
    assert render_all(made) == [0, 1, 2, 3, 4, 5]
    assert render_all(made) == []
    assert {made.state_of(frame) for frame in range(6)} == {"done"}


def test_a_change_goes_on_to_frames_that_were_not_visited() -> None:
    made = session()
    render_all(made)
    made.next_frame()
    made.set("erode_mask", 5)
    assert erosions(made) == [0, 5, 5, 5, 5, 5]
    assert render_all(made) == [1, 2, 3, 4, 5]


def test_a_change_leaves_visited_frames_as_they_are() -> None:
    made = walk(session(), 3)
    render_all(made)
    made.go(1)
    made.set("erode_mask", 5)
    assert erosions(made) == [0, 5, 0, 0, 0, 0]
    assert render_all(made) == [1]
    made.go(3)  # the last that was visited: from here it goes on
    made.set("erode_mask", 7)
    assert erosions(made) == [0, 5, 0, 7, 7, 7]


def test_jumping_ahead_and_back_is_no_visit_to_what_lies_between() -> None:
    made = session()
    made.go(5)
    made.go(1)
    made.set("erode_mask", 5)
    assert erosions(made) == [0, 5, 5, 5, 5, 5]


def test_the_next_frame_takes_the_settings_along_and_the_ones_behind_keep_theirs() -> None:
    made = walk(session(), 5)
    made.set("erode_mask", 5)
    render_all(made)
    assert made.next_with_settings()
    assert made.cursor == 1
    assert erosions(made) == [5, 5, 0, 0, 0, 0]
    assert render_all(made) == [1]


def test_all_later_frames_take_the_settings() -> None:
    made = walk(session(), 5)
    made.go(3)
    made.set("erode_mask", 9)
    made.go(1)
    made.set("erode_mask", 5)
    render_all(made)
    made.rest_with_settings()
    assert made.cursor == 2
    assert erosions(made) == [0, 5, 5, 5, 5, 5]
    assert render_all(made) == [2, 3, 4, 5]


def test_the_frame_before_or_all_of_them_take_the_settings() -> None:
    made = walk(session(), 5)
    made.go(3)
    made.set("erode_mask", 5)
    render_all(made)
    made.previous_with_settings()
    assert (made.cursor, erosions(made)) == (2, [0, 0, 5, 5, 0, 0])
    assert render_all(made) == [2]
    made.first_with_settings()
    assert (made.cursor, erosions(made)) == (0, [5, 5, 5, 5, 0, 0])
    assert render_all(made) == [0, 1]


def test_passed_frames_that_are_equal_already_are_not_rendered_again() -> None:
    made = session()
    made.set("erode_mask", 5)
    made.go(3)
    render_all(made)
    made.first_with_settings()
    made.rest_with_settings()
    assert render_all(made) == []


def test_the_ends_of_the_shot_are_ends() -> None:
    made = session(3)
    assert not made.previous_frame()
    assert not made.previous_with_settings()
    assert not made.first_with_settings()
    made.go(99)
    assert made.cursor == 2
    assert not made.next_with_settings()
    assert not made.rest_with_settings()
    alone = session(1)
    assert not alone.rest_with_settings()
    assert alone.set("erode_mask", 1)


def test_numbers_end_at_their_limits_and_words_go_round() -> None:
    made = session(erode_mask=399)
    assert made.shift("erode_mask", 5)
    assert made.settings.erode_mask == 400
    assert not made.shift("erode_mask", 5)
    assert len(made.ledger.done) == 1
    assert [made.cycle("sharpen_mode") and made.settings.sharpen_mode for _ in range(3)] == ["box", "gaussian", "none"]
    assert made.cycle("masked_hist_match")
    assert made.settings.masked_hist_match is False


def test_words_that_cannot_be_used_here_are_passed_over() -> None:
    made = session(mask_mode="learned-prd+learned-dst")
    made.unavailable = {"mask_mode": ["XSeg-prd", "XSeg-dst", "XSeg-prd*XSeg-dst"]}
    made.cycle("mask_mode")
    assert made.settings.mask_mode == "learned-prd*learned-dst*XSeg-prd*XSeg-dst"


def test_settings_that_do_not_reach_the_picture_render_nothing() -> None:
    made = session(mode="raw-rgb")
    render_all(made)
    made.set("blur_mask", 40)
    assert made.settings.blur_mask == 40
    assert render_all(made) == []


def test_landmarks_that_are_steadied_otherwise_render_all_but_the_classical_way() -> None:
    made = session()
    render_all(made)
    made.set("stabilize_landmarks", 0)
    assert render_all(made) == [0, 1, 2, 3, 4, 5]
    classical = session(compat="dfl")
    render_all(classical)
    classical.set("stabilize_landmarks", 0)
    assert render_all(classical) == []


def test_a_frame_that_was_changed_while_it_was_rendered_is_rendered_again() -> None:
    made = session(2)
    look = made.look(0)
    made.set("erode_mask", 1)
    made.rendered(0, look)
    assert made.state_of(0) == "changed"
    made.undo()
    assert made.state_of(0) == "done"


def test_failed_frames_hold_nobody_up_and_are_tried_again_when_rendered() -> None:
    made = session(2)
    made.failed(0, "unreadable")
    assert (made.state_of(0), made.unfinished()) == ("failed", [1])
    made.rendered(0)
    assert made.state_of(0) == "done"


def test_sources_that_changed_outdate_their_frames() -> None:
    made = session()
    render_all(made)
    made.outdate([2, 4])
    assert [made.state_of(frame) for frame in (1, 2, 4)] == ["done", "changed", "changed"]
    assert render_all(made) == [2, 4]


def test_what_an_earlier_sitting_finished_is_finished() -> None:
    made = session(4)
    made.resume([[], ["settings"], ["new"], ["missing"]])
    assert [made.state_of(frame) for frame in range(4)] == ["done", "changed", "pending", "pending"]
    made.set("erode_mask", 2)
    assert made.state_of(0) == "changed"
    made.undo()
    assert made.state_of(0) == "done"


def test_what_is_rendered_first_is_what_is_looked_at() -> None:
    made = session()
    made.go(2)
    assert made.unfinished() == [2, 3, 4, 5, 0, 1]
    assert made.unfinished(ahead=3) == [2, 3, 4]
    made.rendered(3)
    assert made.unfinished(ahead=3) == [2, 4]


def test_rendering_the_rest_goes_on_by_itself_until_something_is_pressed() -> None:
    made = session()
    made.render_rest()
    assert made.cursor == 0
    made.rendered(0)
    assert made.cursor == 1
    made.rendered(2)
    made.rendered(1)
    assert made.cursor == 3
    made.shift("erode_mask", 1)
    assert not made.is_running
    made.rendered(3)
    assert made.cursor == 3
    made.render_rest()
    render_all(made)
    assert (made.cursor, made.is_running) == (5, False)


def test_undo_and_redo() -> None:
    made = session()
    made.set("erode_mask", 5)
    made.go(2)
    made.set("mode", "seamless")
    made.mark(1, "hair")
    assert made.undo() == "mark 1"
    made.undo()
    assert made.settings_at(2).mode == "overlay"
    assert erosions(made) == [5] * 6
    made.undo()
    assert made.undo() is None
    assert erosions(made) == [0] * 6
    for _ in range(3):
        made.redo()
    assert made.settings_at(2).mode == "seamless"
    assert made.marks == {1: "hair"}


def test_a_burst_on_one_setting_is_one_step() -> None:
    made = session()
    made.ledger._clock = lambda: 1.0
    for _ in range(4):
        made.shift("erode_mask", 1)
    made.shift("blur_mask", 1)
    made.undo()
    assert (made.settings.erode_mask, made.settings.blur_mask) == (4, 0)
    made.undo()
    assert made.settings.erode_mask == 0


def test_settings_are_applied_to_scenes() -> None:
    made = session(9, cuts=(3, 6))
    made.go(4)
    made.apply({"erode_mask": 5, "mode": "seamless"}, "scene", "night")
    assert erosions(made) == [0, 0, 0, 5, 5, 5, 0, 0, 0]
    made.go(7)
    made.apply({"erode_mask": 5}, "scene", "night")
    made.apply({"erode_mask": 6}, "alike")
    assert erosions(made) == [0, 0, 0, 6, 6, 6, 6, 6, 6]
    assert made.preset_of_scene() == "night"
    made.go(1)
    assert made.preset_of_scene() is None
    made.apply({"erode_mask": 1}, "alike")  # a scene without a preset is like no other
    assert erosions(made) == [1, 1, 1, 6, 6, 6, 6, 6, 6]
    made.apply({"erode_mask": 2}, "onward")
    assert erosions(made) == [1, 2, 2, 2, 2, 2, 2, 2, 2]
    made.apply({"erode_mask": 3}, "all")
    assert erosions(made) == [3] * 9
    with pytest.raises(BadOption, match="Received: here"):
        made.apply({"erode_mask": 3}, "here")


def test_the_current_settings_are_given_to_a_scene() -> None:
    made = session(6, cuts=(3,))
    made.go(4)
    made.set("erode_mask", 8)
    made.set("color_transfer", "rct")
    made.apply_current("scene")
    assert erosions(made) == [0, 0, 0, 8, 8, 8]
    assert made.settings_at(3).color_transfer == "rct"


def test_scenes_begin_and_end_where_the_user_says() -> None:
    made = session(6, cuts=(3,))
    made.go(4)
    made.switch_cut()
    assert made.scenes == [range(3), range(3, 4), range(4, 6)]
    made.move_cut(3, 2)
    made.switch_cut()
    assert made.scenes == [range(2), range(2, 6)]
    assert [made.previous_scene(), made.cursor, made.previous_scene(), made.cursor] == [True, 2, True, 0]
    assert [made.next_scene(), made.cursor, made.next_scene()] == [True, 2, False]
    with pytest.raises(BadOption, match="Received: 5"):
        made.move_cut(5, 4)


def test_keys_by_hand_lead_from_one_to_the_next() -> None:
    made = walk(session(9), 8)
    made.switch_keyframing()
    made.set("output_face_scale", 0 + 4)
    made.go(8)
    made.set("output_face_scale", 12)
    assert [made.settings_at(frame).output_face_scale for frame in (0, 2, 4, 8)] == [4, 6, 8, 12]
    made.choose_curve("smooth")
    made.go(4)
    made.set("mode", "seamless")  # words only hold
    made.set_keys()
    assert [key.frame for key in made.timeline.keys("output_face_scale")] == [0, 4, 8]
    assert made.settings_at(6).output_face_scale == 10
    assert [made.previous_key(), made.cursor] == [True, 0]
    made.next_key()
    made.remove_keys()
    assert made.settings_at(4).mode == "overlay"
    with pytest.raises(BadOption, match="Received: round"):
        made.choose_curve("round")


def test_the_last_setting_is_reset() -> None:
    made = session(erode_mask=3)
    assert not made.reset_last()
    made.shift("erode_mask", 5)
    made.go(2)
    made.reset_last()
    assert erosions(made) == [8, 8, 3, 3, 3, 3]


def test_settings_of_another_sitting_replace_all_keys() -> None:
    made = session(6, erode_mask=1)
    made.set("blur_mask", 9)
    made.replace_settings({1: {"erode_mask": 1, "mode": 3}, 2: {"erode_mask": 4, "mode": 3}, 4: {"erode_mask": 2}})
    assert erosions(made) == [1, 1, 4, 4, 2, 2]
    assert [made.settings_at(frame).mode for frame in (0, 1, 4)] == ["overlay", "seamless", "seamless"]
    assert made.settings_at(0).blur_mask == 0
    assert made.timeline.key_frames() == [1, 2, 4]
    made.go(1)
    made.set("erode_mask", 7)
    assert erosions(made) == [1, 7, 4, 4, 2, 2]
    made.undo()
    made.undo()
    assert made.settings_at(0).blur_mask == 9


def test_faces_are_chosen_ordered_and_set_apart() -> None:
    made = session(3, tracks=(1, 2))
    assert made.faces_at(0) == [0, 1]
    render_all(made)
    made.choose_face(1, order=5)
    assert made.faces_at(0) == [1, 0]
    assert render_all(made) == [0, 1, 2]
    made.choose_face(2, enabled=False)
    assert made.faces_at(0) == [0]
    made.face = 1
    made.set("erode_mask", 7)
    assert made.settings_at(0, 1).erode_mask == 7
    assert made.settings_at(0).erode_mask == made.settings_at(0, 2).erode_mask == 0
    assert [(f.track, f.enabled, f.order, f.frames, f.has_own_settings) for f in made.faces] == [
        (1, True, 5, 3, True),
        (2, False, 0, 3, False),
    ]


def test_settings_of_a_face_are_taken_along_too() -> None:
    made = walk(session(4, tracks=(1, 2)), 3)
    made.face = 2
    made.set("erode_mask", 7)
    made.rest_with_settings()
    assert [made.settings_at(frame, 2).erode_mask for frame in range(4)] == [7, 7, 7, 7]
    assert erosions(made) == [0] * 4


def test_the_face_that_is_worked_at_has_settings_and_undo_of_its_own() -> None:
    made = session(4, tracks=(3, 5))
    render_all(made)
    made.work_at(5)
    made.set("mode", "seamless")
    made.shift("image_denoise_power", 5)  # of the whole frame
    made.set_key("blur_mask", 2, 8)
    assert [(made.settings_at(2, track).mode, made.settings_at(2, track).blur_mask) for track in (3, 5)] == [
        ("overlay", 0),
        ("seamless", 8),
    ]
    assert {made.settings_at(1, track).image_denoise_power for track in (None, 3, 5)} == {5}
    assert render_all(made) == [0, 1, 2, 3]
    made.undo()
    assert render_all(made) == [2, 3]
    made.replace_settings({1: {"erode_mask": 4}})
    assert [made.settings_at(2, track).erode_mask for track in (3, 5)] == [0, 4]
    assert made.settings_at(2).image_denoise_power == 5
    made.follow_all(5)
    assert made.settings_at(2, 5) == made.settings_at(2, 3)
    for change in (lambda: made.set("mode", "raw-predict"), lambda: made.set_key("mode", 1, "raw-predict")):
        with pytest.raises(BadOption, match="square of the whole frame"):
            change()
    with pytest.raises(BadOption, match="There is no face 4"):
        made.work_at(4)


def test_the_faces_of_a_frame_follow_each_other_in_a_circle() -> None:
    made = session(2, tracks=(5, 3))
    seen = [(made.next_face(), made.face)[1] for _ in range(4)]
    assert seen == [3, 5, 0, 3]
    made.next_face(-1)
    assert made.face == 0
    made.next_face(-1)
    assert made.face == 5


def test_a_change_that_dissolves_renders_the_frames_it_reaches() -> None:
    made = session(8, cuts=(6,))
    made.choose_dissolve(2)
    made.go(3)
    render_all(made)
    made.set("mode", "seamless")
    assert [[(share, own[0].mode) for share, own in made.renderings(frame)] for frame in (3, 5)] == [
        [(pytest.approx(1 / 3), "seamless"), (pytest.approx(2 / 3), "overlay")],
        [(1.0, "seamless")],
    ]
    assert render_all(made) == [3, 4, 5, 6, 7]
    made.set_key("mode", 3, "seamless", dissolve=1)
    assert render_all(made) == [3, 4]
    made.undo()
    assert render_all(made) == [3, 4]
    with pytest.raises(BadOption, match="0 to 250 frames"):
        made.choose_dissolve(1000)


def test_every_change_is_told_once_it_is_there() -> None:
    made = session()
    told: list[int] = []
    made.on_change = lambda: told.append(made.settings.erode_mask)
    made.set("erode_mask", 4)
    made.set("erode_mask", 4)
    assert told == [4]
    made.next_frame()
    assert len(told) == 2
    made.rendered(0)
    assert len(told) == 2


def test_a_session_needs_frames_and_real_settings() -> None:
    with pytest.raises(BadOption, match="none"):
        MergeSession([], MergeSettings())
    with pytest.raises(BadOption, match="Received: 900"):
        session().set("erode_mask", 900)
    with pytest.raises(BadOption, match="Received: zoom"):
        session().set("zoom", 1)
