"""Keeps the extraction's journal true when faces are renamed or put away.

A face is known by its record: the frame it is from and its box there. So it does not matter who renamed it, or whether
the last renaming was followed: the names that files have now are written in. An entry whose face is not there keeps its
name, unless another face has taken that name: then it is called `gone/<name>`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.files import atomic_write_bytes, explain_os_error, list_images
from core.paths import FACE_EXTENSIONS
from core.progress import SILENT
from mainscripts.extract_journal import JOURNAL_NAME
from mainscripts.sort_table import load_table
from samplelib.face_features import RECORD

_GONE = "gone/"

FaceKey = tuple[str, bytes]
"""Name of the frame, and the four float32 of the box in it."""


def follow_names(folder: Path, names: Mapping[FaceKey, str]) -> int:
    """Writes the present names of faces into the journal of their folder, whole or not at all.

    Returns:
        How many entries have another name now; 0 where there is no journal.
    """
    journal = folder / JOURNAL_NAME
    try:
        data = journal.read_bytes()
    except FileNotFoundError:
        return 0
    except OSError as problem:
        raise explain_os_error(problem, journal) from problem
    used = set(names.values())
    changed = 0
    lines = data.split(b"\n")
    for n, line in enumerate(lines):
        entry = _entry(line)
        present = [_present_name(face, names, used) for face in entry.get("faces", ())]
        moved = sum(name != face["file"] for name, face in zip(present, entry.get("faces", ()), strict=True))
        if moved:
            for name, face in zip(present, entry["faces"], strict=True):
                face["file"] = name
            lines[n] = json.dumps(entry, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")
            changed += moved
    if changed:
        atomic_write_bytes(journal, b"\n".join(lines))
    return changed


def follow_folder(folder: Path) -> int:
    """As `follow_names`, with the names that the faces of the folder have now."""
    if not (folder / JOURNAL_NAME).exists():
        return 0
    table, _ = load_table(folder, list_images(folder, FACE_EXTENSIONS), (), SILENT)
    boxes = table.column(RECORD, "frame_bbox")
    keys = zip(table.frame_names, boxes, table.files, strict=True)
    return follow_names(folder, {(frame, box.tobytes()): file.path.name for frame, box, file in keys})


def _entry(line: bytes) -> dict[str, Any]:
    """A line about a frame; empty for what is none, which stays as it is."""
    try:
        entry = json.loads(line)
        for face in entry["faces"]:
            _key(face)
            str(face["file"])
        return entry
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _key(face: Mapping[str, Any]) -> FaceKey:
    record = face["record"]
    return str(record["frame_name"]), np.array(record["frame_bbox"], np.float32).tobytes()


def _present_name(face: Mapping[str, Any], names: Mapping[FaceKey, str], used: set[str]) -> str:
    name = str(face["file"])
    present = names.get(_key(face))
    if present is not None:
        return present
    return f"{_GONE}{name}" if name in used else name
