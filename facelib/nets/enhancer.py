"""The face enhancer: a picture four times as large, with detail made up. Needs `FaceEnhancer.npy`.

Large pictures go through in overlapping squares of 192 pixels that fade into each other. The weight of a square is
above zero at its edge too, so that the outermost pixels of the picture are kept.

Source: spec faces-and-formats 9.1, 9.2.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from core.nn.framework import Tensor, ops
from core.nn.steps import Device
from facelib.nets.named_network import NamedNetwork, Weights, convolve, halve_by_mean
from facelib.nets.older_weights import ENHANCER_WIDTHS

TILE = 192
SCALE = 4
_STEP = TILE // 2
_FIRST_PARAMETER = 0.2
_SECOND_PARAMETER = 1.0


def forward(weights: Weights, x: Tensor) -> list[Tensor]:
    """(N, H, W, 3) B, G, R in -1..1, sides multiples of 32 -> one tensor (N, 4 H, 4 W, 3) of about that range."""

    def layer(x: Tensor, name: str) -> Tensor:
        return ops.leaky_relu(convolve(x, weights, name), 0.1)

    def change(x: Tensor, name: str) -> Tensor:
        return ops.tanh(convolve(layer(x, f"{name}_conv0"), weights, f"{name}_conv1"))

    picture = x
    parameters = _FIRST_PARAMETER * weights["dense1/weight"] + _SECOND_PARAMETER * weights["dense2/weight"]
    x = ops.leaky_relu(convolve(x, weights, "conv1") + parameters, 0.1)
    skipped = []
    for level in range(len(ENHANCER_WIDTHS)):
        x = x if level == 0 else halve_by_mean(x)
        x = layer(layer(x, f"e{level}_conv0"), f"e{level}_conv1")
        skipped.append(x)
    x = halve_by_mean(x)
    for number in range(4):
        x = layer(x, f"center_conv{number}")
    for level in reversed(range(len(ENHANCER_WIDTHS))):
        x = ops.concatenate([double(x), skipped[level]], axis=-1)
        x = layer(layer(x, f"d{level}_conv0"), f"d{level}_conv1")
    picture = picture + change(x, "out1x")
    for part in ("2x", "4x"):
        x = double(layer(layer(x, f"dec{part}_conv0"), f"dec{part}_conv1"))
        picture = double(picture) + change(x, f"out{part}")
    return [picture]


def double(x: Tensor) -> Tensor:
    """(N, H, W, C) -> (N, 2 H, 2 W, C): [0, 1, 2, 3] becomes [0, 0.5, 1, 1.5, 2, 2.5, 3, 3] along both sides.

    Between two neighbors comes their mean, after the last it is repeated: pixel j of the result lies at j / 2.
    """
    for axis in (1, 2):
        count = x.shape[axis]
        following = ops.take(x, [*range(1, count), count - 1], axis=axis)
        shape = [-1, *x.shape[1:]]
        shape[axis] = 2 * count
        x = ops.reshape(ops.stack([x, (x + following) / 2], axis=axis + 1), shape)
    return x


class Enhancer:
    """The enhancer, loaded."""

    def __init__(self, tensors: Mapping[str, NDArray], device: Device, largest_batch: int = 4) -> None:
        """tensors: as `older_weights.enhancer_table` lists them."""
        self._network = NamedNetwork(forward, tensors, device, largest_batch)

    def enlarge(self, picture: NDArray, correct: bool = True) -> NDArray:
        """(H, W, 3) BGR float32 in 0..1 -> (4 H, 4 W, 3) likewise.

        Where it is not to be `correct`, the network is shown 0..1 instead of the -1..1 it was trained on: the look that
        super resolution of older mergers has. Source: spec merging 2.5, Q12.
        """
        height, width = picture.shape[:2]
        top, left = max(0, TILE - height) // 2, max(0, TILE - width) // 2
        rows, columns = max(height, TILE), max(width, TILE)
        field = np.zeros((rows, columns, 3), np.float32)
        field[top : top + height, left : left + width] = np.clip(picture * 2 - 1, -1, 1) if correct else picture
        corners = [(y, x) for y in tile_starts(rows) for x in tile_starts(columns)]
        (tiles,) = self._network.run(np.stack([field[y : y + TILE, x : x + TILE] for y, x in corners]))
        joined = join_tiles(tiles, corners, rows, columns)
        seen = joined[SCALE * top : SCALE * (top + height), SCALE * left : SCALE * (left + width)]
        return np.clip(seen / 2 + 0.5 if correct else seen, 0, 1)

    def enhance(self, picture: NDArray) -> NDArray:
        """(H, W, 3) BGR float32 in 0..1 -> the same size, crisper: enlarged, then reduced by means over areas."""
        height, width = picture.shape[:2]
        return cv2.resize(self.enlarge(picture), (width, height), interpolation=cv2.INTER_AREA)


def tile_starts(length: int) -> list[int]:
    """Where the squares begin along a side of at least 192: every 96 pixels, the last one flush with the end."""
    return [*range(0, length - TILE, _STEP), length - TILE]


def join_tiles(tiles: NDArray, corners: list[tuple[int, int]], rows: int, columns: int) -> NDArray:
    """The mean of overlapping (768, 768, 3) tiles, weighted by how near a pixel is to the middle of its tile.

    Args:
        corners: (y, x) of each tile in pixels of the (rows, columns) picture that is enlarged.

    Returns:
        float32 (4 rows, 4 columns, 3).
    """
    side = SCALE * TILE
    ramp = np.minimum(np.arange(side) + 0.5, side - 0.5 - np.arange(side)).astype(np.float32) / (side / 2)
    weight = np.outer(ramp, ramp)[..., None]
    total = np.zeros((SCALE * rows, SCALE * columns, 3), np.float32)
    weights = np.zeros((SCALE * rows, SCALE * columns, 1), np.float32)
    for tile, (y, x) in zip(tiles, corners, strict=True):
        place = np.s_[SCALE * y : SCALE * y + side, SCALE * x : SCALE * x + side]
        total[place] += tile * weight
        weights[place] += weight
    return total / weights
