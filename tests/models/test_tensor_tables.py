"""The tables against the networks themselves, against counts worked out elsewhere, and against true model files."""

from __future__ import annotations

import json
from itertools import chain, combinations
from pathlib import Path

import pytest

from core.errors import BadOption
from core.nn.weights import named_variables
from models.architecture import Architecture, Dims
from models.autoencoders import build_autoencoder
from models.discriminators import CodeDiscriminator, PatchDiscriminator
from models.tensor_tables import (
    autoencoder_tables,
    code_discriminator_table,
    code_grid,
    parameters,
    patch_discriminator_table,
)

FLAGS = ["".join(flags) for flags in chain.from_iterable(combinations("udt", n) for n in range(4))]


@pytest.mark.parametrize("family", ["df", "liae"])
@pytest.mark.parametrize("flags", FLAGS)
def test_tables_are_what_the_networks_hold(family: str, flags: str) -> None:
    architecture, dims = Architecture(family, frozenset(flags)), Dims(64, 6, 4, 2, 8)
    tables = autoencoder_tables(architecture, dims)
    networks = build_autoencoder(architecture, dims).networks
    assert list(tables) == list(networks)
    for part, network in networks.items():
        built = {name: tuple(variable.shape) for name, variable in named_variables(network).items()}
        assert list(tables[part].items()) == list(built.items()), part


@pytest.mark.parametrize(
    ("text", "dims", "encoder", "inter", "decoder"),
    [
        ("df-ud", Dims(96, 128, 64, 64, 16), (8, 4_306_560), (6, 3_098_368), (36, 15_444_701)),
        ("df", Dims(128, 256, 64, 64, 22), (8, 4_306_560), (6, 14_959_872), (28, 19_136_000)),
        ("df-t", Dims(128, 256, 64, 64, 22), (18, 15_654_144), (4, 6_308_096), (36, 34_410_688)),
        ("liae-ud", Dims(128, 256, 64, 64, 22), (8, 4_306_560), (6, 19_933_440), (36, 38_203_115)),
        ("liae-udt", Dims(128, 256, 64, 64, 22), (18, 15_654_144), (4, 4_202_752), (44, 53_477_803)),
    ],
)
def test_counts(text: str, dims: Dims, encoder: tuple, inter: tuple, decoder: tuple) -> None:
    for part, table in autoencoder_tables(Architecture.parse(text), dims).items():
        expected = {"encoder": encoder, "inter": inter, "decoder": decoder}[part.split("_")[0]]
        assert (len(table), parameters(table)) == expected


@pytest.mark.parametrize(("text", "resolution"), [("df", 64), ("df-t", 128), ("df-ud", 256), ("df-udt", 640)])
def test_code_discriminator(text: str, resolution: int) -> None:
    architecture, dims = Architecture.parse(text), Dims(resolution, 5, 4, 2, 2)
    grid = code_grid(architecture, dims)
    network = CodeDiscriminator(grid)
    network.build((None, grid, grid, 5))
    built = {name: tuple(variable.shape) for name, variable in named_variables(network).items()}
    assert list(code_discriminator_table(architecture, dims).items()) == list(built.items())


@pytest.mark.parametrize(("patch", "dims"), [(3, 16), (16, 16), (27, 4), (160, 100), (639, 6)])
def test_patch_discriminator(patch: int, dims: int) -> None:
    network = PatchDiscriminator(patch, dims)
    network.build((None, 64, 64, 3))
    built = {name: tuple(variable.shape) for name, variable in named_variables(network).items()}
    assert list(patch_discriminator_table(patch, dims).items()) == list(built.items())


def test_what_cannot_be_built_has_no_table() -> None:
    with pytest.raises(BadOption, match="Received: 144"):
        autoencoder_tables(Architecture.parse("df-t"), Dims(144, 32, 16, 16, 16))


def as_written(table: dict[str, tuple[int, ...]]) -> list[tuple[str, list[int]]]:
    return [(f"{name}:0", list(shape)) for name, shape in table.items()]


def test_tables_are_what_true_files_hold(shared_data: Path) -> None:
    """Names, shapes and their order, of files that the classical trainer wrote or would write."""
    truth = shared_data / "dfl" / "truth"
    if not truth.is_dir():
        pytest.skip("the true files are not here")
    nets = json.loads((truth / "nets.json").read_text())
    quick = autoencoder_tables(Architecture.parse("df-ud"), Dims(96, 128, 64, 64, 16))
    expected = {f"Quick96_{part}": table for part, table in quick.items()}
    seen = {name: nets[name]["tensors"] for name in expected}
    for folder, text, dims in (
        ("df-ud", "df-ud", Dims(64, 16, 4, 4, 2)),
        ("liae-udt", "liae-udt", Dims(64, 12, 4, 2, 2)),
    ):
        for part, table in autoencoder_tables(Architecture.parse(text), dims).items():
            expected[f"{folder} {part}"] = table
        if folder == "liae-udt":
            expected[f"{folder} GAN"] = patch_discriminator_table(8, 4)
        files = json.loads((truth / "models" / f"{folder}.json").read_text())["files"]
        for file, content in files.items():
            if "tensors" in content and not file.endswith("_opt.npy"):
                part = file.split("_SAEHD_")[1].removesuffix(".npy")
                seen[f"{folder} {part}"] = {name: t["shape"] for name, t in content["tensors"].items()}
    assert seen.keys() == expected.keys()
    for name, tensors in seen.items():
        assert list(tensors.items()) == as_written(expected[name]), name
