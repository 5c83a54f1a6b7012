"""The extraction's journal follows faces that are renamed, by their records, and never calls one by another's name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from facelib.metadata import read_metadata
from mainscripts.extract_journal import JOURNAL_NAME, FaceEntry, Fingerprint, FrameEntry, Journal
from mainscripts.journal_names import follow_folder, follow_names
from tests.mainscripts.faces_of_a_film import write_film


def write_journal(folder: Path, paths: list[Path]) -> None:
    """As the extraction leaves it: a frame without a face and a failed one among the others."""
    with Journal(folder) as journal:
        key = journal.use({"face_type": "whole_face"})
        journal.add(FrameEntry("none.png", Fingerprint(1, 2), key))
        journal.add(FrameEntry("bad.png", Fingerprint(1, 2), key, failed="it is damaged."))
        for path in paths:
            metadata = read_metadata(path)
            entry = FaceEntry(path.name, metadata.to_record())
            journal.add(FrameEntry(metadata.frame_name, Fingerprint(3, 4), key, (entry,)))


def listed(folder: Path) -> dict[str, str]:
    """Frame -> the name of its face in the journal."""
    return {name: e.faces[0].file for name, e in Journal(folder).frames.items() if e.faces}


def test_names_follow_the_files(tmp_path: Path) -> None:
    paths = write_film(tmp_path, [0.0, 0.2, 0.4])
    write_journal(tmp_path, paths)
    before = Journal(tmp_path)
    paths[0].rename(tmp_path / "x.jpg")
    paths[1].rename(paths[0])
    paths[2].unlink()
    assert follow_folder(tmp_path) == 2
    assert listed(tmp_path) == {"00001.png": "x.jpg", "00002.png": "00001_0.jpg", "00003.png": "00003_0.jpg"}
    after = Journal(tmp_path)
    assert after.settings == before.settings
    assert after.frames.keys() == before.frames.keys()
    assert after.frames["bad.png"] == before.frames["bad.png"]
    assert after.frames["00001.png"].faces[0].record == before.frames["00001.png"].faces[0].record
    assert follow_folder(tmp_path) == 0


def test_a_missing_face_loses_its_name_to_another_and_gets_it_back(tmp_path: Path) -> None:
    paths = write_film(tmp_path, [0.0, 0.2])
    write_journal(tmp_path, paths)
    away = tmp_path / "away"
    paths[0].rename(away)
    paths[1].rename(paths[0])
    follow_folder(tmp_path)
    assert listed(tmp_path) == {"00001.png": "gone/00001_0.jpg", "00002.png": "00001_0.jpg"}
    paths[0].rename(paths[1])
    away.rename(paths[0])
    follow_folder(tmp_path)
    assert listed(tmp_path) == {"00001.png": "00001_0.jpg", "00002.png": "00002_0.jpg"}


def test_lines_that_are_not_understood_stay_as_they_are(tmp_path: Path) -> None:
    paths = write_film(tmp_path, [0.0])
    write_journal(tmp_path, paths)
    journal = tmp_path / JOURNAL_NAME
    odd = [b"not json", b"[1, 2]", json.dumps({"frame": "x", "faces": [{"file": "y"}]}).encode(), b'{"torn": ']
    journal.write_bytes(journal.read_bytes() + b"\n".join(odd))
    metadata = read_metadata(paths[0])
    key = (metadata.frame_name, np.asarray(metadata.frame_bbox, np.float32).tobytes())
    assert follow_names(tmp_path, {key: "new.jpg"}) == 1
    assert journal.read_bytes().split(b"\n")[-4:] == odd
    assert listed(tmp_path) == {"00001.png": "new.jpg"}


def test_without_a_journal_nothing_is_done(tmp_path: Path) -> None:
    write_film(tmp_path, [0.0])
    assert follow_folder(tmp_path) == 0
    assert not (tmp_path / JOURNAL_NAME).exists()
