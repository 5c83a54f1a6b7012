"""The distortion field: its size, its freedom, and the faults of the legacy one."""

from __future__ import annotations

import numpy as np
import pytest

from samplelib.random_warp import displacement_field, draw_displacement, legacy_map


def draws(count: int, legacy: bool = False) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [draw_displacement(rng, legacy) for _ in range(count)]


def in_cells(displacement: np.ndarray) -> np.ndarray:
    """Pushes of the inner nodes in cell sides: (nodes, 2)."""
    return (displacement[1:-1, 1:-1] * (displacement.shape[0] - 1)).reshape(-1, 2)


def test_cells_come_in_three_sizes_equally_often() -> None:
    sizes = np.array([displacement.shape[0] - 1 for displacement in draws(3000)])
    for cells in (2, 4, 8):
        assert abs((sizes == cells).mean() - 1 / 3) < 0.035  # four deviations of a share of 1/3


def test_the_rim_stays_where_it_is() -> None:
    for displacement in draws(50) + draws(50, legacy=True):
        for rim in (displacement[0], displacement[-1], displacement[:, 0], displacement[:, -1]):
            assert not rim.any()


def test_pushes_have_the_size_the_network_is_used_to() -> None:
    pushes = np.concatenate([in_cells(displacement) for displacement in draws(10_000)])
    np.testing.assert_allclose(pushes.std(axis=0), 0.129, rtol=0.02)
    assert np.abs(pushes).max() <= 0.48
    assert abs(np.corrcoef(pushes.T)[0, 1]) < 0.02


def test_legacy_pushes_have_the_same_size_off_the_diagonal() -> None:
    parts = []
    for displacement in draws(4000, legacy=True):
        cells = displacement.shape[0] - 1
        inner = displacement[1:-1, 1:-1, 0] * cells
        parts.append(inner[~np.eye(cells - 1, dtype=bool)])
    pushes = np.concatenate(parts)
    np.testing.assert_allclose(pushes.std(), 0.129, rtol=0.02)
    assert np.abs(pushes).max() <= 0.48


def test_legacy_couples_x_and_y_and_clean_does_not() -> None:
    for displacement in draws(20, legacy=True):
        np.testing.assert_array_equal(displacement[..., 0], displacement[..., 1].T)
    assert any(np.abs(displacement[..., 0] - displacement[..., 1].T).max() > 0.01 for displacement in draws(20))


def test_a_field_of_one_push_by_hand() -> None:
    displacement = np.zeros((3, 3, 2), np.float32)
    displacement[1, 1] = [0.1, -0.2]
    field = displacement_field(displacement, 8)
    # The node lies between pixels 3 and 4; pixel 3 is 0.5 pixel of 4 away from it.
    np.testing.assert_allclose(field[3, 3], np.array([0.8, -1.6]) * 0.875**2, rtol=1e-6)
    np.testing.assert_allclose(field[3, 0], np.array([0.8, -1.6]) * 0.875 * 0.125, rtol=1e-6)
    np.testing.assert_allclose(field[0, 7], np.array([0.8, -1.6]) * 0.125 * 0.125, rtol=1e-6)


def test_mirroring_the_lattice_mirrors_the_field() -> None:
    displacement = draws(1)[0]
    mirrored = displacement_field(displacement[:, ::-1], 64)
    np.testing.assert_allclose(mirrored, displacement_field(displacement, 64)[:, ::-1], atol=1e-5)


@pytest.mark.parametrize("cells", [2, 4, 8])
def test_legacy_without_noise_is_half_a_pixel_off(cells: int) -> None:
    where = legacy_map(np.zeros((cells + 1, cells + 1, 2), np.float32), 96)
    rows, columns = np.mgrid[:96, :96]
    np.testing.assert_array_equal(where[..., 0], columns + 0.5)
    np.testing.assert_array_equal(where[..., 1], rows + 0.5)


def test_the_legacy_map_of_y_is_the_transposed_map_of_x() -> None:
    for displacement in draws(5, legacy=True):
        where = legacy_map(displacement, 96)
        np.testing.assert_allclose(where[..., 1], where[..., 0].T, atol=1e-4)
