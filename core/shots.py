"""Where the frames of a film belong together: order by number, and cuts between shots.

A cut is told by small pictures of the frames. It is one where no frame on its one side resembles one on its other side,
so that a single spoiled or flash-lit frame is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

import cv2
import numpy as np
from numpy.typing import NDArray

GLANCE_SIDE = 8
_LEAST_CHANGE = 20.0
"""Gray levels by which two glances differ on the average. From frame to frame of the shared clips: 2.7 at most."""
_TIMES_USUAL = 4.0
_AROUND = 6
_FARTHEST = 60


@dataclass(frozen=True)
class Shots:
    """Places of frames in time.

    Attributes:
        times: int64 (N,): steps since the first frame of its film; a missing frame leaves a step out.
        shots: int64 (N,): number of the shot of each frame, from 0, never falling.
    """

    times: NDArray[np.int64]
    shots: NDArray[np.int64]


def glance(frame: NDArray) -> NDArray[np.uint8]:
    """The frame (H, W, 3) uint8 as a picture of 8 by 8 pixels, whatever its proportions."""
    small = cv2.resize(frame, (GLANCE_SIDE, GLANCE_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def find_shots(
    names: Sequence[str], glances: Sequence[NDArray | None], sizes: Sequence[tuple[int, int] | None]
) -> Shots:
    """Divides frames, in the order of their names, into shots.

    A shot ends where the names stop counting on (photos with names of their own are shots of one frame each), where
    the size changes, and at a cut.

    Args:
        glances, sizes: of each frame; None where it could not be read, which ends no shot.
    """
    if not names:
        return Shots(np.zeros(0, np.int64), np.zeros(0, np.int64))
    films, times = _count(names)
    ends = [films[n] != films[n + 1] or times[n + 1] - times[n] > _FARTHEST for n in range(len(names) - 1)]
    readable = [n for n, seen in enumerate(glances) if seen is not None]
    changes = _changes([glances[n] for n in readable])
    for place, (before, after) in enumerate(pairwise(readable)):
        if changes[place] or sizes[before] != sizes[after]:
            ends[after - 1] = True
    return Shots(np.array(times, np.int64), np.concatenate([[0], np.cumsum(ends)]).astype(np.int64))


def film_and_number(name: str) -> tuple[str, int | None]:
    """The film and the number of a frame, by the last digits of its name: "a_0012.png" -> ("a_*", 12). A name without
    digits is a film of its own, without a number."""
    found = re.fullmatch(r"(.*?)([0-9]{1,15})([^0-9]*)", PurePath(name).stem, re.DOTALL)
    return (f"{found[1]}*{found[3]}", int(found[2])) if found else (name, None)


MOST_RUNS = 200
"""So many runs are named where somebody wants to know which frames they are."""


def say_runs(names: Sequence[str], most: int = 12) -> str:
    """Frame names as runs: "00012.png to 00034.png (23), 00040.png and 3 more runs". Names in natural order.

    A single run says no length: whoever names frames says how many there are.
    """
    runs: list[list[str]] = []
    for name in names:
        film, number = film_and_number(name)
        if runs and number is not None and film_and_number(runs[-1][-1]) == (film, number - 1):
            runs[-1].append(name)
        else:
            runs.append([name])
    if len(runs) == 1 and len(runs[0]) > 1:
        return f"{runs[0][0]} to {runs[0][-1]}"
    words = [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]} ({len(run)})" for run in runs[:most]]
    more = f" and {len(runs) - most} more run{'s' * (len(runs) - most > 1)}" if len(runs) > most else ""
    return ", ".join(words) + more


def _count(names: Sequence[str]) -> tuple[list[str], list[int]]:
    """The film of each frame and its number in it, in steps of the numbering (frames may be numbered by fives)."""
    films, numbers = [], []
    for name in names:
        film, number = film_and_number(name)
        films.append(film)
        numbers.append(number or 0)
    apart = Counter(
        later - earlier
        for earlier, later, film, next_film in zip(numbers, numbers[1:], films, films[1:], strict=False)
        if film == next_film and later > earlier
    )
    step = apart.most_common(1)[0][0] if apart else 1
    return films, [number // step for number in numbers]


def _changes(glances: Sequence[NDArray | None]) -> list[bool]:
    """Whether a cut lies between each glance and the next: (N - 1,)."""
    if len(glances) < 2:
        return []
    pictures = np.stack([np.asarray(seen, np.float32).reshape(-1) for seen in glances])
    next_one = np.abs(np.diff(pictures, axis=0)).mean(axis=1)
    usual = np.array([np.median(next_one[max(0, n - _AROUND) : n + _AROUND + 1]) for n in range(len(next_one))])
    cuts = []
    for n, change in enumerate(next_one):
        if change < _LEAST_CHANGE:
            cuts.append(False)
            continue
        before, after = pictures[max(0, n - 1) : n + 1], pictures[n + 1 : n + 3]
        least = np.abs(before[:, None] - after[None]).mean(axis=2).min()
        # Where every frame differs that much from the next, they are no film, and each is a shot of its own.
        stands_out = change > _TIMES_USUAL * usual[n] or usual[n] >= _LEAST_CHANGE
        cuts.append(bool(least >= _LEAST_CHANGE and stands_out))
    return cuts
