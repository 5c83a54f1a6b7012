"""What a report looks at: measured faces wherever they are stored, and the frames they are from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.images import write_image
from core.progress import SILENT
from facelib.metadata import read_face, write_face
from mainscripts import report_faces
from mainscripts.extract_journal import FaceEntry, Fingerprint, FrameEntry, Journal
from mainscripts.report_faces import gather_faces, gather_frames
from samplelib.face_features import THUMBNAIL
from samplelib.face_index import INDEX_NAME
from tests.painting import paint_background, write_painted_faceset


@pytest.fixture
def folder(odd_folder: Path) -> Path:
    """Three faces of frames 1 to 3; frame 3 is not there, frame 4 is blank, 5 broken, 6 was deleted, 7 never seen."""
    folder = odd_folder / "faces"
    write_painted_faceset(folder, 3, 64)
    for n in (1, 2, 4, 5, 6, 7):
        write_image(odd_folder / f"{n:05d}.png", paint_background(80, 60, n))
    with Journal(folder) as journal:
        for n in range(1, 7):
            faces = (FaceEntry(f"{n:05d}_0.jpg", {}),) if n in (1, 2, 3, 6) else ()
            failed = "it is cut off." if n == 5 else None
            journal.add(FrameEntry(f"{n:05d}.png", Fingerprint(1, 1), "key", faces, failed))
    return folder


def test_frames_without_faces_are_sorted_by_reason(folder: Path) -> None:
    frames = gather_frames(gather_faces(folder, (), SILENT), SILENT)
    without = frames.without
    assert without.known
    assert without.total == 7
    assert without.empty == ("00004.png",)
    assert without.failed == (("00005.png", "it is cut off."),)
    assert without.removed == ("00006.png",)
    assert without.untold == ("00007.png",)
    assert frames.sizes.tolist() == [[80, 60], [80, 60], [0, 0]]


def test_pictures_that_are_no_frames_of_these_faces_say_nothing(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path / "faces", 2, 64)
    write_image(tmp_path / "holiday.png", paint_background(20, 20))
    assert not gather_frames(gather_faces(tmp_path / "faces", (), SILENT), SILENT).without.known


def test_a_folder_that_cannot_be_written_is_measured_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_faces.os, "access", lambda *_: False)
    unwritten = gather_faces(folder, (THUMBNAIL,), SILENT)
    assert not (folder / INDEX_NAME).exists()
    monkeypatch.undo()
    written = gather_faces(folder, (THUMBNAIL,), SILENT)
    assert (folder / INDEX_NAME).exists()
    np.testing.assert_array_equal(
        unwritten.table.column(THUMBNAIL, "pixels"), written.table.column(THUMBNAIL, "pixels")
    )


def test_what_the_extraction_noted_is_read_with_care(tmp_path: Path) -> None:
    """A record may hold anything under a key of ours."""
    notes = [{"score": 0.5, "gap": True}, {"score": "high"}, [7], {"score": 10**400}, None]
    for path, note in zip(write_painted_faceset(tmp_path, len(notes), 64), notes, strict=True):
        jpeg, record = read_face(path)
        write_face(path, jpeg, replace(record, extra={} if note is None else {"finding": note}))
    faces = gather_faces(tmp_path, (), SILENT)
    np.testing.assert_array_equal(faces.told("score"), [0.5, *[np.nan] * 4])
    np.testing.assert_array_equal(faces.told("gap"), [1, *[np.nan] * 4])


def test_what_a_picture_covers_in_its_frame(folder: Path) -> None:
    faces = gather_faces(folder, (), SILENT)
    # Two pictures a pixel apart in the frame: the matrix says how many of the 64 that is.
    step = np.linalg.norm(faces.metadata(0).frame_to_face[:, 0])
    assert faces.covered_pixels[0] == pytest.approx(64 / step)
