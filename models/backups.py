"""Backups of a model: up to 24 numbered copies of its checkpoint, 01 the newest.

model/<name>_<Class>/backups/
  01/ ... 24/    a checkpoint folder each (models/checkpoint.py), with `preview_*.png` of that moment
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from core.errors import MissingInput
from core.files import explain_os_error, replace_patiently, require_free_space, sync_file, sync_folder
from models.checkpoint_files import MANIFEST, verify_checkpoint

BACKUPS = "backups"
SLOTS = 24


class Backups:
    """The backup folders of one model.

    Attributes:
        folder: `model/<name>_<Class>/backups`; made by the first backup.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Path]:
        """The backups there are, newest (01) first."""
        slots = [self._slot(number) for number in range(1, SLOTS + 1)]
        return [slot for slot in slots if (slot / MANIFEST).is_file()]

    def find(self, number: int) -> Path:
        """The backup of that number. Raises MissingInput when there is none."""
        if self._slot(number) not in self.all():
            raise MissingInput(f"There is no such backup of this model. Received: {number}.", self.way_back())
        return self._slot(number)

    def way_back(self) -> str:
        """One sentence that names the backups and how to go on from one: the remedy of every damaged model."""
        backups = self.all()
        if not backups:
            return f"There are no backups in {self.folder}."
        times = [datetime.fromtimestamp((backup / MANIFEST).stat().st_mtime) for backup in backups]
        listed = ", ".join(f"{b.name} ({t:%Y-%m-%d %H:%M})" for b, t in zip(backups, times, strict=True))
        return f"To go on from a backup, add --restore-backup NUMBER. There are: {listed}."

    def make(self, checkpoint: Path, pictures: Iterable[Path] = ()) -> Path:
        """Copies a checkpoint into 01 and moves the older backups one slot on; what was in slot 24 goes.

        They are real copies: further names (hard links) for the same data would cost no space, but share every damage
        and every edit. Each is held against the manifest before anything moves. A gap left by a deleted backup, or by
        a crash between two renames, is filled before a backup falls off the end.

        Args:
            pictures: previews to keep beside it.

        Raises:
            FaceLoomError: the checkpoint is not whole, or the disk is full or cannot be written.
        """
        new = self.folder / "new"
        try:
            shutil.rmtree(new, ignore_errors=True)
            files = sorted(checkpoint.iterdir()) if checkpoint.is_dir() else []
            require_free_space(self.folder, sum(path.stat().st_size for path in files))
            new.mkdir(parents=True)
            for path in files:
                shutil.copyfile(path, new / path.name)
                sync_file(new / path.name)
            verify_checkpoint(new)
            for path in pictures:
                shutil.copyfile(path, new / f"preview_{path.name}")
            sync_folder(new)
            free = next((n for n in range(1, SLOTS + 1) if not self._slot(n).exists()), SLOTS)
            if self._slot(free).exists():
                shutil.rmtree(self._slot(free))
            for number in range(free, 1, -1):
                replace_patiently(self._slot(number - 1), self._slot(number))
            replace_patiently(new, self._slot(1))
        except OSError as problem:
            raise explain_os_error(problem, new) from problem
        finally:
            shutil.rmtree(new, ignore_errors=True)
        sync_folder(self.folder)
        return self._slot(1)

    def _slot(self, number: int) -> Path:
        return self.folder / f"{number:02d}"
