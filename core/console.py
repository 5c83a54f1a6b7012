"""The terminal: the only place that prints and reads, and the log that remembers what was said.

`say`, `warn` and `error` write to the terminal and to the step's log file. Progress bars draw on the same terminal,
so a line said in between goes through `tqdm.write`, which lifts the bar out of the way.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from tqdm import tqdm

_log: IO[str] | None = None


def _remember(text: str) -> None:
    """Writes to the log. A disk that is full then leaves a gap in it, and stops nothing."""
    if _log is not None:
        with contextlib.suppress(OSError):
            _log.write(text)
            _log.flush()


@contextlib.contextmanager
def _perhaps_unheard() -> Iterator[None]:
    """A terminal that was closed takes nothing any more; a step that is still saving its work must not fail for it."""
    try:
        yield
    except OSError as problem:
        if problem.errno != errno.EIO:
            raise


def _emit(text: str, stream: IO[str]) -> None:
    _remember("".join(f"{datetime.now():%H:%M:%S} {line}\n" for line in (text.splitlines() or [""])))
    with _perhaps_unheard():
        try:
            tqdm.write(text, file=stream)
            stream.flush()
        except UnicodeEncodeError:  # a console that cannot show a name must not stop the step
            encoding = getattr(stream, "encoding", None) or "ascii"
            tqdm.write(text.encode(encoding, "replace").decode(encoding), file=stream)


def say(text: str = "") -> None:
    """One message (may have several lines) on standard output."""
    _emit(text, sys.stdout)


def warn(text: str) -> None:
    """Something the user should know; work goes on. On standard error."""
    _emit(f"Note: {text}", sys.stderr)


def error(text: str) -> None:
    """Something failed. On standard error."""
    _emit(f"Error: {text}", sys.stderr)


def say_inline(text: str) -> None:
    """Redraws the current terminal line with `text` (no line break, not logged): the training line.

    What a narrow terminal has no room for is left out: it would go on to a line that is never redrawn.
    """
    room = shutil.get_terminal_size().columns - 1
    with _perhaps_unheard():
        sys.stdout.write(f"\r{text[:room]}\x1b[K" if os.name != "nt" else f"\r{text[:room]:<{room}}")
        sys.stdout.flush()


def end_line() -> None:
    """Goes on to a new line of the terminal, which has written ^C, a prompt or nothing where the cursor is."""
    if is_interactive():
        with _perhaps_unheard():
            sys.stdout.write("\n")
            sys.stdout.flush()


def is_interactive() -> bool:
    """True when somebody can answer: standard input and output are both a terminal."""
    try:
        return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    except ValueError:  # closed stream
        return False


def read_line(prompt: str) -> str:
    """Asks for one line.

    Raises:
        EOFError: nobody is there.
    """
    answer = input(prompt)
    _remember(f"{datetime.now():%H:%M:%S} {prompt}{answer}\n")
    return answer


@contextlib.contextmanager
def log_to(file: Path) -> Iterator[Path]:
    """Everything said inside the block also goes to `file` (UTF-8, with times). A log that cannot be opened is named
    on the terminal and does without."""
    global _log
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream: IO[str] | None = open(file, "a", encoding="utf-8", errors="replace")  # noqa: SIM115
    except OSError as problem:
        warn(f"No log is kept: {file} cannot be written ({problem.strerror}).")
        stream = None
    before, _log = _log, stream
    try:
        yield file
    finally:
        _log = before
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def log_only(text: str) -> None:
    """Writes to the log without showing it (tracebacks, repeat commands of a quiet run)."""
    _remember(text + "\n")


def show_only(text: str) -> None:
    """Writes to standard output without logging it: long output meant for another program."""
    tqdm.write(text, file=sys.stdout)


def pressed_enter_within(seconds: int, question: str) -> bool:
    """Counts the seconds down after the question; whether Enter was pressed meanwhile. What was typed before the
    question is thrown away, other keys mean nothing, and where nobody is, nothing is shown.
    """
    if not is_interactive():
        return False
    end = time.monotonic() + seconds
    pressed = False
    with KeyReader() as keys:
        while keys.read() is not None:
            pass
        while not pressed and (left := end - time.monotonic()) > 0:
            say_inline(f"{question} ... {math.ceil(left)}")
            time.sleep(0.05)
            while (key := keys.read()) is not None:
                pressed = pressed or key == "enter"
    say_inline("")
    say(f"{question}: {'yes' if pressed else 'no'}")
    return pressed


_KEY_NAMES = {"\r": "enter", "\n": "enter", " ": "space", "\x1b": "escape"}


class KeyReader:
    """Reads single keys without waiting, when standard input is a terminal; otherwise `read` always says None.

    Used as a context manager: the terminal's line mode is put back on leaving, whatever happened.
    """

    def __init__(self) -> None:
        self._restore: Callable[[], None] | None = None
        self._active = False

    def __enter__(self) -> KeyReader:
        if not is_interactive():
            return self
        if os.name == "nt":
            self._active = True
            return self
        import termios
        import tty

        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor)  # keys at once, Ctrl-C still interrupts

        def restore() -> None:
            with contextlib.suppress(termios.error):  # a terminal that was closed needs nothing put back
                termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

        self._restore = restore
        self._active = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._active = False
        if self._restore is not None:
            self._restore()
            self._restore = None

    def read(self) -> str | None:
        """The next key as a lower-case letter or a word ("enter", "space", "escape"), or None when none was pressed.

        Arrows and function keys are "special": the letters in what a terminal sends for them mean nothing here.
        """
        if not self._active:
            return None
        key = self._read_windows() if os.name == "nt" else self._read_posix()
        return None if key is None else _KEY_NAMES.get(key, key.lower())

    @staticmethod
    def _read_windows() -> str | None:
        import msvcrt

        keyboard: Any = msvcrt  # its functions exist on Windows only
        if not keyboard.kbhit():
            return None
        key = keyboard.getwch()
        if key in "\x00\xe0" and keyboard.kbhit():
            keyboard.getwch()
            return "special"
        return str(key)

    def _read_posix(self) -> str | None:
        key = self._read_byte()
        if key != "\x1b":
            return key
        # Arrows and function keys: Escape, "[" or "O", digits and signs, and a letter or "~" at the end.
        following = self._read_byte()
        if following is None:
            return key
        if following in "[O":
            while (following := self._read_byte()) is not None and not "@" <= following <= "~":
                pass
        return "special"

    @staticmethod
    def _read_byte() -> str | None:
        import select

        with _perhaps_unheard():
            ready, _, _ = select.select([sys.stdin], [], [], 0)
            if ready:
                return os.read(sys.stdin.fileno(), 1).decode("latin-1") or None
        return None
