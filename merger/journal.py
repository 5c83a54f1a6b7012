"""Which frames are finished, and with what: so that a second run renders only what changed.

`merge_journal.jsonl` in the folder of finished frames holds one JSON object per line, written after the frame's two
files have taken their names (core/journal.py):

    {"stem": "00001", "key": {"frame": ..., "faces": ..., "settings": ..., "model": ..., "software": ..., "form": ...},
     "sizes": [bytes of the frame, bytes of the mask]}

A later line of a stem replaces an earlier one. A line without "key" takes the stem's validity back: the frame failed,
and its source may stand in for it, in files of these "sizes". A frame is up to date when its key is the key computed
now and both files are there with these sizes. Source: spec merging 9.5.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from core.errors import MissingInput
from core.files import atomic_write_bytes
from core.journal import JsonLines, line_of
from merger.frames import FrameFaces
from merger.outputs import SUFFIXES, PlainWriter
from merger.settings import MergeSettings

JOURNAL_NAME = "merge_journal.jsonl"

RENDER_VERSION = 3
"""Goes up whenever the same inputs give other pixels than before.

2026-11: 1, the first.
2026-11: 2, every mode; super resolution, sharpening and motion blur join the steps.
2026-11: 3, idt, sot and mix nearer to the classical forms; --compat dfl to the bit; motion along the tracks.
"""


@dataclass(frozen=True)
class Networks:
    """Which networks make the frames, as texts that change whenever their answers may.

    Attributes:
        shape: resolution and face type of the model: they decide where its square lies, whatever its weights.
        weights: of the model.
        segmenter: of XSeg; "": there is none.
        enhancer: of the face enhancer; "": there is none.
    """

    shape: str
    weights: str
    segmenter: str = ""
    enhancer: str = ""

    def seen_by(self, *settings: MergeSettings) -> str:
        """What of them reaches a picture with these settings."""
        words = [self.shape]
        if any(one.needs_prediction for one in settings):
            words.append(self.weights)
        if any(one.segments_new_face or one.segments_old_face for one in settings):
            words.append(f"XSeg {self.segmenter}")
        if any(one.enhances for one in settings):
            words.append(f"enhancer {self.enhancer}")
        return " ".join(words)


@dataclass(frozen=True)
class RenderKey:
    """Everything a finished frame depends on, each part as a short text. Frames without a face need few.

    Attributes:
        bridged: number of its faces that nobody found there (merger/gaps.py).
    """

    frame: str
    faces: str
    settings: str
    model: str
    software: str
    form: str = PlainWriter.form
    neighbors: str = ""
    bridged: int = 0

    @property
    def look(self) -> str:
        """A short text that frames share which differ only by what they show."""
        return hashlib.blake2b(f"{self.settings} {self.model} {self.software}".encode(), digest_size=6).hexdigest()

    def changes_since(self, before: RenderKey) -> list[str]:
        """The names of the parts that differ."""
        return [f.name for f in dataclasses.fields(self) if getattr(self, f.name) != getattr(before, f.name)]


def render_key(
    frame: FrameFaces, settings: MergeSettings, networks: Networks, form: str = PlainWriter.form
) -> RenderKey:
    """The key of a frame as it would be rendered now.

    Args:
        settings: of its faces, but for those that have their own.
        form: the key of the writer (merger/outputs.py).

    Raises:
        MissingInput: the frame's file is gone.
    """
    try:
        status = frame.path.stat()
    except OSError as problem:
        raise MissingInput(f"The frame {frame.path} cannot be read: {problem.strerror}.") from problem
    software = f"{RENDER_VERSION} opencv {cv2.__version__}"
    fingerprint = f"{frame.path.name} {status.st_size} {status.st_mtime_ns}"
    if not frame.faces and settings.mode != "raw-predict":
        return RenderKey(fingerprint, "", "", "", software, form)
    faces = hashlib.blake2b(digest_size=12)
    for face in frame.faces:
        faces.update(np.ascontiguousarray(face.landmarks, np.float32).tobytes())
        faces.update(np.float64(face.brow_lift).tobytes())
        if any(one.effective().get("motion_blur_power") for one in face.settings or (settings,)):
            faces.update(np.array(dataclasses.astuple(face.motion), np.float64).tobytes())
    values: Any = settings.effective()
    if any(face.settings for face in frame.faces):
        own = [[one.effective() for one in face.settings or (settings,)] for face in frame.faces]
        values = {"shares": frame.shares, "faces": own}
    shown = hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=12).hexdigest()
    seen = networks.seen_by(*frame.every_settings(settings))
    bridged = sum(face.is_bridged for face in frame.faces)
    return RenderKey(fingerprint, faces.hexdigest(), shown, seen, software, form, bridged=bridged)


@dataclass(frozen=True)
class Finished:
    """A journal entry: the key a frame was rendered with, and the sizes of its two files in bytes."""

    key: RenderKey
    sizes: tuple[int, int]


class Journal:
    """The journal of one folder of finished frames; open it with `with`, which closes it again.

    Args:
        suffixes: of a frame's file and of its mask's, as they are written now.
    """

    def __init__(
        self, frames_folder: Path, masks_folder: Path, suffixes: tuple[str, str] = PlainWriter().suffixes
    ) -> None:
        self.path = frames_folder / JOURNAL_NAME
        self._folders = (frames_folder, masks_folder)
        self._suffixes = suffixes
        self._finished: dict[str, Finished] = {}
        self._failed: dict[str, tuple[int, int]] = {}
        self._lines = JsonLines(self.path)
        entries = self._lines.read()
        for entry in entries:
            self._enter(entry)
        known = len(self._finished) + len(self._failed)
        if len(entries) > 2 * known + 100:  # much longer than the shot: it is written anew
            lines = [line_of(_entry(stem, finished)) for stem, finished in self._finished.items()]
            lines += [line_of({"stem": stem, "sizes": list(sizes)}) for stem, sizes in self._failed.items()]
            atomic_write_bytes(self.path, b"".join(lines))

    def __enter__(self) -> Journal:
        self._lines.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def state_of(self, stem: str, key: RenderKey) -> list[str]:
        """Why a frame is to be rendered: names of changed parts, "new", or "missing" files; empty: it is up to date."""
        finished = self._finished.get(stem)
        if finished is None:
            return ["new"]
        changes = key.changes_since(finished.key)
        if changes:
            return changes
        for path, size in zip(self._files(stem), finished.sizes, strict=True):
            try:
                if path.stat().st_size != size:
                    return ["missing"]
            except OSError:
                return ["missing"]
        return []

    def foreign_files(self, stem: str) -> list[Path]:
        """Files in the place of a frame and its mask that hold somebody else's work: they were there before the first
        merge, or were edited since (their size is another one).
        """
        finished = self._finished.get(stem)
        if finished is None and stem not in self._failed and self.path.exists():
            return []  # of a run that was stopped
        sizes = finished.sizes if finished else self._failed.get(stem, (-1, -1))
        return [p for p, size in zip(self._files(stem), sizes, strict=True) if p.exists() and p.stat().st_size != size]

    def other_forms(self, stem: str) -> list[Path]:
        """Files of a frame and its mask in other forms than the one written now: a video would hold it twice."""
        pairs = zip(self._folders, self._suffixes, strict=True)
        places = [folder / f"{stem}{suffix}" for folder, mine in pairs for suffix in SUFFIXES if suffix != mine]
        return [path for path in places if path.exists()]

    def _files(self, stem: str) -> list[Path]:
        return [f / f"{stem}{suffix}" for f, suffix in zip(self._folders, self._suffixes, strict=True)]

    @property
    def failed(self) -> Collection[str]:
        """The stems of frames that failed when they were last rendered."""
        return self._failed.keys()

    def record(self, stem: str, key: RenderKey, sizes: tuple[int, int]) -> None:
        """Enters a finished frame whose files are in place."""
        self._failed.pop(stem, None)
        self._finished[stem] = Finished(key, sizes)
        self._lines.add(_entry(stem, self._finished[stem]))

    def withdraw(self, stem: str) -> None:
        """A frame failed: it has to be rendered next time, whatever its files, such as copies of its source, say."""
        self._finished.pop(stem, None)
        image_bytes, mask_bytes = (path.stat().st_size if path.exists() else -1 for path in self._files(stem))
        self._failed[stem] = image_bytes, mask_bytes
        self._lines.add({"stem": stem, "sizes": [image_bytes, mask_bytes]})

    def _enter(self, entry: Mapping[str, Any]) -> None:
        """Applies one entry; whatever is not a whole one of ours counts for nothing."""
        try:
            stem, key = entry["stem"], entry.get("key")
            sizes = [int(size) for size in entry["sizes"]] if "sizes" in entry else None
            if key is None:
                self._finished.pop(stem, None)
            if sizes is None:
                return
            image_bytes, mask_bytes = sizes
            if key is None:
                self._failed[stem] = image_bytes, mask_bytes
            else:
                self._finished[stem] = Finished(RenderKey(**key), (image_bytes, mask_bytes))
                self._failed.pop(stem, None)
        except (ValueError, KeyError, TypeError):
            return


def _entry(stem: str, finished: Finished) -> dict[str, Any]:
    return {"stem": stem, "key": dataclasses.asdict(finished.key), "sizes": list(finished.sizes)}


def summary(states: Iterable[Sequence[str]]) -> str:
    """ "7 of 10 frames are up to date; 3 changed because of: model (2), settings (2)." """
    listed = list(states)
    changed = [reasons for reasons in listed if reasons]
    text = f"{len(listed) - len(changed)} of {len(listed)} frames are up to date"
    if not changed:
        return f"{text}; nothing is to be rendered."
    counts = Counter(reason for reasons in changed for reason in reasons)
    if set(counts) == {"new"}:
        return f"{text}; {len(changed)} new."
    reasons = ", ".join(f"{name} ({number})" for name, number in sorted(counts.items()))
    return f"{text}; {len(changed)} changed because of: {reasons}."
