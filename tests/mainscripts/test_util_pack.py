"""Packing and unpacking a folder of faces, in both formats, with everything that can be in the way."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from core.errors import BadOption, BrokenFile, FaceLoomError, MissingInput, PartialFailure
from core.paths import Workspace
from core.progress import SILENT
from facelib.metadata import read_face, write_face
from mainscripts import util_pack
from mainscripts.util import UtilOptions, run
from mainscripts.workspace import UndoOptions, undo
from samplelib.faceset import open_faceset
from tests.painting import write_painted_faceset


@pytest.fixture
def faces(odd_folder: Path) -> Path:
    write_painted_faceset(odd_folder / "faces", 4, side=64, with_masks=True)
    return odd_folder / "faces"


def util(folder: Path, **switches: object) -> int:
    return run(Workspace(folder.parent), UtilOptions.of(input_dir=folder, **switches), SILENT).faces


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.jpg")}


@pytest.mark.parametrize(("format", "name"), [("faceloom", "faceset.h5"), ("dfl", "faceset.pak")])
def test_there_and_back(faces: Path, format: str, name: str) -> None:
    before = files(faces)
    records = [sample.metadata for sample in open_faceset(faces)]
    assert util(faces, pack_faceset=True, format=format, delete_originals=True) == 4
    assert [p.name for p in faces.iterdir()] == [name]
    packed = open_faceset(faces)
    assert [sample.place.name for sample in packed] == sorted(before)
    if format == "faceloom":
        assert [sample.metadata for sample in packed] == records
    assert util(faces, unpack_faceset=True) == 4
    assert (faces / f"{name}.unpacked").is_file()
    assert files(faces).keys() == before.keys()
    if format == "faceloom":
        assert files(faces) == before
    assert len(open_faceset(faces)) == 4


@pytest.mark.parametrize("format", ["faceloom", "dfl"])
def test_files_that_stayed_beside_their_pack_are_not_in_its_way(faces: Path, format: str) -> None:
    before = files(faces)
    util(faces, pack_faceset=True, format=format)
    assert util(faces, unpack_faceset=True) == 4
    assert files(faces) == before
    util(faces, pack_faceset=True, format=format)
    jpeg, metadata = read_face(faces / "00001_0.jpg")
    write_face(faces / "00001_0.jpg", jpeg, dataclasses.replace(metadata, brow_lift=0.5))
    with pytest.raises(BadOption, match=r"1 files in .* differ from them. Received: 00001_0\.jpg"):
        util(faces, unpack_faceset=True)


@pytest.mark.parametrize("format", ["faceloom", "dfl"])
def test_a_damaged_face_is_named_and_the_others_are_packed(faces: Path, format: str) -> None:
    damaged = faces / "00002_0.jpg"
    damaged.write_bytes(damaged.read_bytes()[:500])
    with pytest.raises(PartialFailure, match=r"1 of 4 faces could not be worked on: 00002_0\.jpg"):
        util(faces, pack_faceset=True, format=format, delete_originals=True)
    assert list(files(faces)) == ["00002_0.jpg"]
    damaged.unlink()
    assert len(open_faceset(faces)) == 3


def test_originals_stay_unless_asked_and_undo_brings_them_back(faces: Path) -> None:
    before = files(faces)
    util(faces, pack_faceset=True)
    assert files(faces) == before
    with pytest.raises(BadOption, match=r"a pack in .* already. Received: faceset\.h5"):
        util(faces, pack_faceset=True)
    util(faces, pack_faceset=True, overwrite=True, delete_originals=True)
    assert files(faces) == {}
    undo(Workspace(faces.parent), UndoOptions(), SILENT)
    assert files(faces) == before


def test_only_what_was_packed_is_put_away(faces: Path) -> None:
    (faces / "text.jpg").write_text("mine")
    with pytest.raises(PartialFailure, match=r"1 of 5 faces could not be worked on: text\.jpg"):
        util(faces, pack_faceset=True, delete_originals=True)
    assert (faces / "text.jpg").read_text() == "mine"
    assert len(list(faces.glob("*.jpg"))) == 1
    assert len(open_faceset(faces)) == 4


def test_person_folders(faces: Path) -> None:
    write_painted_faceset(faces / "anna", 2, side=64, seed=7)
    write_painted_faceset(faces / "bert é", 1, side=64, seed=9)
    before = {name: data for name, data in files(faces).items() if "/" in name}
    assert util(faces, pack_faceset=True, person_dirs=True, delete_originals=True) == 3
    assert [sample.place.packed_name for sample in open_faceset(faces)][::2] == [
        "anna/00001_0.jpg",
        "bert é/00001_0.jpg",
    ]
    assert util(faces, unpack_faceset=True) == 3
    assert {name: data for name, data in files(faces).items() if "/" in name} == before


def test_a_failed_packing_leaves_the_earlier_pack(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    util(faces, pack_faceset=True)
    before = (faces / "faceset.h5").read_bytes()

    def full(*_: object) -> None:
        raise FaceLoomError("The disk is full.")

    monkeypatch.setattr(util_pack.pack, "write_pack", full)
    with pytest.raises(FaceLoomError, match="disk is full"):
        util(faces, pack_faceset=True, overwrite=True, delete_originals=True)
    assert (faces / "faceset.h5").read_bytes() == before
    assert len(files(faces)) == 4


def test_a_stop_while_packing_leaves_no_pack_and_no_rubbish(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(faces)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(util_pack.pack, "_verify", stopped)
    with pytest.raises(KeyboardInterrupt):
        util(faces, pack_faceset=True, delete_originals=True)
    monkeypatch.undo()
    assert {p.name for p in faces.iterdir()} == set(before)
    killed, young = faces / ".0123456789ab.part.h5", faces / ".ba9876543210.part.h5"
    for path in (killed, young):  # what a kill leaves; the young one may be another program's work
        path.write_bytes(b"half")
    os.utime(killed, (1, 1))
    util(faces, pack_faceset=True)
    assert (killed.exists(), young.exists()) == (False, True)


def test_unpacking_overwrites_nothing_that_differs(faces: Path) -> None:
    util(faces, pack_faceset=True)
    (faces / "00002_0.jpg").write_text("edited")
    (faces / "00003_0.jpg").unlink()
    with pytest.raises(BadOption, match=r"1 files .* differ from them. Received: 00002_0\.jpg"):
        util(faces, unpack_faceset=True)
    assert (faces / "00002_0.jpg").read_text() == "edited"
    assert not (faces / "00003_0.jpg").exists()
    (faces / "00002_0.jpg").unlink()
    assert util(faces, unpack_faceset=True) == 4


def test_a_damaged_pack_is_not_unpacked_by_half(faces: Path) -> None:
    util(faces, pack_faceset=True, delete_originals=True)
    path = faces / "faceset.h5"
    data = bytearray(path.read_bytes())
    place = open_faceset(faces).samples[3].place
    data[place.offset + (place.length or 0) - 50] ^= 1
    path.write_bytes(data)
    with pytest.raises(BrokenFile, match=r"the face 00004_0\.jpg in it is damaged"):
        util(faces, unpack_faceset=True)
    assert [p.name for p in faces.iterdir()] == ["faceset.h5"]


def test_unpacking_with_delete_puts_the_pack_into_the_trash(faces: Path) -> None:
    util(faces, pack_faceset=True, delete_originals=True)
    util(faces, unpack_faceset=True, delete_originals=True)
    assert not list(faces.glob("faceset*"))
    undo(Workspace(faces.parent), UndoOptions(), SILENT)
    assert (faces / "faceset.h5").is_file()
    util(faces, unpack_faceset=True)
    util(faces, pack_faceset=True)
    util(faces, unpack_faceset=True)
    assert {p.name for p in faces.glob("faceset*")} == {"faceset.h5.unpacked", "faceset.h5.unpacked2"}


def test_nothing_to_pack_or_unpack(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"There are no faces \(\.jpg files\)"):
        util(tmp_path, pack_faceset=True)
    with pytest.raises(MissingInput, match="or the folders inside it"):
        util(tmp_path, pack_faceset=True, person_dirs=True)
    with pytest.raises(MissingInput, match="There is no pack"):
        util(tmp_path, unpack_faceset=True)
