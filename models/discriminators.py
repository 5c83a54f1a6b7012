"""The two critics of adversarial training: of codes ("true face") and of faces, patch by patch (GAN). Source: spec
models 3.2, 3.3.

Parameter names, kernel layouts and the order of layers are those of stored models of the field, so that such files fit
without touching a tensor. Logits are float32 in every precision; with `trunk="mixed_bfloat16"` the convolutions before
them compute in bfloat16.
"""

from __future__ import annotations

from typing import Any

from core.nn.framework import Tensor, keras, ops
from core.nn.layers import Conv2D, Shape, leaky
from models.patch_solver import code_widths, level_widths, solve_patch_size


class CodeDiscriminator(keras.layers.Layer):
    """(N, G, G, ae), the output of DF's inter -> logits (N, g, g, 1) float32: whose code is it, dst's or src's?"""

    def __init__(self, grid: int, *, name: str = "code_discriminator", trunk: Any = None) -> None:
        """`grid` is the G of the codes."""
        super().__init__(name=name, dtype="float32")
        self.convs = [
            Conv2D(width, 4 if k == 0 else 3, strides=2, name=f"convs_{k}", dtype=trunk)
            for k, width in enumerate(code_widths(grid))
        ]
        self.out_conv = Conv2D(1, 1, name="out_conv", dtype="float32")

    def build(self, input_shape: Shape) -> None:
        for layer in [*self.convs, self.out_conv]:
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)

    def call(self, code: Tensor) -> Tensor:
        for conv in self.convs:
            code = leaky(conv(code), 0.1)
        return self.out_conv(code)


class PatchDiscriminator(keras.layers.Layer):
    """(N, R, R, 3) -> logits on the coarse grid (N, r, r, 1) and for every pixel (N, R, R, 1): drawn, or real?

    A U-Net whose way down sees about `patch_size` pixels around each point of the coarse grid. Any R will do: where a
    side is odd on the way down, the way up is one pixel too long there, and that pixel is cut off.
    """

    def __init__(self, patch_size: int, dims: int, *, name: str = "GAN", trunk: Any = None) -> None:
        """`dims` is the width of the first level; each further one is twice as wide, 512 at most."""
        super().__init__(name=name, dtype="float32")
        strides = solve_patch_size(patch_size)
        first, *widths = level_widths(dims, len(strides))
        self.convs = [
            Conv2D(width, 3, strides=stride, name=f"convs_{k}", dtype=trunk)
            for k, (width, stride) in enumerate(zip(widths, strides, strict=True))
        ]
        self.upconvs = [
            keras.layers.Conv2DTranspose(
                width, 3, strides=stride, padding="same", kernel_initializer="zeros", name=f"upconvs_{k}", dtype=trunk
            )
            for k, (width, stride) in enumerate(zip([first, *widths[:-1]][::-1], strides[::-1], strict=True))
        ]
        self.in_conv = Conv2D(first, 1, name="in_conv", dtype=trunk)
        self.out_conv = Conv2D(1, 1, name="out_conv", dtype="float32")
        self.center_out = Conv2D(1, 1, name="center_out", dtype="float32")
        self.center_conv = Conv2D(widths[-1], 1, name="center_conv", dtype=trunk)

    def build(self, input_shape: Shape) -> None:
        self.in_conv.build(input_shape)
        channels = [self.in_conv.filters, *(conv.filters for conv in self.convs)]
        for conv, incoming in zip(self.convs, channels, strict=False):
            conv.build((None, None, None, incoming))
        self.center_out.build((None, None, None, channels[-1]))
        self.center_conv.build((None, None, None, channels[-1]))
        incoming = channels[-1]
        for upconv in self.upconvs:
            upconv.build((None, None, None, incoming))
            incoming = 2 * upconv.filters
        self.out_conv.build((None, None, None, incoming))

    def call(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = leaky(self.in_conv(x), 0.2)
        skips = []
        for conv in self.convs:
            skips.append(x)
            x = leaky(conv(x), 0.2)
        coarse = self.center_out(x)
        x = leaky(self.center_conv(x), 0.2)
        for upconv, skip in zip(self.upconvs, reversed(skips), strict=True):
            x = leaky(upconv(x), 0.2)[:, : skip.shape[1], : skip.shape[2]]
            x = ops.concatenate([skip, x], axis=-1)
        return coarse, self.out_conv(x)
