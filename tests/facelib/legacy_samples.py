"""Faces as DeepFaceLab stores them, made for tests by FaceLoom's own writer."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from core.geometry import transform_points
from core.images import encode_jpeg, encode_png
from core.jpeg import Segment, replace_segments
from core.legacy_writer import encode
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.landmarks import POSE_POINTS

HERE = Path("00001_0.jpg")
SIDE = 32
PICTURE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
FRAME_LANDMARKS = POSE_POINTS[:, :2] * 2 + [400, 300]
MATRIX = frame_to_face(FRAME_LANDMARKS, FaceType.WHOLE, SIDE)
LANDMARKS = transform_points(FRAME_LANDMARKS, MATRIX)


def values(**changes: Any) -> dict[str, Any]:
    """The dictionary of a freshly extracted face; a change to `...` leaves its key out."""
    plain: dict[str, Any] = {
        "face_type": "whole_face",
        "landmarks": LANDMARKS.tolist(),
        "source_filename": "00001.png",
        "source_rect": np.array([250, 150, 560, 470], np.int64),
        "source_landmarks": FRAME_LANDMARKS.tolist(),
        "image_to_face_mat": MATRIX,
    }
    return {key: value for key, value in (plain | changes).items() if value is not ...}


def dfl_jpeg(*streams: bytes, marker: int = 0xEF) -> bytes:
    """A JPEG with one APP15 for each stream."""
    segments = [Segment(marker, stream) for stream in streams]
    return replace_segments(encode_jpeg(PICTURE), lambda segment: False, segments, HERE)


def face_jpeg(protocol: int = 4, **changes: Any) -> bytes:
    """A face file of DeepFaceLab 2."""
    return dfl_jpeg(encode(values(**changes), protocol))


def face_png(stream: bytes) -> bytes:
    """A face file of DeepFaceLab 1: the record stands in a chunk before the end."""
    picture = encode_png(PICTURE)
    body = b"fcWp" + stream
    chunk = len(stream).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return picture[:-12] + chunk + picture[-12:]
