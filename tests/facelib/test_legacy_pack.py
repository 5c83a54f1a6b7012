"""`faceset.pak`: read at once however large, written so that it reads back, and never trusted."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BrokenFile, FaceLoomError
from core.legacy_pickle import Limits, decode
from core.legacy_writer import EnumMember, encode
from facelib.legacy_pack import PACK_NAME, FaceToPack, LegacyPack, PackedName, write_legacy_pack
from facelib.metadata import metadata_from_jpeg
from tests.facelib.legacy_samples import HERE, face_jpeg

JPEG = face_jpeg()
ENUMERATIONS = [("samplelib.Sample", "SampleType"), ("facelib.FaceType", "FaceType")]


def pack(
    path: Path, entries: list[Any], jpegs: list[bytes], *, last: str = "file", version: int = 1, config: bytes = b""
) -> Path:
    """A pack by hand. last: whether the last place is the size of the whole file, as it should not be but is."""
    config = config or encode(entries, 4)
    begin = 16 + len(config) + 8 * (len(jpegs) + 1)
    ends = np.concatenate([[0], np.cumsum([len(j) for j in jpegs])]).astype("<u8")
    if last == "file":
        ends[-1] += begin
    path.write_bytes(struct.pack("<QQ", version, len(config)) + config + ends.tobytes() + b"".join(jpegs))
    return path


def faces(count: int) -> list[FaceToPack]:
    jpegs = [face_jpeg(source_filename=f"{n:05d}.png") for n in range(count)]
    return [
        FaceToPack(jpeg, metadata_from_jpeg(jpeg, HERE), PackedName(f"{n:05d}_0.jpg", None if n % 2 else "person one"))
        for n, jpeg in enumerate(jpegs)
    ]


@pytest.mark.parametrize("folder", ["pak_flat", "pak_person"])
def test_a_real_pack(shared_data: Path, folder: str) -> None:
    path = shared_data / "dfl" / folder / PACK_NAME
    if not path.is_file():
        pytest.skip("the files of DeepFaceLab are not here")
    truth = json.loads((shared_data / "dfl" / "truth" / f"{folder}.json").read_text())
    found = LegacyPack(path)
    assert len(found) == truth["count"]
    assert [int(p) - truth["data_start"] for p in found.places[:-1]] == truth["offset_table"][:-1]
    entries = decode(path.read_bytes()[16 : 16 + truth["config_bytes"]], Limits.of_file(1 << 20), ENUMERATIONS)
    for n, sample in enumerate(truth["samples"]):
        assert found.names[n] == PackedName(sample["filename"], sample["person_name"])
        jpeg = found.jpeg(n)
        assert (len(jpeg), hashlib.sha256(jpeg).hexdigest()) == (sample["jpeg_bytes"], sample["jpeg_sha256"])
        face = metadata_from_jpeg(jpeg, HERE)
        assert face.face_type.value == sample["face_type_string"]
        assert face.frame_name == sample["source_filename"] == entries[n]["source_filename"]
        assert face.brow_lift == sample["eyebrows_expand_mod"] == entries[n]["eyebrows_expand_mod"]
        assert len(face.polygons) == len(sample["seg_ie_polys"])
        assert (face.xseg_mask is None) == (sample["xseg_mask"] is None)
        np.testing.assert_allclose(face.landmarks, sample["landmarks"], rtol=1e-7)
        for key in ("sample_type", "face_type"):
            assert entries[n][key] == sample[key]
        assert list(entries[n]["shape"]) == sample["shape"]
        np.testing.assert_array_equal(entries[n]["landmarks"], sample["landmarks"])


@pytest.mark.parametrize("last", ["file", "relative"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_both_meanings_of_the_last_place_are_read(tmp_path: Path, last: str, count: int) -> None:
    jpegs = [face_jpeg(source_filename="x" * n + ".png") for n in range(1, count + 1)]
    found = LegacyPack(pack(tmp_path / PACK_NAME, [{"filename": f"{n}.jpg"} for n in range(count)], jpegs, last=last))
    assert [found.jpeg(n) for n in range(len(found))] == jpegs
    assert [str(name) for name in found.names] == [f"{n}.jpg" for n in range(count)]


def test_a_pack_of_ours_reads_back_and_has_the_keys_and_places_of_theirs(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / PACK_NAME
    path.parent.mkdir()
    given = faces(5)
    assert write_legacy_pack(path, iter(given)) == 5
    assert [p.name for p in path.parent.iterdir()] == [PACK_NAME]
    found = LegacyPack(path)
    assert found.names == tuple(face.name for face in given)
    for n, face in enumerate(given):
        assert metadata_from_jpeg(found.jpeg(n), HERE) == face.metadata
    data = path.read_bytes()
    (version, length), (last,) = struct.unpack("<QQ", data[:16]), struct.unpack_from("<Q", data, found.places[0] - 8)
    assert (version, last) == (1, len(data))
    entries = decode(data[16 : 16 + length], Limits.of_file(length), ENUMERATIONS)
    assert list(entries[0]) == [
        *("sample_type", "filename", "face_type", "shape", "landmarks", "seg_ie_polys", "xseg_mask"),
        *("xseg_mask_compressed", "eyebrows_expand_mod", "source_filename", "person_name"),
    ]
    assert (entries[0]["sample_type"], entries[0]["face_type"], entries[0]["shape"]) == (1, 4, (32, 32, 3))
    assert [entry["person_name"] for entry in entries] == ["person one", None] * 2 + ["person one"]


def test_a_pack_that_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / PACK_NAME
    write_legacy_pack(path, faces(2))
    before = path.read_bytes()

    def broken() -> Any:
        yield from faces(3)
        raise FaceLoomError("no more")

    with pytest.raises(FaceLoomError, match="no more"):
        write_legacy_pack(path, broken())
    bad = FaceToPack(JPEG, faces(1)[0].metadata, PackedName("../a.jpg"))
    with pytest.raises(ValueError, match="lead out"):
        write_legacy_pack(path, [bad])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [PACK_NAME]


def test_names_are_plain_and_each_its_own(tmp_path: Path) -> None:
    entries = [
        {"filename": "a.jpg"},
        {"filename": "A.jpg"},
        {"filename": "a.jpg", "person_name": "p"},
        {"filename": "../../../etc/x.jpg", "person_name": ".."},
        {"filename": "C:\\x.jpg", "person_name": "a/b"},
        {"filename": "nul.jpg", "person_name": None},
        {"filename": 5},
        {},
        {"filename": "a.jpg"},
        {"filename": ".."},
    ]
    found = LegacyPack(pack(tmp_path / PACK_NAME, entries, [JPEG] * len(entries)))
    assert [str(name) for name in found.names] == [
        *("a.jpg", "A_2.jpg", "p/a.jpg", "person/etc_x.jpg", "a_b/C__x.jpg", "00006.jpg", "00007.jpg", "00008.jpg"),
        *("a_3.jpg", "00010.jpg"),
    ]


def test_many_faces_of_one_name_take_no_longer_than_others(tmp_path: Path) -> None:
    entries = [{"filename": "a.jpg"}] * 5000
    found = LegacyPack(pack(tmp_path / PACK_NAME, entries, [b"\xff\xd8" + bytes(98)] * 5000))
    assert len(set(found.names)) == 5000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d[:10], "cut off"),
        (lambda d: struct.pack("<Q", 2) + d[8:], "version 1. Received: version 2"),
        (lambda d: d[:8] + struct.pack("<Q", 1 << 63) + d[16:], "more than the file holds"),
        (lambda d: d[:8] + struct.pack("<Q", len(d)) + d[16:], "more than the file holds"),
        (lambda d: d[:-1], "table of its faces"),
        (lambda d: d + b"\0", "table of its faces"),
        (lambda d: d[:-50], "table of its faces"),
        (lambda d: d[:8] + struct.pack("<Q", 8) + d[16:], "table of its faces"),
        (lambda d: d[: len(d) - 2 * len(JPEG) - 24] + struct.pack("<Q", 1) + d[len(d) - 2 * len(JPEG) - 16 :], "table"),
        (lambda d: d[: len(d) - 2 * len(JPEG) - 16] + struct.pack("<Q", 3) + d[len(d) - 2 * len(JPEG) - 8 :], "table"),
        (lambda d: d[: len(d) - 2 * len(JPEG) - 16] + b"\xff" * 8 + d[len(d) - 2 * len(JPEG) - 8 :], "table"),
    ],
)
def test_a_damaged_pack_is_refused(tmp_path: Path, change: Any, reason: str) -> None:
    path = pack(tmp_path / PACK_NAME, [{"filename": "a.jpg"}, {"filename": "b.jpg"}], [JPEG, JPEG])
    assert len(LegacyPack(path)) == 2
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BrokenFile, match=reason):
        LegacyPack(path)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (encode([{"filename": "a.jpg"}]), "does not name the 2 faces"),
        (encode({"a": 1}), "does not name the 2 faces"),
        (encode([1, 2]), "entry 0 is no dictionary"),
        (encode([{"filename": EnumMember("os", "system", 1)}] * 2), "os.system"),
        (b"\x80\x04](cposix\nsystem\n}e.", "posix.system"),
        (b"", "does not begin"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, config: bytes, reason: str) -> None:
    path = pack(tmp_path / PACK_NAME, [], [JPEG, JPEG], config=config or b"1234")
    with pytest.raises(BrokenFile, match=reason):
        _ = LegacyPack(path).names


def test_the_number_for_the_face_type_in_the_list_is_not_believed(tmp_path: Path) -> None:
    # Old releases wrote 5 for a head and 10 for a whole frame; the JPEG inside tells the truth.
    entries = [{"filename": "a.jpg", "face_type": EnumMember(*ENUMERATIONS[1], 5)}]
    found = LegacyPack(pack(tmp_path / PACK_NAME, entries, [face_jpeg(face_type="head")]))
    assert found.names == (PackedName("a.jpg"),)
    assert metadata_from_jpeg(found.jpeg(0), HERE).face_type.value == "head"
