"""BlazeFace: decoding, letterbox and suppression on numbers worked out by hand; real portraits in test_face_mesh."""

from __future__ import annotations

import numpy as np
import pytest

from facelib.nets.blaze_face import BlazeFace, Detections, decode, same_face, weighted_suppression
from facelib.nets.pretrained import FULL_RANGE, SHORT_RANGE, WeightFile


def _detections(boxes: list[list[float]], scores: list[float]) -> Detections:
    array = np.array(boxes, np.float64)
    return Detections(array, np.repeat(array[:, None, :2], 6, axis=1), np.array(scores))


def test_decode_adds_the_anchor_and_keeps_what_is_sure() -> None:
    anchors = np.array([[0.5 / 48, 0.5 / 48], [10.5 / 48, 20.5 / 48]])  # pixels (2, 2), (42, 82)
    values = np.zeros((2, 16), np.float32)
    values[1, :4] = 3, -5, 20, 30
    values[1, 4:6] = -4, -6
    found = decode(values, np.array([-4.0, 2.0]), anchors, 192, 0.6)
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes[0], [45 - 10, 77 - 15, 45 + 10, 77 + 15])
    np.testing.assert_allclose(found.key_points[0, 0], [38, 76])
    np.testing.assert_allclose(found.key_points[0, 1], [42, 82])
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_decode_survives_absurd_answers() -> None:
    anchors = np.full((3, 2), 0.5)
    values = np.zeros((3, 16), np.float32)
    values[0, 2:4] = -5  # an inside-out box
    values[1, 2:4] = 8
    found = decode(values, np.array([1e9, 1e9, -1e9]), anchors, 192, 0.6)
    assert found.scores.tolist() == [1.0]


def test_weighted_suppression_takes_the_mean_of_one_face() -> None:
    found = _detections([[0, 0, 10, 10], [1, 0, 11, 10], [40, 40, 50, 50]], [0.9, 0.6, 0.7])
    kept = weighted_suppression(found)
    np.testing.assert_allclose(kept.boxes, np.array([[0.4, 0, 10.4, 10], [40, 40, 50, 50]]))  # 0.6 / (0.9 + 0.6) = 0.4
    assert kept.scores.tolist() == [0.9, 0.7]


def test_two_boxes_of_one_face() -> None:
    box = np.array([0.0, 0, 10, 10])
    assert same_face(box, np.array([2.0, 2, 5, 5]), 0.3, 0.6)  # one inside the other
    assert not same_face(box, np.array([9.0, 0, 19, 10]), 0.3, 0.6)


def test_turned_boxes_stay_boxes() -> None:
    found = _detections([[1, 2, 4, 8]], [1.0])
    turned = found.transformed(np.array([[0.0, 1, 0], [-1, 0, 9]]))  # back from a quarter turn of a picture 10 high
    np.testing.assert_allclose(turned.boxes, [[2, 5, 8, 8]])
    np.testing.assert_allclose(turned.key_points[0, 0], [2, 8])


@pytest.mark.parametrize("file", [FULL_RANGE, SHORT_RANGE])
@pytest.mark.parametrize("shape", [(200, 320), (320, 200), (190, 191), (1, 1), (7, 300)])
def test_any_shape_of_picture_is_searched(weights: None, file: WeightFile, shape: tuple[int, int]) -> None:
    assert len(BlazeFace(file).detect(np.full((*shape, 3), 128, np.uint8))) == 0


@pytest.mark.parametrize("file", [FULL_RANGE, SHORT_RANGE])
def test_boxes_follow_the_picture(weights: None, astronaut: np.ndarray, file: WeightFile) -> None:
    """A shifted crop gives the same box, shifted: letterbox and way back fit together.

    Tolerance: the detector works in cells of 4 (8) of its pixels, that is about 8 (20) frame pixels here.
    """
    detector = BlazeFace(file)
    (whole,) = detector.detect(astronaut[:400, :400]).boxes
    (moved,) = detector.detect(astronaut[20:420, 40:440]).boxes
    np.testing.assert_allclose(moved + np.array([40, 20, 40, 20]), whole, atol=6)
    (wide,) = detector.detect(astronaut[:300]).boxes
    np.testing.assert_allclose(wide, whole, atol=8)
