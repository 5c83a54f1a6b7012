"""Known faces cut out and written down: what goes into the journal, and what is put away before."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import FaceLoomError
from core.files import list_images
from core.images import write_image
from core.paths import Workspace
from core.progress import SILENT
from facelib.extraction import ExtractionSettings, FoundFace
from facelib.face_type import FaceType
from mainscripts.extract_cutting import cut_out_faces, debug_folder, put_old_faces_away
from mainscripts.extract_journal import Fingerprint, FrameEntry, Journal
from mainscripts.extract_options import ExtractOptions, ExtractReport
from mainscripts.extract_worker import FrameTask, WorkerSettings
from tests.painting import head_landmarks, paint_background, write_painted_faceset

FACE = FoundFace.from_landmarks(head_landmarks((100, 100), 80), 1.0)


@pytest.fixture
def frame(odd_folder: Path) -> Path:
    write_image(odd_folder / "1.png", paint_background(200, 200))
    return odd_folder / "1.png"


def cut(tasks: list[FrameTask], faces: Path) -> tuple[ExtractReport, Journal]:
    report = ExtractReport(len(tasks))
    worker = WorkerSettings(ExtractionSettings(FaceType.FULL, 64), faces, None, "played")
    with Journal(faces) as journal:
        cut_out_faces(tasks, journal, "key", worker, 0, report, SILENT)
    return report, Journal(faces)


def test_every_frame_ends_in_the_journal(frame: Path) -> None:
    faces = frame.with_name("faces")
    report, journal = cut([FrameTask(frame, found=(FACE,)), FrameTask(frame.with_name("2.png"))], faces)
    assert report.faces == 1
    assert [entry.file for entry in journal.frames["1.png"].faces] == ["1_0.jpg"]
    assert journal.frames["1.png"].fingerprint == Fingerprint.of(frame)
    assert list(report.failed) == ["2.png"]
    assert journal.frames["2.png"].failed


def test_marks_are_noted_and_a_failure_by_hand_forgets_nothing(frame: Path) -> None:
    faces = frame.with_name("faces")
    cut([FrameTask(frame, found=(FACE,), marks="some")], faces)
    assert Journal(faces).frames["1.png"].marks == "some"
    before = Journal(faces).frames["1.png"]
    frame.write_bytes(b"no picture")
    report, journal = cut([FrameTask(frame, found=(FACE,), marks="others")], faces)
    assert list(report.failed) == ["1.png"]
    assert journal.frames["1.png"] == before


def test_a_folder_that_cannot_be_written_ends_the_run(frame: Path) -> None:
    faces = frame.with_name("faces")
    faces.mkdir()
    (faces / "1_0.jpg").mkdir()
    with pytest.raises(FaceLoomError, match="the same command goes on from there"):
        cut([FrameTask(frame, found=(FACE,))], faces)
    assert Journal(faces).frames == {}


def test_old_faces_journal_and_pictures_go_into_the_trash(odd_folder: Path) -> None:
    workspace = Workspace(odd_folder)
    options = ExtractOptions.of(input_dir=odd_folder, output_dir=odd_folder / "faces")
    report = ExtractReport(0)
    put_old_faces_away(workspace, options, report, SILENT)
    assert report.trash is None
    write_painted_faceset(options.output_dir, 2, side=64)
    write_image(debug_folder(options) / "1.jpg", paint_background(8, 8))
    with Journal(options.output_dir) as journal:
        journal.add(FrameEntry("1.png", Fingerprint(1, 1), "key"))
    put_old_faces_away(workspace, options, report, SILENT)
    assert report.trash is not None
    assert list_images(options.output_dir) == list_images(debug_folder(options)) == []
    assert Journal(options.output_dir).frames == {}
