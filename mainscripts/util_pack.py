"""`util --pack-faceset` and `--unpack-faceset`: a folder of faces in one file, and back.

The pack is FaceLoom's own `faceset.h5`, or with `--format dfl` the `faceset.pak` of DeepFaceLab. It is written aside,
opened again and compared with every face before it counts. Face files stay unless `--delete-originals` is given; then
exactly those that are in the pack go to the trash. While a pack lies in a folder its faces are the faceset.

Unpacking checks every face, overwrites nothing that differs, and afterwards renames the pack to `faceset.h5.unpacked`,
so that the files are the faceset again; with `--delete-originals` the pack goes to the trash instead.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from core.errors import BadOption, BrokenFile, FaceLoomError, MissingInput, NotAFace
from core.files import atomic_write_bytes, explain_os_error, list_images, move_to_trash, natural_sorted, undo_box
from core.images import decode_image
from core.paths import FACE_EXTENSIONS, Workspace
from core.progress import Progress
from core.renames import finish_renames
from facelib import legacy_pack
from facelib.metadata import metadata_from_jpeg, read_face
from mainscripts.extract_plan import few
from mainscripts.util_dfl import same_face
from mainscripts.util_pictures import report_problems
from samplelib import pack
from samplelib.faceset import packed_places
from samplelib.pack_index import packed_path
from samplelib.sample import FacePlace

FORMATS = {"faceloom": (), "dfl": ("pak",)}
_PACK_NAMES = {"faceloom": pack.PACK_NAME, "dfl": legacy_pack.PACK_NAME}
_UNPACKED = ".unpacked"
_UNFINISHED = re.compile(r"\.[0-9a-f]{12}\.part\.(h5|pak)")
_UNFINISHED_FOR_SECONDS = 600


def pack_faceset(
    workspace: Workspace,
    folder: Path,
    format: str,
    person_dirs: bool,
    overwrite: bool,
    delete_originals: bool,
    progress: Progress,
) -> int:
    """Packs the faces of a folder. Returns how many are in the pack.

    Args:
        format: "faceloom" or "dfl".
        person_dirs: packs the faces in the folders inside `folder`, each with the name of its folder as a person.
        overwrite: an earlier pack may go to the trash.
        delete_originals: the face files that are in the pack go to the trash.

    Raises:
        MissingInput: there are no faces.
        BadOption: there is a pack already.
        PartialFailure: some files are no faces; each is named, none of them was touched.
    """
    finish_renames(folder)
    _sweep(folder)
    path = folder / _PACK_NAMES[format]
    files = _files_to_pack(folder, person_dirs)
    present = [folder / name for name in _PACK_NAMES.values() if (folder / name).is_file()]
    if present and not overwrite:
        raise BadOption(
            f"There is a pack in {folder} already. Received: {', '.join(p.name for p in present)}.",
            "Add --overwrite to put it into the trash and pack the face files anew, or unpack it first.",
        )
    if not files:
        raise MissingInput(
            f"There are no faces (.jpg files) in {folder}{' or the folders inside it' if person_dirs else ''}.",
            "Extract faces first, or check the path.",
        )
    if present:
        box = move_to_trash(workspace.trash, present, f"a new pack of {folder.name}", replaced_by=[path])
        progress.say(f"The earlier pack is in {box} now.")
    writing = pack.write_pack if format == "faceloom" else _write_legacy
    try:
        problems = writing(path, files, progress)
    except BaseException:
        if present:
            undo_box(box)
        raise
    failed = {file for file, _ in problems}
    packed = [file.path for file in files if file.path not in failed]
    progress.say(f"{len(packed)} faces are in {path} now, and every one of them was compared with its file.")
    if delete_originals:
        box = move_to_trash(workspace.trash, packed, f"packed into {path.name} ({folder})")
        progress.say(f"Their files are in {box} now. To bring them back: workspace undo, or --unpack-faceset.")
    else:
        progress.say("Their files are still there; while the pack is in the folder, it is the faceset.")
    report_problems([(file.name, reason) for file, reason in problems], len(files), progress)
    return len(packed)


def _sweep(folder: Path) -> None:
    """Removes packs that a killed run left half written (core/files.py names them); young ones may be in use."""
    for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name) and time.time() - path.stat().st_mtime > _UNFINISHED_FOR_SECONDS:
            path.unlink()


def _files_to_pack(folder: Path, person_dirs: bool) -> list[pack.PackedFile]:
    loose = list_images(folder, FACE_EXTENSIONS)
    if not person_dirs:
        return [pack.PackedFile(path, path.name) for path in loose]
    people = natural_sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [
        pack.PackedFile(path, f"{person.name}/{path.name}")
        for person in people
        for path in list_images(person, FACE_EXTENSIONS)
    ]


def _write_legacy(path: Path, files: Sequence[pack.PackedFile], progress: Progress) -> list[tuple[Path, str]]:
    """As `write_pack`, for `faceset.pak`; its writer reads back and compares what it wrote."""
    problems: list[tuple[Path, str]] = []

    def faces() -> Iterator[legacy_pack.FaceToPack]:
        with progress.task("Packing faces", len(files), "face") as task:
            for file in files:
                person, _, name = file.name.rpartition("/")
                try:
                    jpeg, metadata = read_face(file.path)
                except (NotAFace, BrokenFile) as problem:
                    problems.append((file.path, getattr(problem, "why", problem.what)))
                else:
                    yield legacy_pack.FaceToPack(jpeg, metadata, legacy_pack.PackedName(name, person or None))
                task.advance()

    legacy_pack.write_legacy_pack(path, faces())
    return problems


def unpack_faceset(workspace: Workspace, folder: Path, delete_originals: bool, progress: Progress) -> int:
    """Writes every face of the folder's pack as a file again. Returns how many faces there are.

    Raises:
        MissingInput: there is no pack.
        BrokenFile: the pack or a face in it is damaged; the pack stays where it is.
        BadOption: a file that differs has the name of a face; nothing was written.
    """
    path = next((folder / name for name in _PACK_NAMES.values() if (folder / name).is_file()), None)
    if path is None:
        raise MissingInput(f"There is no pack in {folder}.", "Check the path; face files need no unpacking.")
    places = _checked_places(path, progress)
    targets = [packed_path(folder, place.packed_name) for place in places]
    differing = [
        str(target.relative_to(folder))
        for place, target in zip(places, targets, strict=True)
        if os.path.lexists(target) and not _same(place, target)
    ]
    if differing:
        raise BadOption(
            f"{len(differing)} files in {folder} have the names of packed faces and differ from them. "
            f"Received: {few(differing)}.",
            "Move them to another folder, or put the pack away if the files are what you want.",
        )
    with progress.task("Unpacking faces", len(places), "face") as task:
        for place, target in zip(places, targets, strict=True):
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                atomic_write_bytes(target, place.read())
            task.advance()
    if any(not _same(place, target) for place, target in zip(places, targets, strict=True)):
        raise FaceLoomError(f"{folder}: a face does not read back as it was packed.", "Check the disk; the pack stays.")
    progress.say(f"{len(places)} faces of {path.name} are files in {folder} again.")
    if delete_originals:
        box = move_to_trash(workspace.trash, [path], f"unpacked {path.name} ({folder})")
        progress.say(f"The pack is in {box} now.")
    else:
        progress.say(f"The pack is called {_put_aside(path).name} now and is not read any more.")
    return len(places)


def _checked_places(path: Path, progress: Progress) -> list[FacePlace]:
    """Every face of a pack, each proven whole: by its SHA-256, or in a pack without those by its record."""
    if path.name == pack.PACK_NAME:
        return [sample.place for sample in pack.check_pack(path, progress)]
    places = packed_places(path)
    with progress.task("Checking the pack", len(places), "face") as task:
        for place in places:
            metadata_from_jpeg(place.read(), place.label)
            task.advance()
    return places


def _same(place: FacePlace, target: Path) -> bool:
    """Whether a file is what is packed: byte for byte, or, in the older pack, the same picture and the same record."""
    try:
        if not target.is_file():
            return False
        stored, packed = target.read_bytes(), place.read()
    except OSError as problem:
        raise explain_os_error(problem, target) from problem
    if stored == packed or place.path.name == pack.PACK_NAME:
        return stored == packed
    try:
        records = metadata_from_jpeg(stored, target), metadata_from_jpeg(packed, place.label)
        same_picture = np.array_equal(decode_image(stored, target), decode_image(packed, place.label))
    except (BrokenFile, NotAFace):
        return False
    return same_picture and same_face(*records)


def _put_aside(path: Path) -> Path:
    """Gives an unpacked pack a name under which nobody reads it."""
    aside = path.with_name(path.name + _UNPACKED)
    number = 2
    while aside.exists():
        aside = path.with_name(f"{path.name}{_UNPACKED}{number}")
        number += 1
    try:
        os.rename(path, aside)
    except OSError as problem:
        raise explain_os_error(problem, path) from problem
    return aside
