"""S3FD: the faces of a picture as upright boxes, from forehead to chin. Needs `S3FD.npy`.

Pictures are shrunk (long side at most 640), six levels of cells answer with a score and a box each, overlapping answers
are reduced to the best one.

The channels go in as R, G, B less (104, 117, 123), the way existing facesets were made; the public network this one
descends from is fed B, G, R with the same three numbers. Which of the two the weights were ported for can be told only
with the weights at hand.

Source: spec faces-and-formats 4; S. Zhang et al., "S3FD: Single shot scale-invariant face detector", 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.nn.framework import Tensor, ops
from core.nn.steps import Device
from facelib.nets.named_network import NamedNetwork, Weights, convolve, halve_by_maximum
from facelib.nets.older_weights import S3FD_HEADS

_MEANS = np.array((104, 117, 123), np.float32)
_LEAST_SCORE = 0.5
_SAME_FACE_OVERLAP = 0.3
_LEAST_SIDE = 40
_CHIN = 0.1
_FARTHEST = 1e6


@dataclass(frozen=True)
class FaceBox:
    """A face in picture pixels. bbox: float64 (4,) left, top, right, bottom, whole numbers, may leave the picture."""

    bbox: NDArray
    score: float

    @property
    def area(self) -> float:
        return float((self.bbox[2] - self.bbox[0]) * (self.bbox[3] - self.bbox[1]))


def forward(weights: Weights, x: Tensor) -> list[Tensor]:
    """(N, H, W, 3), R, G, B less the means -> per level: scores (N, h, w) in 0..1, places (N, h, w, 4); finest first.

    For 640 x 360: 160 x 90, 80 x 45, 40 x 22, 24 x 15, 12 x 8, 6 x 4 cells.
    """

    def layer(x: Tensor, name: str, stride: int = 1, margin: int | None = None) -> Tensor:
        return ops.relu(convolve(x, weights, name, stride=stride, margin=margin))

    features = []
    for stage, count in enumerate((2, 2, 3, 3, 3), 1):
        for number in range(1, count + 1):
            x = layer(x, f"conv{stage}_{number}")
        if stage >= 3:
            features.append(_normalized(x, weights[f"conv{stage}_3_norm/weight"]))
        x = halve_by_maximum(x)
    x = layer(layer(x, "fc6", margin=3), "fc7")
    features.append(x)
    for stage in (6, 7):
        x = layer(layer(x, f"conv{stage}_1"), f"conv{stage}_2", stride=2)
        features.append(x)
    answers = []
    for (name, _, _), feature in zip(S3FD_HEADS, features, strict=True):
        conf = convolve(feature, weights, f"{name}_mbox_conf")
        # Softmax over background and face; the finest level has three kinds of background.
        answers.append(ops.sigmoid(conf[..., -1] - ops.max(conf[..., :-1], axis=-1)))
        answers.append(convolve(feature, weights, f"{name}_mbox_loc"))
    return answers


def _normalized(x: Tensor, weight: Tensor) -> Tensor:
    length = ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True)) + 1e-10
    return x / length * weight


class S3FD:
    """The detector, loaded."""

    def __init__(self, tensors: Mapping[str, NDArray], device: Device, largest_batch: int = 8) -> None:
        """tensors: as `older_weights.s3fd_table` lists them."""
        self._network = NamedNetwork(forward, tensors, device, largest_batch)

    def detect(self, pictures: Sequence[NDArray]) -> list[list[FaceBox]]:
        """The upright faces of each (H, W, 3) BGR uint8 picture, largest first. The pictures may differ in size."""
        found: list[list[FaceBox]] = [[] for _ in pictures]
        for numbers in _of_one_size(pictures):
            height, width = pictures[numbers[0]].shape[:2]
            shrink, size = working_size(width, height)
            batch = np.stack([_prepared(pictures[n], size) for n in numbers])
            answers = self._network.run(batch)
            for row, number in enumerate(numbers):
                boxes, scores = decode([answer[row] for answer in answers])
                kept = suppress(boxes, scores)
                found[number] = finish(boxes[kept], scores[kept], shrink)
        return found


def _of_one_size(pictures: Sequence[NDArray]) -> list[list[int]]:
    """The numbers of the pictures, those of one size together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, picture in enumerate(pictures):
        groups.setdefault(picture.shape[:2], []).append(number)
    return list(groups.values())


def working_size(width: int, height: int) -> tuple[float, tuple[int, int]]:
    """How many times a picture is shrunk for the network, and the (width, height) it then has."""
    longest = max(width, height)
    target = max(64.0, 640.0 if longest >= 1280 else longest / 2)
    shrink = longest / target
    return shrink, (max(1, int(width / shrink)), max(1, int(height / shrink)))


def _prepared(picture: NDArray, size: tuple[int, int]) -> NDArray:
    small = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    return small[..., ::-1].astype(np.float32) - _MEANS


def decode(answers: Sequence[NDArray]) -> tuple[NDArray, NDArray]:
    """The answer for one picture -> boxes float64 (n, 4) in pixels of the network's input, scores float64 (n,).

    Only answers that can be a face in the end (score 0.5 or more) are taken: weaker ones never suppress stronger ones,
    so that suppression comes to the same.

    Args:
        answers: per level scores (h, w) and places (h, w, 4), as `forward` gives them.
    """
    boxes, scores = [np.empty((0, 4))], [np.empty(0)]
    for level, (score, place) in enumerate(zip(answers[::2], answers[1::2], strict=True)):
        stride = 4.0 * 2**level
        rows, columns = np.nonzero(score >= _LEAST_SCORE)
        offsets = place[rows, columns].astype(np.float64)
        centers = (np.stack([columns, rows], axis=1) + 0.5) * stride + offsets[:, :2] * (0.1 * 4 * stride)
        halves = 2 * stride * np.exp(np.clip(0.2 * offsets[:, 2:], -20, 20))
        boxes.append(np.hstack([centers - halves, centers + halves]))
        scores.append(score[rows, columns].astype(np.float64))
    joined, sure = np.concatenate(boxes), np.concatenate(scores)
    sound = (np.abs(joined) < _FARTHEST).all(axis=1)
    return joined[sound], sure[sound]


def suppress(boxes: NDArray, scores: NDArray, overlap: float = _SAME_FACE_OVERLAP) -> NDArray:
    """Row numbers of the boxes that stay, best first: each drops the weaker ones that overlap it too much.

    Sides count their last pixel: a box from 3 to 5 is 3 wide.
    """
    left = np.argsort(-scores, kind="stable")
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2] + 1, 0), axis=1)
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[left, :2])
        high = np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.prod(np.maximum(high - low + 1, 0), axis=1)
        left = left[shared <= overlap * (areas[best] + areas[left] - shared)]
    return np.array(kept, np.intp)


def finish(boxes: NDArray, scores: NDArray, shrink: float) -> list[FaceBox]:
    """Boxes of the network's input, best first -> faces of the picture, largest first; those under 40 pixels go.

    The bottom goes down by a tenth: the chin belongs to what the landmark network wants to see.
    """
    faces = []
    for box, score in zip(np.trunc(boxes) * shrink, scores, strict=True):
        width, height = box[2] - box[0], box[3] - box[1]
        if min(width, height) >= _LEAST_SIDE:
            lower = box + np.array([0, 0, 0, _CHIN * height])
            faces.append(FaceBox(np.trunc(lower), float(score)))
    return sorted(faces, key=lambda face: -face.area)
