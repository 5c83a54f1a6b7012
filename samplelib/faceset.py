"""Opening a folder of faces: every record is read, no pixel is decoded, and what cannot be used is named."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import BrokenFile, FaceLoomError, MissingInput, NotAFace
from core.files import list_images, natural_sorted
from core.paths import EXTRACTION_JOURNAL, FACE_EXTENSIONS
from core.progress import SILENT, Progress
from core.renames import finish_renames
from facelib.legacy import may_be_old_face
from facelib.legacy_pack import PACK_NAME, LegacyPack
from facelib.pose import estimate_poses
from samplelib import pack as own_pack
from samplelib.legacy_pack_index import recall, remember
from samplelib.sample import FacePlace, Sample, open_sample

_READERS = 4
_CHUNK = 64
_NAMED = 5
"""How many of the unusable files an error lists."""
_RECOVERABLE = "If it was a face of this folder: util --recover-records --input-dir <folder> gives it its record back."
_REMEDY = "Run the step `data_src faceset extract` (4) or `data_dst faceset extract` (5) first."


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
    """Reads the record of every face in `folder` (not in folders inside it): .jpg and .jpeg, and .png of old facesets.

    Where a pack lies in the folder (`faceset.h5`, or an older tool's `faceset.pak`), its faces are the faceset, and
    files beside it are left out with a word. A renaming that was stopped in this folder is finished first.

    Raises:
        MissingInput: no such folder, or no face in it.
        BrokenFile: the pack is damaged, or asks for something it must not have, and no face file lies beside it.
    """
    finish_renames(folder)
    packed = _open_packed(folder, progress)
    if packed is not None:
        return packed
    try:
        places, left_out = face_places(folder)
    except MissingInput as problem:
        raise MissingInput(problem.what, _REMEDY) from problem
    if left_out:
        progress.say(_beside(folder, left_out))
    samples, problems = _read_all(folder, places, progress)
    if not samples:
        raise MissingInput(f"There is no face to work with in {folder}.{_listed(problems)}", _REMEDY)
    if (folder / PACK_NAME).is_file():
        remember(LegacyPack(folder / PACK_NAME), samples, problems)
    return Faceset(folder, tuple(samples), tuple(problems))


def require_face_files(folder: Path) -> None:
    """At a glance, before anything is opened: raises MissingInput where no file can be a face or a pack of them."""
    kinds = (*FACE_EXTENSIONS, ".png", Path(own_pack.PACK_NAME).suffix, Path(PACK_NAME).suffix)
    if not folder.is_dir() or not any(path.suffix.lower() in kinds for path in folder.iterdir()):
        raise MissingInput(f"There is no face to work with in {folder}.", _REMEDY)


def _read_all(folder: Path, places: list[FacePlace], progress: Progress) -> tuple[list[Sample], list[tuple[Path, str]]]:
    """The faces at these places, and what cannot be used with the reason."""
    samples: list[Sample] = []
    problems: list[tuple[Path, str]] = []
    with progress.task(f"Opening {folder.name}", len(places), "face") as task, ThreadPoolExecutor(_READERS) as readers:
        chunks = [places[start : start + _CHUNK] for start in range(0, len(places), _CHUNK)]
        for chunk, opened in zip(chunks, readers.map(_open_all, chunks), strict=True):
            for place, sample in zip(chunk, opened, strict=True):
                if isinstance(sample, Sample):
                    samples.append(sample)
                else:
                    problems.append((place.label, sample))
            task.advance(len(chunk))
    return samples, problems


def _open_packed(folder: Path, progress: Progress) -> Faceset | None:
    """The faces of the folder's `faceset.h5`, or of a `faceset.pak` that is known already; None where there is none, or
    a damaged one beside face files.
    """
    path = folder / own_pack.PACK_NAME
    if not path.is_file():
        return _open_known(folder, progress)
    loose = len(list_images(folder, FACE_EXTENSIONS))
    try:
        samples = own_pack.open_pack(path)
    except BrokenFile as problem:
        if not loose:
            raise
        progress.say(f"{problem} The {loose} face files beside it are used.")
        return None
    if loose:
        progress.say(f"{folder}: the {len(samples)} faces of {path.name} are used, and the {loose} beside it are not.")
    return Faceset(folder, tuple(samples))


def _open_known(folder: Path, progress: Progress) -> Faceset | None:
    """The faces of the folder's `faceset.pak` where they have been read before; else None."""
    path = folder / PACK_NAME
    known = recall(LegacyPack(path)) if path.is_file() else None
    if known is None:
        return None
    loose = len(list_images(folder, FACE_EXTENSIONS))
    if loose:
        progress.say(_beside(folder, loose))
    return Faceset(folder, tuple(known[0]), tuple(known[1]))


def _beside(folder: Path, loose: int) -> str:
    return f"{folder}: the faces of {PACK_NAME} are used, and the {loose} beside it are not."


def face_places(folder: Path) -> tuple[list[FacePlace], int]:
    """Where the faces of a folder are, in natural order, and how many face files beside a pack do not count.

    Raises:
        MissingInput: no such folder.
        BrokenFile: the pack is damaged, or asks for something it must not have.
    """
    paths = list_images(folder, FACE_EXTENSIONS)
    own = folder / own_pack.PACK_NAME
    if own.is_file():
        try:
            return [sample.place for sample in own_pack.open_pack(own)], len(paths)
        except BrokenFile:
            if not paths:
                raise
    pack = folder / PACK_NAME
    if pack.is_file():
        return packed_places(pack), len(paths)
    old = [path for path in list_images(folder, (".png",)) if may_be_old_face(path)]  # other PNGs may be drawings
    return [FacePlace(path) for path in natural_sorted([*paths, *old])], 0


def packed_places(path: Path) -> list[FacePlace]:
    """Where the faces of a `faceset.pak` are, in natural order of their names. BrokenFile as in `face_places`."""
    pack = LegacyPack(path)
    places = {path / str(name): FacePlace(path, *pack.place(n), str(name)) for n, name in enumerate(pack.names)}
    return [places[label] for label in natural_sorted(places)]


def _open_all(places: list[FacePlace]) -> list[Sample | str]:
    return [_open_or_say_why(place) for place in places]


def _open_or_say_why(place: FacePlace) -> Sample | str:
    try:
        return open_sample(place)
    except BrokenFile as problem:
        return problem.why
    except NotAFace as problem:
        why = problem.what.removeprefix(f"{place.label}: ")
        mirrored = not place.packed_name and (place.path.parent / EXTRACTION_JOURNAL).is_file()
        return f"{why} {_RECOVERABLE}" if mirrored else why


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
