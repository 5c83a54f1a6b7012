"""`model list`, `model rename`, `model delete`: what the menu of `train` does, for whoever has no terminal.

One class at a time: a Quick96 and a SAEHD model may have the same name and know nothing of each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from core import console
from core.errors import Cancelled, ConfirmationNeeded
from core.options import REQUIRED, Options, option
from core.paths import Workspace
from core.progress import Progress
from mainscripts.train_models import delete_model, rename_model
from models.registry import MODEL_CLASSES, SavedModel, describe, find_model, list_models

_CLASSES = {name: (name.lower(),) for name in MODEL_CLASSES}


@dataclass(kw_only=True)
class ListOptions(Options):
    model: str | None = option(None, "Model class", choices=_CLASSES, ask=False, help="Else all of them.")
    model_dir: Path | None = option(None, "Folder of models", ask=False, help="Else model in the workspace.")
    json: bool = option(False, "JSON", ask=False, help="Prints one JSON list instead of the table.")


@dataclass(kw_only=True)
class RenameOptions(Options):
    model: str = option(REQUIRED, "Model class", choices=_CLASSES, ask=False)
    model_dir: Path | None = option(None, "Folder of models", ask=False, help="Else model in the workspace.")
    model_name: str = option(REQUIRED, "Name of the model", ask=False)
    new_name: str = option(REQUIRED, "Its new name", ask=False)


@dataclass(kw_only=True)
class DeleteOptions(Options):
    model: str = option(REQUIRED, "Model class", choices=_CLASSES, ask=False)
    model_dir: Path | None = option(None, "Folder of models", ask=False, help="Else model in the workspace.")
    model_name: str = option(REQUIRED, "Name of the model", ask=False)
    yes: bool = option(False, "Agree", ask=False, help="Puts it into the trash without asking.")


def run_list(workspace: Workspace, options: ListOptions, progress: Progress) -> list[SavedModel]:
    """Lists the trained models, newest first."""
    folder = options.model_dir or workspace.model
    classes = [options.model] if options.model is not None else list(MODEL_CLASSES)
    models = sorted((m for c in classes for m in list_models(folder, c)), key=lambda m: m.saved_at, reverse=True)
    if options.json:
        rows = [
            {
                "name": m.name,
                "class": m.class_name,
                "folder": str(m.folder),
                "iteration": m.iteration,
                "saved_at": m.saved_at.isoformat(timespec="seconds"),
            }
            for m in models
        ]
        console.say(json.dumps(rows, ensure_ascii=False))
        return models
    if not models:
        progress.say(f"There is no trained model in {folder}.")
    width = max((len(m.name) for m in models), default=0)
    for model in models:
        progress.say(f"{model.class_name:<8} {model.name:<{width}}  {describe(model)}")
    return models


def run_rename(workspace: Workspace, options: RenameOptions, progress: Progress) -> Path:
    """Gives a model another name; returns its new folder. Raises UserError, or FaceLoomError where it is in use."""
    saved = find_model(options.model_dir or workspace.model, options.model, options.model_name)
    folder = rename_model(saved, options.new_name)
    progress.say(f"The model {saved.name} is now {folder}.")
    return folder


def run_delete(workspace: Workspace, options: DeleteOptions, progress: Progress) -> Path:
    """Puts a model with its backups and previews into the trash; returns where.

    Raises:
        ConfirmationNeeded: there is nobody to ask and `yes` is not set.
        Cancelled: the answer was no.
        FaceLoomError: the model is in use.
    """
    saved = find_model(options.model_dir or workspace.model, options.model, options.model_name)
    progress.say(f"This goes into the trash: {saved.folder} ({describe(saved)}), with its backups and previews.")
    if not options.yes:
        if not console.is_interactive():
            raise ConfirmationNeeded("Nobody is here to agree, so nothing was moved.", "Repeat the command with --yes.")
        try:
            answer = console.read_line("Type delete to go on: ")
        except EOFError:
            answer = ""
        if answer.strip().casefold() != "delete":
            raise Cancelled("Nothing was moved.")
    box = delete_model(saved, workspace.trash)
    progress.say(f"Moved to {box}. To bring it back: workspace undo. To free the space: delete that folder.")
    return box
