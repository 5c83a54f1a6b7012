"""Frames by number, span and name, and what users type wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadOption
from merger.frame_choice import choose_frames
from merger.frames import FrameFaces

SHOT = [FrameFaces(Path(f"{number:05d}.png")) for number in (1, 2, 3, 10, 20, 21, 300)]
NAMED = [FrameFaces(Path(name)) for name in ("intro.png", "a-7.png", "b-7.png", "7-9.png", "take 2 0012.png")]


def stems(frames: list[FrameFaces]) -> list[str]:
    return [frame.stem for frame in frames]


def numbers(frames: list[FrameFaces]) -> list[int]:
    return [int(frame.stem) for frame in frames]


def test_nothing_asked_for_is_everything() -> None:
    assert choose_frames(SHOT) == SHOT


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("2-20", [2, 3, 10, 20]),
        ("21-", [21, 300]),
        ("-3", [1, 2, 3]),
        ("4-10", [10]),
        ("00002 - 00003", [2, 3]),
        ("300", [300]),
        ("1-1", [1]),
    ],
)
def test_a_range_takes_both_ends(asked: str, expected: list[int]) -> None:
    assert numbers(choose_frames(SHOT, asked)) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("10", [10]),
        ("300,1", [1, 300]),
        (" 00010 , 2-3,", [2, 3, 10]),
        ("00020.png,21-", [20, 21, 300]),
        ("1,1,1-2", [1, 2]),
    ],
)
def test_a_list_of_numbers_spans_and_names_in_the_order_of_the_shot(asked: str, expected: list[int]) -> None:
    assert numbers(choose_frames(SHOT, None, asked)) == expected


def test_a_list_is_added_to_a_range() -> None:
    assert numbers(choose_frames(SHOT, "20-21", "1")) == [1, 20, 21]


def test_names_go_before_numbers_and_spans() -> None:
    assert stems(choose_frames(NAMED, None, "7-9,intro,12")) == ["intro", "7-9", "take 2 0012"]
    assert stems(choose_frames(NAMED, None, "a-7")) == ["a-7"]
    assert stems(choose_frames(NAMED, "7-12")) == ["a-7", "b-7", "7-9", "take 2 0012"]


@pytest.mark.parametrize(
    ("frame_range", "frame_list", "words"),
    [
        ("x", None, "A-B, A- or -B, with numbers. Received: --range x."),
        ("-", None, "A-B"),
        ("", None, "A-B"),
        ("20-10", None, "Write 10-20"),
        ("500-", None, "No frame lies in this range. Received: --range 500-. The frames are 00001 to 00300"),
        (None, "4", "No frame has this number. Received: --frames 4. The frames are 00001 to 00300"),
        (None, "intro", "No frame has this name. Received: --frames intro"),
        (None, "4-9", "No frame lies in this range. Received: --frames 4-9"),
        (None, " , ", "No frames are named"),
        (None, "1,-", "A-B"),
    ],
)
def test_what_means_no_frame_is_refused_in_words(frame_range: str | None, frame_list: str | None, words: str) -> None:
    with pytest.raises(BadOption) as caught:
        choose_frames(SHOT, frame_range, frame_list)
    assert words in str(caught.value)


def test_a_number_of_several_frames_is_refused() -> None:
    with pytest.raises(BadOption, match="Several frames have this number: a-7, b-7"):
        choose_frames(NAMED[:3], None, "7")
