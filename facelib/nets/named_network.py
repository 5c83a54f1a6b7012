"""A network that is a function of named tensors, placed on a device and compiled: for weights that come ready.

The tensors come from a file with a table of names, so the network needs no layers of its own that would have to be
built, named alike and filled: its forward pass looks each tensor up by name, `convolve(x, weights, "conv1")`.
Everything is channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from core.nn.backend import active_backend
from core.nn.framework import Tensor, keras, ops
from core.nn.steps import Device

Weights = Mapping[str, Tensor]
Forward = Callable[[Weights, Tensor], list[Tensor]]
"""(weights, (N, H, W, C)) -> tensors with the same N."""


class NamedNetwork:
    """One network on one device."""

    def __init__(self, forward: Forward, tensors: Mapping[str, NDArray], device: Device, largest_batch: int) -> None:
        backend = active_backend()
        with backend.placed_on(device):
            self._weights = {
                name: keras.Variable(tensor, trainable=False, dtype="float32", name=name.replace("/", "."))
                for name, tensor in tensors.items()
            }
        self._run = backend.compile_forward(lambda x: forward(self._weights, x), device)
        self._largest_batch = largest_batch

    def run(self, pictures: NDArray) -> list[NDArray]:
        """(N, H, W, C) float32 -> the network's answers, N first. Any N above 0: see `batch_sizes`."""
        parts: list[list[NDArray]] = []
        start = 0
        for size in batch_sizes(len(pictures), self._largest_batch):
            parts.append(self._run(np.ascontiguousarray(pictures[start : start + size])))
            start += size
        return [np.concatenate(answers) for answers in zip(*parts, strict=True)]


def batch_sizes(count: int, largest: int) -> list[int]:
    """`count` as a sum of powers of two up to `largest`: few shapes, so few graphs, and nothing computed in vain."""
    sizes = []
    while count:
        size = min(largest, 1 << (count.bit_length() - 1))
        sizes.append(size)
        count -= size
    return sizes


def convolve(x: Tensor, weights: Weights, name: str, *, stride: int = 1, margin: int | None = None) -> Tensor:
    """A convolution with `margin` zeros on every side (floor(kernel / 2) unless told), and its bias if it has one.

    Source: spec faces-and-formats 4.2.
    """
    kernel = weights[f"{name}/weight"]
    margin = kernel.shape[0] // 2 if margin is None else margin
    if margin:
        x = ops.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    x = ops.conv(x, kernel, strides=stride, padding="valid", data_format="channels_last")
    bias = weights.get(f"{name}/bias")
    return x if bias is None else x + bias


def halve_by_maximum(x: Tensor) -> Tensor:
    """2 x 2 blocks become their largest value; an odd last row or column is left out."""
    return ops.max_pool(x, 2, 2, padding="valid", data_format="channels_last")


def halve_by_mean(x: Tensor) -> Tensor:
    """2 x 2 blocks become their mean; an odd last row or column is left out."""
    return ops.average_pool(x, 2, 2, padding="valid", data_format="channels_last")
