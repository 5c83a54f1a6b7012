"""The judgments of `util --report` as numbers: which faces are doubtful, cut, missing. Arrays in, arrays out.

Angles are degrees here, as the report shows them; yaw above 0 is image-left, pitch above 0 is up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from core.geometry import distance_of_points
from core.shots import film_and_number
from facelib.landmarks import LANDMARKS, POSE_POINTS

_HEAD = np.column_stack([POSE_POINTS, np.ones(LANDMARKS)])
_TO_HEAD = np.linalg.pinv(_HEAD)
_UNLIKELY_MISFIT = 9.0
"""Units of the mean head, which is about 150 wide. 1,362 faces of two people, up to 24 degrees off: 2.6 to 6.9."""
_UNLIKELY_SPREADS = 6.0
_SPREAD_OF_MAD = 1.4826
_JUMP = 0.08
"""Of the side of the face's box. The same faces, frame by frame: 0.03 at most."""
_UPSIDE = 75.0
_SURE_PRESENCE = 12.0
"""Logits of the landmark network. 600 faces of the shared clips: 15.6 to 25; what is no face mostly stays below 10."""
_SURE_SCORE = 0.6
"""Of the detector. The same faces: 0.88 to 0.93."""
_NEAR_DEGREES = 10.0
_ENOUGH_NEAR = 5
GAP_STEP = 20
"""Degrees a side of the cells in which gaps are told."""
_LEAST_GAP = 0.004
_GRID = 24
_BLACK = 3


@dataclass(frozen=True)
class Doubt:
    """A face whose landmarks may be wrong. row: its place; reason: a sentence; weight: 1 and above, worst first."""

    row: int
    reason: str
    weight: float


@dataclass(frozen=True)
class Gap:
    """A direction in which the other side has faces and this one has too few.

    yaw, pitch: middle of the cell. there, here: faces of each side in the cell. rows: the other side's, in the cell,
    that have fewer than enough faces near them here.
    """

    yaw: float
    pitch: float
    there: int
    here: int
    rows: NDArray[np.int64]


def misfits(landmarks: NDArray) -> NDArray[np.float64]:
    """How badly 68 points fit any view of the mean head: (N,), units of that head, root of the mean square.

    landmarks: (N, 68, 2), any pixels. The view is the best affine camera, so turns of the head cost nothing.
    """
    points = np.asarray(landmarks, np.float64)
    camera = _TO_HEAD @ points
    missed = points - _HEAD @ camera
    scale = np.linalg.norm(camera[:, :3], axis=(1, 2)) / np.sqrt(2)
    return np.sqrt((missed * missed).sum(axis=2).mean(axis=1)) / np.maximum(scale, 1e-9)


def jumps(frame_names: Sequence[str], frame_landmarks: NDArray, boxes: NDArray) -> NDArray[np.float64]:
    """How far each face is from the middle between the same face one frame before and after: (N,), sides of its box.

    0 where there are not both, and where they too are that far apart (the face moves, or the film is cut).
    frame_landmarks: (N, 68, 2). boxes: (N, 4), left, top, right, bottom.
    """
    boxes = np.asarray(boxes, np.float64)
    center, side = (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(boxes[:, 2] - boxes[:, 0], 1.0)
    at: dict[tuple[str, int], list[int]] = {}
    places = [_numbered(name) for name in frame_names]
    for row, place in enumerate(places):
        at.setdefault(place, []).append(row)
    far = np.zeros(len(places))
    for row, (film, number) in enumerate(places):
        around = [_nearest(at.get((film, number + step), []), row, center, side[row]) for step in (-1, 1)]
        if -1 in around:
            continue
        before, after = (frame_landmarks[n].astype(np.float64) for n in around)
        off = distance_of_points(frame_landmarks[row], (before + after) / 2) / side[row]
        far[row] = off if off > distance_of_points(before, after) / side[row] else 0.0
    return far


def _numbered(name: str) -> tuple[str, int]:
    """The film and the number of a frame; -2 keeps frames without one apart."""
    film, number = film_and_number(name)
    return film, -2 if number is None else number


def _nearest(rows: Sequence[int], row: int, center: NDArray, most: float) -> int:
    """Of these rows the one whose center is nearest to that of `row`, within `most` pixels; -1 where none is."""
    if not rows:
        return -1
    distance = np.linalg.norm(center[list(rows)] - center[row], axis=1)
    best = int(np.argmin(distance))
    return rows[best] if distance[best] < most else -1


def find_doubts(
    misfit: NDArray, jump: NDArray, frame_to_face: NDArray, presence: NDArray, score: NDArray, gap: NDArray
) -> list[Doubt]:
    """Faces whose landmarks may be wrong, the most doubtful first.

    frame_to_face: (N, 2, 3). presence, score: (N,), what the networks said. gap: (N,), above 0 where the detector
    missed the face and it was found between the frames around it. NaN: nothing is known.
    """
    middle = float(np.median(misfit))
    spread = _SPREAD_OF_MAD * float(np.median(np.abs(misfit - middle)))
    limit = max(_UNLIKELY_MISFIT, middle + _UNLIKELY_SPREADS * spread)
    turned = np.abs(np.degrees(np.arctan2(frame_to_face[:, 1, 0], frame_to_face[:, 0, 0])))
    unsure, low, missed = presence < _SURE_PRESENCE, score < _SURE_SCORE, gap > 0
    doubts = []
    for row in np.flatnonzero((misfit > limit) | (jump > _JUMP) | (turned > _UPSIDE) | unsure | low | missed).tolist():
        reasons, weights = [], []
        if misfit[row] > limit:
            reasons.append("its landmarks do not form a usual face")
            weights.append(float(misfit[row] / limit))
        if jump[row] > _JUMP:
            reasons.append(f"it jumps by {100 * jump[row]:.0f} % of its size for one frame")
            weights.append(float(jump[row] / _JUMP))
        if turned[row] > _UPSIDE:
            reasons.append(f"it lies turned by {turned[row]:.0f}° in its frame")
            weights.append(float(turned[row] / _UPSIDE))
        if unsure[row]:
            reasons.append(f"the landmark network doubts it ({presence[row]:.1f}; clear faces have 15 and more)")
            weights.append(1 + (_SURE_PRESENCE - float(presence[row])) / _SURE_PRESENCE)
        if low[row]:
            reasons.append(f"the detector was {100 * score[row]:.0f} % sure of it")
            weights.append(_SURE_SCORE / max(float(score[row]), 0.01))
        if missed[row]:
            reasons.append("the detector missed it; it was found between the frames around it")
            weights.append(1.0)
        doubts.append(Doubt(row, "; ".join(reasons), max(weights)))
    return sorted(doubts, key=lambda doubt: (-doubt.weight, doubt.row))


def count_near(places: NDArray, others: NDArray) -> NDArray[np.int64]:
    """How many of `others` (M, 2) look within 10 degrees of each of `places` (N, 2): (N,)."""
    if len(others) == 0 or len(places) == 0:
        return np.zeros(len(places), np.int64)
    counted = cKDTree(others).query_ball_point(places, _NEAR_DEGREES, return_length=True)
    return np.asarray(counted, np.int64)


def find_gaps(here: NDArray, there: NDArray) -> tuple[list[Gap], float]:
    """Directions in which `there` (M, 2) has faces and `here` (N, 2) fewer than 5 within 10 degrees; columns yaw and
    pitch, degrees.

    Returns:
        Gaps, the one with the most faces first, and the share of `there` that has enough near it.
    """
    few = count_near(there, here) < _ENOUGH_NEAR
    cells, cells_here = _cells(there), _cells(here)
    gaps = []
    for cell in sorted({tuple(cell) for cell in cells[few].tolist()}):
        inside = (cells == cell).all(axis=1)
        rows = np.flatnonzero(inside & few)
        if len(rows) >= max(2, _LEAST_GAP * len(there)):
            count = int((cells_here == cell).all(axis=1).sum())
            yaw, pitch = (float(n * GAP_STEP) for n in cell)
            gaps.append(Gap(yaw, pitch, int(inside.sum()), count, rows))
    gaps.sort(key=lambda gap: -len(gap.rows))
    return gaps, float(1 - few.mean()) if len(there) else 1.0


def _cells(places: NDArray) -> NDArray[np.int64]:
    return np.round(np.asarray(places).reshape(-1, 2) / GAP_STEP).astype(np.int64)


def say_direction(yaw: float, pitch: float) -> str:
    """A direction in words: "40° left and 20° up", "straight ahead"."""
    across = f"{abs(yaw):.0f}° {'left' if yaw > 0 else 'right'}" if yaw else ""
    along = f"{abs(pitch):.0f}° {'up' if pitch > 0 else 'down'}" if pitch else ""
    return " and ".join(filter(None, (across, along))) or "straight ahead"


def outside_share(frame_to_face: NDArray, sides: NDArray, sizes: NDArray) -> NDArray[np.float64]:
    """The part of each aligned picture that lies outside of its frame: (N,), -1 where the frame's size is not known.

    frame_to_face: (N, 2, 3). sides: (N,) of the pictures. sizes: (N, 2) width and height of frames, 0 not known.
    """
    steps = (np.arange(_GRID) + 0.5) / _GRID
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    linear, shift = frame_to_face[:, :, :2], frame_to_face[:, :, 2]
    shares = np.full(len(sides), -1.0)
    for row in np.flatnonzero((sizes > 0).all(axis=1)).tolist():
        points = (grid * sides[row] - 0.5 - shift[row]) @ np.linalg.inv(linear[row]).T
        inside = (points >= -0.5) & (points <= sizes[row] - 0.5)
        shares[row] = 1 - inside.all(axis=1).mean()
    return shares


def landmarks_outside(frame_landmarks: NDArray, sizes: NDArray) -> NDArray[np.int64]:
    """How many of the 68 landmarks of each face lie outside of its frame; 0 where the frame's size is not known."""
    inside = ((frame_landmarks >= -0.5) & (frame_landmarks <= sizes[:, None] - 0.5)).all(axis=2)
    return np.where((sizes > 0).all(axis=1), (~inside).sum(axis=1), 0)


def black_share(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The part of each small picture that is black and touches its edge, which is what lies outside of a frame looks
    like: (N,). pixels: (N, S, S, 3)."""
    black: NDArray[np.bool_] = np.max(pixels, axis=3) <= _BLACK
    shares = np.zeros(len(pixels))
    for row in np.flatnonzero(black.reshape(len(black), -1).any(axis=1)).tolist():
        _, areas = cv2.connectedComponents(black[row].astype(np.uint8))
        edge = np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])
        shares[row] = np.isin(areas, np.setdiff1d(edge, 0)).mean()
    return shares


def skin_colors(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean color of the middle of small aligned pictures (N, S, S, 3): (N, 3) in Lab, L 0..100, a and b around 0."""
    side = pixels.shape[1]
    middle = np.ascontiguousarray(pixels[:, side // 4 : 3 * side // 4, side // 4 : 3 * side // 4])
    lab = cv2.cvtColor(middle.reshape(-1, 1, 3).astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    return lab.reshape(len(pixels), -1, 3).mean(axis=1).astype(np.float64)
