"""Weights of four older networks: their tables of names and shapes, and their files read strictly.

The files `S3FD.npy`, `2DFAN.npy`, `3DFAN.npy` and `FaceEnhancer.npy` are no NumPy files: each is one stream that
holds a dictionary {"layer/path/variable:0": array}. It is read by the guarded decoder, and must hold exactly the
tensors of its table: none missing, none besides, none of another shape. Layouts are (rows, columns, in, out) and
(in, out).

Source: spec faces-and-formats 4.1, 4.3, 5.2, 9.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile
from core.legacy_pickle import Limits, decode
from core.legacy_values import Refused

Shape = tuple[int, ...]
Table = dict[str, Shape]
"""Tensor name, "conv1_1/weight", to its shape."""

LONGEST_FILE = 1 << 30
_MOST_NAMED = 12

S3FD_HEADS = (
    ("conv3_3_norm", 256, 4),
    ("conv4_3_norm", 512, 2),
    ("conv5_3_norm", 512, 2),
    ("fc7", 1024, 2),
    ("conv6_2", 512, 2),
    ("conv7_2", 256, 2),
)
"""(feature, its channels, channels of the score) per level, finest first."""

FAN_STACKS = 4
FAN_DEPTH = 4
FAN_CHANNELS = 256
FAN_POINTS = 68

ENHANCER_WIDTHS = (64, 112, 192, 336, 512)
"""Channels of the encoder's levels, from full size down."""

_ENHANCER_DECODER = ((4, 1024, 512), (3, 848, 512), (2, 704, 288), (1, 400, 160), (0, 224, 96))


def _convolution(table: Table, name: str, kernel: int, inputs: int, outputs: int, *, bias: bool = True) -> None:
    table[f"{name}/weight"] = (kernel, kernel, inputs, outputs)
    if bias:
        table[f"{name}/bias"] = (outputs,)


def s3fd_table() -> Table:
    """The 65 tensors of the detector."""
    table: Table = {}
    for stage, (inputs, outputs, count) in enumerate(
        ((3, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3), (512, 512, 3)), 1
    ):
        for number in range(1, count + 1):
            _convolution(table, f"conv{stage}_{number}", 3, inputs if number == 1 else outputs, outputs)
    _convolution(table, "fc6", 3, 512, 1024)
    _convolution(table, "fc7", 1, 1024, 1024)
    _convolution(table, "conv6_1", 1, 1024, 256)
    _convolution(table, "conv6_2", 3, 256, 512)
    _convolution(table, "conv7_1", 1, 512, 128)
    _convolution(table, "conv7_2", 3, 128, 256)
    for feature, channels, scores in S3FD_HEADS:
        if feature.endswith("_norm"):
            table[f"{feature}/weight"] = (1, 1, 1, channels)
        _convolution(table, f"{feature}_mbox_conf", 3, channels, scores)
        _convolution(table, f"{feature}_mbox_loc", 3, channels, 4)
    return table


def _normalization(table: Table, name: str, channels: int) -> None:
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        table[f"{name}/{leaf}"] = (channels,)


def _fan_block(table: Table, name: str, inputs: int, outputs: int) -> None:
    sides = (inputs, outputs // 2, outputs // 4, outputs // 4)
    for number in (1, 2, 3):
        _normalization(table, f"{name}/bn{number}", sides[number - 1])
        _convolution(table, f"{name}/conv{number}", 3, sides[number - 1], sides[number], bias=False)
    if inputs != outputs:
        _normalization(table, f"{name}/down_bn1", inputs)
        _convolution(table, f"{name}/down_conv1", 1, inputs, outputs, bias=False)


def _fan_hourglass(table: Table, name: str, depth: int) -> None:
    _fan_block(table, f"{name}/b1", FAN_CHANNELS, FAN_CHANNELS)
    _fan_block(table, f"{name}/b2", FAN_CHANNELS, FAN_CHANNELS)
    if depth > 1:
        _fan_hourglass(table, f"{name}/b2_plus", depth - 1)
    else:
        _fan_block(table, f"{name}/b2_plus", FAN_CHANNELS, FAN_CHANNELS)
    _fan_block(table, f"{name}/b3", FAN_CHANNELS, FAN_CHANNELS)


def fan_table() -> Table:
    """The 945 tensors of a landmark network, 2D or 3D."""
    table: Table = {}
    _convolution(table, "conv1", 7, 3, 64)
    _normalization(table, "bn1", 64)
    for name, inputs, outputs in (("conv2", 64, 128), ("conv3", 128, 128), ("conv4", 128, FAN_CHANNELS)):
        _fan_block(table, name, inputs, outputs)
    for stack in range(FAN_STACKS):
        _fan_hourglass(table, f"m_{stack}", FAN_DEPTH)
        _fan_block(table, f"top_m_{stack}", FAN_CHANNELS, FAN_CHANNELS)
        _convolution(table, f"conv_last_{stack}", 1, FAN_CHANNELS, FAN_CHANNELS)
        _normalization(table, f"bn_end_{stack}", FAN_CHANNELS)
        _convolution(table, f"l_{stack}", 1, FAN_CHANNELS, FAN_POINTS)
        if stack < FAN_STACKS - 1:
            _convolution(table, f"bl_{stack}", 1, FAN_CHANNELS, FAN_CHANNELS)
            _convolution(table, f"al_{stack}", 1, FAN_POINTS, FAN_CHANNELS)
    return table


def enhancer_table() -> Table:
    """The 72 tensors of the enhancer."""
    table: Table = {"dense1/weight": (1, 64), "dense2/weight": (1, 64)}
    rows: list[tuple[str, int, int]] = [("conv1", 3, 64)]
    inputs = 64
    for level, width in enumerate(ENHANCER_WIDTHS):
        rows += [(f"e{level}_conv0", inputs, width), (f"e{level}_conv1", width, width)]
        inputs = width
    rows += [(f"center_conv{number}", 512, 512) for number in range(4)]
    for level, joined, width in _ENHANCER_DECODER:
        rows += [(f"d{level}_conv0", joined, width), (f"d{level}_conv1", width, width)]
    rows += [("out1x_conv0", 96, 48), ("out1x_conv1", 48, 3)]
    rows += [("dec2x_conv0", 96, 96), ("dec2x_conv1", 96, 96), ("out2x_conv0", 96, 48), ("out2x_conv1", 48, 3)]
    rows += [("dec4x_conv0", 96, 72), ("dec4x_conv1", 72, 72), ("out4x_conv0", 72, 36), ("out4x_conv1", 36, 3)]
    for name, channels, width in rows:
        _convolution(table, name, 3, channels, width)
    return table


def tensors_of_stream(stream: bytes, table: Table, path: Path) -> dict[str, NDArray]:
    """The tensors of a weight file: float32, of the shapes and in the order of the table.

    A tensor may leave out sides of length 1: (256,) does for (1, 1, 1, 256).

    Args:
        path: where the stream comes from, for the sentences.

    Raises:
        BrokenFile: it is no such file, or tensors are missing, unexpected, misshaped, or hold no finite numbers.
    """
    if len(stream) > LONGEST_FILE:
        raise BrokenFile(path, f"it is {len(stream)} bytes long, more than any weight file.")
    try:
        value = decode(stream, Limits.of_file(len(stream)))
    except Refused as problem:
        raise BrokenFile(path, f"it is no weight file: {problem}") from problem
    if type(value) is not dict:
        raise BrokenFile(path, "it holds no table of tensors.")
    return fitted(value, table, path)


def fitted(found: Mapping[Any, Any], table: Table, path: Path) -> dict[str, NDArray]:
    """What `tensors_of_stream` returns, from a dictionary whose keys may end in ":0". Errors as there."""
    named = {str(key).removesuffix(":0"): value for key, value in found.items()}
    problems = [f"{name} is missing" for name in table if name not in named]
    problems += [f"{name[:80]} is unexpected" for name in named if name not in table]
    tensors: dict[str, NDArray] = {}
    for name, shape in table.items():
        if name not in named:
            continue
        tensor = named[name]
        if not isinstance(tensor, np.ndarray) or tensor.dtype.kind != "f":
            problems.append(f"{name} holds no numbers with a fraction")
        elif _without_ones(tensor.shape) != _without_ones(shape):
            problems.append(f"{name} has shape {tensor.shape} instead of {shape}")
        elif not np.isfinite(tensor).all():
            problems.append(f"{name} holds values that are not finite")
        else:
            tensors[name] = tensor.reshape(shape).astype(np.float32, copy=False)
    if problems:
        more = f"; and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
        raise BrokenFile(path, f"its tensors do not fit the network: {'; '.join(problems[:_MOST_NAMED])}{more}.")
    return tensors


def _without_ones(shape: Shape) -> Shape:
    return tuple(side for side in shape if side != 1)
