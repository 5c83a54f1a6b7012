"""A painted faceset for the tests of sorting: people, directions, frames, and files that are no faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.images import encode_jpeg
from core.progress import SILENT
from facelib.face_type import FaceType
from facelib.metadata import write_face
from mainscripts.sort_table import FaceTable, load_table
from samplelib.face_features import GROUPS
from tests.painting import paint_face, painted_metadata

SIDE = 128


def write_film(
    folder: Path,
    yaws: Sequence[float],
    *,
    pitches: Sequence[float] | None = None,
    frames: Sequence[str] | None = None,
    persons: Sequence[int] | None = None,
) -> list[Path]:
    """One face for every yaw, named 00001_0.jpg and so on; the person decides its colors."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for n, yaw in enumerate(yaws):
        pitch = pitches[n] if pitches else 0.0
        image, _ = paint_face(SIDE, FaceType.WHOLE, yaw, pitch, seed=persons[n] if persons else n)
        frame = frames[n] if frames else f"{n + 1:05d}.png"
        path = folder / f"{n + 1:05d}_0.jpg"
        write_face(path, encode_jpeg(image, 95), painted_metadata(SIDE, FaceType.WHOLE, frame, yaw, pitch))
        paths.append(path)
    return paths


def table_of(folder: Path, paths: Sequence[Path]) -> FaceTable:
    """Everything that can be measured of these faces."""
    table, problems = load_table(folder, paths, tuple(GROUPS), SILENT, 0)
    assert not problems
    return table


def contents(folder: Path) -> dict[str, bytes]:
    """Names and bytes of the files directly inside, hidden ones left out."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file() and not p.name.startswith(".")}


def spread(count: int, most: float = 0.6) -> list[float]:
    """Yaws from -most to most, in no order."""
    return np.random.default_rng(4).permutation(np.linspace(-most, most, count)).tolist()
