"""How long work tells how far it is: a bar with ETA, lines of JSON for other programs, or nothing for tests.

with progress.task("Extracting faces", total=len(frames), unit="frame") as task:
    for frame in frames:
        ...
        task.advance()
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from tqdm import tqdm

from core import console

BRIEF_SECONDS = 2.0
"""Work that takes less has no bar if it is announced as brief."""


class Task(Protocol):
    """One piece of work of known or unknown length."""

    def advance(self, steps: int = 1) -> None:
        """`steps` more units are done."""

    def note(self, text: str) -> None:
        """A few words beside the bar."""


class Progress(Protocol):
    """What a command needs from whoever watches it."""

    def task(
        self, title: str, total: int | None, unit: str = "frame", *, brief: bool = False
    ) -> AbstractContextManager[Task]:
        """Announces work of `total` units (None: unknown). brief: mostly done at once; shown to people only if not."""
        ...

    def say(self, text: str) -> None:
        """One message beside running bars."""

    def event(self, kind: str, **figures: Any) -> None:
        """Something that happened, in figures for other programs; people are told by `say`."""


class TqdmProgress:
    """Bars in the terminal; without a terminal, one line every ten seconds."""

    def say(self, text: str) -> None:
        console.say(text)

    def event(self, kind: str, **figures: Any) -> None:
        pass

    @contextlib.contextmanager
    def task(self, title: str, total: int | None, unit: str = "frame", *, brief: bool = False) -> Iterator[Task]:
        on_terminal = sys.stderr.isatty()
        with tqdm(
            desc=title,
            total=total,
            unit=unit,
            dynamic_ncols=on_terminal,
            mininterval=0.2 if on_terminal else 10.0,
            maxinterval=10.0,
            delay=BRIEF_SECONDS if brief else 0.0,
            leave=True,
            file=sys.stderr,
        ) as bar:
            yield _TqdmTask(bar)


class _TqdmTask:
    def __init__(self, bar: tqdm) -> None:
        self._bar = bar

    def advance(self, steps: int = 1) -> None:
        self._bar.update(steps)

    def note(self, text: str) -> None:
        self._bar.set_postfix_str(text, refresh=False)


class SilentProgress:
    """Says nothing: for tests and for callers with a display of their own."""

    def say(self, text: str) -> None:
        pass

    def event(self, kind: str, **figures: Any) -> None:
        pass

    @contextlib.contextmanager
    def task(self, title: str, total: int | None, unit: str = "frame", *, brief: bool = False) -> Iterator[Task]:
        yield _SilentTask()


class _SilentTask:
    def advance(self, steps: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class JsonProgress:
    """One JSON object per line on standard output: {"event": "progress", "title", "done", "total", "unit", "seconds"}.

    At most two lines a second and task, plus its start and its end. What is said is {"event": "message", "text"}; other
    events carry the figures of whoever reports them.
    """

    def say(self, text: str) -> None:
        self.event("message", text=text)

    def event(self, kind: str, **figures: Any) -> None:
        console.say(json.dumps({"event": kind, **figures}, ensure_ascii=False, default=str))

    @contextlib.contextmanager
    def task(self, title: str, total: int | None, unit: str = "frame", *, brief: bool = False) -> Iterator[Task]:
        task = _JsonTask(title, total, unit)
        task.report()
        yield task
        task.report()


class _JsonTask:
    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._line = {"event": "progress", "title": title, "done": 0, "total": total, "unit": unit, "note": ""}
        self._done = 0
        self._start = time.monotonic()
        self._reported = self._start

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        if time.monotonic() - self._reported >= 0.5:
            self.report()

    def note(self, text: str) -> None:
        self._line["note"] = text

    def report(self) -> None:
        self._reported = time.monotonic()
        line = {**self._line, "done": self._done, "seconds": round(self._reported - self._start, 2)}
        console.say(json.dumps(line, ensure_ascii=False))


SILENT = SilentProgress()
"""The progress of whoever does not watch."""
