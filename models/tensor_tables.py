"""Names and shapes of every tensor of the swap networks, known without building one. Source: spec models 2, 3.

What a file of weights must hold follows from an architecture and a few numbers; so a stranger's file is compared with
that before anything is made of it. The networks themselves are in `models.autoencoders` and `models.discriminators`.
"""

from __future__ import annotations

from math import prod

from models.architecture import Architecture, Dims
from models.patch_solver import code_widths, level_widths, solve_patch_size

Table = dict[str, tuple[int, ...]]
"""Tensor name, "down1/downs_0/conv1/weight" -> shape."""


def autoencoder_tables(architecture: Architecture, dims: Dims) -> dict[str, Table]:
    """The parts of an autoencoder in the order in which a model stores them. BadOption where it cannot be built."""
    dims.require_fit(architecture)
    encoder = _encoder(architecture, dims)
    if architecture.family == "df":
        decoder = _decoder(architecture, dims, dims.ae)
        inter = _inter(architecture, dims, dims.ae)
        return {"encoder": encoder, "inter": inter, "decoder_src": decoder, "decoder_dst": dict(decoder)}
    inter = _inter(architecture, dims, 2 * dims.ae)
    decoder = _decoder(architecture, dims, 4 * dims.ae)
    return {"encoder": encoder, "inter_AB": inter, "inter_B": dict(inter), "decoder": decoder}


def code_discriminator_table(architecture: Architecture, dims: Dims) -> Table:
    """The code discriminator for an autoencoder's codes."""
    return _code_discriminator(code_grid(architecture, dims), dims.ae)


def code_grid(architecture: Architecture, dims: Dims) -> int:
    """The side of the map that the inter gives out."""
    return _dense_grid(architecture, dims) * (1 if "t" in architecture.flags else 2)


def patch_discriminator_table(patch_size: int, dims: int) -> Table:
    """The discriminator of faces for a patch size, as wide as `dims` on its first level."""
    depth = len(solve_patch_size(patch_size))
    widths = level_widths(dims, depth)
    table: Table = {}
    for k in range(depth):
        table |= _conv(f"convs_{k}", 3, widths[k], widths[k + 1])
    for k, level in enumerate(reversed(range(depth))):
        incoming = widths[level + 1] * (1 if k == 0 else 2)
        table |= {f"upconvs_{k}/weight": (3, 3, widths[level], incoming), f"upconvs_{k}/bias": (widths[level],)}
    table |= _conv("in_conv", 1, 3, widths[0]) | _conv("out_conv", 1, 2 * widths[0], 1)
    return table | _conv("center_out", 1, widths[-1], 1) | _conv("center_conv", 1, widths[-1], widths[-1])


def parameters(table: Table) -> int:
    """How many numbers a table's tensors hold."""
    return sum(prod(shape) for shape in table.values())


def _conv(name: str, kernel: int, incoming: int, outgoing: int) -> Table:
    return {f"{name}/weight": (kernel, kernel, incoming, outgoing), f"{name}/bias": (outgoing,)}


def _dense(name: str, incoming: int, outgoing: int) -> Table:
    return {f"{name}/weight": (incoming, outgoing), f"{name}/bias": (outgoing,)}


def _upscale(name: str, incoming: int, outgoing: int) -> Table:
    return _conv(f"{name}/conv1", 3, incoming, 4 * outgoing)


def _residual(name: str, channels: int) -> Table:
    return _conv(f"{name}/conv1", 3, channels, channels) | _conv(f"{name}/conv2", 3, channels, channels)


def _dense_grid(architecture: Architecture, dims: Dims) -> int:
    return dims.resolution // (32 if "d" in architecture.flags else 16)


def _encoder(architecture: Architecture, dims: Dims) -> Table:
    e = dims.e
    if "t" not in architecture.flags:
        widths = [3, e, 2 * e, 4 * e, 8 * e]
        names = [f"down1/downs_{k}/conv1" for k in range(4)]
        return _merged([_conv(name, 5, widths[k], widths[k + 1]) for k, name in enumerate(names)])
    return _merged(
        [
            _conv("down1/conv1", 5, 3, e),
            _residual("res1", e),
            _conv("down2/conv1", 5, e, 2 * e),
            _conv("down3/conv1", 5, 2 * e, 4 * e),
            _conv("down4/conv1", 5, 4 * e, 8 * e),
            _conv("down5/conv1", 5, 8 * e, 8 * e),
            _residual("res5", 8 * e),
        ]
    )


def _inter(architecture: Architecture, dims: Dims, channels: int) -> Table:
    deep = "t" in architecture.flags
    code_length = 8 * dims.e * (dims.resolution // (32 if deep else 16)) ** 2
    grid = _dense_grid(architecture, dims)
    table = _dense("dense1", code_length, dims.ae) | _dense("dense2", dims.ae, grid * grid * channels)
    return table if deep else table | _upscale("upscale1", channels, channels)


def _decoder(architecture: Architecture, dims: Dims, incoming: int) -> Table:
    levels = (8, 8, 4, 2) if "t" in architecture.flags else (8, 4, 2)
    depth, sub_pixels = len(levels), "d" in architecture.flags
    faces, masks = ([incoming, *(level * width for level in levels)] for width in (dims.d, dims.d_mask))
    table = _merged([_upscale(f"upscale{k}", faces[k], faces[k + 1]) for k in range(depth)])
    table |= _merged([_residual(f"res{k}", faces[k + 1]) for k in range(depth)])
    table |= _merged([_upscale(f"upscalem{k}", masks[k], masks[k + 1]) for k in range(depth)])
    table |= _conv("out_conv", 1, faces[-1], 3)
    if sub_pixels:
        table |= _merged([_conv(f"out_conv{k}", 3, faces[-1], 3) for k in (1, 2, 3)])
        table |= _upscale(f"upscalem{depth}", masks[-1], dims.d_mask)
    return table | _conv("out_convm", 1, dims.d_mask if sub_pixels else masks[-1], 1)


def _code_discriminator(grid: int, incoming: int) -> Table:
    widths = [incoming, *code_widths(grid)]
    convs = [_conv(f"convs_{k}", 4 if k == 0 else 3, widths[k], widths[k + 1]) for k in range(len(widths) - 1)]
    return _merged(convs) | _conv("out_conv", 1, widths[-1], 1)


def _merged(tables: list[Table]) -> Table:
    return {name: shape for table in tables for name, shape in table.items()}
