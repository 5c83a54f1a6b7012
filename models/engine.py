"""The training loop: the page to read first.

    take a batch -> one step -> note the losses -> what is due (save, backup, preview, stop)

`run_training` is that loop. Everything it must remember lies in `TrainingState` and the model, and both are saved
together (models/checkpoint.py); wishes come from a `Commands` object and the clock (models/schedule.py), so the same
loop serves a terminal, a page and a test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.errors import FaceLoomError
from core.progress import Progress
from models.base import SwapModel
from models.checkpoint import CheckpointStore, TrainingState, UnfitToSave, restore_weights
from models.history import LossWatch
from models.preview import PreviewWriter
from models.report import Pace, TrainingReport, training_line, write_report
from models.schedule import AwakeClock, Commands, Schedule, TrainingCommand, TrainingSettings

if TYPE_CHECKING:
    from samplelib.batches import TrainingBatch, TrainingBatches


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
    clock = AwakeClock(clock)
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
            due = [*session.schedule.due(session.state, clock(), session.watch.is_calm), *commands.read()]
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
        clock: AwakeClock,
    ) -> None:
        self.model, self.store, self.state, self.settings = model, store, state, settings
        self.commands, self.previews, self.progress, self.clock = commands, previews, progress, clock
        self.watch = LossWatch()
        self.begun = self.marked = clock()
        self.schedule = Schedule(settings, state, self.begun)
        self.pace = Pace()
        self.slept = 0.0
        self.waited = 0.0  # by the batches' own count
        self.session_waited = 0.0  # the same without the time asleep
        self.first_iteration = state.iteration
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
        passed = now - self.marked
        waited = min(seconds_waited - self.waited, passed)
        self.marked, self.waited = now, seconds_waited
        self.state.history.append(losses)
        self.state.seconds += passed
        self.state.seconds_waited += waited
        self.session_waited += waited
        self.stepping += took
        self.pace.note(passed, waited)
        self.done += 1
        share = self.pace.waited_share
        self.commands.show(training_line(self.state.iteration, took, losses, datetime.now(), share))
        if self.schedule.figures_due(now):
            self.progress.event("iteration", **self.figures(), step_seconds=round(took, 4), waited=round(share, 4))
        if self.clock.slept > self.slept:
            asleep = self.clock.slept - self.slept
            self.slept = self.clock.slept
            self.say(
                f"Nothing happened for {asleep / 60:,.0f} minutes: the machine slept, or the program was stopped. "
                "That time does not count."
            )

    def figures(self) -> dict[str, Any]:
        """What every event of a training tells other programs."""
        return {
            "iteration": self.state.iteration,
            "losses": self.state.history.last(),
            "seconds": round(self.state.seconds, 3),
            "saved": self.saved_iteration,
            "eta_seconds": self.eta_seconds(),
        }

    def eta_seconds(self) -> float | None:
        """To the target; None without one, or before the pace is known."""
        remaining = self.settings.target_iteration - self.state.iteration
        eta = self.pace.seconds_for(remaining) if remaining > 0 else None
        return None if eta is None else round(eta, 1)

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
        self.progress.event("saved", **self.figures(), mean_losses=self.means, checkpoint=self.store.current)
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
            self.progress.event("backup", **self.figures(), backup=slot)
        except FaceLoomError as problem:
            self.say(f"Could not make a backup. {problem}")

    def show_pictures(self, command: TrainingCommand) -> None:
        """Draws the previews, after turning to other faces or another range of the chart where that is the wish."""
        if command is TrainingCommand.NEXT_FACES:
            self.previews.next_faces()
        elif command is TrainingCommand.NEXT_RANGE:
            self.say(f"The chart shows {self.previews.next_range()}.")
        try:
            files = self.previews.write(self.model, self.state)
            if files:
                self.progress.event("previews", **self.figures(), previews=files)
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
        restore_weights(self.model, found)
        before = self.state
        self.state = replace(
            found.state,
            options=before.options,
            dormant=before.dormant,
            batch_number=next_batch,
            seconds=before.seconds,
            seconds_waited=before.seconds_waited,
            backup_seconds=before.backup_seconds,
            rollbacks=before.rollbacks + 1,
        )
        self.saved_iteration = self.mean_from = self.state.iteration
        self.stepping = 0.0
        self.setbacks += 1
        if self.setbacks > self.settings.max_rollbacks:
            raise FaceLoomError(
                f"{trouble} at iteration {at:,}, for the {self.setbacks}th time in a row; training stopped. "
                f"The checkpoint of iteration {self.state.iteration:,} is intact.",
                remedy,
            )
        self.watch_anew(before)
        notes = "".join(f" {note}" for note in found.notes)
        if self.model.limit_gradients():
            notes += " From here on the gradients are clipped. (The networks are compiled anew for that.)"
        self.say(f"{trouble} at iteration {at:,}: back to the checkpoint of iteration {self.state.iteration:,}.{notes}")
        self.progress.event("rollback", **self.figures(), reason=trouble, at=at)

    def watch_anew(self, broken: TrainingState) -> None:
        """Goes on watching, with what this session saw around the checkpoint's iteration as the usual losses."""
        self.watch = LossWatch()
        nearby = self.watch.reference // 2
        sound = len(broken.history) - self.watch.recent
        here = self.state.iteration
        self.watch.learn(broken.history, max(self.first_iteration, here - nearby), min(sound, here + nearby))

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
            self.report("")
        if self.previews.history_due(self.state.iteration):
            try:
                self.previews.write_history(self.model, self.state)
            except FaceLoomError as problem:
                self.say(f"Could not keep the previews. {problem}")

    def report(self, stopped_by: str) -> TrainingReport:
        """Where the training stands, also written to `report.json`."""
        report = TrainingReport(
            iteration=self.state.iteration,
            losses=self.state.history.last(),
            mean_losses=self.state.history.mean_since(self.mean_from) or self.means or self.state.history.last(),
            seconds=self.state.seconds,
            seconds_waited=self.state.seconds_waited,
            session_iterations=self.done,
            session_seconds=self.clock() - self.begun,
            session_seconds_waited=self.session_waited,
            rollbacks=self.state.rollbacks,
            previews=tuple(self.previews.files),
            stopped_by=stopped_by,
            seconds_per_iteration=self.pace.seconds_for(1),
        )
        write_report(
            self.store.folder,
            report,
            seed=self.state.seed,
            batch_size=self.model.batch_size,
            target_iteration=self.settings.target_iteration,
            eta_seconds=self.eta_seconds(),
        )
        return report

    def finish(self) -> TrainingReport:
        """The last save, pictures and figures."""
        try:
            self.save(last=True)
        except UnfitToSave as problem:
            self.go_back(problem.what, next_batch=self.state.batch_number + 1)
        self.show_pictures(TrainingCommand.PREVIEW)
        report = self.report(self.schedule.stopped_by or "asked to stop")
        self.progress.event("stopped", **self.figures(), reason=report.stopped_by)
        return report
