"""facelib.face_rectangle: where a rectangle lies, and how it grows and turns."""

from __future__ import annotations

import numpy as np
import pytest

from facelib.face_rectangle import SMALL, FaceRectangle


def test_corners_go_clockwise_from_the_top_left() -> None:
    rectangle = FaceRectangle((10.0, 20.0), 2.0)
    assert rectangle.corners.tolist() == [[8, 18], [12, 18], [12, 22], [8, 22]]
    assert rectangle.box.tolist() == [8, 18, 12, 22]


def test_it_turns_clockwise_about_its_middle_and_its_box_does_not() -> None:
    rectangle = FaceRectangle((10.0, 20.0), 2.0).turned(6)
    assert np.allclose(rectangle.corners, [[12, 18], [12, 22], [8, 22], [8, 18]], atol=1e-12)
    assert rectangle.box.tolist() == [8, 18, 12, 22]


def test_full_turns_are_none() -> None:
    rectangle = FaceRectangle((0.0, 0.0))
    for _ in range(24):
        rectangle = rectangle.turned(1)
    assert rectangle.turn == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("size", "steps", "expected"),
    [(SMALL, 1, 41.0), (60.0, 1, 66.0), (200.0, 2, 220.0), (60.0, -1, 54.0), (7.0, -5, 5.0), (30.0, 0, 30.0)],
)
def test_a_step_is_a_pixel_of_a_small_one_and_a_tenth_of_a_large_one(size: float, steps: int, expected: float) -> None:
    rectangle = FaceRectangle((3.0, 4.0), size, 0.5).grown(steps)
    assert rectangle == FaceRectangle((3.0, 4.0), expected, 0.5)
