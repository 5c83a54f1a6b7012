"""What `merge --report` sees of each frame: source, merged frame and mask, reduced to a few numbers.

Runs in worker processes; whole pictures never leave them, but as the small strips that the page shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile
from core.exr import AS_IS, read_exr, read_exr_header
from core.geometry import warp
from core.images import decode_bgra, decode_image, encode_jpeg, read_gray, read_image, to_float, to_uint8
from core.shots import GLANCE_SIDE, glance
from core.transfer import TRANSFERS, levels_of_halves
from facelib.alignment import bbox_from_landmarks
from merger.compositing import MergedFrame
from merger.frames import FrameFaces
from merger.meters import MeterRecord, meter_records, read_colors

_RGBA_PNG = 6
_PIECE = 200
"""Side of each picture of a strip."""
_GAP = 4
_AROUND = 0.15
"""What a strip shows around a face, in sides of its box."""
_QUALITY = 78
_BLANK = 128
_SHOWS = 0.1
"""A mask weaker than this leaves nothing that could be cut off visibly."""


@dataclass(frozen=True, eq=False)
class Place:
    """The files of one frame.

    Attributes:
        number: of the frame in the shot, from 0.
        faces: the frame's path, and its faces.
        merged, mask: None where there is no such file.
    """

    number: int
    faces: FrameFaces
    merged: Path | None
    mask: Path | None

    @property
    def name(self) -> str:
        """The file name of the source frame."""
        return self.faces.path.name


@dataclass(frozen=True, eq=False)
class FrameLook:
    """What was seen of one frame.

    Attributes:
        size: width and height of the source; None where it cannot be read.
        glance: of the source, as `core.shots.glance`.
        broken: name and reason of each file that cannot be read.
        other_size: the merged frame is not as large as its source, so they cannot be compared.
        unchanged: the merged frame is its source, pixel by pixel.
        touches: edges of the frame that the mask reaches: some of "left", "top", "right", "bottom".
        records: of the faces, as far as the frame alone tells them.
    """

    size: tuple[int, int] | None = None
    glance: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((GLANCE_SIDE, GLANCE_SIDE, 3), np.uint8))
    broken: tuple[tuple[str, str], ...] = ()
    other_size: bool = False
    unchanged: bool = False
    touches: tuple[str, ...] = ()
    records: tuple[MeterRecord, ...] = ()


@dataclass(frozen=True, eq=False)
class Pictures:
    """Source and merged frame (H, W, 3) BGR uint8 or uint16, and mask (H, W); None: not there, or it cannot be read."""

    source: NDArray | None
    merged: NDArray | None
    mask: NDArray | None
    broken: tuple[tuple[str, str], ...]

    @property
    def other_size(self) -> bool:
        """Whether the merged frame is not as large as its source."""
        if self.source is None or self.merged is None:
            return False
        return self.merged.shape != self.source.shape


def look_at(place: Place) -> FrameLook:
    """Looks at one frame. Files that cannot be read are told in the result; no error is raised for them."""
    seen = read_pictures(place)
    source, merged, mask = seen.source, seen.merged, seen.mask
    if source is None:
        return FrameLook(broken=seen.broken, records=tuple(meter_records(place.number, place.faces, [])))
    shown = to_uint8(source)
    same_size = merged is not None and not seen.other_size
    readings = []
    if merged is not None and same_size and mask is not None and mask.shape == source.shape[:2]:
        readings = read_colors(source, MergedFrame(merged, mask), place.faces.faces)
    return FrameLook(
        size=(source.shape[1], source.shape[0]),
        glance=glance(shown),
        broken=seen.broken,
        other_size=seen.other_size,
        unchanged=same_size and np.array_equal(shown, to_uint8(merged)),  # type: ignore[arg-type]
        touches=() if mask is None else touched_edges(mask),
        records=tuple(meter_records(place.number, place.faces, readings)),
    )


def read_pictures(place: Place) -> Pictures:
    """Reads the files of a frame. Of a merged frame that is the face layer alone, the layer over its source; of one
    in an .exr file, the codes its light was made of, unless the file does not say by which curve."""
    broken: list[tuple[str, str]] = []
    source = merged = mask = None
    try:
        source = read_image(place.faces.path)
    except BrokenFile as problem:
        broken.append((place.name, problem.why))
    try:
        if place.merged is not None:
            merged = _read_merged(place.merged, source)
    except BrokenFile as problem:
        broken.append(("the merged frame", problem.why))
    try:
        if place.mask is not None:
            mask = read_gray(place.mask)
    except BrokenFile as problem:
        broken.append(("the mask", problem.why))
    return Pictures(source, merged, mask, tuple(broken))


def _read_merged(path: Path, source: NDArray | None) -> NDArray | None:
    if path.suffix == ".exr":
        transfer = read_exr_header(path).transfer.replace(AS_IS, "linear")
        return levels_of_halves(transfer)[read_exr(path).view(np.uint16)] if transfer in TRANSFERS else None
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem
    if path.suffix != ".png" or data[25:26] != bytes([_RGBA_PNG]):
        return decode_image(data, path)
    layer = decode_bgra(data, path)
    if source is None or source.shape[:2] != layer.shape[:2]:
        return np.ascontiguousarray(layer[..., :3])
    alpha = to_float(layer[..., 3:])
    over = to_float(source) * (1 - alpha) + to_float(layer[..., :3]) * alpha
    return np.rint(over * np.iinfo(source.dtype).max).astype(source.dtype)


def touched_edges(mask: NDArray) -> tuple[str, ...]:
    """The edges of the frame that a mask (H, W) reaches so strongly that it shows."""
    least = _SHOWS * np.iinfo(mask.dtype).max
    edges = {"left": mask[:, 0], "top": mask[0], "right": mask[:, -1], "bottom": mask[-1]}
    return tuple(name for name, line in edges.items() if line.max() >= least)


def strip(job: tuple[Place, int | None]) -> bytes:
    """A JPEG of source, merged frame and mask beside each other, around one face; without one, the whole frame."""
    place, face = job
    seen = read_pictures(place)
    pieces = []
    for picture in (seen.source, seen.merged, seen.mask):
        if picture is None:
            pieces.append(np.full((_PIECE, _PIECE, 3), _BLANK, np.uint8))
            continue
        shown = to_uint8(picture)
        shown = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR) if shown.ndim == 2 else shown
        whole = face is None or (picture is seen.merged and seen.other_size)
        pieces.append(_fitted(shown) if whole else _around_face(shown, place.faces.faces[face].landmarks))  # type: ignore[index]
    bar = np.full((_PIECE, _GAP, 3), 255, np.uint8)
    return encode_jpeg(np.concatenate([pieces[0], bar, pieces[1], bar, pieces[2]], axis=1), _QUALITY)


def _around_face(picture: NDArray, landmarks: NDArray) -> NDArray[np.uint8]:
    """The square around a face, moved into the frame as far as that goes; black beyond. Of a face larger than the
    frame, the frame."""
    box = bbox_from_landmarks(landmarks).astype(np.float64)
    length = np.array(picture.shape[1::-1])
    side = (box[2] - box[0]) * (1 + 2 * _AROUND)
    side = side if side < length.max() else float(length.max())
    corner = (box[:2] + box[2:] - side) / 2
    corner = np.where(side <= length, np.clip(corner, 0, np.maximum(length - side, 0)), corner)
    zoom = _PIECE / side
    to_piece = np.column_stack([zoom * np.eye(2), -zoom * (corner - 0.5) - 0.5])  # edges meet edges
    border = "replicate" if (side <= length).all() else "constant"
    return warp(picture, to_piece, _PIECE, "area-cubic", border)


def _fitted(picture: NDArray) -> NDArray[np.uint8]:
    """The whole picture in the square, with gray bars."""
    height, width = picture.shape[:2]
    zoom = _PIECE / max(height, width)
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    piece = np.full((_PIECE, _PIECE, 3), _BLANK, np.uint8)
    x, y = (_PIECE - size[0]) // 2, (_PIECE - size[1]) // 2
    piece[y : y + size[1], x : x + size[0]] = small
    return piece
