"""468 vertices -> 68 landmarks: the calibration is made again from its sources and compared with the table."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.geometry import invert_affine, similarity_from_points, transform_points
from facelib.alignment import average_yaw, frame_to_unit
from facelib.landmarks import ALIGNMENT_INDICES, FLIP_PAIRS, MEAN_FACE, POSE_POINTS, mirror_landmarks
from facelib.nets.mesh_landmarks import VERTICES, VERTICES_OF_POINT, head_pose, landmarks_from_mesh

# The vertices of MediaPipe's canonical face (Apache-2.0, canonical_face_model.obj) that the mapping uses, middle and
# image-left side: centimeters, x image-right, y up, z towards the camera.
_CANONICAL = {
    0: (0, -3.4064, 5.97951), 2: (0, -2.08902, 6.05827), 4: (0, -0.46317, 7.58658), 5: (0, 0.365669, 7.24287),
    13: (0, -3.99444, 5.21948), 14: (0, -4.5424, 5.40475), 17: (0, -5.36512, 5.53544),
    33: (-4.44586, 2.66399, 3.17342), 37: (-0.711452, -3.32936, 5.87704), 40: (-1.91491, -3.80315, 5.02893),
    55: (-1.22094, 4.14217, 5.10604), 58: (-6.71968, -4.78864, -1.7454), 61: (-2.45621, -4.34262, 4.28388),
    63: (-4.98589, 4.80246, 3.75198), 66: (-2.76029, 5.10097, 5.01599), 70: (-5.72097, 4.25458, 2.83085),
    78: (-2.15308, -4.27632, 4.03809), 81: (-1.02434, -3.98985, 4.92669), 82: (-0.533422, -3.99322, 5.1382),
    84: (-0.699606, -5.29185, 5.4483), 87: (-0.583218, -4.51798, 5.33987), 91: (-1.83862, -4.82875, 4.82374),
    93: (-7.54224, -1.04928, -2.43132), 97: (-0.597442, -2.01369, 5.86646), 98: (-1.40563, -1.7142, 5.24109),
    105: (-3.98656, 5.10949, 4.46631), 107: (-1.39563, 5.01196, 5.31603), 127: (-7.7431, 2.365, -2.00517),
    132: (-7.2709, -2.89092, -2.25245), 133: (-1.85643, 2.58525, 3.7579), 136: (-5.08528, -7.17859, 0.714711),
    144: (-3.67008, 2.36015, 3.63523), 148: (-1.29292, -9.29592, 4.09406), 150: (-4.06893, -7.99311, 1.92512),
    152: (0, -9.40338, 4.26449), 153: (-2.72403, 2.3158, 3.77715), 156: (-6.13004, 3.39926, 2.03852),
    158: (-2.72403, 2.96181, 3.87177), 160: (-3.67008, 2.92771, 3.72432), 168: (0, 3.27103, 5.23602),
    172: (-5.94052, -6.22363, -0.631468), 176: (-2.30898, -8.9742, 3.60907), 178: (-1.09882, -4.45879, 5.12073),
    195: (0, 1.05941, 6.77461), 197: (0, 1.72837, 6.31675), 234: (-7.66418, 0.673132, -2.43587),
}  # fmt: skip


def _canonical_mesh() -> np.ndarray:
    """(468, 3) with x right, y down, z away; vertices the mapping does not use are NaN."""
    mesh = np.full((VERTICES, 3), np.nan)
    for vertex, (x, y, z) in _CANONICAL.items():
        mesh[vertex] = x, -y, -z
    mirrored = dict([*FLIP_PAIRS, *((b, a) for a, b in FLIP_PAIRS)])
    for point, vertices in VERTICES_OF_POINT.items():
        for vertex, partner in zip(vertices, VERTICES_OF_POINT[mirrored.get(point, point)], strict=True):
            if np.isnan(mesh[vertex, 0]):
                mesh[vertex] = mesh[partner] * [-1, 1, 1]
    return mesh


@pytest.fixture(scope="module")
def canonical() -> np.ndarray:
    return _canonical_mesh()


def _turn(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    cx, sx, cy, sy, cz, sz = (f(a) for a in (pitch, yaw, roll) for f in (math.cos, math.sin))
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(z @ y @ x)


def _mapped(mesh: np.ndarray) -> np.ndarray:
    return np.array([mesh[list(VERTICES_OF_POINT[n])].mean(axis=0) for n in range(68)])


def _unit_side(landmarks: np.ndarray) -> float:
    return 1 / float(np.hypot(*frame_to_unit(landmarks)[:, 0]))


def test_the_mapping_is_complete_and_symmetric(canonical: np.ndarray) -> None:
    assert sorted(VERTICES_OF_POINT) == list(range(68))
    points = _mapped(canonical)
    assert np.isfinite(points).all()
    for left, right in FLIP_PAIRS:
        np.testing.assert_allclose(points[left] * [-1, 1, 1], points[right], atol=1e-9)
    for middle in (8, 27, 28, 29, 30, 33, 51, 57, 62, 66):
        assert points[middle, 0] == 0


def test_the_canonical_face_fits_the_mean_face_as_the_specification_says(canonical: np.ndarray) -> None:
    """Spec faces-and-formats 10.3: residual 0.017 over the alignment points, worst coordinate 0.034 (other camera)."""
    points = _mapped(canonical)
    best = math.inf, 0.0, np.empty(0)
    for pitch in np.radians(np.arange(0, 20, 0.25)):
        seen = (points @ _turn(pitch=pitch).T)[:, :2]
        misfit = (transform_points(seen, frame_to_unit(seen)) - MEAN_FACE)[ALIGNMENT_INDICES]
        best = min(best, (float(np.sqrt((misfit**2).sum(axis=1).mean())), pitch, misfit), key=lambda b: b[0])
    assert best[0] == pytest.approx(0.016, abs=0.0015)
    assert np.abs(best[2]).max() == pytest.approx(0.034, abs=0.003)


def test_the_table_follows_from_its_sources(canonical: np.ndarray) -> None:
    """The three steps of the module's docstring, written out again."""
    anchor, brows = np.arange(27, 48), np.arange(17, 29)
    points = _mapped(canonical)

    def misfit(pitch: float) -> tuple[float, np.ndarray, float]:
        seen = (points @ _turn(pitch=pitch).T)[:, :2]
        fitted = similarity_from_points(seen[anchor], MEAN_FACE[anchor])
        left = transform_points(seen, fitted) - MEAN_FACE
        return float((left[anchor] ** 2).sum()), left, float(np.hypot(*fitted[:, 0]))

    pitch = min(np.radians(np.arange(0, 15, 0.05)), key=lambda p: misfit(p)[0])
    assert math.degrees(pitch) == pytest.approx(6.7, abs=0.11)
    _, left, scale = misfit(pitch)
    wanted = np.zeros((68, 3))
    wanted[brows, :2] = -left[brows] / scale
    wanted = wanted @ _turn(pitch=pitch)  # picture axes at that pitch -> axes of the canonical head
    pose = head_pose(points)  # canonical head <- POSE_POINTS
    wanted = wanted @ pose.rotation / pose.scale
    corrected = landmarks_from_mesh(canonical_without_gaps(canonical))
    given = (corrected - points[:, :2]) / pose.scale  # what the table adds, seen from the front
    np.testing.assert_allclose(given, (wanted @ pose.rotation.T)[:, :2], atol=0.006)  # the table has two digits


def canonical_without_gaps(mesh: np.ndarray) -> np.ndarray:
    """Unused vertices put where they cannot widen the outline."""
    return np.where(np.isnan(mesh), np.nanmean(mesh, axis=0), mesh)


@pytest.mark.parametrize(("yaw", "tighter"), [(0.0, 1.0097), (0.4, 1.0090), (-0.4, 1.0090), (0.8, 1.0067)])
def test_the_crop_scale_is_corrected(canonical: np.ndarray, yaw: float, tighter: float) -> None:
    mesh = canonical_without_gaps(canonical) @ _turn(yaw).T * 40 + [300, 250, 0]
    bare, corrected = landmarks_from_mesh(mesh, calibrated=False), landmarks_from_mesh(mesh)
    assert _unit_side(bare) / _unit_side(corrected) == pytest.approx(tighter, abs=0.0005)
    center = transform_points(np.array([0.5, 0.5]), invert_affine(frame_to_unit(bare)))
    np.testing.assert_allclose(transform_points(center, frame_to_unit(corrected)), [0.5, 0.5], atol=0.0015)


def test_the_brows_come_to_lie_where_the_convention_has_them(canonical: np.ndarray) -> None:
    """Laid onto the mean face by eyes and nose, calibrated brows miss it by less than 0.005, bare ones by 0.03."""
    mesh = canonical_without_gaps(canonical) @ _turn(pitch=math.radians(6.7)).T
    brows = np.arange(17, 27)

    def miss(landmarks: np.ndarray) -> float:
        fitted = similarity_from_points(landmarks[29:48], MEAN_FACE[29:48])
        return float(np.abs(transform_points(landmarks, fitted) - MEAN_FACE)[brows].max())

    assert miss(landmarks_from_mesh(mesh, calibrated=False)) > 0.025
    assert miss(landmarks_from_mesh(mesh)) < 0.005


def test_landmarks_turn_move_and_grow_with_the_mesh(canonical: np.ndarray) -> None:
    mesh = canonical_without_gaps(canonical) @ _turn(0.5, 0.1).T
    before = landmarks_from_mesh(mesh)
    turned = landmarks_from_mesh(mesh @ _turn(roll=1.9).T * 25 + [500, -40, 7])
    expected = before @ _turn(roll=1.9)[:2, :2].T * 25 + [500, -40]
    np.testing.assert_allclose(turned, expected, atol=1e-4)  # the outline is kept in float32


def test_a_mirrored_face_has_mirrored_landmarks(canonical: np.ndarray) -> None:
    mesh = canonical_without_gaps(canonical)
    right, left = (landmarks_from_mesh(mesh @ _turn(yaw).T * 30 + [100, 100, 0]) for yaw in (0.6, -0.6))
    np.testing.assert_allclose(mirror_landmarks(right, 201), left, atol=1e-4)  # the outline is kept in float32


def test_head_pose_of_the_mean_head() -> None:
    for yaw, pitch, roll in [(0, 0, 0), (0.7, -0.2, 0.3), (-1.2, 0.4, 2.5)]:
        turn = _turn(yaw, pitch, roll)
        pose = head_pose(POSE_POINTS @ turn.T * 3 + [10, 20, 30])
        assert pose.scale == pytest.approx(3, rel=0.002)  # the mean head is slightly skew, the pose is that of a
        np.testing.assert_allclose(pose.rotation, turn, atol=0.03)  # symmetric one
        assert (pose.yaw, pose.roll) == pytest.approx((yaw, roll), abs=0.03)


@pytest.mark.parametrize("yaw", [0.2, 0.4, 0.8])
def test_a_deep_jaw_gives_head_crops_the_yaw_they_expect(canonical: np.ndarray, yaw: float) -> None:
    """As the mean head has it, its own skew taken out; the bare mapping gives about 1.25 times as much."""

    def measured(points: np.ndarray) -> float:
        return average_yaw(transform_points(points[:, :2], frame_to_unit(points[:, :2])))

    wanted = (measured(POSE_POINTS @ _turn(yaw).T) - measured(POSE_POINTS @ _turn(-yaw).T)) / 2
    mesh = canonical_without_gaps(canonical) @ _turn(yaw).T
    assert measured(landmarks_from_mesh(mesh, deep_jaw=True)) == pytest.approx(wanted, rel=0.07)
    assert measured(landmarks_from_mesh(mesh, calibrated=False)) > 1.2 * wanted


def test_the_far_jaw_lies_on_the_contour(canonical: np.ndarray) -> None:
    """A cheek that stands out beyond the far jaw line pulls the jaw out to it; the near side stays where it is."""
    mesh = canonical_without_gaps(canonical)
    mesh[50] = [-7.0, 0.7, -4.5]  # an unused vertex: a cheekbone on image-left
    seen = mesh @ _turn(0.7).T  # nose to image-left: image-left is the far side
    true_jaw, contour = landmarks_from_mesh(seen, deep_jaw=True)[:17], landmarks_from_mesh(seen)[:17]
    outline_left = seen[:, 0].min()
    assert contour[:4, 0].min() == pytest.approx(outline_left, abs=0.6)
    assert (contour[:4, 0] < true_jaw[:4, 0]).all()
    np.testing.assert_allclose(contour[7:], _mapped(seen)[7:17, :2], atol=1e-9)
