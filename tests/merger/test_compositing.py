"""Putting faces into a frame: what is touched, and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.geometry import warp
from merger.compositing import PlacedMask, Region, add_coverage, blend, paste, place_mask, reachable_region
from merger.masks import FaceMask
from tests.merger.scenes import disc


def turned(scale: float, angle: float, x: float, y: float) -> np.ndarray:
    """(2, 3) face pixels to frame pixels: scaled, turned, and moved so that the face's first pixel comes to (x, y)."""
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


def blend_face(canvas: np.ndarray, face: np.ndarray, frame_to_face: np.ndarray, placed: PlacedMask) -> None:
    """A face pasted and blended."""
    blend(canvas, paste(face, frame_to_face, placed.region), placed)


def inverse(matrix: np.ndarray) -> np.ndarray:
    return np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]


@settings(max_examples=150, deadline=None)
@given(
    st.floats(0.15, 6),
    st.floats(-3.2, 3.2),
    st.floats(-60, 160),
    st.floats(-60, 120),
    st.integers(0, 23),
    st.integers(0, 23),
)
def test_nothing_lies_outside_the_region(scale: float, angle: float, x: float, y: float, row: int, column: int) -> None:
    """Any mask, anywhere: pasted into its region it is what it would be, pasted into the whole frame."""
    mask = np.zeros((24, 24), np.float32)
    mask[row : row + 5, column : column + 3] = 1
    to_frame = turned(scale, angle, x, y)
    whole = np.clip(warp(mask, to_frame, (160, 120), "cubic", "constant"), 0, 1)
    whole[whole < np.float32(1 / 255)] = 0
    placed = place_mask(FaceMask(mask, 1), inverse(to_frame), (120, 160))
    rebuilt = np.zeros((120, 160), np.float32)
    if not placed.region.is_empty:
        placed.region.of(rebuilt)[...] = placed.weights
    # The same sums at other offsets: a pixel may differ where rounding puts a position into the next 1/32.
    assert np.abs(rebuilt - whole).max() < 0.12
    assert (np.abs(rebuilt - whole) > 0.002).mean() < 0.01


def test_the_region_is_close_around_the_mask() -> None:
    mask = np.zeros((40, 40), np.float32)
    mask[10:20, 10:20] = 1
    region = reachable_region(mask, turned(1, 0, 100, 50), (400, 400, 3))
    assert region == Region(107, 57, 123, 73)  # 3 pixels of a cubic kernel's reach on each side


def test_the_region_of_an_empty_mask_is_empty() -> None:
    assert reachable_region(np.zeros((8, 8), np.float32), np.eye(2, 3), (50, 50)).is_empty


def test_a_region_outside_the_frame_is_empty() -> None:
    assert reachable_region(np.ones((8, 8), np.float32), turned(1, 0, 70, 10), (50, 50)).is_empty
    placed = place_mask(FaceMask(np.ones((8, 8), np.float32), 1), inverse(turned(1, 0, 70, 10)), (50, 50))
    assert not placed.is_worth_pasting
    coverage = np.zeros((50, 50), np.uint8)
    add_coverage(coverage, placed)
    assert not coverage.any()


@pytest.mark.parametrize(("width", "worth"), [(4, False), (5, True)])
def test_a_speck_is_not_worth_pasting(width: int, worth: bool) -> None:
    weights = np.zeros((20, 20), np.float32)
    weights[5 : 5 + width, 5:15] = 0.5
    assert PlacedMask(Region(0, 0, 20, 20), weights).is_worth_pasting is worth
    weights[weights > 0] = 0.1
    assert not PlacedMask(Region(0, 0, 20, 20), weights).is_worth_pasting


def test_masks_are_exactly_0_or_at_least_one_step_of_8_bits() -> None:
    placed = place_mask(FaceMask(disc(24, 0.4, 0.6), 1), inverse(turned(3, 0.2, 20, 10)), (120, 120))
    positive = placed.weights[placed.weights > 0]
    assert positive.min() >= 1 / 255
    assert (placed.weights == 0).any()


def test_blending_by_hand() -> None:
    """100 + (204 - 100) w for a flat face of 0.8: at weights 0, 1/4, 1/2 and 1 that is 100, 126, 152, 204."""
    canvas = np.full((1, 4, 3), 100, np.uint8)
    placed = PlacedMask(Region(0, 0, 4, 1), np.array([[0, 0.25, 0.5, 1]], np.float32))
    blend_face(canvas, np.full((16, 16, 3), 0.8, np.float32), np.eye(2, 3), placed)
    assert canvas[0, :, 0].tolist() == [100, 126, 152, 204]
    deep = np.full((1, 4, 3), 25700, np.uint16)
    blend_face(deep, np.full((16, 16, 3), 0.8, np.float32), np.eye(2, 3), placed)
    assert deep[0, :, 0].tolist() == [25700, 32382, 39064, 52428]


def test_blending_rounds_to_nearest() -> None:
    canvas = np.zeros((1, 2, 3), np.uint8)
    placed = PlacedMask(Region(0, 0, 2, 1), np.array([[1, 1]], np.float32))
    face = np.full((16, 16, 3), 10.6 / 255, np.float32)
    blend_face(canvas, face, np.eye(2, 3), placed)
    assert (canvas == 11).all()  # the classical way cuts off and gives 10


def test_blending_touches_only_the_region() -> None:
    canvas = np.arange(120 * 160 * 3, dtype=np.uint32).astype(np.uint8).reshape(120, 160, 3)
    before = canvas.copy()
    placed = place_mask(FaceMask(disc(24, 0.4), 1), inverse(turned(2, 0.3, 60, 30)), canvas.shape)
    blend_face(canvas, np.zeros((24, 24, 3), np.float32), inverse(turned(2, 0.3, 60, 30)), placed)
    changed = (canvas != before).any(axis=-1)
    left, top, right, bottom = placed.region.left, placed.region.top, placed.region.right, placed.region.bottom
    assert changed.any()
    changed[top:bottom, left:right] &= placed.weights == 0
    assert not changed.any()


def test_coverage_of_two_masks_is_what_either_covers() -> None:
    """1 - (1 - 1/2)(1 - 1/2) = 3/4; 255 levels of it are 191 (the first half is stored as 128)."""
    coverage = np.zeros((2, 3), np.uint8)
    half = PlacedMask(Region(1, 0, 3, 2), np.full((2, 2), 0.5, np.float32))
    add_coverage(coverage, half)
    assert coverage.tolist() == [[0, 128, 128], [0, 128, 128]]
    add_coverage(coverage, half)
    assert coverage[0].tolist() == [0, 192, 192]
    add_coverage(coverage, PlacedMask(Region(0, 0, 3, 2), np.ones((2, 3), np.float32)))
    assert (coverage == 255).all()


def test_weights_over_another_region() -> None:
    placed = PlacedMask(Region(2, 1, 4, 3), np.array([[0.1, 0.2], [0.3, 0.4]], np.float32))
    wider = placed.over(Region(1, 0, 4, 5))
    assert wider.tolist() == [[0, 0, 0], [0, *placed.weights[0]], [0, *placed.weights[1]], [0, 0, 0], [0, 0, 0]]
    assert placed.over(Region(3, 2, 9, 4)).tolist() == [[placed.weights[1, 1], 0, 0, 0, 0, 0], [0] * 6]
    assert not placed.over(Region(8, 8, 9, 9)).any()


def test_regions_grow_join_and_move() -> None:
    region = Region(3, 2, 8, 9)
    assert region.grown(4, (10, 20, 3)) == Region(0, 0, 12, 10)
    assert region.joined(Region(1, 5, 4, 11)) == Region(1, 2, 8, 11)
    assert region.within(Region(1, 2, 9, 9)) == Region(2, 0, 7, 7)
