"""Marking faces by hand without a page: every key, every button, what stays from frame to frame, and the way back."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from facelib.landmark_editor import HELP, KEYS, LandmarkEditor
from facelib.landmarks import MEAN_FACE
from facelib.marks import landmarks_of, read_marks, write_marks
from tests.painting import head_landmarks, paint_frame

WIDTH, HEIGHT = 320, 240
NAMES = [f"{n}.png" for n in range(1, 6)]


class Measurer:
    """Sees a face of the rectangle's size in its middle, turned with it; none left of x = 20."""

    identity = "played"

    def __init__(self) -> None:
        self.accurate: list[bool] = []

    def measure_box(
        self, frame: np.ndarray, box: np.ndarray, turn: float = 0.0, *, accurate: bool = True
    ) -> np.ndarray | None:
        self.accurate.append(accurate)
        x, y = (box[:2] + box[2:]) / 2
        return None if x < 20 else head_landmarks((x, y), box[2] - box[0], roll=turn).astype(np.float64)


def read(number: int) -> np.ndarray:
    return paint_frame(WIDTH, HEIGHT, (160, 120), 90, seed=number)[0]


@pytest.fixture
def measurer() -> Measurer:
    return Measurer()


@pytest.fixture
def editor(measurer: Measurer) -> LandmarkEditor:
    """Five frames, shown as large as they are."""
    return LandmarkEditor(NAMES, read, measurer, window_size=0)


def counts(editor: LandmarkEditor) -> list[int]:
    return [len(editor.faces(number)) for number in range(len(NAMES))]


# --------------------------------------------------------------------------------------------------------------- mouse


def test_the_rectangle_follows_the_pointer_until_it_is_locked(editor: LandmarkEditor) -> None:
    editor.move_pointer(150, 90)
    np.testing.assert_allclose(editor.rectangle, [[50, -10], [250, -10], [250, 190], [50, 190]])
    editor.click(140, 80)
    assert editor.locked
    editor.move_pointer(20, 20)
    np.testing.assert_allclose(editor.rectangle.mean(axis=0), (140, 80))
    editor.turn_wheel(3)
    assert np.ptp(editor.rectangle[:, 0]) == pytest.approx(200)
    editor.click(60, 50)
    assert not editor.locked
    np.testing.assert_allclose(editor.rectangle.mean(axis=0), (60, 50))


def test_the_pointer_stays_in_the_view(editor: LandmarkEditor) -> None:
    editor.move_pointer(-500, 1e6)
    np.testing.assert_allclose(editor.rectangle.mean(axis=0), (0, HEIGHT - 1))


def test_the_wheel_has_fine_steps_for_small_rectangles(editor: LandmarkEditor) -> None:
    """Half sizes by hand: 100 + 10; 100 - 10 - 9; up to 40 one pixel a step; never below 5."""
    sizes = []
    for steps in (1, -2, -200, 1, 35, 1):
        editor.turn_wheel(steps)
        sizes.append(np.ptp(editor.rectangle[:, 0]) / 2)
    assert sizes[:1] == [pytest.approx(110)]
    assert sizes[1] == pytest.approx(110 - 10 - 10)
    assert sizes[2:] == [pytest.approx(v) for v in (5, 6, 41, 45.1)]


def test_what_lies_in_the_rectangle_is_measured_once(editor: LandmarkEditor, measurer: Measurer) -> None:
    editor.move_pointer(150, 90)
    first = editor.landmarks
    assert first is not None
    np.testing.assert_allclose(first, head_landmarks((150, 90), 200), atol=1e-3)
    assert editor.landmarks is first
    assert measurer.accurate == [True]
    editor.press("a")
    assert editor.landmarks is not None
    assert measurer.accurate == [True, False]
    assert not editor.accurate


def test_turning_the_rectangle(editor: LandmarkEditor) -> None:
    editor.move_pointer(150, 90)
    for _ in range(3):
        editor.press("]")
    editor.press("[")
    turn = math.radians(30)
    np.testing.assert_allclose(np.asarray(editor.landmarks), head_landmarks((150, 90), 200, roll=turn), atol=1e-3)
    across = editor.rectangle[1] - editor.rectangle[0]
    assert math.atan2(across[1], across[0]) == pytest.approx(turn)


def test_drawing_a_face_the_network_does_not_see(editor: LandmarkEditor) -> None:
    """Nose at (100, 120), the pointer 60 pixels to the right and 80 down: the unit is 100 pixels long."""
    editor.move_pointer(100, 120)
    editor.click_right()
    assert editor.drawing
    assert editor.landmarks is None
    editor.move_pointer(160, 200)
    landmarks = editor.landmarks
    assert landmarks is not None
    x, y = (MEAN_FACE[17:] - MEAN_FACE[30]).astype(np.float64).T
    by_hand = np.column_stack([100 + 60 * x - 80 * y, 120 + 80 * x + 60 * y])
    np.testing.assert_allclose(landmarks[17:], by_hand, atol=1e-4)
    assert np.ptp(landmarks[:17], axis=0).min() > 50  # the jaw is one, not a point
    np.testing.assert_allclose(editor.rectangle.mean(axis=0), (100, 120))
    assert math.hypot(*(editor.rectangle[1] - editor.rectangle[0])) == pytest.approx(200)
    editor.turn_wheel(5)
    editor.click(160, 200)
    assert (editor.drawing, editor.locked) == (False, True)
    editor.press("enter")
    np.testing.assert_allclose(editor.faces(0)[0].landmarks[17:], by_hand, atol=1e-4)


def test_a_second_right_click_stops_drawing_unlocked(editor: LandmarkEditor) -> None:
    editor.move_pointer(100, 120)
    editor.click_right()
    editor.move_pointer(160, 200)
    editor.click_right()
    assert (editor.drawing, editor.locked) == (False, False)
    np.testing.assert_allclose(np.asarray(editor.landmarks), head_landmarks((100, 120), 200), atol=1e-3)


def test_dragging_one_landmark(editor: LandmarkEditor) -> None:
    editor.move_pointer(150, 90)
    before = editor.landmarks
    assert before is not None
    x, y = before[30]
    assert editor.find_landmark(x + 2, y - 1) == 30
    assert editor.find_landmark(0, HEIGHT - 1) is None
    for step in range(1, 4):
        editor.drag_landmark(30, x + 3 * step, y + step)
    assert editor.locked
    after = editor.landmarks
    assert after is not None
    np.testing.assert_allclose(after[30], (x + 9, y + 3), atol=1e-6)
    np.testing.assert_allclose(np.delete(after, 30, axis=0), np.delete(before, 30, axis=0))
    editor.undo()  # the whole drag
    assert not editor.locked
    np.testing.assert_allclose(np.asarray(editor.landmarks), before)


# ---------------------------------------------------------------------------------------------------------------- keys


def test_enter_accepts_locked_or_not_and_place_and_size_stay(editor: LandmarkEditor) -> None:
    editor.move_pointer(150, 90)
    editor.turn_wheel(1)
    editor.press("Enter")
    assert (editor.frame_number, counts(editor)) == (1, [1, 0, 0, 0, 0])
    editor.click(150, 90)
    editor.press("enter")
    assert (editor.frame_name, editor.locked, counts(editor)) == ("3.png", False, [1, 1, 0, 0, 0])
    np.testing.assert_allclose(editor.rectangle[0], (40, -20))


def test_enter_stays_where_no_face_is_seen(editor: LandmarkEditor) -> None:
    editor.move_pointer(5, 90)
    editor.press("enter")
    assert (editor.frame_number, counts(editor)[0]) == (0, 0)
    assert "right-click" in editor.message
    editor.move_pointer(150, 90)
    editor.press("enter")
    assert (editor.frame_number, editor.message) == (1, "")


def test_going_back_shows_the_face_again_locked_and_where_it_was(editor: LandmarkEditor) -> None:
    editor.move_pointer(150, 90)
    editor.press("enter")
    editor.move_pointer(60, 60)
    editor.turn_wheel(-5)
    editor.press(",")
    assert (editor.frame_number, editor.locked) == (0, True)
    np.testing.assert_allclose(editor.rectangle.mean(axis=0), (150, 90))
    np.testing.assert_allclose(np.asarray(editor.landmarks), head_landmarks((150, 90), 200), atol=1e-3)
    assert counts(editor) == [0, 0, 0, 0, 0]  # taken out ...
    editor.press("<")  # no frame before the first
    assert editor.frame_number == 0
    editor.press(">")  # ... and, being locked, kept on the way
    assert (editor.frame_number, counts(editor)) == (1, [1, 0, 0, 0, 0])


def test_unlocked_faces_are_not_kept_by_comma_and_dot(editor: LandmarkEditor) -> None:
    editor.press(".")
    editor.press(",")
    assert counts(editor) == [0, 0, 0, 0, 0]
    assert editor.marks()["1.png"] is None  # and the frame stays open
    editor.press("enter")
    editor.press(",")
    editor.click(60, 60)  # unlocks the face that is shown again
    editor.press(".")
    assert counts(editor) == [0, 0, 0, 0, 0]


def test_enter_and_space_pass_over_frames_that_have_their_face(editor: LandmarkEditor) -> None:
    editor.press(".")
    editor.press("enter")
    editor.press("enter")
    editor.press(",")
    editor.press(",")
    editor.press(",")
    assert (editor.frame_number, counts(editor)) == (0, [0, 1, 1, 0, 0])
    editor.press("space")
    assert (editor.frame_number, counts(editor)) == (3, [0, 1, 1, 0, 0])
    assert editor.marks()["1.png"] == ()  # said: no face


def test_space_drops_a_face_that_is_shown_again(editor: LandmarkEditor) -> None:
    editor.press("enter")
    editor.press(",")
    editor.press("space")
    assert counts(editor) == [0, 0, 0, 0, 0]
    assert editor.marks()["1.png"] == ()


def test_q_keeps_a_locked_face_and_leaves_the_rest(editor: LandmarkEditor) -> None:
    editor.press("enter")
    editor.click(150, 90)
    editor.press("Q")
    assert editor.finished
    assert counts(editor) == [1, 1, 0, 0, 0]
    assert [faces is None for faces in editor.marks().values()] == [False, False, True, True, True]


def test_q_does_not_keep_an_unlocked_face(editor: LandmarkEditor) -> None:
    editor.press("q")
    assert (editor.finished, counts(editor)) == (True, [0, 0, 0, 0, 0])


def test_behind_the_last_frame_it_is_finished(editor: LandmarkEditor) -> None:
    for _ in NAMES:
        assert not editor.finished
        editor.press("enter")
    assert (editor.finished, counts(editor)) == (True, [1, 1, 1, 1, 1])
    editor.undo()
    assert (editor.finished, editor.frame_number) == (False, 4)


def test_several_faces_in_one_frame(editor: LandmarkEditor) -> None:
    editor.move_pointer(100, 90)
    editor.press("+")
    editor.move_pointer(220, 90)
    editor.press("enter")
    assert counts(editor) == [2, 0, 0, 0, 0]
    places = [tuple(face.rectangle.center) for face in editor.faces(0)]
    assert places == [(100, 90), (220, 90)]


def test_undo_goes_back_step_by_step(editor: LandmarkEditor) -> None:
    editor.move_pointer(150, 90)
    editor.press("enter")
    editor.press("space")
    editor.press("h")
    editor.press("u")
    assert editor.help_lines == HELP
    editor.press("u")
    assert (editor.frame_number, editor.marks()["2.png"]) == (1, None)
    editor.press("u")
    assert (editor.frame_number, counts(editor)) == (0, [0, 0, 0, 0, 0])
    np.testing.assert_allclose(editor.rectangle.mean(axis=0), (150, 90))
    editor.press("u")
    assert editor.message == "There is nothing to undo."


def test_help_and_keys(editor: LandmarkEditor) -> None:
    assert editor.help_lines == HELP
    editor.press("H")
    assert editor.help_lines == ()
    assert not editor.press("x")
    shown = " ".join(HELP)
    assert all(f"[{key}]" in shown or key in "[]" for key in KEYS)


# ----------------------------------------------------------------------------------------------------------- the file


def test_marks_are_a_file_that_gives_the_same_landmarks(
    editor: LandmarkEditor, measurer: Measurer, odd_folder: Path
) -> None:
    editor.move_pointer(150, 90)
    editor.press("enter")
    editor.press("space")
    editor.press("q")
    write_marks(odd_folder / "marks.json", editor.marks())
    marks = read_marks(odd_folder / "marks.json")
    assert (marks["2.png"], marks["3.png"]) == ((), None)
    (mark,) = marks["1.png"] or ()
    got = landmarks_of(mark, read(0), measurer)
    assert got is not None
    np.testing.assert_allclose(got, head_landmarks((150, 90), 200), atol=1e-3)


def test_no_frames_are_no_work(measurer: Measurer) -> None:
    with pytest.raises(ValueError, match="no frame"):
        LandmarkEditor([], read, measurer)
