"""The terminal's side of a training: keys and signals in, the training line out.

    Enter save and stop   s save   b backup   p preview   space other faces   l range of the chart
    Ctrl-C, a closed terminal, or the system's wish to end this process
                          save and stop; pressed again while it saves, nothing more; the third time stops at once

Stopping at once is safe too: a save that is cut short leaves the one before it (models/checkpoint.py).

Python acts on a signal only between two of its own steps, and compiling the networks is one long step of the framework.
So a thread beside the training hears signals from the system itself and says at once what becomes of them; until the
first iteration is done it also counts the seconds, and hears keys.
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from core import console
from core.progress import JsonProgress, Progress, TqdmProgress
from models.schedule import TrainingCommand

KEYS = {
    "enter": TrainingCommand.STOP,
    "s": TrainingCommand.SAVE,
    "b": TrainingCommand.BACKUP,
    "p": TrainingCommand.PREVIEW,
    "space": TrainingCommand.NEXT_FACES,
    "l": TrainingCommand.NEXT_RANGE,
}

KEY_HELP = "Keys: [Enter] save and stop  [s] save  [b] backup  [p] preview  [space] other faces  [l] range of the chart"

_TICK_SECONDS = 1.0

LINE_SECONDS = 30.0
"""Without a terminal the training line is said this often instead of being redrawn."""

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
"""SIGHUP: the terminal was closed (POSIX). SIGBREAK: Ctrl-Break (Windows, where a closed window ends all at once)."""

_AT_ONCE = 3  # so many signals end the program without waiting for the iteration

STOPPING = "Stopping; saving first."
STOPPING_FIRST = (
    "Stopping as soon as the first iteration is done: compiling the networks cannot be cut short. Then all is saved."
)
AFTER_FIRST = "Heard: it is done after the first iteration."
ONCE_MORE = "It is stopping. Once more stops without a save, as soon as that can be; the last save stays whole."
COMPILING = "The networks are compiled for the first iteration"


class TerminalCommands:
    """`models.schedule.Commands` for a terminal, or for a log when there is none. A context manager.

    Attributes:
        signal_number: the signal that asked to stop, or None.
        interactive: whether keys are read and the line is redrawn in place.
    """

    def __init__(self, progress: Progress) -> None:
        self.signal_number: int | None = None
        self.interactive = isinstance(progress, TqdmProgress) and console.is_interactive()
        self._progress = progress
        self._keys = console.KeyReader()
        self._signals = 0
        self._asked: list[TrainingCommand] = []  # by keys, and not told to the loop yet
        self._begun = False
        self._shown = False
        self._screen = threading.RLock()  # of whoever draws on it now
        self._next_line = 0.0
        self._before: dict[int, Any] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> TerminalCommands:
        if self.interactive:
            self._stack.enter_context(self._keys)
            while self._keys.read() is not None:
                pass  # typed while nothing listened: an impatient Enter is no wish to stop
        self._next_line = time.monotonic() + LINE_SECONDS
        ear, mouth = socket.socketpair()
        listener = threading.Thread(target=self._listen, args=(ear,), name="faceloom-signals", daemon=True)
        listener.start()
        self._stack.callback(listener.join)
        self._stack.callback(mouth.close)
        if threading.current_thread() is threading.main_thread():
            mouth.setblocking(False)
            before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
            self._stack.callback(signal.set_wakeup_fd, before)
            for number in _SIGNALS:
                if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # started with nohup
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.show("")
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._stack.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = self.signal_number or number
        self._signals += 1
        if self._signals >= _AT_ONCE:
            raise KeyboardInterrupt

    def _listen(self, ear: socket.socket) -> None:
        """The thread: tells what becomes of a signal, and counts the seconds of the first iteration."""
        start, heard = time.monotonic(), 0
        with ear:
            while True:
                if select.select([ear], [], [], None if self._begun else _TICK_SECONDS)[0]:
                    numbers = ear.recv(64)
                    if not numbers:  # the other end was closed: it is over
                        return
                    for _ in filter(self._before.__contains__, numbers):
                        heard += 1
                        self._answer(heard)
                    continue
                with self._screen:
                    if not self._begun:
                        self._draw(f"{COMPILING} ... {time.monotonic() - start:.0f} s")
                        if new := self._take_keys():
                            self._say(STOPPING_FIRST if TrainingCommand.STOP in new else AFTER_FIRST)

    def _answer(self, heard: int) -> None:
        """Says what the newest of so many signals does; the last one needs no words."""
        if heard < _AT_ONCE:
            with self._screen:
                self._say(ONCE_MORE if heard > 1 else STOPPING if self._begun else STOPPING_FIRST)

    def _say(self, text: str) -> None:
        self.show("")
        self._progress.say(text)

    def _take_keys(self) -> list[TrainingCommand]:
        """Notes what the keys ask for; returns what of it is new."""
        new = []
        while (key := self._keys.read()) is not None:
            if key in KEYS and KEYS[key] not in self._asked:
                self._asked.append(KEYS[key])
                new.append(KEYS[key])
        return new

    def read(self) -> list[TrainingCommand]:
        """What keys and signals asked for since the last call."""
        with self._screen:
            self._take_keys()
            asked, self._asked = self._asked, []
        if self.signal_number is not None:
            asked.append(TrainingCommand.STOP)
        return asked

    def show(self, line: str) -> None:
        """Redraws the training line in a terminal; without one says it every 30 seconds. "" clears it.

        Programs that read JSON get the figures as events instead (models/engine.py).
        """
        with self._screen:
            if line and not self._begun:
                self._begun, self._next_line = True, 0.0
            self._draw(line)

    def _draw(self, line: str) -> None:
        if self.interactive:
            if line or self._shown:
                console.say_inline(line)
            self._shown = bool(line)
        elif line and not isinstance(self._progress, JsonProgress) and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_SECONDS
            self._progress.say(line)
