"""Merging many frames: one owner of the model, several compositors, nothing lost, never a hang.

This process owns the model and never touches a frame's pixels; worker processes (merger/compositors.py) do the rest.
Every frame makes this way:

    Prepare -> a compositor reads it and cuts out its faces -> Aligned -> faces of several frames make a batch
    -> the model predicts -> Finish -> the same compositor composites and writes -> Done

A frame that fails, or whose compositor dies, is tried once more in a fresh process, alone there. What fails twice is
dealt with as `on_error` says. Batches are always padded to one size, so that a face is computed by the same code
whatever its neighbors are: the files do not depend on the number of workers. Source: spec merging 9.2-9.7.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import console
from core.errors import FaceLoomError
from core.progress import Progress, Task
from facelib.prediction import Prediction, Predictor
from merger.compositors import (
    Aligned,
    CompositorSetup,
    Done,
    Drop,
    Failed,
    Finish,
    Prepare,
    remove_unfinished_files,
    run_compositor,
)
from merger.face_tools import FaceTools, complete_answers
from merger.frames import FrameFaces
from merger.settings import MergeSettings

ON_ERROR = ("copy", "skip", "stop")
"""What becomes of a frame that failed twice: its source is copied; nothing is written; merging ends."""

FACES_PER_BATCH = 4
_FRAMES_PER_WORKER = 3
_SECONDS_TO_END = 10.0
_MOST_PROCESSES = 61 if os.name == "nt" else 1024
"""Before Python 3.13, Windows cannot wait for more than 63 pipes at once."""


@dataclass(frozen=True)
class FrameJob:
    """A frame to be rendered with settings of its own."""

    frame: FrameFaces
    settings: MergeSettings


@dataclass(frozen=True)
class FailedFrame:
    """A frame that could not be merged, why, and whether its source stands in for it."""

    frame: FrameFaces
    reason: str
    copied: bool = False


@dataclass
class MergeOutcome:
    """What became of the jobs."""

    merged: int = 0
    failed: list[FailedFrame] = field(default_factory=list)


class ModelFailed(FaceLoomError):
    """The model cannot predict at all, or its weights are damaged: no frame would fare better."""


def merge_frames(
    jobs: Sequence[FrameJob],
    predictor: Predictor,
    setup: CompositorSetup,
    *,
    workers: int,
    on_error: str,
    on_merged: Callable[[FrameFaces, tuple[int, int]], None],
    progress: Progress,
    faces_per_batch: int = FACES_PER_BATCH,
) -> MergeOutcome:
    """Renders every job's frame and mask into the folders of `setup`.

    Args:
        predictor: the model, or FaceTools with other networks beside it.
        workers: number of worker processes, at least 1.
        on_error: one of ON_ERROR.
        on_merged: called in this process for every frame whose files are in place, with their sizes in bytes; not for
            copies that stand in for a failed frame.

    Raises:
        FaceLoomError: a frame failed and `on_error` is "stop"; the output cannot be written; the model is damaged; or
            the workers keep dying.
    """
    outcome = MergeOutcome()
    tools = FaceTools.of(predictor)
    for settings in {id(job.settings): job.settings for job in jobs}.values():
        tools.require(settings)
    remove_unfinished_files(setup.frames_folder, setup.masks_folder)
    predictions = _Predictions(tools, faces_per_batch, progress)
    with progress.task("Merging", total=len(jobs), unit="frame") as task:

        def merged(job: FrameJob, sizes: tuple[int, int]) -> None:
            outcome.merged += 1
            task.advance()
            on_merged(job.frame, sizes)

        failed: list[tuple[FrameJob, str]] = []
        untouched = list(jobs)
        while untouched:
            first = _Round(setup, predictions, merged, progress, until_failure=on_error == "stop")
            doubtful = first.run(untouched, workers)
            untouched = first.untouched
            if doubtful:
                again = _Round(setup, predictions, merged, progress, alone=True)
                failed += again.run([job for job, _ in doubtful], workers)
            if failed and on_error == "stop":
                job, reason = failed[0]
                raise FaceLoomError(
                    f"{job.frame.path.name} could not be merged: {reason}",
                    "Mend the cause and run the same command again; finished frames are kept.",
                )
        copied: set[int] = set()
        if on_error == "copy":
            copied = _copy_sources([job for job, _ in failed], setup, predictions, workers, task, progress)
        elif failed:
            task.advance(len(failed))
    outcome.failed = [FailedFrame(job.frame, reason, number in copied) for number, (job, reason) in enumerate(failed)]
    return outcome


def _copy_sources(
    jobs: Sequence[FrameJob],
    setup: CompositorSetup,
    predictions: _Predictions,
    workers: int,
    task: Task,
    progress: Progress,
) -> set[int]:
    """Lets the sources of failed frames stand in for them, with empty masks; the numbers of those it worked for."""
    sources = [FrameJob(FrameFaces(job.frame.path), job.settings) for job in jobs]
    numbers = {id(source): number for number, source in enumerate(sources)}
    copied: set[int] = set()
    _Round(setup, predictions, lambda source, _: copied.add(numbers[id(source)]), progress, alone=True).run(
        sources, workers
    )
    task.advance(len(jobs))
    return copied


class _Predictions:
    """Asks the model in batches of one size."""

    def __init__(self, tools: FaceTools, faces_per_batch: int, progress: Progress) -> None:
        self.tools = tools
        self._progress = progress
        self._has_answered = False
        self.batch = faces_per_batch

    def of(self, faces: NDArray, morph_factor: float) -> list[Prediction]:
        """(N, R, R, 3) -> N predictions. A batch the device cannot hold is halved, for the rest of the run."""
        predictions: list[Prediction] = []
        while len(predictions) < len(faces):
            part = faces[len(predictions) : len(predictions) + self.batch]
            padding = np.zeros((self.batch - len(part), *part.shape[1:]), np.float32)
            try:
                answers = self.tools.predict_faces(np.concatenate([part, padding]), morph_factor)
            except Exception as problem:
                if self.batch == 1 and not self._has_answered:
                    raise ModelFailed(f"The model cannot predict: {problem}") from problem
                if self.batch == 1:
                    raise
                self.batch = self.batch // 2
                self._progress.say(f"The model failed on a batch ({problem}); going on with {self.batch} at a time.")
                continue
            self._has_answered = True
            predictions += [_checked(answer) for answer in answers[: len(part)]]
        return predictions


def _checked(prediction: Prediction) -> Prediction:
    arrays = [np.asarray(a, np.float32) for a in (prediction.face, prediction.src_mask, prediction.dst_mask)]
    if not all(np.isfinite(array.sum()) for array in arrays):
        raise ModelFailed(
            "The model predicts values that are not numbers: its weights are damaged.",
            "Take one of its backups, or train it again.",
        )
    return Prediction(*arrays)


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """A process started in here ignores Ctrl-C from its first moment, before any line of ours runs in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Worker:
    """A compositor process as the engine sees it."""

    def __init__(self, setup: CompositorSetup) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.connection, theirs = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(
            target=run_compositor, args=(theirs, setup), name="compositor", daemon=True
        )
        with _interrupts_ignored():
            self.process.start()
        theirs.close()
        self.under_way: set[int] = set()
        """Numbers of its frames that are neither done nor failed."""

    def send(self, message: Prepare | Finish | Drop | None) -> None:
        # A dead process is noticed, and its frames are taken over, when its pipe is read.
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def end(self, seconds: float) -> None:
        """Waits for the process, which has been told to stop; ends it when it does not."""
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


class _Round:
    """One pass over some jobs with its own worker processes."""

    def __init__(
        self,
        setup: CompositorSetup,
        predictions: _Predictions,
        on_merged: Callable[[FrameJob, tuple[int, int]], None],
        progress: Progress,
        *,
        alone: bool = False,
        until_failure: bool = False,
    ) -> None:
        self._setup = setup
        self._predictions = predictions
        self._on_merged = on_merged
        self._progress = progress
        self._alone = alone
        """One frame at a time in every process, so that a death can be laid at one frame's door."""
        self._until_failure = until_failure
        """Hand out no more frames once one has failed."""
        self._jobs: Sequence[FrameJob] = ()
        self._next = 0
        self._workers: list[_Worker] = []
        self._owner: dict[int, _Worker] = {}
        self._preparing: set[int] = set()
        self._waiting: deque[Aligned] = deque()
        self._failed: dict[int, str] = {}
        self._deaths_in_a_row = 0

    def run(self, jobs: Sequence[FrameJob], workers: int) -> list[tuple[FrameJob, str]]:
        """Works through the jobs; those that failed, with the reason, in their order."""
        self._jobs = jobs
        try:
            for _ in range(min(workers, len(jobs), _MOST_PROCESSES)):
                self._workers.append(_Worker(self._setup))
            while True:
                self._hand_out()
                if not self._owner:
                    break
                if self._is_time_to_predict():
                    self._predict()
                else:
                    self._listen()
        finally:
            self._close()
        return [(jobs[number], reason) for number, reason in sorted(self._failed.items())]

    @property
    def untouched(self) -> list[FrameJob]:
        """The jobs that were never handed out."""
        return list(self._jobs[self._next :])

    def _hand_out(self) -> None:
        """Gives every worker frames to prepare, up to what it may hold."""
        if self._until_failure and self._failed:
            return
        if self._alone:
            most = 1
        else:
            # Enough for the workers to be busy while a batch fills.
            most = max(_FRAMES_PER_WORKER, -(-2 * self._predictions.batch // len(self._workers)))
        for worker in self._workers:
            while len(worker.under_way) < most and self._next < len(self._jobs):
                number, self._next = self._next, self._next + 1
                worker.under_way.add(number)
                self._owner[number] = worker
                self._preparing.add(number)
                job = self._jobs[number]
                worker.send(Prepare(number, job.frame, job.settings))

    def _is_time_to_predict(self) -> bool:
        """A full batch waits, or nothing else can join the one that waits."""
        faces = sum(len(aligned.questions) for aligned in self._waiting)
        return faces >= self._predictions.batch or (faces > 0 and not self._preparing)

    def _predict(self) -> None:
        """Asks about frames that wait, whole ones of one morph factor, at least one batch, and hands them back."""
        frames: list[Aligned] = []
        faces: list[NDArray] = []
        factor = self._jobs[self._waiting[0].number].settings.morph_factor
        while self._waiting and len(faces) < self._predictions.batch:
            if self._jobs[self._waiting[0].number].settings.morph_factor != factor:
                break
            frames.append(self._waiting.popleft())
            faces += [question.pixels for question in frames[-1].questions]
        try:
            predictions = self._predictions.of(np.stack(faces), factor)
            answers = []
            for aligned in frames:
                count = len(aligned.questions)
                mine, predictions = predictions[:count], predictions[count:]
                settings = self._jobs[aligned.number].settings
                answers.append(complete_answers(self._predictions.tools, aligned.questions, mine, settings))
        except ModelFailed:
            raise
        except Exception as problem:
            for aligned in frames:
                self._owner[aligned.number].send(Drop(aligned.number))
                self._settle(aligned.number, f"the model failed: {problem}")
            return
        for aligned, answer in zip(frames, answers, strict=True):
            self._owner[aligned.number].send(Finish(aligned.number, answer))

    def _listen(self) -> None:
        """Takes what the workers have to say; waits for the first word."""
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection)):
            assert isinstance(connection, Connection)
            worker = by_connection[connection]
            try:
                message = connection.recv()
            except (EOFError, OSError):
                self._replace(worker)
                continue
            self._hear(message)

    def _hear(self, message: Any) -> None:
        self._preparing.discard(message.number)
        if isinstance(message, Aligned):
            self._waiting.append(message)
        elif isinstance(message, Done):
            self._deaths_in_a_row = 0
            self._on_merged(self._jobs[message.number], message.sizes)
            self._settle(message.number, None)
        else:
            assert isinstance(message, Failed)
            if message.details:
                console.log_only(f"{self._jobs[message.number].frame.path}:\n{message.details}")
            if message.in_writing:
                raise FaceLoomError(message.reason, "Finished frames are kept.")
            self._settle(message.number, message.reason)

    def _settle(self, number: int, reason: str | None) -> None:
        """A frame is over: done (no reason) or failed."""
        worker = self._owner.pop(number)
        worker.under_way.discard(number)
        if reason is not None:
            self._failed[number] = reason

    def _replace(self, worker: _Worker) -> None:
        """A worker has died: its frames fail this round, and a fresh process takes its place."""
        worker.end(1.0)
        lost = set(worker.under_way)
        self._waiting = deque(aligned for aligned in self._waiting if aligned.number not in lost)
        for number in lost:
            self._preparing.discard(number)
            self._settle(number, f"its worker process died (exit code {worker.process.exitcode}).")
        self._workers.remove(worker)
        self._deaths_in_a_row += 1
        if not self._alone and self._deaths_in_a_row > 2 * (len(self._workers) + 1) + 1:
            raise FaceLoomError(
                f"The worker processes keep dying (exit code {worker.process.exitcode}).",
                "Is there enough memory? Try fewer --workers.",
            )
        self._workers.append(_Worker(self._setup))

    def _close(self) -> None:
        """Ends the workers. What they finish meanwhile (after Ctrl-C or an error) is still taken note of."""
        for worker in self._workers:
            worker.send(None)
        end = time.monotonic() + _SECONDS_TO_END
        for worker in self._workers:
            with contextlib.suppress(EOFError, OSError):
                while worker.connection.poll(max(0.0, end - time.monotonic())):
                    message = worker.connection.recv()
                    if isinstance(message, Done):
                        self._on_merged(self._jobs[message.number], message.sizes)
            worker.end(max(0.0, end - time.monotonic()))
        # A worker that died in the middle of a file left it half written.
        remove_unfinished_files(self._setup.frames_folder, self._setup.masks_folder)
