"""The guarded reader: it builds plain values, and nothing else whatever a stream asks for."""

import struct
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.legacy_pickle import FACE_LIMITS, Limits, decode
from core.legacy_values import Classes, Record, Refused
from core.legacy_writer import EnumMember, encode

PLAIN = (dict, list, tuple, str, int, float, bool, type(None), np.ndarray)


def stream(body: bytes, protocol: int = 4) -> bytes:
    return bytes([0x80, protocol]) + body + b"."


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def name(module: str, word: str) -> bytes:
    return b"c" + f"{module}\n{word}\n".encode()


def array(shape: bytes, kind: bytes, raw: bytes, order: bytes = b"\x89") -> bytes:
    """An array as it stands in a file; `shape` and `raw` are given as instructions."""
    begun = name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\0\x85C\x01b\x87R"
    return begun + b"(K\x01" + shape + kind + order + raw + b"tb"


def kind(code: str, order: str = "<", rest: bytes = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0") -> bytes:
    return name("numpy", "dtype") + text(code) + b"\x89\x88\x87R(K\x03" + text(order) + rest + b"tb"


TWO_FLOATS = array(b"K\x02\x85", kind("f4"), b"C\x08" + struct.pack("<2f", 1.5, -2.0))


# ------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"N", None),
        (b"\x88", True),
        (b"K\xff", 255),
        (b"M\x00\x01", 256),
        (b"J\xff\xff\xff\xff", -1),
        (b"\x8a\x08" + (-(1 << 62)).to_bytes(8, "little", signed=True), -(1 << 62)),
        (b"\x8a\x00", 0),
        (b"G" + struct.pack(">d", 0.1), 0.1),
        (b"\x8c\x02\xc3\xa9", "é"),
        (b"\x8d" + struct.pack("<Q", 2) + b"ab", "ab"),
        (b"](K\x01K\x02e", [1, 2]),
        (b"]K\x01a", [1]),
        (b"}" + text("a") + b"K\x01s", {"a": 1}),
        (b"}(K\x05)" + text("b") + b"]u", {5: (), "b": []}),
        (b"K\x01K\x02\x86", (1, 2)),
        (b"(K\x01K\x02K\x03K\x04t", (1, 2, 3, 4)),
        (b"\x95" + struct.pack("<Q", 2) + b"K\x07", 7),
        (b"](" + text("a") + b"q\x00h\x00h\x00e", ["a", "a", "a"]),
        (b"](" + text("a") + b"\x94h\x00r\x07\0\0\0j\x07\0\0\0e", ["a"] * 3),
        (b"]" + text("numpy.core.multiarray") + b"q\x01a", ["numpy.core.multiarray"]),
    ],
)
def test_plain_values(body: bytes, value: Any) -> None:
    found = decode(stream(body))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_an_array_under_both_names_of_its_module(package: str) -> None:
    found = decode(stream(TWO_FLOATS.replace(b"numpy.core", package.encode())))
    np.testing.assert_array_equal(found, np.array([1.5, -2.0], np.float32))
    assert found.dtype == np.float32
    assert not found.flags.writeable


@pytest.mark.parametrize("code", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"])
@pytest.mark.parametrize("order", ["<", ">", "|"])
def test_every_kind_of_number_in_every_order(code: str, order: Any) -> None:
    wanted = np.array([[1, 0, 5], [0, 7, 1]]).astype(code)
    raw = wanted.astype(wanted.dtype.newbyteorder(order)).tobytes("F")
    body = array(b"K\x02K\x03\x86", kind(code, order), b"B" + struct.pack("<I", len(raw)) + raw, b"\x88")
    found = decode(stream(body))
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype


def test_an_array_of_protocol_5() -> None:
    raw = b"\x96" + struct.pack("<Q", 8) + struct.pack("<2i", 7, -7)
    body = name("numpy._core.numeric", "_frombuffer") + b"(" + raw + kind("i4") + b"K\x02\x85" + text("C") + b"tR"
    np.testing.assert_array_equal(decode(stream(body, 5)), [7, -7])


def test_an_array_of_protocol_2_whose_bytes_are_letters() -> None:
    raw = name("_codecs", "encode") + b"X\x02\0\0\0\xc3\xbf" + text("latin1") + b"\x86R"  # "ÿ" is the byte 255
    np.testing.assert_array_equal(decode(stream(array(b"K\x01\x85", kind("u1", "|"), raw), 2)), [255])


def test_a_single_number_of_numpy() -> None:
    body = name("numpy.core.multiarray", "scalar") + kind("i8") + b"C\x08" + struct.pack("<q", 128) + b"\x86R"
    found = decode(stream(body))
    assert found == 128
    assert type(found) is int


def test_an_array_that_is_used_again_is_the_same_array() -> None:
    begun = TWO_FLOATS.replace(b"\x87R(K\x01", b"\x87Rq\x05(K\x01")
    first, second = decode(stream(b"](" + begun + b"h\x05e"))
    assert first is second
    np.testing.assert_array_equal(first, [1.5, -2.0])


def test_members_of_an_enumeration_that_is_listed() -> None:
    body = name("samplelib.Sample", "SampleType") + b"K\x01\x85R"
    assert decode(stream(body), enumerations=[("samplelib.Sample", "SampleType")]) == 1
    with pytest.raises(Refused, match=r"it asks for samplelib\.Sample\.SampleType"):
        decode(stream(body))


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("count", [1, 68, 300])
def test_points_are_read_as_one_array_however_their_lists_are_kept(protocol: int, count: int) -> None:
    points = np.random.default_rng(count).normal(size=(count, 2))
    place = 0

    def kept() -> bytes:
        nonlocal place
        place += 1
        if protocol == 4:
            return b"\x94"
        return b"q" + bytes([place]) if place < 256 else b"r" + struct.pack("<I", place)

    body = b"]" + kept() + b"("
    for x, y in points:
        body += b"]" + kept() + b"(G" + struct.pack(">d", x) + b"G" + struct.pack(">d", y) + b"e"
    last = b"h\x00" if protocol == 4 else b"h\x01"
    after = text("later") + kept()
    found = decode(stream(b"](" + body + b"e" + after + last + b"e", protocol))
    np.testing.assert_array_equal(found[0], points)
    assert found[1] == "later"
    assert found[2] is found[0]


def test_a_point_that_is_used_again_is_found_all_the_same() -> None:
    point = b"]\x94(G" + struct.pack(">d", 1) + b"G" + struct.pack(">d", 2) + b"e"
    assert decode(stream(b"](]\x94(" + point + b"eh\x01e")) == [[[1.0, 2.0]], [1.0, 2.0]]


# ------------------------------------------------------------------------------------------- what is refused

CALL = b"(" + text("touch /tmp/pwned") + b"tR"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (name("os", "system") + CALL, "os.system"),
        (text("builtins") + text("eval") + b"\x93" + CALL, "builtins.eval"),
        (text("numpy") + text("lib.npyio.os.system") + b"\x93" + CALL, "numpy.lib.npyio.os.system"),
        (name("numpy", "load") + CALL, "numpy.load"),
        (name("numpy", "dtype.__class__") + CALL, "numpy.dtype.__class__"),
        (name("builtins", "getattr") + CALL, "builtins.getattr"),
        (text("os") + text("system") + b"\x93", "os.system"),
        (b"(K\x01\x93", "str should stand"),
        (text("print") + b")R", "calls str"),
        (name("numpy", "ndarray") + b"(K\x05tR", "calls array"),
        (name("numpy", "ndarray"), "where a value belongs"),
        (b"]" + name("numpy", "dtype") + b"a", "where a value belongs"),
        (b"C\x01a", "where a value belongs"),
        (kind("f8"), "where a value belongs"),
        (name("numpy", "ndarray") + b"}b", "tuple should stand"),
        (name("numpy", "ndarray") + b")b", "changes array"),
        (b"})b", "changes dict"),
        (TWO_FLOATS + b")b", "changes ndarray"),
        (b"K\x01K\x02", "middle of a value"),
        (b"(K\x01", "middle of a value"),
        (b"", "middle of a value"),
        (b"K\x01.", "bytes follow"),
        (b"e", "cut off"),
        (b"t", "cut off"),
        (b"\x87", "cut off"),
        (b"h\x00", "fetches what it never kept"),
        (b"Nq\x00q\x00", "which is taken"),
        (b"Nr\xff\xff\xff\x7f", "far outside"),
        (b"NNa", "appended to nonetype"),
        (b")(K\x01e", "appended to tuple"),
        (b"]K\x01K\x02s", "no dictionary"),
        (b"}(K\x01u", "no dictionary"),
        (b"})K\x01s", "neither text nor number"),
        (b"}" + TWO_FLOATS + b"K\x01s", "neither text nor number"),
        (b"}\x88K\x01s", "neither text nor number"),
        (b"X\xff\xff\xff\xff", "4294967295 bytes"),
        (b"\x8d" + b"\xff" * 8, "18446744073709551615 bytes"),
        (b"\x8e" + b"\xff" * 7 + b"\x3f", "4611686018427387903 bytes"),
        (b"\x95" + b"\xff" * 8, "frame"),
        (b"\x8c\x02\xff\xff", "not UTF-8"),
        (b"c" + b"a" * 500, "does not end"),
        (b"\x8a\xff" + b"\1" * 255, "255 bytes"),
        (b"\x8a\x09" + b"\xff" * 8 + b"\x7f", "64 bits"),
        (b"(" * 100, "64 deep"),
        (b"]" * 17 + b"a" * 16, "nested more than 16"),
        (b"N" + b"\x85" * 100, "nested more than 16"),
        (b"]q\x00h\x00a", "hold themselves"),
        (b"}q\x00" + text("a") + b"h\x00s", "hold themselves"),
    ],
)
def test_everything_else_is_refused_with_a_sentence(body: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason.replace(".", r"\.").replace("__", "__")):
        decode(stream(body))


@pytest.mark.parametrize(
    "code",
    [
        c
        for c in range(256)
        if bytes([c]) not in b".(}])t\x85\x86\x87aesuN\x88\x89JKM\x8aGX\x8c\x8dCB\x8e\x95\x96qrhj\x94c\x93Rb\x81"
    ],
)
def test_no_other_instruction_is_known(code: int) -> None:
    with pytest.raises(Refused, match=f"instruction {code:02X} at byte 3 has no place"):
        decode(stream(b"N" + bytes([code]) + b"\0" * 16))


FILM = Classes(records=[("studio.film", "Film.Frame"), ("studio.film", "Cut")], paths=[("pathlib", "PosixPath")])
FRAME_BY_ATTRIBUTE = name("builtins", "getattr") + name("studio.film", "Film") + text("Frame") + b"\x86R"
FRAME_BY_NAME = text("studio.film") + text("Film.Frame") + b"\x93"
STATE = b"}(" + text("number") + b"K\x07" + text("path") + name("pathlib", "PosixPath") + text("a") + b"\x85Ru"


@pytest.mark.parametrize("spelling", [FRAME_BY_ATTRIBUTE, FRAME_BY_NAME])
def test_objects_of_listed_classes_are_read_as_records(spelling: bytes) -> None:
    record = decode(stream(spelling + b")\x81" + STATE + b"b"), classes=FILM)
    assert type(record) is Record
    assert record.kind == "Film.Frame"
    assert record == {"number": 7, "path": ("a",)}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (name("studio.film", "Film") + b")\x81", "begun in an unknown way"),  # the outer class has no objects here
        (name("studio.film", "Cut") + b"K\x01\x85\x81", "begun in an unknown way"),
        (name("studio.film", "Cut") + b")R", "cannot be called"),
        (name("studio.film", "Cut"), "something stands where a value belongs"),
        (name("builtins", "getattr"), "something stands where a value belongs"),
        (name("studio.film", "Cut") + b")\x81" + STATE + b"b" + STATE + b"b", "given twice"),
        (name("studio.film", "Cut") + b")\x81}(K\x01K\x01ub", "given twice, or are none"),
        (name("studio.film", "Cut") + b")\x81K\x01b", "a dict should stand"),
        (name("studio.film", "Cut") + b")\x81" + text("x") + b"K\x01s", "neither text nor number"),
        (b"}" + b")\x81", "which is no class"),
        (name("numpy", "ndarray") + b")\x81", "which is no class"),
        (name("builtins", "getattr") + name("studio.film", "Film") + text("__init__") + b"\x86R", "an attribute"),
        (name("builtins", "getattr") + name("studio.film", "Cut") + text("Frame") + b"\x86R", "an attribute"),
        (name("builtins", "getattr") + name("numpy", "ndarray") + text("Frame") + b"\x86R", "an attribute"),
        (name("builtins", "getattr") + b"}" + text("Frame") + b"\x86R", "an attribute"),
        (name("builtins", "getattr") + name("studio.film", "Film") + text("Frame") + b"N\x87R", "an attribute"),
        (name("studio.film", "Film.Frame.__init__"), "no such file needs"),
        (name("builtins", "eval"), "no such file needs"),
        (name("pathlib", "PosixPath") + b"K\x01\x85R", "other than text"),
        (name("pathlib", "PosixPath") + b")R", "other than text"),
    ],
)
def test_classes_are_read_in_no_other_way(body: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        decode(stream(body), classes=FILM)


def test_nothing_is_asked_for_by_attribute_where_no_class_lies_inside_another() -> None:
    with pytest.raises(Refused, match=r"builtins\.getattr"):
        decode(stream(FRAME_BY_ATTRIBUTE), classes=Classes(records=[("studio.film", "Film")]))


def test_a_record_that_holds_itself_is_refused() -> None:
    inside = b"}(" + text("self") + b"h\x00ub"
    with pytest.raises(Refused, match="hold themselves"):
        decode(stream(name("studio.film", "Cut") + b")\x81q\x00" + inside), classes=FILM)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (array(b"K\x01\x85", kind("O8", "|"), b"](" + name("os", "system") + CALL + b"e"), r"O8"),
        (array(b"K\x01\x85", kind("V8", "|"), b"C\x08" + b"a" * 8), "V8"),
        (array(b"K\x01\x85", kind("U2"), b"C\x08" + b"a" * 8), "U2"),
        (array(b"K\x01\x85", kind("f4", "="), b"C\x04" + b"a" * 4), "byte order"),
        (
            array(
                b"K\x01\x85",
                kind("f4", rest=b"N" + text("a") + b"NJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0"),
                b"C\x04aaaa",
            ),
            "kind",
        ),
        (array(b"K\x01\x85", kind("f4", rest=b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3f"), b"C\x04aaaa"), "kind"),
        (array(b"K\x02\x85", kind("f4"), b"C\x04aaaa"), "cannot be made of 4 bytes"),
        (array(b"J\0\0\0\x7fJ\0\0\0\x7f\x86", kind("f4"), b"C\x04aaaa"), "cannot be made of 4 bytes"),
        (array(b"J\xff\xff\xff\xffJ\xfc\xff\xff\xff\x86", kind("u1", "|"), b"C\x04aaaa"), "impossible shape"),
        (array(b"K\0\x8a\x08" + b"\xff" * 7 + b"\x7f\x86", kind("u1", "|"), b"C\0"), "impossible shape"),
        (array(b"(K\x01K\x01K\x01K\x01K\x04t", kind("u1", "|"), b"C\x04aaaa"), "at most 4 dimensions"),
        (array(b"\x88\x85", kind("u1", "|"), b"C\x01a"), "impossible shape"),
        (array(TWO_FLOATS + b"\x85", kind("u1", "|"), b"C\x01a"), "impossible shape"),
        (array(b"K\x04", kind("u1", "|"), b"C\x04aaaa"), "no shape"),
        (array(b"K\x04\x85", kind("u1", "|"), text("aaaa")), "plain numbers"),
        (array(b"K\x04\x85", name("numpy", "ndarray"), b"C\x04aaaa"), "plain numbers"),
        (array(b"K\x02\x85", TWO_FLOATS, b"C\x04aaaa"), "plain numbers"),
        (array(b"K\x02\x85", kind("u1", "|"), b"C\x02aa", TWO_FLOATS), "unknown way"),
        (name("numpy", "dtype") + text("f8") + b"\x89\x88\x87R", "where a value belongs"),
        (array(b"K\x01\x85", name("numpy", "dtype") + text("f4") + b"\x89\x88\x87R", b"C\x04aaaa"), "plain numbers"),
        (name("numpy", "dtype") + TWO_FLOATS + b"\x89\x88\x87R", "unknown way"),
        (name("numpy", "dtype") + text("f4") + TWO_FLOATS + b"\x88\x87R", "unknown way"),
        (
            name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + TWO_FLOATS + b"C\x01b\x87R",
            "begun",
        ),
        (name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\x63\x85C\x01b\x87R", "begun"),
        (name("numpy.core.multiarray", "scalar") + kind("f4") + b"C\x08aaaaaaaa\x86R", "cannot be made"),
        (
            name("numpy._core.numeric", "_frombuffer") + b"(C\x04aaaa" + kind("f4") + b"K\x01\x85" + TWO_FLOATS + b"tR",
            "made",
        ),
        (name("_codecs", "encode") + text("a") + text("rot13") + b"\x86R", "not allowed"),
        (name("_codecs", "encode") + text("a") + TWO_FLOATS + b"\x86R", "not allowed"),
        (name("_codecs", "encode") + b"X\x03\0\0\0\xe2\x82\xac" + text("latin1") + b"\x86R", "other letters"),
    ],
)
def test_arrays_are_made_of_plain_numbers_that_are_there(body: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        decode(stream(body))


@pytest.mark.parametrize(
    "begin", [b"", b".", b"\x80", b"\x80\x01N.", b"\x80\x06N.", b"(dp0\n.", b"\x93NUMPY\x01\x00v\x00"]
)
def test_other_beginnings_are_refused(begin: bytes) -> None:
    with pytest.raises(Refused, match="does not begin"):
        decode(begin)


def test_an_enumeration_takes_one_number_only() -> None:
    for arguments in (b")", b"K\x01K\x02\x86", text("a") + b"\x85", b"\x88\x85", TWO_FLOATS + b"\x85"):
        with pytest.raises(Refused, match="not given by a number"):
            decode(stream(name("a", "B") + arguments + b"R"), enumerations=[("a", "B")])


def test_an_array_that_was_never_filled_is_no_value() -> None:
    begun = name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\0\x85C\x01b\x87R"
    with pytest.raises(Refused, match="where a value belongs"):
        decode(stream(begun))
    with pytest.raises(Refused, match="where a value belongs"):  # kept, put into a list, and only then filled
        decode(
            stream(b"]" + begun + b"q\x00ah\x00(K\x01K\x04\x85" + kind("u1", "|") + b"\x89C\x04aaaatb0"[:-1] + b"\x86")
        )


# ------------------------------------------------------------------------------------------- time and memory


def doubled(times: int, wrapper: bytes = b"") -> bytes:
    """A tuple that holds itself twice, `times` over: tiny as it stands, two to the power of `times` unfolded."""
    return b"N\x85q\x00" + b"".join(b"h" + bytes([n, 0x68, n, 0x86, 0x71, n + 1]) for n in range(times)) + wrapper


@pytest.mark.parametrize(
    "body",
    [
        b"](" + doubled(60) + b"e",
        b"](" + doubled(14) + b"e",
        b"}(" + doubled(60) + b"Nu",
        name("numpy", "dtype") + doubled(60) + b"\x89\x88\x87R",
        array(doubled(60), kind("u1", "|"), b"C\x01a"),
        name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + doubled(60) + b"C\x01b\x87R",
        b"](" + text("x" * 1000) + b"q\x00" + b"h\x00" * 20_000 + b"e",
        b"]("
        + array(b"M\xe8\x03\x85", kind("u1", "|"), b"B\xe8\x03\0\0" + b"a" * 1000)
        + b"q\x00"
        + b"h\x00" * 20_000
        + b"e",
        b"](" + b"](" + b"N" * 500 + b"eq\x00" + b"h\x00" * 20_000 + b"e",
        b"]" * 60_000,
        b"}" * 60_000,
        b"N" + b"\x85" * 60_000,
        b"](" + (b"]\x94(" * 20_000),
    ],
    ids=range(13),
)
def test_bombs_are_refused_at_once(body: bytes) -> None:
    begin = time.process_time()
    with pytest.raises(Refused):
        decode(stream(body))
    assert time.process_time() - begin < 0.5


def test_a_stream_has_a_longest_length_and_a_most_of_steps() -> None:
    with pytest.raises(Refused, match="60 bytes long, more than 50"):
        decode(stream(b"N" * 57), Limits(50, 100))
    with pytest.raises(Refused, match="more than 10 instructions"):
        decode(stream(b"](" + b"N" * 30 + b"e"), Limits(50, 10))
    assert FACE_LIMITS.length == 65_533


# ------------------------------------------------------------------------------------------- fuzzing

numbers = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    numbers,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=5)
    ),
    max_leaves=20,
)


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) in (str, int) for key in value) and all(map(is_plain, value.values()))
    return all(map(is_plain, value)) if isinstance(value, list | tuple) else type(value) in PLAIN


def listed(value: Any) -> Any:
    """The value with arrays of points as the lists they came from."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: listed(inner) for key, inner in value.items()}
    return type(value)(map(listed, value)) if isinstance(value, list | tuple) else value


@given(values, st.sampled_from([3, 4]))
@settings(max_examples=200, deadline=None)
def test_what_is_written_reads_back(value: Any, protocol: int) -> None:
    found = decode(encode(value, protocol), Limits(1 << 20, 1 << 20, depth=40))
    assert listed(found) == value
    assert is_plain(found)


SAMPLE = encode(
    {
        "landmarks": [[1.0, 2.0]] * 3,
        "mask": np.arange(9, dtype=np.uint8),
        "matrix": np.eye(2, 3),
        "polys": [{"type": 1, "pts": np.zeros((2, 2), np.float32)}],
        "kind": EnumMember("a", "B", 3),
        "name": ("x", None, True, -5, 0.5),
    }
)

INSTRUCTIONS = (
    b"(|}|]|)|t|\x85|\x86|\x87|a|e|s|u|N|\x88|\x94|R|b|\x93|h\0|h\1|q\0|q\2|C\1b|C\4aaaa|K\0|K\1|K\3|K\4".split(b"|")
)
WORDS = [text(word) for word in ("f4", "u1", "<", "|", "C", "numpy", "dtype", "latin1")]
NAMES = [
    name("numpy", "dtype"),
    name("numpy", "ndarray"),
    name("numpy.core.multiarray", "_reconstruct"),
    name("numpy.core.multiarray", "scalar"),
    name("numpy.core.numeric", "_frombuffer"),
    name("_codecs", "encode"),
    name("a", "B"),
    name("os", "system"),
]
POINT = b"]\x94(G" + b"\0" * 8 + b"G" + b"\0" * 8 + b"e"
pieces = st.sampled_from([*INSTRUCTIONS, *WORDS, *NAMES, kind("f4"), TWO_FLOATS, POINT, b"\x95" + b"\0" * 8])


def read_or_refuse(data: bytes) -> None:
    """Nothing but a plain value or `Refused` may come of any bytes."""
    try:
        found = decode(data, enumerations=[("a", "B")])
    except Refused:
        return
    assert is_plain(found)


@given(st.lists(pieces, max_size=40), st.integers(2, 5))
@settings(max_examples=600, deadline=None)
def test_no_program_gets_further_than_a_plain_value(program: list[bytes], protocol: int) -> None:
    read_or_refuse(stream(b"".join(program), protocol))


@given(st.integers(2, len(SAMPLE) - 1), st.integers(0, 255), st.integers(0, len(SAMPLE)), st.binary(max_size=8))
@settings(max_examples=600, deadline=None)
def test_no_damage_gets_further_than_a_plain_value(place: int, byte: int, at: int, inserted: bytes) -> None:
    damaged = bytearray(SAMPLE)
    damaged[place] = byte
    read_or_refuse(bytes(damaged[:at] + inserted + damaged[at:]))


def test_a_stream_cut_anywhere_is_refused() -> None:
    for length in range(len(SAMPLE)):
        with pytest.raises(Refused):
            decode(SAMPLE[:length], enumerations=[("a", "B")])
    assert decode(SAMPLE, enumerations=[("a", "B")])["kind"] == 3
