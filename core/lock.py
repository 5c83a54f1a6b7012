"""Work that only one process may do at a time: a lock the operating system takes back when its owner dies, however it
dies.

The lock is held on the open file, not by the file being there: after a kill or a power cut nothing stale is left. The
file says who holds it, for the sentence that the second one prints.

Network folders: NFS and SMB pass the lock on to the server, which knows the processes of all machines. A file system
that knows no locks cannot tell; there everybody is let in, unless the caller has another way to know.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import FaceLoomError
from core.files import explain_os_error

_LOCKED_BYTE = 1 << 30  # far behind the words in the file: Windows keeps others from reading what is locked


@contextlib.contextmanager
def hold(
    path: Path,
    refusal: Callable[[str], FaceLoomError],
    is_held_elsewhere: Callable[[float], bool] = lambda now: False,
) -> Iterator[None]:
    """Holds the lock for the length of the block. The file, and the folder it is in, are made when missing.

    Args:
        refusal: the error for whoever comes second, given " (process 7 on host, since ...)", or "" if nobody knows.
        is_held_elsewhere: asked where the file system knows no locks, with the time by the folder's own clock.

    Raises:
        FaceLoomError: another process holds it (`refusal`), or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise explain_os_error(problem, path) from problem
    try:
        taken = _take(descriptor)
        if taken is None:
            os.utime(path)  # the file server's own clock
            taken = not is_held_elsewhere(path.stat().st_mtime)
        if not taken:
            raise refusal(_owner(path))
        words = f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now():%Y-%m-%d %H:%M:%S}\n"
        with contextlib.suppress(OSError):  # a full disk; the lock holds all the same
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, words.encode())
        yield
    finally:
        os.close(descriptor)  # gives the lock back


def refuse_while_held(path: Path, refusal: Callable[[str], FaceLoomError]) -> None:
    """Raises `refusal` (as in `hold`) while a process holds the lock; nothing is made or held."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:  # never held, or not to be written: then nobody writes there either
        return
    try:
        if _take(descriptor) is False:
            raise refusal(_owner(path))
    finally:
        os.close(descriptor)


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
    """Who wrote the lock file last, in brackets; "" where that cannot be read."""
    try:
        words = path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
    return f" ({words})" if words else ""
