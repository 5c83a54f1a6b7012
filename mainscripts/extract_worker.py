"""What one process does for `extract`: one frame in, its face files out. Everything that crosses over is here."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
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
    crop_side_pixels,
    draw_debug,
    extract_faces,
)
from facelib.face_type import FaceType
from facelib.metadata import write_face
from facelib.nets.blaze_face import same_face
from facelib.nets.face_mesh import FaceMeshFinder
from mainscripts.extract_journal import FaceEntry, Fingerprint

DEBUG_QUALITY = 50
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
    """What every frame of one run has in common.

    Attributes:
        make_finder: None where the tasks bring the faces that were found.
        detector: identity of who found them then.
    """

    make_finder: MakeFinder | None
    choice: FinderChoice
    extraction: ExtractionSettings
    output: Path
    debug: Path | None
    detector: str = ""


@dataclass(frozen=True)
class FrameTask:
    """One frame to do.

    Attributes:
        present: faces of this frame that are to be kept as they are.
        taken: numbers k of `<stem>_<k>.jpg` that are in use and must not be written.
        found: the faces, largest first, where they were found elsewhere.
        problem: why the frame could not be read there.
    """

    path: Path
    present: tuple[FaceEntry, ...] = ()
    taken: frozenset[int] = frozenset()
    found: tuple[FoundFace, ...] = ()
    problem: str = ""


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


@dataclass
class _Process:
    settings: WorkerSettings
    finder: FaceFinder | None


_process: _Process | None = None


def start_process(settings: WorkerSettings) -> None:
    """Loads the networks, once per process; several processes share the machine, so each uses one thread."""
    global _process
    if multiprocessing.parent_process() is not None:
        cv2.setNumThreads(1)
    _process = _Process(settings, settings.make_finder(settings.choice) if settings.make_finder else None)


def _ready() -> _Process:
    assert _process is not None, "start_process runs first"
    return _process


@dataclass(frozen=True)
class _Known:
    """A finder that was told what there is."""

    identity: str
    faces: tuple[FoundFace, ...]

    def find(self, frame: NDArray) -> list[FoundFace]:
        return list(self.faces)


def _finder_for(task: FrameTask) -> FaceFinder:
    """Who knows the faces of this frame. FaceLoomError: it could not be read."""
    process = _ready()
    if task.problem:
        raise FaceLoomError(task.problem)
    return process.finder or _Known(process.settings.detector, task.found)


def extract_frame(task: FrameTask) -> FrameResult:
    """Finds, cuts out and writes the faces of one frame. BrokenFile where the frame cannot be read."""
    process = _ready()
    settings = process.settings
    finder = _finder_for(task)
    fingerprint = Fingerprint.of(task.path)
    frame = read_image(task.path)
    faces = extract_faces(frame, task.path.name, finder, settings.extraction)
    new = [face for face in faces if not _is_present(face, task.present)]
    try:
        entries = _write_faces(task, new, settings.output)
        if settings.debug is not None:
            picture = draw_debug(frame, [face.metadata for face in faces])
            write_image(settings.debug / f"{task.path.stem}.jpg", picture, quality=DEBUG_QUALITY)
    except BrokenFile:
        raise
    except FaceLoomError as problem:
        return FrameResult(fingerprint, unwritable=str(problem))
    return FrameResult(fingerprint, tuple(entries))


def _is_present(face: ExtractedFace, present: tuple[FaceEntry, ...]) -> bool:
    box = face.metadata.frame_bbox
    return any(same_face(box, np.array(other.record["frame_bbox"]), _SAME_UNION, _SAME_PART) for other in present)


def _write_faces(task: FrameTask, faces: list[ExtractedFace], output: Path) -> list[FaceEntry]:
    entries = []
    free = (k for k in range(len(faces) + len(task.taken)) if k not in task.taken)
    for k, face in zip(free, faces, strict=False):
        name = f"{task.path.stem}_{k}.jpg"
        write_face(output / name, face.jpeg, face.metadata)
        entries.append(FaceEntry(name, face.metadata.to_record()))
    return entries


def measure_frame(task: FrameTask) -> list[float]:
    """Crop sides, in frame pixels, of the faces of one frame: for `--image-size auto`."""
    extraction = _ready().settings.extraction
    found = _finder_for(task).find(to_uint8(read_image(task.path)))
    if extraction.max_faces > 0:
        found = found[: extraction.max_faces]
    return [crop_side_pixels(face.landmarks, extraction.face_type) for face in found]
