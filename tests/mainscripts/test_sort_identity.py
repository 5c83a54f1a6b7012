"""Persons: groups hold one person each, tracks and shared frames are used, and real people are told apart."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from core.progress import SILENT
from facelib.extraction import ExtractionSettings, extract_faces
from facelib.face_type import FaceType
from facelib.metadata import write_face
from mainscripts import sort_identity
from mainscripts.extract_worker import FinderChoice, make_face_mesh
from mainscripts.sort_identity import describe, find_persons, find_tracks, suppress_variation
from mainscripts.sort_table import FaceTable, load_table
from samplelib.face_features import IDENTITY
from tests.mainscripts.faces_of_a_film import table_of, write_film


def film_of_two(folder: Path) -> tuple[FaceTable, np.ndarray]:
    """Two painted people, twenty frames each, turning their heads."""
    persons = [1] * 20 + [5] * 20
    yaws = [*np.linspace(-0.4, 0.4, 20), *np.linspace(-0.4, 0.4, 20)]
    frames = [f"a{n:03d}.png" for n in range(20)] + [f"b{n:03d}.png" for n in range(20)]
    return table_of(folder, write_film(folder, yaws, frames=frames, persons=persons)), np.array(persons)


def test_neighboring_frames_make_a_track(tmp_path: Path) -> None:
    table, persons = film_of_two(tmp_path)
    tracks = find_tracks(table, describe(table))
    assert len(set(tracks[persons == 1])) == 1
    assert len(set(tracks[persons == 5])) == 1
    assert tracks[0] != tracks[-1]


def test_a_jump_in_the_numbers_or_in_the_place_ends_a_track(tmp_path: Path) -> None:
    frames = ["a1.png", "a2.png", "a9.png", "a10.png", "portrait.png", "other.png"]
    table = table_of(tmp_path, write_film(tmp_path, [0.0] * 6, frames=frames, persons=[1] * 6))
    points = np.tile(np.array([1, 0], np.float32), (6, 1))
    assert find_tracks(table, points).tolist() == [0, 0, 1, 1, 2, 3]
    table.column("record", "frame_bbox")[1] += 500
    tracks = find_tracks(table, points)
    assert tracks[0] != tracks[1]
    assert tracks[2] == tracks[3]


def test_groups_hold_one_person_each_and_the_largest_comes_first(tmp_path: Path) -> None:
    table, persons = film_of_two(tmp_path)
    ids = find_persons(table).ids
    for group in set(ids.tolist()):
        assert len(set(persons[ids == group].tolist())) == 1
    counts = np.bincount(ids)
    assert counts.tolist() == sorted(counts.tolist(), reverse=True)


def test_two_faces_in_one_frame_are_two_persons(tmp_path: Path) -> None:
    """However alike they are: here, the same one twice."""
    frames = [f"f{n // 2:03d}.png" for n in range(24)]
    yaws = [0.03 * (n // 2) for n in range(24)]
    table = table_of(tmp_path, write_film(tmp_path, yaws, frames=frames, persons=[3] * 24))
    boxes = table.column("record", "frame_bbox")
    boxes[1::2] += 400
    ids = find_persons(table).ids
    assert not set(ids[::2].tolist()) & set(ids[1::2].tolist())
    boxes[1::2] -= 400  # one face that was found twice
    ids = find_persons(table).ids
    assert set(ids[2:].tolist()) == {0}


def test_somebody_alone_is_one_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos of one person: nobody else is there to tell what counts, so by the set alone every look is a group."""
    frames = [f"photo{n}x.png" for n in range(24)]
    table = table_of(
        tmp_path, write_film(tmp_path, np.linspace(-0.3, 0.3, 24).tolist(), frames=frames, persons=[3] * 24)
    )
    assert set(find_persons(table).ids.tolist()) == {0}
    monkeypatch.setattr(sort_identity, "_SAME_PERSON", 0.0)
    assert len(set(find_persons(table).ids.tolist())) > 1


def test_what_varies_inside_tracks_counts_for_less() -> None:
    """Direction 0 tells two people apart by 2, direction 1 is pose and spreads by 5: after it the person decides."""
    rng = np.random.default_rng(1)
    tracks = np.repeat([0, 1], 50)
    points = np.column_stack([np.where(tracks == 0, -1.0, 1.0), rng.normal(0, 5, 100)]) + rng.normal(0, 0.1, (100, 2))
    made = suppress_variation(points, tracks)
    spread = made[tracks == 0].std(axis=0)
    assert abs(made[tracks == 0, 0].mean() - made[tracks == 1, 0].mean()) > 1.2 * spread[1]
    np.testing.assert_array_equal(suppress_variation(points[:4], np.arange(4)), points[:4])


@pytest.mark.slow
def test_real_people_are_told_apart(shared_data: Path, tmp_path: Path) -> None:
    """Twelve frames of each shared clip, one person each, without any hint from frame numbers: no group mixes two."""
    finder = make_face_mesh(FinderChoice(FaceType.WHOLE, False, True))
    who: list[int] = []
    paths: list[Path] = []
    for person, clip in enumerate(sorted((shared_data / "clips").glob("*.mp4"))):
        for frame in _some_frames(clip, 12):
            for face in extract_faces(frame, "x.png", finder, ExtractionSettings(FaceType.WHOLE, 256))[:1]:
                path = tmp_path / f"{len(paths)}.jpg"
                write_face(path, face.jpeg, face.metadata)
                paths.append(path)
                who.append(person)
    table, _ = load_table(tmp_path, paths, (IDENTITY,), SILENT, 0)
    table.groups["record"]["frame_name"] = [f"photo{n}x.png" for n in range(len(paths))]
    ids = find_persons(table).ids
    for group in set(ids.tolist()):
        assert len({person for person, found in zip(who, ids, strict=True) if found == group}) == 1
    assert ids.max() < 12


def _some_frames(clip: Path, count: int) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(clip))
    step = max(1, int(video.get(cv2.CAP_PROP_FRAME_COUNT)) // count)
    frames = []
    for n in range(count * step):
        if not video.grab():
            break
        if n % step == 0:
            frames.append(np.asarray(video.retrieve()[1], np.uint8))
    return frames
