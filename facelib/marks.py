"""Faces that somebody has marked by hand: boxes or points per frame, their file, and the landmarks that follow.

A file of marks is JSON:

    {"schema": "ManualFaces.1",
     "frames": {"00001.png": null,                                        not looked at yet
                "00002.png": [],                                          there is no face
                "00003.png": [{"box": [412, 96, 655, 380]},               left, top, right, bottom: measured in there
                              {"box": [80, 90, 180, 200], "turn": 30}],   the face is turned clockwise, in degrees
                "00004.png": [{"points": [[x, y], ... 5 of them]}],       eyes, tip of the nose, corners of the mouth
                "00005.png": [{"points": [[x, y], ... 68 of them]}],      all landmarks; nothing is measured
                "00006.png": [{"box": [60, 40, 160, 140], "mean": true}]}}  the mean face, laid into the box

All numbers but `turn` are pixels of the frame; (0, 0) is the center of its first pixel. The five points go from
image-left to image-right: eye, eye, nose, corner, corner. Where the network sees no face around them, the mean face is
laid through them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption, BrokenFile, MissingInput, NotAFace
from core.files import atomic_write_text
from core.geometry import similarity_from_points, transform_points
from facelib.alignment import frame_to_unit
from facelib.landmarks import ALIGNMENT_INDICES, JAW, LANDMARKS, LEFT_EYE, MEAN_FACE, POSE_POINTS, RIGHT_EYE

SCHEMA = "ManualFaces.1"
_NOSE_TIP = 30
_CORNERS = (48, 54)
_KEYS = {"box", "turn", "points", "mean"}
_FURTHEST = 1e6
_WORST_OF_FIVE = 0.75
"""What a fit may leave of the spread of five points: faces turned by 75 degrees leave 0.65, swapped eyes 0.8."""
_HOW = "`main.py extract --help` shows the form at --manual-file."


@runtime_checkable
class FaceMeasurer(Protocol):
    """Whoever measures the landmarks of a face whose place is known."""

    @property
    def identity(self) -> str:
        """Name, version and weights."""
        ...

    def measure_box(self, frame: NDArray, box: NDArray, turn: float = 0.0, *, accurate: bool = True) -> NDArray | None:
        """The landmarks of the face in a box: float64 (68, 2), frame pixels; None where no face is seen there.

        Args:
            frame: (H, W, 3) BGR uint8.
            box: (4,) left, top, right, bottom of the upright face, frame pixels.
            turn: radians by which box and face are turned clockwise about the middle of the box.
        """
        ...


@dataclass(frozen=True)
class Mark:
    """One face, as it was marked: with a box, or with 5 or 68 points.

    Attributes:
        box: left, top, right, bottom; None where there are points.
        turn: radians clockwise about the middle of the box.
        points: (x, y) each; empty where there is a box.
        mean: lay the mean face into the box instead of measuring.
    """

    box: tuple[float, float, float, float] | None = None
    turn: float = 0.0
    points: tuple[tuple[float, float], ...] = ()
    mean: bool = False

    @classmethod
    def of_landmarks(cls, landmarks: NDArray) -> Mark:
        """A face whose 68 landmarks are known."""
        return cls(points=tuple((float(x), float(y)) for x, y in np.asarray(landmarks)))

    def to_record(self) -> dict[str, Any]:
        """As it stands in the file."""
        if self.box is None:
            return {"points": [[round(x, 3), round(y, 3)] for x, y in self.points]}
        record: dict[str, Any] = {"box": [round(v, 3) for v in self.box]}
        if self.turn:
            record["turn"] = round(math.degrees(self.turn), 3)
        return record | ({"mean": True} if self.mean else {})


Marks = Mapping[str, tuple[Mark, ...] | None]
"""Frame name -> its faces; an empty tuple: it has none; None: nobody has looked yet."""


# --------------------------------------------------------------------------------------------------- marks -> landmarks


def landmarks_of(mark: Mark, frame: NDArray, measurer: FaceMeasurer) -> NDArray | None:
    """The landmarks of a marked face: float64 (68, 2), frame pixels; None where no face is seen in its box.

    frame: (H, W, 3) BGR uint8.
    """
    if len(mark.points) == LANDMARKS:
        return np.array(mark.points, np.float64)
    if mark.points:
        to_frame = similarity_from_points(_five(MEAN_LANDMARKS), np.array(mark.points, np.float64))
        laid = transform_points(MEAN_LANDMARKS, to_frame)
        across, center = to_frame[:, 0], laid[_NOSE_TIP]
        half = math.hypot(*across)
        box = np.concatenate([center - half, center + half])
        measured = measurer.measure_box(frame, box, math.atan2(across[1], across[0]))
        return laid if measured is None else measured
    assert mark.box is not None, "a mark has a box or points"
    box = np.array(mark.box, np.float64)
    if not mark.mean:
        return measurer.measure_box(frame, box, mark.turn)
    half = max(box[2] - box[0], box[3] - box[1]) / 2
    return mean_face((box[:2] + box[2:]) / 2, half * np.array([math.cos(mark.turn), math.sin(mark.turn)]))


def mean_face(nose: NDArray, across: NDArray) -> NDArray:
    """The mean face laid into a frame: float64 (68, 2).

    Args:
        nose: (2,) where the tip of the nose is.
        across: (2,) from there toward image-right of the upright face, as long as the unit frame is wide (about the
            width of the face).

    Source: spec faces-and-formats 6.8; the jaw is that of the mean head, seen from the front.
    """
    across = np.asarray(across, np.float64)
    down = np.array([-across[1], across[0]])
    from_nose = MEAN_LANDMARKS - MEAN_LANDMARKS[_NOSE_TIP]
    return np.asarray(from_nose @ np.stack([across, down]) + nose)


def _with_jaw() -> NDArray:
    """The mean face with a jaw: that of the mean head, laid over the points which both have."""
    head = POSE_POINTS[:, :2]
    laid = transform_points(
        head, similarity_from_points(head[ALIGNMENT_INDICES], MEAN_FACE[ALIGNMENT_INDICES].astype(np.float64))
    )
    points = MEAN_FACE.astype(np.float64)
    points[JAW] = laid[JAW]
    points.setflags(write=False)
    return points


MEAN_LANDMARKS = _with_jaw()
"""The mean face in the unit frame, jaw included: float64 (68, 2)."""


def _five(landmarks: NDArray) -> NDArray:
    """Middles of the eyes, tip of the nose, corners of the mouth: (5, 2)."""
    eyes = [landmarks[LEFT_EYE].mean(axis=0), landmarks[RIGHT_EYE].mean(axis=0)]
    return np.stack([*eyes, landmarks[_NOSE_TIP], *(landmarks[corner] for corner in _CORNERS)])


# ------------------------------------------------------------------------------------------------------------ the file


def read_marks(path: Path) -> dict[str, tuple[Mark, ...] | None]:
    """The marks of a file.

    Raises:
        MissingInput: there is no such file.
        BrokenFile: it cannot be read.
        BadOption: it is no file of marks; the sentence names the place and what was found there.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MissingInput(f"{path} does not exist.", "Check the path; without --manual-file one is written.") from None
    except UnicodeDecodeError:
        raise BadOption(f"{path} is no text in UTF-8.", _HOW) from None
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem
    try:
        content = json.loads(text, object_pairs_hook=_no_name_twice)
    except json.JSONDecodeError as problem:
        raise BadOption(
            f"{path} is no JSON: {problem.msg} in line {problem.lineno}, column {problem.colno}.", _HOW
        ) from problem
    except ValueError as problem:
        raise BadOption(f"{path} cannot be understood: {problem}.", _HOW) from problem
    except RecursionError:
        raise BadOption(f"{path} is no file of marked faces: it is nested too deeply.", _HOW) from None
    schema = content.get("schema") if isinstance(content, dict) else None
    frames = content.get("frames") if isinstance(content, dict) else None
    if schema != SCHEMA or not isinstance(frames, dict):
        raise BadOption(f'{path} needs "schema": "{SCHEMA}" and "frames". Received: schema {schema!r}.', _HOW)
    return {name: _marks_of(value, f"{path}: {name}") for name, value in frames.items()}


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1)
        raise ValueError(f"{twice} is there twice")
    return content


def _marks_of(value: Any, place: str) -> tuple[Mark, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadOption(f"{place}: a frame has a list of faces, or null. Received: {_shown(value)}.", _HOW)
    return tuple(_mark_of(record, f"{place}, face {number}") for number, record in enumerate(value, 1))


def _mark_of(record: Any, place: str) -> Mark:
    if not isinstance(record, dict) or ("box" in record) == ("points" in record):
        raise BadOption(f'{place}: a face has either "box" or "points". Received: {_shown(record)}.', _HOW)
    unknown = sorted(set(record) - (_KEYS if "box" in record else {"points"}))
    if unknown:
        raise BadOption(f"{place}: nobody knows what this means here. Received: {', '.join(unknown)}.", _HOW)
    if "points" in record:
        return _mark_of_points(record["points"], place)
    box, turn, mean = record["box"], record.get("turn", 0), record.get("mean", False)
    if not (_are_numbers(box, 4) and box[0] < box[2] and box[1] < box[3]):
        raise BadOption(
            f"{place}: a box is [left, top, right, bottom] in pixels, left < right and top < bottom. "
            f"Received: {_shown(box)}.",
            _HOW,
        )
    if not _are_numbers([turn], 1) or abs(turn) > 360:
        raise BadOption(f"{place}: turn is a number of degrees, -360 to 360. Received: {_shown(turn)}.", _HOW)
    if not isinstance(mean, bool):
        raise BadOption(f"{place}: mean is true or false. Received: {_shown(mean)}.", _HOW)
    left, top, right, bottom = (float(v) for v in box)
    return Mark((left, top, right, bottom), math.radians(turn), mean=mean)


def _mark_of_points(points: Any, place: str) -> Mark:
    wanted = (5, LANDMARKS)
    if not isinstance(points, list) or len(points) not in wanted or not all(_are_numbers(p, 2) for p in points):
        count = f"{len(points)} points" if isinstance(points, list) and len(points) not in wanted else _shown(points)
        raise BadOption(f"{place}: points are 5 or 68 pairs [x, y] in pixels. Received: {count}.", _HOW)
    if not _form_a_face(np.array(points, np.float64)):
        raise BadOption(
            f"{place}: these points do not form a face. Received: {_shown(points)}.",
            "Check their order: from image-left to image-right.",
        )
    return Mark(points=tuple((float(x), float(y)) for x, y in points))


def _form_a_face(points: NDArray) -> bool:
    """Whether 5 or 68 points lie about as those of the mean face do, turned however they may be."""
    mean, worst = (MEAN_LANDMARKS, 1.0) if len(points) == LANDMARKS else (_five(MEAN_LANDMARKS), _WORST_OF_FIVE)
    try:
        to_unit = frame_to_unit(points) if len(points) == LANDMARKS else similarity_from_points(points, mean)
    except (NotAFace, ValueError):
        return False
    off, spread = transform_points(points, to_unit) - mean, mean - mean.mean(axis=0)
    return bool(math.hypot(*to_unit[:, 0]) < 1 and np.sum(off * off) < worst**2 * np.sum(spread * spread))


def _are_numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= _FURTHEST for v in values)
    )


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def write_marks(path: Path, marks: Marks, help_lines: Sequence[str] = (), example: Marks | None = None) -> None:
    """Writes a file of marks, one frame to a line, so that it is easily edited. help_lines, example: put on top, for
    whoever opens it; a reader passes over them."""
    head = [f' "schema": "{SCHEMA}",']
    if help_lines:
        lines = ",\n".join(f"  {json.dumps(line, ensure_ascii=False)}" for line in help_lines)
        head.append(f' "help": [\n{lines}\n ],')
    if example:
        head.append(f' "example": {{\n{_rows(example)}\n }},')
    atomic_write_text(path, "\n".join(["{", *head, ' "frames": {', _rows(marks), " }", "}"]) + "\n")


def _rows(marks: Marks) -> str:
    return ",\n".join(f"  {json.dumps(name, ensure_ascii=False)}: {_row(faces)}" for name, faces in marks.items())


def _row(faces: tuple[Mark, ...] | None) -> str:
    return json.dumps(None if faces is None else [mark.to_record() for mark in faces])
