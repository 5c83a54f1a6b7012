"""Updates against golden values (spec models, appendix A) and learning-rate dropout against its statistics."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf

from core.nn.backend import active_backend
from core.nn.framework import Tensor, keras, ops
from core.nn.optimizers import AdaBelief, Optimizer, OptimizerSettings, RMSprop, keep_mask


def run(optimizer: Optimizer, gradients: list[list[np.ndarray]]) -> None:
    """Applies updates without a compiled step."""
    for step in gradients:
        norm = np.float32(np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in step)))
        iteration, seed = optimizer.iterations.value, optimizer.seed.value
        for number, (name, weight) in enumerate(optimizer.variables.items()):
            slots = [named[name] for named in optimizer.slots.values()]
            old = [slot.value for slot in slots]
            value, new = optimizer.updated(weight.value, old, step[number], norm, iteration, seed, number)
            for target, tensor in zip([weight, *slots], [value, *new], strict=True):
                target.assign(tensor)
        optimizer.iterations.assign_add(1)


def variable(*shape: int) -> keras.Variable:
    return keras.Variable(np.zeros(shape, np.float32))


def waves(steps: int) -> list[list[np.ndarray]]:
    return [[np.sin(0.9 * np.arange(12) + k).astype(np.float32).reshape(4, 3)] for k in range(steps)]


@pytest.mark.parametrize(
    ("kind", "clip", "expected"),
    [
        (AdaBelief, 0.0, (-0.0848342, 0.1187481, 0.1392904)),
        (AdaBelief, 1.0, (-0.0848310, 0.1179981, 0.1404488)),
        (RMSprop, 0.0, (-0.0553867, 0.0447293, 0.0768791)),
        (RMSprop, 1.0, (-0.0556662, 0.0438316, 0.0765880)),
    ],
)
def test_three_updates_golden(kind: type[Optimizer], clip: float, expected: tuple[float, ...]) -> None:
    weight = variable(4, 3)
    run(kind({"w": weight}, OptimizerSettings(1e-2, clip_norm=clip), 0), waves(3))
    flat = np.asarray(weight.value).ravel()
    np.testing.assert_allclose(flat[[0, 5, 11]], expected, rtol=2e-6, atol=1e-7)


def test_cosine_swings_the_rate_from_full_to_zero_and_back() -> None:
    """With a constant gradient of 1, RMSprop's k-th step is rate_k / sqrt(1 - 0.9^k)."""
    weight = variable(1)
    optimizer = RMSprop({"w": weight}, OptimizerSettings(1e-2, cosine_period=4), 0)
    seen = [0.0]
    for _ in range(5):
        run(optimizer, [[np.ones(1, np.float32)]])
        seen.append(float(np.asarray(weight.value)[0]))
    rates = -np.diff(seen) * np.sqrt(1 - 0.9 ** np.arange(1, 6))
    np.testing.assert_allclose(rates, [1e-2, 5e-3, 0, 5e-3, 1e-2], rtol=1e-4, atol=1e-8)


def by_hand(kind: type[Optimizer], gradients: np.ndarray, clip: float, period: int) -> np.ndarray:
    """The formulas of both optimizers in float64: (updates, n) gradients -> (n,) values from zero."""
    value, first, second = (np.zeros(gradients.shape[1]) for _ in range(3))
    for k, gradient in enumerate(gradients.astype(np.float64)):
        norm = np.linalg.norm(gradient)
        if norm >= clip:
            gradient = gradient * clip / norm
        rate = 1e-2 * (np.cos(2 * np.pi * k / period) + 1) / 2
        if kind is RMSprop:
            second = 0.9 * second + 0.1 * gradient**2
            value -= rate * gradient / (np.sqrt(second) + 1e-6)
        else:
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * (gradient - first) ** 2
            value -= rate * first / (np.sqrt(second) + 1e-6)
    return value


@pytest.mark.parametrize("kind", [RMSprop, AdaBelief])
def test_five_compiled_updates_with_clipping_and_cosine(kind: type[Optimizer]) -> None:
    """Through the compiled step: two variables under one norm, some gradients above the limit and some below."""
    gradients = np.random.default_rng(3).normal(size=(5, 8)) * np.array([[0.1], [2.0], [0.2], [1.0], [0.3]])
    variables = {"a": variable(5), "b": variable(3)}
    optimizer = kind(variables, OptimizerSettings(1e-2, clip_norm=1.0, cosine_period=7), 0)

    def objective(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {"x": sum(ops.sum(batch[name] * v.value) for name, v in variables.items())}, {}

    backend = active_backend()
    step = backend.compile_step(objective, {"x": optimizer}, [backend.list_devices()[0]])
    for gradient in gradients.astype(np.float32):
        assert step({"a": gradient[:5], "b": gradient[5:]}).finite
    got = np.concatenate([np.asarray(v.value) for v in variables.values()])
    np.testing.assert_allclose(got, by_hand(kind, gradients, 1.0, 7), rtol=2e-5, atol=1e-8)


def test_clipping_measures_all_variables_together() -> None:
    first, second = variable(1), variable(1)
    optimizer = AdaBelief({"a": first, "b": second}, OptimizerSettings(1e-2, clip_norm=1.0), 0)
    run(optimizer, [[np.full(1, 3.0, np.float32), np.full(1, 4.0, np.float32)]])
    means = [float(np.asarray(s.value)[0]) for s in optimizer.slots["ms"].values()]
    np.testing.assert_allclose(means, [0.06, 0.08], rtol=1e-6)  # (3, 4) / 5, a tenth of it


@pytest.mark.parametrize("kind", [RMSprop, AdaBelief])
def test_an_infinite_norm_changes_nothing(kind: type[Optimizer]) -> None:
    weight = variable(4, 3)
    optimizer = kind({"w": weight}, OptimizerSettings(1e-2), 0)
    run(optimizer, waves(2))
    before = {name: np.array(v.numpy()) for name, v in {"w": weight, **optimizer.state}.items()}
    for poison in (np.nan, np.inf):
        bad = waves(1)[0][0]
        bad[2, 1] = poison
        optimizer.iterations.assign(1)
        run(optimizer, [[bad]])
        optimizer.iterations.assign(2)
        for name, v in {"w": weight, **optimizer.state}.items():
            np.testing.assert_array_equal(np.array(v.numpy()), before[name])


def test_reset_forgets_one_part_or_everything() -> None:
    a, b = variable(3), variable(3)
    optimizer = RMSprop({"encoder/x": a, "inter/x": b}, OptimizerSettings(1e-2), 0)
    run(optimizer, [[np.ones(3, np.float32), np.ones(3, np.float32)]])
    assert list(optimizer.state) == ["iterations", "seed", "acc/encoder/x", "acc/inter/x"]
    optimizer.reset("inter/")
    assert np.asarray(optimizer.slots["acc"]["inter/x"].value).tolist() == [0, 0, 0]
    assert np.asarray(optimizer.slots["acc"]["encoder/x"].value) == pytest.approx([0.1] * 3)
    assert int(optimizer.iterations.numpy()) == 1
    optimizer.reset()
    assert np.asarray(optimizer.slots["acc"]["encoder/x"].value).tolist() == [0, 0, 0]
    assert int(optimizer.iterations.numpy()) == 0


def test_frozen_parts_stay_in_the_state_and_are_not_trained() -> None:
    names = ["encoder/x", "inter_AB/x", "inter_B/x"]
    optimizer = AdaBelief({name: variable(3) for name in names}, OptimizerSettings(1e-2), 0, frozen=["inter_AB/"])
    assert list(optimizer.trained) == ["encoder/x", "inter_B/x"]
    assert list(optimizer.variables) == names
    assert "ms/inter_AB/x" in optimizer.state


def mask(shape: tuple[int, ...], seed: int, iteration: int, number: int, probability: float = 0.3) -> np.ndarray:
    return np.asarray(keep_mask(shape, probability, np.int64(seed), np.int64(iteration), number))


def test_dropout_mask_is_the_documented_hash() -> None:
    """The same arithmetic in unsigned NumPy."""

    def mixed(h: np.ndarray, second: np.ndarray | int = 0) -> np.ndarray:
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B) + np.uint32(second)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        return h ^ (h >> np.uint32(16))

    def wrapped(*numbers: int) -> np.ndarray:
        return np.array([sum(numbers) % 2**32], np.uint32)

    seed, iteration, number = 2**31 + 77, 123_456, 5
    first = mixed(mixed(wrapped(seed, 0x9E3779B9 * (number + 1))) ^ np.uint32(iteration))
    second = mixed(first + np.uint32(0x7F4A7C15))
    h = mixed(np.arange(1000, dtype=np.uint32) * np.uint32(0x9E3779B1) + first, second)
    # the threshold is on the hash read as a signed number
    expected = h.view(np.int32) < round(0.3 * 2**32) - 2**31
    np.testing.assert_array_equal(mask((10, 100), seed, iteration, number).ravel(), expected)


def test_dropout_compiles_no_constant_as_large_as_the_mask() -> None:
    """A compiled update would hold it, and several copies while it is compiled."""
    compiled = tf.function(lambda seed, iteration: keep_mask((3, 3, 16, 32), 0.3, seed, iteration, 1), jit_compile=True)
    text = compiled.experimental_get_compiler_ir(tf.constant(1, tf.int64), tf.constant(2, tf.int64))("optimized_hlo")
    lengths = [int(length) for length in re.findall(r"s32\[(\d+)\][^ ]* constant\(", text)]
    assert sorted(lengths) == [3, 3, 16, 32]


def test_dropout_keeps_the_promised_share() -> None:
    for probability in (0.3, 0.5, 0.02):
        rates = [mask((3, 3, 128, 256), 1, k, k % 3, probability).mean() for k in range(8)]
        # 295k draws: standard deviation at most 0.0009
        np.testing.assert_allclose(rates, probability, atol=0.005)
        assert np.mean(rates) == pytest.approx(probability, abs=0.0013)


def test_dropout_masks_are_independent() -> None:
    """Two independent masks agree in 0.3^2 + 0.7^2 = 58 % of places: across seeds, iterations, variables, shifts."""
    base = mask((200, 300), 1, 10, 4)
    others = [
        mask((200, 300), 1, 11, 4),
        mask((200, 300), 2, 10, 4),
        mask((200, 300), 1, 10, 5),
        base.T.reshape(200, 300),
    ]
    others += [np.roll(base, shift) for shift in (1, 2, 16, 300)]
    for other in others:
        assert (base == other).mean() == pytest.approx(0.58, abs=0.012)
    for axis in (0, 1):  # no row or column is favored: 6 standard deviations of the mean of 200
        assert np.abs(base.mean(axis=axis) - 0.3).max() < 6 * np.sqrt(0.21 / 200)


def test_dropout_is_stateless_and_reaches_only_kept_scalars() -> None:
    def trained(iterations: int) -> tuple[np.ndarray, np.ndarray]:
        weight = variable(50, 40)
        optimizer = RMSprop({"w": weight}, OptimizerSettings(1e-2, keep_probability=0.3), 9)
        optimizer.iterations.assign(iterations)
        run(optimizer, [[np.ones((50, 40), np.float32)]])
        return np.asarray(weight.value), np.asarray(optimizer.slots["acc"]["w"].value)

    moved, accumulated = trained(70)
    np.testing.assert_array_equal(moved != 0, mask((50, 40), 9, 70, 0))
    np.testing.assert_allclose(accumulated, 0.1, rtol=1e-6)
    np.testing.assert_array_equal(moved, trained(70)[0])
    assert (moved != trained(71)[0]).any()
