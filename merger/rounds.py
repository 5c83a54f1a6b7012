"""One pass over some frames: who gets which frame, when the model is asked, who died.

Back-pressure: a compositor holds only so many frames at once, from being read to being written; the next is handed out
when one of them is over. And no frame is begun that is far ahead of one that is not finished: those who take the frames
in order (merger/streaming.py) never have many waiting.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from numpy.typing import NDArray

from core import console
from core.errors import FaceLoomError
from merger.batching import ModelFailed, Predictions
from merger.compositors import Aligned, Done, Drop, Failed, Finish, FrameView, Measured, Measures, Prepare
from merger.crew import Crew, Worker
from merger.face_tools import FaceAnswer, FaceQuestion, complete_answers, morph_factor
from merger.frames import FrameFaces
from merger.kept_frames import KeptFrames, bytes_of
from merger.settings import MergeSettings

_FRAMES_AHEAD = 64
"""A frame is begun only when all so far before it are finished; failed ones are so once they were tried again."""

_SECONDS_OF_SILENCE = 300.0
"""A compositor that has a frame to work on and says nothing for so long is ended; its frames are tried again."""


@dataclass(frozen=True)
class FrameJob:
    """A frame to be rendered with settings of its own.

    Attributes:
        settings: of its faces, but for those that have their own.
        adjustment: what steadies this frame, if anything; for `composite_faces`.
    """

    frame: FrameFaces
    settings: MergeSettings
    adjustment: Any = None

    @property
    def every_settings(self) -> list[MergeSettings]:
        """Each of the settings that it is rendered with."""
        return self.frame.every_settings(self.settings)


def settings_of(jobs: Iterable[FrameJob]) -> list[MergeSettings]:
    """Each of the settings that any of these jobs is rendered with."""
    return list({id(one): one for job in jobs for one in job.every_settings}.values())


class Round:
    """One pass over some jobs.

    Args:
        crew: the processes that do it; those left over by the round before.
        on_done: called for every job that is over and well.
        kept: frames that stay with a worker from being measured to being composited.
        until_failure: hand out no more frames once one has failed.
        measure: a function of a module; with it frames are measured, and nothing is written.
    """

    def __init__(
        self,
        crew: Crew,
        predictions: Predictions,
        kept: KeptFrames,
        on_done: Callable[[FrameJob, Done | Measured], None],
        *,
        until_failure: bool = False,
        measure: Callable[[FrameView], Measures] | None = None,
    ) -> None:
        self._crew = crew
        self._predictions = predictions
        self._kept = kept
        self._on_done = on_done
        self._until_failure = until_failure
        self._measure = measure
        self._jobs: Sequence[FrameJob] = ()
        self._open: deque[int] = deque()
        self._owner: dict[int, Worker] = {}
        self._preparing: set[int] = set()
        self._waiting: deque[Aligned] = deque()
        self._failed: dict[int, str] = {}

    def run(self, jobs: Sequence[FrameJob]) -> list[tuple[FrameJob, str]]:
        """Works through the jobs, but for `untouched`; those that failed, with the reason, in their order."""
        self._jobs, self._open = jobs, deque(range(len(jobs)))
        try:
            self._crew.gather(len(jobs))
            while True:
                self._hand_out()
                if not self._owner:
                    break
                if self._is_time_to_predict():
                    self._predict()
                else:
                    self._listen()
        except BaseException:
            self._crew.close(self._hear_the_last)
            raise
        return [(jobs[number], reason) for number, reason in sorted(self._failed.items())]

    @property
    def untouched(self) -> list[FrameJob]:
        """The jobs that were never handed out: they are too far ahead of one that failed."""
        return [self._jobs[number] for number in self._open]

    def _hand_out(self) -> None:
        """Gives every worker frames to prepare, up to what it may hold."""
        for worker in list(self._crew.workers):
            if worker.is_used_up and not worker.under_way:
                self._kept.lose(worker)
                self._crew.replace(worker)
        for worker in self._crew.workers:
            while len(worker.under_way) < self._crew.frames_at_once and not worker.is_used_up:
                number = self._next_for(worker)
                if number is None:
                    break
                self._open.remove(number)
                worker.under_way.add(number)
                self._owner[number] = worker
                self._preparing.add(number)
                job = self._jobs[number]
                if self._measure is None:
                    self._kept.release(job.frame.stem)
                worker.send(Prepare(number, job.frame, job.settings, job.adjustment, self._measure))

    def _next_for(self, worker: Worker) -> int | None:
        """The first open frame that it keeps, or that nobody does."""
        if not self._open or (self._until_failure and self._failed):
            return None
        oldest = min((self._open[0], *self._owner, *self._failed))
        for number in self._open:
            if number >= oldest + _FRAMES_AHEAD:
                return None
            if self._kept.keeper(self._jobs[number].frame.stem) in (None, worker):
                return number
        return None

    def _is_time_to_predict(self) -> bool:
        """A full batch waits, or nothing else can join the one that waits."""
        faces = sum(len(aligned.questions) for aligned in self._waiting)
        return faces >= self._predictions.batch or (faces > 0 and not self._preparing)

    def _predict(self) -> None:
        """Asks about frames that wait, whole ones, at least one batch, and hands them back."""
        frames: list[tuple[Aligned, list[FaceQuestion]]] = []
        faces: list[NDArray] = []
        factors: list[float] = []
        while self._waiting and len(faces) < self._predictions.batch:
            aligned = self._waiting.popleft()
            slots, settings = self._owner[aligned.number].slots, self._jobs[aligned.number].settings
            questions = [slots.question(asked) for asked in aligned.questions]
            frames.append((aligned, questions))
            faces += [question.pixels for question in questions]
            factors += [morph_factor(question, settings) for question in questions]
        try:
            predictions = self._predictions.of(faces, factors)
            finished: list[tuple[Aligned, list[FaceAnswer]]] = []
            for aligned, questions in frames:
                mine, predictions = predictions[: len(questions)], predictions[len(questions) :]
                settings = self._jobs[aligned.number].settings
                finished.append((aligned, complete_answers(self._predictions.tools, questions, mine, settings)))
        except ModelFailed:
            raise
        except Exception as problem:
            for aligned, _ in frames:
                self._owner[aligned.number].send(Drop(aligned.number))
                self._settle(aligned.number, f"the model failed: {problem}")
            return
        for aligned, answers in finished:
            self._answer(aligned, answers)

    def _answer(self, aligned: Aligned, answers: Sequence[FaceAnswer]) -> None:
        """Lets the compositor of a frame go on with what the networks say of its faces."""
        worker = self._owner[aligned.number]
        told = [worker.slots.tell(asked, a) for asked, a in zip(aligned.questions, answers, strict=True)]
        stem = self._jobs[aligned.number].frame.stem
        is_kept = aligned.size is not None and self._kept.keep(stem, worker, aligned.size + bytes_of(answers))
        worker.send(Finish(aligned.number, told, is_kept))

    def _listen(self) -> None:
        """Takes what the workers have to say; waits for the first word."""
        waited_for = self._waited_for()
        patience = min((w.silent_since for w in waited_for), default=time.monotonic()) + _SECONDS_OF_SILENCE
        ready = wait([worker.connection for worker in self._crew.workers], max(0.0, patience - time.monotonic()))
        for worker in [worker for worker in self._crew.workers if worker.connection in ready]:
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                worker.process.join(1.0)
                self._give_up(worker, f"its worker process died (exit code {worker.process.exitcode}).")
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
                    self._give_up(worker, f"nothing was heard of it for {_SECONDS_OF_SILENCE:.0f} seconds.")

    def _waited_for(self) -> list[Worker]:
        """The workers that have something to do."""
        asking = {aligned.number for aligned in self._waiting}
        return [worker for worker in self._crew.workers if worker.under_way - asking]

    def _hear(self, message: Any) -> None:
        self._preparing.discard(message.number)
        if isinstance(message, Aligned):
            if message.questions:
                self._waiting.append(message)
            else:
                self._answer(message, ())
        elif isinstance(message, Done | Measured):
            self._crew.note_success()
            self._on_done(self._jobs[message.number], message)
            self._settle(message.number, None)
        else:
            assert isinstance(message, Failed)
            if message.details:
                console.log_only(f"{self._jobs[message.number].frame.path}:\n{message.details}")
            if message.in_writing:
                raise FaceLoomError(message.reason, "Finished frames are kept.")
            if message.for_want_of_memory:
                self._owner[message.number].is_used_up = True
            self._settle(message.number, message.reason)

    def _hear_the_last(self, message: Any) -> None:
        """What is finished while the crew is being ended counts, too."""
        if isinstance(message, Done | Measured):
            self._on_done(self._jobs[message.number], message)

    def _settle(self, number: int, reason: str | None) -> None:
        """A frame is over: done (no reason) or failed."""
        worker = self._owner.pop(number)
        worker.under_way.discard(number)
        if reason is not None:
            self._failed[number] = reason

    def _give_up(self, worker: Worker, reason: str) -> None:
        """A worker is lost: its frames fail this round, and a fresh process takes its place."""
        lost = set(worker.under_way)
        self._waiting = deque(aligned for aligned in self._waiting if aligned.number not in lost)
        for number in lost:
            self._preparing.discard(number)
            self._settle(number, reason)
        self._kept.lose(worker)
        self._crew.note_death(reason)
        self._crew.replace(worker)
