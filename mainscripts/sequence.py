"""A folder of pictures that is to become a video: is it whole, is it of one kind, where did its frames come from?"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption, BrokenFile, FaceLoomError, MissingInput
from core.exr import AS_IS, read_exr
from core.files import list_images
from core.images import read_bgra, read_gray, read_image
from core.parallel import default_workers
from core.paths import IMAGE_EXTENSIONS, Workspace
from core.picture_headers import PictureKind, picture_kind
from core.progress import Progress
from core.transfer import TRANSFERS, have_same_curve, levels_of_halves
from core.video.record import FramesRecord, read_record

_NAMED = 5
_HEADERS_PER_STEP = 500


@dataclass(frozen=True)
class PictureSequence:
    """Pictures of one kind in their order."""

    pictures: tuple[Path, ...]
    kind: PictureKind


def open_sequence(folder: Path, extension: str | None, progress: Progress) -> PictureSequence:
    """Lists the pictures of a folder and checks, by their headers, that they are all alike.

    Args:
        extension: only pictures with this suffix count ("png"); None: all.

    Raises:
        MissingInput: no folder, no pictures.
        BadOption: two pictures of one name, or of different kinds; they are named.
        BrokenFile: an empty or damaged picture.
    """
    wanted = (f".{extension.lstrip('.')}",) if extension else (*IMAGE_EXTENSIONS, ".exr")
    pictures = list_images(folder, wanted)
    if not pictures:
        raise MissingInput(
            f"{folder} holds no {extension + ' ' if extension else ''}images.",
            "Run the step that makes them first (7: merge).",
        )
    seen: dict[str, Path] = {}
    for path in pictures:
        other = seen.setdefault(path.stem.casefold(), path)
        if other is not path:
            raise BadOption(
                f"Two pictures stand for one frame. Received: {other.name} and {path.name}.",
                "Remove one kind, or choose one with --ext.",
            )
    first = picture_kind(pictures[0])
    with progress.task("Checking the images", len(pictures), "image") as task:
        for start in range(0, len(pictures), _HEADERS_PER_STEP):
            some = pictures[start : start + _HEADERS_PER_STEP]
            for path in some:
                kind = picture_kind(path)
                if kind != first:
                    raise BadOption(
                        f"All images must be of one size and kind. Received: {pictures[0].name} ({first}) "
                        f"and {path.name} ({kind}).",
                        "Remove or make again the ones that differ.",
                    )
            task.advance(len(some))
    return PictureSequence(tuple(pictures), first)


def find_frames_record(folder: Path) -> tuple[FramesRecord | None, Path | None]:
    """The record of the frames that a sequence comes from, and their folder: its own, or the one it lies in."""
    for place in (folder, folder.parent):
        record = read_record(place)
        if record is not None:
            return record, place
    return None, None


def check_against_frames(sequence: PictureSequence, folder: Path) -> None:
    """Checks that no frame is missing: against the frames the sequence was made from, else by its own numbering.

    Args:
        folder: of the sequence; the frames lie in it or in the folder above.

    Raises:
        FaceLoomError: frames are missing, or there are pictures without a frame; the first ones are named.
    """
    stems = [p.stem for p in sequence.pictures]
    _, frames_folder = find_frames_record(folder)
    if frames_folder is None and _is_merged(folder):
        frames_folder = folder.parent
    if frames_folder is not None and frames_folder != folder:
        frames = [p.stem for p in list_images(frames_folder)]
        have, want = set(stems), set(frames)
        missing = [s for s in frames if s not in have]
        surplus = [s for s in stems if s not in want]
        if missing and frames:
            raise FaceLoomError(
                f"{folder.name} holds {len(stems)} of {len(frames)} frames. Missing: {_name(missing)}.",
                "Run merge again (it renders only what is missing), or add --allow-gaps for a shorter video.",
            )
        if surplus and frames:
            raise FaceLoomError(
                f"{folder.name} holds images that are no frame of {frames_folder.name}: {_name(surplus)}.",
                "Remove them, or add --allow-gaps.",
            )
        return
    gaps = _gaps(stems)
    if gaps:
        raise FaceLoomError(
            f"The numbers of the images in {folder.name} have gaps. Missing: {_name(gaps)}.",
            "Add the missing images, or add --allow-gaps for a shorter video.",
        )


def _is_merged(folder: Path) -> bool:
    """Whether the pictures beside a folder are frames that those in it were made from."""
    merged = Workspace(folder).data_dst_merged.name
    return folder.name.casefold().startswith(merged) and bool(list_images(folder.parent))


def _gaps(stems: Sequence[str]) -> list[str]:
    """Numbers left out between names such as shot_0001, shot_0002; nothing where names are not numbered alike."""
    parts = [re.fullmatch(r"(.*?)(\d+)", stem) for stem in stems]
    if not all(parts) or len({p[1] for p in parts if p}) != 1:
        return []
    digits = max(len(p[2]) for p in parts if p)
    numbers = {int(p[2]) for p in parts if p}
    prefix = parts[0][1] if parts[0] else ""
    absent = sorted(set(range(min(numbers), max(numbers) + 1)) - numbers) if max(numbers) < 10**8 else []
    return [f"{prefix}{n:0{digits}d}" for n in absent]


def _name(stems: Sequence[str]) -> str:
    more = f" and {len(stems) - _NAMED} more" if len(stems) > _NAMED else ""
    return ", ".join(stems[:_NAMED]) + more


def codes_of_light(kind: PictureKind, transfer: str, progress: Progress) -> NDArray[np.uint16] | None:
    """The code of every half float of .exr files, for `read_pictures`; None: other pictures hold codes.

    Args:
        transfer: tag of the transfer function that the video is to have.

    Raises:
        BadOption: the light was made with another one, or the curve is not known.
    """
    if kind.light is None:
        return None
    if kind.light == AS_IS:
        return levels_of_halves("linear")
    if transfer not in TRANSFERS:
        raise BadOption(
            f"No way leads from the light in .exr files to {transfer} codes. Received: {kind}.",
            "Merge again with --out png16, or with --exr-transfer asis.",
        )
    if kind.light and not have_same_curve(kind.light, transfer):
        raise BadOption(
            f"The video the frames came from has {transfer} transfer. Received: {kind}.",
            "Name the video these .exr files were made from with --reference-file, or merge again.",
        )
    if not kind.light:
        progress.say(
            f"The .exr files do not say what their numbers are: they are taken for linear light, 1 for "
            f"{'100 cd/m2' if transfer == 'smpte2084' else 'white'}."
        )
    progress.say(f"The light in the .exr files becomes {transfer} codes of 16 bits again.")
    return levels_of_halves(transfer)


def read_pictures(
    sequence: PictureSequence, with_alpha: bool = False, codes: NDArray[np.uint16] | None = None
) -> Iterator[np.ndarray]:
    """Reads the pictures in order, a few ahead in threads (decoding releases Python's lock).

    Args:
        with_alpha: whether the alpha of pictures that have one comes along.
        codes: of `codes_of_light`.

    Yields:
        (H, W, 3) BGR, (H, W, 4) BGRA or (H, W) gray, uint8 or uint16, as `sequence.kind` says.

    Raises:
        BrokenFile: a picture that is damaged, or is not what its header said.
    """
    workers = default_workers()
    waiting: deque[tuple[Path, Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for path in sequence.pictures:
                waiting.append((path, pool.submit(_read, path, sequence.kind, with_alpha, codes)))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft()[1].result()
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()


def _read(path: Path, kind: PictureKind, with_alpha: bool, codes: NDArray[np.uint16] | None) -> np.ndarray:
    if codes is not None:
        return _codes_of_exr(read_exr(path, with_alpha and kind.channels == 4), codes)
    image = read_gray(path) if kind.channels == 1 else read_image(path)
    shape = (kind.height, kind.width) if kind.channels == 1 else (kind.height, kind.width, 3)
    if image.shape != shape or 8 * image.itemsize != kind.depth:
        raise BrokenFile(
            path, f"this picture is {image.shape[1]}x{image.shape[0]}, its header says {kind}.", "Make it again."
        )
    return read_bgra(path) if with_alpha and kind.channels == 4 else image


def _codes_of_exr(picture: NDArray[np.float16], codes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Half floats, (H, W, 3) or with alpha and multiplied by it (H, W, 4) -> 16-bit codes, the alpha straight."""
    if picture.shape[2] == 3:
        return codes[picture.view(np.uint16)]
    alpha = np.clip(np.nan_to_num(picture[..., 3:].astype(np.float32)), 0.0, 1.0)
    with np.errstate(over="ignore"):
        colors = (picture[..., :3] / np.where(alpha > 0, alpha, 1)).astype(np.float16)
    return np.dstack([codes[colors.view(np.uint16)], np.rint(alpha * 65535).astype(np.uint16)])


def open_masks(folder: Path, sequence: PictureSequence, progress: Progress) -> PictureSequence:
    """The masks that belong to a sequence: gray pictures of the same names, size and depth.

    Raises:
        MissingInput, BrokenFile: as `open_sequence`.
        BadOption: they do not fit the pictures.
    """
    masks = open_sequence(folder, None, progress)
    missing = {p.stem for p in sequence.pictures} ^ {p.stem for p in masks.pictures}
    if missing:
        raise BadOption(
            f"Images and masks must have the same names. Received: {len(missing)} without their like, e.g. "
            f"{_name(sorted(missing))}.",
            "Run merge again: it renders what is missing.",
        )
    mine, theirs = sequence.kind, masks.kind
    if (theirs.width, theirs.height, theirs.depth, theirs.channels) != (mine.width, mine.height, mine.depth, 1):
        raise BadOption(
            f"Masks must be gray, and as large and deep as the images. Received: {theirs} for {mine}.",
            "Merge images and masks in one run.",
        )
    return masks


def with_masks(pictures: Iterator[np.ndarray], masks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Color pictures and their masks -> (H, W, 4) BGRA, the mask as straight alpha."""
    for picture, mask in zip(pictures, masks, strict=True):
        yield np.dstack([picture, mask])
