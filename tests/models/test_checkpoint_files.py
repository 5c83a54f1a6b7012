"""The files of a checkpoint and the manifest that proves them whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import BrokenFile
from models.checkpoint_files import (
    TrainingState,
    encode_checkpoint,
    read_figures,
    read_manifest,
    read_state,
    verify_checkpoint,
)
from models.history import LossHistory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of three iterations."""
    history = LossHistory(("loss",), np.array([[3.0], [2.0], [1.5]], np.float32))
    state = TrainingState(seed=5, options={"batch_size": 8}, history=history, batch_number=2, rollbacks=1)
    for name, data in encode_checkpoint({"encoder": {"w": np.ones(3, np.float32)}}, state):
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_the_manifest_comes_last_and_lists_every_other_file() -> None:
    names = [name for name, _ in encode_checkpoint({"encoder": {}, "optimizer": {}}, TrainingState(seed=0))]
    assert names == ["options.json", "state.json", "history.npy", "encoder.h5", "optimizer.h5", "manifest.json"]


def test_the_state_comes_back(folder: Path) -> None:
    verify_checkpoint(folder)
    state = read_state(folder)
    assert (state.seed, state.iteration, state.batch_number, state.rollbacks) == (5, 3, 2, 1)
    assert state.options == {"batch_size": 8}
    assert state.history.values.tolist() == [[3.0], [2.0], [1.5]]
    assert np.load(folder / "history.npy", allow_pickle=False).dtype == np.float32
    figures = read_figures(folder)
    assert figures["iteration"] == 3
    assert figures["losses"] == {"loss": 1.5}
    assert figures["schema"] == "State.1"


def test_verifying_without_the_parts_passes_over_them(folder: Path) -> None:
    (folder / "encoder.h5").write_bytes(b"")
    verify_checkpoint(folder, parts=False)
    with pytest.raises(BrokenFile, match=r"encoder\.h5: the file is damaged"):
        verify_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("state.json", "{", "not JSON"),
        ("state.json", "[]", "not a State.1 file"),
        ("state.json", '{"schema": "State.2"}', "not a State.1 file"),
        ("state.json", '{"schema": "State.1", "seed": "many"}', "figures cannot be read"),
        ("options.json", '{"schema": "Options.1", "values": 3}', "holds no values"),
        ("history.npy", "no array", "figures cannot be read"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, name: str, text: str, words: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(BrokenFile, match=words):
        read_state(folder)


def test_history_and_iteration_belong_together(folder: Path) -> None:
    np.save(folder / "history.npy", np.ones((2, 1), np.float32))
    with pytest.raises(BrokenFile, match="it has 2 rows for 3 iterations"):
        read_state(folder)


def test_pickles_are_not_read(folder: Path) -> None:
    np.save(folder / "history.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(BrokenFile, match="figures cannot be read"):
        read_state(folder)


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"parts": "encoder", "files": {}},
        {"parts": ["encoder"], "files": {"state.json": {}, "history.npy": {}, "options.json": {}}},
        {"parts": [], "files": {"state.json": {}, "options.json": {}}},
        {"parts": [], "files": {"state.json": {}, "history.npy": {}, "options.json": {}, "../x": {}}},
        {"parts": ["../x"], "files": {"state.json": {}, "history.npy": {}, "options.json": {}, "../x.h5": {}}},
    ],
)
def test_a_manifest_that_lists_too_little_or_too_much(folder: Path, manifest: dict[str, object]) -> None:
    (folder / "manifest.json").write_text(json.dumps({"schema": "Manifest.1", **manifest}))
    with pytest.raises(BrokenFile, match=r"manifest\.json"):
        read_manifest(folder)
