"""The training loop: the page to read first.

    take a batch -> one step -> note the losses -> what is due (save, backup, preview, stop)

`run_training` is that loop. Everything it must remember lies in `TrainingState` and the model, and both are saved
together (models/checkpoint.py); wishes come from a `Commands` object and the clock (models/schedule.py), so the same
loop serves a terminal, a page and a test.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import FaceLoomError
from core.files import atomic_write_text
from core.progress import Progress
from models.base import SwapModel
from models.checkpoint import CheckpointStore, TrainingState, UnfitToSave, load_weights
from models.history import LossWatch
from models.preview import PreviewWriter
from models.schedule import Commands, Schedule, TrainingCommand, TrainingSettings

if TYPE_CHECKING:
    from samplelib.batches import TrainingBatch, TrainingBatches

REPORT_NAME = "report.json"


@dataclass(frozen=True)
class TrainingReport:
    """Where a training stands; also written to `report.json` for whoever looks on.

    Attributes:
        iteration: completed.
        losses: of the newest iteration, by name.
        mean_losses: over the iterations since the last save; right after one, over those before it.
        seconds, seconds_waited: of all sessions; the second is the part spent waiting for samples.
        session_iterations, session_seconds, session_seconds_waited: since this session began.
        rollbacks: how often the training went back to a checkpoint.
        previews: the pictures drawn last.
        stopped_by: in words; "" while it runs.
    """

    iteration: int
    losses: Mapping[str, float]
    mean_losses: Mapping[str, float]
    seconds: float
    seconds_waited: float
    session_iterations: int
    session_seconds: float
    session_seconds_waited: float
    rollbacks: int
    previews: tuple[Path, ...]
    stopped_by: str = ""


def run_training(
    model: SwapModel,
    batches: TrainingBatches,
    store: CheckpointStore,
    state: TrainingState,
    settings: TrainingSettings,
    commands: Commands,
    previews: PreviewWriter,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> TrainingReport:
    """Trains until the target, the time or somebody says stop; saves, and returns where it stands.

    Args:
        model: brought to where `state` says (models/checkpoint.py: start_training).
        batches: of `state.seed`, beginning with number `state.batch_number`.

    Raises:
        FaceLoomError: the model broke again and again, or the last save failed. Any error of the step or of the
            samples passes through; what was learned until then is saved first.
    """
    session = _Session(model, store, state, settings, commands, previews, progress, clock)
    batch: TrainingBatch | None = None
    stop = session.is_at_target()
    try:
        while not stop:
            started = clock()

            # ---- take a batch (a model may want to see the one before again)
            if batch is None or batch.iteration != session.state.batch_number:
                batch = next(batches)

            # ---- one step
            number_before = model.batch_number(model.iteration)
            losses = model.train_step(batch)

            # ---- note the losses
            trouble = session.watch.note(losses)
            if trouble:
                session.go_back(trouble, next_batch=batch.iteration + 1)
                continue
            session.state.batch_number += model.batch_number(model.iteration) - number_before
            session.note(losses, clock() - started, batches.seconds_waited)

            # ---- what is due (save, backup, preview, stop)
            due = [*session.schedule.due(session.state, clock()), *commands.read()]
            stop = TrainingCommand.STOP in due
            try:
                for command in due:
                    if command is TrainingCommand.SAVE:
                        session.save()
                    elif command is TrainingCommand.BACKUP:
                        session.make_backup()
                    elif command is not TrainingCommand.STOP:
                        session.show_pictures(command)
                session.keep_onlookers_informed()
            except UnfitToSave as problem:
                session.go_back(problem.what, next_batch=batch.iteration + 1)
    except Exception:
        session.save_what_was_learned()
        raise
    return session.finish()


def training_line(iteration: int, seconds: float, losses: Mapping[str, float], now: datetime) -> str:
    """[HH:MM:SS][#000123][0123ms][0.1234][0.2345]; ten seconds and more as [12.34s]. Source: spec models 8.3."""
    took = f"{int(1000 * seconds):04d}ms" if seconds < 10 else f"{seconds:.4f}"[:5] + "s"
    return f"[{now:%H:%M:%S}][#{iteration:06d}][{took}]" + "".join(f"[{value:.4f}]" for value in losses.values())


class _Session:
    """What the loop does, by name; its memory of this session."""

    def __init__(
        self,
        model: SwapModel,
        store: CheckpointStore,
        state: TrainingState,
        settings: TrainingSettings,
        commands: Commands,
        previews: PreviewWriter,
        progress: Progress,
        clock: Callable[[], float],
    ) -> None:
        self.model, self.store, self.state, self.settings = model, store, state, settings
        self.commands, self.previews, self.progress, self.clock = commands, previews, progress, clock
        self.watch = LossWatch()
        self.begun = self.marked = clock()
        self.schedule = Schedule(settings, state, self.begun)
        self.waited = 0.0
        self.done = 0  # iterations of this session, also those that a way back undid
        self.stepping = 0.0  # seconds of the iterations since the last save
        self.means: Mapping[str, float] = {}  # of the losses between the last two saves
        self.saved_iteration = state.iteration  # what the checkpoint on disk holds
        self.mean_from = state.iteration
        self.setbacks = 0  # ways back since the last save that got past the trouble
        self.troubled_iteration = 0

    def say(self, text: str) -> None:
        self.commands.show("")
        self.progress.say(text)

    def is_at_target(self) -> bool:
        """Whether there is nothing left to do."""
        target = self.settings.target_iteration
        if target and self.state.iteration >= target:
            self.schedule.stopped_by = f"the target of {target:,} iterations is reached"
            return True
        return False

    def note(self, losses: Mapping[str, float], took: float, seconds_waited: float) -> None:
        """Takes one iteration into account and shows its line; `seconds_waited` is the batches' own count."""
        now = self.clock()
        self.state.history.append(losses)
        self.state.seconds += now - self.marked
        self.marked = now
        self.stepping += took
        self.state.seconds_waited += seconds_waited - self.waited
        self.waited = seconds_waited
        self.done += 1
        self.commands.show(training_line(self.state.iteration, took, losses, datetime.now()))

    def save(self, *, last: bool = False) -> bool:
        """Saves, unless nothing is new; then says the means since the save before, on a line of their own.

        A save that fails is told and tried again later; the last one raises.
        """
        if self.state.iteration == self.saved_iteration:
            return True
        try:
            self.store.save(self.model.export_state(), self.state)
        except UnfitToSave:
            raise
        except FaceLoomError as problem:
            kept = "Nothing was saved before."
            if self.saved_iteration:
                kept = f"The checkpoint of iteration {self.saved_iteration:,} is intact."
            if last:
                raise FaceLoomError(f"{problem.what} {kept}", problem.remedy) from problem
            self.schedule.save_failed(self.clock())
            self.say(f"Could not save. {problem} {kept} Training goes on; the next try follows within minutes.")
            return False
        self.schedule.saved(self.clock())
        self.saved_iteration = self.state.iteration
        if self.saved_iteration > self.troubled_iteration:
            self.setbacks = 0
        rows = self.state.iteration - self.mean_from
        self.means = self.state.history.mean_since(self.mean_from)
        line = training_line(self.state.iteration, self.stepping / rows, self.means, datetime.now())
        self.say(f"{line} saved; mean of {rows:,} iteration{'s' if rows > 1 else ''}")
        self.mean_from, self.stepping = self.state.iteration, 0.0
        return True

    def make_backup(self) -> None:
        """Saves and copies what was saved. When that fails it is told, and due again after the next interval."""
        self.state.backup_seconds = self.state.seconds
        if not self.save():
            return
        self.show_pictures(TrainingCommand.PREVIEW)
        try:
            slot = self.store.backups.make(self.store.current, [f for f in self.previews.files if f.exists()])
            self.say(f"Backup of iteration {self.saved_iteration:,}: {slot}")
        except FaceLoomError as problem:
            self.say(f"Could not make a backup. {problem}")

    def show_pictures(self, command: TrainingCommand) -> None:
        """Draws the previews, after turning to other faces or another range of the chart where that is the wish."""
        if command is TrainingCommand.NEXT_FACES:
            self.previews.next_faces()
        elif command is TrainingCommand.NEXT_RANGE:
            self.say(f"The chart shows {self.previews.next_range()}.")
        try:
            self.previews.write(self.model, self.state)
        except FaceLoomError as problem:
            self.say(f"Could not write the previews. {problem}")

    def go_back(self, trouble: str, next_batch: int) -> None:
        """Goes back to the last checkpoint, says so, and goes on from there with batches not seen yet.

        Raises:
            FaceLoomError: there is no checkpoint yet, or this was one time too many.
        """
        at = self.state.iteration + 1
        self.troubled_iteration = max(self.troubled_iteration, at)
        remedy = "Look through the faces for damaged ones, train with --precision fp32, or go on from an older backup."
        found = self.store.read()
        if found is None:
            self.saved_iteration = self.state.iteration  # nothing here is worth saving
            raise FaceLoomError(f"{trouble} at iteration {at:,}, before anything was saved.", remedy)
        load_weights(self.model, found, self.model.part_names)
        before = self.state
        self.state = replace(
            found.state,
            options=before.options,
            batch_number=next_batch,
            seconds=before.seconds,
            seconds_waited=before.seconds_waited,
            backup_seconds=before.backup_seconds,
            rollbacks=before.rollbacks + 1,
        )
        self.saved_iteration = self.mean_from = self.state.iteration
        self.stepping = 0.0
        self.watch = LossWatch()
        self.setbacks += 1
        if self.setbacks > self.settings.max_rollbacks:
            raise FaceLoomError(
                f"{trouble} at iteration {at:,}, for the {self.setbacks}th time in a row; training stopped. "
                f"The checkpoint of iteration {self.state.iteration:,} is intact.",
                remedy,
            )
        notes = "".join(f" {note}" for note in found.notes)
        self.say(f"{trouble} at iteration {at:,}: back to the checkpoint of iteration {self.state.iteration:,}.{notes}")

    def save_what_was_learned(self) -> None:
        """After an error: saves whatever is sound; a second error would only hide the first."""
        try:
            if self.state.iteration > self.saved_iteration and self.save(last=True):
                self.say(f"Iteration {self.state.iteration:,} was saved before stopping.")
        except Exception as problem:
            self.say(f"Iteration {self.state.iteration:,} could not be saved: {problem}")

    def keep_onlookers_informed(self) -> None:
        """Writes `report.json` and the preview history where it is time to."""
        if self.schedule.report_due(self.clock()):
            self.write_report("")
        if self.previews.history_due(self.state.iteration):
            try:
                self.previews.write_history(self.model, self.state)
            except FaceLoomError as problem:
                self.say(f"Could not keep the previews. {problem}")

    def write_report(self, stopped_by: str) -> TrainingReport:
        """Figures for onlookers. They are a convenience: a disk that refuses them stops nothing."""
        report = TrainingReport(
            iteration=self.state.iteration,
            losses=self.state.history.last(),
            mean_losses=self.state.history.mean_since(self.mean_from) or self.means or self.state.history.last(),
            seconds=self.state.seconds,
            seconds_waited=self.state.seconds_waited,
            session_iterations=self.done,
            session_seconds=self.clock() - self.begun,
            session_seconds_waited=self.waited,
            rollbacks=self.state.rollbacks,
            previews=tuple(self.previews.files),
            stopped_by=stopped_by,
        )
        figures = {**asdict(report), "previews": [str(path) for path in report.previews]}
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        figures |= {"schema": "Report.1", "at": now, "process": os.getpid(), "seed": self.state.seed}
        text = json.dumps(figures, ensure_ascii=False, indent=1) + "\n"
        with contextlib.suppress(FaceLoomError):
            atomic_write_text(self.store.folder / REPORT_NAME, text)
        return report

    def finish(self) -> TrainingReport:
        """The last save, pictures and figures."""
        try:
            self.save(last=True)
        except UnfitToSave as problem:
            self.go_back(problem.what, next_batch=self.state.batch_number + 1)
        self.show_pictures(TrainingCommand.PREVIEW)
        return self.write_report(self.schedule.stopped_by or "asked to stop")
