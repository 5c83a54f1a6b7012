"""`util --save-faceset-metadata` and `--restore-faceset-metadata`: faces edited in programs that drop their records.

Save, edit or upscale the pictures in any program, restore. The backup, `faceset_metadata.jsonl` in the folder of faces,
is text: the first line is {"schema": "FacesetMetadata.1", "faces": N}, then one line per face:

    {"file": "00001_0.jpg", "side": 512, "record": {see facelib/face_record.py}, "mask": base64 of a PNG or null}

A picture is found by the stem of its name, so a PNG or TIFF that an upscaler wrote counts too; it becomes a JPEG beside
its original. A picture of another size keeps that size and its record is scaled, unless the old size is asked for. The
backup always stays; what is overwritten goes to the trash first. A `meta.dat` of DeepFaceLab is understood as well.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2

from core.errors import BrokenFile, FaceLoomError, MissingInput, NotAFace
from core.files import atomic_path, list_images, move_to_trash
from core.images import decode_image, encode_jpeg, to_uint8
from core.paths import FACE_EXTENSIONS, IMAGE_EXTENSIONS, Workspace
from core.progress import Progress
from core.renames import finish_renames
from core.words import counted
from facelib.legacy import plain_name, read_meta_dat
from facelib.metadata import FaceMetadata, read_metadata, write_face
from mainscripts.extract_plan import few
from mainscripts.util_pictures import report_problems
from mainscripts.util_recover import known_faces
from samplelib.faceset import open_faceset
from samplelib.resizing import resized_metadata
from samplelib.sample import LARGEST_SIDE

BACKUP_NAME = "faceset_metadata.jsonl"

_LEGACY_NAME = "meta.dat"
_SCHEMA = "FacesetMetadata.1"
_QUALITY = 98
_LONGEST_LINE = 64 << 20


@dataclass(frozen=True)
class SavedFace:
    """What the backup knows of a face: the name of its file, the side of its picture in pixels, its record."""

    file: str
    side: int
    metadata: FaceMetadata


def save_metadata(workspace: Workspace, folder: Path, progress: Progress) -> int:
    """Writes the backup. Returns how many faces are in it.

    Raises:
        MissingInput: there are no faces.
        PartialFailure: some files are no faces; each is named, and the others are in the backup.
    """
    faceset = open_faceset(folder, progress)
    path = folder / BACKUP_NAME
    with atomic_path(path) as unfinished:
        with open(unfinished, "w", encoding="ascii", newline="\n") as stream:
            stream.write(json.dumps({"schema": _SCHEMA, "faces": len(faceset)}) + "\n")
            for sample in faceset:
                mask = sample.metadata.xseg_mask
                line = {
                    "file": sample.place.name,
                    "side": sample.side,
                    "record": sample.metadata.to_record(),
                    "mask": None if mask is None else base64.b64encode(mask).decode("ascii"),
                }
                stream.write(json.dumps(line, allow_nan=False) + "\n")
        if path.exists():
            box = move_to_trash(workspace.trash, [path], f"a new {BACKUP_NAME} of {folder.name}", replaced_by=[path])
            progress.say(f"The earlier backup is in {box} now.")
    progress.say(
        f"The records of {len(faceset)} faces are in {path}. Edit and resize the pictures as you like, keep their "
        "names (another extension is fine), then restore."
    )
    report_problems(
        [(p.name, reason) for p, reason in faceset.problems], len(faceset) + len(faceset.problems), progress
    )
    return len(faceset)


def restore_metadata(workspace: Workspace, folder: Path, keep_size: bool, progress: Progress) -> int:
    """Gives records back to the pictures of the backup. Returns how many faces got one.

    Args:
        keep_size: a picture of another size keeps it and its record is scaled; otherwise it is resized back.

    Raises:
        MissingInput: there is no backup, or none of its pictures.
        BrokenFile: the backup is damaged.
        PartialFailure: some pictures could not be used; each is named with its reason.
    """
    finish_renames(folder)
    saved, problems = _read_backup(folder)
    found = _match(_named_as_now(saved, folder), folder)
    problems += found.problems
    if len(found.missing) == len(saved):
        raise MissingInput(
            f"None of the {len(saved)} faces of the backup is in {folder}.",
            "Put the edited pictures there, with the names they had.",
        )
    in_box: dict[Path, Path] = {}
    replaced = _about_to_change(found.work, folder, keep_size)
    if replaced:
        box = move_to_trash(workspace.trash, replaced, f"restore metadata ({folder})", replaced_by=replaced)
        progress.say(f"{counted(len(replaced), 'file')} to be replaced by a new picture: now in {box}.")
        in_box = {path: box / "items" / path.name for path in replaced}
    restored = 0
    with progress.task("Restoring records", len(found.work), "face") as task:
        for face, picture in found.work:
            try:
                _restore(face, in_box.get(picture, picture), folder / _jpeg_name(face), keep_size)
                restored += 1
            except (FaceLoomError, ValueError, OSError) as problem:
                problems.append((picture.name, str(problem)))
            task.advance()
    left = f", {found.whole} had theirs already" if found.whole else ""
    progress.say(f"{restored} faces have their records again{left}. The backup stays where it is.")
    if found.missing:
        progress.say(f"{len(found.missing)} faces of the backup are not in the folder: {few(found.missing)}.")
    report_problems(problems, len(saved), progress)
    return restored


@dataclass(frozen=True)
class _Match:
    """The faces of a backup and the pictures of a folder.

    Attributes:
        work: faces with the pictures that need their records.
        missing: names of faces without a picture.
        whole: how many have their records.
        problems: (file, reason) where several pictures could be meant.
    """

    work: list[tuple[SavedFace, Path]]
    missing: list[str]
    whole: int
    problems: list[tuple[str, str]]


def _match(saved: Sequence[SavedFace], folder: Path) -> _Match:
    pictures: dict[str, list[Path]] = {}
    for path in list_images(folder, IMAGE_EXTENSIONS):
        pictures.setdefault(path.stem.casefold(), []).append(path)
    whole, work, missing, problems = 0, list[tuple[SavedFace, Path]](), list[str](), list[tuple[str, str]]()
    for face in saved:
        if "/" in face.file:  # put away, and another face has its name now (journal_names.py)
            missing.append(face.file)
            continue
        try:
            picture = _picture_of(face, pictures.get(Path(face.file).stem.casefold(), []))
        except FaceLoomError as problem:
            problems.append((face.file, problem.what))
            continue
        if picture is None:
            whole += 1
        elif not picture.exists():
            missing.append(face.file)
        else:
            work.append((face, picture))
    return _Match(work, missing, whole, problems)


def _named_as_now(saved: Sequence[SavedFace], folder: Path) -> list[SavedFace]:
    """The faces with the names that sorting has given them since, as the extraction's journal tells."""
    names = {face.key: face.file for face in known_faces(folder)}
    keys = [(face.metadata.frame_name, face.metadata.frame_bbox.tobytes()) for face in saved]
    return [replace(face, file=names.get(key, face.file)) for face, key in zip(saved, keys, strict=True)]


def _jpeg_name(face: SavedFace) -> str:
    name = Path(face.file)
    return face.file if name.suffix.casefold() in FACE_EXTENSIONS else f"{name.stem}.jpg"


def _picture_of(face: SavedFace, candidates: Sequence[Path]) -> Path | None:
    """The picture that needs the record: a path (that may not exist), or None where the face is whole.

    Raises:
        FaceLoomError: several could be meant.
    """
    whole = [path for path in candidates if _is_whole(path, face)]
    finished = max((path.stat().st_mtime_ns for path in whole), default=-1)
    # A picture that is older than the whole face is what that face was made of.
    needing = [path for path in candidates if path not in whole and path.stat().st_mtime_ns > finished]
    if len(needing) > 1:
        raise FaceLoomError(f"More than one picture could be meant: {few([path.name for path in needing])}.")
    if needing:
        return needing[0]
    return None if candidates else Path(face.file)


def _is_whole(path: Path, face: SavedFace) -> bool:
    """Whether a picture has a record that fits it. One that only differs in size from the saved face was upscaled by a
    program that kept the record, which fits no more."""
    if path.suffix.casefold() not in FACE_EXTENSIONS:
        return False
    try:
        metadata = read_metadata(path)
        if metadata != face.metadata:
            return True  # a record made since, by more work on this face
        height, width = decode_image(path.read_bytes(), path).shape[:2]
        return (width, height) == (face.side, face.side)
    except (BrokenFile, NotAFace, OSError):
        return False


def _about_to_change(work: Sequence[tuple[SavedFace, Path]], folder: Path, keep_size: bool) -> list[Path]:
    """The files whose picture will be another one; a JPEG that only gets its record is not among them."""
    changed = []
    for face, picture in work:
        target = folder / _jpeg_name(face)
        if target != picture and target.exists() and _side(picture) is not None:
            changed.append(target)
        elif target == picture and not keep_size and _side(picture) not in (None, face.side):
            changed.append(picture)
    return changed


def _side(path: Path) -> int | None:
    """Of a square picture, pixels; None for what cannot become a face."""
    try:
        height, width = decode_image(path.read_bytes(), path).shape[:2]
        return width if width == height <= LARGEST_SIDE else None
    except (BrokenFile, OSError):
        return None


def _restore(face: SavedFace, picture: Path, target: Path, keep_size: bool) -> None:
    data = picture.read_bytes()
    image = to_uint8(decode_image(data, picture))
    height, width = image.shape[:2]
    if width != height or width > LARGEST_SIDE:
        raise BrokenFile(picture, f"a face is square with {LARGEST_SIDE} pixels at most, and this is {width}x{height}.")
    if width != face.side and not keep_size:
        method = cv2.INTER_AREA if width > face.side else cv2.INTER_CUBIC
        image = cv2.resize(image, (face.side, face.side), interpolation=method)
        data, width = encode_jpeg(image, _QUALITY), face.side
    elif picture.suffix.casefold() not in FACE_EXTENSIONS:
        data = encode_jpeg(image, _QUALITY)
    write_face(target, data, resized_metadata(face.metadata, face.side, width))
    read_metadata(target)


def _read_backup(folder: Path) -> tuple[list[SavedFace], list[tuple[str, str]]]:
    """The faces of the backup, and what could not be read of one written by an older tool."""
    path = folder / BACKUP_NAME
    if path.is_file():
        return list(_lines(path)), []
    legacy = folder / _LEGACY_NAME
    if not legacy.is_file():
        raise MissingInput(
            f"There is no backup ({BACKUP_NAME} or {_LEGACY_NAME}) in {folder}.",
            "Save the metadata before you edit the pictures.",
        )
    faces, problems = read_meta_dat(legacy)
    return [SavedFace(name, size[0], metadata) for name, (size, metadata) in faces.items()], problems


def _lines(path: Path) -> Iterator[SavedFace]:
    number = 0
    try:
        with open(path, encoding="utf-8") as stream:
            head = json.loads(stream.readline(_LONGEST_LINE))
            if not isinstance(head, dict) or head.get("schema") != _SCHEMA:
                raise ValueError("its first line is not one this version knows.")
            while line := stream.readline(_LONGEST_LINE):
                number += 1
                yield _saved_face(json.loads(line), path)
            if number != head.get("faces"):
                raise ValueError(f"it has {number} faces instead of {head.get('faces')}.")
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem
    except (ValueError, TypeError, RecursionError) as problem:
        raise BrokenFile(path, f"the backup is damaged after face {number}: {problem}") from problem


def _saved_face(entry: Any, path: Path) -> SavedFace:
    if not isinstance(entry, dict) or set(entry) != {"file", "side", "record", "mask"}:
        raise ValueError("a line is not an object with file, side, record and mask.")
    side, mask = entry["side"], entry["mask"]
    if type(side) is not int or not 0 < side <= LARGEST_SIDE:
        raise ValueError(f"a side is 1 to {LARGEST_SIDE} pixels.")
    name = plain_name(entry["file"])
    png = None if mask is None else base64.b64decode(mask, validate=True)
    return SavedFace(name, side, FaceMetadata.from_json(json.dumps(entry["record"]), path.parent / name, png))
