"""The training loop, driven with a model of eight numbers."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import FaceLoomError
from models.checkpoint import CheckpointStore, start_training
from models.engine import TrainingReport, run_training, training_line
from models.preview import PreviewWriter
from models.schedule import TrainingCommand, TrainingSettings
from tests.models.fake_model import FakeBatches, FakeModel, Said, Script, fake_pages

NAN = {"src_loss": float("nan"), "dst_loss": 0.5}


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Training:
    """One session: the model as it was saved in `folder` (or new), and everything around it."""

    def __init__(self, folder: Path, *, pictures: bool = False, **settings: Any) -> None:
        self.store = CheckpointStore(folder)
        self.model = FakeModel(seed=5)
        self.state = start_training(self.model, self.store.read(), seed=7)
        self.settings = TrainingSettings(**settings)
        self.said = Said()
        self.clock = Clock()
        self.previews = PreviewWriter(folder / "previews", fake_pages, enabled=pictures)
        self.commands = Script(self.model)

    def step_takes(self, seconds: float) -> None:
        """Every training step moves the clock."""
        step = self.model.train_step

        def timed(batch: Any) -> dict[str, float]:
            self.clock.seconds += seconds
            return step(batch)

        self.model.train_step = timed  # type: ignore[method-assign]

    def run(self, at: dict[int, list[TrainingCommand]] | None = None, batches: Any = None) -> TrainingReport:
        self.commands = Script(self.model, at)
        batches = batches or FakeBatches(self.state.seed, self.state.batch_number)
        return run_training(
            self.model,
            batches,
            self.store,
            self.state,
            self.settings,
            self.commands,
            self.previews,
            self.said,
            self.clock,
        )


def weights(training: Training) -> np.ndarray:
    return training.model.export_state()["encoder"]["down/weight"]


def test_it_trains_to_the_target_and_saves(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", target_iteration=10)
    report = training.run()
    assert report.iteration == 10
    assert report.stopped_by == "the target of 10 iterations is reached"
    found = training.store.read()
    assert found is not None
    assert found.state.iteration == 10
    assert np.array_equal(found.parts["encoder"]["down/weight"], weights(training))
    assert found.state.history.last() == report.losses
    # the first save comes right after the first iteration, the second at the end
    saves = [text for text in training.said.texts if "saved; mean of" in text]
    assert "[#000001]" in saves[0]
    assert saves[0].endswith("mean of 1 iteration")
    assert "[#000010]" in saves[1]
    assert saves[1].endswith("mean of 9 iterations")
    mean = found.state.history.values[1:].mean(axis=0, dtype=np.float64)
    assert f"[{mean[0]:.4f}][{mean[1]:.4f}]" in saves[1]
    assert report.mean_losses == pytest.approx({"src_loss": mean[0], "dst_loss": mean[1]})


def test_a_model_at_its_target_is_left_alone(tmp_path: Path) -> None:
    Training(tmp_path / "m", target_iteration=3).run()
    again = Training(tmp_path / "m", target_iteration=3)
    assert again.run().iteration == 3
    assert again.model.seen == []


def test_stopped_and_resumed_is_as_never_stopped(tmp_path: Path) -> None:
    whole = Training(tmp_path / "whole", target_iteration=23)
    whole.run()
    seen = []
    for stop in (1, 3, 4, 9, 23):
        part = Training(tmp_path / "parts", target_iteration=stop)
        part.run()
        seen += part.model.seen
    assert np.array_equal(weights(whole), weights(part))
    assert np.array_equal(whole.state.history.values, part.state.history.values)
    assert seen == whole.model.seen
    assert whole.model.seen[:8] == [0, 1, 2, 2, 3, 4, 4, 5]


def test_the_clock_saves_every_25_minutes(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", target_iteration=60)
    training.step_takes(60.0)
    training.run()
    saved = [text.split("]")[1] for text in training.said.texts if "saved" in text]
    # saved at 1; then 25 minutes after that save, and after each further one
    assert saved == ["[#000001", "[#000026", "[#000051", "[#000060"]
    assert training.state.seconds == 3600.0


def test_stop_after_a_time(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", stop_after_seconds=100.0)
    training.step_takes(9.0)
    report = training.run()
    assert report.iteration == 12  # 12 * 9 = 108 >= 100
    assert report.stopped_by == "the time given, 100 seconds, is over"
    assert training.store.read().state.iteration == 12  # type: ignore[union-attr]


def test_commands(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", pictures=True)
    at = {
        3: [TrainingCommand.SAVE, TrainingCommand.NEXT_FACES],
        4: [TrainingCommand.NEXT_RANGE],
        5: [TrainingCommand.BACKUP],
        7: [TrainingCommand.STOP],
    }
    report = training.run(at)
    assert report.iteration == 7
    assert report.stopped_by == "asked to stop"
    backup = training.store.read(backup=1)
    assert backup is not None
    assert backup.state.iteration == 5
    assert (training.store.folder / "backups" / "01" / "preview_Fake.png").is_file()
    assert "The chart shows the last 5,000 iterations." in training.said.texts
    assert training.store.read().state.iteration == 7  # type: ignore[union-attr]


def test_backups_come_by_hours_of_training(tmp_path: Path) -> None:
    for target in (50, 130):  # in two sessions: hours are counted over both
        training = Training(tmp_path / "m", target_iteration=target, backup_seconds=3600.0)
        training.step_takes(60.0)
        training.run()
    assert len(training.store.backups.all()) == 2
    assert training.store.read(backup=1).state.iteration == 120  # type: ignore[union-attr]
    assert training.store.read(backup=2).state.iteration == 60  # type: ignore[union-attr]


def test_a_loss_that_is_no_number_goes_back_to_the_checkpoint(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", target_iteration=12)
    training.model.trouble = lambda number: NAN if number == 5 else None
    report = training.run({4: [TrainingCommand.SAVE]})
    assert report.iteration == 12
    assert report.rollbacks == 1
    # iteration 7 (reckoned from 0) sees batch 5; the checkpoint is of iteration 4; batches go on behind the bad one
    assert (
        "The src loss is nan, not a number at iteration 8: back to the checkpoint of iteration 4" in training.said.all
    )
    assert training.model.seen == [0, 1, 2, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 9, 10, 11]
    assert len(training.store.read().state.history) == 12  # type: ignore[union-attr]
    # what comes after resumes at the right place of the stream
    assert Training(tmp_path / "m").state.batch_number == 11


def test_the_way_back_keeps_the_answers_of_this_session(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", target_iteration=6)
    training.state.options = {"batch_size": 2}
    training.run()
    again = Training(tmp_path / "m", target_iteration=9)
    again.state.options = {"batch_size": 8}
    again.model.trouble = lambda number: NAN if number == 5 else None
    assert again.run().rollbacks == 1
    assert again.store.read().state.options == {"batch_size": 8}  # type: ignore[union-attr]


def test_trouble_again_and_again_stops_with_the_reason(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", target_iteration=50)
    training.model.trouble = lambda number: NAN if number >= 5 else None
    with pytest.raises(FaceLoomError, match="for the 4th time in a row") as caught:
        training.run({4: [TrainingCommand.SAVE]})
    assert "src loss is nan" in caught.value.what
    assert "checkpoint of iteration 4 is intact" in caught.value.what
    assert training.store.read().state.iteration == 4  # type: ignore[union-attr]


def test_trouble_before_the_first_save_is_an_error(tmp_path: Path) -> None:
    training = Training(tmp_path / "m")
    training.model.trouble = lambda number: NAN
    with pytest.raises(FaceLoomError, match="at iteration 1, before anything was saved"):
        training.run()
    assert training.store.read() is None


def test_a_loss_that_jumps_and_stays_up_goes_back(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", target_iteration=400)
    high = {"src_loss": 1.0, "dst_loss": 0.2}
    training.model.trouble = lambda number: (
        high if 150 <= number < 180 else {"src_loss": 0.3 if number == 120 else 0.1, "dst_loss": 0.2}
    )
    report = training.run({200: [TrainingCommand.SAVE]})
    assert report.iteration == 400
    assert report.rollbacks == 1
    assert "The src loss rose from about 0.1000 to 1.0000" in training.said.all
    assert "back to the checkpoint of iteration 200" in training.said.all


def test_weights_that_are_no_numbers_are_never_saved(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", target_iteration=9)
    step, spoiled = training.model.train_step, list[bool]()

    def spoiling(batch: Any) -> dict[str, float]:
        losses = step(batch)
        if training.model.iteration == 6 and not spoiled:
            training.model.spoil()
            spoiled.append(True)
        return losses

    training.model.train_step = spoiling  # type: ignore[method-assign]
    report = training.run({4: [TrainingCommand.SAVE], 6: [TrainingCommand.SAVE]})
    assert report.iteration == 9
    assert "encoder/down/weight holds values that are no numbers" in training.said.all
    assert "back to the checkpoint of iteration 4" in training.said.all
    assert np.isfinite(training.store.read().parts["encoder"]["down/weight"]).all()  # type: ignore[union-attr]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """disk(True): nothing can be written any more."""
    full = [False]
    real = Path.write_bytes

    def write(path: Path, data: Any) -> int:
        if full[0]:
            real(path, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    return lambda now: full.__setitem__(0, now)


def test_a_full_disk_stops_nothing_and_harms_nothing(tmp_path: Path, disk: Callable[[bool], None]) -> None:
    training = Training(tmp_path / "m", target_iteration=30)
    training.step_takes(60.0)
    step = training.model.train_step

    def step_on_a_full_disk(batch: Any) -> dict[str, float]:
        disk(5 <= training.model.iteration < 12)
        return step(batch)

    training.model.train_step = step_on_a_full_disk  # type: ignore[method-assign]
    report = training.run({6: [TrainingCommand.SAVE]})
    assert report.iteration == 30
    assert "Could not save. The disk is full" in training.said.all
    assert "The checkpoint of iteration 1 is intact. Training goes on" in training.said.all
    # tried again five minutes later, when it is still full, and once more when it is not
    assert training.said.all.count("Could not save") == 2
    assert training.store.read().state.iteration == 30  # type: ignore[union-attr]


def test_a_full_disk_at_the_end_is_an_error(tmp_path: Path, disk: Callable[[bool], None]) -> None:
    training = Training(tmp_path / "m")
    step = training.model.train_step

    def step_on_a_full_disk(batch: Any) -> dict[str, float]:
        disk(training.model.iteration >= 3)
        return step(batch)

    training.model.train_step = step_on_a_full_disk  # type: ignore[method-assign]
    with pytest.raises(FaceLoomError, match=r"The disk is full.*The checkpoint of iteration 1 is intact"):
        training.run({6: [TrainingCommand.STOP]})
    disk(False)
    assert training.store.read().state.iteration == 1  # type: ignore[union-attr]


def test_a_disk_that_was_full_from_the_start_is_not_said_to_hold_anything(
    tmp_path: Path, disk: Callable[[bool], None]
) -> None:
    disk(True)
    training = Training(tmp_path / "m")
    with pytest.raises(FaceLoomError, match=r"The disk is full.* Nothing was saved before\."):
        training.run({2: [TrainingCommand.STOP]})
    assert "is intact" not in training.said.all


def test_an_error_in_the_loop_loses_nothing_that_was_learned(tmp_path: Path) -> None:
    class Ending(FakeBatches):
        def __next__(self) -> Any:
            if self._next == 4:
                raise FaceLoomError("More than 5 % of the faces are unusable.")
            return super().__next__()

    training = Training(tmp_path / "m")
    with pytest.raises(FaceLoomError, match="unusable"):
        training.run(batches=Ending(7))
    assert training.store.read().state.iteration == 5  # type: ignore[union-attr]
    assert "Iteration 5 was saved before stopping." in training.said.texts


def test_the_figures_for_onlookers(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", pictures=True, target_iteration=4)
    training.step_takes(2.0)
    report = training.run()
    figures = json.loads((tmp_path / "m" / "report.json").read_text("utf-8"))
    assert figures["iteration"] == 4
    assert figures["seconds"] == 8.0
    assert figures["seconds_waited"] == 0.75  # three batches drawn for four iterations, a quarter of a second each
    assert figures["seed"] == 7
    assert figures["losses"] == report.losses
    assert figures["stopped_by"] == "the target of 4 iterations is reached"
    assert {Path(p).name for p in figures["previews"]} == {"Fake.png", "Fake masked.png", "loss.png"}


def test_the_training_line() -> None:
    now = datetime(2026, 3, 1, 9, 5, 7)
    losses = {"src_loss": 0.12344, "dst_loss": 1.5}
    assert training_line(123, 0.0876, losses, now) == "[09:05:07][#000123][0087ms][0.1234][1.5000]"
    assert training_line(1234567, 12.345678, {}, now) == "[09:05:07][#1234567][12.34s]"
    assert training_line(1, 9.9999, {}, now) == "[09:05:07][#000001][9999ms]"
    assert training_line(1, 9.9, {}, now) == "[09:05:07][#000001][9900ms]"
    assert training_line(1, 123.456, {}, now) == "[09:05:07][#000001][123.4s]"
