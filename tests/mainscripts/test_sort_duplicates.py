"""Near-duplicates: three levels, the best of each kind stays, and nobody goes for one that goes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainscripts import sort_duplicates
from mainscripts.sort_duplicates import near_duplicates
from mainscripts.sort_table import FaceTable
from tests.mainscripts.faces_of_a_film import table_of, write_film


@pytest.fixture
def table(tmp_path: Path) -> FaceTable:
    """0 and 5 are the same file; 1 is a hair beside 0; 2 some more; 3 and 4 are others."""
    paths = write_film(tmp_path, [0.0, 0.004, 0.015, 0.3, 0.0], persons=[1, 1, 1, 1, 7])
    copy = tmp_path / "00006_0.jpg"
    shutil.copyfile(paths[0], copy)
    table = table_of(tmp_path, [*paths, copy])
    table.column("record", "rect_area")[:] = 100
    table.column("thumbnail", "detail")[:] = 1
    return table


def test_levels(table: FaceTable) -> None:
    pixels = table.column("thumbnail", "pixels").astype(float)
    apart = [float(np.sqrt(((pixels[0] - p) ** 2).mean())) for p in pixels]
    assert apart[1] < 1.5 < apart[2] < 4.0 < apart[3]
    assert near_duplicates(table, 0).tolist() == []
    assert near_duplicates(table, 1).tolist() == [5]
    assert near_duplicates(table, 2).tolist() == [1, 5]
    assert near_duplicates(table, 3).tolist() == [1, 2, 5]


def test_the_largest_in_its_frame_stays(table: FaceTable) -> None:
    table.column("record", "rect_area")[1] = 200
    assert 1 not in near_duplicates(table, 2)
    assert {0, 5} <= set(near_duplicates(table, 2).tolist())
    table.column("record", "rect_area")[:] = 100
    table.column("thumbnail", "detail")[5] = 2
    assert near_duplicates(table, 1).tolist() == [0]


def test_a_slow_turn_is_thinned_out_not_thrown_away(table: FaceTable) -> None:
    """Each is near its neighbor, the first is far from the last: about every second one stays."""
    pixels = np.zeros((40, 32, 32, 3), np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None, None] * 3
    columns: dict[str, dict[str, Any]] = {
        "record": {"rect_area": np.ones(40)},
        "thumbnail": {"pixels": pixels, "detail": np.ones(40), "digest": np.arange(40)},
    }
    turn = FaceTable(table.files[:1] * 40, columns)
    assert near_duplicates(turn, 3).tolist() == list(range(1, 40, 2))


def test_many_people_are_told_apart_before_they_are_compared(table: FaceTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """A face is compared with the few that can be near it, however many there are and however alike when blurred."""
    compared = 0
    lengths = sort_duplicates._lengths

    def counted(rows: np.ndarray) -> np.ndarray:
        nonlocal compared
        compared += len(rows)
        return lengths(rows)

    monkeypatch.setattr(sort_duplicates, "_lengths", counted)
    rng = np.random.default_rng(5)
    people, times = 200, 3
    pixels = np.repeat(rng.integers(60, 200, (people, 32, 32, 3)), times, axis=0)
    pixels = (pixels + rng.integers(-1, 2, pixels.shape)).astype(np.uint8)
    count = len(pixels)
    columns: dict[str, dict[str, Any]] = {
        "record": {"rect_area": np.arange(count, 0, -1)},
        "thumbnail": {"pixels": pixels, "detail": np.ones(count), "digest": np.arange(count)},
    }
    goes = near_duplicates(FaceTable(table.files[:1] * count, columns), 3)
    assert goes.tolist() == [n for n in range(count) if n % times]
    assert compared <= 4 * times * people
