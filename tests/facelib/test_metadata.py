"""The record of a face: every field survives, nothing broken or hostile gets through."""

import copy
import dataclasses
import hashlib
import json
import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import BrokenFile, FaceLoomError, NotAFace
from core.geometry import transform_points
from core.images import decode_image, decode_png_mask, encode_jpeg, encode_png, encode_png_mask
from core.jpeg import replace_records
from facelib import face_record
from facelib.alignment import bbox_from_landmarks, frame_to_face
from facelib.face_type import FaceType
from facelib.landmarks import POSE_POINTS
from facelib.metadata import (
    FaceMetadata,
    Polygon,
    metadata_from_jpeg,
    png_size,
    read_face,
    read_metadata,
    with_metadata,
    write_face,
)

HERE = Path("face.jpg")
FORMATS = Path(__file__).parent.parent / "data" / "formats"
JPEG = encode_jpeg(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
MASK = encode_png_mask(np.linspace(0, 1, 12 * 7).reshape(7, 12))


def some_face(**changes: Any) -> FaceMetadata:
    frame = POSE_POINTS[:, :2] * 2 + [400, 300]
    matrix = frame_to_face(frame, FaceType.WHOLE, 256)
    values: dict[str, Any] = {
        "face_type": FaceType.WHOLE,
        "landmarks": transform_points(frame, matrix),
        "frame_name": "00001.png",
        "frame_bbox": bbox_from_landmarks(frame),
        "frame_landmarks": frame,
        "frame_to_face": matrix,
    }
    return FaceMetadata(**(values | changes))


# ------------------------------------------------------------------------------------------------- what comes back

coordinates = st.floats(-1e6, 1e6, width=32)
names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\:"), min_size=1, max_size=40
).filter(lambda name: name not in (".", ".."))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
known_keys = {f.name for f in dataclasses.fields(FaceMetadata)} - {"extra", "xseg_mask"} | {"schema"}
matrices = st.tuples(
    st.floats(1e-3, 1e3), st.floats(-math.pi, math.pi), st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)
).map(
    lambda v: np.array(
        [[v[0] * math.cos(v[1]), -v[0] * math.sin(v[1]), v[2]], [v[0] * math.sin(v[1]), v[0] * math.cos(v[1]), v[3]]]
    )
)
faces = st.builds(
    FaceMetadata,
    face_type=st.sampled_from(FaceType),
    landmarks=arrays(np.float32, (68, 2), elements=coordinates),
    frame_name=names,
    frame_bbox=arrays(np.float32, 4, elements=coordinates),
    frame_landmarks=arrays(np.float32, (68, 2), elements=coordinates),
    frame_to_face=matrices,
    brow_lift=st.floats(0, 10),
    polygons=st.lists(
        st.builds(
            Polygon,
            include=st.booleans(),
            points=arrays(np.float32, st.tuples(st.integers(0, 9), st.just(2)), elements=coordinates),
        ),
        max_size=3,
    ).map(tuple),
    xseg_mask=st.none() | st.just(MASK),
    detector=st.text(max_size=40),
    extra=st.dictionaries(st.text().filter(lambda key: key not in known_keys), json_values, max_size=3),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(faces)
def test_every_field_survives(face: FaceMetadata) -> None:
    back = metadata_from_jpeg(with_metadata(JPEG, face), HERE)
    for field in dataclasses.fields(FaceMetadata):
        mine, theirs = getattr(face, field.name), getattr(back, field.name)
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, theirs, err_msg=field.name)  # to the last bit
            assert mine.dtype == theirs.dtype
        else:
            assert mine == theirs, field.name
    assert back == face
    assert with_metadata(with_metadata(JPEG, some_face()), face) == with_metadata(JPEG, face)


def test_a_face_on_disk(odd_folder: Path) -> None:
    path = odd_folder / "00001_0.jpg"
    face = some_face(xseg_mask=MASK, frame_name="工作 空间 1.png", detector="blazeface+mesh 1", brow_lift=0.5)
    write_face(path, JPEG, face)
    assert read_metadata(path) == face
    jpeg, again = read_face(path)
    assert again == face
    assert jpeg == path.read_bytes()
    np.testing.assert_array_equal(decode_image(jpeg, path), decode_image(JPEG, HERE))
    assert os.listdir(odd_folder) == ["00001_0.jpg"]


def test_writing_again_replaces_the_record_and_leaves_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    write_face(path, JPEG, some_face(xseg_mask=MASK))
    jpeg, face = read_face(path)
    write_face(path, jpeg, dataclasses.replace(face, xseg_mask=None, brow_lift=2.0))
    assert read_metadata(path).xseg_mask is None
    assert read_metadata(path).brow_lift == 2.0
    assert path.read_bytes() == with_metadata(JPEG, dataclasses.replace(some_face(), brow_lift=2.0))


def test_a_mask_larger_than_one_segment_survives() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (512, 512), np.uint8)
    face = some_face(xseg_mask=encode_png(noise))
    assert face.mask_size == (512, 512)
    back = metadata_from_jpeg(with_metadata(JPEG, face), HERE)
    assert back.xseg_mask is not None
    assert len(back.xseg_mask) > 3 * 65536
    np.testing.assert_array_equal(np.round(decode_png_mask(back.xseg_mask, HERE) * 255), noise)


def test_the_record_is_json_that_anyone_can_read() -> None:
    record = json.loads(some_face(polygons=(Polygon(True, np.array([[1, 2], [3.5, 4]])),)).to_json())
    assert record["schema"] == "Face.1"
    assert record["face_type"] == "whole_face"
    assert record["polygons"] == [{"include": True, "points": [[1.0, 2.0], [3.5, 4.0]]}]
    assert np.shape(record["frame_to_face"]) == (2, 3)
    assert b'"schema":"Face.1"' in with_metadata(JPEG, some_face())


def test_float32_numbers_are_short() -> None:
    landmarks = np.full((68, 2), 123.456, np.float32)
    assert "[123.456,123.456]" in some_face(landmarks=landmarks).to_json()


def test_unknown_keys_are_kept() -> None:
    record = json.loads(some_face().to_json()) | {"later": {"a": [1, None]}, "more": "é"}
    face = FaceMetadata.from_json(json.dumps(record), HERE)
    assert face.extra == {"later": {"a": [1, None]}, "more": "é"}
    assert json.loads(dataclasses.replace(face, brow_lift=0.0).to_json())["later"] == {"a": [1, None]}


def test_records_cannot_be_changed_in_place_and_travel_between_processes() -> None:
    face = some_face(polygons=(Polygon(False, np.array([[1, 2]])),))
    with pytest.raises(ValueError, match="read-only"):
        face.landmarks[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        face.detector = "x"  # type: ignore[misc]
    assert copy.deepcopy(face) == face  # by the protocol that carries objects to worker processes
    assert face != some_face()
    assert face != "a face"


# --------------------------------------------------------------------------------------------- files of every version


def test_a_face_of_the_first_version_is_read_for_ever() -> None:
    path = FORMATS / "face_1.jpg"
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == "f942bed68e342ead2ffb2418985dde357269845a2e50b611c509ee8cecde1614"
    face = read_metadata(path)
    frame = np.round(POSE_POINTS[:, :2] * 1.25 + [160, 130], 2)  # how the picture was painted
    np.testing.assert_allclose(face.frame_landmarks, frame, atol=2e-5)
    np.testing.assert_allclose(transform_points(frame, face.frame_to_face), face.landmarks, atol=2e-5)
    np.testing.assert_allclose(
        face.landmarks[[0, 30, 54]], [(26.62682, 55.86253), (63.85946, 66.78332), (77.52694, 85.11237)], atol=1e-4
    )
    np.testing.assert_allclose(face.frame_bbox, [42.0198, 3.14628, 281.787, 242.914], atol=1e-3)
    assert face.face_type is FaceType.WHOLE
    assert face.frame_name == "工作 空间 00042.png"
    assert face.brow_lift == 0.75
    assert [p.include for p in face.polygons] == [True, False]
    assert face.polygons[0].points.tolist() == [[20.5, 30], [100, 31.25], [64, 120]]
    assert face.polygons[1].points.tolist() == [[40, 40], [50, 40], [45, 60.125], [41, 55]]
    assert face.detector == "painted 1"
    assert face.extra == {"note": {"made": ["by hand", 1, None]}}
    assert face.mask_size == (64, 64)
    assert hashlib.sha256(face.xseg_mask or b"").hexdigest() == (
        "9d41ab6a0717698685ac4c064d61f07b8db92f7e3b9dbfd365586d8e116891e4"
    )
    assert decode_image(data, path).shape == (128, 128, 3)


def test_an_older_schema_goes_through_its_upgrades(monkeypatch: pytest.MonkeyPatch) -> None:
    def upgrade(record: dict[str, Any]) -> dict[str, Any]:
        return record | {"schema": "Face.1", "frame_name": record.pop("frame")}

    monkeypatch.setattr(face_record, "UPGRADES", {"Face.0": upgrade})
    record = json.loads(some_face().to_json()) | {"schema": "Face.0"}
    record["frame"] = record.pop("frame_name")
    assert FaceMetadata.from_json(json.dumps(record), HERE) == some_face()


@pytest.mark.parametrize("schema", ["Face.2", "", None, 1, ["Face.1"]])
def test_a_schema_from_the_future_is_named(schema: Any) -> None:
    record = json.loads(some_face().to_json()) | {"schema": schema}
    with pytest.raises(BrokenFile, match="schema"):
        FaceMetadata.from_json(json.dumps(record), HERE)


# ------------------------------------------------------------------------------------------------ what is not a face


def test_a_sound_picture_without_a_record_is_not_a_face(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(JPEG)
    for read in (read_metadata, read_face):
        with pytest.raises(NotAFace, match=r"photo\.jpg: this picture carries no face record"):
            read(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "0 bytes"), (b"just text", "not a JPEG"), (JPEG[:-2], "cut off"), (JPEG[:40], "cut off")],
)
def test_a_broken_file_is_named(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    for read in (read_metadata, read_face):
        with pytest.raises(BrokenFile, match=sentence):
            read(path)
    with pytest.raises(BrokenFile, match="cannot be read"):
        read_face(tmp_path / "missing.jpg")


def test_a_file_cut_at_any_length_is_broken(tmp_path: Path) -> None:
    data = (FORMATS / "face_1.jpg").read_bytes()
    path = tmp_path / "cut.jpg"
    for length in range(len(data)):
        with pytest.raises(BrokenFile):
            metadata_from_jpeg(data[:length], HERE)
    for length in [*range(0, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(BrokenFile):
            read_metadata(path)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 255)), min_size=1, max_size=30))
def test_any_damage_gives_a_checked_face_or_an_error_in_words(changes: list[tuple[int, int]]) -> None:
    data = bytearray((FORMATS / "face_1.jpg").read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    try:
        face = metadata_from_jpeg(bytes(data), HERE)
    except (BrokenFile, NotAFace):
        return
    assert np.isfinite(face.landmarks).all()
    assert face.landmarks.shape == face.frame_landmarks.shape == (68, 2)
    assert "/" not in face.frame_name


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\0\0\0\0"


POINTS = np.zeros((68, 2)).tolist()
LIES: list[tuple[str, Any, str]] = [
    ("face_type", "mark_only", "face_type is not one this version knows. Received: mark_only"),
    ("face_type", "wf", "face_type"),
    ("face_type", 4, "face_type"),
    ("face_type", ["head"], "face_type"),
    ("landmarks", POINTS[:67], r"landmarks has the shape \(67, 2\) and not \(68, 2\)"),
    ("landmarks", [*POINTS[:67], [1, 2, 3]], "one shape"),
    ("landmarks", [*POINTS[:67], [1, "2"]], "not a number"),
    ("landmarks", [*POINTS[:67], [1, None]], "not a number"),
    ("landmarks", [*POINTS[:67], [1, 1e400]], "finite or larger"),
    ("landmarks", [*POINTS[:67], [1, 1e7]], "finite or larger"),
    ("landmarks", [*POINTS[:67], [1, 10**30]], "not a number"),
    ("landmarks", {"x": 1}, "not a number"),
    ("landmarks", "68", "not a number"),
    ("frame_landmarks", [], r"not \(68, 2\)"),
    ("frame_bbox", [1, 2, 3], r"\(3,\) and not \(4,\)"),
    ("frame_to_face", [[1, 0, 0], [1, 0, 0]], "flattens the face"),
    ("frame_to_face", [[1, 0], [0, 1]], r"not \(2, 3\)"),
    ("frame_name", "", "not a plain file name"),
    ("frame_name", "..", "not a plain file name"),
    ("frame_name", "../../etc/passwd", "not a plain file name"),
    ("frame_name", "a\\b.png", "not a plain file name"),
    ("frame_name", "C:b.png", "not a plain file name"),
    ("frame_name", "a\0b", "not a plain file name"),
    ("frame_name", "a" * 2000, "at most 1024 letters"),
    ("frame_name", 7, "not a text"),
    ("brow_lift", [1.0], "brow_lift has the shape"),
    ("brow_lift", "1", "brow_lift holds something that is not a number"),
    ("polygons", {}, "polygons is not a list"),
    ("polygons", [[1, 2]], "a polygon is not an object"),
    ("polygons", [{"include": 1, "points": []}], "true or false"),
    ("polygons", [{"include": True, "points": [[1, 2], [3]]}], "one shape"),
    ("polygons", [{"include": True, "points": []}] * 5000, "too many"),
    ("detector", None, "detector is not a text"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), LIES)
def test_a_record_that_breaks_a_rule_is_refused_with_the_rule(key: str, value: Any, sentence: str) -> None:
    record = json.loads(some_face().to_json()) | {key: value}
    text = json.dumps(record).replace("Infinity", "1e400")
    with pytest.raises(BrokenFile, match=sentence) as caught:
        FaceMetadata.from_json(text, HERE)
    assert caught.value.path == HERE
    assert caught.value.remedy


@pytest.mark.parametrize("key", sorted(known_keys))
def test_no_key_may_be_missing(key: str) -> None:
    record = json.loads(some_face().to_json())
    del record[key]
    with pytest.raises(BrokenFile, match=f"{key} is missing"):
        FaceMetadata.from_json(json.dumps(record), HERE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "NaN",
        '{"schema": NaN}',
        b"\xff\xfe\xfd",
        "[" * 200_000,
        '{"a":' * 100_000,
        '{"schema": "Face.1", "later": ' + "9" * 5000 + "}",
        " " * (5 << 20),
    ],
    ids=lambda text: str(text[:12]),
)
def test_text_that_is_no_record_is_refused(text: str | bytes) -> None:
    with pytest.raises(BrokenFile, match="face record is damaged"):
        FaceMetadata.from_json(text, HERE)


@pytest.mark.parametrize(
    "mask", [b"", b"not a picture", JPEG, png_header(0, 10), png_header(16000, 16000), png_header(1, 1)[:20]]
)
def test_a_mask_that_is_no_png_of_sound_size_is_refused(mask: bytes) -> None:
    data = replace_records(JPEG, {"JSON": some_face().to_json().encode(), "MASK": mask}, HERE)
    with pytest.raises(BrokenFile, match="mask"):
        metadata_from_jpeg(data, HERE)
    with pytest.raises(ValueError, match="mask"):
        png_size(mask)


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": {"schema": "Face.9"}},
        {"extra": {"landmarks": []}},
        {"extra": {"a": float("nan")}},
        {"extra": {"a": object()}},
        {"extra": {1: 2}},
        {"polygons": ([1, 2],)},
        {"landmarks": np.full((68, 2), np.nan)},
        {"face_type": "whole_face"},
        {"xseg_mask": "text"},
    ],
)
def test_code_cannot_make_a_record_that_could_not_be_read_back(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        some_face(**changes)


def test_a_record_that_grew_too_large_touches_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    write_face(path, JPEG, some_face())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="at most"):
        write_face(path, JPEG, some_face(extra={"long": "x" * (5 << 20)}))
    assert path.read_bytes() == before


def test_a_write_that_fails_leaves_the_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jpg"
    write_face(path, JPEG, some_face())
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FaceLoomError, match="disk is full"):
        write_face(path, JPEG, some_face(brow_lift=3.0))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.jpg"]
