"""The terminal's side of a training: keys and signals in, the training line out.

    Enter save and stop   s save   b backup   p preview   space other faces   l range of the chart
    Ctrl-C, a closed terminal, or the system's wish to end this process
                          save and stop; pressed again while it saves, nothing more; the third time stops at once

Stopping at once is safe too: a save that is cut short leaves the one before it (models/checkpoint.py).
"""

from __future__ import annotations

import contextlib
import signal
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

LINE_SECONDS = 30.0
"""Without a terminal the training line is said this often instead of being redrawn."""

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
"""SIGHUP: the terminal was closed (POSIX). SIGBREAK: Ctrl-Break (Windows, where a closed window ends all at once)."""

_AT_ONCE = 3  # so many signals end the program without waiting for the iteration


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
        self._told = False
        self._shown = False
        self._next_line = 0.0
        self._before: dict[int, Any] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> TerminalCommands:
        if self.interactive:
            self._stack.enter_context(self._keys)
            while self._keys.read() is not None:
                pass  # typed while nothing listened: an impatient Enter is no wish to stop
        if threading.current_thread() is threading.main_thread():
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

    def read(self) -> list[TrainingCommand]:
        """What keys and signals asked for since the last call."""
        asked: list[TrainingCommand] = []
        while (key := self._keys.read()) is not None:
            if key in KEYS and KEYS[key] not in asked:
                asked.append(KEYS[key])
        if self.signal_number is not None:
            if not self._told:
                self.show("")
                self._progress.say("Stopping; saving first.")
                self._told = True
            asked.append(TrainingCommand.STOP)
        return asked

    def show(self, line: str) -> None:
        """Redraws the training line in a terminal; without one says it every 30 seconds. "" clears it.

        Programs that read JSON get the figures as events instead (models/engine.py).
        """
        if self.interactive:
            if line or self._shown:
                console.say_inline(line)
            self._shown = bool(line)
        elif line and not isinstance(self._progress, JsonProgress) and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_SECONDS
            self._progress.say(line)
