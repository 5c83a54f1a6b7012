"""The worker processes that read, cut, composite and write frames. They never load a neural framework.

A compositor owns a frame from its first to its last pixel: it reads it, sends only the small aligned faces to the
engine, keeps the frame until the predictions come back, and writes the result. Messages in, in the order they are
worked on: `Prepare`, `Finish`, `Drop`, None (stop). Messages out: `Aligned`, `Done`, `Failed`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import FaceLoomError
from core.files import atomic_write_bytes
from core.images import encode_png, read_image
from facelib.face_type import FaceType
from merger.aligning import AlignedFace, align_faces
from merger.face_tools import FaceAnswer, FaceQuestion
from merger.frames import FrameFaces
from merger.merge_frame import composite_faces
from merger.settings import MergeSettings

_SECONDS_TO_RECOVER = 0.5
_LARGE_BLOCK_BYTES = 31 << 20


@dataclass(frozen=True)
class CompositorSetup:
    """What every compositor is told once.

    Attributes:
        frames_folder, masks_folder: where `<stem>.png` goes.
        resolution, face_type: of the model.
        segment_face_type: of the XSeg model; None: there is none, or it is the model's.
    """

    frames_folder: Path
    masks_folder: Path
    resolution: int
    face_type: FaceType
    segment_face_type: FaceType | None = None


@dataclass(frozen=True)
class Prepare:
    """Read a frame and cut out its faces; a frame that needs no prediction is finished at once."""

    number: int
    frame: FrameFaces
    settings: MergeSettings


@dataclass(frozen=True)
class Finish:
    """Composite a prepared frame with what the networks said of its faces, and write it."""

    number: int
    answers: Sequence[FaceAnswer]


@dataclass(frozen=True)
class Drop:
    """Forget a prepared frame: the model could not predict its faces."""

    number: int


@dataclass(frozen=True)
class Aligned:
    """The faces of a frame, waiting for the networks."""

    number: int
    questions: Sequence[FaceQuestion]


@dataclass(frozen=True)
class Done:
    """A frame and its mask are on disk; their sizes in bytes."""

    number: int
    sizes: tuple[int, int]


@dataclass(frozen=True)
class Failed:
    """A frame could not be finished.

    Attributes:
        reason: one sentence.
        details: the traceback of an unexpected failure, for the log.
        in_writing: the disk or the folder refuses, so the next frame will fare no better.
    """

    number: int
    reason: str
    details: str = ""
    in_writing: bool = False


Message = Prepare | Finish | Drop | None


def run_compositor(connection: Connection, setup: CompositorSetup) -> None:
    """The body of a worker process; ends on None, or when the engine is gone."""
    # Ctrl-C reaches every process of the terminal; only the engine acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settle_process()
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    engine_gone = threading.Event()
    threading.Thread(target=_receive, args=(connection, inbox, engine_gone), daemon=True).start()
    compositor = Compositor(setup)
    while (message := inbox.get()) is not None and not engine_gone.is_set():
        answer = compositor.work_on(message)
        try:
            if answer is not None:
                connection.send(answer)
        except OSError:
            return


def _receive(connection: Connection, inbox: queue.SimpleQueue[Message], gone: threading.Event) -> None:
    """Always takes messages off the pipe, so that engine and compositor never wait for each other to read."""
    try:
        with contextlib.suppress(EOFError, OSError):
            while (message := connection.recv()) is not None:
                inbox.put(message)
    finally:  # whatever a message did on its arrival: a process that hears nothing more must not stay
        gone.set()
        inbox.put(None)


def settle_process() -> None:
    """Sets this process up for compositing on one processor core."""
    cv2.setNumThreads(1)
    # The C library learns from one large block, taken and given back, to keep freed memory instead of returning it to
    # the system and clearing it anew for the next frame.
    np.empty(_LARGE_BLOCK_BYTES, np.uint8)


class Compositor:
    """The frames a worker process has under way."""

    def __init__(self, setup: CompositorSetup) -> None:
        self._setup = setup
        self._prepared: dict[int, tuple[FrameFaces, MergeSettings, NDArray, list[AlignedFace]]] = {}

    def work_on(self, message: Prepare | Finish | Drop) -> Aligned | Done | Failed | None:
        """Does what a message asks for; what comes back goes to the engine."""
        try:
            if isinstance(message, Prepare):
                return self._prepare(message)
            if isinstance(message, Finish):
                return self._finish(message)
            self._prepared.pop(message.number, None)
            return None
        except FaceLoomError as problem:
            return Failed(message.number, str(problem))
        except Exception as problem:
            return Failed(message.number, f"{type(problem).__name__}: {problem}", traceback.format_exc())

    def _prepare(self, message: Prepare) -> Aligned | Done | Failed:
        frame = read_image(message.frame.path)
        setup, settings = self._setup, message.settings
        aligned = align_faces(
            frame, message.frame.faces, setup.resolution, setup.face_type, settings, setup.segment_face_type
        )
        self._prepared[message.number] = (message.frame, settings, frame, aligned)
        if aligned and settings.needs_prediction:
            return Aligned(message.number, [face.question for face in aligned])
        return self._finish(Finish(message.number, ()))

    def _finish(self, message: Finish) -> Done | Failed:
        source, settings, frame, aligned = self._prepared.pop(message.number)
        setup = self._setup
        merged = composite_faces(frame, aligned, message.answers, settings, setup.face_type, setup.resolution)
        name = f"{source.stem}.png"
        image, mask = encode_png(merged.image), encode_png(merged.mask)
        try:
            _write(self._setup.masks_folder / name, mask)
            _write(self._setup.frames_folder / name, image)
        except FaceLoomError as problem:
            return Failed(message.number, str(problem), in_writing=True)
        return Done(message.number, (len(image), len(mask)))


def _write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all; a disk that refuses (a network's may recover) is asked twice."""
    try:
        atomic_write_bytes(path, data)
    except FaceLoomError:
        time.sleep(_SECONDS_TO_RECOVER)
        atomic_write_bytes(path, data)


def remove_unfinished_files(*folders: Path) -> None:
    """Clears away what a killed run left half written (hidden `.part.png` files, never a frame)."""
    for folder in folders:
        for path in folder.glob(".*.part.png"):
            with contextlib.suppress(OSError):
                os.unlink(path)
