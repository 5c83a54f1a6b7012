"""The compositor processes of a merge, as the engine sees them. Starting one takes longer than rendering many frames,
so they stay until the merge is over, whatever it does meanwhile.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

from core.errors import FaceLoomError
from merger.compositors import CompositorSetup, Drop, Finish, Prepare, run_compositor
from merger.face_slots import FaceSlots

_SECONDS_TO_END = 10.0

_MOST_PROCESSES = 61 if os.name == "nt" else 1024
"""Before Python 3.13, Windows cannot wait for more than 63 pipes at once."""


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """A process started in here ignores Ctrl-C from its first moment, before any line of ours runs in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Worker:
    """A compositor process.

    Attributes:
        under_way: numbers of its frames that are neither done nor failed.
        silent_since: when it was last spoken with, seconds.
        is_used_up: it has run out of memory: once its frames are over, another one is to take its place.
    """

    def __init__(self, setup: CompositorSetup, slots: FaceSlots) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.slots = slots
        self.connection, theirs = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(
            target=run_compositor, args=(theirs, setup, slots.handle), name="compositor", daemon=True
        )
        with _interrupts_ignored():
            self.process.start()
        theirs.close()
        self.under_way: set[int] = set()
        self.silent_since = time.monotonic()
        self.is_used_up = False

    def send(self, message: Prepare | Finish | Drop | None) -> None:
        """Never fails: a dead process is noticed, and its frames are taken over, when its pipe is read."""
        self.silent_since = time.monotonic()
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def end(self, seconds: float) -> None:
        """Waits for the process, which has been told to stop; ends it when it does not."""
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        self.slots.close()


class Crew:
    """Worker processes, started when they are needed.

    Args:
        most: processes.
        make_slots: the memory that one of them shares with the engine.
        frames_at_once: what one of them may hold. With 1, a death can be laid at one frame's door.
    """

    def __init__(
        self, setup: CompositorSetup, most: int, make_slots: Callable[[], FaceSlots], frames_at_once: int = 1
    ) -> None:
        self._setup = setup
        self._most = min(most, _MOST_PROCESSES)
        self._make_slots = make_slots
        self.frames_at_once = frames_at_once
        self._deaths_in_a_row = 0
        self.workers: list[Worker] = []

    def gather(self, jobs: int) -> None:
        """Starts as many processes as so many jobs can use."""
        while len(self.workers) < min(self._most, jobs):
            self._start()

    def replace(self, worker: Worker) -> None:
        """A fresh process takes the place of one that is lost, or has no frames any more."""
        worker.send(None)
        worker.end(1.0)
        self.workers.remove(worker)
        self._start()

    def note_death(self, reason: str) -> None:
        """Raises FaceLoomError where one process after the other dies, and nothing is finished in between."""
        self._deaths_in_a_row += 1
        if self.frames_at_once > 1 and self._deaths_in_a_row > 2 * self._most + 1:
            raise FaceLoomError(
                f"The worker processes keep dying: {reason}", "Is there enough memory? Try fewer --workers."
            )

    def note_success(self) -> None:
        """A frame is finished."""
        self._deaths_in_a_row = 0

    def close(self, on_message: Callable[[Any], None] = lambda _: None) -> None:
        """Ends the processes, whatever happens. on_message: told what they still have to say, as after Ctrl-C."""
        workers, self.workers = self.workers, []
        end = time.monotonic() + _SECONDS_TO_END
        for worker in workers:
            worker.send(None)
        try:
            for worker in workers:
                with contextlib.suppress(EOFError, OSError):
                    while worker.connection.poll(max(0.0, end - time.monotonic())):
                        on_message(worker.connection.recv())
        finally:
            for worker in workers:
                worker.end(max(0.0, end - time.monotonic()))

    def _start(self) -> None:
        self.workers.append(Worker(self._setup, self._make_slots()))
