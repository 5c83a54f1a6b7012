"""Names after the frames: grouping, order within a frame, strangers, collisions, undo."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption, MissingInput
from core.paths import EXTRACTION_JOURNAL, Workspace
from core.progress import SILENT
from facelib.metadata import read_face, read_metadata, write_face
from mainscripts.util import UtilOptions, run
from mainscripts.workspace import UndoOptions, undo
from tests.painting import write_painted_faceset


def put(folder: Path, name: str, frame: str, size: float, index: object = None) -> None:
    """A face of that frame whose box is `size` pixels wide."""
    source = write_painted_faceset(folder.parent / "source", 1, side=64)[0]
    jpeg, metadata = read_face(source)
    box = np.array([0, 0, size, size], np.float32)
    extra = {} if index is None else {"source_face_index": index}
    folder.mkdir(exist_ok=True)
    write_face(folder / name, jpeg, dataclasses.replace(metadata, frame_name=frame, frame_bbox=box, extra=extra))


def recover(folder: Path) -> int:
    options = UtilOptions.of(input_dir=folder, recover_original_aligned_filename=True)
    return run(Workspace(folder.parent), options, SILENT).faces


def sizes(folder: Path) -> dict[str, float]:
    return {p.name: float(read_metadata(p).frame_bbox[2]) for p in folder.iterdir() if p.suffix in (".jpg", ".JPG")}


def test_faces_of_a_frame_are_numbered_largest_first(odd_folder: Path) -> None:
    folder = odd_folder / "faces"
    put(folder, "00000.jpg", "00007.png", 100)
    put(folder, "00001.jpg", "00007.png", 300)
    put(folder, "00002.jpg", "00003.png", 50)
    put(folder, "00003.JPG", "é 工.png", 60)
    put(folder, "00007_0.jpg", "00007.png", 200)  # a name that another face will get
    (folder / "photo.jpg").write_bytes(b"no face")
    assert recover(folder) == 5
    (folder / "photo.jpg").unlink()
    assert sizes(folder) == {
        "00007_0.jpg": 300,
        "00007_1.jpg": 200,
        "00007_2.jpg": 100,
        "00003_0.jpg": 50,
        "é 工_0.JPG": 60,
    }
    assert recover(folder) == 0
    undo(Workspace(odd_folder), UndoOptions(), SILENT)
    assert sizes(folder) == {"00000.jpg": 100, "00001.jpg": 300, "00002.jpg": 50, "00003.JPG": 60, "00007_0.jpg": 200}


def test_the_journal_of_the_extraction_follows(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    put(folder, "x.jpg", "7.png", 100)
    record = read_metadata(folder / "x.jpg").to_record()
    line = {"frame": "7.png", "bytes": 1, "mtime_ns": 1, "key": "k", "faces": [{"file": "7_5.jpg", "record": record}]}
    (folder / EXTRACTION_JOURNAL).write_text(json.dumps(line) + "\n")
    recover(folder)
    assert json.loads((folder / EXTRACTION_JOURNAL).read_text())["faces"][0]["file"] == "7_0.jpg"


def test_a_recorded_number_decides_before_the_size(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    put(folder, "a.jpg", "1.png", 300, index=1)
    put(folder, "b.jpg", "1.png", 100, index=0)
    put(folder, "c.jpg", "1.png", 900, index=True)  # no number
    recover(folder)
    assert sizes(folder) == {"1_0.jpg": 100, "1_1.jpg": 300, "1_2.jpg": 900}


def test_frames_that_differ_in_their_suffix_share_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    put(folder, "x.jpg", "a.png", 100)
    put(folder, "y.jpg", "a.jpg", 200)
    recover(folder)
    assert sizes(folder) == {"a_0.jpg": 200, "a_1.jpg": 100}


def test_a_stranger_in_the_way_stops_it_before_anything_moves(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    put(folder, "x.jpg", "a.png", 100)
    put(folder, "y.jpg", "b.png", 200)
    (folder / "b_0.JPG").write_bytes(b"mine")
    with pytest.raises(BadOption, match=r"nothing was renamed. Received: b_0\.jpg"):
        recover(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["b_0.JPG", "x.jpg", "y.jpg"]


def test_packed_and_empty_folders_say_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    with pytest.raises(MissingInput, match="Extract faces first"):
        recover(folder)
    put(folder, "x.jpg", "a.png", 100)
    options = UtilOptions.of(input_dir=folder, pack_faceset=True, delete_originals=True)
    run(Workspace(tmp_path), options, SILENT)
    with pytest.raises(MissingInput, match="--unpack-faceset"):
        recover(folder)
    shutil.rmtree(folder)
    with pytest.raises(MissingInput):
        recover(folder)
