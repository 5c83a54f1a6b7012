"""What is added to a cloned face: nothing where it meets the frame."""

from __future__ import annotations

import numpy as np

from merger.adjustments import added_inside
from tests.merger.scenes import disc


def test_a_field_is_added_inside_and_fades_to_the_edge() -> None:
    seen = disc(64, 0.4)
    added = added_inside(np.full((8, 8, 3), 0.5, np.float32), seen)
    assert added.shape == (64, 64, 3)
    assert (added[seen < 0.5] == 0).all()
    assert np.allclose(added[28:36, 28:36], 0.5)
    row = added[32, :32, 0]
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 0.2


def test_it_fades_at_the_border_of_the_square_too() -> None:
    added = added_inside(np.full((8, 8, 3), 0.5, np.float32), np.ones((64, 64), np.float32))
    assert added[0].max() < 0.2
    assert np.allclose(added[32, 32], 0.5)


def test_coarse_squares_lie_on_their_pixels() -> None:
    field = np.zeros((8, 8, 3), np.float32)
    field[2, 5] = 1
    rows, columns = np.mgrid[:64, :64]
    shares = added_inside(field, np.ones((64, 64), np.float32))[..., 0]
    middle = [(shares * axis).sum() / shares.sum() for axis in (rows, columns)]
    assert np.allclose(middle, [2 * 8 + 3.5, 5 * 8 + 3.5], atol=0.05)
