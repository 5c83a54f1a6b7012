"""The judgments of a report, on faces whose faults are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from facelib.alignment import bbox_from_landmarks
from facelib.landmarks import POSE_POINTS
from mainscripts.report_findings import (
    black_share,
    count_near,
    find_doubts,
    find_gaps,
    jumps,
    landmarks_outside,
    misfits,
    outside_share,
    say_direction,
    skin_colors,
)
from tests.painting import head_landmarks

UPRIGHT = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def test_a_head_fits_however_it_is_turned_and_scattered_points_do_not() -> None:
    heads = [head_landmarks((100, 100), size, yaw, pitch) for size, yaw, pitch in ((80, 0, 0), (300, 0.9, -0.4))]
    scattered = np.random.default_rng(0).uniform(0, 200, (68, 2))
    good, turned, bad = misfits(np.stack([*heads, scattered]))
    assert max(good, turned) < 6
    assert bad > 20


def test_a_misfit_is_measured_in_units_of_the_head() -> None:
    """A head seen straight from the front by an affine camera fits exactly; moving one point then costs its share."""
    points = POSE_POINTS[None, :, :2] * 2.0
    assert misfits(points)[0] == pytest.approx(0, abs=1e-9)
    points[0, 30, 0] += 2.0 * 10
    # 10 units off at one of 68 points, less what the camera takes up of it.
    assert 0.85 * 10 / np.sqrt(68) < misfits(points)[0] < 10 / np.sqrt(68)


def film(places: Sequence[tuple[float, float]]) -> tuple[list[str], np.ndarray, np.ndarray]:
    landmarks = np.stack([head_landmarks(place, 100) for place in places])
    names = [f"{n:05d}.png" for n in range(8, 8 + len(places))]
    return names, landmarks, np.stack([bbox_from_landmarks(points) for points in landmarks])


def test_a_jump_for_one_frame_is_found_where_it_is() -> None:
    names, landmarks, boxes = film([(100, 100), (102, 100), (134, 100), (106, 100), (108, 100)])
    far = jumps(names, landmarks, boxes)
    side = boxes[0, 2] - boxes[0, 0]
    assert np.argmax(far) == 2
    assert far[2] == pytest.approx((134 - 104) / side, rel=0.02)
    assert (far[[0, 4]] == 0).all()


def test_a_steady_walk_and_a_cut_are_no_jumps() -> None:
    assert (jumps(*film([(100 + 20 * n, 100) for n in range(6)])) < 1e-3).all()
    assert (jumps(*film([(100, 100)] * 3 + [(160, 100)] * 3)) < 1e-3).all()


def test_frames_that_do_not_follow_each_other_are_not_compared() -> None:
    _, landmarks, boxes = film([(100, 100), (130, 100), (100, 100)])
    assert (jumps(["1.png", "3.png", "5.png"], landmarks, boxes) == 0).all()
    assert (jumps(["a1.png", "b2.png", "a3.png"], landmarks, boxes) == 0).all()
    assert (jumps(["left.png", "middle.png", "right.png"], landmarks, boxes) == 0).all()


def test_doubts_come_worst_first_and_say_why() -> None:
    upside = np.array([[-1.0, 0, 0], [0, -1.0, 0]])
    doubts = find_doubts(
        np.array([3.0, 30.0, 3.0, 3.0]),
        np.array([0, 0, 0.1, 0]),
        np.stack([UPRIGHT, UPRIGHT, UPRIGHT, upside]),
        *[np.full(4, np.nan)] * 3,
    )
    assert [doubt.row for doubt in doubts] == [1, 3, 2]
    assert "usual face" in doubts[0].reason
    assert "180°" in doubts[1].reason
    assert "10 %" in doubts[2].reason
    nothing_told = [np.full(5, np.nan)] * 3
    assert find_doubts(np.full(5, 6.0), np.zeros(5), np.stack([UPRIGHT] * 5), *nothing_told) == []


def test_what_the_networks_doubted_is_doubtful() -> None:
    presence = np.array([20.0, 3.0, np.nan, 18.0, 9.0])
    score = np.array([0.9, 0.9, 0.25, np.nan, 0.9])
    gap = np.array([np.nan, np.nan, np.nan, 1.0, np.nan])
    doubts = find_doubts(np.full(5, 6.0), np.zeros(5), np.stack([UPRIGHT] * 5), presence, score, gap)
    assert [doubt.row for doubt in doubts] == [2, 1, 4, 3]
    reasons = ["25 % sure", "doubts it (3.0", "doubts it (9.0", "missed it"]
    assert all(words in doubt.reason for words, doubt in zip(reasons, doubts, strict=True))


def test_a_gap_counts_both_sides() -> None:
    here = np.array([[0.0, 0.0]] * 20 + [[35.0, 0.0]] * 3)
    there = np.array([[0.0, 0.0]] * 10 + [[40.0, 0.0]] * 12)
    gaps, covered = find_gaps(here, there)
    assert covered == pytest.approx(10 / 22)
    (gap,) = gaps
    assert (gap.yaw, gap.pitch, gap.there, gap.here, gap.rows.tolist()) == (40, 0, 12, 3, list(range(10, 22)))


def test_no_face_on_one_side_is_no_error() -> None:
    assert find_gaps(np.zeros((0, 2)), np.zeros((4, 2)))[0][0].here == 0
    assert find_gaps(np.zeros((4, 2)), np.zeros((0, 2))) == ([], 1.0)
    assert count_near(np.zeros((2, 2)), np.zeros((0, 2))).tolist() == [0, 0]


def test_directions_in_words() -> None:
    assert say_direction(40, 0) == "40° left"
    assert say_direction(-20, -10) == "20° right and 10° down"
    assert say_direction(0, 20) == "20° up"
    assert say_direction(0, 0) == "straight ahead"


def test_what_lies_outside_of_the_frame_is_measured() -> None:
    matrix = np.array([UPRIGHT, [[1.0, 0, 25], [0, 1.0, 0]], UPRIGHT])  # the second picture begins 25 pixels left of it
    sizes = np.array([[300, 200], [300, 200], [0, 0]])
    shares = outside_share(matrix, np.full(3, 100), sizes)
    assert shares[0] == 0
    assert shares[1] == pytest.approx(0.25, abs=0.02)
    assert shares[2] == -1
    points = np.stack([head_landmarks((100, 100), 80), head_landmarks((0, 100), 80), head_landmarks((0, 100), 80)])
    outside = landmarks_outside(points, sizes)
    assert outside[0] == 0
    assert 20 < outside[1] < 48
    assert outside[2] == 0


def test_black_at_the_edge_counts_and_black_hair_does_not() -> None:
    pictures = np.full((3, 32, 32, 3), 120, np.uint8)
    pictures[0, :8] = 0
    pictures[1, 8:16, 8:16] = 0
    assert black_share(pictures).tolist() == [0.25, 0.0, 0.0]


def test_colors_are_those_of_the_middle() -> None:
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    picture[:, 8:24, 8:24] = 119  # L 50 is gray 118.9 in sRGB
    np.testing.assert_allclose(skin_colors(picture), [[50, 0, 0]], atol=0.3)
