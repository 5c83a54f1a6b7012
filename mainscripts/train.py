"""`main.py train`: trains a model on two facesets until the target, the time or the user says stop.

What happens, in order: options, the model's settings, facesets, the model's folder and its lock, the model where it was
left (or new), the loop of models/engine.py. Neural frameworks load only in here, when the command runs.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from core.errors import BadOption, Cancelled, FaceLoomError
from core.files import show_bytes
from core.paths import Workspace
from core.progress import JsonProgress, Progress
from mainscripts import train_pretraining as pretraining
from mainscripts.answers import recall
from mainscripts.train_memory import networks_must_fit, train_within_memory
from mainscripts.train_models import saved_state
from mainscripts.train_options import TrainOptions, check_flags, history_iterations, training_settings
from mainscripts.train_previews import KEPT_AS, Choice, preview_pages, read_choice, show_samples
from mainscripts.train_questions import given_values, remembered_key, require_kept, settle_values
from mainscripts.train_summary import box, closing_words, setting_rows, spoken, write_summary
from models.registry import build_model

if TYPE_CHECKING:
    from mainscripts.train_status import TrainingStatus
    from models.base import SwapModel
    from models.checkpoint import Checkpoint, CheckpointStore, TrainingState
    from models.report import TrainingReport
    from samplelib.faceset import Faceset

_NAMED = 5  # unusable faces listed one by one

Sides = tuple["Faceset", "Faceset"]
Outcome = Union["TrainingReport", "TrainingStatus", list[Path]]


def run(workspace: Workspace, options: TrainOptions, progress: Progress) -> Outcome:
    """Trains a model.

    Returns:
        Where the training stands; with `status` the same from outside, with `debug` the pictures that were written.

    Raises:
        UserError: a faceset is missing or empty, or an option cannot be followed.
        Cancelled: Ctrl-C, SIGTERM or a closed terminal; what was learned is saved.
        FaceLoomError: the model is in use or damaged, or the device failed.
    """
    from mainscripts.train_status import show_status
    from models.checkpoint import CheckpointStore
    from models.model_lock import lock_model

    if options.status:
        return show_status(workspace, options, progress)
    check_flags(options)
    progress = JsonProgress() if options.json else progress
    folder = options.chosen_folder(workspace)
    values = _model_values(workspace, options, folder)
    sides = _open_sides(workspace, options, values, progress)
    if options.debug:
        saved = saved_state(folder, options.restore_backup)
        seed = _settled_seed(options, saved.seed if saved is not None else None)
        return show_samples(_build(options, values, seed), *sides, seed, folder, progress)
    chosen = options.choose_preview_faces
    preview_faces = None if chosen is None else read_choice(chosen, sides)
    with lock_model(folder):
        store = CheckpointStore(folder)

        def session(options: TrainOptions, values: Mapping[str, Any]) -> TrainingReport:
            return _session(options, values, preview_faces, store, sides, progress)

        return train_within_memory(session, options, values, progress)


def _session(
    options: TrainOptions,
    values: Mapping[str, Any],
    preview_faces: Choice | None,
    store: CheckpointStore,
    sides: Sides,
    progress: Progress,
) -> TrainingReport:
    """From the last save to the end of the training."""
    from models.checkpoint import check_reset

    found = store.read(backup=options.restore_backup)
    check_reset(_parts(options.reset), found)
    progress.say("Loading the neural framework and building the networks ...")
    model, state = _start(options, values, store, found, progress)
    if preview_faces is not None:
        state.options[KEPT_AS] = preview_faces
    text = _summary(store.folder, options, values, model, state, sides)
    write_summary(store.folder, text)
    progress.say(text)
    try:
        return _train(model, sides, store, state, values, options, progress)
    finally:  # Ctrl-C and errors come this way too
        saved = saved_state(store.folder)
        if saved is not None:
            with contextlib.suppress(FaceLoomError):  # it would hide what ended the training
                write_summary(store.folder, _summary(store.folder, options, values, model, saved, sides))


def _start(
    options: TrainOptions,
    values: Mapping[str, Any],
    store: CheckpointStore,
    found: Checkpoint | None,
    progress: Progress,
) -> tuple[SwapModel, TrainingState]:
    """The model where its training goes on, and what it remembers."""
    from models.checkpoint import start_training

    seed = _settled_seed(options, found.state.seed if found is not None else None)
    saved = found.state.options if found is not None else {}
    with networks_must_fit():
        model = _build(options, values, seed)
        state = start_training(
            model,
            found,
            seed=seed,
            reset=_parts(options.reset),
            pretrained_folder=options.pretrained_model_dir,
            say=progress.say,
        )
    state.options = {**saved, **values}  # also what another version of the program knows
    pretraining_over = pretraining.is_over(saved, values)
    if pretraining_over:
        state = pretraining.end(model, store, state, progress)
        state.options.pop(KEPT_AS, None)
    if found is not None and found.missing:
        _keep_what_was_taken_out(store, progress)
    left = options.reset or options.restore_backup is not None or (found is not None and found.missing)
    if left or pretraining_over:
        # A way back must not lead to the save that the user has just left; that one is now the previous.
        store.save(model.export_state(), state)
    return model, state


def _keep_what_was_taken_out(store: CheckpointStore, progress: Progress) -> None:
    """Backs the save before up: it still has the part whose file is gone, should that have been a mistake."""
    try:
        slot = store.backups.make(store.previous)
    except FaceLoomError as problem:
        progress.say(f"The save before could not be kept as a backup. {problem}")
    else:
        progress.say(f"The save before, which still has it, is kept: {slot} (--restore-backup {int(slot.name)}).")


def _train(
    model: SwapModel,
    sides: Sides,
    store: CheckpointStore,
    state: TrainingState,
    values: Mapping[str, Any],
    options: TrainOptions,
    progress: Progress,
) -> TrainingReport:
    """Runs the loop with what surrounds it: the terminal, the batches, the previews, the closing words."""
    from mainscripts.train_terminal import KEY_HELP, TerminalCommands
    from models.engine import run_training
    from models.preview import PreviewWriter
    from samplelib.batches import TrainingBatches

    settings = (model.src_settings, model.dst_settings)
    previews = PreviewWriter(
        store.folder / "previews",
        preview_pages(sides, settings, state.seed, state.options.get(KEPT_AS)),
        enabled=options.preview,
        history_iterations=history_iterations(options, values, model.resolution),
    )
    with (
        TerminalCommands(progress) as commands,
        TrainingBatches(
            *sides,
            *settings,
            model.batch_size,
            state.seed,
            workers=_workers(options, model),
            first_iteration=state.batch_number,
        ) as batches,
    ):
        if options.preview:
            progress.say(f"Previews and the chart of the losses: {previews.folder}")
        progress.say(KEY_HELP if commands.interactive else "Ctrl-C saves and stops.")
        progress.say("The first iteration compiles the networks, which takes seconds, or minutes with large ones.")
        loop_settings = training_settings(options, values)
        report = run_training(model, batches, store, state, loop_settings, commands, previews, progress)
    progress.say(closing_words(report, store))
    if commands.signal_number is not None:
        raise _stopped(commands.signal_number, report)
    return report


# ------------------------------------------------------------------------------------------------------------- options


def _model_values(workspace: Workspace, options: TrainOptions, folder: Path) -> dict[str, Any]:
    """The model's own settings: what was given over what it has saved, for a new one over the last answers."""
    saved = saved_state(folder, options.restore_backup)
    remembered = recall(workspace, remembered_key(options.model))
    return settle_values(options.model, given_values(options), saved.options if saved else None, remembered)


def _settled_seed(options: TrainOptions, saved: int | None) -> int:
    if saved is None:
        return options.seed if options.seed is not None else secrets.randbits(63)
    require_kept("seed", saved, options.seed)
    return saved


def _build(options: TrainOptions, values: Mapping[str, Any], seed: int) -> SwapModel:
    return build_model(options.model, values, device=_device(options), precision=options.precision, seed=seed)


def _workers(options: TrainOptions, model: SwapModel) -> tuple[int, int]:
    """The processes that prepare samples of src and of dst: a side's own number, else its share."""
    from samplelib.batches import worker_counts

    src, dst = worker_counts(options.workers, model.src_settings, model.dst_settings)
    own_src, own_dst = options.workers_src, options.workers_dst
    return src if own_src is None else own_src, dst if own_dst is None else own_dst


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _device(options: TrainOptions) -> str:
    return options.device.replace(",", "+").replace(" ", "")


# --------------------------------------------------------------------------------------------------------------- faces


def _open_sides(workspace: Workspace, options: TrainOptions, values: Mapping[str, Any], progress: Progress) -> Sides:
    """The faces of src and dst; during pretraining those of many people on both sides."""
    if values.get(pretraining.SETTING):
        problem = pretraining.refusal(options)
        if problem is not None:
            raise BadOption(problem.what, f"{problem.remedy} Or switch it off: --set {pretraining.SETTING}=n.")
        faces = _open_faces(pretraining.faces_folder(options), "pretraining", progress)
        return faces, faces
    src = _open_faces(options.training_data_src_dir or workspace.data_src_aligned, "src", progress)
    return src, _open_faces(options.training_data_dst_dir or workspace.data_dst_aligned, "dst", progress)


def _open_faces(folder: Path, side: str, progress: Progress) -> Faceset:
    from samplelib.faceset import open_faceset

    faces = open_faceset(folder, progress)
    progress.say(f"{len(faces):,} {side} faces in {folder}.")
    _name_problems(faces.problems, progress)
    return faces


def _name_problems(problems: Sequence[tuple[Path, str]], progress: Progress) -> None:
    for path, reason in problems[:_NAMED]:
        progress.say(f"  left out: {path.name}: {reason}")
    if len(problems) > _NAMED:
        progress.say(f"  left out: {len(problems) - _NAMED} more.")


# ------------------------------------------------------------------------------------------------------ what it tells


def _summary(
    folder: Path,
    options: TrainOptions,
    values: Mapping[str, Any],
    model: SwapModel,
    state: TrainingState,
    sides: Sides,
) -> str:
    """The box at the start; at the end it is written again. Source: spec models 7.6."""
    devices = getattr(model, "devices", ())
    settings = training_settings(options, values)
    about = [
        ("Model name", folder.name),
        ("Current iteration", f"{state.iteration:,}"),
        ("Resolution", f"{model.resolution}, {model.face_type.value}"),
        ("Batch size", str(model.batch_size)),
        ("Precision", options.precision),
        ("Seed", str(state.seed)),
        ("Faces", f"{len(sides[0]):,} src, {len(sides[1]):,} dst"),
        ("Saves", f"every {options.save_every}" + ("" if not state.seconds else f", trained {spoken(state.seconds)}")),
    ]
    if settings.backup_seconds:
        about.append(("Backups", f"every {settings.backup_seconds / 3600:g} h"))
    if settings.target_iteration:
        about.append(("Target iteration", f"{settings.target_iteration:,}"))
    running = [("Device", f"{d.name} ({d.description})") for d in devices] or [("Device", _device(options))]
    running.append(("Sample processes", "{} src, {} dst".format(*_workers(options, model))))
    if model.training_bytes:
        room = devices[0].memory_bytes if devices else None
        of_all = f" of {show_bytes(room)}" if room else ""
        running.append(("Memory", f"{show_bytes(model.training_bytes)}{of_all}, and the batch's"))
    return box(
        [("Model Summary", about), ("Model Options", setting_rows(options.model, values)), ("Running On", running)]
    )


# --------------------------------------------------------------------------------------------------- the outside world


def _stopped(signal_number: int, report: TrainingReport) -> Cancelled:
    stopped = Cancelled(f"Stopped at iteration {report.iteration:,}; all is saved.", "Run the step again to go on.")
    if signal_number != signal.SIGINT:
        stopped.exit_code = 128 + signal_number
    return stopped
