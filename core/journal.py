"""Journals: JSON objects, one a line, only ever appended to. A crash costs the line that was being written, no more.

    for entry in (journal := JsonLines(path)).read(): ...
    with journal:
        journal.add({"frame": "00001.png"})

A last line that was torn by a crash counts for nothing, and what is added next stands on a line of its own. The text is
ASCII, so that a name may hold bytes that are no Unicode.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from core.errors import BrokenFile
from core.files import explain_os_error

_SECONDS_BETWEEN_SYNCS = 2.0


class JsonLines:
    """One journal. `with` closes it; it is opened by the first `add`, or before by `open`.

    Attributes:
        broken_lines: complete lines that `read` could not make out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken_lines = 0
        self._stream: IO[bytes] | None = None
        self._synced = 0.0

    def read(self) -> list[dict[str, Any]]:
        """The entries that are there, in order; none where there is no file. BrokenFile where it cannot be read."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise BrokenFile(self.path, f"the journal cannot be read ({problem.strerror}).") from problem
        entries = []
        self.broken_lines = 0
        *whole, last = data.split(b"\n")
        for line in (*whole, last):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if isinstance(entry, dict):
                entries.append(entry)
            else:
                self.broken_lines += line is not last and bool(line.strip())
        return entries

    def open(self) -> None:
        """Makes ready for `add`; the folder is made where it is missing.

        Raises:
            FaceLoomError: the file cannot be written.
        """
        if self._stream is not None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = open(self.path, "a+b")  # noqa: SIM115 - close does it
            if self._stream.seek(0, os.SEEK_END):
                self._stream.seek(-1, os.SEEK_END)
                if self._stream.read(1) != b"\n":
                    self._stream.write(b"\n")
        except OSError as problem:
            raise explain_os_error(problem, self.path) from problem

    def add(self, entry: Mapping[str, Any]) -> None:
        """Appends an entry. It leaves this process at once (kill -9 loses nothing); the disk has it seconds later.

        Raises:
            FaceLoomError: the file cannot be written.
        """
        self.open()
        assert self._stream is not None
        try:
            self._stream.write(line_of(entry))
            self._stream.flush()
            if time.monotonic() - self._synced > _SECONDS_BETWEEN_SYNCS:
                os.fsync(self._stream.fileno())
                self._synced = time.monotonic()
        except OSError as problem:
            raise explain_os_error(problem, self.path) from problem

    def close(self) -> None:
        """Brings everything to the disk. May be called again.

        Raises:
            FaceLoomError: the file cannot be written.
        """
        stream, self._stream = self._stream, None
        if stream is None:
            return
        try:
            with stream:
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as problem:
            raise explain_os_error(problem, self.path) from problem

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def line_of(entry: Mapping[str, Any]) -> bytes:
    """An entry as it stands in the file, its end included."""
    return json.dumps(entry, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
