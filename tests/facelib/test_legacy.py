"""Faces of DeepFaceLab are read as faces, whole or not at all, and nothing they carry is ever run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BrokenFile, NotAFace
from core.images import decode_png_mask, encode_jpeg, encode_png, encode_png_mask
from core.jpeg import parse_segments, replace_segments
from core.legacy_pickle import decode
from core.legacy_writer import encode
from facelib import legacy
from facelib.face_type import FaceType
from facelib.legacy_pack import LegacyPack
from facelib.masks import hull_mask
from facelib.metadata import metadata_from_jpeg, read_face, read_metadata, with_metadata
from tests.facelib.legacy_samples import (
    FRAME_LANDMARKS,
    HERE,
    LANDMARKS,
    MATRIX,
    PICTURE,
    dfl_jpeg,
    face_jpeg,
    face_png,
    values,
)

MASK = np.linspace(0, 1, 12 * 7).reshape(7, 12)


@pytest.fixture(scope="module")
def dfl(shared_data: Path) -> Path:
    """Files that DeepFaceLab wrote, and hostile ones."""
    folder = shared_data / "dfl"
    if not folder.is_dir():
        pytest.skip("the files of DeepFaceLab are not here")
    return folder


def read(data: bytes) -> Any:
    return metadata_from_jpeg(data, HERE)


# ------------------------------------------------------------------------------------------- real files


def test_every_key_of_every_real_face_has_its_true_value(dfl: Path) -> None:
    compared = 0
    for truth in json.loads((dfl / "truth" / "faces.json").read_text())["faces"]:
        path = dfl / "faces" / truth["file"]
        streams = [s.payload for s in parse_segments(path.read_bytes(), path).segments if s.marker == legacy.APP15]
        assert len(streams) == ("app15_bytes" in truth)
        found = decode(streams[-1]) if streams else {}
        assert list(found) == truth.get("keys", [])
        for key in (
            "face_type",
            "source_filename",
            "source_rect",
            "source_landmarks",
            "landmarks",
            "image_to_face_mat",
        ):
            if key in found:
                compared += 1
                value = found[key].tolist() if isinstance(found[key], np.ndarray) else found[key]
                assert value == truth[key], (path, key)
        if "source_rect" in found:
            assert f"ndarray {found['source_rect'].dtype.str} [4]" == truth["kinds"]["source_rect"]
        if truth.get("xseg_mask"):
            data = found["xseg_mask"].tobytes()
            assert hashlib.sha256(data).hexdigest() == truth["xseg_mask"]["encoded_sha256"]
    assert compared == 35


def test_every_real_face_is_read_as_a_face(dfl: Path) -> None:
    arrays = np.load(dfl / "truth" / "faces_masks.npz")
    read_faces = []
    for truth in json.loads((dfl / "truth" / "faces.json").read_text())["faces"]:
        path = dfl / "faces" / truth["file"]
        if truth.get("face_type") in (None, "mark_only"):
            with pytest.raises(NotAFace, match="mark_only" if "face_type" in truth else "carries no face record"):
                read_metadata(path)
            continue
        face, side, arrays_of = read_metadata(path), truth["shape"][0], f"{path.stem}/"
        read_faces.append(truth["file"])
        assert face == read_face(path)[1]
        assert face.face_type.value == truth["face_type"]
        assert face.frame_name == truth["source_filename"]
        assert face.frame_bbox.tolist() == truth["source_rect"]
        assert face.brow_lift == truth["eyebrows_expand_mod"]
        np.testing.assert_allclose(face.landmarks, truth["landmarks"], rtol=1e-7)
        np.testing.assert_allclose(face.frame_landmarks, truth["source_landmarks"], rtol=1e-7)
        np.testing.assert_array_equal(face.frame_to_face, truth["image_to_face_mat"])
        hull = hull_mask(face.landmarks, side, side, face.brow_lift, exact=True)
        np.testing.assert_array_equal(np.round(hull * 255), arrays[arrays_of + "hull_mask"])
        if truth["xseg_mask"]:
            assert face.xseg_mask is not None
            mask = decode_png_mask(face.xseg_mask, path)
            np.testing.assert_array_equal(np.round(mask * 255), arrays[arrays_of + "xseg_mask"])
        assert bool(face.polygons) == bool(truth["seg_ie_polys"])
        if face.polygons:
            canvas = np.zeros((side, side), np.uint8)
            for polygon in face.polygons:
                cv2.fillPoly(canvas, [polygon.points.astype(np.int32)], 255 * polygon.include)
            different = np.count_nonzero(canvas != arrays[arrays_of + "polys_raster"])
            assert different <= 0.001 * np.count_nonzero(canvas)  # edge pixels that versions of OpenCV fill differently
    assert len(read_faces) == 5


def test_a_real_metadata_backup_equals_its_faces(dfl: Path) -> None:
    faces, problems = legacy.read_meta_dat(dfl / "meta" / "meta.dat")
    truth = {entry["file"]: entry for entry in json.loads((dfl / "truth" / "meta.json").read_text())["entries"]}
    assert [name for name, _ in problems] == ["00611_0.jpg"]
    assert "mark_only" in problems[0][1]
    assert {*faces, "00611_0.jpg"} == set(truth)
    for name, (size, face) in faces.items():
        assert size == tuple(truth[name]["shape"][1::-1])
        assert face == read_metadata(dfl / "faces" / name)


# ------------------------------------------------------------------------------------------- the shapes of a record


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_plain_record(protocol: int) -> None:
    face = read(face_jpeg(protocol))
    assert face.face_type is FaceType.WHOLE
    assert face.frame_name == "00001.png"
    np.testing.assert_array_equal(face.landmarks, LANDMARKS.astype(np.float32))
    np.testing.assert_array_equal(face.frame_landmarks, FRAME_LANDMARKS.astype(np.float32))
    np.testing.assert_array_equal(face.frame_to_face, MATRIX)
    np.testing.assert_array_equal(face.frame_bbox, [250, 150, 560, 470])
    assert (face.brow_lift, face.polygons, face.xseg_mask, face.extra) == (1.0, (), None, {})
    assert face.detector == "dfl"


@pytest.mark.parametrize("suffix", ["jpg", "JPG", "jpeg", "JpEg"])
def test_the_name_of_the_file_may_end_in_any_way(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a face.{suffix}"
    path.write_bytes(face_jpeg())
    assert read_metadata(path) == read(face_jpeg())
    assert read_face(path) == (face_jpeg(), read(face_jpeg()))


def test_the_record_of_faceloom_goes_before_and_takes_the_place_of_the_other() -> None:
    old = face_jpeg()
    face = dataclasses.replace(read(old), brow_lift=2.0)
    both = with_metadata(old, face)
    assert read(both).brow_lift == 2.0
    assert not any(legacy.is_legacy_segment(segment) for segment in parse_segments(both, HERE).segments)
    assert both.endswith(old[parse_segments(old, HERE).scan_offset :])
    beside = dfl_jpeg(encode(values()))
    from_both = parse_segments(with_metadata(encode_jpeg(PICTURE), face), HERE)
    marked = [s for s in from_both.segments if s.payload.startswith(b"FaceLoom")]
    assert read(replace_segments(beside, lambda s: False, marked, HERE)).brow_lift == 2.0


def test_the_last_of_several_records_counts() -> None:
    first, last = encode(values(source_filename="a.png")), encode(values(source_filename="b.png"))
    assert read(dfl_jpeg(first, last)).frame_name == "b.png"
    hostile = b"\x80\x04cposix\nsystem\n."
    assert read(dfl_jpeg(hostile, last)).frame_name == "b.png"
    with pytest.raises(BrokenFile, match=r"posix\.system"):
        read(dfl_jpeg(last, hostile))


@pytest.mark.parametrize("stream", [encode({}), encode({"face_type": None, "landmarks": None})])
def test_an_empty_record_is_none(stream: bytes) -> None:
    with pytest.raises(NotAFace, match="carries no face record"):
        read(dfl_jpeg(stream))


def test_app15_of_somebody_else_is_no_record() -> None:
    with pytest.raises(NotAFace, match="carries no face record"):
        read(dfl_jpeg(b"something else"))


def test_an_old_png(tmp_path: Path) -> None:
    path = tmp_path / "00001_0.png"
    old = {"yaw_value": 0.25, "pitch_value": -0.5, "image_to_face_mat": ..., "face_type": "full_face"}
    path.write_bytes(face_png(encode(values(**old), 3)))
    face = read_metadata(path)
    assert face.face_type is FaceType.FULL
    assert face.extra == {"dfl": {"yaw_value": 0.25, "pitch_value": -0.5}}
    np.testing.assert_allclose(face.frame_to_face, MATRIX, atol=1e-9)  # fitted to both sets of landmarks
    assert legacy.may_be_old_face(path)
    path.write_bytes(encode_png(PICTURE))
    assert not legacy.may_be_old_face(path)
    with pytest.raises(NotAFace):
        read_metadata(path)


@pytest.mark.parametrize(
    ("word", "face_type"),
    [
        ("half_face", FaceType.HALF),
        ("midfull_face", FaceType.MID_FULL),
        ("FULL_face", FaceType.FULL),
        ("full_face_no_align", FaceType.FULL),
        ("whole_face", FaceType.WHOLE),
        ("head", FaceType.HEAD),
        ("head_no_align", FaceType.HEAD),
        (..., FaceType.FULL),
    ],
)
def test_every_face_type(word: Any, face_type: FaceType) -> None:
    face = read(face_jpeg(face_type=word))
    assert face.face_type is face_type
    assert legacy.values_of(face)["face_type"] == (word.lower() if isinstance(word, str) else "full_face")


def test_a_whole_frame_is_no_face() -> None:
    with pytest.raises(NotAFace, match=r"00001_0\.jpg: this is a whole frame with marked landmarks \(mark_only\)"):
        read(face_jpeg(face_type="mark_only", image_to_face_mat=...))


def test_what_is_absent_follows_from_the_rest() -> None:
    no_frame = read(face_jpeg(source_landmarks=..., source_rect=..., source_filename=None))
    np.testing.assert_allclose(no_frame.frame_landmarks, FRAME_LANDMARKS, atol=1e-3)
    assert no_frame.frame_name == "00001_0.jpg"
    assert no_frame.frame_bbox[0] < FRAME_LANDMARKS[:, 0].mean() < no_frame.frame_bbox[2]
    alone = read(face_jpeg(source_landmarks=..., image_to_face_mat=..., source_rect=...))
    np.testing.assert_array_equal(alone.frame_landmarks, alone.landmarks)
    np.testing.assert_array_equal(alone.frame_to_face, [[1, 0, 0], [0, 1, 0]])


THREE = [[1.0, 2.0], [30.0, 2.0], [15.0, 20.0]]


@pytest.mark.parametrize(
    "polygons",
    [
        {
            "polys": [
                {"type": 0, "pts": np.array(THREE, np.float32)},
                {"type": 1, "pts": np.array(THREE[:1] * 3, np.float32)},
            ]
        },
        {"polys": [{"type": 0, "pts": THREE}, {"type": 1, "pts": THREE[:1] * 3}, {"type": 1, "pts": []}]},
        [(0, THREE), (1, THREE[:1] * 3)],
        [(0, np.array(THREE)), [1, THREE[:1] * 3]],
    ],
)
def test_polygons_of_every_age(polygons: Any) -> None:
    face = read(face_jpeg(seg_ie_polys=polygons))
    assert [polygon.include for polygon in face.polygons] == [True, False]
    np.testing.assert_array_equal(face.polygons[1].points, np.array(THREE, np.float32))
    np.testing.assert_array_equal(face.polygons[0].points, np.array(THREE[:1] * 3, np.float32))


def test_a_polygon_of_one_point_that_lost_a_dimension() -> None:
    face = read(face_jpeg(seg_ie_polys={"polys": [{"type": 1, "pts": np.array([3.0, 4.0])}]}))
    np.testing.assert_array_equal(face.polygons[0].points, [[3, 4]])


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_a_gray_png_mask_stays_as_it_is(shape: tuple[int, ...]) -> None:
    png = encode_png_mask(MASK)
    assert read(face_jpeg(xseg_mask=np.frombuffer(png, np.uint8).reshape(shape))).xseg_mask == png


def test_a_mask_of_any_encoding_becomes_a_png() -> None:
    gray = np.round(MASK * 255).astype(np.uint8)
    for data in (encode_jpeg(gray, 100), encode_png(np.dstack([gray] * 3)), encode_png(gray.astype(np.uint16) * 257)):
        face = read(face_jpeg(xseg_mask=np.frombuffer(data, np.uint8)))
        assert face.mask_size == (12, 7)
        np.testing.assert_allclose(decode_png_mask(face.xseg_mask or b"", HERE), MASK, atol=2 / 255)


def test_keys_we_do_not_use_are_kept_and_written_back() -> None:
    strange: dict[str, Any] = {
        "fanseg_mask": np.arange(6, dtype=np.uint8),
        "ie_polys": [(1, [[1, 2]])],
        "relighted": True,
        "pitch_value": float("inf"),
        "note": {"a": [1, None]},
    }
    face = read(face_jpeg(**strange))
    assert type(face).from_json(face.to_json(), HERE) == face
    back = legacy.values_of(face)
    np.testing.assert_array_equal(back["fanseg_mask"], np.arange(6))
    assert back["relighted"] is True
    assert back["note"] == {"a": [1, None]}
    assert back["ie_polys"] == [[1, [[1, 2]]]]
    assert "pitch_value" not in back


# ------------------------------------------------------------------------------------------- what is refused

NAN = LANDMARKS.copy()
NAN[3, 1] = np.nan


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"landmarks": ...}, "landmarks are missing"),
        ({"landmarks": LANDMARKS[:67].tolist()}, "landmarks are not 68 points"),
        ({"landmarks": NAN}, "68 pairs of finite numbers"),
        ({"landmarks": NAN.tolist()}, "68 pairs of finite numbers"),
        ({"landmarks": LANDMARKS * 1e9}, "finite or larger"),
        ({"landmarks": "a" * 68}, "landmarks are not 68 points"),
        ({"landmarks": ["a"] * 68}, "not a number"),
        ({"landmarks": [{}] * 68}, "not a number"),
        ({"landmarks": np.zeros((68, 3))}, "68 pairs"),
        ({"landmarks": [[1.0, 2.0]] * 67 + [[1.0]]}, "not a number"),
        ({"face_type": "mouth"}, "Received: mouth"),
        ({"face_type": 4}, "face_type is no text"),
        ({"source_filename": "../../x.png"}, "not a plain file name"),
        ({"source_filename": "C:x.png"}, "not a plain file name"),
        ({"source_filename": "a\\b.png"}, "not a plain file name"),
        ({"source_filename": 5}, "text"),
        ({"source_rect": [1, 2, 3]}, "frame_bbox has the shape"),
        ({"source_rect": "1234"}, "not a number"),
        ({"source_landmarks": [[0.0, 0.0]] * 67}, "source_landmarks are not 68"),
        ({"image_to_face_mat": np.zeros((2, 3))}, "flattens the face"),
        ({"image_to_face_mat": np.full((2, 3), np.nan)}, "finite"),
        ({"image_to_face_mat": np.eye(3)}, "shape"),
        ({"image_to_face_mat": "a", "source_landmarks": ...}, "no matrix"),
        ({"source_landmarks": [[0.0, 0.0]] * 68, "image_to_face_mat": ...}, ""),
        ({"eyebrows_expand_mod": "a"}, "brow_lift"),
        ({"seg_ie_polys": 5}, "not a list of polygons"),
        ({"seg_ie_polys": [5]}, "not a type and its points"),
        ({"seg_ie_polys": [(2, THREE)]}, "neither 0 nor 1"),
        ({"seg_ie_polys": [(True, THREE)]}, "neither 0 nor 1"),
        ({"seg_ie_polys": [(1, "abc")]}, "no list of points"),
        ({"seg_ie_polys": [(1, [[1.0, 2.0, 3.0]])]}, "points of a polygon has the shape"),
        ({"seg_ie_polys": [(1, [{}])]}, "polygon"),
        ({"xseg_mask": b"".decode() or "x"}, "array of bytes"),
        ({"xseg_mask": np.zeros(9, np.float32)}, "array of bytes"),
        ({"xseg_mask": np.frombuffer(b"GIF89a", np.uint8)}, "this is not a JPEG file"),
        ({"xseg_mask": np.frombuffer(encode_png_mask(MASK)[:20], np.uint8)}, "not a PNG file"),
    ],
)
def test_a_record_that_breaks_a_rule_is_refused_with_the_rule(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BrokenFile, match=rf"00001_0\.jpg: .*{reason}"):
        read(face_jpeg(**changes))


def test_a_mask_too_large_is_refused_before_it_is_decoded() -> None:
    png = bytearray(encode_png(np.zeros((4, 4), np.uint8)))
    png[16:24] = struct.pack(">II", 16000, 16000)
    jpeg = bytearray(encode_jpeg(np.zeros((4, 4), np.uint8)))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 16000, 16000)
    for data in (png, jpeg):
        with pytest.raises(BrokenFile, match="8192 pixels a side"):
            read(face_jpeg(xseg_mask=np.frombuffer(bytes(data), np.uint8)))


@pytest.mark.parametrize("value", [[], 5, "text", [values()], None])
def test_a_record_that_is_no_dictionary_is_refused(value: Any) -> None:
    with pytest.raises(BrokenFile, match="no dictionary"):
        read(dfl_jpeg(encode(value)))


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 1 << 40) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([*values(), "eyebrows_expand_mod", "seg_ie_polys", "xseg_mask", "other"]), json_like)
@settings(max_examples=300, deadline=None)
def test_any_value_in_any_place_is_read_or_refused(key: str, value: Any) -> None:
    try:
        face = read(face_jpeg(**{key: value}))
    except (BrokenFile, NotAFace):
        return
    assert np.isfinite(face.landmarks).all()
    encode(legacy.values_of(face))


# ------------------------------------------------------------------------------------------- metadata backups


def test_a_metadata_backup_of_ours_reads_back(tmp_path: Path) -> None:
    faces = {"00001_0.jpg": ((40, 30), values()), "ü 2.jpg": ((64, 64), values(brow=1))}
    path = tmp_path / "meta.dat"
    path.write_bytes(legacy.write_meta_dat(faces))
    found, problems = legacy.read_meta_dat(path)
    assert problems == []
    assert {name: size for name, (size, _) in found.items()} == {"00001_0.jpg": (40, 30), "ü 2.jpg": (64, 64)}
    assert found["00001_0.jpg"][1] == read(face_jpeg())


@pytest.mark.parametrize(
    ("name", "entry", "reason"),
    [
        ("../a.jpg", ((8, 8, 3), values()), "lead out"),
        ("a.jpg", ((200_000, 200_000, 3), values()), "200000x200000"),
        ("a.jpg", ((8, -8, 3), values()), "pixels a side"),
        ("a.jpg", ((8.0, 8.0, 3), values()), "whole numbers"),
        ("a.jpg", (8, values()), "whole numbers"),
        ("a.jpg", values(), "not a size and a dictionary"),
        ("a.jpg", ((8, 8, 3), {}), "empty"),
        ("a.jpg", ((8, 8, 3), values(landmarks=...)), "missing"),
    ],
)
def test_a_bad_entry_of_a_backup_is_named_and_the_others_are_read(
    tmp_path: Path, name: str, entry: Any, reason: str
) -> None:
    path = tmp_path / "meta.dat"
    path.write_bytes(encode({"good.jpg": ((8, 8, 3), values()), name: entry}, 3))
    found, problems = legacy.read_meta_dat(path)
    assert list(found) == ["good.jpg"]
    assert [bad for bad, _ in problems] == [name]
    assert reason in problems[0][1]


@pytest.mark.parametrize("data", [b"", b"\x80\x03]q\x00.", b"\x80\x03cposix\nsystem\n.", b"text"])
def test_a_backup_that_is_none_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "meta.dat"
    path.write_bytes(data)
    with pytest.raises(BrokenFile, match=r"meta\.dat: this metadata backup is refused"):
        legacy.read_meta_dat(path)
    with pytest.raises(BrokenFile, match="cannot be read"):
        legacy.read_meta_dat(tmp_path / "absent.dat")


@pytest.mark.parametrize("name", ["a.jpg", "ü b.jpg", "00001_0.jpg", "console.jpg", "x" * 250])
def test_plain_names(name: str) -> None:
    assert legacy.plain_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "..", ".a", "a/b", "a\\b", "C:a", "a\0b", "con", "NUL.jpg", "com1.jpg", "a.", "a ", "x" * 256, 5, None]
)
def test_names_that_are_not_plain(name: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        legacy.plain_name(name)


# ------------------------------------------------------------------------------------------- files of every version

FORMATS = Path(__file__).parent.parent / "data" / "formats"


@pytest.mark.parametrize("name", ["dfl_face_protocol_3.jpg", "dfl_face_protocol_4.jpg", "dfl_face_1.png"])
def test_faces_of_every_version_are_read_for_ever(name: str) -> None:
    face = read_metadata(FORMATS / name)
    old = name.endswith(".png")
    assert face.face_type is FaceType.WHOLE
    assert face.frame_name == "工作 空间 00042.png"
    assert face.landmarks[30] == pytest.approx([63.85946, 66.78332], abs=1e-4)
    assert face.detector == "dfl"
    assert face.extra == ({"dfl": {"yaw_value": 0.25, "pitch_value": -0.5}} if old else {})
    assert [polygon.include for polygon in face.polygons] == ([] if old else [True, False])
    assert face.mask_size == (None if old else (64, 64))


def test_packs_and_backups_of_every_version_are_read_for_ever() -> None:
    pack = LegacyPack(FORMATS / "dfl_faceset.pak")
    assert [str(name) for name in pack.names] == ["person one/00042_0.jpg", "person one/00042_1.jpg"]
    whole = read_metadata(FORMATS / "dfl_face_protocol_3.jpg")
    assert metadata_from_jpeg(pack.jpeg(0), HERE) == whole
    assert metadata_from_jpeg(pack.jpeg(1), HERE) == dataclasses.replace(whole, xseg_mask=None)
    faces, problems = legacy.read_meta_dat(FORMATS / "dfl_meta.dat")
    assert problems == []
    assert faces == {"00042_0.jpg": ((128, 128), whole)}
