"""`util --recover-records`: faces saved by a picture editor that dropped their records get them back.

The extraction's journal (extract_journal.py) holds a second copy of every record. A picture without one is looked up
there by its name; where its frame is still beside the faces, the frame must show the same face. A picture whose name
says nothing is compared with the faces, as their frames show them, whose records nobody has: one of them must fit well
and clearly better than every other, for a record of the wrong frame would spoil the merge without a word.

A picture that was resized keeps its size and its record is scaled. The record is that of the extraction: a mask applied
since is not in it (`--restore-faceset-metadata` has it, where a backup was saved). `workspace undo` takes it all back.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile, FaceLoomError, MissingInput, NotAFace
from core.files import list_images, move_to_trash
from core.geometry import compose_affine, warp
from core.images import read_image, to_uint8
from core.paths import FACE_EXTENSIONS, Workspace
from core.progress import Progress
from core.renames import finish_renames
from facelib.extraction import crop_side_pixels
from facelib.metadata import FaceMetadata, read_metadata, write_face
from mainscripts.extract_journal import JOURNAL_NAME, Journal
from mainscripts.util_pictures import report_problems
from samplelib.resizing import require_same_picture, resized_metadata
from samplelib.sample import LARGEST_SIDE, resize_matrix

_GLANCE_SIDE, _LOOK_SIDE = 32, 256
_MOST_CANDIDATES = 6
_LEAST_LIKENESS = 0.9
"""Correlation at a glance. A face blurred, recolored or stored at a low quality stays above 0.97 with itself."""
_MOST_LEFT = 0.5
"""What a close look lacks to a correlation of 1 is at most this part of what the second best lacks, or nothing is
guessed. Ten faces of a film against their neighboring frames, brightened and stored again: 0.02 to 0.44; at 32 pixels
0.3 to 0.9, which would not do."""


@dataclass(frozen=True)
class KnownFace:
    """A face the journal knows: the file name it had, its record, and the side of its picture in pixels."""

    file: str
    metadata: FaceMetadata
    side: int

    @property
    def key(self) -> tuple[str, bytes]:
        """Frame and box: the face itself, whatever its file is called."""
        return self.metadata.frame_name, self.metadata.frame_bbox.tobytes()


@dataclass(frozen=True)
class _Bare:
    """A picture without a record, and its side in pixels."""

    path: Path
    side: int


@dataclass(frozen=True)
class _Found:
    """What a picture gets; how: the words that say what it was told by."""

    path: Path
    metadata: FaceMetadata
    how: str


def recover_records(workspace: Workspace, folder: Path, progress: Progress) -> int:
    """Gives the pictures of `folder` without a record the one they had. Returns how many have one again.

    Raises:
        MissingInput: there is no journal, or no picture.
        BrokenFile: the journal cannot be read.
        PartialFailure: some pictures fit no record; each is named with its reason.
    """
    finish_renames(folder)
    paths = list_images(folder, FACE_EXTENSIONS)
    if not paths:
        raise MissingInput(
            f"There are no pictures (.jpg files) in {folder}.", "Extract faces first, or check the path."
        )
    if not (folder / JOURNAL_NAME).is_file():
        raise MissingInput(
            f"There is no journal of an extraction ({JOURNAL_NAME}) in {folder}, so no record can be recovered.",
            "Use --restore-faceset-metadata where a backup was saved, or extract the faces again.",
        )
    known = known_faces(folder)
    bare, present, problems = _look_at(paths, progress)
    if not bare and not problems:
        progress.say(f"All {len(paths)} faces in {folder} have their records.")
        return 0
    free = [face for face in known if face.key not in present]
    found, unnamed = _by_name(bare, free, folder, progress)
    taken = {(item.metadata.frame_name, item.metadata.frame_bbox.tobytes()) for item in found}
    free = [face for face in free if face.key not in taken]
    similar, unknown = _by_picture(unnamed, free, folder, progress)
    found += similar
    recovered = _write(workspace, folder, found, problems, progress)
    problems += unknown
    progress.say(f"{recovered} of {len(bare)} pictures without a record have theirs again.")
    report_problems(problems, len(paths), progress)
    return recovered


def known_faces(folder: Path) -> list[KnownFace]:
    """The faces in the journal of a folder whose records are sound. BrokenFile where it cannot be read."""
    faces = []
    for frame in Journal(folder).frames.values():
        for entry in frame.faces:
            try:
                metadata = FaceMetadata.from_json(json.dumps(dict(entry.record)), folder / entry.file)
                # The side of the picture: what it covers in the frame, times the scale of the matrix.
                covered = crop_side_pixels(metadata.frame_landmarks, metadata.face_type)
            except (BrokenFile, NotAFace, ValueError):
                continue
            side = round(covered * math.hypot(*metadata.frame_to_face[:, 0]))
            if 0 < side <= LARGEST_SIDE:
                faces.append(KnownFace(entry.file, metadata, side))
    return faces


def _look_at(
    paths: Sequence[Path], progress: Progress
) -> tuple[list[_Bare], set[tuple[str, bytes]], list[tuple[str, str]]]:
    """Pictures without a record; the keys of faces that have theirs; files that cannot be read."""
    bare, present, problems = [], set(), []
    with progress.task("Looking for pictures without a record", len(paths), "face") as task:
        for path in paths:
            try:
                metadata = read_metadata(path)
                present.add((metadata.frame_name, metadata.frame_bbox.tobytes()))
            except NotAFace:
                try:
                    bare.append(_Bare(path, _square(path).shape[0]))
                except BrokenFile as problem:
                    problems.append((path.name, problem.why))
            except BrokenFile as problem:
                problems.append((path.name, problem.why))
            task.advance()
    return bare, present, problems


def _square(path: Path) -> NDArray:
    image = to_uint8(read_image(path))
    height, width = image.shape[:2]
    if width != height or width > LARGEST_SIDE:
        raise BrokenFile(path, f"a face is square with {LARGEST_SIDE} pixels at most, and this is {width} x {height}.")
    return image


def _by_name(
    bare: Sequence[_Bare], free: Sequence[KnownFace], folder: Path, progress: Progress
) -> tuple[list[_Found], list[_Bare]]:
    """What names tell, and the pictures they tell nothing of."""
    named = {face.file.casefold(): face for face in free}
    found, unnamed = [], []
    with progress.task("Comparing names", len(bare), "face") as task:
        for picture in bare:
            face = named.get(picture.path.name.casefold())
            item = None if face is None else _named(picture, face, folder)
            if item is None:
                unnamed.append(picture)
            else:
                found.append(item)
            task.advance()
    return found, unnamed


def _named(picture: _Bare, face: KnownFace, folder: Path) -> _Found | None:
    """The record of the face that had this name; None where its frame shows another face than the picture."""
    metadata = resized_metadata(face.metadata, face.side, picture.side)
    try:
        frame = _frame_of(face, folder)
    except BrokenFile:
        frame = None
    if frame is None:
        return _Found(picture.path, metadata, "by its name")
    try:
        require_same_picture(frame, _square(picture.path), metadata, picture.path)
    except BrokenFile:
        return None
    return _Found(picture.path, metadata, "by its name, and its frame shows the same face")


def _frame_of(face: KnownFace, folder: Path) -> NDArray | None:
    """The frame of a face, from the folder that holds the folder of faces; None where it is not there."""
    path = folder.absolute().parent / face.metadata.frame_name
    return read_image(path) if path.is_file() else None


def _by_picture(
    pictures: Sequence[_Bare], free: Sequence[KnownFace], folder: Path, progress: Progress
) -> tuple[list[_Found], list[tuple[str, str]]]:
    """What pictures tell, and a reason for each of the others."""
    if not pictures:
        return [], []
    faces: list[KnownFace] = []
    glances = []
    with progress.task("Comparing with the frames", len(free), "face") as task:
        for face in free:
            seen = _seen_in_frame(face, folder, _GLANCE_SIDE)
            if seen is not None:
                glances.append(seen)
                faces.append(face)
            task.advance()
    if not faces:
        reason = "the journal has no record by this name, and no frame is there to compare it with."
        return [], [(picture.path.name, reason) for picture in pictures]
    known = np.stack(glances)
    found: list[_Found] = []
    unknown: list[tuple[str, str]] = []
    with progress.task("Comparing pictures", len(pictures), "face") as task:
        for picture in pictures:
            image = _square(picture.path)
            likeness = known @ _look(image, resize_matrix(picture.side, _GLANCE_SIDE), _GLANCE_SIDE)
            likely = np.argsort(-likeness)[:_MOST_CANDIDATES]
            candidates = [faces[n] for n in likely.tolist() if likeness[n] >= _LEAST_LIKENESS]
            closest = _closest(image, candidates, folder)
            if closest is not None:
                metadata = resized_metadata(closest.metadata, closest.side, picture.side)
                found.append(_Found(picture.path, metadata, f"by its looks: it was {closest.file}"))
            elif candidates:
                why = "more than one face looks like it; give it the name that it had."
                unknown.append((picture.path.name, why))
            else:
                unknown.append((picture.path.name, "no face without a record looks like it."))
            task.advance()
    return found, unknown


def _closest(image: NDArray, candidates: Sequence[KnownFace], folder: Path) -> KnownFace | None:
    """The face a picture shows, by a close look; None where there is none, or two come too near to each other."""
    own = _look(image, resize_matrix(image.shape[0], _LOOK_SIDE), _LOOK_SIDE)
    lacks = []
    for face in candidates:
        seen = _seen_in_frame(face, folder, _LOOK_SIDE)
        lacks.append(2.0 if seen is None else 1 - float(own @ seen))
    order = np.argsort(lacks)
    if len(order) == 0 or (len(order) > 1 and lacks[order[0]] > _MOST_LEFT * lacks[order[1]]):
        return None
    return candidates[order[0]]


def _seen_in_frame(face: KnownFace, folder: Path, side: int) -> NDArray[np.float32] | None:
    """The look of a face as its frame shows it; None where that frame is not there or cannot be read."""
    try:
        frame = _frame_of(face, folder)
    except BrokenFile:
        return None
    if frame is None:
        return None
    return _look(to_uint8(frame), compose_affine(face.metadata.frame_to_face, resize_matrix(face.side, side)), side)


def _look(picture: NDArray, to_look: NDArray, side: int) -> NDArray[np.float32]:
    """Part of a picture, small and gray, as a vector of length 1 around 0: the dot product of two is their correlation.

    to_look: float64 (2, 3), pixels of the picture to those of the look.
    """
    small = to_uint8(warp(picture, to_look, side, "area-cubic"))
    gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32).ravel()
    gray -= gray.mean()
    return gray / max(float(np.linalg.norm(gray)), 1e-6)


def _write(
    workspace: Workspace, folder: Path, found: Sequence[_Found], problems: list[tuple[str, str]], progress: Progress
) -> int:
    """Writes the records; the pictures as they were go to the trash. Adds to `problems`; returns how many succeeded."""
    if not found:
        return 0
    paths = [item.path for item in found]
    box = move_to_trash(workspace.trash, paths, f"recover records ({folder})", replaced_by=paths)
    recovered = 0
    with progress.task("Writing records", len(found), "face") as task:
        for item in found:
            kept = box / "items" / item.path.name
            try:
                write_face(item.path, kept.read_bytes(), item.metadata)
                recovered += 1
                progress.say(f"{item.path.name}: its record is back, found {item.how}.")
            except (FaceLoomError, OSError) as problem:
                if not item.path.exists():
                    shutil.copyfile(kept, item.path)
                problems.append((item.path.name, str(problem)))
            task.advance()
    progress.say(f"The pictures as they were are in {box} now. To undo: workspace undo.")
    return recovered
