"""Reading the object streams that an older tool keeps in its files, without ever running one.

Such a stream is a program for a small stack machine, and the machine of Python's own library does whatever the program
says. The one below knows only the instructions and the names that face files, packs and model files really hold; they
build plain values. Everything else ends the reading with `Refused`, whatever trick leads to it:

    values     dict (keys: str or int), list, tuple, str, int (64 bits), float, bool, None, numeric arrays
    names      numpy's array, dtype, _reconstruct, scalar and _frombuffer, under both spellings of their modules;
               _codecs.encode with "latin1"; enumerations that the caller lists, called with one int; classes and
               paths that the caller lists, whose objects become `Record`s and tuples of texts
    bounds     steps and bytes (`Limits`), depth, dimensions, unfolded size (a value shared many times counts each time)

No name is ever looked up in a module: a name on the list becomes a mark, and only these marks can be called.
Time and memory are bounded by the length of the stream. Source: spec faces-and-formats 7.7.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from core.legacy_points import find_points
from core.legacy_values import (
    Classes,
    EmptyArray,
    Kind,
    Name,
    Record,
    RecordClass,
    Refused,
    check_whole,
    described,
    filled,
    make,
)

_MOST_MARKS = 64
_LONGEST_NAME = 128


@dataclass(frozen=True)
class Limits:
    """How much a stream may ask for.

    Attributes:
        length: longest stream, bytes.
        steps: most instructions; each makes at most one small value.
        depth: most levels of values inside values.
        dimensions: most dimensions of an array.
    """

    length: int
    steps: int
    depth: int = 16
    dimensions: int = 4

    @classmethod
    def of_file(cls, length: int) -> Limits:
        """For a stream of many faces that fills a file or a part of it, `length` bytes."""
        return cls(length, 100_000 + length // 3)


FACE_LIMITS = Limits(length=65_533, steps=65_533)
"""The record of one face: it fits into one segment of a JPEG."""


def decode(
    stream: bytes,
    limits: Limits = FACE_LIMITS,
    enumerations: Collection[tuple[str, str]] = (),
    *,
    classes: Classes | None = None,
) -> Any:
    """The value a stream describes.

    Arrays are read-only. A list of pairs of floats comes as a float64 array (n, 2).

    Args:
        enumerations: (module, name) of classes whose members are read as their numbers.
        classes: these and more, in place of `enumerations`.

    Raises:
        Refused: the stream is damaged, asks for something that is not allowed, or breaks a limit.
    """
    if len(stream) > limits.length:
        raise Refused(f"it is {len(stream)} bytes long, more than {limits.length}.")
    names = (classes or Classes(enumerations)).names()
    try:
        return _Machine(stream, limits, names, with_points=True).run()
    except _PointsWereShared:
        return _Machine(stream, limits, names, with_points=False).run()


class _PointsWereShared(Exception):
    """One point of a list was used again elsewhere, so the list has to be read step by step."""


_KEYS = frozenset((str, int))


class _Machine:
    """The stack machine: one instance reads one stream."""

    def __init__(self, stream: bytes, limits: Limits, names: Mapping[tuple[str, str], Any], with_points: bool) -> None:
        self.stream = stream
        self.limits = limits
        self.names = names
        self.with_points = with_points
        self.skipped = 0  # memo entries of points that were read as one array
        self.position = 0
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value. Refused as in `decode`."""
        stream, instructions = self.stream, _INSTRUCTIONS
        if stream[:1] != b"\x80" or len(stream) < 3 or not 2 <= stream[1] <= 5:
            raise Refused("it does not begin as a record of protocol 2 to 5.")
        self.position = 2
        try:
            for _ in range(self.limits.steps):
                code = stream[self.position]
                self.position += 1
                if code == 0x2E:
                    return self._finish()
                instructions[code](self)
        except IndexError as problem:
            raise Refused(f"it is cut off or uses what is not there, near byte {self.position}.") from problem
        raise Refused(f"it has more than {self.limits.steps} instructions.")

    def _finish(self) -> Any:
        if self.outer or len(self.stack) != 1:
            raise Refused("it ends in the middle of a value.")
        if self.position != len(self.stream):
            raise Refused("bytes follow its end.")
        value = self.stack.pop()
        check_whole(value, self.limits.depth, 4 * len(self.stream) + 1000)
        return value

    # Reading the stream.

    def _take(self, count: int) -> bytes:
        start = self.position
        if count > len(self.stream) - start:
            raise Refused(f"it announces {count} bytes at byte {start}, where {len(self.stream) - start} are left.")
        self.position = start + count
        return self.stream[start : start + count]

    def _byte(self) -> int:
        self.position += 1
        return self.stream[self.position - 1]

    def _number(self, count: int) -> int:
        return int.from_bytes(self._take(count), "little")

    def _line(self) -> str:
        end = self.stream.find(b"\n", self.position, self.position + _LONGEST_NAME + 1)
        if end < 0:
            raise Refused(f"a name at byte {self.position} does not end.")
        return _text(self._take(end + 1 - self.position)[:-1])

    def _popped(self, kind: type) -> Any:
        value = self.stack.pop()
        if type(value) is not kind:
            raise Refused(f"a {kind.__name__} should stand before byte {self.position}, not {described(value)}.")
        return value

    # Plain values.

    def push_empty_list(self) -> None:
        if not (self.with_points and self._read_points()):
            self.stack.append([])

    def _read_points(self) -> bool:
        """Reads a list of pairs of floats in one go; False where there is none here."""
        found = find_points(self.stream, self.position - 1, self._next_place())
        if found is None:
            return False
        if found.place is not None:
            self._keep(found.place, found.points)
            self.skipped += len(found.points)
        self.stack.append(found.points)
        self.position = found.end
        return True

    def push_long(self) -> None:
        count = self._byte()
        if count > 9:
            raise Refused(f"it holds a whole number of {count} bytes.")
        value = int.from_bytes(self._take(count), "little", signed=True)
        if not -(1 << 63) <= value < 1 << 64:
            raise Refused("it holds a whole number of more than 64 bits.")
        self.stack.append(value)

    def push_mark(self) -> None:
        if len(self.outer) == _MOST_MARKS:
            raise Refused(f"its values are nested more than {_MOST_MARKS} deep.")
        self.outer.append(self.stack)
        self.stack = []

    def _since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def make_tuple(self) -> None:
        items = self._since_mark()
        self.stack.append(tuple(items))

    def _short_tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def append_one(self) -> None:
        self._append([self.stack.pop()])

    def append_many(self) -> None:
        self._append(self._since_mark())

    def _append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise Refused(f"something is appended to {described(target)} near byte {self.position}.")
        target.extend(items)

    def set_one(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def set_many(self) -> None:
        self._set(self._since_mark())

    def _set(self, items: list[Any]) -> None:
        target, keys = self.stack[-1], items[::2]
        if type(target) is not dict or len(items) % 2 or not _KEYS.issuperset(map(type, keys)):
            raise Refused(f"a key near byte {self.position} is neither text nor number, or belongs to no dictionary.")
        target.update(zip(keys, items[1::2], strict=True))

    # The memo.

    def _keep(self, place: int, value: Any) -> None:
        if place in self.memo or place > len(self.stream):
            raise Refused(f"it keeps a value in place {place}, which is taken or far outside.")
        if type(value) is EmptyArray:
            value.place = place
        self.memo[place] = value

    def _next_place(self) -> int:
        return len(self.memo) + self.skipped

    def memoize(self) -> None:
        self._keep(self._next_place(), self.stack[-1])

    def fetch_near(self) -> None:
        """BINGET, the most frequent instruction of all."""
        place = self.stream[self.position]
        self.position += 1
        if place in self.memo:
            self.stack.append(self.memo[place])
        else:
            self.fetch(place)

    def fetch(self, place: int) -> None:
        if place not in self.memo:
            if self.skipped:
                raise _PointsWereShared
            raise Refused(f"it fetches what it never kept (place {place}).")
        self.stack.append(self.memo[place])

    # Names, and what is made by calling them.

    def _find(self, module: str, name: str) -> None:
        found = self.names.get((module, name))
        if found is None:
            raise Refused(f"it asks for {module[:60]}.{name[:60]}, which no such file needs.")
        self.stack.append(found)

    def find_in_lines(self) -> None:
        module = self._line()
        self._find(module, self._line())

    def find_on_stack(self) -> None:
        name, module = self._popped(str), self._popped(str)
        self._find(module, name)

    def call(self) -> None:
        arguments, called = self._popped(tuple), self.stack.pop()
        if type(called) is not Name:
            raise Refused(f"it calls {described(called)}, which cannot be called.")
        self.stack.append(make(called, arguments, self.limits.dimensions))

    def begin_record(self) -> None:
        """NEWOBJ: begins an object of a listed class, which is read as a record."""
        arguments, made = self._popped(tuple), self.stack.pop()
        if type(made) is not RecordClass:
            raise Refused(f"it makes an object of {described(made)}, which is no class of such a file.")
        self.stack.append(made.begin(arguments))

    def build(self) -> None:
        """BUILD: completes an array, an element type or a record, and nothing else."""
        if len(self.stack) > 1 and type(self.stack[-2]) is Record:
            state = self._popped(dict)
            self.stack[-1].fill(state)
            return
        state, target = self._popped(tuple), self.stack[-1]
        if type(target) is Kind:
            target.set_order(state)
        elif type(target) is EmptyArray:
            self.stack[-1] = filled(state, self.limits.dimensions)
            if target.place is not None:
                self.memo[target.place] = self.stack[-1]
        else:
            raise Refused(f"it changes {described(target)} in a way that is not allowed.")


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Refused("a text is not UTF-8.") from problem


def _skip_frame(machine: _Machine) -> None:
    count = machine._number(8)
    if count > len(machine.stream) - machine.position:
        raise Refused(f"it announces a frame of {count} bytes, more than there are.")


def _refuse(code: int) -> Callable[[_Machine], None]:
    def refuse(machine: _Machine) -> None:
        raise Refused(f"instruction {code:02X} at byte {machine.position - 1} has no place in such a record.")

    return refuse


_INSTRUCTIONS: list[Callable[[_Machine], None]] = [_refuse(code) for code in range(256)]
for _code, _instruction in {
    b"\x95": _skip_frame,
    b"(": _Machine.push_mark,
    b"}": lambda m: m.stack.append({}),
    b"]": _Machine.push_empty_list,
    b")": lambda m: m.stack.append(()),
    b"t": _Machine.make_tuple,
    b"\x85": lambda m: m._short_tuple(1),
    b"\x86": lambda m: m._short_tuple(2),
    b"\x87": lambda m: m._short_tuple(3),
    b"a": _Machine.append_one,
    b"e": _Machine.append_many,
    b"s": _Machine.set_one,
    b"u": _Machine.set_many,
    b"N": lambda m: m.stack.append(None),
    b"\x88": lambda m: m.stack.append(True),
    b"\x89": lambda m: m.stack.append(False),
    b"J": lambda m: m.stack.append(int.from_bytes(m._take(4), "little", signed=True)),
    b"K": lambda m: m.stack.append(m._byte()),
    b"M": lambda m: m.stack.append(m._number(2)),
    b"\x8a": _Machine.push_long,
    b"G": lambda m: m.stack.append(struct.unpack(">d", m._take(8))[0]),
    b"X": lambda m: m.stack.append(_text(m._take(m._number(4)))),
    b"\x8c": lambda m: m.stack.append(_text(m._take(m._byte()))),
    b"\x8d": lambda m: m.stack.append(_text(m._take(m._number(8)))),
    b"C": lambda m: m.stack.append(m._take(m._byte())),
    b"B": lambda m: m.stack.append(m._take(m._number(4))),
    b"\x8e": lambda m: m.stack.append(m._take(m._number(8))),
    b"\x96": lambda m: m.stack.append(bytearray(m._take(m._number(8)))),
    b"q": lambda m: m._keep(m._byte(), m.stack[-1]),
    b"r": lambda m: m._keep(m._number(4), m.stack[-1]),
    b"h": _Machine.fetch_near,
    b"j": lambda m: m.fetch(m._number(4)),
    b"\x94": _Machine.memoize,
    b"c": _Machine.find_in_lines,
    b"\x93": _Machine.find_on_stack,
    b"R": _Machine.call,
    b"\x81": _Machine.begin_record,
    b"b": _Machine.build,
}.items():
    _INSTRUCTIONS[_code[0]] = _instruction
