"""Faces that misbehave when they reach a worker process: for tests of what the engine does then."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

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
