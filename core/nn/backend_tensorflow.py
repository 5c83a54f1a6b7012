"""TensorFlow's share: devices, gradients, compiled steps. The only file that names the framework.

A step is two compiled functions: gradients, then the update. On a GPU each goes through XLA as a whole. On a CPU the
gradients stay a plain graph, where oneDNN does the convolutions, and only the update of each variable goes through XLA:
one fused pass over it instead of a dozen (20 against 100 ms for Quick96 on two cores), compiled once per shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from core.errors import ToolFailed
from core.nn.framework import keras
from core.nn.optimizers import Optimizer
from core.nn.steps import Device, Objective, StepResult

for _gpu in tf.config.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(_gpu, True)  # take memory as it is needed, not all at once
# This graph rewriter stumbles over residual blocks under a gradient, says so, and gains nothing measurable elsewhere.
tf.config.optimizer.set_experimental_options({"remapping": False})
tf.get_logger().setLevel("ERROR")  # one graph per shape is meant; it would warn of "retracing" after five of them
tf.config.list_logical_devices()  # wakes the devices while their chatter is held back


def list_devices() -> list[Device]:
    """See `core.nn.backend.Backend.list_devices`."""
    devices = [Device("CPU:0", "cpu", 0, "CPU", None)]
    for index, gpu in enumerate(tf.config.list_physical_devices("GPU")):
        details = tf.config.experimental.get_device_details(gpu)
        devices.append(Device(f"GPU:{index}", "gpu", index, details.get("device_name", "GPU"), None))
    return devices


def placed_on(device: Device) -> AbstractContextManager[Any]:
    """See `core.nn.backend.Backend.placed_on`."""
    return tf.device(device.name)


def compile_forward(function: Callable[..., Any], device: Device) -> Callable[..., list[np.ndarray]]:
    """See `core.nn.backend.Backend.compile_forward`."""
    _require(device)
    compiled = tf.function(function, jit_compile=device.kind == "gpu")

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        with tf.device(device.name), _out_of_memory_in_words(device):
            return [tensor.numpy() for tensor in compiled(*[tf.constant(array) for array in arrays])]

    return run


def _require(device: Device) -> None:
    """Raises ToolFailed for a device that is not there: the framework would quietly compute on the CPU instead."""
    known = [logical.name.removeprefix("/device:") for logical in tf.config.list_logical_devices()]
    if device.name not in known:
        raise ToolFailed("the neural framework", f"it knows no device {device.name}, only {', '.join(known)}.")


@contextmanager
def _out_of_memory_in_words(device: Device) -> Iterator[None]:
    """Turns the framework's report into ToolFailed with what helps."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as failure:
        raise ToolFailed(
            f"{device.name} ({device.description})",
            "out of memory.",
            "Use a smaller batch size, --precision bf16, or a smaller model; close other programs that use the device.",
        ) from failure


def compile_step(
    objective: Objective, optimizer: Optimizer, devices: Sequence[Device]
) -> Callable[[Mapping[str, np.ndarray]], StepResult]:
    """See `core.nn.backend.Backend.compile_step`."""
    for device in devices:
        _require(device)
    home = devices[0]
    variables = list(optimizer.variables.values())
    accumulators = [list(named.values()) for named in optimizer.slots.values()]
    on_gpu = home.kind == "gpu"

    def gradients(batch: Mapping[str, tf.Tensor], values: list[tf.Tensor] | None) -> Any:
        """Total, reported scalars and gradients; of the variables themselves, or of copies of their values."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            watched = [v.value for v in variables] if values is None else values
            tape.watch(watched)
            if values is None:
                total, reported = objective(batch)
            else:
                with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                    total, reported = objective(batch)
        return total, dict(reported), tape.gradient(total, watched)

    share = tf.function(gradients, jit_compile=True) if on_gpu else gradients
    updated = optimizer.updated if on_gpu else tf.function(optimizer.updated, jit_compile=True)

    def update(grads: list[tf.Tensor], norm: tf.Tensor) -> None:
        iteration, seed = tf.identity(optimizer.iterations.value), tf.identity(optimizer.seed.value)
        for number, (variable, gradient) in enumerate(zip(variables, grads, strict=True)):
            slots = [named[number] for named in accumulators]
            old = [tf.identity(slot.value) for slot in slots]
            place = tf.constant(number, tf.int64)
            value, new = updated(tf.identity(variable.value), old, gradient, norm, iteration, seed, place)
            for target, tensor in zip([variable, *slots], [value, *new], strict=True):
                target.value.assign(tensor)
        optimizer.iterations.value.assign_add(tf.cast(tf.math.is_finite(norm), tf.int64))

    apply = tf.function(update, jit_compile=True) if on_gpu else update

    def split(batch: Mapping[str, tf.Tensor]) -> Any:
        if len(devices) == 1:
            return share(batch, None)
        results = []
        for k, device in enumerate(devices):
            with tf.device(device.name):
                part = {name: tf.split(array, len(devices))[k] for name, array in batch.items()}
                results.append(share(part, [tf.identity(v.value) for v in variables]))
        totals, reports, grads = zip(*results, strict=True)
        mean_report = {name: tf.add_n([r[name] for r in reports]) / len(devices) for name in reports[0]}
        return tf.add_n(totals), mean_report, [tf.add_n(g) / len(devices) for g in zip(*grads, strict=True)]

    @tf.function
    def step(batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        total, reported, grads = split(batch)
        norm = tf.where(tf.math.is_finite(total), tf.linalg.global_norm(grads), float("nan"))
        apply(grads, norm)
        return reported, tf.math.is_finite(norm)

    def run(batch: Mapping[str, np.ndarray]) -> StepResult:
        with tf.device(home.name), _out_of_memory_in_words(home):
            reported, finite = step({name: tf.constant(array) for name, array in batch.items()})
            return StepResult({name: float(value) for name, value in reported.items()}, bool(finite))

    return run
