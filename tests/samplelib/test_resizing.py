"""Resized and re-cut faces: everything that counts in pixels stays on the same spot of the face."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import BrokenFile
from core.geometry import transform_points, warp
from core.images import decode_png_mask, encode_png
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata, Polygon
from samplelib.resizing import face_from_frame, require_same_picture, resize_face, resized_metadata
from samplelib.sample import resize_matrix
from tests.painting import paint_frame, painted_metadata, soft_disc

POLYGON = Polygon(True, np.array([[10, 20], [50, 20.5], [30, 60]], np.float32))


def face_of_frame(side: int, face_type: FaceType) -> tuple[np.ndarray, np.ndarray, FaceMetadata]:
    """A frame, a face cut out of it, and its record with a mask and a polygon."""
    frame, landmarks = paint_frame(640, 640, (320, 320), 640 / 3, seed=3)
    metadata = dataclasses.replace(
        painted_metadata(side, face_type, "1.png", xseg_mask=soft_disc(100)), polygons=(POLYGON,)
    )
    np.testing.assert_allclose(metadata.frame_landmarks, landmarks, atol=1e-3)
    return frame, warp(frame, frame_to_face(landmarks, face_type, side), side, "area-cubic"), metadata


def test_the_record_of_a_resized_picture_by_hand() -> None:
    """Twice as large: the center of pixel 10 lies at 20.5, for it covers pixels 20 and 21."""
    metadata = dataclasses.replace(painted_metadata(128, FaceType.FULL, "1.png"), polygons=(POLYGON,))
    larger = resized_metadata(metadata, 128, 256)
    np.testing.assert_allclose(larger.polygons[0].points, [[20.5, 40.5], [100.5, 41.5], [60.5, 120.5]])
    np.testing.assert_allclose(larger.landmarks, 2 * metadata.landmarks + 0.5, atol=1e-4)
    np.testing.assert_allclose(larger.frame_to_face[:, :2], 2 * metadata.frame_to_face[:, :2])
    np.testing.assert_allclose(
        transform_points(metadata.frame_landmarks, larger.frame_to_face), larger.landmarks, atol=1e-2
    )
    assert (larger.frame_name, larger.frame_bbox.tolist()) == (metadata.frame_name, metadata.frame_bbox.tolist())
    assert resized_metadata(metadata, 128, 128) is metadata


@pytest.mark.parametrize("new_side", [96, 192, 400])
def test_another_size_is_the_same_picture(new_side: int) -> None:
    """Compared with the face cut out of the frame at that size; half a pixel of it is the corner convention."""
    frame, image, metadata = face_of_frame(256, FaceType.WHOLE)
    picture, moved = resize_face(image, metadata, new_side, FaceType.WHOLE)
    expected = warp(frame, moved.frame_to_face, new_side, "area-cubic")
    assert picture.shape == (new_side, new_side, 3)
    assert np.abs(picture.astype(int) - expected)[2:-2, 2:-2].mean() < 1.5
    assert moved.xseg_mask == metadata.xseg_mask


def test_shrinking_is_filtered() -> None:
    """Stripes of one pixel become gray; unfiltered they would stay black and white."""
    _, _, metadata = face_of_frame(256, FaceType.WHOLE)
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    picture, _ = resize_face(stripes, metadata, 64, FaceType.WHOLE)
    assert np.abs(picture[8:-8, 8:-8].astype(int) - 127).max() < 20


def test_another_type_moves_picture_landmarks_polygons_and_mask_alike() -> None:
    frame, image, metadata = face_of_frame(256, FaceType.WHOLE)
    picture, moved = resize_face(image, metadata, 200, FaceType.FULL)
    assert moved.face_type is FaceType.FULL
    straight = painted_metadata(200, FaceType.FULL, "1.png")
    np.testing.assert_allclose(moved.landmarks, straight.landmarks, atol=0.05)
    np.testing.assert_allclose(moved.frame_to_face, straight.frame_to_face, atol=0.05)
    expected = warp(frame, straight.frame_to_face, 200, "area-cubic")
    assert np.abs(picture.astype(int) - expected)[4:-4, 4:-4].mean() < 2
    face_to_new = frame_to_face(metadata.landmarks, FaceType.FULL, 200)
    np.testing.assert_allclose(moved.polygons[0].points, transform_points(POLYGON.points, face_to_new), atol=1e-3)
    # The mask keeps its pixels per piece of face, and its soft edge: the disc stays on the middle of the old square.
    assert moved.xseg_mask is not None
    mask = decode_png_mask(moved.xseg_mask, Path("mask"))
    assert mask.shape == (round(100 * FaceType.FULL.unit_sides / FaceType.WHOLE.unit_sides),) * 2
    center = transform_points(transform_points(np.array([127.5, 127.5]), face_to_new), resize_matrix(200, len(mask)))
    moments = cv2.moments(mask)
    found = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    assert np.abs(found - center).max() < 4  # the disc is cut by the edge of the smaller crop
    assert len(np.unique(mask)) > 20


def test_a_wider_type_is_black_outside_and_whole_from_the_frame() -> None:
    frame, image, metadata = face_of_frame(256, FaceType.FULL)
    narrow, _ = resize_face(image, metadata, 256, FaceType.WHOLE)
    assert (narrow[:8].max(), narrow[128].max() > 50) == (0, True)
    whole, moved = face_from_frame(frame, metadata, 256, 256, FaceType.WHOLE)
    straight = painted_metadata(256, FaceType.WHOLE, "1.png")
    assert np.array_equal(whole, warp(frame, straight.frame_to_face, 256, "area-cubic"))
    np.testing.assert_allclose(moved.landmarks, straight.landmarks, atol=1e-3)
    np.testing.assert_allclose(moved.frame_to_face, straight.frame_to_face, atol=1e-6)
    wide = decode_png_mask(moved.xseg_mask or b"", Path("mask"))
    assert wide[0].max() == 0
    assert wide[len(wide) // 2, len(wide) // 2] == 1


def test_from_the_frame_in_the_same_type_the_mask_stays() -> None:
    frame, _, metadata = face_of_frame(128, FaceType.FULL)
    picture, moved = face_from_frame(frame, metadata, 128, 300, FaceType.FULL)
    assert picture.shape == (300, 300, 3)
    assert moved.xseg_mask == metadata.xseg_mask


def test_a_mask_that_is_not_square_is_moved_too() -> None:
    _, image, metadata = face_of_frame(256, FaceType.WHOLE)
    half = np.zeros((60, 100), np.uint8)
    half[:30] = 255
    metadata = dataclasses.replace(metadata, xseg_mask=encode_png(half))
    _, moved = resize_face(image, metadata, 256, FaceType.FULL)
    mask = decode_png_mask(moved.xseg_mask or b"", Path("mask"))
    border = transform_points(np.array([128.0, 127.5]), frame_to_face(metadata.landmarks, FaceType.FULL, 256))
    column = mask[:, len(mask) // 2]
    assert abs(column.sum() - (border[1] + 0.5) * len(mask) / 256) < 2


def test_another_frame_of_that_name_is_noticed() -> None:
    frame, image, metadata = face_of_frame(256, FaceType.WHOLE)
    require_same_picture(frame, image, metadata, Path("1.png"))
    rough = cv2.GaussianBlur(image, (0, 0), 3)
    require_same_picture(frame, rough, metadata, Path("1.png"))
    other, _ = paint_frame(640, 640, (150, 400), 200, seed=8)
    with pytest.raises(BrokenFile, match="does not show the face"):
        require_same_picture(other, image, metadata, Path("1.png"))
