"""Padding, shuffles and blocks against arithmetic done by hand or by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from core.nn.layers import (
    Conv2D,
    Downscale,
    ResidualBlock,
    Upscale,
    cosine,
    depth_to_space,
    flatten_channels_first,
    leaky,
    pixel_norm,
    unflatten_channels_first,
)


def convolution(kernel_size: int, strides: int, kernel: np.ndarray) -> Conv2D:
    layer = Conv2D(kernel.shape[-1], kernel_size, strides=strides, name="conv")
    layer.build((None, None, None, kernel.shape[-2]))
    layer.kernel.assign(kernel)
    return layer


def plain_convolution(x: np.ndarray, kernel: np.ndarray, strides: int) -> np.ndarray:
    """Zeros on all four sides, kernel_size // 2 of them, then a loop over output pixels in float64."""
    k = kernel.shape[0]
    margin = k // 2
    x = np.pad(x.astype(np.float64), ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    side = (x.shape[1] - k) // strides + 1
    out = np.zeros((len(x), side, side, kernel.shape[-1]))
    for row in range(side):
        for column in range(side):
            window = x[:, row * strides : row * strides + k, column * strides : column * strides + k]
            out[:, row, column] = np.tensordot(window, kernel.astype(np.float64), 3)
    return out


def test_an_impulse_in_the_corner_meets_the_middle_of_the_kernel() -> None:
    kernel = np.arange(25, dtype=np.float32).reshape(5, 5, 1, 1)
    picture = np.zeros((1, 8, 8, 1), np.float32)
    picture[0, 0, 0, 0] = 1.0
    out = np.asarray(convolution(5, 2, kernel)(picture))
    assert out.shape == (1, 4, 4, 1)
    assert out[0, 0, 0, 0] == kernel[2, 2, 0, 0]
    assert out[0, 1, 1, 0] == kernel[0, 0, 0, 0]


@pytest.mark.parametrize(("kernel_size", "strides"), [(1, 1), (3, 1), (3, 2), (5, 2), (4, 2), (2, 1)])
@pytest.mark.parametrize("side", [8, 9])
def test_convolution_matches_numpy(kernel_size: int, strides: int, side: int) -> None:
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((kernel_size, kernel_size, 3, 4)).astype(np.float32)
    picture = rng.standard_normal((2, side, side, 3)).astype(np.float32)
    layer = convolution(kernel_size, strides, kernel)
    expected = plain_convolution(picture, kernel, strides)
    assert layer.compute_output_shape((2, side, side, 3)) == expected.shape
    np.testing.assert_allclose(np.asarray(layer(picture)), expected, atol=1e-5)


def test_depth_to_space_puts_each_channel_where_it_belongs() -> None:
    x = np.zeros((1, 2, 3, 12), np.float32)
    for k in range(12):
        x[..., k] = k
    out = np.asarray(depth_to_space(x))
    assert out.shape == (1, 4, 6, 3)
    for dy in range(2):
        for dx in range(2):
            for c in range(3):
                assert (out[0, dy::2, dx::2, c] == (2 * dy + dx) * 3 + c).all()


def test_flatten_is_channel_row_column_and_has_an_inverse() -> None:
    x = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    flat = np.asarray(flatten_channels_first(x))
    assert flat[1, (2 * 3 + 1) * 4 + 3] == x[1, 1, 3, 2]
    np.testing.assert_array_equal(np.asarray(unflatten_channels_first(flat, 3, 4)), x)


def test_pixel_norm_scales_to_unit_mean_square_in_float32() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0], [300.0, 400.0]], np.float32)
    out = np.asarray(pixel_norm(x))
    np.testing.assert_allclose(out, [[3 / 12.5**0.5, 4 / 12.5**0.5], [0, 0], [3 / 12.5**0.5, 4 / 12.5**0.5]], rtol=1e-6)


def test_activations() -> None:
    x = np.array([-2.0, 0.0, 3.0], np.float32)
    np.testing.assert_allclose(np.asarray(leaky(x, 0.1)), [-0.2, 0.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(cosine(x, 0.1)), x * np.cos(x), rtol=1e-6)


def test_blocks_follow_their_formulas() -> None:
    rng = np.random.default_rng(1)
    picture = rng.standard_normal((1, 6, 6, 4)).astype(np.float32)

    def filled(block: Downscale | Upscale | ResidualBlock) -> list[np.ndarray]:
        block.build((None, 6, 6, 4))
        values = []
        for variable in block.variables:
            values.append(rng.standard_normal(variable.shape).astype(np.float32) / 4)
            variable.assign(values[-1])
        return values

    def slope(x: np.ndarray, a: float) -> np.ndarray:
        return np.maximum(x, a * x)

    down = Downscale(5, leaky, name="down")
    kernel, bias = filled(down)
    np.testing.assert_allclose(
        np.asarray(down(picture)), slope(plain_convolution(picture, kernel, 2) + bias, 0.1), atol=1e-5
    )
    up = Upscale(2, leaky, name="up")
    kernel, bias = filled(up)
    wide = slope(plain_convolution(picture, kernel, 1) + bias, 0.1)
    expected = wide.reshape(1, 6, 6, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(1, 12, 12, 2)
    np.testing.assert_allclose(np.asarray(up(picture)), expected, atol=1e-5)
    residual = ResidualBlock(4, leaky, name="res")
    kernel1, bias1, kernel2, bias2 = filled(residual)
    inner = slope(plain_convolution(picture, kernel1, 1) + bias1, 0.2)
    expected = slope(picture + plain_convolution(inner, kernel2, 1) + bias2, 0.2)
    np.testing.assert_allclose(np.asarray(residual(picture)), expected, atol=1e-5)
