"""What somebody sees who marks faces by hand: the frame at the window's size, small rectangles magnified.

Source: spec faces-and-formats 6.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace
from core.geometry import compose_affine, invert_affine, transform_points, warp
from facelib.alignment import frame_to_face
from facelib.extraction import draw_crop, draw_landmarks, draw_outline
from facelib.face_rectangle import SMALL
from facelib.face_type import FaceType

_GREEN, _CYAN, _BLUE = (0, 255, 0), (255, 255, 0), (255, 0, 0)


@dataclass(frozen=True)
class FrameView:
    """A frame in the window.

    Attributes:
        width, height: of the frame, pixels.
        window_size: the view is 9/16 of it high; 0: as large as the frame.
        center, half_size: of the rectangle, frame pixels.
    """

    width: int
    height: int
    window_size: int
    center: tuple[float, float]
    half_size: float

    @property
    def scale(self) -> float:
        """View pixels for one frame pixel, where nothing is magnified."""
        return self.window_size * 9 / 16 / self.height if self.window_size else 1.0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the view."""
        return max(1, round(self.width * self.scale)), max(1, round(self.height * self.scale))

    @property
    def frame_to_view(self) -> NDArray:
        """float64 (2, 3): frame pixels to view pixels. A small rectangle fills half of the view, in its middle."""
        scale = self.scale
        whole = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
        if self.half_size > SMALL:
            return whole
        zoom = min(self.size) / 2 / (2 * self.half_size * scale)
        middle = transform_points(np.array([self.center]), whole)[0]
        corner = (np.array(self.size) - 1) / 2 - zoom * middle
        return compose_affine(whole, np.column_stack([zoom * np.eye(2), corner]))

    def in_frame(self, x: float, y: float) -> tuple[float, float]:
        """Where the pointer is in the frame, as if nothing were magnified; outside of the view its edge counts."""
        x, y = min(max(x, 0), self.size[0] - 1), min(max(y, 0), self.size[1] - 1)
        return (x + 0.5) / self.scale - 0.5, (y + 0.5) / self.scale - 0.5


def draw_view(
    frame: NDArray,
    view: FrameView,
    rectangle: NDArray,
    landmarks: NDArray | None,
    accepted: Sequence[NDArray],
    face_type: FaceType,
    *,
    locked: bool,
) -> NDArray:
    """The view, (H, W, 3) BGR uint8.

    Args:
        frame: (H, W, 3) BGR uint8.
        rectangle: its corners (4, 2), frame pixels; blue.
        landmarks: of the face in it (68, 2), frame pixels; green, cyan where it is locked, with the crop in red.
        accepted: landmarks of other faces of this frame; cyan.
    """
    to_view = view.frame_to_view
    picture = np.ascontiguousarray(warp(frame, to_view, view.size, interpolation="linear"))
    draw_outline(picture, transform_points(rectangle, to_view), _BLUE, 2)
    for face in accepted:
        draw_landmarks(picture, transform_points(face, to_view), _CYAN)
    if landmarks is not None:
        draw_landmarks(picture, transform_points(landmarks, to_view), _CYAN if locked else _GREEN)
        try:
            frame_to_crop = frame_to_face(landmarks, face_type, 1)
        except NotAFace:
            return picture
        draw_crop(picture, compose_affine(invert_affine(frame_to_crop), to_view), 1.0)
    return picture
