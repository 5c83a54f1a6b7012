"""What a stream of an older tool may name and make: arrays of numbers, numbers, enumeration members. See legacy_pickle.

Every check is by exact type before anything is compared, hashed or written into a sentence, so that a value made to be
slow or dangerous there is never touched. Source: spec faces-and-formats 7.7.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import Any

import numpy as np

_CODES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1")
_REST_OF_KIND = (None, None, None, -1, -1, 0)
_LARGEST_ARRAY = 1 << 40


class Refused(ValueError):
    """A stream that is damaged or asks for something it must not have; the sentence says what."""


class Name(Enum):
    """What a name on the list stands for."""

    RECONSTRUCT = 1
    ARRAY = 2
    DTYPE = 3
    FROM_BUFFER = 4
    SCALAR = 5
    ENCODE = 6
    ENUMERATION = 7
    ATTRIBUTE = 8
    PATH = 9


NAMES: dict[tuple[str, str], Name] = {
    ("numpy", "ndarray"): Name.ARRAY,
    ("numpy", "dtype"): Name.DTYPE,
    ("_codecs", "encode"): Name.ENCODE,
}
"""(module, name) as written in a stream -> what it stands for. numpy 2 writes "_core" where numpy 1 wrote "core"."""

for _package in ("numpy.core", "numpy._core"):
    NAMES[_package + ".multiarray", "_reconstruct"] = Name.RECONSTRUCT
    NAMES[_package + ".multiarray", "scalar"] = Name.SCALAR
    NAMES[_package + ".numeric", "_frombuffer"] = Name.FROM_BUFFER


class Record(dict[str, Any]):
    """The attributes of an object of an older tool, and nothing else of it. `kind` is the name of its class."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.is_filled = False

    def fill(self, state: dict) -> None:
        """Takes the attributes, once."""
        if self.is_filled or not all(type(name) is str for name in state):
            raise Refused("the attributes of an object are given twice, or are none.")
        self.is_filled = True
        self.update(state)


class RecordClass:
    """A class whose objects are read as records; `nested` are those inside it. One without `kind` has no objects."""

    def __init__(self, kind: str | None = None) -> None:
        self.kind = kind
        self.nested: dict[str, RecordClass] = {}

    def begin(self, arguments: tuple) -> Record:
        """A new record, made as older tools make it: of no arguments."""
        if self.kind is None or arguments != ():
            raise Refused("an object is begun in an unknown way.")
        return Record(self.kind)


def _record_names(classes: Collection[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """(module, name) as written in a stream -> what it stands for, for classes read as records.

    Protocol 4 writes a class inside another as "Outer.Inner"; protocol 3 asks for the attribute "Inner" of "Outer".
    """
    names: dict[tuple[str, str], Any] = {}
    for module, name in classes:
        outer, _, inner = name.partition(".")
        names[module, name] = RecordClass(name)
        if inner:
            names.setdefault((module, outer), RecordClass()).nested[inner] = names[module, name]
            names["builtins", "getattr"] = Name.ATTRIBUTE
    return names


@dataclass(frozen=True)
class Classes:
    """What a kind of file may name beside numbers, each as (module, name).

    Attributes:
        enumerations: members are read as their numbers.
        records: objects are read as `Record`s. The name may be of a class inside another: "Outer.Inner".
        paths: read as the tuple of their parts.
    """

    enumerations: Collection[tuple[str, str]] = ()
    records: Collection[tuple[str, str]] = ()
    paths: Collection[tuple[str, str]] = ()

    def names(self) -> dict[tuple[str, str], Any]:
        """What each name stands for in a stream."""
        enumerations = dict.fromkeys(self.enumerations, Name.ENUMERATION)
        return NAMES | enumerations | _record_names(self.records) | dict.fromkeys(self.paths, Name.PATH)


class EmptyArray:
    """An array that waits for its contents; `place` is where the memo keeps it."""

    def __init__(self) -> None:
        self.place: int | None = None


class Kind:
    """An element type; `dtype` is there once its byte order is known."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.dtype: np.dtype | None = None

    def set_order(self, state: tuple) -> None:
        """Completes the type with the state that a stream gives it."""
        if len(state) != 8 or not same(state[0], 3) or not same(state[2:], _REST_OF_KIND):
            raise Refused("its arrays hold elements of a kind that is not allowed.")
        if self.dtype is not None or not any(same(state[1], order) for order in "<>|"):
            raise Refused("the byte order of its arrays is given twice, or is none.")
        self.dtype = np.dtype(self.code).newbyteorder(state[1])


def same(value: Any, expected: Any) -> bool:
    """Whether a value is exactly the expected plain one, type by type."""
    if type(value) is not type(expected):
        return False
    if type(expected) is tuple:
        return len(value) == len(expected) and all(same(v, e) for v, e in zip(value, expected, strict=True))
    return bool(value == expected)


def described(value: Any) -> str:
    """A value in one harmless word."""
    return value.name.lower() if isinstance(value, Name) else type(value).__name__.lower()


def array_of(shape: Any, kind: Any, raw: Any, order: str, dimensions: int) -> np.ndarray:
    """The array whose elements are the bytes `raw`; read-only, native byte order.

    Args:
        order: "C" or "F", which index runs fastest.
        dimensions: how many it may have.
    """
    if type(kind) is not Kind or kind.dtype is None or type(raw) not in (bytes, bytearray):
        raise Refused("an array holds something other than plain numbers.")
    if type(shape) is not tuple or len(shape) > dimensions:
        raise Refused(f"an array has no shape of at most {dimensions} dimensions.")
    if any(type(side) is not int or not 0 <= side <= _LARGEST_ARRAY for side in shape):
        raise Refused("an array has an impossible shape.")
    if prod(shape) * kind.dtype.itemsize != len(raw) or prod(side or 1 for side in shape) > _LARGEST_ARRAY:
        raise Refused(f"an array of shape {shape} cannot be made of {len(raw)} bytes.")
    if kind.code == "b1":
        array = np.frombuffer(raw, np.uint8) != 0
    else:
        array = np.frombuffer(raw, kind.dtype).astype(kind.dtype.newbyteorder("="), copy=False)
    array = array.reshape(shape, order="F" if order == "F" else "C")
    array.setflags(write=False)
    return array


def filled(state: tuple, dimensions: int) -> np.ndarray:
    """The array that an `EmptyArray` becomes with the state a stream gives it."""
    if len(state) != 5 or not same(state[0], 1) or type(state[3]) not in (bool, int):
        raise Refused("an array is filled in an unknown way.")
    return array_of(state[1], state[2], state[4], "F" if state[3] else "C", dimensions)


def make(name: Name, arguments: tuple, dimensions: int) -> Any:
    """What calling a name of the list gives. Refused where the arguments are not the usual ones."""
    maker = _MAKERS.get(name)
    if maker is None:
        raise Refused(f"it calls {described(name)}, which cannot be called.")
    return maker(arguments, dimensions)


def _empty_array(arguments: tuple, dimensions: int) -> EmptyArray:
    if len(arguments) != 3 or arguments[0] is not Name.ARRAY or not same(arguments[1:], ((0,), b"b")):
        raise Refused("an array is begun in an unknown way.")
    return EmptyArray()


def _kind(arguments: tuple, dimensions: int) -> Kind:
    flags = len(arguments) == 3 and all(type(flag) in (bool, int) for flag in arguments[1:])
    if not flags or arguments[1:] != (0, 1) or type(arguments[0]) is not str:
        raise Refused("an element type is made in an unknown way.")
    if arguments[0] not in _CODES:
        raise Refused(f"its arrays hold elements of a kind that is not allowed ({arguments[0][:20]}).")
    return Kind(arguments[0])


def _scalar(arguments: tuple, dimensions: int) -> int | float | bool:
    if len(arguments) != 2:
        raise Refused("a number is made in an unknown way.")
    value: int | float | bool = array_of((), arguments[0], arguments[1], "C", 0).item()
    return value


def _array_of_buffer(arguments: tuple, dimensions: int) -> np.ndarray:
    if len(arguments) != 4 or not (same(arguments[3], "C") or same(arguments[3], "F")):
        raise Refused("an array is made in an unknown way.")
    return array_of(arguments[2], arguments[1], arguments[0], arguments[3], dimensions)


def _bytes(arguments: tuple, dimensions: int) -> bytes:
    if len(arguments) != 2 or type(arguments[0]) is not str or not same(arguments[1], "latin1"):
        raise Refused("text is encoded in a way that is not allowed.")
    try:
        return arguments[0].encode("latin1")
    except UnicodeEncodeError as problem:
        raise Refused("text that stands for bytes holds other letters.") from problem


def _enumeration(arguments: tuple, dimensions: int) -> int:
    if len(arguments) != 1 or type(arguments[0]) is not int:
        raise Refused("a member of an enumeration is not given by a number.")
    return arguments[0]


def _nested_class(arguments: tuple, dimensions: int) -> RecordClass:
    """The one attribute that is ever asked for: a listed class inside another."""
    if len(arguments) == 2 and type(arguments[0]) is RecordClass and type(arguments[1]) is str:
        found = arguments[0].nested.get(arguments[1])
        if found is not None:
            return found
    raise Refused("it asks for an attribute, which no such file needs.")


def _path(arguments: tuple, dimensions: int) -> tuple[str, ...]:
    if not arguments or not all(type(part) is str for part in arguments):
        raise Refused("a path is made of something other than text.")
    return arguments


_MAKERS: dict[Name, Callable[[tuple, int], Any]] = {
    Name.RECONSTRUCT: _empty_array,
    Name.DTYPE: _kind,
    Name.SCALAR: _scalar,
    Name.FROM_BUFFER: _array_of_buffer,
    Name.ENCODE: _bytes,
    Name.ENUMERATION: _enumeration,
    Name.ATTRIBUTE: _nested_class,
    Name.PATH: _path,
}


_NUMBERS = frozenset((int, float, bool, type(None)))
_CONTAINERS = frozenset((dict, list, tuple, Record))


def check_whole(value: Any, most_depth: int, most_unfolded: int) -> None:
    """Looks through a finished value.

    Raises:
        Refused: marks were used as values, values hold themselves or are nested deeper than `most_depth`, or they would
            unfold to more than `most_unfolded` (a value shared many times counts each time).
    """
    if type(value) not in _NUMBERS:
        _left_after(value, 0, most_depth, most_unfolded)


def _left_after(value: Any, depth: int, most_depth: int, left: int) -> int:
    """How much may still unfold after this value, which is no number."""
    kind = type(value)
    inside: Iterable[Any] = ()
    if kind is np.ndarray:
        left -= value.nbytes
    elif kind is str:
        left -= len(value)
    elif kind not in _CONTAINERS:
        raise Refused(f"something stands where a value belongs ({described(value)}).")
    elif depth == most_depth:
        raise Refused(f"its values are nested more than {depth} deep, or hold themselves.")
    else:
        left -= 1 + len(value)
        inside = value
        if kind is dict or kind is Record:
            inside = value.values()
            left -= sum(len(key) for key in value if type(key) is str)
    if left < 0:
        raise Refused("values shared many times would unfold to more than the record can tell.")
    for inner in inside:
        if type(inner) not in _NUMBERS:
            left = _left_after(inner, depth + 1, most_depth, left)
    return left
