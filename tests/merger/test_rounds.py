"""Who gets which frame, and who is given up."""

from __future__ import annotations

import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from core.images import write_image
from core.progress import SILENT
from merger import crew, rounds
from merger.batching import Predictions
from merger.compositors import CompositorSetup, Done, Measured
from merger.crew import Crew
from merger.face_slots import FaceSlots
from merger.face_tools import FaceTools
from merger.frames import FrameFace, FrameFaces
from merger.kept_frames import KeptFrames
from merger.rounds import FrameJob, Round
from merger.settings import MergeSettings
from tests.merger.poison import TravelingFace, sleep_once
from tests.merger.scenes import TintedPredictor, painted_landmarks, smooth_frame

SETTINGS = MergeSettings.of(mask_mode="learned-dst")
LANDMARKS = painted_landmarks((40, 30), 30)


def jobs(folder: Path, faces: list[FrameFace]) -> list[FrameJob]:
    made = []
    for number, face in enumerate(faces):
        path = folder / f"{number:05d}.png"
        write_image(path, smooth_frame(60, 80, seed=number))
        made.append(FrameJob(FrameFaces(path, (face,)), SETTINGS))
    return made


def round_of(folder: Path, done: list[str], frames_at_once: int) -> tuple[Round, Crew]:
    predictor = TintedPredictor()
    setup = CompositorSetup(folder / "merged", folder / "masks", predictor.resolution, predictor.face_type)

    def on_done(job: FrameJob, message: Done | Measured) -> None:
        done.append(job.frame.stem)

    slots = partial(FaceSlots.create, 8, predictor.resolution, segments=False, enhances=False)
    crew = Crew(setup, 1, slots, frames_at_once)
    return Round(crew, Predictions(FaceTools.of(predictor), SILENT), KeptFrames(), on_done), crew


def test_no_worker_holds_more_frames_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    class Watched(crew.Worker):
        def send(self, message: object) -> None:
            held.append(len(self.under_way))
            super().send(message)  # type: ignore[arg-type]

    monkeypatch.setattr(crew, "Worker", Watched)
    done: list[str] = []
    one, workers = round_of(tmp_path, done, 8)
    failed = one.run(jobs(tmp_path, [FrameFace(LANDMARKS)] * 20))
    workers.close()
    assert failed == []
    assert sorted(done) == [f"{n:05d}" for n in range(20)]
    assert max(held) == 8


class NamedPipe:
    """A connection of another class: that of Windows is none of this system's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def test_a_pipe_may_be_of_any_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OnWindows(crew.Worker):
        def __init__(self, setup: CompositorSetup, slots: FaceSlots) -> None:
            super().__init__(setup, slots)
            vars(self)["connection"] = NamedPipe(self.connection)

    monkeypatch.setattr(crew, "Worker", OnWindows)
    done: list[str] = []
    one, workers = round_of(tmp_path, done, 8)
    assert one.run(jobs(tmp_path, [FrameFace(LANDMARKS)])) == []
    workers.close()
    assert done == ["00000"]


def test_a_worker_that_falls_silent_is_ended_and_its_frames_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SECONDS_OF_SILENCE", 12.0)
    marker = tmp_path / "slept"
    asleep = TravelingFace(LANDMARKS, sleep_once, marker)
    done: list[str] = []
    start = time.monotonic()
    given = jobs(tmp_path, [asleep, FrameFace(LANDMARKS)])
    one, workers = round_of(tmp_path, done, 1)
    failed = one.run(given)
    workers.close()
    assert [(job.frame.stem, reason) for job, reason in failed] == [
        ("00000", "nothing was heard of it for 12 seconds.")
    ]
    assert done == ["00001"]
    assert time.monotonic() - start < 300
    assert marker.exists()
