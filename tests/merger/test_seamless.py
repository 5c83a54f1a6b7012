"""Seamless: the rectangle that is solved, and what happens at the frame's border."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from core.poisson import FreeSides
from merger.compositing import PlacedMask, Region
from merger.seamless import clone_into, clone_region, seamless_threshold


def placed(left: int, top: int, width: int, height: int, value: float = 1.0) -> PlacedMask:
    return PlacedMask(Region(left, top, left + width, top + height), np.full((height, width), value, np.float32))


@pytest.mark.parametrize(("most", "threshold"), [(1.0, 0.1), (0.15, 0.1), (0.09, 1.0), (0.0, 1.0)])
def test_the_threshold(most: float, threshold: float) -> None:
    assert seamless_threshold(np.array([[0, most]], np.float32)) == threshold


def test_the_rectangle_holds_the_mask_and_a_margin() -> None:
    region, free = clone_region(placed(50, 60, 37, 41), (200, 300, 3))
    assert free == FreeSides()
    assert region.left <= 47
    assert region.top <= 57
    assert region.right >= 90
    assert region.bottom >= 104
    for pixels in region.size:
        assert scipy.fft.next_fast_len(pixels - 1, real=True) == pixels - 1  # pixels - 2 unknown, plus 1
        assert pixels < 60


def test_where_the_mask_touches_the_border_the_side_is_free() -> None:
    region, free = clone_region(placed(0, 60, 37, 140), (200, 300, 3))
    assert free == FreeSides(left=True, bottom=True)
    assert (region.left, region.bottom) == (0, 200)
    region, free = clone_region(placed(1, 60, 37, 40), (200, 300, 3))
    assert free == FreeSides()
    assert region.left == 0


def test_faint_parts_of_the_mask_are_not_cloned() -> None:
    mask = placed(50, 60, 30, 30)
    mask.weights[:, :10] = 0.09
    region, _ = clone_region(mask, (200, 300, 3))
    assert region.left > 50


def test_an_empty_mask() -> None:
    region, _ = clone_region(placed(50, 60, 30, 30, 0.0), (200, 300, 3))
    assert region.is_empty


def test_a_mask_as_large_as_the_frame() -> None:
    region, free = clone_region(placed(0, 0, 30, 20), (20, 30, 3))
    assert region == Region(0, 0, 30, 20)
    assert free == FreeSides(True, True, True, True)


def test_a_face_of_another_color_takes_that_of_its_surroundings() -> None:
    target = np.full((40, 50, 3), 0.4, np.float32)
    face = np.full((40, 50, 3), 0.7, np.float32)
    face[20, 25] = 0.9
    weights = np.zeros((40, 50), np.float32)
    weights[8:32, 8:42] = 1
    cloned = clone_into(target, face, weights, FreeSides())
    assert cloned[12, 12] == pytest.approx(0.4, abs=0.01)
    assert cloned[20, 25, 0] - cloned[20, 24, 0] == pytest.approx(0.2, abs=0.01)
