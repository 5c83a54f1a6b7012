"""BlazeFace: where the faces of one picture are, roughly, and six key points of each.

Two networks answer in the same form. The full-range one (192 x 192) is the default; the short-range one (128 x 128)
knows only faces that fill much of the picture.

A picture goes in whole: scaled to fit the network's square, centered, black around it. In the square, edge
coordinates run 0..side; pixel n has its center at n + 0.5. Source: spec faces-and-formats 10.2; V. Bazarevsky et al.,
"BlazeFace: Sub-millisecond neural face detection on mobile GPUs", 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.geometry import box_area, intersection_area, intersection_over_union, transform_points
from facelib.nets.litert import LiteRTNetwork
from facelib.nets.pretrained import FULL_RANGE, SHORT_RANGE, WeightFile

KEY_POINTS = 6
IMAGE_LEFT_EYE, IMAGE_RIGHT_EYE = 0, 1
_SAME_FACE_OVERLAP = 0.3
_LOGIT_LIMIT = 100.0


@dataclass(frozen=True)
class Detections:
    """Faces of one picture, best first, in its pixels.

    Attributes:
        boxes: float64 (n, 4) left, top, right, bottom; may leave the picture.
        key_points: float64 (n, 6, 2): image-left eye, image-right eye, tip of the nose, mouth, image-left and
            image-right ear.
        scores: float64 (n,) in 0..1.
    """

    boxes: NDArray
    key_points: NDArray
    scores: NDArray

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, rows: NDArray) -> Detections:
        """The detections with these row numbers (or where this mask is true)."""
        return Detections(self.boxes[rows], self.key_points[rows], self.scores[rows])

    def transformed(self, matrix: NDArray) -> Detections:
        """In other pixels; `matrix` (2, 3) shifts, scales, or turns by whole quarters."""
        corners = transform_points(self.boxes.reshape(-1, 2, 2), matrix)
        boxes = np.hstack([corners.min(axis=1), corners.max(axis=1)])
        return Detections(boxes, transform_points(self.key_points, matrix), self.scores)

    @classmethod
    def join(cls, parts: list[Detections]) -> Detections:
        """All detections of several lists."""
        empty = Detections(np.empty((0, 4)), np.empty((0, KEY_POINTS, 2)), np.empty(0))
        parts = [empty, *parts]
        return Detections(
            np.concatenate([p.boxes for p in parts]),
            np.concatenate([p.key_points for p in parts]),
            np.concatenate([p.scores for p in parts]),
        )


class BlazeFace:
    """One of the two detectors, loaded."""

    def __init__(self, file: WeightFile = FULL_RANGE, threads: int = 1, threshold: float = 0.6) -> None:
        """Args:
        file: FULL_RANGE or SHORT_RANGE.
        threads: processors the network may use.
        threshold: least score of a face.
        """
        self._network = LiteRTNetwork(file, threads)
        self._anchors = _anchors(file)
        self._threshold = threshold

    @property
    def side(self) -> int:
        """Side of the network's input; a picture is scaled to fit it."""
        return self._network.side

    def detect(self, picture: NDArray) -> Detections:
        """Finds upright faces (up to about 45 degrees of roll) in (H, W, 3) BGR uint8."""
        square, scale, shift = _letterbox(picture, self.side)
        values, logits = self._network.run(square[..., ::-1] * np.float32(2 / 255) - np.float32(1))
        found = decode(values, logits[:, 0], self._anchors, self.side, self._threshold)
        # Edge coordinates of the square -> pixels of the picture.
        boxes = (found.boxes.reshape(-1, 2, 2) - shift) / scale - 0.5
        key_points = (found.key_points - shift) / scale - 0.5
        return weighted_suppression(Detections(boxes.reshape(-1, 4), key_points, found.scores))


def _anchors(file: WeightFile) -> NDArray:
    """Anchor centers as fractions of the input, float64 (n, 2), in the network's order: cells row by row."""
    grids = {FULL_RANGE: ((48, 1),), SHORT_RANGE: ((16, 2), (8, 6))}[file]
    centers = []
    for cells, per_cell in grids:
        y, x = np.divmod(np.arange(cells * cells), cells)
        centers.append(np.repeat((np.stack([x, y], axis=1) + 0.5) / cells, per_cell, axis=0))
    return np.concatenate(centers)


def _letterbox(picture: NDArray, side: int) -> tuple[NDArray, NDArray, NDArray]:
    """Fits a picture into a black square.

    Returns:
        The square uint8 (side, side, 3), and (scale, shift) per axis: square edge coordinate =
        (picture pixel + 0.5) * scale + shift.
    """
    height, width = picture.shape[:2]
    fit = side / max(height, width)
    inner = max(1, round(width * fit)), max(1, round(height * fit))
    shift = (side - inner[0]) // 2, (side - inner[1]) // 2
    square = np.zeros((side, side, 3), np.uint8)
    method = cv2.INTER_AREA if fit < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(picture, inner, interpolation=method)
    square[shift[1] : shift[1] + inner[1], shift[0] : shift[0] + inner[0]] = resized
    return square, np.array([inner[0] / width, inner[1] / height]), np.array(shift, np.float64)


def decode(values: NDArray, logits: NDArray, anchors: NDArray, side: int, threshold: float) -> Detections:
    """The network's answer -> detections in edge coordinates of its input (0..side), not yet suppressed.

    Args:
        values: (n, 16) per anchor: box center x, y, width, height, then six points x, y; pixels of the input, centers
            and points relative to the anchor.
        logits: (n,) scores before the sigmoid.
        anchors: (n, 2) anchor centers as fractions of the input.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -_LOGIT_LIMIT, _LOGIT_LIMIT)))
    kept = np.flatnonzero(scores >= threshold)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    answers = values[kept].astype(np.float64)
    origins = anchors[kept] * side
    centers, halves = answers[:, :2] + origins, answers[:, 2:4] / 2
    key_points = answers[:, 4:].reshape(-1, KEY_POINTS, 2) + origins[:, None]
    sound = np.flatnonzero((halves > 0).all(axis=1))
    return Detections(np.hstack([centers - halves, centers + halves]), key_points, scores[kept]).select(sound)


def weighted_suppression(found: Detections, overlap: float = _SAME_FACE_OVERLAP) -> Detections:
    """Each group of answers for one face becomes their mean, weighted by score; the group keeps its best score."""
    left = np.arange(len(found))
    faces = []
    while len(left):
        same = intersection_over_union(found.boxes[left[0]], found.boxes[left]) > overlap
        same[0] = True
        group = found.select(left[same])
        weights = group.scores / group.scores.sum()
        faces.append(
            Detections(
                np.tensordot(weights, group.boxes, 1)[None],
                np.tensordot(weights, group.key_points, 1)[None],
                group.scores[:1],
            )
        )
        left = left[~same]
    return Detections.join(faces)


def same_face(box: NDArray, other: NDArray, part_of_union: float, part_of_smaller: float) -> bool:
    """Whether two boxes (4,) are one face: much in common, or one mostly inside the other."""
    box, other = np.asarray(box, np.float64), np.asarray(other, np.float64)
    smaller = max(float(np.minimum(box_area(box), box_area(other))), 1e-12)
    mostly_inside = intersection_area(box, other) > part_of_smaller * smaller
    return bool(intersection_over_union(box, other) > part_of_union or mostly_inside)
