"""Pictures to look at: landmarks and masks, written beside the faceset and never into it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.errors import MissingInput, PartialFailure
from core.images import read_gray, read_image
from core.paths import Workspace
from core.progress import SILENT
from facelib.metadata import Polygon, read_face, write_face
from mainscripts.util import UtilOptions, run
from samplelib.faceset import open_faceset
from samplelib.sample import open_sample
from tests.painting import write_painted_faceset


@pytest.fixture
def faces(odd_folder: Path) -> Path:
    write_painted_faceset(odd_folder / "faces", 3, side=96, with_masks=True)
    return odd_folder / "faces"


def util(folder: Path, **switches: object) -> int:
    options = UtilOptions.of(input_dir=folder, **switches)
    return run(Workspace(folder.parent), options, SILENT).faces


def test_landmarks_are_drawn_on_a_darkened_hull_beside_the_faces(faces: Path) -> None:
    assert util(faces, add_landmarks_debug_images=True) == 3
    output = faces.with_name("faces_landmarks")
    assert sorted(p.name for p in output.iterdir()) == [f"0000{n}_0_debug.jpg" for n in (1, 2, 3)]
    sample = open_sample(faces / "00002_0.jpg")
    drawn = read_image(output / "00002_0_debug.jpg").astype(int)
    x, y = sample.metadata.landmarks[30].round().astype(int)  # the tip of the nose
    area = drawn[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)
    assert (area[:, 1] - area[:, [0, 2]].max(axis=1)).max() > 30  # green
    cheek = sample.metadata.landmarks[[2, 31]].mean(axis=0).round().astype(int)[::-1]
    assert np.abs(drawn[*cheek] - sample.image()[*cheek] / 2).max() < 25
    assert np.abs(drawn[2:8, 2:8] - sample.image()[2:8, 2:8]).max() < 25
    assert len(open_faceset(faces)) == 3
    assert util(faces, add_landmarks_debug_images=True) == 3  # again: the old folder goes to the trash
    assert len(list((faces.parent / "trash").rglob("*_debug.jpg"))) == 3


def test_applied_masks_are_exported_hard_or_soft_in_any_size(faces: Path) -> None:
    assert util(faces, export_faceset_mask=True) == 3
    output = faces.with_name("faces_mask")
    mask = read_gray(output / "00001_0_mask.png")
    assert mask.shape == (64, 64)
    assert set(np.unique(mask)) == {0, 255}
    assert abs((mask > 0).mean() - np.pi * 0.367**2) < 0.02  # a disc whose edge passes one half there
    util(faces, export_faceset_mask=True, mask_soft=True, mask_size=200)
    soft = read_gray(output / "00001_0_mask.png")
    assert soft.shape == (200, 200)
    assert len(np.unique(soft)) > 20


def test_polygons_are_drawn_and_faces_with_neither_are_counted(faces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jpeg, metadata = read_face(faces / "00001_0.jpg")
    inside = Polygon(True, np.array([[10, 10], [80, 10], [80, 80], [10, 80]], np.float32))
    hole = Polygon(False, np.array([[30, 30], [50, 30], [50, 50], [30, 50]], np.float32))
    line = Polygon(True, np.array([[0, 0], [90, 90]], np.float32))
    write_face(
        faces / "00001_0.jpg", jpeg, dataclasses.replace(metadata, xseg_mask=None, polygons=(hole, line, inside))
    )
    jpeg, metadata = read_face(faces / "00002_0.jpg")
    write_face(faces / "00002_0.jpg", jpeg, dataclasses.replace(metadata, xseg_mask=None))
    assert util(faces, export_faceset_mask=True) == 2
    mask = read_gray(faces.with_name("faces_mask") / "00001_0_mask.png")
    assert mask.shape == (96, 96)
    assert (mask[5, 5], mask[20, 20], mask[40, 40], mask[70, 70]) == (0, 255, 0, 255)
    assert int((mask > 0).sum()) == 71 * 71 - 21 * 21  # borders included, by hand


def test_no_mask_at_all_is_no_success(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path / "faces", 2, side=64)
    with pytest.raises(MissingInput, match=r"None of the 2 faces .* has an applied mask or polygons"):
        util(tmp_path / "faces", export_faceset_mask=True)


def test_what_cannot_be_read_is_named_and_the_rest_is_done(faces: Path) -> None:
    (faces / "4_0.jpg").write_text("a text")
    with pytest.raises(PartialFailure, match=r"1 of 4 faces could not be worked on: 4_0\.jpg"):
        util(faces, add_landmarks_debug_images=True)
    assert len(list(faces.with_name("faces_landmarks").iterdir())) == 3


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="faceset extract"):
        util(tmp_path, add_landmarks_debug_images=True)
