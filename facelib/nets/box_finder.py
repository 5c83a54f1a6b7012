"""Faces by a detector of boxes and a landmark network, many frames at once.

1. The detector looks at every frame upright, then turned by 90, 270 and 180 degrees clockwise, until it finds a face.
2. The landmark network looks at each box once.
3. In accurate mode the face is cut out upright by these landmarks; where the detector sees exactly one face in that
   picture, the landmarks are measured there again, as the mean of five looks.
4. What is no face, or one that was reported already, is dropped.

Source: spec faces-and-formats 4.7, 5.6, 6.3-6.5, 10.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace
from core.geometry import invert_affine, transform_points
from facelib.alignment import frame_to_face, frame_to_unit
from facelib.extraction import FaceFinder, FoundFace, NearFinder, crop_side_pixels, plausible_face
from facelib.face_type import FaceType
from facelib.nets.blaze_face import same_face
from facelib.nets.fan import FAN
from facelib.nets.s3fd import S3FD, FaceBox

VERSION = 1

_TRIED_TURNS = (0, 1, 3, 2)
_SMALLEST_FRAME = 128
_SECOND_SIDE = 256
_SAME_FACE, _PART_OF_FACE = 0.3, 0.6
_MOST_BOXES = 4.0


@dataclass(frozen=True)
class Candidate:
    """A box in a frame that was turned clockwise by so many quarters, in which the face is upright."""

    turns: int
    box: FaceBox


class BoxDetector(Protocol):
    """Whoever finds boxes around faces."""

    @property
    def identity(self) -> str:
        """Name, version and weights."""
        ...

    def candidates(self, frames: Sequence[NDArray]) -> list[list[Candidate]]:
        """The faces of each (H, W, 3) BGR uint8 frame, largest first."""
        ...

    def second_boxes(self, pictures: Sequence[NDArray]) -> list[NDArray | None]:
        """The box (4,) of the face in each (256, 256, 3) upright FULL crop; None: keep what is known of this face."""
        ...

    def near(self, crop: NDArray, expected: NDArray) -> FaceBox | None:
        """The box in an upright (256, 256, 3) FULL crop that may show a face; None where it does not.

        expected: (68, 2), where the landmarks should be, pixels of the crop.
        """
        ...


class S3FDDetector:
    """Boxes by S3FD: every quarter turn is tried until one shows a face."""

    def __init__(self, network: S3FD, weights_id: str) -> None:
        """weights_id: some letters that tell these weights from others."""
        self._network = network
        self.identity = f"s3fd {VERSION} ({weights_id})"

    def candidates(self, frames: Sequence[NDArray]) -> list[list[Candidate]]:
        found: list[list[Candidate]] = [[] for _ in frames]
        open_numbers = [n for n, frame in enumerate(frames) if min(frame.shape[:2]) >= _SMALLEST_FRAME]
        for turns in _TRIED_TURNS:
            boxes = self._network.detect([turned(frames[n], turns) for n in open_numbers])
            for number, of_frame in zip(open_numbers, boxes, strict=True):
                found[number] = [Candidate(turns, box) for box in of_frame]
            open_numbers = [n for n in open_numbers if not found[n]]
        return found

    def second_boxes(self, pictures: Sequence[NDArray]) -> list[NDArray | None]:
        return [boxes[0].bbox if len(boxes) == 1 else None for boxes in self._network.detect(pictures)]

    def near(self, crop: NDArray, expected: NDArray) -> FaceBox | None:
        boxes = self._network.detect([crop])[0]
        middle = np.asarray(expected, np.float64).mean(axis=0)
        return min(boxes, key=lambda box: float(np.hypot(*((box.bbox[:2] + box.bbox[2:]) / 2 - middle))), default=None)


class MeshDetector:
    """Boxes by the default finder: the upright square around the landmarks of its mesh, about what S3FD gives."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder
        self.identity = f"boxes by {finder.identity}"

    def candidates(self, frames: Sequence[NDArray]) -> list[list[Candidate]]:
        return [[_upright(face, *frame.shape[:2]) for face in self._finder.find(frame)] for frame in frames]

    def second_boxes(self, pictures: Sequence[NDArray]) -> list[NDArray | None]:
        return [np.array([0.0, 0.0, _SECOND_SIDE, _SECOND_SIDE])] * len(pictures)

    def near(self, crop: NDArray, expected: NDArray) -> FaceBox | None:
        face = self._finder.find_near(crop, expected) if isinstance(self._finder, NearFinder) else None
        return None if face is None else FaceBox(face.bbox, face.score)


def _upright(face: FoundFace, height: int, width: int) -> Candidate:
    """The face's box in the frame turned by the quarters that bring its eyes nearest to the horizontal."""
    across = invert_affine(frame_to_unit(face.landmarks))[:, 0]
    turns = round(-math.atan2(across[1], across[0]) / (math.pi / 2)) % 4
    frame_to_turned = invert_affine(turned_to_frame(turns, height, width))
    corners = transform_points(face.bbox.reshape(2, 2).astype(np.float64), frame_to_turned)
    return Candidate(turns, FaceBox(np.concatenate([corners.min(axis=0), corners.max(axis=0)]), face.score))


class BoxFinder:
    """A finder made of a detector and a landmark network; loads once, takes many frames per call."""

    def __init__(
        self, detector: BoxDetector, landmarker: FAN, landmarker_id: str, face_type: FaceType, *, accurate: bool = True
    ) -> None:
        """Args:
        landmarker_id: name and weights of the landmark network.
        face_type: what will be cut out; crops of FULL and smaller that are four times as large as their box are
            mistakes of the landmarks.
        accurate: measure every face a second time.
        """
        self._detector = detector
        self._landmarker = landmarker
        self._face_type = face_type
        self._accurate = accurate
        looks = "two passes" if accurate else "one pass"
        self.identity = f"{detector.identity} + {landmarker_id} ({looks})"

    def find(self, frame: NDArray) -> list[FoundFace]:
        """The faces of (H, W, 3) BGR uint8, largest first; each person once."""
        return self.find_many([frame])[0]

    def find_many(self, frames: Sequence[NDArray]) -> list[list[FoundFace]]:
        """As `find`, for each frame; the networks see many of them at once. The frames may differ in size."""
        rows = [(n, c) for n, found in enumerate(self._detector.candidates(frames)) for c in found]
        pictures = [turned(frames[n], candidate.turns) for n, candidate in rows]
        first = self._landmarker.measure(pictures, [candidate.box.bbox for _, candidate in rows], five=False)
        landmarks = self._again(pictures, first) if self._accurate else first
        faces: list[list[FoundFace]] = [[] for _ in frames]
        for (number, candidate), points in zip(rows, landmarks, strict=True):
            if points is not None:
                height, width = frames[number].shape[:2]
                points = transform_points(points, turned_to_frame(candidate.turns, height, width))
                self._add(faces[number], points, candidate.box, height, width)
        return faces

    def measure_box(self, frame: NDArray, box: NDArray, turn: float = 0.0, *, accurate: bool = True) -> NDArray | None:
        """The landmarks of the face in a box (see facelib/marks.py)."""
        cosine, sine = math.cos(turn), math.sin(turn)
        linear, center = np.array([[cosine, sine], [-sine, cosine]]), (box[:2] + box[2:]) / 2
        to_upright = np.column_stack([linear, center - linear @ center])
        height, width = frame.shape[:2]
        picture = cv2.warpAffine(frame, to_upright, (width, height), flags=cv2.INTER_LINEAR) if turn else frame
        found = self._landmarker.measure([picture], [box], five=False)
        if accurate and self._accurate:
            found = self._again([picture], found)
        return None if found[0] is None else transform_points(found[0], invert_affine(to_upright))

    def find_near(self, frame: NDArray, landmarks: NDArray) -> FoundFace | None:
        """The face where one is expected (see facelib.extraction.NearFinder): the detector must see one there."""
        to_crop = frame_to_face(landmarks, FaceType.FULL, _SECOND_SIDE)
        crop = cv2.warpAffine(frame, to_crop, (_SECOND_SIDE, _SECOND_SIDE), flags=cv2.INTER_LINEAR)
        box = self._detector.near(crop, transform_points(np.asarray(landmarks, np.float64), to_crop))
        found = None if box is None else self._landmarker.measure([crop], [box.bbox], five=self._accurate)[0]
        if box is None or found is None:
            return None
        points = transform_points(found, invert_affine(to_crop))
        return FoundFace.from_landmarks(points, box.score) if plausible_face(points, *frame.shape[:2]) else None

    def _again(self, pictures: Sequence[NDArray], first: Sequence[NDArray | None]) -> list[NDArray | None]:
        """The landmarks measured once more on the upright crop, where the detector agrees that it shows one face."""
        landmarks = list(first)
        crops: list[tuple[int, NDArray, NDArray]] = []
        for number, points in enumerate(first):
            if points is None:
                continue
            try:
                to_crop = frame_to_face(points, FaceType.FULL, _SECOND_SIDE)
            except NotAFace:
                landmarks[number] = None
                continue
            crop = cv2.warpAffine(pictures[number], to_crop, (_SECOND_SIDE, _SECOND_SIDE), flags=cv2.INTER_LINEAR)
            crops.append((number, to_crop, crop))
        boxes = self._detector.second_boxes([crop for _, _, crop in crops])
        seen = [(*row, box) for row, box in zip(crops, boxes, strict=True) if box is not None]
        second = self._landmarker.measure([row[2] for row in seen], [row[3] for row in seen], five=True)
        for (number, to_crop, _, _), points in zip(seen, second, strict=True):
            if points is not None:
                landmarks[number] = transform_points(points, invert_affine(to_crop))
        return landmarks

    def _add(self, faces: list[FoundFace], points: NDArray, box: FaceBox, height: int, width: int) -> None:
        """Appends the face unless it is none, or one of those that are there."""
        if not plausible_face(points, height, width):
            return
        area = crop_side_pixels(points, self._face_type) ** 2
        if self._face_type <= FaceType.FULL and area > _MOST_BOXES * box.area:
            return
        face = FoundFace.from_landmarks(points, box.score)
        if not any(same_face(face.bbox, other.bbox, _SAME_FACE, _PART_OF_FACE) for other in faces):
            faces.append(face)


def turned(frame: NDArray, turns: int) -> NDArray:
    """The frame turned clockwise by so many quarters."""
    return np.ascontiguousarray(np.rot90(frame, -turns))


def turned_to_frame(turns: int, height: int, width: int) -> NDArray:
    """float64 (2, 3): pixels of `turned(frame, turns)` to pixels of the (height, width) frame."""
    return np.array(
        {
            0: [[1, 0, 0], [0, 1, 0]],
            1: [[0, 1, 0], [-1, 0, height - 1]],
            2: [[-1, 0, width - 1], [0, -1, height - 1]],
            3: [[0, -1, width - 1], [1, 0, 0]],
        }[turns],
        np.float64,
    )
