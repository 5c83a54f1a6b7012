"""Where scenes begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merger.frames import FrameFace, FrameFaces
from merger.scenes import find_cuts
from tests.painting import paint_frame


def frame(number: int, *centers: tuple[float, float]) -> FrameFaces:
    faces = [FrameFace(paint_frame(320, 240, center, 50, seed=1)[1]) for center in centers]
    return FrameFaces(Path(f"{number:05d}.png"), tuple(faces))


def cuts(frames: list[FrameFaces], levels: list[int] | None = None) -> list[int]:
    glances: list[NDArray | None] = [np.full((8, 8, 3), level, np.uint8) for level in levels or [90] * len(frames)]
    return find_cuts(frames, glances, [(320, 240)] * len(frames))


def test_a_face_that_moves_on_makes_no_cut() -> None:
    assert cuts([frame(n, (60 + 15 * n, 100)) for n in range(8)]) == []


def test_another_picture_is_a_cut() -> None:
    frames = [frame(n, (100, 100)) for n in range(8)]
    assert cuts(frames, [60] * 3 + [190] * 5) == [3]


def test_a_face_somewhere_else_all_at_once_is_a_cut() -> None:
    frames = [frame(n, (80, 100)) for n in range(4)] + [frame(n, (240, 100)) for n in range(4, 8)]
    assert cuts(frames) == [4]


def test_a_face_that_was_found_in_a_wrong_place_once_is_none() -> None:
    frames = [frame(n, (240, 100) if n == 3 else (80, 100)) for n in range(7)]
    assert cuts(frames) == []


def test_another_person_who_comes_or_goes_is_none() -> None:
    frames = [frame(0, (80, 100)), frame(1, (80, 100), (240, 100)), frame(2, (240, 100)), frame(3, (240, 100))]
    assert cuts(frames) == []


def test_frames_without_faces_or_pictures_are_none() -> None:
    frames = [frame(0, (80, 100)), frame(1), frame(2, (240, 100)), frame(3, (240, 100))]
    assert find_cuts(frames, [None] * 4, [None] * 4) == []
    assert find_cuts([frame(0)], [None], [None]) == []


def test_frames_whose_numbers_begin_again_are_another_scene() -> None:
    frames = [FrameFaces(Path(name)) for name in ("a_1.png", "a_2.png", "b_1.png", "b_2.png")]
    assert cuts(frames) == [2]


def test_landmarks_that_are_no_face_are_nowhere() -> None:
    line = np.tile(np.arange(68, dtype=np.float32)[:, None], 2)
    frames = [FrameFaces(Path(f"{n}.png"), (FrameFace(line),)) for n in range(3)]
    assert find_cuts(frames, [None] * 3, [None] * 3) == []
