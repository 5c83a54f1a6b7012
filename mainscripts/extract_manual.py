"""`extract` by hand: faces that somebody has marked in a file (facelib/marks.py) instead of a finder.

`--detector manual` does the frames that the file speaks of; `--manual-fix` those in which the automatic pass found no
face; `--manual-output-debug-fix` those whose picture was deleted from `<folder>_debug`, because it showed something
wrong. Where the file is not there, it is written with a line for every such frame; what is filled in, is done by the
next run of the same step, and only what has changed since.

A marked face takes the place of a face that lies where it does; other faces of its frame stay. A frame that is said to
have no face loses those it has. What is replaced goes to the trash.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.errors import BadOption, FaceLoomError, MissingInput, NotAFace
from core.files import list_images
from core.images import image_size, read_image, to_uint8
from core.paths import sibling
from core.progress import Progress
from facelib.extraction import FoundFace
from facelib.marks import FaceMeasurer, Mark, Marks, landmarks_of, read_marks, write_marks
from facelib.metadata import FaceMetadata
from mainscripts.extract_journal import FaceEntry, Fingerprint, Journal
from mainscripts.extract_plan import faces_by_frame, few, numbers_in_use
from mainscripts.extract_worker import FrameTask, is_same_face

FORM = (
    '{"schema": "ManualFaces.1", "frames": {"00001.png": [{"box": [left, top, right, bottom]}], "00002.png": []}}, in '
    'pixels of the frame, brows to chin; [] means no face, null not looked at yet. A turned face adds "turn": degrees '
    'clockwise. Instead of a box, "points" takes five pairs [x, y] (eyes, tip of the nose, corners of the mouth, from '
    'image-left to image-right) or all 68 landmarks. "mean": true lays the mean face into the box, where no network '
    "sees a face"
)
"""The form of the file in a few words."""

_HELP = (
    "Write the faces of each frame into its line below, as the example shows, then run the same step again.",
    "null: nobody has looked yet. []: there is no face.",
    "box: left, top, right, bottom in pixels of the frame, from brows to chin. turn: degrees clockwise.",
    "points: eyes, tip of the nose, corners of the mouth, from image-left to image-right; or all 68 landmarks.",
    "mean: true lays the mean face into the box, where no network sees a face.",
)
_EXAMPLE: Marks = {
    "one box.png": (Mark((412, 96, 655, 380)),),
    "two boxes.png": (Mark((80, 90, 180, 200), math.radians(30)), Mark((300, 85, 420, 230), mean=True)),
    "points.png": (Mark(points=((215, 230), (305, 230), (260, 290), (220, 340), (300, 340))),),
    "no face.png": (),
}


def default_file(output: Path) -> Path:
    """Where the marks are, unless said otherwise: beside the folder of faces."""
    return sibling(output, "manual").with_suffix(".json")


def frames_without_picture(frames: Sequence[Path], debug: Path) -> list[Path]:
    """The frames whose picture somebody has deleted from the folder of debug pictures.

    Raises:
        MissingInput: there is no such folder, or no picture is missing.
    """
    if not debug.is_dir():
        raise MissingInput(
            f"{debug} does not exist, so nothing tells which frames to do again.", "Extract with --output-debug first."
        )
    shown = {picture.stem.casefold() for picture in list_images(debug)}
    missing = [frame for frame in frames if frame.stem.casefold() not in shown]
    if not missing:
        raise MissingInput(
            f"Every frame has its picture in {debug}, so there is nothing to do again.",
            "Delete the pictures of frames whose faces are wrong or missing, then run this step again.",
        )
    return missing


def load_marks(file: Path, frames: Sequence[Path]) -> dict[str, tuple[Mark, ...] | None]:
    """The marks of a file; none where it does not exist.

    Raises:
        BadOption: it is no file of marks, or names frames that are not there.
        BrokenFile: it cannot be read.
    """
    if not file.exists():
        return {}
    marks = read_marks(file)
    unknown = sorted(set(marks) - {frame.name for frame in frames})
    if unknown:
        raise BadOption(
            f"{file} speaks of frames that are not in {frames[0].parent}. Received: {few(unknown)}.",
            "Take these lines out, or check --input-dir.",
        )
    return marks


def list_open(file: Path, marks: Marks, frames: Sequence[Path]) -> bool:
    """Writes a line into the file for each of the frames that it does not name yet. Returns whether it was changed."""
    missing = {frame.name: None for frame in frames if frame.name not in marks}
    if missing:
        width, height = image_size(frames[0])
        size = f"{frames[0].name} is {width} pixels wide and {height} high."
        write_marks(file, {**marks, **missing}, (*_HELP, size), _EXAMPLE)
    return bool(missing)


@dataclass(frozen=True)
class Marked:
    """What a file of marks says.

    Attributes:
        marks: of the frames to do.
        frames: these frames, in order.
        unmarked: names of the frames that need a face and are not marked yet.
    """

    file: Path
    marks: Mapping[str, tuple[Mark, ...]]
    frames: list[Path]
    unmarked: list[str]


def find_marked(
    file: Path | None,
    output: Path,
    frames: Sequence[Path],
    *,
    todo: Sequence[Path] = (),
    missed: Journal | None = None,
) -> Marked:
    """Reads the file of marks, and writes lines into it for frames that it does not name.

    Args:
        file: None: the one beside `output`. A file that was named and exists is only read.
        todo: the frames that need marks.
        missed: or, the journal of a search: those in which it found no face. Others that the file marks are done too.

    Raises:
        MissingInput: frames are to be marked, and none is.
        BadOption, BrokenFile: as `load_marks`.
    """
    path = file or default_file(output)
    marks = load_marks(path, frames)
    if missed is not None:
        entries = missed.frames
        without = {name for name, entry in entries.items() if entry.failed is None and not entry.faces}
        todo = [frame for frame in frames if frame.name in without or marks.get(frame.name) is not None]
    unmarked = [frame.name for frame in todo if marks.get(frame.name) is None]
    written = bool(unmarked) and (file is None or not path.exists()) and list_open(path, marks, todo)
    done = {frame.name: marks[frame.name] or () for frame in todo if marks.get(frame.name) is not None}
    if not done and missed is None:
        raise MissingInput(
            f"{path} {'was written, and' if written else 'is there, but'} does not say yet where the faces of "
            f"{len(todo)} frames are.",
            "Fill in its lines (its first ones say how), then run the same step again.",
        )
    return Marked(path, done, [frame for frame in todo if frame.name in done], unmarked)


@dataclass
class HandPlan:
    """What is to be done by hand.

    Attributes:
        tasks: frames with their faces to be cut out.
        replaced: faces that make room for them.
        failed: frame name -> why its marks lead to nothing.
        finished: how many marked frames are as they should be.
    """

    tasks: list[FrameTask] = field(default_factory=list)
    replaced: list[Path] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    finished: int = 0

    @property
    def names(self) -> set[str]:
        """Of the frames to do."""
        return {task.path.name for task in self.tasks}


def plan_by_hand(
    marked: Marked,
    measurer: FaceMeasurer,
    output: Path,
    journal: Journal,
    key: str,
    progress: Progress,
    *,
    again: bool = False,
) -> HandPlan:
    """Measures the marked faces, and sees which ones of the folder they replace.

    Args:
        key: of the settings of this run (`settings_key`).
        again: do frames too that were done with these marks and settings before.
    """
    wanted = [frame for frame in marked.frames if again or not _is_done(frame, marked.marks, journal, key)]
    plan = HandPlan(finished=len(marked.frames) - len(wanted))
    if not wanted:
        return plan
    present, taken = faces_by_frame(output, {frame.name for frame in wanted}), numbers_in_use(output)
    with progress.task("Measuring marked faces", total=len(wanted)) as task:
        for frame in wanted:
            marks = marked.marks[frame.name]
            try:
                found = _measure(frame, marks, measurer)
            except FaceLoomError as problem:
                plan.failed[frame.name] = str(problem).removeprefix(f"{frame}: ")
            else:
                there = present.get(frame.name, [])
                replaced = [file for file, known in there if not found or _lies_under(known, found)]
                kept = tuple(FaceEntry(file.name, known.to_record()) for file, known in there if file not in replaced)
                numbers = taken.get(frame.stem, set()) - {_number(file, frame) for file in replaced}
                plan.replaced += replaced
                plan.tasks.append(FrameTask(frame, kept, frozenset(numbers), found, marks=marks_key(marks)))
            task.advance()
    return plan


def marks_key(marks: Sequence[Mark]) -> str:
    """A short name for the marks of one frame: equal marks, equal key."""
    text = json.dumps([mark.to_record() for mark in marks], sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def _is_done(frame: Path, marks: Mapping[str, tuple[Mark, ...]], journal: Journal, key: str) -> bool:
    entry = journal.frames.get(frame.name)
    return (
        entry is not None
        and entry.failed is None
        and entry.key == key
        and entry.marks == marks_key(marks[frame.name])
        and entry.fingerprint == Fingerprint.of(frame)
    )


def _measure(frame: Path, marks: Sequence[Mark], measurer: FaceMeasurer) -> tuple[FoundFace, ...]:
    """The faces of one frame, in the order they were marked. NotAFace where there is none in a box."""
    picture = to_uint8(read_image(frame))
    found = []
    for number, mark in enumerate(marks, 1):
        landmarks = landmarks_of(mark, picture, measurer)
        if landmarks is None:
            raise NotAFace(
                f"no face is seen in box {number}, {json.dumps(mark.to_record()['box'])}.",
                'Move the box, give "points" instead, or add "mean": true.',
            )
        found.append(FoundFace.from_landmarks(landmarks, 1.0))
    return tuple(found)


def _lies_under(known: FaceMetadata, found: Sequence[FoundFace]) -> bool:
    return any(is_same_face(known.frame_bbox, np.asarray(face.bbox)) for face in found)


def _number(file: Path, frame: Path) -> int:
    """k of `<stem>_<k>.jpg`; -1 for other names."""
    stem, _, number = file.stem.rpartition("_")
    return int(number) if stem == frame.stem and number.isascii() and number.isdigit() else -1
