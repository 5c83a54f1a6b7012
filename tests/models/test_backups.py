"""Backups: numbered, newest first, verified, 24 of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from core.errors import BrokenFile, MissingInput
from models.checkpoint import CheckpointStore
from tests.models.test_checkpoint import some_parts, some_state


def saved(store: CheckpointStore, iteration: int) -> Path:
    store.save(some_parts(iteration), some_state(iteration))
    return store.current


def iterations(store: CheckpointStore) -> list[int]:
    found = [store.read(backup=int(slot.name)) for slot in store.backups.all()]
    return [checkpoint.state.iteration for checkpoint in found if checkpoint is not None]


def test_the_newest_is_01_and_24_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "m_Quick96")
    for iteration in range(1, 27):
        assert store.backups.make(saved(store, iteration)).name == "01"
    assert iterations(store) == list(range(26, 2, -1))
    assert [slot.name for slot in store.backups.all()] == [f"{n:02d}" for n in range(1, 25)]


def test_a_gap_is_filled_before_a_backup_falls_off(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "m_Quick96")
    for iteration in range(1, 6):
        store.backups.make(saved(store, iteration))
    shutil.rmtree(store.backups.find(3))
    store.backups.make(saved(store, 6))
    assert iterations(store) == [6, 5, 4, 2, 1]
    assert [slot.name for slot in store.backups.all()] == ["01", "02", "03", "04", "05"]


def test_a_backup_shares_no_data_with_the_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "m_Quick96")
    backup = store.backups.make(saved(store, 1))
    assert not os.path.samefile(backup / "encoder.h5", store.current / "encoder.h5")


def test_pictures_are_kept_beside_it(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "m_Quick96")
    picture = tmp_path / "Quick96 masked.png"
    picture.write_bytes(b"picture")
    backup = store.backups.make(saved(store, 1), [picture])
    assert (backup / "preview_Quick96 masked.png").read_bytes() == b"picture"
    assert store.read(backup=1).state.iteration == 1  # type: ignore[union-attr]


def test_a_damaged_checkpoint_is_not_backed_up(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "m_Quick96")
    store.backups.make(saved(store, 1))
    (saved(store, 2) / "encoder.h5").write_bytes(b"")
    with pytest.raises(BrokenFile, match=r"encoder.h5: the file is damaged"):
        store.backups.make(store.current)
    assert iterations(store) == [1]
    assert [p.name for p in store.backups.folder.iterdir()] == ["01"]


def test_nothing_to_back_up(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "m_Quick96")
    with pytest.raises(BrokenFile):
        store.backups.make(store.current)
    with pytest.raises(MissingInput, match="no such backup"):
        store.backups.find(1)
    assert "There are no backups" in store.backups.way_back()
