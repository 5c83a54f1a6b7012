"""Faces that misbehave when they reach a worker process: for tests of what the engine does then."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from core.files import explain_os_error
from merger import compositors
from merger.frames import FrameFace


class TravelingFace(FrameFace):
    """A face that calls a function when it arrives in another process; the function's result is what arrives."""

    def __init__(self, landmarks: NDArray, arrival: Callable[..., FrameFace], *arguments: Any) -> None:
        super().__init__(landmarks)
        object.__setattr__(self, "_arrival", (arrival, (landmarks, *arguments)))

    def __reduce__(self) -> tuple[Callable[..., FrameFace], tuple[Any, ...]]:
        return self.__dict__["_arrival"]


def die(landmarks: NDArray) -> FrameFace:
    """Takes the process down, as a crash in a library would."""
    os._exit(9)


def fail_to_arrive(landmarks: NDArray) -> FrameFace:
    """Breaks the message it travels in."""
    raise RuntimeError("this message cannot be read")


def die_once(landmarks: NDArray, marker: Path) -> FrameFace:
    """Takes the process down the first time."""
    if not marker.exists():
        marker.touch()
        os._exit(9)
    return FrameFace(landmarks)


def note_modules(landmarks: NDArray, file: Path) -> FrameFace:
    """Writes down which modules the process has loaded."""
    file.write_text("\n".join(sys.modules), encoding="utf-8")
    return FrameFace(landmarks)


def sleep_once(landmarks: NDArray, marker: Path) -> FrameFace:
    """Never arrives the first time, as where a disk of the network does not answer."""
    if not marker.exists():
        marker.touch()
        time.sleep(3600)
    return FrameFace(landmarks)


def fill_disk(landmarks: NDArray) -> FrameFace:
    """From now on the disk is full, for this process."""

    def refuse(path: Path, data: bytes) -> None:
        raise explain_os_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path)

    vars(compositors)["atomic_write_bytes"] = refuse
    return FrameFace(landmarks)


def use_up_memory(landmarks: NDArray) -> FrameFace:
    """From now on frames are too large for this process."""

    def refuse(path: Path) -> NDArray:
        raise MemoryError

    vars(compositors)["read_image"] = refuse
    return FrameFace(landmarks)
