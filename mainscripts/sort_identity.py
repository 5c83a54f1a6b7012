"""Who is who in a faceset, without a network: groups of faces that look like one person.

What is compared is the aligned face, freed from most of its lighting: directions of edges in cells, skin tones, the
shape of the features. Two things that a faceset knows by itself make it work: faces of one place in neighboring frames
are one person (a track), so what varies inside tracks - pose, expression, light - is measured and counts for less; and
two faces in one frame are two persons, so they are never put together.

1. Tracks are joined to parts of a person, of one pose or mood, by what differs within the set.
2. Parts are joined to persons by what they look like on the whole, which does not depend on who else is in the set.

It is no face recognition. It tells a few people apart who are filmed in one or a few shots each; it takes strong
changes of light, glasses or age for another person, and people who are much alike for one: look through its groups.

What was measured (2026-11, four clips of four people, 14 mixtures of 15 to 252 faces each of one to four people; pairs
of faces put together rightly, of all that are put together and of all that belong together): with tracks 1.000 and
1.000, as single photos 1.000 and 0.982. Step 1 alone, with a limit of 0.75, had 0.994 and 0.948, 0.990 and 0.726: who
was alone came as several groups, and rare people beside others as one. In the second step any limit from 0.15 to 0.23
keeps people apart here; with one of 0.15 photos of one person fall apart more (0.879). Still wrong: beside a track of
354 faces, three people of 20 faces each come as one group. The whole clips (1,008, 354, 587 and 160 faces), and 1,008,
354, 98 and 27 of them, make four pure groups. benchmarks/sort.py measures it on other folders.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from core.geometry import intersection_over_union
from core.progress import SILENT, Progress
from mainscripts.sort_chain import main_components
from mainscripts.sort_table import FaceTable
from samplelib.face_features import IDENTITY, RECORD

_COMPONENTS = 96
_CHROMA_WEIGHT, _SHAPE_WEIGHT = 2.0, 1.5
_OVERLAP = 0.5  # of the boxes of neighboring frames
_FRAMES_APART = 2
_ALIKE_IN_A_TRACK = 0.5  # cosine of two faces that are taken for neighbors in a track
_SHRINKAGE = 0.2
_MOST_UNITS = 2000
_LIMIT = 0.6  # cosine distance below which two groups are one part of a person
_SAME_PERSON = 0.20  # difference of what parts look like (see _join_parts) below which they are one person
_SKIN_WEIGHT = 0.25
_ROUNDS = 8
_NOT_TOGETHER = 1e8  # so far that one such pair keeps any two groups apart
_ONE_FACE = 0.2  # overlap from which two boxes in one frame are one face found twice


@dataclass(frozen=True, eq=False)
class Persons:
    """ids: (N,), 0 is the person with the most faces. typical: (N,), how much a face is like its person, up to 1."""

    ids: NDArray[np.int64]
    typical: NDArray[np.float64]


def find_persons(table: FaceTable, progress: Progress = SILENT) -> Persons:
    """Groups the faces of a table by person."""
    with progress.task("Telling persons apart", 3, "step") as task:
        points = describe(table)
        tracks = find_tracks(table, points)
        task.advance()
        points = normalized(suppress_variation(points, tracks))
        task.advance()
        ids = _by_size(_join_parts(_cluster(points, tracks, table), table))
        task.advance()
    middles = normalized(_means(points, ids))
    return Persons(ids, np.einsum("nd,nd->n", points, middles[ids]).astype(np.float64))


def describe(table: FaceTable) -> NDArray[np.float32]:
    """What faces look like, centered: (N, up to 96)."""
    texture = table.column(IDENTITY, "texture")
    shape = table.column(IDENTITY, "shape").reshape(len(table), -1)
    scale = np.sqrt(np.square(texture[:256].astype(np.float32)).sum(axis=1).mean()) if len(texture) else 1.0
    parts = [texture / np.float16(scale), table.column(IDENTITY, "chroma") * _CHROMA_WEIGHT, shape * _SHAPE_WEIGHT]
    joined = np.concatenate([part.astype(np.float16) for part in parts], axis=1)
    return main_components(joined, _COMPONENTS)


def find_tracks(table: FaceTable, points: NDArray) -> NDArray[np.int64]:
    """A number for every face, (N,), equal within a track: neighboring frames, overlapping boxes, alike faces."""
    numbers = [_frame_number(name) for name in table.frame_names]
    boxes = table.column(RECORD, "frame_bbox").astype(np.float64)
    alike = normalized(points)
    track = np.arange(len(table))
    last: dict[str, list[int]] = defaultdict(list)  # series of frames -> faces of its latest frames
    for n in sorted(range(len(numbers)), key=lambda n: numbers[n]):
        series, number = numbers[n]
        near = [m for m in last[series] if number - numbers[m][1] <= _FRAMES_APART]
        links = [m for m in near if numbers[m][1] < number and alike[m] @ alike[n] > _ALIKE_IN_A_TRACK]
        links = [m for m in links if intersection_over_union(boxes[m], boxes[n]) > _OVERLAP]
        if links and number >= 0:
            track[n] = track[max(links, key=lambda m: intersection_over_union(boxes[m], boxes[n]))]
        last[series] = [*near, n]
    return np.unique(track, return_inverse=True)[1]


def _frame_number(name: str) -> tuple[str, int]:
    """ "take2_00017.png" -> ("take2_", 17); a name without a number is a series of its own."""
    found = re.fullmatch(r"(.*?)([0-9]{1,15})\.[^.]*", name)
    return (found[1], int(found[2])) if found else (name, -1)


def suppress_variation(points: NDArray, tracks: NDArray[np.int64]) -> NDArray[np.float32]:
    """Points (N, D) in which every direction counts the less the more it varies inside tracks.

    Source: A. O. Hatch, S. Kajarekar, A. Stolcke, "Within-class covariance normalization", 2006.
    """
    inside = points - _means(points, tracks)[tracks]
    spare = len(points) - (tracks.max(initial=-1) + 1)
    if spare < 2 * points.shape[1]:  # too little is known of what varies
        return points
    covariance = inside.T.astype(np.float64) @ inside / spare
    covariance += _SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(covariance)
    return (points @ (vectors / np.sqrt(values) @ vectors.T)).astype(np.float32)


def normalized(points: NDArray) -> NDArray:
    """Rows of length 1."""
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)


def _means(points: NDArray, groups: NDArray[np.int64]) -> NDArray:
    """The mean of every group, (groups, D)."""
    sums = np.zeros((groups.max(initial=-1) + 1, points.shape[1]))
    np.add.at(sums, groups, points)
    return sums / np.bincount(groups)[:, None]


def _cluster(points: NDArray, tracks: NDArray[np.int64], table: FaceTable) -> NDArray[np.int64]:
    """Person numbers (N,): tracks are joined by the mean distance of their faces; many tracks are first thinned out."""
    units, middles = tracks, normalized(_means(points, tracks))
    if len(middles) > _MOST_UNITS:
        parent = _thin_out(middles, _MOST_UNITS)
        units = parent[tracks]
        middles = normalized(_means(points, units))
    if len(middles) < 2:
        return np.zeros(len(points), np.int64)
    likeness = middles @ middles.T
    plain = ~middles.any(axis=1)  # faces without any difference from the mean are alike
    likeness[np.ix_(plain, plain)] = 1
    apart = np.clip(1 - likeness, 0, 2)
    np.fill_diagonal(apart, 0)
    for one, other in _seen_together(units, table):
        apart[one, other] = apart[other, one] = _NOT_TOGETHER
    tree = linkage(squareform(apart, checks=False), "average")
    return fcluster(tree, _LIMIT, "distance")[units].astype(np.int64) - 1


def _join_parts(parts: NDArray[np.int64], table: FaceTable) -> NDArray[np.int64]:
    """Joins parts of one person, (N,), by what they look like on the whole, whoever else is in the set.

    Means over a part take poses and moods out, so that the difference of two means has a scale of its own: one minus
    the cosine of the textures, and a quarter of the distance of the skin tones.
    """
    texture = normalized(_means(table.column(IDENTITY, "texture").astype(np.float32), parts))
    skin = _means(table.column(IDENTITY, "chroma").astype(np.float32), parts)
    tone = np.sqrt(np.maximum(np.square(skin).sum(1)[:, None] + np.square(skin).sum(1) - 2 * skin @ skin.T, 0))
    apart = 1 - texture @ texture.T + _SKIN_WEIGHT * tone
    forbidden = np.zeros(apart.shape, bool)
    for one, other in _seen_together(parts, table):
        forbidden[one, other] = forbidden[other, one] = True
    person = np.arange(len(apart))
    pairs = np.argwhere(np.triu(apart < _SAME_PERSON, 1))
    for one, other in pairs[np.argsort(apart[tuple(pairs.T)], kind="stable")]:
        if person[one] != person[other]:
            first, second = person == person[one], person == person[other]
            if not forbidden[np.ix_(first, second)].any():
                person[second] = person[one]
    return np.unique(person[parts], return_inverse=True)[1]


def _seen_together(units: NDArray[np.int64], table: FaceTable) -> set[tuple[int, int]]:
    """Pairs of units that have faces side by side in one frame."""
    boxes = table.column(RECORD, "frame_bbox").astype(np.float64)
    by_frame: dict[str, list[int]] = defaultdict(list)
    for n, name in enumerate(table.frame_names):
        by_frame[name].append(n)
    found = set()
    for rows in by_frame.values():
        for a, b in combinations(rows, 2):
            if units[a] != units[b] and intersection_over_union(boxes[a], boxes[b]) < _ONE_FACE:
                found.add((int(units[a]), int(units[b])))
    return found


def _thin_out(points: NDArray, count: int) -> NDArray[np.int64]:
    """Which of `count` groups of alike points each belongs to: k-means with a fixed start and a few rounds."""
    middles = points[np.linspace(0, len(points) - 1, count).astype(int)]
    nearest = np.zeros(len(points), np.int64)
    for _ in range(_ROUNDS):
        for start in range(0, len(points), 4096):
            nearest[start : start + 4096] = (points[start : start + 4096] @ middles.T).argmax(axis=1)
        _, nearest = np.unique(nearest, return_inverse=True)
        middles = normalized(_means(points, nearest))
    return nearest


def _by_size(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same groups, numbered from the largest on."""
    rank = np.empty(ids.max(initial=-1) + 1, np.int64)
    rank[np.argsort(-np.bincount(ids), kind="stable")] = np.arange(len(rank))
    return rank[ids]
