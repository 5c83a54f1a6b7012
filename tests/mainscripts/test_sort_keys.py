"""Every way to sort: the numbers and names users know, the direction of each, groups, and what cannot be combined."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import BadOption
from core.images import encode_jpeg
from core.progress import SILENT
from facelib.face_type import FaceType
from facelib.metadata import read_metadata, write_face
from mainscripts.sort_keys import METHODS, Arrangement, SortMethod, SortSettings, arrange_by, find_methods
from mainscripts.sort_table import FaceTable, take_rows
from tests.mainscripts.faces_of_a_film import SIDE, spread, table_of, write_film
from tests.painting import paint_face, painted_metadata


def arrange(table: FaceTable, by: str, settings: SortSettings | None = None) -> Arrangement:
    return arrange_by(table, find_methods(by), settings or SortSettings(), SILENT, take_rows)


def names(table: FaceTable, rows: np.ndarray) -> list[str]:
    return [table.files[n].path.name for n in rows.tolist()]


def test_numbers_and_names_are_those_of_the_menu() -> None:
    """Spec steps-and-cli 6.2; the default is 5."""
    known = (
        "blur motion-blur face-yaw face-pitch face-source-rect-size hist hist-dissim brightness hue black origname "
        "oneface absdiff final final-fast"
    )
    assert [m.name for m in METHODS[:15]] == known.split()
    assert [m.number for m in METHODS] == list(range(len(METHODS)))
    assert find_methods("5")[0].name == "hist"
    assert find_methods("final-by-blur")[0].number == 13
    assert find_methods("final-by-size")[0].number == 14
    assert [m.name for m in find_methods(" Face-Yaw, 0 ")] == ["face-yaw", "blur"]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_every_way_keeps_every_face_once(tmp_path: Path, method: SortMethod) -> None:
    table = table_of(tmp_path, write_film(tmp_path, spread(9)))
    made = arrange(table, method.name)
    assert sorted([*made.order.tolist(), *made.trash.tolist()]) == list(range(9))
    single = take_rows(table, np.array([3]))
    assert arrange(single, method.name).order.tolist() == [0]


def test_directions(tmp_path: Path) -> None:
    """Yaw above 0 looks to image-left and comes first; pitch above 0 looks up and comes first."""
    yaws, pitches = [-0.5, 0.4, 0.0, 0.2], [0.2, -0.3, 0.3, 0.0]
    paths = write_film(tmp_path, yaws, pitches=pitches)
    table = table_of(tmp_path, paths)
    left = [np.mean(read_metadata(p).landmarks[30, 0] - read_metadata(p).landmarks[[0, 16], 0].mean()) for p in paths]
    assert arrange(table, "face-yaw").order.tolist() == np.argsort(left).tolist()
    up = table.poses[:, 0]
    assert arrange(table, "face-pitch").order.tolist() == np.argsort(-up).tolist()


def test_blurred_faces_come_last(tmp_path: Path) -> None:
    paths = write_film(tmp_path, [0.0] * 4, persons=[1] * 4)
    for n, path in enumerate(paths):
        image, _ = paint_face(SIDE, FaceType.WHOLE, seed=1)
        blurred = cv2.blur(image, (1, 1 + 4 * n))
        write_face(path, encode_jpeg(blurred, 98), read_metadata(path))
    table = table_of(tmp_path, paths)
    assert arrange(table, "motion-blur").order.tolist() == [0, 1, 2, 3]
    assert arrange(table, "blur").order.tolist()[0] == 0


def test_faces_without_an_edge_come_last_and_are_told_or_go_if_wanted(tmp_path: Path) -> None:
    paths = write_film(tmp_path, [0.0] * 3)
    write_face(paths[0], encode_jpeg(np.full((SIDE, SIDE, 3), 90, np.uint8)), read_metadata(paths[0]))
    table = table_of(tmp_path, paths)
    sharpness = table.column("sharpness", "perceived")
    sharpness[:] = [0, 0.2, 0.7]
    made = arrange(table, "blur")
    assert (made.order.tolist(), made.trash.tolist()) == ([2, 1, 0], [])
    assert "1 faces have no edge" in made.notes[0]
    made = arrange(table, "blur", SortSettings(trash_unsharp=True))
    assert (made.order.tolist(), made.trash.tolist()) == ([2, 1], [0])


def test_tones(tmp_path: Path) -> None:
    """Bright first, high hue first, few black values first."""
    paths = write_film(tmp_path, [0.0] * 3)
    for path, color in zip(paths, [(20, 20, 60), (200, 180, 60), (0, 120, 0)], strict=True):
        write_face(path, encode_jpeg(np.full((SIDE, SIDE, 3), color, np.uint8), 100), read_metadata(path))
    table = table_of(tmp_path, paths)
    assert arrange(table, "brightness").order.tolist() == [1, 2, 0]
    assert arrange(table, "hue").order.tolist() == [1, 2, 0]  # blue-green 94, green 60, red 0
    assert arrange(table, "black").order.tolist()[-1] == 2


def test_histograms_and_differences_bring_alike_faces_together(tmp_path: Path) -> None:
    persons = [1, 2, 3, 1, 2, 3, 1, 2, 3]
    table = table_of(tmp_path, write_film(tmp_path, [0.01 * n for n in range(9)], persons=persons))
    for by in ("hist", "absdiff"):
        seen = [persons[n] for n in arrange(table, by).order.tolist()]
        assert sum(a != b for a, b in pairwise(seen)) == 2, by
    apart = [persons[n] for n in arrange(table, "absdiff", SortSettings(similar=False)).order.tolist()]
    assert all(a != b for a, b in pairwise(apart[:6]))


def test_the_odd_one_out_comes_first_by_dissimilarity(tmp_path: Path) -> None:
    table = table_of(tmp_path, write_film(tmp_path, [0.0] * 6, persons=[1, 1, 1, 9, 1, 1]))
    assert arrange(table, "hist-dissim").order.tolist()[0] == 3


def test_frames_sort_by_their_numbers_and_shared_ones_come_last(tmp_path: Path) -> None:
    frames = ["f10.png", "f9.png", "f2.png", "f9.png", "f1.png"]
    table = table_of(tmp_path, write_film(tmp_path, [0.0] * 5, frames=frames))
    assert [frames[n] for n in arrange(table, "origname").order] == ["f1.png", "f2.png", "f9.png", "f9.png", "f10.png"]
    made = arrange(table, "oneface")
    assert made.order.tolist() == [0, 2, 4, 1, 3]
    made = arrange(table, "oneface", SortSettings(trash_multi=True))
    assert (made.order.tolist(), made.trash.tolist()) == ([0, 2, 4], [1, 3])


def test_open_eyes_and_mouths_come_first(tmp_path: Path) -> None:
    paths = []
    for n, opened in enumerate((1.0, 3.0, 0.2)):
        metadata = painted_metadata(SIDE, FaceType.WHOLE, f"{n}.png")
        points = metadata.landmarks.copy()
        for ring in (range(36, 42), range(42, 48), range(60, 68)):
            middle = points[list(ring), 1].mean()
            points[list(ring), 1] = middle + opened * (points[list(ring), 1] - middle)
        path = tmp_path / f"{n}.jpg"
        changed = type(metadata)(**{**vars(metadata), "landmarks": points})
        write_face(path, encode_jpeg(paint_face(SIDE)[0]), changed)
        paths.append(path)
    table = table_of(tmp_path, paths)
    assert arrange(table, "eyes").order.tolist() == [1, 0, 2]
    assert arrange(table, "mouth").order.tolist() == [1, 0, 2]


def test_the_first_key_groups_and_the_second_sorts_inside(tmp_path: Path) -> None:
    """Angles in steps of 15 degrees; inside a step the largest in its frame first."""
    table = table_of(tmp_path, write_film(tmp_path, [0.0, 0.5, 0.01, 0.5, -0.01]))
    table.column("record", "rect_area")[:] = [1, 2, 5, 4, 3]
    made = arrange(table, "face-yaw,face-source-rect-size")
    assert made.order.tolist() == [3, 1, 2, 4, 0]
    assert made.notes == ("2 groups by face-yaw",)


def test_groups_of_a_value_are_of_equal_size_and_equal_values_stay_together(tmp_path: Path) -> None:
    table = table_of(tmp_path, write_film(tmp_path, spread(8)))
    table.column("tones", "brightness")[:] = [9, 9, 9, 5, 4, 3, 2, 1]
    table.column("record", "rect_area")[:] = [1, 2, 3, 4, 5, 6, 7, 8]
    made = arrange(table, "brightness,face-source-rect-size", SortSettings(groups=4))
    assert made.order.tolist() == [2, 1, 0, 3, 5, 4, 7, 6]


@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        ("blurr", "no way to sort by that name. Received: blurr"),
        ("19", "Received: 19"),
        ("", "Received: ."),
        ("hist,blur", "hist makes no groups"),
        ("face-yaw,final", "stands alone"),
    ],
)
def test_what_makes_no_sense_is_refused(by: str, sentence: str) -> None:
    with pytest.raises(BadOption, match=sentence):
        find_methods(by)
