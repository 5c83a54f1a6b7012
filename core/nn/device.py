"""Which processors there are, which one a user means, and whether it computes what it should.

A graphics card that the system shows and the framework cannot use is an error in words, never a silent CPU run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import psutil

from core.cards import installed_cards
from core.errors import BadOption, FaceLoomError
from core.nn.backend import active_backend
from core.nn.framework import Tensor, keras, ops
from core.nn.layers import Conv2D, leaky
from core.nn.optimizers import OptimizerSettings, RMSprop
from core.nn.steps import Device
from core.nn.weights import initialize, named_variables
from core.words import counted

_TOLERANCE = 0.02  # of the largest value; graphics cards multiply in 10-bit mantissas (TF32) unless told otherwise


def list_devices() -> list[Device]:
    """Every processor the neural framework can use, the CPU first, with their memory where it is known."""
    memory = {card.name: card.memory_bytes for card in installed_cards()}
    memory["CPU"] = psutil.virtual_memory().total
    return [replace(device, memory_bytes=memory.get(device.description)) for device in active_backend().list_devices()]


def unusable_cards() -> str:
    """In words: graphics cards that the system shows and the neural framework cannot use. Empty when all is well."""
    cards = installed_cards()
    usable = sum(device.kind == "gpu" for device in active_backend().list_devices())
    if len(cards) <= usable:
        return ""
    names = "; ".join(map(str, cards))
    return (
        f"The system shows {counted(len(cards), 'graphics card')} ({names}), but the neural framework can use {usable}."
    )


CUDA_REMEDY = (
    "Install the CUDA libraries (pip install -r requirements-cuda.txt), update the driver, "
    "or choose the processor by --device cpu."
)


def choose_devices(text: str = "auto") -> list[Device]:
    """The devices a user means.

    Args:
        text: "auto" (the GPU with most memory, else the CPU), "cpu", a GPU's number ("0"), or several ("0+1").

    Raises:
        BadOption: no such device.
        FaceLoomError: "auto", and a graphics card is present but unusable.
    """
    devices = list_devices()
    cpu, gpus = devices[0], [device for device in devices if device.kind == "gpu"]
    word = text.strip().lower()
    if word == "cpu":
        return [cpu]
    if word == "auto":
        if gpus:
            return [max(gpus, key=lambda gpu: (gpu.memory_bytes or 0, -gpu.index))]
        if problem := unusable_cards():
            raise FaceLoomError(problem, CUDA_REMEDY)
        return [cpu]
    numbers = word.split("+")
    known = {str(gpu.index): gpu for gpu in gpus}
    if len(set(numbers)) != len(numbers) or not all(number in known for number in numbers):
        there = ", ".join(f"{gpu.index} ({gpu.description})" for gpu in gpus) or "none"
        raise BadOption(
            f"A device is auto, cpu, or GPU numbers like 0 or 0+1; GPUs here: {there}. Received: {text}.",
            CUDA_REMEDY if unusable_cards() else "",
        )
    return [known[number] for number in numbers]


@dataclass(frozen=True)
class DeviceCheck:
    """What a device made of a small convolution and a small training step.

    Attributes:
        device: the device that was tried.
        convolution_difference: largest difference from the exact result, relative to its largest value.
        step_difference: of the losses and accumulators of two training steps from the CPU's, relative to the largest.
        seconds: for both, compilation included.
        problem: empty, or what is wrong, in words.
    """

    device: Device
    convolution_difference: float
    step_difference: float
    seconds: float
    problem: str


def check_device(device: Device) -> DeviceCheck:
    """Runs a convolution and a training step on a device and compares: with NumPy, and with the CPU's step."""
    started = time.perf_counter()
    convolution = step = float("nan")
    problem = ""
    try:
        convolution = _convolution_difference(device)
        cpu = active_backend().list_devices()[0]
        pairs = zip(_trained(device), _trained(cpu), strict=True)
        step = max(float(np.abs(got - expected).max() / np.abs(expected).max()) for got, expected in pairs)
    except Exception as failure:  # whatever a driver or a framework throws is the finding
        problem = f"{device.name} ({device.description}) failed: {str(failure).strip().splitlines()[0][:300]}"
    else:
        for what, difference in (("convolution", convolution), ("training step", step)):
            if not difference <= _TOLERANCE:
                problem = f"{device.name} ({device.description}) computes a {what} wrongly, off by {difference:.2g}."
    return DeviceCheck(device, convolution, step, time.perf_counter() - started, problem)


def _convolution_difference(device: Device) -> float:
    """A 3x3 convolution of a random (2, 16, 16, 8) picture to 16 channels, against a float64 sum of nine products."""
    rng = np.random.default_rng(5)
    picture = rng.standard_normal((2, 18, 18, 8)).astype(np.float32)
    kernel = rng.standard_normal((3, 3, 8, 16)).astype(np.float32)
    exact = sum(
        picture[:, y : y + 16, x : x + 16].astype(np.float64) @ kernel[y, x].astype(np.float64)
        for y in range(3)
        for x in range(3)
    )

    def convolve(x: Tensor, k: Tensor) -> list[Tensor]:
        return [ops.conv(x, k, padding="valid", data_format="channels_last")]

    (got,) = active_backend().compile_forward(convolve, device)(picture, kernel)
    return float(np.abs(got - exact).max() / np.abs(exact).max())


def _trained(device: Device) -> tuple[np.ndarray, np.ndarray]:
    """The losses of two updates of a small network on fixed pictures, and its accumulators after them.

    Not its weights: the first steps of RMSprop go by the gradients' signs, which rounding may turn where they are tiny.
    """
    backend = active_backend()
    with backend.placed_on(device):
        layers = [Conv2D(8, 5, strides=2, name="first"), Conv2D(3, 3, name="second")]
        layers[0].build((None, 16, 16, 3))
        layers[1].build((None, 8, 8, 8))
        variables: dict[str, keras.Variable] = {}
        for layer in layers:
            initialize(layer, 3)
            variables.update({f"{layer.name}/{name}": v for name, v in named_variables(layer).items()})
        optimizer = RMSprop(variables, OptimizerSettings(learning_rate=1e-3, keep_probability=0.3), seed=0)

    def objective(batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        drawn = layers[1](leaky(layers[0](batch["picture"]), 0.1))
        loss = ops.sum(ops.square(drawn - batch["target"]))
        return {"all": loss}, {"loss": loss}

    rng = np.random.default_rng(6)
    batch = {
        "picture": rng.random((4, 16, 16, 3), dtype=np.float32),
        "target": rng.random((4, 8, 8, 3), dtype=np.float32),
    }
    step = backend.compile_step(objective, {"all": optimizer}, [device])
    losses = np.array([step(batch).reported["loss"] for _ in range(2)])
    return losses, np.concatenate([v.numpy().ravel() for v in optimizer.slots["acc"].values()])
