"""Follows faces through a shot: which face of a frame is which person's, and where one was missed in between.

    tracks = link_faces(sights, shots)          # every face belongs to one track
    for gap in gaps(tracks, sights, shots):     # frames in which a track is missing, with where to look
        ...                                     # look there again, then track.faces[gap.frame] = what was found

Frame by frame, faces are given to the tracks they fit best, all at once, so that two people never trade places for the
sake of one of them. What counts is where a track is expected (by its motion), the shape and the size of its landmarks,
how much the boxes overlap, and how the face looks (a tiny aligned picture). Who is out of sight for long and comes back
has the own track again by looks alone. Tracks end where the shot ends.

Source of the assignment: H. W. Kuhn, "The Hungarian method for the assignment problem", 1955.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from core.geometry import distance_of_points, intersection_over_union, warp
from core.progress import SILENT, Progress, Task
from core.shots import Shots
from facelib.alignment import bbox_from_landmarks, frame_to_face
from facelib.extraction import FoundFace
from facelib.face_type import FaceType

LONGEST_GAP = 10
"""Frames without the face that are searched again, in a row."""
LOOK_SIDE = 8
# How far, in sides of its box, a face may be from its expected place: in the next frame, and more per frame missed.
_REACH, _REACH_PER_FRAME, _MOST_REACH = 0.5, 0.08, 1.2
_PAST = 5
_DAMPING = 0.8
_LOOK_WEIGHT = 6.0
_OVERLAP_WEIGHT = 0.5
# Parts of the range of gray by which looks differ on the average. Measured on the shared clips, a person from frame to
# frame: 0.01 to 0.06, in other light up to 0.16; two people: 0.10 to 0.19.
# Who comes back differs from before by no more than this ...
_SAME_LOOK = 0.08
# ... and who differs by more than this from one frame to the next is somebody else.
_OTHER_LOOK = 0.30
_LOST_AFTER = 8
_LOOK_ADAPTS = 0.15
_FORBIDDEN = 1e6
_FITS, _MOST_GROWTH = 0.25, 1.4
_SHARED = 0.4


@dataclass(frozen=True, eq=False)
class Sight:
    """The faces of one frame, and how each looks (`look_of`); both in the finder's order."""

    faces: tuple[FoundFace, ...] = ()
    looks: tuple[NDArray[np.uint8], ...] = ()


@dataclass(eq=False)
class Track:
    """One person through one shot.

    Attributes:
        number: from 1, by first frame.
        shot: as in `Shots`.
        faces: frame (its place in the sequence) -> the face; frames in rising order are `frames`.
    """

    number: int
    shot: int
    faces: dict[int, FoundFace] = field(default_factory=dict)

    @property
    def frames(self) -> list[int]:
        return sorted(self.faces)

    @property
    def side(self) -> float:
        """Median side of the box around the face, frame pixels."""
        return float(np.median([face.side for face in self.faces.values()]))


@dataclass(frozen=True, eq=False)
class Gap:
    """A frame in which a face was missed. expected: (68, 2), where its landmarks should be, frame pixels."""

    track: int
    frame: int
    expected: NDArray[np.float32]


def look_of(frame: NDArray, landmarks: NDArray) -> NDArray[np.uint8]:
    """The aligned face as a picture (8, 8, 3). frame: (H, W, 3) BGR uint8."""
    to_look = frame_to_face(landmarks, FaceType.FULL, LOOK_SIDE)
    return np.asarray(np.round(warp(frame, to_look, LOOK_SIDE, interpolation="area-cubic").clip(0, 255)), np.uint8)


def link_faces(sights: Sequence[Sight], shots: Shots, progress: Progress = SILENT) -> list[Track]:
    """Gives every face a track: numbered by first frame, in one frame as the finder reports them."""
    tracks: list[Track] = []
    with progress.task("Following faces", len(sights), brief=True) as task:
        for _, frames in groupby(range(len(sights)), key=lambda frame: int(shots.shots[frame])):
            tracks += _joined(_follow(frames, sights, shots, task))
    for number, track in enumerate(tracks, 1):
        track.number = number
    return tracks


def _follow(frames: Iterable[int], sights: Sequence[Sight], shots: Shots, task: Task) -> list[_Thread]:
    """The threads of one shot, by first frame."""
    threads: list[_Thread] = []
    in_sight: list[_Thread] = []
    for frame in frames:
        sight, time = sights[frame], int(shots.times[frame])
        in_sight = [thread for thread in in_sight if thread.missed(time) <= _LOST_AFTER]
        given = _assign(in_sight, sight, time)
        for number, (face, look) in enumerate(zip(sight.faces, sight.looks, strict=True)):
            thread = given.get(number)
            if thread is None:
                thread = _Thread(Track(0, int(shots.shots[frame])))
                threads.append(thread)
                in_sight.append(thread)
            thread.add(frame, time, face, look)
        task.advance()
    return threads


def _joined(threads: Sequence[_Thread]) -> list[Track]:
    """The tracks of one shot: parts that never show at once and look the same are one person's, most alike first."""
    whose = list(range(len(threads)))
    apart: set[tuple[int, int]] = set()
    for early, late in _alike(threads):
        first, second = sorted((whose[early], whose[late]))
        if first == second or (first, second) in apart:
            continue
        faces, more = threads[first].track.faces, threads[second].track.faces
        if faces.keys() & more.keys():
            apart.add((first, second))
            continue
        faces.update(more)
        whose = [first if owner == second else owner for owner in whose]
    return [threads[number].track for number in sorted(set(whose))]


def _alike(threads: Sequence[_Thread]) -> Iterator[tuple[int, int]]:
    """Pairs (earlier, later) of threads that look the same on the whole, most alike first."""
    looks = np.stack([np.median(thread.looks, axis=0).ravel() for thread in threads]) if threads else np.zeros((0, 1))
    found = [np.zeros((3, 0))]
    for late in range(1, len(looks)):
        unlike = cdist(looks[late : late + 1], looks[:late], "cityblock")[0] / looks.shape[1] / 255
        early = np.flatnonzero(unlike <= _SAME_LOOK)
        found.append(np.stack([unlike[early], early, np.full(len(early), late)]))
    pairs = np.concatenate(found, axis=1)
    for _, first, second in pairs[:, np.lexsort(pairs[::-1])].T:
        yield int(first), int(second)


class _Thread:
    """What is known of a track while it is followed."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self.looks: list[NDArray[np.uint8]] = []
        self.past: list[tuple[int, FoundFace]] = []
        self._look: NDArray[np.float32] | None = None

    def add(self, frame: int, time: int, face: FoundFace, look: NDArray[np.uint8]) -> None:
        self.track.faces[frame] = face
        self.past = [*self.past, (time, face)][-_PAST:]
        self.looks.append(look)
        seen = look.astype(np.float32)
        self._look = seen if self._look is None else self._look + _LOOK_ADAPTS * (seen - self._look)

    def missed(self, time: int) -> int:
        """Frames without this face before `time`."""
        return time - self.past[-1][0] - 1

    def expected(self, time: int) -> NDArray[np.float64]:
        """Where the landmarks would be: carried on as the face last moved, ever slower."""
        last_time, last = self.past[-1]
        first_time, first = self.past[0]
        here = last.landmarks.astype(np.float64)
        if last_time == first_time:
            return here
        speed = (here.mean(axis=0) - first.landmarks.astype(np.float64).mean(axis=0)) / (last_time - first_time)
        return np.asarray(here + speed * sum(_DAMPING**k for k in range(time - last_time)))

    def cost(self, face: FoundFace, look: NDArray[np.uint8], time: int) -> float:
        """How badly a face fits; _FORBIDDEN where it cannot be this one."""
        assert self._look is not None, "a thread has a face"
        unlike, missed = _unlike(self._look, look), self.missed(time)
        expected = self.expected(time)
        side = (face.side * self.past[-1][1].side) ** 0.5
        off = distance_of_points(expected, face.landmarks) / side
        reach = min(_REACH + _REACH_PER_FRAME * missed, _MOST_REACH)
        if off > reach or unlike > _OTHER_LOOK:
            return _FORBIDDEN
        moved = expected.mean(axis=0) - self.past[-1][1].landmarks.mean(axis=0)
        shared = intersection_over_union(self.past[-1][1].bbox + np.tile(moved, 2), face.bbox)
        return off / reach + _OVERLAP_WEIGHT * (1 - shared) + _LOOK_WEIGHT * unlike


def _assign(threads: Sequence[_Thread], sight: Sight, time: int) -> dict[int, _Thread]:
    """Face number -> its track, for the faces that have one already."""
    if not threads or not sight.faces:
        return {}
    costs = np.array(
        [
            [thread.cost(face, look, time) for face, look in zip(sight.faces, sight.looks, strict=True)]
            for thread in threads
        ]
    )
    rows, columns = linear_sum_assignment(costs)
    return {int(c): threads[r] for r, c in zip(rows, columns, strict=True) if costs[r, c] < _FORBIDDEN}


def gaps(tracks: Sequence[Track], shots: Shots) -> Iterator[Gap]:
    """The frames in which a track is missing for a short while, with its landmarks halfway between before and after."""
    for track in tracks:
        frames = track.frames
        for before, after in pairwise(frames):
            start, end = int(shots.times[before]), int(shots.times[after])
            if not 1 < end - start <= LONGEST_GAP + 1:
                continue
            first, last = (track.faces[n].landmarks.astype(np.float64) for n in (before, after))
            for frame in range(before + 1, after):
                part = (int(shots.times[frame]) - start) / (end - start)
                yield Gap(track.number, frame, np.asarray(first + part * (last - first), np.float32))


def fills(gap: Gap, found: FoundFace, others: Sequence[FoundFace]) -> bool:
    """Whether what was found in a gap is the missing face: near its place, of its shape and size, and nobody else's."""
    box = bbox_from_landmarks(gap.expected)
    side = float(box[2] - box[0])
    off = distance_of_points(gap.expected, found.landmarks) / side
    alike = 1 / _MOST_GROWTH <= found.side / side <= _MOST_GROWTH
    alone = all(intersection_over_union(found.bbox, other.bbox) <= _SHARED for other in others)
    return off <= _FITS and alike and alone


def runs(track: Track, shots: Shots) -> Iterator[list[int]]:
    """The frames of a track, divided where it is missing for a frame or more, or jumps (an unseen cut)."""
    run: list[int] = []
    for frame in track.frames:
        if run and (shots.times[frame] != shots.times[run[-1]] + 1 or _jumps(track.faces[run[-1]], track.faces[frame])):
            yield run
            run = []
        run.append(frame)
    if run:
        yield run


def _jumps(face: FoundFace, next_one: FoundFace) -> bool:
    return distance_of_points(face.landmarks, next_one.landmarks) > _REACH * (face.side * next_one.side) ** 0.5


def _unlike(look: NDArray, other: NDArray) -> float:
    """How much two looks differ, in parts of the range of gray."""
    return float(np.abs(np.asarray(look, np.float32) - other).mean()) / 255
