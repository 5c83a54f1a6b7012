"""`util --add-landmarks-debug-images` and `--export-faceset-mask`: pictures to look at, in a folder beside the faces.

Neither writes into the folder of faces, so training, sorting and merging never meet these pictures: landmarks go to
`<folder>_landmarks/<face>_debug.jpg`, masks to `<folder>_mask/<face>_mask.png`. Delete those folders when you have seen
enough; running again puts the old ones into the trash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import FaceLoomError, MissingInput, PartialFailure
from core.files import move_to_trash
from core.images import decode_png_mask, to_uint8, write_image
from core.paths import Workspace, sibling
from core.progress import Progress
from facelib.extraction import draw_landmarks
from facelib.masks import hull_mask
from facelib.metadata import Polygon
from mainscripts.extract_plan import few
from samplelib.faceset import open_faceset
from samplelib.sample import Sample

_DEBUG_QUALITY = 75


def write_landmarks(workspace: Workspace, folder: Path, progress: Progress) -> int:
    """Every face with its landmarks in green and its hull darkened. Returns how many pictures were written.

    Raises:
        MissingInput: there are no faces.
        PartialFailure: some could not be drawn; each is named with its reason.
    """

    def draw(sample: Sample, target: Path) -> bool:
        picture = sample.image()
        hull = hull_mask(sample.metadata.landmarks, sample.side, sample.side, sample.metadata.brow_lift)[..., None]
        picture = np.asarray(picture * (1 - hull / 2) + 0.5, np.uint8)
        draw_landmarks(picture, sample.metadata.landmarks)
        write_image(target.with_name(f"{target.name}_debug.jpg"), picture, quality=_DEBUG_QUALITY)
        return True

    written, _ = _for_every_face(workspace, folder, "landmarks", "Drawing landmarks", draw, progress)
    return written


def export_masks(workspace: Workspace, folder: Path, size: int, soft: bool, progress: Progress) -> int:
    """The applied mask of every face, else its polygons drawn, as a PNG: 255 is face.

    Args:
        size: side of the pictures in pixels; 0: an applied mask as large as it is stored, polygons as the face.
        soft: keeps the soft edges of applied masks; otherwise each pixel is 0 or 255.

    Returns:
        How many masks were written. Faces with neither are counted and passed over.

    Raises:
        MissingInput: there are no faces, or none of them has a mask.
        PartialFailure: some could not be drawn; each is named with its reason.
    """

    def draw(sample: Sample, target: Path) -> bool:
        mask = face_mask(sample)
        if mask is None:
            return False
        if size and mask.shape != (size, size):
            method = cv2.INTER_AREA if mask.shape[0] > size else cv2.INTER_LINEAR
            mask = cv2.resize(mask, (size, size), interpolation=method)
        mask = mask if soft else (mask >= 0.5).astype(np.float32)
        write_image(target.with_name(f"{target.name}_mask.png"), to_uint8(mask), compression=9)
        return True

    written, without = _for_every_face(workspace, folder, "mask", "Writing masks", draw, progress)
    if not written:
        raise MissingInput(
            f"None of the {without} faces in {folder} has an applied mask or polygons, so there is nothing to export.",
            "Apply masks or draw polygons first.",
        )
    if without:
        progress.say(f"{without} faces have neither an applied mask nor polygons and were passed over.")
    return written


def face_mask(sample: Sample) -> NDArray | None:
    """The applied mask as it is stored, else the polygons drawn as large as the face: (H, W) float32 in [0, 1].

    None where the face has neither. Areas that are left out are cut out of those that belong, whatever their order.
    Source: spec faces-and-formats 7.4.
    """
    if sample.metadata.xseg_mask is not None:
        return decode_png_mask(sample.metadata.xseg_mask, sample.path)
    drawn = [polygon for polygon in sample.metadata.polygons if len(polygon.points) >= 3]
    if not drawn:
        return None
    mask = np.zeros((sample.side, sample.side), np.float32)
    for polygon in sorted(drawn, key=lambda polygon: not polygon.include):
        _fill(mask, polygon)
    return mask


def _fill(mask: NDArray, polygon: Polygon) -> None:
    corners = np.trunc(np.clip(polygon.points, -30_000, 30_000)).astype(np.int32)
    cv2.fillPoly(mask, [corners], 1.0 if polygon.include else 0.0)


def fresh_sibling(workspace: Workspace, folder: Path, suffix: str, progress: Progress) -> Path:
    """The empty folder `<folder>_<suffix>`; what was there goes to the trash."""
    output = sibling(folder.absolute(), suffix)
    if output.is_dir() and any(output.iterdir()):
        box = move_to_trash(workspace.trash, [output], f"a new {output.name}")
        progress.say(f"The {output.name} that was there is in {box} now.")
    output.mkdir(parents=True, exist_ok=True)
    return output


def flat_stems(samples: Iterable[Sample]) -> list[str]:
    """The names of faces without suffix, no two the same on any system; a folder in a pack becomes part of them."""
    stems: list[str] = []
    taken: set[str] = set()
    for sample in samples:
        path = Path((sample.place.packed_name or sample.place.name).replace("/", "_"))
        names = chain([path.stem, f"{path.stem}_{path.suffix[1:]}"], (f"{path.stem}_{n}" for n in count(2)))
        stem = next(name for name in names if name.casefold() not in taken)
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def _for_every_face(
    workspace: Workspace,
    folder: Path,
    suffix: str,
    title: str,
    draw: Callable[[Sample, Path], bool],
    progress: Progress,
) -> tuple[int, int]:
    """Calls `draw` with every face and the path, without suffix, to write to. How many it drew, and how many not."""
    faceset = open_faceset(folder, progress)
    output = fresh_sibling(workspace, folder, suffix, progress)
    problems = [(path.name, reason) for path, reason in faceset.problems]
    drawn = 0
    with progress.task(title, len(faceset), "face") as task:
        for sample, stem in zip(faceset, flat_stems(faceset), strict=True):
            try:
                drawn += draw(sample, output / stem)
            except FaceLoomError as problem:
                problems.append((sample.path.name, problem.what))
            task.advance()
    progress.say(f"{drawn} pictures are in {output} now.")
    report_problems(problems, len(faceset) + len(faceset.problems), progress)
    return drawn, len(faceset) - drawn - (len(problems) - len(faceset.problems))


def report_problems(problems: list[tuple[str, str]], total: int, progress: Progress) -> None:
    """Names every face that could not be worked on.

    Raises:
        PartialFailure: there are any.
    """
    for name, reason in problems:
        progress.say(f"{name}: {reason}")
    if problems:
        raise PartialFailure(
            f"{len(problems)} of {total} faces could not be worked on: {few([name for name, _ in problems])}.",
            "Delete them, or extract these faces again.",
        )
