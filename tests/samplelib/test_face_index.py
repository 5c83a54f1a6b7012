"""The side-car index: the second look is free, follows renamed faces, forgets edited ones, and survives damage."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.files import list_images
from core.images import encode_jpeg
from facelib.masks import hull_mask
from facelib.metadata import read_face, write_face
from samplelib import face_index
from samplelib.face_features import GROUPS, RECORD, THUMBNAIL, TONES, measure_files
from samplelib.face_index import INDEX_NAME, FaceFile, FaceIndex
from tests.painting import paint_face, write_painted_faceset

SIDE = 128


@pytest.fixture
def faces(odd_folder: Path) -> Path:
    """Five painted faces."""
    write_painted_faceset(odd_folder, 5, SIDE)
    return odd_folder


def files(folder: Path) -> list[FaceFile]:
    return [FaceFile.of(path) for path in list_images(folder)]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the faces that are really measured."""
    names: list[str] = []

    def noting(task: tuple[str, tuple[Path, ...]]) -> object:
        names.extend(path.name for path in task[1])
        return measure_files(task)

    monkeypatch.setattr(face_index, "measure_files", noting)
    return names


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_is_measured_once(faces: Path, measured: list[str], group: str) -> None:
    first, usable, reasons = FaceIndex(faces).measure(group, files(faces), workers=0)
    assert (usable.tolist(), reasons, len(measured)) == ([0, 1, 2, 3, 4], {}, 5)
    again, _, _ = FaceIndex(faces).measure(group, files(faces), workers=0)
    assert len(measured) == 5
    for name, (kind, shape) in GROUPS[group].columns.items():
        np.testing.assert_array_equal(again[name], first[name])
        assert kind == "text" or first[name].shape == (5, *shape)
        assert kind == "text" or np.isfinite(first[name]).all()


def test_tones_are_those_counted_by_hand(faces: Path) -> None:
    path = list_images(faces)[0]
    columns, _, _ = FaceIndex(faces).measure(TONES, [FaceFile.of(path)], workers=0)
    data, metadata = read_face(path)
    image = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    assert columns["brightness"][0] == pytest.approx(image.max(axis=2).mean(), rel=1e-6)
    assert columns["zeros"][0] == np.sum(image == 0)
    blue = np.histogram(image[..., 0], 256, (0, 256))[0] / SIDE**2
    np.testing.assert_allclose(columns["histogram"][0, 0].astype(float) ** 2, blue, atol=1e-4)
    inside = hull_mask(metadata.landmarks, SIDE, SIDE, exact=True)
    assert columns["face"][0, 0].astype(float) ** 2 >= (inside == 0).mean() - 1e-3


def test_the_index_follows_a_renamed_face(faces: Path, measured: list[str]) -> None:
    FaceIndex(faces).measure(THUMBNAIL, files(faces), workers=0)
    for n, path in enumerate(list_images(faces)):
        path.rename(faces / f"new_{4 - n}.jpg")
    before = len(measured)
    columns, _, _ = FaceIndex(faces).measure(THUMBNAIL, files(faces), workers=0)
    assert len(measured) == before
    shown = cv2.resize(
        cv2.imdecode(np.frombuffer((faces / "new_0.jpg").read_bytes(), np.uint8), 1), (32, 32), interpolation=3
    )
    assert np.abs(columns["pixels"][0].astype(int) - shown).max() <= 1


def test_the_index_follows_a_copied_folder_by_name(faces: Path, tmp_path: Path, measured: list[str]) -> None:
    """A copy has other inodes, but names, lengths and times."""
    FaceIndex(faces).measure(RECORD, files(faces), workers=0)
    copy = tmp_path / "copy"
    (copy / INDEX_NAME).mkdir(parents=True)
    for path in [*list_images(faces), *(faces / INDEX_NAME).iterdir()]:
        target = copy / path.relative_to(faces)
        target.write_bytes(path.read_bytes())
        os.utime(target, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    FaceIndex(copy).measure(RECORD, files(copy), workers=0)
    assert len(measured) == 5


def test_an_edited_face_is_measured_again(faces: Path, measured: list[str]) -> None:
    FaceIndex(faces).measure(TONES, files(faces), workers=0)
    path = list_images(faces)[2]
    _, metadata = read_face(path)
    write_face(path, encode_jpeg(np.zeros_like(paint_face(SIDE)[0])), metadata)
    columns, _, _ = FaceIndex(faces).measure(TONES, files(faces), workers=0)
    assert measured[5:] == [path.name]
    assert columns["brightness"][2] == 0


@pytest.mark.parametrize("damage", [b"", b"not a zip file", None])
def test_a_damaged_index_is_made_anew(faces: Path, measured: list[str], damage: bytes | None) -> None:
    expected, _, _ = FaceIndex(faces).measure(TONES, files(faces), workers=0)
    kept = faces / INDEX_NAME / f"{TONES}.npz"
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 255
    kept.write_bytes(bytes(data) if damage is None else damage)
    columns, _, _ = FaceIndex(faces).measure(TONES, files(faces), workers=0)
    assert len(measured) == 10
    np.testing.assert_array_equal(columns["histogram"], expected["histogram"])


def test_what_cannot_be_measured_is_named(faces: Path) -> None:
    (faces / "00002_0.jpg").write_bytes(encode_jpeg(paint_face(SIDE)[0]))
    (faces / "00004_0.jpg").write_bytes((faces / "00004_0.jpg").read_bytes()[:900])
    _, usable, reasons = FaceIndex(faces).measure(TONES, files(faces), workers=0)
    assert usable.tolist() == [0, 2, 4]
    assert {path.name for path in reasons} == {"00002_0.jpg", "00004_0.jpg"}
    assert "no face record" in reasons[faces / "00002_0.jpg"]


def test_processes_give_the_same(faces: Path, tmp_path: Path) -> None:
    alone, _, _ = FaceIndex(tmp_path).measure(THUMBNAIL, files(faces), workers=0)
    (tmp_path / INDEX_NAME / f"{THUMBNAIL}.npz").unlink()
    others, _, _ = FaceIndex(tmp_path).measure(THUMBNAIL, files(faces), workers=1)
    for name in alone:
        np.testing.assert_array_equal(others[name], alone[name])


def test_rows_of_faces_that_are_gone_do_not_pile_up(faces: Path) -> None:
    index = FaceIndex(faces)
    for n in range(6):
        write_painted_faceset(faces, 5, SIDE, seed=10 * n)
        index.measure(THUMBNAIL, files(faces), workers=0)
    with np.load(faces / INDEX_NAME / f"{THUMBNAIL}.npz", allow_pickle=False) as kept:
        assert len(kept["digest"]) == 10
