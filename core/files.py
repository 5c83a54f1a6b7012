"""Files that survive crashes: atomic writes, folder swaps, a trash with undo, natural order.

Rule of the house: a file is either its old self or its new self, never half of each; and nothing is deleted, it is
moved to the workspace's `trash/<time>/`, whose `what.json` remembers where everything came from.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import FaceLoomError, MissingInput
from core.paths import IMAGE_EXTENSIONS

_TRASH_LIST = "what.json"


def explain_os_error(problem: OSError, path: Path) -> FaceLoomError:
    """Puts a failed read or write of `path` into words a user can act on."""
    if problem.errno == errno.ENOSPC:
        return FaceLoomError(
            f"The disk is full: {path} could not be written.", "Free some space, then run the same step again."
        )
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FaceLoomError(
            f"{path} cannot be written: {problem.strerror}.",
            "Make the folder writable (or close the program that holds the file), then run the same step again.",
        )
    return FaceLoomError(f"{path}: {problem.strerror or problem}.", "Check the disk and the path, then try again.")


_PATIENCE_SECONDS = 3.0 if os.name == "nt" else 0.0


def replace_patiently(old: Path, new: Path) -> None:
    """`os.replace`; Windows refuses while a virus scanner, an index or a viewer has the file (for a folder: any file
    in it) open, which is over in a moment, so it is tried again for three seconds there.

    Raises:
        OSError: as `os.replace`.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return os.replace(old, new)
        except PermissionError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.05)


def sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` durable where the system allows it (a no-op on Windows)."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file(path: Path) -> None:
    """Flushes a closed file to the disk."""
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A hidden name beside `path`, with the same suffix, to write to.

    When the block ends well the file is flushed and takes the place of `path` in one step; when it raises, the
    unfinished file is removed and `path` is untouched.

    Raises:
        FaceLoomError: the disk is full, or the folder cannot be written (an OSError put into words).
    """
    # Short, so that the hidden name fits where the real one does.
    unfinished = path.with_name(f".{uuid.uuid4().hex[:12]}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        sync_file(unfinished)
        replace_patiently(unfinished, path)
    except OSError as problem:
        raise explain_os_error(problem, path) from problem
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
    sync_folder(path.parent)


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Writes `data` so that `path` holds either the old content or all of the new."""
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(data)


def atomic_write_text(path: Path, text: str) -> None:
    """As `atomic_write_bytes`, in UTF-8 with line feeds."""
    atomic_write_bytes(path, text.encode("utf-8"))


def swap_folder(new: Path, target: Path, previous: Path) -> None:
    """Puts the complete folder `new` in the place of `target`, which becomes `previous`.

    Whatever moment the power fails at, `target` or `previous` is a complete folder: first the old `previous` goes,
    then target -> previous, then new -> target. All three must lie on one disk.
    """
    try:
        for file in new.rglob("*"):
            if file.is_file():
                sync_file(file)
        sync_folder(new)
        if target.exists():
            if previous.exists():
                shutil.rmtree(previous)
            replace_patiently(target, previous)
        replace_patiently(new, target)
    except OSError as problem:
        raise explain_os_error(problem, target) from problem
    sync_folder(target.parent)


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts "9.png" before "10.png": runs of digits count as numbers; ties fall back to the text itself."""
    parts = re.split(r"([0-9]+)", text.casefold())
    key = tuple((1, int(p), p) if p.isascii() and p.isdigit() else (0, 0, p) for p in parts)
    return (*key, (0, 0, text))


def natural_sorted(paths: Iterable[Path]) -> list[Path]:
    """Paths in natural order of their names."""
    return sorted(paths, key=lambda p: (natural_key(p.name), str(p)))


def list_images(folder: Path, extensions: Sequence[str] = IMAGE_EXTENSIONS) -> list[Path]:
    """Pictures directly inside `folder` in natural order; hidden files and macOS companions are passed over.

    Raises:
        MissingInput: the folder does not exist.
    """
    if not folder.is_dir():
        raise MissingInput(f"There is no folder {folder}.", "Run the step that makes it first, or check the path.")
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".")]
    wanted = tuple(e.casefold() for e in extensions)
    return natural_sorted(folder / n for n in names if n.casefold().endswith(wanted))


def move_to_trash(trash: Path, paths: Sequence[Path], reason: str, **details: Any) -> Path:
    """Moves files and folders into `trash/<time>/` and remembers where they came from.

    The list is written before anything moves, so a crash in between loses nothing: `undo_box` restores what did move.

    Args:
        details: further entries of the list, which must be plain JSON values or paths ("renames", "replaced_by").

    Returns:
        The new folder inside `trash`.
    """
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    box = trash / stamp
    for n in range(2, 1000):
        if not box.exists():
            break
        box = trash / f"{stamp}_{n}"
    moves = []
    taken: set[str] = set()
    for n, path in enumerate(paths):
        name = path.name
        while name.casefold() in taken:
            name = f"{n:05d}_{name}"
        taken.add(name.casefold())
        moves.append({"from": os.path.abspath(path), "name": name})
    try:
        (box / "items").mkdir(parents=True)
        record = {"reason": reason, "moves": moves, **details}
        atomic_write_text(box / _TRASH_LIST, json.dumps(record, indent=1, default=str))
        for move in moves:
            shutil.move(move["from"], box / "items" / move["name"])
    except OSError as problem:
        raise explain_os_error(problem, box) from problem
    return box


def newest_box(trash: Path) -> tuple[Path, dict[str, Any]]:
    """The newest folder of the trash and its record: "reason", "moves", perhaps "replaced_by" and "renames".

    Raises:
        MissingInput: the trash holds nothing to undo.
    """
    boxes = [p for p in trash.iterdir() if (p / _TRASH_LIST).is_file()] if trash.is_dir() else []
    if not boxes:
        raise MissingInput(f"There is nothing to undo: {trash} is empty.")
    box = max(boxes, key=lambda p: natural_key(p.name))
    return box, json.loads((box / _TRASH_LIST).read_text("utf-8"))


def undo_box(box: Path) -> list[Path]:
    """Brings back what one folder of the trash holds; what would overwrite something stays there.

    Returns:
        The restored paths.
    """
    restored = []
    for move in json.loads((box / _TRASH_LIST).read_text("utf-8"))["moves"]:
        item, home = box / "items" / move["name"], Path(move["from"])
        if item.exists() and not home.exists():
            home.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(item, home)
            restored.append(home)
    items = box / "items"
    if not items.exists() or not any(items.iterdir()):
        shutil.rmtree(box)
    return restored


def free_bytes(path: Path) -> int:
    """Free space on the disk that holds `path` (or its nearest existing parent)."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def show_bytes(count: float) -> str:
    """A size as people say it: 12345678 -> "12.3 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def require_free_space(path: Path, needed_bytes: int) -> None:
    """Stops before long work that cannot fit.

    Raises:
        FaceLoomError: less than `needed_bytes` are free.
    """
    free = free_bytes(path)
    if free < needed_bytes:
        raise FaceLoomError(
            f"The disk of {path} has {show_bytes(free)} free, and about {show_bytes(needed_bytes)} are needed.",
            "Free some space, or put the workspace on a larger disk.",
        )
