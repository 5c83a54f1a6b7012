"""Choosing faces: the best of every direction of the head, and an order in which every face adds the most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from core.progress import SILENT, Progress
from mainscripts.sort_chain import dissimilarity_sums, unit_rows
from mainscripts.sort_table import FaceTable
from samplelib.face_features import RECORD, TONES

YAW_BINS = 128
YAW_RANGE = 1.2  # radians to each side
_QUALITY_KEPT = 0.75  # of a bin, where it has that many more than are wanted
_BEFORE_KEPT = 10
_COVERAGE_EXACT = 4096
_HISTOGRAM_BINS = 64
_SHAPE_WEIGHT, _TONE_WEIGHT, _OPEN_WEIGHT, _TURN_WEIGHT = 1.0, 1.0, 1.0, 1.0


def best_faces(table: FaceTable, quality: NDArray, target: int, as_before: bool = False) -> NDArray[np.int64]:
    """The rows that are kept, in order: heads turned to image-right first, to image-left last.

    quality: (N,), larger is better. as_before: the selection that users know (spec steps-and-cli 6.8, with at least
    one face for each bin), which seldom reaches the target; otherwise exactly `target` faces, or all if there are
    fewer: the same number from every direction as far as it has them, the blurred quarter of crowded directions left
    out, and inside a direction those that differ most in pose, expression and light.
    """
    bins = yaw_bins(table.poses[:, 1])
    if as_before:
        return _select_as_before(table, quality, target, bins)
    sizes = np.bincount(bins, minlength=YAW_BINS)
    wanted = fill_evenly(sizes, target)
    features = _diversity(table)
    kept = [_choose(np.flatnonzero(bins == b), quality, features, int(wanted[b])) for b in np.flatnonzero(wanted)]
    return np.concatenate([np.zeros(0, np.int64), *kept])


def yaw_bins(yaws: NDArray) -> NDArray[np.int64]:
    """The bin of every face, (N,), 0..127: bin g holds -yaw from the g-th of 128 grid points between +-1.2 on."""
    grid = np.linspace(-YAW_RANGE, YAW_RANGE, YAW_BINS)
    return np.clip(np.searchsorted(grid, -yaws, side="right") - 1, 0, YAW_BINS - 1)


def fill_evenly(sizes: NDArray, target: int) -> NDArray[np.int64]:
    """How many to take from every bin so that they add up to `target` (or to all there are) as evenly as possible."""
    sizes = np.asarray(sizes, np.int64)
    target = min(target, int(sizes.sum()))
    level = 0
    while np.minimum(sizes, level).sum() < target:
        level += max(1, (target - int(np.minimum(sizes, level).sum())) // len(sizes))
    wanted = np.minimum(sizes, level)
    full = np.flatnonzero(wanted == level)
    surplus = int(wanted.sum()) - target
    if surplus:
        # Spread over all bins that have the full number, so that no side of the head pays alone.
        wanted[full[np.arange(surplus) * len(full) // surplus]] -= 1
    return wanted


def _choose(rows: NDArray[np.int64], quality: NDArray, features: NDArray, count: int) -> NDArray[np.int64]:
    ranked = rows[np.argsort(-quality[rows], kind="stable")]
    ranked = ranked[: max(count, int(np.ceil(_QUALITY_KEPT * len(ranked))))]
    return ranked[farthest_points(features[ranked], count)]


def farthest_points(points: NDArray, count: int, progress: Progress = SILENT) -> NDArray[np.int64]:
    """The first `count` rows of `points` (N, D) of an order that begins with row 0 and always goes on with the row
    that is farthest from all taken before. Source: T. F. Gonzalez, 1985."""
    count = min(count, len(points))
    chosen = np.zeros(count, np.int64)
    if count == 0:
        return chosen
    distance = ((points - points[0]) ** 2).sum(axis=1)
    distance[0] = -1
    with progress.task("Choosing faces", count, "face") as task:
        for n in range(1, count):
            chosen[n] = row = int(distance.argmax())
            np.minimum(distance, ((points - points[row]) ** 2).sum(axis=1), out=distance)
            distance[row] = -1  # taken; copies of it still have distance 0
            if n % 64 == 0:
                task.advance(64)
        task.advance(count - (count - 1) // 64 * 64)
    return chosen


def _diversity(table: FaceTable) -> NDArray[np.float32]:
    """Pose, expression, shape and light of every face, each group of numbers with the same total spread: (N, D)."""
    turned = table.poses[:, :2]
    shape = table.column(RECORD, "landmarks").astype(np.float64)
    shape = shape - shape.mean(axis=1, keepdims=True)
    shape /= np.maximum(np.sqrt((shape**2).sum(axis=(1, 2), keepdims=True)), 1e-9)
    shape = _without_pose(shape.reshape(len(shape), -1), table.poses)
    shares = np.asarray(table.column(TONES, "face"), np.float32) ** 2
    shares[:, 0] = 0  # the black around the face
    tones = np.sqrt(shares.reshape(len(shares), _HISTOGRAM_BINS, -1).sum(axis=2))
    weighted = ((turned, _TURN_WEIGHT), (table.openness, _OPEN_WEIGHT), (shape, _SHAPE_WEIGHT), (tones, _TONE_WEIGHT))
    return np.column_stack([_spread_to(part, weight) for part, weight in weighted]).astype(np.float32)


def _without_pose(shape: NDArray, poses: NDArray) -> NDArray:
    """What is left of the shape after its dependence on the pose, to the second power, is taken out."""
    pitch, yaw, roll = poses.T
    terms = np.column_stack([np.ones(len(poses)), pitch, yaw, roll, pitch**2, yaw**2, pitch * yaw])
    fit, *_ = np.linalg.lstsq(terms, shape, rcond=None)
    return shape - terms @ fit


def _spread_to(part: NDArray, weight: float) -> NDArray:
    centered = part - part.mean(axis=0)
    return centered * (weight / max(float(np.sqrt((centered**2).sum(axis=1).mean())), 1e-9))


def coverage_order(table: FaceTable, progress: Progress = SILENT) -> NDArray[np.int64]:
    """All rows, those first that add most to yaw, pitch, eyes and mouth. The first 4,096 are exact (each is the
    farthest from all before it); the others follow by their distance from these."""
    features = np.column_stack([_spread_to(part[:, None], 1.0) for part in (*table.poses[:, :2].T, *table.openness.T)])
    if len(features) == 0:
        return np.zeros(0, np.int64)
    start = int((features**2).sum(axis=1).argmin())
    rows = np.concatenate([[start], np.delete(np.arange(len(features)), start)])
    first = rows[farthest_points(features[rows].astype(np.float32), _COVERAGE_EXACT, progress)]
    others = np.setdiff1d(rows, first)
    if len(others) == 0:
        return first
    distance, _ = cKDTree(features[first]).query(features[others])
    return np.concatenate([first, others[np.argsort(-distance, kind="stable")]])


# ------------------------------------------------------------------------------------------------ as users know it


def _select_as_before(table: FaceTable, quality: NDArray, target: int, bins: NDArray) -> NDArray[np.int64]:
    """Spec steps-and-cli 6.8, steps 2 to 9."""
    per_bin = max(1, round(target / YAW_BINS))
    sizes = np.bincount(bins, minlength=YAW_BINS)
    per_bin += int(np.maximum(per_bin - sizes, 0).sum()) // YAW_BINS
    gray = unit_rows(table.column(TONES, "gray"))
    kept = [np.zeros(0, np.int64)]
    for b in range(YAW_BINS):
        rows = np.flatnonzero(bins == b)
        rows = rows[np.argsort(-quality[rows], kind="stable")][: _BEFORE_KEPT * per_bin]
        cells = _pitch_cells(table.poses[rows, 0], per_bin)
        queues = []
        for cell in np.unique(cells):
            members = rows[cells == cell]
            unusual = dissimilarity_sums(gray[members], exact_up_to=len(members))
            queues.append(members[np.argsort(-unusual, kind="stable")].tolist())
        kept.append(np.array(_take_in_turn(queues, per_bin), np.int64))
    return np.concatenate(kept)


def _pitch_cells(pitch: NDArray, count: int) -> NDArray[np.int64]:
    if count == 1:
        return np.zeros(len(pitch), np.int64)
    grid = np.linspace(-np.pi / 2, np.pi / 2, count)
    return np.clip(np.searchsorted(grid, pitch, side="right") - 1, 0, count - 1)


def _take_in_turn(queues: list[list[int]], count: int) -> list[int]:
    taken: list[int] = []
    for turn in range(max((len(queue) for queue in queues), default=0)):
        taken += [queue[turn] for queue in queues if turn < len(queue)]
    return taken[:count]
