"""What one process does for `extract`: it searches a frame, or cuts its faces out. What crosses over is here."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile, FaceLoomError
from core.images import read_image, to_uint8, write_image
from facelib.extraction import (
    ExtractedFace,
    ExtractionSettings,
    FaceFinder,
    FoundFace,
    NearFinder,
    draw_debug,
    extract_faces,
)
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata, write_face
from facelib.nets.blaze_face import same_face
from facelib.nets.face_mesh import FaceMeshFinder
from mainscripts.extract_findings import Finding, finding_of
from mainscripts.extract_journal import FaceEntry, Fingerprint

DEBUG_QUALITY = 50
INDEX = "source_face_index"
"""Key of a record: which face of its frame this is, k of `<stem>_<k>.jpg`."""
# A face found again is the same face when the boxes share this much of their union or of the smaller one.
_SAME_UNION, _SAME_PART = 0.4, 0.75


@dataclass(frozen=True)
class FinderChoice:
    """Which finder is made, and how.

    Attributes:
        detector: "face_mesh" or "s3fd".
        landmarker: "face_mesh", "2dfan" or "3dfan".
        device: what the neural networks run on, as `core.nn.device.choose_devices` reads it; face_mesh needs none.
    """

    face_type: FaceType
    accurate: bool
    calibrated: bool
    detector: str = "face_mesh"
    landmarker: str = "face_mesh"
    device: str = "auto"


def make_face_mesh(choice: FinderChoice) -> FaceFinder:
    """The default finder. MissingInput, BrokenFile: its weights are not there, or damaged."""
    return FaceMeshFinder(
        accurate=choice.accurate, calibrated=choice.calibrated, deep_jaw=choice.face_type is FaceType.HEAD
    )


MakeFinder = Callable[[FinderChoice], FaceFinder]


@dataclass(frozen=True)
class WorkerSettings:
    """What every frame of one run has in common. detector: identity of who found the faces."""

    extraction: ExtractionSettings
    output: Path
    debug: Path | None
    detector: str


@dataclass(frozen=True)
class FrameTask:
    """One frame to do.

    Attributes:
        present: faces of this frame that are to be kept as they are.
        taken: numbers k of `<stem>_<k>.jpg` that are in use and must not be written.
        found: the faces to cut out, in the order of their numbers.
        problem: why the frame could not be searched.
        searched: the file in which they were found; None: not checked.
        marks: which marks these faces were made by; "" for a finder's.
    """

    path: Path
    present: tuple[FaceEntry, ...] = ()
    taken: frozenset[int] = frozenset()
    found: tuple[FoundFace, ...] = ()
    problem: str = ""
    searched: Fingerprint | None = None
    marks: str = ""


@dataclass(frozen=True)
class FrameResult:
    """What became of a frame.

    Attributes:
        faces: what was written.
        unwritable: why a face could not be written (disk full, folder read-only); the run must stop.
    """

    fingerprint: Fingerprint
    faces: tuple[FaceEntry, ...] = ()
    unwritable: str | None = None


@dataclass(frozen=True)
class _Known:
    """A finder that was told what there is."""

    identity: str
    faces: tuple[FoundFace, ...]

    def find(self, frame: NDArray) -> list[FoundFace]:
        return list(self.faces)


_settings: WorkerSettings | None = None
_finder: FaceFinder | None = None


def _start() -> None:
    """Several processes share the machine, so each uses one thread."""
    if multiprocessing.parent_process() is not None:
        cv2.setNumThreads(1)


def start_finding(make_finder: MakeFinder, choice: FinderChoice) -> None:
    """Loads the networks, once per process that runs `find_in_frame` or `find_again`."""
    global _finder
    _start()
    _finder = make_finder(choice)


def find_in_frame(path: Path) -> Finding:
    """Searches one frame. BrokenFile where it cannot be read."""
    assert _finder is not None, "start_finding runs first"
    fingerprint = Fingerprint.of(path)
    frame = to_uint8(read_image(path))
    return finding_of(frame, _finder.find(frame), fingerprint)


def find_again(question: tuple[Path, NDArray]) -> FoundFace | None:
    """The face of a frame that should be where these landmarks are; None where it is not, or nobody can tell."""
    path, expected = question
    return _finder.find_near(to_uint8(read_image(path)), expected) if isinstance(_finder, NearFinder) else None


def start_cutting(settings: WorkerSettings) -> None:
    """Once per process that runs `extract_frame`."""
    global _settings
    _start()
    _settings = settings


def extract_frame(task: FrameTask) -> FrameResult:
    """Cuts out and writes the faces of one frame. BrokenFile where it cannot be read, or is not what was searched."""
    assert _settings is not None, "start_cutting runs first"
    settings = _settings
    if task.problem:
        raise FaceLoomError(task.problem)
    fingerprint = Fingerprint.of(task.path)
    if task.searched not in (None, fingerprint):
        raise BrokenFile(task.path, "has changed while its faces were being looked for.", "Run the same step again.")
    frame = read_image(task.path)
    finder = _Known(settings.detector, task.found)
    faces = extract_faces(frame, task.path.name, finder, settings.extraction)
    new = [face for face in faces if not _is_present(face, task.present)]
    try:
        entries = _write_faces(task, new, settings.output)
        if settings.debug is not None:
            shown = [face.metadata for face in faces]
            if task.marks:  # the marks do not speak of the faces that stay
                shown += [FaceMetadata.from_json(json.dumps(face.record), task.path) for face in task.present]
            picture = draw_debug(frame, shown)
            write_image(settings.debug / f"{task.path.stem}.jpg", picture, quality=DEBUG_QUALITY)
    except BrokenFile:
        raise
    except FaceLoomError as problem:
        return FrameResult(fingerprint, unwritable=str(problem))
    return FrameResult(fingerprint, tuple(entries))


def _is_present(face: ExtractedFace, present: tuple[FaceEntry, ...]) -> bool:
    return any(is_same_face(face.metadata.frame_bbox, np.array(other.record["frame_bbox"])) for other in present)


def is_same_face(box: NDArray, other: NDArray) -> bool:
    """Whether two boxes (4,) of one frame are around the same face."""
    return same_face(box, other, _SAME_UNION, _SAME_PART)


def _write_faces(task: FrameTask, faces: list[ExtractedFace], output: Path) -> list[FaceEntry]:
    entries = []
    free = (k for k in range(len(faces) + len(task.taken)) if k not in task.taken)
    for k, face in zip(free, faces, strict=False):
        name = f"{task.path.stem}_{k}.jpg"
        metadata = replace(face.metadata, extra={**face.metadata.extra, INDEX: k})
        write_face(output / name, face.jpeg, metadata)
        entries.append(FaceEntry(name, metadata.to_record()))
    return entries
