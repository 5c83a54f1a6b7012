"""The six transforms and the convolution they make, against loops in float64 and against plain gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from core.nn import winograd
from core.nn.backend import active_backend
from core.nn.framework import Tensor, keras, ops
from core.nn.layers import Conv2D, depth_to_space, leaky
from core.nn.optimizers import OptimizerSettings, RMSprop
from core.nn.steps import Device

CPU = Device("CPU:0", "cpu", 0, "CPU", None)
PICTURE, KERNEL = (2, 6, 8, 5), (3, 3, 5, 4)
RESULT = (*PICTURE[:3], KERNEL[-1])
TILES = 2 * 3 * 4


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def convolution(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """By its definition, zeros around, in float64."""
    _, height, width, _ = picture.shape
    framed = np.pad(picture.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = ((i, k) for i in range(3) for k in range(3))
    return sum(framed[:, i : i + height, k : k + width] @ kernel[i, k].astype(np.float64) for i, k in windows)


@pytest.mark.parametrize("picture", [PICTURE, (1, 2, 2, 5), (3, 2, 10, 5)])
def test_sixteen_products_between_the_transforms_are_a_convolution(picture: tuple[int, ...]) -> None:
    x, kernel = noise(picture, 1), noise(KERNEL, 2)
    products = ops.matmul(winograd.picture_tiles(x), winograd.kernel_tiles(kernel, "float32"))
    bias = noise(KERNEL[-1:], 3)
    got = winograd.result(products, bias, (*picture[:3], KERNEL[-1]), 0.2)
    expected = convolution(x, kernel) + bias
    np.testing.assert_allclose(np.asarray(got), np.where(expected > 0, expected, 0.2 * expected), atol=1e-5)


@pytest.mark.parametrize(
    ("transform", "adjoint", "before", "after"),
    [
        (winograd.picture_tiles, lambda t: winograd.picture_tiles_adjoint(t, PICTURE), PICTURE, (16, TILES, 5)),
        (lambda k: winograd.kernel_tiles(k, "float32"), winograd.kernel_tiles_adjoint, KERNEL, (16, 5, 4)),
        (
            lambda t: winograd.result(t, np.zeros(4, np.float32), RESULT, 1.0),
            lambda y: winograd.result_adjoint(y, y, 1.0),
            (16, TILES, 4),
            RESULT,
        ),
    ],
)
def test_adjoints_are_adjoint(
    transform: Callable[[Tensor], Tensor],
    adjoint: Callable[[Tensor], Tensor],
    before: tuple[int, ...],
    after: tuple[int, ...],
) -> None:
    """<T x, y> = <x, T* y> for all x and y is what makes T* the gradient of T."""
    x, y = noise(before, 3), noise(after, 4)
    there, back = np.asarray(transform(x), np.float64), np.asarray(adjoint(y), np.float64)
    assert there.shape == after
    assert back.shape == before
    assert (there * y).sum() == pytest.approx((x * back).sum(), rel=1e-5)


def test_types_are_kept_and_kernels_come_as_asked() -> None:
    x = ops.cast(noise(PICTURE, 1), "bfloat16")
    tiles = winograd.picture_tiles(x)
    assert keras.backend.standardize_dtype(tiles.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(winograd.kernel_tiles(noise(KERNEL, 1), "bfloat16").dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(winograd.kernel_tiles_adjoint(tiles).dtype) == "float32"


def test_it_is_used_where_it_pays() -> None:
    assert winograd.pays((4, 16, 16, 512), (3, 3, 512, 512))
    assert not winograd.pays((4, 15, 16, 512), (3, 3, 512, 512))  # tiles are two pixels wide
    assert not winograd.pays((4, 16, 16, 512), (5, 5, 512, 512))
    assert not winograd.pays((4, 64, 64, 128), (3, 3, 128, 12))  # few channels: the transforms would cost more
    assert not winograd.pays((2, 16, 16, 32), (3, 3, 32, 64))  # soon done whichever way
    assert not winograd.pays((None, 16, 16, 512), (3, 3, 512, 512))


@pytest.mark.parametrize(
    ("picture", "kernel", "expected"),
    [
        ((4, 8, 8, 256), (3, 3, 256, 2048), 1),  # 16 * 64 tiles * 2048 channels: 2^21 scalars
        ((4, 64, 64, 128), (3, 3, 128, 128), 4),
        ((6, 32, 32, 256), (3, 3, 256, 256), 3),
        ((3, 64, 64, 256), (3, 3, 256, 64), 3),  # even a single one has more: as few as can be
        ((5, 32, 32, 256), (3, 3, 256, 256), 5),  # equal portions, or the transforms would be compiled twice
        ((8, 16, 16, 512), (3, 3, 512, 512), 1),  # the kernel's tiles are as large
    ],
)
def test_batches_are_split_into_equal_portions(
    picture: tuple[int, ...], kernel: tuple[int, ...], expected: int
) -> None:
    assert winograd.portions(picture, kernel) == expected


@pytest.mark.parametrize(("inputs", "outputs", "expected"), [(512, 1024, 1), (1024, 2048, 4), (1023, 2048, 11)])
def test_gradients_of_large_kernels_are_made_in_equal_slabs(inputs: int, outputs: int, expected: int) -> None:
    assert winograd.slabs((3, 3, inputs, outputs)) == expected


@pytest.mark.parametrize("to_space", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.03)])
def test_a_compiled_step_has_the_gradients_of_a_plain_convolution(
    dtype: str, tolerance: float, to_space: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The accumulators after one step of RMSprop are a tenth of the squared gradients; and what reaches the picture."""
    x, target = noise((2, 16, 16, 32), 5), noise((2, 32, 32, 12) if to_space else (2, 16, 16, 48), 6)

    def joined(layer: Conv2D, x: Tensor) -> Tensor:
        return layer.activated(x, leaky, 0.2, to_space=to_space)

    def apart(layer: Conv2D, x: Tensor) -> Tensor:
        y = ops.leaky_relu(layer(x), 0.2)
        return depth_to_space(y) if to_space else y

    def gradients(drawn: Callable[[Conv2D, Tensor], Tensor]) -> list[np.ndarray]:
        layer = Conv2D(48, 3, name="conv", dtype=dtype)
        layer.build((None, 16, 16, 32))
        layer.kernel.assign(noise((3, 3, 32, 48), 7) / 17)
        shift = keras.Variable(np.zeros((2, 16, 16, 32), np.float32))
        optimizer = RMSprop({"kernel": layer.kernel, "bias": layer.bias, "x": shift}, OptimizerSettings(0.0), seed=0)

        def objective(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
            y = drawn(layer, batch["x"] + shift)
            loss = ops.sum(ops.square(ops.cast(y, "float32") - batch["target"]))
            return {"all": loss}, {"loss": loss}

        active_backend().compile_step(objective, {"all": optimizer}, [CPU])({"x": x, "target": target})
        return [np.sqrt(10 * v.numpy()) for v in optimizer.slots["acc"].values()]

    monkeypatch.setattr(winograd, "pays", lambda picture, kernel: False)
    plain = gradients(apart)
    for got, expected in zip(gradients(joined), plain, strict=True):
        assert np.linalg.norm(got - expected) / np.linalg.norm(expected) < tolerance
    monkeypatch.setattr(winograd, "pays", lambda picture, kernel: True)
    monkeypatch.setattr(winograd, "portions", lambda picture, kernel: 2)
    monkeypatch.setattr(winograd, "slabs", lambda kernel: 4)
    for got, expected in zip(gradients(joined), plain, strict=True):
        difference = np.linalg.norm(got - expected) / np.linalg.norm(expected)
        assert 0 < difference < tolerance  # 0 if the same way had been taken twice
