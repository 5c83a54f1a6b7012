"""The head of a JPEG file: read it, refuse what is broken, keep records in it."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BrokenFile
from core.images import decode_image, encode_jpeg
from core.jpeg import (
    MARK,
    RECORD_MARKER,
    Segment,
    jpeg_size,
    marked_records,
    parse_segments,
    read_segments,
    replace_records,
)

HERE = Path("face.jpg")
PICTURE = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
PLAIN = encode_jpeg(PICTURE, 90)


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


SOF = segment(0xC0, bytes([8, 0, 12, 0, 20, 1, 1, 0x11, 0]))
SCAN = segment(0xDA, bytes([1, 1, 0, 0, 63, 0])) + b"\x12\x34\xff\x00\x56"
SMALLEST = b"\xff\xd8" + SOF + SCAN + b"\xff\xd9"


def strict_parse(data: bytes) -> list[int]:
    """The markers of a file, read as the strictest reader in use does (spec faces-and-formats 7.1), or an error."""
    assert data[:2] == b"\xff\xd8"
    position, markers = 2, []
    while True:
        assert data[position] == 0xFF
        marker = data[position + 1]
        assert marker not in (0xFF, 0xDD)  # no fill bytes, no restart interval
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        payload = data[position + 4 : position + 2 + length]
        assert len(payload) == length - 2
        if marker == 0xE0 and 0xE0 not in markers:
            assert payload.startswith(b"JFIF\0")
        markers.append(marker)
        position += 2 + length
        if marker == 0xDA:
            assert data.find(b"\xff\xd9", position) == len(data) - 2
            assert {0xC0, 0xC2} & set(markers)
            return markers


def test_size_and_segments_of_a_real_file() -> None:
    head = parse_segments(PLAIN, HERE)
    assert (head.width, head.height) == (20, 12)
    assert jpeg_size(PLAIN, HERE) == (20, 12)
    assert head.segments[0].marker == 0xE0
    assert head.segments[0].payload.startswith(b"JFIF\0")
    assert PLAIN[head.scan_offset : head.scan_offset + 2] == b"\xff\xda"


def test_a_file_on_disk_gives_the_same_head(odd_folder: Path) -> None:
    path = odd_folder / "x.jpg"
    path.write_bytes(PLAIN)
    assert read_segments(path) == parse_segments(PLAIN, path)


@pytest.mark.parametrize("kind", [0xC0, 0xC1, 0xC2])
def test_baseline_extended_and_progressive(kind: int) -> None:
    data = SMALLEST.replace(b"\xff\xc0", bytes([0xFF, kind]))
    assert jpeg_size(data, HERE) == (20, 12)


def test_fill_bytes_restart_intervals_comments_and_trailing_data(tmp_path: Path) -> None:
    comment, restart = segment(0xFE, b"a comment"), segment(0xDD, b"\0\x08")
    data = (
        b"\xff\xd8" + b"\xff" * 7 + comment + restart + b"\xff" + SOF + b"\xff" * 2 + SCAN + b"\xff\xd9" + b"more" * 9
    )
    head = parse_segments(data, HERE)
    assert [s.marker for s in head.segments] == [0xFE, 0xDD, 0xC0]
    assert head.segments[0].payload == b"a comment"
    assert data[head.scan_offset : head.scan_offset + 2] == b"\xff\xda"
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    assert read_segments(path) == head
    assert replace_records(data, {}, HERE) == b"\xff\xd8" + comment + restart + SOF + SCAN + b"\xff\xd9" + b"more" * 9


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the file is empty"),
        (b"a text, not a picture", "does not begin with FF D8"),
        (b"\x89PNG\r\n\x1a\n", "does not begin with FF D8"),
        (b"\xff\xd8", "cut off between two segments"),
        (b"\xff\xd8\xff\xe0\x00", "cut off inside segment FF E0"),
        (b"\xff\xd8\xff\xe0\x00\x01", "impossible length 1"),
        (b"\xff\xd8\xff\xe0\x00\x00", "impossible length 0"),
        (b"\xff\xd8\xff\xe0\xff\xff1234", "cut off inside segment FF E0"),
        (b"\xff\xd8hello", "should begin with FF at byte 2, but there is 68"),
        (b"\xff\xd8\xff\x00\x00", "without a marker at byte 2"),
        (b"\xff\xd8\xff\xd9", "ends before a picture begins"),
        (b"\xff\xd8\xff\xd3", "FF D3 at byte 2 does not belong"),
        (b"\xff\xd8\xff\xd8", "FF D8 at byte 2 does not belong"),
        (b"\xff\xd8" + SCAN + b"\xff\xd9", "no SOF"),
        (b"\xff\xd8" + SOF + SOF + SCAN + b"\xff\xd9", "given twice"),
        (b"\xff\xd8" + segment(0xC3, SOF[4:]), "SOF3"),
        (b"\xff\xd8" + segment(0xCA, SOF[4:]), "SOF10"),
        (b"\xff\xd8" + segment(0xC0, b"\x08\0"), "wrong length"),
        (b"\xff\xd8" + segment(0xC0, bytes([8, 0, 12, 0, 20, 3, 1, 0x11, 0])), "wrong length"),
        (b"\xff\xd8" + segment(0xC0, bytes([8, 0, 0, 0, 20, 1, 1, 0x11, 0])), "no area (20x0 pixels)"),
        (b"\xff\xd8" + SOF + SCAN, "cut off inside the compressed picture"),
        (b"\xff\xd8" + b"\xff" * 9000, "more than 4096 fill bytes"),
    ],
)
def test_what_is_broken_is_said_exactly(data: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    for read in (lambda: parse_segments(data, path), lambda: read_segments(path)):
        with pytest.raises(BrokenFile) as caught:
            read()
        assert sentence in caught.value.why
        assert caught.value.path == path


def test_a_missing_file_and_a_folder_are_broken_files(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(BrokenFile, match="cannot be read"):
            read_segments(path)


def test_a_file_cut_at_any_length_is_broken() -> None:
    data = replace_records(PLAIN, {"JSON": b"{}", "MASK": b"x" * 50}, HERE)
    parse_segments(data, HERE)
    for length in range(len(data)):
        with pytest.raises(BrokenFile):
            parse_segments(data[:length], HERE)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=20), st.integers(0, 100))
def test_any_damage_gives_a_head_or_a_broken_file(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(replace_records(PLAIN, {"JSON": b"{}" * 40}, HERE))
    for place, value in changes:
        data[place % len(data)] = value
    damaged = bytes(data[: len(data) - cut])
    try:
        head = parse_segments(damaged, HERE)
        marked_records(head, HERE)
    except BrokenFile:
        return
    assert 0 < head.width < 65536
    assert damaged[head.scan_offset : head.scan_offset + 2] == b"\xff\xda"


def test_an_endless_head_ends_in_time(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"\xff\xd8" + segment(0xFE, bytes(65533)) * 600)
    start = time.monotonic()
    with pytest.raises(BrokenFile, match="longer than 32 MB"):
        read_segments(path)
    assert time.monotonic() - start < 5  # reads 32 MB of it; takes about 0.05 s


def test_records_come_back() -> None:
    records = {"JSON": b'{"a": 1}', "MASK": bytes(range(256))}
    data = replace_records(PLAIN, records, HERE)
    assert marked_records(parse_segments(data, HERE), HERE) == records
    assert list(marked_records(parse_segments(data, HERE), HERE)) == ["JSON", "MASK"]
    assert marked_records(parse_segments(PLAIN, HERE), HERE) == {}


def test_the_picture_and_the_other_segments_stay_byte_for_byte() -> None:
    foreign = segment(0xE1, b"Exif\0\0...") + segment(0xEF, b"\x80\x04older") + segment(0xE7, b"another program's")
    data = PLAIN[:2] + segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0") + foreign + PLAIN[20:]
    once = replace_records(data, {"JSON": b"first" * 30}, HERE)
    before, after = parse_segments(data, HERE), parse_segments(once, HERE)
    assert [s for s in after.segments if not s.payload.startswith(MARK)] == list(before.segments)
    assert once[after.scan_offset :] == data[before.scan_offset :]
    assert replace_records(once, {}, HERE) == data
    assert replace_records(once, {"JSON": b"second"}, HERE) == replace_records(data, {"JSON": b"second"}, HERE)
    np.testing.assert_array_equal(decode_image(once, HERE), decode_image(data, HERE))


def test_records_follow_the_last_application_segment() -> None:
    markers = [s.marker for s in parse_segments(replace_records(PLAIN, {"JSON": b"1"}, HERE), HERE).segments]
    assert markers[:2] == [0xE0, RECORD_MARKER]
    assert [s.marker for s in parse_segments(replace_records(SMALLEST, {"JSON": b"1"}, HERE), HERE).segments] == [
        RECORD_MARKER,
        0xC0,
    ]


def test_the_strictest_reader_accepts_the_result() -> None:
    data = replace_records(PLAIN, {"JSON": b"1" * 70000, "MASK": b"\xff\xd9" * 100}, HERE)
    assert strict_parse(data) == [0xE0, RECORD_MARKER, RECORD_MARKER, RECORD_MARKER, *strict_parse(PLAIN)[1:]]


@pytest.mark.parametrize("length", [0, 1, 65515, 65516, 65517, 131032, 131033, 500_000])
def test_records_of_any_length_are_split_and_joined(length: int) -> None:
    record = np.random.default_rng(length).bytes(length)
    data = replace_records(PLAIN, {"MASK": record}, HERE)
    head = parse_segments(data, HERE)
    assert marked_records(head, HERE)["MASK"] == record
    assert sum(s.marker == RECORD_MARKER for s in head.segments) == max(1, -(-length // 65516))
    np.testing.assert_array_equal(decode_image(data, HERE), decode_image(PLAIN, HERE))


def part(kind: bytes, number: int, total: int, content: bytes = b"x") -> Segment:
    return Segment(RECORD_MARKER, MARK + kind + number.to_bytes(2, "big") + total.to_bytes(2, "big") + content)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([part(b"JSON", 0, 2)], "1 of its 2 parts"),
        ([part(b"JSON", 1, 2)], "out of order"),
        ([part(b"JSON", 0, 0)], "out of order"),
        ([part(b"JSON", 0, 1), part(b"JSON", 0, 1)], "out of order"),
        ([part(b"JSON", 0, 2), part(b"JSON", 1, 3)], "out of order"),
        ([part(b"JSON", 0, 65535)], "1 of its 65535 parts"),
        ([part(b"JSON", 1, 2), part(b"JSON", 0, 2)], "out of order"),
        ([part(b"\xff\xff\xff\xff", 0, 1)], "too short"),
        ([Segment(RECORD_MARKER, MARK + b"JSON\0\0\0")], "too short"),
        ([Segment(RECORD_MARKER, MARK)], "too short"),
    ],
)
def test_parts_that_lie_are_refused(parts: list[Segment], sentence: str) -> None:
    data = PLAIN[:2] + b"".join(segment(p.marker, p.payload) for p in parts) + PLAIN[2:]
    with pytest.raises(BrokenFile) as caught:
        marked_records(parse_segments(data, HERE), HERE)
    assert sentence in caught.value.why


@pytest.mark.parametrize("kind", ["", "LONGER", "é123"])
def test_a_kind_has_four_ascii_letters(kind: str) -> None:
    with pytest.raises(ValueError, match="4 ASCII letters"):
        replace_records(PLAIN, {kind: b""}, HERE)
