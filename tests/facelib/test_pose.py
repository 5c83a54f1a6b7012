"""Poses against vector V3 and against OpenCV's solver."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import NotAFace
from core.geometry import transform_points
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.landmarks import POSE_INDICES, POSE_POINTS, mirror_landmarks
from facelib.pose import estimate_pose, estimate_poses


def look(beta: float, alpha: float, distance: float = 600, side: int = 256) -> np.ndarray:
    """Landmarks of the mean head turned by Ry(alpha) Rx(beta), seen by the camera of the specification."""
    ry = np.array([[math.cos(alpha), 0, math.sin(alpha)], [0, 1, 0], [-math.sin(alpha), 0, math.cos(alpha)]])
    rx = np.array([[1, 0, 0], [0, math.cos(beta), -math.sin(beta)], [0, math.sin(beta), math.cos(beta)]])
    seen = POSE_POINTS @ (ry @ rx).T
    return side * seen[:, :2] / (seen[:, 2:] + distance) + side / 2


@pytest.mark.parametrize(("beta", "alpha"), [(0, 0), (0, 0.4), (0, -0.4), (0.3, 0), (-0.5, 1.1), (0.4, -1.3)])
@pytest.mark.parametrize("side", [64, 256, 1024])
def test_vector_3(beta: float, alpha: float, side: int) -> None:
    pose = estimate_pose(look(beta, alpha, side=side), side)
    assert pose == pytest.approx((-beta, alpha, 0), abs=1e-6)


def test_vector_1(level_face: np.ndarray) -> None:
    aligned = transform_points(level_face, frame_to_face(level_face, FaceType.FULL, 256))
    assert estimate_pose(aligned, 256) == pytest.approx((0.03787, -0.01207, 0.00637), abs=5e-5)


def test_signs() -> None:
    nose_left = look(0, 0.5)
    assert nose_left[30, 0] < 128
    assert estimate_pose(nose_left, 256).yaw > 0
    nose_up = look(-0.5, 0)
    assert nose_up[30, 1] < look(0, 0)[30, 1]
    assert estimate_pose(nose_up, 256).pitch > 0
    clockwise = transform_points(look(0, 0) - 128, np.array([[0.96, -0.28, 128], [0.28, 0.96, 128]]))
    assert estimate_pose(clockwise, 256).roll == pytest.approx(math.asin(0.28), abs=1e-3)


def test_a_mirrored_face_has_the_opposite_yaw() -> None:
    # Exactly only for a symmetric head; the mean head is one within a few hundredths of a radian.
    face = look(0.1, 0.4)
    assert estimate_pose(mirror_landmarks(face, 257), 256).yaw == pytest.approx(-0.4, abs=0.05)


def test_many_noisy_faces_agree_with_opencv() -> None:
    rng = np.random.default_rng(8)
    faces = np.stack(
        [look(rng.uniform(-0.5, 0.5), rng.uniform(-0.9, 0.9), rng.uniform(200, 500)) for _ in range(200)]
    ) + rng.normal(0, 1.5, (200, 68, 2))
    camera = np.array([[256, 0, 128], [0, 256, 128], [0, 0, 1.0]])
    off = []
    for face, pose in zip(faces, estimate_poses(faces, 256), strict=True):
        vector = cv2.solvePnP(POSE_POINTS[POSE_INDICES], face[POSE_INDICES], camera, None)[1]
        r = cv2.Rodrigues(vector)[0]
        theirs = (-math.atan2(r[2, 1], r[2, 2]), math.atan2(-r[2, 0], math.hypot(r[0, 0], r[1, 0])))
        off.append(np.abs(np.array(theirs) - pose[:2]).max())
    # Both find the same least squares; OpenCV stops at steps of about 1e-5, and sometimes behind the camera.
    assert np.mean(np.array(off) < 1e-4) >= 0.97


def test_noise_moves_angles_little() -> None:
    rng = np.random.default_rng(4)
    true = np.stack([rng.uniform(-0.5, 0.5, 500), rng.uniform(-1.2, 1.2, 500)], axis=1)
    faces = np.stack([look(b, a, 250) for b, a in true]) + rng.normal(0, 2, (500, 68, 2))
    poses = estimate_poses(faces, 256)
    assert np.abs(poses[:, 1] - true[:, 1]).max() < 0.15
    assert np.abs(poses[:, 0] + true[:, 0]).max() < 0.25


def test_every_face_has_its_own_side() -> None:
    faces = np.stack([look(0.1, 0.3, side=128), look(0.1, 0.3, side=512)])
    poses = estimate_poses(faces, np.array([128, 512]))
    np.testing.assert_allclose(poses[0], poses[1], atol=1e-9)


def test_more_faces_than_fit_at_once() -> None:
    faces = np.repeat(look(0, 0.25)[None], 4100, axis=0)
    np.testing.assert_allclose(estimate_poses(faces, 256)[:, 1], 0.25, atol=1e-6)


def test_nothing_in_nothing_out() -> None:
    assert estimate_poses(np.zeros((0, 68, 2)), 256).shape == (0, 3)


def test_landmarks_that_are_no_face_still_give_finite_angles() -> None:
    odd = np.random.default_rng(1).normal(0, 1000, (20, 68, 2))
    odd[0] = 0
    poses = estimate_poses(odd, 256)
    assert np.isfinite(poses).all()
    assert np.abs(poses).max() <= math.pi / 2


@pytest.mark.parametrize("bad", [np.zeros((3, 67, 2)), np.zeros((68, 2)), np.full((1, 68, 2), np.nan)])
def test_other_arrays_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(NotAFace):
        estimate_poses(bad, 256)


def test_real_faces_stay_before_the_camera(shared_data: Path) -> None:
    # Older tools let OpenCV choose its start, which puts each of these six nearly upright faces behind the camera, with
    # a roll of a quarter turn. From a start before the camera OpenCV finds what we find.
    truth = json.loads((shared_data / "dfl" / "truth" / "faces.json").read_text())["faces"]
    faces = [face for face in truth if face.get("pitch_yaw_roll")]
    assert len(faces) == 6
    for face in faces:
        points, side = np.array(face["landmarks"]), face["shape"][1]
        pose = estimate_pose(points, side)
        camera = np.array([[side, 0, side / 2], [0, side, side / 2], [0, 0, 1.0]])
        ahead = np.array([0.0, 0.0, 300.0])
        vector = cv2.solvePnP(
            POSE_POINTS[POSE_INDICES], points[POSE_INDICES], camera, None, np.zeros(3), ahead, useExtrinsicGuess=True
        )[1]
        r = cv2.Rodrigues(vector)[0]
        theirs = -math.atan2(r[2, 1], r[2, 2]), math.atan2(-r[2, 0], math.hypot(r[0, 0], r[1, 0]))
        assert pose[:2] == pytest.approx(theirs, abs=1e-3), face["file"]
        assert abs(pose.roll) < 0.1
        assert abs(abs(face["pitch_yaw_roll"][2]) - math.pi / 2) < 1e-6
