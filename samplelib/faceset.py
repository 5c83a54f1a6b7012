"""Opening a folder of faces: every record is read, no pixel is decoded, and what cannot be used is named."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import BrokenFile, FaceLoomError, MissingInput, NotAFace
from core.files import list_images
from core.paths import FACE_EXTENSIONS
from core.progress import SILENT, Progress
from facelib.pose import estimate_poses
from samplelib.sample import Sample, open_sample

_READERS = 4
_CHUNK = 64
_NAMED = 5
"""How many of the unusable files an error lists."""


@dataclass(frozen=True, eq=False)
class Faceset:
    """The faces of one folder.

    Attributes:
        folder: where they lie.
        samples: usable faces in natural order of their names.
        problems: what was left out and why, in the same order.
    """

    folder: Path
    samples: tuple[Sample, ...]
    problems: tuple[tuple[Path, str], ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def yaws(self) -> np.ndarray:
        """Yaw of every face, (N,) float64 radians, above 0 toward image-left."""
        landmarks = np.stack([sample.metadata.landmarks for sample in self.samples])
        sides = np.array([sample.side for sample in self.samples])
        return estimate_poses(landmarks, sides)[:, 1]


def open_faceset(folder: Path, progress: Progress = SILENT) -> Faceset:
    """Reads the record of every face in `folder` (.jpg and .jpeg, not in folders inside it).

    Raises:
        MissingInput: no such folder, or no face in it.
    """
    remedy = "Run the step `data_src faceset extract` (4) or `data_dst faceset extract` (5) first."
    try:
        paths = list_images(folder, FACE_EXTENSIONS)
    except MissingInput as problem:
        raise MissingInput(problem.what, remedy) from problem
    samples: list[Sample] = []
    problems: list[tuple[Path, str]] = []
    with progress.task(f"Opening {folder.name}", len(paths), "face") as task, ThreadPoolExecutor(_READERS) as readers:
        chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
        for chunk, opened in zip(chunks, readers.map(_open_all, chunks), strict=True):
            for path, sample in zip(chunk, opened, strict=True):
                if isinstance(sample, Sample):
                    samples.append(sample)
                else:
                    problems.append((path, sample))
            task.advance(len(chunk))
    if not samples:
        raise MissingInput(f"There is no face to work with in {folder}.{_listed(problems)}", remedy)
    return Faceset(folder, tuple(samples), tuple(problems))


def _open_all(paths: list[Path]) -> list[Sample | str]:
    return [_open_or_say_why(path) for path in paths]


def _open_or_say_why(path: Path) -> Sample | str:
    try:
        return open_sample(path)
    except BrokenFile as problem:
        return problem.why
    except NotAFace:
        return "this picture carries no face record."


def tolerated_failures(count: int) -> int:
    """How many of `count` faces may be unusable before going on with the rest would hide a fault: 5 %, at least 3."""
    return max(3, count // 20)


def check_failures(folder: Path, problems: list[tuple[Path, str]], count: int) -> None:
    """Refuses to go on when too many of `count` files are unusable.

    Raises:
        FaceLoomError: more than `tolerated_failures`, or all of them.
    """
    if len(problems) > tolerated_failures(count) or len(problems) >= count:
        raise FaceLoomError(
            f"{len(problems)} of the {count} faces in {folder} cannot be used.{_listed(problems)}",
            "Extract these faces again, or move the damaged files away.",
        )


def _listed(problems: list[tuple[Path, str]]) -> str:
    shown = "".join(f"\n  {path.name}: {reason}" for path, reason in problems[:_NAMED])
    rest = len(problems) - _NAMED
    return shown + (f"\n  and {rest} more." if rest > 0 else "") + ("\n" if shown else "")
