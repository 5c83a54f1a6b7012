"""Tracks, weights over time, and faces that do not tremble."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.geometry import invert_affine, transform_points
from facelib.alignment import average_yaw, frame_to_face, frame_to_unit
from facelib.face_type import FaceType
from merger.frames import FrameFace, FrameFaces
from merger.settings import MergeSettings
from merger.temporal import FARTHEST_MOVE, REACH, Track, link_faces, neighbors, steady_faces, time_weights
from tests.merger.scenes import painted_landmarks
from tests.merger.shots import film
from tests.painting import head_landmarks


def corners(frames: Sequence[FrameFaces], face_type: FaceType = FaceType.FULL) -> NDArray[np.float64]:
    """(N, 4, 2): the corners of the pasted squares, frame pixels."""
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]) * 100
    faces = [frame.faces[0] for frame in frames if frame.faces]
    return np.array(
        [transform_points(square, invert_affine(frame_to_face(f.landmarks, face_type, 100))) for f in faces]
    )


def trembling(places: NDArray) -> float:
    return float(np.sqrt(np.mean(np.diff(places, 2, axis=0) ** 2)))


def steady(frames: list[FrameFaces], strength: int = 30, cuts: Sequence[int] = ()) -> list[FrameFaces]:
    return steady_faces(frames, link_faces(frames, cuts), [strength] * len(frames))


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_weights_keep_polynomials_and_look_both_ways_alike(degree: int) -> None:
    times = np.arange(-12.0, 13.0)
    weights = time_weights(times, 0.0, 2.0, degree)
    assert weights.sum() == pytest.approx(1)
    assert weights == pytest.approx(weights[::-1], abs=1e-12)
    assert (weights[np.abs(times) > REACH] == 0).all()
    late = time_weights(np.array([-5.0, -3, -2, -1, 0]), 0.0, 2.0, degree)  # at an end, with a gap
    for power in range(degree + 1):
        assert late @ np.array([-5.0, -3, -2, -1, 0]) ** power == pytest.approx(0.0**power, abs=1e-9)


def test_weights_of_a_mean_are_gaussian() -> None:
    expected = np.exp(-0.5 * np.arange(-3, 4) ** 2 / 1.5**2)
    assert time_weights(np.arange(-3, 4), 0.0, 1.5, 0, 3) == pytest.approx(expected / expected.sum())
    assert time_weights(np.array([7]), 7.0, 1.5, 1) == pytest.approx([1.0])


def test_tracks_follow_faces_not_their_order_and_end_at_cuts_and_long_gaps() -> None:
    def faces(*centers: tuple[float, float]) -> tuple[FrameFace, ...]:
        return tuple(FrameFace(painted_landmarks(center, 50)) for center in centers)

    shown = [faces((50, 50), (150, 50)), faces((148, 50), (55, 50)), (), faces((60, 50)), faces((62, 50))]
    shot = [FrameFaces(Path(f"{n}.png"), found) for n, found in enumerate(shown)]
    assert link_faces(shot) == [[(0, 0), (1, 1), (3, 0), (4, 0)], [(0, 1), (1, 0)]]
    assert link_faces(shot, [4]) == [[(0, 0), (1, 1), (3, 0)], [(0, 1), (1, 0)], [(4, 0)]]
    gone = [shot[0], *[FrameFaces(Path("x.png"))] * 6, shot[0]]
    assert [len(track) for track in link_faces(gone)] == [1, 1, 1, 1]
    assert link_faces([]) == []
    # Far away, or suddenly twice as large, it is somebody else.
    assert len(link_faces(film(2, path=lambda n: (50 + 60 * n, 50)))) == 2
    assert len(link_faces(film(2, width=lambda n: 60 * (1 + n)))) == 2


def test_landmarks_that_are_no_face_are_in_no_track() -> None:
    line = FrameFace(np.tile(np.arange(68, dtype=np.float32)[:, None], 2))
    shot = film(5, noise=0.3)
    shot[2] = FrameFaces(shot[2].path, (line, *shot[2].faces))
    assert link_faces(shot) == [[(0, 0), (1, 0), (2, 1), (3, 0), (4, 0)]]
    assert steady(shot)[2].faces[0] is line


def test_neighbors_are_those_within_reach_on_the_track() -> None:
    track: Track = [(n, 0) for n in range(30) if n != 12]
    around = neighbors([track])
    assert around[0, 0] == [(n, 0) for n in range(REACH + 1)]
    assert around[10, 0] == [(n, 0) for n in range(2, 19) if n != 12]
    assert len(around) == 29


def test_trembling_is_halved_and_more() -> None:
    """Noise of half a percent of the side, on a face that moves, grows and turns."""
    ways: dict[str, Any] = {
        "path": lambda n: (80 + 0.7 * n, 60 + 10 * math.sin(n / 15)),
        "width": lambda n: 60 + 0.2 * n,
        "angle": lambda n: 0.01 * n,
    }
    noisy, true = film(60, noise=0.4, **ways), corners(film(60, **ways))
    raw, steadied = corners(noisy), corners(steady(noisy))
    assert trembling(steadied) < 0.3 * trembling(raw)
    assert np.abs(steadied - true).mean() < 0.7 * np.abs(raw - true).mean()


def test_more_strength_is_calmer() -> None:
    noisy = film(50, path=lambda n: (80 + n, 60.0), noise=0.1)
    figures = [trembling(corners(steady(noisy, strength))) for strength in (0, 10, 30, 60)]
    assert figures == sorted(figures, reverse=True)


@pytest.mark.parametrize("speed", [0.0, 2.0, 9.0])
def test_what_moves_evenly_or_with_even_acceleration_stays_where_it_is(speed: float) -> None:
    shot = film(24, path=lambda n: (80 + speed * n, 60 + 0.05 * speed * n * n), width=lambda n: 60 * 1.01**n)
    assert np.abs(corners(steady(shot, 100)) - corners(shot)).max() < 0.02


def test_fast_motion_does_not_lag_and_nothing_moves_far() -> None:
    """A head thrown from side to side: the least square fit of the motion puts it less than 0.1 frames late."""
    shot = film(60, path=lambda n: (120 + 40 * math.sin(n / 2.5), 60.0), noise=0.5)
    raw, steadied = corners(shot), corners(steady(shot, 100))
    moved, speed = steadied - raw, np.gradient(raw, axis=0)
    assert abs((moved * speed).sum() / (speed**2).sum()) < 0.1
    side = np.linalg.norm(raw[:, 1] - raw[:, 0], axis=1)
    center = moved.mean(axis=1, keepdims=True)
    assert (np.linalg.norm(center, axis=2)[:, 0] <= 1.001 * FARTHEST_MOVE * side).all()
    assert (np.linalg.norm(moved - center, axis=2).max(axis=1) <= 1.02 * FARTHEST_MOVE * side).all()


def test_nothing_crosses_a_cut() -> None:
    """Behind the cut the face is near where it was, so only the cut tells."""
    first, second = film(20, noise=0.3), film(20, path=lambda _: (88.0, 64.0), noise=0.3)
    both = steady([*first, *second], 100, cuts=[20])
    alone = [*steady(first, 100), *steady(second, 100)]
    for joined, apart in zip(both, alone, strict=True):
        assert (joined.faces[0].landmarks == apart.faces[0].landmarks).all()


def test_a_jerk_is_kept() -> None:
    """One step of a tenth of the side, between frames that hardly tremble: it is still one step."""
    shot = film(30, path=lambda n: (80.0 + 8 * (n >= 15), 60.0), noise=0.02)
    raw, steadied = corners(shot)[:, 0, 0], corners(steady(shot, 60))[:, 0, 0]
    assert steadied[15] - steadied[14] == pytest.approx(8, abs=0.4)
    assert np.abs(steadied - raw).max() < 0.2


def test_gaps_are_no_reason_to_jump() -> None:
    shot = film(30, path=lambda n: (80 + 1.5 * n, 60.0), noise=0.3, missing=(9, 10, 20))
    true = corners(film(30, path=lambda n: (80 + 1.5 * n, 60.0), missing=(9, 10, 20)))
    steadied = steady(shot)
    assert [len(frame.faces) for frame in steadied] == [len(frame.faces) for frame in shot]
    assert np.abs(corners(steadied) - true).mean() < np.abs(corners(shot) - true).mean()


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_too_few_frames_stay_as_they_are(frames: int) -> None:
    shot = film(frames, noise=0.5)
    assert steady(shot, 100) == shot


def test_strength_0_keeps_every_bit() -> None:
    shot = film(12, noise=0.5)
    strengths = [30] * 6 + [0] * 6
    steadied = steady_faces(shot, link_faces(shot), strengths)
    assert steadied[6:] == shot[6:]
    assert all(after.faces[0] is not before.faces[0] for after, before in zip(steadied[:6], shot[:6], strict=True))


def test_landmarks_move_as_one_piece() -> None:
    shot = film(20, noise=0.5)
    for before, after in zip(shot, steady(shot), strict=True):
        units = [
            transform_points(f.landmarks.astype(np.float64), frame_to_unit(f.landmarks))
            for f in (before.faces[0], after.faces[0])
        ]
        assert units[0][17:] == pytest.approx(units[1][17:], abs=1e-4)
        assert units[0][:17] == pytest.approx(units[1][:17], abs=0.02)


def test_the_turn_of_whole_heads_is_steadied_too() -> None:
    chance = np.random.default_rng(6)
    yaws = 0.3 + 0.01 * chance.standard_normal(40)
    shot = [FrameFaces(Path(f"{n}.png"), (FrameFace(head_landmarks((80, 60), 60, yaw)),)) for n, yaw in enumerate(yaws)]

    def turns(frames: Sequence[FrameFaces]) -> NDArray:
        points = [frame.faces[0].landmarks.astype(np.float64) for frame in frames]
        return np.array([average_yaw(transform_points(p, frame_to_unit(p))) for p in points])

    tracks, strengths = link_faces(shot), [30] * len(shot)
    heads = steady_faces(shot, tracks, strengths)
    assert trembling(turns(heads)) < 0.5 * trembling(turns(shot))
    assert trembling(corners(heads, FaceType.HEAD)) < 0.5 * trembling(corners(shot, FaceType.HEAD))


def test_two_people_are_never_in_one_track() -> None:
    shot = film(6)
    people = [
        dataclasses.replace(f, faces=(dataclasses.replace(f.faces[0], track=track),))
        for f, track in zip(shot, (1, 0, 1, 2, 2, 2), strict=True)
    ]
    assert link_faces(people) == [[(0, 0), (1, 0), (2, 0)], [(3, 0), (4, 0), (5, 0)]]


def test_the_strength_of_a_face_is_its_own() -> None:
    shot = film(12, noise=1.0)
    own = [
        dataclasses.replace(
            f, faces=(dataclasses.replace(f.faces[0], settings=(MergeSettings(stabilize_landmarks=0),)),)
        )
        for f in shot
    ]
    tracks = link_faces(shot)
    assert all(a is b for a, b in zip(steady_faces(own, tracks, [30] * 12), own, strict=True))
    ready = [
        dataclasses.replace(f, faces=(dataclasses.replace(f.faces[0], settings=(MergeSettings(),)),)) for f in shot
    ]
    for mine, usual in zip(steady_faces(ready, tracks, [0] * 12), steady_faces(shot, tracks, [30] * 12), strict=True):
        assert np.array_equal(mine.faces[0].landmarks, usual.faces[0].landmarks)
