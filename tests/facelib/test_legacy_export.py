"""Faces written for DeepFaceLab: what its strict reader wants, within the room of one segment."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from core.errors import FaceLoomError, NotAFace
from core.images import decode_image, decode_png_mask, encode_jpeg, encode_png
from core.jpeg import Segment, parse_segments, replace_segments
from core.legacy_pickle import decode
from core.legacy_writer import encode
from facelib.face_record import FaceMetadata, Polygon
from facelib.legacy_export import dfl_face
from facelib.metadata import metadata_from_jpeg, read_face, with_metadata
from tests.facelib.legacy_samples import HERE, PICTURE, dfl_jpeg, face_jpeg, values

NOISE = np.random.default_rng(1).integers(0, 256, (256, 256), np.uint8)


def a_face(**changes: Any) -> FaceMetadata:
    return dataclasses.replace(metadata_from_jpeg(face_jpeg(), HERE), **changes)


def strict_parse(data: bytes) -> tuple[list[int], bytes]:
    """Markers and the last APP15 of a file, read as DeepFaceLab reads (spec faces-and-formats 7.1), or an error."""
    assert data[:2] == b"\xff\xd8"
    assert data[-2:] == b"\xff\xd9"
    markers: list[int] = []
    record, at = b"", 2
    while True:
        assert data[at] == 0xFF
        markers.append(data[at + 1])
        assert markers[-1] not in (0xDD, 0xFF)
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        payload = data[at + 4 : at + 2 + length]
        if markers[-1] == 0xE0:
            assert payload.startswith(b"JFIF\0")
        if markers[-1] == 0xEF:
            record = payload
        if markers[-1] == 0xDA:
            assert data.index(b"\xff\xd9", at) == len(data) - 2
            return markers, record
        at += 2 + length


def test_the_file_is_what_the_strict_reader_wants() -> None:
    face = a_face(xseg_mask=encode_png(NOISE[:9, :9]), brow_lift=1.5)
    exported = dfl_face(with_metadata(encode_jpeg(PICTURE), face), face, HERE)
    markers, record = strict_parse(exported.jpeg)
    assert markers[:3] == [0xE0, 0xEF, 0xDB]  # the record directly after APP0, as the tool itself writes
    assert 0xC0 in markers
    assert not exported.saved_anew
    np.testing.assert_array_equal(decode_image(exported.jpeg, HERE), decode_image(encode_jpeg(PICTURE), HERE))
    values = decode(record)
    assert list(values) == [
        *("face_type", "landmarks", "source_filename", "source_rect", "source_landmarks", "image_to_face_mat"),
        *("eyebrows_expand_mod", "xseg_mask"),
    ]
    assert values["source_rect"].dtype == np.int32
    assert values["xseg_mask"].dtype == np.uint8
    assert values["xseg_mask"].tobytes() == face.xseg_mask
    assert values["eyebrows_expand_mod"] == 1.5


def test_it_reads_back_as_the_same_face() -> None:
    polygons = (Polygon(True, np.array([[1, 2], [3, 4], [5, 7]])), Polygon(False, np.array([[9.5, 2], [3, 4]])))
    face = a_face(xseg_mask=encode_png(NOISE), brow_lift=0.25, polygons=polygons, extra={"dfl": {"relighted": True}})
    assert metadata_from_jpeg(dfl_face(encode_jpeg(PICTURE), face, HERE).jpeg, HERE) != face  # the mask was too large
    face = dataclasses.replace(face, xseg_mask=encode_png(NOISE[:64, :64]))
    assert metadata_from_jpeg(dfl_face(encode_jpeg(PICTURE), face, HERE).jpeg, HERE) == face


def test_a_mask_too_large_for_the_segment_becomes_a_jpeg_as_good_as_fits() -> None:
    face = a_face(xseg_mask=encode_png(NOISE))
    exported = dfl_face(encode_jpeg(PICTURE), face, HERE)
    assert exported.mask_quality is not None
    size = exported.values["xseg_mask"].size
    assert 45_000 < size <= 50_000
    mask = decode_png_mask(metadata_from_jpeg(exported.jpeg, HERE).xseg_mask or b"", HERE)
    assert np.abs(mask * 255 - NOISE).mean() < 4  # noise is the hardest of all masks


def test_polygons_that_do_not_fit_are_refused_and_take_room_from_the_mask() -> None:
    many = Polygon(True, np.zeros((4000, 2)))
    crowded = dfl_face(encode_jpeg(PICTURE), a_face(polygons=(many,), xseg_mask=encode_png(NOISE)), HERE)
    assert strict_parse(crowded.jpeg)
    assert crowded.values["xseg_mask"].size < 31_000
    with pytest.raises(FaceLoomError, match="fewer points"):
        dfl_face(encode_jpeg(PICTURE), a_face(polygons=(many,) * 3), HERE)
    with pytest.raises(FaceLoomError, match="fewer points"):
        dfl_face(encode_jpeg(PICTURE), a_face(polygons=(many,) * 3, xseg_mask=encode_png(NOISE)), HERE)


def with_restarts() -> bytes:
    done, data = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])
    assert done
    assert b"\xff\xdd" in data.tobytes()
    return data.tobytes()


def progressive() -> bytes:
    done, data = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert done
    return data.tobytes()


def exif_first() -> bytes:
    drop = {0xE0}
    exif = Segment(0xE0, b"other\0 than JFIF")
    return replace_segments(encode_jpeg(PICTURE), lambda s: s.marker in drop, [exif], HERE)


@pytest.mark.parametrize(
    ("jpeg", "anew"),
    [
        (encode_jpeg(PICTURE), False),
        (encode_jpeg(PICTURE) + b"trailing bytes", False),
        (progressive(), False),
        (face_jpeg() + b"\xff\xd9", False),
        (with_restarts(), True),
        (exif_first(), True),
        (progressive() + b"trailing", True),
    ],
    ids=["plain", "trailing", "progressive", "two ends", "restarts", "other APP0", "progressive, trailing"],
)
def test_a_picture_strict_readers_fail_on_is_encoded_anew(jpeg: bytes, anew: bool) -> None:
    exported = dfl_face(jpeg, a_face(), HERE)
    assert exported.saved_anew == anew
    strict_parse(exported.jpeg)
    difference = decode_image(exported.jpeg, HERE).astype(int) - decode_image(jpeg, HERE)
    assert np.abs(difference).max() <= (6 if anew else 0)


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_face_of_theirs_stays_byte_for_byte(protocol: int) -> None:
    mask = np.frombuffer(encode_jpeg(NOISE[:16, :16], 50), np.uint8)
    jpeg = face_jpeg(protocol, xseg_mask=mask, source_rect=np.array([1, 2, 3, 4], np.int64))
    face = metadata_from_jpeg(jpeg, HERE)
    exported = dfl_face(jpeg, face, HERE)
    assert exported.jpeg == jpeg
    np.testing.assert_array_equal(exported.values["xseg_mask"], mask)
    changed = dfl_face(jpeg, dataclasses.replace(face, brow_lift=2.0), HERE)
    assert metadata_from_jpeg(changed.jpeg, HERE).brow_lift == 2.0


def test_a_record_written_by_a_newer_numpy_or_python_is_written_anew() -> None:
    """NumPy 1.19 does not know numpy._core, and Python 3.7 no protocol 5."""
    old = encode(values(), 3)
    for stream in (old.replace(b"cnumpy.core.", b"cnumpy._core."), b"\x80\x05" + old[2:]):
        jpeg = dfl_jpeg(stream)
        exported = dfl_face(jpeg, metadata_from_jpeg(jpeg, HERE), HERE)
        record = strict_parse(exported.jpeg)[1]
        assert record[1] <= 4
        assert b"_core" not in record
        assert b"numpy.core.multiarray" in record


@pytest.mark.parametrize("stream", [b"\x80\x04cposix\nsystem\n.", encode(values(face_type="mark_only"))])
def test_a_record_that_is_refused_is_replaced(stream: bytes) -> None:
    face = a_face()
    assert metadata_from_jpeg(dfl_face(dfl_jpeg(stream), face, HERE).jpeg, HERE) == face


def test_every_real_face_stays_byte_for_byte(shared_data: Path) -> None:
    stayed = 0
    for path in sorted((shared_data / "dfl" / "faces").glob("*.jpg")):
        try:
            jpeg, face = read_face(path)
        except NotAFace:
            continue
        stayed += dfl_face(jpeg, face, path).jpeg == jpeg
        written = dfl_face(with_metadata(jpeg, face), face, path)  # and through FaceLoom's own record
        assert strict_parse(written.jpeg)
        back = metadata_from_jpeg(written.jpeg, path)
        assert dataclasses.replace(back, xseg_mask=face.xseg_mask, extra={}) == dataclasses.replace(face, extra={})
    assert stayed == 5 or not (shared_data / "dfl").is_dir()


def test_nothing_of_ours_and_no_older_record_stays_in_it() -> None:
    face = a_face()
    exported = dfl_face(with_metadata(face_jpeg(), face), face, HERE)
    markers = [segment.marker for segment in parse_segments(exported.jpeg, HERE).segments]
    assert markers.count(0xEF) == 1
    assert b"FaceLoom" not in exported.jpeg


def test_a_record_with_foreign_keys_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(FaceLoomError, match="cannot be written"):
        dfl_face(encode_jpeg(PICTURE), a_face(extra={"dfl": {"x": 1 << 70}}), HERE)


@pytest.mark.parametrize("extra", [5, [1], {"a": {"array": "|O", "shape": [1], "base64": "AA=="}}, {"face_type": [1]}])
def test_a_strange_store_of_foreign_keys_is_passed_over(extra: Any) -> None:
    exported = dfl_face(encode_jpeg(PICTURE), a_face(extra={"dfl": extra}), HERE)
    assert exported.values["face_type"] == "whole_face"
