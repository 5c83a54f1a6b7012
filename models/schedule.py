"""What is due when: the user's wishes (`TrainingCommand`) and the clock's (`Schedule`).

A schedule counts seconds of one clock and iterations, and only says what is due; the loop does it and reports back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from models.checkpoint_files import TrainingState

PAUSE_SECONDS = 900.0
"""No step, save or picture takes this long: the machine slept, or the program was stopped meanwhile."""

FIGURES_SECONDS = 0.5
"""Least time between two iterations that are told to other programs."""

RETRY_SECONDS = 300.0
"""After a save that failed (a full disk, say) the next one is tried this much later, or at the usual time if sooner."""


class TrainingCommand(Enum):
    """What a user, the clock or another process can ask of a training between two iterations."""

    SAVE = "save"
    BACKUP = "backup"
    PREVIEW = "preview"
    NEXT_FACES = "next faces"
    NEXT_RANGE = "next range"
    STOP = "stop"


@dataclass(frozen=True)
class TrainingSettings:
    """How a training runs; nothing of it changes what is learned.

    Attributes:
        target_iteration: stop there; 0: never.
        stop_after_seconds: stop after so much time in this session; 0: never.
        save_seconds: between saves.
        preview_iterations: pictures every so many iterations; 0: with every save only.
        backup_seconds: of training between backups; 0: none but on request.
        report_seconds: between two writings of `report.json`.
        max_rollbacks: how often in a row the loop goes back to a checkpoint before it gives up.
    """

    target_iteration: int = 0
    stop_after_seconds: float = 0.0
    save_seconds: float = 25 * 60.0
    preview_iterations: int = 0
    backup_seconds: float = 0.0
    report_seconds: float = 10.0
    max_rollbacks: int = 3


class Commands(Protocol):
    """Where wishes come from, and where the training line goes: a terminal, a page, a test."""

    def read(self) -> list[TrainingCommand]:
        """What was asked for since the last call."""
        ...

    def show(self, line: str) -> None:
        """The line of the newest iteration; the next one takes its place, and "" clears it."""
        ...


class AwakeClock:
    """A clock that stands still while the machine sleeps or the program is held up, whatever the system's clock does.

    Systems disagree on whether a monotonic clock runs on in sleep, and none knows of a program that was stopped. So a
    gap between two looks at the clock that no work explains counts for nothing: no save, backup or end becomes due by
    it, and it is no time of training.

    Attributes:
        slept: seconds left out so far.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.slept = 0.0
        self._clock = clock
        self._last = clock()

    def __call__(self) -> float:
        """Seconds awake."""
        now = self._clock()
        if now - self._last > PAUSE_SECONDS:
            self.slept += now - self._last
        self._last = now
        return now - self.slept


class Schedule:
    """The clock's side of a training session.

    Attributes:
        stopped_by: in words, why STOP is due; "" before.
    """

    def __init__(self, settings: TrainingSettings, state: TrainingState, now: float) -> None:
        """`now`: the clock's seconds at the start of the session."""
        self.settings = settings
        self.stopped_by = ""
        self._end = now + settings.stop_after_seconds if settings.stop_after_seconds > 0 else float("inf")
        self._next_save = now + settings.save_seconds
        self._next_report = self._next_figures = now
        self._first = state.iteration + 1

    def due(self, state: TrainingState, now: float, calm: bool = True) -> list[TrainingCommand]:
        """What is due after the iteration just noted, in the order it should be done.

        Args:
            calm: whether the losses are as usual; if not, timed saves wait, as the model may be breaking.
        """
        settings, due = self.settings, []
        timed_save = calm and now >= self._next_save
        if timed_save or state.iteration == 1:
            due.append(TrainingCommand.SAVE)
        if calm and settings.backup_seconds > 0 and state.seconds - state.backup_seconds >= settings.backup_seconds:
            due.append(TrainingCommand.BACKUP)
        every = settings.preview_iterations
        if timed_save or state.iteration == self._first or (every and state.iteration % every == 0):
            due.append(TrainingCommand.PREVIEW)
        if settings.target_iteration and state.iteration >= settings.target_iteration:
            self.stopped_by = f"the target of {settings.target_iteration:,} iterations is reached"
            due.append(TrainingCommand.STOP)
        elif now >= self._end:
            self.stopped_by = f"the time given, {settings.stop_after_seconds:,.0f} seconds, is over"
            due.append(TrainingCommand.STOP)
        return due

    def report_due(self, now: float) -> bool:
        """Whether the figures for onlookers are old; saying yes starts the next wait."""
        if now < self._next_report:
            return False
        self._next_report = now + self.settings.report_seconds
        return True

    def figures_due(self, now: float) -> bool:
        """Whether other programs may hear of an iteration again; saying yes starts the next wait."""
        if now < self._next_figures:
            return False
        self._next_figures = now + FIGURES_SECONDS
        return True

    def saved(self, now: float) -> None:
        """A save was made."""
        self._next_save = now + self.settings.save_seconds

    def save_failed(self, now: float) -> None:
        """A save could not be made; it is tried again before long."""
        self._next_save = now + min(RETRY_SECONDS, self.settings.save_seconds)
