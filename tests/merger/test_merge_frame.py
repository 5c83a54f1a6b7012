"""One frame: held against the classical way, and against what must never happen."""

from __future__ import annotations

from itertools import product
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.classical_merge import classical_merge
from core.geometry import transform_points
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from merger.aligning import align_faces
from merger.compositing import MergedFrame
from merger.face_tools import FaceTools
from merger.frames import FrameFace, Motion
from merger.merge_frame import merge_frame
from merger.settings import MASK_MODES, MODES, MergeSettings
from tests.merger.scenes import (
    PLAIN,
    BlankPredictor,
    HonestPredictor,
    TintedPredictor,
    enlarge,
    painted_landmarks,
    smooth_frame,
)

PLACES = {
    "inside": ((80.0, 70.0), 48.0, 0.2),
    "at the left border": ((24.0, 60.0), 48.0, -0.3),
    "at the bottom right corner": ((150.0, 112.0), 48.0, 0.1),
    "beyond the top": ((80.0, -14.0), 48.0, 0.0),
}
HEIGHT, WIDTH = 130, 170


def merged(frame: NDArray, landmarks: list[NDArray], predictor: TintedPredictor, **settings: Any) -> MergedFrame:
    faces = [FrameFace(points) for points in landmarks]
    return merge_frame(frame, faces, MergeSettings.of(**{**PLAIN, **settings}), FaceTools.of(predictor))


def classically(
    frame: NDArray, landmarks: list[NDArray], predictor: TintedPredictor, **settings: Any
) -> tuple[NDArray, NDArray]:
    values = vars(MergeSettings.of(**{**PLAIN, **settings}))
    return classical_merge(frame, landmarks, values, predictor.resolution, predictor.face_type, predictor.predict_one)


def assert_same(result: MergedFrame, expected: tuple[NDArray, NDArray], context: str) -> None:
    # One level: both round once, but the region is reached by other sums (and, eroded, through 16 bits).
    for name, got, wanted in (("image", result.image, expected[0]), ("mask", result.mask, expected[1])):
        assert got.shape == wanted.shape, (context, name)
        assert got.dtype == wanted.dtype, (context, name)
        difference = np.abs(got.astype(int) - wanted.astype(int))
        assert difference.max() <= 1, (context, name, difference.max())
        assert (difference > 0).mean() < 0.01, (context, name, (difference > 0).mean())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mode", ["original", "overlay", "raw-rgb"])
def test_equals_the_classical_way_in_every_mode_and_mask(place: str, mode: str) -> None:
    frame, predictor = smooth_frame(HEIGHT, WIDTH), TintedPredictor()
    landmarks = [painted_landmarks(*PLACES[place])]
    for mask_mode, scale, colors in product(list(MASK_MODES)[:6], (-30, 0, 30), ("none", "rct")):
        given = {"mode": mode, "mask_mode": mask_mode, "output_face_scale": scale, "color_transfer": colors}
        expected = classically(frame, landmarks, predictor, **given)
        assert_same(merged(frame, landmarks, predictor, **given), expected, f"{given}")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mask_mode", ["full", "dst", "learned-prd+learned-dst"])
def test_equals_the_classical_way_with_eroded_and_blurred_masks(place: str, mask_mode: str) -> None:
    frame, predictor = smooth_frame(HEIGHT, WIDTH), TintedPredictor()
    landmarks = [painted_landmarks(*PLACES[place])]
    for erode, blur, scale in product((-31, -1, 0, 1, 30), (0, 1, 40, 41), (0, -30)):
        given = {"mask_mode": mask_mode, "erode_mask": erode, "blur_mask": blur, "output_face_scale": scale}
        given["color_transfer"] = "rct"
        expected = classically(frame, landmarks, predictor, **given)
        assert_same(merged(frame, landmarks, predictor, **given), expected, f"{given}")


BLENDED: list[dict[str, Any]] = [
    {"mode": "hist-match", "mask_mode": "learned-prd"},
    {"mode": "hist-match", "masked_hist_match": False, "hist_match_threshold": 230},
    {"mode": "seamless", "mask_mode": "learned-prd", "erode_mask": 10, "blur_mask": 20},
    {"mode": "seamless", "mask_mode": "full", "output_face_scale": -30},
    {"mode": "seamless", "color_transfer": "rct"},
    {"mode": "seamless", "color_transfer": "mkl-m", "mask_mode": "learned-dst"},
    {"mode": "seamless-hist-match"},
    {"color_transfer": "lct"},
    {"color_transfer": "mkl-m"},
    {"sharpen_mode": "box", "blursharpen_amount": 5},
    {"sharpen_mode": "gaussian", "blursharpen_amount": 30, "mode": "seamless"},
    {"blursharpen_amount": -25},
    {"image_denoise_power": 30, "bicubic_degrade_power": 20, "color_transfer": "rct"},
    {"motion_blur_power": 80},
    {"motion_blur_power": 80, "mode": "seamless"},
]


@pytest.mark.parametrize("place", PLACES)
def test_equals_the_classical_way_in_everything_a_blended_face_may_get(place: str) -> None:
    frame, predictor, motion = smooth_frame(HEIGHT, WIDTH), TintedPredictor(), (9.5, -4.0)
    landmarks = painted_landmarks(*PLACES[place])
    for given in BLENDED:
        settings, tools = MergeSettings.of(**{**PLAIN, **given}), FaceTools.of(predictor)
        result = merge_frame(frame, [FrameFace(landmarks, motion=Motion(*motion, 1))], settings, tools)
        side, kind = predictor.resolution, predictor.face_type
        expected = classical_merge(frame, [landmarks], vars(settings), side, kind, predictor.predict_one, motion)
        if "hist-match" in settings.mode:
            # Bins against every float: where a curve is steep, pixels beside the step go either way.
            difference = np.abs(result.image.astype(int) - expected[0])
            assert difference.mean() < 0.1, (given, difference.mean())
            assert np.abs(result.mask.astype(int) - expected[1]).max() <= 1
        else:
            assert_same(result, expected, f"{given}")


def test_a_seamless_face_does_not_move_at_the_frames_border() -> None:
    """The same prediction, the face 0 to 3 pixels from the right border: its features stay on their place in it."""
    frame = np.full((120, 160, 3), 128, np.uint8)

    class DotPredictor(TintedPredictor):
        def predict_one(self, face: NDArray) -> tuple[NDArray, NDArray, NDArray]:
            dot = np.full((48, 48, 3), 0.5, np.float32)
            dot[24, 24] = 6.0
            dot = cv2.GaussianBlur(dot, (0, 0), 1.5)
            ones = np.ones((48, 48), np.float32)
            return dot, ones, ones

    offsets = []
    for shift in range(-6, 6):
        landmarks = painted_landmarks((130.0 + shift, 60.0), 40)
        result = merged(frame, [landmarks], DotPredictor(), mode="seamless", mask_mode="full")
        bright = np.clip(result.image[..., 0].astype(float) - 140, 0, None)
        offsets.append((bright * np.arange(160)).sum() / bright.sum() - shift)
    assert np.ptp(offsets) < 0.2


def test_seamless_takes_the_colors_from_around_the_mask() -> None:
    frame, landmarks = smooth_frame(200, 200, 3), painted_landmarks((100, 100), 80)
    plain = merged(frame, [landmarks], TintedPredictor(96), mask_mode="dst")
    cloned = merged(frame, [landmarks], TintedPredictor(96), mask_mode="dst", mode="seamless")
    edge = cv2.dilate((plain.mask > 250).astype(np.uint8), np.ones((3, 3))) - (plain.mask > 250)
    jump = [np.abs(p.image.astype(int) - frame)[edge > 0].mean() for p in (plain, cloned)]
    assert jump[1] < 0.4 * jump[0]


@pytest.mark.parametrize("faces", [0, 1, 2])
def test_raw_predict_is_the_square_alone(faces: int) -> None:
    landmarks = [painted_landmarks((50 + 60 * n, 60), 40) for n in range(faces)]
    predictor = TintedPredictor()
    frame = smooth_frame(HEIGHT, WIDTH)
    result = merged(frame, landmarks, predictor, mode="raw-predict", mask_mode="learned-prd")
    assert result.image.shape == (48, 48, 3)
    assert result.mask.shape == (48, 48)
    if not faces:
        assert not result.image.any()
        return
    cut = align_faces(frame, [FrameFace(landmarks[0])], 48, FaceType.FULL, MergeSettings())[0].pixels
    face, mask, _ = predictor.predict_one(cut)
    assert np.abs(result.image - face * 255).max() <= 0.51
    assert np.abs(result.mask - np.where(mask < 1 / 255, 0, mask) * 255).max() <= 0.51


def test_super_resolution_keeps_the_face_in_its_place() -> None:
    """An enhancer that adds nothing changes nothing but what a finer resampling does."""
    frame, predictor = smooth_frame(300, 300, 3), HonestPredictor(64)
    tools = FaceTools(64, FaceType.FULL, predictor.predict, enhance=lambda face, _: enlarge(face, 0.0))
    faces = [FrameFace(painted_landmarks((150, 150), 120))]
    results = [
        merge_frame(frame, faces, MergeSettings.of(**{**PLAIN, "mask_mode": "full"}, super_resolution_power=p), tools)
        for p in (0, 100)
    ]
    assert np.array_equal(results[0].mask, results[1].mask)
    assert np.abs(results[0].image.astype(int) - results[1].image).mean() < 0.3
    assert np.abs(results[1].image.astype(int) - frame).max() <= 8  # the square's own edge pixels


def test_xseg_cuts_the_mask() -> None:
    """A stand-in that sees only the left half of the face: the right half stays the frame's."""
    frame, predictor = smooth_frame(200, 200, 3), TintedPredictor()

    def segment(faces: NDArray) -> NDArray:
        left = np.zeros((len(faces), 256, 256), np.float32)
        left[:, :, :128] = 1
        return left

    landmarks = painted_landmarks((100, 100), 80)
    for kind in (FaceType.FULL, FaceType.WHOLE):
        tools = FaceTools(48, FaceType.FULL, predictor.predict, segment=segment, segment_face_type=kind)
        for mask_mode in ("XSeg-dst", "XSeg-prd"):
            result = merge_frame(frame, [FrameFace(landmarks)], MergeSettings.of(mask_mode=mask_mode), tools)
            columns = np.flatnonzero(result.mask[100])
            assert columns.max() == pytest.approx(100, abs=3)
            assert columns.min() < 60


def test_the_whole_frame_changes_only_if_asked_to() -> None:
    rng = np.random.default_rng(0)
    frame, predictor = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8), TintedPredictor()
    landmarks = [painted_landmarks(*PLACES["inside"])]
    for given in ({"image_denoise_power": 10}, {"bicubic_degrade_power": 30}, {"color_degrade_power": 40}):
        result = merged(frame, landmarks, predictor, **given)
        assert (result.image[result.mask == 0] != frame[result.mask == 0]).any()
        assert np.array_equal(merged(frame, [], predictor, **given).image, frame)  # nothing was put on it


def test_extreme_erode_and_blur_equal_the_classical_way() -> None:
    frame, predictor = smooth_frame(HEIGHT, WIDTH), TintedPredictor()
    landmarks = [painted_landmarks(*PLACES["inside"])]
    for erode, blur in ((400, 0), (-400, 0), (0, 150), (-60, 191), (0, 200), (12, 400)):
        given = {"mask_mode": "learned-prd", "erode_mask": erode, "blur_mask": blur}
        expected = classically(frame, landmarks, predictor, **given)
        assert_same(merged(frame, landmarks, predictor, **given), expected, f"{given}")


def test_several_faces_equal_the_classical_way() -> None:
    """Two overlapping faces: each is cut from the untouched frame and blended in once."""
    frame, predictor = smooth_frame(HEIGHT, WIDTH), TintedPredictor()
    landmarks = [painted_landmarks((70, 60), 50), painted_landmarks((100, 75), 44, 0.3)]
    for mask_mode in ("full", "dst", "learned-prd*learned-dst"):
        given = {"mask_mode": mask_mode, "color_transfer": "rct", "blur_mask": 20}
        expected = classically(frame, landmarks, predictor, **given)
        result = merged(frame, landmarks, predictor, **given)
        # The canvas is rounded once per face.
        difference = np.abs(result.image.astype(int) - expected[0])
        assert difference.max() <= 1
        assert np.abs(result.mask.astype(int) - expected[1]).max() <= 1


def test_16_bit_frames_equal_the_classical_way() -> None:
    frame, predictor = smooth_frame(HEIGHT, WIDTH, dtype=np.uint16), TintedPredictor()
    landmarks = [painted_landmarks(*PLACES["inside"])]
    given = {"mask_mode": "learned-prd*learned-dst", "color_transfer": "rct"}
    result, expected = merged(frame, landmarks, predictor, **given), classically(frame, landmarks, predictor, **given)
    assert result.image.dtype == result.mask.dtype == np.uint16
    # float32 in [0, 1] holds a 16-bit level to a few hundredths, a cubic kernel's sums to a few levels.
    assert np.abs(result.image.astype(int) - expected[0]).max() <= 8
    assert np.abs(result.mask.astype(int) - expected[1]).max() <= 8
    assert np.array_equal(result.image[result.mask == 0], frame[result.mask == 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("mode", ["original", "overlay"])
def test_outside_the_mask_every_pixel_keeps_its_bits(dtype: type, mode: str) -> None:
    rng = np.random.default_rng(1)
    frame = rng.integers(0, np.iinfo(dtype).max, (HEIGHT, WIDTH, 3), dtype=dtype, endpoint=True)
    untouched = frame.copy()
    for place, mask_mode, (erode, blur) in product(PLACES.values(), list(MASK_MODES)[:6], ((0, 0), (-20, 30))):
        result = merged(
            frame,
            [painted_landmarks(*place)],
            TintedPredictor(),
            mode=mode,
            mask_mode=mask_mode,
            erode_mask=erode,
            blur_mask=blur,
            color_transfer="rct",
        )
        assert np.array_equal(result.image[result.mask == 0], frame[result.mask == 0])
        assert mode != "original" or np.array_equal(result.image, frame)
        assert np.array_equal(frame, untouched)


def test_raw_rgb_changes_only_the_square() -> None:
    frame = smooth_frame(HEIGHT, WIDTH)
    landmarks = painted_landmarks(*PLACES["inside"])
    result = merged(frame, [landmarks], TintedPredictor(), mode="raw-rgb")
    matrix = frame_to_face(landmarks, FaceType.FULL, 48)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    placed = transform_points(np.stack([columns, rows], axis=-1).astype(np.float64), matrix)
    far = ((placed < -2.5) | (placed > 48 + 1.5)).any(axis=-1)  # two model pixels: the reach of the cubic kernel
    assert np.array_equal(result.image[far], frame[far])
    well_inside = ((placed > 2) & (placed < 45)).all(axis=-1)
    assert (result.image[well_inside] != frame[well_inside]).any(axis=-1).mean() > 0.9


def test_raw_rgb_has_no_seam() -> None:
    """A flat frame, a prediction of the same gray: the pasted square cannot be seen (classically: 0.45-0.76)."""
    frame = np.full((HEIGHT, WIDTH, 3), 153, np.uint8)
    for scale in (-50, -20, 0, 20, 50):
        result = merged(
            frame, [painted_landmarks(*PLACES["inside"])], HonestPredictor(), mode="raw-rgb", output_face_scale=scale
        )
        assert np.abs(result.image.astype(int) - 153).max() <= 0


@pytest.mark.parametrize("place", PLACES)
def test_an_empty_mask_returns_the_frame_bit_for_bit(place: str) -> None:
    frame = smooth_frame(HEIGHT, WIDTH)
    for mask_mode in ("learned-prd", "learned-dst", "learned-prd*learned-dst", "learned-prd+learned-dst"):
        for erode, blur in ((0, 0), (-50, 60)):
            result = merged(
                frame,
                [painted_landmarks(*PLACES[place])],
                BlankPredictor(),
                mask_mode=mask_mode,
                erode_mask=erode,
                blur_mask=blur,
                color_transfer="rct",
            )
            assert np.array_equal(result.image, frame)
            assert not result.mask.any()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("face_type", [FaceType.FULL, FaceType.WHOLE, FaceType.HEAD])
def test_full_mask_and_perfect_prediction_return_the_original(place: str, face_type: FaceType) -> None:
    """Cut out and put back: the same smooth picture within one gray level, up to and beyond the frame's border."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin(columns / 23 + k) * np.cos(rows / 19 - k) * 100 + 128 for k in range(3)]
    frame = np.rint(np.stack(waves, axis=-1)).astype(np.uint8)
    predictor = HonestPredictor(128)
    predictor.face_type = face_type
    for color_transfer in ("none", "rct"):
        result = merged(
            frame, [painted_landmarks(*PLACES[place])], predictor, mask_mode="full", color_transfer=color_transfer
        )
        assert result.mask.any()
        assert np.abs(result.image.astype(int) - frame).max() <= 1


@pytest.mark.parametrize(("value", "factor"), [(50, 2 / 3), (-50, 2.0), (0, 1.0)])
def test_face_scale_above_0_makes_the_face_smaller(value: int, factor: float) -> None:
    """+50 -> two thirds of the side, -50 -> twice (half a pixel for the soft rim)."""
    landmarks = painted_landmarks((200, 200), 80)
    result = merged(
        np.zeros((400, 400, 3), np.uint8), [landmarks], HonestPredictor(), mask_mode="full", output_face_scale=value
    )
    matrix = frame_to_face(landmarks, FaceType.FULL, 48)
    side = 48 / np.hypot(*matrix[:, 0])
    assert np.sqrt((result.mask / 255).sum()) == pytest.approx(factor * side, abs=0.5)


def test_the_mask_lies_exactly_on_the_face() -> None:
    """The predicted face is white in a disc, the mask is that disc: eroded and blurred or not, both have one center.

    Done at 4R without minding pixel centers, the mask would lie 0.375 model pixels to the right and below, here 0.9
    frame pixels.
    """

    class DiscPredictor(TintedPredictor):
        def predict_one(self, face: NDArray) -> tuple[NDArray, NDArray, NDArray]:
            rows, columns = np.mgrid[:48, :48]
            round_mask = (np.hypot(rows - 20.0, columns - 27.0) < 11).astype(np.float32)
            round_mask = cv2.GaussianBlur(round_mask, (0, 0), 1)
            return np.repeat(round_mask[..., None], 3, axis=2), round_mask, round_mask

    landmarks = painted_landmarks((150, 150), 90)
    expected = transform_points(
        np.array([[27.0, 20.0]]), np.linalg.inv(np.vstack([frame_to_face(landmarks, FaceType.FULL, 48), [0, 0, 1]]))[:2]
    )[0]
    for erode, blur in ((0, 0), (0, 21), (5, 0), (-5, 21)):
        result = merged(
            np.zeros((300, 300, 3), np.uint8),
            [landmarks],
            DiscPredictor(),
            mask_mode="learned-prd",
            erode_mask=erode,
            blur_mask=blur,
        )
        for picture in (result.mask.astype(float), result.image[..., 0].astype(float)):
            rows, columns = np.mgrid[:300, :300]
            center = np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()
            assert center == pytest.approx(expected, abs=0.05)


def test_small_faces_are_pasted_without_aliasing() -> None:
    """A prediction of one-pixel stripes, shrunk fivefold, becomes their mean and not a moire."""

    class StripedPredictor(TintedPredictor):
        def predict_one(self, face: NDArray) -> tuple[NDArray, NDArray, NDArray]:
            stripes = np.zeros_like(face)
            stripes[:, ::2] = 1
            return stripes, np.ones(face.shape[:2], np.float32), np.ones(face.shape[:2], np.float32)

    frame = np.full((100, 100, 3), 128, np.uint8)
    result = merged(frame, [painted_landmarks((50, 50), 24)], StripedPredictor(160), mask_mode="full")
    assert np.abs(result.image.astype(int) - 128).max() <= 6


def test_small_networks_see_large_faces_without_aliasing() -> None:
    rows, columns = np.mgrid[:600, :600]
    checkers = np.repeat((((rows + columns) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    face = align_faces(checkers, [FrameFace(painted_landmarks((300, 300), 300))], 48, FaceType.FULL, MergeSettings())[0]
    assert np.abs(face.pixels - 0.5).max() < 0.03


def test_the_network_sees_no_black_beyond_the_frame() -> None:
    frame = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    for place in PLACES.values():
        for face in align_faces(frame, [FrameFace(painted_landmarks(*place))], 48, FaceType.HEAD, MergeSettings()):
            assert face.pixels == pytest.approx(200 / 255, abs=1e-6)


def test_colors_beyond_the_frame_are_not_measured() -> None:
    """Half of the face lies beyond the left border, whose pixels are red: rct must follow the part that is there."""
    frame = np.full((HEIGHT, WIDTH, 3), (60, 120, 60), np.uint8)
    frame[:, 0] = (0, 0, 255)
    frame[::2, 1:] += 10
    landmarks = [painted_landmarks((0, 65), 60)]
    result = merged(frame, landmarks, TintedPredictor(), mask_mode="full", color_transfer="rct")
    pasted = result.image[:, 3:][result.mask[:, 3:] == 255].mean(axis=0)
    # Were the repeated red pixels counted, red would rise above 150.
    assert pasted == pytest.approx([65, 125, 65], abs=14)


def test_rct_gives_the_face_the_colors_of_the_old_one() -> None:
    frame, landmarks = smooth_frame(200, 200, 3), painted_landmarks((100, 100), 80)
    plain = merged(frame, [landmarks], TintedPredictor(96), mask_mode="learned-prd")
    matched = merged(frame, [landmarks], TintedPredictor(96), mask_mode="learned-prd", color_transfer="rct")
    inside = matched.mask > 128

    def mean_lab(picture: NDArray) -> NDArray:
        return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)[inside].mean(axis=0)

    wanted = mean_lab(frame)
    assert np.abs(mean_lab(plain.image) - wanted).max() > 8
    assert np.abs(mean_lab(matched.image) - wanted).max() < 1.5


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 3)])
def test_tiny_frames(size: tuple[int, int]) -> None:
    frame = smooth_frame(*size)
    for mode, center in product(MODES, ((0.0, 0.0), (20.0, 20.0))):
        result = merged(frame, [painted_landmarks(center, 60)], TintedPredictor(), mode=mode, color_transfer="rct")
        expected = (48, 48) if mode == "raw-predict" else size
        assert result.image.shape == (*expected, 3)
        assert result.mask.shape == expected


@pytest.mark.parametrize("center", [(-900.0, 60.0), (80.0, 5000.0), (700.0, -700.0)])
@pytest.mark.parametrize("mode", MODES)
def test_a_face_fully_outside_changes_nothing(center: tuple[float, float], mode: str) -> None:
    frame, predictor = smooth_frame(HEIGHT, WIDTH), TintedPredictor()
    result = merged(frame, [painted_landmarks(center, 50)], predictor, mode=mode, mask_mode="full")
    assert np.array_equal(result.image, np.zeros((48, 48, 3)) if mode == "raw-predict" else frame)
    assert not result.mask.any()
    assert predictor.calls == []


def test_a_face_of_three_pixels_changes_nothing() -> None:
    frame = smooth_frame(HEIGHT, WIDTH)
    result = merged(frame, [painted_landmarks((80, 60), 3.0)], TintedPredictor(), mask_mode="dst")
    assert np.array_equal(result.image, frame)


def test_no_faces_no_question() -> None:
    frame, predictor = smooth_frame(HEIGHT, WIDTH), TintedPredictor()
    result = merged(frame, [], predictor)
    assert np.array_equal(result.image, frame)
    assert not result.mask.any()
    assert predictor.calls == []


@pytest.mark.parametrize(("mask_mode", "asked"), [("full", False), ("dst", False), ("learned-prd", True)])
def test_the_model_is_asked_only_when_its_answer_matters(mask_mode: str, asked: bool) -> None:
    predictor = TintedPredictor()
    merged(smooth_frame(60, 60), [painted_landmarks((30, 30), 30)], predictor, mode="original", mask_mode=mask_mode)
    assert bool(predictor.calls) == asked


def test_all_faces_of_a_frame_are_predicted_at_once() -> None:
    predictor = TintedPredictor()
    merged(smooth_frame(90, 90), [painted_landmarks((30, 30), 30), painted_landmarks((60, 60), 30)], predictor)
    assert predictor.calls == [2]
