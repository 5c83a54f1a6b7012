"""Image measures for training, in `keras.ops`, channels last, float32; one value per sample unless said otherwise.

Windows are separable: rows, then columns. Source: spec models 5.3-5.5; Wang, Bovik, Sheikh, Simoncelli 2004, "Image
quality assessment: from error visibility to structural similarity".
"""

from __future__ import annotations

import numpy as np

from core.nn.framework import Tensor, ops

_C1 = 0.01**2
_C2 = 0.03**2


def gaussian_window(size: int, sigma: float, center: float) -> np.ndarray:
    """(size,) float32 taps exp(-(i - center)^2 / (2 sigma^2)), normalized to sum 1."""
    taps = np.exp(-((np.arange(size) - center) ** 2) / (2.0 * sigma**2))
    return (taps / taps.sum()).astype(np.float32)


def _convolve_separable(x: Tensor, window: np.ndarray) -> Tensor:
    """(N, H, W, C) -> (N, H - n + 1, W - n + 1, C): the window along rows and columns, nothing added around."""
    channels, n = x.shape[-1], len(window)
    rows = np.broadcast_to(window.reshape(n, 1, 1, 1), (n, 1, channels, 1))
    columns = np.broadcast_to(window.reshape(1, n, 1, 1), (1, n, channels, 1))
    x = ops.depthwise_conv(x, rows, padding="valid", data_format="channels_last")
    return ops.depthwise_conv(x, columns, padding="valid", data_format="channels_last")


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Blurs (N, H, W, C) with zeros around: an odd window of about 4 * sigma, at least 3.

    Along each axis one product with a banded matrix: exact for any window, and with the wide ones of the style losses
    five times as fast on a CPU as sliding them (512 pixels, 257 taps, with gradient: 35 against 194 ms).
    """
    for _ in ("rows", "columns"):
        height, width, channels = x.shape[1:]
        lines = ops.reshape(x, (-1, height, width * channels))
        blurred = ops.matmul(_blur_matrix(height, sigma), lines)
        x = ops.transpose(ops.reshape(blurred, (-1, height, width, channels)), (0, 2, 1, 3))
    return x


def _blur_matrix(side: int, sigma: float) -> np.ndarray:
    """(side, side) float32: row i holds the blur's window around pixel i, cut off at the ends."""
    size = max(3, int(4 * sigma))
    size += 1 - size % 2
    window = gaussian_window(size, sigma, size // 2)
    offset = np.arange(side)[None] - np.arange(side)[:, None] + size // 2
    inside = (offset >= 0) & (offset < size)
    return np.where(inside, window[np.clip(offset, 0, size - 1)], np.float32(0.0))


def dssim(a: Tensor, b: Tensor, size: int) -> Tensor:
    """Structural dissimilarity (1 - SSIM) / 2 of two (N, H, W, C) in [0, 1] -> (N, C), 0 where they are equal.

    Gaussian window of `size` with sigma 1.5 whatever the size, inside the picture only.
    """
    window = gaussian_window(size, 1.5, (size - 1) / 2)
    stacked = ops.concatenate([a, b, a * a + b * b, a * b], axis=-1)
    mean_a, mean_b, squares, product = ops.split(_convolve_separable(stacked, window), 4, axis=-1)
    means_product, means_squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    luminance = (2.0 * means_product + _C1) / (means_squares + _C1)
    contrast = (2.0 * (product - means_product) + _C2) / (squares - means_squares + _C2)
    return (1.0 - ops.mean(luminance * contrast, axis=(1, 2))) / 2.0


def mean_squared(a: Tensor, b: Tensor) -> Tensor:
    """(N, H, W, C) twice -> (N,): mean of the squared differences."""
    return ops.mean(ops.square(a - b), axis=(1, 2, 3))


def sigmoid_cross_entropy(logits: Tensor, label: float) -> Tensor:
    """(N, ...) -> (N,): mean cross-entropy of sigmoid(logits) against one label for all, 0 or 1."""
    logits = ops.cast(logits, "float32")
    return ops.mean(ops.softplus(logits) - label * logits, axis=tuple(range(1, len(logits.shape))))


def total_variation(x: Tensor) -> Tensor:
    """(N, H, W, C) -> (N,): sum of the squared differences of neighbors below and beside each other."""
    below, beside = x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]
    return ops.sum(ops.square(below), axis=(1, 2, 3)) + ops.sum(ops.square(beside), axis=(1, 2, 3))


def style_loss(a: Tensor, b: Tensor, blur_sigma: float, weight: float) -> Tensor:
    """weight / C * sum over channels of the squared differences of mean and deviation, after a blur -> (N,)."""
    channels = a.shape[-1]
    blurred = gaussian_blur(ops.concatenate([a, b], axis=-1), blur_sigma)
    mean = ops.mean(blurred, axis=(1, 2), keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(blurred - mean), axis=(1, 2)) + 1e-5)
    cost = 0.0
    for statistic in (mean[:, 0, 0], deviation):
        cost += ops.sum(ops.square(statistic[:, :channels] - statistic[:, channels:]), axis=-1)
    return weight / channels * cost
