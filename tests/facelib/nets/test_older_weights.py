"""The files of the older networks: every tensor named and counted, every deviation named, nothing filled in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import BrokenFile
from core.legacy_writer import encode
from facelib.nets.older_weights import Table, enhancer_table, fan_table, fitted, s3fd_table, tensors_of_stream

PATH = Path("S3FD.npy")
SMALL: Table = {"conv/weight": (1, 1, 2, 3), "conv/bias": (3,), "norm/weight": (1, 1, 1, 4)}


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"{name}:0": rng.standard_normal(shape).astype(np.float32) for name, shape in SMALL.items()}


@pytest.mark.parametrize(
    ("table", "count", "values"),
    [(s3fd_table(), 65, 22_459_110), (fan_table(), 945, 23_874_320), (enhancer_table(), 72, 33_111_401)],
    ids=["s3fd", "fan", "enhancer"],
)
def test_counts_of_arrays_and_values(table: Table, count: int, values: int) -> None:
    """Spec faces-and-formats 11, V5."""
    assert len(table) == count
    assert sum(int(np.prod(shape)) for shape in table.values()) == values


def test_shapes_that_the_format_names() -> None:
    s3fd, fan, enhancer = s3fd_table(), fan_table(), enhancer_table()
    assert s3fd["fc6/weight"] == (3, 3, 512, 1024)
    assert s3fd["conv3_3_norm_mbox_conf/weight"] == (3, 3, 256, 4)
    assert s3fd["conv4_3_norm/weight"] == (1, 1, 1, 512)
    assert fan["conv1/weight"] == (7, 7, 3, 64)
    assert fan["conv2/down_conv1/weight"] == (1, 1, 64, 128)
    assert fan["m_0/b1/conv1/weight"] == (3, 3, 256, 128)
    assert fan["m_3/b2_plus/b2_plus/b2_plus/b2_plus/conv3/weight"] == (3, 3, 64, 64)
    assert fan["al_2/weight"] == (1, 1, 68, 256)
    assert "al_3/weight" not in fan
    assert enhancer["dense2/weight"] == (1, 64)
    assert enhancer["d3_conv0/weight"] == (3, 3, 848, 512)
    assert enhancer["out4x_conv1/weight"] == (3, 3, 36, 3)


def test_a_file_is_read_into_its_table() -> None:
    given = arrays()
    given["norm/weight:0"] = given["norm/weight:0"].reshape(4)  # sides of length 1 may be left out
    given["conv/bias:0"] = given["conv/bias:0"].astype(np.float64)
    tensors = tensors_of_stream(encode(given), SMALL, PATH)
    assert list(tensors) == list(SMALL)
    for name, tensor in tensors.items():
        assert tensor.shape == SMALL[name]
        assert tensor.dtype == np.float32
        np.testing.assert_array_equal(tensor.ravel(), arrays()[f"{name}:0"].ravel())


def test_every_deviation_is_named() -> None:
    given = arrays()
    del given["conv/bias:0"]
    given["conv/weight:0"] = given["conv/weight:0"].reshape(1, 1, 3, 2)
    given["surplus:0"] = np.zeros(1, np.float32)
    with pytest.raises(BrokenFile) as caught:
        tensors_of_stream(encode(given), SMALL, PATH)
    for words in (
        "S3FD.npy",
        "conv/bias is missing",
        "surplus is unexpected",
        "conv/weight has shape (1, 1, 3, 2) instead of (1, 1, 2, 3)",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (np.full(3, np.nan, np.float32), "not finite"),
        (np.arange(3), "no numbers with a fraction"),
        ("text", "no numbers with a fraction"),
    ],
    ids=["nan", "integers", "text"],
)
def test_what_is_no_weight_is_refused(tensor: object, words: str) -> None:
    with pytest.raises(BrokenFile, match=f"conv/bias holds .*{words}"):
        fitted({**arrays(), "conv/bias:0": tensor}, SMALL, PATH)


@pytest.mark.parametrize(
    "stream",
    [b"", encode([1, 2]), encode(arrays())[:-9], b"\x80\x04cos\nsystem\n(X\x02\x00\x00\x00lstR."],
    ids=["empty", "a list", "cut off", "a call"],
)
def test_what_is_no_such_file_is_refused_in_words(stream: bytes) -> None:
    with pytest.raises(BrokenFile, match=r"S3FD\.npy: it (is no weight file|holds no table)"):
        tensors_of_stream(stream, SMALL, PATH)


def test_a_long_list_of_deviations_is_cut() -> None:
    with pytest.raises(BrokenFile, match="and 933 more"):
        fitted({}, fan_table(), PATH)
