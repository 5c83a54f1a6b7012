"""The default finder: BlazeFace finds faces, a mesh of 468 vertices measures them, 68 landmarks come out.

1. The frame is searched whole, upright and turned by 90, 270 and 180 degrees (the short-range detector knows faces
   that fill the frame), and in overlapping square tiles, so that small faces are found too; the larger tiles are
   turned as well when nothing turns up.
2. Answers for one face from several views are reduced to the best one.
3. The mesh network looks at a square around each face, turned upright by the eyes, and says whether there is a face
   at all; where it doubts, it looks again with the square on its side and upside down.
4. It looks again at the square that its answer gives, upright by the aligned crop, until that square stays in place;
   then once more, in accurate mode eight times,
   slightly moved, turned, scaled and mirrored, and the mean counts: mirroring cancels its left-right bias, the rest
   steadies the landmarks (on the shared clips a fifth to a third less trembling; see benchmarks/jitter.py).
5. What does not fit a face, or is a face already reported, is dropped.

Source: spec faces-and-formats 10.2; Y. Kartynnik et al., "Real-time facial surface geometry from monocular video on
mobile GPUs", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace
from core.geometry import compose_affine, invert_affine, transform_points, warp
from facelib.alignment import frame_to_unit
from facelib.extraction import FoundFace, plausible_face
from facelib.landmarks import LANDMARKS, mirror_landmarks
from facelib.nets.blaze_face import (
    IMAGE_LEFT_EYE,
    IMAGE_RIGHT_EYE,
    BlazeFace,
    Detections,
    same_face,
)
from facelib.nets.litert import LiteRTNetwork
from facelib.nets.mesh_landmarks import VERTICES, landmarks_from_mesh
from facelib.nets.pretrained import FACE_MESH, FULL_RANGE, SHORT_RANGE

VERSION = 1

_REGION_SCALE = 1.5
# Logits of presence. Faces reach 15 and more, faces on their side or upside down, and most of what is no face, stay
# below 10 (measured on the shared clips, two portraits and pictures without people).
_LEAST_PRESENCE = 0.0
_SURE_PRESENCE = 12.0
_QUARTER_TURNS = (math.pi / 2, -math.pi / 2, math.pi)
_MOST_APPROACHES = 4
_TILE_OVERLAP = 0.25
_TILE_LEVELS = 2
# A detector finds faces down to this part of the side of its picture (measured on two portraits: 0.05-0.07) ...
_RELIABLE_PART = 0.07
# ... and tiles are added until faces of about this many pixels are found.
_SMALLEST_WANTED_PIXELS = 40.0
# Two boxes are one face when they share more than this of their union, or more than this of the smaller one.
_SAME_BOX, _PART_OF_BOX = 0.3, 0.6
_SAME_FACE, _PART_OF_FACE = 0.3, 0.6
_TRIED_TURNS = (0, 1, 3, 2)
_SMALLEST_FRAME = 16
# Of a box that was drawn by hand: as it is, larger, smaller.
_TRIED_SCALES = (1.0, 1.3, 0.75)

# Accurate mode: (scale, turn in radians, shift x, shift y in sides of the region, mirrored). Opposites cancel.
_LOOKS = (
    (0.93, 0.08, 0.00, 0.02, False),
    (1.07, -0.08, 0.00, -0.02, True),
    (0.93, -0.08, 0.00, -0.02, True),
    (1.07, 0.08, 0.00, 0.02, False),
    (1.00, 0.04, 0.02, 0.00, False),
    (1.00, -0.04, -0.02, 0.00, True),
    (1.00, -0.04, 0.02, 0.00, True),
    (1.00, 0.04, -0.02, 0.00, False),
)
_Move = tuple[float, float, float, float, bool]
_ONE_LOOK = ((1.0, 0.0, 0.0, 0.0, False),)


@dataclass(frozen=True)
class Region:
    """A turned square of a frame. center: float64 (2,), frame pixels; side in pixels; angle of its x axis."""

    center: NDArray
    side: float
    angle: float

    def frame_to_input(self, side: int) -> NDArray:
        """float64 (2, 3): frame pixels -> pixels of a (side, side) picture that shows exactly this square."""
        scale = side / self.side
        cosine, sine = scale * math.cos(self.angle), scale * math.sin(self.angle)
        linear = np.array([[cosine, sine], [-sine, cosine]])
        return np.column_stack([linear, (side - 1) / 2 - linear @ self.center])

    def moved(self, scale: float, turn: float, x: float, y: float) -> Region:
        """The square scaled, turned, and shifted by parts of its side."""
        return Region(self.center + self.side * np.array([x, y]), self.side * scale, self.angle + turn)

    def resembles(self, other: Region) -> bool:
        """Whether the network would see nearly the same picture: within 5 % in place and size, 4 degrees in turn."""
        turn = math.remainder(self.angle - other.angle, 2 * math.pi)
        shift = float(np.abs(self.center - other.center).max())
        return abs(math.log(self.side / other.side)) < 0.05 and shift < 0.05 * self.side and abs(turn) < math.radians(4)


@dataclass(frozen=True)
class _Look:
    """What the mesh network saw: vertices (468, 2) and landmarks (68, 2) in frame pixels, and the logit of presence."""

    outline: NDArray
    landmarks: NDArray
    presence: float


@dataclass(frozen=True)
class _Measured:
    """What all looks at a face have in common: mean landmarks (68, 2), frame pixels, and the least presence."""

    landmarks: NDArray
    presence: float


class FaceMeshFinder:
    """Finds faces in frames; one per process."""

    def __init__(
        self, *, accurate: bool = True, calibrated: bool = True, deep_jaw: bool = False, threads: int = 1
    ) -> None:
        """Args:
            accurate: mean of eight looks instead of one.
            calibrated, deep_jaw: as in `landmarks_from_mesh`; deep_jaw for HEAD crops.
            threads: processors the networks may use.

        Raises:
            MissingInput, BrokenFile: the weights are not there, or damaged.
        """
        self._full_range = BlazeFace(FULL_RANGE, threads)
        self._short_range = BlazeFace(SHORT_RANGE, threads)
        self._mesh = LiteRTNetwork(FACE_MESH, threads)
        self._looks = _LOOKS if accurate else _ONE_LOOK
        self._calibrated = calibrated
        self._deep_jaw = deep_jaw

    @property
    def identity(self) -> str:
        weights = "+".join(f.sha256[:8] for f in (FULL_RANGE, SHORT_RANGE, FACE_MESH))
        words = ["accurate" if len(self._looks) > 1 else "one look"]
        words.append("calibrated" if self._calibrated else "not calibrated")
        words.append("deep jaw" if self._deep_jaw else "jaw on contour")
        return f"face_mesh {VERSION} ({', '.join(words)}; {weights})"

    def find(self, frame: NDArray) -> list[FoundFace]:
        """The faces of (H, W, 3) BGR uint8, largest first; each person once."""
        if min(frame.shape[:2]) < _SMALLEST_FRAME:
            return []
        candidates = self._detect(frame)
        faces: list[FoundFace] = []
        for box, key_points, score in zip(candidates.boxes, candidates.key_points, candidates.scores, strict=True):
            measured = self._measure(frame, _region_of_detection(box, key_points), self._looks)
            if measured is None or not plausible_face(measured.landmarks, *frame.shape[:2]):
                continue
            face = FoundFace.from_landmarks(measured.landmarks, float(score), measured.presence)
            if not any(same_face(face.bbox, other.bbox, _SAME_FACE, _PART_OF_FACE) for other in faces):
                faces.append(face)
        return sorted(faces, key=lambda f: -f.area)

    def measure_box(self, frame: NDArray, box: NDArray, turn: float = 0.0, *, accurate: bool = True) -> NDArray | None:
        """The landmarks of the face in a box (see facelib/marks.py). Larger and smaller squares are tried as well."""
        center, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
        for scale in _TRIED_SCALES:
            region = Region(center, _REGION_SCALE * scale * side, turn)
            measured = self._measure(frame, region, self._looks if accurate else _ONE_LOOK)
            if measured is not None and np.hypot(*(measured.landmarks.mean(axis=0) - center)) < side:
                return measured.landmarks
        return None

    def find_near(self, frame: NDArray, landmarks: NDArray) -> FoundFace | None:
        """The face where one is expected, without the detector (see facelib.extraction.NearFinder).

        Its score is what the mesh network gives it.
        """
        expected = np.asarray(landmarks, np.float64)
        region = _region_of_mesh(_Look(expected, expected, 0.0))
        if region is None or min(frame.shape[:2]) < _SMALLEST_FRAME:
            return None
        measured = self._measure(frame, region, self._looks)
        if measured is None or not plausible_face(measured.landmarks, *frame.shape[:2]):
            return None
        score = 1 / (1 + math.exp(-measured.presence))
        return FoundFace.from_landmarks(measured.landmarks, score, measured.presence)

    def _detect(self, frame: NDArray) -> Detections:
        """Candidates of all views, best first, each face once; those cut by the edge of a tile come last."""
        small, small_to_frame = _shrunk(frame, self._full_range.side)
        parts = [(self._short_range.detect(small).transformed(small_to_frame), False)]
        for quarter_turns in _TRIED_TURNS:
            turned, back = _turned(small, quarter_turns)
            found = self._full_range.detect(turned).transformed(compose_affine(back, small_to_frame))
            parts.append((found, False))
        parts += self._detect_in_tiles(frame, 0, _TILE_LEVELS)
        if not any(len(found) for found, _ in parts):
            for quarter_turns in _TRIED_TURNS[1:]:
                parts += self._detect_in_tiles(frame, quarter_turns, levels=1)
        everything = Detections.join([found for found, _ in parts])
        cut = np.repeat([is_cut for _, is_cut in parts], [len(found) for found, _ in parts])
        ranked = everything.select(np.lexsort((-everything.scores, cut)))
        kept: list[int] = []
        for n, box in enumerate(ranked.boxes):
            if not any(same_face(box, ranked.boxes[k], _SAME_BOX, _PART_OF_BOX) for k in kept):
                kept.append(n)
        return ranked.select(np.array(kept, int))

    def _detect_in_tiles(self, frame: NDArray, quarter_turns: int, levels: int) -> list[tuple[Detections, bool]]:
        """Per tile, what lies whole in it and what its edge cuts, in frame pixels."""
        turned, back = _turned(frame, quarter_turns)
        height, width = turned.shape[:2]
        parts = []
        for left, top, side in tiles(height, width, levels):
            tile = turned[top : top + side, left : left + side]
            found = self._full_range.detect(tile)
            cut = _touches_inner_edge(found.boxes, left, top, tile.shape[1], tile.shape[0], height, width)
            tile_to_frame = back.copy()
            tile_to_frame[:, 2] += back[:, :2] @ (left, top)
            found = found.transformed(tile_to_frame)
            parts += [(found.select(~cut), False), (found.select(cut), True)]
        return parts

    def _measure(self, frame: NDArray, region: Region, looks: Sequence[_Move]) -> _Measured | None:
        """The face in a region; None where the network sees none."""
        first = self._look(frame, region)
        if first.presence < _SURE_PRESENCE:  # the key points may have the face on its side or upside down
            turns = [self._look(frame, region.moved(1, turn, 0, 0)) for turn in _QUARTER_TURNS]
            first = max([first, *turns], key=lambda look: look.presence)
        for _ in range(_MOST_APPROACHES):
            closer = _region_of_mesh(first) if first.presence >= _LEAST_PRESENCE else None
            if closer is None:
                return None
            settled = closer.resembles(region)
            region = closer
            if settled:
                break
            first = self._look(frame, region)
        seen = [self._look(frame, region.moved(*look[:4]), mirrored=look[4]) for look in looks]
        presence = min(look.presence for look in seen)
        if presence < _LEAST_PRESENCE:
            return None
        return _Measured(np.asarray(np.mean([look.landmarks for look in seen], axis=0)), presence)

    def _look(self, frame: NDArray, region: Region, *, mirrored: bool = False) -> _Look:
        """One run of the mesh network."""
        side = self._mesh.side
        to_input = region.frame_to_input(side)
        picture = warp(frame, to_input, side, interpolation="linear", border="replicate")
        if mirrored:
            picture = picture[:, ::-1]
        answers = self._mesh.run(picture[..., ::-1] * np.float32(1 / 255))
        mesh = next(a for a in answers if a.size == 3 * VERTICES).reshape(VERTICES, 3).astype(np.float64)
        (logit,) = (float(a.ravel()[0]) for a in answers if a.size == 1)
        if not (np.isfinite(mesh).all() and math.isfinite(logit)):
            return _Look(mesh[:, :2], np.zeros((LANDMARKS, 2)), -math.inf)
        mesh[:, :2] -= 0.5  # the network counts from the edge of the first pixel, landmarks from its center
        landmarks = landmarks_from_mesh(mesh, calibrated=self._calibrated, deep_jaw=self._deep_jaw)
        if mirrored:
            landmarks = mirror_landmarks(landmarks, side)
            mesh[:, 0] = side - 1 - mesh[:, 0]
        back = invert_affine(to_input)
        return _Look(transform_points(mesh[:, :2], back), transform_points(landmarks, back), logit)


def tiles(height: int, width: int, levels: int = _TILE_LEVELS) -> list[tuple[int, int, int]]:
    """The square tiles in which a frame is searched besides its whole: (left, top, side), possibly none.

    Sides are a half and a quarter of the long side, neighbors overlap by a quarter; a level is left out when the one
    before already shows faces of the wanted size. A tile may be larger than the frame is high.
    """
    long_side = max(height, width)
    found = []
    for level in range(1, levels + 1):
        if _RELIABLE_PART * long_side / 2 ** (level - 1) <= _SMALLEST_WANTED_PIXELS:
            break
        side = math.ceil(long_side / 2**level)
        found += [(x, y, side) for y in _starts(height, side) for x in _starts(width, side)]
    return found


def _starts(length: int, side: int) -> list[int]:
    """Evenly spread starts of tiles that cover 0..length with the overlap or more."""
    if length <= side:
        return [0]
    count = 1 + math.ceil((length - side) / (side * (1 - _TILE_OVERLAP)))
    return [round(n * (length - side) / (count - 1)) for n in range(count)]


def _touches_inner_edge(
    boxes: NDArray, left: int, top: int, tile_width: int, tile_height: int, height: int, width: int
) -> NDArray:
    """Which boxes (n, 4), in tile pixels, reach an edge of their tile that is not the edge of the frame."""
    return (
        ((boxes[:, 0] < 0) & (left > 0))
        | ((boxes[:, 1] < 0) & (top > 0))
        | ((boxes[:, 2] > tile_width - 1) & (left + tile_width < width))
        | ((boxes[:, 3] > tile_height - 1) & (top + tile_height < height))
    )


def _region_of_detection(box: NDArray, key_points: NDArray) -> Region:
    """The square for the first look: 1.5 times the detection, eyes level."""
    eyes = key_points[IMAGE_RIGHT_EYE] - key_points[IMAGE_LEFT_EYE]
    sides = box[2:] - box[:2]
    return Region((box[:2] + box[2:]) / 2, _REGION_SCALE * float(sides.max()), math.atan2(eyes[1], eyes[0]))


def _region_of_mesh(look: _Look) -> Region | None:
    """The square for the next look: 1.5 times the extent of the mesh, upright as the aligned crop would be."""
    try:
        across = invert_affine(frame_to_unit(look.landmarks))[:, 0]
    except NotAFace:
        return None
    angle = math.atan2(across[1], across[0])
    upright = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    turned = look.outline @ upright.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    return Region(upright.T @ ((low + high) / 2), _REGION_SCALE * float((high - low).max()), angle)


def _shrunk(frame: NDArray, side: int) -> tuple[NDArray, NDArray]:
    """The frame with its long side reduced to `side` (never enlarged), and its pixels -> frame pixels, (2, 3)."""
    height, width = frame.shape[:2]
    fit = min(1.0, side / max(height, width))
    size = max(1, round(width * fit)), max(1, round(height * fit))
    scale = np.array([width / size[0], height / size[1]])
    small = frame if size == (width, height) else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return small, np.column_stack([np.diag(scale), (scale - 1) / 2])


def _turned(frame: NDArray, quarter_turns: int) -> tuple[NDArray, NDArray]:
    """The frame turned clockwise, and turned pixels -> frame pixels, float64 (2, 3). Source: spec 6.3."""
    height, width = frame.shape[:2]
    back = {
        0: [[1, 0, 0], [0, 1, 0]],
        1: [[0, 1, 0], [-1, 0, height - 1]],
        2: [[-1, 0, width - 1], [0, -1, height - 1]],
        3: [[0, -1, width - 1], [1, 0, 0]],
    }[quarter_turns]
    return np.rot90(frame, -quarter_turns), np.array(back, np.float64)
