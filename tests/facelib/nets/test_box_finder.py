"""From boxes and landmarks to faces: quarter turns, the second pass, what is dropped. The networks are played."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from core.geometry import transform_points
from facelib.alignment import frame_to_face
from facelib.extraction import FoundFace, crop_side_pixels
from facelib.face_type import FaceType
from facelib.nets.box_finder import (
    BoxFinder,
    Candidate,
    MeshDetector,
    S3FDDetector,
    turned,
    turned_to_frame,
)
from facelib.nets.s3fd import FaceBox
from tests.painting import paint_frame

WIDTH, HEIGHT = 400, 300
FACE = paint_frame(WIDTH, HEIGHT, (220, 140), 90)[1]
BOX = np.array([175.0, 80, 265, 190])


def frame(value: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


NDArrayOrNone = np.ndarray | None


class PlayedDetector:
    """Finds what it was told, for frames of one color by that color; sees one face in each upright crop, or none."""

    identity = "played boxes"

    def __init__(self, by_color: dict[int, list[Candidate]], second: NDArrayOrNone = None) -> None:
        self.by_color = by_color
        self.second = second

    def candidates(self, frames: Sequence[np.ndarray]) -> list[list[Candidate]]:
        return [self.by_color[int(f[0, 0, 0])] for f in frames]

    def second_boxes(self, pictures: Sequence[np.ndarray]) -> list[NDArrayOrNone]:
        assert all(p.shape == (256, 256, 3) for p in pictures)
        return [self.second] * len(pictures)


class PlayedLandmarks:
    """Answers with the given points; in the second pass, on 256 x 256 crops, with `second`. Remembers its pictures."""

    def __init__(self, first: list[NDArrayOrNone], second: NDArrayOrNone = None) -> None:
        self.first = first
        self.second = second
        self.calls: list[tuple[list[tuple[int, ...]], bool]] = []

    def measure(
        self, pictures: Sequence[np.ndarray], boxes: Sequence[np.ndarray], *, five: bool
    ) -> list[NDArrayOrNone]:
        self.calls.append(([p.shape for p in pictures], five))
        return [self.second] * len(boxes) if five else self.first[: len(boxes)]


def finder(
    detector: object, landmarks: object, face_type: FaceType = FaceType.WHOLE, accurate: bool = False
) -> BoxFinder:
    return BoxFinder(detector, landmarks, "played points", face_type, accurate=accurate)  # type: ignore[arg-type]


def candidate(turns: int = 0, box: np.ndarray = BOX, score: float = 0.9) -> Candidate:
    return Candidate(turns, FaceBox(box, score))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turned_pixels_come_from_where_the_matrix_says(turns: int) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    other = turned(picture, turns)
    back = turned_to_frame(turns, 5, 7)
    for y, x in np.ndindex(other.shape[:2]):
        column, row = transform_points(np.array([x, y], np.float64), back).astype(int)
        np.testing.assert_array_equal(other[y, x], picture[row, column])


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_landmarks_of_a_turned_frame_come_back(turns: int) -> None:
    to_frame = turned_to_frame(turns, HEIGHT, WIDTH)
    linear = np.linalg.inv(to_frame[:, :2])
    in_turned = (FACE - to_frame[:, 2]) @ linear.T
    landmarks = PlayedLandmarks([in_turned])
    (found,) = finder(PlayedDetector({0: [candidate(turns)]}), landmarks).find(frame())
    np.testing.assert_allclose(found.landmarks, FACE, atol=1e-3)
    assert found.score == 0.9
    assert landmarks.calls == [([(WIDTH, HEIGHT, 3) if turns % 2 else (HEIGHT, WIDTH, 3)], False)]


def test_every_frame_gets_its_own_faces() -> None:
    detector = PlayedDetector({0: [], 1: [candidate(), candidate()], 2: [candidate()]})
    first = [FACE, FACE - (90, 0), FACE + np.array([20, 10])]
    found = finder(detector, PlayedLandmarks(first)).find_many([frame(0), frame(1), frame(0), frame(2)])
    assert [len(faces) for faces in found] == [0, 2, 0, 1]
    np.testing.assert_allclose(found[1][1].landmarks, first[1], atol=1e-3)
    np.testing.assert_allclose(found[3][0].landmarks, first[2], atol=1e-3)


def test_the_second_pass_replaces_the_first() -> None:
    """The crop shows the face upright; what is measured there, 2 pixels of the crop lower, goes back into the frame."""
    to_crop = frame_to_face(FACE, FaceType.FULL, 256)
    in_crop = transform_points(FACE.astype(np.float64), to_crop) + np.array([0, 2])
    landmarks = PlayedLandmarks([FACE.astype(np.float64)], in_crop)
    detector = PlayedDetector({0: [candidate()]}, second=np.array([20.0, 20, 230, 250]))
    (found,) = finder(detector, landmarks, accurate=True).find(frame())
    shift = np.linalg.inv(to_crop[:, :2]) @ (0, 2)
    np.testing.assert_allclose(found.landmarks, FACE + shift, atol=1e-3)
    assert landmarks.calls[1] == ([(256, 256, 3)], True)


def test_without_one_face_in_the_crop_the_first_pass_stands() -> None:
    landmarks = PlayedLandmarks([FACE.astype(np.float64)], FACE + 50.0)
    (found,) = finder(PlayedDetector({0: [candidate()]}), landmarks, accurate=True).find(frame())
    np.testing.assert_allclose(found.landmarks, FACE, atol=1e-3)


def test_one_person_is_reported_once_and_nonsense_never() -> None:
    line = np.linspace((10, 10), (200, 100), 68)
    first = [None, line, FACE, FACE + 3.0, FACE - (100, 0)]
    for accurate in (False, True):
        detector = PlayedDetector({0: [candidate() for _ in first]})
        found = finder(detector, PlayedLandmarks(first), accurate=accurate).find(frame())
        assert len(found) == 2
        np.testing.assert_allclose(found[0].landmarks, FACE, atol=1e-3)


@pytest.mark.parametrize(("face_type", "count"), [(FaceType.HALF, 1), (FaceType.FULL, 0), (FaceType.WHOLE, 1)])
def test_crops_far_larger_than_their_box_are_mistakes(face_type: FaceType, count: int) -> None:
    # The unit square of this face has a side of s; HALF is 1 s wide, FULL 1.5966 s: 2.5 times the area.
    side = crop_side_pixels(FACE, FaceType.HALF)
    small = np.array([200.0, 120, 200 + 0.7 * side, 120 + 0.7 * side])  # 4 * 0.49 = 1.96 s^2
    detector = PlayedDetector({0: [candidate(box=small)]})
    assert len(finder(detector, PlayedLandmarks([FACE]), face_type).find(frame())) == count


class _PlayedS3FD:
    """Sees a face where the first pixel is bright."""

    def detect(self, pictures: Sequence[np.ndarray]) -> list[list[FaceBox]]:
        return [[FaceBox(BOX, 0.8)] * int(p[0, 0, 0] > 0) for p in pictures]


def test_quarter_turns_are_tried_until_one_shows_a_face() -> None:
    upright, on_its_side, none = frame(), frame(), frame()
    upright[0, 0] = 255
    on_its_side[0, WIDTH - 1] = 255  # comes to the corner when turned by 270 degrees
    tiny = frame(255, 100, 500)
    detector = S3FDDetector(_PlayedS3FD(), "abc")  # type: ignore[arg-type]
    found = detector.candidates([upright, none, on_its_side, tiny])
    assert [[c.turns for c in faces] for faces in found] == [[0], [], [3], []]
    assert "abc" in detector.identity


def test_in_the_second_pass_only_one_box_counts() -> None:
    class Two(_PlayedS3FD):
        def detect(self, pictures: Sequence[np.ndarray]) -> list[list[FaceBox]]:
            return [[FaceBox(BOX, 0.8)] * int(p[0, 0, 0]) for p in pictures]

    boxes = S3FDDetector(Two(), "abc").second_boxes([frame(0), frame(1), frame(2)])  # type: ignore[arg-type]
    assert boxes[0] is None
    assert boxes[2] is None
    np.testing.assert_array_equal(boxes[1], BOX)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_boxes_by_the_mesh_are_upright(turns: int) -> None:
    """A face that lies in a frame turned back: its box is the square around it in the upright picture."""
    to_frame = turned_to_frame(turns, HEIGHT, WIDTH)
    upright = FACE - (70, 0)
    lying = FoundFace.from_landmarks(transform_points(upright.astype(np.float64), to_frame), 0.7)

    class Played:
        identity = "mesh"

        def find(self, frame: np.ndarray) -> list[FoundFace]:
            return [lying]

    ((one,),) = MeshDetector(Played()).candidates([frame()])
    assert one.turns == turns
    np.testing.assert_allclose(one.box.bbox, FoundFace.from_landmarks(upright, 0.7).bbox, atol=1e-2)


class _NearDetector(PlayedDetector):
    """Sees a face in crops where one is expected, or none."""

    def __init__(self, box: FaceBox | None) -> None:
        super().__init__({})
        self.box = box

    def near(self, crop: np.ndarray, expected: np.ndarray) -> FaceBox | None:
        assert crop.shape == (256, 256, 3)
        np.testing.assert_allclose(expected, transform_points(FACE, frame_to_face(FACE, FaceType.FULL, 256)), atol=1e-3)
        return self.box


def test_a_face_is_looked_for_where_it_is_expected() -> None:
    """The landmark network measures the upright crop; its answer comes back in frame pixels, scored by the detector."""
    moved = FACE + np.array([3, -2])
    seen = transform_points(moved.astype(np.float64), frame_to_face(FACE, FaceType.FULL, 256))
    box = FaceBox(np.array([20.0, 20, 236, 236]), 0.66)
    near = finder(_NearDetector(box), PlayedLandmarks([], seen), accurate=True).find_near(frame(), FACE)
    assert near is not None
    np.testing.assert_allclose(near.landmarks, moved, atol=1e-3)
    assert near.score == 0.66
    assert finder(_NearDetector(None), PlayedLandmarks([], seen), accurate=True).find_near(frame(), FACE) is None
    assert finder(_NearDetector(box), PlayedLandmarks([None])).find_near(frame(), FACE) is None
    far_out = seen + 1e4
    assert finder(_NearDetector(box), PlayedLandmarks([], far_out), accurate=True).find_near(frame(), FACE) is None


def test_of_several_boxes_the_one_where_the_face_is_expected_counts() -> None:
    class Several(_PlayedS3FD):
        def detect(self, pictures: Sequence[np.ndarray]) -> list[list[FaceBox]]:
            return [[FaceBox(BOX + 200, 0.9), FaceBox(BOX, 0.7)][: int(p[0, 0, 0])] for p in pictures]

    detector = S3FDDetector(Several(), "abc")  # type: ignore[arg-type]
    assert detector.near(frame(0), FACE) is None
    near = detector.near(frame(2), FACE)
    assert near is not None
    assert near.score == 0.7


def test_the_mesh_looks_where_a_face_is_expected_if_it_can() -> None:
    class Blind:
        identity = "mesh"

        def find(self, frame: np.ndarray) -> list[FoundFace]:
            return []

    class Sees(Blind):
        def find_near(self, frame: np.ndarray, landmarks: np.ndarray) -> FoundFace | None:
            return FoundFace.from_landmarks(landmarks + 1, 0.8) if frame[0, 0, 0] else None

    assert MeshDetector(Blind()).near(frame(1), FACE) is None
    assert MeshDetector(Sees()).near(frame(0), FACE) is None
    near = MeshDetector(Sees()).near(frame(1), FACE)
    assert near is not None
    assert near.score == 0.8
    np.testing.assert_allclose(near.bbox, FoundFace.from_landmarks(FACE + 1, 1).bbox, atol=1e-3)


def test_identity_names_all_parts() -> None:
    assert finder(PlayedDetector({}), PlayedLandmarks([])).identity == "played boxes + played points (one pass)"


def measured(one: BoxFinder, turn: float = 0.0, *, accurate: bool = True) -> np.ndarray:
    found = one.measure_box(frame(), BOX, turn, accurate=accurate)
    assert found is not None
    return found


def test_a_box_drawn_by_hand_is_measured_upright() -> None:
    """The network is shown a frame turned back about the middle of the box, and its answer is turned with the face."""
    turn = 0.5
    turned_face = (FACE - (220, 135)) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    landmarks = PlayedLandmarks([FACE])
    one = finder(PlayedDetector({}), landmarks)
    np.testing.assert_allclose(measured(one, turn), turned_face + np.array([220, 135]), atol=1e-3)
    np.testing.assert_allclose(measured(one), FACE, atol=1e-6)
    assert [five for _, five in landmarks.calls] == [False, False]
    assert finder(PlayedDetector({}), PlayedLandmarks([None])).measure_box(frame(), BOX) is None


def test_a_box_drawn_by_hand_is_measured_twice_where_that_is_wanted() -> None:
    crop = transform_points(FACE, frame_to_face(FACE, FaceType.FULL, 256)) + 2
    landmarks = PlayedLandmarks([FACE], crop)
    one = finder(PlayedDetector({}, np.array([0.0, 0, 256, 256])), landmarks, accurate=True)
    assert np.abs(measured(one) - FACE).max() > 0.1
    assert [five for _, five in landmarks.calls] == [False, True]
    np.testing.assert_allclose(measured(one, accurate=False), FACE, atol=1e-6)
