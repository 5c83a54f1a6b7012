"""`workspace clear` and `workspace undo`: nothing is lost, videos and results stay, nobody is taken by surprise."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core import console
from core.errors import Cancelled, ConfirmationNeeded, MissingInput
from core.paths import Workspace
from core.progress import SILENT
from mainscripts.workspace import (
    ClearOptions,
    UndoOptions,
    clear,
    describe,
    make_skeleton,
    undo,
)

YES = ClearOptions(yes=True)


def contents(root: Path) -> dict[str, bytes]:
    """Every file outside of the trash, by name; the skeleton's placeholders left out."""
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name != ".gitkeep" and "trash" not in p.relative_to(root).parts
    }


@pytest.fixture
def full(odd_folder: Path) -> Workspace:
    """A workspace in the middle of a project."""
    workspace = Workspace(odd_folder)
    make_skeleton(workspace)
    for name in (
        "data_src.mp4", "data_dst.mov", "result.mp4", "result_mask.mp4", "notes.txt",
        "data_src/00001.png", "data_src/aligned/00001_0.jpg", "data_dst/00001.png", "data_dst/aligned/00001_0.jpg",
        "data_dst/aligned_debug/00001.jpg", "data_dst/merged/00001.png", "model/a_Quick96/checkpoint/state.json",
    ):  # fmt: skip
        path = odd_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return workspace


def test_clear_moves_the_work_and_leaves_videos_and_results(full: Workspace) -> None:
    report = clear(full, YES, SILENT)
    assert set(contents(full.root)) == {"data_src.mp4", "data_dst.mov", "result.mp4", "result_mask.mp4", "notes.txt"}
    assert report.box is not None
    assert report.box.parent == full.trash
    assert (report.box / "items" / "data_dst" / "merged" / "00001.png").read_bytes() == b"data_dst/merged/00001.png"


def test_clear_leaves_an_empty_workspace_ready(full: Workspace) -> None:
    clear(full, YES, SILENT)
    for folder in (full.data_src_aligned, full.data_dst_aligned, full.model):
        assert [p.name for p in folder.iterdir()] == [".gitkeep"]
    assert clear(full, YES, SILENT).box is None


def test_undo_brings_everything_back(full: Workspace) -> None:
    before = contents(full.root)
    clear(full, YES, SILENT)
    restored = undo(full, UndoOptions(), SILENT)
    assert contents(full.root) == before
    assert set(restored) == {full.data_src, full.data_dst, full.model}
    assert not any(full.trash.iterdir())


def test_undo_never_overwrites_newer_work(full: Workspace) -> None:
    clear(full, YES, SILENT)
    newer = full.data_src / "00001.png"
    newer.write_bytes(b"newer")
    assert set(undo(full, UndoOptions(), SILENT)) == {full.data_dst, full.model}
    assert newer.read_bytes() == b"newer"
    assert list(full.trash.glob("*/items/data_src/00001.png")), "what could not go home is still in the trash"


def test_undo_says_when_everything_is_in_the_way(full: Workspace) -> None:
    clear(full, YES, SILENT)
    for folder in (full.data_src, full.data_dst, full.model):
        (folder / "newer").write_bytes(b"")
    with pytest.raises(MissingInput, match="newer files"):
        undo(full, UndoOptions(), SILENT)


def test_undo_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="nothing to undo"):
        undo(Workspace(tmp_path), UndoOptions(), SILENT)


def test_without_a_terminal_clear_needs_yes(full: Workspace) -> None:
    before = contents(full.root)
    with pytest.raises(ConfirmationNeeded, match="--yes") as caught:
        clear(full, ClearOptions(), SILENT)
    assert caught.value.exit_code == 4
    assert contents(full.root) == before


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Somebody at the terminal who types one word."""

    def types(word: str) -> None:
        monkeypatch.setattr(console, "is_interactive", lambda: True)
        monkeypatch.setattr(console, "read_line", lambda prompt: word)

    return types


@pytest.mark.parametrize("word", ["clear", " CLEAR "])
def test_the_typed_word_clears(full: Workspace, typing: Any, word: str) -> None:
    typing(word)
    assert clear(full, ClearOptions(), SILENT).box is not None


@pytest.mark.parametrize("word", ["", "y", "yes", "clea", "clear all"])
def test_any_other_word_does_not(full: Workspace, typing: Any, word: str) -> None:
    before = contents(full.root)
    typing(word)
    with pytest.raises(Cancelled):
        clear(full, ClearOptions(), SILENT)
    assert contents(full.root) == before


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_linked_folder_is_moved_as_a_link(full: Workspace, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    full.data_src.rename(elsewhere)
    full.data_src.symlink_to(elsewhere)
    clear(full, YES, SILENT)
    assert (elsewhere / "00001.png").exists()
    assert not full.data_src.is_symlink()
    undo(full, UndoOptions(), SILENT)
    assert (full.data_src / "00001.png").exists()


def test_what_goes_is_told_with_count_and_size(tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "aligned/1_0.jpg", "aligned_debug/1.jpg", "aligned/.gitkeep"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"" if name.endswith(".gitkeep") else b"x" * 750)
    assert describe(tmp_path, tmp_path / "aligned") == "2 frames, 1 face, 4 files, 3.0 kB"


def test_models_are_told_with_their_age(tmp_path: Path) -> None:
    for name in ("one_Quick96", "two_Quick96"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_bytes(b"x" * 600)
        os.utime(tmp_path / name / "state.json", times=(0, time.time() - 3 * 3600 - 60))
    assert describe(tmp_path) == "2 models, 1.2 kB, newest file 3 hours old"
