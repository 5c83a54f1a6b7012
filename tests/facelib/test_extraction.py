"""One frame -> its faces: crops, records and debug pictures, with painted faces whose landmarks are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.geometry import invert_affine, transform_points
from core.images import decode_image
from facelib.alignment import bbox_from_landmarks, frame_to_face
from facelib.extraction import (
    ExtractionSettings,
    FoundFace,
    crop_side_pixels,
    cut_out,
    draw_debug,
    extract_faces,
    plausible_face,
    suggest_side,
)
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata
from tests.painting import head_landmarks, paint_frame

_SETTINGS = ExtractionSettings(FaceType.WHOLE, 256, jpeg_quality=95)


@dataclass
class KnownFaces:
    """A finder that has been told where the faces are."""

    landmarks: list[np.ndarray]
    identity: str = "told"

    def find(self, frame: np.ndarray) -> list[FoundFace]:
        assert frame.dtype == np.uint8
        return sorted((FoundFace.from_landmarks(known, 1.0) for known in self.landmarks), key=lambda f: -f.area)


def _picture(jpeg: bytes) -> np.ndarray:
    return decode_image(jpeg, Path("face.jpg"))


def test_the_record_tells_everything() -> None:
    frame, landmarks = paint_frame(640, 480, (300, 240), 180, yaw=0.3, roll=0.2)
    (face,) = extract_faces(frame, "00007.png", KnownFaces([landmarks]), _SETTINGS)
    record = face.metadata
    assert record.face_type is FaceType.WHOLE
    assert (record.frame_name, record.detector) == ("00007.png", "told")
    np.testing.assert_array_equal(record.frame_landmarks, landmarks)
    np.testing.assert_allclose(record.frame_to_face, frame_to_face(landmarks, FaceType.WHOLE, 256))
    np.testing.assert_allclose(record.landmarks, transform_points(landmarks, record.frame_to_face), atol=1e-3)
    np.testing.assert_allclose(record.frame_bbox, bbox_from_landmarks(landmarks), atol=1e-3)
    assert _picture(face.jpeg).shape == (256, 256, 3)


def test_the_crop_shows_the_face_where_the_record_says() -> None:
    """The iris is painted in a color of its own; its middle must lie in the middle of the eye's landmarks."""
    frame, landmarks = paint_frame(900, 700, (430, 360), 300, roll=-0.4, seed=5)
    (face,) = extract_faces(frame, "a.png", KnownFaces([landmarks]), ExtractionSettings(FaceType.FULL, 512))
    eye = landmarks[36:42].mean(axis=0)
    iris = frame[round(float(eye[1])), round(float(eye[0]))].astype(int)
    alike = np.abs(_picture(face.jpeg).astype(int) - iris).max(axis=2) < 25
    expected = face.metadata.landmarks[36:42].mean(axis=0)
    near = np.argwhere(alike)[:, ::-1]
    near = near[np.linalg.norm(near - expected, axis=1) < 30]
    np.testing.assert_allclose(near.mean(axis=0), expected, atol=1.0)


def test_largest_first_and_no_more_than_wanted() -> None:
    frame, large = paint_frame(900, 500, (250, 250), 200)
    _, small = paint_frame(900, 500, (700, 250), 90)
    finder = KnownFaces([small, large])
    assert [f.metadata.frame_landmarks[30, 0] < 400 for f in extract_faces(frame, "a.png", finder, _SETTINGS)] == [
        True,
        False,
    ]
    (only,) = extract_faces(frame, "a.png", finder, ExtractionSettings(FaceType.WHOLE, 256, max_faces=1))
    np.testing.assert_array_equal(only.metadata.frame_landmarks, large)
    assert extract_faces(frame, "a.png", KnownFaces([]), _SETTINGS) == []


def test_16_bit_frames_give_the_same_face() -> None:
    frame, landmarks = paint_frame(640, 480, (300, 240), 180)
    deep = frame.astype(np.uint16) * 257
    settings = ExtractionSettings(FaceType.WHOLE, 256, jpeg_quality=100)
    eight = cut_out(frame, "a.png", landmarks, "told", settings)
    sixteen = cut_out(deep, "a.png", landmarks, "told", settings)
    difference = np.abs(_picture(eight.jpeg).astype(int) - _picture(sixteen.jpeg))
    assert np.percentile(difference, 99.9) <= 4  # 8-bit pictures are warped with coarser weights
    assert difference.mean() < 0.2


def test_shrinking_does_not_alias() -> None:
    """A checkerboard of single pixels, three frame pixels to one face pixel, must come out as even gray."""
    board = (np.indices((1200, 1200)).sum(axis=0) % 2 * 255).astype(np.uint8)
    _, landmarks = paint_frame(1200, 1200, (600, 600), 620)
    assert crop_side_pixels(landmarks, FaceType.FULL) > 2.5 * 256
    settings = ExtractionSettings(FaceType.FULL, 256, jpeg_quality=100)
    face = _picture(cut_out(np.repeat(board[..., None], 3, axis=2), "a.png", landmarks, "told", settings).jpeg)
    assert face[40:216, 40:216].std() < 2
    assert face[40:216, 40:216].mean() == pytest.approx(127.5, abs=2)


def test_what_lies_outside_the_frame_is_black() -> None:
    frame, landmarks = paint_frame(640, 480, (20, 240), 180)
    face = _picture(cut_out(frame, "a.png", landmarks, "told", _SETTINGS).jpeg)
    outside = transform_points(np.array([[-60.0, 240.0]]), frame_to_face(landmarks, FaceType.WHOLE, 256))[0].round()
    assert (face[int(outside[1]), int(outside[0])] <= 3).all()


def test_crop_side_is_what_the_crop_spans() -> None:
    _, landmarks = paint_frame(640, 480, (300, 240), 180, roll=0.5)
    for face_type in FaceType:
        matrix = frame_to_face(landmarks, face_type, 400)
        spanned = 400 / float(np.hypot(*matrix[:, 0]))
        assert crop_side_pixels(landmarks, face_type) == pytest.approx(spanned, rel=1e-6)


@pytest.mark.parametrize(
    ("sides", "expected"), [([100], 256), ([500], 512), ([513], 576), ([300] * 95 + [3000] * 5, 320), ([9000], 2048)]
)
def test_suggested_sides(sides: list[float], expected: int) -> None:
    assert suggest_side(sides) == expected


def test_debug_pictures_show_what_was_found() -> None:
    frame, landmarks = paint_frame(640, 480, (300, 240), 180, seed=3)
    frame[:] = 200
    before = frame.copy()
    record: FaceMetadata = cut_out(frame, "a.png", landmarks, "told", _SETTINGS).metadata
    drawn = draw_debug(frame, [record])
    np.testing.assert_array_equal(frame, before)
    assert drawn.shape == frame.shape
    assert drawn.dtype == np.uint8
    left, top, right, bottom = record.frame_bbox.round().astype(int)
    for x, y in [((left + right) // 2, top), (left, (top + bottom) // 2)]:
        assert (drawn[y, x] == (255, 0, 0)).all()  # the box is blue
    crop = np.linalg.inv(np.vstack([record.frame_to_face, [0, 0, 1]])) @ [128, 0, 1]
    assert drawn[round(crop[1]), round(crop[0])].tolist() == pytest.approx([0, 0, 255], abs=90)  # the crop is red
    cheek = landmarks[[2, 31]].mean(axis=0).round().astype(int)
    assert drawn[cheek[1], cheek[0]].tolist() == [100, 100, 100]  # the hull is darkened to half
    assert (drawn[5, 635] == 200).all()
    assert (draw_debug(frame, []) == frame).all()


def test_debug_pictures_stand_faces_outside_of_the_frame() -> None:
    frame, landmarks = paint_frame(200, 200, (-40, 260), 300)
    record = cut_out(frame, "a.png", landmarks, "told", ExtractionSettings(FaceType.HEAD, 256)).metadata
    assert draw_debug(frame.astype(np.uint16) * 257, [record]).shape == (200, 200, 3)


def test_plausible_faces() -> None:
    for yaw in (0.0, 0.7, -1.2):
        _, landmarks = paint_frame(640, 480, (300, 240), 180, yaw=yaw)
        assert plausible_face(landmarks, 480, 640)
    scattered = np.random.default_rng(0).uniform(100, 400, (68, 2)).astype(np.float32)
    assert not plausible_face(scattered, 480, 640)
    assert not plausible_face(np.zeros((68, 2), np.float32), 480, 640)
    assert not plausible_face(landmarks + np.array([500, 0]), 480, 640)  # outside the frame
    assert not plausible_face(landmarks * 0.05, 480, 640)  # too small
    upside_down_mouth = landmarks.copy()
    upside_down_mouth[:, 0] *= -1  # a mirror image whose points kept their numbers
    assert not plausible_face(upside_down_mouth + np.array([640, 0]), 480, 640)


@pytest.mark.parametrize("face_type", list(FaceType))
@pytest.mark.parametrize("yaw", [0.0, 0.6])
def test_a_face_laid_back_into_its_frame_is_the_frame(face_type: FaceType, yaw: float) -> None:
    """All five types, there and back by the record alone; pixels and landmarks."""
    frame, landmarks = paint_frame(700, 600, (350, 320), 160, yaw=yaw, roll=0.3)
    frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), 2), np.uint8)  # nothing too fine for two resamplings
    side = round(crop_side_pixels(landmarks, face_type))
    face = cut_out(frame, "a.png", landmarks, "told", ExtractionSettings(face_type, side, jpeg_quality=100))
    record = face.metadata
    assert record.face_type is face_type
    to_frame = invert_affine(record.frame_to_face)
    np.testing.assert_allclose(transform_points(record.landmarks, to_frame), landmarks, atol=0.01)
    back = cv2.warpAffine(_picture(face.jpeg), to_frame, (700, 600), flags=cv2.INTER_CUBIC)
    inside = cv2.warpAffine(np.full((side, side), 255, np.uint8), to_frame, (700, 600)) == 255
    inside = cv2.erode(inside.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert inside.sum() > 0.9 * (side - 7) ** 2 * (1 if face_type < FaceType.HEAD else 0.8)
    assert np.abs(back.astype(int) - frame)[inside].mean() < 1.0


def test_records_tell_how_a_face_was_found() -> None:
    face = FoundFace.from_landmarks(head_landmarks((100, 100), 80), 0.87654, 17.123)
    assert face.finding == {"score": 0.8765, "presence": 17.12}
    tracked = replace(face, track=3, gap=True, moved=0.00123456)
    assert tracked.finding == {"score": 0.8765, "presence": 17.12, "track": 3, "gap": True, "moved": 0.00123}
    frame, landmarks = paint_frame(640, 480, (300, 240), 180)
    extracted = cut_out(frame, "a.png", landmarks, "told", _SETTINGS, tracked.finding)
    assert extracted.metadata.extra == {"finding": tracked.finding}
    assert cut_out(frame, "a.png", landmarks, "told", _SETTINGS).metadata.extra == {}


def test_the_debug_picture_names_the_track() -> None:
    frame, landmarks = paint_frame(640, 480, (300, 240), 180)
    face = FoundFace.from_landmarks(landmarks, 0.9)
    plain, tracked = (
        draw_debug(frame, [cut_out(frame, "a.png", landmarks, "told", _SETTINGS, one.finding).metadata])
        for one in (face, replace(face, track=7))
    )
    changed = np.argwhere((plain != tracked).any(axis=2))
    left, top = face.bbox[:2]
    assert len(changed) > 20
    assert (changed.min(axis=0) > (top, left)).all()
    assert (changed.max(axis=0) < (top + 40, left + 40)).all()
