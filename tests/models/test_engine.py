"""The training loop, driven with a model of eight numbers."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import FaceLoomError
from models.checkpoint import CheckpointStore, start_training
from models.engine import run_training
from models.preview import PreviewWriter
from models.report import TrainingReport
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

    def __init__(self, folder: Path, *, pictures: bool = False, extra: Sequence[str] = (), **settings: Any) -> None:
        self.store = CheckpointStore(folder)
        self.model = FakeModel(seed=5, extra=extra)
        self.said = Said()
        self.state = start_training(self.model, self.store.read(), seed=7, say=self.said.say)
        self.settings = TrainingSettings(**settings)
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
    assert "][60.00s][" in next(text for text in training.said.texts if "#000026" in text)  # the mean of its steps


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


def test_after_a_way_back_the_gradients_are_clipped(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", target_iteration=12)
    training.model.trouble = lambda number: NAN if number in (5, 7) else None
    report = training.run({4: [TrainingCommand.SAVE]})
    assert training.model.clipping
    assert report.rollbacks == 2
    assert training.said.all.count("From here on the gradients are clipped.") == 1


def test_a_model_that_breaks_again_at_once_is_noticed_at_once(tmp_path: Path) -> None:
    # The level it had around the checkpoint is remembered: a second explosion needs no new hundred iterations.
    training = Training(tmp_path / "m", target_iteration=400)
    high = {"src_loss": 2.0, "dst_loss": 0.2}
    broken = [*range(150, 155), *range(165, 170)]
    training.model.trouble = lambda number: high if number in broken else {"src_loss": 0.1, "dst_loss": 0.2}
    report = training.run({200: [TrainingCommand.SAVE]})
    assert report.iteration == 400
    assert report.rollbacks == 2


def test_a_timed_save_does_not_catch_a_model_that_is_breaking(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", target_iteration=230, save_seconds=1.0)
    training.step_takes(1.0)  # a save after every iteration
    high = {"src_loss": 2.0, "dst_loss": 0.2}
    training.model.trouble = lambda number: high if 150 <= number < 155 else {"src_loss": 0.1, "dst_loss": 0.2}
    report = training.run()
    assert report.rollbacks == 1
    found = training.store.read(backup=None)
    assert found is not None
    # back to the iteration before the first high one; what is left of the bad batches is not enough for another alarm
    assert "back to the checkpoint of iteration 224." in training.said.all
    values = found.state.history.values[:, 0]
    assert len(values) == 230


def test_sleep_is_no_time_of_training(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", target_iteration=30, stop_after_seconds=7200.0, backup_seconds=3600.0)
    training.step_takes(10.0)
    step = training.model.train_step

    def asleep_at_twenty(batch: Any) -> dict[str, float]:
        if training.model.iteration == 20:
            training.clock.seconds += 8 * 3600.0
        return step(batch)

    training.model.train_step = asleep_at_twenty  # type: ignore[method-assign]
    report = training.run()
    assert report.iteration == 30  # the two hours given are not over
    assert report.seconds == report.session_seconds == 290.0  # 29 steps of 10 seconds: the sleeper's is not known
    assert report.seconds_waited <= report.seconds
    assert "Nothing happened for 480 minutes" in training.said.all
    assert training.said.all.count("saved; mean of") == 2  # after the first iteration, and at the end
    assert training.store.backups.all() == []


class Figures(Said):
    """Progress that remembers events."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, dict[str, Any]]] = []

    def event(self, kind: str, **figures: Any) -> None:
        self.events.append((kind, figures))


def test_other_programs_hear_what_happens(tmp_path: Path) -> None:
    training = Training(tmp_path / "m", pictures=True, target_iteration=8)
    training.said = Figures()
    training.step_takes(0.25)
    training.model.trouble = lambda number: NAN if number == 4 else None
    training.run({3: [TrainingCommand.BACKUP]})
    events = training.said.events
    assert [kind for kind, _ in events if kind != "iteration"] == [
        *("saved", "previews", "saved", "previews", "backup", "rollback", "saved", "previews", "stopped"),
    ]
    told = [figures for kind, figures in events if kind == "iteration"]
    assert [figures["iteration"] for figures in told] == [1, 3, 5, 4, 6, 8]  # at most twice a second; back to 3
    assert set(told[0]) == {"iteration", "losses", "seconds", "saved", "eta_seconds", "step_seconds", "waited"}
    assert told[0]["eta_seconds"] is None
    assert told[1]["eta_seconds"] == pytest.approx(5 * 0.25, abs=0.051)
    assert told[1]["waited"] == 1.0  # these batches say that they take as long as a step
    by_kind = dict(events)
    assert by_kind["rollback"]["reason"] == "The src loss is nan, not a number"
    assert by_kind["stopped"]["reason"] == "the target of 8 iterations is reached"
    assert by_kind["stopped"]["saved"] == 8
    assert [path.name for path in by_kind["previews"]["previews"]] == ["Fake.png", "Fake masked.png", "loss.png"]


def test_a_part_switched_on_is_reset_on_the_way_back_before_its_first_save(tmp_path: Path) -> None:
    Training(tmp_path / "m", target_iteration=5).run()
    training = Training(tmp_path / "m", target_iteration=9, extra=("GAN",))
    assert "Switched on, and never trained in this model: GAN." in training.said.all
    fresh = training.model.export_state()["GAN"]["down/weight"]
    training.model.import_state("GAN", {"down/weight": fresh + 1, "bias": np.zeros((2, 2), np.float32)})
    training.model.trouble = lambda number: NAN if number == 5 else None
    assert training.run().rollbacks == 1
    found = training.store.read()
    assert found is not None
    assert np.array_equal(found.parts["GAN"]["down/weight"], fresh)


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
        high if 150 <= number < 155 else {"src_loss": 0.3 if number == 120 else 0.1, "dst_loss": 0.2}
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
    assert figures["seconds_per_iteration"] == 2.0
    assert figures["seconds_waited"] == 0.75  # three batches drawn for four iterations, a quarter of a second each
    assert figures["seed"] == 7
    assert figures["losses"] == report.losses
    assert figures["stopped_by"] == "the target of 4 iterations is reached"
    assert {Path(p).name for p in figures["previews"]} == {"Fake.png", "Fake masked.png", "loss.png"}
