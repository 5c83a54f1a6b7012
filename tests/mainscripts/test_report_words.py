"""Words and numbers of the report."""

from __future__ import annotations

import numpy as np

from mainscripts.report_words import as_rgb, counts_of, evenly, say_color, say_faces, say_frames, say_reach, spread_of


def test_one_and_many() -> None:
    assert [say_faces(count) for count in (0, 1, 1204)] == ["0 faces", "1 face", "1,204 faces"]
    assert [say_frames(count) for count in (1, 2)] == ["1 frame", "2 frames"]


def test_few_items_are_spread_over_all_and_both_ends_are_there() -> None:
    assert evenly(np.arange(101), 5) == [0, 25, 50, 75, 100]
    assert evenly(np.arange(3), 5) == [0, 1, 2]
    assert evenly(np.zeros(0, int), 5) == []


def test_spreads_and_counts() -> None:
    values = np.arange(101)
    assert spread_of(values) == {"least": 0, "p5": 5, "middle": 50, "p95": 95, "most": 100}
    assert sum(counts_of(values)["counts"]) == 101


def test_reach_in_words() -> None:
    assert say_reach(np.linspace(-20, 40, 61), "left", "right") == "37° left to 17° right"


def test_colors_in_words_and_as_rgb() -> None:
    assert say_color(np.array([10, -5, 1])) == "brighter and less red"
    assert say_color(np.array([0, 0, -4])) == "bluer"
    assert say_color(np.array([9, -5, -4])) == "brighter, less red and bluer"
    np.testing.assert_array_equal(as_rgb(np.array([[100.0, 0, 0], [0, 0, 0]])), [[255] * 3, [0] * 3])
