"""Faces marked by hand, from the outside: the file that is asked for, three ways to use it, and what is replaced."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, ConfirmationNeeded, MissingInput, PartialFailure
from core.images import read_image, write_image
from core.paths import Workspace
from core.progress import SILENT, SilentProgress
from core.renames import undo_newest
from facelib.extraction import FaceFinder, FoundFace
from facelib.landmark_editor import LandmarkEditor
from facelib.marks import read_marks, write_marks
from facelib.metadata import read_metadata
from mainscripts.extract import ExtractOptions, ExtractReport, run
from mainscripts.extract_journal import Journal
from mainscripts.extract_worker import FinderChoice
from tests.painting import head_landmarks, paint_background, paint_frame

REPOSITORY = Path(__file__).resolve().parents[2]
HEAD, OTHER = ((200.0, 160.0), 120.0), ((470.0, 160.0), 70.0)
"""Where heads are: middle and size."""


class Finder:
    """Finds as many heads as blue of the first pixel says; measures one as wide as the box, none in the left edge."""

    identity = "played 1"

    def find(self, frame: np.ndarray) -> list[FoundFace]:
        places = [HEAD, OTHER][: int(frame[0, 0, 0]) // 10]
        return [FoundFace.from_landmarks(head_landmarks(*place), 1.0) for place in places]

    def measure_box(
        self, frame: np.ndarray, box: np.ndarray, turn: float = 0.0, *, accurate: bool = True
    ) -> np.ndarray | None:
        x, y = (box[:2] + box[2:]) / 2
        return None if x < 20 else head_landmarks((x, y), float(box[2] - box[0]), roll=turn)


def played(choice: FinderChoice) -> FaceFinder:
    return Finder()


class Said(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def workspace(odd_folder: Path) -> Workspace:
    """Five frames: one head, two, none, one, none."""
    workspace = Workspace(odd_folder)
    for number, heads in enumerate((1, 2, 0, 1, 0), 1):
        frame = paint_frame(640, 320, *HEAD, seed=number)[0] if heads else paint_background(640, 320, number)
        frame[0, 0] = (heads * 10, 0, 0)
        workspace.data_dst.mkdir(exist_ok=True)
        write_image(workspace.data_dst / f"{number:05d}.png", frame)
    return workspace


def extract(workspace: Workspace, progress: SilentProgress = SILENT, **given: object) -> ExtractReport:
    usual = {"input_dir": workspace.data_dst, "output_dir": workspace.data_dst_aligned, "image_size": 256, "workers": 0}
    return run(workspace, ExtractOptions.of(**usual | given), progress, played)


def marks_file(workspace: Workspace) -> Path:
    return workspace.data_dst / "aligned_manual.json"


def mark(workspace: Workspace, **frames: object) -> Path:
    """Writes marks by frame number: _3=[{"box": ...}]; those that are there already stay."""
    path = marks_file(workspace)
    known = json.loads(path.read_text(encoding="utf-8"))["frames"] if path.exists() else {}
    named = {f"{int(number[1:]):05d}.png": value for number, value in frames.items()}
    path.write_text(json.dumps({"schema": "ManualFaces.1", "frames": known | named}), encoding="utf-8")
    return path


def box(place: tuple[tuple[float, float], float]) -> list[float]:
    (x, y), size = place
    return [x - size / 2, y - size / 2, x + size / 2, y + size / 2]


def names(workspace: Workspace) -> list[str]:
    return sorted(p.name for p in workspace.data_dst_aligned.glob("*.jpg"))


def debug_names(workspace: Workspace) -> list[str]:
    return sorted(p.name for p in workspace.data_dst_aligned_debug.glob("*.jpg"))


# -------------------------------------------------------------------------------------------------------------- manual


def test_without_a_file_one_is_written_and_named(workspace: Workspace) -> None:
    with pytest.raises(MissingInput) as caught:
        extract(workspace, detector="manual")
    file = marks_file(workspace)
    assert caught.value.what == f"{file} was written, and does not say yet where the faces of 5 frames are."
    assert caught.value.remedy == "Fill in its lines (its first ones say how), then run the same step again."
    assert read_marks(file) == {f"{n:05d}.png": None for n in range(1, 6)}
    text = file.read_text(encoding="utf-8")
    assert "00001.png is 640 pixels wide and 320 high." in text
    assert (
        '"two boxes.png": [{"box": [80, 90, 180, 200], "turn": 30.0}, {"box": [300, 85, 420, 230], "mean": true}]'
        in text
    )
    assert not workspace.data_dst_aligned.exists()
    with pytest.raises(MissingInput, match="is there, but does not say yet"):
        extract(workspace, detector="manual")


def test_what_is_filled_in_is_extracted_and_the_rest_is_told(workspace: Workspace) -> None:
    points = head_landmarks((300, 150), 90, yaw=0.4).tolist()
    mark(workspace, _1=[{"box": box(HEAD)}, {"box": box(OTHER), "turn": 20}], _2=[], _4=[{"points": points}])
    said = Said()
    report = extract(workspace, said, detector="manual")
    assert names(workspace) == ["00001_0.jpg", "00001_1.jpg", "00004_0.jpg"]
    assert (report.faces, report.side) == (3, 256)
    assert report.unmarked == ["00003.png", "00005.png"]
    assert f"Still to be marked in {marks_file(workspace)}: 2 frames: 00003.png, 00005.png" in said.lines
    assert read_marks(marks_file(workspace))["00005.png"] is None  # a line for each of them
    first, second = (read_metadata(workspace.data_dst_aligned / f"00001_{k}.jpg") for k in (0, 1))
    np.testing.assert_allclose(first.frame_landmarks, head_landmarks(*HEAD), atol=1e-3)
    np.testing.assert_allclose(second.frame_landmarks, head_landmarks(*OTHER, roll=np.radians(20)), atol=1e-3)
    assert first.detector == "by hand + played 1"
    given = read_metadata(workspace.data_dst_aligned / "00004_0.jpg")
    np.testing.assert_allclose(given.frame_landmarks, points, atol=1e-3)


def test_the_same_again_does_only_what_has_changed(workspace: Workspace) -> None:
    mark(workspace, _1=[{"box": box(HEAD)}], _2=[{"box": box(OTHER)}])
    extract(workspace, detector="manual")
    (workspace.data_dst_aligned / "00001_0.jpg").unlink()  # unwanted, and stays away
    mark(workspace, _2=[{"box": [430, 120, 510, 200]}], _3=[{"box": box(HEAD), "mean": True}])
    said = Said()
    report = extract(workspace, said, detector="manual")
    assert (report.faces, report.skipped) == (2, 1)
    assert names(workspace) == ["00002_0.jpg", "00003_0.jpg"]
    assert report.trash is not None
    assert [p.name for p in report.trash.rglob("*.jpg")] == ["00002_0.jpg"]
    assert any(line.startswith("Faces marked by hand take the places of 00002_0.jpg") for line in said.lines)
    moved = read_metadata(workspace.data_dst_aligned / "00002_0.jpg")
    np.testing.assert_allclose(moved.frame_landmarks, head_landmarks((470, 160), 80), atol=1e-3)
    assert extract(workspace, detector="manual").faces == 0


def test_a_box_without_a_face_is_told_and_the_others_are_done(workspace: Workspace) -> None:
    mark(workspace, _1=[{"box": box(HEAD)}], _3=[{"box": box(HEAD)}, {"box": [0, 10, 30, 40]}])
    with pytest.raises(PartialFailure) as caught:
        extract(workspace, detector="manual")
    assert "00003.png" in str(caught.value)
    assert caught.value.remedy.startswith("Correct their marks")
    assert names(workspace) == ["00001_0.jpg"]
    mark(workspace, _3=[{"box": box(HEAD)}])
    assert extract(workspace, detector="manual").faces == 1


def test_why_a_box_has_no_face(workspace: Workspace) -> None:
    mark(workspace, _3=[{"box": [0, 10, 30, 40]}])
    said = Said()
    with pytest.raises(PartialFailure):
        extract(workspace, said, detector="manual")
    assert said.lines[-1] == (
        "Failed: 00003.png: no face is seen in box 1, [0.0, 10.0, 30.0, 40.0]. "
        'Move the box, give "points" instead, or add "mean": true.'
    )


def test_the_size_can_be_that_of_the_marked_faces(workspace: Workspace) -> None:
    mark(workspace, _1=[{"box": box(HEAD)}])
    first = extract(workspace, detector="manual", image_size="auto")
    assert first.side % 64 == 0
    mark(workspace, _2=[{"box": [450, 140, 490, 180]}])
    assert extract(workspace, detector="manual", image_size="auto").side == first.side


def test_a_file_elsewhere_is_written_once_and_then_only_read(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    with pytest.raises(MissingInput, match=r"mine\.json was written"):
        extract(workspace, detector="manual", manual_file=file)
    write_marks(file, {"00001.png": ()})
    before = file.read_bytes()
    assert extract(workspace, detector="manual", manual_file=file).unmarked == [f"{n:05d}.png" for n in range(2, 6)]
    assert file.read_bytes() == before


def test_frames_that_are_not_there_are_named(workspace: Workspace) -> None:
    mark(workspace, _1=[], _77=[])
    with pytest.raises(BadOption, match=r"speaks of frames that are not in .* Received: 00077\.png\."):
        extract(workspace, detector="manual")


def test_replace_begins_anew_but_not_before_something_is_marked(workspace: Workspace) -> None:
    extract(workspace)
    with pytest.raises(MissingInput):
        extract(workspace, detector="manual", on_existing="replace", yes=True)
    assert len(names(workspace)) == 4
    mark(workspace, _5=[{"box": box(HEAD)}])
    with pytest.raises(ConfirmationNeeded):
        extract(workspace, detector="manual", on_existing="replace")
    extract(workspace, detector="manual", on_existing="replace", yes=True)
    assert names(workspace) == ["00005_0.jpg"]


def test_what_the_editor_accepts_is_extracted(workspace: Workspace) -> None:
    """The plain object, its file, and the command, end to end: the faces are where they were accepted."""
    frames = sorted(workspace.data_dst.glob("*.png"))
    editor = LandmarkEditor([f.name for f in frames], lambda n: read_image(frames[n]), Finder(), window_size=0)
    editor.turn_wheel(-4)
    editor.move_pointer(*HEAD[0])
    editor.press("+")
    editor.move_pointer(*OTHER[0])
    editor.press("enter")
    editor.press("space")
    editor.move_pointer(300, 150)
    editor.click_right()
    editor.move_pointer(380, 170)
    editor.click(380, 170)
    drawn = editor.landmarks
    editor.press("q")
    assert editor.finished
    write_marks(marks_file(workspace), editor.marks())
    report = extract(workspace, detector="manual", face_type="full_face")
    assert names(workspace) == ["00001_0.jpg", "00001_1.jpg", "00003_0.jpg"]
    assert report.unmarked == ["00004.png", "00005.png"]
    record = read_metadata(workspace.data_dst_aligned / "00003_0.jpg")
    assert drawn is not None
    np.testing.assert_allclose(record.frame_landmarks, drawn, atol=2e-3)
    accepted = read_metadata(workspace.data_dst_aligned / "00001_1.jpg")
    np.testing.assert_allclose(
        accepted.frame_landmarks.mean(axis=0), head_landmarks(OTHER[0], 124).mean(axis=0), atol=2
    )


# ----------------------------------------------------------------------------------------------------------------- fix


def test_frames_without_a_face_are_listed_and_then_done(workspace: Workspace) -> None:
    said = Said()
    report = extract(workspace, said, manual_fix=True, output_debug=True)
    assert names(workspace) == ["00001_0.jpg", "00002_0.jpg", "00002_1.jpg", "00004_0.jpg"]
    assert report.unmarked == ["00003.png", "00005.png"]
    assert read_marks(marks_file(workspace)) == {"00003.png": None, "00005.png": None}
    assert any(line.startswith(f"Still to be marked in {marks_file(workspace)}: 2 frames") for line in said.lines)
    mark(workspace, _3=[{"box": box(HEAD)}], _5=[])
    report = extract(workspace, manual_fix=True, output_debug=True)
    assert (report.faces, report.unmarked, report.without_face) == (1, [], ["00005.png"])
    assert "00003_0.jpg" in names(workspace)
    assert len(debug_names(workspace)) == 5
    again = extract(workspace, manual_fix=True, output_debug=True)
    assert (again.faces, again.unmarked) == (0, [])


def test_a_corrected_mark_replaces_its_face_later(workspace: Workspace) -> None:
    mark(workspace, _3=[{"box": box(HEAD)}])
    assert extract(workspace, manual_fix=True).faces == 5
    mark(workspace, _3=[{"box": box(OTHER)}, {"box": [150, 110, 250, 210]}])
    report = extract(workspace, manual_fix=True)
    assert report.faces == 2
    assert report.trash is not None
    assert [name for name in names(workspace) if name.startswith("00003")] == ["00003_0.jpg", "00003_1.jpg"]


def test_nothing_missed_is_nothing_to_mark(workspace: Workspace) -> None:
    for number in (3, 5):
        (workspace.data_dst / f"{number:05d}.png").unlink()
    assert extract(workspace, manual_fix=True).unmarked == []
    assert not marks_file(workspace).exists()


def test_no_face_anywhere_still_writes_the_file(workspace: Workspace) -> None:
    for number in (1, 2, 4):
        (workspace.data_dst / f"{number:05d}.png").unlink()
    with pytest.raises(MissingInput, match="No face was found"):
        extract(workspace, manual_fix=True)
    mark(workspace, _3=[{"box": box(HEAD)}])
    assert extract(workspace, manual_fix=True).faces == 1


def test_the_automatic_step_goes_on_beside_faces_marked_by_hand(workspace: Workspace) -> None:
    mark(workspace, _3=[{"box": box(HEAD)}])
    extract(workspace, manual_fix=True)
    assert extract(workspace).faces == 0
    with pytest.raises(BadOption, match=r"Received: .*side 256 \(now 320\)"):
        extract(workspace, image_size=320)
    mark(workspace, _5=[{"box": box(HEAD)}])
    with pytest.raises(BadOption, match=r"Received: face_type whole_face \(now head\)"):
        extract(workspace, detector="manual", face_type="head")


def test_fix_goes_with_a_search_only(workspace: Workspace) -> None:
    for given in ({"detector": "manual"}, {"manual_output_debug_fix": True}):
        with pytest.raises(BadOption, match="--manual-fix comes after a search"):
            extract(workspace, manual_fix=True, **given)


# --------------------------------------------------------------------------------------------------------- once more


def test_frames_whose_picture_was_deleted_are_done_again(workspace: Workspace) -> None:
    extract(workspace, output_debug=True, face_type="full_face")
    (workspace.data_dst_aligned_debug / "00002.jpg").unlink()
    (workspace.data_dst_aligned_debug / "00003.jpg").unlink()
    fix: dict[str, Any] = {"manual_output_debug_fix": True, "detector": "manual", "image_size": 256}
    with pytest.raises(MissingInput, match="of 2 frames are"):
        extract(workspace, **fix)
    assert list(read_marks(marks_file(workspace))) == ["00002.png", "00003.png"]
    moved = [HEAD[0][0] + 5, HEAD[0][1]]
    mark(workspace, _2=[{"box": box(((moved[0], moved[1]), 110.0))}])
    report = extract(workspace, **fix)
    assert (report.faces, report.unmarked) == (1, ["00003.png"])
    assert names(workspace) == ["00001_0.jpg", "00002_0.jpg", "00002_1.jpg", "00004_0.jpg"]
    new = read_metadata(workspace.data_dst_aligned / "00002_0.jpg")
    np.testing.assert_allclose(new.frame_landmarks, head_landmarks((205, 160), 110), atol=1e-3)
    assert new.face_type.value == "full_face"  # as the faces that are there
    other = read_metadata(workspace.data_dst_aligned / "00002_1.jpg")
    np.testing.assert_allclose(other.frame_landmarks, head_landmarks(*OTHER), atol=1e-3)  # stays
    entry = Journal(workspace.data_dst_aligned).frames["00002.png"]
    assert [face.file for face in entry.faces] == ["00002_1.jpg", "00002_0.jpg"]
    assert debug_names(workspace) == ["00001.jpg", "00002.jpg", "00004.jpg", "00005.jpg"]
    picture = read_image(workspace.data_dst_aligned_debug / "00002.jpg").astype(int)
    red = (picture[..., 2] - picture[..., :2].max(axis=2)) > 120
    assert red[:, :330].any()
    assert red[:, 420:].any()  # both faces are drawn
    assert report.trash is not None
    undo_newest(workspace.trash)
    assert len(list(workspace.data_dst_aligned.glob("00002_*.jpg"))) >= 2


def test_saying_there_is_no_face_takes_the_found_ones_away(workspace: Workspace) -> None:
    extract(workspace, output_debug=True)
    (workspace.data_dst_aligned_debug / "00002.jpg").unlink()
    mark(workspace, _2=[])
    report = extract(workspace, manual_output_debug_fix=True)
    assert names(workspace) == ["00001_0.jpg", "00004_0.jpg"]
    assert "00002.png" in report.without_face
    assert extract(workspace).faces == 0  # and the search does not bring them back


def test_no_pictures_and_no_deleted_ones(workspace: Workspace) -> None:
    extract(workspace)
    with pytest.raises(MissingInput, match="does not exist, so nothing tells"):
        extract(workspace, manual_output_debug_fix=True)
    extract(workspace, output_debug=True, on_existing="replace", yes=True)
    with pytest.raises(MissingInput, match="Every frame has its picture"):
        extract(workspace, manual_output_debug_fix=True)


def test_from_the_command_line(workspace: Workspace) -> None:
    """The numbered step, without a terminal: exit code 2 and one sentence with the file's name."""
    command = [sys.executable, "main.py", "extract", "--input-dir", "{workspace}/data_dst"]
    command += ["--output-dir", "{workspace}/data_dst/aligned", "--detector", "manual"]
    command += ["--workspace", str(workspace.root), "--log", str(workspace.root / "log.txt")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert f"{marks_file(workspace)} was written" in done.stdout + done.stderr
    mark(workspace, _1=[{"box": box(HEAD), "mean": True}])
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert names(workspace) == ["00001_0.jpg"]
