"""Chains and sums: exact where they are small, as good where cells stand in, never a table of all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from mainscripts.sort_chain import (
    ABSOLUTE,
    HISTOGRAMS,
    STRAIGHT,
    Metric,
    chain,
    dissimilarity_sums,
    main_components,
    unit_rows,
)


def histograms(count: int, seed: int = 1) -> np.ndarray:
    """Square roots of shares: three channels of a few hills that wander, as of people in a video, shuffled."""
    rng = np.random.default_rng(seed)
    person = rng.integers(0, 5, count)
    middles = rng.uniform(30, 220, (5, 3, 4))[person] + 15 * np.sin(
        np.cumsum(rng.normal(0, 0.2, (count, 3, 1)), axis=0)
    )
    shares = np.exp(-(((np.arange(256) - middles[..., None]) / 12) ** 2)).sum(axis=2) + 1e-6
    return np.sqrt(shares / shares.sum(axis=2, keepdims=True)).reshape(count, -1).astype(np.float32)


def greedy(points: np.ndarray, distance: object, farthest: bool = False) -> list[int]:
    """The chain by its definition."""
    left, order = set(range(1, len(points))), [0]
    while left:
        here = points[order[-1]]
        apart = {n: float(distance(points[n], here)) for n in left}  # type: ignore[operator]
        order.append((max if farthest else min)(left, key=lambda n: apart[n]))
        left.remove(order[-1])
    return order


def bhattacharyya(one: np.ndarray, other: np.ndarray) -> float:
    """Spec steps-and-cli 6.5, from the shares."""
    total = 0.0
    for a, b in zip(one.reshape(3, -1) ** 2, other.reshape(3, -1) ** 2, strict=True):
        total += np.sqrt(max(0.0, 1 - np.sqrt(a.astype(float) * b).sum() / np.sqrt(a.sum() * b.sum())))
    return total


def steps(points: np.ndarray, order: np.ndarray, metric: Metric) -> float:
    pairs = zip(order.tolist(), order[1:].tolist(), strict=False)
    return float(np.mean([metric.distances(points[a][None], points[b])[0] for a, b in pairs]))


def test_a_small_chain_is_the_greedy_one() -> None:
    points = histograms(120)
    assert chain(points, HISTOGRAMS).tolist() == greedy(points, bhattacharyya)


@pytest.mark.parametrize("farthest", [False, True])
def test_differences_are_summed(farthest: bool) -> None:
    points = np.random.default_rng(3).uniform(0, 255, (80, 30)).astype(np.float32)
    expected = greedy(points, lambda a, b: np.abs(a.astype(float) - b).sum(), farthest)
    assert chain(points, ABSOLUTE, farthest=farthest).tolist() == expected


def test_every_face_is_used_once() -> None:
    for count in (0, 1, 2, 3, 500):
        order = chain(histograms(count) if count else np.zeros((0, 768)), HISTOGRAMS, exact_up_to=0)
        assert sorted(order.tolist()) == list(range(count))


def test_cells_cost_next_to_nothing() -> None:
    """Mean step by cells within 2 % of the exact greedy chain's; a random order is many times that."""
    points = histograms(1500)
    exact = steps(points, chain(points, HISTOGRAMS, exact_up_to=1500), HISTOGRAMS)
    cells = steps(points, chain(points, HISTOGRAMS, exact_up_to=0), HISTOGRAMS)
    assert cells < 1.02 * exact
    assert steps(points, np.arange(1500), HISTOGRAMS) > 3 * exact


def test_cells_find_far_faces_too() -> None:
    points = np.random.default_rng(5).normal(0, 1, (1200, 6)).astype(np.float32)
    exact = steps(points, chain(points, STRAIGHT, farthest=True, exact_up_to=1200), STRAIGHT)
    assert steps(points, chain(points, STRAIGHT, farthest=True, exact_up_to=0), STRAIGHT) > 0.97 * exact


def test_equal_faces_make_a_chain_too() -> None:
    assert sorted(chain(np.ones((700, 5)), STRAIGHT, exact_up_to=0).tolist()) == list(range(700))


def test_sums_are_those_of_all_pairs() -> None:
    points = histograms(60)[:, :256]
    apart = [[np.sqrt(max(0.0, 1 - float(a.astype(float) @ b))) for b in points] for a in points]
    np.testing.assert_allclose(dissimilarity_sums(points), np.sum(apart, axis=1) - np.diag(apart), rtol=1e-3, atol=1e-2)


def test_sums_over_some_give_nearly_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainscripts.sort_chain._REFERENCES", 1000)
    points = histograms(1500)[:, :256]
    exact, some = dissimilarity_sums(points), dissimilarity_sums(points, exact_up_to=100)
    assert np.corrcoef(exact, some)[0, 1] > 0.98
    assert some.mean() == pytest.approx(exact.mean(), rel=0.05)


def test_half_precision_is_brought_back_to_length_one() -> None:
    rows = unit_rows(histograms(20).reshape(20, 3, 256).astype(np.float16))
    np.testing.assert_allclose((rows**2).sum(axis=2), 1, rtol=1e-6)


def test_main_components_keep_distances_where_there_are_few() -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(0, 1, (300, 3)) @ rng.normal(0, 1, (3, 40))
    seen = main_components(points, 3)
    assert np.linalg.norm(seen[5] - seen[9]) == pytest.approx(np.linalg.norm(points[5] - points[9]), rel=1e-4)
