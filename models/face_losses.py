"""What a redrawn face costs: structure, pixels and the learned mask. Source: spec models 5.3, 5.4, 6.1.

Everything is float32; faces (N, R, R, 3) and masks (N, R, R, 1) in [0, 1]; results are one value per sample.
"""

from __future__ import annotations

from core.nn.framework import Tensor, ops
from core.nn.losses import dssim, gaussian_blur, mean_squared


def structure_windows(resolution: int) -> tuple[int, ...]:
    """The window sizes of the structural term: one below 256 pixels, a large and a small one from there on."""
    large = int(resolution / 11.6)
    return (large,) if resolution < 256 else (large, int(resolution / 23.2))


def soft_mask(mask: Tensor, resolution: int) -> Tensor:
    """2 * clip(blur(mask), 0, 0.5): one inside the mask, falling off outside its edge within about R/32 pixels."""
    return 2.0 * ops.clip(gaussian_blur(mask, max(1, resolution // 32)), 0.0, 0.5)


def blurred_mask(mask: Tensor, resolution: int) -> Tensor:
    """blur(mask) with sigma R/32: falls off on both sides of the mask's edge."""
    return gaussian_blur(mask, max(1, resolution // 32))


def reconstruction_loss(target: Tensor, face: Tensor, mask: Tensor, drawn_mask: Tensor, weight: Tensor) -> Tensor:
    """10 * structure + 10 * squared pixel differences + 10 * squared mask differences -> (N,).

    Args:
        target, face: what the face looks like, and what the model drew.
        mask, drawn_mask: the same for the mask.
        weight: (N, R, R, 1), multiplied into target and face before they are compared.
    """
    target, face = target * weight, face * weight
    windows = structure_windows(target.shape[1])
    structure = sum(ops.mean(dssim(target, face, size), axis=-1) for size in windows) / len(windows)
    return 10.0 * (structure + mean_squared(target, face) + mean_squared(mask, drawn_mask))
