"""Best faces: the exact number, evenly over directions, sharp and different ones; and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainscripts.sort_best import YAW_BINS, best_faces, coverage_order, farthest_points, fill_evenly, yaw_bins
from mainscripts.sort_table import FaceTable
from tests.mainscripts.faces_of_a_film import spread, table_of, write_film


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> FaceTable:
    """Forty faces: twenty look straight ahead, twenty are spread."""
    folder = tmp_path_factory.mktemp("faces")
    return table_of(folder, write_film(folder, [0.001 * n for n in range(20)] + spread(20)))


def test_bins_are_those_of_the_specification() -> None:
    """y_g = -1.2 + 2.4 g / 127 holds -yaw; what lies outside falls into the first and the last."""
    grid = [-1.2 + 2.4 * g / 127 for g in range(128)]
    for value in (-2.0, -1.2, -1.19, 0.0, 0.003, 0.5, 1.19, 1.2, 2.0):
        expected = max([g for g in range(128) if grid[g] <= value], default=0)
        assert yaw_bins(np.array([-value]))[0] == expected


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 400))
def test_filling_is_even_and_exact(sizes: list[int], target: int) -> None:
    wanted = fill_evenly(np.array(sizes), target)
    assert wanted.sum() == min(target, sum(sizes))
    assert (wanted <= sizes).all()
    short = wanted < sizes  # who could give more gives as much as anyone, but for one
    if short.any():
        assert wanted[short].min() >= wanted.max() - 1


@pytest.mark.parametrize("target", [1, 7, 30, 39, 40, 2000])
def test_the_target_is_met_exactly(table: FaceTable, target: int) -> None:
    order = best_faces(table, np.arange(40.0), target)
    assert len(set(order.tolist())) == len(order) == min(target, 40)


def test_rare_directions_stay_and_crowded_ones_pay(table: FaceTable) -> None:
    """20 of the 40 look straight ahead; of 24 kept, nearly all of the spread 20 must be among them."""
    order = best_faces(table, np.ones(40), 24)
    assert sum(n >= 20 for n in order.tolist()) >= 18
    assert np.all(np.diff(yaw_bins(table.poses[order, 1])) >= 0)


def test_blurred_faces_of_a_crowded_direction_go(table: FaceTable) -> None:
    quality = np.ones(40)
    quality[:5] = 0.01
    kept = best_faces(table, quality, 24)
    assert not set(kept.tolist()) & set(range(5))


def test_the_choice_of_before_never_throws_everything_away(table: FaceTable) -> None:
    """T = 64 made 0 faces for each bin there; at least one stays of every direction that has any."""
    quality = np.arange(40.0)
    kept = best_faces(table, quality, 64, as_before=True)
    bins = yaw_bins(table.poses[:, 1])
    assert set(bins[kept].tolist()) == set(bins.tolist())
    assert np.all(np.diff(bins[kept]) >= 0)


def test_the_choice_of_before_follows_its_steps(table: FaceTable) -> None:
    """T = 256 means 2 for each of 128 bins, and what empty bins lack is given out once: p = 2 + lack // 128."""
    bins = yaw_bins(table.poses[:, 1])
    sizes = np.bincount(bins, minlength=YAW_BINS)
    per_bin = 2 + int(np.maximum(2 - sizes, 0).sum()) // 128
    kept = best_faces(table, np.arange(40.0), 256, as_before=True)
    assert np.bincount(bins[kept], minlength=YAW_BINS).tolist() == np.minimum(sizes, per_bin).tolist()


def test_farthest_points_follow_their_definition() -> None:
    points = np.random.default_rng(1).normal(0, 1, (40, 3))
    chosen = [0]
    while len(chosen) < 10:
        gaps = [min(float(((p - points[c]) ** 2).sum()) for c in chosen) for p in points]
        chosen.append(int(np.argmax(gaps)))
    assert farthest_points(points, 10).tolist() == chosen


def test_farthest_points_take_equal_ones_too() -> None:
    assert sorted(farthest_points(np.zeros((5, 2)), 9).tolist()) == [0, 1, 2, 3, 4]


def test_coverage_begins_in_the_middle_and_goes_to_the_ends(table: FaceTable, monkeypatch: pytest.MonkeyPatch) -> None:
    order = coverage_order(table)
    yaws = table.poses[order, 1]
    assert sorted(order.tolist()) == list(range(40))
    assert yaws[:6].max() - yaws[:6].min() > 0.9 * (yaws.max() - yaws.min())
    monkeypatch.setattr("mainscripts.sort_best._COVERAGE_EXACT", 10)
    assert coverage_order(table)[:10].tolist() == order[:10].tolist()
    assert sorted(coverage_order(table).tolist()) == list(range(40))
