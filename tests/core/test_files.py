"""core.files: a crash never leaves half a file, and what is put away comes back."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import files
from core.errors import FaceLoomError, MissingInput
from core.renames import undo_newest


def test_atomic_write_replaces_the_whole_file(odd_folder: Path) -> None:
    target = odd_folder / "x.json"
    files.atomic_write_text(target, "old")
    files.atomic_write_text(target, "new")
    assert target.read_text() == "new"
    assert [p.name for p in odd_folder.iterdir()] == ["x.json"]


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    target = tmp_path / "x.bin"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as unfinished:
        unfinished.write_bytes(b"half")
        raise RuntimeError("power cut")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.bin"]


def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(FaceLoomError, match="The disk is full") as caught, files.atomic_path(tmp_path / "x.png"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "Free some space" in caught.value.remedy
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("stop_at", range(4))
def test_swap_folder_leaves_a_complete_folder_wherever_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """Fault injection at every file operation of a swap."""
    new, target, previous = (tmp_path / name for name in ("new", "target", "previous"))
    for folder, text in ((new, "3"), (target, "2"), (previous, "1")):
        folder.mkdir()
        (folder / "a").write_text(text)
    count = 0

    def stopping(operation: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object, **named: object) -> object:
            nonlocal count
            if count == stop_at:
                raise KeyboardInterrupt
            count += 1
            return operation(*arguments, **named)

        return run

    monkeypatch.setattr(files.os, "replace", stopping(os.replace))
    monkeypatch.setattr(files.shutil, "rmtree", stopping(files.shutil.rmtree))
    if stop_at < 3:
        with pytest.raises(KeyboardInterrupt):
            files.swap_folder(new, target, previous)
    else:
        files.swap_folder(new, target, previous)
        assert (target / "a").read_text() == "3"
        assert (previous / "a").read_text() == "2"
    complete = [f for f in (target, previous) if (f / "a").exists()]
    assert complete


def test_a_scanner_that_holds_a_file_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where a rename of an open file is refused."""
    replace = os.replace
    refused: list[Path] = []

    def held(old: Path, new: Path) -> None:
        if len(refused) < 3:
            refused.append(old)
            raise PermissionError(13, "The process cannot access the file", str(old))
        replace(old, new)

    monkeypatch.setattr(files, "_PATIENCE_SECONDS", 30.0)
    monkeypatch.setattr(files.os, "replace", held)
    files.atomic_write_text(tmp_path / "a", "one")
    assert (len(refused), (tmp_path / "a").read_text()) == (3, "one")
    refused.clear()
    (tmp_path / "new").mkdir()
    files.swap_folder(tmp_path / "new", tmp_path / "target", tmp_path / "previous")
    assert (tmp_path / "target").is_dir()
    refused.clear()
    monkeypatch.setattr(files, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(FaceLoomError, match="cannot be written"):
        files.atomic_write_text(tmp_path / "a", "two")
    assert (tmp_path / "a").read_text() == "one"


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
def test_natural_order_is_numeric_order(numbers: list[int]) -> None:
    names = [f"frame {n}.png" for n in numbers]
    assert sorted(names, key=files.natural_key) == [f"frame {n}.png" for n in sorted(numbers)]


@given(st.lists(st.text(max_size=12), max_size=10))
def test_natural_order_never_fails(names: list[str]) -> None:
    assert sorted(sorted(names, key=files.natural_key)) == sorted(names)


def test_list_images_takes_any_case_and_skips_hidden_files(tmp_path: Path) -> None:
    for name in ("10.png", "9.JPG", ".hidden.png", "._9.JPG", "notes.txt", "2.jpeg"):
        (tmp_path / name).touch()
    (tmp_path / "aligned").mkdir()
    assert [p.name for p in files.list_images(tmp_path)] == ["2.jpeg", "9.JPG", "10.png"]
    with pytest.raises(MissingInput):
        files.list_images(tmp_path / "nowhere")


def test_trash_and_undo_bring_everything_back(odd_folder: Path) -> None:
    trash = odd_folder / "trash"
    first, second, third = odd_folder / "a" / "x.png", odd_folder / "b" / "X.png", odd_folder / "c"
    for file in (first, second, third / "inside.txt"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(str(file))
    box = files.move_to_trash(trash, [first, second, third], "test")
    assert not first.exists()
    assert not third.exists()
    assert box.parent == trash
    assert sorted(undo_newest(trash)) == sorted([first, second, third])
    assert first.read_text() == str(first)
    assert second.read_text() == str(second)
    assert (third / "inside.txt").exists()
    with pytest.raises(MissingInput, match="nothing to undo"):
        undo_newest(trash)


def test_files_of_one_name_never_meet_in_the_trash(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/x.jpg", "a/00002_x.jpg", "b/x.jpg", "c/X.jpg")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(path))
    files.move_to_trash(tmp_path / "trash", paths, "test")
    undo_newest(tmp_path / "trash")
    assert [path.read_text() for path in paths] == [str(path) for path in paths]


def test_undo_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    file.write_text("old")
    files.move_to_trash(tmp_path / "trash", [file], "test")
    file.write_text("new")
    assert undo_newest(tmp_path / "trash") == []
    assert file.read_text() == "new"
    file.unlink()
    assert undo_newest(tmp_path / "trash") == [file]
    assert file.read_text() == "old"


def test_require_free_space(tmp_path: Path) -> None:
    files.require_free_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(FaceLoomError, match=r"about 1000000\.0 TB are needed"):
        files.require_free_space(tmp_path, 10**18)
    assert [files.show_bytes(n) for n in (12, 812_000, 73_640_000_000)] == ["12 bytes", "812.0 kB", "73.6 GB"]
