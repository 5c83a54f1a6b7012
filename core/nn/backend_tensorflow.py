"""TensorFlow's share: devices, gradients, compiled steps. The only file that names the framework.

A step is two compiled functions: gradients, then the updates. On a GPU each goes through XLA as a whole. On a CPU the
gradients stay a plain graph, where oneDNN does the products and convolutions; through XLA go the update of each
variable, and the transforms of `core.nn.winograd` around the products that 3x3 convolutions are made of.

Figures: seconds of one step on two idle cores with AVX-512, batch 4, RMSprop, medians beside the plain Keras
yardstick (November 2026). Peaks of the same step differ by 0.1 GiB from run to run.
                 yardstick            fp32                 bf16
    df-ud-128    1.07 s  1.73 GiB     0.76 s  1.72 GiB     0.46 s  1.67 GiB
    liae-ud-128  1.38 s  2.27 GiB     0.90 s  2.15 GiB     0.58 s  2.08 GiB
    quick96      0.59 s  1.43 GiB     0.45 s  1.55 GiB     0.29 s  1.50 GiB
What was tried, df-ud-128 fp32:
    3x3 by sixteen products of tiles        1.36 s of 1.96; products 0.67, transforms 0.27, encoder 0.19
    few shapes to compile, no AutoGraph     first step 15 CPU s instead of 23; peak 2.1 GiB, not 2.35
    tiles in portions                       peak 2.0
    weights and accumulators updated where they lie    peak 1.9: the allocator never gives back what moving them tore
    gradients wait before they make tiles   peak 2.1 GiB, not 2.6, at that time
    no constants as large as pictures or variables     quick96 (dropout): peak 1.61 GiB, not 1.67; medians of five
    upscales and leaky sums kept once, padding by the convolution    tensors at worst 850 MB, not 870 to 930
    new weights written smallest first      770 to 790 MB
    large kernels' gradients in slabs       liae-ud-128: peak 2.15 GiB, not 2.22 to 2.28
    malloc gives back pieces of 4 MB, transforms traced in short stacks    60 to 90 MB less, about 3 % slower
    transforms in two sums, not cell by cell   0.2 s to compile instead of 0.55, and 10 to 40 % less to run
    tiles of 4x4 results, F(4x4, 3x3)       no gain: larger transforms, overlaps six times slower to undo, less exact
    one operation at a time, fewer arenas of malloc    no gain
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import numpy as np
import tensorflow as tf

from core.errors import OutOfMemory, ToolFailed
from core.nn import winograd
from core.nn.framework import keras
from core.nn.optimizers import Optimizer
from core.nn.steps import Device, Objective, StepResult

for _gpu in tf.config.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(_gpu, True)  # take memory as it is needed, not all at once
# This graph rewriter stumbles over residual blocks under a gradient, says so, and gains nothing measurable elsewhere.
tf.config.optimizer.set_experimental_options({"remapping": False})
tf.get_logger().setLevel("ERROR")  # one graph per shape is meant; it would warn of "retracing" after five of them
tf.config.list_logical_devices()  # wakes the devices while their chatter is held back


_KEPT = 2**22
"""Bytes in one piece from which on the system gets back at once what is freed."""


def _keep_little_freed_memory() -> None:
    """glibc would by and by keep pieces of up to 32 MB for later: 50 MB in df-ud-128, for 3 % of its time."""
    if sys.platform == "linux" and (set_option := getattr(ctypes.CDLL(None), "mallopt", None)):
        for trim_threshold_or_mmap_threshold in (-1, -3):
            set_option(trim_threshold_or_mmap_threshold, _KEPT)


_keep_little_freed_memory()


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
    compiled = tf.function(function, jit_compile=device.kind == "gpu", autograph=False)

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
    """Turns the framework's report, whichever of its kinds, into OutOfMemory with what helps."""
    try:
        yield
    except (tf.errors.OpError, MemoryError) as failure:
        if (
            not isinstance(failure, tf.errors.ResourceExhaustedError | MemoryError)
            and "out of memory" not in str(failure).lower()
        ):
            raise
        raise OutOfMemory(
            f"{device.name} ({device.description})",
            "out of memory.",
            "Use a smaller batch size, --precision bf16, or a smaller model; close other programs that use the device.",
        ) from failure


_LARGE = 2**17
"""Scalars from which on compiling the update of a variable pays."""

_cpu_step = ContextVar("cpu_step", default=False)
"""Whether a training step for the CPU is being traced: there the products of `core.nn.winograd` beat convolutions."""


def _compiled(transform: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """The transform through XLA, compiled once for each shape of its tensors and value of its other arguments.

    It is traced in a thread of its own: the Python stack of every operation is kept for good, and there it is short.
    """
    compiled = tf.function(transform, jit_compile=True, autograph=False)

    def run(*arguments: Any) -> tf.Tensor:
        specs = [tf.TensorSpec(a.shape, a.dtype) if tf.is_tensor(a) else a for a in arguments]
        with ThreadPoolExecutor(1) as thread:
            traced = thread.submit(compiled.get_concrete_function, *specs).result()
        return traced(*filter(tf.is_tensor, arguments))

    return run


_picture_tiles, _kernel_tiles, _result, _picture_tiles_adjoint, _kernel_tiles_adjoint, _result_adjoint = (
    _compiled(transform)
    for transform in (
        winograd.picture_tiles,
        winograd.kernel_tiles,
        winograd.result,
        winograd.picture_tiles_adjoint,
        winograd.kernel_tiles_adjoint,
        winograd.result_adjoint,
    )
)


def convolve(
    x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, *, strides: int, margin: int, slope: float, to_space: bool
) -> tf.Tensor:
    """See `core.nn.backend.Backend.convolve`."""
    same = strides == 1 and 2 * margin + 1 == kernel.shape[0]
    if _cpu_step.get() and same and winograd.pays(x.shape, kernel.shape):
        return _convolve_by_tiles(x, kernel, bias, slope, to_space)
    zeros: Any = [(0, 0), (margin, margin), (margin, margin), (0, 0)]
    if not same and x.dtype == tf.bfloat16:  # oneDNN pads float32 alone; without it a step takes six times as long
        x, zeros = tf.pad(x, zeros), "VALID"
    y = tf.nn.conv2d(x, tf.cast(kernel, x.dtype), strides, "SAME" if same else zeros) + tf.cast(bias, x.dtype)
    return leaky(y, slope, to_space)


def leaky(x: tf.Tensor, slope: float, to_space: bool = False) -> tf.Tensor:
    """See `core.nn.backend.Backend.leaky`. Leaky keeps signs: what it gave is all that its gradient needs."""

    @tf.custom_gradient
    def activated(x: tf.Tensor) -> Any:
        y = _to_space(tf.nn.leaky_relu(x, slope), to_space)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            reached, sign = _from_space(upstream, to_space), _from_space(y, to_space)
            return tf.raw_ops.LeakyReluGrad(gradients=reached, features=sign, alpha=slope)

        return y, gradient

    return activated(x) if slope != 1.0 else _to_space(x, to_space)


def _to_space(x: tf.Tensor, wanted: bool) -> tf.Tensor:
    """`core.nn.layers.depth_to_space` of it, where wanted."""
    return tf.nn.depth_to_space(x, 2) if wanted else x


def _from_space(x: tf.Tensor, wanted: bool) -> tf.Tensor:
    """The inverse of `_to_space`."""
    return tf.nn.space_to_depth(x, 2) if wanted else x


def _convolve_by_tiles(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, slope: float, to_space: bool) -> tf.Tensor:
    """Products of tiles between compiled transforms.

    Tiles are large: pictures go through in portions, one after another; nothing is made as soon as it could be but
    when it is needed, and made anew for the gradients. Kernels go through their transforms with both channels as one,
    and the slope is a tensor, so that few transforms are compiled.
    """
    dtype, channels, steepness = x.dtype.name, tuple(kernel.shape[2:]), tf.constant(slope)
    portions = winograd.portions(x.shape, kernel.shape)

    def kernel_tiles(kernel: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([after]):
            tiles = _kernel_tiles(tf.reshape(kernel, (3, 3, -1)), dtype)
        return tf.reshape(tiles, (16, *channels))

    @tf.custom_gradient
    def convolved(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> Any:
        wide = kernel_tiles(kernel, after=x)
        drawn: list[tf.Tensor] = []
        for part in tf.split(x, portions):
            with tf.control_dependencies(drawn[-1:]):
                products = tf.matmul(_picture_tiles(part), wide)
            drawn.append(_to_space(_result(products, bias, (*part.shape[:3], channels[1]), steepness), to_space))
        y = tf.concat(drawn, 0)

        def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            wide = kernel_tiles(kernel, after=upstream)
            to_x, to_kernel, to_bias = list[tf.Tensor](), list[tf.Tensor](), list[tf.Tensor]()
            activated = upstream if slope == 1.0 else y
            for part, reached, sign in zip(*(tf.split(p, portions) for p in (x, upstream, activated)), strict=True):
                reached, sign = _from_space(reached, to_space), _from_space(sign, to_space)
                with tf.control_dependencies(to_kernel[-1:]):
                    tiles = _result_adjoint(reached, sign, steepness)
                to_x.append(_picture_tiles_adjoint(tf.matmul(tiles, wide, transpose_b=True), tuple(part.shape)))
                slabs: list[tf.Tensor] = []
                with tf.control_dependencies(to_x[-1:]):
                    pictures = _picture_tiles(part)
                for slab in tf.split(pictures, winograd.slabs(kernel.shape), axis=2):
                    with tf.control_dependencies(slabs[-1:]):
                        products = tf.matmul(slab, tiles, transpose_a=True)
                    narrow = _kernel_tiles_adjoint(tf.reshape(products, (16, -1)))
                    slabs.append(tf.reshape(narrow, (3, 3, -1, channels[1])))
                to_kernel.append(tf.concat(slabs, 2))
                to_bias.append(winograd.bias_adjoint(tiles))
            return tf.concat(to_x, 0), tf.add_n(to_kernel), tf.add_n(to_bias)

        return y, gradients

    return convolved(x, kernel, bias)


def compile_step(
    objective: Objective, optimizers: Mapping[str, Optimizer], devices: Sequence[Device], home: Device | None = None
) -> Callable[[Mapping[str, np.ndarray]], StepResult]:
    """See `core.nn.backend.Backend.compile_step`."""
    home = home or devices[0]
    for device in (home, *devices):
        _require(device)
    gradients = _gradients_function(objective, optimizers, devices[0])
    updates = _updates_function(optimizers, home)

    def split(batch: Mapping[str, tf.Tensor], one: tf.Tensor) -> Any:
        if list(devices) == [home]:
            return gradients(batch, one, None)
        shares = []
        for k, device in enumerate(devices):
            with tf.device(device.name):
                part = {name: tf.split(array, len(devices))[k] for name, array in batch.items()}
                copies = {kind: _values(optimizer.variables) for kind, optimizer in optimizers.items()}
                shares.append(gradients(part, one, copies))
        return tf.nest.map_structure(lambda *tensors: tf.add_n(tensors) / len(devices), *shares)

    @tf.function(autograph=False)
    def step(batch: Mapping[str, tf.Tensor], one: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        totals, reported, grads = split(batch, one)
        norms = {kind: tf.linalg.global_norm(list(named.values())) for kind, named in grads.items()}
        finite = tf.reduce_all([tf.math.is_finite(x) for x in (*totals.values(), *norms.values())])
        updates(grads, {kind: tf.where(finite, norm, float("nan")) for kind, norm in norms.items()})
        return reported, finite

    fresh = [True]

    def run(batch: Mapping[str, np.ndarray]) -> StepResult:
        with tf.device(home.name), _out_of_memory_in_words(devices[0]):
            reported, finite = step({name: tf.constant(array) for name, array in batch.items()}, tf.constant(1.0))
            result = StepResult({name: float(value) for name, value in reported.items()}, bool(finite))
        if fresh:
            fresh.clear()
            _give_back_freed_memory()
        return result

    return run


def _give_back_freed_memory() -> None:
    """Returns to the system what compiling has freed, and glibc would keep: 70 MB after the first step of df-ud-128."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _traced_for(device: Device, objective: Objective, batch: Mapping[str, tf.Tensor]) -> Any:
    """The objective of a batch, by what is fastest on the device."""
    token = _cpu_step.set(device.kind == "cpu")
    try:
        return objective(batch)
    finally:
        _cpu_step.reset(token)


def _values(variables: Mapping[str, keras.Variable]) -> dict[str, tf.Tensor]:
    """What the variables hold now, by the same names."""
    return {name: tf.identity(variable.value) for name, variable in variables.items()}


def _gradients_function(
    objective: Objective, optimizers: Mapping[str, Optimizer], device: Device
) -> Callable[..., Any]:
    """A function of a batch to totals, reported scalars, and gradients by optimizer and variable.

    Its second argument is 1.0, the gradient of a total by itself: known while tracing, it would fold the gradients of
    means into constants as large as pictures. Its third is None, or copies of all variables' values, by optimizer and
    variable, to compute with.
    """

    def gradients(
        batch: Mapping[str, tf.Tensor], one: tf.Tensor, copies: dict[str, dict[str, tf.Tensor]] | None
    ) -> Any:
        variables = {kind: optimizer.variables for kind, optimizer in optimizers.items()}
        if copies is None:
            watched = {kind: {name: v.value for name, v in named.items()} for kind, named in variables.items()}
            scope = nullcontext()
        else:
            watched = copies
            pairs = [(v, copies[kind][name]) for kind, named in variables.items() for name, v in named.items()]
            scope = keras.StatelessScope(state_mapping=pairs)
        watched = {kind: {name: watched[kind][name] for name in o.trained} for kind, o in optimizers.items()}
        with tf.GradientTape(persistent=len(optimizers) > 1, watch_accessed_variables=False) as tape, scope:
            tape.watch(watched)
            totals, reported = _traced_for(device, objective, batch)
        grads = {kind: tape.gradient(totals[kind], named, output_gradients=one) for kind, named in watched.items()}
        if idle := [f"{kind}: {name}" for kind, named in grads.items() for name, g in named.items() if g is None]:
            raise ValueError(f"Nothing that is minimized depends on {', '.join(idle)}.")
        return dict(totals), dict(reported), grads

    return tf.function(gradients, jit_compile=True, autograph=False) if device.kind == "gpu" else gradients


def _updates_function(optimizers: Mapping[str, Optimizer], home: Device) -> Callable[..., None]:
    """A function of gradients by optimizer and variable, and of a norm per optimizer, that updates everything."""
    on_gpu = home.kind == "gpu"
    update = {kind: _update_of_one(optimizer) for kind, optimizer in optimizers.items()}
    compiled = {kind: tf.function(one, jit_compile=True, autograph=False) for kind, one in update.items()}

    def updates(grads: dict[str, dict[str, tf.Tensor]], norms: dict[str, tf.Tensor]) -> None:
        for kind, optimizer in optimizers.items():
            norm = norms[kind]
            iteration, seed = tf.identity(optimizer.iterations.value), tf.identity(optimizer.seed.value)
            for number, (name, variable) in enumerate(optimizer.variables.items()):
                if name not in grads[kind]:
                    continue
                targets = [variable.value, *[named[name].value for named in optimizer.slots.values()]]
                pays = not on_gpu and variable.value.shape.num_elements() >= _LARGE
                one = compiled[kind] if pays else update[kind]
                one(targets, grads[kind][name], norm, iteration, seed, tf.constant(number, tf.int64))
            optimizer.iterations.value.assign_add(tf.cast(tf.math.is_finite(norm), tf.int64))

    return tf.function(updates, jit_compile=True, autograph=False) if on_gpu else updates


def _update_of_one(optimizer: Optimizer) -> Callable[..., None]:
    """Updates a variable and its slots; compiled, it writes where they lie, and serves all variables of a shape."""

    def update(targets: Sequence[tf.Variable], gradient: tf.Tensor, *rest: tf.Tensor) -> None:
        value, *slots = [target.read_value() for target in targets]
        value, slots = optimizer.updated(value, slots, gradient, *rest)
        for target, tensor in zip(targets, [value, *slots], strict=True):
            target.assign(tensor)

    return update
