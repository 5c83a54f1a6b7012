"""Worker processes: how many, who takes the place of whom, and what they still have to say at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import FaceLoomError
from facelib.face_type import FaceType
from merger import crew
from merger.compositors import CompositorSetup, Done
from merger.crew import Crew
from merger.face_slots import FaceSlots

SETUP = CompositorSetup(Path("frames"), Path("masks"), 32, FaceType.FULL)


class Pipe:
    """One end of a pipe with messages in it; at its end the process is gone."""

    def __init__(self, messages: list[Any]) -> None:
        self._messages = messages

    def poll(self, seconds: float) -> bool:
        return True

    def recv(self) -> Any:
        if not self._messages:
            raise EOFError
        return self._messages.pop(0)


class DeskWorker:
    """No process at all."""

    started = 0

    def __init__(self, *_: object) -> None:
        self.number = DeskWorker.started
        DeskWorker.started += 1
        self.sent: list[Any] = []
        self.is_ended = False
        self.connection = Pipe([None, Done(self.number, (1, 1))])

    def send(self, message: Any) -> None:
        self.sent.append(message)

    def end(self, seconds: float) -> None:
        self.is_ended = True


@pytest.fixture
def hired(monkeypatch: pytest.MonkeyPatch) -> Crew:
    monkeypatch.setattr(crew, "Worker", DeskWorker)
    monkeypatch.setattr(DeskWorker, "started", 0)
    return Crew(SETUP, 3, lambda: FaceSlots(None), 4)


def test_no_more_are_started_than_there_is_to_do_and_they_stay(hired: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hired.workers == []
    for jobs, there in ((2, 2), (1, 2), (100, 3), (100, 3)):
        hired.gather(jobs)
        assert len(hired.workers) == there
    assert DeskWorker.started == 3
    monkeypatch.setattr(crew, "_MOST_PROCESSES", 2)
    few = Crew(SETUP, 3, lambda: FaceSlots(None))
    few.gather(100)
    assert len(few.workers) == 2


def test_another_takes_the_place_of_one_that_is_lost(hired: Crew) -> None:
    hired.gather(2)
    first, second = hired.workers
    hired.replace(first)
    assert first.is_ended  # type: ignore[attr-defined]
    assert hired.workers[0] is second
    assert len(hired.workers) == 2


def test_a_crew_whose_workers_all_die_is_given_up(hired: Crew) -> None:
    for _ in range(2):  # what is finished in between counts
        for _ in range(7):
            hired.note_death("exit code 9")
        hired.note_success()
    for _ in range(7):
        hired.note_death("exit code 9")
    with pytest.raises(FaceLoomError, match="keep dying: exit code 9"):
        hired.note_death("exit code 9")
    alone = Crew(SETUP, 3, lambda: FaceSlots(None))
    for _ in range(100):  # each of its frames may be to blame
        alone.note_death("exit code 9")


def test_at_the_end_everybody_is_heard_once_more(hired: Crew) -> None:
    hired.gather(2)
    workers = list(hired.workers)
    heard: list[Any] = []
    hired.close(heard.append)
    assert heard == [None, Done(0, (1, 1)), None, Done(1, (1, 1))]
    assert all(worker.sent == [None] and worker.is_ended for worker in workers)  # type: ignore[attr-defined]
    hired.close(heard.append)
    assert len(heard) == 4


def test_nobody_stays_when_what_is_heard_at_the_end_cannot_be_taken(hired: Crew) -> None:
    """The disk is full: the journal takes no more."""
    hired.gather(3)
    workers = list(hired.workers)

    def refuse(message: Any) -> None:
        raise FaceLoomError("The disk is full.")

    with pytest.raises(FaceLoomError, match="full"):
        hired.close(refuse)
    assert all(worker.is_ended for worker in workers)  # type: ignore[attr-defined]
    assert hired.workers == []
