"""Points, matrices and resampling."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.geometry import (
    box_area,
    compose_affine,
    distance_of_points,
    intersection_over_union,
    invert_affine,
    similarity_from_points,
    transform_points,
    warp,
)

QUARTER_TURN = np.array([[0.0, -1.0, 5.0], [1.0, 0.0, -2.0]])  # (x, y) -> (5 - y, x - 2)


def test_points_are_turned_and_shifted() -> None:
    moved = transform_points(np.array([[1.0, 2.0], [0.0, 0.0]]), QUARTER_TURN)
    np.testing.assert_array_equal(moved, [[3.0, -1.0], [5.0, -2.0]])


@pytest.mark.parametrize(("given_type", "wanted"), [(np.float32, np.float32), (np.float64, np.float64), (int, float)])
def test_points_keep_float32_and_are_float64_otherwise(given_type: type, wanted: type) -> None:
    assert transform_points(np.zeros((3, 2), given_type), QUARTER_TURN).dtype == wanted


def test_one_point_stays_one_point() -> None:
    assert transform_points(np.array([1.0, 2.0]), QUARTER_TURN).tolist() == [3.0, -1.0]


def test_composition_applies_the_first_matrix_first() -> None:
    double = np.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    assert transform_points(np.array([1.0, 2.0]), compose_affine(double, QUARTER_TURN)).tolist() == [1.0, 0.0]
    assert transform_points(np.array([1.0, 2.0]), compose_affine(QUARTER_TURN, double)).tolist() == [6.0, -2.0]


@given(st.lists(st.floats(-1000, 1000), min_size=6, max_size=6))
def test_a_matrix_there_and_back_moves_no_point(numbers: list[float]) -> None:
    a, b, c, d, e, f = numbers
    matrix = np.array([[a, b, c], [d, e, f]])
    singular_values = np.linalg.svd(matrix[:, :2], compute_uv=False)
    if singular_values[1] < 1e-3 * max(singular_values[0], 1):
        return
    points = np.array([[0.0, 0.0], [100.0, -50.0], [3.5, 7.25]])
    # Rounding is magnified by the condition number, at most 1000 here, of numbers up to 200,000.
    np.testing.assert_allclose(
        transform_points(transform_points(points, matrix), invert_affine(matrix)), points, atol=1e-5
    )


@pytest.mark.parametrize(
    "matrix",
    [[[0, 0, 1], [0, 0, 2]], [[1, 2, 0], [2, 4, 0]], [[0.1, 0.3, 0], [0.2, 0.6, 0]], [[math.nan, 0, 0], [0, 1, 0]]],
)
def test_a_flattening_matrix_has_no_inverse(matrix: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="cannot be inverted"):
        invert_affine(np.array(matrix, float))


@given(st.floats(-math.pi, math.pi), st.floats(0.01, 100), st.floats(-500, 500), st.floats(-500, 500))
def test_a_similarity_is_found_again(angle: float, scale: float, x: float, y: float) -> None:
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    matrix = np.array([[cosine, -sine, x], [sine, cosine, y]])
    points = np.array([[0.0, 0.0], [10.0, 1.0], [3.0, 8.0], [-4.0, 2.0]])
    np.testing.assert_allclose(similarity_from_points(points, transform_points(points, matrix)), matrix, atol=1e-9)


def test_a_similarity_agrees_with_umeyamas_decomposition() -> None:
    rng = np.random.default_rng(3)
    for mirrored in (1, -1):  # a mirrored cloud must still give a rotation
        s = rng.normal(size=(20, 2))
        d = s @ [[0.8, 0.3], [-0.3, 0.8]] * [mirrored, 1] + rng.normal(0, 0.3, (20, 2)) + [4, 5]
        u, values, vt = np.linalg.svd((d - d.mean(0)).T @ (s - s.mean(0)) / 20)
        signs = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
        linear = u @ np.diag(signs) @ vt * (values @ signs) / s.var(axis=0).sum()
        expected = np.column_stack([linear, d.mean(0) - linear @ s.mean(0)])
        np.testing.assert_allclose(similarity_from_points(s, d), expected, atol=1e-12)


def test_points_in_one_place_give_no_similarity() -> None:
    with pytest.raises(ValueError, match="rotation open"):
        similarity_from_points(np.full((5, 2), 7.0), np.random.default_rng(0).normal(size=(5, 2)))


def blob(center: tuple[float, float], sigma: float, width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / (2 * sigma**2)).astype(np.float32)


def center_of(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(x * image).sum(), (y * image).sum()]) / image.sum()


def turn(angle: float, scale: float, center: tuple[float, float], out_center: tuple[float, float]) -> np.ndarray:
    linear = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.column_stack([linear, np.array(out_center) - linear @ np.array(center)])


def test_nothing_changes_under_the_identity() -> None:
    image = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(warp(image, np.eye(2, 3), (30, 20)), image)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_type_and_axes_stay(kind: type) -> None:
    assert warp(np.zeros((40, 60, 3), kind), np.eye(2, 3) * 0.25, (10, 5)).shape == (5, 10, 3)
    small = warp(np.zeros((40, 60), kind), np.eye(2, 3) * 0.25, 8)
    assert small.shape == (8, 8)
    assert small.dtype == kind


@pytest.mark.parametrize("scale", [2.0, 1.0, 0.7, 0.55, 0.4, 0.24, 0.1])
@pytest.mark.parametrize("interpolation", ["linear", "cubic", "area-cubic"])
def test_the_matrix_that_moves_points_moves_pictures(scale: float, interpolation: str) -> None:
    at = (201.3, 180.8)
    matrix = turn(0.4, scale, at, (40.4, 37.7))
    moved = warp(blob(at, 6 / min(scale, 1), 400, 360), matrix, (80, 76), interpolation)
    # OpenCV rounds sampling positions to 1/32 pixel.
    np.testing.assert_allclose(center_of(moved), [40.4, 37.7], atol=0.03)


@pytest.mark.parametrize("shrink", [1.6, 2.0, 3.0, 4.0, 6.5])
def test_stripes_finer_than_the_output_turn_gray(shrink: float) -> None:
    stripes = np.zeros((400, 400), np.uint8)
    stripes[:, ::2] = 255
    matrix = np.array([[1 / shrink, 0, 0], [0, 1 / shrink, 0]])
    side = int(380 / shrink)
    unfiltered = cv2.warpAffine(stripes, matrix, (side, side), flags=cv2.INTER_CUBIC)
    ripple = [np.abs(picture[4:-4, 4:-4] - 127.5).max() for picture in (warp(stripes, matrix, side), unfiltered)]
    assert ripple[0] < (0.12 if shrink >= 2 else 0.45) * 127.5
    assert ripple[1] > 0.9 * 127.5


def test_a_strong_turned_shrink_matches_the_mean_of_many_samples() -> None:
    rng = np.random.default_rng(5)
    image = cv2.GaussianBlur(rng.random((300, 300), np.float32), (0, 0), 1.0)
    image = (image - image.min()) / (image.max() - image.min())
    matrix = turn(0.5, 1 / 3, (150, 150), (30, 30))
    fine = compose_affine(matrix, np.array([[8.0, 0, 3.5], [0, 8.0, 3.5]]))  # 8x8 samples per output pixel
    means = cv2.warpAffine(image, fine, (488, 488), flags=cv2.INTER_LINEAR).reshape(61, 8, 61, 8).mean(axis=(1, 3))
    ours = warp(image, matrix, 61)
    plain = cv2.warpAffine(image, matrix, (61, 61), flags=cv2.INTER_CUBIC)
    inner = slice(8, -8)
    ours_off = np.abs(ours - means)[inner, inner].mean()
    plain_off = np.abs(plain - means)[inner, inner].mean()
    assert ours_off < 0.3 * plain_off
    assert ours_off < 0.02


def test_area_cubic_filters_small_shrinking_too() -> None:
    stripes = np.zeros((100, 100), np.uint8)
    stripes[:, ::2] = 255
    matrix = np.eye(2, 3) / 1.4
    soft, crisp = warp(stripes, matrix, 60, "area-cubic"), warp(stripes, matrix, 60, "cubic")
    assert soft.std() < 0.8 * crisp.std()


def test_borders() -> None:
    white = np.full((20, 20), 255, np.uint8)
    shifted = np.array([[1.0, 0, 10], [0, 1.0, 0]])
    assert warp(white, shifted, 20)[10, :8].tolist() == [0] * 8
    assert warp(white, shifted, 20, border="replicate").min() == 255
    far = np.array([[1.0, 0, 1000], [0, 1.0, 0]])
    assert warp(white, far, 20).max() == 0
    assert warp(white, far, 20, border="replicate").min() == 255


@pytest.mark.parametrize("shrink", [1.7, 5.3])
def test_borders_hold_when_shrinking(shrink: float) -> None:
    white = np.full((101, 103), 255, np.uint8)
    matrix = np.array([[1 / shrink, 0, 10], [0, 1 / shrink, 10]])
    replicated = warp(white, matrix, 100, border="replicate")
    black = warp(white, matrix, 100)
    assert replicated.min() == 255
    # What lands on the output is the area of the picture, within a tenth of an output pixel along its edge.
    width, height = 103 / shrink, 101 / shrink
    assert black.sum() / 255 == pytest.approx(width * height, abs=0.1 * 2 * (width + height))


def test_pictures_wider_than_opencv_samples_from() -> None:
    wide = np.zeros((8, 40000), np.uint8)
    wide[:, 39000:] = 200
    assert warp(wide, np.array([[1.0, 0, -39100], [0, 1, 0]]), 8).tolist() == [[200] * 8] * 8


def test_only_the_needed_part_matters() -> None:
    image = np.random.default_rng(2).integers(0, 256, (200, 200, 3), np.uint8)
    matrix = turn(0.3, 0.3, (60, 60), (15, 15))
    painted = image.copy()
    painted[150:] = 0
    np.testing.assert_array_equal(warp(image, matrix, 30), warp(painted, matrix, 30))


def test_unknown_words_and_flat_matrices_are_refused() -> None:
    with pytest.raises(ValueError, match="Received: lanczos"):
        warp(np.zeros((4, 4), np.uint8), np.eye(2, 3), 4, "lanczos")
    with pytest.raises(ValueError, match="flattens"):
        warp(np.zeros((4, 4), np.uint8), np.zeros((2, 3)), 4)


def test_what_boxes_have_in_common() -> None:
    box = np.array([0.0, 0, 10, 10])
    others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    np.testing.assert_allclose(intersection_over_union(box, others), [1, 50 / 150, 0])
    assert intersection_over_union(box, others[1]) == pytest.approx(50 / 150)
    assert intersection_over_union(box, np.array([4.0, 4, 4, 4])) == 0  # a box without area
    assert box_area(np.array([[0.0, 0, 2, 3], [5, 5, 4, 9]])).tolist() == [6, 0]  # the second is inside out


def test_the_distance_of_points() -> None:
    assert distance_of_points(np.array([[0.0, 0], [1, 1]], np.float32), np.array([[3.0, 4], [1, 1]])) == 12.5**0.5
