"""What `merge` can be told: the flags, prompts and files of the step, and the folders they come to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.errors import BadOption
from core.options import Options, option, show_value, specs
from core.parallel import default_workers
from core.paths import Workspace, default_workspace
from mainscripts.merge_faces import FaceOptions
from mainscripts.merge_output import MergeOutputOptions
from mainscripts.merge_session import SessionOptions, settled_by_session
from merger.engine import ON_ERROR
from merger.presets import Presets, read_settings
from merger.settings import IGNORED, MergeSettings
from models.registry import MODEL_CLASSES, describe, list_models

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


def _one_model(name: str, settled: Any) -> str:
    """BadOption where two models are named."""
    if settled.force_model_name not in (None, name):
        raise BadOption(
            f"One model merges. Received: --force-model-name {settled.force_model_name} and --model-name {name}.",
            "Leave one of them out.",
        )
    return name


def _render_or_keep(restart: bool, settled: Any) -> bool:
    """BadOption where every frame is to be rendered anew, and older ones are to be left alone."""
    if restart and settled.older_frames == "keep":
        raise BadOption(
            "Older frames are rendered anew, or they are kept. Received: --restart and --older-frames keep.",
            "Leave one of them out.",
        )
    return restart


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
        rule=_one_model,
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
class MergeOptions(MergeSettings, MergeOutputOptions, SessionOptions, FaceOptions, MergeInputs):
    """The questions of merging: first what, then how, then by how many."""

    workers: int = option(
        workers_by_default,
        "Number of workers",
        low=1,
        high=_MOST_WORKERS,
        help="Processes that read, composite and write frames. The result does not depend on it.",
    )
    frame_range: str | None = option(
        None,
        "Range of frames",
        ask=False,
        flag="range",
        help="Only frames of these numbers: 100-250, 100- or -250. The others stay as they are.",
    )
    frame_list: str | None = option(
        None,
        "Single frames",
        ask=False,
        flag="frames",
        help="Only these frames: numbers and names, 17,20-25,intro_003. Together with a range: these, too.",
    )
    faces: str = option(
        "all",
        "Faces",
        ask=False,
        help="Of frames that show several: all; largest; left:1 (the first from the left), right:2; numbers of tracks,"
        " 2,1 (pasted in this order); not:3, all but these.",
    )
    on_error: str = option(
        "copy",
        "When a frame fails",
        choices=ON_ERROR,
        ask=False,
        help="After two tries: copy the source frame and go on; skip it and go on; stop.",
    )
    restart: bool = option(
        False,
        "Restart",
        ask=False,
        rule=_render_or_keep,
        help="Renders every frame anew, also those that are up to date.",
    )

    report: bool = option(
        False,
        "Report",
        ask=False,
        help="Then judges the shot on one page, merged_report.html beside merged frames. Alone: the command report.",
    )
    save_preset: str | None = option(
        None, "Save as preset", ask=False, help="Keeps these settings under this name, then merges with them."
    )

    @classmethod
    def not_asked(cls, given: Mapping[str, Any]) -> Collection[str]:
        return settled_by_session(given)

    @classmethod
    def values_of_files(cls, given: Mapping[str, Any], workspace: Path | None = None) -> dict[str, Any]:
        place = Workspace(workspace) if workspace is not None else default_workspace()
        named = Presets(place.merge_presets).read(given["preset"]) if given.get("preset") else {}
        return {
            **named,
            **(read_settings(Path(given["settings"])) if given.get("settings") else {}),
        }


def settings_without_use(options: MergeOptions) -> list[str]:
    """The settings, as flags, that were changed although the mode, or another setting, passes them over; a stabilizer
    that is switched off asks for nothing."""
    lonely = {spec.name for spec in specs(MergeSettings) if spec.when is not None and not spec.when(options)}
    lonely |= set(IGNORED[options.mode]) | (set() if options.super_resolution_power else {"sr_range"})
    lonely -= {name for name in lonely if name.startswith("stabilize_") and not getattr(options, name)}
    usual = MergeSettings()
    return [
        f"--{spec.flag} {show_value(spec, getattr(options, spec.name))}"
        for spec in specs(MergeSettings)
        if spec.name in lonely and getattr(options, spec.name) != getattr(usual, spec.name)
    ]


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
