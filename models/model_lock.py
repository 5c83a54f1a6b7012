"""One trainer per model: a lock the operating system takes back when its owner dies, however it dies.

The lock is held on the open file `lock` in the model's folder, not by the file being there: after a kill or a power
cut nothing stale is left. The file says who holds it, for the sentence the second trainer prints.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import FaceLoomError
from core.files import explain_os_error

LOCK_NAME = "lock"


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
        if not _take(descriptor):
            owner = path.read_text("utf-8", "replace").strip() if os.name != "nt" else ""
            raise FaceLoomError(
                f"The model in {folder} is being trained by another process{f' ({owner})' if owner else ''}.",
                "Stop that one first (Ctrl-C saves), or train another model with --model-name.",
            )
        if os.name != "nt":  # Windows locks bytes against reading too, so nobody could read the owner's words
            with contextlib.suppress(OSError):  # a full disk; the lock holds all the same
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M:%S}\n".encode())
        yield
    finally:
        os.close(descriptor)  # gives the lock back


def _take(descriptor: int) -> bool:
    """Tries once, without waiting. A file system that knows no locks lets everybody in."""
    try:
        if os.name == "nt":
            import msvcrt

            windows: Any = msvcrt  # its functions exist on Windows only
            windows.locking(descriptor, windows.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        return problem.errno in (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS)
    return True
