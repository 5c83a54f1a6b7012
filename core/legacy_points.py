"""Lists of points in the streams that core/legacy_pickle reads, each read whole: a hundred times faster than by steps.

A list of pairs of floats is always written in the same way. Each list in it may be followed by an instruction that
keeps it in the memo: none, MEMOIZE (protocol 4), or BINPUT with a place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BARE = re.compile(rb"\]\(((?:\]\(G.{8}G.{8}e)++)e", re.DOTALL)
_KEPT = re.compile(rb"\]\x94\(((?:\]\x94\(G.{8}G.{8}e)++)e", re.DOTALL)
_PUT = rb"(?:q.|r.{4})"
_LIST_PUT = re.compile(rb"\](" + _PUT + rb")\(((?:\]" + _PUT + rb"\(G.{8}G.{8}e)++)e", re.DOTALL)
_POINT_PUT = re.compile(rb"\]" + _PUT + rb"\(G(.{8})G(.{8})e", re.DOTALL)


@dataclass(frozen=True, eq=False)
class PointList:
    """A list of pairs of floats.

    Attributes:
        points: float64 (n, 2), big-endian, read-only.
        end: the first byte behind the list.
        place: where the memo keeps the list; None where it does not. The memo has an entry for each point, too, then.
    """

    points: NDArray[np.float64]
    end: int
    place: int | None


def find_points(stream: bytes, start: int, next_place: int) -> PointList | None:
    """The list of points that begins at byte `start`, with "]"; None where there is none, or where it ends untimely.

    Args:
        next_place: where MEMOIZE would keep the next value.
    """
    following = stream[start + 1 : start + 2]
    if following == b"(":
        found = _BARE.match(stream, start)
        return PointList(_spread(stream, found, 21, 3), found.end(), None) if found else None
    if following == b"\x94":
        found = _KEPT.match(stream, start)
        return PointList(_spread(stream, found, 22, 4), found.end(), next_place) if found else None
    found = _LIST_PUT.match(stream, start)
    if not found:
        return None
    numbers = b"".join(number for pair in _POINT_PUT.findall(found[2]) for number in pair)
    points = np.frombuffer(numbers, ">f8").reshape(-1, 2)
    return PointList(points, found.end(), int.from_bytes(found[1][1:], "little"))


def _spread(stream: bytes, found: re.Match[bytes], stride: int, first: int) -> NDArray[np.float64]:
    """Points that lie `stride` bytes apart, the first number of each `first` bytes into it."""
    shape = ((found.end(1) - found.start(1)) // stride, 2)
    return np.ndarray(shape, ">f8", stream, found.start(1) + first, (stride, 9))
