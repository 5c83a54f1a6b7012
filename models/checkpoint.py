"""All the state of a training, kept so that a crash at any moment costs at most the work since the last save.

    model/<name>_<Class>/
      checkpoint/            the last save: a complete set, never changed once it stands
        options.json         the model's saved answers
        state.json           what the loop must remember: iteration, seed, place in the stream of batches, seconds
        history.npy          the loss of every iteration
        encoder.h5 ...       one file per part, `optimizer.h5` among them
        manifest.json        size and SHA-256 of each of these files; written last
      checkpoint.previous/   the save before it
      checkpoint.new/        a save being written
      checkpoint.broken/     a damaged one that a later save put out of the way
      backups/01 ... 24/     copies of `checkpoint/` with the previews of that moment, 01 the newest
      previews/ report.json  pictures and figures to look at while training
      lock                   held by the process that trains

A save writes `checkpoint.new/` whole and flushes it; then the old previous goes, `checkpoint/` becomes
`checkpoint.previous/`, and the new one takes its place. Wherever that stops, one of the names holds a complete set, and
`read` takes the newest that proves whole: every file is held against the manifest. Only the folders `checkpoint*` are
ever swapped; previews, backups and files of the user's own in the model's folder are not touched by a save.

Taken out on purpose: a part whose file the user deleted starts afresh, which is said aloud, and the save before, which
still has it, becomes a backup; merging refuses such a checkpoint. A part exchanged for one of another save is used when
its own checksum proves it intact.

Options switch parts on and off (an adversary, say). One that is switched on and was never saved starts from the seed,
said aloud; one that is switched off stays in every save as it was, and is there again when it is switched on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import BadOption, BrokenFile, FaceLoomError
from core.files import explain_os_error, replace_patiently, require_free_space, swap_folder
from models.backups import BACKUPS, Backups
from models.base import TRAINING_PARTS, State, SwapModel
from models.checkpoint_files import (
    MANIFEST,
    TrainingState,
    encode_checkpoint,
    is_as_listed,
    read_bytes,
    read_state,
    verify_checkpoint,
)
from models.part_files import SUFFIX, decode_part

_ROOM_TO_SPARE = 4_000_000  # bytes beyond the tensors: file headers, history, JSON


class UnfitToSave(FaceLoomError):
    """The weights hold values that are no numbers; the checkpoint on disk was left as it is."""


@dataclass(frozen=True)
class Checkpoint:
    """One complete save, read and verified.

    Attributes:
        folder: where it was read.
        missing: parts whose file was taken away.
        notes: what the user should hear about how it was found.
    """

    folder: Path
    state: TrainingState
    parts: State
    missing: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def backups(self) -> Backups:
        """Those of its model; it may be one of them."""
        beside = self.folder.parent
        return Backups(beside if beside.name == BACKUPS else beside / BACKUPS)


class CheckpointStore:
    """The checkpoints of one model.

    Attributes:
        folder: `model/<name>_<Class>`; made by the first save.
        current, previous: the last two saves, where there are that many.
        backups: numbered copies of earlier ones.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current = folder / "checkpoint"
        self.previous = folder / "checkpoint.previous"
        self.backups = Backups(folder / BACKUPS)
        self._new = folder / "checkpoint.new"

    @property
    def saves(self) -> list[Path]:
        """Where something was saved, whole or damaged, the newest first: the last two saves, then the backups."""
        return [place for place in (self.current, self.previous, *self.backups.all()) if place.is_dir()]

    def save(self, parts: State, state: TrainingState) -> None:
        """Makes the given state the current checkpoint; the current one becomes the previous.

        Raises:
            UnfitToSave: a tensor holds a value that is no number.
            FaceLoomError: the disk is full or cannot be written. Whatever was saved before is still there.
        """
        _require_finite(parts)
        tensors = [tensor for part in (*parts.values(), *state.dormant.values()) for tensor in part.values()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear_the_way()
            require_free_space(self.folder, _ROOM_TO_SPARE + sum(tensor.nbytes for tensor in tensors))
            self._new.mkdir()
            for name, data in encode_checkpoint(parts, state):
                (self._new / name).write_bytes(data)
            swap_folder(self._new, self.current, self.previous)
        except Exception as problem:
            if self.current.exists() or not _is_whole(self._new):  # once the swap has begun, the new one is the best
                shutil.rmtree(self._new, ignore_errors=True)
            if isinstance(problem, OSError):
                raise explain_os_error(problem, self._new) from problem
            raise

    def _clear_the_way(self) -> None:
        """Finishes, or does away with, what an interrupted save left; moves a damaged checkpoint aside, so that it does
        not push the intact previous one out."""
        if self._new.exists() and not self.current.exists() and _is_whole(self._new):
            replace_patiently(self._new, self.current)
        shutil.rmtree(self._new, ignore_errors=True)
        if self.current.exists() and self.previous.exists() and not _is_whole(self.current):
            broken = self.folder / "checkpoint.broken"
            shutil.rmtree(broken, ignore_errors=True)
            replace_patiently(self.current, broken)

    def read(self, *, without: Collection[str] = (), backup: int | None = None) -> Checkpoint | None:
        """The newest checkpoint that proves whole: the current one, else the previous one, which `notes` then say.

        Args:
            without: parts not wanted, e.g. ("optimizer",) when merging.
            backup: read this backup and nothing else.

        Returns:
            None when nothing was ever saved here.

        Raises:
            MissingInput: there is no such backup.
            BrokenFile: there were saves, and none of them is whole; the sentence names the backups.
        """
        if backup is not None:
            found = _read_settled(self.backups.find(backup), without)
            note = f"Going on from backup {backup:02d}, iteration {found.state.iteration:,}."
            return replace(found, notes=(note, *found.notes))
        damage: list[str] = []
        for folder in (self.current, self._new, self.previous):
            if not folder.exists() or (folder == self._new and self.current.exists()):
                continue
            try:
                found = _read_settled(folder, without)
            except BrokenFile as problem:
                if folder != self._new:  # a half-written save is no damage
                    damage.append(str(problem))
                continue
            if folder == self.previous:
                damage = damage or ["The last save was cut short."]
                damage.append(f"The previous checkpoint, iteration {found.state.iteration:,}, is used instead.")
            return replace(found, notes=(*damage, *found.notes))
        if damage:
            raise BrokenFile(self.folder, " ".join(damage), self.backups.way_back())
        if self.backups.all():
            raise BrokenFile(self.current, "the checkpoint is gone, but there are backups.", self.backups.way_back())
        return None


def _read_settled(folder: Path, without: Collection[str]) -> Checkpoint:
    """Reads one folder; again when a trainer put a newer save in its place meanwhile."""
    manifest = folder / MANIFEST
    outcome: Checkpoint | BrokenFile = BrokenFile(folder, "it is rewritten faster than it can be read.", "Try again.")
    for _ in range(3):
        before = read_bytes(manifest)
        try:
            outcome = _read_once(folder, without)
        except BrokenFile as problem:
            outcome = problem
        if manifest.is_file() and manifest.read_bytes() == before:
            break
    if isinstance(outcome, BrokenFile):
        raise outcome
    return outcome


def _read_once(folder: Path, without: Collection[str]) -> Checkpoint:
    manifest = verify_checkpoint(folder, parts=False)
    parts: State = {}
    missing, notes = [], []
    for part in manifest["parts"]:
        path = folder / f"{part}{SUFFIX}"
        if part in without:
            continue
        if not path.exists():
            missing.append(part)
            continue
        data = read_bytes(path)
        stored_name, tensors = decode_part(data, path)
        if stored_name != part:
            raise BrokenFile(path, f'it holds the part "{stored_name}".')
        if not is_as_listed(data, manifest["files"][path.name]):
            notes.append(f"{path.name} is not the file that was saved there; it is intact, and used.")
        parts[part] = tensors
    return Checkpoint(folder, read_state(folder), parts, tuple(missing), tuple(notes))


def _is_whole(folder: Path) -> bool:
    try:
        verify_checkpoint(folder)
    except BrokenFile:
        return False
    return True


def _require_finite(parts: State) -> None:
    for part, tensors in parts.items():
        for name, tensor in tensors.items():
            if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
                raise UnfitToSave(f"{part}/{name} holds values that are no numbers; it was not saved.")


def load_weights(model: SwapModel, found: Checkpoint, parts: Collection[str]) -> None:
    """Puts parts of a checkpoint into a model.

    Raises:
        FaceLoomError: one of them is missing, or does not fit; the sentence says how to go on.
    """
    missing = [part for part in parts if part not in found.parts]
    if missing:
        names = ", ".join(f"{part}{SUFFIX}" for part in missing)
        raise FaceLoomError(
            f"{names} missing from {found.folder}.",
            f"To start afresh what is missing and keep the rest, train with --reset {','.join(missing)}; "
            f"or put the file back, from checkpoint.previous or a backup. {found.backups.way_back()}",
        )
    for part in parts:
        try:
            model.import_state(part, found.parts[part])
        except FaceLoomError as problem:
            raise FaceLoomError(
                f"{part}{SUFFIX} in {found.folder} does not fit this model: {problem.what}",
                f"To start this part afresh, train with --reset {part}. {found.backups.way_back()}",
            ) from problem


def restore_weights(model: SwapModel, found: Checkpoint, fresh: Collection[str] = ()) -> dict[str, list[str]]:
    """Puts a whole checkpoint into a model that trains; what cannot come from there starts from the seed.

    Args:
        fresh: parts to start afresh although they were saved.

    Returns:
        The other parts that started afresh, by reason: "new" (never saved: an option switched them on), "reshaped"
        (saved in another shape, which an option has changed; see `SwapModel.replaceable_parts`).

    Raises:
        FaceLoomError: a part is missing that was saved, or does not fit.
    """
    afresh: dict[str, list[str]] = {"new": [], "reshaped": []}
    for part in model.part_names:
        if part in fresh:
            continue
        if part not in found.parts and part not in found.missing:
            afresh["new"].append(part)
            continue
        try:
            load_weights(model, found, [part])
        except FaceLoomError:
            if part not in model.replaceable_parts or part in found.missing:
                raise
            afresh["reshaped"].append(part)
    for part in (*fresh, *afresh["new"], *afresh["reshaped"]):
        model.reset_part(part)  # after all are loaded: it also clears what the optimizer remembers of the part
    return afresh


def check_reset(reset: Collection[str], found: Checkpoint | None, part_names: Sequence[str] = ()) -> None:
    """BadOption where `reset` names no part of this model.

    part_names: of the model; before it is built, those that were saved count, and those an option may switch on.
    """
    if reset and found is None:
        raise BadOption(f"A new model has no part to reset. Received: {', '.join(reset)}.", "Check --model-name.")
    known = part_names or ([*found.parts, *found.missing] if found is not None else [])
    unknown = [part for part in reset if part not in (part_names or [*known, *TRAINING_PARTS])]
    if unknown:
        raise BadOption(f"--reset must be one of {', '.join(known)}. Received: {', '.join(unknown)}.")


def start_training(
    model: SwapModel,
    found: Checkpoint | None,
    *,
    seed: int,
    reset: Collection[str] = (),
    pretrained_folder: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> TrainingState:
    """Brings a newly built model to where its training goes on.

    The four ways to start, in the order they are tried:

        1. resume      the current checkpoint is whole (`CheckpointStore.read`)
        2. previous    it is not, but the one before is; said aloud
        3. pretrained  nothing was ever saved: parts found in `pretrained_folder` are taken
        4. scratch     and the others start from the seed

    A part named in `reset` goes the ways 3 and 4 in a model that is resumed, and so does, said aloud, one whose file
    the user took out of the checkpoint (but not all of them: then something else has happened), or which an option has
    given another shape; one that an option has switched on starts from the seed. There is no fifth way: a checkpoint
    that is there and cannot be used is an error.

    Returns:
        The state the loop goes on from.

    Raises:
        BadOption: `reset` names no part of this model.
        FaceLoomError: a part does not fit, or all of them are missing.
    """
    check_reset(reset, found, model.part_names)
    for note in found.notes if found is not None else ():
        say(note)
    if found is None:
        state, fresh = TrainingState(seed=seed), list(model.part_names)
    else:
        state = found.state
        state.dormant = {part: tensors for part, tensors in found.parts.items() if part not in model.part_names}
        missing = [part for part in found.missing if part in model.part_names]
        if not set(model.part_names) & {*found.parts, *reset}:
            load_weights(model, found, model.part_names)  # raises: with everything gone nothing is taken for granted
        for part in missing:
            say(f"{part}{SUFFIX} was taken out of {found.folder}.")
        fresh = [part for part in model.part_names if part in reset or part in missing]
        afresh = restore_weights(model, found, fresh)
        for note in model.notes:
            say(note)
        if afresh["new"]:
            say(f"Switched on, and never trained in this model: {', '.join(afresh['new'])}. It starts from the seed.")
        if afresh["reshaped"]:
            say(f"Saved in another shape, which the options no longer ask for: {', '.join(afresh['reshaped'])}.")
        fresh = [part for part in model.part_names if part in (*fresh, *afresh["reshaped"])]
    pretrained = [part for part in fresh if _load_pretrained(model, part, pretrained_folder)]
    if pretrained:
        say(f"Pretrained parts from {pretrained_folder}: {', '.join(pretrained)}.")
    if found is not None and fresh:
        say(f"Started afresh, the rest is kept: {', '.join(fresh)}.")
    return state


def _load_pretrained(model: SwapModel, part: str, folder: Path | None) -> bool:
    path = folder / f"{part}{SUFFIX}" if folder is not None else None
    if path is None or not path.is_file():
        return False
    stored_name, tensors = decode_part(read_bytes(path), path)
    if stored_name != part:
        raise BrokenFile(path, f'it holds the part "{stored_name}".', "Give the file its right name, or take it away.")
    try:
        model.import_state(part, tensors)
    except FaceLoomError as problem:
        raise BrokenFile(path, f"it does not fit this model: {problem.what}", "Take the file away.") from problem
    return True
