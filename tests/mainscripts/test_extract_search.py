"""Searching frames: what is known is not looked at again, wherever the finders live."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.progress import SILENT
from facelib.extraction import FaceFinder, FoundFace
from facelib.face_type import FaceType
from facelib.tracking import Gap
from mainscripts.extract_findings import Findings
from mainscripts.extract_search import Search
from mainscripts.extract_worker import FinderChoice
from tests.mainscripts.two_people import FilmFinder, true_landmarks, write_film

CHOICE = FinderChoice(FaceType.WHOLE, True, True)
looked: list[int] = []


class Counting(FilmFinder):
    def find(self, frame: np.ndarray) -> list[FoundFace]:
        looked.append(int(frame[0, 0, 0]))
        return super().find(frame)

    def find_near(self, frame: np.ndarray, landmarks: np.ndarray) -> FoundFace | None:
        looked.append(-int(frame[0, 0, 0]))
        return super().find_near(frame, landmarks)

    def find_many(self, frames: Sequence[np.ndarray]) -> list[list[FoundFace]]:
        return [self.find(frame) for frame in frames]


def counting(choice: FinderChoice) -> FaceFinder:
    return Counting()


class WithoutNear:
    """A finder that cannot be sent to a place."""

    identity = "simple"

    def find(self, frame: np.ndarray) -> list[FoundFace]:
        return []


def simple(choice: FinderChoice) -> FaceFinder:
    return WithoutNear()


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    write_film(tmp_path / "frames", 12)
    looked.clear()
    return sorted((tmp_path / "frames").iterdir())


def _gap(frame: int, person: int) -> Gap:
    return Gap(1, frame, true_landmarks(frame, person))


@pytest.mark.parametrize("central", [False, True])
def test_no_frame_is_looked_at_twice(frames: list[Path], tmp_path: Path, central: bool) -> None:
    finders = (Counting(),) if central else ()
    with Findings(tmp_path / "faces", "film 1") as findings:
        search = Search(counting, CHOICE, finders, 0, findings, SILENT)
        some, _ = search.look(frames[2:5])
        everything, problems = search.look(frames)
        assert sorted(looked) == list(range(12))
        assert problems == {}
        assert [len(one.sight.faces) for one in everything if one is not None][:9] == [2] * 8 + [1]
        assert everything[2:5] == some
        (face, nobody) = search.look_again([(frames[8], _gap(8, 0)), (frames[9], Gap(1, 9, true_landmarks(9, 1) + 99))])
        assert (face is not None, nobody) == (True, None)
    count = len(looked)
    with Findings(tmp_path / "faces", "film 1") as findings:
        search = Search(counting, CHOICE, finders, 0, findings, SILENT)
        search.look(frames)
        search.look_again([(frames[8], _gap(8, 0))])
    assert len(looked) == count


def test_a_frame_that_cannot_be_read_is_told_and_the_others_are_found(frames: list[Path], tmp_path: Path) -> None:
    frames[3].write_bytes(b"no picture")
    for number, finders in enumerate([(), (Counting(),)]):
        with Findings(tmp_path / str(number), "film 1") as findings:
            seen, problems = Search(counting, CHOICE, finders, 0, findings, SILENT).look(frames)
        assert [n for n, one in enumerate(seen) if one is None] == [3]
        assert list(problems) == ["00004.png"]
        assert "00004.png" in problems["00004.png"]


def test_a_finder_that_cannot_be_sent_to_a_place_finds_nobody_there(frames: list[Path], tmp_path: Path) -> None:
    with Findings(tmp_path / "faces", "simple") as findings:
        search = Search(simple, CHOICE, (), 0, findings, SILENT)
        search.look(frames)
        assert search.look_again([(frames[8], _gap(8, 0))]) == [None]


class Failing(Counting):
    def find_near(self, frame: np.ndarray, landmarks: np.ndarray) -> FoundFace | None:
        raise FaceLoomError("There is no memory left.")


def failing(choice: FinderChoice) -> FaceFinder:
    return Failing()


@pytest.mark.parametrize("central", [False, True])
def test_a_search_that_fails_is_told_and_no_answer(
    frames: list[Path], tmp_path: Path, central: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be looked at is asked for again by the next run, and not taken for empty."""
    question = [(frames[8], _gap(8, 0))]
    told: list[str] = []
    monkeypatch.setattr(SILENT, "say", told.append)
    for finders, make in (((Failing(),), failing), ((Counting(),), counting)):
        with Findings(tmp_path / "faces", "film 1") as findings:
            search = Search(make, CHOICE, finders if central else (), 0, findings, SILENT)
            search.look(frames)
            faces = search.look_again(question)
        assert (faces == [None]) == (make is failing)
    assert told == ["00009.png could not be searched again: There is no memory left."]
