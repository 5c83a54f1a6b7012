"""The index beside a large `faceset.pak`: the same faces at once, and never believed against the pack."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.images import encode_png_mask
from core.legacy_writer import encode
from facelib.face_record import Polygon
from facelib.legacy_pack import PACK_NAME, FaceToPack, LegacyPack, PackedName, write_legacy_pack
from facelib.metadata import metadata_from_jpeg
from samplelib import faceset as faceset_module
from samplelib import legacy_pack_index
from samplelib.faceset import Faceset, open_faceset
from samplelib.legacy_pack_index import recall
from tests.facelib.legacy_samples import HERE, dfl_jpeg, face_jpeg, values


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack of five faces, large enough for an index, of which one is none."""
    monkeypatch.setattr(legacy_pack_index, "FEWEST_FACES", 5)
    jpeg = face_jpeg()
    face = metadata_from_jpeg(jpeg, HERE)
    richer = dataclasses.replace(
        face,
        polygons=(Polygon(True, np.array([[1, 2], [3, 4], [5, 9]])),),
        xseg_mask=encode_png_mask(np.eye(5)),
        brow_lift=1.5,
        extra={"dfl": {"relighted": True}},
    )
    names = [PackedName(f"{n}.jpg", "p" if n == 3 else None) for n in (10, 9, 3, 1)]
    faces = [FaceToPack(jpeg, richer if n == 1 else face, name) for n, name in enumerate(names)]
    write_legacy_pack(tmp_path / PACK_NAME, [*faces, FaceToPack(jpeg, face, PackedName("zz.jpg"))])
    data = (tmp_path / PACK_NAME).read_bytes()
    last = len(data) - len(jpeg)
    (tmp_path / PACK_NAME).write_bytes(data[:last] + data[last:].replace(b"whole_face", b"wholf_face"))
    return tmp_path


def index_of(folder: Path) -> Path:
    return folder / ".faceloom_index" / f"{PACK_NAME}.npz"


def assert_same(first: Faceset, second: Faceset) -> None:
    assert first.problems == second.problems
    assert [s.place for s in first] == [s.place for s in second]
    assert [s.metadata for s in first] == [s.metadata for s in second]
    assert [s.side for s in first] == [s.side for s in second]


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the faces were read")

    monkeypatch.setattr(faceset_module, "open_sample", refuse)


def test_the_second_opening_reads_no_face_and_gives_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_faceset(folder)
    assert [s.path.relative_to(folder / PACK_NAME).as_posix() for s in first] == ["1.jpg", "p/3.jpg", "9.jpg", "10.jpg"]
    assert [path.name for path, _ in first.problems] == ["zz.jpg"]
    no_reading(monkeypatch)
    second = open_faceset(folder)
    assert_same(first, second)
    np.testing.assert_array_equal(first.samples[0].image(), second.samples[0].image())
    (folder / "loose.jpg").write_bytes(face_jpeg())
    assert_same(first, open_faceset(folder))


def test_a_small_pack_needs_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy_pack_index, "FEWEST_FACES", 6)
    open_faceset(folder)
    assert not index_of(folder).exists()


def test_a_pack_that_changed_is_read_anew(folder: Path) -> None:
    first = open_faceset(folder)
    path = folder / PACK_NAME
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    assert recall(LegacyPack(path)) is None
    assert_same(first, open_faceset(folder))
    assert recall(LegacyPack(path)) is not None


@pytest.mark.parametrize("length", [0, 10, 1000, -30, -1])
def test_an_index_that_is_cut_off_is_passed_over_and_made_anew(folder: Path, length: int) -> None:
    first = open_faceset(folder)
    data = index_of(folder).read_bytes()
    index_of(folder).write_bytes(data[:length])
    assert recall(LegacyPack(folder / PACK_NAME)) is None
    assert_same(first, open_faceset(folder))
    assert recall(LegacyPack(folder / PACK_NAME)) is not None


def changed(folder: Path, change: Callable[[dict[str, np.ndarray]], object], compressed: bool = False) -> None:
    with np.load(index_of(folder)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    change(arrays)
    (np.savez_compressed if compressed else np.savez)(index_of(folder), **arrays)  # type: ignore[operator]


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a["starts"].__setitem__(0, 5),
        lambda a: a["starts"].__setitem__(0, -(1 << 60)),
        lambda a: a["offsets"].__setitem__(-1, a["offsets"][-1] + 1),
        lambda a: a["landmarks"].__setitem__(0, np.nan),
        lambda a: a["sides"].__setitem__(0, 60_000),
        lambda a: a["frame_to_face"].__setitem__(0, 0),
        lambda a: a.update(starts=a["starts"][:-1]),
        lambda a: a.update(starts=np.array(["a"] * 4)),
        lambda a: a.update(landmarks=np.array([None] * 4, object)),
        lambda a: a.update(texts=np.frombuffer(b"[]", np.uint8)),
        lambda a: a.update(texts=np.frombuffer(a["texts"].tobytes().replace(b'"9.jpg"', b'"../9"'), np.uint8)),
        lambda a: a.update(problems=np.frombuffer(b"[]", np.uint8)),
        lambda a: a.update(problems=np.frombuffer(b"[[1]]", np.uint8)),
        lambda a: a.update(pack=np.frombuffer(b"another", np.uint8)),
        lambda a: a.pop("starts"),
        lambda a: a.pop("pack"),
    ],
)
def test_an_index_that_says_something_else_is_passed_over(
    folder: Path, change: Callable[[dict[str, np.ndarray]], object]
) -> None:
    first = open_faceset(folder)
    changed(folder, change)
    assert recall(LegacyPack(folder / PACK_NAME)) is None
    assert_same(first, open_faceset(folder))


def test_a_compressed_index_is_not_unpacked(folder: Path) -> None:
    open_faceset(folder)
    changed(folder, lambda arrays: None, compressed=True)
    with zipfile.ZipFile(index_of(folder)) as entries:
        assert entries.infolist()[0].compress_type != zipfile.ZIP_STORED
    assert recall(LegacyPack(folder / PACK_NAME)) is None


def test_a_folder_that_cannot_be_written_to_is_read_all_the_same(folder: Path) -> None:
    index_of(folder).parent.write_text("a file where the folder should be")
    assert len(open_faceset(folder)) == 4


def test_a_hostile_record_stays_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy_pack_index, "FEWEST_FACES", 1)
    sound, hostile = face_jpeg(), dfl_jpeg(b"\x80\x04cposix\nsystem\n." + encode(values()))
    config = encode([{"filename": "a.jpg"}, {"filename": "b.jpg"}])
    begin = 16 + len(config) + 24
    table = np.array([0, len(sound), begin + len(sound) + len(hostile)], "<u8").tobytes()
    head = np.array([1, len(config)], "<u8").tobytes()
    (tmp_path / PACK_NAME).write_bytes(head + config + table + sound + hostile)
    for _ in range(2):
        faceset = open_faceset(tmp_path)
        assert [path.name for path, _ in faceset.problems] == ["b.jpg"]
        assert "posix.system" in faceset.problems[0][1]
