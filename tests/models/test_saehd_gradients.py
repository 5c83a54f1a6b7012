"""SAEHD's objective and its gradients, with everything switched on, against float64 NumPy.

The first moment of a fresh AdaBelief is a tenth of the gradient, so one step tells the gradient of every weight. Along
a random direction for each layer it must be the slope of the objective of tests/models/float64_networks, found there by
two evaluations a little to each side, with whatever a stopped gradient sees held fixed. So the test knows what each
term costs, which parts it reaches, and that gradients are of the sum over the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.patch_solver import solve_patch_size
from models.saehd import SAEHD
from models.saehd_options import SAEHDOptions
from samplelib.batches import FaceBatch, TrainingBatch
from tests.models.float64_networks import Parts, draw, objective

SIDE = 32
STEP = 1e-7
TOLERANCE = 1e-3  # of a layer's gradient; measured 6e-4 where styles nearly agree and float32 cancels, else 1e-4

ALL_OF_DF: dict[str, Any] = {
    "archi": "df-ud", "masked_training": True, "eyes_mouth_prio": True, "blur_out_mask": True, "gan_power": 3.0,
    "gan_patch_size": 8, "gan_dims": 4, "true_face_power": 1.0, "face_style_power": 50.0, "bg_style_power": 100.0,
}  # fmt: skip
SURROUNDINGS: dict[str, Any] = {
    "archi": "df-d",
    "masked_training": True,
    "gan_power": 1.0,
    "gan_patch_size": 3,
    "gan_dims": 4,
}
ALL_OF_LIAE: dict[str, Any] = {
    "archi": "liae-t", "masked_training": False, "gan_power": 2.0, "gan_patch_size": 11, "gan_dims": 4,
    "face_style_power": 80.0, "bg_style_power": 60.0, "legacy_bg_style": True, "random_warp": False,
}  # fmt: skip


def small_options(changes: dict[str, Any]) -> SAEHDOptions:
    dims: dict[str, Any] = {"ae_dims": 4, "e_dims": 2, "d_dims": 2, "d_mask_dims": 2, "batch_size": 2}
    return replace(SAEHDOptions.of(), resolution=SIDE, face_type="wf", **dims, **changes)


def side(seed: int) -> FaceBatch:
    """Smooth pictures, a soft mask and an eyes-mouth mask; float32 as they are."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    waves = rng.uniform(2, 9, (2, 2, 2, 3))
    picture = 0.5 + 0.2 * np.sin(waves[0, 0] * rows[..., None, None] * 6 + waves[0, 1] * columns[..., None, None] * 5)
    picture = np.moveaxis(picture, 2, 0) + rng.normal(0, 0.05, (2, SIDE, SIDE, 3))
    distance = np.hypot(rows - 0.5, columns - rng.uniform(0.4, 0.6, (2, 1, 1)))
    mask = np.clip(4 - 12 * distance, 0, 1)[..., None]
    eyes = (np.abs(distance - 0.1) < 0.05)[..., None] * mask
    target = np.clip(picture, 0, 1).astype(np.float32)
    warped = np.roll(target, 2, axis=1)
    return FaceBatch(warped, target, mask.astype(np.float32), eyes.astype(np.float32), np.zeros(2, np.int64))


def exact(batch: TrainingBatch) -> dict[str, np.ndarray]:
    named = {"input": "warped", "target": "target", "mask": "mask", "eyes_mouth": "eyes_mouth_mask"}
    return {
        f"{who}_{ours}": getattr(faces, theirs).astype(np.float64)
        for who, faces in (("src", batch.src), ("dst", batch.dst))
        for ours, theirs in named.items()
    }


def with_lively_biases(model: SAEHD) -> None:
    """Fresh biases are zero; these are not, so that each counts."""
    rng = np.random.default_rng(7)
    for part, tensors in model.export_state().items():
        if not part.endswith("optimizer"):
            lively = {n: t + rng.uniform(-0.1, 0.1, t.shape) if n.endswith("bias") else t for n, t in tensors.items()}
            model.import_state(part, lively)


def test_losses_and_gradients_of_everything_with_df() -> None:
    check_losses_and_gradients(ALL_OF_DF, side(1), side(2))


@pytest.mark.slow
def test_losses_and_gradients_of_everything_with_liae() -> None:
    check_losses_and_gradients(ALL_OF_LIAE, side(1), side(2))


@pytest.mark.slow
def test_gradients_of_the_surroundings() -> None:
    """Without any face in the mask, what draws src learns from the two small terms for the surroundings alone."""
    src = side(1)
    src = replace(src, mask=np.zeros_like(src.mask))
    check_losses_and_gradients(SURROUNDINGS, src, side(2), only=("decoder_src",))


def check_losses_and_gradients(
    changes: dict[str, Any], src: FaceBatch, dst: FaceBatch, only: Sequence[str] = ()
) -> None:
    """`only` names the parts whose gradients are compared; empty: all."""
    options = small_options(changes)
    model = SAEHD(options, device="cpu", seed=3)
    with_lively_biases(model)
    batch = TrainingBatch(src=src, dst=dst, iteration=0)
    before = model.export_state()
    reported = model.train_step(batch)
    after = model.export_state()

    parts: Parts = {
        part: {name: tensor.astype(np.float64) for name, tensor in tensors.items() if "/" in name}
        for part, tensors in before.items()
        if not part.endswith("optimizer")
    }
    images, strides = exact(batch), solve_patch_size(options.gan_patch_size)
    fixed = draw(options, parts, images, None)
    losses = objective(options, images, parts, fixed, fixed, strides)
    for name in ("src_loss", "dst_loss"):
        assert reported[name] == pytest.approx(losses[name].mean(), rel=2e-5), name

    def slope(part: str, trainer: str, direction: dict[str, np.ndarray]) -> float:
        """Of the optimizer's objective, summed over the batch, as the part moves along a direction."""
        ends = []
        for sign in (1, -1):
            moved = {**parts, part: {n: t + sign * STEP * direction.get(n, 0.0) for n, t in parts[part].items()}}
            now = draw(options, moved, images, fixed.swap_code) if trainer == "optimizer" else fixed
            ends.append(objective(options, images, moved, now, fixed, strides)[trainer].sum())
        return float(ends[0] - ends[1]) / (2 * STEP)

    rng, seen = np.random.default_rng(5), {}
    for part, tensors in parts.items():
        trainer = f"{part}_optimizer" if f"{part}_optimizer" in after else "optimizer"
        gradient = {name: 10.0 * after[trainer][f"ms/{part}/{name}"].astype(np.float64) for name in tensors}
        if only and part not in only:
            continue
        if part == "inter_AB" and not options.random_warp:
            assert not any(g.any() for g in gradient.values())
            continue
        for layer in dict.fromkeys(name.rpartition("/")[0] for name in tensors):
            direction = {
                f"{layer}/{leaf}": rng.normal(size=tensors[f"{layer}/{leaf}"].shape) for leaf in ("weight", "bias")
            }
            along = sum((gradient[name] * d).sum() for name, d in direction.items())
            length = np.sqrt(sum((gradient[name] ** 2).sum() for name in direction))
            assert length > 0.0, (part, layer)
            seen[part, layer] = abs(along - slope(part, trainer, direction)) / length
    worst = max(seen, key=lambda key: seen[key])
    assert seen[worst] < TOLERANCE, (worst, seen[worst])
