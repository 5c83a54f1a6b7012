"""A faceset in another size or type, or crisper: beside the old one, or in its place with a way back."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption, MissingInput, PartialFailure
from core.geometry import warp
from core.images import encode_jpeg, read_image, write_image
from core.paths import Workspace
from core.progress import SILENT, SilentProgress
from facelib.face_type import FaceType
from facelib.metadata import read_metadata, write_face
from mainscripts.facesettool import EnhanceOptions, ResizeOptions, ToolReport, enhance, resize
from mainscripts.util import UtilOptions
from mainscripts.util import run as util
from mainscripts.workspace import UndoOptions, undo
from samplelib.faceset import open_faceset
from tests.painting import paint_frame, write_painted_faceset


@pytest.fixture
def faces(odd_folder: Path) -> Path:
    write_painted_faceset(odd_folder / "faces", 3, side=160, face_type=FaceType.FULL, yaws=(0.0, 0.0, 0.0))
    return odd_folder / "faces"


class Said(SilentProgress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def run_resize(folder: Path, progress: SilentProgress = SILENT, **given: object) -> ToolReport:
    return resize(Workspace(folder.parent), ResizeOptions.of(input_dir=folder, **given), progress)


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_another_size_beside_the_old_one(faces: Path) -> None:
    before = content(faces)
    report = run_resize(faces, image_size=256)
    assert (report.faces, report.folder, report.box) == (3, faces.with_name("faces_resized"), None)
    assert content(faces) == before
    new = open_faceset(report.folder)
    assert [sample.side for sample in new] == [256, 256, 256]
    np.testing.assert_allclose(
        new.samples[0].metadata.landmarks, read_metadata(faces / "00001_0.jpg").landmarks * 1.6 + 0.3, atol=1e-3
    )
    run_resize(faces, image_size=128)
    assert {sample.side for sample in open_faceset(report.folder)} == {128}
    assert len(list((faces.parent / "trash").rglob("*_resized/*.jpg"))) == 3


def test_merging_back_and_undoing_it(faces: Path) -> None:
    before = content(faces)
    report = run_resize(faces, image_size=128, face_type="h", merge_back=True)
    assert report.folder == faces
    assert report.box is not None
    assert {s.metadata.face_type for s in open_faceset(faces)} == {FaceType.HALF}
    assert {s.side for s in open_faceset(faces)} == {128}
    assert not faces.with_name("faces_resized").exists()
    undo(Workspace(faces.parent), UndoOptions(), SILENT)
    assert content(faces) == before
    undo(Workspace(faces.parent), UndoOptions(), SILENT)  # undoing that is doing it again
    assert {s.side for s in open_faceset(faces)} == {128}


def test_one_failure_and_nothing_is_merged(faces: Path) -> None:
    data = (faces / "00002_0.jpg").read_bytes()
    (faces / "00002_0.jpg").write_bytes(data[:-200] + b"\xff\xd9")
    whole = content(faces)
    (faces / "4.jpg").write_bytes(b"no face")
    with pytest.raises(PartialFailure, match=r"of 4 faces could not be worked on: 4\.jpg"):
        run_resize(faces, merge_back=True)
    assert {name: data for name, data in content(faces).items() if name != "4.jpg"} == whole


def test_a_stop_in_the_middle_of_merging_back_loses_no_face(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after one of three faces: undo brings every old one back, and the new ones are all still there."""
    before = content(faces)
    real, moved = os.replace, list[Path]()

    def stopping(source: Path, target: Path) -> None:
        if Path(target).parent == faces and Path(source).parent != faces:
            if moved:
                raise KeyboardInterrupt
            moved.append(target)
        real(source, target)

    monkeypatch.setattr("mainscripts.facesettool.os.replace", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_resize(faces, image_size=128, merge_back=True)
    monkeypatch.undo()
    assert len(content(faces)) == 1
    undo(Workspace(faces.parent), UndoOptions(), SILENT)
    assert content(faces) == before
    assert len(content(faces.with_name("faces_resized"))) == 2
    assert len(list((faces.parent / "trash").rglob("*.jpg"))) == 1


def test_a_wider_type_comes_whole_from_the_frames(faces: Path) -> None:
    frames = faces.with_name("frames")
    frames.mkdir()
    for number in (1, 2):  # seeds as the painted faceset has them; the third frame is missing
        frame, _ = paint_frame(640, 640, (320, 320), 640 / 3, seed=number - 1)
        write_image(frames / f"0000{number}.png", frame)
    said = Said()
    report = run_resize(faces, said, face_type="wf", image_size=256)
    assert report.from_frames == 0
    black = read_image(report.folder / "00001_0.jpg")
    assert black[:6].max() < 12
    assert any("3 became wider" in line for line in said.lines)
    # Only the head of a painted face is the same in its frame, the background is not; so it is made anew from there.
    write_face_from(frames, faces)
    said = Said()
    report = run_resize(faces, said, face_type="wf", image_size=256, frames_dir=frames)
    assert report.from_frames == 2
    assert read_image(report.folder / "00001_0.jpg")[:6].max() > 30
    assert any("1 became wider" in line for line in said.lines)


def write_face_from(frames: Path, faces: Path) -> None:
    """Stores the faces as their frames show them."""
    for path in sorted(faces.iterdir()):
        metadata = read_metadata(path)
        frame = frames / metadata.frame_name
        if frame.exists():
            image = warp(read_image(frame), metadata.frame_to_face, 160, "area-cubic")
            write_face(path, encode_jpeg(image), metadata)


def test_frames_of_another_film_are_not_used(faces: Path) -> None:
    frames = faces.with_name("frames")
    frames.mkdir()
    write_image(frames / "00001.png", np.zeros((640, 640, 3), np.uint8))
    said = Said()
    assert run_resize(faces, said, frames_dir=frames).from_frames == 0
    assert any("1 frames: this frame does not show the face" in line for line in said.lines)


def test_packed_faces_are_read_and_not_merged_back(faces: Path) -> None:
    options = UtilOptions.of(input_dir=faces, pack_faceset=True, delete_originals=True)
    util(Workspace(faces.parent), options, SILENT)
    assert run_resize(faces, image_size=128).faces == 3
    with pytest.raises(BadOption, match="packed"):
        run_resize(faces, merge_back=True)


def test_enhancing_says_what_it_is_and_moves_records_with_the_size(faces: Path) -> None:
    said = Said()
    options = EnhanceOptions.of(input_dir=faces, scale=2, strength=1.0)
    report = enhance(Workspace(faces.parent), options, said)
    assert "classical means" in said.lines[0]
    new = open_faceset(report.folder)
    assert {sample.side for sample in new} == {320}
    old = read_metadata(faces / "00002_0.jpg")
    np.testing.assert_allclose(new.samples[1].metadata.landmarks, 2 * old.landmarks + 0.5, atol=1e-3)
    same = enhance(Workspace(faces.parent), EnhanceOptions.of(input_dir=faces, merge_back=True), SILENT)
    assert same.box is not None
    assert read_metadata(faces / "00002_0.jpg") == old


def test_many_faces_are_worked_on_by_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "faces"
    write_painted_faceset(folder, 4, side=64)
    monkeypatch.setattr("mainscripts.facesettool._FACES_PER_WORKER", 2)
    monkeypatch.setattr("mainscripts.facesettool.default_workers", lambda: 2)
    assert run_resize(folder, image_size=128).faces == 4


def test_too_large_is_a_failure_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    write_painted_faceset(folder, 1, side=2304)
    with pytest.raises(PartialFailure):
        enhance(Workspace(tmp_path), EnhanceOptions.of(input_dir=folder, scale=4), SILENT)


def test_empty_folders_and_wrong_values(tmp_path: Path) -> None:
    with pytest.raises(MissingInput):
        run_resize(tmp_path)
    with pytest.raises(BadOption, match=r"Received: 64\."):
        ResizeOptions.of(input_dir=tmp_path, image_size=64)


def test_names_that_differ_in_the_extension_only_stay_two_faces(faces: Path) -> None:
    (faces / "00002_0.jpg").rename(faces / "00001_0.jpeg")
    before = content(faces)
    report = run_resize(faces, image_size=128)
    assert report.faces == len(list(report.folder.iterdir())) == 3
    run_resize(faces, image_size=128, merge_back=True)
    frames = {s.metadata.frame_name for s in open_faceset(faces)}
    assert len(frames) == 3
    undo(Workspace(faces.parent), UndoOptions(), SILENT)
    assert content(faces) == before
