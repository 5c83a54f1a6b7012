"""The critics against numbers worked out elsewhere: forward values and counts (spec models 3.2, 3.3, appendix A), and
sides that do not divide.
"""

from __future__ import annotations

import numpy as np
import pytest

from core.nn.framework import keras
from core.nn.weights import named_variables
from models.discriminators import CodeDiscriminator, PatchDiscriminator
from models.patch_solver import solve_patch_size


def fill(network: keras.layers.Layer) -> None:
    """The deterministic weights of appendix A."""
    for t, variable in enumerate(named_variables(network).values()):
        shape = tuple(variable.shape)
        uniform = np.random.RandomState(1000 + t).uniform(-1, 1, size=shape)
        scale = np.sqrt(6 / np.prod(shape[:-1])) if len(shape) >= 2 else 0.1
        variable.assign((scale * uniform).astype(np.float32))


def picture(*shape: int) -> np.ndarray:
    return np.random.RandomState(7).rand(*shape).astype(np.float32)


def critic(patch_size: int, dims: int, side: int = 64, **how: str) -> PatchDiscriminator:
    network = PatchDiscriminator(patch_size, dims, **how)
    network.build((None, side, side, 3))
    fill(network)
    return network


def check(tensor: object, shape: tuple[int, ...], *expected: float) -> None:
    """Mean, deviation, first, third and last element, to the six digits printed."""
    got = np.asarray(tensor, np.float64)
    assert got.shape == shape
    flat = got.ravel()
    ours = [got.mean(), got.std(), flat[0], flat[flat.size // 3], flat[-1]]
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def counts(network: keras.layers.Layer) -> tuple[int, int]:
    shapes = [tuple(v.shape) for v in named_variables(network).values()]
    return len(shapes), sum(int(np.prod(shape)) for shape in shapes)


def test_patch_discriminator_golden() -> None:
    coarse, full = critic(20, 4)(picture(2, 64, 64, 3))
    check(coarse, (2, 8, 8, 1), -0.309773, 0.392083, 0.292533, 0.117309, -0.0740756)
    check(full, (2, 64, 64, 1), -0.0481116, 0.42116, -0.21979, 0.110179, -0.208214)


def test_code_discriminator_golden() -> None:
    network = CodeDiscriminator(8)
    network.build((None, 8, 8, 8))
    fill(network)
    check(network(picture(2, 8, 8, 8)), (2, 3, 3, 1), -0.0556335, 0.320922, 0.183523, 0.115956, 0.159442)


def test_counts_and_names() -> None:
    patches, codes = critic(16, 16), CodeDiscriminator(8)
    codes.build((None, 8, 8, 256))
    assert counts(patches) == (20, 233_650)
    assert counts(codes) == (6, 2_229_505)
    layers = [f"convs_{k}" for k in range(3)] + [f"upconvs_{k}" for k in range(3)]
    layers += ["in_conv", "out_conv", "center_out", "center_conv"]
    assert list(named_variables(patches)) == [f"{layer}/{leaf}" for layer in layers for leaf in ("weight", "bias")]
    assert list(named_variables(codes)) == [
        f"{layer}/{leaf}" for layer in ("convs_0", "convs_1", "out_conv") for leaf in ("weight", "bias")
    ]
    assert (patches.name, codes.name) == ("GAN", "code_discriminator")


@pytest.mark.parametrize(("grid", "widths"), [(4, [256]), (8, [256, 512]), (40, [256, 512, 1024, 2048, 2048, 2048])])
def test_code_discriminator_grows_with_the_grid(grid: int, widths: list[int]) -> None:
    network = CodeDiscriminator(grid)
    assert [conv.filters for conv in network.convs] == widths
    assert [conv.kernel_size for conv in network.convs] == [4] + [3] * (len(widths) - 1)


def test_widths_double_up_to_512() -> None:
    network = PatchDiscriminator(63, 100)
    assert [conv.filters for conv in network.convs] == [200, 400, 512, 512, 512]
    assert [conv.filters for conv in network.upconvs] == [512, 512, 400, 200, 100]
    assert PatchDiscriminator(3, 512).in_conv.filters == 512


@pytest.mark.parametrize("resolution", [496, 528, 560, 592, 624])
def test_sides_that_do_not_divide(resolution: int) -> None:
    """The default patch size halves these sides where they are odd; every pixel still gets its logit, in its place."""
    network = critic(resolution // 8, 4, resolution)
    halvings = sum(stride == 2 for stride in solve_patch_size(resolution // 8))
    assert resolution % 2**halvings, "divides after all"
    face = picture(1, resolution, resolution, 3)
    coarse, full = network(face)
    side = -(-resolution // 2**halvings)
    assert coarse.shape == (1, side, side, 1)
    assert full.shape == (1, resolution, resolution, 1)
    assert np.isfinite(np.asarray(full)).all()
    # The last pixel's own weight in its logit: what lies under the crop is the pixel itself, not a neighbor.
    changed = face.copy()
    changed[0, -1, -1] += 0.5
    difference = np.abs(np.asarray(network(changed)[1]) - np.asarray(full))[0, :, :, 0]
    assert np.unravel_index(difference.argmax(), difference.shape) == (resolution - 1, resolution - 1)


@pytest.mark.parametrize(("side", "patch"), [(64, 640), (70, 31), (67, 1023)])
def test_small_faces_and_large_patches(side: int, patch: int) -> None:
    coarse, full = critic(patch, 4, side)(picture(1, side, side, 3))
    assert full.shape == (1, side, side, 1)
    assert 1 <= coarse.shape[1] < side


def test_coarse_logits_see_just_their_patch() -> None:
    """A changed pixel reaches a coarse logit if and only if it lies in its receptive field."""
    network, field = critic(16, 8), 15
    face = picture(1, 64, 64, 3)
    before = np.asarray(network(face)[0])[0, 4, 4, 0]
    center = 32  # 8 pixels a step, windows around pixel 8 * k
    for pixel, inside in ((center - field // 2, True), (center - field // 2 - 1, False)):
        changed = face.copy()
        changed[0, pixel, center] += 1.0
        assert (np.asarray(network(changed)[0])[0, 4, 4, 0] != before) == inside, pixel


def test_bf16_keeps_float32_logits_and_weights() -> None:
    exact, rough = critic(16, 8), critic(16, 8, trunk="mixed_bfloat16")
    assert {v.dtype for v in named_variables(rough).values()} == {"float32"}
    for ours, theirs in zip(rough(picture(2, 64, 64, 3)), exact(picture(2, 64, 64, 3)), strict=True):
        got, expected = np.asarray(ours), np.asarray(theirs)
        assert got.dtype == np.float32
        assert 0.0 < np.abs(got - expected).mean() < 0.02  # bfloat16 keeps 8 bits: about 0.4 % per layer
