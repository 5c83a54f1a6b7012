"""The ways to sort: one table, from which the menu, the flag `--by` and the words of docs/ come.

A way arranges faces into an order, and may name some for the trash. One that sorts by a value can also come first in a
list of several (`--by face-yaw,blur`): it then makes groups, and the next way arranges each of them.

Numbers, names and directions 0 to 14 are those users know (spec steps-and-cli 6.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption
from core.files import natural_key
from core.progress import Progress
from mainscripts.sort_best import best_faces, coverage_order
from mainscripts.sort_chain import ABSOLUTE, HISTOGRAMS, chain, dissimilarity_sums, unit_rows
from mainscripts.sort_identity import find_persons
from mainscripts.sort_table import FaceTable
from samplelib.face_features import IDENTITY, MOTION, RECORD, SHARPNESS, THUMBNAIL, THUMBNAIL_SIDE, TONES

_ANGLE_OF_A_GROUP = np.radians(15.0)
_POOLED = 2  # pixels of the thumbnail that are one value of the absolute difference


@dataclass(frozen=True)
class SortSettings:
    """What the user can choose beside the way itself."""

    similar: bool = True
    target: int = 2000
    as_before: bool = False
    trash_multi: bool = False
    trash_unsharp: bool = False
    groups: int = 8


def _nothing() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Rows of a table: order, those for the trash, and what is to be said of it."""

    order: NDArray[np.int64]
    trash: NDArray[np.int64] = field(default_factory=_nothing)
    notes: tuple[str, ...] = ()


Arrange = Callable[[FaceTable, SortSettings, Progress], Arrangement]
Label = Callable[[FaceTable, SortSettings, Progress], NDArray[np.int64]]


@dataclass(frozen=True)
class SortMethod:
    """One way.

    Attributes:
        number, name, title: as in the menu; the name is what `--by` takes.
        groups: the groups of features it looks at.
        arrange: puts a table into order.
        label: (N,) numbers that ascend in the order of arrange and are equal within a group; None: it makes no groups.
        others: further spellings of the name.
        alone: selects faces, so it cannot be combined.
    """

    number: int
    name: str
    title: str
    groups: tuple[str, ...]
    arrange: Arrange
    label: Label | None = None
    others: tuple[str, ...] = ()
    alone: bool = False


# ------------------------------------------------------------------------------------------------------------- values

Values = Callable[[FaceTable], NDArray]


def _by_value(
    values: Values, *, ascending: bool = False, width: float | None = None, sharpness: bool = False
) -> tuple[Arrange, Label]:
    """A way that sorts by a number. width: of a group; None: groups of equal size."""

    def arrange(table: FaceTable, settings: SortSettings, progress: Progress) -> Arrangement:
        found = np.asarray(values(table), np.float64)
        order = np.argsort(found if ascending else -found, kind="stable")
        none = int((found == 0).sum()) if sharpness else 0
        if none == 0:
            return Arrangement(order)
        if settings.trash_unsharp:
            return Arrangement(order[: len(order) - none], order[len(order) - none :])
        return Arrangement(order, notes=(f"{none:,} faces have no edge to measure (sharpness 0); they come last.",))

    def label(table: FaceTable, settings: SortSettings, progress: Progress) -> NDArray[np.int64]:
        found = np.asarray(values(table), np.float64)
        found = found if ascending else -found
        if width is not None:
            return np.floor(found / width + 0.5).astype(np.int64)
        places = np.empty(len(found), np.int64)
        places[np.argsort(found, kind="stable")] = np.arange(len(found))
        groups = places * settings.groups // max(len(found), 1)
        # Equal values stay together.
        _, first = np.unique(found, return_inverse=True)
        lowest = np.full(first.max(initial=0) + 1, settings.groups)
        np.minimum.at(lowest, first, groups)
        return lowest[first]

    return arrange, label


def _column(group: str, name: str) -> Values:
    return lambda table: table.column(group, name)


def _frame_ranks(table: FaceTable) -> NDArray[np.int64]:
    rank = {name: n for n, name in enumerate(sorted(set(table.frame_names), key=natural_key))}
    return np.array([rank[name] for name in table.frame_names], np.int64)


def _faces_of_frame(table: FaceTable) -> NDArray[np.int64]:
    count = Counter(table.frame_names)
    return np.array([count[name] for name in table.frame_names], np.int64)


def _label_frames(table: FaceTable, settings: SortSettings, progress: Progress) -> NDArray[np.int64]:
    return _frame_ranks(table)


def _label_counts(table: FaceTable, settings: SortSettings, progress: Progress) -> NDArray[np.int64]:
    return _faces_of_frame(table)


def _one_face(table: FaceTable, settings: SortSettings, progress: Progress) -> Arrangement:
    count = _faces_of_frame(table)
    order = np.argsort(count, kind="stable")
    several = int((count > 1).sum())
    if settings.trash_multi:
        return Arrangement(order[: len(order) - several], order[len(order) - several :])
    if not several:
        return Arrangement(order, notes=("No frame shows more than one face.",))
    last = f"{several:,} faces share their frame with others; they come last."
    return Arrangement(order, notes=(f"{last} --trash-multi puts them into the trash.",))


# ------------------------------------------------------------------------------------------------------------- chains


def _histogram_chain(table: FaceTable, settings: SortSettings, progress: Progress) -> Arrangement:
    rows = unit_rows(table.column(TONES, "histogram"))
    return Arrangement(chain(rows.reshape(len(rows), -1), HISTOGRAMS, progress=progress))


def _histogram_sums(table: FaceTable, settings: SortSettings, progress: Progress) -> Arrangement:
    sums = dissimilarity_sums(unit_rows(table.column(TONES, "face")), progress=progress)
    return Arrangement(np.argsort(-sums, kind="stable"))


def _difference_chain(table: FaceTable, settings: SortSettings, progress: Progress) -> Arrangement:
    pixels = table.column(THUMBNAIL, "pixels")
    cells = THUMBNAIL_SIDE // _POOLED
    pooled = pixels.reshape(len(pixels), cells, _POOLED, cells, _POOLED, 3).mean(axis=(2, 4), dtype=np.float32)
    rows = pooled.reshape(len(pixels), -1)
    return Arrangement(chain(rows, ABSOLUTE, farthest=not settings.similar, progress=progress))


# ---------------------------------------------------------------------------------------------- selection and persons


def _best(group: str, column: str) -> Arrange:
    def arrange(table: FaceTable, settings: SortSettings, progress: Progress) -> Arrangement:
        quality = np.asarray(table.column(group, column), np.float64)
        order = best_faces(table, quality, settings.target, settings.as_before)
        left = np.setdiff1d(np.arange(len(table)), order)
        return Arrangement(order, left)

    return arrange


def _coverage(table: FaceTable, settings: SortSettings, progress: Progress) -> Arrangement:
    return Arrangement(coverage_order(table, progress))


def _persons(table: FaceTable, settings: SortSettings, progress: Progress) -> Arrangement:
    persons = find_persons(table, progress)
    order = np.lexsort((-persons.typical, persons.ids))
    counts = np.bincount(persons.ids)
    notes, start = [], 0
    for person, count in enumerate(counts.tolist(), start=1):
        if person <= 20:
            notes.append(f"person {person}: {count:,} faces, from place {start:,} on")
        start += count
    if len(counts) > 20:
        notes.append(f"and {len(counts) - 20:,} more persons, or faces that fit none.")
    return Arrangement(order, notes=tuple(notes))


def _label_persons(table: FaceTable, settings: SortSettings, progress: Progress) -> NDArray[np.int64]:
    return find_persons(table, progress).ids


METHODS: tuple[SortMethod, ...] = (
    SortMethod(0, "blur", "blur", (SHARPNESS,), *_by_value(_column(SHARPNESS, "perceived"), sharpness=True)),
    SortMethod(1, "motion-blur", "motion_blur", (MOTION,), *_by_value(_column(MOTION, "laplacian"), sharpness=True)),
    SortMethod(2, "face-yaw", "face yaw direction", (), *_by_value(lambda t: t.poses[:, 1], width=_ANGLE_OF_A_GROUP)),
    SortMethod(
        3, "face-pitch", "face pitch direction", (), *_by_value(lambda t: t.poses[:, 0], width=_ANGLE_OF_A_GROUP)
    ),
    SortMethod(
        4, "face-source-rect-size", "face rect size in source image", (), *_by_value(_column(RECORD, "rect_area"))
    ),
    SortMethod(5, "hist", "histogram similarity", (TONES,), _histogram_chain),
    SortMethod(6, "hist-dissim", "histogram dissimilarity", (TONES,), _histogram_sums),
    SortMethod(7, "brightness", "brightness", (TONES,), *_by_value(_column(TONES, "brightness"))),
    SortMethod(8, "hue", "hue", (TONES,), *_by_value(_column(TONES, "hue"))),
    SortMethod(9, "black", "amount of black pixels", (TONES,), *_by_value(_column(TONES, "zeros"), ascending=True)),
    SortMethod(10, "origname", "original filename", (), _by_value(_frame_ranks, ascending=True)[0], _label_frames),
    SortMethod(11, "oneface", "one face in image", (), _one_face, _label_counts),
    SortMethod(12, "absdiff", "absolute pixel difference", (THUMBNAIL,), _difference_chain),
    SortMethod(
        13, "final", "best faces", (SHARPNESS, TONES), _best(SHARPNESS, "perceived"), None, ("final-by-blur",), True
    ),
    SortMethod(
        14, "final-fast", "best faces faster", (TONES,), _best(RECORD, "rect_area"), None, ("final-by-size",), True
    ),
    SortMethod(15, "similarity", "the same person together", (IDENTITY,), _persons, _label_persons, ("identity",)),
    SortMethod(16, "eyes", "openness of the eyes", (), *_by_value(lambda t: t.openness[:, 0])),
    SortMethod(17, "mouth", "openness of the mouth", (), *_by_value(lambda t: t.openness[:, 1])),
    SortMethod(18, "coverage", "most different poses and expressions first", (), _coverage),
)

DEFAULT = METHODS[5].name


def find_methods(text: str) -> tuple[SortMethod, ...]:
    """ "face-yaw,blur" or "2,0" -> the ways, in this order.

    Raises:
        BadOption: one is not known, cannot come before another, or cannot be combined.
    """
    known = {spelling: method for method in METHODS for spelling in (method.name, str(method.number), *method.others)}
    words = [word.strip().casefold() for word in text.split(",")]
    for word in words:
        if word not in known:
            names = ", ".join(f"{m.number} {m.name}" for m in METHODS)
            raise BadOption(f"There is no way to sort by that name. Received: {word}.", f"Ways: {names}.")
    methods = tuple(known[word] for word in words)
    for method in methods[:-1]:
        if method.label is None:
            groups = ", ".join(m.name for m in METHODS if m.label is not None)
            raise BadOption(
                f"{method.name} makes no groups, so nothing can be sorted inside them. Received: --by {text}.",
                f"Put it last, or choose one of these before it: {groups}.",
            )
    if len(methods) > 1 and methods[-1].alone:
        raise BadOption(
            f"{methods[-1].name} chooses faces and stands alone. Received: --by {text}.",
            "Run it by itself, then sort again.",
        )
    return methods


def groups_of(methods: Sequence[SortMethod]) -> tuple[str, ...]:
    """The groups of features that these ways look at."""
    return tuple(dict.fromkeys(group for method in methods for group in method.groups))


def arrange_by(
    table: FaceTable,
    methods: Sequence[SortMethod],
    settings: SortSettings,
    progress: Progress,
    take: Callable[[FaceTable, NDArray[np.int64]], FaceTable],
) -> Arrangement:
    """The order by several ways: the first makes groups, the next arranges each of them, and so on."""
    first, *rest = methods
    if not rest:
        return first.arrange(table, settings, progress)
    assert first.label is not None, "checked by find_methods"
    labels = first.label(table, settings, progress)
    order: list[NDArray[np.int64]] = []
    trash: list[NDArray[np.int64]] = []
    notes: list[str] = []
    for value in np.unique(labels):
        rows = np.flatnonzero(labels == value)
        inside = arrange_by(take(table, rows), rest, settings, progress, take)
        order.append(rows[inside.order])
        trash.append(rows[inside.trash])
        notes += inside.notes if len(rest) == 1 and len(inside.trash) else []
    made = f"{len(order):,} groups by {first.name}"
    return Arrangement(
        np.concatenate([_nothing(), *order]), np.concatenate([_nothing(), *trash]), (made, *dict.fromkeys(notes))
    )
