"""A pack holds the face files byte for byte, opens to the same records, and refuses whatever breaks its rules."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from core.errors import BrokenFile, FaceLoomError
from core.progress import SilentProgress
from facelib.face_record import Polygon
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata, read_face, read_metadata, write_face
from samplelib import pack
from samplelib.face_cache import FaceNeeds, prepare_face
from samplelib.faceset import face_places, open_faceset
from samplelib.pack import PACK_NAME, PackedFile, check_pack, open_pack, write_pack
from samplelib.pack_index import INDEX_ARRAYS, packed_path
from samplelib.sample import open_sample
from tests.painting import write_painted_faceset


@pytest.fixture
def faces(odd_folder: Path) -> list[Path]:
    """Four faces: two with masks, one with polygons and a foreign key, one head."""
    paths = write_painted_faceset(odd_folder, 3, side=64, with_masks=True)
    jpeg, metadata = read_face(paths[1])
    square = Polygon(True, np.array([[1, 2], [30, 2.5], [30, 30]], np.float32))
    rich = dataclasses.replace(
        metadata, polygons=(square, Polygon(False, np.zeros((0, 2)))), extra={"note": "é"}, brow_lift=0.25
    )
    write_face(paths[1], jpeg, rich)
    jpeg, metadata = read_face(paths[2])
    write_face(paths[2], jpeg, dataclasses.replace(metadata, xseg_mask=None, frame_name="工作 a b.png"))
    paths += write_painted_faceset(odd_folder / "other", 1, side=96, face_type=FaceType.HEAD, seed=9)
    return paths


@pytest.fixture
def packed(faces: list[Path]) -> Path:
    path = faces[0].parent / PACK_NAME
    names = ["2_0.jpg", "10_0.jpg", "a b & (é) 工作.jpg", "person/00001_0.jpg"]
    assert write_pack(path, [PackedFile(*pair) for pair in zip(faces, names, strict=True)]) == []
    return path


def test_every_byte_and_every_field_comes_back(faces: list[Path], packed: Path) -> None:
    samples = open_pack(packed)
    assert [sample.place.packed_name for sample in samples][2:] == ["a b & (é) 工作.jpg", "person/00001_0.jpg"]
    assert [sample.side for sample in samples] == [64, 64, 64, 96]
    for sample, path in zip(samples, faces, strict=True):
        assert sample.jpeg() == path.read_bytes()
        assert sample.metadata == read_metadata(path)
        assert sample.image().shape == (sample.side, sample.side, 3)
        assert sample.mask().shape == (sample.side, sample.side)
    assert samples[1].metadata.extra == {"note": "é"}
    assert [len(polygon.points) for polygon in samples[1].metadata.polygons] == [3, 0]
    assert samples[3].metadata.face_type is FaceType.HEAD
    assert len(check_pack(packed)) == 4
    assert not [p for p in packed.parent.iterdir() if ".part" in p.name]


def test_records_cannot_be_written_to(packed: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        open_pack(packed)[0].metadata.landmarks[0] = 0


def test_the_faceset_is_the_pack_and_says_what_lies_beside_it(faces: list[Path], packed: Path) -> None:
    class Said(SilentProgress):
        lines: list[str] = []  # noqa: RUF012

        def say(self, text: str) -> None:
            self.lines.append(text)

    assert face_places(packed.parent) == ([sample.place for sample in open_pack(packed)], 3)
    faceset = open_faceset(packed.parent, Said())
    assert len(faceset) == 4
    assert "the 4 faces of faceset.h5 are used, and the 3 beside it are not" in Said.lines[0]
    assert len(faceset.yaws()) == 4
    packed.write_bytes(packed.read_bytes()[:-5000])
    assert len(open_faceset(packed.parent, Said())) == 3
    assert "The 3 face files beside it are used." in Said.lines[1]
    for path in faces[:3]:
        path.unlink()
    with pytest.raises(BrokenFile):
        open_faceset(packed.parent)


def test_training_sees_the_same_faces(faces: list[Path], tmp_path: Path) -> None:
    """A worker that prepares faces for a model opens them by their place in the pack."""
    path = tmp_path / PACK_NAME
    write_pack(path, [PackedFile(face, face.name) for face in faces[:3]])
    needs = FaceNeeds(64, FaceType.FULL, eyes_mouth=True)
    for packed, loose in zip(open_pack(path), faces, strict=False):
        first, second = (prepare_face(open_sample(place), needs) for place in (packed.place, loose))
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.masks, second.masks)
        assert np.array_equal(first.working_to_face, second.working_to_face)


def test_what_is_no_face_is_left_out_and_named(tmp_path: Path, faces: list[Path]) -> None:
    (tmp_path / "text.jpg").write_text("a text")
    files = [PackedFile(tmp_path / "text.jpg", "text.jpg"), PackedFile(faces[0], "1.jpg")]
    problems = write_pack(tmp_path / PACK_NAME, files)
    assert [(path.name, why) for path, why in problems] == [
        ("text.jpg", "this is not a JPEG file: it does not begin with FF D8.")
    ]
    assert len(open_pack(tmp_path / PACK_NAME)) == 1
    with pytest.raises(FaceLoomError, match="None of the 1 files is a face"):
        write_pack(tmp_path / "x.h5", files[:1])
    assert not (tmp_path / "x.h5").exists()


def test_a_file_that_changes_while_it_is_packed_spoils_nothing(
    faces: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture is replaced by another of the same length between the reading and the writing."""
    path = tmp_path / PACK_NAME
    write = pack._write

    def late(target: Path, *rest: Any) -> None:
        data = bytearray(faces[0].read_bytes())
        data[-300] ^= 1
        faces[0].write_bytes(data)
        write(target, *rest)

    monkeypatch.setattr(pack, "_write", late)
    with pytest.raises(FaceLoomError, match="does not read back"):
        write_pack(path, [PackedFile(faces[0], "1.jpg")])
    assert list(tmp_path.glob("*.h5")) == []


def test_damage_to_a_picture_is_found_by_the_check(packed: Path) -> None:
    sample = open_pack(packed)[2]
    data = bytearray(packed.read_bytes())
    data[sample.place.offset + 4000] ^= 1
    packed.write_bytes(data)
    assert len(open_pack(packed)) == 4
    with pytest.raises(BrokenFile, match=r"the face a b & \(é\) 工作\.jpg in it is damaged"):
        check_pack(packed)


def test_a_pack_cut_at_any_length_is_a_broken_file(packed: Path) -> None:
    data = packed.read_bytes()
    for length in [*range(0, len(data), len(data) // 60), len(data) - 1]:
        packed.write_bytes(data[:length])
        with pytest.raises(BrokenFile):
            open_pack(packed)


def change(path: Path, alter: Callable[[h5py.File], None], *, sign: bool = True) -> None:
    """Changes a pack as somebody with bad intentions would, who also renews the checksum."""
    with h5py.File(path, "r+") as file:
        alter(file)
        if sign and set(INDEX_ARRAYS) <= set(file):
            file.attrs["index_crc32"] = pack._crc32({name: file[name][()] for name in INDEX_ARRAYS})


def replace(name: str, make: Callable[[np.ndarray], Any], **options: Any) -> Callable[[h5py.File], None]:
    def alter(file: h5py.File) -> None:
        value = make(file[name][()])
        del file[name]
        file.create_dataset(name, data=value, **options)

    return alter


def put(name: str, place: tuple[int, ...], value: float) -> Callable[[h5py.File], None]:
    def alter(file: h5py.File) -> None:
        file[name][place] = value

    return alter


def text(old: str, new: str) -> Callable[[h5py.File], None]:
    return replace(
        "texts", lambda t: np.frombuffer(t.tobytes().replace(old.encode(), new.encode()), np.uint8)
    )  # fmt: skip


BREAKS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "landmarks nan": (put("landmarks", (1, 3, 0), np.nan), "landmarks holds a number that is not finite"),
    "landmarks inf": (put("frame_landmarks", (1, 3, 0), np.inf), "not finite"),
    "far": (put("frame_bboxes", (0, 0), -2e6), "larger than 1000000"),
    "matrix nan": (put("frame_to_face", (0, 0, 0), np.nan), "not finite"),
    "matrix flat": (put("frame_to_face", (0, 0), 0.0), "flattens"),
    "brow": (put("brow_lifts", (0,), np.nan), "not finite"),
    "type": (put("face_types", (0,), 5), "face_type"),
    "side none": (put("sides", (0,), 0), "pixels a side"),
    "side huge": (put("sides", (0,), 60000), "pixels a side"),
    "shape": (replace("landmarks", lambda v: v[:, :67]), "landmarks is not an array"),
    "kind": (replace("landmarks", lambda v: v.astype(np.float64)), "landmarks is not an array"),
    "count": (replace("sides", lambda v: v[:-1]), "sides is not an array"),
    "offset back": (put("offsets", (1,), 2**63), "offsets does not rise"),
    "offset small": (put("offsets", (1,), 3), "offsets does not rise"),
    "offset first": (put("offsets", (0,), 8), "offsets does not rise"),
    "offset last": (put("offsets", (4,), 8), "does not fit"),
    "mask offset": (put("mask_offsets", (1,), 2**40), "mask_offsets does not rise"),
    "mask": (put("masks", (0,), 0), "not a PNG"),
    "name escapes": (text('"2_0.jpg"', '"../2_0.jpg"'), "lead out"),
    "name rooted": (text('"2_0.jpg"', '"/2_0.jpg"'), "1 to 255 bytes"),
    "name drive": (text('"2_0.jpg"', '"C:\\\\2.jpg"'), "lead out"),
    "name device": (text('"2_0.jpg"', '"con/2.jpg"'), "lead out"),
    "name deep": (text('"2_0.jpg"', '"a/b/2.jpg"'), "more than one folder"),
    "name twice": (text('"2_0.jpg"', '"10_0.JPG"'), "same name"),
    "name number": (text('"2_0.jpg"', "7"), "not a list of 4 texts"),
    "names few": (text('"2_0.jpg", ', ""), "not a list of 4 texts"),
    "frame folder": (text('"00001.png"', '"../00001.png"'), "frame_name"),
    "frame drive": (text('"00001.png"', '"C:00001.png"'), "frame_name"),
    "frame line": (text('"00001.png"', '"a\\nb.png"'), "frame_name"),
    "frame control": (text('"00001.png"', '"a\\u0007.png"'), "frame_name"),
    "frame empty": (text('"00001.png"', '".."'), "frame_name"),
    "detector long": (text('"painted"', f'"{"x" * 1025}"'), "longer than 1024"),
    "polygon": (text('"include": true', '"include": 1'), "true or false"),
    "points": (text("[1.0, 2.0]", '["x", 2.0]'), "number"),
    "extra": (text('"note"', '"schema"'), "extra"),
    "further key": (text('{"1": {', '{"4": {'), "no face number 4"),
    "texts list": (replace("texts", lambda v: np.frombuffer(b"[]", np.uint8)), "texts"),
    "texts deep": (replace("texts", lambda v: np.frombuffer(b"[" * 100_000, np.uint8)), "damaged"),
    "texts torn": (replace("texts", lambda v: v[:-1]), "damaged"),
    "squeezed": (replace("masks", np.array, chunks=True, compression="gzip"), "never uses"),
    "objects": (replace("texts", lambda v: "abc", dtype=h5py.string_dtype()), "never uses"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_every_rule_is_kept(packed: Path, name: str) -> None:
    alter, said = BREAKS[name]
    change(packed, alter)
    with pytest.raises(BrokenFile, match=said):
        open_pack(packed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("landmarks", np.full((68, 2), np.nan)),
        ("frame_landmarks", np.full((68, 2), 2e6)),
        ("frame_bbox", np.full(4, np.inf)),
        ("frame_to_face", np.zeros((2, 3))),
        ("brow_lift", float("nan")),
        ("frame_name", "../x.png"),
        ("frame_name", "C:x.png"),
        ("frame_name", "a\tb.png"),
        ("frame_name", ""),
        ("detector", "x" * 1025),
        ("xseg_mask", b"no mask"),
    ],
)
def test_the_record_itself_knows_the_same_rules(faces: list[Path], field: str, value: Any) -> None:
    """What the pack refuses for all faces at once, a record refuses for itself: neither may forget one."""
    with pytest.raises(ValueError):
        dataclasses.replace(read_metadata(faces[0]), **{field: value})


def test_every_field_of_a_record_is_in_the_pack(packed: Path) -> None:
    """A field that is added to the record and forgotten here would be missing."""
    for sample in open_pack(packed):
        assert set(sample.metadata.__dict__) == {field.name for field in dataclasses.fields(FaceMetadata)}


@pytest.mark.parametrize("kind", ["soft", "outer", "outside", "virtual"])
def test_links_and_data_elsewhere_are_refused(packed: Path, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(1 << 20))

    def alter(file: h5py.File) -> None:
        length = len(file["masks"])
        del file["masks"]
        if kind == "soft":
            file["masks"] = h5py.SoftLink("/jpegs")
        elif kind == "outer":
            file["masks"] = h5py.ExternalLink(str(secret), "/x")
        elif kind == "outside":
            file.create_dataset("masks", (length,), np.uint8, external=[(str(secret), 0, length)])
        else:
            layout = h5py.VirtualLayout((length,), np.uint8)
            file.create_virtual_dataset("masks", layout)

    change(packed, alter, sign=False)
    with pytest.raises(BrokenFile, match="never uses"):
        open_pack(packed)


def test_other_files_are_named(packed: Path, tmp_path: Path) -> None:
    change(packed, put("landmarks", (0, 0, 0), 5.0), sign=False)
    with pytest.raises(BrokenFile, match="its index is damaged"):
        open_pack(packed)
    change(packed, lambda file: file.attrs.__setitem__("schema", "FaceLoom.Faceset.9"))
    with pytest.raises(BrokenFile, match="not a faceset packed by FaceLoom, or by a later version"):
        open_pack(packed)
    change(packed, lambda file: file.attrs.__setitem__("schema", "FaceLoom.Faceset.1"))  # of variable length
    with pytest.raises(BrokenFile, match="not a faceset packed by FaceLoom, or by a later version"):
        open_pack(packed)
    packed.write_text("a text")
    with pytest.raises(BrokenFile, match="cannot be read"):
        open_pack(packed)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["schema"] = np.bytes_("FaceLoom.Faceset.1")
    with pytest.raises(BrokenFile, match="the pack lacks"):
        open_pack(tmp_path / "x.h5")


def test_damage_of_the_file_itself_is_refused_or_harmless(packed: Path, tmp_path: Path) -> None:
    """Bytes outside the pictures are changed at random: a pack opens or is refused, at once and in words."""
    data = packed.read_bytes()
    with h5py.File(packed) as file:
        begin = file["jpegs"].id.get_offset()
        end = begin + len(file["jpegs"])
    outside = [*range(begin), *range(end, len(data))]
    rng = random.Random(7)
    refused = 0
    for _ in range(200):
        damaged = bytearray(data)
        for place in rng.sample(outside, rng.choice((1, 2, 4, 16))):
            damaged[place] = rng.choice((0, 1, 128, 255, rng.randrange(256)))
        (tmp_path / PACK_NAME).write_bytes(damaged)
        try:
            open_pack(tmp_path / PACK_NAME)
        except BrokenFile:
            refused += 1
    assert refused > 100


def test_a_name_becomes_a_path_below_the_folder(tmp_path: Path) -> None:
    assert packed_path(tmp_path, "person/1.jpg") == tmp_path / "person" / "1.jpg"
