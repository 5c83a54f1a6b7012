"""The flags of `train`, and what of them the loop of models/engine.py gets to know.

The settings of the model itself are another class for every kind of model (models/registry.py: options_class); they are
asked, and given by `--set NAME=VALUE`, see mainscripts/train_questions.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadOption
from core.options import Options, option
from core.paths import Workspace
from mainscripts.train_memory import HALVE, STOP
from models.registry import MODEL_CLASSES, check_name, describe, list_models, model_folder

if TYPE_CHECKING:
    from models.schedule import TrainingSettings

FIRST_NAME = "new"
"""The name offered for the first model."""

RENAME, DELETE = "r", "d"
"""What these mean in the menu of models; so no model is called that."""


def check_new_name(name: str) -> str:
    """A name that a model can have and the menu can tell from its own words. Raises BadOption."""
    if check_name(name).casefold() in (RENAME, DELETE):
        raise BadOption(
            f"{RENAME} and {DELETE} mean rename and delete in the menu of models. Received: {name}.",
            "Take a longer name.",
        )
    return name


def model_menu(settled: Any) -> list[tuple[str, str]]:
    """The saved models, newest first, for the question after the name."""
    models = list_models(settled.model_dir, settled.model) if settled.model_dir is not None else []
    return [(m.name, describe(m) + (" - latest" if m is models[0] else "")) for m in models]


def _newest_name(settled: Any) -> str | None:
    """What an empty answer means; None where the workspace, which is not known here, decides."""
    menu = model_menu(settled)
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
    pretraining_data_dir: Path | None = option(
        None,
        "Folder of faces for pretraining",
        ask=False,
        help="Loose or as a pack, the more people the better. Else _internal/pretrain_faces.",
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
        menu=model_menu,
        ask=False,
        help="A name that is not there yet starts a new model. Letters of any script, digits, blanks and _.",
    )
    edit_options: bool | None = option(
        None,
        "Change the settings of the model",
        ask=False,
        help="Asks for them, or does not. Else there are 2 seconds to press Enter.",
    )
    options_file: Path | None = option(
        None,
        "File with settings of the model",
        ask=False,
        flag="options",
        help='JSON by name, e.g. {"batch_size": 8}, or the options.json in another model\'s checkpoint.',
    )
    device: str = option(
        "auto", "Device", ask=False, help="auto (the GPU with most memory, else the CPU), cpu, 0, or several as 0+1."
    )
    precision: str = option(
        "fp32", "Precision", choices=("fp32", "bf16"), ask=False, help="bf16 is faster where the processor knows it."
    )
    batch_size: int | None = option(
        None, "Batch size", low=1, high=256, ask=False, help="Same as --set batch_size=N; kept with the model."
    )
    size: str | None = option(
        None,
        "Network size",
        choices=("full", "small"),
        ask=False,
        help="Same as --set size=small, of a new Quick96 model: about three times as fast, with less detail.",
    )
    target_iteration: int | None = option(
        None,
        "Target iteration",
        low=0,
        ask=False,
        help="Save and stop there, this time. 0: train on. Else the model's target_iter.",
    )
    stop_after: str | None = option(None, "Stop after", ask=False, help="Save and stop after 90s, 30m, 8h or 1h30m.")
    save_every: str = option("25m", "Save every", ask=False, help="Time between saves, as 90s, 25m or 1h.")
    autobackup_hour: float | None = option(
        None,
        "Autobackup every so many hours",
        low=0.0,
        high=24.0,
        ask=False,
        help="This time. 24 backups are kept. 0: none. Else the model's autobackup_hour.",
    )
    preview: bool = option(True, "Draw previews", ask=False, help="Pictures in the model's folder previews.")
    preview_every: int = option(
        500, "Iterations between previews", low=0, ask=False, help="0: only at the start, with saves and at the end."
    )
    preview_history: int | None = option(
        None,
        "Iterations between previews that are kept",
        low=0,
        ask=False,
        help="This time, always of the same faces. 0: none. Else the model's write_preview_history.",
    )
    choose_preview_faces: str | None = option(
        None,
        "Faces of the previews",
        ask=False,
        help="random: others, from now on. Or file names of faces, of both sides, as 00012_0.jpg,00310_0.jpg.",
    )
    on_out_of_memory: str = option(
        HALVE,
        "When the device's memory does not suffice",
        choices=(HALVE, STOP),
        ask=False,
        help="halve: go on with half the batch, which is said and kept with the model. stop: end with the advice.",
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
    workers: int | None = option(
        None,
        "Processes that prepare samples",
        low=0,
        high=256,
        ask=False,
        help="Of both sides together: half each, of src more with a color transfer. 0: none, training does it itself. "
        "Else for each side a quarter of the processors, at most 6; of src half as many again with a color transfer.",
    )
    workers_src: int | None = option(
        None,
        "Processes that prepare src samples",
        low=0,
        high=256,
        ask=False,
        help="Those with nothing to do help the other side. Any numbers give the same samples.",
    )
    workers_dst: int | None = option(None, "Processes that prepare dst samples", low=0, high=256, ask=False)
    debug: bool = option(
        False, "Show samples", ask=False, help="Writes a picture of what the network sees, and does not train."
    )
    status: bool = option(
        False, "Status", ask=False, help="Says where the training stands, also while it runs, and does not train."
    )
    json: bool = option(
        False, "JSON", ask=False, help="With --status one JSON object. Else progress in JSON, one object per line."
    )
    execute_program: str | None = option(None, "Not supported", ask=False, help="See --save-every and --stop-after.")

    model_values: dict[str, Any] = field(default_factory=dict)
    """Settings of the model that were given or answered, by name; the other ones are as it has saved them."""

    model_values_to_repeat: frozenset[str] = frozenset()
    """Of these, the ones that must be said again also where they are the default."""

    def models_folder(self, workspace: Workspace) -> Path:
        """Where the models lie."""
        return self.model_dir or workspace.model

    def chosen_name(self, workspace: Workspace) -> str:
        """The model's name: the one given, else of the newest model, else of the first one."""
        name = self.force_model_name or self.model_name
        if name is None:
            saved = list_models(self.models_folder(workspace), self.model)
            name = saved[0].name if saved else FIRST_NAME
        return name

    def chosen_folder(self, workspace: Workspace) -> Path:
        """The model's folder."""
        name = check_new_name(self.chosen_name(workspace))
        return model_folder(self.models_folder(workspace), name, self.model)


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


def check_flags(options: TrainOptions) -> None:
    """Refuses what cannot be followed, before anything is asked or opened. Raises BadOption."""
    if options.execute_program is not None:
        raise BadOption(
            f"--execute-program would run any code and is not supported. Received: {options.execute_program}.",
            "Use --save-every, --autobackup-hour, --preview-every, --target-iteration or --stop-after.",
        )
    training_settings(options, {})


def training_settings(options: TrainOptions, values: Mapping[str, Any]) -> TrainingSettings:
    """The loop's settings: flags, which hold for this session, over what the model has saved (`values`)."""
    from models.schedule import TrainingSettings

    target, hours = options.target_iteration, options.autobackup_hour
    return TrainingSettings(
        target_iteration=int(values.get("target_iter", 0)) if target is None else target,
        stop_after_seconds=parse_duration(options.stop_after, "stop-after") if options.stop_after else 0.0,
        save_seconds=parse_duration(options.save_every, "save-every"),
        preview_iterations=options.preview_every if options.preview else 0,
        backup_seconds=3600.0 * (float(values.get("autobackup_hour", 0.0)) if hours is None else hours),
    )


def history_iterations(options: TrainOptions, values: Mapping[str, Any], resolution: int) -> int:
    """Iterations between previews that are kept; 0: none. Source of the spacing: spec models 7.8."""
    if options.preview_history is not None:
        return options.preview_history
    return 10 * max(1, resolution // 64) if values.get("write_preview_history") else 0
