"""Renaming a folder: names that change places, collisions, undo, and a stop before and after every single step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import renames
from core.errors import BadOption, BrokenFile, FaceLoomError, MissingInput
from core.files import move_to_trash

REPOSITORY = Path(__file__).resolve().parents[2]


class Stop(BaseException):
    """Stands for a kill: nothing catches it."""


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(name)


def content(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir() if p.is_file()}


SWAP = {"a.jpg": "b.jpg", "b.jpg": "c.jpg", "c.jpg": "a.jpg", "é 工.jpg": "00001.jpg"}
AFTER = {"b.jpg": "a.jpg", "c.jpg": "b.jpg", "a.jpg": "c.jpg", "00001.jpg": "é 工.jpg", "stays.jpg": "stays.jpg"}


def test_names_change_places(odd_folder: Path) -> None:
    fill(odd_folder, *SWAP, "stays.jpg")
    assert renames.rename_all(odd_folder, {**SWAP, "stays.jpg": "stays.jpg"}) == 4
    assert content(odd_folder) == AFTER


def test_a_stop_at_any_moment_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight renames are done; the work stops before or after each of them, is stopped once more, then finished."""
    real = renames._rename
    for stop_at in range(16):
        folder = tmp_path / str(stop_at)
        folder.mkdir()
        fill(folder, *SWAP, "stays.jpg")
        count = 0

        def failing(old: Path, new: Path, stop_at: int = stop_at) -> None:
            nonlocal count
            if count == stop_at:
                raise Stop
            real(old, new)
            count += 2
            if count - 1 == stop_at:
                raise Stop

        monkeypatch.setattr(renames, "_rename", failing)
        with pytest.raises(Stop):
            renames.rename_all(folder, SWAP)
        assert sorted(v for n, v in content(folder).items() if n != renames.JOURNAL_NAME) == sorted(AFTER.values())
        count, stop_at = 0, 1
        monkeypatch.setattr(renames, "_rename", lambda old, new: (_ for _ in ()).throw(Stop))
        left = [name for name in content(folder) if name.endswith(".renaming.jpg")]
        if left:
            with pytest.raises(Stop):
                renames.finish_renames(folder)
        monkeypatch.setattr(renames, "_rename", real)
        assert renames.finish_renames(folder) == 4
        assert content(folder) == AFTER
        assert renames.finish_renames(folder) == 0


def test_a_line_torn_by_the_kill_is_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a.jpg", "b.jpg")
    monkeypatch.setattr(renames, "_rename", lambda old, new: (_ for _ in ()).throw(Stop))
    with pytest.raises(Stop):
        renames.rename_all(tmp_path, {"a.jpg": "b.jpg", "b.jpg": "a.jpg"})
    monkeypatch.undo()
    with open(tmp_path / renames.JOURNAL_NAME, "a") as stream:
        stream.write("asi")
    renames.finish_renames(tmp_path)
    assert content(tmp_path) == {"a.jpg": "b.jpg", "b.jpg": "a.jpg"}


@pytest.mark.parametrize(
    "names",
    [
        {"a.jpg": "x.jpg", "b.jpg": "x.jpg"},
        {"a.jpg": "X.jpg", "b.jpg": "x.JPG"},
        {"a.jpg": "c.jpg"},
        {"a.jpg": "C.JPG"},
    ],
)
def test_collisions_are_refused_before_anything_moves(tmp_path: Path, names: dict[str, str]) -> None:
    fill(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    with pytest.raises(BadOption, match="would have one name, so nothing was renamed"):
        renames.rename_all(tmp_path, names)
    assert sorted(content(tmp_path)) == ["a.jpg", "b.jpg", "c.jpg"]


def test_names_with_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg")
    with pytest.raises(BadOption, match=r"no folder in it\. Received: \.\./x\.jpg"):
        renames.rename_all(tmp_path, {"a.jpg": "../x.jpg"})
    with pytest.raises(BadOption, match=r"Received: b\.jpg"):
        renames.rename_all(tmp_path, {"b.jpg": "c.jpg"})


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a.jpg")
    real = renames._rename

    def slow(old: Path, new: Path) -> None:
        real(old, new)
        (tmp_path / "b.jpg").write_text("new")

    monkeypatch.setattr(renames, "_rename", slow)
    with pytest.raises(FaceLoomError, match="not overwritten"):
        renames.rename_all(tmp_path, {"a.jpg": "b.jpg"})
    monkeypatch.undo()
    assert (tmp_path / "b.jpg").read_text() == "new"
    (tmp_path / "b.jpg").unlink()
    renames.finish_renames(tmp_path)
    assert content(tmp_path) == {"b.jpg": "a.jpg"}


@pytest.mark.skipif(os.name == "nt", reason="the lock is taken with fcntl here")
def test_two_programs_do_not_rename_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a.jpg")
    monkeypatch.setattr(renames, "_rename", lambda old, new: (_ for _ in ()).throw(Stop))
    with pytest.raises(Stop):
        renames.rename_all(tmp_path, {"a.jpg": "b.jpg"})
    monkeypatch.undo()
    code = (
        "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(tmp_path / renames.JOURNAL_NAME)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(FaceLoomError, match="Another program is renaming"):
            renames.finish_renames(tmp_path)
        holder.communicate(b"")
    assert renames.finish_renames(tmp_path) == 1


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema": "Renames.1", "names": [["a", "../b", "c"]]}', "{"])
def test_a_journal_that_is_none_of_ours_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / renames.JOURNAL_NAME).write_text(text)
    with pytest.raises(BrokenFile, match="unfinished renaming cannot be read"):
        renames.finish_renames(tmp_path)


def test_undo_gives_back_names_and_files(tmp_path: Path) -> None:
    folder, trash = tmp_path / "faces", tmp_path / "trash"
    folder.mkdir()
    fill(folder, *SWAP, "stays.jpg", "bad.jpg")
    before = content(folder)
    assert renames.rename_with_undo(trash, folder, {**SWAP, "stays.jpg": "bad.jpg"}, "test", [folder / "bad.jpg"])
    assert content(folder)["bad.jpg"] == "stays.jpg"
    back = renames.undo_newest(trash)
    assert folder / "bad.jpg" in back
    assert content(folder) == before
    with pytest.raises(MissingInput):
        renames.undo_newest(trash)


def test_undo_works_around_what_was_deleted_or_added_since(tmp_path: Path) -> None:
    folder, trash = tmp_path / "faces", tmp_path / "trash"
    folder.mkdir()
    fill(folder, "a.jpg", "b.jpg", "c.jpg")
    renames.rename_with_undo(trash, folder, {"a.jpg": "0.jpg", "b.jpg": "1.jpg", "c.jpg": "2.jpg"}, "test")
    (folder / "1.jpg").unlink()
    (folder / "c.jpg").write_text("new")
    assert renames.undo_newest(trash) == [folder / "a.jpg"]
    assert content(folder) == {"a.jpg": "a.jpg", "2.jpg": "c.jpg", "c.jpg": "new"}


def test_undo_takes_replacements_away_and_twice_is_again(tmp_path: Path) -> None:
    trash, file = tmp_path / "trash", tmp_path / "x.jpg"
    file.write_text("old")
    move_to_trash(trash, [file], "resize", replaced_by=[file])
    file.write_text("new")
    assert renames.undo_newest(trash) == [file]
    assert file.read_text() == "old"
    renames.undo_newest(trash)
    assert file.read_text() == "new"


def test_nothing_to_do_leaves_nothing_behind(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg")
    assert renames.rename_with_undo(tmp_path / "trash", tmp_path, {"a.jpg": "a.jpg"}, "test") is None
    assert sorted(content(tmp_path)) == ["a.jpg"]
    assert not (tmp_path / "trash").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs names of any bytes")
def test_names_that_are_no_unicode_are_moved_and_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    one, two = os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"na\xefve.jpg")
    (folder / one).write_bytes(b"1")
    (folder / two).write_bytes(b"2")
    renames.rename_with_undo(tmp_path / "trash", folder, {one: "00001.jpg"}, "test", put_away=[folder / two])
    assert os.listdir(folder) == ["00001.jpg"]
    renames.undo_newest(tmp_path / "trash")
    assert ((folder / one).read_bytes(), (folder / two).read_bytes()) == (b"1", b"2")
