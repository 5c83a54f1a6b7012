"""`merge`: puts the learned face onto every frame of the destination (script 7).

Here frames, faces and a trained model meet; `merger/` does the work and never hears of models. A second run renders
only what changed (merger/journal.py); finished frames are never deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import BrokenFile, Cancelled, PartialFailure
from core.files import list_images, move_to_trash
from core.images import read_image
from core.paths import Workspace
from core.progress import Progress
from core.words import counted
from facelib.prediction import Predictor
from mainscripts.merge_faces import choose_faces
from mainscripts.merge_model import open_model
from mainscripts.merge_options import Folders, MergeOptions, settings_without_use
from mainscripts.merge_output import open_writer, require_space
from mainscripts.merge_report import ShotFolders, report_places, write_merge_report
from mainscripts.merge_session import leaves_as_is, plan_merge
from mainscripts.merge_steady import Meters, steady_jobs
from mainscripts.merge_stream import open_stream
from merger.compositors import CompositorSetup
from merger.engine import Engine, FailedFrame, MergeOutcome
from merger.face_choice import FaceChoice, parse_face_settings
from merger.face_tools import FaceTools
from merger.frame_choice import choose_frames
from merger.frames import FrameCollection, FrameFaces, collect_frames, shortened, strange_frames
from merger.journal import Journal, RenderKey, render_key, summary
from merger.merge_lock import lock_results
from merger.outputs import FrameWriter
from merger.presets import Presets
from merger.rounds import FrameJob
from merger.settings import MergeSettings
from merger.steadying import SteadyShot
from merger.streaming import FrameQueue
from samplelib.faceset import open_faceset

_NAMED = 20
"""So many failed frames are listed at the end; the log has all of them."""


@dataclass(frozen=True)
class MergeReport:
    """What a run did.

    Attributes:
        frames: of the shot, or of the part of it that was asked for.
        rendered: written in this run, frames without a face among them.
        up_to_date: finished by an earlier run.
        without_face: copied, because no face is in them.
    """

    frames: int
    rendered: int
    up_to_date: int
    without_face: int


def run(workspace: Workspace, options: MergeOptions, progress: Progress) -> MergeReport:
    """Merges every frame that is not up to date.

    Raises:
        UserError: folders, frames, faces or the model are not there, or do not fit together.
        FaceLoomError: the model or the disk fails.
        PartialFailure: all is done, but for some frames; they are listed.
        Cancelled: Ctrl-C; finished frames are kept, and the same command goes on from there.
    """
    folders = Folders.of(options, workspace)
    folders.check()
    if options.report:
        report_places(folders.merged)  # what is in its way is told before hours of work
    if (unused := settings_without_use(options)) and not options.uses_session and not options.face_settings:
        progress.say(f"Not used, for the mode or another setting passes them over: {', '.join(unused)}.")
    stream = open_stream(options, workspace, folders.frames, progress)
    writer = stream.writer if stream is not None else open_writer(options, folders.frames, progress)
    if options.save_preset:
        kept = Presets(workspace.merge_presets).save(options.save_preset, vars(MergeSettings.part_of(options)))
        progress.say(f"These settings are kept in {kept}.")
    collection = _collect(folders, options, progress)
    chosen = {frame.stem for frame in choose_frames(collection.frames, options.frame_range, options.frame_list)}
    plan = plan_merge(workspace, options, folders, collection.frames, progress)
    scene_starts = plan.scene_starts if options.uses_session else None
    options = plan.options
    steady = steady_jobs(plan.jobs, scene_starts, folders.merged, options.workers, progress, options.fill_missing)
    wanted = [job for job in steady.jobs if job.frame.stem in chosen]
    networks, load = open_model(folders.models, options, progress)
    keys = steady.with_neighbors(
        {job.frame.stem: render_key(job.frame, job.settings, networks, writer.key) for job in steady.jobs}
    )
    meters = Meters(steady, folders.merged, keys)
    keys = {job.frame.stem: keys[job.frame.stem] for job in wanted}
    starts = {plan.jobs[place].frame.stem for place in steady.scene_starts}
    cuts = [place for place, job in enumerate(wanted) if job.frame.stem in starts]
    rendering = _Rendering(folders, options, writer, load, keys, steady, meters, progress)
    if stream is not None:
        with lock_results(stream.target):
            is_whole = len(wanted) == len(collection.frames)
            jobs, outcome = stream.merge(wanted, keys, is_whole, rendering.into_video, cuts)
        meters.tell(progress)
    else:
        with lock_results(folders.merged, folders.masks):
            jobs, outcome = rendering.into_pictures(wanted, workspace)
        meters.tell(progress)
        _name_strangers(collection, folders, progress)
    if options.report:
        reasons = {failure.frame.stem: failure.reason for failure in outcome.failed}
        shot = ShotFolders(folders.frames, folders.faces, folders.merged, folders.masks)
        frames = [job.frame for job in plan.jobs if job.frame.stem in chosen]
        known_cuts = cuts if options.uses_session else None
        write_merge_report(shot, reasons, options.workers, progress, frames=frames, cuts=known_cuts)
    _report_failures(outcome.failed, jobs, progress)
    without_face = sum(not job.frame.faces for job in wanted)
    return MergeReport(len(wanted), outcome.merged, len(wanted) - jobs, without_face)


@dataclass(frozen=True)
class _Rendering:
    """What rendering takes, whether frames become pictures or a video. keys: of the frames that are wanted, by stem."""

    folders: Folders
    options: MergeOptions
    writer: FrameWriter
    load: Callable[[], Predictor]
    keys: Mapping[str, RenderKey]
    steady: SteadyShot
    meters: Meters
    progress: Progress

    def into_video(self, jobs: Sequence[FrameJob], queue: FrameQueue) -> MergeOutcome:
        """Renders the jobs into the folders of the queue, and enters them there."""
        return self._render(jobs, queue, queue.frames_folder, queue.masks_folder)

    def into_pictures(self, wanted: Sequence[FrameJob], workspace: Workspace) -> tuple[int, MergeOutcome]:
        """Renders what is not up to date, and enters it in the journal.

        Returns:
            (number of frames that had to be rendered, what became of them).
        """
        folders, options, progress = self.folders, self.options, self.progress
        journal = Journal(folders.merged, folders.masks, self.writer.suffixes)
        states = {s: ["restart"] if options.restart else journal.state_of(s, key) for s, key in self.keys.items()}
        states = {stem: [] if leaves_as_is(options, reasons) else reasons for stem, reasons in states.items()}
        states |= {stem: ["neighbors"] for stem in self._steadied_without(journal.failed) if states.get(stem) == []}
        progress.say(summary(states.values()))
        jobs = [job for job in wanted if states[job.frame.stem]]
        if not jobs:
            return 0, MergeOutcome()
        _put_foreign_work_away(jobs, journal, folders, workspace, progress)
        require_space((job.frame for job in jobs), folders.merged, self.writer)
        with journal:
            return len(jobs), self._render(jobs, journal, folders.merged, folders.masks)

    def _steadied_without(self, failed: Collection[str]) -> set[str]:
        """The frames around those that failed, as far as these can be read now: their files may be what they were."""
        again = (job.frame for job in self.steady.jobs if job.frame.stem in failed and job.frame.stem in self.keys)
        back = {frame.stem for frame in again if _is_readable(frame.path)}
        return self.steady.hearing(back) if back else set()

    def _render(
        self, jobs: Sequence[FrameJob], journal: Journal | FrameQueue, frames: Path, masks: Path
    ) -> MergeOutcome:
        masks.mkdir(parents=True, exist_ok=True)
        finished = 0

        def on_merged(frame: FrameFaces, sizes: tuple[int, int]) -> None:
            nonlocal finished
            finished += 1
            journal.record(frame.stem, self.keys[frame.stem], sizes)

        options, steady, meters = self.options, self.steady, self.meters
        try:
            tools = FaceTools.of(self.load())
            setup = CompositorSetup(
                frames, masks, tools.resolution, tools.face_type, tools.segment_face_type, self.writer
            )
            outcome = MergeOutcome()
            with Engine(tools, setup, steady.jobs, jobs, workers=options.workers, progress=self.progress) as engine:
                for part in steady.adjusted(jobs, engine):
                    done = engine.merge(
                        part,
                        on_error=options.on_error,
                        on_merged=on_merged,
                        on_failed=lambda failed: journal.withdraw(failed.frame.stem),
                        on_read=meters.take,
                    )
                    outcome = MergeOutcome(outcome.merged + done.merged, outcome.failed + done.failed)
        except KeyboardInterrupt:
            raise Cancelled(
                f"Stopped. {finished} of {len(jobs)} frames were finished.",
                "Run the same command again to go on from there.",
            ) from None
        finally:
            meters.keep()
        return outcome


def _is_readable(path: Path) -> bool:
    try:
        return read_image(path).size > 0
    except BrokenFile:
        return False


def _collect(folders: Folders, options: MergeOptions, progress: Progress) -> FrameCollection:
    """The frames, each with its chosen faces; says what does not fit together."""
    choice, own = FaceChoice.parse(options.faces), parse_face_settings(options.face_settings)
    frames = list_images(folders.frames)
    faceset = open_faceset(folders.faces, progress)
    if faceset.problems:
        names = shortened([f"{path.name}: {reason.rstrip('.')}" for path, reason in faceset.problems])
        progress.say(f"Left out: {counted(len(faceset.problems), 'file')} in {folders.faces} ({names}).")
    collection = collect_frames(frames, ((sample.path.name, sample.metadata) for sample in faceset.samples))
    if strange := strange_frames(frames):
        progress.say(
            f"Perhaps not of this shot, but merged with it: {shortened(strange)}. Put away what is not of it, and run "
            "this step again."
        )
    for note in collection.notes(all_faces=choice.kind == "all"):
        progress.say(note)
    chosen = choose_faces(collection.frames, faceset.samples, choice, progress, own, options.uses_session)
    return replace(collection, frames=chosen)


def _put_foreign_work_away(
    jobs: Sequence[FrameJob], journal: Journal, folders: Folders, workspace: Workspace, progress: Progress
) -> None:
    """Pictures that finished frames would overwrite, and that this step has not written so, go into the trash: frames
    of another video, the work of another tool, retouched frames.
    """
    foreign = [path for job in jobs for path in journal.foreign_files(job.frame.stem)]
    if foreign:
        trash = move_to_trash(workspace.trash, foreign, f"merge into {folders.merged}")
        progress.say(
            f"Put into {trash}, as they were in the way and not merged here, or edited since: "
            f"{counted(len(foreign), 'picture')} ({shortened([str(path) for path in foreign])})."
        )
    replaced = [path for job in jobs for path in journal.other_forms(job.frame.stem)]
    if replaced:
        trash = move_to_trash(workspace.trash, replaced, f"merge into {folders.merged} in another form")
        progress.say(f"Put into {trash}: these frames in another form, {counted(len(replaced), 'file')}.")


def _name_strangers(collection: FrameCollection, folders: Folders, progress: Progress) -> None:
    """Names finished frames of a frame that is no longer there: they would end up in the video."""
    stems = {frame.stem for frame in collection.frames}
    for folder in (folders.merged, folders.masks):
        strangers = [path.name for path in list_images(folder) if path.stem not in stems]
        if strangers:
            progress.say(
                f"Of no frame of this shot: {counted(len(strangers), 'picture')} in {folder} ({shortened(strangers)}). "
                "Put away what is not of it before you make the video."
            )


def _report_failures(failed: Sequence[FailedFrame], total: int, progress: Progress) -> None:
    if not failed:
        return
    for failure in failed[:_NAMED]:
        progress.say(
            f"  {failure.frame.path.name}: {failure.reason}" + (" Its source was copied." if failure.copied else "")
        )
    if len(failed) > _NAMED:
        progress.say(f"  and {len(failed) - _NAMED} more.")
    raise PartialFailure(
        f"{len(failed)} of {total} frames could not be merged.",
        "Mend the causes above and run the same command again: it renders these, and frames that are steadied by them.",
    )
