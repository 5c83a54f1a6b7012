"""`main.py train`: trains a model on two facesets until the target, the time or the user says stop.

What happens, in order: options, facesets, the model's folder and its lock, the model where it was left (or new), the
loop of models/engine.py. Neural frameworks load only in here, when the command runs.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadOption, Cancelled, FaceLoomError, ToolFailed
from core.options import Options, option
from core.paths import Workspace
from core.progress import Progress
from models.registry import MODEL_CLASSES, build_model, describe, known_values, list_models, model_folder

if TYPE_CHECKING:
    from models.base import SwapModel
    from models.checkpoint import CheckpointStore, TrainingState
    from models.engine import TrainingReport
    from models.schedule import TrainingSettings
    from samplelib.batches import TrainingBatch
    from samplelib.faceset import Faceset

FIRST_NAME = "new"
"""The name offered for the first model."""

_NAMED = 5  # unusable faces listed one by one


def _model_menu(settled: Any) -> list[tuple[str, str]]:
    """The saved models, newest first, for the question after the name."""
    models = list_models(settled.model_dir, settled.model) if settled.model_dir is not None else []
    return [(m.name, describe(m) + (" - latest" if m is models[0] else "")) for m in models]


def _newest_name(settled: Any) -> str | None:
    """What an empty answer means; None where the workspace, which is not known here, decides."""
    menu = _model_menu(settled)
    if menu:
        return menu[0][0]
    return FIRST_NAME if settled.model_dir is not None else None


@dataclass(kw_only=True)
class TrainOptions(Options):
    """The settings of `train`. Source: spec steps-and-cli 2.5, 2.12, 4.5."""

    training_data_src_dir: Path | None = option(
        None, "Folder of src faces", ask=False, help="The person whose face is wanted. Else data_src/aligned."
    )
    training_data_dst_dir: Path | None = option(
        None, "Folder of dst faces", ask=False, help="The footage that receives it. Else data_dst/aligned."
    )
    pretrained_model_dir: Path | None = option(
        None, "Folder of pretrained parts", ask=False, help="A new model starts from the parts (encoder.h5 ...) in it."
    )
    model_dir: Path | None = option(None, "Folder of models", ask=False, help="Else model in the workspace.")
    model: str = option("Quick96", "Model class", choices={name: (name.lower(),) for name in MODEL_CLASSES}, ask=False)
    force_model_name: str | None = option(None, "Model name, without asking", ask=False)
    silent_start: bool = option(False, "Take the newest model without asking", ask=False)
    model_name: str | None = option(
        _newest_name,
        "Model: a number, or the name of a new one",
        menu=_model_menu,
        when=lambda o: o.force_model_name is None and not o.silent_start,
        help="A name that is not there yet starts a new model. Letters of any script, digits, blanks and _.",
    )
    device: str = option(
        "auto", "Device", ask=False, help="auto (the GPU with most memory, else the CPU), cpu, 0, or several as 0+1."
    )
    precision: str = option(
        "fp32", "Precision", choices=("fp32", "bf16"), ask=False, help="bf16 is faster where the processor knows it."
    )
    batch_size: int | None = option(
        None, "Batch size", low=1, high=256, ask=False, help="Faces per side and step. Kept with the model; else 4."
    )
    size: str | None = option(
        None,
        "Network size",
        choices=("full", "small"),
        ask=False,
        help="Of a new model, kept with it; else full. small: about three times as fast, with less detail.",
    )
    target_iteration: int = option(0, "Target iteration", low=0, ask=False, help="Save and stop there. 0: train on.")
    stop_after: str | None = option(None, "Stop after", ask=False, help="Save and stop after 90s, 30m, 8h or 1h30m.")
    save_every: str = option("25m", "Save every", ask=False, help="Time between saves, as 90s, 25m or 1h.")
    autobackup_hour: float = option(
        0.0, "Autobackup every so many hours", low=0.0, high=24.0, ask=False, help="24 backups are kept. 0: none."
    )
    preview: bool = option(True, "Draw previews", ask=False, help="Pictures in the model's folder previews.")
    preview_every: int = option(
        500, "Iterations between previews", low=0, ask=False, help="0: only at the start, with saves and at the end."
    )
    preview_history: int = option(
        0, "Iterations between previews that are kept", low=0, ask=False, help="Always of the same faces. 0: none."
    )
    seed: int | None = option(
        None, "Seed", low=0, high=2**63 - 1, ask=False, help="Of a new model. Kept with it; else drawn at random."
    )
    reset: str | None = option(
        None, "Parts to start afresh", ask=False, help="As inter or encoder,optimizer; the others are kept."
    )
    restore_backup: int | None = option(
        None, "Backup to go on from", low=1, high=24, ask=False, help="Instead of the last save; 1 is the newest."
    )
    workers: int | None = option(None, "Processes that prepare samples", low=0, high=256, ask=False)
    debug: bool = option(
        False, "Show samples", ask=False, help="Writes a picture of what the network sees, and does not train."
    )
    execute_program: str | None = option(None, "Not supported", ask=False, help="See --save-every and --stop-after.")


def run(workspace: Workspace, options: TrainOptions, progress: Progress) -> TrainingReport | list[Path]:
    """Trains a model.

    Returns:
        Where the training stands; with `debug` the pictures that were written.

    Raises:
        UserError: a faceset is missing or empty, or an option cannot be followed.
        Cancelled: Ctrl-C, SIGTERM or a closed terminal; what was learned is saved.
        FaceLoomError: the model is in use or damaged, or the device failed.
    """
    from models.checkpoint import CheckpointStore, start_training
    from models.model_lock import lock_model

    settings = training_settings(options)
    folder = _folder(workspace, options)
    src = _open_faces(options.training_data_src_dir or workspace.data_src_aligned, "src", progress)
    dst = _open_faces(options.training_data_dst_dir or workspace.data_dst_aligned, "dst", progress)
    if options.debug:
        return _show_samples(options, folder, src, dst, progress)

    with lock_model(folder):
        store = CheckpointStore(folder)
        found = store.read(backup=options.restore_backup)
        seed = _settled_seed(options, found.state.seed if found is not None else None)
        values = _model_values(options, found.state.options if found is not None else {})
        with _device_errors_in_words(values):
            progress.say("Loading the neural framework and building the networks ...")
            model = _build(options, values, seed)
            state = start_training(
                model,
                found,
                seed=seed,
                reset=_parts(options.reset),
                pretrained_folder=options.pretrained_model_dir,
                say=progress.say,
            )
            state.options = values
            if found is not None and found.missing:
                _keep_what_was_taken_out(store, progress)
            if options.reset or options.restore_backup is not None or (found is not None and found.missing):
                # A way back must not lead to the save that the user has just left; that one is now the previous.
                store.save(model.export_state(), state)
            progress.say(_summary(folder, options, model, state, src, dst))
            return _train(model, src, dst, store, state, settings, options, progress)


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
    src: Faceset,
    dst: Faceset,
    store: CheckpointStore,
    state: TrainingState,
    settings: TrainingSettings,
    options: TrainOptions,
    progress: Progress,
) -> TrainingReport:
    """Runs the loop with what surrounds it: the terminal, the batches, the previews, the closing words."""
    from mainscripts.train_terminal import KEY_HELP, TerminalCommands
    from models.engine import run_training
    from models.preview import FacePages, PreviewWriter
    from samplelib.batches import TrainingBatches

    previews = PreviewWriter(
        store.folder / "previews",
        FacePages((src, dst), (model.src_settings, model.dst_settings), state.seed),
        enabled=options.preview,
        history_iterations=options.preview_history,
    )
    sides = (src, dst, model.src_settings, model.dst_settings)
    with (
        TerminalCommands(progress) as commands,
        TrainingBatches(
            *sides, model.batch_size, state.seed, workers=options.workers, first_iteration=state.batch_number
        ) as batches,
    ):
        if options.preview:
            progress.say(f"Previews and the chart of the losses: {previews.folder}")
        progress.say(KEY_HELP if commands.interactive else "Ctrl-C saves and stops.")
        progress.say("The first iteration takes longer than the others: the networks are compiled.")
        report = run_training(model, batches, store, state, settings, commands, previews, progress)
    progress.say(_closing(report, store))
    if commands.signal_number is not None:
        raise _stopped(commands.signal_number, report)
    return report


# ------------------------------------------------------------------------------------------------------------- options


def parse_duration(text: str, flag: str) -> float:
    """90s, 25m, 8h, 1h30m or a bare number of minutes -> seconds.

    Raises:
        BadOption: anything else, or no time at all.
    """
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    written = text.strip().lower().replace(",", ".")
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", written)
    seconds = 0.0
    if re.fullmatch(r"\d+(?:\.\d+)?", written):
        seconds = float(written) * 60.0
    elif match is not None:
        seconds = sum(float(n) * unit for n, unit in zip(match.groups(), units.values(), strict=True) if n)
    if seconds <= 0.0:
        raise BadOption(f"--{flag} must be a time such as 90s, 25m, 8h or 1h30m. Received: {text}.")
    return seconds


def training_settings(options: TrainOptions) -> TrainingSettings:
    """The loop's settings. Raises BadOption for what it cannot follow."""
    from models.schedule import TrainingSettings

    if options.execute_program is not None:
        raise BadOption(
            f"--execute-program would run any code and is not supported. Received: {options.execute_program}.",
            "Use --save-every, --autobackup-hour, --preview-every, --target-iteration or --stop-after.",
        )
    return TrainingSettings(
        target_iteration=options.target_iteration,
        stop_after_seconds=parse_duration(options.stop_after, "stop-after") if options.stop_after else 0.0,
        save_seconds=parse_duration(options.save_every, "save-every"),
        preview_iterations=options.preview_every if options.preview else 0,
        backup_seconds=options.autobackup_hour * 3600.0,
    )


def _folder(workspace: Workspace, options: TrainOptions) -> Path:
    """The model's folder: of the name given, else of the newest model, else of the first one."""
    models = options.model_dir or workspace.model
    name = options.force_model_name or options.model_name
    if name is None:
        saved = list_models(models, options.model)
        name = saved[0].name if saved else FIRST_NAME
    return model_folder(models, name, options.model)


def _settled_seed(options: TrainOptions, saved: int | None) -> int:
    if saved is None:
        return options.seed if options.seed is not None else secrets.randbits(63)
    _require_kept("seed", saved, options.seed)
    return saved


def _require_kept(name: str, saved: Any, given: Any) -> None:
    if given is not None and given != saved:
        raise BadOption(
            f"The {name} of this model is {saved} and stays. Received: {given}.",
            f"Leave --{name} out, or start a new model with --model-name.",
        )


def _model_values(options: TrainOptions, saved: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own settings: flags over what it has saved."""
    values = known_values(options.model, saved)
    if options.batch_size is not None:
        values["batch_size"] = options.batch_size
    if saved:
        _require_kept("size", values.get("size", "full"), options.size)
    elif options.size is not None:
        values["size"] = options.size
    return values


def _build(options: TrainOptions, values: Mapping[str, Any], seed: int) -> SwapModel:
    return build_model(options.model, values, device=_device(options), precision=options.precision, seed=seed)


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _device(options: TrainOptions) -> str:
    return options.device.replace(",", "+").replace(" ", "")


# --------------------------------------------------------------------------------------------------------------- faces


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


def _show_samples(options: TrainOptions, folder: Path, src: Faceset, dst: Faceset, progress: Progress) -> list[Path]:
    """Writes the first batch of each side as one labeled sheet."""
    from core.images import write_image
    from models.preview import batch_sheet
    from samplelib.batches import TrainingBatches

    seed = _settled_seed(options, None)
    model = _build(options, _model_values(options, {}), seed)
    sides = (src, dst, model.src_settings, model.dst_settings)
    with TrainingBatches(*sides, model.batch_size, seed, workers=0) as batches:
        batch: TrainingBatch = next(batches)
    written = []
    for side, faces in (("src", batch.src), ("dst", batch.dst)):
        path = folder / "previews" / f"samples {side}.png"
        write_image(path, batch_sheet(faces, f"{options.model}   {side} samples   seed {seed}"))
        progress.say(f"What the network sees of {side}: {path}")
        written.append(path)
    return written


# ------------------------------------------------------------------------------------------------------ what it tells


def _summary(
    folder: Path, options: TrainOptions, model: SwapModel, state: TrainingState, src: Faceset, dst: Faceset
) -> str:
    """The box at the start. Source: spec models 7.6."""
    devices = getattr(model, "devices", ())
    rows = [
        ("Model name", folder.name),
        ("Current iteration", f"{state.iteration:,}"),
        ("Resolution", f"{model.resolution}, {model.face_type.value}"),
        ("Batch size", str(model.batch_size)),
        ("Precision", options.precision),
        ("Seed", str(state.seed)),
        ("Running on", ", ".join(f"{d.name} ({d.description})" for d in devices) or _device(options)),
        ("Faces", f"{len(src):,} src, {len(dst):,} dst"),
        ("Saves", f"every {options.save_every}" + ("" if not state.seconds else f", trained {_spoken(state.seconds)}")),
    ]
    if options.target_iteration:
        rows.append(("Target iteration", f"{options.target_iteration:,}"))
    width = max(len(value) for _, value in rows)
    lines = [f"== {name:>20}: {value:<{width}} ==" for name, value in rows]
    bar = "=" * len(lines[0])
    return "\n".join(["== Model " + bar[9:], *lines, bar])


def _closing(report: TrainingReport, store: CheckpointStore) -> str:
    losses = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in report.mean_losses.items())
    lines = [f"Stopped at iteration {report.iteration:,}: {report.stopped_by}. {losses}".rstrip()]
    if report.session_iterations:
        seconds, waited = report.session_seconds, report.session_seconds_waited
        lines.append(
            f"{report.session_iterations:,} iterations in {_spoken(seconds)}, "
            f"{1000 * seconds / report.session_iterations:.0f} ms each; "
            f"{waited:.1f} s ({waited / max(seconds, 1e-9):.0%}) of it waiting for samples."
        )
    lines.append(f"Saved in {store.current}." if store.current.exists() else "Nothing was saved.")
    return "\n".join(lines)


def _spoken(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"


# --------------------------------------------------------------------------------------------------- the outside world


def _stopped(signal_number: int, report: TrainingReport) -> Cancelled:
    stopped = Cancelled(f"Stopped at iteration {report.iteration:,}; all is saved.", "Run the step again to go on.")
    if signal_number != signal.SIGINT:
        stopped.exit_code = 128 + signal_number
    return stopped


@contextlib.contextmanager
def _device_errors_in_words(values: Mapping[str, Any]) -> Iterator[None]:
    """Memory used up, whatever framework reports it and however, as a sentence with the way out."""
    try:
        yield
    except FaceLoomError:
        raise
    except Exception as problem:
        kinds = {kind.__name__ for kind in type(problem).__mro__}
        if (
            not kinds & {"ResourceExhaustedError", "OutOfMemoryError", "MemoryError"}
            and "out of memory" not in str(problem).lower()
        ):
            raise
        batch_size = int(values.get("batch_size", 4))
        raise ToolFailed(
            "The device",
            f"its memory is used up (batch size {batch_size}).",
            f"Any of these helps: --batch-size {max(1, batch_size // 2)}, --precision bf16, --device cpu. "
            "Closing other programs that use the device may be enough.",
        ) from problem
