"""`util --recover-records`: records that a picture editor dropped come back by name or by picture, and only rightly."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import MissingInput, PartialFailure
from core.images import decode_image, encode_jpeg, read_image, write_image
from core.paths import EXTRACTION_JOURNAL, Workspace
from core.progress import SILENT
from core.renames import undo_newest
from facelib.extraction import ExtractionSettings, cut_out
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata, read_face, read_metadata, write_face
from mainscripts.extract_journal import FaceEntry, Fingerprint, FrameEntry, Journal
from mainscripts.util_recover import known_faces, recover_records
from samplelib.faceset import open_faceset
from tests.painting import paint_frame

SIDE = 96
COUNT = 5


@pytest.fixture
def workspace(odd_folder: Path) -> Workspace:
    """Frames of a turning head, its faces, and the journal of their extraction."""
    workspace = Workspace(odd_folder)
    folder = workspace.data_dst_aligned
    folder.mkdir(parents=True)
    settings = ExtractionSettings(FaceType.WHOLE, SIDE)
    with Journal(folder) as journal:
        key = journal.use({"side": SIDE})
        for n in range(COUNT):
            frame, landmarks = paint_frame(320, 240, (120 + 20 * n, 120), 90, yaw=-0.4 + 0.2 * n, seed=3)
            path = workspace.data_dst / f"{n:05d}.png"
            write_image(path, frame)
            face = cut_out(frame, path.name, landmarks, "painted", settings)
            write_face(folder / f"{n:05d}_0.jpg", face.jpeg, face.metadata)
            entry = FaceEntry(f"{n:05d}_0.jpg", face.metadata.to_record())
            journal.add(FrameEntry(path.name, Fingerprint.of(path), key, (entry,)))
    return workspace


def strip(path: Path, name: str | None = None, side: int = SIDE) -> FaceMetadata:
    """Saves a face as an editor does that keeps nothing but pixels. Returns the record it had."""
    metadata = read_metadata(path)
    picture = cv2.resize(read_image(path), (side, side), interpolation=cv2.INTER_AREA)
    brighter = np.clip(picture.astype(np.int16) + 6, 0, 255).astype(np.uint8)
    path.unlink()
    path.with_name(name or path.name).write_bytes(encode_jpeg(brighter, 80))
    return metadata


def test_a_stripped_face_gets_its_record_back_by_name(workspace: Workspace) -> None:
    folder = workspace.data_dst_aligned
    metadata = strip(folder / "00002_0.jpg")
    edited = read_image(folder / "00002_0.jpg")
    assert recover_records(workspace, folder, SILENT) == 1
    assert read_metadata(folder / "00002_0.jpg") == metadata
    np.testing.assert_array_equal(read_image(folder / "00002_0.jpg"), edited)
    assert recover_records(workspace, folder, SILENT) == 0  # nothing is left to do


def test_names_are_believed_where_no_frame_is_left(workspace: Workspace) -> None:
    folder = workspace.data_dst_aligned
    metadata = strip(folder / "00001_0.jpg")
    (workspace.data_dst / metadata.frame_name).unlink()
    assert recover_records(workspace, folder, SILENT) == 1
    assert read_metadata(folder / "00001_0.jpg") == metadata


def test_a_renamed_face_is_known_by_its_picture(workspace: Workspace) -> None:
    folder = workspace.data_dst_aligned
    truths = {n: strip(folder / f"{n:05d}_0.jpg", f"retouched {n}.jpg") for n in (1, 3)}
    assert recover_records(workspace, folder, SILENT) == 2
    for n, metadata in truths.items():
        assert read_metadata(folder / f"retouched {n}.jpg") == metadata


def test_swapped_names_are_seen_through(workspace: Workspace) -> None:
    """A record of another frame would put the face into the wrong place of the film."""
    folder = workspace.data_dst_aligned
    first = strip(folder / "00000_0.jpg", "aside.jpg")
    last = strip(folder / "00004_0.jpg", "00000_0.jpg")
    (folder / "aside.jpg").rename(folder / "00004_0.jpg")
    assert recover_records(workspace, folder, SILENT) == 2
    assert read_metadata(folder / "00000_0.jpg") == last
    assert read_metadata(folder / "00004_0.jpg") == first


def test_a_resized_face_gets_a_record_of_its_size(workspace: Workspace) -> None:
    folder = workspace.data_dst_aligned
    metadata = strip(folder / "00002_0.jpg", side=2 * SIDE)
    recover_records(workspace, folder, SILENT)
    # The outer edges stay in place: -0.5 stays -0.5.
    found = read_metadata(folder / "00002_0.jpg").landmarks
    np.testing.assert_allclose(found, 2 * (metadata.landmarks + 0.5) - 0.5, atol=1e-3)


def test_a_stranger_gets_no_record(workspace: Workspace) -> None:
    folder = workspace.data_dst_aligned
    strip(folder / "00002_0.jpg")
    noise = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
    stranger = encode_jpeg(noise)
    (folder / "holiday.jpg").write_bytes(stranger)
    with pytest.raises(PartialFailure, match=r"holiday\.jpg"):
        recover_records(workspace, folder, SILENT)
    assert (folder / "holiday.jpg").read_bytes() == stranger
    assert read_metadata(folder / "00002_0.jpg").frame_name == "00002.png"


def test_two_faces_that_look_alike_are_not_guessed_at(workspace: Workspace) -> None:
    folder = workspace.data_dst_aligned
    still = read_image(workspace.data_dst / "00002.png")
    write_image(workspace.data_dst / "00003.png", still)  # a head that stood still for two frames
    record = read_metadata(folder / "00002_0.jpg").to_record() | {"frame_name": "00003.png"}
    with Journal(folder) as journal:
        fingerprint = Fingerprint.of(workspace.data_dst / "00003.png")
        journal.add(FrameEntry("00003.png", fingerprint, "0", (FaceEntry("00003_0.jpg", record),)))
    (folder / "00003_0.jpg").unlink()
    strip(folder / "00002_0.jpg", "retouched.jpg")
    with pytest.raises(PartialFailure, match=r"retouched\.jpg"):
        recover_records(workspace, folder, SILENT)


def test_neighboring_frames_of_a_slow_turn_are_told_apart(odd_folder: Path) -> None:
    """A hundredth of a radian from frame to frame: hardly to be seen, and still the right record."""
    workspace = Workspace(odd_folder)
    folder = workspace.data_dst_aligned
    settings = ExtractionSettings(FaceType.WHOLE, 256)
    with Journal(folder) as journal:
        for n in range(4):
            frame, landmarks = paint_frame(320, 240, (160, 120), 120, yaw=0.01 * n, seed=3)
            path = workspace.data_dst / f"{n:05d}.png"
            write_image(path, frame)
            face = cut_out(frame, path.name, landmarks, "painted", settings)
            entry = FaceEntry(f"{n:05d}_0.jpg", face.metadata.to_record())
            journal.add(FrameEntry(path.name, Fingerprint.of(path), "key", (entry,)))
            (folder / f"edited {n}.jpg").write_bytes(encode_jpeg(decode_image(face.jpeg, path), 80))
    assert recover_records(workspace, folder, SILENT) == 4
    frames = [read_metadata(folder / f"edited {n}.jpg").frame_name for n in range(4)]
    assert frames == [f"{n:05d}.png" for n in range(4)]


def test_undo_brings_the_stripped_picture_back(workspace: Workspace) -> None:
    folder = workspace.data_dst_aligned
    strip(folder / "00002_0.jpg")
    stripped = (folder / "00002_0.jpg").read_bytes()
    recover_records(workspace, folder, SILENT)
    undo_newest(workspace.trash)
    assert (folder / "00002_0.jpg").read_bytes() == stripped


def test_the_journal_tells_the_side_of_every_picture(workspace: Workspace) -> None:
    assert [face.side for face in known_faces(workspace.data_dst_aligned)] == [SIDE] * COUNT


def test_without_a_journal_another_way_is_named(workspace: Workspace) -> None:
    folder = workspace.data_dst_aligned
    (folder / EXTRACTION_JOURNAL).unlink()
    with pytest.raises(MissingInput, match="restore-faceset-metadata"):
        recover_records(workspace, folder, SILENT)


def test_whoever_opens_the_folder_is_told_of_the_remedy(workspace: Workspace) -> None:
    folder = workspace.data_dst_aligned
    strip(folder / "00002_0.jpg")
    ((path, reason),) = open_faceset(folder).problems
    assert path.name == "00002_0.jpg"
    assert "--recover-records" in reason
    (folder / EXTRACTION_JOURNAL).unlink()
    assert "--recover-records" not in open_faceset(folder).problems[0][1]


def test_faces_with_records_stay_byte_for_byte(workspace: Workspace) -> None:
    folder = workspace.data_dst_aligned
    strip(folder / "00002_0.jpg")
    before = read_face(folder / "00001_0.jpg")[0]
    recover_records(workspace, folder, SILENT)
    assert read_face(folder / "00001_0.jpg")[0] == before
