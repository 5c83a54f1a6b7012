"""Finding faces that are nearly the same picture, so that one of each can stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from core.progress import SILENT, Progress
from mainscripts.sort_table import FaceTable
from samplelib.face_features import RECORD, THUMBNAIL, THUMBNAIL_SIDE

_LIMITS = {2: 1.5, 3: 4.0}
"""Root of the mean squared difference of two thumbnails, in levels of 255. Neighboring frames of people who speak and
move differ by 5 to 6 at the median, those of a head that is still by less than 1."""

_COMPONENTS = 12
_SAMPLE = 256  # faces the main components are worked out from
_POOLED = 4
_WEAK = 1e-6  # of the strongest direction: too weak to be exactly upright to the others
_BLOCK = 2048
_SLACK = 1e-3  # of the limit, for what rounding does to components
_ADVANCE = 256


def near_duplicates(table: FaceTable, level: int, progress: Progress = SILENT) -> NDArray[np.int64]:
    """The rows that can go, ascending, because a better one that is nearly the same stays.

    level: 0 none; 1 the same picture, byte for byte; 2 hardly to be told apart; 3 alike at a glance. Of faces that are
    alike the one that was largest in its frame stays, then the one with more detail, then the first by name. None goes
    because of a face that goes itself.
    """
    if level == 0 or len(table) == 0:
        return np.zeros(0, np.int64)
    area, detail = table.column(RECORD, "rect_area"), table.column(THUMBNAIL, "detail")
    best_first = np.lexsort((np.arange(len(table)), -detail, -area))
    if level == 1:
        digests = table.column(THUMBNAIL, "digest")[best_first]
        _, first = np.unique(digests, return_index=True)
        return np.sort(np.delete(best_first, first))
    return _within(table.column(THUMBNAIL, "pixels"), best_first, _LIMITS[level], progress)


def _within(
    pixels: NDArray[np.uint8], best_first: NDArray[np.int64], limit: float, progress: Progress
) -> NDArray[np.int64]:
    """Rows within `limit` of a better row that stays. Sums over squares of pixels, divided by the root of how many
    these are, are never farther apart than the pictures, nor are the main components of the pictures; so whoever is
    near is among those found in a tree of these, then among those whose sums are near, and is then compared in full."""
    flat = pixels.reshape(len(pixels), -1)
    cells = THUMBNAIL_SIDE // _POOLED
    means = pixels.reshape(len(pixels), cells, _POOLED, cells, _POOLED, 3).mean(axis=(2, 4), dtype=np.float32)
    sums = _POOLED * means.reshape(len(pixels), -1)
    places = _components(flat)
    radius = limit * np.sqrt(flat.shape[1])
    reach = radius * (1 + _SLACK)
    tree = cKDTree(places)
    goes = np.zeros(len(flat), bool)
    with progress.task("Looking for near-duplicates", len(flat), "face") as task:
        for n, row in enumerate(best_first.tolist(), start=1):
            if not goes[row]:
                near = np.array(tree.query_ball_point(places[row], reach), np.int64)
                near = near[~goes[near] & (near != row)]
                near = near[_lengths(sums[near] - sums[row]) <= reach]
                apart = flat[near].astype(np.float32) - flat[row].astype(np.float32)
                goes[near[_lengths(apart) <= radius]] = True
            if n % _ADVANCE == 0:
                task.advance(_ADVANCE)
        task.advance(len(flat) % _ADVANCE)
    return np.flatnonzero(goes)


def _components(flat: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures (N, D) along the directions in which some of them differ most: (N, 12 or less), never farther apart."""
    some = flat[:: max(1, len(flat) // _SAMPLE)].astype(np.float64)
    middle = some.mean(axis=0)
    some -= middle
    strengths, mixes = np.linalg.eigh(some @ some.T)
    strong = np.flatnonzero(strengths > max(_WEAK * strengths[-1], 1.0))[-_COMPONENTS:]
    directions = np.zeros((flat.shape[1], max(len(strong), 1)), np.float32)
    directions[:, : len(strong)] = some.T @ mixes[:, strong] / np.sqrt(strengths[strong])
    parts = [
        (flat[start : start + _BLOCK] - middle.astype(np.float32)) @ directions for start in range(0, len(flat), _BLOCK)
    ]
    return np.concatenate(parts)


def _lengths(rows: NDArray) -> NDArray:
    return np.sqrt(np.einsum("nd,nd->n", rows, rows))
