"""FAN: the 68 landmarks of a face in a box, by four stacked hourglasses. Needs `2DFAN.npy` or `3DFAN.npy`.

Both files have one architecture. The 2D one puts the jaw on the visible contour, the 3D one (trained on projected 3D
annotations; there is no depth in its answer) where the hidden jaw would be: HEAD crops need the latter.

Source: spec faces-and-formats 5; A. Bulat and G. Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment
problem?", 2017.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.nn.framework import Tensor, ops
from core.nn.steps import Device
from facelib.nets.named_network import NamedNetwork, Weights, convolve, halve_by_mean
from facelib.nets.older_weights import FAN_DEPTH, FAN_STACKS

INPUT_SIDE = 256
HEAT_SIDE = 64
_REFERENCE = 195.0
_REACH = 200.0
FIVE_SHIFTS = ((0, 0), (-1, -1), (1, -1), (1, 1), (-1, 1))
"""Moves of the crop, in pixels, whose answers are averaged where accuracy counts."""


def forward(weights: Weights, x: Tensor) -> list[Tensor]:
    """(N, 256, 256, 3), R, G, B in 0..1 -> one tensor of heat maps (N, 64, 64, 68), one map per landmark."""
    x = ops.relu(_normalize(convolve(x, weights, "conv1", stride=2), weights, "bn1"))
    x = halve_by_mean(_block(x, weights, "conv2"))
    x = _block(_block(x, weights, "conv3"), weights, "conv4")
    for stack in range(FAN_STACKS):
        h = _block(_hourglass(x, weights, f"m_{stack}", FAN_DEPTH), weights, f"top_m_{stack}")
        h = ops.relu(_normalize(convolve(h, weights, f"conv_last_{stack}"), weights, f"bn_end_{stack}"))
        heat = convolve(h, weights, f"l_{stack}")
        if stack < FAN_STACKS - 1:
            x = x + convolve(h, weights, f"bl_{stack}") + convolve(heat, weights, f"al_{stack}")
    return [heat]


def _normalize(x: Tensor, weights: Weights, name: str) -> Tensor:
    gain = weights[f"{name}/weight"] * ops.rsqrt(weights[f"{name}/running_var"] + 1e-5)
    return x * gain + (weights[f"{name}/bias"] - weights[f"{name}/running_mean"] * gain)


def _block(x: Tensor, weights: Weights, name: str) -> Tensor:
    parts, part = [], x
    for number in (1, 2, 3):
        active = ops.relu(_normalize(part, weights, f"{name}/bn{number}"))
        part = convolve(active, weights, f"{name}/conv{number}")
        parts.append(part)
    if f"{name}/down_conv1/weight" in weights:
        x = convolve(ops.relu(_normalize(x, weights, f"{name}/down_bn1")), weights, f"{name}/down_conv1")
    return ops.concatenate(parts, axis=-1) + x


def _hourglass(x: Tensor, weights: Weights, name: str, depth: int) -> Tensor:
    low = _block(halve_by_mean(x), weights, f"{name}/b2")
    inner = f"{name}/b2_plus"
    low = _hourglass(low, weights, inner, depth - 1) if depth > 1 else _block(low, weights, inner)
    low = _block(low, weights, f"{name}/b3")
    doubled = ops.repeat(ops.repeat(low, 2, axis=1), 2, axis=2)
    return _block(x, weights, f"{name}/b1") + doubled


@dataclass(frozen=True)
class Crop:
    """The square that the network looks at, in picture pixels. Its side is 200 / 195 of width plus height of the box.

    Source: spec faces-and-formats 5.3.
    """

    center_x: float
    center_y: float
    side: float

    @classmethod
    def of_box(cls, bbox: NDArray, shift: tuple[float, float] = (0, 0)) -> Crop:
        """bbox: (4,) left, top, right, bottom."""
        left, top, right, bottom = (float(v) for v in bbox)
        side = _REACH * (((right - left) + (bottom - top)) / _REFERENCE)
        return cls((left + right) / 2 + shift[0], (top + bottom) / 2 + shift[1], side)

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in whole pixels, the last two not included."""
        half, start = self.side / 2, self.side / 256
        return (
            math.trunc(self.center_x - half + start),
            math.trunc(self.center_y - half + start),
            math.trunc(self.center_x + half),
            math.trunc(self.center_y + half),
        )

    def cut(self, picture: NDArray) -> NDArray | None:
        """(256, 256, 3) of the picture's type, black outside it; None where the square does not meet the picture."""
        left, top, right, bottom = self.bounds
        height, width = picture.shape[:2]
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if x1 <= x0 or y1 <= y0:
            return None
        margins = (y0 - top, bottom - y1, x0 - left, right - x1)
        square = cv2.copyMakeBorder(picture[y0:y1, x0:x1], *margins, cv2.BORDER_CONSTANT)
        return cv2.resize(square, (INPUT_SIDE, INPUT_SIDE), interpolation=cv2.INTER_LINEAR)

    def to_picture(self, points: NDArray) -> NDArray:
        """Points of the heat maps (0..64) -> picture pixels."""
        corner = np.array([self.center_x, self.center_y]) - self.side / 2
        return np.asarray(points, np.float64) * (self.side / HEAT_SIDE) + corner


def decode(heat: NDArray) -> NDArray:
    """Heat maps (N, 64, 64, 68) -> points float64 (N, 68, 2) on them, 0..64: the hottest cell, the first where several
    are, moved by a quarter toward the hotter neighbor in x and in y unless it lies at the edge.

    Source: spec faces-and-formats 5.4.
    """
    count, height, width, maps = heat.shape
    y, x = np.divmod(heat.reshape(count, height * width, maps).argmax(axis=1), width)
    inside = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    n, k = np.indices((count, maps))
    left, right = np.maximum(x - 1, 0), np.minimum(x + 1, width - 1)
    above, below = np.maximum(y - 1, 0), np.minimum(y + 1, height - 1)
    toward_x = np.sign(heat[n, y, right, k] - heat[n, y, left, k])
    toward_y = np.sign(heat[n, below, x, k] - heat[n, above, x, k])
    points = np.stack([x + 0.25 * toward_x * inside, y + 0.25 * toward_y * inside], axis=-1)
    return points.astype(np.float64) + 0.5


class FAN:
    """The landmark network, loaded."""

    def __init__(self, tensors: Mapping[str, NDArray], device: Device, largest_batch: int = 16) -> None:
        """tensors: as `older_weights.fan_table` lists them."""
        self._network = NamedNetwork(forward, tensors, device, largest_batch)

    def measure(self, pictures: Sequence[NDArray], boxes: Sequence[NDArray], *, five: bool) -> list[NDArray | None]:
        """The landmarks of one face per picture: float64 (68, 2) in its pixels; None where the box lies outside it.

        Args:
            pictures: (H, W, 3) BGR uint8; one may come several times.
            boxes: (4,) each, as S3FD gives them.
            five: mean of five crops a pixel apart instead of one.
        """
        shifts = FIVE_SHIFTS if five else FIVE_SHIFTS[:1]
        owners: list[int] = []
        crops: list[Crop] = []
        squares: list[NDArray] = []
        for number, (picture, box) in enumerate(zip(pictures, boxes, strict=True)):
            looks = [Crop.of_box(box, shift) for shift in shifts]
            cuts = [crop.cut(picture) if crop.side >= 1 else None for crop in looks]
            seen = [cut for cut in cuts if cut is not None]
            if len(seen) == len(looks):
                owners += [number] * len(looks)
                crops += looks
                squares += seen
        found: list[NDArray | None] = [None] * len(boxes)
        if not squares:
            return found
        (heat,) = self._network.run(np.stack(squares)[..., ::-1].astype(np.float32) / np.float32(255))
        points = [crop.to_picture(one) for crop, one in zip(crops, decode(heat), strict=True)]
        for start in range(0, len(points), len(shifts)):
            found[owners[start]] = np.mean(points[start : start + len(shifts)], axis=0)
        return found
