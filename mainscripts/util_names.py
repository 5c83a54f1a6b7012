"""`util --recover-original-aligned-filename`: faces that were sorted or renamed get the names of their frames again.

The faces of frame `00042.png` become `00042_0.jpg`, `00042_1.jpg` and so on: by the number the record keeps
(`source_face_index`) where there is one, else largest first. The names are planned first; when two files would have one
name nothing is renamed. `workspace undo` takes it back.
"""

from __future__ import annotations

from pathlib import Path

from core.errors import BrokenFile, MissingInput, NotAFace
from core.files import list_images, natural_key
from core.paths import FACE_EXTENSIONS, Workspace
from core.progress import Progress
from core.renames import finish_renames, rename_with_undo
from facelib.metadata import FaceMetadata, read_metadata
from mainscripts.extract_plan import few
from mainscripts.extract_worker import INDEX
from mainscripts.journal_names import follow_folder
from samplelib.pack import PACK_NAME


def recover_names(workspace: Workspace, folder: Path, progress: Progress) -> int:
    """Renames every face of `folder` after its frame. Returns how many have another name now.

    Raises:
        MissingInput: there are no face files.
        BadOption: two files would have one name; nothing was renamed.
    """
    finish_renames(folder)
    faces, strangers = _read(folder, progress)
    if not faces:
        packed = (folder / PACK_NAME).is_file()
        raise MissingInput(
            f"There are no faces to rename in {folder}.",
            "Unpack them first (--unpack-faceset)." if packed else "Extract faces first, or check the path.",
        )
    if strangers:
        progress.say(f"{len(strangers)} pictures are no faces and keep their names: {few(strangers)}.")
    names = original_names(faces)
    box = rename_with_undo(workspace.trash, folder, names, f"recover original filenames ({folder})")
    follow_folder(folder)
    changed = sum(old != new for old, new in names.items())
    progress.say(
        f"{changed} of {len(faces)} faces have another name now." + (" To undo: workspace undo." if box else "")
    )
    return changed


def original_names(faces: list[tuple[str, FaceMetadata]]) -> dict[str, str]:
    """Present file name -> file name after the frame. Frames that differ in their suffix only share their numbers."""
    frames: dict[str, list[tuple[str, FaceMetadata]]] = {}
    for face in faces:
        frames.setdefault(Path(face[1].frame_name).stem.casefold(), []).append(face)
    names = {}
    for members in frames.values():
        for number, (name, metadata) in enumerate(sorted(members, key=_order)):
            names[name] = f"{Path(metadata.frame_name).stem}_{number}{Path(name).suffix}"
    return names


def _order(face: tuple[str, FaceMetadata]) -> tuple[bool, float, float, tuple[tuple[int, int, str], ...]]:
    name, metadata = face
    index = metadata.extra.get(INDEX)
    known = isinstance(index, int) and not isinstance(index, bool)
    left, top, right, bottom = (float(value) for value in metadata.frame_bbox)
    return not known, float(index) if known else 0.0, -(right - left) * (bottom - top), natural_key(name)  # type: ignore[arg-type]


def _read(folder: Path, progress: Progress) -> tuple[list[tuple[str, FaceMetadata]], list[str]]:
    paths = list_images(folder, FACE_EXTENSIONS)
    faces, strangers = [], []
    with progress.task("Reading faces", len(paths), "face") as task:
        for path in paths:
            try:
                faces.append((path.name, read_metadata(path)))
            except (BrokenFile, NotAFace):
                strangers.append(path.name)
            task.advance()
    return faces, strangers
