"""Saved models as things: choosing one by number or name, giving one another name, putting one into the trash.

A model is one folder, `<name>_<Class>` (models/registry.py), so renaming and deleting move that folder and what lies
beside it of its merge session: models of another class that have the same name are not touched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadOption, BrokenFile, FaceLoomError
from core.files import explain_os_error, move_to_trash, replace_patiently, sync_folder
from core.options import REQUIRED, Asker, OptionSpec, specs
from core.paths import Workspace, merge_session_files
from mainscripts.train_options import DELETE, FIRST_NAME, RENAME, TrainOptions, check_new_name, model_menu
from models.model_lock import lock_model
from models.registry import SavedModel, describe, find_model, list_models, model_folder

if TYPE_CHECKING:
    from models.checkpoint_files import TrainingState


def saved_state(folder: Path, backup: int | None = None) -> TrainingState | None:
    """What the model's newest checkpoint, or that backup, remembers besides its weights; None where none can be read.

    Whether the checkpoint is whole is not looked at: that takes as long as reading all of it.
    """
    from models.checkpoint import CheckpointStore
    from models.checkpoint_files import read_state

    store = CheckpointStore(folder)
    places = [store.backups.find(backup)] if backup is not None else [store.current, store.previous]
    for place in places:
        with contextlib.suppress(BrokenFile):
            return read_state(place)
    return None


def rename_model(saved: SavedModel, name: str) -> Path:
    """Gives a model another name; returns its new folder.

    Raises:
        BadOption: the name cannot be one, or another model of the class has it.
        FaceLoomError: the model is being trained, or the disk refuses.
    """
    target = model_folder(saved.folder.parent, check_new_name(name), saved.class_name)
    same = target.exists() and target.samefile(saved.folder)  # another spelling on a disk that knows no case
    if target.exists() and not same:
        raise BadOption(f"There is a {saved.class_name} model of that name. Received: {name}.", "Take another name.")
    with lock_model(saved.folder):
        pass  # nobody trains it
    try:
        replace_patiently(saved.folder, target)
        for path in merge_session_files(target.parent, saved.name, saved.class_name):
            place = path.with_name(target.name + path.name.removeprefix(saved.folder.name))
            if not place.exists():
                replace_patiently(path, place)
    except OSError as problem:
        raise explain_os_error(problem, target) from problem
    sync_folder(target.parent)
    return target


def delete_model(saved: SavedModel, trash: Path) -> Path:
    """Moves a model with its backups and previews into the trash; returns the box. `workspace undo` brings it back.

    Raises:
        FaceLoomError: the model is being trained, or the disk refuses.
    """
    with lock_model(saved.folder):
        pass  # nobody trains it
    sessions = merge_session_files(saved.folder.parent, saved.name, saved.class_name)
    return move_to_trash(trash, [saved.folder, *sessions], f"model delete {saved.folder.name}")


def choose_model(workspace: Workspace, options: TrainOptions, asker: Asker, say: Callable[[str], None]) -> str:
    """Asks which model to train: a number or name of the list, the name of a new one, or r and d to change the list."""
    folder = options.models_folder(workspace)
    spec = next(s for s in specs(TrainOptions) if s.name == "model_name")
    while True:
        rows = model_menu(replace(options, model_dir=folder))
        label = f"Model: a number, the name of a new one, {RENAME} to rename one, {DELETE} to delete one"
        if not rows:
            say(f"There is no {options.model} model yet.")
            label = "Name of the new model"
        answer = str(asker.ask(replace(spec, label=label, rows=rows), rows[0][0] if rows else FIRST_NAME))
        try:
            if not rows or answer.casefold() not in (RENAME, DELETE):
                return check_new_name(answer)
            (_ask_rename if answer.casefold() == RENAME else _ask_delete)(workspace, folder, options.model, asker, say)
        except FaceLoomError as problem:
            say(str(problem))


def _ask_rename(workspace: Workspace, folder: Path, class_name: str, asker: Asker, say: Callable[[str], None]) -> None:
    saved = _ask_which(folder, class_name, "Which one gets another name", asker)
    if saved is not None:
        name = asker.ask(_question("Its new name", str | None), None)
        if name is not None:
            say(f"Renamed: {saved.name} is now {rename_model(saved, name).name.removesuffix(f'_{class_name}')}.")


def _ask_delete(workspace: Workspace, folder: Path, class_name: str, asker: Asker, say: Callable[[str], None]) -> None:
    saved = _ask_which(folder, class_name, "Which one goes into the trash", asker)
    if saved is None:
        return
    if asker.ask(_question(f"Move {saved.name} ({describe(saved)}) with its backups into the trash", bool), False):
        say(f"Moved to {delete_model(saved, workspace.trash)}. To bring it back: workspace undo.")


def _ask_which(folder: Path, class_name: str, label: str, asker: Asker) -> SavedModel | None:
    """One of the models; None for an empty answer, which changes nothing."""
    rows = [(m.name, describe(m)) for m in list_models(folder, class_name)]
    name = asker.ask(replace(_question(f"{label}: a number or a name; empty: none", str | None), rows=rows), None)
    return None if name is None else find_model(folder, class_name, name)


def _question(label: str, kind: Any) -> OptionSpec:
    """A question of the moment, which is no option."""
    base = next(s for s in specs(TrainOptions) if s.name == "model_name")
    optional = kind == (str | None)
    return replace(
        base, label=label, kind=str if optional else kind, optional=optional, default=REQUIRED, help="", menu=None
    )
