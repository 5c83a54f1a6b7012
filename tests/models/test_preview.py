"""Previews: the columns of the sheets, what is multiplied by which mask, and the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.images import read_image
from facelib.face_type import FaceType
from models.base import Reconstruction
from models.checkpoint import TrainingState
from models.history import LossHistory
from models.preview import (
    FacePages,
    PreviewFaces,
    PreviewWriter,
    batch_sheet,
    draw_sheet,
    put_history_aside,
    rows_shown,
    swap_sheets,
)
from samplelib.augmentation import SampleSettings
from samplelib.faceset import Faceset, open_faceset
from samplelib.sample import Sample
from tests.models.fake_model import SIDE, FakeModel, fake_faces, fake_pages
from tests.painting import write_painted_faceset

CELL = 192  # 16-pixel faces are enlarged twelve times


def middle(sheet: np.ndarray, column: int, row: int) -> list[int]:
    """The color in the middle of one cell of a sheet."""
    rows = round((sheet.shape[0] - 66 + 2) / (CELL + 2))
    assert sheet.shape[0] == 34 + 24 + rows * (CELL + 2) - 2 + 8
    y, x = 34 + 24 + row * (CELL + 2) + CELL // 2, 8 + column * (CELL + 2) + CELL // 2
    return [int(value) for value in sheet[y, x]]


def flat(*colors: float) -> np.ndarray:
    """Gray faces or masks, one per value in [0, 1]."""
    return np.ones((len(colors), SIDE, SIDE, 1), np.float32) * np.reshape(colors, (-1, 1, 1, 1)).astype(np.float32)


def three(faces: np.ndarray) -> np.ndarray:
    return np.repeat(faces, 3, axis=3)


def test_a_sheet_has_a_column_per_batch_and_a_row_per_picture() -> None:
    blue = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    blue[..., 0] = 200
    sheet = draw_sheet([("blue", blue), ("gray", flat(0.2, 1.7))], "title")
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 2 * 8 + 2 * CELL + 2
    assert middle(sheet, 0, 0) == middle(sheet, 0, 1) == [200, 0, 0]
    assert middle(sheet, 1, 0) == [51, 51, 51]
    assert middle(sheet, 1, 1) == [255, 255, 255]  # clipped
    assert (sheet[:34] > 128).any()  # the title is written
    assert (sheet[34:58] > 128).any()  # and so are the labels


@pytest.mark.parametrize("face_type", [FaceType.FULL, FaceType.HEAD])
def test_the_two_sheets_of_a_swap_model(face_type: FaceType) -> None:
    faces = PreviewFaces(three(flat(0.8)), flat(0.5), three(flat(0.4)), flat(0.25))
    drawn = Reconstruction(three(flat(0.6)), flat(0.9), three(flat(0.3)), flat(0.5), three(flat(1.0)), flat(0.8))
    sheets = swap_sheets(faces, drawn, face_type, "Quick96", "t")
    assert list(sheets) == ["Quick96", "Quick96 masked"]
    plain, masked = (
        [middle(sheet, column, 0)[0] / 255 for column in range(5)]
        for sheet in (sheets["Quick96"], sheets["Quick96 masked"])
    )
    assert plain == pytest.approx([0.8, 0.6, 0.4, 0.3, 1.0], abs=0.003)
    # S Sm | S^ | D Dm | D^ D^m | X M, with M = D^m Xm, for heads Xm (spec models 5.8)
    swap_mask = 0.8 if face_type is FaceType.HEAD else 0.4
    assert masked == pytest.approx([0.4, 0.6, 0.1, 0.15, swap_mask], abs=0.003)


@pytest.mark.parametrize("face_type", [FaceType.FULL, FaceType.HEAD])
def test_above_256_pixels_there_are_six_sheets_of_two_columns(face_type: FaceType) -> None:
    def large(value: float, channels: int) -> np.ndarray:
        return np.full((1, 272, 272, channels), value, np.float32)

    faces = PreviewFaces(large(0.8, 3), large(0.5, 1), large(0.4, 3), large(0.25, 1))
    drawn = Reconstruction(large(0.6, 3), large(0.9, 1), large(0.3, 3), large(0.5, 1), large(1.0, 3), large(0.8, 1))
    sheets = swap_sheets(faces, drawn, face_type, "SAEHD", "t")
    x = 0.8 if face_type is FaceType.HEAD else 0.4
    expected = {  # spec models 5.8
        "SAEHD src-src": (0.8, 0.6),
        "SAEHD dst-dst": (0.4, 0.3),
        "SAEHD pred": (0.4, 1.0),
        "SAEHD masked src-src": (0.4, 0.6),
        "SAEHD masked dst-dst": (0.1, 0.15),
        "SAEHD masked pred": (0.1, x),
    }
    assert list(sheets) == list(expected)
    for name, (left, right) in expected.items():
        sheet = sheets[name]
        assert sheet.shape[1] == 2 * 8 + 2 * 272 + 2
        row = sheet[34 + 24 + 136]
        assert [row[8 + 136][0] / 255, row[8 + 274 + 136][0] / 255] == pytest.approx([left, right], abs=0.003)


def test_so_many_rows_as_a_screen_holds() -> None:
    assert [rows_shown(side) for side in (64, 96, 128, 200, 256, 320, 416, 640)] == [4, 4, 4, 4, 3, 2, 1, 1]


def test_faces_of_eight_bits_look_the_same() -> None:
    drawn = Reconstruction(*[three(flat(0.5)) if n % 2 == 0 else flat(0.5) for n in range(6)])
    eight = [np.full((1, SIDE, SIDE, channels), 51, np.uint8) for channels in (3, 1, 3, 1)]
    unit = [np.full((1, SIDE, SIDE, channels), 0.2, np.float32) for channels in (3, 1, 3, 1)]
    a, b = (swap_sheets(PreviewFaces(*arrays), drawn, FaceType.FULL, "m", "t") for arrays in (eight, unit))
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_what_the_network_sees() -> None:
    faces = fake_faces(seed=1, number=0, side=0)
    sheet = batch_sheet(faces, "src")
    assert sheet.shape[1] == 16 + 4 * CELL + 3 * 2  # warped, target, mask, target inside the mask
    assert middle(sheet, 0, 1) == faces.warped[1, 8, 8].tolist()
    assert middle(sheet, 1, 1) == faces.target[1, 8, 8].tolist()
    assert middle(sheet, 2, 0) == [255, 255, 255]


def some_state(iterations: int) -> TrainingState:
    return TrainingState(seed=1, history=LossHistory(("src_loss", "dst_loss"), np.full((iterations, 2), 0.5)))


def test_the_files_of_a_training(odd_folder: Path) -> None:
    writer = PreviewWriter(odd_folder / "previews", fake_pages, history_iterations=10)
    files = writer.write(FakeModel(), some_state(12))
    assert [f.name for f in files] == ["Fake.png", "Fake masked.png", "loss.png"]
    assert middle(read_image(files[0]), 0, 0) == [0, 0, 0]  # page 0 is black
    writer.next_faces()
    writer.next_faces()
    writer.write(FakeModel(), some_state(20))
    assert middle(read_image(files[0]), 0, 0) == [20, 20, 20]
    assert writer.history_due(20)
    assert not writer.history_due(25)
    writer.write_history(FakeModel(), some_state(20))
    kept = odd_folder / "previews" / "history" / "Fake" / "0000020.jpg"
    assert max(middle(read_image(kept), 0, 0)) <= 2  # still page 0, whatever is shown now


def test_kept_pictures_make_way_for_those_of_a_new_count(odd_folder: Path) -> None:
    assert put_history_aside(odd_folder) is None
    for number in (1, 2):
        (odd_folder / "history").mkdir()
        (odd_folder / "history" / f"{number}.jpg").touch()
        aside = put_history_aside(odd_folder)
        assert aside == odd_folder / f"history {number}"
        assert [path.name for path in aside.iterdir()] == [f"{number}.jpg"]
    assert not (odd_folder / "history").exists()


def test_previews_can_be_switched_off(tmp_path: Path) -> None:
    writer = PreviewWriter(tmp_path / "previews", fake_pages, enabled=False, history_iterations=1)
    assert writer.write(FakeModel(), some_state(1)) == []
    assert not writer.history_due(1)
    assert not (tmp_path / "previews").exists()


def test_pages_of_a_faceset(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path / "src", count=7, side=64)
    write_painted_faceset(tmp_path / "dst", count=3, side=64)
    src, dst = open_faceset(tmp_path / "src"), open_faceset(tmp_path / "dst")
    settings = SampleSettings(32, FaceType.FULL)
    pages = FacePages((src, dst), (settings, settings), seed=5)
    first = pages(0)
    assert first.src.shape == (4, 32, 32, 3)
    assert first.dst_mask.shape == (4, 32, 32, 1)
    assert len({face.tobytes() for face in first.src}) == 4
    assert len({face.tobytes() for face in first.dst}) == 3  # there are no more
    again = FacePages((src, dst), (settings, settings), seed=5)(0)
    assert np.array_equal(first.src, again.src)  # the same faces in the next session
    assert not np.array_equal(first.src, pages(1).src)


def test_the_faces_shown_stay_when_others_come_and_go(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path / "src", count=12, side=64)
    faces = open_faceset(tmp_path / "src")
    settings = SampleSettings(32, FaceType.FULL)

    def shown(samples: tuple[Sample, ...]) -> set[bytes]:
        some = Faceset(tmp_path / "src", samples)
        return {face.tobytes() for face in FacePages((some, some), (settings, settings), seed=5)(0).src}

    everything = shown(faces.samples)
    without = [shown(faces.samples[:n] + faces.samples[n + 1 :]) for n in range(12)]
    # taking one face away changes at most the place of that one
    assert sorted(len(everything - some) for some in without) == [0] * 8 + [1] * 4


def test_a_label_stays_over_its_column() -> None:
    """Of the samples' sheet, whose longest label is wider than a cell in letters of the usual size."""
    sheet = draw_sheet([("eyes and mouth: counts more", flat(0.5)), ("", flat(0.5))], "title")
    beyond = sheet[34 : 34 + 24, 8 + CELL + 1 :]
    assert (beyond == sheet[0, 0]).all()


def test_a_sheet_names_the_page_and_a_long_title_stays_inside(tmp_path: Path) -> None:
    narrow = draw_sheet([("a", np.zeros((1, 272, 272, 3), np.uint8))], "SAEHD   iteration 1,234,567   src loss 0.1234")
    assert not (narrow[:34, -8:] > 128).any()
    model, state = FakeModel(), TrainingState(seed=1)
    writer = PreviewWriter(tmp_path, fake_pages)
    writer.write(model, state)
    first = read_image(tmp_path / "Fake.png")
    writer.next_faces()
    writer.write(model, state)
    assert not np.array_equal(first[:34], read_image(tmp_path / "Fake.png")[:34])


def test_pages_pass_over_faces_that_broke_meanwhile(tmp_path: Path) -> None:
    paths = write_painted_faceset(tmp_path / "src", count=5, side=64)
    faces = open_faceset(tmp_path / "src")
    settings = SampleSettings(32, FaceType.FULL)
    paths[2].write_bytes(b"")
    pages = FacePages((faces, faces), (settings, settings), seed=5)
    assert len({face.tobytes() for face in pages(0).src}) == 4
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(FaceLoomError, match="None of the faces"):
        FacePages((Faceset(tmp_path / "src", faces.samples), faces), (settings, settings), seed=5)(0)
