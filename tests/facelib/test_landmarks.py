"""The tables of landmarks and mirroring."""

import numpy as np
import pytest

from core.errors import NotAFace
from facelib.landmarks import (
    ALIGNMENT_INDICES,
    FLIP_PAIRS,
    MEAN_FACE,
    POSE_INDICES,
    POSE_POINTS,
    mirror_landmarks,
    require_landmarks,
)


def test_the_mean_face_is_the_published_table() -> None:
    # Column sums, plain and weighted by landmark number, added up from the decimals of the specification.
    table = MEAN_FACE[17:].astype(np.float64)
    np.testing.assert_allclose(table.sum(axis=0), [24.996459456, 23.6856078], atol=2e-6)
    np.testing.assert_allclose(np.arange(17, 68) @ table, [1072.381726952, 1188.1296647], atol=1e-4)
    assert MEAN_FACE[54].tolist() == [np.float32(0.726104), np.float32(0.780233)]
    assert np.isnan(MEAN_FACE[:17]).all()


def test_the_mean_head_is_the_published_table() -> None:
    np.testing.assert_allclose(POSE_POINTS.sum(axis=0), [-0.000002, 0.000002, 0], atol=1e-9)
    np.testing.assert_allclose(np.arange(68) @ POSE_POINTS, [7940.092225, 4138.073410, -21548.852995], atol=1e-6)
    assert POSE_POINTS[30].tolist() == [1.226783, -8.414541, -36.94806]


def test_which_points_align_and_which_tell_the_pose() -> None:
    assert ALIGNMENT_INDICES.tolist() == [*range(17, 49), 54]
    assert POSE_INDICES.tolist() == [*range(27), *range(30, 36)]


def test_tables_cannot_be_changed_by_accident() -> None:
    for table in (MEAN_FACE, POSE_POINTS, ALIGNMENT_INDICES, POSE_INDICES):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


def test_every_point_is_in_one_pair_or_on_the_middle_line() -> None:
    paired = [number for pair in FLIP_PAIRS for number in pair]
    assert len(paired) == len(set(paired))
    assert sorted(set(range(68)) - set(paired)) == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]


def test_every_mirrored_point_of_the_mean_head_lands_nearest_to_its_own_number() -> None:
    # The mean head is almost symmetric, so a wrong pair would bring some point nearer to another one.
    middle = 0.4  # x of its middle line
    mirrored = POSE_POINTS.copy()
    mirrored[:, :2] = mirror_landmarks(POSE_POINTS[:, :2], 1) + np.array([2 * middle, 0])
    mirrored[:, 2] = mirror_landmarks(POSE_POINTS[:, [2, 2]], 1)[:, 1]
    distances = np.linalg.norm(POSE_POINTS[:, None] - mirrored[None], axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), np.arange(68))


def test_mirrored_points_lie_under_the_mirrored_pixels() -> None:
    points = np.zeros((68, 2), np.float32)
    points[36] = [10, 3]
    picture = np.zeros((8, 32), np.uint8)
    picture[3, 10] = 1
    mirrored = mirror_landmarks(points, 32)
    assert mirrored.dtype == np.float32
    x, y = mirrored[45].astype(int)  # outer corner of the other eye
    assert picture[:, ::-1][y, x] == 1


def test_mirroring_twice_changes_nothing() -> None:
    points = np.random.default_rng(0).uniform(0, 256, (68, 2))
    np.testing.assert_allclose(mirror_landmarks(mirror_landmarks(points, 256), 256), points, atol=1e-12)


@pytest.mark.parametrize(
    "bad", [np.zeros((67, 2)), np.zeros((68, 3)), np.full((68, 2), np.nan), np.full((68, 2), np.inf)]
)
def test_what_is_not_68_finite_points_is_no_face(bad: np.ndarray) -> None:
    with pytest.raises(NotAFace):
        require_landmarks(bad)
