"""`util --export-dfl` and `util --import-dfl`: a folder of faces written anew for DeepFaceLab, or brought in from it.

Both leave the given folder as it is and write to another one, which must not hold anything yet. Every file is read back
after it is written and compared with the face it came from. The picture stays bit for bit where it can.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import BadOption, BrokenFile, FaceLoomError, MissingInput, NotAFace, PartialFailure
from core.files import atomic_write_bytes, require_free_space
from core.images import decode_image, encode_jpeg, to_uint8
from core.progress import Progress
from facelib.face_record import FaceMetadata
from facelib.legacy_export import dfl_face
from facelib.metadata import read_face, with_metadata
from samplelib.faceset import face_places
from samplelib.sample import FacePlace, open_sample

_NAMED_AT_MOST = 20


@dataclass(frozen=True)
class ExchangeReport:
    """What was written.

    Attributes:
        faces: how many.
        saved_anew: names of those whose picture had to be encoded again (quality 100).
        masks_reduced: names of those whose mask is a JPEG now, because a PNG would not have fitted.
    """

    faces: int
    saved_anew: tuple[str, ...] = ()
    masks_reduced: tuple[str, ...] = ()


def export_dfl(folder: Path, output: Path, progress: Progress) -> ExchangeReport:
    """Writes the faces of `folder`, packed or not, to `output` as JPEGs of DeepFaceLab.

    Raises:
        BadOption: `output` holds something already.
        MissingInput: there is no face in `folder`.
        PartialFailure: some faces could not be written; each is named with its reason.
    """
    return _Exchange(folder, output, progress).run("Writing faces for DeepFaceLab", _exported)


def import_dfl(folder: Path, output: Path, progress: Progress) -> ExchangeReport:
    """Writes the faces of `folder`, a pack, old PNG files or JPEGs of any kind, to `output` as FaceLoom's own JPEGs.

    Errors as in `export_dfl`.
    """
    return _Exchange(folder, output, progress).run("Bringing faces in", _imported)


@dataclass(frozen=True)
class _Written:
    jpeg: bytes
    saved_anew: bool
    mask_reduced: bool


def _exported(jpeg: bytes, metadata: FaceMetadata, path: Path) -> _Written:
    face = dfl_face(jpeg, metadata, path)
    return _Written(face.jpeg, face.saved_anew, face.mask_quality is not None)


def _imported(jpeg: bytes, metadata: FaceMetadata, path: Path) -> _Written:
    return _Written(with_metadata(jpeg, metadata, path), False, False)


class _Exchange:
    def __init__(self, folder: Path, output: Path, progress: Progress) -> None:
        self.folder = folder
        self.output = output
        self.progress = progress
        self.saved_anew: list[str] = []
        self.masks_reduced: list[str] = []

    def run(self, title: str, turn: Callable[[bytes, FaceMetadata, Path], _Written]) -> ExchangeReport:
        if self.output.is_dir() and any(self.output.iterdir()):
            raise BadOption(f"{self.output} is not empty. Received: --output-dir.", "Choose a new folder.")
        places, left_out = face_places(self.folder)
        if not places:
            raise MissingInput(f"There is no face in {self.folder}.", "Extract faces first, or check the path.")
        if left_out:
            self.progress.say(f"The {left_out} faces beside the pack in {self.folder} are left out.")
        self.output.mkdir(parents=True, exist_ok=True)
        require_free_space(self.output, sum(p.length or p.path.stat().st_size for p in places))
        targets = _targets(places, self.output)
        failed: list[str] = []
        with self.progress.task(title, total=len(places), unit="face") as task:
            for place in places:
                try:
                    self._write(place, targets[place], turn)
                except (BrokenFile, NotAFace, FaceLoomError) as problem:
                    failed.append(place.name)
                    self.progress.say(f"{place.name}: {getattr(problem, 'why', problem.what)}")
                task.advance()
        for names, what in ((self.saved_anew, "had to be encoded again"), (self.masks_reduced, "have a smaller mask")):
            if names:
                self.progress.say(f"{len(names)} of {len(places)} {what}: {_listed(names)}.")
        if failed:
            raise PartialFailure(
                f"{len(failed)} of {len(places)} faces were not written to {self.output}: {_listed(failed)}.",
                "The lines above say why.",
            )
        self.progress.say(f"{len(places)} faces are in {self.output} now.")
        return ExchangeReport(len(places), tuple(self.saved_anew), tuple(self.masks_reduced))

    def _write(self, place: FacePlace, target: Path, turn: Callable[[bytes, FaceMetadata, Path], _Written]) -> None:
        metadata = open_sample(place).metadata
        data = place.read()
        from_png = not data.startswith(b"\xff\xd8")
        if from_png:
            data = encode_jpeg(to_uint8(decode_image(data, place.label)), quality=100)
        written = turn(data, metadata, place.label)
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(target, written.jpeg)
        stored, back = read_face(target)
        if stored != written.jpeg or not same_face(metadata, back, mask_too=not written.mask_reduced):
            raise FaceLoomError(f"{target}: it does not read back as it was written.", "Check the disk.")
        if from_png or written.saved_anew:
            self.saved_anew.append(place.name)
        if written.mask_reduced:
            self.masks_reduced.append(place.name)


def same_face(first: FaceMetadata, second: FaceMetadata, mask_too: bool = True) -> bool:
    """Whether two records tell of the same face in all that both tools keep; boxes may differ by rounding."""
    if np.abs(first.frame_bbox - second.frame_bbox).max() > 0.5:
        return False
    polygons = tuple(sorted((p for p in first.polygons if len(p.points)), key=lambda polygon: not polygon.include))
    mask = first.xseg_mask if mask_too else second.xseg_mask
    adapted = dataclasses.replace(
        first,
        frame_bbox=second.frame_bbox,
        polygons=polygons,
        xseg_mask=mask,
        detector=second.detector,
        extra=second.extra,
    )
    return adapted == second


def _targets(places: Sequence[FacePlace], output: Path) -> dict[FacePlace, Path]:
    """Where each face goes: its name with ".jpg", in the folder the pack gives it; no two the same on any system."""
    targets: dict[FacePlace, Path] = {}
    taken: set[str] = set()
    for place in places:
        inside = Path(place.packed_name or place.name)
        target = output / inside.with_suffix(".jpg")
        if str(target).casefold() in taken:
            target = output / inside.with_name(f"{inside.name.replace('.', '_')}.jpg")
        if str(target).casefold() in taken:
            raise BadOption(
                f"Two faces would both be written as {target.name}. Received: {place.label}.", "Rename one."
            )
        taken.add(str(target).casefold())
        targets[place] = target
    return targets


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(names[:_NAMED_AT_MOST]) + more
