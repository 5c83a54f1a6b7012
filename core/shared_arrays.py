"""Named NumPy arrays in one block of memory that several processes see: nothing is copied, nothing is pickled.

arrays = SharedArrays.create({"images": ((8, 96, 96, 3), "uint8"), "ready": ((8,), "uint8")})
worker_process(arrays.handle)           # in the worker: SharedArrays.attach(handle)["images"]
arrays.close()                          # the creator's close also gives the memory back to the system

On Linux the block is a file of /dev/shm that never has a name: the system takes it back with the last process that uses
it, however and whenever all of them end. Others find it as an open file of its creator's (/proc). Windows works so by
itself. macOS gives a block a name until `forget_name`: only a machine that fails just then keeps it, until it restarts.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Protocol

import numpy as np

from core.errors import FaceLoomError
from core.files import show_bytes

Layout = Mapping[str, tuple[tuple[int, ...], str]]
"""Name of an array -> (shape, name of its type)."""

_ALIGNMENT = 64
_SHARED_FOLDER = "/dev/shm"


class _Block(Protocol):
    """Memory that several processes see."""

    @property
    def name(self) -> str: ...

    @property
    def buf(self) -> memoryview | mmap.mmap | None: ...

    def unlink(self) -> None:
        """Nobody can attach any more. Raises FileNotFoundError where somebody else has seen to it."""

    def close(self) -> None:
        """Raises BufferError where a view of it is still held."""


class _NamelessBlock:
    """A file of /dev/shm without a name, known by the number under which its creator has it open (Linux)."""

    def __init__(self, file: int, name: str) -> None:
        self.name = name
        self._file: int | None = file
        self.buf = mmap.mmap(file, os.fstat(file).st_size)

    @classmethod
    def create(cls, size: int) -> _NamelessBlock:
        """Raises OSError where the system has no such files, or does not let other processes find them."""
        file = os.open(_SHARED_FOLDER, os.O_TMPFILE | os.O_RDWR, 0o600)
        try:
            os.ftruncate(file, size)
            name = f"/proc/{os.getpid()}/fd/{file}:{os.fstat(file).st_ino}"
            os.close(cls._open(name))
            return cls(file, name)
        except BaseException:
            os.close(file)
            raise

    @classmethod
    def attach(cls, name: str) -> _NamelessBlock:
        """Raises FileNotFoundError where it is no longer to be found."""
        block = cls(cls._open(name), name)
        block.unlink()
        return block

    @staticmethod
    def _open(name: str) -> int:
        path, _, inode = name.rpartition(":")
        file = os.open(path, os.O_RDWR)
        if os.fstat(file).st_ino != int(inode):  # the number belongs to another file by now
            os.close(file)
            raise FileNotFoundError(f"{path} is not the block that was asked for.")
        return file

    def unlink(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def close(self) -> None:
        self.unlink()
        self.buf.close()


def _create_block(size: int) -> _Block:
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            return _NamelessBlock.create(size)
    return SharedMemory(create=True, size=size)


def _attach_block(name: str) -> _Block:
    return _NamelessBlock.attach(name) if name.startswith("/proc/") else SharedMemory(name)


@dataclass(frozen=True)
class SharedHandle:
    """What another process needs to see the arrays."""

    block: str
    layout: dict[str, tuple[tuple[int, ...], str]]


class SharedArrays:
    """Arrays by name; zero when created. `SharedArrays.private` makes the same thing for one process."""

    def __init__(self, block: _Block | None, layout: Layout, owner: bool) -> None:
        self._block = block
        self._owner = owner
        self._layout = {name: (tuple(shape), kind) for name, (shape, kind) in layout.items()}
        self._arrays: dict[str, np.ndarray] = {}
        offset = 0
        for name, (shape, kind) in self._layout.items():
            if block is None:
                self._arrays[name] = np.zeros(shape, kind)
            else:
                self._arrays[name] = np.ndarray(shape, kind, buffer=block.buf, offset=offset)
                offset += _padded_bytes(shape, kind)

    @classmethod
    def create(cls, layout: Layout) -> SharedArrays:
        """Takes memory from the system.

        Raises:
            FaceLoomError: the system has not that much shared memory, or does not give it.
        """
        size = layout_bytes(layout)
        room = shared_memory_room()
        if room is not None and size > room:
            raise FaceLoomError(
                f"{show_bytes(size)} of shared memory are needed and {show_bytes(room)} are free.",
                "Use a smaller batch or fewer workers, or give the container more (docker run --shm-size 8g).",
            )
        try:
            block = _create_block(max(1, size))
        except OSError as problem:  # Windows, say, takes it from the paging file at once
            raise FaceLoomError(
                f"{show_bytes(size)} of shared memory are needed, and the system refuses: {problem}.",
                "Close other programs, use a smaller batch or fewer workers, or let Windows enlarge its paging file.",
            ) from problem
        return cls(block, layout, owner=True)

    @classmethod
    def private(cls, layout: Layout) -> SharedArrays:
        """Arrays of this process alone."""
        return cls(None, layout, owner=True)

    @classmethod
    def attach(cls, handle: SharedHandle) -> SharedArrays:
        """The arrays another process created."""
        return cls(_attach_block(handle.block), handle.layout, owner=False)

    @property
    def handle(self) -> SharedHandle:
        """What `attach` needs. Only for arrays that are shared."""
        if self._block is None:
            raise ValueError("These arrays belong to one process.")
        return SharedHandle(self._block.name, self._layout)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def forget_name(self) -> None:
        """For the creator, once everybody has attached: the memory goes back to the system with the last process that
        uses it, even if all are killed at once. Nobody can attach any more. Does nothing where the system works so
        anyway (Windows).
        """
        if self._block is not None and self._owner:
            with contextlib.suppress(FileNotFoundError):
                self._block.unlink()
            self._owner = False

    def close(self) -> None:
        """Lets go of the memory; the creator also gives it back to the system. May be called again."""
        self._arrays.clear()
        block, self._block = self._block, None
        if block is None:
            return
        if self._owner:
            with contextlib.suppress(FileNotFoundError):
                block.unlink()
        # A view somebody still holds keeps the mapping alive; the system frees it with the process.
        with contextlib.suppress(BufferError):
            block.close()


def layout_bytes(layout: Layout) -> int:
    """How much memory a layout takes."""
    return sum(_padded_bytes(shape, kind) for shape, kind in layout.values())


def _padded_bytes(shape: tuple[int, ...], kind: str) -> int:
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def shared_memory_room() -> int | None:
    """Bytes of shared memory that are free where the system has a separate limit (Linux); None: no such limit."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        state = os.statvfs(_SHARED_FOLDER)
    except OSError:
        return None
    return state.f_bavail * state.f_frsize
