"""Streams for the older tool: the instructions its oldest Python knows, the names its NumPy knows."""

import numpy as np
import pytest

from core.legacy_pickle import Limits, decode
from core.legacy_writer import EnumMember, encode, encode_items

MATRIX = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_an_array_of_protocol_3_byte_for_byte() -> None:
    # Worked out by hand from the instruction set; NumPy 1.19 on Python 3.6 reads it.
    assert encode(np.array([1, 255], np.uint8), 3) == (
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85C\x01b\x87R(K\x01(K\x02t"
        b"cnumpy\ndtype\nq\x02X\x02\x00\x00\x00u1q\x03\x89\x88\x87Rq\x04(K\x03X\x01\x00\x00\x00|q\x05NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89C\x02\x01\xfftb."
    )


@pytest.mark.parametrize("protocol", [3, 4])
def test_the_old_name_of_the_module_is_written(protocol: int) -> None:
    data = encode({"m": MATRIX}, protocol)
    assert data[:2] == bytes([0x80, protocol])
    assert b"numpy.core.multiarray" in data
    assert b"_core" not in data


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("kind", ["<f8", "<f4", "<i8", "<i4", "|u1"])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 2), (300, 1), (1, 2, 3)])
def test_arrays_read_back(protocol: int, kind: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(np.prod(shape)) % 251).astype(kind).reshape(shape)
    first, second = decode(encode([array, np.asfortranarray(array)], protocol))
    for found in (first, second):
        np.testing.assert_array_equal(found, array)
        assert (found.dtype, found.shape) == (array.dtype, array.shape)


def test_a_text_that_comes_again_is_fetched() -> None:
    data = encode([{"a rather long key": n} for n in range(300)])
    assert data.count(b"a rather long key") == 1
    assert decode(data) == [{"a rather long key": n} for n in range(300)]


def test_many_texts_need_larger_places() -> None:
    words = [f"word {n}" for n in range(300)] * 2
    for protocol in (3, 4):
        assert decode(encode(words, protocol)) == words


def test_members_of_enumerations() -> None:
    member = EnumMember("facelib.FaceType", "FaceType", 4)
    data = encode([member, member], 4)
    assert data.count(b"FaceType") == 2  # in the module's name and as the class, once each
    assert decode(data, enumerations=[("facelib.FaceType", "FaceType")]) == [4, 4]


def test_items_come_piece_by_piece() -> None:
    items = [{"name": f"{n}", "points": [[0.5, float(n)]] * 68} for n in range(50)]
    pieces = list(encode_items(iter(items)))
    assert len(pieces) == 52
    data = b"".join(pieces)
    found = decode(data, Limits.of_file(len(data)))
    assert [entry["name"] for entry in found] == [str(n) for n in range(50)]
    assert all(entry["points"].tolist() == item["points"] for entry, item in zip(found, items, strict=True))
    assert decode(b"".join(encode_items([]))) == []


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, 1j, np.zeros(2, np.float16), np.array(["a"]), 1 << 64, object()])
def test_what_has_no_place_there_is_not_written(value: object) -> None:
    with pytest.raises(ValueError, match="Received"):
        encode({"a": value})


def test_other_protocols_are_not_written() -> None:
    with pytest.raises(ValueError, match="Received: 5"):
        encode(None, 5)
