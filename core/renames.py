"""Renaming many files of one folder at once, safely: used by whatever puts faces into a new order or gives names back.

    box = rename_with_undo(trash, folder, {"00007_0.jpg": "00000.jpg", ...}, "sort by yaw", put_away=[...])
    finish_renames(folder)      # at the start of every command that works on the folder's names
    undo_newest(trash)          # names, put-away files and replaced files are as they were

Names may change places (a -> b, b -> a), so it goes in two passes: every file first gets a hidden name of its own, then
its new name. What is to happen is written to the hidden file `.renames` before anything moves, and a line is added to
it between the passes:

    {"schema": "Renames.1", "names": [[old, hidden, new], ...]}
    aside

So a kill at any moment loses no file and no name: `finish_renames` does the rest. The process that renames holds the
journal locked, so nobody finishes what is still under way. No file is ever overwritten. Proven by fault injection: the
test stops before and after every single rename.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from core.errors import BadOption, BrokenFile, FaceLoomError
from core.files import atomic_write_text, explain_os_error, move_to_trash, newest_box, sync_folder, undo_box

JOURNAL_NAME = ".renames"
_SCHEMA = "Renames.1"
_ASIDE = "aside"
_NAMED = 5


def rename_all(folder: Path, names: Mapping[str, str]) -> int:
    """Renames files inside `folder`, all or (after a kill, by `finish_renames`) still all.

    Args:
        names: old file name -> new file name, without folders; those that stay the same are passed over.

    Returns:
        How many files have a new name.

    Raises:
        BadOption: two files would get one name, or a file that is not renamed has it already; nothing was renamed.
        FaceLoomError: the folder cannot be written.
    """
    finish_renames(folder)
    changed = {old: new for old, new in names.items() if old != new}
    _check(folder, changed)
    if not changed:
        return 0
    token = uuid.uuid4().hex[:8]
    moves = [[old, f".{token}.{n:07d}.renaming{Path(new).suffix}", new] for n, (old, new) in enumerate(changed.items())]
    journal = folder / JOURNAL_NAME
    atomic_write_text(journal, json.dumps({"schema": _SCHEMA, "names": moves}) + "\n")
    return finish_renames(folder)


def finish_renames(folder: Path) -> int:
    """Does what is left of a renaming that was stopped; costs one look at the disk when there is none.

    Returns:
        How many files the renaming is about; 0 where there was none.

    Raises:
        FaceLoomError: another process is renaming at this moment, or a file cannot be renamed.
        BrokenFile: the journal is not one of ours.
    """
    journal = folder / JOURNAL_NAME
    if not journal.exists():
        return 0
    try:
        with open(journal, "r+", encoding="utf-8") as stream, _locked(stream, folder):
            moves, aside = _read_journal(stream, journal)
            if not aside:
                for old, hidden, _ in moves:
                    if not (folder / hidden).exists() and (folder / old).exists():
                        _rename(folder / old, folder / hidden)
                sync_folder(folder)
                stream.seek(0, os.SEEK_END)
                stream.write(f"{_ASIDE}\n")
                stream.flush()
                os.fsync(stream.fileno())
            for _, hidden, new in moves:
                if (folder / hidden).exists():
                    if (folder / new).exists():
                        raise FaceLoomError(
                            f"{folder / new} has appeared while files were being renamed, and is not overwritten.",
                            "Move it away, then run the same step again; the renaming is finished first.",
                        )
                    _rename(folder / hidden, folder / new)
            sync_folder(folder)
        journal.unlink()
    except OSError as problem:
        raise explain_os_error(problem, folder) from problem
    return len(moves)


def rename_with_undo(
    trash: Path, folder: Path, names: Mapping[str, str], reason: str, put_away: Sequence[Path] = ()
) -> Path | None:
    """Moves `put_away` into the trash, renames the rest, and remembers both in one box for `undo_newest`.

    Returns:
        The new box in the trash; None where there was nothing to do. Errors as in `rename_all`.
    """
    finish_renames(folder)
    changed = {old: new for old, new in names.items() if old != new}
    _check(folder, changed, gone={path.name for path in put_away if path.parent == folder})
    if not changed and not put_away:
        return None
    remembered = {
        "folder": os.path.abspath(folder),
        "names": [[old, new] for old, new in changed.items()],
        "inodes": [(folder / old).stat().st_ino for old in changed],
    }
    box = move_to_trash(trash, put_away, reason, renames=remembered)
    rename_all(folder, changed)
    return box


def undo_newest(trash: Path) -> list[Path]:
    """Takes back what the newest box of the trash remembers: names first, then files that were put away.

    Files that had taken the place of others go into a box of their own, so undoing twice is doing again. What would
    overwrite something stays where it is.

    Returns:
        The paths that are back.

    Raises:
        MissingInput: the trash holds nothing to undo.
    """
    box, record = newest_box(trash)
    back = _undo_renames(record.get("renames") or {})
    made = [Path(path) for path in record.get("replaced_by", ()) if Path(path).exists()]
    if made:
        homes = [Path(move["from"]) for move in record["moves"]]
        move_to_trash(trash, made, f"undo of: {record.get('reason', '')}", replaced_by=homes)
    return [*back, *undo_box(box)]


def _undo_renames(renames: Mapping[str, Any]) -> list[Path]:
    """Gives old names back to the files that still have the new ones and are not in each other's way."""
    if not renames:
        return []
    folder = Path(renames["folder"])
    if not folder.is_dir():
        return []
    finished = finish_renames(folder)
    present = set(os.listdir(folder))
    back = {new: old for old, new in _still_renamed(folder, renames, present)}
    back = {new: old for new, old in back.items() if old not in present or old in back}
    while blocked := [new for new, old in back.items() if old in present and old not in back]:
        for new in blocked:
            del back[new]
    if finished and not back:  # it was an undo that had been interrupted
        return [folder / old for old, _ in renames["names"] if old in present]
    rename_all(folder, back)
    return [folder / old for old in back.values()]


def _still_renamed(folder: Path, renames: Mapping[str, Any], present: set[str]) -> list[tuple[str, str]]:
    """Old and new name of the files that have the new one. Where a kill came before the renaming began, or after it
    was undone, such a name may belong to another file of the same renaming; that one is left alone."""
    names = [(str(old), str(new)) for old, new in renames["names"]]
    inodes = renames.get("inodes") or [None] * len(names)
    known = {*inodes, None}
    kept = []
    for (old, new), inode in zip(names, inodes, strict=True):
        if new in present:
            found = (folder / new).stat().st_ino
            if found == inode or found not in known:  # the same file, or one that was written anew since
                kept.append((old, new))
    return kept


def _check(folder: Path, changed: Mapping[str, str], gone: set[str] | None = None) -> None:
    """Refuses names that collide, compared without case as some disks do."""
    plain = [name for name in (*changed, *changed.values()) if Path(name).name != name or name in ("", ".", "..")]
    if plain:
        raise BadOption(f"A file name has no folder in it. Received: {plain[0]}.")
    present = set(os.listdir(folder)) - (gone or set())
    missing = [old for old in changed if old not in present]
    if missing:
        raise BadOption(f"These files are not in {folder}. Received: {_few(missing)}.", "Run the step again.")
    staying = {name.casefold() for name in present - set(changed)}
    counts = Counter(new.casefold() for new in changed.values())
    clashes = [new for new in changed.values() if counts[new.casefold()] > 1 or new.casefold() in staying]
    if clashes:
        raise BadOption(
            f"Two files in {folder} would have one name, so nothing was renamed. Received: {_few(clashes)}.",
            "Move the files that are in the way to another folder, then run the step again.",
        )


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _read_journal(stream: IO[str], journal: Path) -> tuple[list[tuple[str, str, str]], bool]:
    lines = stream.read().split("\n")
    try:
        record = json.loads(lines[0])
        if record["schema"] != _SCHEMA:
            raise ValueError("its schema is not known")
        moves = [(str(old), str(hidden), str(new)) for old, hidden, new in record["names"]]
        if any(Path(name).name != name for move in moves for name in move):
            raise ValueError("it leads out of the folder")
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BrokenFile(
            journal, f"the list of an unfinished renaming cannot be read ({problem}).", "Look at it, then move it away."
        ) from problem
    return moves, _ASIDE in lines[1:]


def _rename(old: Path, new: Path) -> None:
    """One rename; the test's faults are injected here."""
    os.rename(old, new)


@contextlib.contextmanager
def _locked(stream: IO[str], folder: Path) -> Iterator[None]:
    """Holds the journal for the block; the system gives it back when the process dies."""
    try:
        if os.name == "nt":
            import msvcrt

            windows: Any = msvcrt  # its functions exist on Windows only
            stream.seek(0x7FFF0000)  # a byte far behind the text: a locked one could not be read
            windows.locking(stream.fileno(), windows.LK_NBLCK, 1)
            stream.seek(0)
        else:
            import fcntl

            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        raise FaceLoomError(
            f"Another program is renaming the files in {folder} at this moment.", "Wait until it is done."
        ) from problem
    except PermissionError as problem:  # what Windows says of a lock that is taken
        raise FaceLoomError(
            f"Another program is renaming the files in {folder} at this moment.", "Wait until it is done."
        ) from problem
    yield
