"""One face of a faceset: where it lies and what its record says. It holds no pixels; 100,000 of them fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from core.errors import BrokenFile
from core.geometry import transform_points
from core.images import decode_image, decode_png_mask, to_uint8
from core.jpeg import read_segments
from facelib.legacy import read_png_face
from facelib.masks import hull_mask
from facelib.metadata import FaceMetadata, metadata_from_head
from facelib.pose import Pose, estimate_pose

LARGEST_SIDE = 1 << 13
"""Pixels a side; no face is larger, and a head that says so would only cost memory."""


@dataclass(frozen=True)
class FacePlace:
    """Where the bytes of a face are: a file of its own, or a part of a pack.

    Attributes:
        path: the file.
        offset: where the face begins in it, bytes.
        length: how many bytes it has; None: to the end of the file.
        packed_name: what the pack calls it, perhaps with a folder; empty outside packs.
    """

    path: Path
    offset: int = 0
    length: int | None = None
    packed_name: str = ""

    @property
    def label(self) -> Path:
        """The file, or within a pack the name there below the pack: for sentences."""
        return self.path / self.packed_name if self.packed_name else self.path

    @property
    def name(self) -> str:
        """The file name of the face."""
        return self.label.name

    def read(self) -> bytes:
        """The file of the face as stored. BrokenFile where it cannot be read."""
        try:
            with open(self.path, "rb") as stream:
                stream.seek(self.offset)
                return stream.read(-1 if self.length is None else self.length)
        except OSError as problem:
            raise BrokenFile(self.path, f"cannot be read ({problem.strerror}).") from problem


@dataclass(frozen=True, eq=False)
class Sample:
    """A stored face.

    Attributes:
        place: where its bytes are.
        metadata: its record.
        side: width and height of the stored picture, pixels.
    """

    place: FacePlace
    metadata: FaceMetadata
    side: int

    @property
    def path(self) -> Path:
        """The file of the face, or within a pack its name there below the pack."""
        return self.place.label

    def jpeg(self) -> bytes:
        """The JPEG as stored. BrokenFile where it cannot be read."""
        return self.place.read()

    def image(self, side: int | None = None) -> np.ndarray:
        """The picture, resized to `side` pixels (None: as stored): (side, side, 3) BGR uint8.

        It is filtered where it shrinks: by whole factors as it is decoded, then by area.

        Raises:
            BrokenFile: it does not decode to a square of the size its head tells.
        """
        side = side or self.side
        shrink = next(n for n in (8, 4, 2, 1) if n == 1 or (self.side % n == 0 and self.side >= n * side))
        image = to_uint8(decode_image(self.jpeg(), self.path, shrink))
        if image.shape != (self.side // shrink, self.side // shrink, 3):
            height, width = (length * shrink for length in image.shape[:2])
            raise BrokenFile(self.path, f"it decodes to {width} x {height} pixels instead of {self.side} a side.")
        if side != image.shape[0]:
            method = cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_CUBIC
            image = cv2.resize(image, (side, side), interpolation=method)
        return image

    def mask(self, side: int | None = None) -> np.ndarray:
        """Where the face is, drawn for a picture of `side` pixels (None: as stored): (side, side) float32 in [0, 1].

        The applied mask, soft edges and all, where the record has one; else the hull of the landmarks.
        """
        side = side or self.side
        if self.metadata.xseg_mask is None:
            return hull_mask(self.landmarks_at(side), side, side, self.metadata.brow_lift)
        mask = decode_png_mask(self.metadata.xseg_mask, self.path)
        if mask.shape != (side, side):
            method = cv2.INTER_AREA if mask.shape[0] > side else cv2.INTER_CUBIC
            mask = np.clip(cv2.resize(mask, (side, side), interpolation=method), 0.0, 1.0)
        return mask

    def landmarks_at(self, side: int) -> np.ndarray:
        """The landmarks when the stored square is resized to `side` pixels: (68, 2) float32."""
        return transform_points(self.metadata.landmarks, resize_matrix(self.side, side))

    def pose(self) -> Pose:
        """Where the head looks, radians."""
        return estimate_pose(self.metadata.landmarks, self.side)


def open_sample(place: Path | FacePlace) -> Sample:
    """Reads the head of a face file; a face in a pack is read whole.

    Raises:
        NotAFace: a sound picture without a face record.
        BrokenFile: damaged, not square, too large, or a record that breaks the rules.
    """
    place = FacePlace(place) if isinstance(place, Path) else place
    path = place.label
    if place.path.suffix.casefold() == ".png":
        metadata, size = read_png_face(path)
    else:
        part = None if place.length is None else (place.offset, place.length)
        head = read_segments(place.path, part, path)
        metadata, size = metadata_from_head(head, path), (head.width, head.height)
    if size[0] != size[1]:
        raise BrokenFile(path, f"a face is square, and this is {size[0]} x {size[1]} pixels.")
    if size[0] > LARGEST_SIDE:
        raise BrokenFile(path, f"a face has at most {LARGEST_SIDE} pixels a side, and this has {size[0]}.")
    return Sample(place, metadata, size[0])


def resize_matrix(from_side: int, to_side: int) -> np.ndarray:
    """What resizing a square picture does to its points: float64 (2, 3). The picture's outer edges stay in place."""
    factor = to_side / from_side
    shift = (factor - 1.0) / 2.0
    return np.array([[factor, 0.0, shift], [0.0, factor, shift]])
