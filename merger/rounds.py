"""One pass over some frames with worker processes of its own: who gets which frame, when the model is asked, who died.

Back-pressure: a compositor holds only so many frames at once, from being read to being written; the next is handed out
when one of them is over.
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
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from numpy.typing import NDArray

from core import console
from core.errors import FaceLoomError
from merger.batching import ModelFailed, Predictions
from merger.compositors import (
    Aligned,
    CompositorSetup,
    Done,
    Drop,
    Failed,
    Finish,
    Measured,
    Prepare,
    run_compositor,
)
from merger.face_slots import FaceSlots
from merger.face_tools import FaceAnswer, complete_answers
from merger.frames import FrameFaces
from merger.kept_answers import KeptAnswers
from merger.settings import MergeSettings

_FRAMES_PER_WORKER = 4
"""One is read, one composited, one written, one waits for the model."""

_MOST_SHARED_FACES = 4
_SECONDS_TO_END = 10.0
_SECONDS_OF_SILENCE = 300.0
"""A compositor that has a frame to work on and says nothing for so long is ended; its frames are tried again."""

_MOST_PROCESSES = 61 if os.name == "nt" else 1024
"""Before Python 3.13, Windows cannot wait for more than 63 pipes at once."""


@dataclass(frozen=True)
class FrameJob:
    """A frame to be rendered with settings of its own.

    Attributes:
        adjustment: what steadies this frame, if anything; for `composite_faces`.
    """

    frame: FrameFaces
    settings: MergeSettings
    adjustment: Any = None


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

    def __init__(self, setup: CompositorSetup, slots: FaceSlots) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.slots = slots
        self.connection, theirs = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(
            target=run_compositor, args=(theirs, setup, slots.handle), name="compositor", daemon=True
        )
        with _interrupts_ignored():
            self.process.start()
        theirs.close()
        self.under_way: set[int] = set()
        """Numbers of its frames that are neither done nor failed."""
        self.silent_since = time.monotonic()

    def send(self, message: Prepare | Finish | Drop | None) -> None:
        self.silent_since = time.monotonic()
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
        self.slots.close()


class Round:
    """One pass over some jobs with its own worker processes.

    Args:
        on_done: called for every job that is over and well.
        alone: one frame at a time in every process, so that a death can be laid at one frame's door.
        until_failure: hand out no more frames once one has failed.
        kept: what the networks have said before; whoever is in there is not asked again.
    """

    def __init__(
        self,
        setup: CompositorSetup,
        predictions: Predictions,
        on_done: Callable[[FrameJob, Done | Measured], None],
        *,
        alone: bool = False,
        until_failure: bool = False,
        kept: KeptAnswers | None = None,
    ) -> None:
        self._setup = setup
        self._kept = kept or KeptAnswers()
        self._predictions = predictions
        self._on_done = on_done
        self._alone = alone
        self._until_failure = until_failure
        self._jobs: Sequence[FrameJob] = ()
        self._next = 0
        self._frames_at_once = 1
        self._workers: list[_Worker] = []
        self._owner: dict[int, _Worker] = {}
        self._preparing: set[int] = set()
        self._waiting: deque[Aligned] = deque()
        self._failed: dict[int, str] = {}
        self._deaths_in_a_row = 0

    def run(self, jobs: Sequence[FrameJob], workers: int) -> list[tuple[FrameJob, str]]:
        """Works through the jobs; those that failed, with the reason, in their order."""
        self._jobs = jobs
        count = min(workers, len(jobs), _MOST_PROCESSES)
        if count and not self._alone:  # enough for the workers to be busy while a batch fills
            self._frames_at_once = max(_FRAMES_PER_WORKER, -(-2 * self._predictions.batch // count))
        try:
            for _ in range(count):
                self._workers.append(self._start_worker())
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

    def _start_worker(self) -> _Worker:
        most_faces = max(len(job.frame.faces) for job in self._jobs)
        settings = {id(job.settings): job.settings for job in self._jobs}.values()
        slots = FaceSlots.create(
            self._frames_at_once * min(most_faces, _MOST_SHARED_FACES),
            self._setup.resolution,
            segments=any(s.segments_old_face or s.segments_new_face for s in settings),
            enhances=any(s.enhances for s in settings),
        )
        return _Worker(self._setup, slots)

    def _hand_out(self) -> None:
        """Gives every worker frames to prepare, up to what it may hold."""
        if self._until_failure and self._failed:
            return
        for worker in self._workers:
            while len(worker.under_way) < self._frames_at_once and self._next < len(self._jobs):
                number, self._next = self._next, self._next + 1
                worker.under_way.add(number)
                self._owner[number] = worker
                self._preparing.add(number)
                job = self._jobs[number]
                worker.send(Prepare(number, job.frame, job.settings, job.adjustment))

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
            slots = self._owner[frames[-1].number].slots
            faces += [slots.question(asked).pixels for asked in frames[-1].questions]
        try:
            predictions = self._predictions.of(faces, factor)
            finished: list[tuple[Aligned, list[FaceAnswer]]] = []
            for aligned in frames:
                count = len(aligned.questions)
                mine, predictions = predictions[:count], predictions[count:]
                settings, slots = self._jobs[aligned.number].settings, self._owner[aligned.number].slots
                questions = [slots.question(asked) for asked in aligned.questions]
                finished.append((aligned, complete_answers(self._predictions.tools, questions, mine, settings)))
        except ModelFailed:
            raise
        except Exception as problem:
            for aligned in frames:
                self._owner[aligned.number].send(Drop(aligned.number))
                self._settle(aligned.number, f"the model failed: {problem}")
            return
        for aligned, answers in finished:
            self._kept.keep(self._jobs[aligned.number].frame.stem, answers)
            self._answer(aligned, answers)

    def _answer(self, aligned: Aligned, answers: Sequence[FaceAnswer]) -> None:
        """Lets the compositor of a frame go on with what the networks say of its faces."""
        worker = self._owner[aligned.number]
        told = [worker.slots.tell(asked, a) for asked, a in zip(aligned.questions, answers, strict=True)]
        worker.send(Finish(aligned.number, told))

    def _listen(self) -> None:
        """Takes what the workers have to say; waits for the first word."""
        by_connection = {worker.connection: worker for worker in self._workers}
        waited_for = self._waited_for()
        patience = min((w.silent_since for w in waited_for), default=time.monotonic()) + _SECONDS_OF_SILENCE
        ready = wait(list(by_connection), max(0.0, patience - time.monotonic()))
        for connection in ready:
            assert isinstance(connection, Connection)
            worker = by_connection[connection]
            try:
                message = connection.recv()
            except (EOFError, OSError):
                worker.process.join(1.0)
                self._replace(worker, f"its worker process died (exit code {worker.process.exitcode}).")
                continue
            worker.silent_since = time.monotonic()
            if message is None:
                worker.slots.forget_name()
            else:
                self._hear(message)
        if not ready:
            for worker in waited_for:
                if time.monotonic() - worker.silent_since >= _SECONDS_OF_SILENCE:
                    worker.process.kill()
                    self._replace(worker, f"nothing was heard of it for {_SECONDS_OF_SILENCE:.0f} seconds.")

    def _waited_for(self) -> list[_Worker]:
        """The workers that have something to do."""
        asking = {aligned.number for aligned in self._waiting}
        return [worker for worker in self._workers if worker.under_way - asking]

    def _hear(self, message: Any) -> None:
        self._preparing.discard(message.number)
        if isinstance(message, Aligned):
            answers = self._kept.of(self._jobs[message.number].frame.stem)
            if answers is not None and len(answers) == len(message.questions):
                self._answer(message, answers)
            else:
                self._waiting.append(message)
        elif isinstance(message, Done | Measured):
            self._deaths_in_a_row = 0
            self._on_done(self._jobs[message.number], message)
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

    def _replace(self, worker: _Worker, reason: str) -> None:
        """A worker is lost: its frames fail this round, and a fresh process takes its place."""
        worker.end(1.0)
        lost = set(worker.under_way)
        self._waiting = deque(aligned for aligned in self._waiting if aligned.number not in lost)
        for number in lost:
            self._preparing.discard(number)
            self._settle(number, reason)
        self._workers.remove(worker)
        self._deaths_in_a_row += 1
        if not self._alone and self._deaths_in_a_row > 2 * (len(self._workers) + 1) + 1:
            raise FaceLoomError(
                f"The worker processes keep dying: {reason}", "Is there enough memory? Try fewer --workers."
            )
        self._workers.append(self._start_worker())

    def _close(self) -> None:
        """Ends the workers. What they finish meanwhile (after Ctrl-C or an error) is still taken note of."""
        for worker in self._workers:
            worker.send(None)
        end = time.monotonic() + _SECONDS_TO_END
        for worker in self._workers:
            with contextlib.suppress(EOFError, OSError):
                while worker.connection.poll(max(0.0, end - time.monotonic())):
                    message = worker.connection.recv()
                    if isinstance(message, Done | Measured):
                        self._on_done(self._jobs[message.number], message)
            worker.end(max(0.0, end - time.monotonic()))
