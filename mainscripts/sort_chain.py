"""Orders that come from comparing faces with each other, without ever holding a table of all pairs.

A chain goes from face to face, each time to the nearest one not used yet (or the farthest). Up to a few thousand faces
it is exact. Beyond, the faces lie in cells: boxes in the space of their main components, halved until each holds about
a hundred. A step looks, among the cells beside the one it stands in, into those whose boxes are nearest to the present
face, nearest first, and stops as soon as none of the others can hold anything nearer, at the latest after ten. Used
faces leave their cells; when half of all are used, cells are made anew. Every distance that decides is the real one:
what is given up is only that a nearer face may lie in a box not opened. benchmarks/sort.py measures what that costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from core.progress import SILENT, Progress

EXACT_UP_TO = 2048
"""Chains of so many faces look at every face in every step."""

_CELL = 96
_COMPONENTS = 12
_COMPONENTS_FROM = 4096  # faces the main components are worked out from
_MOST_CELLS = 10
_MOST_CELLS_FAR = 4
_NEAR = 64  # cells beside a cell
_ADVANCE = 512
_REFERENCES = 8192
_SUMS_EXACT_UP_TO = 12000
_BLOCK = 2048


@dataclass(frozen=True)
class Metric:
    """A way to compare faces.

    Attributes:
        distances: (rows (s, D), one (D,)) -> (s,): their distances.
        least: a distance is at least so many times the Euclidean one.
    """

    distances: Callable[[NDArray, NDArray], NDArray]
    least: float


def _histogram_distances(rows: NDArray, one: NDArray) -> NDArray:
    likeness = np.stack([rows[:, c : c + 256] @ one[c : c + 256] for c in range(0, len(one), 256)])
    return np.sqrt(np.maximum(1 - likeness, 0)).sum(axis=0)


def _absolute_distances(rows: NDArray, one: NDArray) -> NDArray:
    return np.abs(rows - one).sum(axis=1)


def _straight_distances(rows: NDArray, one: NDArray) -> NDArray:
    return np.sqrt(((rows - one) ** 2).sum(axis=1))


HISTOGRAMS = Metric(_histogram_distances, float(np.sqrt(0.5)))
"""Bhattacharyya distances of histograms of 256 bins, summed; rows hold square roots of shares. The distance of one
histogram is the Euclidean one over the root of 2, and a sum of lengths is at least the length of the whole."""

ABSOLUTE = Metric(_absolute_distances, 1.0)
"""Sum of absolute differences."""

STRAIGHT = Metric(_straight_distances, 1.0)
"""The Euclidean distance."""


def chain(
    points: NDArray,
    metric: Metric,
    *,
    farthest: bool = False,
    exact_up_to: int = EXACT_UP_TO,
    progress: Progress = SILENT,
) -> NDArray[np.int64]:
    """The order (N,) of a greedy chain through the rows of `points` (N, D) that begins with row 0.

    Args:
        farthest: go to the farthest unused face instead of the nearest.
        exact_up_to: from how many faces on cells are used.
    """
    points = np.ascontiguousarray(points, np.float32)
    count = len(points)
    if count <= 2:
        return np.arange(count)
    order = np.empty(count, np.int64)
    here = order[0] = 0
    flat = count <= exact_up_to
    places = np.zeros((count, 0), np.float32) if flat else main_components(points, _COMPONENTS)
    cells = _Cells(points, places, np.arange(1, count), flat)
    with progress.task("Finding the chain", count, "face") as task:
        for n in range(1, count):
            if not flat and 2 * cells.live < cells.built_with:
                cells = _Cells(points, places, cells.unused(), cells.live <= _CELL)
            here = order[n] = cells.take(points[here], places[here], metric, farthest)
            if n % _ADVANCE == 0:
                task.advance(_ADVANCE)
        task.advance(count - (count - 1) // _ADVANCE * _ADVANCE)
    return order


def main_components(points: NDArray, count: int) -> NDArray[np.float32]:
    """The rows of `points` (N, D) along their directions of largest spread: float32 (N, count or less)."""
    step = max(1, len(points) // _COMPONENTS_FROM)
    some = points[::step].astype(np.float32)
    middle = some.mean(axis=0)
    some = some - middle
    if len(some) < some.shape[1]:
        directions = np.linalg.svd(some, full_matrices=False)[2].T
    else:
        directions = np.linalg.eigh(some.T @ some)[1][:, ::-1]
    chosen = np.ascontiguousarray(directions[:, :count])
    parts = [
        (points[start : start + _BLOCK].astype(np.float32) - middle) @ chosen for start in range(0, len(points), _BLOCK)
    ]
    return np.concatenate(parts).astype(np.float32)


class _Cells:
    """Unused faces in boxes."""

    def __init__(self, points: NDArray, places: NDArray, unused: NDArray[np.int64], flat: bool) -> None:
        pieces = [unused] if flat else _halved(places, unused)
        self._ids = np.concatenate(pieces)
        self._points = points[self._ids]
        self._lengths = np.array([len(piece) for piece in pieces])
        self._starts = np.concatenate([[0], np.cumsum(self._lengths)[:-1]])
        self._low = np.stack([places[piece].min(axis=0) for piece in pieces])
        self._high = np.stack([places[piece].max(axis=0) for piece in pieces])
        self.built_with = self.live = len(unused)
        middles = (self._low + self._high) / 2
        near = min(_NEAR, len(pieces))
        # Cells beside each cell; a step looks among those beside the cell it stands in.
        self._beside = None if flat else cKDTree(middles).query(middles, near)[1].reshape(len(pieces), near)
        self._everywhere = np.arange(len(pieces))
        self._here = -1

    def unused(self) -> NDArray[np.int64]:
        """The faces that are left, in the order of their numbers."""
        spans = zip(self._starts.tolist(), self._lengths.tolist(), strict=True)
        return np.sort(np.concatenate([self._ids[start : start + length] for start, length in spans]))

    def take(self, point: NDArray, place: NDArray, metric: Metric, farthest: bool) -> int:
        """Takes out the nearest (or farthest) face and returns its number."""
        cells, bounds = self._cells_to_open(place, metric, farthest)
        best, best_cell, best_row = np.inf, -1, -1
        for cell, bound in zip(cells, bounds, strict=True):
            if bound >= best and not farthest:
                break
            start = self._starts[cell]
            distances = metric.distances(self._points[start : start + self._lengths[cell]], point)
            row = int(distances.argmax() if farthest else distances.argmin())
            distance = -float(distances[row]) if farthest else float(distances[row])
            if distance < best:
                best, best_cell, best_row = distance, cell, int(start) + row
        return self._remove(best_cell, best_row)

    def _cells_to_open(self, place: NDArray, metric: Metric, farthest: bool) -> tuple[list[int], list[float]]:
        """Cells that hold faces, the most promising first, and what no face in them can be nearer than."""
        if self._beside is None:
            return [0], [0.0]
        if farthest:
            cells = self._everywhere[self._lengths > 0]
            reach = np.maximum(np.abs(place - self._low[cells]), np.abs(place - self._high[cells]))
            bounds, most = -np.einsum("nd,nd->n", reach, reach), _MOST_CELLS_FAR
        else:
            cells = self._beside[self._here] if self._here >= 0 else self._everywhere
            cells = cells[self._lengths[cells] > 0]
            if len(cells) < _MOST_CELLS:
                cells = self._everywhere[self._lengths > 0]
            gap = np.maximum(np.maximum(self._low[cells] - place, place - self._high[cells]), 0)
            bounds, most = np.sqrt(np.einsum("nd,nd->n", gap, gap)) * metric.least, _MOST_CELLS
        chosen = _smallest(bounds, most)
        return cells[chosen].tolist(), bounds[chosen].tolist()

    def _remove(self, cell: int, row: int) -> int:
        taken = int(self._ids[row])
        last = self._starts[cell] + self._lengths[cell] - 1
        self._ids[row], self._points[row] = self._ids[last], self._points[last]
        self._lengths[cell] -= 1
        self.live -= 1
        self._here = cell
        return taken


def _smallest(values: NDArray, count: int) -> NDArray[np.int64]:
    """The places of the `count` smallest values, smallest first."""
    if len(values) > count:
        chosen = np.argpartition(values, count)[:count]
        return chosen[np.argsort(values[chosen], kind="stable")]
    return np.argsort(values, kind="stable")


def _halved(places: NDArray, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Halves the rows at the median of their widest coordinate until no piece is longer than a cell."""
    waiting, done = [rows], []
    while waiting:
        piece = waiting.pop()
        if len(piece) <= _CELL:
            done.append(piece)
            continue
        here = places[piece]
        along = here[:, int(np.argmax(here.max(axis=0) - here.min(axis=0)))]
        order = np.argpartition(along, len(piece) // 2)
        waiting += [piece[order[: len(piece) // 2]], piece[order[len(piece) // 2 :]]]
    return done


def dissimilarity_sums(
    histograms: NDArray, *, exact_up_to: int = _SUMS_EXACT_UP_TO, progress: Progress = SILENT
) -> NDArray[np.float64]:
    """How different each face is from all others: the sum of its histogram distances, (N,).

    histograms: (N, 256), square roots of shares. Beyond `exact_up_to` faces the sum is taken over 8,192 of them, drawn
    with a fixed seed, and scaled: its standard error is a hundredth of the spread of the distances (1 / sqrt(8192)).
    """
    count = len(histograms)
    rows = np.asarray(histograms, np.float32)
    chosen = np.arange(count)
    if count > exact_up_to:
        chosen = np.sort(np.random.default_rng(1).choice(count, min(_REFERENCES, count), replace=False))
    references = np.ascontiguousarray(rows[chosen].T)
    sums = np.zeros(count)
    with progress.task("Comparing histograms", count, "face") as task:
        for start in range(0, count, _BLOCK):
            block = rows[start : start + _BLOCK] @ references
            sums[start : start + _BLOCK] = np.sqrt(np.maximum(1 - block, 0)).sum(axis=1, dtype=np.float64)
            task.advance(min(_BLOCK, count - start))
    # Nobody differs from itself, and a face among the references has one other face fewer in its sum.
    others = np.full(count, len(chosen), np.float64)
    others[chosen] -= 1
    return sums / np.maximum(others, 1) * (count - 1)


def unit_rows(roots: NDArray) -> NDArray[np.float32]:
    """Square roots of histograms kept in half precision (..., 256), brought back to length 1."""
    rows = np.asarray(roots, np.float32)
    length = np.sqrt(np.einsum("...k,...k->...", rows, rows))
    return rows / np.maximum(length, 1e-9)[..., None]
