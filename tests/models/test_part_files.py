"""One part of a model as an HDF5 file: whole, or an error; never code, never somebody else's file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from core.errors import BrokenFile
from models.part_files import decode_part, digest_of, encode_part

TENSORS: dict[str, np.ndarray] = {
    "down1/downs_0/conv1/weight": np.arange(12, dtype=np.float32).reshape(2, 3, 2),
    "down1/downs_0/conv1/bias": np.array([0.5, -1.0], np.float32),
    "iterations": np.array(7, np.int64),
    "empty": np.zeros((0, 4), np.float32),
}
PATH = Path("encoder.h5")


def test_round_trip() -> None:
    part, tensors = decode_part(encode_part("encoder", TENSORS), PATH)
    assert part == "encoder"
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == np.shape(tensor)
        assert np.array_equal(tensors[name], tensor)
    assert encode_part("encoder", TENSORS) == encode_part("encoder", dict(reversed(list(TENSORS.items()))))


def test_any_byte_order_and_layout_of_memory_is_stored_alike() -> None:
    turned = {"w": np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))}
    plain = {"w": np.arange(6, dtype="<f4").reshape(2, 3)}
    assert digest_of(turned) == digest_of(plain)
    assert np.array_equal(decode_part(encode_part("a", turned), PATH)[1]["w"], plain["w"])


def test_a_file_cut_at_any_length_is_broken_and_named() -> None:
    data = encode_part("encoder", TENSORS)
    for length in (*range(0, len(data), 97), len(data) - 1):
        with pytest.raises(BrokenFile, match=r"encoder\.h5"):
            decode_part(data[:length], PATH)


def test_a_changed_weight_is_noticed() -> None:
    data = bytearray(encode_part("encoder", TENSORS))
    place = data.find(TENSORS["down1/downs_0/conv1/weight"].tobytes())
    assert place > 0
    data[place + 5] ^= 4
    with pytest.raises(BrokenFile, match="checksum"):
        decode_part(bytes(data), PATH)


def changed(change: Any) -> bytes:
    """A part's file that somebody worked on."""
    buffer = BytesIO(encode_part("encoder", TENSORS))
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")), "points outside the file"),
        (lambda f: f.__setitem__("x", h5py.SoftLink("/iterations")), "points outside the file"),
        (lambda f: f.create_dataset("x", data=["text"], dtype=h5py.string_dtype()), "not a plain array of numbers"),
        (lambda f: f.create_dataset("x", (4,), "u1", external=[("/etc/hostname", 0, 4)]), "not a plain array"),
        (lambda f: f.create_dataset("more", data=1.0), "checksum"),
        (lambda f: f.attrs.__setitem__("schema", "Other.1"), "not a part of a FaceLoom model"),
        (lambda f: f.attrs.__delitem__("digest"), "damaged"),
    ],
)
def test_what_a_part_never_holds_is_refused(change: Any, words: str) -> None:
    with pytest.raises(BrokenFile, match=words):
        decode_part(changed(change), PATH)


def test_other_files_are_refused() -> None:
    for data in (b"", b"not hdf5", np.zeros(100).tobytes()):
        with pytest.raises(BrokenFile):
            decode_part(data, PATH)


def test_only_numbers_are_stored() -> None:
    with pytest.raises(TypeError, match="Received"):
        encode_part("encoder", {"w": np.array(["text"])})
