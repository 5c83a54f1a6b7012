"""Which frames an extraction has to do, and what is there already that it must not touch. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadOption, BrokenFile, MissingInput, UserError
from core.files import list_images
from core.paths import FACE_EXTENSIONS
from facelib.legacy_pack import PACK_NAME as OLD_PACK_NAME
from facelib.metadata import FaceMetadata, read_metadata
from mainscripts.extract_journal import FaceEntry, Fingerprint, Journal, settings_key
from mainscripts.extract_worker import FrameTask
from samplelib.pack import PACK_NAME

BY_HAND = "by_hand"
"""A key of the settings of faces that were marked by hand."""

_OF_EVERY_FACE = ("face_type", "side")
"""Settings in which faces that were marked by hand must not differ from found ones."""

_NAMED_AT_MOST = 20
_BEFORE_TRACKS = {"only_track": "all", "min_face_size": 0, "min_confidence": 0.0, "smooth_landmarks": False}
"""Settings of extractions whose journal does not name them."""


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        tasks: the frames to work on, in order.
        outdated: faces of frames that have changed since; to be put away before the work starts.
    """

    tasks: list[FrameTask]
    outdated: list[Path]


def list_frames(folder: Path) -> list[Path]:
    """The frames of a folder, in natural order.

    Raises:
        MissingInput: there are none.
        BadOption: two differ in their extension or in upper and lower case only.
    """
    frames = list_images(folder)
    if not frames:
        raise MissingInput(
            f"There are no pictures in {folder}.",
            "Extract images from the video first (script 2 or 3), or check the path.",
        )
    stems = Counter(frame.stem.casefold() for frame in frames)
    twice = [frame.name for frame in frames if stems[frame.stem.casefold()] > 1]
    if twice:
        raise BadOption(
            "Faces are named after their frames, so these names must differ in more than the extension. "
            f"Received: {few(twice)}.",
            f"Move those you do not want out of {folder}.",
        )
    return frames


def refuse_mixed_folders(frames: Path, faces: Path, debug: Path) -> None:
    """BadOption where frames lie among what is written: they would be taken for faces, and faces for frames."""
    if frames.resolve() in (faces.resolve(), debug.resolve()):
        raise BadOption(
            f"Frames and faces (and <folder of faces>_debug) are different folders. Received: --input-dir {frames} "
            f"--output-dir {faces}.",
            "Choose a folder of their own for the faces.",
        )


def list_faces(output: Path) -> list[Path]:
    """The face files that are there; none where the folder does not exist."""
    return list_images(output, FACE_EXTENSIONS) if output.is_dir() else []


def list_packs(output: Path) -> list[Path]:
    """The packs that are there. Where one is, every other step takes its faces, and none of the files beside it."""
    return [output / name for name in (PACK_NAME, OLD_PACK_NAME) if (output / name).is_file()]


def in_words(faces: Sequence[Path], packs: Sequence[Path]) -> str:
    """ "5 faces and faceset.h5"."""
    loose = [f"{len(faces)} faces"] if faces or not packs else []
    return " and ".join([*loose, *(pack.name for pack in packs)])


def plan_merge(frames: Sequence[Path], output: Path) -> Plan:
    """Every frame is looked at; faces that are there stay, and their numbers are not used."""
    present, taken = faces_by_frame(output, {frame.name for frame in frames}), numbers_in_use(output)
    return Plan(
        [_task_beside(frame, present.get(frame.name, []), taken.get(frame.stem, set())) for frame in frames], []
    )


def _task_beside(frame: Path, present: list[tuple[Path, FaceMetadata]], taken: set[int]) -> FrameTask:
    entries = tuple(FaceEntry(file.name, metadata.to_record()) for file, metadata in present)
    return FrameTask(frame, entries, frozenset(taken))


def plan_continue(frames: Sequence[Path], output: Path, journal: Journal, settings: Mapping[str, Any]) -> Plan:
    """The frames that are not finished.

    Raises:
        BadOption: finished ones were made with other settings, or a face would be overwritten that is not ours.
    """
    done = {frame.name for frame in frames if _is_finished(frame, journal)}
    refuse_other_settings(journal, done, settings, output)
    tasks = [FrameTask(frame) for frame in frames if frame.name not in done]
    present, taken = faces_by_frame(output, {task.path.name for task in tasks}), numbers_in_use(output)
    outdated: list[Path] = []
    for task in tasks:
        earlier = journal.frames.get(task.path.name)
        ours = {face.file for face in earlier.faces} if earlier else set()
        faces = dict(present.get(task.path.name, []))
        for number in taken.get(task.path.stem, set()):
            file = output / f"{task.path.stem}_{number}{_suffix_of(output, task.path.stem, number)}"
            if file not in faces and file.name not in ours:
                raise _not_ours(output, file, task.path)
        for file, metadata in faces.items():
            if file.name in ours:
                outdated.append(file)
            elif not _is_left_over(file, metadata, task, settings):
                raise _not_ours(output, file, task.path)
    return Plan(tasks, outdated)


def _suffix_of(output: Path, stem: str, number: int) -> str:
    return next((s for s in (".jpg", ".jpeg", ".JPG", ".JPEG") if (output / f"{stem}_{number}{s}").exists()), ".jpg")


def faces_by_frame(output: Path, names: set[str]) -> dict[str, list[tuple[Path, FaceMetadata]]]:
    """Face files, by the name of the frame their record gives; those of other frames are passed over."""
    found: dict[str, list[tuple[Path, FaceMetadata]]] = {}
    for file in list_faces(output) if names else []:
        try:
            metadata = read_metadata(file)
        except (UserError, BrokenFile):
            continue
        if metadata.frame_name in names:
            found.setdefault(metadata.frame_name, []).append((file, metadata))
    return found


def numbers_in_use(output: Path) -> dict[str, set[int]]:
    """Frame stem -> numbers k of the files `<stem>_<k>.jpg` that are there, whatever they hold."""
    found: dict[str, set[int]] = {}
    for file in list_faces(output):
        stem, _, number = file.stem.rpartition("_")
        if stem and number.isascii() and number.isdigit() and str(int(number)) == number:
            found.setdefault(stem, set()).add(int(number))
    return found


def _is_finished(frame: Path, journal: Journal) -> bool:
    entry = journal.frames.get(frame.name)
    return entry is not None and entry.failed is None and entry.fingerprint == Fingerprint.of(frame)


def refuse_other_settings(journal: Journal, done: set[str], settings: Mapping[str, Any], output: Path) -> None:
    """BadOption where faces of these frames were made with settings that do not go together with the new ones."""
    for key in {journal.frames[name].key for name in done} - {settings_key(settings)}:
        old = {**_BEFORE_TRACKS, **journal.settings.get(key, {})}
        # How a side was chosen is no part of a face.
        names = [k for k in settings if k != "auto_side"]
        if BY_HAND in old or BY_HAND in settings:
            names = [k for k in _OF_EVERY_FACE if old.get(k) and settings[k]]
        changed = [f"{k} {old.get(k)} (now {settings[k]})" for k in names if old.get(k) != settings[k]]
        if changed:
            raise BadOption(
                f"The faces in {output} were made with other settings. Received: {', '.join(changed)}.",
                "Repeat the earlier settings, or choose --on-existing replace (they go to the trash) or merge (they "
                "stay).",
            )


def _is_left_over(file: Path, metadata: FaceMetadata, task: FrameTask, settings: Mapping[str, Any]) -> bool:
    """Whether a face the journal does not know was written by an interrupted run like this one and never edited."""
    return (
        file.stem.rpartition("_")[0] == task.path.stem
        and metadata.detector == settings["detector"]
        and metadata.face_type.value == settings["face_type"]
        and not metadata.polygons
        and metadata.xseg_mask is None
    )


def _not_ours(output: Path, file: Path, frame: Path) -> BadOption:
    return BadOption(
        f"{output} holds a face of {frame.name} that this extraction has not made. Received: {file.name}.",
        "Choose --on-existing merge (it stays), or replace (the old faces go to the trash).",
    )


def few(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(names[:_NAMED_AT_MOST]) + more
