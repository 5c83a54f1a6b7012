"""Time: which faces follow each other, how numbers are smoothed along them, and faces that do not tremble.

A *track* is one face through consecutive frames of one scene, as (frame, place of the face in its frame). Along it
numbers are smoothed, missed faces are bridged (merger/gaps.py), and faces move (merger/motion.py). Who is who is
another question (facelib/tracking.py): a person who comes back has a new track here.

What smooths weighs frames before and after alike, `REACH` of them at most; so nothing lags behind, nothing crosses a
cut, and a frame depends on few others.

`steady_faces` takes the trembling out of landmarks before anything is cut out. Place, size and roll of each face go
where a parabola through the frames around puts them; what differs from that much more than this scene usually trembles
(a jerk of the head) does not count. The landmarks move along as one piece, so that cut, paste and outline agree; only
the ears go a little further, so that the average yaw is steady, which crops of whole heads follow. The face's center
moves no further than `FARTHEST_MOVE`, nor do its corners around it. Source: spec merging 10.2; the weights of the jerks
are those of C. Tomasi and R. Manduchi, "Bilateral filtering for gray and color images", 1998, around a local parabola
instead of a constant: a head that moves has no constant place.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from core.errors import NotAFace
from core.geometry import invert_affine, transform_points
from facelib.alignment import average_yaw, frame_to_unit
from facelib.face_type import FaceType
from merger.frames import FrameFace, FrameFaces

REACH = 8
"""Frames before and after that count, at most."""

FARTHEST_MOVE = 0.01
"""The center of a face moves no further, and no further its corners around the center, in parts of the side."""

LONGEST_GAP = 5
"""Frames in a row without the face that do not end a track."""

Track = list[tuple[int, int]]

_Seen = tuple[Track, NDArray, int]
"""A track so far, its last square, and whose it is known to be (0: not known)."""

_FRAMES_PER_STRENGTH = 1 / 12.5
"""Spread of the parabola's weights in frames. It follows accelerations, which a mean does not, and has to look twice as
far for the same calm as the mean of the specification (strength / 25)."""

_JERK = 6.0
"""Differences are jerks from about so many times the scene's median second difference on.

2026-11: on a shared clip (354 frames, landmarks as the network gives them) strength 30 takes the root of the mean
square of jitter from 2.96 to 1.35 thousandths of the side, its median from 2.20 to 0.86, and moves nothing by more than
0.2 % of the side. With 3 instead of 6: 1.64, and more strength made it worse. Around the frame's own value instead of a
parabola, as specified: 2.75, because a head that moves has no constant place.
"""

_FARTHEST_STEP = 0.5
_STEP_PER_MISSED_FRAME = 0.1
_MOST_GROWTH = math.log(1.5)
_YAW_TO_SHARE = 0.5


def time_weights(times: NDArray, now: float, sigma: float, degree: int, reach: int = REACH) -> NDArray[np.float64]:
    """The weights, (N,) with sum 1, that smooth values given at `times` to the value at `now`.

    They are a local polynomial fit with Gaussian weights: what follows a polynomial of this degree over time stays as
    it is, also at the ends. sigma: in frames, above 0. Source: W. S. Cleveland, "Robust locally weighted regression and
    smoothing scatterplots", 1979.
    """
    apart = np.asarray(times, np.float64) - now
    near = np.exp(-0.5 * (apart / sigma) ** 2) * (np.abs(apart) <= reach)
    powers = apart[:, None] ** np.arange(min(degree, int(np.count_nonzero(near)) - 1) + 1)
    # Row 0 of the solution is the value at 0; lstsq takes care of weights too faint to carry a power.
    root = np.sqrt(near)
    weights: NDArray[np.float64] = np.linalg.pinv(powers * root[:, None], rcond=1e-6)[0] * root
    return weights / weights.sum()


def link_faces(frames: Sequence[FrameFaces], scene_starts: Collection[int] = ()) -> list[Track]:
    """The tracks of a shot, by where the faces are and how large, ordered by first frame. Landmarks that are no face's
    are in none. Faces that are known to be two people's (`FrameFace.track`) are never in one.

    Args:
        frames: of the whole shot, in order.
        scene_starts: numbers of frames that begin a scene; no track reaches across.
    """
    starts = set(scene_starts)
    done: list[Track] = []
    active: list[_Seen] = []
    for number, frame in enumerate(frames):
        kept = [] if number in starts else [t for t in active if number - t[0][-1][0] <= LONGEST_GAP + 1]
        done += [track for track, *_ in active if not any(track is other for other, *_ in kept)]
        active = kept
        here: list[_Seen] = [
            ([(number, place)], square, face.track)
            for place, face in enumerate(frame.faces)
            if (square := _square_if_any(face)) is not None
        ]
        given = _assign(active, here)
        for order, (places, square, person) in enumerate(here):
            if order in given:
                track, _, known = active[given[order]]
                track += places
                active[given[order]] = track, square, person or known
            else:
                active.append((places, square, person))
    return sorted(done + [track for track, *_ in active])


def _assign(active: Sequence[_Seen], here: Sequence[_Seen]) -> dict[int, int]:
    """Number of a face -> its track; none for those too far from all."""
    if not active or not here:
        return {}
    costs = np.array([[_apart(before, after) for after in here] for before in active])
    rows, columns = linear_sum_assignment(np.minimum(costs, 2.0))
    return {int(c): int(r) for r, c in zip(rows, columns, strict=True) if costs[r, c] <= 1.0}


def _apart(track: _Seen, face: _Seen) -> float:
    """How badly a face fits; above 1 it is not the same one."""
    (places, before, known), ([(frame, _)], after, person) = track, face
    if known and person and known != person:
        return math.inf
    frames = frame - places[-1][0]
    side = math.exp(max(before[2], after[2]))
    farthest = _FARTHEST_STEP + _STEP_PER_MISSED_FRAME * (frames - 1)
    return max(math.dist(before[:2], after[:2]) / side / farthest, abs(after[2] - before[2]) / _MOST_GROWTH)


def _square_if_any(face: FrameFace) -> NDArray[np.float64] | None:
    try:
        return _square(face)
    except NotAFace:
        return None


def _square(face: FrameFace) -> NDArray[np.float64]:
    """Center x and y, logarithm of the side, and roll of the square the crops are made of, frame pixels and radians."""
    to_frame = invert_affine(frame_to_unit(face.landmarks))
    x, y = transform_points(np.array([0.5, 0.5]), to_frame)
    across = to_frame[:, 0]
    # A FULL square is meant by "side": what a user takes for the face.
    side = FaceType.FULL.unit_sides * math.hypot(*across)
    return np.array([x, y, math.log(side), math.atan2(across[1], across[0])])


def neighbors(tracks: Sequence[Track]) -> dict[tuple[int, int], Track]:
    """(frame, place of a face) -> the part of its track that has a say in it, itself included."""
    around = {}
    for track in tracks:
        times = [frame for frame, _ in track]
        for place in track:
            around[place] = track[bisect_left(times, place[0] - REACH) : bisect_right(times, place[0] + REACH)]
    return around


def steady_faces(frames: Sequence[FrameFaces], tracks: Sequence[Track], strengths: Sequence[int]) -> list[FrameFaces]:
    """The frames with steadied landmarks.

    Args:
        frames: of the whole shot, in order.
        tracks: of `link_faces`; faces in none stay as they are.
        strengths: of each frame, 0..100, for the faces that have no settings of their own; at 0 a face stays as it is,
            to the bit.
    """
    steadied = [list(frame.faces) for frame in frames]
    for track in tracks:
        faces = [frames[frame].faces[place] for frame, place in track]
        wanted = [
            face.settings[0].landmark_strength if face.settings else strengths[frame]
            for face, (frame, _) in zip(faces, track, strict=True)
        ]
        if len(track) < 3 or not any(wanted):
            continue
        moved = _steady_track(faces, np.array([frame for frame, _ in track]), wanted)
        for (frame, place), landmarks, strength in zip(track, moved, wanted, strict=True):
            if strength:
                steadied[frame][place] = dataclasses.replace(steadied[frame][place], landmarks=landmarks)
    return [
        frame if list(frame.faces) == faces else dataclasses.replace(frame, faces=tuple(faces))
        for frame, faces in zip(frames, steadied, strict=True)
    ]


def _steady_track(faces: Sequence[FrameFace], times: NDArray, strengths: Sequence[int]) -> list[NDArray[np.float32]]:
    squares = np.array([_square(face) for face in faces])
    squares[:, 3] = np.unwrap(squares[:, 3])
    # In parts of the side, as far as a corner moves: 0.7 of a change of size or angle.
    sides = np.exp(squares[:, 2:3])
    units = np.array([[np.median(sides)] * 2 + [math.sqrt(2)] * 2])
    moves = smooth_moves(squares / units, times, strengths) * units
    moves[:, :2] = _limited(moves[:, :2] / sides) * sides
    moves[:, 2:] = _limited(moves[:, 2:] / units[:, 2:]) * units[:, 2:]
    # Crops of whole heads go sideways with the average yaw, so that is steadied too.
    yaws = np.array([average_yaw(transform_points(f.landmarks, frame_to_unit(f.landmarks))) for f in faces])
    turns = _limited(smooth_moves(yaws[:, None] * _YAW_TO_SHARE, times, strengths))[:, 0] / _YAW_TO_SHARE
    return [_moved(f.landmarks, s, m, t) for f, s, m, t in zip(faces, squares, moves, turns, strict=True)]


def smooth_moves(values: NDArray, times: NDArray, strengths: Sequence[int]) -> NDArray[np.float64]:
    """How far each row of (N, K) moves to lie on the smooth curve of its track, in parts of a face's side.

    Args:
        values: in parts of the side.
        times: (N,) numbers of the frames, rising.
        strengths: (N,), 0..100.
    """
    moves = np.zeros(values.shape)
    usual = _usual_change(values, times)
    for row, strength in enumerate(strengths):
        if strength == 0:
            continue
        sigma = max(0.3, strength * _FRAMES_PER_STRENGTH)
        near = np.flatnonzero(np.abs(times - times[row]) <= REACH)
        if len(near) < 3:
            continue
        moves[row] = _move_of(values[near], times[near] - times[row], int(np.searchsorted(near, row)), sigma, usual)
    return moves


def _limited(moves: NDArray) -> NDArray[np.float64]:
    """Rows no longer than FARTHEST_MOVE."""
    lengths = np.linalg.norm(moves, axis=1, keepdims=True)
    return np.asarray(moves * np.minimum(1.0, FARTHEST_MOVE / np.maximum(lengths, 1e-12)))


def _usual_change(values: NDArray, times: NDArray) -> NDArray[np.float64]:
    """(K,): what counts as a jerk, `_JERK` times the median second difference of each column."""
    consecutive = (np.diff(times)[:-1] == 1) & (np.diff(times)[1:] == 1)
    changes = np.abs(np.diff(values, 2, axis=0))[consecutive]
    if len(changes) == 0:
        return np.zeros(values.shape[1])
    return np.asarray(_JERK * np.median(changes, axis=0))


def _move_of(values: NDArray, apart: NDArray, now: int, sigma: float, usual: NDArray) -> NDArray[np.float64]:
    """How far the value at `now` is from the parabola around it; jerks nearby weigh little."""
    curve = _parabola(values, apart, sigma)
    off = values - curve
    differs = (off - off[now]) / np.maximum(usual, 1e-9)
    shares = np.exp(-0.5 * (apart / sigma) ** 2)[:, None] * np.exp(-0.5 * differs**2)
    return np.asarray((shares * off).sum(axis=0) / shares.sum(axis=0) - off[now])


def _parabola(values: NDArray, apart: NDArray, sigma: float) -> NDArray[np.float64]:
    """The parabola that fits the values best around 0, at all their times."""
    degree = min(2, len(values) - 2)
    powers = apart[:, None] ** np.arange(degree + 1)
    root = np.exp(-0.25 * (apart / sigma) ** 2)[:, None]
    found = np.linalg.lstsq(powers * root, values * root, rcond=1e-6)[0]
    return np.asarray(powers @ found)


def _moved(landmarks: NDArray, square: NDArray, move: NDArray, turn: float) -> NDArray[np.float32]:
    """Landmarks carried along with their square; `turn` is added to the average yaw."""
    zoom, angle = math.exp(move[2]), move[3]
    rotation = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    points = (np.asarray(landmarks, np.float64) - square[:2]) @ rotation.T + square[:2] + move[:2]
    if turn:
        # The yaw is told by the ears against the bridge of the nose: all six jaw points go half of it.
        to_frame = invert_affine(frame_to_unit(points))
        points[[0, 1, 2, 14, 15, 16]] += 0.5 * turn * to_frame[:, 0]
    return points.astype(np.float32)
