"""How steady merged faces are: a flicker meter and a jitter meter, in numbers.

*Flicker* is the mean color of the new face, less that of the ring of frame around it, in Lab, from frame to frame: its
second difference (before - 2 now + after) takes slow changes out, and what is left is seen as flicker. The same figure
of the unchanged frame, in the same places, says how much of it was in the footage. *Jitter* is the second difference of
the pasted square's corners, in thousandths of its side. Both end at scenes, and where a frame shows no face.

The numbers lie beside the merged frames in `merge_meters.jsonl`, one JSON object per face and line, in the order of the
frames. Its keys are the fields of `MeterRecord`; numbers that are not known are null. While a merge runs, what it
finishes is appended: a later line of a face replaces an earlier one. Source: spec merging 10.2.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.color import bgr_to_lab
from core.errors import NotAFace
from core.files import atomic_write_text, explain_os_error
from core.geometry import invert_affine, transform_points
from core.images import to_float
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.pose import estimate_pose
from merger.compositing import MergedFrame, Region
from merger.frames import FrameFace, FrameFaces

METERS_NAME = "merge_meters.jsonl"

_MEASURED_SIDE = 128
"""Faces are measured at about this many pixels across."""

_RING = 0.08
"""Width of the ring around the mask, in parts of what is looked at."""

_FEWEST_PIXELS = 16
_POSE_SIDE = 256

Lab = tuple[float, float, float]


@dataclass(frozen=True)
class FaceReading:
    """What is read off one finished face. Colors are mean Lab: L 0..100.

    Attributes:
        face, ring: inside the mask (where it is at least one half), and around it; None: too few pixels.
        old_face, old_ring: the same pixels of the source frame.
        touches_border: whether the mask reaches the frame's border.
    """

    face: Lab | None
    ring: Lab | None
    old_face: Lab | None
    old_ring: Lab | None
    touches_border: bool


_NOTHING = FaceReading(None, None, None, None, False)


@dataclass(frozen=True)
class MeterRecord:
    """One face of one merged frame.

    Attributes:
        index: of the frame in the shot, from 0.
        stem: of the frame's name.
        face: number of the face in its frame, from 1.
        track: number of the sequence of faces that it belongs to, from 1.
        scene: number of the scene, from 1.
        lab_face, lab_ring, difference: mean Lab inside and around the mask; face less ring.
        old_difference: the same of the source frame.
        flicker, old_flicker: length of the second difference of `difference` and `old_difference`.
        center: (x, y) of the pasted square, frame pixels; `side` in frame pixels; `roll` in degrees.
        jitter: second difference of the square's corners, root of the mean square, thousandths of the side.
        touches_border: whether the mask reaches the frame's border.
        yaw, pitch: of the head, degrees; above 0 the nose points to image-left, the face looks up.
        confidence: 0..1, how sure the face finder was.
        look: of the key it was rendered with (merger/journal.py).
        plan: the looks that the whole shot was to have when the frame last had the one it was to have. Flicker and
            jitter of frames from different plans would be those of a change of settings.
        bridged: whether nobody found it there, and it was laid in (merger/gaps.py).
    """

    index: int
    stem: str
    face: int
    center: tuple[float, float]
    side: float
    roll: float
    yaw: float
    pitch: float
    touches_border: bool = False
    lab_face: Lab | None = None
    lab_ring: Lab | None = None
    difference: Lab | None = None
    old_difference: Lab | None = None
    confidence: float | None = None
    track: int | None = None
    scene: int | None = None
    flicker: float | None = None
    old_flicker: float | None = None
    jitter: float | None = None
    look: str = ""
    plan: str = ""
    bridged: bool = False


def read_colors(frame: NDArray, merged: MergedFrame, faces: Sequence[FrameFace]) -> list[FaceReading]:
    """What a finished frame shows of its faces; nothing in raw-predict mode, whose picture is no frame.

    Args:
        frame: (H, W, 3) BGR uint8 or uint16, before.
        merged: the same frame after; its mask says where.
    """
    if merged.image.shape != frame.shape:
        return []
    return [_read_face(frame, merged, face) for face in faces]


def _read_face(frame: NDArray, merged: MergedFrame, face: FrameFace) -> FaceReading:
    try:
        center, side, _ = _square(face)
    except NotAFace:
        return _NOTHING
    height, width = frame.shape[:2]
    half = 0.75 * side
    region = Region(
        max(0, math.floor(center[0] - half)),
        max(0, math.floor(center[1] - half)),
        min(width, math.ceil(center[0] + half) + 1),
        min(height, math.ceil(center[1] + half) + 1),
    )
    if region.is_empty:
        return _NOTHING
    mask = region.of(merged.mask)
    border = (
        *(mask[:, 0] if region.left == 0 else (), mask[:, -1] if region.right == width else ()),
        *(mask[0] if region.top == 0 else (), mask[-1] if region.bottom == height else ()),
    )
    touches = any(np.any(np.asarray(part) > 0) for part in border)
    shrink = max(1.0, max(region.size) / _MEASURED_SIDE)
    size = (max(1, round(region.size[0] / shrink)), max(1, round(region.size[1] / shrink)))
    weights = cv2.resize(to_float(mask), size, interpolation=cv2.INTER_AREA)
    width_of_ring = max(1, round(_RING * max(size)))
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width_of_ring + 1,) * 2)
    outside = weights == 0
    ring = outside & (cv2.dilate((~outside).view(np.uint8), element) > 0)
    inside = weights >= 0.5
    after, before = (
        bgr_to_lab(cv2.resize(to_float(region.of(picture)), size, interpolation=cv2.INTER_AREA))
        for picture in (merged.image, frame)
    )
    colors = [_mean(lab, where) for lab in (after, before) for where in (inside, ring)]
    return FaceReading(colors[0], colors[1], colors[2], colors[3], touches)


def _mean(lab: NDArray, chosen: NDArray) -> Lab | None:
    if np.count_nonzero(chosen) < _FEWEST_PIXELS:
        return None
    lightness, a, b, _ = cv2.mean(lab, chosen.view(np.uint8))
    return lightness, a, b


def _square(face: FrameFace) -> tuple[NDArray, float, float]:
    """Center, side (frame pixels) and roll (radians) of the FULL square."""
    to_face = frame_to_face(face.landmarks, FaceType.FULL, _POSE_SIDE)
    center = transform_points(np.array([_POSE_SIDE / 2, _POSE_SIDE / 2]), invert_affine(to_face))
    return center, _POSE_SIDE / math.hypot(*to_face[:, 0]), -math.atan2(to_face[1, 0], to_face[0, 0])


def meter_records(index: int, frame: FrameFaces, readings: Sequence[FaceReading]) -> list[MeterRecord]:
    """The records of a frame's faces as far as the frame alone tells them; landmarks that are no face's have none.

    Args:
        frame: with the landmarks the faces were pasted by.
        readings: of the finished frame (`read_colors`), or nothing.
    """
    records = []
    for number, face in enumerate(frame.faces):
        try:
            center, side, roll = _square(face)
        except NotAFace:
            continue
        in_face = transform_points(face.landmarks, frame_to_face(face.landmarks, FaceType.FULL, _POSE_SIDE))
        pose = estimate_pose(in_face, _POSE_SIDE)
        record = MeterRecord(
            index=index,
            stem=frame.stem,
            face=number + 1,
            center=(float(center[0]), float(center[1])),
            side=side,
            roll=math.degrees(roll),
            yaw=math.degrees(pose.yaw),
            pitch=math.degrees(pose.pitch),
            confidence=face.confidence,
            bridged=face.is_bridged,
        )
        if number < len(readings):
            record = _with_reading(record, readings[number])
        records.append(record)
    return records


def _with_reading(record: MeterRecord, reading: FaceReading) -> MeterRecord:
    return dataclasses.replace(
        record,
        touches_border=reading.touches_border,
        lab_face=reading.face,
        lab_ring=reading.ring,
        difference=_less(reading.face, reading.ring),
        old_difference=_less(reading.old_face, reading.old_ring),
    )


def _less(face: Lab | None, ring: Lab | None) -> Lab | None:
    if face is None or ring is None:
        return None
    return face[0] - ring[0], face[1] - ring[1], face[2] - ring[2]


def with_figures(records: Sequence[MeterRecord], tracks: Sequence[Sequence[tuple[int, int]]]) -> list[MeterRecord]:
    """The records with what only neighbors of the same plan tell: track, flicker and jitter.

    Args:
        tracks: of merger/temporal.py: (frame, place of the face in it) of each sequence of faces.
    """
    filled = {(record.index, record.face - 1): record for record in records}
    for number, track in enumerate(tracks, 1):
        for place in track:
            if place in filled:
                filled[place] = dataclasses.replace(filled[place], track=number)
        in_frame = {frame: filled.get((frame, face)) for frame, face in track}
        for place in track:
            before, now, after = (in_frame.get(place[0] + step) for step in (-1, 0, 1))
            if now is None or before is None or after is None or len({before.plan, now.plan, after.plan}) > 1:
                continue
            filled[place] = dataclasses.replace(
                now,
                flicker=_second_difference(before.difference, now.difference, after.difference),
                old_flicker=_second_difference(before.old_difference, now.old_difference, after.old_difference),
                jitter=_jitter(before, now, after),
            )
    return [filled[record.index, record.face - 1] for record in records]


def _second_difference(before: Lab | None, now: Lab | None, after: Lab | None) -> float | None:
    if before is None or now is None or after is None:
        return None
    return float(np.linalg.norm(np.subtract(before, now) + np.subtract(after, now)))


def _jitter(before: MeterRecord, now: MeterRecord, after: MeterRecord) -> float:
    change = _corners(before) - 2 * _corners(now) + _corners(after)
    return 1000 * float(np.sqrt((change**2).sum(axis=1).mean())) / now.side


def _corners(record: MeterRecord) -> NDArray:
    angle, half = math.radians(record.roll), record.side / 2
    across, down = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return np.array([record.center + half * (x * across + y * down) for x, y in signs])


@dataclass(frozen=True)
class Steadiness:
    """The figures of one scene: means of the frames', root of the mean square for flicker and jitter; None: unknown."""

    frames: int
    difference: float | None
    flicker: float | None
    old_flicker: float | None
    jitter: float | None


def steadiness(records: Sequence[MeterRecord]) -> Steadiness:
    """How steady the faces of some records are."""
    lengths = [float(np.linalg.norm(record.difference)) for record in records if record.difference is not None]
    return Steadiness(
        len({record.index for record in records}),
        float(np.mean(lengths)) if lengths else None,
        *(_typical([getattr(record, name) for record in records]) for name in ("flicker", "old_flicker", "jitter")),
    )


def _typical(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.sqrt(np.mean(np.square(known)))) if known else None


def write_meters(path: Path, records: Iterable[MeterRecord]) -> None:
    """Writes the file whole."""
    atomic_write_text(path, "".join(json.dumps(dataclasses.asdict(_rounded(record))) + "\n" for record in records))


def _rounded(record: MeterRecord) -> MeterRecord:
    changes: dict[str, Any] = {}
    for name, value in vars(record).items():
        if isinstance(value, float):
            changes[name] = round(value, 4)
        elif isinstance(value, tuple):
            changes[name] = tuple(round(part, 4) for part in value)
    return dataclasses.replace(record, **changes)


def read_meters(path: Path) -> list[MeterRecord]:
    """Reads the file; empty where there is none. Lines that are no record of ours are passed over; of several lines of
    a face the last one counts.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise explain_os_error(problem, path) from problem
    records: dict[tuple[str, int], MeterRecord] = {}
    for line in lines:
        try:
            values = json.loads(line)
            known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            record = MeterRecord(**known)
            records[record.stem, record.face] = record
        except (ValueError, TypeError, AttributeError):
            continue
    return list(records.values())
