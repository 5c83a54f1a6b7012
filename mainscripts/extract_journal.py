"""The journal of an extraction: what became of every frame, and a second copy of every face's record.

`<folder of faces>/.faceloom.jsonl`, one JSON object per line, only ever appended to:

    {"schema": "Extraction.1", "settings": {...}, "key": "1f0c..."}     how the frames below were extracted
    {"frame": "00001.png", "bytes": 4711, "mtime_ns": 17..., "key": "1f0c...",
     "faces": [{"file": "00001_0.jpg", "record": {<Face.1>}}, ...]}     finished; the list may be empty
    {"frame": ..., "marks": "5b3e...", "faces": [...], ...}             marked by hand (extract_manual.py)
    {"frame": "00002.png", "bytes": 0, "mtime_ns": 17..., "key": "1f0c...", "failed": "reason"}

The last line about a frame counts. A face is written before its frame's line, so a crash at any moment leaves frames
without a line, which are simply done again. The records serve anyone whose picture editor has stripped the JPEGs
(util_recover.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from core.errors import BrokenFile
from core.journal import JsonLines
from core.paths import EXTRACTION_JOURNAL

JOURNAL_NAME = EXTRACTION_JOURNAL
SCHEMA = "Extraction.1"


@dataclass(frozen=True)
class Fingerprint:
    """Tells whether a frame file is still the one that was extracted."""

    bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Fingerprint:
        """Of a file on disk. BrokenFile where it cannot be looked at."""
        try:
            found = path.stat()
        except OSError as problem:
            raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem
        return cls(found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class FaceEntry:
    """A face file and its record."""

    file: str
    record: Mapping[str, Any]


@dataclass(frozen=True)
class FrameEntry:
    """What became of one frame: `failed` is a reason, or None when it is finished with these faces (maybe none).

    marks: which marks they were made by (extract_manual.py: `marks_key`); "" for a finder's.
    """

    frame: str
    fingerprint: Fingerprint
    key: str
    faces: tuple[FaceEntry, ...] = ()
    failed: str | None = None
    marks: str = ""


def settings_key(settings: Mapping[str, Any]) -> str:
    """A short name for settings: equal settings, equal key."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


class Journal:
    """The journal of one folder, read whole, then appended to.

    Attributes:
        frames: frame name -> its last entry.
        settings: key -> settings, in the order they were first used.
        broken_lines: how many complete lines could not be read (a torn last line does not count).
    """

    def __init__(self, folder: Path) -> None:
        """Reads what is there; nothing is written yet. BrokenFile where the journal cannot be read at all."""
        self.path = folder / JOURNAL_NAME
        self.frames: dict[str, FrameEntry] = {}
        self.settings: dict[str, dict[str, Any]] = {}
        self._lines = JsonLines(self.path)
        unknown = sum(not self._take(entry) for entry in self._lines.read())
        self.broken_lines = unknown + self._lines.broken_lines

    def _take(self, entry: Mapping[str, Any]) -> bool:
        try:
            if "settings" in entry:
                if entry["schema"] != SCHEMA:
                    return False
                self.settings[str(entry["key"])] = dict(entry["settings"])
                return True
            faces = tuple(FaceEntry(str(f["file"]), dict(f["record"])) for f in entry.get("faces", ()))
            fingerprint = Fingerprint(int(entry["bytes"]), int(entry["mtime_ns"]))
            failed = entry.get("failed")
            name = str(entry["frame"])
            marks = str(entry.get("marks", ""))
            self.frames[name] = FrameEntry(name, fingerprint, str(entry["key"]), faces, failed, marks)
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        return True

    def __enter__(self) -> Journal:
        """Opens the file for appending."""
        self._lines.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def use(self, settings: Mapping[str, Any]) -> str:
        """Announces the settings of the entries to come; returns their key."""
        key = settings_key(settings)
        if key not in self.settings:
            self.settings[key] = dict(settings)
            self._lines.add({"schema": SCHEMA, "settings": settings, "key": key})
        return key

    def add(self, entry: FrameEntry) -> None:
        """One frame is done."""
        self.frames[entry.frame] = entry
        line: dict[str, Any] = {
            "frame": entry.frame,
            "bytes": entry.fingerprint.bytes,
            "mtime_ns": entry.fingerprint.mtime_ns,
            "key": entry.key,
        }
        if entry.failed is None:
            line["faces"] = [{"file": f.file, "record": f.record} for f in entry.faces]
        else:
            line["failed"] = entry.failed
        if entry.marks:
            line["marks"] = entry.marks
        self._lines.add(line)
