"""Convolutions with zeros on all sides alike, and batches cut into few sizes."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from core.nn.device import choose_devices
from core.nn.framework import Tensor, ops
from facelib.nets.named_network import NamedNetwork, Weights, batch_sizes, convolve, halve_by_maximum, halve_by_mean


def by_hand(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int, margin: int) -> np.ndarray:
    """The definition, in float64, one output pixel after the other."""
    x = np.pad(x.astype(np.float64), ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    side = kernel.shape[0]
    rows, columns = ((n - side) // stride + 1 for n in x.shape[1:3])
    out = np.empty((len(x), rows, columns, kernel.shape[3]))
    for y in range(rows):
        for c in range(columns):
            window = x[:, y * stride : y * stride + side, c * stride : c * stride + side]
            out[:, y, c] = np.tensordot(window, kernel.astype(np.float64), 3) + bias
    return out


@pytest.mark.parametrize(
    ("side", "stride", "margin"), [(3, 1, None), (3, 2, None), (3, 1, 3), (1, 1, None), (7, 2, None)]
)
def test_convolution_by_its_definition(side: int, stride: int, margin: int | None) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 9, 8, 3)).astype(np.float32)
    kernel = rng.standard_normal((side, side, 3, 4)).astype(np.float32)
    bias = rng.standard_normal(4).astype(np.float32)
    weights = {"c/weight": kernel, "c/bias": bias}
    got = ops.convert_to_numpy(convolve(ops.convert_to_tensor(x), weights, "c", stride=stride, margin=margin))
    expected = by_hand(x, kernel, bias, stride, side // 2 if margin is None else margin)
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_halving_leaves_an_odd_rest_out() -> None:
    x = ops.convert_to_tensor(np.arange(15, dtype=np.float32).reshape(1, 3, 5, 1))
    assert ops.convert_to_numpy(halve_by_maximum(x)).ravel().tolist() == [6, 8]
    assert ops.convert_to_numpy(halve_by_mean(x)).ravel().tolist() == [3, 5]


def test_any_number_of_pictures_goes_through_in_order() -> None:
    seen: list[int] = []

    def forward(weights: Weights, x: Tensor) -> list[Tensor]:
        seen.append(x.shape[0])  # once per graph
        return [x * weights["layer/gain"], ops.sum(x, axis=(1, 2, 3))]

    network = NamedNetwork(forward, {"layer/gain": np.array([3], np.float32)}, choose_devices("cpu")[0], 4)
    pictures = np.random.default_rng(2).random((13, 2, 3, 1), dtype=np.float32)
    for count in (13, 7):
        tripled, sums = network.run(pictures[:count])
        np.testing.assert_allclose(tripled, 3 * pictures[:count], rtol=1e-6)
        np.testing.assert_allclose(sums, pictures[:count].sum(axis=(1, 2, 3)), rtol=1e-5)
    assert sorted(seen) == [1, 2, 4]


def test_many_batch_sizes_go_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    chatter = logging.getLogger("tensorflow")
    chatter.addHandler(caplog.handler)
    network = NamedNetwork(lambda weights, x: [x + 1], {}, choose_devices("cpu")[0], 64)
    assert len(network.run(np.zeros((127, 1, 1, 1), np.float32))[0]) == 127  # 64 + 32 + ... + 1
    chatter.removeHandler(caplog.handler)
    assert "retracing" not in caplog.text


def test_batches_come_in_powers_of_two() -> None:
    assert batch_sizes(5, 16) == [4, 1]
    assert batch_sizes(37, 16) == [16, 16, 4, 1]
    assert batch_sizes(0, 16) == []
    for count in range(70):
        assert sum(batch_sizes(count, 8)) == count
