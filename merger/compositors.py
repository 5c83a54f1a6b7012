"""The worker processes that read, cut, composite and write frames. They never load a neural framework.

A compositor owns a frame from its first to its last pixel: it reads it, sends only the small aligned faces to the
engine, keeps the frame until the predictions come back, and writes the result, or measures it for those who steady a
scene. Messages in: `Prepare`, `Finish`, `Drop`, None (stop). Messages out: None (here I am), `Aligned`, `Done`,
`Measured`, `Failed`.

Three threads share the work of a process, and so its waiting: one reads ahead, one composites, one encodes and writes
behind. OpenCV lets go of the interpreter meanwhile. The engine hands a compositor only so many frames at once, so none
of the three can run away.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import FaceLoomError
from core.files import atomic_write_bytes
from core.images import read_image
from core.shared_arrays import SharedHandle
from facelib.face_type import FaceType
from merger.aligning import AlignedFace, align_faces
from merger.compositing import MergedFrame
from merger.face_slots import Asked, FaceSlots, Told
from merger.face_tools import FaceAnswer, FaceQuestion
from merger.frames import FrameFaces
from merger.kept_frames import bytes_of, copy_of
from merger.merge_frame import composite_faces
from merger.meters import FaceReading, read_colors
from merger.outputs import FrameWriter, PlainWriter
from merger.settings import MergeSettings

_SECONDS_TO_RECOVER = 0.5
_LARGE_BLOCK_BYTES = 31 << 20


Measures = Any
"""What was measured of a frame: whatever the measuring function gives; it travels between processes."""


@dataclass(frozen=True)
class FrameView:
    """Everything there is to measure of a frame before it is composited.

    Attributes:
        frame: (H, W, 3) BGR uint8 or uint16.
        aligned: its faces, as they were cut.
        answers: of the networks, one for each face; none where the settings need none.
        settings: as they will be rendered.
        face_type, resolution: of the model.
    """

    frame: NDArray
    aligned: Sequence[AlignedFace]
    answers: Sequence[FaceAnswer]
    settings: MergeSettings
    face_type: FaceType
    resolution: int


@dataclass(frozen=True)
class CompositorSetup:
    """What every compositor is told once.

    Attributes:
        frames_folder, masks_folder: where the frame's file and its mask's go, under the frame's stem.
        resolution, face_type: of the model.
        segment_face_type: of the XSeg model; None: there is none, or it is the model's.
        writer: makes the files.
    """

    frames_folder: Path
    masks_folder: Path
    resolution: int
    face_type: FaceType
    segment_face_type: FaceType | None = None
    writer: FrameWriter = PlainWriter()


@dataclass(frozen=True)
class Prepare:
    """Read a frame and cut out its faces; a frame that needs no prediction, and one that was kept, is finished at once.

    Attributes:
        adjustment: what steadies this frame, if anything; for `composite_faces`.
        measure: a function of a module; with it the frame is measured, and nothing is written.
    """

    number: int
    frame: FrameFaces
    settings: MergeSettings
    adjustment: Any = None
    measure: Callable[[FrameView], Measures] | None = None


@dataclass(frozen=True)
class Finish:
    """Composite a prepared frame with what the networks said of its faces, and write it; or measure it.

    Attributes:
        is_kept: having measured it, keep it with these answers until it is to be composited.
    """

    number: int
    answers: Sequence[FaceAnswer | Told]
    is_kept: bool = False


@dataclass(frozen=True)
class Drop:
    """Forget a prepared frame: the model could not predict its faces."""

    number: int


@dataclass(frozen=True)
class Aligned:
    """The faces of a frame, waiting for the networks; none: it needs no prediction, and is to be measured.

    Attributes:
        size: of a frame that is to be measured, with its faces, in bytes.
    """

    number: int
    questions: Sequence[FaceQuestion | Asked]
    size: int | None = None


@dataclass(frozen=True)
class Done:
    """A frame and its mask are on disk; their sizes in bytes, and what the meters read off its faces."""

    number: int
    sizes: tuple[int, int]
    readings: Sequence[FaceReading] = ()


@dataclass(frozen=True)
class Measured:
    """A frame has been measured."""

    number: int
    measures: Measures


@dataclass(frozen=True)
class Failed:
    """A frame could not be finished.

    Attributes:
        reason: one sentence.
        details: the traceback of an unexpected failure, for the log.
        in_writing: the disk or the folder refuses, so the next frame will fare no better.
        for_want_of_memory: the process has none left.
    """

    number: int
    reason: str
    details: str = ""
    in_writing: bool = False
    for_want_of_memory: bool = False


@dataclass(frozen=True)
class Read:
    """Between two threads: a frame that has been read, to be cut; or one that was kept, to be composited."""

    number: int
    order: Prepare
    picture: NDArray
    kept: _Prepared | None = None


@dataclass(frozen=True)
class Unwritten:
    """Between two threads: a frame that has been composited, to be written."""

    number: int
    frame: FrameFaces
    picture: NDArray
    merged: MergedFrame


@dataclass
class _Prepared:
    """A frame that waits for the networks; or, with their answers, to be composited."""

    order: Prepare
    picture: NDArray
    aligned: list[AlignedFace]
    questions: Sequence[FaceQuestion | Asked] = ()
    answers: Sequence[FaceAnswer | Told] = ()


def run_compositor(connection: Connection, setup: CompositorSetup, handle: SharedHandle | None) -> None:
    """The body of a worker process; ends on None, or when the engine is gone."""
    # Ctrl-C reaches every process of the terminal; only the engine acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settle_process()
    compositor = Compositor(setup, FaceSlots.attach(handle))
    to_read: queue.SimpleQueue[Any] = queue.SimpleQueue()
    to_work_on: queue.SimpleQueue[Any] = queue.SimpleQueue()
    to_write: queue.SimpleQueue[Any] = queue.SimpleQueue()
    gone = threading.Event()
    turn = threading.Lock()

    def send(message: Any) -> None:
        with turn, contextlib.suppress(OSError):
            connection.send(message)

    def pass_on(message: Any) -> None:
        if isinstance(message, Unwritten):
            to_write.put(message)
        elif isinstance(message, Read):
            to_work_on.put(message)
        elif message is not None:
            send(message)

    def work(inbox: queue.SimpleQueue[Any]) -> None:
        while (message := inbox.get()) is not None and not gone.is_set():
            pass_on(compositor.work_on(message))

    send(None)
    threading.Thread(target=_receive, args=(connection, to_read, to_work_on, gone), daemon=True).start()
    threading.Thread(target=work, args=(to_read,), daemon=True).start()
    writing = threading.Thread(target=work, args=(to_write,), daemon=True)
    writing.start()
    work(to_work_on)
    to_write.put(None)  # what is composited is written
    writing.join()


def _receive(
    connection: Connection,
    to_read: queue.SimpleQueue[Any],
    to_work_on: queue.SimpleQueue[Any],
    gone: threading.Event,
) -> None:
    """Always takes messages off the pipe, so that engine and compositor never wait for each other to read."""
    told_to_stop = False
    try:
        with contextlib.suppress(EOFError, OSError):
            while (message := connection.recv()) is not None:
                (to_read if isinstance(message, Prepare) else to_work_on).put(message)
            told_to_stop = True
    finally:  # whatever a message did on its arrival: a process that hears nothing more must not stay
        if not told_to_stop:
            gone.set()
        to_work_on.put(None)


def settle_process() -> None:
    """Sets this process up for compositing on one processor core."""
    cv2.setNumThreads(1)
    # The C library learns from one large block, taken and given back, to keep freed memory instead of returning it to
    # the system and clearing it anew for the next frame.
    np.empty(_LARGE_BLOCK_BYTES, np.uint8)


class Compositor:
    """The frames a worker process has under way."""

    def __init__(self, setup: CompositorSetup, slots: FaceSlots | None = None) -> None:
        self._setup = setup
        self._slots = slots or FaceSlots(None)
        self._prepared: dict[int, _Prepared] = {}
        self._kept: dict[str, _Prepared] = {}

    def work_on(
        self, message: Prepare | Read | Finish | Unwritten | Drop
    ) -> Read | Aligned | Unwritten | Measured | Done | Failed | None:
        """Does what a message asks for, one step; what comes back is the next step's, or the engine's."""
        steps: dict[type, Callable[[Any], Any]] = {
            Prepare: self._read,
            Read: self._align,
            Finish: self._composite,
            Unwritten: self._write,
            Drop: self._drop,
        }
        try:
            return steps[type(message)](message)
        except FaceLoomError as problem:
            return Failed(message.number, str(problem))
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}"
            want = isinstance(problem, MemoryError)
            return Failed(message.number, reason, traceback.format_exc(), for_want_of_memory=want)

    def work_through(self, message: Prepare | Finish | Drop) -> Aligned | Measured | Done | Failed | None:
        """All steps of a message, one after the other; what comes back is the engine's."""
        answer = self.work_on(message)
        while isinstance(answer, Read | Unwritten):
            answer = self.work_on(answer)
        return answer

    def _read(self, message: Prepare) -> Read:
        kept = self._kept.pop(message.frame.stem, None)
        if kept is not None:
            return Read(message.number, message, kept.picture, kept)
        return Read(message.number, message, self._setup.writer.prepare(read_image(message.frame.path)))

    def _align(self, message: Read) -> Aligned | Unwritten | Measured:
        setup, order = self._setup, message.order
        if message.kept is not None:
            self._prepared[message.number] = replace(message.kept, order=order)
            return self._composite(Finish(message.number, message.kept.answers))
        shape = (setup.resolution, setup.face_type)
        aligned = align_faces(*(message.picture, order.frame.faces, *shape, order.settings, setup.segment_face_type))
        prepared = _Prepared(order, message.picture, aligned)
        self._prepared[message.number] = prepared
        if aligned and any(one.needs_prediction for one in order.frame.every_settings(order.settings)):
            prepared.questions = [self._slots.ask(face.question) for face in aligned]
        elif order.measure is None:
            return self._composite(Finish(message.number, ()))
        size = bytes_of((prepared.picture, prepared.aligned)) if order.measure is not None else None
        return Aligned(message.number, prepared.questions, size)

    def _composite(self, message: Finish) -> Unwritten | Measured:
        prepared = self._prepared[message.number]
        setup, order = self._setup, prepared.order
        try:
            answers = [self._slots.answer(told) for told in message.answers]
            view = FrameView(
                *(prepared.picture, prepared.aligned, answers, order.settings, setup.face_type, setup.resolution)
            )
            if order.measure is not None:
                measured = Measured(message.number, order.measure(view))
                if message.is_kept:
                    own = [copy_of(answer) for answer in answers]
                    self._kept[order.frame.stem] = replace(prepared, questions=(), answers=own)
                return measured
            merged = composite_faces(
                *(view.frame, view.aligned, answers, view.settings, view.face_type, view.resolution),
                with_layers=setup.writer.needs_layers,
                shares=order.frame.shares,
                **({} if order.adjustment is None else {"adjustment": order.adjustment}),
            )
        finally:
            self._drop(message)
        return Unwritten(message.number, order.frame, prepared.picture, merged)

    def _drop(self, message: Drop | Finish) -> None:
        prepared = self._prepared.pop(message.number, None)
        for asked in prepared.questions if prepared is not None else ():
            self._slots.release(asked)

    def _write(self, message: Unwritten) -> Done | Failed:
        setup, stem = self._setup, message.frame.stem
        image, mask = setup.writer.encode(message.merged, message.picture)
        image_suffix, mask_suffix = setup.writer.suffixes
        try:
            _write(setup.masks_folder / f"{stem}{mask_suffix}", mask)
            _write(setup.frames_folder / f"{stem}{image_suffix}", image)
        except FaceLoomError as problem:
            return Failed(message.number, str(problem), in_writing=True)
        readings = read_colors(message.picture, message.merged, message.frame.faces)
        return Done(message.number, (len(image), len(mask)), readings)


def _write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all; a disk that refuses (a network's may recover) is asked twice."""
    try:
        atomic_write_bytes(path, data)
    except FaceLoomError:
        time.sleep(_SECONDS_TO_RECOVER)
        atomic_write_bytes(path, data)


def remove_unfinished_files(*folders: Path) -> None:
    """Clears away what a killed run left half written (hidden `.part.*` files, never a frame)."""
    for folder in folders:
        for path in folder.glob(".*.part.*"):
            with contextlib.suppress(OSError):
                os.unlink(path)
