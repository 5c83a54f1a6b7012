"""From the 468 vertices of a face mesh to the 68 landmarks: which vertex is which point, and what must be corrected.

**Mapping.** Each of the 68 points is one vertex or the mean of two. Source: spec faces-and-formats 10.3.

**Calibration.** A landmark convention is a habit of annotators, and the mesh has other habits than the 68 points: its
inner brows lie about 0.03 of the unit side further out, its nose bridge starts higher. A constant difference in the
alignment points is a constant difference in the scale of every crop, so it is taken out here, in the space of the head
(the offsets turn with it). How the table was made, and `tests/facelib/nets/test_mesh_landmarks.py` makes it again:

1. MediaPipe's canonical face (468 vertices, Apache-2.0) -> 68 points by the mapping;
2. turned by the pitch at which eyes and nose (27-47) fit MEAN_FACE best (6.7 degrees) and laid onto it by these points:
   eyes and nose mean the same places in both conventions, they are the anchor;
3. what then remains at the brows and the upper bridge (17-28) is convention; it is turned back into the head, made
   symmetric, and expressed in the units of POSE_POINTS.

Effect: crops 0.9 % tighter when frontal, 0.65 % at 0.8 radians of yaw, centers within 0.1 % of the unit side; the
comparison of spec 10.3 speaks of about 0.7 %.

Diary. 2026-11: mouth corners were left alone although the canonical face has them 0.035 too far in: on six people
(two portraits, four clips, frontal frames) they lie within 0.01 of MEAN_FACE; the canonical mouth is merely at rest.
The brow offsets have the same signs and sizes on those six people (0.044 against 0.029 at point 20). The nose base
and the lids differ from person to person in both directions and were left alone.

**Jaw.** For HEAD crops the jaw must lie on the true jaw in the depth of POSE_POINTS (the shift of the crop depends on
it); mesh vertices sit about 13 units further back and made the averaged yaw 1.3-1.5 times too large. For all smaller
types the jaw must lie on the visible contour: when the head turns, the far side moves to the silhouette of the mesh,
or masks would cut the far cheek. Source: spec faces-and-formats 10.1, 10.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facelib.landmarks import FLIP_PAIRS, LANDMARKS, POSE_POINTS

VERTICES = 468

VERTICES_OF_POINT: dict[int, tuple[int, ...]] = {
    # jaw
    0: (127, 234), 1: (234, 93), 2: (93, 132), 3: (132, 58), 4: (58, 172), 5: (136,), 6: (150,), 7: (176, 148),
    8: (152,), 9: (400, 377), 10: (379,), 11: (365,), 12: (288, 397), 13: (361, 288), 14: (323, 361), 15: (454, 323),
    16: (356, 454),
    # brows
    17: (70, 156), 18: (63,), 19: (105,), 20: (66,), 21: (107, 55),
    22: (336, 285), 23: (296,), 24: (334,), 25: (293,), 26: (300, 383),
    # nose
    27: (168,), 28: (197,), 29: (195, 5), 30: (4,), 31: (98,), 32: (97,), 33: (2,), 34: (326,), 35: (327,),
    # eyes
    36: (33,), 37: (160,), 38: (158,), 39: (133,), 40: (153,), 41: (144,),
    42: (362,), 43: (385,), 44: (387,), 45: (263,), 46: (373,), 47: (380,),
    # mouth, outer and inner line
    48: (61,), 49: (40,), 50: (37,), 51: (0,), 52: (267,), 53: (270,), 54: (291,),
    55: (321,), 56: (314,), 57: (17,), 58: (84,), 59: (91,),
    60: (78,), 61: (81, 82), 62: (13,), 63: (311, 312), 64: (308,), 65: (402, 317), 66: (14,), 67: (178, 87),
}  # fmt: skip
"""The vertices whose mean is a point: {point of 68: vertex numbers}."""

_MIRRORED_POINT = dict([*FLIP_PAIRS, *((b, a) for a, b in FLIP_PAIRS)])

# Offsets in head axes (x image-right, y down, z away), in the units of POSE_POINTS (147 from ear to ear), for the
# middle and the image-left side; the other side is their mirror image.
_CONVENTION_OFFSETS = {
    17: (0.06, 0.00, 0.00), 18: (-0.27, -0.01, 0.00), 19: (2.52, -0.22, 0.05), 20: (3.51, 0.93, -0.21),
    21: (1.39, 0.68, -0.15), 27: (0.00, 2.85, -0.64), 28: (0.00, -1.10, 0.25),
}  # fmt: skip
# The 68-point jaw of POSE_POINTS, fitted to the canonical face by points 17-47, less the mapped mesh; fading out below
# the ear, where both follow the same bone.
_DEEP_JAW_OFFSETS = {
    0: (4.5, -9.5, -12.2), 1: (4.3, -7.9, -15.0), 2: (4.6, -6.7, -13.7), 3: (3.2, -5.0, -7.4), 4: (2.3, -2.8, -2.0),
}  # fmt: skip

# Points that hardly move with the expression: they tell where the head looks.
_STIFF_POINTS = np.arange(17, 48)
# The far jaw starts to leave the true jaw at this turn of the head and is fully on the contour at the second (radians).
_CONTOUR_FROM, _CONTOUR_FULL = 0.10, 0.30
_SIDES_OF_JAW = (np.arange(0, 7), np.arange(10, 17))


@dataclass(frozen=True)
class HeadPose:
    """How the mean head (POSE_POINTS) lies over a face: pixels per head unit, and the turn, head to picture axes."""

    scale: float
    rotation: NDArray

    @property
    def yaw(self) -> float:
        """Radians; above 0 the nose points to image-left. The angles are those of facelib.pose: Rz(roll) Ry Rx."""
        return float(np.arctan2(-self.rotation[2, 0], np.hypot(self.rotation[0, 0], self.rotation[1, 0])))

    @property
    def roll(self) -> float:
        """Radians; above 0 clockwise."""
        return float(np.arctan2(self.rotation[1, 0], self.rotation[0, 0]))


def landmarks_from_mesh(mesh: NDArray, *, calibrated: bool = True, deep_jaw: bool = False) -> NDArray:
    """The 68 landmarks of one mesh.

    Args:
        mesh: (468, 3) x, y in frame pixels, z in the same scale, away from the camera.
        calibrated: take the offsets of the conventions out; False gives the bare mapping.
        deep_jaw: the jaw at its true depth (HEAD crops) instead of on the visible contour.

    Returns:
        float64 (68, 2), frame pixels.
    """
    points = _AVERAGING @ mesh
    if not calibrated:
        return points[:, :2]
    pose = head_pose(points)
    offsets = _OFFSETS_DEEP_JAW if deep_jaw else _OFFSETS
    points = points + pose.scale * offsets @ pose.rotation.T
    return points[:, :2] if deep_jaw else _jaw_on_contour(points[:, :2], mesh[:, :2], pose)


def head_pose(points: NDArray) -> HeadPose:
    """The pose of a face from its landmarks in space, float64 (68, 3), by brows, nose and eyes.

    Source: S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
    """
    head = _HEAD[_STIFF_POINTS] - _HEAD[_STIFF_POINTS].mean(axis=0)
    face = points[_STIFF_POINTS] - points[_STIFF_POINTS].mean(axis=0)
    u, stretch, vt = np.linalg.svd(face.T @ head)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return HeadPose(float((stretch * signs).sum() / (head**2).sum()), (u * signs) @ vt)


def _jaw_on_contour(landmarks: NDArray, mesh: NDArray, pose: HeadPose) -> NDArray:
    """Moves the far side of the jaw sideways (along the face's own x) out to the silhouette of the mesh."""
    weight = np.clip((abs(pose.yaw) - _CONTOUR_FROM) / (_CONTOUR_FULL - _CONTOUR_FROM), 0, 1)
    if weight == 0:
        return landmarks
    side = _SIDES_OF_JAW[0] if pose.yaw > 0 else _SIDES_OF_JAW[1]
    outward = -1.0 if pose.yaw > 0 else 1.0
    cosine, sine = np.cos(pose.roll), np.sin(pose.roll)
    upright = np.array([[cosine, sine], [-sine, cosine]])
    jaw = landmarks[side] @ upright.T
    hull = cv2.convexHull((mesh @ upright.T).astype(np.float32))[:, 0].astype(np.float64)
    reach = np.array([_hull_reach(hull, y, outward) for y in jaw[:, 1]])
    jaw[:, 0] += weight * outward * np.maximum(0, outward * (reach - jaw[:, 0]))
    moved = landmarks.copy()
    moved[side] = jaw @ upright
    return moved


def _hull_reach(hull: NDArray, y: float, outward: float) -> float:
    """How far (least or greatest x) a convex outline (n, 2) reaches at height y; -outward infinity if it does not."""
    start, end = hull, np.roll(hull, -1, axis=0)
    crossed = (start[:, 1] <= y) != (end[:, 1] <= y)
    if not crossed.any():
        return -outward * np.inf
    part = (y - start[crossed, 1]) / (end[crossed, 1] - start[crossed, 1])
    x = start[crossed, 0] + part * (end[crossed, 0] - start[crossed, 0])
    return float((outward * x).max() * outward)


def _averaging_matrix() -> NDArray:
    matrix = np.zeros((LANDMARKS, VERTICES))
    for point, vertices in VERTICES_OF_POINT.items():
        matrix[point, list(vertices)] = 1 / len(vertices)
    return matrix


def _offset_table(halves: dict[int, tuple[float, float, float]]) -> NDArray:
    table = np.zeros((LANDMARKS, 3))
    for point, (x, y, z) in halves.items():
        table[point] = x, y, z
        if point in _MIRRORED_POINT:
            table[_MIRRORED_POINT[point]] = -x, y, z
    return table


def _symmetric_head() -> NDArray:
    """POSE_POINTS without their slight skew, so that mirrored faces have exactly mirrored poses."""
    partners = [_MIRRORED_POINT.get(n, n) for n in range(LANDMARKS)]
    return (POSE_POINTS + POSE_POINTS[partners] * (-1, 1, 1)) / 2


_HEAD = _symmetric_head()
_AVERAGING = _averaging_matrix()
_OFFSETS = _offset_table(_CONVENTION_OFFSETS)
_OFFSETS_DEEP_JAW = _offset_table({**_CONVENTION_OFFSETS, **_DEEP_JAW_OFFSETS})
