"""core.legacy_points: lists of pairs of floats, read whole from the stream that keeps them."""

from __future__ import annotations

import pickletools
import struct

import numpy as np
import pytest

from core.legacy_points import find_points

POINTS = [[1.5, -2.0], [0.1, 1e300], [float("inf"), 0.0]]


def written(after_list: bytes, points: list[list[float]] = POINTS) -> bytes:
    """The instructions of a list of points; `after_list` stands behind the beginning of every list."""
    inner = b"".join(
        b"]" + after_list + b"(G" + struct.pack(">d", x) + b"G" + struct.pack(">d", y) + b"e" for x, y in points
    )
    return b"]" + after_list + b"(" + inner + b"e"


@pytest.mark.parametrize(
    ("after_list", "place"), [(b"", None), (b"\x94", 70), (b"q\x07", 7), (b"r\x00\x01\x00\x00", 256)]
)
def test_every_way_of_keeping_lists_is_read(after_list: bytes, place: int | None) -> None:
    stream = b"N" + written(after_list) + b"and more"
    found = find_points(stream, 1, 70)
    assert found is not None
    assert found.points.tolist() == POINTS
    assert not found.points.flags.writeable
    assert (found.end, found.place) == (len(stream) - len(b"and more"), place)


def test_these_are_the_instructions_of_the_format() -> None:
    """The standard library's own reading of the same bytes."""
    kinds = [op.name for op, _, _ in pickletools.genops(b"\x80\x02" + written(b"q\x07", [[1.0, 2.0]]) + b".")]
    point = ["EMPTY_LIST", "BINPUT", "MARK", "BINFLOAT", "BINFLOAT", "APPENDS"]
    assert kinds == ["PROTO", "EMPTY_LIST", "BINPUT", "MARK", *point, "APPENDS", "STOP"]


@pytest.mark.parametrize("after_list", [b"", b"\x94", b"q\x07"])
def test_what_is_cut_off_or_of_three_numbers_is_none(after_list: bytes) -> None:
    stream = written(after_list)
    assert [end for end in range(len(stream)) if find_points(stream[:end], 0, 0) is not None] == []
    three = stream.replace(b"e", b"G" + struct.pack(">d", 3.0) + b"e", 1)
    assert find_points(three, 0, 0) is None
    assert find_points(b"]" + after_list + b"(e", 0, 0) is None


def test_numbers_may_look_like_instructions() -> None:
    tricky = np.frombuffer(b"e](Ge](G" * 2, ">f8").reshape(-1, 2).tolist()
    found = find_points(written(b"", tricky), 0, 0)
    assert found is not None
    assert found.points.tolist() == tricky
