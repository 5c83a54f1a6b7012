"""Many frames: one owner of the model, several compositors, nothing lost, never a hang.

This process owns the model and never touches a frame's pixels; worker processes (merger/compositors.py) do the rest.
Every frame makes this way:

    Prepare -> a compositor reads it and cuts out its faces -> Aligned -> faces of several frames make a batch
    -> the model predicts -> Finish -> the same compositor composites and writes -> Done

A frame that fails, or whose compositor dies or falls silent, is soon tried once more in a fresh process, alone there.
What fails twice is dealt with as `on_error` says. The files do not depend on the number of workers. merger/rounds.py
hands the work out; merger/crew.py has the processes. Source: spec merging 9.2-9.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType

from core.errors import FaceLoomError
from core.progress import Progress, Task
from facelib.prediction import Predictor
from merger.batching import Predictions, best_batch
from merger.compositors import (
    CompositorSetup,
    Done,
    FrameView,
    Measured,
    Measures,
    remove_unfinished_files,
)
from merger.crew import Crew
from merger.face_slots import FaceSlots
from merger.face_tools import FaceTools
from merger.frames import FrameFaces
from merger.kept_frames import KEPT_BYTES, KeptFrames
from merger.meters import FaceReading
from merger.rounds import FrameJob, Round, settings_of

_FRAMES_PER_WORKER = 4
"""One is read, one composited, one written, one waits for the model."""

_MOST_SHARED_FACES = 4

ON_ERROR = ("copy", "skip", "stop")
"""What becomes of a frame that failed twice: its source is copied; nothing is written; merging ends."""


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


_Failures = Sequence[tuple[FrameJob, str]]


class Engine:
    """A model and a crew of compositors, for one merge from its first frame to its last; use with `with`.

    Args:
        predictor: the model, or FaceTools with other networks beside it.
        jobs: all that may be measured or merged.
        wanted: those of them that are to be merged.
        workers: number of worker processes, at least 1.
        most_kept_bytes: what frames that are measured first may take until they are merged.
    """

    def __init__(
        self,
        predictor: Predictor,
        setup: CompositorSetup,
        jobs: Sequence[FrameJob],
        wanted: Sequence[FrameJob],
        *,
        workers: int,
        progress: Progress,
        most_kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.setup = setup
        self.kept = KeptFrames(most_kept_bytes)
        self._tools = FaceTools.of(predictor)
        self._total, self._workers, self._progress = len(wanted), workers, progress
        asked = [job for job in wanted if any(one.needs_prediction for one in settings_of([job]))]
        faces = sum(len(job.frame.faces) for job in asked)
        self._predictions = Predictions(self._tools, progress, best_batch(self._tools, faces))
        batches = -(-2 * self._predictions.batch // max(1, min(workers, len(jobs))))
        # Enough for the workers to be busy while a batch fills.
        self._crew = self._gather(jobs, max(_FRAMES_PER_WORKER, batches))
        self._at_the_end = ExitStack()
        self._task: Task

    def __enter__(self) -> Engine:
        folders = self.setup.frames_folder, self.setup.masks_folder
        remove_unfinished_files(*folders)
        # A worker that dies in the middle of a file leaves it half written.
        self._at_the_end.callback(remove_unfinished_files, *folders)
        self._task = self._at_the_end.enter_context(self._progress.task("Merging", self._total, "frame"))
        self._at_the_end.callback(self._crew.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._at_the_end.__exit__(kind, value, trace)

    def merge(
        self,
        jobs: Sequence[FrameJob],
        *,
        on_error: str,
        on_merged: Callable[[FrameFaces, tuple[int, int]], None],
        on_failed: Callable[[FailedFrame], None] = lambda _: None,
        on_read: Callable[[FrameFaces, Sequence[FaceReading]], None] | None = None,
    ) -> MergeOutcome:
        """Renders every job's frame and mask into the folders of the setup.

        Args:
            on_error: one of ON_ERROR.
            on_merged: called in this process for every frame whose files are in place, with their sizes in bytes; not
                for copies that stand in for a failed frame.
            on_failed: called for every frame that failed, once its source stands in for it.
            on_read: told what the meters read off the same frames.

        Raises:
            FaceLoomError: a frame failed and `on_error` is "stop"; or the disk, the model or the workers fail
                altogether.
        """
        outcome = MergeOutcome()

        def done(job: FrameJob, message: Done | Measured) -> None:
            assert isinstance(message, Done)
            outcome.merged += 1
            self._task.advance()
            if on_read is not None:
                on_read(job.frame, message.readings)
            on_merged(job.frame, message.sizes)

        for failures in self._work_through(jobs, done, until_failure=on_error == "stop"):
            if on_error == "stop":
                job, reason = failures[0]
                raise FaceLoomError(
                    f"{job.frame.path.name} could not be merged: {reason}",
                    "Mend the cause and run the same command again; finished frames are kept.",
                )
            copied = self._copy_sources([job for job, _ in failures]) if on_error == "copy" else set()
            for number, (job, reason) in enumerate(failures):
                outcome.failed.append(FailedFrame(job.frame, reason, number in copied))
                on_failed(outcome.failed[-1])
            self._task.advance(len(failures))
        return outcome

    def measure(
        self,
        jobs: Sequence[FrameJob],
        measure: Callable[[FrameView], Measures],
        on_measured: Callable[[FrameFaces, Measures], None],
    ) -> list[FailedFrame]:
        """Measures every job's frame in the same way as it will be composited, up to the compositing; writes nothing.
        Frames that `kept` expects stay where they were measured, as far as there is room.

        Args:
            measure: a function of a module, so that the worker processes find it; what it gives must depend on its
                argument alone.
            on_measured: called in this process for every frame, in no certain order.

        Returns:
            frames that failed twice: nothing is known of them.

        Raises:
            FaceLoomError: the model is damaged; or the workers keep dying.
        """

        def done(job: FrameJob, message: Done | Measured) -> None:
            assert isinstance(message, Measured)
            on_measured(job.frame, message.measures)

        self._task.note("measuring")
        passes = self._work_through(jobs, done, measure=measure)
        failed = [FailedFrame(job.frame, reason) for failures in passes for job, reason in failures]
        self._task.note("")
        return failed

    def _work_through(
        self,
        jobs: Sequence[FrameJob],
        done: Callable[[FrameJob, Done | Measured], None],
        *,
        until_failure: bool = False,
        measure: Callable[[FrameView], Measures] | None = None,
    ) -> Iterator[_Failures]:
        """Does all jobs, and gives those that failed twice: a few at a time, before it goes on with those behind."""
        for settings in settings_of(jobs):
            self._tools.require(settings)
        while jobs:
            together = Round(
                *(self._crew, self._predictions, self.kept, done), until_failure=until_failure, measure=measure
            )
            doubtful = together.run(jobs)
            jobs = together.untouched
            if doubtful and (failures := self._run_alone([job for job, _ in doubtful], done, measure)):
                yield failures

    def _run_alone(
        self,
        jobs: Sequence[FrameJob],
        done: Callable[[FrameJob, Done | Measured], None],
        measure: Callable[[FrameView], Measures] | None = None,
    ) -> _Failures:
        """Every frame in a fresh process, or one that has dealt well with those before."""
        crew, failed = self._gather(jobs, 1), []
        try:
            while jobs:
                alone = Round(crew, self._predictions, KeptFrames(0), done, measure=measure)
                failed += alone.run(jobs)
                jobs = alone.untouched
        finally:
            crew.close()
        return failed

    def _copy_sources(self, jobs: Sequence[FrameJob]) -> set[int]:
        """Lets the sources of failed frames stand in for them, with empty masks; the numbers of those it worked for."""
        sources = [FrameJob(FrameFaces(job.frame.path), job.settings) for job in jobs]
        numbers = {id(source): number for number, source in enumerate(sources)}
        copied: set[int] = set()
        self._run_alone(sources, lambda source, _: copied.add(numbers[id(source)]))
        return copied

    def _gather(self, jobs: Sequence[FrameJob], frames_at_once: int) -> Crew:
        """A crew for these jobs; no process is started yet."""
        settings = settings_of(jobs)
        most_faces = max((len(job.frame.faces) for job in jobs), default=0)
        make_slots = partial(
            FaceSlots.create,
            frames_at_once * min(most_faces, _MOST_SHARED_FACES),
            self.setup.resolution,
            segments=any(one.segments_old_face or one.segments_new_face for one in settings),
            enhances=any(one.enhances for one in settings),
        )
        return Crew(self.setup, self._workers, make_slots, frames_at_once)
