"""The files inside a checkpoint folder, and the manifest that proves them whole.

    options.json    {"schema": "Options.1", "values": {...}}          the model's saved answers
    state.json      {"schema": "State.1", "iteration": ..., ...}      what the loop must remember
    history.npy     (iterations, losses) float32                      NumPy's own format, no pickle
    <part>.h5       tensors of one part                               models/part_files.py
    manifest.json   {"schema": "Manifest.1", "parts": [...], "files": {name: {"bytes", "sha256"}}}

Reading checks everything it uses and raises BrokenFile with the name of the file; nothing in here can run code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import BrokenFile
from models.base import State
from models.history import LossHistory
from models.part_files import SUFFIX, encode_part

MANIFEST = "manifest.json"
_OPTIONS, _STATE, _HISTORY = "options.json", "state.json", "history.npy"


@dataclass
class TrainingState:
    """What the loop must remember besides the weights.

    Attributes:
        seed: of this model's training; every batch is a function of it and of the batch's number.
        options: the model's saved answers, as plain values.
        history: the losses so far; its length is the iteration.
        batch_number: the batch the coming iteration learns from. It follows the model's own count, and jumps ahead of
            it when the loop goes back to a checkpoint: the stream of batches goes on and repeats nothing.
        seconds: spent training, all sessions together.
        seconds_waited: of these, waiting for samples.
        backup_seconds: value of `seconds` at the last backup.
        rollbacks: how often this training went back to a checkpoint.
        dormant: parts that this model's options have switched off; every save keeps them as they were.
    """

    seed: int
    options: dict[str, Any] = field(default_factory=dict)
    history: LossHistory = field(default_factory=LossHistory)
    batch_number: int = 0
    seconds: float = 0.0
    seconds_waited: float = 0.0
    backup_seconds: float = 0.0
    rollbacks: int = 0
    dormant: State = field(default_factory=dict)

    @property
    def iteration(self) -> int:
        """Completed iterations."""
        return len(self.history)


def encode_checkpoint(parts: State, state: TrainingState) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file of a checkpoint, the manifest last."""
    manifest: dict[str, dict[str, Any]] = {}
    for name, data in _encode_files(parts, state):
        manifest[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        yield name, data
    yield MANIFEST, _to_json("Manifest.1", {"parts": [*parts, *state.dormant], "files": manifest})


def _encode_files(parts: State, state: TrainingState) -> Iterator[tuple[str, bytes]]:
    yield _OPTIONS, _to_json("Options.1", {"values": state.options})
    figures = {
        "iteration": state.iteration,
        "losses": state.history.last(),
        "loss_names": list(state.history.names),
        "seed": state.seed,
        "batch_number": state.batch_number,
        "seconds": round(state.seconds, 3),
        "seconds_waited": round(state.seconds_waited, 3),
        "backup_seconds": round(state.backup_seconds, 3),
        "rollbacks": state.rollbacks,
        "saved_at": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    yield _STATE, _to_json("State.1", figures)
    history = BytesIO()
    np.save(history, state.history.values, allow_pickle=False)
    yield _HISTORY, history.getvalue()
    for part, tensors in {**state.dormant, **parts}.items():
        yield f"{part}{SUFFIX}", encode_part(part, tensors)


def _read_options(folder: Path) -> dict[str, Any]:
    values = _from_json(folder / _OPTIONS, "Options.1").get("values")
    if not isinstance(values, dict):
        raise BrokenFile(folder / _OPTIONS, "it holds no values.")
    return values


def read_figures(folder: Path) -> dict[str, Any]:
    """`state.json` as it is: for lists of models, which need neither the history nor the weights."""
    return _from_json(folder / _STATE, "State.1")


def read_state(folder: Path) -> TrainingState:
    """Everything of a checkpoint but the parts."""
    figures = read_figures(folder)
    try:
        values = np.load(BytesIO(read_bytes(folder / _HISTORY)), allow_pickle=False)
        state = TrainingState(
            seed=int(figures["seed"]),
            options=_read_options(folder),
            history=LossHistory([str(name) for name in figures["loss_names"]], values),
            batch_number=int(figures["batch_number"]),
            seconds=float(figures["seconds"]),
            seconds_waited=float(figures["seconds_waited"]),
            backup_seconds=float(figures["backup_seconds"]),
            rollbacks=int(figures["rollbacks"]),
        )
    except (KeyError, TypeError, ValueError, EOFError) as problem:
        raise BrokenFile(folder / _STATE, f"its figures cannot be read ({problem}).") from problem
    if state.iteration != figures.get("iteration"):
        raise BrokenFile(folder / _HISTORY, f"it has {state.iteration} rows for {figures.get('iteration')} iterations.")
    return state


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, checked to list a whole checkpoint and nothing outside its folder."""
    path = folder / MANIFEST
    manifest = _from_json(path, "Manifest.1")
    files, parts = manifest.get("files"), manifest.get("parts")
    if not isinstance(files, dict) or not isinstance(parts, list):
        raise BrokenFile(path, "it lists no files.")
    if any(Path(name).name != name for name in files):
        raise BrokenFile(path, "it lists files outside its folder.")
    if not {_OPTIONS, _STATE, _HISTORY, *(f"{part}{SUFFIX}" for part in parts)} <= set(files):
        raise BrokenFile(path, "it does not list a whole checkpoint.")
    return manifest


def verify_checkpoint(folder: Path, *, parts: bool = True) -> dict[str, Any]:
    """Holds the files of a checkpoint against its manifest: all, or (not `parts`) all but those of the parts.

    Returns:
        The manifest.

    Raises:
        BrokenFile: one is missing or does not match.
    """
    manifest = read_manifest(folder)
    passed_over = set() if parts else {f"{part}{SUFFIX}" for part in manifest["parts"]}
    for name, known in manifest["files"].items():
        if name not in passed_over and not is_as_listed(read_bytes(folder / name), known):
            raise BrokenFile(folder / name, "the file is damaged: its checksum does not match.")
    return manifest


def is_as_listed(data: bytes, known: Any) -> bool:
    """Whether a file's content is what the manifest says of it."""
    return isinstance(known, dict) and known.get("sha256") == hashlib.sha256(data).hexdigest()


def read_bytes(path: Path) -> bytes:
    """A whole file. Raises BrokenFile when it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BrokenFile(path, "the file is missing.") from None
    except OSError as problem:
        raise BrokenFile(path, f"it cannot be read ({problem.strerror or problem}).") from problem


def _to_json(schema: str, content: Mapping[str, Any]) -> bytes:
    return (json.dumps({"schema": schema, **content}, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def _from_json(path: Path, schema: str) -> dict[str, Any]:
    try:
        content = json.loads(read_bytes(path))
    except ValueError as problem:
        raise BrokenFile(path, "the file is damaged (it is not JSON).") from problem
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise BrokenFile(path, f"it is not a {schema} file.")
    return content
