"""Smoothing: half the trembling, no lag, never far from the truth, and hands off what is no film."""

from __future__ import annotations

import numpy as np
import pytest

from facelib.alignment import bbox_from_landmarks
from facelib.smoothing import FARTHEST_MOVE, REACH, smooth_landmarks
from tests.painting import head_landmarks


def _film(path: np.ndarray, size: float = 150.0) -> np.ndarray:
    """(N, 68, 2): a painted head that moves along path (N, 2), nodding and growing a little."""
    times = np.arange(len(path))
    return np.array(
        [
            head_landmarks((x, y), size + 0.05 * t, yaw=0.3 * np.sin(t / 25), pitch=0.1 * np.cos(t / 30))
            for t, (x, y) in zip(times, path, strict=True)
        ],
        np.float64,
    )


def _sides(faces: np.ndarray) -> np.ndarray:
    boxes = np.array([bbox_from_landmarks(face) for face in faces])
    return np.asarray(boxes[:, 2] - boxes[:, 0], np.float64)


def _lag(before: np.ndarray, after: np.ndarray) -> float:
    """Frames by which `after` is late, by least squares: after(t) = before(t - lag)."""
    speed = np.gradient(before, axis=0)
    return float(-((after - before) * speed).sum() / (speed**2).sum())


def _path(kind: str, count: int = 60) -> np.ndarray:
    t = np.arange(count, dtype=float)
    x = {
        "even": 100 + 3 * t,
        "accelerating": 100 + 0.06 * t**2,
        "starts suddenly": 100 + 4 * np.maximum(0, t - 30),
        "to and fro": 300 + 40 * np.sin(t / 6),
    }[kind]
    return np.column_stack([x, np.full(count, 200.0)])


@pytest.mark.parametrize("kind", ["even", "accelerating", "starts suddenly", "to and fro"])
def test_nothing_lags_behind(kind: str) -> None:
    """A causal mean of nine frames would be four frames late."""
    true = _film(_path(kind))
    noise = np.random.default_rng(1).normal(0, 0.4, true.shape)
    smooth = smooth_landmarks(true + noise, _sides(true))
    assert abs(_lag(true, smooth)) < 0.02
    assert abs(_lag(true, smooth_landmarks(true, _sides(true)))) < 0.01


@pytest.mark.parametrize("kind", ["even", "accelerating"])
def test_what_moves_evenly_or_accelerates_evenly_stays_where_it_is(kind: str) -> None:
    path = _path(kind)
    true = head_landmarks((0, 0), 150).astype(np.float64) + path[:, None]
    np.testing.assert_allclose(smooth_landmarks(true, np.full(len(true), 160.0)), true, atol=1e-8)


def test_trembling_is_more_than_halved() -> None:
    true = _film(_path("to and fro", 120))
    trembling = true + np.random.default_rng(2).normal(0, 0.4, true.shape)
    smooth = smooth_landmarks(trembling, _sides(true))
    jerks = [np.diff(faces - true, 2, axis=0).std() for faces in (trembling, smooth)]
    assert jerks[1] < 0.3 * jerks[0]
    assert np.abs(smooth - true).mean() < 0.6 * np.abs(trembling - true).mean()  # and it comes nearer to the truth


def test_backward_in_time_gives_the_same() -> None:
    faces = _film(_path("starts suddenly")) + np.random.default_rng(3).normal(0, 0.4, (60, 68, 2))
    sides = _sides(faces)
    backward = smooth_landmarks(faces[::-1], sides[::-1])[::-1]
    np.testing.assert_allclose(smooth_landmarks(faces, sides), backward, atol=1e-9)


def test_no_point_moves_further_than_the_bound() -> None:
    faces = _film(_path("even"))
    faces[30] += 25  # one frame is far off
    faces[40:43, 36:48, 1] += 6  # a blink
    sides = _sides(faces)
    moved = np.linalg.norm(smooth_landmarks(faces, sides) - faces, axis=2) / sides[:, None]
    assert moved.max() == pytest.approx(FARTHEST_MOVE)
    assert FARTHEST_MOVE <= 0.01


def test_frames_beyond_its_reach_do_not_matter() -> None:
    faces = _film(_path("even")) + np.random.default_rng(4).normal(0, 0.3, (60, 68, 2))
    other = faces.copy()
    other[30 + REACH + 1 :] += 1.0
    sides = _sides(faces)
    same = smooth_landmarks(faces, sides)[:31] == smooth_landmarks(other, sides)[:31]
    assert same.all()


def test_photos_are_left_alone() -> None:
    """A face that is somewhere else in every picture."""
    places = np.random.default_rng(5).uniform(100, 500, (12, 2))
    faces = _film(places)
    np.testing.assert_array_equal(smooth_landmarks(faces, _sides(faces)), faces)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_too_few_frames_are_left_alone(count: int) -> None:
    faces = _film(_path("to and fro"))[:count].reshape(count, 68, 2)
    np.testing.assert_array_equal(smooth_landmarks(faces, np.full(count, 160.0)), faces)


def test_five_frames_are_enough() -> None:
    faces = _film(_path("even"))[:5] + np.random.default_rng(6).normal(0, 0.3, (5, 68, 2))
    assert (smooth_landmarks(faces, _sides(faces)) != faces).any()
