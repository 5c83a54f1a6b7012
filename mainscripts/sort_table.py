"""The faces of a folder as columns: what a sort looks at instead of files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.progress import Progress
from facelib.landmarks import INNER_MOUTH, LEFT_EYE, RIGHT_EYE
from facelib.pose import estimate_poses
from samplelib.face_features import GROUPS, RECORD, TEXT
from samplelib.face_index import Columns, FaceFile, FaceIndex

_LEAST_FACING = 0.3  # cosine of yaw: farther round, widths are foreshortened beyond use


@dataclass(frozen=True, eq=False)
class FaceTable:
    """Faces in natural order of their names. groups: group -> columns, see samplelib/face_features.py."""

    files: tuple[FaceFile, ...]
    groups: dict[str, Columns]

    def __len__(self) -> int:
        return len(self.files)

    def column(self, group: str, name: str) -> NDArray:
        """One column, (N, ...)."""
        return self.groups[group][name]

    @property
    def frame_names(self) -> list[str]:
        """The frame of every face."""
        return self.groups[RECORD]["frame_name"]

    @cached_property
    def poses(self) -> NDArray[np.float64]:
        """Pitch, yaw, roll in radians: (N, 3)."""
        return estimate_poses(self.column(RECORD, "landmarks"), self.column(RECORD, "side"))

    @cached_property
    def openness(self) -> NDArray[np.float64]:
        """Of eyes and mouth, (N, 2): height over width, the width freed from the turn of the head; 0 is closed."""
        points = self.column(RECORD, "landmarks").astype(np.float64)
        facing = np.maximum(np.cos(self.poses[:, 1]), _LEAST_FACING)
        eyes = (_opening(points[:, LEFT_EYE]) + _opening(points[:, RIGHT_EYE])) / 2
        return np.column_stack([eyes * facing, _opening(points[:, INNER_MOUTH]) * facing])


def _opening(ring: NDArray) -> NDArray:
    """Mean height over width of closed rings (N, K, 2) that begin at one corner; the other corner is half way."""
    half = ring.shape[1] // 2
    width = np.linalg.norm(ring[:, half] - ring[:, 0], axis=1)
    heights = np.linalg.norm(ring[:, 1:half] - ring[:, :half:-1], axis=2)
    return heights.mean(axis=1) / np.maximum(width, 1e-6)


def load_table(
    folder: Path, paths: Sequence[Path], groups: Iterable[str], progress: Progress, workers: int | None = None
) -> tuple[FaceTable, dict[Path, str]]:
    """Measures what is not measured yet.

    Returns:
        The faces that could be measured, and path -> reason of the files that could not.
    """
    files = [FaceFile.of(path) for path in paths]
    index = FaceIndex(folder)
    problems: dict[Path, str] = {}
    loaded: dict[str, Columns] = {}
    for name in dict.fromkeys((RECORD, *groups)):
        columns, usable, reasons = index.measure(name, files, progress, workers)
        problems |= reasons
        if len(usable) < len(files):
            files = [files[n] for n in usable.tolist()]
            loaded = {done: _picked(done, known, usable) for done, known in loaded.items()}
        loaded[name] = columns
    return FaceTable(tuple(files), loaded), problems


def take_rows(table: FaceTable, rows: NDArray[np.int64]) -> FaceTable:
    """The table with these rows only, in this order."""
    groups = {name: _picked(name, columns, rows) for name, columns in table.groups.items()}
    return FaceTable(tuple(table.files[n] for n in rows.tolist()), groups)


def _picked(group: str, columns: Columns, rows: NDArray[np.int64]) -> Columns:
    kinds = GROUPS[group].columns
    return {
        name: [column[n] for n in rows.tolist()] if kinds[name][0] == TEXT else column[rows]
        for name, column in columns.items()
    }
