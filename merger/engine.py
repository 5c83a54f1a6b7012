"""Many frames: one owner of the model, several compositors, nothing lost, never a hang.

This process owns the model and never touches a frame's pixels; worker processes (merger/compositors.py) do the rest.
Every frame makes this way:

    Prepare -> a compositor reads it and cuts out its faces -> Aligned -> faces of several frames make a batch
    -> the model predicts -> Finish -> the same compositor composites and writes -> Done

A frame that fails, or whose compositor dies or falls silent, is tried once more in a fresh process, alone there. What
fails twice is dealt with as `on_error` says. The files do not depend on the number of workers. merger/rounds.py hands
the work out. Source: spec merging 9.2-9.7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from core.errors import FaceLoomError
from core.progress import Progress
from facelib.prediction import Predictor
from merger.batching import FACES_PER_BATCH, Predictions
from merger.compositors import (
    CompositorSetup,
    Done,
    FrameView,
    Measured,
    Measures,
    remove_unfinished_files,
)
from merger.face_tools import FaceTools
from merger.frames import FrameFaces
from merger.kept_answers import KeptAnswers
from merger.meters import FaceReading
from merger.rounds import FrameJob, Round

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
    on_read: Callable[[FrameFaces, Sequence[FaceReading]], None] | None = None,
    kept: KeptAnswers | None = None,
) -> MergeOutcome:
    """Renders every job's frame and mask into the folders of `setup`.

    Args:
        predictor: the model, or FaceTools with other networks beside it.
        workers: number of worker processes, at least 1.
        on_error: one of ON_ERROR.
        on_merged: called in this process for every frame whose files are in place, with their sizes in bytes; not for
            copies that stand in for a failed frame.
        on_read: told what the meters read off the same frames.
        kept: answers of `measure_frames`: these faces are not asked about again.

    Raises:
        FaceLoomError: a frame failed and `on_error` is "stop"; or the disk, the model or the workers fail altogether.
    """
    outcome = MergeOutcome()
    tools = FaceTools.of(predictor)
    _require(tools, jobs)
    remove_unfinished_files(setup.frames_folder, setup.masks_folder)
    predictions = Predictions(tools, progress, faces_per_batch)
    with progress.task("Merging", total=len(jobs), unit="frame") as task:

        def done(job: FrameJob, message: Done | Measured) -> None:
            assert isinstance(message, Done)
            outcome.merged += 1
            task.advance()
            if on_read is not None:
                on_read(job.frame, message.readings)
            on_merged(job.frame, message.sizes)

        failed: list[tuple[FrameJob, str]] = []
        untouched = list(jobs)
        try:
            while untouched:
                first = Round(setup, predictions, done, until_failure=on_error == "stop", kept=kept)
                doubtful = first.run(untouched, workers)
                untouched = first.untouched
                if doubtful:
                    again = Round(setup, predictions, done, alone=True, kept=kept)
                    failed += again.run([job for job, _ in doubtful], workers)
                if failed and on_error == "stop":
                    job, reason = failed[0]
                    raise FaceLoomError(
                        f"{job.frame.path.name} could not be merged: {reason}",
                        "Mend the cause and run the same command again; finished frames are kept.",
                    )
            copied: set[int] = set()
            if on_error == "copy":
                copied = _copy_sources([job for job, _ in failed], setup, predictions, workers)
            task.advance(len(failed))
        finally:  # a worker that died in the middle of a file left it half written
            remove_unfinished_files(setup.frames_folder, setup.masks_folder)
    outcome.failed = [FailedFrame(job.frame, reason, number in copied) for number, (job, reason) in enumerate(failed)]
    return outcome


def measure_frames(
    jobs: Sequence[FrameJob],
    predictor: Predictor,
    setup: CompositorSetup,
    measure: Callable[[FrameView], Measures],
    *,
    workers: int,
    on_measured: Callable[[FrameFaces, Measures], None],
    progress: Progress,
    faces_per_batch: int = FACES_PER_BATCH,
    kept: KeptAnswers | None = None,
) -> list[FailedFrame]:
    """Measures every job's frame in the same way as it will be composited, up to the compositing; writes nothing.

    Args:
        measure: a function of a module, so that the worker processes find it; what it gives must depend on its
            argument alone.
        on_measured: called in this process for every frame, in no certain order.
        kept: takes the networks' answers that it expects, for `merge_frames`.

    Returns:
        frames that failed twice: nothing is known of them.

    Raises:
        FaceLoomError: the model is damaged; or the workers keep dying.
    """
    tools = FaceTools.of(predictor)
    _require(tools, jobs)
    predictions = Predictions(tools, progress, faces_per_batch)
    with progress.task("Measuring", total=len(jobs), unit="frame") as task:

        def done(job: FrameJob, message: Done | Measured) -> None:
            assert isinstance(message, Measured)
            task.advance()
            on_measured(job.frame, message.measures)

        measuring = replace(setup, measure=measure)
        failed = Round(measuring, predictions, done, kept=kept).run(jobs, workers)
        if failed:
            again = Round(measuring, predictions, done, alone=True, kept=kept)
            failed = again.run([job for job, _ in failed], workers)
        task.advance(len(failed))
    return [FailedFrame(job.frame, reason) for job, reason in failed]


def _require(tools: FaceTools, jobs: Sequence[FrameJob]) -> None:
    for settings in {id(job.settings): job.settings for job in jobs}.values():
        tools.require(settings)


def _copy_sources(jobs: Sequence[FrameJob], setup: CompositorSetup, predictions: Predictions, workers: int) -> set[int]:
    """Lets the sources of failed frames stand in for them, with empty masks; the numbers of those it worked for."""
    sources = [FrameJob(FrameFaces(job.frame.path), job.settings) for job in jobs]
    numbers = {id(source): number for number, source in enumerate(sources)}
    copied: set[int] = set()
    Round(setup, predictions, lambda source, _: copied.add(numbers[id(source)]), alone=True).run(sources, workers)
    return copied
