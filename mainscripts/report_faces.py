"""What `util --report` judges: the faces of a folder with what was measured of them, and the frames they are from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile, FaceLoomError
from core.files import list_images, natural_key
from core.images import image_size
from core.parallel import default_workers, map_ordered
from core.progress import Progress
from facelib.metadata import FaceMetadata
from mainscripts.extract_journal import JOURNAL_NAME, Journal
from mainscripts.sort_table import FaceTable, load_table
from samplelib.face_features import GROUPS, RECORD, TEXT, stack_rows
from samplelib.face_index import Columns, FaceFile
from samplelib.faceset import open_faceset
from samplelib.sample import FacePlace, Sample, open_sample

_TOGETHER = 32
_FARTHEST_NOTE = 1e6


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of one folder, in natural order of their names.

    Attributes:
        samples, table: the same faces, row by row.
        problems: file name and reason of what could not be used.
    """

    folder: Path
    samples: tuple[Sample, ...]
    table: FaceTable
    problems: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    def name(self, row: int) -> str:
        """The file name of a face."""
        return self.samples[row].place.name

    def metadata(self, row: int) -> FaceMetadata:
        """The record of a face."""
        return self.samples[row].metadata

    @cached_property
    def frame_landmarks(self) -> NDArray[np.float32]:
        """(N, 68, 2), frame pixels."""
        return np.stack([sample.metadata.frame_landmarks for sample in self.samples])

    @cached_property
    def frame_to_face(self) -> NDArray[np.float64]:
        """(N, 2, 3)."""
        return np.stack([sample.metadata.frame_to_face for sample in self.samples])

    def told(self, key: str) -> NDArray[np.float64]:
        """What the extraction noted of each face under this key of its "finding" (facelib/extraction.py): (N,), NaN
        where it noted nothing."""
        notes = [sample.metadata.extra.get("finding") for sample in self.samples]
        return np.array([_number(note.get(key)) if isinstance(note, dict) else np.nan for note in notes], np.float64)

    @cached_property
    def covered_pixels(self) -> NDArray[np.float64]:
        """Side of what each picture covers in its frame, frame pixels: (N,)."""
        scale = np.hypot(self.frame_to_face[:, 0, 0], self.frame_to_face[:, 1, 0])
        return self.table.column(RECORD, "side") / scale


@dataclass(frozen=True)
class FramesWithoutFaces:
    """Frames that have no face in the folder, by reason; names in natural order.

    Attributes:
        known: whether there is a journal or a folder of frames to tell; else nothing is said.
        total: how many frames there are.
        empty: no face was found in them.
        failed: they could not be read; name and reason.
        removed: a face was found, and is not in the folder any more.
        untold: the journal does not know them.
    """

    known: bool = False
    total: int = 0
    empty: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames beside the folder of faces.

    Attributes:
        folder: where they are, or would be.
        sizes: (N, 2) width and height of the frame of each face; 0 where it is not there.
        without: those without a face.
    """

    folder: Path
    sizes: NDArray[np.int64]
    without: FramesWithoutFaces = field(default_factory=FramesWithoutFaces)


@dataclass(frozen=True, eq=False)
class Judged:
    """The faceset of the report and the one it is held against, if any; labels: "src" or "dst"."""

    own: Faces
    frames: Frames
    label: str
    other: Faces | None = None
    other_label: str = ""

    @property
    def source(self) -> Faces | None:
        """The faces whose likeness is learned; None where they are not there."""
        return self.own if self.label == "src" else self.other

    @property
    def target(self) -> Faces | None:
        """The faces that are replaced."""
        return self.own if self.label == "dst" else self.other

    @property
    def correction(self) -> str:
        """What to do about faces that are wrong."""
        if self.label == "dst":
            return "Correct them rather than delete them: a frame without its face keeps the old one in the result."
        return "Put them away: a wrong face teaches the model wrong things."

    @property
    def removal(self) -> str:
        """What to do about faces that are right, and poor."""
        if self.label == "dst":
            return "Keep them: a frame without its face keeps the old one in the result."
        return "Put them away where there are enough better ones: training is better off without them."


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < _FARTHEST_NOTE else np.nan


def gather_faces(folder: Path, groups: Sequence[str], progress: Progress) -> Faces:
    """Opens a faceset and measures these groups (samplelib/face_features.py) of every face.

    What was measured is kept in the folder's index; of packed faces, and where the folder cannot be written, it is not.

    Raises:
        MissingInput: there are no faces.
    """
    faceset = open_faceset(folder, progress)
    problems = [(path.name, reason) for path, reason in faceset.problems]
    samples = faceset.samples
    loose = not any(sample.place.packed_name for sample in samples)
    if loose and os.access(folder, os.W_OK):
        table, reasons = load_table(folder, [sample.place.path for sample in samples], groups, progress)
        problems += [(path.name, reason) for path, reason in reasons.items()]
        kept = {file.path for file in table.files}
        samples = tuple(sample for sample in samples if sample.place.path in kept)
    else:
        samples, table = _measure(samples, (RECORD, *groups), problems, progress)
    return Faces(folder, samples, table, tuple(sorted(problems, key=lambda problem: natural_key(problem[0]))))


def _measure(
    samples: Sequence[Sample], groups: Sequence[str], problems: list[tuple[str, str]], progress: Progress
) -> tuple[tuple[Sample, ...], FaceTable]:
    """Measures faces wherever they are, keeping nothing. Adds to `problems`."""
    pieces = [samples[start : start + _TOGETHER] for start in range(0, len(samples), _TOGETHER)]
    jobs = [(tuple(sample.place for sample in piece), tuple(groups)) for piece in pieces]
    kept: list[Sample] = []
    parts: list[dict[str, Columns]] = []
    workers = default_workers() if len(jobs) > 2 else 0
    with progress.task("Measuring faces", len(samples), "face") as task:
        for piece, outcome in zip(pieces, map_ordered(_measure_places, jobs, workers=workers), strict=True):
            reasons: Sequence[str | None] = [outcome.error] * len(piece)
            if outcome.value is not None:
                columns, reasons = outcome.value
                parts.append(columns)
            kept += [sample for sample, reason in zip(piece, reasons, strict=True) if reason is None]
            problems += [(s.place.name, why) for s, why in zip(piece, reasons, strict=True) if why is not None]
            task.advance(len(piece))
    files = tuple(FaceFile(s.path, 0, s.place.length or 0, 0) for s in kept)
    return tuple(kept), FaceTable(files, {name: _joined(name, [part[name] for part in parts]) for name in groups})


def _measure_places(job: tuple[tuple[FacePlace, ...], tuple[str, ...]]) -> tuple[dict[str, Columns], list[str | None]]:
    """Columns of the faces that could be measured, and for each face None or why not. Runs in worker processes."""
    places, names = job
    rows = []
    reasons: list[str | None] = []
    for place in places:
        try:
            sample = open_sample(place)
            rows.append({name: GROUPS[name].measure(sample) for name in names})
            reasons.append(None)
        except FaceLoomError as problem:
            reasons.append(getattr(problem, "why", problem.what))
    return {name: stack_rows(GROUPS[name], [row[name] for row in rows]) for name in names}, reasons


def _joined(group: str, parts: Sequence[Columns]) -> Columns:
    columns: Columns = {}
    for name, (kind, shape) in GROUPS[group].columns.items():
        values = [part[name] for part in parts]
        if kind == TEXT:
            columns[name] = [text for part in values for text in part]
        else:
            columns[name] = np.concatenate([np.zeros((0, *shape), kind), *values])
    return columns


def gather_frames(faces: Faces, progress: Progress) -> Frames:
    """Looks at the frames, which are in the folder that holds the folder of faces, and at the journal."""
    folder = faces.folder.absolute().parent
    names = sorted({sample.metadata.frame_name for sample in faces.samples}, key=natural_key)
    sizes: dict[str, tuple[int, int]] = {}
    with progress.task("Looking at frames", len(names), "frame") as task:
        for name in names:
            path = folder / name
            if path.is_file():
                try:
                    sizes[name] = image_size(path)
                except BrokenFile:
                    sizes[name] = (0, 0)
            task.advance()
    of_faces = [sizes.get(sample.metadata.frame_name, (0, 0)) for sample in faces.samples]
    return Frames(folder, np.array(of_faces, np.int64).reshape(-1, 2), _without_faces(faces, folder, set(names)))


def _without_faces(faces: Faces, folder: Path, with_faces: set[str]) -> FramesWithoutFaces:
    journal = Journal(faces.folder).frames if (faces.folder / JOURNAL_NAME).is_file() else {}
    there = [path.name for path in list_images(folder)]
    frames = sorted({*there, *journal}, key=natural_key) if journal else there
    if not frames or not with_faces & set(frames):  # pictures of another kind lie beside the faces
        return FramesWithoutFaces()
    empty: list[str] = []
    failed: list[tuple[str, str]] = []
    removed: list[str] = []
    untold: list[str] = []
    for name in frames:
        entry = journal.get(name)
        if name in with_faces:
            continue
        if entry is None:
            untold.append(name)
        elif entry.failed is not None:
            failed.append((name, entry.failed))
        else:
            (removed if entry.faces else empty).append(name)
    return FramesWithoutFaces(True, len(frames), tuple(empty), tuple(failed), tuple(removed), tuple(untold))
