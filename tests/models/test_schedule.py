"""What is due when, and a clock that does not count sleep."""

from __future__ import annotations

import pytest

from models.checkpoint_files import TrainingState
from models.history import LossHistory
from models.schedule import AwakeClock, Schedule, TrainingCommand, TrainingSettings

SAVE, BACKUP, PREVIEW, STOP = (
    TrainingCommand.SAVE,
    TrainingCommand.BACKUP,
    TrainingCommand.PREVIEW,
    TrainingCommand.STOP,
)


def at(iterations: int, **figures: float) -> TrainingState:
    history = LossHistory()
    for _ in range(iterations):
        history.append({"loss": 1.0})
    return TrainingState(seed=1, history=history, **figures)  # type: ignore[arg-type]


def test_what_is_due() -> None:
    schedule = Schedule(TrainingSettings(backup_seconds=3600.0, target_iteration=50), at(10), now=0.0)
    assert schedule.due(at(11), 1.0) == [PREVIEW]  # the first of the session
    assert schedule.due(at(12), 2.0) == []
    assert schedule.due(at(13), 1500.0) == [SAVE, PREVIEW]
    schedule.saved(1500.0)
    assert schedule.due(at(14), 1501.0) == []
    assert schedule.due(at(15, seconds=7300.0, backup_seconds=3600.0), 1502.0) == [BACKUP]
    assert schedule.due(at(50), 1503.0) == [STOP]
    assert schedule.stopped_by == "the target of 50 iterations is reached"
    assert Schedule(TrainingSettings(), at(0), now=0.0).due(at(1), 1.0) == [SAVE, PREVIEW]


def test_a_timed_save_waits_until_the_losses_are_calm() -> None:
    schedule = Schedule(TrainingSettings(backup_seconds=60.0), at(10), now=0.0)
    assert schedule.due(at(12, seconds=99.0), 1600.0, calm=False) == []
    assert schedule.due(at(13, seconds=99.0), 1600.1, calm=True) == [SAVE, BACKUP, PREVIEW]
    assert SAVE in Schedule(TrainingSettings(), at(0), now=0.0).due(at(1), 1.0, calm=False)


def test_a_failed_save_is_tried_again_in_five_minutes() -> None:
    schedule = Schedule(TrainingSettings(), at(10), now=0.0)
    schedule.save_failed(1500.0)
    assert SAVE not in schedule.due(at(12), 1799.0)
    assert SAVE in schedule.due(at(12), 1800.0)


def test_figures_and_reports_come_now_and_then() -> None:
    schedule = Schedule(TrainingSettings(), at(10), now=0.0)
    assert [now for now in (0.0, 0.1, 0.4, 0.5, 0.9, 1.1) if schedule.figures_due(now)] == [0.0, 0.5, 1.1]
    assert [now for now in (0.0, 9.0, 10.0, 12.0, 25.0) if schedule.report_due(now)] == [0.0, 10.0, 25.0]


@pytest.mark.parametrize("gap", [901.0, 8 * 3600.0])
def test_a_clock_that_does_not_count_sleep(gap: float) -> None:
    seconds = [100.0]
    clock = AwakeClock(lambda: seconds[0])
    assert clock() == 100.0
    seconds[0] += 400.0  # a long first step
    assert clock() == 500.0
    seconds[0] += gap
    assert clock() == 500.0
    assert clock.slept == gap
    seconds[0] += 2.0
    assert clock() == 502.0
