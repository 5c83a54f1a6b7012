"""Records kept while pictures are edited elsewhere, and given back: by stem, in any size, without losing anything."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import BrokenFile, MissingInput, PartialFailure
from core.images import encode_jpeg, encode_png, read_image
from core.paths import Workspace
from core.progress import SILENT
from facelib import legacy
from facelib.metadata import FaceMetadata, Polygon, read_face, read_metadata, write_face
from mainscripts.extract_journal import FaceEntry, Fingerprint, FrameEntry, Journal
from mainscripts.sort import SortOptions
from mainscripts.sort import run as sort
from mainscripts.util import UtilOptions, run
from mainscripts.util_backup import BACKUP_NAME
from mainscripts.workspace import UndoOptions, undo
from tests.painting import write_painted_faceset


@pytest.fixture
def faces(odd_folder: Path) -> Path:
    """Three faces of 96 pixels with masks, the first with a polygon; their backup is written."""
    folder = odd_folder / "faces"
    paths = write_painted_faceset(folder, 3, side=96, with_masks=True)
    jpeg, metadata = read_face(paths[0])
    polygon = Polygon(True, np.array([[10, 20], [30, 20], [30, 40]], np.float32))
    write_face(paths[0], jpeg, dataclasses.replace(metadata, polygons=(polygon,), extra={"note": "é"}))
    assert util(folder, save_faceset_metadata=True) == 3
    return folder


def util(folder: Path, **switches: object) -> int:
    return run(Workspace(folder.parent), UtilOptions.of(input_dir=folder, **switches), SILENT).faces


def restore(folder: Path, size: str = "new") -> int:
    return util(folder, restore_faceset_metadata=True, restore_size=size)


def records(folder: Path) -> dict[str, FaceMetadata]:
    return {p.name: read_metadata(p) for p in sorted(folder.glob("*.jpg"))}


def strip(path: Path, scale: int = 1, suffix: str = ".jpg") -> Path:
    """What an editor does: the picture, perhaps larger, without its record."""
    image = read_image(path)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    target = path.with_suffix(suffix)
    target.write_bytes(encode_jpeg(image, 97) if suffix == ".jpg" else encode_png(image))
    return target


def test_stripped_files_get_their_records_back_and_keep_every_pixel(faces: Path) -> None:
    before = records(faces)
    for path in list(faces.glob("*.jpg")):
        strip(path)
    pictures = [read_image(path) for path in sorted(faces.glob("*.jpg"))]
    assert restore(faces) == 3
    assert records(faces) == before
    for path, picture in zip(sorted(faces.glob("*.jpg")), pictures, strict=True):
        assert np.array_equal(read_image(path), picture)
    assert (faces / BACKUP_NAME).is_file()
    assert restore(faces) == 0  # all whole


def test_an_upscaled_png_becomes_a_face_of_its_own_size(faces: Path) -> None:
    path, before = faces / "00001_0.jpg", read_metadata(faces / "00001_0.jpg")
    old = path.read_bytes()
    strip(path, 4, ".png")
    os.utime(path, (1, 1))
    assert restore(faces) == 1
    after = read_metadata(path)
    assert read_image(path).shape == (384, 384, 3)
    np.testing.assert_allclose(after.landmarks, 4 * before.landmarks + 1.5, atol=1e-3)
    np.testing.assert_allclose(after.polygons[0].points, [[41.5, 81.5], [121.5, 81.5], [121.5, 161.5]])
    assert (after.xseg_mask, after.extra) == (before.xseg_mask, {"note": "é"})
    assert path.with_suffix(".png").is_file()
    assert restore(faces) == 0  # the PNG is older than the face that was made of it
    undo(Workspace(faces.parent), UndoOptions(), SILENT)
    assert path.read_bytes() == old


def test_the_original_size_when_it_is_wanted(faces: Path) -> None:
    path, before = faces / "00002_0.jpg", read_metadata(faces / "00002_0.jpg")
    picture = read_image(path).astype(int)
    stripped = strip(path, 2).read_bytes()
    assert restore(faces, "original") == 1
    assert read_metadata(path) == before
    assert np.abs(read_image(path).astype(int) - picture).mean() < 4
    undo(Workspace(faces.parent), UndoOptions(), SILENT)
    assert path.read_bytes() == stripped


def test_a_record_that_survived_an_upscaler_is_scaled(faces: Path) -> None:
    path = faces / "00003_0.jpg"
    before = read_metadata(path)
    write_face(path, encode_jpeg(cv2.resize(read_image(path), (192, 192))), before)
    assert restore(faces) == 1
    np.testing.assert_allclose(read_metadata(path).landmarks, 2 * before.landmarks + 0.5, atol=1e-3)


def test_work_done_since_the_backup_is_not_undone(faces: Path) -> None:
    path = faces / "00003_0.jpg"
    jpeg, metadata = read_face(path)
    newer = dataclasses.replace(metadata, polygons=(Polygon(True, np.ones((4, 2))),))
    write_face(path, jpeg, newer)
    assert restore(faces) == 0
    assert read_metadata(path) == newer


def test_what_cannot_be_used_is_named(faces: Path) -> None:
    first, second, third = sorted(faces.glob("*.jpg"))
    strip(first, 2, ".png")
    strip(first, 2, ".tif").write_bytes(encode_png(read_image(first)))
    strip(first)
    second.unlink()
    third.write_bytes(encode_jpeg(np.zeros((50, 60, 3), np.uint8)))
    with pytest.raises(PartialFailure, match=r"2 of 3 faces could not be worked on: 00001_0\.jpg, 00003_0\.jpg"):
        restore(faces)
    assert (faces / BACKUP_NAME).is_file()
    assert third.is_file()
    first.unlink()
    for path in faces.glob("0*"):
        path.unlink()
    with pytest.raises(MissingInput, match="None of the 3 faces"):
        restore(faces)


def test_faces_that_were_sorted_after_the_backup_get_their_own_records(faces: Path) -> None:
    """New names belong to other faces then; the extraction's journal knows which."""
    table = records(faces)
    with Journal(faces) as journal:
        for n, (name, metadata) in enumerate(table.items()):
            entry = FaceEntry(name, metadata.to_record())
            journal.add(FrameEntry(metadata.frame_name, Fingerprint(n, n), journal.use({}), (entry,)))
    sort(Workspace(faces.parent), SortOptions.of(input_dir=faces, by="brightness", workers=0), SILENT)
    util(faces, save_faceset_metadata=True)
    sort(Workspace(faces.parent), SortOptions.of(input_dir=faces, by="brightness", reverse=True, workers=0), SILENT)
    expected = records(faces)
    assert sorted(m.frame_name for m in expected.values()) == sorted(m.frame_name for m in table.values())
    for path in faces.glob("*.jpg"):
        strip(path)
    assert restore(faces) == len(expected)
    assert {name: found.frame_name for name, found in records(faces).items()} == {
        name: known.frame_name for name, known in expected.items()
    }


def test_saving_again_keeps_the_earlier_backup_in_the_trash(faces: Path) -> None:
    before = (faces / BACKUP_NAME).read_text()
    (faces / "00003_0.jpg").unlink()
    assert util(faces, save_faceset_metadata=True) == 2
    undo(Workspace(faces.parent), UndoOptions(), SILENT)
    assert (faces / BACKUP_NAME).read_text() == before


def test_a_meta_dat_of_deepfacelab_is_understood(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    path = write_painted_faceset(folder, 1, side=64)[0]
    before = read_metadata(path)
    saved = {path.name: ((64, 64), legacy.values_of(before))}
    (folder / "meta.dat").write_bytes(legacy.write_meta_dat(saved))
    strip(path)
    assert restore(folder) == 1
    np.testing.assert_allclose(read_metadata(path).landmarks, before.landmarks, atol=1e-3)
    assert (folder / "meta.dat").is_file()


def test_without_a_backup(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="Save the metadata before you edit"):
        restore(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("FacesetMetadata.1", "FacesetMetadata.7", "first line"),
        ('"faces": 3', '"faces": 4', "3 faces instead of 4"),
        ('"side": 96', '"side": 0', "a side is 1"),
        ('"side": 96', '"side": true', "a side is 1"),
        ('"file": "00001_0.jpg"', '"file": "../00001_0.jpg"', "lead out"),
        ('"mask": "', '"mask": "*', "damaged after face 1"),
        ('"brow_lift": 1.0', '"brow_lift": NaN', "not finite"),
        ('"file"', '"fiel"', "not an object with"),
        ('{"file"', '[{"file"', "damaged after face 1"),
    ],
)
def test_a_damaged_backup_changes_nothing(faces: Path, old: str, new: str, said: str) -> None:
    path = faces / BACKUP_NAME
    path.write_text(path.read_text().replace(old, new, 1))
    strip(faces / "00001_0.jpg")
    before = {p.name: p.read_bytes() for p in faces.iterdir()}
    with pytest.raises(BrokenFile, match=said):
        restore(faces)
    assert {p.name: p.read_bytes() for p in faces.iterdir()} == before


def test_the_backup_is_lines_of_json(faces: Path) -> None:
    lines = [json.loads(line) for line in (faces / BACKUP_NAME).read_text("ascii").splitlines()]
    assert lines[0] == {"schema": "FacesetMetadata.1", "faces": 3}
    assert [line["file"] for line in lines[1:]] == ["00001_0.jpg", "00002_0.jpg", "00003_0.jpg"]
    assert lines[1]["record"]["schema"] == "Face.1"
