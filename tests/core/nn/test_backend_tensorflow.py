"""Compiled steps on a network of two weights, where every number can be worked out by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from core.errors import ToolFailed
from core.nn.backend import active_backend
from core.nn.framework import Tensor, keras, ops
from core.nn.optimizers import OptimizerSettings, RMSprop
from core.nn.steps import Device

CPU = Device("CPU:0", "cpu", 0, "CPU", None)
ROOT = Path(__file__).resolve().parents[3]


def line(settings: OptimizerSettings) -> tuple[keras.Variable, RMSprop, object]:
    """y = a * x + b from (1, 0), its optimizer, and an objective: the sum of the squared errors."""
    weights = keras.Variable(np.array([1.0, 0.0], np.float32))

    def objective(batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        error = batch["x"] * weights[0] + weights[1] - batch["y"]
        return ops.sum(ops.square(error)), {"mean": ops.mean(ops.square(error))}

    return weights, RMSprop({"line": weights}, settings, seed=0), objective


def test_a_step_follows_the_gradient_of_the_sum() -> None:
    weights, optimizer, objective = line(OptimizerSettings(learning_rate=0.1))
    step = active_backend().compile_step(objective, optimizer, [CPU])  # type: ignore[arg-type]
    x, y = np.array([1.0, 2.0, 3.0], np.float32), np.array([3.0, 5.0, 7.0], np.float32)
    result = step({"x": x, "y": y})
    error = x - y
    gradient = np.array([2 * (error * x).sum(), 2 * error.sum()])
    assert result.finite
    assert result.reported == {"mean": pytest.approx((error**2).mean())}
    np.testing.assert_allclose(optimizer.slots["acc"]["line"].numpy(), 0.1 * gradient**2, rtol=1e-6)
    np.testing.assert_allclose(weights.numpy(), np.array([1.0, 0.0]) + 0.1 / np.sqrt(0.1), rtol=1e-5)
    assert int(optimizer.iterations.numpy()) == 1


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
def test_a_step_that_is_not_finite_changes_nothing(poison: float) -> None:
    weights, optimizer, objective = line(OptimizerSettings(learning_rate=0.1, keep_probability=0.5))
    step = active_backend().compile_step(objective, optimizer, [CPU])  # type: ignore[arg-type]
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

    def objective(batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        loss = ops.sum(ops.sqrt(weights) * batch["x"])  # its slope at 0 is infinite
        return loss, {"loss": loss}

    optimizer = RMSprop({"w": weights}, OptimizerSettings(learning_rate=0.1), seed=0)
    result = active_backend().compile_step(objective, optimizer, [CPU])({"x": np.ones(2, np.float32)})
    assert not result.finite
    assert result.reported == {"loss": 2.0}
    assert weights.numpy().tolist() == [0.0, 4.0]


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
        active_backend().compile_step(objective, optimizer, [CPU, phantom])  # type: ignore[arg-type]


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

def trained(count, share):
    layer = Conv2D(4, 3, name="conv")
    layer.build((None, 8, 8, 3))
    initialize(layer, 1)
    optimizer = RMSprop(named_variables(layer), OptimizerSettings(1e-2, keep_probability=0.3), seed=5)

    def objective(batch):
        loss = ops.sum(ops.square(layer(batch["x"]) - batch["y"]), axis=(1, 2, 3))
        return share * ops.sum(loss), {"loss": ops.mean(loss)}

    devices = [Device(f"CPU:{k}", "cpu", k, "CPU", None) for k in range(count)]
    step = active_backend().compile_step(objective, optimizer, devices)
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
"""


@pytest.mark.slow
def test_two_devices_average_the_sums_of_their_halves() -> None:
    """In a process of its own: one CPU posing as two devices has to be arranged before the framework wakes."""
    result = subprocess.run([sys.executable, "-c", SEVERAL], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-3000:]
