"""One trainer per model: a lock the operating system takes back when its owner dies, however it dies.

The lock is held on the open file `lock` in the model's folder, not by the file being there: after a kill or a power
cut nothing stale is left. The file says who holds it, for the sentence the second trainer prints.

Network folders: NFS and SMB pass the lock on to the server, which knows the trainers of all machines. A file system
that knows no locks cannot tell; there a trainer on another machine is known by its `report.json`, which it rewrites
every few seconds (models/report.py), and one that has been silent for two minutes counts as gone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from core.errors import FaceLoomError
from core.files import explain_os_error
from models.report import REPORT_NAME

LOCK_NAME = "lock"

SILENT_SECONDS = 120.0
"""Without locks: a trainer on another machine that has written no figures for so long is gone."""

_LOCKED_BYTE = 1 << 30  # far behind the words in the file: Windows keeps others from reading what is locked


@contextlib.contextmanager
def lock_model(folder: Path) -> Iterator[None]:
    """Holds the model in `folder` (made when missing) for the length of the block.

    Raises:
        FaceLoomError: another process holds it, or the folder cannot be written.
    """
    path = folder / LOCK_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise explain_os_error(problem, path) from problem
    try:
        taken = _take(descriptor)
        if taken is None:
            os.utime(path)  # the file server's own clock, to hold the age of the figures against
            taken = not _is_trained_elsewhere(folder, now=path.stat().st_mtime)
        if not taken:
            owner = _owner(path)
            raise FaceLoomError(
                f"The model in {folder} is being trained by another process{f' ({owner})' if owner else ''}.",
                "Stop that one first (Ctrl-C saves), or train another model with --model-name.",
            )
        words = f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now():%Y-%m-%d %H:%M:%S}\n"
        with contextlib.suppress(OSError):  # a full disk; the lock holds all the same
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, words.encode())
        yield
    finally:
        os.close(descriptor)  # gives the lock back


def _take(descriptor: int) -> bool | None:
    """Tries once, without waiting. None: the file system knows no locks."""
    try:
        if os.name == "nt":
            import msvcrt

            windows: Any = msvcrt  # its functions exist on Windows only
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            windows.locking(descriptor, windows.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        return None if problem.errno in (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS) else False
    return True


def _owner(path: Path) -> str:
    """Who wrote the lock file last; "" where that cannot be read."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _is_trained_elsewhere(folder: Path, now: float) -> bool:
    """Whether the figures in the folder are those of a trainer that still lives. `now`: by the folder's own clock."""
    path = folder / REPORT_NAME
    try:
        report = json.loads(path.read_text("utf-8"))
        age = now - path.stat().st_mtime
        stopped, process, host = report["stopped_by"], int(report["process"]), report["host"]
    except (OSError, ValueError, TypeError, KeyError):
        return False
    if stopped:
        return False
    if host == socket.gethostname():
        return process != os.getpid() and psutil.pid_exists(process) and age < SILENT_SECONDS
    return age < SILENT_SECONDS
