"""Faces marked by hand: the file there and back, what is refused and in which words, and the landmarks that follow."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadOption, MissingInput
from facelib.alignment import bbox_from_landmarks, frame_to_unit
from facelib.landmarks import MEAN_FACE
from facelib.marks import MEAN_LANDMARKS, Mark, landmarks_of, mean_face, read_marks, write_marks
from tests.painting import head_landmarks

FRAME = np.zeros((240, 320, 3), np.uint8)
POINTS = head_landmarks((160, 120), 90, yaw=0.3, roll=0.4)


class Measurer:
    """Sees a face, or none; remembers where it was asked to look."""

    identity = "played"

    def __init__(self, landmarks: np.ndarray | None = None) -> None:
        self.landmarks = landmarks
        self.asked: list[tuple[np.ndarray, float]] = []

    def measure_box(
        self, frame: np.ndarray, box: np.ndarray, turn: float = 0.0, *, accurate: bool = True
    ) -> np.ndarray | None:
        self.asked.append((box, turn))
        return self.landmarks


def five(landmarks: np.ndarray) -> list[list[float]]:
    """Middles of the eyes, tip of the nose, corners of the mouth, by the numbers of the 68-point convention."""
    eyes = [landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)]
    return [[float(x), float(y)] for x, y in (*eyes, landmarks[30], landmarks[48], landmarks[54])]


def test_there_and_back(odd_folder: Path) -> None:
    marks = {
        "00001.png": None,
        "été 2.png": (),
        "00003.png": (Mark((1.5, 2, 30, 40)), Mark((5, 6, 70, 80), math.radians(-30), mean=True)),
        "00004.png": (Mark.of_landmarks(POINTS.round(3).astype(np.float64)),),
    }
    path = odd_folder / "marks.json"
    write_marks(path, marks, ['How to: "box"'])
    read = read_marks(path)
    assert list(read) == list(marks)
    assert (read["00001.png"], read["été 2.png"]) == (None, ())
    assert read["00003.png"] == (Mark((1.5, 2, 30, 40)), Mark((5, 6, 70, 80), math.radians(-30), mean=True))
    (face,) = read["00004.png"] or ()
    np.testing.assert_allclose(face.points, POINTS, atol=6e-4)
    assert '\n  "00001.png": null,\n' in path.read_text(encoding="utf-8")  # one frame to a line


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        ({"a": 5}, "a: a frame has a list of faces, or null. Received: 5."),
        ({"a": [[1, 2, 3, 4]]}, 'a, face 1: a face has either "box" or "points". Received: [1, 2, 3, 4].'),
        ({"a": [{"box": [1, 2, 3]}]}, "left < right and top < bottom. Received: [1, 2, 3]."),
        ({"a": [{"box": [9, 2, 3, 4]}]}, "left < right and top < bottom. Received: [9, 2, 3, 4]."),
        ({"a": [{"box": [1, 2, 3, True]}]}, "Received: [1, 2, 3, true]."),
        ({"a": [{"box": [1, 2, 3, float("nan")]}]}, "Received: [1, 2, 3, NaN]."),
        ({"a": [{"box": [1, 2, 3, 1e9]}]}, "a box is [left, top, right, bottom] in pixels"),
        ({"a": [{"box": [1, 2, 3, 4], "turn": "left"}]}, 'turn is a number of degrees, -360 to 360. Received: "left".'),
        ({"a": [{"box": [1, 2, 3, 4], "mean": 1}]}, "mean is true or false. Received: 1."),
        ({"a": [{"box": [1, 2, 3, 4], "size": 1}]}, "nobody knows what this means here. Received: size."),
        ({"a": [{"points": five(POINTS), "turn": 1}]}, "Received: turn."),
        ({"a": [{}, {"points": []}]}, 'a, face 1: a face has either "box" or "points". Received: {}.'),
        ({"a": [{"points": [[1, 2]] * 6}]}, "points are 5 or 68 pairs [x, y] in pixels. Received: 6 points."),
        ({"a": [{"points": [[1, 2]] * 5}]}, "these points do not form a face."),
        ({"a": [{"points": [five(POINTS)[n] for n in (1, 0, 2, 3, 4)]}]}, "these points do not form a face."),
        ({"a": [{"points": np.roll(POINTS, 11, axis=0).tolist()}]}, "these points do not form a face."),
        ([], "and \"frames\". Received: schema 'ManualFaces.1'."),
    ],
)
def test_refused_in_words(tmp_path: Path, frames: object, sentence: str) -> None:
    path = tmp_path / "marks.json"
    path.write_text(json.dumps({"schema": "ManualFaces.1", "frames": frames}), encoding="utf-8")
    with pytest.raises(BadOption) as caught:
        read_marks(path)
    assert sentence in caught.value.what
    assert str(path) in caught.value.what


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"schema": "ManualFaces.1",', "is no JSON: "),
        ('{"schema": "ManualFaces.1",\n "frames": {"a": [}}', "in line 2, column 19."),
        ('{"schema": "ManualFaces.2", "frames": {}}', "Received: schema 'ManualFaces.2'."),
        ('{"schema": "ManualFaces.1", "frames": {"a": [], "a": null}}', "cannot be understood: a is there twice."),
        ("[]", "Received: schema None."),
        ("[" * 100_000, "nested too deeply"),
        ('{"schema": ' + "9" * 5000 + "}", "cannot be understood: "),
    ],
)
def test_no_file_of_marks(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "marks.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadOption) as caught:
        read_marks(path)
    assert sentence in caught.value.what


def test_missing_and_not_a_text(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="does not exist"):
        read_marks(tmp_path / "absent.json")
    (tmp_path / "marks.json").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(BadOption, match="no text in UTF-8"):
        read_marks(tmp_path / "marks.json")


def test_a_box_is_measured_and_68_points_are_taken_as_they_are() -> None:
    measurer = Measurer(POINTS)
    got = landmarks_of(Mark((10, 20, 110, 140), 0.3), FRAME, measurer)
    assert got is POINTS
    ((box, turn),) = measurer.asked
    assert (box.tolist(), turn) == ([10, 20, 110, 140], 0.3)
    assert landmarks_of(Mark((10, 20, 110, 140)), FRAME, Measurer(None)) is None
    taken = landmarks_of(Mark.of_landmarks(POINTS), FRAME, Measurer(None))
    assert taken is not None
    np.testing.assert_allclose(taken, POINTS)


def test_five_points_say_where_to_look_and_else_carry_the_mean_face() -> None:
    """Taken from a mean face that is known: turned by 0.4, unit 80 pixels, nose at (150, 100)."""
    known = mean_face(np.array([150.0, 100.0]), 80 * np.array([math.cos(0.4), math.sin(0.4)]))
    measurer = Measurer(None)
    laid = landmarks_of(Mark(points=tuple((x, y) for x, y in five(known))), FRAME, measurer)
    assert laid is not None
    np.testing.assert_allclose(laid, known, atol=1e-9)
    ((box, turn),) = measurer.asked
    np.testing.assert_allclose(box, (70, 20, 230, 180), atol=1e-9)
    assert turn == pytest.approx(0.4)
    measured = landmarks_of(Mark(points=tuple((x, y) for x, y in five(known))), FRAME, Measurer(POINTS))
    assert measured is POINTS


def test_the_mean_face_lies_in_its_box() -> None:
    """Nose in the middle, unit as wide as half of the longer side; turned by a quarter, x becomes y."""
    laid = landmarks_of(Mark((100, 40, 180, 200), mean=True), FRAME, Measurer(None))
    assert laid is not None
    np.testing.assert_allclose(laid[30], (140, 120))
    np.testing.assert_allclose(laid[17:], (140, 120) + 80 * (MEAN_FACE[17:] - MEAN_FACE[30]), atol=1e-4)
    turned = landmarks_of(Mark((100, 40, 180, 200), math.pi / 2, mean=True), FRAME, Measurer(None))
    assert turned is not None
    away = laid - (140, 120)
    np.testing.assert_allclose(turned - (140, 120), np.column_stack([-away[:, 1], away[:, 0]]), atol=1e-9)


def test_the_mean_jaw_goes_around_the_face() -> None:
    """Ears beside the eyes, the chin the lowest point, all of it a smooth bow outside of mouth and brows."""
    jaw = MEAN_LANDMARKS[:17]
    assert jaw[0, 0] < MEAN_FACE[36, 0] < MEAN_FACE[45, 0] < jaw[16, 0]
    assert jaw[8, 1] == jaw[:, 1].max() > MEAN_FACE[57, 1]
    assert (np.diff(jaw[:, 0]) > 0).all()


@settings(deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(5, 400), st.floats(-50, 400), st.floats(-50, 400))
def test_the_mean_face_is_upright_in_its_own_crop(turn: float, size: float, x: float, y: float) -> None:
    laid = mean_face(np.array([x, y]), size * np.array([math.cos(turn), math.sin(turn)]))
    to_unit = frame_to_unit(laid)
    assert math.hypot(*to_unit[:, 0]) == pytest.approx(1 / size, rel=1e-6)
    assert math.remainder(math.atan2(-to_unit[1, 0], to_unit[0, 0]) - turn, 2 * math.pi) == pytest.approx(0, abs=1e-6)
    left, top, right, bottom = bbox_from_landmarks(laid)
    assert left < x < right
    assert top < y < bottom
