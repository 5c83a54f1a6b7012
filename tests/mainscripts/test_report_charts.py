"""Charts: what they count is what was given, and they are sound XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np

from mainscripts.report_charts import Series, Timeline, color_strip, histogram, pose_map, timeline


def titles(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("title")]


def test_a_histogram_counts_every_face_once() -> None:
    values = np.random.default_rng(0).normal(100, 30, 500)
    svg = histogram([Series("src", values), Series("dst", values + 50)], " px")
    counts = [int(re.search(r": (\d+) faces", title)[1]) for title in titles(svg)]  # type: ignore[index]
    assert sum(counts) == 500
    assert "src: middle" in svg
    assert "<polyline" in svg


def test_equal_values_make_a_chart_too() -> None:
    assert "5 faces" in histogram([Series("src", np.full(5, 512.0))], " px")
    assert "5 faces" in histogram([Series("src", np.zeros(5))], "")


def test_the_map_colors_directions_by_what_the_other_side_has() -> None:
    here = np.array([[0.0, 0.0]] * 9 + [[-40.0, 0.0]] + [[0.0, 30.0]])
    there = np.array([[0.0, 0.0]] * 4 + [[-40.0, 0.0]] * 3 + [[60.0, 0.0]] * 2)
    root = ElementTree.fromstring(pose_map(Series("src", here), Series("dst", there)))
    kinds = {rect.find("title").text: rect.get("class") for rect in root.iter("rect")}  # type: ignore[union-attr]
    assert kinds["straight ahead: dst 4, src 9"] == "good"
    assert kinds["40° right: dst 3, src 1"] == "few"
    assert kinds["60° left: dst 2, src 0"] == "none"
    assert kinds["30° up: dst 0, src 1"] == "spare"


def test_left_is_on_the_left_and_up_is_above() -> None:
    root = ElementTree.fromstring(pose_map(Series("src", np.array([[30.0, 0.0], [-30.0, 20.0]])), None))
    place = {rect.find("title").text: rect for rect in root.iter("rect")}  # type: ignore[union-attr]
    left, right = place["30° left: src 1"], place["30° right and 20° up: src 1"]
    assert float(left.get("x", "")) < float(right.get("x", ""))
    assert float(left.get("y", "")) > float(right.get("y", ""))


def test_a_strip_runs_over_all_colors() -> None:
    colors = np.linspace([0, 0, 0], [250, 100, 50], 300).astype(np.uint8)
    fills = [rect.get("fill") for rect in ElementTree.fromstring(color_strip([("a & b", colors)])).iter("rect")]
    assert (fills[0], fills[-1]) == ("#000000", "#fa6432")
    assert fills == sorted(fills, key=str)


def test_a_timeline_marks_each_frame_above_the_limit_and_breaks_where_nothing_is_known() -> None:
    values = np.array([1.0, 2, np.nan, 9, 1, np.nan, 1])
    names = [f'{n}<">.png' for n in range(7)]
    chart = Timeline(values, names, 5.0, " Lab", values / 2, (3,))
    svg = timeline(chart)
    assert titles(svg)[0].startswith('3<">.png: 9.00')
    lines = re.findall(r'<polyline class="trace" points="([^"]+)"', svg)
    assert [len(line.split()) for line in lines] == [2, 2]
    assert svg.count('class="point"') == 1
    across = timeline(replace(chart, cuts=(1, 3)))
    assert across.count('class="trace"') == 1
    assert across.count('class="point"') == 3
    assert svg.count('class="over"') == 1
    assert svg.count("<line") == 3  # a cut, the base, the limit


def test_a_long_timeline_keeps_its_peaks() -> None:
    values = np.zeros(10_000)
    values[7777] = 8.0
    chart = Timeline(values, [str(n) for n in range(10_000)], 5.0, "")
    assert chart.frames_per_point == 12
    svg = timeline(chart)
    assert titles(svg)[-1] == "7777: 8.00"
    (line,) = re.findall(r'<polyline class="trace" points="([^"]+)"', svg)
    heights = [float(corner.split(",")[1]) for corner in line.split()]
    assert len(heights) == 834
    assert np.argmin(heights) == 7777 // 12
