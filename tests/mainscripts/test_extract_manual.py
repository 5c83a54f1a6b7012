"""What a file of marks leads to: which frames are done, which faces make room, which ones stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption, MissingInput
from core.images import write_image
from core.progress import SILENT
from facelib.face_type import FaceType
from facelib.marks import Mark, Marks, read_marks, write_marks
from mainscripts.extract_journal import Fingerprint, FrameEntry, Journal
from mainscripts.extract_manual import (
    Marked,
    default_file,
    find_marked,
    frames_without_picture,
    list_open,
    load_marks,
    marks_key,
    plan_by_hand,
)
from tests.painting import head_landmarks, paint_background, write_painted_faceset


class Measurer:
    """Sees a head as wide as the box in its middle; none in boxes below 10 pixels."""

    identity = "played"

    def measure_box(
        self, frame: np.ndarray, box: np.ndarray, turn: float = 0.0, *, accurate: bool = True
    ) -> np.ndarray | None:
        width = float(box[2] - box[0])
        return None if width < 10 else head_landmarks(tuple((box[:2] + box[2:]) / 2), width, roll=turn)


@pytest.fixture
def frames(odd_folder: Path) -> list[Path]:
    """Three frames, 640 x 640, named as a painted faceset's."""
    for number in range(1, 4):
        write_image(odd_folder / f"{number:05d}.png", paint_background(640, 640, number))
    return sorted(odd_folder.glob("*.png"))


@pytest.fixture
def faces(odd_folder: Path) -> Path:
    """A face of each frame, in the middle, a third of the frame wide."""
    write_painted_faceset(odd_folder / "faces", 3, face_type=FaceType.WHOLE, yaws=(0.0, 0.0, 0.0))
    return odd_folder / "faces"


MIDDLE = Mark((213, 213, 427, 427))
CORNER = Mark((20, 20, 100, 100))


def test_lines_are_added_and_what_is_there_stays(frames: list[Path]) -> None:
    file = default_file(frames[0].parent / "faces")
    assert file.name == "faces_manual.json"
    assert list_open(file, {frames[1].name: (MIDDLE,)}, frames)
    assert read_marks(file) == {"00002.png": (MIDDLE,), "00001.png": None, "00003.png": None}
    before = file.read_bytes()
    assert not list_open(file, read_marks(file), frames)
    assert file.read_bytes() == before


def test_a_file_that_is_not_there_says_nothing(frames: list[Path]) -> None:
    assert load_marks(frames[0].with_name("absent.json"), frames) == {}


def test_a_file_about_other_frames_is_refused(frames: list[Path]) -> None:
    file = frames[0].with_name("marks.json")
    write_marks(file, {"00001.png": None, "x.png": ()})
    with pytest.raises(BadOption, match=r"Received: x\.png\."):
        load_marks(file, frames)


def test_which_frames_are_marked(frames: list[Path], faces: Path) -> None:
    write_marks(default_file(faces), {"00002.png": (MIDDLE,), "00003.png": None})
    marked = find_marked(None, faces, frames, todo=frames)
    assert [frame.name for frame in marked.frames] == ["00002.png"]
    assert marked.unmarked == ["00001.png", "00003.png"]
    with pytest.raises(MissingInput, match="does not say yet where the faces of 2 frames are"):
        find_marked(None, faces, [*frames], todo=[frames[0], frames[2]])


def test_after_a_search_only_frames_without_a_face_need_marks(frames: list[Path], faces: Path) -> None:
    journal = Journal(faces)
    for frame, failed in zip(frames, (None, "damaged", None), strict=True):
        journal.frames[frame.name] = FrameEntry(frame.name, Fingerprint.of(frame), "key", (), failed)
    marked = find_marked(None, faces, frames, missed=journal)
    assert (marked.frames, marked.unmarked) == ([], ["00001.png", "00003.png"])
    assert list(read_marks(default_file(faces))) == ["00001.png", "00003.png"]


def test_frames_whose_picture_is_gone(frames: list[Path], tmp_path: Path) -> None:
    debug = tmp_path / "faces_debug"
    with pytest.raises(MissingInput, match="does not exist"):
        frames_without_picture(frames, debug)
    for name in ("00001.jpg", "00003.JPG"):
        write_image(debug / name, paint_background(8, 8))
    assert frames_without_picture(frames, debug) == [frames[1]]
    write_image(debug / "00002.png", paint_background(8, 8))
    with pytest.raises(MissingInput, match="Every frame has its picture"):
        frames_without_picture(frames, debug)


def plan(frames: list[Path], faces: Path, marks: Marks, key: str = "key", *, again: bool = False):  # type: ignore[no-untyped-def]
    given = {name: value for name, value in marks.items() if value is not None}
    marked = Marked(Path("marks.json"), given, [f for f in frames if f.name in given], [])
    return plan_by_hand(marked, Measurer(), faces, Journal(faces), key, SILENT, again=again)


def test_what_lies_under_a_mark_makes_room_and_the_rest_stays(frames: list[Path], faces: Path) -> None:
    made = plan(frames, faces, {"00001.png": (MIDDLE, CORNER), "00002.png": (CORNER,), "00003.png": ()})
    assert [path.name for path in made.replaced] == ["00001_0.jpg", "00003_0.jpg"]
    first, second, third = made.tasks
    assert (len(first.found), first.present, first.taken) == (2, (), frozenset())
    assert ([face.file for face in second.present], second.taken) == (["00002_0.jpg"], {0})
    assert (third.found, third.present) == ((), ())
    np.testing.assert_allclose(second.found[0].landmarks, head_landmarks((60, 60), 80), atol=1e-3)
    assert made.names == {"00001.png", "00002.png", "00003.png"}


def test_faces_that_were_renamed_are_found_by_their_record(frames: list[Path], faces: Path) -> None:
    (faces / "00001_0.jpg").rename(faces / "00042.jpg")
    made = plan(frames, faces, {"00001.png": (MIDDLE,)})
    assert [path.name for path in made.replaced] == ["00042.jpg"]


def test_why_a_mark_leads_to_nothing(frames: list[Path], faces: Path) -> None:
    frames[1].write_bytes(b"no picture")
    made = plan(frames, faces, {"00001.png": (MIDDLE, Mark((5, 5, 9, 9))), "00002.png": (MIDDLE,)})
    assert (made.tasks, made.replaced) == ([], [])
    assert made.failed["00001.png"].startswith("no face is seen in box 2, [5, 5, 9, 9].")
    assert set(made.failed) == {"00001.png", "00002.png"}


def test_the_same_marks_are_done_once(frames: list[Path], faces: Path) -> None:
    with Journal(faces) as journal:
        journal.add(FrameEntry("00001.png", Fingerprint.of(frames[0]), "key", marks=marks_key((MIDDLE,))))
    marks = {"00001.png": (MIDDLE,)}
    assert (plan(frames, faces, marks).tasks, plan(frames, faces, marks).finished) == ([], 1)
    assert len(plan(frames, faces, marks, again=True).tasks) == 1
    assert len(plan(frames, faces, marks, "other settings").tasks) == 1
    assert len(plan(frames, faces, {"00001.png": (CORNER,)}).tasks) == 1
    write_image(frames[0], paint_background(640, 640, 9))
    assert len(plan(frames, faces, marks).tasks) == 1
