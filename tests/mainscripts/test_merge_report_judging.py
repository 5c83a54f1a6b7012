"""What stands out in a merged shot, from numbers alone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mainscripts.merge_report_judging import JITTER_LIMIT, Judged, Known, Trouble, spread
from mainscripts.merge_report_looks import FrameLook, Place
from merger.frames import FrameFace, FrameFaces
from merger.meters import meter_records
from tests.painting import head_landmarks


def judged(offsets: list[float], colors: list[float] | None = None, known: Known | None = None) -> Judged:
    """One face that stands at these offsets (frame pixels), with these differences to its ring in L."""
    places, looks = [], []
    for n, offset in enumerate(offsets):
        faces = FrameFaces(Path(f"{n:05d}.png"), (FrameFace(head_landmarks((100 + offset, 100), 80)),))
        (record,) = meter_records(n, faces, [])
        level = (colors or [0.0] * len(offsets))[n]
        record = replace(record, difference=(level, 0.0, 0.0), old_difference=(0.0, 0.0, 0.0))
        places.append(Place(n, faces, Path("m.png"), Path("k.png")))
        looks.append(FrameLook(size=(200, 200), records=(record,)))
    return Judged(places, looks, known or Known())


def test_a_jump_of_one_frame_is_a_second_difference() -> None:
    shot = judged([0, 0, 0, 3, 0, 0, 0])
    side = shot.records[3, 0].side
    values, whose = shot.jitter
    assert values[3] == pytest.approx(1000 * 6 / side, rel=1e-3)  # 0 - 2 * 3 + 0
    assert values[2] == pytest.approx(1000 * 3 / side, rel=1e-3)
    assert np.isnan(values[[0, 6]]).all()
    assert whose[3] == 0
    assert shot.of_kind("jitter")[0].frame == 3


def test_a_steady_move_is_no_jitter() -> None:
    assert np.nanmax(judged([2.0 * n for n in range(8)]).jitter[0]) < 0.1


def test_what_the_merge_pasted_counts_and_the_faces_are_kept_beside() -> None:
    raw = judged([0, 0, 0, 3, 0, 0, 0])
    steady = {("00003", 1): replace(raw.records[3, 0], center=raw.records[2, 0].center)}
    shot = judged([0, 0, 0, 3, 0, 0, 0], known=Known(pasted=steady))
    assert np.nanmax(shot.jitter[0]) < 0.1
    assert np.nanmax(shot.landmark_jitter) > JITTER_LIMIT
    assert not shot.of_kind("jitter")


def test_flicker_of_the_source_is_no_fault_of_the_merge() -> None:
    shot = judged([0] * 7, [0, 0, 0, 4, 0, 0, 0])
    assert [trouble.frame for trouble in shot.of_kind("flicker")] == [3, 2, 4]
    looks = [replace(look, records=(replace(look.records[0], old_difference=look.records[0].difference),))
             for look in shot.looks]  # fmt: skip
    assert not Judged(shot.places, looks).of_kind("flicker")


def test_frames_in_a_row_are_one_spot_with_its_worst_frame() -> None:
    shot = judged([0] * 9)
    troubles = [Trouble(n, "border", "", 1.0 + (n == 3)) for n in (2, 3, 4, 7)] + [Trouble(4, "yaw", "", 5.0)]
    spots = shot.spots(troubles)
    assert [(spot.frames, spot.worst) for spot in spots] == [
        (range(4, 5), 4),
        (range(2, 4), 3),
        (range(7, 8), 7),
    ]


def test_frames_that_are_not_next_to_each_other_are_not_compared() -> None:
    shot = judged([0, 0, 0, 9, 9, 9])
    places = [
        replace(place, faces=replace(place.faces, path=Path(f"{n + 10 * (n > 2)}.png")))
        for n, place in enumerate(shot.places)
    ]
    assert np.nanmax(shot.jitter[0]) > JITTER_LIMIT
    assert np.nanmax(Judged(places, shot.looks).jitter[0]) < 0.1


def test_frames_and_times() -> None:
    shot = judged([0] * 3, known=Known(rate=Fraction(25)))
    assert shot.moment(26) == "0:01.04"
    assert shot.moment(25 * 61) == "1:01.00"
    assert judged([0]).moment(0) == ""
    assert shot.scenes == [range(3)]
    assert shot.scene_of(2) == 1


def test_the_cuts_of_a_session_count() -> None:
    shot = judged([0, 0, 0, 3, 0, 0], known=Known(cuts=(3,)))
    assert shot.scenes == [range(3), range(3, 6)]
    assert [shot.scene_of(n) for n in (2, 3)] == [1, 2]
    assert np.isnan(shot.jitter[0][[2, 3]]).all()


def test_spread_leaves_out_what_is_not_known() -> None:
    assert spread(np.array([np.nan, 1.0, 3.0, 2.0])) == (2.0, 3.0)
    assert spread(np.array([np.nan])) is None


def test_a_face_that_was_laid_in_is_marked_and_its_frame_is_not_without_one() -> None:
    shot = judged([0] * 4)
    bare = [replace(place, faces=replace(place.faces, faces=())) for place in shot.places[1:3]]
    laid_in = {("00001", 1): replace(shot.records[1, 0], bridged=True), ("00000", 1): shot.records[0, 0]}
    places = [shot.places[0], *bare, shot.places[3]]
    told = Judged(places, [replace(look, records=()) for look in shot.looks], Known(pasted=laid_in))
    assert told.without_face == [2]
    assert [(trouble.frame, trouble.words) for trouble in told.of_kind("bridged")] == [
        (1, "a face was laid in where none was found")
    ]
