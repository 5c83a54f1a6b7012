"""Layers and blocks of the swap networks, in `keras.ops`, channels last. Source: spec models 1.2, 1.3, 2.2.

Shapes are (N, H, W, C). Every weight has the name of its layer's path: "down1/downs_0/conv1/kernel". A block with
`dtype="mixed_bfloat16"` keeps float32 weights and computes in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.nn.backend import active_backend
from core.nn.framework import Tensor, keras, ops

Activation = Callable[[Tensor, float], Tensor]
"""(features, slope) -> features."""

Shape = tuple[int | None, ...]


def leaky(x: Tensor, slope: float) -> Tensor:
    """max(x, slope * x)."""
    return active_backend().leaky(x, slope)


def cosine(x: Tensor, slope: float) -> Tensor:
    """x * cos(x), the activation of flag "c"; takes a slope as `leaky` does, and has no use for it."""
    del slope
    return x * ops.cos(x)


def pixel_norm(x: Tensor, axis: int | tuple[int, ...] = -1) -> Tensor:
    """x / sqrt(mean(x^2) + 1e-6), always computed in float32."""
    x = ops.cast(x, "float32")
    return x * ops.rsqrt(ops.mean(ops.square(x), axis=axis, keepdims=True) + 1e-6)


def flatten_channels_first(x: Tensor) -> Tensor:
    """(N, H, W, C) -> (N, C*H*W): channel slowest, then row, then column, the order that stored weights expect."""
    _, height, width, channels = x.shape
    return ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (-1, channels * height * width))


def unflatten_channels_first(x: Tensor, height: int, width: int) -> Tensor:
    """(N, C*H*W) -> (N, H, W, C): the inverse of `flatten_channels_first`."""
    return ops.transpose(ops.reshape(x, (-1, x.shape[-1] // (height * width), height, width)), (0, 2, 3, 1))


def depth_to_space(x: Tensor) -> Tensor:
    """(N, H, W, 4*C) -> (N, 2*H, 2*W, C): input channel (2*dy + dx)*C + c goes to pixel (2*y + dy, 2*x + dx)."""
    return ops.depth_to_space(x, 2, data_format="channels_last")


class Conv2D(keras.layers.Layer):
    """A convolution with zeros added on all four sides alike: floor(kernel / 2) of them, and a bias.

    With stride 1 and an odd kernel that is the usual "same" convolution. With stride 2 it is not: the frameworks'
    "same" puts more zeros behind than before, which shifts the grid by a pixel. Source: spec models 1.2.
    """

    def __init__(self, filters: int, kernel_size: int, *, strides: int = 1, name: str, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.kernel: keras.Variable
        self.bias: keras.Variable

    def build(self, input_shape: Shape) -> None:
        window = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=window, initializer="zeros", autocast=False)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros", autocast=False)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *sides, _ = input_shape
        grown = 2 * (self.kernel_size // 2) - self.kernel_size
        return (batch, *[side and (side + grown) // self.strides + 1 for side in sides], self.filters)

    def call(self, x: Tensor, slope: float = 1.0, to_space: bool = False) -> Tensor:
        """(N, H, W, in) -> (N, floor((H + 2*margin - kernel) / stride) + 1, ..., filters), then leaky with a slope."""
        kernel, bias = ops.convert_to_tensor(self.kernel), ops.convert_to_tensor(self.bias)
        return active_backend().convolve(
            x, kernel, bias, strides=self.strides, margin=self.kernel_size // 2, slope=slope, to_space=to_space
        )

    def activated(self, x: Tensor, activation: Activation, slope: float, to_space: bool = False) -> Tensor:
        """activation(self(x), slope), to space where wanted; leaky goes along with the convolution."""
        if activation is leaky:
            return self(x, slope=slope, to_space=to_space)
        y = activation(self(x), slope)
        return depth_to_space(y) if to_space else y


class Dense(keras.layers.Dense):
    """A fully connected layer. It computes in float32 whatever its neighbors do: it is the information bottleneck."""

    def __init__(self, units: int, *, name: str) -> None:
        super().__init__(units, kernel_initializer="zeros", name=name, dtype="float32")


class Downscale(keras.layers.Layer):
    """Halves the sides: activation_0.1(conv 5x5 stride 2)."""

    def __init__(self, filters: int, activation: Activation, *, name: str, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.filters = filters
        self.activation = activation
        self.conv1 = Conv2D(filters, 5, strides=2, name="conv1", dtype=dtype)

    def build(self, input_shape: Shape) -> None:
        self.conv1.build(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, _ = input_shape
        return batch, height and (height + 1) // 2, width and (width + 1) // 2, self.filters

    def call(self, x: Tensor) -> Tensor:
        """(N, H, W, in) -> (N, H/2, W/2, filters)."""
        return self.conv1.activated(x, self.activation, 0.1)


class DownscaleStack(keras.layers.Layer):
    """`count` Downscales in a row, each doubling the channels up to eight times the first."""

    def __init__(self, filters: int, count: int, activation: Activation, *, name: str, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.downs = [
            Downscale(filters * min(2**k, 8), activation, name=f"downs_{k}", dtype=dtype) for k in range(count)
        ]

    def build(self, input_shape: Shape) -> None:
        for down in self.downs:
            down.build(input_shape)
            input_shape = down.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        for down in self.downs:
            input_shape = down.compute_output_shape(input_shape)
        return input_shape

    def call(self, x: Tensor) -> Tensor:
        """(N, H, W, in) -> (N, H/2^count, W/2^count, filters * min(2^(count-1), 8))."""
        for down in self.downs:
            x = down(x)
        return x


class Upscale(keras.layers.Layer):
    """Doubles the sides: depth_to_space(activation_0.1(conv 3x3 to four times the channels))."""

    def __init__(self, filters: int, activation: Activation, *, name: str, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.filters = filters
        self.activation = activation
        self.conv1 = Conv2D(4 * filters, 3, name="conv1", dtype=dtype)

    def build(self, input_shape: Shape) -> None:
        self.conv1.build(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, _ = input_shape
        return batch, height and 2 * height, width and 2 * width, self.filters

    def call(self, x: Tensor) -> Tensor:
        """(N, H, W, in) -> (N, 2*H, 2*W, filters)."""
        return self.conv1.activated(x, self.activation, 0.1, to_space=True)


class ResidualBlock(keras.layers.Layer):
    """activation_0.2(x + conv2(activation_0.2(conv1(x)))), 3x3, as many channels out as in."""

    def __init__(self, filters: int, activation: Activation, *, name: str, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.activation = activation
        self.conv1 = Conv2D(filters, 3, name="conv1", dtype=dtype)
        self.conv2 = Conv2D(filters, 3, name="conv2", dtype=dtype)

    def build(self, input_shape: Shape) -> None:
        self.conv1.build(input_shape)
        self.conv2.build(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, x: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C)."""
        return self.activation(self.conv2(self.conv1.activated(x, self.activation, 0.2)) + x, 0.2)
