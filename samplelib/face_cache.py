"""Faces ready to be sampled, each decoded once: pixels, masks and matrices in memory that all workers share.

A stored face is prepared for one model: decoded, reduced (area filter) where it is much larger than the model needs,
its masks drawn at that size. What a worker prepares it leaves in a slot of shared memory for all others; faces beyond
the memory bound are prepared anew each time. Which faces have slots is fixed, so the cache never changes a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import psutil

from core.color import THUMBNAIL_SIDE
from core.errors import BrokenFile, NotAFace
from core.geometry import compose_affine
from core.images import to_uint8
from core.shared_arrays import Layout, SharedArrays, layout_bytes, shared_memory_room
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.masks import eyes_mouth_mask
from samplelib.sample import FacePlace, Sample, open_sample, resize_matrix

LARGEST_REDUCTION = 1.5
"""A face is reduced beforehand where the model would shrink it more than this."""

KEPT_DETAIL = 1.25
"""Pixels kept per pixel of the model then: zoomed out by 1 / 1.15, sampling still shrinks less than 1.5 times."""


@dataclass(frozen=True)
class FaceNeeds:
    """What a model needs of each face.

    Attributes:
        resolution: side of the square it sees, pixels.
        face_type: framing it sees.
        eyes_mouth: the eyes-and-mouth mask too.
        thumbnail: a small picture for color transfers too.
    """

    resolution: int
    face_type: FaceType
    eyes_mouth: bool = False
    thumbnail: bool = False


@dataclass(frozen=True, eq=False)
class WorkingFace:
    """A face prepared for sampling; read-only.

    Attributes:
        image: (W, W, 3) BGR uint8: the whole stored square, perhaps reduced.
        masks: (W, W, k) uint8, 255 is face; the second one, if there, marks eyes and mouth.
        working_to_face: (2, 3) float64, pixels of `image` to pixels of the model's square, unaugmented.
        thumbnail: (128, 128, 4) uint8, the model's square: BGR and mask; None where not needed.
    """

    image: np.ndarray
    masks: np.ndarray
    working_to_face: np.ndarray
    thumbnail: np.ndarray | None


def working_side(sample: Sample, needs: FaceNeeds) -> int:
    """Side of the prepared picture in pixels: the stored side, or less where that is more than the model can see."""
    wanted = needs.resolution * sample.metadata.face_type.unit_sides / needs.face_type.unit_sides
    if sample.side <= LARGEST_REDUCTION * wanted:
        return sample.side
    return math.ceil(KEPT_DETAIL * wanted)


def stored_to_face(sample: Sample, needs: FaceNeeds) -> np.ndarray:
    """Pixels of the stored picture to pixels of the model's square: float64 (2, 3).

    A stored square of the model's own type is taken as it is, corner to corner; any other is cut anew by its landmarks,
    exactly as a frame would be.
    """
    if sample.metadata.face_type is needs.face_type:
        factor = needs.resolution / sample.side
        return np.array([[factor, 0.0, 0.0], [0.0, factor, 0.0]])
    return frame_to_face(sample.metadata.landmarks, needs.face_type, needs.resolution)


def prepare_face(sample: Sample, needs: FaceNeeds) -> WorkingFace:
    """Decodes and prepares one face.

    Raises:
        BrokenFile: the picture or its mask does not decode.
        NotAFace: its landmarks cannot be aligned.
    """
    side = working_side(sample, needs)
    image = sample.image(side)
    mask = sample.mask(side)
    planes = [to_uint8(mask)]
    if needs.eyes_mouth:
        planes.append(to_uint8(eyes_mouth_mask(sample.landmarks_at(side), side, side, mask)))
    working_to_face = compose_affine(resize_matrix(side, sample.side), stored_to_face(sample, needs))
    thumbnail = _thumbnail(image, planes[0], working_to_face, needs.resolution) if needs.thumbnail else None
    return WorkingFace(image, np.stack(planes, axis=-1), working_to_face, thumbnail)


def face_to_thumbnail(resolution: int) -> np.ndarray:
    """Pixels of the model's square to pixels of the thumbnail."""
    return resize_matrix(resolution, THUMBNAIL_SIDE)


def _thumbnail(image: np.ndarray, mask: np.ndarray, working_to_face: np.ndarray, resolution: int) -> np.ndarray:
    working_to_thumbnail = compose_affine(working_to_face, face_to_thumbnail(resolution))
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    colors = cv2.warpAffine(image, working_to_thumbnail, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(mask, working_to_thumbnail, size, flags=cv2.INTER_LINEAR)
    return np.dstack([colors, inside])


class FaceCache:
    """The prepared faces of one faceset, by index.

    Args:
        places: where the faces are.
        needs: what they are prepared for.
        arrays: storage made by `cache_layout`; how many slots it has decides how many faces stay in memory.
    """

    def __init__(self, places: Sequence[FacePlace], needs: FaceNeeds, arrays: SharedArrays) -> None:
        self._places = places
        self._needs = needs
        self._arrays = arrays
        self._slots = len(arrays["sides"])
        self._reasons: dict[int, str] = {}
        self.prepared = 0

    def __len__(self) -> int:
        return len(self._places)

    def face(self, index: int) -> WorkingFace:
        """The face, from its slot where it is there already.

        Raises:
            BrokenFile: it cannot be used, now or when it was tried before.
        """
        if self._arrays["ready"][index]:
            return self._read(index)
        if index in self._reasons:
            raise BrokenFile(self._places[index].label, self._reasons[index])
        try:
            sample = open_sample(self._places[index])
            face = prepare_face(sample, self._needs)
        except (BrokenFile, NotAFace) as problem:
            reason = problem.why if isinstance(problem, BrokenFile) else problem.what
            self._reasons[index] = reason
            raise BrokenFile(self._places[index].label, reason) from problem
        self.prepared += 1
        if index < self._slots and face.image.shape[0] <= self._arrays["images"].shape[1]:
            self._write(index, face)
        return face

    def _write(self, index: int, face: WorkingFace) -> None:
        """Two workers may do this at once: both write the same bytes, and each says ready after its own are there."""
        arrays, side = self._arrays, face.image.shape[0]
        arrays["images"][index, :side, :side] = face.image
        arrays["masks"][index, :side, :side] = face.masks
        arrays["matrices"][index] = face.working_to_face
        arrays["sides"][index] = side
        if face.thumbnail is not None:
            arrays["thumbnails"][index] = face.thumbnail
        arrays["ready"][index] = 1

    def _read(self, index: int) -> WorkingFace:
        arrays, side = self._arrays, int(self._arrays["sides"][index])
        return WorkingFace(
            arrays["images"][index, :side, :side],
            arrays["masks"][index, :side, :side],
            arrays["matrices"][index],
            arrays["thumbnails"][index] if self._needs.thumbnail else None,
        )


def cache_layout(samples: Sequence[Sample], needs: FaceNeeds, slots: int) -> Layout:
    """Storage for a `FaceCache` over `samples` that keeps the first `slots` of them."""
    side = max(working_side(sample, needs) for sample in samples)
    layout: dict[str, tuple[tuple[int, ...], str]] = {
        "ready": ((len(samples),), "uint8"),
        "sides": ((slots,), "int32"),
        "matrices": ((slots, 2, 3), "float64"),
        "images": ((slots, side, side, 3), "uint8"),
        "masks": ((slots, side, side, 2 if needs.eyes_mouth else 1), "uint8"),
    }
    if needs.thumbnail:
        layout["thumbnails"] = ((slots, THUMBNAIL_SIDE, THUMBNAIL_SIDE, 4), "uint8")
    return layout


def slots_within(bound_bytes: int, facesets: Sequence[tuple[Sequence[Sample], FaceNeeds]]) -> list[int]:
    """How many faces of each faceset stay in memory when all may take `bound_bytes`: the same share of each."""
    whole = [layout_bytes(cache_layout(samples, needs, len(samples))) for samples, needs in facesets]
    share = min(1.0, bound_bytes / max(1, sum(whole)))
    return [int(len(samples) * share) for samples, _ in facesets]


def default_cache_bytes() -> int:
    """A quarter of the machine's memory, but no more than half of what is free now."""
    memory = psutil.virtual_memory()
    return min(memory.total // 4, memory.available // 2)


def shareable_bytes(wanted: int, other_bytes: int) -> int:
    """`wanted`, or less where the system's shared memory has not that much room beside `other_bytes`."""
    room = shared_memory_room()
    return wanted if room is None else max(0, min(wanted, int(room * 0.9) - other_bytes))
