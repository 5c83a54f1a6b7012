"""Networks as named tensors: name them, fill them from a seed, take them out, put them back.

A tensor's name is its path below the network, "down1/downs_0/conv1/weight"; kernels are called `weight`, their
layout is (rows, columns, in, out) or (in, out). Source: spec models 1.3, 1.5. Order is the networks' own.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from core.errors import FaceLoomError
from core.nn.framework import keras

_STORED_NAMES = {"kernel": "weight"}


def named_variables(network: keras.layers.Layer) -> dict[str, keras.Variable]:
    """Every variable of a built network by its stored name, in the order in which its layers were built."""
    named: dict[str, keras.Variable] = {}
    for variable in network.variables:
        _, *folders, leaf = variable.path.split("/")
        named["/".join([*folders, _STORED_NAMES.get(leaf, leaf)])] = variable
    if len(named) != len(network.variables):
        raise ValueError(f"Two variables of network {network.name} share a name.")
    return named


def initialize(network: keras.layers.Layer, seed: int) -> None:
    """Fills a network: kernels Glorot uniform, everything else zero; a pure function of seed and tensor names.

    Small tensors come first, as in `import_tensors`: a variable moves to where its new values are, and memory that a
    smaller one has left is not taken, and half wasted, by the next.

    U(-l, l) with l = sqrt(6 / (fan_in + fan_out)), fans counted over the kernel's window.
    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
    """
    for name, variable in sorted(named_variables(network).items(), key=lambda item: np.prod(item[1].shape)):
        shape = tuple(variable.shape)
        if len(shape) < 2:
            variable.assign(np.zeros(shape, np.float32))
            continue
        window = int(np.prod(shape[:-2]))
        limit = np.sqrt(6.0 / (window * (shape[-2] + shape[-1])))
        rng = np.random.default_rng([seed, zlib.crc32(f"{network.name}/{name}".encode())])
        variable.assign((rng.random(shape, dtype=np.float32) * 2.0 - 1.0) * np.float32(limit))


def export_tensors(variables: Mapping[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Copies of the variables' values, by the same names."""
    return {name: np.array(variable.numpy()) for name, variable in variables.items()}


def import_tensors(part: str, variables: Mapping[str, keras.Variable], tensors: Mapping[str, np.ndarray]) -> None:
    """Assigns tensors to variables of the same names, the smallest first (see `initialize`); all or nothing.

    Raises FaceLoomError listing every missing, unexpected, misshaped or non-finite tensor of the part.
    """
    problems = [f"{name} is missing" for name in variables if name not in tensors]
    problems += [f"{name} is unexpected" for name in tensors if name not in variables]
    ready: dict[str, np.ndarray] = {}
    for name, variable in variables.items():
        if name not in tensors:
            continue
        tensor = np.asarray(tensors[name])
        if tensor.shape != tuple(variable.shape):
            problems.append(f"{name} has shape {tensor.shape} instead of {tuple(variable.shape)}")
        elif tensor.dtype.kind not in "fiu":
            problems.append(f"{name} holds {tensor.dtype} instead of numbers")
        elif not np.isfinite(tensor).all():
            problems.append(f"{name} holds values that are not finite")
        else:
            ready[name] = tensor
    if problems:
        shown = "; ".join(problems[:12]) + (f"; and {len(problems) - 12} more" if len(problems) > 12 else "")
        raise FaceLoomError(
            f"The weights of '{part}' do not fit this network: {shown}.",
            "Use files of the same model class and settings, or start this part afresh with --reset.",
        )
    for name, tensor in sorted(ready.items(), key=lambda item: item[1].size):
        variables[name].assign(tensor.astype(variables[name].dtype))
