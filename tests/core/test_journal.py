"""Journals: what is added is there, whatever happens in between."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from core.errors import BrokenFile, FaceLoomError
from core.journal import JsonLines

ENTRIES: list[dict[str, Any]] = [{"frame": "00001.png", "faces": [1, 2]}, {"frame": "caf\udce9", "x": 0.1}, {}]


def write(path: Path) -> None:
    with JsonLines(path) as journal:
        for entry in ENTRIES:
            journal.add(entry)


def test_what_was_added_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "journal.jsonl"
    assert JsonLines(path).read() == []
    write(path)
    assert JsonLines(path).read() == ENTRIES
    write(path)
    assert JsonLines(path).read() == ENTRIES * 2


def test_an_entry_is_in_the_file_before_the_journal_is_closed(tmp_path: Path) -> None:
    journal = JsonLines(tmp_path / "journal.jsonl")
    journal.add(ENTRIES[0])
    assert JsonLines(journal.path).read() == ENTRIES[:1]
    journal.close()
    journal.close()


def test_cut_at_every_length_the_whole_lines_count_and_what_follows_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path)
    data = path.read_bytes()
    ends = [place for place, byte in enumerate(data) if byte == ord("\n")]
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        whole = sum(length >= end for end in ends)
        journal = JsonLines(path)
        assert journal.read() == ENTRIES[:whole]
        assert journal.broken_lines == 0
        with journal:
            journal.add({"next": length})
        again = JsonLines(path)
        entries = again.read()
        assert entries[:whole] == ENTRIES[:whole]
        assert entries[-1] == {"next": length}


def test_lines_that_are_no_objects_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"a": 1}\n[1]\nnot json\n\n\xff\xfe\n{"b": 2}\n')
    journal = JsonLines(path)
    assert journal.read() == [{"a": 1}, {"b": 2}]
    assert journal.broken_lines == 3


def test_nothing_is_made_before_something_is_added_unless_opened(tmp_path: Path) -> None:
    with JsonLines(tmp_path / "journal.jsonl") as journal:
        assert not journal.path.exists()
        journal.open()
        assert journal.path.exists()


def test_places_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(BrokenFile, match="the journal cannot be read"):
        JsonLines(tmp_path / "folder").read()
    with pytest.raises(FaceLoomError, match="folder"):
        JsonLines(tmp_path / "folder").add({})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux that is always full")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / "journal.jsonl")
    with pytest.raises(FaceLoomError, match="The disk is full"), JsonLines(tmp_path / "journal.jsonl") as journal:
        journal.add(ENTRIES[0])
