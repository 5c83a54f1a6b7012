"""Cutting faces out, and the layer that goes back."""

from __future__ import annotations

import numpy as np
import pytest

from core.geometry import transform_points
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.prediction import Prediction
from merger.aligning import align_faces, cut_square, face_layer, pixels_inside, region_around, seen_in_frame
from merger.compositing import Region
from merger.face_tools import FaceAnswer
from merger.frames import FrameFace
from merger.settings import MergeSettings
from tests.merger.scenes import painted_landmarks, smooth_frame

PLAIN = MergeSettings.of()
FRAME = smooth_frame(120, 160)


def test_xseg_is_shown_its_own_square_only_where_it_is_asked() -> None:
    face = FrameFace(painted_landmarks((80, 60), 40))
    (plain,) = align_faces(FRAME, [face], 48, FaceType.FULL, PLAIN, FaceType.WHOLE)
    assert plain.question.around is None
    (asked,) = align_faces(FRAME, [face], 48, FaceType.FULL, MergeSettings.of(mask_mode="XSeg-dst"), FaceType.WHOLE)
    assert asked.around is not None
    assert asked.around.shape == (256, 256, 3)
    nose = face.landmarks[30:31].astype(np.float64)
    in_face = transform_points(nose, asked.frame_to_face)
    expected = transform_points(nose, frame_to_face(face.landmarks, FaceType.WHOLE, 256))
    assert transform_points(in_face, asked.face_to_segment) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("power", [0, 60])
def test_super_resolution_does_not_change_what_the_model_sees(power: int) -> None:
    face = FrameFace(painted_landmarks((80, 60), 60))
    (plain,) = align_faces(FRAME, [face], 48, FaceType.FULL, PLAIN)
    (asked,) = align_faces(FRAME, [face], 48, FaceType.FULL, MergeSettings.of(super_resolution_power=power))
    assert np.array_equal(plain.pixels, asked.pixels)


def test_classically_the_cut_is_black_beyond_the_frame() -> None:
    frame = np.full((100, 100, 3), 200, np.uint8)
    face = FrameFace(painted_landmarks((0, 50), 40))
    (ours,) = align_faces(frame, [face], 48, FaceType.FULL, PLAIN)
    (classical,) = align_faces(frame, [face], 48, FaceType.FULL, MergeSettings.of(compat="dfl"))
    assert ours.is_inside is not None
    assert ours.pixels == pytest.approx(200 / 255, abs=1e-6)
    assert classical.pixels[:, :8].max() < 0.01
    assert classical.pixels[20:28, 36:] == pytest.approx(200 / 255, abs=1e-3)


def test_which_pixels_lie_in_the_frame() -> None:
    assert pixels_inside(np.array([[1.0, 0, 0], [0, 1, 0]]), 20, (20, 20)) is None
    inside = pixels_inside(np.array([[1.0, 0, 5], [0, 1, 0]]), 20, (40, 40))  # square pixel 5 lies on frame pixel 0
    assert inside is not None
    assert not inside[:, :5].any()
    assert inside[:, 5:].all()


def test_the_region_a_square_needs() -> None:
    doubled = np.array([[2.0, 0, -20], [0, 2, -40]])  # frame 10..35 x 20..45 -> square of 50
    region = region_around(doubled, 50, (100, 100))
    assert region.left <= 10 - 2
    assert region.right >= 35 + 2
    assert region.top <= 20 - 2
    assert region.bottom <= 60
    assert region_around(doubled, 50, (10, 10)).is_empty


def answer(side: int = 16, enhanced: float | None = None) -> FaceAnswer:
    ramp = np.repeat(np.linspace(0, 1, side, dtype=np.float32)[None, :, None], side, axis=0).repeat(3, axis=2)
    mask = np.ones((side, side), np.float32)
    fine = None if enhanced is None else np.full((4 * side, 4 * side, 3), enhanced, np.float32)
    return FaceAnswer(Prediction(ramp, mask, mask), fine)


def test_without_the_enhancer_the_layer_is_the_prediction() -> None:
    layer = face_layer(answer(), PLAIN)
    assert np.array_equal(layer.pixels, answer().prediction.face)
    assert layer.at_model_resolution(16) is layer.pixels


def test_the_enhanced_layer_lies_on_the_prediction() -> None:
    """Pixel 4 x of the layer shows pixel x of the face, mixed with the enhancer's by the power."""
    layer = face_layer(answer(enhanced=0.9), MergeSettings.of(super_resolution_power=25))
    face = answer().prediction.face
    assert layer.pixels[::4, ::4] == pytest.approx(0.75 * face + 0.25 * 0.9, abs=1e-5)
    again = layer.at_model_resolution(16)
    assert again[:, 2:-2] == pytest.approx(0.75 * face[:, 2:-2] + 0.25 * 0.9, abs=0.01)


def test_a_picture_in_the_frame_is_seen_as_if_it_were_there() -> None:
    face = FrameFace(painted_landmarks((80, 60), 40))
    (aligned,) = align_faces(FRAME, [face], 48, FaceType.FULL, PLAIN)
    region = Region(60, 40, 100, 90)
    unchanged = region.of(FRAME).astype(np.float32) / 255
    assert seen_in_frame(FRAME, unchanged, region, aligned) == pytest.approx(aligned.pixels, abs=1e-6)
    painted = FRAME.copy()
    region.of(painted)[...] = 30
    seen = seen_in_frame(FRAME, np.full_like(unchanged, 30 / 255), region, aligned)
    expected = np.clip(cut_square(painted, aligned.frame_to_face, 48), 0, 1)
    assert seen == pytest.approx(expected, abs=1e-6)
