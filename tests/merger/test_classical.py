"""`--compat dfl` held against the full-frame implementation of spec merging 3: acceptance test 11.1."""

from __future__ import annotations

from itertools import product
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.dfl_merge import Networks, dfl_merge
from facelib.face_type import FaceType
from merger.compositing import MergedFrame
from merger.face_tools import FaceTools
from merger.frames import FrameFace, Motion
from merger.merge_frame import merge_frame
from merger.settings import MASK_MODES, MODES, MergeSettings
from tests.merger.scenes import PLAIN, TintedPredictor, enlarge, painted_landmarks, segment_blobs, smooth_frame

HEIGHT, WIDTH = 130, 170
PLACES = {
    "inside": ((80.0, 70.0), 48.0, 0.2),
    "at the left border": ((24.0, 60.0), 48.0, -0.3),
    "at the bottom right corner": ((150.0, 112.0), 48.0, 0.1),
    "beyond the top": ((80.0, -14.0), 48.0, 0.0),
}
TRANSFERS = ("rct", "none", "lct", "mkl")
COLORED_MODES = ("overlay", "hist-match", "seamless", "seamless-hist-match")
GRID = list(product(MODES, MASK_MODES, (-30, 0, 30), (0, 41), (-30, 0, 30), (0, 50), PLACES))


def merged_and_expected(
    frame: NDArray,
    landmarks: list[NDArray],
    motion: tuple[float, float] = (0.0, 0.0),
    predictor: TintedPredictor | None = None,
    **given: Any,
) -> tuple[MergedFrame, tuple[NDArray, NDArray]]:
    predictor = predictor or TintedPredictor()
    settings = MergeSettings.of(**{**PLAIN, "compat": "dfl", **given})
    tools = FaceTools(
        predictor.resolution,
        predictor.face_type,
        predictor.predict,
        segment=lambda faces: np.stack([segment_blobs(face) for face in faces]),
        enhance=lambda face, _: enlarge(face),
    )
    networks = Networks(predictor.resolution, predictor.face_type, predictor.predict_one, segment_blobs, enlarge)
    faces = [FrameFace(points, motion=Motion(*motion)) for points in landmarks]
    return merge_frame(frame, faces, settings, tools), dfl_merge(frame, landmarks, vars(settings), networks, motion)


def assert_same(result: MergedFrame, expected: tuple[NDArray, NDArray], context: Any) -> None:
    """At most one level apart, and 99.9 % of all values equal, mask and picture.

    There is no leeway for what follows a cut to whole levels (a clone whose levels rct stretches, a histogram in which
    a last bit decides about a rank): what is computed before is the same to the bit.
    """
    for name, got, wanted in (("image", result.image, expected[0]), ("mask", result.mask, expected[1])):
        assert got.shape == wanted.shape, (context, name)
        assert got.dtype == wanted.dtype, (context, name)
        difference = np.abs(got.astype(int) - wanted.astype(int))
        assert difference.max() <= 1, (context, name, difference.max())
        assert (difference > 0).mean() <= 0.001, (context, name, (difference > 0).mean())


def check(case: tuple[Any, ...], color_transfer: str) -> None:
    mode, mask_mode, erode, blur, scale, power, place = case
    result, expected = merged_and_expected(
        smooth_frame(HEIGHT, WIDTH),
        [painted_landmarks(*PLACES[place])],
        mode=mode,
        mask_mode=mask_mode,
        erode_mask=erode,
        blur_mask=blur,
        output_face_scale=scale,
        super_resolution_power=power,
        color_transfer=color_transfer,
    )
    assert_same(result, expected, (*case, color_transfer))


@pytest.mark.parametrize("mode", MODES)
def test_equals_the_full_frame_implementation_on_a_sample(mode: str) -> None:
    """A dozen cases of a mode, every place among them; the whole grid is a slow test."""
    cases = [case for case in GRID if case[0] == mode]
    for number, case in enumerate(cases[:: (len(cases) // 12) | 1]):
        check(case, TRANSFERS[number % len(TRANSFERS)])


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_equals_the_full_frame_implementation_on_the_whole_grid(mode: str) -> None:
    """Every case once; the color transfers share them by a draw, so that each meets all places, masks and sizes."""
    cases = [case for case in GRID if case[0] == mode]
    for number, drawn in enumerate(np.random.default_rng(0).permutation(len(cases))):
        check(cases[drawn], TRANSFERS[number % len(TRANSFERS)] if mode in COLORED_MODES else "none")


@pytest.mark.parametrize("mode", COLORED_MODES)
@pytest.mark.parametrize("transfer", ["none", "rct", "lct", "mkl", "mkl-m", "idt", "idt-m", "sot-m", "mix-m"])
def test_every_color_transfer(mode: str, transfer: str) -> None:
    frame, landmarks = smooth_frame(HEIGHT, WIDTH), [painted_landmarks(*PLACES["at the left border"])]
    given: dict[str, Any] = {
        "mode": mode,
        "color_transfer": transfer,
        "mask_mode": "learned-prd",
        "hist_match_threshold": 230,
    }
    assert_same(*merged_and_expected(frame, landmarks, **given), given)


@pytest.mark.parametrize(
    "given",
    [
        {"motion_blur_power": 60},
        {"motion_blur_power": 100, "super_resolution_power": 30},
        {"sharpen_mode": "box", "blursharpen_amount": 7},
        {"sharpen_mode": "gaussian", "blursharpen_amount": 40},
        {"blursharpen_amount": -34},
        {"image_denoise_power": 37},
        {"image_denoise_power": 125},
        {"bicubic_degrade_power": 55},
        {"masked_hist_match": False, "mode": "hist-match", "hist_match_threshold": 200},
        {"mode": "seamless", "image_denoise_power": 20, "bicubic_degrade_power": 10, "blursharpen_amount": 3},
        {"output_face_scale": -50, "blursharpen_amount": -5, "mask_mode": "full"},
    ],
)
def test_everything_done_after_the_paste(given: dict[str, Any]) -> None:
    for place in ("inside", "at the bottom right corner"):
        result, expected = merged_and_expected(
            smooth_frame(HEIGHT, WIDTH, dtype=np.uint8),
            [painted_landmarks(*PLACES[place])],
            motion=(11.0, -7.0),
            **given,
        )
        assert_same(result, expected, (given, place))


def test_fewer_colors_stay_near_the_frame() -> None:
    frame, landmarks = smooth_frame(HEIGHT, WIDTH), [painted_landmarks(*PLACES["inside"])]
    plain, _ = merged_and_expected(frame, landmarks)
    half, _ = merged_and_expected(frame, landmarks, color_degrade_power=50)
    whole, _ = merged_and_expected(frame, landmarks, color_degrade_power=100)
    assert len(np.unique(whole.image.reshape(-1, 3), axis=0)) <= 256
    means = [np.abs(one.image.astype(int) - plain.image).mean() for one in (half, whole)]
    assert 0 < means[0] < means[1] < 8


@pytest.mark.parametrize("mode", COLORED_MODES)
def test_a_grainy_frame_of_720_lines(mode: str) -> None:
    """Far from the frame's corner a coordinate has fewer bits behind its point, and grain shows every shift."""
    grain = np.random.default_rng(1).normal(0, 4, (720, 1280, 3))
    frame = np.clip(np.rint(smooth_frame(720, 1280) + grain), 0, 255).astype(np.uint8)
    landmarks = [painted_landmarks((1011.3, 433.9), 300.0, 0.2)]
    given: dict[str, Any] = {"mode": mode, "color_transfer": "rct", "erode_mask": 20, "blur_mask": 40}
    assert_same(*merged_and_expected(frame, landmarks, predictor=TintedPredictor(128), **given), mode)


@pytest.mark.parametrize("mode", ["overlay", "raw-rgb", "raw-predict", "seamless"])
def test_several_faces_are_blended_twice(mode: str) -> None:
    frame = smooth_frame(HEIGHT, WIDTH)
    landmarks = [painted_landmarks((70, 60), 50), painted_landmarks((100, 75), 44, 0.3)]
    result, expected = merged_and_expected(frame, landmarks, mode=mode, mask_mode="learned-prd", blur_mask=20)
    assert_same(result, expected, mode)


def test_16_bit_frames_and_other_face_types() -> None:
    frame = smooth_frame(HEIGHT, WIDTH, dtype=np.uint16)
    predictor = TintedPredictor()
    predictor.face_type = FaceType.WHOLE
    given: dict[str, Any] = {"mask_mode": "learned-prd*learned-dst", "color_transfer": "lct"}
    result, expected = merged_and_expected(frame, [painted_landmarks(*PLACES["inside"])], predictor=predictor, **given)
    assert result.image.dtype == np.uint16
    assert_same(result, expected, given)


def test_the_frame_outside_is_not_touched() -> None:
    rng = np.random.default_rng(5)
    frame = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8, endpoint=True)
    for mode in ("overlay", "seamless", "hist-match"):
        result, _ = merged_and_expected(
            frame, [painted_landmarks(*PLACES["inside"])], mode=mode, mask_mode="dst", blursharpen_amount=-5
        )
        assert np.array_equal(result.image[result.mask == 0], frame[result.mask == 0])
        assert (result.image != frame).any()


def test_the_mask_lies_beside_the_face() -> None:
    """0.375 model pixels to the right and below, as it always did: what compatibility is for."""

    class DiscPredictor(TintedPredictor):
        def predict_one(self, face: NDArray) -> tuple[NDArray, NDArray, NDArray]:
            rows, columns = np.mgrid[:48, :48]
            round_mask = cv2.GaussianBlur((np.hypot(rows - 20.0, columns - 27.0) < 11).astype(np.float32), (0, 0), 1)
            return np.repeat(round_mask[..., None], 3, axis=2), round_mask, round_mask

    landmarks = [painted_landmarks((150, 150), 90)]
    given: dict[str, Any] = {"mask_mode": "learned-prd", "predictor": DiscPredictor()}
    result, expected = merged_and_expected(np.zeros((300, 300, 3), np.uint8), landmarks, **given)
    assert_same(result, expected, "disc")
    tools = FaceTools.of(DiscPredictor())
    ours = merge_frame(
        np.zeros((300, 300, 3), np.uint8), [FrameFace(landmarks[0])], MergeSettings.of(mask_mode="learned-prd"), tools
    )
    rows, columns = np.mgrid[:300, :300]
    centers = [
        np.array([(columns * m).sum(), (rows * m).sum()]) / m.sum() for m in (result.mask / 1.0, ours.mask / 1.0)
    ]
    side = 90 * 1.3
    assert centers[0] - centers[1] == pytest.approx([0.375 * side / 48] * 2, abs=0.15)
