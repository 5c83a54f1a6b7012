"""Words, numbers and pictures that the sections of `util --report` share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile
from core.images import encode_jpeg, read_image, to_uint8
from core.words import counted
from facelib.extraction import draw_landmarks
from mainscripts.report_faces import Faces, Judged
from mainscripts.report_page import Picture

_SMALL, _LARGE = 120, 192
_QUALITY = 72
MOST_NAMES = 5000
"""File names in one list of the JSON."""
SHOWN, SHOWN_FEW = 24, 12
"""Pictures in a gallery."""
_BINS = 20
_CLEAR = 3.0


def face_picture(faces: Faces, row: int, note: str, *, with_landmarks: bool = False) -> Picture:
    """A face as a small picture, its landmarks drawn into it on demand."""
    sample = faces.samples[row]
    side = _LARGE if with_landmarks else _SMALL
    try:
        image = sample.image(side)
    except BrokenFile:
        return Picture(sample.place.name, note)
    if with_landmarks:
        draw_landmarks(image, sample.landmarks_at(side))
    return Picture(sample.place.name, note, encode_jpeg(image, _QUALITY))


def frame_pictures(folder: Path, names: Sequence[str]) -> Iterable[Picture]:
    """Some of these frames as small pictures."""
    for name in evenly(np.array(names), SHOWN_FEW):
        try:
            frame = to_uint8(read_image(folder / name))
        except BrokenFile:
            yield Picture(name, "")
            continue
        factor = _LARGE / max(frame.shape[:2])
        shape = [max(1, round(length * factor)) for length in frame.shape[1::-1]]
        yield Picture(name, "", encode_jpeg(cv2.resize(frame, shape, interpolation=cv2.INTER_AREA), _QUALITY))


def evenly(items: NDArray, most: int) -> list[Any]:
    """Up to `most` of the items, spread evenly over them."""
    if len(items) <= most:
        return items.tolist()
    return items[np.linspace(0, len(items) - 1, most).round().astype(int)].tolist()


def say_faces(count: int) -> str:
    """ "1 face", "1,204 faces"."""
    return counted(count, "face")


def say_frames(count: int) -> str:
    """ "1 frame", "1,204 frames"."""
    return counted(count, "frame")


def be(count: int) -> str:
    """ "is" or "are"."""
    return "is" if count == 1 else "are"


def have(count: int) -> str:
    """ "has" or "have"."""
    return "has" if count == 1 else "have"


def its(count: int) -> str:
    """ "its" or "their"."""
    return "its" if count == 1 else "their"


def spread_of(values: NDArray) -> dict[str, float]:
    """Smallest, middle, largest and the ends between which nine of ten lie."""
    points = np.percentile(np.asarray(values, np.float64), [0, 5, 50, 95, 100]).round(3).tolist()
    return dict(zip(("least", "p5", "middle", "p95", "most"), points, strict=True))


def counts_of(values: NDArray) -> dict[str, list[float]]:
    """A histogram: counts of 20 equal bins, and their 21 edges."""
    counts, edges = np.histogram(np.asarray(values, np.float64), _BINS)
    return {"counts": counts.tolist(), "edges": edges.round(4).tolist()}


def directions(faces: Faces) -> NDArray[np.float64]:
    """Yaw and pitch of every face, degrees: (N, 2)."""
    return np.degrees(faces.table.poses[:, [1, 0]])


def say_reach(angles: NDArray, above: str, below: str) -> str:
    """Between which angles nine of ten faces lie: "12° left to 24° right". above, below: words for the signs."""
    ends = np.percentile(angles, [95, 5]).round()
    return " to ".join(f"{abs(angle):.0f}° {above if angle > 0 else below}" for angle in ends)


def say_who(judged: Judged) -> str:
    """Which mark in a chart is whose."""
    if judged.other is None:
        return ""
    return f"; bars: {judged.label}, line: {judged.other_label}"


def as_rgb(lab: NDArray) -> NDArray[np.uint8]:
    """Lab colors (N, 3), L 0..100, as RGB."""
    rgb = cv2.cvtColor(np.asarray(lab, np.float32).reshape(-1, 1, 3), cv2.COLOR_LAB2RGB).reshape(-1, 3)
    return to_uint8(rgb)


def say_color(difference: NDArray) -> str:
    """A difference of two Lab colors in words: "darker, redder and bluer"."""
    pairs = (("brighter", "darker"), ("redder", "less red"), ("yellower", "bluer"))
    words = [pair[0] if d > 0 else pair[1] for pair, d in zip(pairs, difference, strict=True) if abs(d) > _CLEAR]
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:]))) or "different in color"
