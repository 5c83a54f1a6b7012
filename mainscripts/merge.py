"""`merge`: puts the learned face onto every frame of the destination (script 7).

Here frames, faces and a trained model meet; `merger/` does the work and never hears of models. A second run renders
only what changed (merger/journal.py); finished frames are never deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.errors import BadOption, BrokenFile, Cancelled, MissingInput, PartialFailure
from core.files import list_images, require_free_space
from core.images import encode_png, read_image
from core.options import REQUIRED, Options, option
from core.parallel import default_workers
from core.paths import Workspace
from core.progress import Progress
from facelib.prediction import Predictor
from merger.compositors import CompositorSetup, remove_unfinished_files
from merger.engine import ON_ERROR, FailedFrame, FrameJob, MergeOutcome, merge_frames
from merger.frames import FrameCollection, FrameFaces, collect_frames, shortened
from merger.journal import Journal, RenderKey, render_key, summary
from merger.settings import MergeSettings, read_settings
from models.base import State
from models.checkpoint import CheckpointStore
from models.registry import MODEL_CLASSES, SavedModel, find_model, list_models, load_model
from samplelib.faceset import open_faceset

_NAMED = 20
"""So many failed frames are listed at the end; the log has all of them."""

_MOST_WORKERS = 256
_ROOM_TO_SPARE = 100_000_000  # bytes that stay free when every frame is written


def workers_by_default(_: Any = None) -> int:
    """One process less than there are cores, at least one: the model wants its own. Source: spec merging 8, Q3."""
    physical = psutil.cpu_count(logical=False) or default_workers()
    return max(1, min(physical, default_workers()) - 1)


def _newest_model(options: Any) -> str | None:
    models = _models_to_choose_from(options)
    return models[0].name if models else None


def _models_to_choose_from(options: Any) -> list[SavedModel]:
    return list_models(options.model_dir, options.model) if options.model in MODEL_CLASSES else []


def _has_several_models(options: Any) -> bool:
    return options.force_model_name is None and len(_models_to_choose_from(options)) > 1


@dataclass(kw_only=True)
class MergeInputs(Options):
    """What is merged, and with which model."""

    input_dir: Path = option(REQUIRED, "Frames", ask=False, help="The frames of the destination (data_dst).")
    output_dir: Path = option(REQUIRED, "Merged frames", ask=False, help="Where the finished frames go, as PNG.")
    output_mask_dir: Path = option(REQUIRED, "Merged masks", ask=False, help="Where their masks go, as PNG.")
    aligned_dir: Path = option(REQUIRED, "Faces", ask=False, help="The destination's faces (data_dst/aligned).")
    model_dir: Path = option(REQUIRED, "Models", ask=False, help="The folder of trained models.")
    model: str = option(REQUIRED, "Model class", ask=False, help=f"One of {', '.join(MODEL_CLASSES)}.")
    force_model_name: str | None = option(None, "Model name", ask=False, help="The older spelling of --model-name.")
    model_name: str | None = option(
        _newest_model,
        "Model name",
        when=_has_several_models,
        help="Which of the trained models of this class to use; the one saved last when not given.",
    )
    device: str = option("auto", "Device", ask=False, help="Where the model runs: auto, cpu, or the number of a GPU.")
    settings: Path | None = option(
        None, "Settings file", ask=False, help='JSON with merge settings by name, e.g. {"mask_mode": "learned-dst"}.'
    )


@dataclass(kw_only=True)
class MergeOptions(MergeSettings, MergeInputs):
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

    @classmethod
    def values_of_files(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        return read_settings(Path(given["settings"])) if given.get("settings") else {}


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
    del workspace  # all folders are given
    _check_folders(options)
    settings = MergeSettings.part_of(options)
    collection = _collect(options, progress)
    model, load = open_model(options, progress)
    keys = {frame.stem: render_key(frame, settings, model) for frame in collection.frames}
    journal = Journal(options.output_dir, options.output_mask_dir)
    states = {stem: ["restart"] if options.restart else journal.state_of(stem, key) for stem, key in keys.items()}
    progress.say(summary(states.values()))
    jobs = [FrameJob(frame, settings) for frame in collection.frames if states[frame.stem]]
    outcome = MergeOutcome()
    if jobs:
        _require_space(jobs, options)
        with journal:
            outcome = _merge(jobs, load, keys, journal, options, progress)
    _name_strangers(collection, options, progress)
    _report_failures(outcome.failed, len(jobs), progress)
    return MergeReport(
        len(collection.frames), outcome.merged, len(collection.frames) - len(jobs), len(collection.without_face)
    )


def _check_folders(options: MergeOptions) -> None:
    named = {
        "--input-dir": options.input_dir,
        "--output-dir": options.output_dir,
        "--output-mask-dir": options.output_mask_dir,
        "--aligned-dir": options.aligned_dir,
    }
    flags: dict[Path, str] = {}
    for flag, folder in named.items():
        other = flags.setdefault(folder.resolve(), flag)
        if other != flag:
            raise BadOption(f"{other} and {flag} must be different folders. Received: {folder}.")


def _collect(options: MergeOptions, progress: Progress) -> FrameCollection:
    """The frames, each with its faces; says what does not fit together."""
    frames = list_images(options.input_dir)
    faceset = open_faceset(options.aligned_dir, progress)
    if faceset.problems:
        names = shortened([f"{path.name}: {reason}" for path, reason in faceset.problems])
        progress.say(f"{len(faceset.problems)} file(s) in {options.aligned_dir} are left out: {names}")
    collection = collect_frames(frames, ((sample.path.name, sample.metadata) for sample in faceset.samples))
    for note in collection.notes():
        progress.say(note)
    return collection


def open_model(options: MergeOptions, progress: Progress) -> tuple[str, Callable[[], Predictor]]:
    """The fingerprint of the chosen model's weights, and what loads the model: a neural framework takes seconds, and is
    not needed where every frame is up to date.

    Raises:
        UserError: no such class or model; those that exist are listed. A model is never made here.
    """
    if options.model not in MODEL_CLASSES:
        known = ", ".join(MODEL_CLASSES)
        raise BadOption(f"A model class is one of {known}. Received: {options.model}.", "Check --model.")
    saved = find_model(options.model_dir, options.model, options.force_model_name or options.model_name)
    checkpoint = CheckpointStore(saved.folder).read(without=("optimizer",))
    if checkpoint is None:
        raise MissingInput(
            f"The model in {saved.folder} was never saved.", f"Train it first: 6) train {options.model}."
        )
    progress.say(f"Model {saved.name} ({saved.class_name}), iteration {checkpoint.state.iteration:,}.")

    def load() -> Predictor:
        model, notes = load_model(saved, device=options.device)
        for note in notes:
            progress.say(note)
        return model

    return fingerprint(checkpoint.parts), load


def fingerprint(parts: State) -> str:
    """Tells the weights of one model from all others: a hash of every tensor's name, shape and bytes."""
    digest = hashlib.blake2b(digest_size=12)
    for part in sorted(parts):
        for name in sorted(parts[part]):
            tensor = parts[part][name]
            digest.update(f"{part}/{name} {tensor.dtype} {tensor.shape}\n".encode())
            digest.update(tensor.tobytes())
    return digest.hexdigest()


def _require_space(jobs: Sequence[FrameJob], options: MergeOptions) -> None:
    """Estimates by the first frame what the new files will take, and stops before work that cannot fit."""
    new = sum(not (options.output_dir / f"{job.frame.stem}.png").exists() for job in jobs)
    for job in jobs[:3]:  # a frame that cannot be read is another matter
        try:
            size = len(encode_png(read_image(job.frame.path)))
        except BrokenFile:
            continue
        require_free_space(options.output_dir, new * (size + size // 10) + _ROOM_TO_SPARE)
        return


def _merge(
    jobs: Sequence[FrameJob],
    load: Callable[[], Predictor],
    keys: Mapping[str, RenderKey],
    journal: Journal,
    options: MergeOptions,
    progress: Progress,
) -> MergeOutcome:
    """Renders the jobs and enters them in the journal."""
    options.output_mask_dir.mkdir(parents=True, exist_ok=True)
    remove_unfinished_files(options.output_dir, options.output_mask_dir)
    finished = 0

    def on_merged(frame: FrameFaces, sizes: tuple[int, int]) -> None:
        nonlocal finished
        finished += 1
        journal.record(frame.stem, keys[frame.stem], sizes)

    try:
        predictor = load()
        setup = CompositorSetup(options.output_dir, options.output_mask_dir, predictor.resolution, predictor.face_type)
        outcome = merge_frames(
            jobs,
            predictor,
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


def _name_strangers(collection: FrameCollection, options: MergeOptions, progress: Progress) -> None:
    """Names finished frames of a frame that is no longer there: they would end up in the video."""
    stems = {frame.stem for frame in collection.frames}
    strangers = [path.name for path in list_images(options.output_dir) if path.stem not in stems]
    if strangers:
        progress.say(
            f"{len(strangers)} picture(s) in {options.output_dir} belong to no frame of this shot: "
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
