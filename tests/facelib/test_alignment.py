"""Alignment against the conformance vectors of spec faces-and-formats 11."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from core.errors import NotAFace
from core.geometry import invert_affine, transform_points
from facelib.alignment import average_yaw, bbox_from_landmarks, damped_yaw, frame_to_face, frame_to_unit
from facelib.face_type import FaceType
from facelib.landmarks import ALIGNMENT_INDICES, MEAN_FACE


def similarity(a: float, b: float, c: float, f: float) -> np.ndarray:
    """Rows [a, b, c] and [-b, a, f]."""
    return np.array([[a, b, c], [-b, a, f]])


def assert_same_crop(found: np.ndarray, wanted: np.ndarray) -> None:
    # The published digits: 6 decimals of numbers that another implementation had in float32.
    np.testing.assert_allclose(found[:, :2], wanted[:, :2], atol=1e-5)
    np.testing.assert_allclose(found[:, 2], wanted[:, 2], atol=1e-3)


def test_the_face_of_vector_1(level_face: np.ndarray) -> None:
    np.testing.assert_allclose(level_face[0], (273.640955, 204.436771), atol=1e-6)
    np.testing.assert_allclose(level_face[8], (360.300911, 448.922091), atol=1e-6)
    np.testing.assert_allclose(level_face[30], (406.725650, 284.379384), atol=1e-6)


def test_frame_to_unit_of_vector_1(level_face: np.ndarray) -> None:
    wanted = [[0.00402673336, 0.00105222779, -1.43932539], [-0.00105222779, 0.00402673336, -0.240794238]]
    np.testing.assert_allclose(frame_to_unit(level_face), wanted, atol=2e-7)  # its shifts were float32


@pytest.mark.parametrize(
    ("face_type", "scale", "wanted"),
    [
        (FaceType.HALF, 1.0, similarity(1.030844, 0.269370, -368.467318, -61.643331)),
        (FaceType.MID_FULL, 1.0, similarity(0.865587, 0.226187, -288.877544, -31.241189)),
        (FaceType.FULL, 1.0, similarity(0.645641, 0.168713, -182.948691, 9.222100)),
        (FaceType.WHOLE, 1.0, similarity(0.483653, 0.126384, -104.933334, 47.430572)),
        (FaceType.WHOLE, 1.1, similarity(0.532018, 0.139022, -128.226667, 39.373629)),
        (FaceType.HEAD, 1.0, similarity(0.345932, 0.090396, -38.506094, 107.313617)),
    ],
)
def test_crops_of_vector_1(level_face: np.ndarray, face_type: FaceType, scale: float, wanted: np.ndarray) -> None:
    assert_same_crop(frame_to_face(level_face, face_type, 256, scale), wanted)


@pytest.mark.parametrize(
    ("face_type", "wanted"),
    [
        (FaceType.HEAD, similarity(0.371831, 0.015158, 0.720414, 68.788717)),
        (FaceType.WHOLE, similarity(0.519862, 0.021192, -31.812920, -6.431622)),
    ],
)
def test_crops_of_vector_2(turned_face: np.ndarray, face_type: FaceType, wanted: np.ndarray) -> None:
    assert_same_crop(frame_to_face(turned_face, face_type, 256), wanted)


def test_yaw_of_the_vectors(level_face: np.ndarray, turned_face: np.ndarray) -> None:
    turned = average_yaw(transform_points(turned_face, frame_to_unit(turned_face)))
    assert turned == pytest.approx(0.4323136, abs=1e-6)
    assert damped_yaw(turned) == pytest.approx(0.3020290, abs=1e-6)
    level = average_yaw(transform_points(level_face, frame_to_unit(level_face)))
    assert damped_yaw(level) == pytest.approx(-0.0023123, abs=1e-6)


def test_yaw_gain_moves_head_crops_only(turned_face: np.ndarray) -> None:
    def center(face_type: FaceType, gain: float) -> np.ndarray:
        matrix = frame_to_face(turned_face, face_type, 256, yaw_gain=gain)
        return transform_points(np.array([128.0, 128.0]), invert_affine(matrix))

    sigma = 1 / math.hypot(*frame_to_unit(turned_face)[0, :2])
    damped = 0.68 * 0.4323136 * math.tanh(2 * 0.68 * 0.4323136)
    moved = np.linalg.norm(center(FaceType.HEAD, 0.68) - center(FaceType.HEAD, 0.0))
    assert moved == pytest.approx(sigma * damped / 2, rel=1e-6)
    np.testing.assert_array_equal(center(FaceType.WHOLE, 0.68), center(FaceType.WHOLE, 1.0))


def test_full_face_landmarks_of_vector_1(level_face: np.ndarray) -> None:
    aligned = transform_points(level_face, frame_to_face(level_face, FaceType.FULL, 256))
    wanted = [(127.6284, 124.2092), (64.7763, 85.0381), (164.1183, 173.1435), (125.4151, 238.2771)]
    np.testing.assert_allclose(aligned[[30, 36, 54, 8]], wanted, atol=2e-4)


def test_bbox_is_the_upright_full_square(level_face: np.ndarray) -> None:
    # The published rectangle ends at pixel 255 of 256; its side is 256/255 of the published one.
    left, top = 214.0163, 98.2042
    side = (596.1418 - left) * 256 / 255
    bbox = bbox_from_landmarks(level_face)
    assert bbox.dtype == np.float32
    np.testing.assert_allclose(bbox, [left, top, left + side, top + side], atol=1e-3)


@pytest.mark.parametrize("face_type", list(FaceType))
@pytest.mark.parametrize("side", [96, 512])
def test_there_and_back_within_a_hundredth_of_a_pixel(level_face: np.ndarray, face_type: FaceType, side: int) -> None:
    matrix = frame_to_face(level_face, face_type, side)
    there = transform_points(level_face.astype(np.float32), matrix)
    back = transform_points(there, invert_affine(matrix))
    assert np.abs(back - level_face).max() < 0.01


@pytest.mark.parametrize("face_type", list(FaceType))
def test_a_crop_of_an_aligned_face_is_the_crop_of_the_frame(level_face: np.ndarray, face_type: FaceType) -> None:
    to_head = frame_to_face(level_face, FaceType.HEAD, 768)
    aligned = transform_points(level_face, to_head)
    twice = transform_points(aligned, frame_to_face(aligned, face_type, 256))
    once = transform_points(level_face, frame_to_face(level_face, face_type, 256))
    np.testing.assert_allclose(twice, once, atol=1e-9)


def test_scale_zooms_about_the_center(level_face: np.ndarray) -> None:
    near = frame_to_face(level_face, FaceType.WHOLE, 256, scale=1.5)
    usual = frame_to_face(level_face, FaceType.WHOLE, 256)
    middle = np.array([128.0, 128.0])
    np.testing.assert_allclose(
        transform_points(middle, invert_affine(near)), transform_points(middle, invert_affine(usual)), atol=1e-9
    )
    np.testing.assert_allclose(near[:, :2], 1.5 * usual[:, :2], rtol=1e-12)


def test_the_mean_face_itself_needs_no_alignment() -> None:
    face = np.nan_to_num(MEAN_FACE.astype(np.float64))
    np.testing.assert_allclose(frame_to_unit(face), np.eye(2, 3), atol=1e-12)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_without_meaning_is_refused(level_face: np.ndarray, scale: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        frame_to_face(level_face, FaceType.FULL, 256, scale)


def test_landmarks_on_a_line_or_in_one_place_are_no_face(level_face: np.ndarray) -> None:
    line = np.stack([np.arange(68.0), 2 * np.arange(68.0) + 5], axis=1)
    bent = line.copy()
    bent[0] = [500, 0]  # not one of the alignment points
    for points in (line, bent, np.full((68, 2), 33.0), line * 1e-9):
        with pytest.raises(NotAFace, match="one line"):
            frame_to_unit(points)
    broken = level_face.copy()
    broken[40, 0] = np.nan
    for use in (frame_to_unit, bbox_from_landmarks, lambda p: frame_to_face(p, FaceType.HEAD, 64)):
        with pytest.raises(NotAFace, match="finite"):
            use(broken)


def test_other_points_do_not_move_the_alignment(level_face: np.ndarray) -> None:
    moved = level_face + 50
    moved[ALIGNMENT_INDICES] = level_face[ALIGNMENT_INDICES]
    np.testing.assert_array_equal(frame_to_unit(moved), frame_to_unit(level_face))


def test_real_faces_are_cut_where_older_tools_cut_them(shared_data: Path) -> None:
    truth = json.loads((shared_data / "dfl" / "truth" / "faces.json").read_text())["faces"]
    checked = 0
    for face in truth:
        if not face.get("image_to_face_mat"):
            continue
        wanted = np.array(face["image_to_face_mat"])
        face_type = FaceType.parse(face["face_type"])
        found = frame_to_face(np.array(face["source_landmarks"]), face_type, face["shape"][0])
        corners = np.array(face["source_landmarks"])
        # Theirs was float32 inside: the transforms agree within 0.001 pixel on the face.
        assert np.abs(transform_points(corners, found) - transform_points(corners, wanted)).max() < 1e-3, face["file"]
        checked += 1
    assert checked >= 5
