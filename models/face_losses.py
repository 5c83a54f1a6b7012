"""What a redrawn face costs: structure, pixels, masks, eyes and mouth, style, and what critics say of it. Source: spec
models 5.3-5.5, 6.1.

Everything is float32; faces (N, R, R, 3) and masks (N, R, R, 1) in [0, 1]; results are one value per sample, (N,).
Nothing here stops a gradient unless its docstring says so.
"""

from __future__ import annotations

from core.nn.framework import Tensor, ops
from core.nn.losses import dssim, gaussian_blur, mean_squared, sigmoid_cross_entropy, style_loss, total_variation

_NO_SURROUNDINGS = 1e-4
"""A pixel with less than this share of surroundings under the blur is all face."""


def structure_windows(resolution: int) -> tuple[int, ...]:
    """The window sizes of the structural term: one below 256 pixels, a large and a small one from there on."""
    large = int(resolution / 11.6)
    return (large,) if resolution < 256 else (large, int(resolution / 23.2))


# Masks.


def soft_mask(mask: Tensor, resolution: int) -> Tensor:
    """2 * clip(blur(mask), 0, 0.5): one inside the mask, falling off outside its edge within about R/32 pixels."""
    return 2.0 * ops.clip(blurred_mask(mask, resolution), 0.0, 0.5)


def blurred_mask(mask: Tensor, resolution: int) -> Tensor:
    """blur(mask) with sigma R/32: falls off on both sides of the mask's edge."""
    return gaussian_blur(mask, max(1, resolution // 32))


def blur_out(target: Tensor, mask: Tensor, resolution: int) -> Tensor:
    """The target with its surroundings blurred (sigma R/128), none of the face's own pixels smeared into them.

    What is blurred is divided by how much of it there was, so nothing darkens at the picture's border, where the
    classical divisor 1 - blur(mask) leaves 0.6 of the light. Source: spec samples-and-colour 7.1.
    """
    sigma, outside = resolution / 128, 1.0 - mask
    share = gaussian_blur(outside, sigma)
    surroundings = gaussian_blur(target * outside, sigma) / ops.where(share < _NO_SURROUNDINGS, 1.0, share)
    return target * mask + surroundings * outside


# How well a face is redrawn.


def reconstruction_loss(
    target: Tensor, face: Tensor, mask: Tensor, drawn_mask: Tensor, weight: Tensor | None = None
) -> Tensor:
    """10 * structure + 10 * squared pixel differences + 10 * squared mask differences.

    Args:
        target, face: what the face looks like, and what the model drew.
        mask, drawn_mask: the same for the mask.
        weight: (N, R, R, 1), multiplied into target and face before they are compared; None compares all alike.
    """
    if weight is not None:
        target, face = target * weight, face * weight
    windows = structure_windows(target.shape[1])
    structure = sum(ops.mean(dssim(target, face, size), axis=-1) for size in windows) / len(windows)
    return 10.0 * (structure + mean_squared(target, face) + mean_squared(mask, drawn_mask))


def eyes_mouth_loss(target: Tensor, face: Tensor, eyes_mouth_mask: Tensor) -> Tensor:
    """300 * mean absolute difference inside the eyes and the mouth."""
    return 300.0 * ops.mean(ops.abs(target * eyes_mouth_mask - face * eyes_mouth_mask), axis=(1, 2, 3))


# Style: the swap compared with dst.


def face_style_loss(swap: Tensor, swap_mask: Tensor, dst: Tensor, dst_mask: Tensor, power: float) -> Tensor:
    """How far the colors inside the swapped face are from those inside dst's, of images blurred with sigma R/8.

    Only `swap` gets a gradient.

    Args:
        swap, swap_mask: dst drawn as src. The swap is to be decoded from a code without gradient, so that the decoder
            alone learns from this.
        dst, dst_mask: dst drawn as itself.
        power: 0 to 100.
    """
    wanted = ops.stop_gradient(dst * dst_mask)
    return style_loss(swap * ops.stop_gradient(swap_mask), wanted, swap.shape[1] // 8, 100.0 * power)


def background_weight(swap_mask: Tensor, dst_mask: Tensor) -> Tensor:
    """Where swap and dst are compared by `background_style_loss`: outside the faces that both masks drawn show."""
    both = swap_mask * dst_mask
    return 1.0 - ops.stop_gradient(ops.clip(blurred_mask(both, both.shape[1]), 0.0, 1.0))


def classical_background_weight(src_mask: Tensor) -> Tensor:
    """The weight as the field's trainers always had it: outside the mask of src, which lies elsewhere than dst's."""
    return 1.0 - ops.stop_gradient(soft_mask(src_mask, src_mask.shape[1]))


def background_style_loss(swap: Tensor, dst: Tensor, weight: Tensor, power: float) -> Tensor:
    """power / 100 * (10 * structure + 10 * squared pixel differences) of the swap and the true dst.

    Args:
        weight: of `background_weight` or `classical_background_weight`.
        power: 0 to 100.
    """
    swap, dst = swap * weight, dst * weight
    structure = ops.mean(dssim(swap, dst, structure_windows(swap.shape[1])[0]), axis=-1)
    return power / 10.0 * (structure + mean_squared(swap, dst))


# Adversaries. `patches` are the two outputs of a PatchDiscriminator: logits of the coarse grid and of every pixel.

Patches = tuple[Tensor, Tensor]


def true_face_loss(src_logits: Tensor) -> Tensor:
    """For the autoencoder: src codes are to be taken for dst codes. Multiply by the true face power."""
    return sigmoid_cross_entropy(src_logits, 1.0)


def code_discriminator_loss(src_logits: Tensor, dst_logits: Tensor) -> Tensor:
    """For the code discriminator: 1 for dst codes, 0 for src codes."""
    return 0.5 * (sigmoid_cross_entropy(dst_logits, 1.0) + sigmoid_cross_entropy(src_logits, 0.0))


def gan_loss(drawn: Patches) -> Tensor:
    """For the autoencoder: drawn faces are to be taken for real ones. Multiply by the GAN power."""
    return sum(sigmoid_cross_entropy(logits, 1.0) for logits in drawn)


def patch_discriminator_loss(real: Patches, drawn: Patches) -> Tensor:
    """For the patch discriminator: 1 for real faces, 0 for drawn ones."""
    told = [sigmoid_cross_entropy(logits, 1.0) for logits in real]
    told += [sigmoid_cross_entropy(logits, 0.0) for logits in drawn]
    return 0.5 * sum(told)


def surroundings_loss(target: Tensor, face: Tensor, weight: Tensor) -> Tensor:
    """With a GAN and masked training, what keeps the unjudged surroundings in order: smooth, and near the target's.

    1e-6 * total variation of the whole face + 0.02 * squared pixel differences outside the weight.

    Args:
        target, face: what the face looks like, and what the model drew.
        weight: the soft mask inside which faces are compared and judged.
    """
    outside = 1.0 - weight
    return 1e-6 * total_variation(face) + 0.02 * mean_squared(face * outside, target * outside)
