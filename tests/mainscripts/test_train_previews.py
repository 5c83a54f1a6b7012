"""Which faces the previews show: by the seed, at random, or by name; and the sheet of `--debug`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption
from core.images import read_image
from core.progress import SILENT
from facelib.face_type import FaceType
from mainscripts.train_previews import preview_pages, read_choice, show_samples
from samplelib.augmentation import SampleSettings
from samplelib.batches import raw_faces
from samplelib.faceset import Faceset, open_faceset
from tests.models.fake_model import FakeModel
from tests.painting import write_painted_faceset

SETTINGS = SampleSettings(32, FaceType.FULL)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Faceset, Faceset]:
    folder = tmp_path_factory.mktemp("faces")
    write_painted_faceset(folder / "src", count=7, side=64)
    write_painted_faceset(folder / "dst", count=6, side=64, seed=50)
    return open_faceset(folder / "src"), open_faceset(folder / "dst")


def pages(sides: tuple[Faceset, Faceset], choice: object, page: int = 0) -> tuple[np.ndarray, np.ndarray]:
    faces = preview_pages(sides, (SETTINGS, SETTINGS), 3, choice)(page)
    return faces.src, faces.dst


def test_by_name(sides: tuple[Faceset, Faceset]) -> None:
    sample = sides[0].samples[5]
    choice = read_choice(f" {sample.path.name} ,", (sides[0],))
    src, dst = pages(sides, choice)
    wanted, _ = raw_faces([sample], SETTINGS)
    assert all((row == wanted[0]).all() for row in src)
    assert len({row.tobytes() for row in dst}) == (1 if sample.path.name in {s.path.name for s in sides[1]} else 4)
    assert (pages(sides, choice, 1)[0] == pages(sides, None, 1)[0]).all(), "further pages are as ever"


def test_at_random_and_kept(sides: tuple[Faceset, Faceset]) -> None:
    choice = read_choice("random", sides)
    assert isinstance(choice, int)
    assert (pages(sides, choice)[0] == pages(sides, choice)[0]).all()
    usual = pages(sides, None)[0]
    assert any((pages(sides, number)[0] != usual).any() for number in range(5))


def test_faces_that_are_gone_are_replaced(sides: tuple[Faceset, Faceset]) -> None:
    assert (pages(sides, ["gone.jpg"])[0] == pages(sides, None)[0]).all()


@pytest.mark.parametrize("text", ["nobody.jpg", ",", "Random faces"])
def test_what_is_no_face(sides: tuple[Faceset, Faceset], text: str) -> None:
    with pytest.raises(BadOption, match=r"must be random, or names of face files\. Received: "):
        read_choice(text, sides)


def test_the_sheet_of_samples(sides: tuple[Faceset, Faceset], tmp_path: Path) -> None:
    model = FakeModel()
    model.src_settings = SampleSettings(16, FaceType.FULL, eyes_mouth=True)
    src, dst = show_samples(model, *sides, 5, tmp_path, SILENT)
    assert [src.name, dst.name] == ["samples src.png", "samples dst.png"]
    assert read_image(src).shape[1] - read_image(dst).shape[1] == 192 + 2, "a column for eyes and mouth"
