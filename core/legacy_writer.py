"""Writing the object streams that an older tool reads: the counterpart of legacy_pickle.

Only plain values are written, by the few instructions that this tool's own versions use, and array types carry the
names of NumPy 1 ("numpy.core.multiarray"), which every NumPy understands and NumPy 1.19 demands. Texts and enumeration
members that come again are fetched from the memo. Source: spec faces-and-formats 7.6.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

_KINDS = {"<f8": ("f8", "<"), "<f4": ("f4", "<"), "<i8": ("i8", "<"), "<i4": ("i4", "<"), "|u1": ("u1", "|")}


@dataclass(frozen=True)
class EnumMember:
    """A member of an enumeration: where its class lives in the other tool, and its number (0..255)."""

    module: str
    name: str
    number: int


def encode(value: Any, protocol: int = 4) -> bytes:
    """The stream of a value made of dict, list, tuple, str, int, float, bool, None, `EnumMember` and numeric arrays.

    Args:
        protocol: 3 (read by every Python 3) or 4 (from 3.4 on; shorter).

    Raises:
        ValueError: a value of another type; an array other than float64, float32, int64, int32 or uint8.
    """
    if protocol not in (3, 4):
        raise ValueError(f"The protocol is 3 or 4. Received: {protocol}.")
    writer = _Writer(protocol)
    writer.put(value)
    return bytes([0x80, protocol]) + bytes(writer.stream) + b"."


def encode_items(items: Iterable[Any]) -> Iterator[bytes]:
    """The stream of a list (protocol 4), piece by piece: it may be larger than memory. Errors as in `encode`."""
    writer = _Writer(4)
    yield b"\x80\x04]("
    for item in items:
        writer.put(item)
        yield bytes(writer.stream)
        writer.stream.clear()
    yield b"e."


class _Writer:
    def __init__(self, protocol: int) -> None:
        self.protocol = protocol
        self.stream = bytearray()
        self.memo: dict[Hashable, int] = {}

    def put(self, value: Any) -> None:
        """Writes what makes the value and leaves it on the reader's stack."""
        if value is None or isinstance(value, bool):
            self.stream += {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif isinstance(value, int):
            self._put_int(value)
        elif isinstance(value, float):
            self.stream += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            self._put_text(value)
        elif isinstance(value, tuple):
            self._put_all(b"(", value, b"t")
        elif isinstance(value, list):
            self._put_all(b"](", value, b"e")
        elif isinstance(value, dict):
            self._put_all(b"}(", itertools.chain.from_iterable(value.items()), b"u")
        elif isinstance(value, np.ndarray):
            self._put_array(value)
        elif isinstance(value, EnumMember):
            self._put_member(value)
        else:
            raise ValueError(f"Plain values and arrays can be written. Received: {type(value).__name__}.")

    def _put_all(self, beginning: bytes, items: Iterable[Any], end: bytes) -> None:
        self.stream += beginning
        for item in items:
            self.put(item)
        self.stream += end

    def _put_int(self, value: int) -> None:
        if 0 <= value < 1 << 8:
            self.stream += struct.pack("<cB", b"K", value)
        elif 0 <= value < 1 << 16:
            self.stream += struct.pack("<cH", b"M", value)
        elif -(1 << 31) <= value < 1 << 31:
            self.stream += struct.pack("<ci", b"J", value)
        elif -(1 << 63) <= value < 1 << 63:
            self.stream += b"\x8a\x08" + value.to_bytes(8, "little", signed=True)
        else:
            raise ValueError(f"Whole numbers have at most 64 bits. Received: {value.bit_length()} bits.")

    def _put_text(self, text: str) -> None:
        if self._fetch(text):
            return
        data = text.encode("utf-8")
        if self.protocol == 4 and len(data) < 1 << 8:
            self.stream += struct.pack("<BB", 0x8C, len(data)) + data
        else:
            self.stream += struct.pack("<cI", b"X", len(data)) + data
        self._keep(text)

    def _put_name(self, module: str, name: str) -> None:
        if self._fetch((module, name)):
            return
        if self.protocol == 4:
            self._put_text(module)
            self._put_text(name)
            self.stream += b"\x93"
        else:
            self.stream += b"c" + f"{module}\n{name}\n".encode("ascii")
        self._keep((module, name))

    def _put_member(self, member: EnumMember) -> None:
        if not self._fetch(member):
            self._put_name(member.module, member.name)
            self._put_int(member.number)
            self.stream += b"\x85R"
            self._keep(member)

    def _put_array(self, array: np.ndarray) -> None:
        if array.dtype.str not in _KINDS:
            raise ValueError(f"Arrays are float64, float32, int64, int32 or uint8. Received: {array.dtype}.")
        self._put_name("numpy.core.multiarray", "_reconstruct")
        self._put_name("numpy", "ndarray")
        self.stream += b"K\x00\x85" + b"C\x01b" + b"\x87R"  # called with (ndarray, (0,), b"b")
        self.stream += b"(K\x01"
        self.put(array.shape)
        self._put_kind(*_KINDS[array.dtype.str])
        self.stream += b"\x89"  # not in Fortran order
        data = array.tobytes("C")
        self.stream += struct.pack("<cI", b"B", len(data)) if len(data) >= 1 << 8 else bytes([0x43, len(data)])
        self.stream += data + b"tb"

    def _put_kind(self, code: str, order: str) -> None:
        key = ("kind", code)
        if self._fetch(key):
            return
        self._put_name("numpy", "dtype")
        for argument in (code, False, True):
            self.put(argument)
        self.stream += b"\x87R"
        self._keep(key)
        self.put((3, order, None, None, None, -1, -1, 0))
        self.stream += b"b"

    def _fetch(self, key: Hashable) -> bool:
        place = self.memo.get(key)
        if place is not None:
            self.stream += struct.pack("<cB", b"h", place) if place < 256 else struct.pack("<cI", b"j", place)
        return place is not None

    def _keep(self, key: Hashable) -> None:
        place = self.memo[key] = len(self.memo)
        if self.protocol == 4:
            self.stream += b"\x94"
        else:
            self.stream += struct.pack("<cB", b"q", place) if place < 256 else struct.pack("<cI", b"r", place)
