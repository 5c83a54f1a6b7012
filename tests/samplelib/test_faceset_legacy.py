"""Facesets of DeepFaceLab are opened, trained on and merged like any other: loose faces, old PNG files, faceset.pak."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.errors import BrokenFile, MissingInput
from core.images import encode_png
from core.legacy_writer import encode
from facelib.face_type import FaceType
from facelib.legacy_export import dfl_face
from facelib.legacy_pack import PACK_NAME, FaceToPack, PackedName, write_legacy_pack
from facelib.metadata import read_face
from samplelib.augmentation import SampleSettings
from samplelib.batches import TrainingBatches
from samplelib.faceset import face_places, open_faceset
from tests.facelib.legacy_samples import PICTURE, face_jpeg, face_png, values
from tests.painting import write_painted_faceset

SETTINGS = SampleSettings(resolution=32, face_type=FaceType.WHOLE)


class Listener:
    """A progress that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def task(self, title: str, total: int, unit: str = "frame") -> object:
        from core.progress import SILENT

        return SILENT.task(title, total, unit)

    def say(self, text: str = "") -> None:
        self.said.append(text)


@pytest.fixture
def painted(tmp_path: Path) -> list[Path]:
    """Six painted faces in FaceLoom's own files."""
    return write_painted_faceset(tmp_path / "own", 6, 64, with_masks=True)


@pytest.fixture
def packed(painted: list[Path], tmp_path: Path) -> Path:
    """The same faces in a pack, as two persons with faces of the same names."""
    folder = tmp_path / "packed"
    folder.mkdir()
    names = [PackedName(f"{n % 3}.jpg", f"person {n // 3}") for n in range(6)]
    faces = (FaceToPack(*read_face(path), name) for path, name in zip(painted, names, strict=True))
    write_legacy_pack(folder / PACK_NAME, faces)
    return folder


@pytest.fixture
def loose(painted: list[Path], tmp_path: Path) -> Path:
    """The same faces as JPEG files of DeepFaceLab, some with suffixes in capitals."""
    folder = tmp_path / "loose"
    folder.mkdir()
    for n, path in enumerate(painted):
        (folder / path.with_suffix((".jpg", ".JPG", ".jpeg")[n % 3]).name).write_bytes(
            dfl_face(*read_face(path), path).jpeg
        )
    return folder


def test_a_pack_and_loose_faces_show_what_the_own_files_show(painted: list[Path], packed: Path, loose: Path) -> None:
    own = open_faceset(painted[0].parent)
    for folder in (packed, loose):
        other = open_faceset(folder)
        assert (len(other), other.problems) == (6, ())
        for first, second in zip(own, sorted(other, key=lambda sample: sample.metadata.frame_name), strict=True):
            np.testing.assert_array_equal(first.image(), second.image())
            np.testing.assert_array_equal(first.mask(), second.mask())
            np.testing.assert_array_equal(first.metadata.landmarks, second.metadata.landmarks)
            assert first.pose() == second.pose()
    assert [sample.path.relative_to(packed).as_posix() for sample in open_faceset(packed)] == [
        f"{PACK_NAME}/person {person}/{n}.jpg" for n in range(3) for person in range(2)
    ]


def test_batches_of_a_pack_are_those_of_the_same_faces_loose(packed: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    for sample in open_faceset(packed):
        (unpacked / f"{sample.path.parent.name}_{sample.path.name}").write_bytes(sample.jpeg())
    order = {sample.jpeg(): n for n, sample in enumerate(open_faceset(unpacked))}
    assert len(order) == 6
    drawn = []
    for faceset in (open_faceset(packed), open_faceset(unpacked)):
        by_name = sorted(faceset.samples, key=lambda sample: order[sample.jpeg()])
        same = type(faceset)(faceset.folder, tuple(by_name))
        with TrainingBatches(same, same, SETTINGS, SETTINGS, 3, seed=5, workers=1) as batches:
            drawn.append([next(batches) for _ in range(3)])
    for first, second in zip(*drawn, strict=True):
        np.testing.assert_array_equal(first.src.warped, second.src.warped)
        np.testing.assert_array_equal(first.dst.target, second.dst.target)


def test_faces_beside_a_pack_are_left_out_with_a_word(painted: list[Path], packed: Path) -> None:
    for path in painted[:2]:
        shutil.copy(path, packed)
    listener = Listener()
    faceset = open_faceset(packed, listener)  # type: ignore[arg-type]
    assert len(faceset) == 6
    assert listener.said == [f"{packed}: the faces of {PACK_NAME} are used, and the 2 beside it are not."]


def test_old_png_faces_belong_to_a_faceset_and_drawings_do_not(painted: list[Path]) -> None:
    folder = painted[0].parent
    (folder / "0_old.png").write_bytes(face_png(encode(values(), 3)))
    (folder / "drawing.png").write_bytes(encode_png(PICTURE))
    (folder / "broken.png").write_bytes(encode_png(PICTURE)[:-20])
    faceset = open_faceset(folder)
    assert faceset.samples[0].path.name == "0_old.png"
    assert len(faceset) == 7
    assert [(path.name, reason) for path, reason in faceset.problems] == [("broken.png", "the PNG file is cut off.")]
    np.testing.assert_array_equal(faceset.samples[0].image(), PICTURE)


def test_what_is_no_face_is_named_with_its_reason(loose: Path) -> None:
    (loose / "frame.jpg").write_bytes(face_jpeg(face_type="mark_only", image_to_face_mat=...))
    (loose / "bad.jpg").write_bytes(face_jpeg(source_filename="../x.png"))
    faceset = open_faceset(loose)
    assert len(faceset) == 6
    reasons = {path.name: reason for path, reason in faceset.problems}
    assert reasons["frame.jpg"] == "this is a whole frame with marked landmarks (mark_only), no face."
    assert "not a plain file name" in reasons["bad.jpg"]


def test_a_pack_that_is_refused_says_so(tmp_path: Path) -> None:
    (tmp_path / PACK_NAME).write_bytes(b"\x02" + bytes(100))
    with pytest.raises(BrokenFile, match="version 1"):
        open_faceset(tmp_path)
    with pytest.raises(MissingInput):
        face_places(tmp_path / "nowhere")
