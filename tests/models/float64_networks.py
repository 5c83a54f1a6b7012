"""The swap networks and SAEHD's whole objective in float64 NumPy, from the formulas (spec models 2, 3, 5), sharing no
code with the networks they check.

Tensors come by name, as models export them. Faces are (N, R, R, 3), BGR, masks (N, R, R, 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.saehd_options import SAEHDOptions
from tests.models.test_face_losses import blurred, cross_entropy, structure

Tensors = Mapping[str, np.ndarray]
Parts = Mapping[str, Tensors]


def leaky(x: np.ndarray, slope: float) -> np.ndarray:
    return np.maximum(x, slope * x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def conv(t: Tensors, name: str, x: np.ndarray, stride: int = 1) -> np.ndarray:
    kernel, bias = t[f"{name}/weight"], t[f"{name}/bias"]
    k = kernel.shape[0]
    x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    windows = sliding_window_view(x, (k, k), axis=(1, 2))[:, ::stride, ::stride]
    return np.tensordot(windows, kernel, ([4, 5, 3], [0, 1, 2])) + bias


def transposed(t: Tensors, name: str, x: np.ndarray, stride: int) -> np.ndarray:
    """Every pixel paints its kernel; of what sticks out, stride 1 loses a row on each side, stride 2 the last one."""
    kernel, bias = t[f"{name}/weight"], t[f"{name}/bias"]
    n, h, w, _ = x.shape
    out = np.zeros((n, stride * (h - 1) + 3, stride * (w - 1) + 3, kernel.shape[2]))
    for dy in range(3):
        for dx in range(3):
            out[:, dy : dy + stride * h : stride, dx : dx + stride * w : stride] += x @ kernel[dy, dx].T
    first = 1 if stride == 1 else 0
    return out[:, first : first + stride * h, first : first + stride * w] + bias


def shuffled(x: np.ndarray) -> np.ndarray:
    """Four times the channels to twice the sides."""
    n, h, w, c = x.shape
    return x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 4)


def upscale(t: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    return shuffled(leaky(conv(t, f"{name}/conv1", x), 0.1))


def residual(t: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    return leaky(x + conv(t, f"{name}/conv2", leaky(conv(t, f"{name}/conv1", x), 0.2)), 0.2)


def encode(t: Tensors, flags: str, x: np.ndarray) -> np.ndarray:
    if "t" in flags:
        for number in range(1, 6):
            x = leaky(conv(t, f"down{number}/conv1", x, 2), 0.1)
            x = residual(t, f"res{number}", x) if number in (1, 5) else x
    else:
        for number in range(4):
            x = leaky(conv(t, f"down1/downs_{number}/conv1", x, 2), 0.1)
    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6) if "u" in flags else x


def between(t: Tensors, flags: str, x: np.ndarray, resolution: int) -> np.ndarray:
    side = resolution // (32 if "d" in flags else 16)
    x = (x @ t["dense1/weight"] + t["dense1/bias"]) @ t["dense2/weight"] + t["dense2/bias"]
    x = x.reshape(len(x), -1, side, side).transpose(0, 2, 3, 1)
    return x if "t" in flags else upscale(t, "upscale1", x)


def decode(t: Tensors, flags: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    depth, mask = (4 if "t" in flags else 3), x
    for k in range(depth):
        x = residual(t, f"res{k}", upscale(t, f"upscale{k}", x))
    for k in range(depth + ("d" in flags)):
        mask = upscale(t, f"upscalem{k}", mask)
    face = conv(t, "out_conv", x)
    if "d" in flags:
        face = shuffled(np.concatenate([face, *(conv(t, f"out_conv{k}", x) for k in (1, 2, 3))], axis=-1))
    return sigmoid(face), sigmoid(conv(t, "out_convm", mask))


def judge_code(t: Tensors, x: np.ndarray) -> np.ndarray:
    for k in range(sum(name.startswith("convs") for name in t) // 2):
        x = leaky(conv(t, f"convs_{k}", x, 2), 0.1)
    return conv(t, "out_conv", x)


def judge_face(t: Tensors, x: np.ndarray, strides: tuple[int, ...]) -> list[np.ndarray]:
    x, skips = leaky(conv(t, "in_conv", x), 0.2), []
    for k, stride in enumerate(strides):
        skips.append(x)
        x = leaky(conv(t, f"convs_{k}", x, stride), 0.2)
    coarse = conv(t, "center_out", x)
    x = leaky(conv(t, "center_conv", x), 0.2)
    for k, stride in enumerate(reversed(strides)):
        x = np.concatenate([skips.pop(), leaky(transposed(t, f"upconvs_{k}", x, stride), 0.2)], axis=-1)
    return [coarse, conv(t, "out_conv", x)]


@dataclass(frozen=True)
class Picture:
    """Everything that a step draws: codes, both people redrawn, the swap with its code live and with its code fixed."""

    src_code: np.ndarray
    dst_code: np.ndarray
    swap_code: np.ndarray
    src: np.ndarray
    src_mask: np.ndarray
    dst: np.ndarray
    dst_mask: np.ndarray
    swap: np.ndarray
    swap_mask: np.ndarray
    swap_of_fixed_code: np.ndarray


def draw(o: SAEHDOptions, parts: Parts, batch: Tensors, fixed_code: np.ndarray | None) -> Picture:
    """`fixed_code` is the swap's code where it is not to follow the parts (None: it does not differ)."""
    family, _, flags = o.archi.partition("-")
    src, dst = (encode(parts["encoder"], flags, batch[f"{side}_input"]) for side in ("src", "dst"))
    if family == "df":
        src_code, dst_code = (between(parts["inter"], flags, x, o.resolution) for x in (src, dst))
        swap_code = dst_code
        src_decoder, dst_decoder = parts["decoder_src"], parts["decoder_dst"]
    else:
        shared_src, shared_dst = (between(parts["inter_AB"], flags, x, o.resolution) for x in (src, dst))
        own_dst = between(parts["inter_B"], flags, dst, o.resolution)
        src_code, swap_code = (np.concatenate([shared, shared], axis=-1) for shared in (shared_src, shared_dst))
        dst_code = np.concatenate([own_dst, shared_dst], axis=-1)
        src_decoder = dst_decoder = parts["decoder"]
    swap, swap_mask = decode(src_decoder, flags, swap_code)
    return Picture(
        src_code, dst_code, swap_code,
        *decode(src_decoder, flags, src_code),
        *decode(dst_decoder, flags, dst_code),
        swap, swap_mask,
        decode(src_decoder, flags, swap_code if fixed_code is None else fixed_code)[0],
    )  # fmt: skip


def mean(x: np.ndarray) -> np.ndarray:
    return x.mean(axis=(1, 2, 3))


def soft(mask: np.ndarray) -> np.ndarray:
    return 2 * np.clip(blurred(mask, max(1, mask.shape[1] // 32)), 0, 0.5)


def blurred_out(target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    sigma = target.shape[1] / 128
    share = blurred(1 - mask, sigma)
    return target * mask + blurred(target * (1 - mask), sigma) / np.where(share < 1e-4, 1, share) * (1 - mask)


def style(a: np.ndarray, b: np.ndarray, power: float) -> np.ndarray:
    a, b = (blurred(x, x.shape[1] // 8) for x in (a, b))
    means = ((a.mean(axis=(1, 2)) - b.mean(axis=(1, 2))) ** 2).sum(axis=-1)
    deviations = (np.sqrt(a.var(axis=(1, 2)) + 1e-5) - np.sqrt(b.var(axis=(1, 2)) + 1e-5)) ** 2
    return 10_000 * power / 100 / 3 * (means + deviations.sum(axis=-1))


def side_loss(o: SAEHDOptions, batch: Tensors, side: str, face: np.ndarray, drawn_mask: np.ndarray) -> np.ndarray:
    """Below 256 pixels."""
    target, mask = batch[f"{side}_target"], batch[f"{side}_mask"]
    weight = soft(mask) if o.masked_training else 1.0
    a, b = target * weight, face * weight
    loss = (
        10 * structure(a, b, int(o.resolution / 11.6)) + 10 * mean((a - b) ** 2) + 10 * mean((mask - drawn_mask) ** 2)
    )
    if o.eyes_mouth_prio:
        inside = batch[f"{side}_eyes_mouth"]
        loss = loss + 300 * mean(np.abs(target * inside - face * inside))
    return loss


def objective(
    o: SAEHDOptions, batch: Tensors, parts: Parts, now: Picture, fixed: Picture, strides: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Per sample: "src_loss", "dst_loss", and what each optimizer minimizes, by its part's name.

    Args:
        now: drawn with `parts`.
        fixed: drawn with the parts that gradients are taken at: what a stopped gradient sees.
    """
    if o.blur_out_mask:
        batch = {
            **batch,
            **{f"{s}_target": blurred_out(batch[f"{s}_target"], batch[f"{s}_mask"]) for s in ("src", "dst")},
        }
    src_loss = side_loss(o, batch, "src", now.src, now.src_mask)
    dst_loss = side_loss(o, batch, "dst", now.dst, now.dst_mask)
    if o.face_style_power:
        a, b = now.swap_of_fixed_code * fixed.swap_mask, fixed.dst * fixed.dst_mask
        src_loss = src_loss + style(a, b, o.face_style_power)
    if o.bg_style_power:
        both = blurred(fixed.swap_mask * fixed.dst_mask, max(1, o.resolution // 32))
        outside = 1 - (soft(batch["src_mask"]) if o.legacy_bg_style else np.clip(both, 0, 1))
        a, b = now.swap * outside, batch["dst_target"] * outside
        term = structure(a, b, int(o.resolution / 11.6)) + mean((a - b) ** 2)
        src_loss = src_loss + 10 * o.bg_style_power / 100 * term
    total, totals = src_loss + dst_loss, {}
    if o.true_face_power:
        critic = parts["code_discriminator"]
        total = total + o.true_face_power * cross_entropy(judge_code(critic, now.src_code), 1)
        told = cross_entropy(judge_code(critic, fixed.dst_code), 1) + cross_entropy(
            judge_code(critic, fixed.src_code), 0
        )
        totals["code_discriminator_optimizer"] = told / 2
    if o.gan_power:
        weight = soft(batch["src_mask"]) if o.masked_training else 1.0
        seen = judge_face(parts["GAN"], now.src * weight, strides)
        total = total + o.gan_power * sum(cross_entropy(logits, 1) for logits in seen)
        if o.masked_training:
            variation = sum((np.diff(now.src, axis=axis) ** 2).sum(axis=(1, 2, 3)) for axis in (1, 2))
            beside = mean((now.src * (1 - weight) - batch["src_target"] * (1 - weight)) ** 2)
            total = total + 1e-6 * variation + 0.02 * beside
        told = sum(
            cross_entropy(logits, 1) for logits in judge_face(parts["GAN"], batch["src_target"] * weight, strides)
        )
        told = told + sum(cross_entropy(logits, 0) for logits in judge_face(parts["GAN"], fixed.src * weight, strides))
        totals["GAN_optimizer"] = told / 2
    return {"src_loss": src_loss, "dst_loss": dst_loss, "optimizer": total, **totals}
