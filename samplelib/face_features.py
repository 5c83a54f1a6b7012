"""What is measured of one face, in groups: a sort asks for the groups it needs, samplelib/face_index.py keeps them.

A group is a name, a version (raised whenever its numbers change), typed columns, and the function that fills one row
from an opened face. Groups other than "record" decode the picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import FaceLoomError
from core.geometry import warp
from core.sharpness import laplacian_variance, perceived_sharpness
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.landmarks import LANDMARKS
from facelib.masks import hull_mask
from samplelib.sample import Sample, open_sample

TEXT = "text"
"""The type of a column of texts; every other type is NumPy's."""

THUMBNAIL_SIDE = 32
_LEVELS = 256
_IDENTITY_SIDE = 96
_CELL = 8
_DIRECTIONS = 8
_CELLS = _IDENTITY_SIDE // _CELL
_CHROMA_CELLS = 6
TEXTURE_SIZE = _CELLS * _CELLS * _DIRECTIONS
CHROMA_SIZE = 2 * _CHROMA_CELLS * _CHROMA_CELLS
_DETAIL_SIDE = 256

Row = dict[str, Any]


@dataclass(frozen=True)
class FeatureGroup:
    """One group. columns: name -> (type, shape of one value)."""

    name: str
    version: int
    columns: Mapping[str, tuple[str, tuple[int, ...]]]
    measure: Callable[[Sample], Row]


def measure_record(sample: Sample) -> Row:
    """What the record tells; no pixel is decoded. rect_area: of the face in its frame, square pixels."""
    metadata = sample.metadata
    left, top, right, bottom = metadata.frame_bbox.astype(np.float64)
    return {
        "side": sample.side,
        "landmarks": metadata.landmarks,
        "frame_name": metadata.frame_name,
        "frame_bbox": metadata.frame_bbox,
        "rect_area": max(right - left, 0.0) * max(bottom - top, 0.0),
    }


def measure_sharpness(sample: Sample) -> Row:
    """Perceived sharpness of the face, everything outside of its hull black."""
    gray = cv2.cvtColor(sample.image(), cv2.COLOR_BGR2GRAY)
    return {"perceived": perceived_sharpness(gray * _hull(sample))}


def measure_motion(sample: Sample) -> Row:
    """Variance of the Laplacian of the face, everything outside of its hull black."""
    return {"laplacian": laplacian_variance(sample.image() * _hull(sample)[..., None])}


def measure_tones(sample: Sample) -> Row:
    """Brightness (mean V, 0-255), hue (mean H, 0-179), zeros (channel values equal to 0), and three histograms.

    Histograms are kept as square roots of their shares, so that the dot product of two is their likeness:
    "histogram" of blue, green, red; "gray" of the whole picture; "face" of the gray face with black around it.
    """
    image = sample.image()
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    hue, _, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
    return {
        "brightness": value.mean(),
        "hue": hue.mean(),
        "zeros": image.size - np.count_nonzero(image),
        "histogram": np.stack([_shares(channel) for channel in cv2.split(image)]),
        "gray": _shares(gray),
        "face": _shares((gray * _hull(sample)).astype(np.uint8)),
    }


def measure_thumbnail(sample: Sample) -> Row:
    """The picture at 32 pixels, a hash of its compressed bytes, and how much fine detail its face has."""
    jpeg = sample.jpeg()
    image = sample.image(min(sample.side, _DETAIL_SIDE))
    pixels = cv2.resize(image, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
    detail = cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.CV_32F)
    digest = hashlib.blake2b(jpeg[jpeg.rfind(b"\xff\xda") :], digest_size=8).digest()
    return {"pixels": pixels, "digest": np.frombuffer(digest, np.uint64)[0], "detail": detail.var()}


def measure_identity(sample: Sample) -> Row:
    """Texture, skin tones and shape of the face, aligned and freed from most of its lighting.

    texture: directions of edges (8) in 12 x 12 cells, each cell of length 1 with its neighbors; chroma: mean of Lab's
    a and b in 6 x 6 cells, around 0; shape: the landmarks from the brows on, in units of the aligned square.
    """
    to_face = frame_to_face(sample.metadata.landmarks, FaceType.FULL, _IDENTITY_SIDE)
    image = warp(sample.image(), to_face, _IDENTITY_SIDE, "linear", "replicate")
    chroma = cv2.resize(
        cv2.cvtColor(image, cv2.COLOR_BGR2LAB)[..., 1:], (_CHROMA_CELLS, _CHROMA_CELLS), interpolation=cv2.INTER_AREA
    )
    points = np.column_stack([sample.metadata.landmarks, np.ones(LANDMARKS)]) @ to_face.T
    return {
        "texture": _edge_directions(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)),
        "chroma": (chroma.astype(np.float32) - 128).ravel() / 128,
        "shape": (points[17:] / _IDENTITY_SIDE - 0.5).astype(np.float32),
    }


def _edge_directions(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(12 * 12 * 8,) float32. Lighting is taken out by the logarithm and a band of scales.

    Source: X. Tan, B. Triggs, "Enhanced Local Texture Feature Sets for Face Recognition Under Difficult Lighting
    Conditions", 2010 (the band); N. Dalal, B. Triggs, "Histograms of Oriented Gradients for Human Detection", 2005.
    """
    bright = np.log1p(gray.astype(np.float32))
    band = cv2.GaussianBlur(bright, (0, 0), 1.0) - cv2.GaussianBlur(bright, (0, 0), 6.0)
    x, y = cv2.Sobel(band, cv2.CV_32F, 1, 0), cv2.Sobel(band, cv2.CV_32F, 0, 1)
    strength, place = np.hypot(x, y), np.mod(np.arctan2(y, x) / np.pi, 1.0) * _DIRECTIONS
    layers = [
        strength * np.maximum(0, 1 - np.abs((place - direction + _DIRECTIONS / 2) % _DIRECTIONS - _DIRECTIONS / 2))
        for direction in range(_DIRECTIONS)
    ]
    cells = cv2.resize(np.stack(layers, axis=-1), (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    around = np.sqrt(cv2.blur((cells * cells).sum(axis=-1), (3, 3), borderType=cv2.BORDER_REPLICATE) + 1e-6)
    return np.sqrt(cells / around[..., None]).ravel()


def _hull(sample: Sample) -> NDArray[np.float32]:
    return hull_mask(sample.metadata.landmarks, sample.side, sample.side, exact=True)


def _shares(channel: NDArray[np.uint8]) -> NDArray[np.float64]:
    counts = np.bincount(channel.ravel(), minlength=_LEVELS)
    return np.sqrt(counts / counts.sum())


RECORD, SHARPNESS, MOTION, TONES, THUMBNAIL, IDENTITY = (
    "record", "sharpness", "motion", "tones", "thumbnail", "identity",
)  # fmt: skip

GROUPS: Mapping[str, FeatureGroup] = MappingProxyType(
    {
        group.name: group
        for group in (
            FeatureGroup(
                RECORD,
                1,
                {
                    "side": ("i4", ()),
                    "landmarks": ("f4", (LANDMARKS, 2)),
                    "frame_name": (TEXT, ()),
                    "frame_bbox": ("f4", (4,)),
                    "rect_area": ("f8", ()),
                },
                measure_record,
            ),
            FeatureGroup(SHARPNESS, 1, {"perceived": ("f4", ())}, measure_sharpness),
            FeatureGroup(MOTION, 1, {"laplacian": ("f8", ())}, measure_motion),
            FeatureGroup(
                TONES,
                1,
                {
                    "brightness": ("f4", ()),
                    "hue": ("f4", ()),
                    "zeros": ("i8", ()),
                    "histogram": ("f2", (3, _LEVELS)),
                    "gray": ("f2", (_LEVELS,)),
                    "face": ("f2", (_LEVELS,)),
                },
                measure_tones,
            ),
            FeatureGroup(
                THUMBNAIL,
                1,
                {"pixels": ("u1", (THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)), "digest": ("u8", ()), "detail": ("f4", ())},
                measure_thumbnail,
            ),
            FeatureGroup(
                IDENTITY,
                1,
                {"texture": ("f2", (TEXTURE_SIZE,)), "chroma": ("f2", (CHROMA_SIZE,)), "shape": ("f4", (51, 2))},
                measure_identity,
            ),
        )
    }
)


def stack_rows(group: FeatureGroup, rows: list[Row]) -> dict[str, Any]:
    """Rows of a group as columns: arrays (N, ...), and lists of texts."""
    columns: dict[str, Any] = {}
    for name, (kind, shape) in group.columns.items():
        values = [row[name] for row in rows]
        if kind == TEXT:
            columns[name] = values
        else:
            columns[name] = np.asarray(values, np.dtype(kind)).reshape(len(rows), *shape)
    return columns


def measure_files(task: tuple[str, tuple[Path, ...]]) -> tuple[dict[str, Any], list[str | None]]:
    """Measures one group of several files. Returns the columns of those that could be measured, and for every file
    None or why it could not. Runs in worker processes."""
    name, paths = task
    group = GROUPS[name]
    rows: list[Row] = []
    reasons: list[str | None] = []
    for path in paths:
        try:
            rows.append(group.measure(open_sample(path)))
            reasons.append(None)
        except FaceLoomError as problem:
            reasons.append(getattr(problem, "why", problem.what))
        except cv2.error as problem:
            reasons.append(f"its picture cannot be measured ({problem.err}).")
    return stack_rows(group, rows), reasons
