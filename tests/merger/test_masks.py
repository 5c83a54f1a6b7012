"""The mask of one face: chosen, shrunk or grown, softened; numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from merger.masks import FaceMask, choose_mask, nonzero_box, outline_mask, shape_fine_mask, shape_mask
from tests.merger.scenes import painted_landmarks

SIDE = 32


def flat_parts(**values: float) -> dict[str, Callable[[], np.ndarray]]:
    """Masks of one value each, by name; "prd" stands for learned-prd, "Xdst" for XSeg-dst, and so on."""
    names = {"prd": "learned-prd", "dst": "learned-dst", "Xprd": "XSeg-prd", "Xdst": "XSeg-dst"}
    return {names[k]: lambda v=v: np.full((SIDE, SIDE), v, np.float32) for k, v in values.items()}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("mode", "parts", "value"),
    [
        ("full", {}, 1.0),
        ("learned-prd", {"prd": 0.3}, 0.3),
        ("learned-dst", {"dst": 0.5}, 0.5),
        ("learned-prd*learned-dst", {"prd": 0.3, "dst": 0.5}, 0.15),
        ("learned-prd+learned-dst", {"prd": 0.3, "dst": 0.5}, 0.8),
        ("learned-prd+learned-dst", {"prd": 0.8, "dst": 0.5}, 1.0),
        ("XSeg-prd", {"Xprd": 0.7}, 0.7),
        ("XSeg-dst", {"Xdst": 0.6}, 0.6),
        ("XSeg-prd*XSeg-dst", {"Xprd": 0.7, "Xdst": 0.6}, 0.42),
        ("learned-prd*learned-dst*XSeg-prd*XSeg-dst", {"prd": 0.9, "dst": 0.8, "Xprd": 0.7, "Xdst": 0.6}, 0.3024),
        ("learned-prd", {"prd": 1.4}, 1.0),
        ("learned-prd*learned-dst", {"prd": 1.4, "dst": -0.2}, 0.0),
        ("learned-prd", {"prd": 0.0039}, 0.0),  # below 1/255
        ("learned-prd", {"prd": 0.0040}, 0.0040),
    ],
)
def test_what_each_mode_means(mode: str, parts: dict[str, float], value: float) -> None:
    """Only the parts a mode names are asked for: the others are not even there."""
    mask = choose_mask(mode, flat_parts(**parts), SIDE)
    assert mask.dtype == np.float32
    assert mask == pytest.approx(np.full((SIDE, SIDE), value), abs=1e-6)


def test_a_part_is_never_changed() -> None:
    mask = np.full((SIDE, SIDE), 0.0039, np.float32)
    choose_mask("learned-prd", {"learned-prd": lambda: mask}, SIDE)
    assert (mask > 0).all()


def test_shrinking_floats_equals_shrinking_levels() -> None:
    rng = np.random.default_rng(6)
    fine = cv2.GaussianBlur(rng.random((96, 96), dtype=np.float32), (0, 0), 4)
    for erode in (-9, 8):
        exact = shape_fine_mask(fine, erode, 7, exact=True)
        assert shape_fine_mask(fine, erode, 7) == pytest.approx(exact, abs=1 / 65535)


def test_the_outline_follows_the_landmarks() -> None:
    landmarks = painted_landmarks((40, 40), 30, 0.3)
    matrix = frame_to_face(landmarks, FaceType.FULL, 64)
    mask = outline_mask(landmarks, matrix, 64, 1.0)
    points = landmarks @ matrix[:, :2].T + matrix[:, 2]
    nose, chin = np.rint(points[30]).astype(int), points[8]
    assert mask[nose[1], nose[0]] == 1
    assert np.nonzero(mask.max(axis=1))[0].max() == pytest.approx(chin[1], abs=1)
    lower = outline_mask(landmarks, matrix, 64, 0.0)
    assert lower.sum() < mask.sum()


def centered_square(side: int, half: int) -> np.ndarray:
    mask = np.zeros((side, side), np.float32)
    mask[side // 2 - half : side // 2 + half, side // 2 - half : side // 2 + half] = 1
    return mask


@pytest.mark.parametrize(("erode", "blur"), [(0, 0), (1, 0), (-1, 1), (0, 1)])
def test_a_mask_that_needs_nothing_stays_what_it_is(erode: int, blur: int) -> None:
    mask = centered_square(SIDE, 8)
    shaped = shape_mask(mask, erode, blur)
    assert shaped.scale == 1
    assert shaped.values is mask


@pytest.mark.parametrize(("erode", "change"), [(9, -8), (-9, 8), (21, -20), (-41, 40)])
def test_erode_is_measured_in_quarter_model_pixels(erode: int, change: int) -> None:
    """An odd element of size e takes (e - 1) / 2 quarter pixels off each side, or adds them."""
    shaped = shape_mask(centered_square(SIDE, 8), erode, 0)
    assert shaped.scale == 4
    across = (shaped.values[4 * SIDE // 2] > 0.5).sum()
    assert across == 64 + change


def test_erosion_also_works_from_the_border_of_the_square() -> None:
    shaped = shape_mask(np.ones((SIDE, SIDE), np.float32), 9, 0)
    inside = shaped.values[4:-4, 4:-4]
    assert inside.min() == pytest.approx(1, abs=1e-4)
    assert shaped.values.sum() == pytest.approx(inside.sum(), abs=1e-3)


def test_a_blurred_mask_ends_inside_the_square() -> None:
    """Half the kernel is cleared along the border, so the softened mask reaches the border with 0."""
    values = shape_mask(np.ones((SIDE, SIDE), np.float32), 0, 24).values
    rim = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    assert rim.max() < 0.01
    assert values[64, 64] == pytest.approx(1, abs=1e-4)
    # Half of the mask is left where the clearing ended: 12 quarter pixels from the border.
    assert (values[64, 11] + values[64, 12]) / 2 == pytest.approx(0.5, abs=0.01)


def test_a_blur_wider_than_the_square_leaves_nothing() -> None:
    assert not shape_mask(np.ones((SIDE, SIDE), np.float32), 0, 4 * SIDE).values.any()


def test_an_empty_mask_stays_empty() -> None:
    assert not shape_mask(np.zeros((SIDE, SIDE), np.float32), -100, 100).values.any()


@pytest.mark.parametrize(("erode", "blur"), [(30, 0), (-30, 0), (0, 30), (-20, 31), (400, 400), (-400, 400)])
def test_masks_stay_in_range(erode: int, blur: int) -> None:
    rng = np.random.default_rng(4)
    values = shape_mask((rng.random((SIDE, SIDE)) > 0.5).astype(np.float32), erode, blur).values
    assert values.shape == (128, 128)
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() <= 1


def test_model_pixels_and_mask_pixels_share_their_centers() -> None:
    """Mask pixels 4 m .. 4 m + 3 lie under model pixel m; their middle is 4 m + 1.5."""
    mask = FaceMask(np.zeros((8, 8), np.float32), 4)
    assert mask.model_to_mask.tolist() == [[4, 0, 1.5], [0, 4, 1.5]]
    mask.values[4:8, 0:4] = 1
    assert mask.at_model_resolution().tolist() == [[0, 0], [1, 0]]


def test_boxes() -> None:
    mask = np.zeros((5, 7), np.float32)
    assert nonzero_box(mask, 0.0) is None
    mask[1:3, 2:6] = 0.2
    assert nonzero_box(mask, 0.0) == (2, 1, 6, 3)
    assert nonzero_box(mask, 0.2) is None
