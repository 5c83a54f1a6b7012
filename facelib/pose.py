"""Where a head looks, told from its landmarks in the aligned picture.

The mean head (landmarks.POSE_POINTS) is seen by a pinhole camera whose focal length is the side of the picture and
whose axis goes through its center; rotation and place are those that bring 33 of its points nearest to the landmarks.
All faces are solved together: a start from the best affine camera, then damped Gauss-Newton steps that never leave
the half of space before the camera.

What was tried: the classic tools hand the same problem to OpenCV's iterative solver without a start. On the six real
faces of the interchange set (mesh landmarks) that solver puts every head behind the camera, with a roll of a quarter
turn and yaws up to 0.3 radians off, at an error up to 1.6 times ours; that is not repeated here.

Source: spec faces-and-formats 2.6.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace
from facelib.landmarks import LANDMARKS, POSE_INDICES, POSE_POINTS, require_landmarks

_HEAD = POSE_POINTS[POSE_INDICES]
_FROM_AFFINE = np.linalg.pinv(np.column_stack([_HEAD, np.ones(len(_HEAD))]))  # (4, 33)
_NEAREST = 150.0  # units of the head: no start closer than this, so that no point lies behind the camera
_MOST_STEPS = 30
_SMALL_STEP = 1e-8  # radians, and head units
_TOGETHER = 4096  # faces solved at once: about 100 MB


class Pose(NamedTuple):
    """Angles in radians, each within a quarter turn.

    Above 0, pitch: the face looks up; yaw: the nose points to image-left; roll: it is turned clockwise in the picture.
    """

    pitch: float
    yaw: float
    roll: float


def estimate_pose(landmarks: NDArray, side: int) -> Pose:
    """The pose of one face. landmarks: (68, 2), pixels of an aligned picture of `side` pixels. NotAFace for others."""
    return Pose(*estimate_poses(require_landmarks(landmarks)[None], side)[0].tolist())


def estimate_poses(landmarks: NDArray, sides: NDArray | int) -> NDArray:
    """Poses of many faces: float64 (N, 3), pitch, yaw and roll in radians.

    landmarks: (N, 68, 2), each in pixels of its aligned picture. sides: of these pictures, one number or (N,).
    NotAFace where the array has another shape or holds numbers that are not finite.
    """
    landmarks = np.asarray(landmarks)
    if landmarks.ndim != 3 or landmarks.shape[1:] != (LANDMARKS, 2) or not np.isfinite(landmarks).all():
        raise NotAFace(f"Poses need finite landmarks of shape (N, 68, 2). Received: shape {landmarks.shape}.")
    side = np.broadcast_to(np.asarray(sides, np.float64), len(landmarks))[:, None, None]
    poses = [np.zeros((0, 3))]
    for start in range(0, len(landmarks), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        seen = (landmarks[part][:, POSE_INDICES] - side[part] / 2) / side[part]
        poses.append(_angles(_solve(seen)))
    return np.concatenate(poses)


def _solve(seen: NDArray) -> NDArray:
    """Rotations (N, 3, 3) of the head whose points are seen at (N, 33, 2) at distance 1 from the camera."""
    rotation, place = _affine_start(seen)
    error, missed = _misses(seen, rotation, place)
    damping = np.full(len(seen), 1e-3)
    open_faces = np.arange(len(seen))
    for _ in range(_MOST_STEPS):
        if len(open_faces) == 0:
            break
        now = open_faces
        slopes = _slopes(rotation[now], place[now])
        curvature = slopes.transpose(0, 2, 1) @ slopes
        downhill = -(slopes.transpose(0, 2, 1) @ missed[now].reshape(len(now), -1, 1))
        diagonal = np.einsum("nii->ni", curvature)
        diagonal *= 1 + damping[now, None]
        diagonal += 1e-15
        step = np.linalg.solve(curvature, downhill)[..., 0]
        new_rotation = _turn(step[:, :3]) @ rotation[now]
        new_place = place[now] + step[:, 3:]
        new_error, new_missed = _misses(seen[now], new_rotation, new_place)
        better = new_error <= error[now]
        taken = now[better]
        rotation[taken], place[taken] = new_rotation[better], new_place[better]
        error[taken], missed[taken] = new_error[better], new_missed[better]
        damping[now] *= np.where(better, 0.1, 10.0)
        size = np.maximum(np.abs(step[:, :3]).max(axis=1), np.abs(step[:, 3:]).max(axis=1) / 100)
        open_faces = now[size > _SMALL_STEP]
    return rotation


def _affine_start(seen: NDArray) -> tuple[NDArray, NDArray]:
    """Rotation (N, 3, 3) and place (N, 3) from the best affine camera, whose two rows are made orthonormal."""
    affine = np.swapaxes(_FROM_AFFINE @ seen, 1, 2)  # (N, 2, 4)
    u, scales, vt = np.linalg.svd(affine[:, :, :3], full_matrices=False)
    rows = u @ vt
    rotation = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], axis=1)
    distance = np.maximum(1 / np.maximum(scales.mean(axis=1), 1e-9), _NEAREST)
    return rotation, np.column_stack([affine[:, :, 3] * distance[:, None], distance])


def _misses(seen: NDArray, rotation: NDArray, place: NDArray) -> tuple[NDArray, NDArray]:
    """Sum of squares (N,), infinite where a point lies behind the camera, and the differences (N, 33, 2)."""
    points = _HEAD @ np.swapaxes(rotation, 1, 2) + place[:, None]
    depth = points[..., 2:]
    missed = points[..., :2] / np.where(depth > 0, depth, 1.0) - seen
    error = np.where((depth > 1e-6).all(axis=(1, 2)), np.sum(missed * missed, axis=(1, 2)), np.inf)
    return error, missed


def _slopes(rotation: NDArray, place: NDArray) -> NDArray:
    """How the seen points (33 x, y pairs) move with a small turn (3) and shift (3) of the head: (N, 66, 6)."""
    turned = _HEAD @ np.swapaxes(rotation, 1, 2)
    x, y, z = np.moveaxis(turned + place[:, None], -1, 0)
    a, b, c = np.moveaxis(turned, -1, 0)
    u, v, near = x / z, y / z, 1 / z
    zero = np.zeros_like(u)
    # A turn w moves a point p by w x p; a shift moves it by itself. Then x/z and y/z are differentiated.
    along_x = [-u * b * near, (c + u * a) * near, -b * near, near, zero, -u * near]
    along_y = [-(c + v * b) * near, v * a * near, a * near, zero, near, -v * near]
    slopes = np.stack([np.stack(along_x, axis=-1), np.stack(along_y, axis=-1)], axis=2)
    return slopes.reshape(len(slopes), -1, 6)


def _turn(vectors: NDArray) -> NDArray:
    """Rotation vectors (N, 3) -> matrices (N, 3, 3), by Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=1)
    x, y, z = (vectors / np.maximum(angle, 1e-300)[:, None]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def _angles(rotation: NDArray) -> NDArray:
    """Pitch, yaw and roll (N, 3) of R = Rz Ry Rx, each clipped to a quarter turn."""
    level = np.hypot(rotation[:, 0, 0], rotation[:, 1, 0])
    upright = level >= 1e-6
    x = np.where(
        upright, np.arctan2(rotation[:, 2, 1], rotation[:, 2, 2]), np.arctan2(-rotation[:, 1, 2], rotation[:, 1, 1])
    )
    y = np.arctan2(-rotation[:, 2, 0], level)
    z = np.where(upright, np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]), 0.0)
    return np.clip(np.stack([-x, y, z], axis=1), -np.pi / 2, np.pi / 2)
