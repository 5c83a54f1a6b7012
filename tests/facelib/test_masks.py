"""Masks: the integer form against its golden numbers, the smooth form against areas and motion."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import NotAFace
from core.geometry import transform_points
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.masks import eyes_mask, eyes_mouth_mask, hull_mask, lift_brows, mouth_mask

MASKS: list[Callable[..., np.ndarray]] = [hull_mask, eyes_mask, mouth_mask, eyes_mouth_mask]


@pytest.fixture
def face(level_face: np.ndarray) -> np.ndarray:
    """Vector V1 as FULL face of 256 pixels."""
    return transform_points(level_face, frame_to_face(level_face, FaceType.FULL, 256))


def enlarged(points: np.ndarray, factor: float) -> np.ndarray:
    """The same face in a picture `factor` times as large, pixel edges on pixel edges."""
    return (points + 0.5) * factor - 0.5


@pytest.mark.parametrize(("brow_lift", "pixels"), [(0, 29954), (1, 32685), (2, 35488)])
def test_exact_hull_has_the_published_area(face: np.ndarray, brow_lift: float, pixels: int) -> None:
    mask = hull_mask(face, 256, 256, brow_lift, exact=True)
    assert set(np.unique(mask)) == {0, 1}
    # OpenCV versions fill up to 18 edge pixels differently.
    assert mask.sum() == pytest.approx(pixels, abs=20)


def test_exact_brows_are_the_published_points(face: np.ndarray) -> None:
    wanted = [(38, 60), (53, 41), (75, 39), (96, 40), (115, 45), (137, 44), (157, 41), (177, 37), (198, 42), (212, 59)]
    assert lift_brows(face, 1.0, exact=True)[17:27].tolist() == [list(p) for p in wanted]


def test_no_lift_leaves_the_brows(face: np.ndarray) -> None:
    np.testing.assert_array_equal(lift_brows(face, 0.0), face)


def test_exact_eyes_and_mouth_have_the_published_sums(face: np.ndarray) -> None:
    eyes, mouth = eyes_mask(face, 256, 256, exact=True), mouth_mask(face, 256, 256, exact=True)
    assert eyes.sum() == pytest.approx(1274.0, abs=1)
    assert eyes.max() == pytest.approx(1.0, abs=1e-4)
    assert mouth.sum() == pytest.approx(905.0, abs=1)
    assert mouth.max() == pytest.approx(0.99667, abs=1e-3)


@pytest.mark.parametrize("brow_lift", [0, 1, 2])
def test_smooth_hull_covers_the_true_area(face: np.ndarray, brow_lift: float) -> None:
    # The truth: the same face drawn 16 times as large, whose outline pixels weigh 16 times less.
    large = hull_mask(enlarged(face, 16), 4096, 4096, brow_lift, exact=True).sum() / 256
    smooth = hull_mask(face, 256, 256, brow_lift)
    assert smooth.sum() == pytest.approx(large, rel=0.005)
    assert ((smooth > 0) & (smooth < 1)).sum() > 200  # edges are soft


def test_smooth_hull_is_every_pixels_coverage(face: np.ndarray) -> None:
    large = hull_mask(enlarged(face, 16), 4096, 4096, exact=True)
    coverage = cv2.resize(large, (256, 256), interpolation=cv2.INTER_AREA)
    off = np.abs(hull_mask(face, 256, 256) - coverage)
    assert off.max() < 0.35  # four lines per pixel: an edge along a line may take or leave one
    assert off.mean() < 0.002


def test_a_mask_follows_a_tenth_of_a_pixel(face: np.ndarray) -> None:
    def center(mask: np.ndarray) -> np.ndarray:
        y, x = np.mgrid[:256, :256]
        return np.array([(x * mask).sum(), (y * mask).sum()]) / mask.sum()

    for paint in (hull_mask, eyes_mask, mouth_mask):
        start = center(paint(face, 256, 256))
        for step in (0.1, 0.3, 0.5):
            moved = center(paint(face + np.array([step, -step]), 256, 256)) - start
            np.testing.assert_allclose(moved, [step, -step], atol=0.05)


def test_smooth_eyes_and_mouth_are_about_the_exact_ones(face: np.ndarray) -> None:
    for paint in (eyes_mask, mouth_mask):
        smooth, exact = paint(face, 256, 256), paint(face, 256, 256, exact=True)
        assert smooth.sum() == pytest.approx(exact.sum(), rel=0.06)
        assert np.abs(smooth - exact).mean() < 0.002  # they differ at the edges, by less than a pixel
        assert smooth.max() == pytest.approx(exact.max(), abs=0.02)


def test_masks_of_one_face_agree_between_sizes(face: np.ndarray) -> None:
    for paint in MASKS:
        small = paint(face, 256, 256)
        large = paint(enlarged(face, 2), 512, 512)
        reduced = cv2.resize(large, (256, 256), interpolation=cv2.INTER_AREA)
        assert np.abs(small - reduced).mean() < 0.002


@pytest.mark.parametrize("exact", [False, True])
def test_eyes_and_mouth_lie_where_they_should(face: np.ndarray, exact: bool) -> None:
    eyes, mouth = eyes_mask(face, 256, 256, exact), mouth_mask(face, 256, 256, exact)
    both = eyes_mouth_mask(face, 256, 256, exact=exact)
    left, right = face[36:42].mean(axis=0).astype(int), face[42:48].mean(axis=0).astype(int)
    lips = face[60:68].mean(axis=0).round().astype(int)
    assert eyes[left[1], left[0]] > 0.9
    assert eyes[right[1], right[0]] > 0.9
    assert eyes[lips[1], lips[0]] == 0
    assert mouth[lips[1], lips[0]] > 0.9
    np.testing.assert_array_equal(both, np.minimum(eyes + mouth, 1))


@pytest.mark.parametrize("exact", [False, True])
def test_eyes_and_mouth_stay_inside_the_face_mask(face: np.ndarray, exact: bool) -> None:
    half = np.zeros((256, 256), np.float32)
    half[:, 128:] = 1
    mask = eyes_mouth_mask(face, 256, 256, half, exact)
    assert mask[:, :128].max() == 0
    assert mask[:, 128:].max() > 0.9
    # What lossy coding leaves outside the face opened the exact form everywhere; the default closes it.
    half[:, :128] = 1 / 255
    assert (eyes_mouth_mask(face, 256, 256, half, exact)[:, :128].max() > 0.9) == exact


@pytest.mark.parametrize("paint", MASKS)
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (7, 31), (31, 7), (16, 16), (300, 100)])
def test_any_size_gives_a_mask(
    face: np.ndarray, paint: Callable[..., np.ndarray], exact: bool, size: tuple[int, int]
) -> None:
    height, width = size
    mask = paint(face * [width / 256, height / 256], height, width, exact=exact)
    assert mask.shape == (height, width)
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() <= 1.0001


@pytest.mark.parametrize("paint", MASKS)
@pytest.mark.parametrize("exact", [False, True])
def test_wild_landmarks_do_no_harm(face: np.ndarray, paint: Callable[..., np.ndarray], exact: bool) -> None:
    for points in (face + 5000, face * 1e9, face * 0, -face):
        mask = paint(points, 64, 64, exact=exact)
        assert np.isfinite(mask).all()
    assert paint(face + 5000, 64, 64, exact=exact).max() == 0
    with pytest.raises(NotAFace):
        paint(face * np.nan, 64, 64, exact=exact)


def test_exact_hulls_of_real_faces_are_those_older_tools_drew(shared_data: Path) -> None:
    truth = json.loads((shared_data / "dfl" / "truth" / "faces.json").read_text())["faces"]
    masks = np.load(shared_data / "dfl" / "truth" / "faces_masks.npz")
    checked = 0
    for face in truth:
        name = f"{Path(face['file']).stem}/hull_mask"
        if name not in masks:
            continue
        height, width = masks[name].shape
        lift = face["eyebrows_expand_mod"] or 1.0
        ours = hull_mask(np.array(face["landmarks"]), height, width, lift, exact=True)
        np.testing.assert_array_equal(ours, masks[name] > 0)
        checked += 1
    assert checked >= 5
