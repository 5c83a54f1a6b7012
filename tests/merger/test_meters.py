"""The flicker and the jitter meter, against figures worked out by hand; the file they are kept in."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from merger.compositing import MergedFrame
from merger.frames import FrameFace, FrameFaces
from merger.meters import (
    METERS_NAME,
    MeterRecord,
    Steadiness,
    meter_records,
    read_colors,
    read_meters,
    steadiness,
    with_figures,
    write_meters,
)
from tests.merger.scenes import painted_landmarks
from tests.painting import head_landmarks

FACE = FrameFace(painted_landmarks((80, 60), 60), confidence=0.75)


def gray(level: int, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


def lightness(level: int) -> float:
    """CIE L of a gray of 8 bits."""
    linear = ((level / 255 + 0.055) / 1.055) ** 2.4
    return 116 * linear ** (1 / 3) - 16


def square_mask(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((120, 160), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def test_colors_are_read_inside_the_mask_and_in_the_ring() -> None:
    mask = square_mask(60, 40, 100, 80)
    merged = np.where(mask[..., None] > 0, np.uint8(150), gray(100))
    frame = np.where(mask[..., None] > 0, np.uint8(130), gray(100))
    far = np.ones(mask.shape, bool)
    far[20:100, 40:120] = False
    merged[far] = 255  # too far away to belong to the ring
    (reading,) = read_colors(frame, MergedFrame(merged, mask), [FACE])
    assert reading.face == pytest.approx((lightness(150), 0, 0), abs=0.05)
    assert reading.ring == pytest.approx((lightness(100), 0, 0), abs=0.05)
    assert reading.old_face == pytest.approx((lightness(130), 0, 0), abs=0.05)
    assert reading.old_ring == pytest.approx((lightness(100), 0, 0), abs=0.05)
    assert not reading.touches_border


def test_sixteen_bits_read_alike() -> None:
    mask = square_mask(60, 40, 100, 80)
    merged = np.where(mask[..., None] > 0, np.uint8(150), gray(100))
    (eight,) = read_colors(gray(100), MergedFrame(merged, mask), [FACE])
    wide = [array.astype(np.uint16) * 257 for array in (gray(100), merged, mask)]
    (sixteen,) = read_colors(wide[0], MergedFrame(wide[1], wide[2]), [FACE])
    assert sixteen.face == pytest.approx(eight.face, abs=1e-3)


@pytest.mark.parametrize(
    ("box", "touches"), [((60, 40, 100, 80), False), ((60, 40, 100, 120), True), ((60, 0, 100, 80), True)]
)
def test_a_mask_at_the_frames_border_is_noticed(box: tuple[int, int, int, int], touches: bool) -> None:
    near = FrameFace(painted_landmarks((80, 60), 90))
    (reading,) = read_colors(gray(90), MergedFrame(gray(90), square_mask(*box)), [near])
    assert reading.touches_border == touches


def test_what_cannot_be_read_is_unknown() -> None:
    empty = np.zeros((120, 160), np.uint8)
    (reading,) = read_colors(gray(90), MergedFrame(gray(90), empty), [FACE])
    assert reading.face is None
    assert read_colors(gray(90), MergedFrame(gray(0, (32, 32)), empty[:32, :32]), [FACE]) == []
    outside = FrameFace(painted_landmarks((500, 500), 60))
    assert read_colors(gray(90), MergedFrame(gray(90), empty), [outside])[0].face is None
    (record,) = meter_records(0, FrameFaces(Path("1.png"), (FACE,)), [reading])
    assert record.difference is None


def test_landmarks_that_are_no_face_have_no_record() -> None:
    line = FrameFace(np.tile(np.arange(68, dtype=np.float32)[:, None], 2))
    readings = read_colors(gray(90), MergedFrame(gray(90), square_mask(60, 40, 100, 80)), [line, FACE])
    (record,) = meter_records(0, FrameFaces(Path("1.png"), (line, FACE)), readings)
    assert record.face == 2
    assert record.difference == pytest.approx((0, 0, 0), abs=1e-3)


def test_a_record_says_where_the_face_is_and_where_it_looks() -> None:
    face = FrameFace(head_landmarks((90, 50), 60, yaw=0.4, roll=0.1), confidence=0.75)
    (record,) = meter_records(7, FrameFaces(Path("00008.png"), (face,)), [])
    assert (record.index, record.stem, record.face, record.confidence) == (7, "00008", 1, 0.75)
    assert record.yaw == pytest.approx(math.degrees(0.4), abs=4)
    assert record.roll == pytest.approx(math.degrees(0.1), abs=2)
    left, _, right, _ = face_box(face)
    assert record.center[0] == pytest.approx((left + right) / 2, abs=0.5)
    assert record.side == pytest.approx(right - left, rel=0.01)


def face_box(face: FrameFace) -> np.ndarray:
    from facelib.alignment import bbox_from_landmarks

    return bbox_from_landmarks(face.landmarks)


def records(**changes: list[Any]) -> list[MeterRecord]:
    """A face that stands still, in gray; changes: one value for each frame."""
    still = MeterRecord(
        0, "", 1, (80.0, 60.0), 100.0, 0.0, 0.0, 0.0, difference=(5.0, 0.0, 0.0), old_difference=(1.0, 0.0, 0.0)
    )
    count = len(next(iter(changes.values())))
    return [
        dataclasses.replace(still, index=n, stem=str(n), **{name: values[n] for name, values in changes.items()})
        for n in range(count)
    ]


def test_flicker_is_the_second_difference_of_the_difference() -> None:
    shown = records(difference=[(5.0, 0, 0), (6.0, 0, 0), (5.0, 4.0, 0), (4.0, 8.0, 0), (3.0, 12.0, 0)])
    found = with_figures(shown, [[(n, 0) for n in range(5)]])
    assert [r.flicker for r in found] == [None, pytest.approx(math.hypot(2, 4)), 0.0, 0.0, None]
    assert [r.old_flicker for r in found] == [None, 0.0, 0.0, 0.0, None]
    assert {r.track for r in found} == {1}


def test_jitter_is_that_of_the_corners_in_thousandths_of_the_side() -> None:
    """Shifts move every corner alike; a zoom by z and a turn by a move each by 0.707 of the side times z or a."""
    track = [[(n, 0) for n in range(3)]]
    shifted = with_figures(records(center=[(80.0, 60.0), (80.3, 60.4), (80.0, 60.0)]), track)[1]
    assert shifted.jitter == pytest.approx(1000 * 2 * 0.5 / 100)
    zoomed = with_figures(records(side=[101.0, 100.0, 101.0]), track)[1]
    assert zoomed.jitter == pytest.approx(1000 * 2 * math.sqrt(0.5) * 0.01)
    turned = with_figures(records(roll=[0.1, 0.0, 0.1]), track)[1]
    assert turned.jitter == pytest.approx(1000 * 2 * math.sqrt(0.5) * math.radians(0.1), rel=1e-3)
    moving = with_figures(records(center=[(80.0, 60.0), (85.0, 63.0), (90.0, 66.0)]), track)[1]
    assert moving.jitter == pytest.approx(0)


def test_figures_end_at_gaps_and_at_the_ends_of_tracks() -> None:
    shown = records(center=[(80.0, 60.0)] * 7)
    del shown[3]
    found = with_figures(shown, [[(0, 0), (1, 0), (2, 0), (4, 0)], [(5, 0), (6, 0)]])
    assert [r.jitter is None for r in found] == [True, False, True, True, True, True]
    assert [r.track for r in found] == [1, 1, 1, 1, 2, 2]


def test_a_scene_in_four_figures() -> None:
    shown = with_figures(
        records(difference=[(3.0, 4.0, 0), (3.0, 4.0, 2.0), (3.0, 4.0, 0)]), [[(0, 0), (1, 0), (2, 0)]]
    )
    figures = steadiness(shown)
    assert figures.frames == 3
    assert figures.difference == pytest.approx((5 + 5 + math.sqrt(29)) / 3)
    assert figures.flicker == pytest.approx(4)
    assert (figures.old_flicker, figures.jitter) == (0, 0)
    assert steadiness([]) == Steadiness(0, None, None, None, None)


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / METERS_NAME
    assert read_meters(path) == []
    shown = with_figures(records(difference=[(5.0, 0.0, 0.0), None, (1.25, 2.0, -3.0)]), [[(0, 0), (1, 0), (2, 0)]])
    write_meters(path, shown)
    assert read_meters(path) == shown
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["stem"] for line in lines] == ["0", "1", "2"]
    assert lines[2]["difference"] == [1.25, 2.0, -3.0]
    assert lines[1]["difference"] is None


def test_a_later_line_of_a_face_replaces_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / METERS_NAME
    first, second = records(side=[100.0, 90.0]), records(side=[100.0, 80.0])
    write_meters(path, [*first, second[1]])
    assert read_meters(path) == second


def test_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / METERS_NAME
    write_meters(path, records(side=[100.0]))
    path.write_text(path.read_text() + 'nonsense\n[1, 2]\n{"stem": "x"}\n{"unknown": 1}\n{"index": 3, "st')
    assert read_meters(path) == records(side=[100.0])
