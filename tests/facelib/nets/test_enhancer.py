"""The enhancer: doubling, tiles, and weights made by hand whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from core.nn.device import choose_devices
from core.nn.framework import ops
from facelib.nets import enhancer
from facelib.nets.named_network import NamedNetwork
from facelib.nets.older_weights import enhancer_table


def doubled(x: np.ndarray) -> np.ndarray:
    """Sample j of the result lies at j / 2 of the input and not beyond its last sample; along rows, then columns."""
    for axis in (0, 1):
        count = x.shape[axis]
        places = np.minimum(np.arange(2 * count) / 2, count - 1)
        low = np.floor(places).astype(int)
        high = np.minimum(low + 1, count - 1)
        part = (places - low).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def zeros() -> dict[str, np.ndarray]:
    return {name: np.zeros(shape, np.float32) for name, shape in enhancer_table().items()}


def small_picture() -> np.ndarray:
    return np.random.default_rng(4).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)


def test_doubling_of_a_row() -> None:
    """Spec faces-and-formats 9.1."""
    row = ops.convert_to_tensor(np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1))
    got = ops.convert_to_numpy(enhancer.double(row))
    assert got.shape == (1, 2, 8, 1)
    assert got[0, 0, :, 0].tolist() == got[0, 1, :, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    x = small_picture()
    np.testing.assert_allclose(
        ops.convert_to_numpy(enhancer.double(ops.convert_to_tensor(x)))[0], doubled(x[0]), atol=1e-6
    )


def test_without_changes_the_picture_is_doubled_twice() -> None:
    x = small_picture()
    network = NamedNetwork(enhancer.forward, zeros(), choose_devices("cpu")[0], 4)
    (got,) = network.run(x)
    assert got.shape == (1, 128, 128, 3)
    np.testing.assert_allclose(got[0], doubled(doubled(x[0])), atol=1e-6)


def test_what_the_three_heads_add_and_when() -> None:
    """Last biases alone: out = up(up(x + tanh a) + tanh b) + tanh c."""
    weights = zeros()
    weights["out1x_conv1/bias"][:] = (0.1, 0.2, -0.3)
    weights["out2x_conv1/bias"][:] = (0.4, 0, 0)
    weights["out4x_conv1/bias"][:] = (0, -0.6, 0)
    x = small_picture()
    (got,) = NamedNetwork(enhancer.forward, weights, choose_devices("cpu")[0], 4).run(x)
    added = np.tanh([0.1, 0.2, -0.3]) + np.tanh([0.4, 0, 0]) + np.tanh([0, -0.6, 0])
    np.testing.assert_allclose(got[0], doubled(doubled(x[0])) + added, atol=1e-6)


def test_the_parameters_and_the_skip_reach_the_first_head() -> None:
    """Channel 0: lrelu(0.2 * 3 + 1 * -1.6) = -0.1, lrelu through e0 -> -0.001, skipped into d0, ..., tanh."""
    weights = zeros()
    weights["dense1/weight"][0, 0], weights["dense2/weight"][0, 0] = 3, -1.6
    for name in ("e0_conv0", "e0_conv1", "d0_conv1", "out1x_conv0", "out1x_conv1"):
        weights[f"{name}/weight"][1, 1, 0, 0] = 1
    weights["d0_conv0/weight"][1, 1, 160, 0] = -1  # 160 upsampled channels come first, then the 64 skipped ones
    x = small_picture()
    (got,) = NamedNetwork(enhancer.forward, weights, choose_devices("cpu")[0], 4).run(x)
    expected = doubled(doubled(x[0]))
    expected[..., 0] += np.tanh(0.001)
    np.testing.assert_allclose(got[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("length", "starts"), [(192, [0]), (200, [0, 8]), (288, [0, 96]), (289, [0, 96, 97]), (400, [0, 96, 192, 208])]
)
def test_where_tiles_begin(length: int, starts: list[int]) -> None:
    assert enhancer.tile_starts(length) == starts


def test_tiles_of_one_picture_join_into_it() -> None:
    whole = np.random.default_rng(5).uniform(-1, 1, (4 * 200, 4 * 192, 3)).astype(np.float32)
    joined = enhancer.join_tiles(np.stack([whole[:768], whole[32:]]), [(0, 0), (8, 0)], 200, 192)
    np.testing.assert_allclose(joined, whole, atol=1e-6)  # the outermost pixels too


def test_tiles_fade_into_each_other() -> None:
    joined = enhancer.join_tiles(
        np.stack([np.zeros((768, 768, 3)), np.ones((768, 768, 3))]), [(0, 0), (96, 0)], 288, 192
    )
    column = joined[:, 400, 0]
    assert (column[:384] == 0).all()
    assert (column[768:] == 1).all()
    assert (np.diff(column) >= 0).all()
    assert column[576] == pytest.approx(0.5, abs=0.01)


def test_small_pictures_are_padded_and_keep_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a network that repeats each pixel 4 x 4, enlarging repeats and enhancing changes nothing."""
    loaded = enhancer.Enhancer.__new__(enhancer.Enhancer)
    monkeypatch.setattr(loaded, "_network", _Repeats(), raising=False)
    for shape in ((50, 210, 3), (192, 192, 3), (33, 31, 3)):
        picture = np.random.default_rng(6).random(shape, dtype=np.float32)
        large = loaded.enlarge(picture)
        np.testing.assert_allclose(large, picture.repeat(4, 0).repeat(4, 1), atol=1e-5)
        np.testing.assert_allclose(loaded.enhance(picture), picture, atol=1e-5)


@pytest.mark.parametrize(("correct", "low", "high"), [(True, -0.6, 0.6), (False, 0.2, 0.8)])
def test_the_network_is_shown_the_range_asked_for(
    monkeypatch: pytest.MonkeyPatch, correct: bool, low: float, high: float
) -> None:
    """0.2 and 0.8 are shown as -0.6 and 0.6, or, as older mergers did, as they are; and come back as they were."""
    loaded = enhancer.Enhancer.__new__(enhancer.Enhancer)
    monkeypatch.setattr(loaded, "_network", _Repeats(), raising=False)
    picture = np.full((192, 192, 3), 0.2, np.float32)
    picture[100:] = 0.8
    np.testing.assert_allclose(loaded.enlarge(picture, correct), picture.repeat(4, 0).repeat(4, 1), atol=1e-5)
    shown = _Repeats.shown[0]
    assert [shown[0, 0, 0], shown[150, 0, 0]] == pytest.approx([low, high])


class _Repeats:
    shown: np.ndarray

    def run(self, pictures: np.ndarray) -> list[np.ndarray]:
        _Repeats.shown = pictures
        return [pictures.repeat(4, 1).repeat(4, 2)]
