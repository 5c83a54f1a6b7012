"""Compiled steps on a network of two weights, where every number can be worked out by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from core.errors import ToolFailed
from core.nn.backend import active_backend
from core.nn.framework import Tensor, keras, ops
from core.nn.optimizers import OptimizerSettings, RMSprop
from core.nn.steps import Device, Objective

CPU = Device("CPU:0", "cpu", 0, "CPU", None)
ROOT = Path(__file__).resolve().parents[3]


def line(settings: OptimizerSettings) -> tuple[keras.Variable, RMSprop, Objective]:
    """y = a * x + b from (1, 0), its optimizer, and an objective: the sum of the squared errors."""
    weights = keras.Variable(np.array([1.0, 0.0], np.float32))

    def objective(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        error = batch["x"] * weights[0] + weights[1] - batch["y"]
        return {"all": ops.sum(ops.square(error))}, {"mean": ops.mean(ops.square(error))}

    return weights, RMSprop({"line": weights}, settings, seed=0), objective


def test_a_step_follows_the_gradient_of_the_sum() -> None:
    weights, optimizer, objective = line(OptimizerSettings(learning_rate=0.1))
    step = active_backend().compile_step(objective, {"all": optimizer}, [CPU])
    x, y = np.array([1.0, 2.0, 3.0], np.float32), np.array([3.0, 5.0, 7.0], np.float32)
    result = step({"x": x, "y": y})
    error = x - y
    gradient = np.array([2 * (error * x).sum(), 2 * error.sum()])
    assert result.finite
    assert result.reported == {"mean": pytest.approx((error**2).mean())}
    np.testing.assert_allclose(optimizer.slots["acc"]["line"].numpy(), 0.1 * gradient**2, rtol=1e-6)
    np.testing.assert_allclose(weights.numpy(), np.array([1.0, 0.0]) + 0.1 / np.sqrt(0.1), rtol=1e-5)
    assert int(optimizer.iterations.numpy()) == 1


def test_gradients_of_means_are_not_folded_into_constants_as_large_as_pictures() -> None:
    weights = keras.Variable(np.ones(3, np.float32))

    def objective(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {"all": ops.sum(ops.mean(ops.square(batch["x"] * weights - batch["y"]), axis=(1, 2, 3)))}, {}

    optimizer = RMSprop({"weights": weights}, OptimizerSettings(learning_rate=0.1), seed=0)
    step = active_backend().compile_step(objective, {"all": optimizer}, [CPU])
    pictures = np.random.default_rng(0).random((2, 64, 64, 3), dtype=np.float32)
    context.enable_run_metadata()
    try:
        step({"x": pictures, "y": 1.0 - pictures})
        graphs = context.export_run_metadata().partition_graphs
    finally:
        context.disable_run_metadata()
    constants = [node.attr["value"].tensor for graph in graphs for node in graph.node if node.op == "Const"]
    assert constants
    assert max(math.prod(d.size for d in tensor.tensor_shape.dim) for tensor in constants) < 64


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
def test_a_step_that_is_not_finite_changes_nothing(poison: float) -> None:
    weights, optimizer, objective = line(OptimizerSettings(learning_rate=0.1, keep_probability=0.5))
    step = active_backend().compile_step(objective, {"all": optimizer}, [CPU])
    x, y = np.ones(3, np.float32), np.zeros(3, np.float32)
    assert step({"x": x, "y": y}).finite
    before = [np.array(v.numpy()) for v in (weights, *optimizer.state.values())]
    x[1] = poison
    assert not step({"x": x, "y": y}).finite
    for variable, value in zip((weights, *optimizer.state.values()), before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert step({"x": np.ones(3, np.float32), "y": y}).finite


def test_a_gradient_that_is_not_finite_under_a_finite_loss_changes_nothing() -> None:
    weights = keras.Variable(np.array([0.0, 4.0], np.float32))

    def objective(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        loss = ops.sum(ops.sqrt(weights) * batch["x"])  # its slope at 0 is infinite
        return {"all": loss}, {"loss": loss}

    optimizer = RMSprop({"w": weights}, OptimizerSettings(learning_rate=0.1), seed=0)
    result = active_backend().compile_step(objective, {"all": optimizer}, [CPU])({"x": np.ones(2, np.float32)})
    assert not result.finite
    assert result.reported == {"loss": 2.0}
    assert weights.numpy().tolist() == [0.0, 4.0]


Rivals = tuple[dict[str, RMSprop], Objective]


def rivals(frozen: tuple[str, ...] = ()) -> Rivals:
    """A maker wants a * x * j small, a judge wants (1 - a * x * j)^2 small; their parts a (1, 2) and j (3)."""
    variables = {
        name: keras.Variable(np.array(v, np.float32)) for name, v in {"a/1": 1.0, "b/2": 2.0, "j/w": 3.0}.items()
    }
    maker = RMSprop({n: variables[n] for n in ("a/1", "b/2")}, OptimizerSettings(0.1), seed=0, frozen=frozen)
    judge = RMSprop({"j/w": variables["j/w"]}, OptimizerSettings(0.2), seed=0)

    def objective(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        made = variables["a/1"] * variables["b/2"] * batch["x"]
        opinion = made * variables["j/w"]
        return {"maker": ops.sum(opinion), "judge": ops.sum(ops.square(1.0 - opinion))}, {"opinion": ops.sum(opinion)}

    return {"maker": maker, "judge": judge}, objective


def everything(optimizers: dict[str, RMSprop]) -> dict[str, np.ndarray]:
    """Weights and states, copied."""
    return {
        f"{kind}/{name}": np.array(v.numpy())
        for kind, optimizer in optimizers.items()
        for name, v in {**optimizer.variables, **optimizer.state}.items()
    }


def test_each_optimizer_follows_its_own_total_from_the_same_weights() -> None:
    optimizers, objective = rivals()
    result = active_backend().compile_step(objective, optimizers, [CPU])({"x": np.ones(1, np.float32)})
    assert result.finite
    assert result.reported == {"opinion": 6.0}
    now = everything(optimizers)
    # d(abj)/da = 6, d(abj)/db = 3; d(1 - abj)^2/dj = -2 (1 - 6) * 2 = 20; a first step is rate / sqrt(0.1)
    for name, gradient in {"maker/acc/a/1": 6.0, "maker/acc/b/2": 3.0, "judge/acc/j/w": 20.0}.items():
        assert now[name] == pytest.approx(0.1 * gradient**2)
    assert now["maker/a/1"] == pytest.approx(1 - 0.1 / np.sqrt(0.1), rel=1e-5)
    assert now["judge/j/w"] == pytest.approx(3 - 0.2 / np.sqrt(0.1), rel=1e-5)
    assert (now["maker/iterations"], now["judge/iterations"]) == (1, 1)


def test_one_total_that_is_not_finite_stops_every_optimizer() -> None:
    optimizers, objective = rivals()
    step = active_backend().compile_step(objective, optimizers, [CPU])
    assert step({"x": np.ones(1, np.float32)}).finite
    before = everything(optimizers)
    assert not step({"x": np.full(1, 1e25, np.float32)}).finite  # its square overflows: the judge's total alone
    for name, array in everything(optimizers).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_frozen_parts_keep_their_weights_and_accumulators_until_compiled_anew() -> None:
    optimizers, objective = rivals(frozen=("a/",))
    assert list(optimizers["maker"].trained) == ["b/2"]
    batch = {"x": np.ones(1, np.float32)}
    before = everything(optimizers)
    active_backend().compile_step(objective, optimizers, [CPU])(batch)
    now = everything(optimizers)
    assert {name for name in now if now[name] == before[name]} == {
        "maker/a/1",
        "maker/acc/a/1",
        "maker/seed",
        "judge/seed",
    }
    optimizers["maker"].frozen = ()
    optimizers["maker"].settings = OptimizerSettings(1e-3)
    active_backend().compile_step(objective, optimizers, [CPU])(batch)
    assert everything(optimizers)["maker/a/1"] == pytest.approx(1 - 1e-3 / np.sqrt(0.1), rel=1e-5)
    assert everything(optimizers)["maker/iterations"] == 2


def test_a_weight_that_nothing_depends_on_is_named() -> None:
    optimizers, objective = rivals()
    optimizers["maker"].variables["idle/w"] = keras.Variable(0.0)
    with pytest.raises(ValueError, match=r"depends on maker: idle/w\."):
        active_backend().compile_step(objective, optimizers, [CPU])({"x": np.ones(1, np.float32)})


def test_forward_runs_and_returns_arrays() -> None:
    def function(x: Tensor, y: Tensor) -> list[Tensor]:
        return [x + y, ops.sum(x)]

    both, total = active_backend().compile_forward(function, CPU)(
        np.ones((2, 2), np.float32), np.eye(2, dtype=np.float32)
    )
    assert both.tolist() == [[2, 1], [1, 2]]
    assert float(total) == 4.0


def test_a_device_that_is_not_there_is_refused() -> None:
    phantom = Device("GPU:7", "gpu", 7, "Phantom", None)
    with pytest.raises(ToolFailed, match="GPU:7"):
        active_backend().compile_forward(lambda x: [x], phantom)
    _, optimizer, objective = line(OptimizerSettings(learning_rate=0.1))
    with pytest.raises(ToolFailed, match="GPU:7"):
        active_backend().compile_step(objective, {"all": optimizer}, [CPU, phantom])


def test_out_of_memory_is_told_in_words() -> None:
    """The framework's own error, raised where a card would raise it; a real one first waits ten seconds."""

    def greedy(x: Tensor) -> list[Tensor]:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    with pytest.raises(ToolFailed, match=r"CPU:0 \(CPU\) failed: out of memory\. Use a smaller batch size"):
        active_backend().compile_forward(greedy, CPU)(np.ones((1, 1), np.float32))


SEVERAL = """
import numpy as np
from core.nn.framework import keras, ops
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from core.nn.backend import active_backend
from core.nn.layers import Conv2D
from core.nn.optimizers import OptimizerSettings, RMSprop
from core.nn.steps import Device
from core.nn.weights import initialize, named_variables

def trained(count, share, home=None):
    layer = Conv2D(4, 3, name="conv")
    layer.build((None, 8, 8, 3))
    initialize(layer, 1)
    optimizer = RMSprop(named_variables(layer), OptimizerSettings(1e-2, keep_probability=0.3), seed=5)

    def objective(batch):
        loss = ops.sum(ops.square(layer(batch["x"]) - batch["y"]), axis=(1, 2, 3))
        return {"all": share * ops.sum(loss)}, {"loss": ops.mean(loss)}

    devices = [Device(f"CPU:{k}", "cpu", k, "CPU", None) for k in range(count)]
    step = active_backend().compile_step(objective, {"all": optimizer}, devices[-1:] if home else devices, home)
    rng = np.random.default_rng(2)
    batch = {"x": rng.random((4, 8, 8, 3), dtype=np.float32), "y": rng.random((4, 8, 8, 4), dtype=np.float32)}
    losses = [step(batch).reported["loss"] for _ in range(3)]
    return losses, layer.kernel.numpy(), [v.numpy() for v in optimizer.state.values()]

alone, together = trained(1, 0.5), trained(2, 1.0)
np.testing.assert_allclose(alone[0], together[0], rtol=1e-5)
np.testing.assert_allclose(alone[1], together[1], atol=1e-6)
for a, b in zip(alone[2], together[2], strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4)
assert alone[0][2] < alone[0][0]

away = trained(2, 0.5, home=Device("CPU:0", "cpu", 0, "CPU", None))  # computed elsewhere than the variables live
for a, b in zip([*alone[0], alone[1], *alone[2]], [*away[0], away[1], *away[2]], strict=True):
    np.testing.assert_array_equal(a, b)
"""


@pytest.mark.slow
def test_two_devices_average_the_sums_of_their_halves_and_one_works_for_another() -> None:
    """In a process of its own: one CPU posing as two devices has to be arranged before the framework wakes."""
    result = subprocess.run([sys.executable, "-c", SEVERAL], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-3000:]
