"""Which faces the previews of a training show: the first page of them, which the preview history keeps too.

Without a choice they follow from the model's seed. `--choose-preview-faces` changes that from then on: the choice is
kept with the model (in its options.json as "preview_faces": a number to draw by, or names of files).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadOption

if TYPE_CHECKING:
    from core.progress import Progress
    from models.base import SwapModel
    from models.preview import PreviewFaces
    from samplelib.augmentation import SampleSettings
    from samplelib.faceset import Faceset

KEPT_AS = "preview_faces"
"""Name of the choice beside the model's settings."""

RANDOM = "random"

Choice = int | list[str]
"""A number that other faces are drawn by, or file names of faces of both sides."""


def read_choice(text: str, facesets: Sequence[Faceset]) -> Choice:
    """What `--choose-preview-faces` says: `random`, or file names between commas.

    Raises:
        BadOption: a name that neither side has.
    """
    if text.strip().casefold() == RANDOM:
        return secrets.randbits(31)
    names = [name.strip() for name in text.split(",") if name.strip()]
    there = {sample.path.name for faces in facesets for sample in faces}
    unknown = [name for name in names if name not in there]
    if unknown or not names:
        raise BadOption(
            f"--choose-preview-faces must be {RANDOM}, or names of face files. Received: {', '.join(unknown) or text}.",
            f"The faces lie in {' and '.join(dict.fromkeys(str(faces.folder) for faces in facesets))}.",
        )
    return names


def preview_pages(
    facesets: tuple[Faceset, Faceset], settings: tuple[SampleSettings, SampleSettings], seed: int, choice: Any
) -> Callable[[int], PreviewFaces]:
    """Page number -> faces: page 0 as chosen, the further ones drawn by the model's seed.

    Chosen faces that are gone, and a side of which none was named, are replaced by faces drawn at random.
    """
    from models.preview import FacePages

    others = FacePages(facesets, settings, seed)
    if isinstance(choice, int):
        first = FacePages(facesets, settings, choice)
    elif isinstance(choice, list):
        src, dst = (_only(faces, choice) for faces in facesets)
        first = FacePages((src, dst), settings, seed)
    else:
        return others
    return lambda page: first(0) if page == 0 else others(page)


def _only(faces: Faceset, names: Sequence[str]) -> Faceset:
    from samplelib.faceset import Faceset

    chosen = tuple(sample for sample in faces if sample.path.name in names)
    return Faceset(faces.folder, chosen) if chosen else faces


def show_samples(
    model: SwapModel, src: Faceset, dst: Faceset, seed: int, folder: Path, progress: Progress
) -> list[Path]:
    """Writes the first batch of each side as one labeled sheet: `train --debug`."""
    from core.images import write_image
    from models.preview import batch_sheet
    from samplelib.batches import TrainingBatches

    sides = (src, dst, model.src_settings, model.dst_settings)
    with TrainingBatches(*sides, model.batch_size, seed, workers=0) as batches:
        batch = next(batches)
    written = []
    for side, faces in (("src", batch.src), ("dst", batch.dst)):
        path = folder / "previews" / f"samples {side}.png"
        write_image(path, batch_sheet(faces, f"{model.name}   {side} samples   seed {seed}"))
        progress.say(f"What the network sees of {side}: {path}")
        written.append(path)
    return written
