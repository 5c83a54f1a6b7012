"""Tracks: everybody keeps the own number, also where two people cross, one leaves, or the detector misses a face."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from core.shots import Shots
from facelib import tracking
from facelib.extraction import FoundFace
from facelib.tracking import LONGEST_GAP, Gap, Sight, fills, gaps, link_faces, look_of, runs
from tests.painting import head_landmarks, paint_background, paint_head

Place = tuple[float, float, float] | None
"""Of a head: x, y, width in pixels; None: not seen."""

WIDTH, HEIGHT = 640, 320


def film(
    *people: Callable[[int], Place], count: int = 40, shuffled: bool = True
) -> tuple[list[Sight], list[list[int]]]:
    """Painted frames of people, and who each reported face is. A finder reports in no order that tells who is who."""
    rng = np.random.default_rng(7)
    sights, truth = [], []
    for n in range(count):
        frame = paint_background(WIDTH, HEIGHT, 1)
        heads = []
        for person, where in enumerate(people):
            place = where(n)
            if place is not None:
                heads.append((person, head_landmarks(place[:2], place[2])))
        for person, landmarks in heads:
            paint_head(frame, landmarks, seed=10 + 2 * person)
        order = rng.permutation(len(heads)) if shuffled else range(len(heads))
        seen = [(heads[k][0], heads[k][1] + rng.normal(0, 0.3, (68, 2)).astype(np.float32)) for k in order]
        faces = tuple(FoundFace.from_landmarks(landmarks, 0.9) for _, landmarks in seen)
        sights.append(Sight(faces, tuple(look_of(frame, face.landmarks) for face in faces)))
        truth.append([person for person, _ in seen])
    return sights, truth


def one_shot(count: int) -> Shots:
    return Shots(np.arange(count), np.zeros(count, np.int64))


def people_of_tracks(sights: Sequence[Sight], truth: Sequence[Sequence[int]], shots: Shots) -> list[set[int]]:
    """Track by track, whose faces are in it."""
    people = []
    for track in link_faces(sights, shots):
        seen = set()
        for frame, face in track.faces.items():
            seen.add(truth[frame][next(k for k, f in enumerate(sights[frame].faces) if f is face)])
        people.append(seen)
    return people


def test_two_people_side_by_side() -> None:
    sights, truth = film(lambda n: (150 + n, 160, 100), lambda n: (480 - n, 160, 100))
    people = people_of_tracks(sights, truth, one_shot(40))
    assert sorted(people, key=min) == [{0}, {1}]


@pytest.mark.parametrize("hidden", [0, 3, 6])
def test_they_cross_and_keep_their_numbers(hidden: int) -> None:
    """One walks behind the other and is not seen for some frames."""
    behind = range(20 - hidden // 2, 20 - hidden // 2 + hidden)
    sights, truth = film(
        lambda n: (120 + 10 * n, 170, 100), lambda n: None if n in behind else (520 - 10 * n, 150, 90), count=40
    )
    people = people_of_tracks(sights, truth, one_shot(40))
    assert sorted(people, key=min) == [{0}, {1}]


def test_they_meet_and_turn_back() -> None:
    """Motion alone would have them trade places; their looks tell."""
    sights, truth = film(
        lambda n: (120 + 9 * min(n, 39 - n), 165, 100), lambda n: (500 - 9 * min(n, 39 - n), 155, 95), count=40
    )
    people = people_of_tracks(sights, truth, one_shot(40))
    assert sorted(people, key=min) == [{0}, {1}]


@pytest.mark.parametrize("away", [5, 15])
def test_who_leaves_comes_back_to_the_own_track_and_the_other_keeps_his(away: int) -> None:
    sights, truth = film(
        lambda n: (200 + 2 * n, 160, 100), lambda n: None if 10 <= n < 10 + away else (500, 150, 90), count=40
    )
    people = people_of_tracks(sights, truth, one_shot(40))
    assert sorted(people, key=min) == [{0}, {1}]


def test_who_takes_the_place_of_another_is_not_that_one() -> None:
    """The first leaves; half a second later somebody else stands there."""
    sights, truth = film(lambda n: (300, 160, 100) if n < 15 else None, lambda n: (310, 160, 100) if n > 25 else None)
    assert people_of_tracks(sights, truth, one_shot(40)) == [{0}, {1}]


def test_a_cut_ends_every_track() -> None:
    sights, _ = film(lambda n: (300, 160, 100), count=20)
    shots = Shots(np.arange(20), np.repeat([0, 1], 10))
    tracks = link_faces(sights, shots)
    assert [(track.number, track.shot, track.frames) for track in tracks] == [
        (1, 0, list(range(10))),
        (2, 1, list(range(10, 20))),
    ]


def test_a_jump_is_no_motion() -> None:
    """As at a cut before the same wall: it is the same person, but nothing may be smoothed across."""
    sights, _ = film(lambda n: (120 if n < 10 else 500, 160, 100), count=20)
    (track,) = link_faces(sights, one_shot(20))
    assert list(runs(track, one_shot(20))) == [list(range(10)), list(range(10, 20))]


def test_gaps_are_asked_for_where_the_face_should_be() -> None:
    missed = (8, 9, 10)
    sights, _ = film(lambda n: None if n in missed else (150 + 8 * n, 160, 100), count=20)
    shots = one_shot(20)
    tracks = link_faces(sights, shots)
    found = list(gaps(tracks, shots))
    assert [(gap.track, gap.frame) for gap in found] == [(1, 8), (1, 9), (1, 10)]
    for gap in found:
        np.testing.assert_allclose(gap.expected, head_landmarks((150 + 8 * gap.frame, 160), 100), atol=2)


def test_long_gaps_and_those_at_the_ends_are_none() -> None:
    sights, _ = film(lambda n: (300, 160, 100) if 3 <= n < 10 or n > 10 + LONGEST_GAP else None, count=40)
    shots = one_shot(40)
    assert list(gaps(link_faces(sights, shots), shots)) == []


def test_frames_that_are_not_there_count_as_time_but_are_not_asked_for() -> None:
    sights, _ = film(lambda n: None if n == 5 else (300, 160, 100), count=10)
    times = np.array([0, 1, 2, 3, 4, 5, 8, 9, 10, 11])
    shots = Shots(times, np.zeros(10, np.int64))
    tracks = link_faces(sights, shots)
    assert [gap.frame for gap in gaps(tracks, shots)] == [5]
    assert [run for track in tracks for run in runs(track, shots)] == [[0, 1, 2, 3, 4], [6, 7, 8, 9]]


def test_only_the_missing_face_fills_a_gap() -> None:
    expected = head_landmarks((300, 160), 100)
    gap = Gap(1, 5, expected)
    right = FoundFace.from_landmarks(head_landmarks((305, 162), 102, yaw=0.1), 0.9)
    larger = FoundFace.from_landmarks(head_landmarks((300, 160), 150), 0.9)
    other_place = FoundFace.from_landmarks(head_landmarks((360, 160), 100), 0.9)
    assert fills(gap, right, [])
    assert not fills(gap, other_place, [])
    assert not fills(gap, larger, [])
    assert not fills(gap, right, [FoundFace.from_landmarks(head_landmarks((308, 160), 100), 0.9)])


def test_nobody_has_no_tracks() -> None:
    assert link_faces([Sight(), Sight()], one_shot(2)) == []
    assert link_faces([], one_shot(0)) == []


def test_looks_are_compared_one_by_one_only_from_frame_to_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody comes and goes many times in one long shot: twice the times is twice the work, and one track."""
    compared: list[int] = []
    unlike = tracking._unlike

    def counted(look: np.ndarray, other: np.ndarray) -> float:
        compared[-1] += 1
        return unlike(look, other)

    monkeypatch.setattr(tracking, "_unlike", counted)
    face = FoundFace.from_landmarks(head_landmarks((150, 160), 100), 0.9)
    look = np.random.default_rng(3).integers(9, 246, (8, 8, 3))
    for times in (30, 60):
        compared.append(0)
        sights = []
        for n in range(times * 15):
            here = np.asarray(look + n % 7, np.uint8)
            sights.append(Sight((face,), (here,)) if n % 15 < 4 else Sight())
        (track,) = link_faces(sights, one_shot(len(sights)))
        assert len(track.faces) == 4 * times
    assert 0 < compared[1] <= 2 * compared[0]
