"""What is seen while faces are marked by hand: sizes, magnification, the way from the pointer to the frame, colors."""

from __future__ import annotations

import numpy as np
import pytest

from core.geometry import transform_points
from facelib.face_type import FaceType
from facelib.landmark_view import FrameView, draw_view
from tests.painting import head_landmarks, paint_background

WIDTH, HEIGHT = 320, 240
FRAME = paint_background(WIDTH, HEIGHT)
RECTANGLE = np.array([[60.0, 50], [220, 50], [220, 210], [60, 210]])


def test_the_view_is_nine_sixteenths_of_the_window_high() -> None:
    view = FrameView(WIDTH, HEIGHT, 1280, (160, 120), 100)
    assert view.size == (960, 720)
    # A view pixel is a third of a frame pixel: its center lies at 480.5 / 3 - 0.5.
    np.testing.assert_allclose(view.in_frame(480, 240), (480.5 / 3 - 0.5, 240.5 / 3 - 0.5))
    np.testing.assert_allclose(transform_points(np.array([[10.0, 20.0]]), view.frame_to_view), [[31, 61]])
    assert FrameView(WIDTH, HEIGHT, 0, (160, 120), 100).size == (WIDTH, HEIGHT)


def test_the_pointer_outside_counts_at_the_edge() -> None:
    view = FrameView(WIDTH, HEIGHT, 0, (160, 120), 100)
    assert view.in_frame(-500, 1e6) == (0, HEIGHT - 1)


@pytest.mark.parametrize("window_size", [0, 1000])
def test_a_small_rectangle_is_shown_at_half_of_the_view(window_size: int) -> None:
    view = FrameView(WIDTH, HEIGHT, window_size, (60, 50), 10)
    width, height = view.size
    corners = transform_points(np.array([[50.0, 40], [70, 60]]), view.frame_to_view)
    np.testing.assert_allclose(corners[0], ((width - 1) / 2 - height / 4, (height - 1) / 2 - height / 4))
    np.testing.assert_allclose(corners[1], ((width - 1) / 2 + height / 4, (height - 1) / 2 + height / 4))
    assert view.in_frame(30, 30) == FrameView(WIDTH, HEIGHT, window_size, (60, 50), 100).in_frame(30, 30)


def near(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    """How many pixels have nearly this color; lines are smooth, so few have all of it."""
    return int((np.abs(picture.astype(int) - color).max(axis=2) < 90).sum())


def test_colors_tell_what_is_locked() -> None:
    view = FrameView(WIDTH, HEIGHT, 0, (140, 130), 80)
    landmarks = head_landmarks((140, 130), 100)
    green, cyan, blue, red = (0, 255, 0), (255, 255, 0), (255, 0, 0), (0, 0, 255)

    def seen(found: np.ndarray | None, accepted: list[np.ndarray], *, locked: bool = False) -> list[bool]:
        picture = draw_view(FRAME, view, RECTANGLE, found, accepted, FaceType.HALF, locked=locked)
        assert picture.shape == FRAME.shape
        return [near(picture, color) - near(FRAME, color) > 200 for color in (green, cyan, blue, red)]

    assert seen(None, []) == [False, False, True, False]
    assert seen(landmarks, []) == [True, False, True, True]
    assert seen(landmarks, [], locked=True) == [False, True, True, True]
    assert seen(None, [landmarks]) == [False, True, True, False]


def test_landmarks_that_form_no_face_have_no_crop() -> None:
    line = np.column_stack([np.linspace(50, 200, 68), np.linspace(50, 100, 68)])
    picture = draw_view(
        FRAME, FrameView(WIDTH, HEIGHT, 0, (0, 0), 80), RECTANGLE, line, [], FaceType.WHOLE, locked=False
    )
    assert near(picture, (0, 0, 255)) == near(FRAME, (0, 0, 255))


def test_the_crop_of_the_chosen_type_is_drawn() -> None:
    """The outline of a head is twice as large as that of a half face (padding 0.5 to 0.0 and rise: spec 1, 2.4)."""
    view = FrameView(WIDTH, HEIGHT, 0, (160, 140), 80)
    landmarks = head_landmarks((160, 150), 60)
    extent = []
    for face_type in (FaceType.HALF, FaceType.WHOLE):
        picture = draw_view(np.zeros_like(FRAME), view, RECTANGLE, landmarks, [], face_type, locked=False)
        extent.append(np.ptp(np.nonzero((picture == (0, 0, 255)).all(axis=2))[1]))
    assert extent[1] / extent[0] == pytest.approx(FaceType.WHOLE.unit_sides / FaceType.HALF.unit_sides, abs=0.05)
