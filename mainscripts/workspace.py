"""`workspace clear`, `workspace undo`, `workspace status`: what lies on the long table, and putting it away.

Nothing here deletes. `clear` moves frames, faces and models into the workspace's trash (one rename per folder), `undo`
brings the newest box of the trash back; the videos `data_src.*`, `data_dst.*` and the results are never touched.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from core import console
from core.errors import Cancelled, ConfirmationNeeded, MissingInput
from core.files import list_images, move_to_trash, show_bytes, sync_folder
from core.options import Options, option
from core.paths import FACE_EXTENSIONS, Workspace
from core.progress import Progress
from core.renames import undo_newest
from mainscripts.journal_names import follow_folder
from mainscripts.workspace_state import WorkspaceState, look_at, next_step, table

KEEP = ".gitkeep"
"""Holds an empty folder of the skeleton in git."""

_NAMED = 20


def skeleton(workspace: Workspace) -> list[Path]:
    """The folders of an empty workspace, in the order they are made."""
    w = workspace
    return [w.data_src, w.data_src_aligned, w.data_dst, w.data_dst_aligned, w.model]


# -------------------------------------------------------------------------------------------------------------- clear


@dataclass(kw_only=True)
class ClearOptions(Options):
    yes: bool = option(False, "Agree", ask=False, help="Clears without asking for the word.")


@dataclass(frozen=True)
class ClearReport:
    """Where the folders went (None: there was nothing to clear)."""

    box: Path | None


def clear(workspace: Workspace, options: ClearOptions, progress: Progress) -> ClearReport:
    """Moves frames, faces and models into the trash, after the user has typed the word `clear` (or gave `--yes`).

    Raises:
        ConfirmationNeeded: there is nobody to ask and `yes` is not set.
        Cancelled: the word was not typed.
    """
    aligned = {workspace.data_src: workspace.data_src_aligned, workspace.data_dst: workspace.data_dst_aligned}
    filled = [f for f in (workspace.data_src, workspace.data_dst, workspace.model) if _content(f)]
    if not filled:
        make_skeleton(workspace)
        progress.say("The workspace is clear already.")
        return ClearReport(None)
    progress.say(f"This goes from {workspace.root} into its trash:")
    for folder in filled:
        progress.say(f"  {folder.name}: {describe(folder, aligned.get(folder))}")
    progress.say("The videos data_src.*, data_dst.* and the results stay.")
    if not options.yes:
        _require_word("clear")
    box = move_to_trash(workspace.trash, filled, "workspace clear")
    make_skeleton(workspace)
    progress.say(f"Moved to {box}. To bring everything back: workspace undo. To free the space: delete that folder.")
    return ClearReport(box)


def _require_word(word: str) -> None:
    if not console.is_interactive():
        raise ConfirmationNeeded("Nobody is here to agree, so nothing was moved.", "Repeat the command with --yes.")
    try:
        answer = console.read_line(f"Type {word} to go on: ")
    except EOFError:
        answer = ""
    if answer.strip().casefold() != word:
        raise Cancelled("Nothing was moved.")


def make_skeleton(workspace: Workspace) -> None:
    """Makes the folders of an empty workspace, with the files that hold them in git."""
    for folder in skeleton(workspace):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (workspace.data_src_aligned, workspace.data_dst_aligned, workspace.model):
        (folder / KEEP).touch()
    sync_folder(workspace.root)


def _content(folder: Path) -> bool:
    """Whether anything but the skeleton lies in the folder."""
    return any(name != KEEP for _, _, names in os.walk(folder) for name in names)


def describe(folder: Path, aligned: Path | None = None) -> str:
    """What a folder of frames holds ("1,310 frames, 1,295 faces, 4,020 files, 1.2 GB"), or, without a folder of faces
    in it, a folder of models ("3 models, 2.1 GB, newest file 4 minutes old")."""
    files = size = 0
    newest = 0.0
    for parent, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(Path(parent) / name)
            files, size, newest = files + (name != KEEP), size + status.st_size, max(newest, status.st_mtime)
    if aligned is None:
        models = sum(entry.is_dir() for entry in folder.iterdir())
        return f"{_count(models, 'model')}, {show_bytes(size)}, newest file {_age(time.time() - newest)} old"
    faces = list_images(aligned, FACE_EXTENSIONS) if aligned.is_dir() else []
    counts = (_count(len(list_images(folder)), "frame"), _count(len(faces), "face"), _count(files, "file"))
    return f"{', '.join(counts)}, {show_bytes(size)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _age(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return _count(int(seconds / length), unit)
    return "less than a minute"


# --------------------------------------------------------------------------------------------------------------- undo


@dataclass(kw_only=True)
class UndoOptions(Options):
    pass


def undo(workspace: Workspace, options: UndoOptions, progress: Progress) -> list[Path]:
    """Brings back what the newest box of the trash holds; what lies in the way stays, and what it blocks is named.

    Returns:
        The paths that are back.

    Raises:
        MissingInput: the trash is empty.
    """
    del options
    for folder in (workspace.data_src, workspace.data_dst, workspace.model):
        if folder.is_dir() and not folder.is_symlink() and not _content(folder):
            _remove_empty(folder)
    try:
        restored = undo_newest(workspace.trash)
    finally:
        make_skeleton(workspace)
    for path in restored[:_NAMED]:
        progress.say(f"Back: {path}")
    if len(restored) > _NAMED:
        progress.say(f"and {len(restored) - _NAMED:,} more.")
    for folder in {path.parent for path in restored}:
        follow_folder(folder)
    if not restored:
        raise MissingInput(
            "Nothing could be brought back: newer files lie in every place.",
            f"Move them away, or take what you need out of {workspace.trash} by hand.",
        )
    return restored


def _remove_empty(folder: Path) -> None:
    """Removes a folder of the skeleton that holds nothing but its `.gitkeep` files."""
    for parent, folders, names in os.walk(folder, topdown=False):
        for name in names:
            (Path(parent) / name).unlink()
        for name in folders:
            (Path(parent) / name).rmdir()
    folder.rmdir()


# ------------------------------------------------------------------------------------------------------------- status


@dataclass(kw_only=True)
class StatusOptions(Options):
    json: bool = option(False, "JSON", ask=False, help="Prints one JSON object instead of the table.")


def status(workspace: Workspace, options: StatusOptions, progress: Progress) -> WorkspaceState:
    """Says what the workspace holds, what does not fit together, and which step comes next. Changes nothing."""
    state = look_at(workspace, progress)
    if options.json:
        console.say(json.dumps(asdict(state) | {"next_step": next_step(state)}, ensure_ascii=False, default=str))
    else:
        for line in table(state):
            progress.say(line)
    return state
