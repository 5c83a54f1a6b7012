"""3x3 convolutions by Winograd's minimal filtering F(2x2, 3x3): 16 products where the definition takes 36.

A picture is cut into tiles of 4x4 pixels that overlap by two, each tile giving 2x2 pixels of the result:

    result = A' [ (G kernel G') * (B' tile B) ] A       (' transposes, * multiplies element by element)

so that, over all tiles and channels, a convolution is 16 matrix products between three transforms of a few additions.
The gradients run through the same 16 products, by the transforms' adjoints. All factors are 1, 1/2 and 1/4: rounding
is that of a plain convolution within a small factor. Bias and leaky activation go along with the last transform, which
saves their passes over memory, and the picture before the activation.
Source: Lavin & Gray 2015, "Fast Algorithms for Convolutional Neural Networks"; Winograd 1980.

The functions here are the six transforms, pure, in `keras.ops`, computing in float32 and giving back the type they
are given where nothing else is said; `core/nn/backend_<name>.py` compiles them and puts the products between.
Each goes along rows, then along columns, in two sums over large arrays: written out cell by cell it took three times
as long to compile and a third longer to run. Pictures are (N, H, W, C) with H and W even, kernels
(3, 3, in, out), tiles (16, N * H/2 * W/2, C).
"""

from __future__ import annotations

from collections.abc import Sequence

from core.nn.framework import Tensor, ops

Matrix = Sequence[Sequence[float]]

_B = ((1, 0, 0, 0), (0, 1, -1, 1), (-1, 1, 1, 0), (0, 0, 0, -1))
_B_T = tuple(zip(*_B, strict=True))
_G = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
_G_T = tuple(zip(*_G, strict=True))
_A = ((1, 0), (1, 1), (1, -1), (0, -1))
_A_T = tuple(zip(*_A, strict=True))

_PORTION = 2**21
"""Scalars of a picture's tiles that are made at once: 8 MB, which the processor's cache holds."""

_SLAB = 2**23
"""Scalars of a kernel's tiles that gradients make at once."""


def pays(picture: Sequence[int | None], kernel: Sequence[int]) -> bool:
    """Whether 16 products beat 36 with the transforms counted in, and by enough to be worth compiling six of them.

    A second of compiling and 20 MB are for layers that take a twentieth of a second per step; nets as small as the
    demo's have none.
    """
    count, height, width, _ = picture
    if count is None or height is None or width is None or height % 2 or width % 2 or tuple(kernel[:2]) != (3, 3):
        return False
    pixels = count * height * width
    return pixels >= 128 and min(kernel[2:]) >= 64 and 9 * pixels * kernel[2] * kernel[3] >= 1e9


def portions(picture: Sequence[int], kernel: Sequence[int]) -> int:
    """Into how many equal portions a batch is to be split: their tiles small, but no smaller than the kernel's.

    Each portion reads the kernel's tiles anew.
    """
    count, height, width, _ = picture
    scalars, limit = 4 * height * width * max(kernel[2:]), max(_PORTION, 16 * kernel[2] * kernel[3])
    return next(k for k in range(1, count + 1) if count % k == 0 and (count // k * scalars <= limit or k == count))


def slabs(kernel: Sequence[int]) -> int:
    """Into how many equal slabs of input channels the gradient of a kernel is to be split."""
    channels = kernel[2]
    return next(k for k in range(1, channels + 1) if channels % k == 0 and 16 * channels // k * kernel[3] <= _SLAB)


def picture_tiles(picture: Tensor) -> Tensor:
    """(N, H, W, C) -> (16, N * H/2 * W/2, C): B' tile B of every tile, with a frame of zeros around the picture."""
    _, height, width, channels = picture.shape
    x = ops.pad(ops.cast(picture, "float32"), ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = ops.stack(_combined(_B_T, [x[:, k : k + height - 1 : 2] for k in range(4)]))
    x = ops.stack(_combined(_B_T, [x[:, :, :, k : k + width - 1 : 2] for k in range(4)]), axis=1)
    return ops.cast(ops.reshape(x, (16, -1, channels)), picture.dtype)


def picture_tiles_adjoint(tiles: Tensor, shape: Sequence[int]) -> Tensor:
    """What flows back through `picture_tiles`: (16, N * H/2 * W/2, C) -> a picture of the given (N, H, W, C)."""
    x = _spread(tiles, shape)
    x = ops.stack(_overlapped(_combined(_B, [x[k] for k in range(4)]), axis=2), axis=3)
    x = ops.stack(_overlapped(_combined(_B, [x[k] for k in range(4)]), axis=3), axis=4)
    return ops.cast(ops.reshape(x, shape), tiles.dtype)


def kernel_tiles(kernel: Tensor, dtype: str) -> Tensor:
    """(3, 3, in, out) -> (16, in, out) of the given type: G kernel G'."""
    x = ops.cast(kernel, "float32")
    x = ops.stack(_combined(_G, [x[k] for k in range(3)]))
    x = ops.stack(_combined(_G, [x[:, k] for k in range(3)]), axis=1)
    return ops.cast(ops.reshape(x, (16, *kernel.shape[2:])), dtype)


def kernel_tiles_adjoint(tiles: Tensor) -> Tensor:
    """What flows back through `kernel_tiles`: (16, in, out) -> (3, 3, in, out) float32."""
    x = ops.reshape(ops.cast(tiles, "float32"), (4, 4, *tiles.shape[1:]))
    x = ops.stack(_combined(_G_T, [x[k] for k in range(4)]))
    return ops.stack(_combined(_G_T, [x[:, k] for k in range(4)]), axis=1)


def result(tiles: Tensor, bias: Tensor, shape: Sequence[int], slope: Tensor | float) -> Tensor:
    """(16, N * H/2 * W/2, out), (out,) -> (N, H, W, out): leaky(A' tile A + bias), side by side."""
    x = _spread(tiles, shape)
    x = ops.stack(_combined(_A_T, [x[k] for k in range(4)]), axis=3)
    x = ops.stack(_combined(_A_T, [x[k] for k in range(4)]), axis=4)
    x = ops.reshape(x, shape) + ops.cast(bias, "float32")
    return ops.cast(ops.maximum(x, slope * x), tiles.dtype)


def result_adjoint(upstream: Tensor, picture: Tensor, slope: Tensor | float) -> Tensor:
    """What flows back through `result`: (N, H, W, out), and what `result` gave -> (16, N * H/2 * W/2, out)."""
    x = ops.cast(upstream, "float32")
    x = ops.where(picture > 0, x, slope * x)
    x = ops.stack(_combined(_A, [x[:, k::2] for k in range(2)]))
    x = ops.stack(_combined(_A, [x[:, :, :, k::2] for k in range(2)]), axis=1)
    return ops.cast(ops.reshape(x, (16, -1, upstream.shape[-1])), upstream.dtype)


def bias_adjoint(tiles: Tensor) -> Tensor:
    """What reaches the bias, of what `result_adjoint` gave: cell (1, 1) of a tile is the sum of its four pixels."""
    return ops.sum(ops.cast(tiles[5], "float32"), axis=0)


def _spread(tiles: Tensor, shape: Sequence[int]) -> Tensor:
    """(16, N * H/2 * W/2, C) -> (4, 4, N, H/2, W/2, C) float32."""
    count, height, width, channels = shape
    return ops.reshape(ops.cast(tiles, "float32"), (4, 4, count, height // 2, width // 2, channels))


def _combined(matrix: Matrix, terms: Sequence[Tensor]) -> list[Tensor]:
    """matrix @ terms, with the zeros left out and the ones not multiplied."""
    return [
        sum(term if factor == 1 else factor * term for factor, term in zip(row, terms, strict=True) if factor)
        for row in matrix
    ]


def _overlapped(taps: Sequence[Tensor], axis: int) -> list[Tensor]:
    """The sums where tiles overlap along an axis: the four pixels of every tile -> the even and the odd pixels.

    Without the frame, an even pixel is pixel 1 of its tile and pixel 3 of the one before, an odd one is pixel 2 of its
    tile and pixel 0 of the one behind.
    """
    return [taps[1] + _shifted(taps[3], axis, 1), taps[2] + _shifted(taps[0], axis, -1)]


def _shifted(x: Tensor, axis: int, by: int) -> Tensor:
    """Moved one place along an axis, up or down, with zeros moving in."""
    pads, kept = [(0, 0)] * len(x.shape), [slice(None)] * len(x.shape)
    pads[axis] = (1, 0) if by > 0 else (0, 1)
    kept[axis] = slice(None, -1) if by > 0 else slice(1, None)
    return ops.pad(x[tuple(kept)], pads)
