"""The side-car index of a folder of faces: what was measured once is not measured again.

`<folder of faces>/.faceloom_index/<group>.npz`, one file for each group of samplelib/face_features.py:

    schema   "FaceIndex.1 <group> <version of the group>", bytes
    name     file names, joined by zero bytes, UTF-8
    inode, bytes, mtime_ns   int64 (N,): the file as it was when it was measured
    and the group's columns, (N, ...); texts joined like the names

A row belongs to a file of the same length and time of change that has the same inode, or else the same name: so it
follows a face that is renamed or moved on its disk and brought back, and is dropped when the face is edited. Files are
written whole or not at all; one that is damaged, or of another version, is measured anew. Nothing depends on the
index but time: it may be deleted.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile
from core.files import atomic_path
from core.parallel import default_workers, map_ordered
from core.progress import SILENT, Progress
from samplelib.face_features import GROUPS, TEXT, FeatureGroup, measure_files

INDEX_NAME = ".faceloom_index"
_SCHEMA = "FaceIndex.1"
_TOGETHER = 32  # files measured as one piece of work
_FEW = 48  # not worth starting processes
_SECONDS_BETWEEN_SAVES = 60.0
_GREATEST_TIME = 2**63 - 1

Columns = dict[str, Any]


@dataclass(frozen=True)
class FaceFile:
    """A file as it lies on disk."""

    path: Path
    inode: int
    bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FaceFile:
        """Looks at a file. BrokenFile where that is not possible."""
        try:
            found = path.stat()
        except OSError as problem:
            raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem
        # Some systems number files beyond 63 bits.
        return cls(path, found.st_ino & _GREATEST_TIME, found.st_size, found.st_mtime_ns)

    @property
    def keys(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """By inode and by name, the first found counts; an inode of 0 means that the system gives none."""
        by_name = (self.path.name, self.bytes, self.mtime_ns)
        return (self.inode, self.bytes, self.mtime_ns) if self.inode else by_name, by_name


class FaceIndex:
    """What is known of the faces of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / INDEX_NAME

    def measure(
        self, name: str, files: Sequence[FaceFile], progress: Progress = SILENT, workers: int | None = None
    ) -> tuple[Columns, NDArray[np.int64], dict[Path, str]]:
        """The columns of one group, from the index where they are there and from the files where not.

        Args:
            workers: processes; None: one per core, none for a few files.

        Returns:
            The columns of the files that could be measured; the places of these in `files`; path -> reason of others.
        """
        group = GROUPS[name]
        kept = _Table.read(self.folder / f"{name}.npz", group)
        place = [kept.find(file) for file in files]
        missing = [n for n, found in enumerate(place) if found < 0]
        reasons: dict[Path, str] = {}
        if missing:
            new = self._measure_missing(group, kept, [files[n] for n in missing], reasons, progress, workers)
            for n in missing:
                place[n] = new.find(files[n])
            self._save(new, files)
            kept = new
        usable = np.array([n for n, found in enumerate(place) if found >= 0], np.int64)
        rows = np.array([place[n] for n in usable.tolist()], np.int64)
        return kept.pick(rows), usable, reasons

    def _measure_missing(
        self,
        group: FeatureGroup,
        kept: _Table,
        files: list[FaceFile],
        reasons: dict[Path, str],
        progress: Progress,
        workers: int | None,
    ) -> _Table:
        if workers is None:
            workers = 0 if len(files) <= _FEW else default_workers()
        parts = [kept]
        saved = time.monotonic()
        with progress.task(f"Measuring faces ({group.name})", len(files), "face") as task:
            for measured, columns in _measured(group, files, reasons, workers):
                parts.append(_Table(group, [file for file in measured if file.path not in reasons], columns))
                task.advance(len(measured))
                if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                    parts = [_Table.joined(group, parts)]
                    self._save(parts[0], files)
                    saved = time.monotonic()
        return _Table.joined(group, parts)

    def _save(self, table: _Table, files: Sequence[FaceFile]) -> None:
        """Rows of other files (deleted, in the trash, edited since) stay while they are no more than those of `files`,
        so that what is undone need not be measured again."""
        used = {table.find(file) for file in files} - {-1}
        others = [n for n in range(len(table.files)) if n not in used]
        rows = sorted({*used, *others[-max(len(used), 1) :]})
        table.write(self.folder / f"{table.group.name}.npz", np.array(rows, np.int64))


def _measured(
    group: FeatureGroup, files: list[FaceFile], reasons: dict[Path, str], workers: int
) -> Iterable[tuple[list[FaceFile], Columns]]:
    """Files and their columns, piece by piece; a piece whose process died is done again file by file."""
    by_path = {file.path: file for file in files}
    source = iter(files)
    pieces = iter(lambda: tuple(file.path for file in islice(source, _TOGETHER)), ())
    for outcome in map_ordered(measure_files, ((group.name, piece) for piece in pieces), workers=workers):
        outcomes = [outcome]
        paths = outcome.item[1]
        if outcome.error is not None and len(paths) > 1:
            outcomes = list(map_ordered(measure_files, [(group.name, (path,)) for path in paths], workers=1))
        for done in outcomes:
            if done.value is None:
                reasons.update((path, done.error or "it could not be measured.") for path in done.item[1])
                continue
            columns, why = done.value
            reasons.update((path, text) for path, text in zip(done.item[1], why, strict=True) if text is not None)
            yield [by_path[path] for path in done.item[1]], columns


class _Table:
    """Rows of one group with the files they belong to."""

    def __init__(self, group: FeatureGroup, files: list[FaceFile], columns: Columns) -> None:
        self.group = group
        self.files = files
        self.columns = columns
        self._places: dict[tuple[Any, ...], int] = {}
        for n, file in enumerate(files):
            self._places.update((key, n) for key in file.keys)

    def find(self, file: FaceFile) -> int:
        """The row of a file, -1 where there is none."""
        return next((self._places[key] for key in file.keys if key in self._places), -1)

    def pick(self, rows: NDArray[np.int64]) -> Columns:
        """The columns, these rows only."""
        return {
            name: [self.columns[name][n] for n in rows.tolist()] if kind == TEXT else self.columns[name][rows]
            for name, (kind, _) in self.group.columns.items()
        }

    @classmethod
    def joined(cls, group: FeatureGroup, parts: list[_Table]) -> _Table:
        """Parts one after another."""
        columns: Columns = {}
        for name, (kind, _) in group.columns.items():
            values = [part.columns[name] for part in parts]
            columns[name] = [text for part in values for text in part] if kind == TEXT else np.concatenate(values)
        return cls(group, [file for part in parts for file in part.files], columns)

    @classmethod
    def empty(cls, group: FeatureGroup) -> _Table:
        """No rows."""
        columns: Columns = {
            n: [] if kind == TEXT else np.zeros((0, *shape), kind) for n, (kind, shape) in group.columns.items()
        }
        return cls(group, [], columns)

    @classmethod
    def read(cls, path: Path, group: FeatureGroup) -> _Table:
        """The rows in a file; none where it is missing, damaged, or was written by another version."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                if stored["schema"].tobytes() != _schema(group):
                    return cls.empty(group)
                names = _split(stored["name"])
                inode, length, changed = (stored[key].tolist() for key in ("inode", "bytes", "mtime_ns"))
                files = [
                    FaceFile(path.parent.parent / n, *rest)
                    for n, *rest in zip(names, inode, length, changed, strict=True)
                ]
                columns: Columns = {}
                for name, (kind, shape) in group.columns.items():
                    column: Any = _split(stored[name]) if kind == TEXT else stored[name]
                    if len(column) != len(files) or (kind != TEXT and column.shape[1:] != shape):
                        return cls.empty(group)
                    columns[name] = column
                return cls(group, files, columns)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return cls.empty(group)

    def write(self, path: Path, rows: NDArray[np.int64]) -> None:
        """Writes these rows."""
        path.parent.mkdir(exist_ok=True)
        files, columns = [self.files[n] for n in rows.tolist()], self.pick(rows)
        arrays: dict[str, NDArray] = {
            "schema": np.frombuffer(_schema(self.group), np.uint8),
            "name": _join([file.path.name for file in files]),
            "inode": np.array([file.inode for file in files], np.int64),
            "bytes": np.array([file.bytes for file in files], np.int64),
            "mtime_ns": np.array([file.mtime_ns for file in files], np.int64),
        }
        for name, (kind, _) in self.group.columns.items():
            arrays[name] = _join(columns[name]) if kind == TEXT else columns[name]
        with atomic_path(path) as unfinished, open(unfinished, "wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)


def _schema(group: FeatureGroup) -> bytes:
    return f"{_SCHEMA} {group.name} {group.version}".encode("ascii")


def _join(texts: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer("".join(f"{text}\0" for text in texts).encode("utf-8", "surrogateescape"), np.uint8)


def _split(joined: NDArray[np.uint8]) -> list[str]:
    return joined.tobytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
