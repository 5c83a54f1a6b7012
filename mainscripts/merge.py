"""`merge`: puts the learned face onto every frame of the destination (script 7).

Here frames, faces and a trained model meet; `merger/` does the work and never hears of models. A second run renders
only what changed (merger/journal.py); finished frames are never deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from core.errors import BadOption, Cancelled, PartialFailure
from core.files import list_images, move_to_trash
from core.options import Options, option
from core.parallel import default_workers
from core.paths import Workspace, default_workspace
from core.progress import Progress
from facelib.prediction import Predictor
from mainscripts.merge_model import open_model
from mainscripts.merge_output import MergeOutputOptions, open_writer, require_space
from merger.compositors import CompositorSetup
from merger.engine import ON_ERROR, FailedFrame, MergeOutcome, merge_frames
from merger.face_tools import FaceTools
from merger.frames import FrameCollection, FrameFaces, collect_frames, shortened
from merger.journal import Journal, RenderKey, render_key, summary
from merger.motion import with_classical_motion, with_motion
from merger.outputs import FrameWriter
from merger.presets import Presets, read_settings
from merger.rounds import FrameJob
from merger.settings import MergeSettings
from models.registry import MODEL_CLASSES, describe, list_models
from samplelib.faceset import open_faceset

_NAMED = 20
"""So many failed frames are listed at the end; the log has all of them."""

_MOST_WORKERS = 256


def workers_by_default(_: Any = None) -> int:
    """One process less than there are cores, at least one: the model wants its own. Source: spec merging 8, Q3."""
    physical = psutil.cpu_count(logical=False) or default_workers()
    return max(1, min(physical, default_workers()) - 1)


def _model_menu(settled: Any) -> list[tuple[str, str]]:
    """The trained models, newest first, for the question after the name."""
    models = list_models(settled.model_dir, settled.model) if settled.model_dir is not None else []
    return [(m.name, describe(m) + (" - latest" if m is models[0] else "")) for m in models]


def _newest_model(settled: Any) -> str | None:
    """What an empty answer means; None where there is none, or where the workspace, not known here, decides."""
    return next((name for name, _ in _model_menu(settled)), None)


def _has_to_choose(settled: Any) -> bool:
    return settled.force_model_name is None and len(_model_menu(settled)) > 1


@dataclass(kw_only=True)
class MergeInputs(Options):
    """What is merged, and with which model."""

    input_dir: Path | None = option(None, "Folder of frames", ask=False, help="The destination. Else data_dst.")
    output_dir: Path | None = option(
        None, "Folder for merged frames", ask=False, help="Else data_dst/merged in the workspace."
    )
    output_mask_dir: Path | None = option(
        None, "Folder for their masks", ask=False, help="Else data_dst/merged_mask in the workspace."
    )
    aligned_dir: Path | None = option(None, "Folder of dst faces", ask=False, help="Else data_dst/aligned.")
    model_dir: Path | None = option(None, "Folder of models", ask=False, help="Else model in the workspace.")
    model: str = option("Quick96", "Model class", choices={name: (name.lower(),) for name in MODEL_CLASSES}, ask=False)
    force_model_name: str | None = option(None, "Model name, without asking", ask=False)
    model_name: str | None = option(
        _newest_model,
        "Model: a number, or a name",
        menu=_model_menu,
        when=_has_to_choose,
        help="The trained model to use; the one saved last when not given.",
    )
    device: str = option(
        "auto", "Device", ask=False, help="auto (the GPU with most memory, else the CPU), cpu, or the number of a GPU."
    )
    settings: Path | None = option(
        None, "Settings file", ask=False, help='JSON with merge settings by name, e.g. {"mask_mode": "learned-dst"}.'
    )
    preset: str | None = option(
        None, "Preset", ask=False, help="Settings kept under this name; a settings file and flags go before it."
    )


@dataclass(kw_only=True)
class MergeOptions(MergeSettings, MergeOutputOptions, MergeInputs):
    """The questions of merging: first what, then how, then by how many."""

    workers: int = option(
        workers_by_default,
        "Number of workers",
        low=1,
        high=_MOST_WORKERS,
        help="Processes that read, composite and write frames. The result does not depend on it.",
    )
    on_error: str = option(
        "copy",
        "When a frame fails",
        choices=ON_ERROR,
        ask=False,
        help="After two tries: copy the source frame and go on; skip it and go on; stop.",
    )
    restart: bool = option(
        False, "Restart", ask=False, help="Renders every frame anew, also those that are up to date."
    )

    save_preset: str | None = option(
        None, "Save as preset", ask=False, help="Keeps these settings under this name, then merges with them."
    )

    @classmethod
    def values_of_files(cls, given: Mapping[str, Any], workspace: Path | None = None) -> dict[str, Any]:
        place = Workspace(workspace) if workspace is not None else default_workspace()
        named = Presets(place.merge_presets).read(given["preset"]) if given.get("preset") else {}
        return {**named, **(read_settings(Path(given["settings"])) if given.get("settings") else {})}


@dataclass(frozen=True)
class Folders:
    """Where everything of a merge lies."""

    frames: Path
    faces: Path
    merged: Path
    masks: Path
    models: Path

    @classmethod
    def of(cls, options: MergeOptions, workspace: Workspace) -> Folders:
        """What the options name, else the places of the workspace."""
        return cls(
            options.input_dir or workspace.data_dst,
            options.aligned_dir or workspace.data_dst_aligned,
            options.output_dir or workspace.data_dst_merged,
            options.output_mask_dir or workspace.data_dst_merged_mask,
            options.model_dir or workspace.model,
        )

    def check(self) -> None:
        """BadOption where two that must differ are one: frames would overwrite their sources."""
        named = {
            "--input-dir": self.frames,
            "--output-dir": self.merged,
            "--output-mask-dir": self.masks,
            "--aligned-dir": self.faces,
        }
        flags: dict[Path, str] = {}
        for flag, folder in named.items():
            other = flags.setdefault(folder.resolve(), flag)
            if other != flag:
                raise BadOption(f"{other} and {flag} must be different folders. Received: {folder}.")


@dataclass(frozen=True)
class MergeReport:
    """What a run did.

    Attributes:
        frames: of the shot.
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
    settings = MergeSettings.part_of(options)
    writer = open_writer(options, folders.frames, progress)
    if options.save_preset:
        kept = Presets(workspace.merge_presets).save(options.save_preset, vars(settings))
        progress.say(f"These settings are kept in {kept}.")
    collection = _collect(folders, settings, progress)
    networks, load = open_model(folders.models, options, progress)
    keys = {frame.stem: render_key(frame, settings, networks, writer.key) for frame in collection.frames}
    journal = Journal(folders.merged, folders.masks, writer.suffixes)
    states = {stem: ["restart"] if options.restart else journal.state_of(stem, key) for stem, key in keys.items()}
    progress.say(summary(states.values()))
    jobs = [FrameJob(frame, settings) for frame in collection.frames if states[frame.stem]]
    outcome = MergeOutcome()
    if jobs:
        _put_foreign_work_away(jobs, journal, folders, workspace, progress)
        require_space((job.frame for job in jobs), folders.merged, writer)
        with journal:
            outcome = _merge(jobs, load, keys, journal, folders, writer, options, progress)
    _name_strangers(collection, folders, progress)
    _report_failures(outcome.failed, len(jobs), progress)
    return MergeReport(
        len(collection.frames), outcome.merged, len(collection.frames) - len(jobs), len(collection.without_face)
    )


def _collect(folders: Folders, settings: MergeSettings, progress: Progress) -> FrameCollection:
    """The frames, each with its faces and how they move; says what does not fit together."""
    frames = list_images(folders.frames)
    faceset = open_faceset(folders.faces, progress)
    if faceset.problems:
        names = shortened([f"{path.name}: {reason}" for path, reason in faceset.problems])
        progress.say(f"{len(faceset.problems)} file(s) in {folders.faces} are left out: {names}")
    collection = collect_frames(frames, ((sample.path.name, sample.metadata) for sample in faceset.samples))
    for note in collection.notes():
        progress.say(note)
    if settings.motion_blur_power:
        moved = with_classical_motion if settings.is_classical else with_motion
        collection = replace(collection, frames=moved(collection.frames))
    return collection


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
            f"{len(foreign)} picture(s) that were not merged here, or edited since, were in the way and were put into "
            f"{trash}: {shortened([str(path) for path in foreign])}."
        )
    replaced = [path for job in jobs for path in journal.other_forms(job.frame.stem)]
    if replaced:
        trash = move_to_trash(workspace.trash, replaced, f"merge into {folders.merged} in another form")
        progress.say(f"{len(replaced)} file(s) of these frames in another form were put into {trash}.")


def _merge(
    jobs: Sequence[FrameJob],
    load: Callable[[], Predictor],
    keys: Mapping[str, RenderKey],
    journal: Journal,
    folders: Folders,
    writer: FrameWriter,
    options: MergeOptions,
    progress: Progress,
) -> MergeOutcome:
    """Renders the jobs and enters them in the journal."""
    folders.masks.mkdir(parents=True, exist_ok=True)
    finished = 0

    def on_merged(frame: FrameFaces, sizes: tuple[int, int]) -> None:
        nonlocal finished
        finished += 1
        journal.record(frame.stem, keys[frame.stem], sizes)

    try:
        tools = FaceTools.of(load())
        setup = CompositorSetup(
            folders.merged, folders.masks, tools.resolution, tools.face_type, tools.segment_face_type, writer
        )
        outcome = merge_frames(
            jobs,
            tools,
            setup,
            workers=options.workers,
            on_error=options.on_error,
            on_merged=on_merged,
            progress=progress,
        )
    except KeyboardInterrupt:
        raise Cancelled(
            f"Stopped. {finished} of {len(jobs)} frames were finished.",
            "Run the same command again to go on from there.",
        ) from None
    for failed in outcome.failed:
        journal.withdraw(failed.frame.stem)
    return outcome


def _name_strangers(collection: FrameCollection, folders: Folders, progress: Progress) -> None:
    """Names finished frames of a frame that is no longer there: they would end up in the video."""
    stems = {frame.stem for frame in collection.frames}
    for folder in (folders.merged, folders.masks):
        strangers = [path.name for path in list_images(folder) if path.stem not in stems]
        if strangers:
            progress.say(
                f"{len(strangers)} picture(s) in {folder} belong to no frame of this shot: "
                f"{shortened(strangers)}. Take them away before you make the video."
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
        "Mend the causes above and run the same command again: it renders only these.",
    )
