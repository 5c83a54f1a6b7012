"""Scripted keys: what they set, what is rendered again, and that none is lost."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merger.keys import ACTIVE_WHEN, BINDINGS, Answer, Keyboard, KeyPress, find_binding
from merger.session import MergeSession
from merger.session_records import SessionFrame
from merger.settings import MASK_MODES, MergeSettings


def keyboard(count: int = 6, cuts: Sequence[int] = (), **base: Any) -> Keyboard:
    """A session whose frames are all finished."""
    session = MergeSession([SessionFrame(f"{n}.png") for n in range(count)], MergeSettings(**base), cuts)
    session.ledger._clock = iter(range(1, 10_000_000)).__next__
    render_all(session)
    return Keyboard(session)


def render_all(session: MergeSession) -> list[int]:
    frames = session.unfinished()
    for frame in frames:
        session.rendered(frame)
    return sorted(frames)


def type_in(keys: Keyboard, text: str) -> list[int]:
    """Types, rendering the current frame after every key; then the rest, which is returned."""
    for letter in text:
        keys.press(KeyPress(letter))
        if not keys.session.is_settled(keys.session.cursor):
            keys.session.rendered(keys.session.cursor)
        keys.pump()
    return render_all(keys.session)


def values(keys: Keyboard, name: str) -> list[Any]:
    session = keys.session
    return [getattr(session.settings_at(frame), name) for frame in range(len(session.frames))]


NUMBERS = [
    # Source: spec merging 5.4 and 4.2, typed from there: more, less, setting, its range.
    ("q", "a", "hist_match_threshold", 0, 255),
    ("w", "s", "erode_mask", -400, 400),
    ("e", "d", "blur_mask", 0, 400),
    ("r", "f", "motion_blur_power", 0, 100),
    ("t", "g", "super_resolution_power", 0, 100),
    ("y", "h", "blursharpen_amount", -100, 100),
    ("u", "j", "output_face_scale", -50, 50),
    ("i", "k", "image_denoise_power", 0, 500),
    ("o", "l", "bicubic_degrade_power", 0, 100),
    ("p", ";", "color_degrade_power", 0, 100),
]


@pytest.mark.parametrize(("more", "less", "name", "low", "high"), NUMBERS)
def test_numbers_go_by_one_and_with_shift_by_five_up_to_their_ends(
    more: str, less: str, name: str, low: int, high: int
) -> None:
    keys = keyboard(1, mode="hist-match", **{name: (low + high) // 2})  # type: ignore[arg-type]
    start = (low + high) // 2
    large_more, large_less = more.upper(), {";": ":"}.get(less, less.upper())
    seen = []
    for key in (more, large_more, large_more, less, large_less):
        assert keys.press(KeyPress(key)) is Answer.DONE
        seen.append(getattr(keys.session.settings, name) - start)
    assert seen == [1, 6, 11, 10, 5]
    for key, end in ((large_more, high), (large_less, low)):
        for _ in range(high - low):
            keys.press(KeyPress(key))
        assert getattr(keys.session.settings, name) == end
        steps = len(keys.session.ledger.done)
        keys.press(KeyPress(key))
        assert len(keys.session.ledger.done) == steps  # at the end a key changes nothing
        render_all(keys.session)
        keys.press(KeyPress(key))
        assert keys.session.unfinished() == []


def test_modes_are_one_key_each() -> None:
    keys = keyboard()
    modes = ["original", "overlay", "hist-match", "seamless", "seamless-hist-match", "raw-rgb", "raw-predict"]
    for key, mode in zip("`123456", modes, strict=True):
        keys.press(KeyPress(key))
        assert keys.session.settings.mode == mode
    assert keys.press(KeyPress("!")) is Answer.UNKNOWN  # Shift and 1
    assert keys.press(KeyPress("1", shift=True)) is Answer.UNKNOWN


def test_words_go_round_the_same_with_shift() -> None:
    keys = keyboard(mask_mode="full")
    seen = []
    for key in "xXxxxxxxxx":
        keys.press(KeyPress(key))
        seen.append(keys.session.settings.mask_mode)
    assert seen == [*list(MASK_MODES)[1:], "full"]
    assert [type_in(keys, "c") and keys.session.settings.color_transfer for _ in range(9)] == [
        *("lct", "mkl", "mkl-m", "idt", "idt-m", "sot-m", "mix-m", "none", "rct")
    ]
    for expected in ("box", "gaussian", "none"):
        keys.press(KeyPress("n"))
        assert keys.session.settings.sharpen_mode == expected


@pytest.mark.parametrize(
    ("mode", "threshold", "switch"),
    [
        ("original", False, False),
        ("overlay", False, False),
        ("hist-match", True, True),
        ("seamless", False, False),
        ("seamless-hist-match", True, False),
        ("raw-rgb", False, False),
        ("raw-predict", False, False),
    ],
)
def test_keys_of_histograms_do_something_in_their_modes_only(mode: str, threshold: bool, switch: bool) -> None:
    keys = keyboard(mode=mode, hist_match_threshold=100)
    keys.press(KeyPress("q"))
    keys.press(KeyPress("z"))
    assert keys.session.settings.hist_match_threshold == (101 if threshold else 100)
    assert keys.session.settings.masked_hist_match is not switch
    assert set(ACTIVE_WHEN) == {"hist_match_threshold", "masked_hist_match"}


def test_hidden_settings_change_in_raw_modes_all_the_same() -> None:
    keys = keyboard(mode="raw-rgb")
    assert type_in(keys, "eE") == []
    assert keys.session.settings.blur_mask == 6


def test_caps_lock_counts_as_shift_only_where_shift_is_not_known() -> None:
    keys = keyboard()
    for press, expected in [
        (KeyPress("W"), 5),  # as the classical merger: it sees the letter alone
        (KeyPress("W", shift=False), 6),  # Caps Lock
        (KeyPress("w", shift=True), 11),  # Caps Lock and Shift
        (KeyPress("w", shift=False), 12),
        (KeyPress("W", shift=True), 17),
    ]:
        keys.press(press)
        assert keys.session.settings.erode_mask == expected
    assert find_binding(KeyPress("<")) == find_binding(KeyPress(",", shift=True))


# ------------------------------------------------------------------------------- what is rendered again: spec 5.5


def visit_all(keys: Keyboard) -> Keyboard:
    for _ in range(5):
        keys.press(KeyPress("."))
    keys.press(KeyPress("<"))
    assert keys.session.cursor == 0
    return keys


def test_a_changed_setting_renders_the_current_frame() -> None:
    keys = visit_all(keyboard())
    keys.press(KeyPress("."))
    keys.press(KeyPress("w"))
    assert keys.session.unfinished() == [1]
    assert render_all(keys.session) == [1]
    assert values(keys, "erode_mask") == [0, 1, 0, 0, 0, 0]


def test_slash_renders_the_next_frame() -> None:
    keys = visit_all(keyboard())
    type_in(keys, "W")
    keys.press(KeyPress("/"))
    assert render_all(keys.session) == [1]
    assert values(keys, "erode_mask") == [5, 5, 0, 0, 0, 0]


def test_shift_slash_renders_every_later_frame() -> None:
    keys = visit_all(keyboard())
    type_in(keys, "..W")
    keys.press(KeyPress("?"))
    assert keys.session.cursor == 3
    assert render_all(keys.session) == [3, 4, 5]
    assert values(keys, "erode_mask") == [0, 0, 5, 5, 5, 5]


def test_m_renders_the_passed_frame_if_it_differed() -> None:
    keys = visit_all(keyboard())
    type_in(keys, "...W")
    keys.press(KeyPress("m"))
    assert (keys.session.cursor, render_all(keys.session)) == (2, [2])
    type_in(keys, ".")
    keys.press(KeyPress("m"))
    assert (keys.session.cursor, render_all(keys.session)) == (2, [])


def test_shift_m_renders_the_passed_frames_that_differed() -> None:
    keys = visit_all(keyboard())
    type_in(keys, ".W...e")
    assert values(keys, "blur_mask") == [0, 0, 0, 0, 1, 0]
    keys.press(KeyPress("M"))
    assert keys.session.cursor == 0
    assert render_all(keys.session) == [0, 1, 2, 3]
    assert values(keys, "erode_mask") == [0] * 6
    assert values(keys, "blur_mask") == [1, 1, 1, 1, 1, 0]


def test_moving_about_renders_nothing() -> None:
    keys = visit_all(keyboard())
    assert type_in(keys, "...,.<.>") == []


def test_a_scripted_sitting() -> None:
    # Frame 0: seamless, eroded by 11; taken to frame 1, blurred there; frame 3 raw; back to frame 2 with those of 3.
    keys = keyboard()
    type_in(keys, "3WWw/E..5m")
    assert values(keys, "mode") == ["seamless", "seamless", "raw-rgb", "raw-rgb", "raw-rgb", "raw-rgb"]
    assert values(keys, "erode_mask") == [11] * 6
    assert values(keys, "blur_mask") == [0, 5, 5, 5, 5, 5]
    assert keys.session.cursor == 2


class ClassicalMerger:
    """The classical merger as its specification tells it: every frame that was reached has a copy of settings."""

    def __init__(self, count: int) -> None:
        self.settings: list[dict[str, Any] | None] = [None] * count
        self.settings[0] = {"erode_mask": 0, "mode": "overlay", "sharpen_mode": "none"}
        self.at = 0

    def press(self, key: str) -> None:
        here, last = self.settings[self.at], len(self.settings) - 1
        assert here is not None
        if key in "wWsS":
            erosion = here["erode_mask"] + {"w": 1, "W": 5, "s": -1, "S": -5}[key]
            self.settings[self.at] = {**here, "erode_mask": min(max(erosion, -400), 400)}
        elif key in "13":
            self.settings[self.at] = {**here, "mode": {"1": "overlay", "3": "seamless"}[key]}
        elif key == "n":
            kinds = ["none", "box", "gaussian"]
            self.settings[self.at] = {**here, "sharpen_mode": kinds[(kinds.index(here["sharpen_mode"]) + 1) % 3]}
        elif key in "./?" and self.at < last:
            if key == "/":
                self.settings[self.at + 1] = None
            elif key == "?":
                self.settings[self.at + 1 :] = [None] * (last - self.at)
            self.at += 1
            if self.settings[self.at] is None:
                self.settings[self.at] = dict(here)
        elif key in ",m" and self.at > 0:
            self.at -= 1
            if key == "m":
                self.settings[self.at] = dict(here)
        elif key in "<M":
            for frame in range(self.at if key == "M" else 0):
                self.settings[frame] = dict(here)
            self.at = 0


SITTINGS = st.text(alphabet="wWsS13n..../?,,<mM", max_size=40)


@given(SITTINGS)
def test_any_sitting_comes_to_what_the_classical_merger_comes_to(text: str) -> None:
    keys, classical = keyboard(5), ClassicalMerger(5)
    for key in text:
        before = list(classical.settings)
        keys.press(KeyPress(key))
        classical.press(key)
        assert keys.session.cursor == classical.at
        for frame, expected in enumerate(classical.settings):
            if expected is not None:  # never reached: ours goes on with what is before, theirs has nothing yet
                found = keys.session.settings_at(frame)
                assert {name: getattr(found, name) for name in expected} == expected
        # What is rendered again is what has other settings, of the frames both know.
        known = [n for n, old in enumerate(before) if old is not None and classical.settings[n] is not None]
        changed = [n for n in known if visible(before[n]) != visible(classical.settings[n])]
        assert [n for n in render_all(keys.session) if n in known] == changed


def visible(settings: dict[str, Any] | None) -> Any:
    """Without what has no effect: a kind of sharpening of an amount of 0."""
    return settings and (settings["erode_mask"], settings["mode"])


@given(SITTINGS)
def test_any_sitting_is_taken_back_and_forth(text: str) -> None:
    keys = keyboard(5)
    session = keys.session

    def looks() -> list[Any]:
        return [vars(session.settings_at(frame)) for frame in range(5)]

    seen = [looks()]
    steps = 0
    for key in text:
        keys.press(KeyPress(key))
        render_all(session)
        if len(session.ledger.done) > steps:
            steps = len(session.ledger.done)
            seen.append(looks())
    for expected in reversed(seen[:-1]):
        assert session.undo() is not None
        assert looks() == expected
    assert session.undo() is None
    for expected in seen[1:]:
        session.redo()
        assert looks() == expected


# ------------------------------------------------------------------------------- waiting, not lost


def test_keys_that_have_to_wait_are_done_in_their_order() -> None:
    keys = keyboard()
    assert keys.press(KeyPress("w")) is Answer.DONE
    assert keys.press(KeyPress("/")) is Answer.WAITING
    assert keys.press(KeyPress("e")) is Answer.WAITING  # meant for the next frame
    assert keys.press(KeyPress("v")) is Answer.DONE  # of the window: nothing to wait for
    assert (keys.session.cursor, keys.session.settings.blur_mask) == (0, 0)
    keys.session.rendered(0)
    keys.pump()
    assert keys.session.cursor == 1
    assert values(keys, "erode_mask") == [1] * 6
    assert values(keys, "blur_mask") == [0, 1, 1, 1, 1, 1]
    assert not keys.waiting


def test_several_steps_wait_for_frame_after_frame() -> None:
    keys = keyboard()
    keys.press(KeyPress("W"))
    for _ in range(3):
        keys.press(KeyPress("."))
    for expected in (1, 2, 3):
        keys.session.rendered(keys.session.cursor)
        keys.pump()
        assert keys.session.cursor == expected


def test_what_still_waits_is_done_when_the_user_quits() -> None:
    keys = keyboard()
    for key in "W/e":
        keys.press(KeyPress(key))
    assert keys.press(KeyPress("Escape")) is Answer.QUIT
    assert values(keys, "blur_mask") == [0, 1, 1, 1, 1, 1]
    assert values(keys, "erode_mask") == [5] * 6


def test_rendering_the_rest_is_ended_by_any_key_but_those_of_the_window() -> None:
    for key, ended in [("w", True), (",", True), ("q", True), ("v", False), ("Tab", False)]:
        keys = keyboard()
        type_in(keys, ".W")
        keys.session.set("blur_mask", 9)
        keys.press(KeyPress(">"))
        assert keys.session.is_running
        keys.press(KeyPress(key))
        assert keys.session.is_running is not ended, key


def test_rendering_the_rest_comes_to_its_end() -> None:
    keys = keyboard()
    keys.session.outdate(range(6))
    keys.press(KeyPress(">"))
    for frame in range(6):
        assert keys.session.cursor == frame
        keys.session.rendered(frame)
    assert not keys.session.is_running
    assert keys.session.unfinished() == []


# ------------------------------------------------------------------------------- the table


def test_every_row_names_a_method_that_takes_its_arguments_and_no_key_is_there_twice() -> None:
    taken = set()
    for row in BINDINGS:
        owner = Keyboard if row.does.startswith(".") else MergeSession
        method = getattr(owner, row.does.removeprefix("."))
        inspect.signature(method).bind(None, *row.arguments)
        assert row.says
        for shift in (False, True) if row.shift is None else (row.shift,):
            assert (row.key, shift, row.control) not in taken
            taken.add((row.key, shift, row.control))


def test_more_keys_than_the_classical_merger_had() -> None:
    keys = keyboard(6, cuts=(3,))
    type_in(keys, "WW")
    assert keys.press(KeyPress("z", control=True)) is Answer.DONE
    assert keys.session.settings.erode_mask == 5
    keys.press(KeyPress("y", control=True))
    assert keys.session.settings.erode_mask == 10
    keys.press(KeyPress("0"))
    assert keys.session.settings.erode_mask == 0
    keys.press(KeyPress("W"))
    keys.press(KeyPress("}"))
    assert keys.session.cursor == 3
    keys.press(KeyPress("{"))
    assert keys.session.cursor == 0
    keys.press(KeyPress("End"))
    keys.press(KeyPress("|"))
    assert keys.session.scenes == [range(3), range(3, 5), range(5, 6)]
    keys.press(KeyPress("Home"))
    keys.press(KeyPress("ArrowRight"))
    assert keys.session.cursor == 1
    keys.press(KeyPress("b"))
    keys.press(KeyPress("["))
    assert keys.session.cursor == 0
    keys.press(KeyPress("]"))
    keys.press(KeyPress("Backspace"))
    assert keys.session.timeline.key_frames() == [0]
    assert keys.press(KeyPress("s", control=True)) is Answer.SAVE
    assert keys.press(KeyPress("w", control=True)) is Answer.UNKNOWN


def test_settings_of_one_face_are_changed_by_the_same_keys() -> None:
    keys = keyboard(3)
    keys.session.frames = tuple(SessionFrame(f"{n}.png", (("a", 1), ("b", 2))) for n in range(3))
    keys.press(KeyPress("ArrowDown"))
    keys.press(KeyPress("ArrowDown"))
    assert keys.session.face == 2
    type_in(keys, "3W6")  # no square of one face
    assert [keys.session.settings_at(0, track).mode for track in (None, 1, 2)] == ["overlay", "overlay", "seamless"]
    assert [keys.session.settings_at(0, track).erode_mask for track in (1, 2)] == [0, 5]
    keys.press(KeyPress("ArrowUp"))
    keys.press(KeyPress("ArrowUp"))
    type_in(keys, "6")
    assert keys.session.settings_at(0, 2).mode == "raw-predict"


def test_keys_of_the_window() -> None:
    keys = keyboard()
    view = keys.session.view
    for key in ("Tab", "v", "-", "-", "7", "9", "9"):
        keys.press(KeyPress(key))
    assert (view.screen, view.checkerboard, view.scale, view.comparison, view.mask) == ("main", True, 0.8, 1, 2)
    for key, end in (("=", 4.0), ("-", 0.1)):
        for _ in range(50):
            keys.press(KeyPress(key))
        assert view.scale == end
    assert keys.press(KeyPress("+", shift=True)) is Answer.DONE
    assert view.scale == 0.2
    assert keys.press(KeyPress("F2")) is Answer.DONE  # for keyboards without `
    assert keys.session.settings.mode == "original"
    assert keys.session.unfinished() != []
