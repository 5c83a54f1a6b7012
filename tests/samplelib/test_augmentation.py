"""Throwing the dice, and writing down what they said."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from core.errors import BadOption
from core.geometry import transform_points
from facelib.face_type import FaceType
from samplelib.augmentation import UNCHANGED, Augmentation, SampleSettings, draw_augmentation
from samplelib.order import keyed_rng

SETTINGS = SampleSettings(128, FaceType.FULL, scale_range=(-0.15, 0.15), flip=True, hsv_power=0.1)


def drawn(count: int, settings: SampleSettings) -> list[Augmentation]:
    return [draw_augmentation(keyed_rng(1, 5, number), settings) for number in range(count)]


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    """Within the range, and its distribution nowhere further than chance allows (Kolmogorov, 1 in 10,000) from even."""
    assert low <= values.min()
    assert values.max() <= high
    share = np.sort((values - low) / (high - low))
    distance = np.abs(share - (np.arange(len(share)) + 0.5) / len(share)).max()
    assert distance < 2.2 / math.sqrt(len(share))


def test_draws_are_uniform_in_their_ranges() -> None:
    many = drawn(10_000, SETTINGS)
    assert_uniform(np.array([a.rotation for a in many]), -math.radians(10), math.radians(10))
    assert_uniform(np.array([a.scale for a in many]), 1 / 1.15, 1.15)
    assert_uniform(np.array([a.shift[0] for a in many]), -0.05, 0.05)
    assert_uniform(np.array([a.shift[1] for a in many]), -0.05, 0.05)
    assert abs(np.mean([a.flip for a in many]) - 0.5) < 0.02
    shifts = np.array([a.hsv_shift for a in many])
    assert sorted(set(shifts[:, 0])) == list(range(-18, 19))
    assert_uniform(shifts[:, 1], -0.05, 0.05)
    assert_uniform(shifts[:, 2], -0.05, 0.05)


def test_legacy_flips_four_in_ten() -> None:
    flips = [a.flip for a in drawn(10_000, replace(SETTINGS, legacy_warp=True))]
    assert abs(np.mean(flips) - 0.4) < 0.02


def test_what_is_switched_off_does_not_happen() -> None:
    plain = SampleSettings(96, FaceType.FULL, warp=False)
    for augmentation in drawn(20, plain):
        assert augmentation.displacement is None
        assert augmentation.hsv_shift is None
        assert augmentation.donor is None
        assert not augmentation.flip


def test_switching_one_thing_leaves_the_others_as_they_were() -> None:
    with_all = drawn(10, SETTINGS)
    without = drawn(10, replace(SETTINGS, flip=False, hsv_power=0.0))
    for first, second in zip(with_all, without, strict=True):
        assert (first.rotation, first.scale, first.shift) == (second.rotation, second.scale, second.shift)
        np.testing.assert_array_equal(first.displacement, second.displacement)


def test_the_matrix_by_hand() -> None:
    side = 100
    np.testing.assert_array_equal(UNCHANGED.face_to_network(side), [[1, 0, 0], [0, 1, 0]])
    larger = Augmentation(scale=2.0).face_to_network(side)
    np.testing.assert_allclose(transform_points(np.array([[50.0, 50.0], [60, 50]]), larger), [[50, 50], [70, 50]])
    moved = Augmentation(shift=(0.05, -0.1)).face_to_network(side)
    np.testing.assert_allclose(transform_points(np.array([[0.0, 0.0]]), moved), [[5, -10]])
    quarter = Augmentation(rotation=math.pi / 2).face_to_network(side)
    # Counter-clockwise as seen: what was right of the middle is above it.
    np.testing.assert_allclose(transform_points(np.array([[60.0, 50.0]]), quarter), [[50, 40]], atol=1e-12)
    mirrored = Augmentation(flip=True).face_to_network(side)
    np.testing.assert_allclose(transform_points(np.array([[0.0, 7.0], [99, 7]]), mirrored), [[99, 7], [0, 7]])


def test_the_flip_comes_last() -> None:
    both = Augmentation(flip=True, shift=(0.1, 0.0)).face_to_network(100)
    np.testing.assert_allclose(transform_points(np.array([[0.0, 0.0]]), both), [[89, 0]])


def test_a_line_of_text_brings_it_back_to_the_last_bit() -> None:
    for original in [*drawn(5, SETTINGS), UNCHANGED, replace(drawn(1, SETTINGS)[0], donor=17)]:
        copy = Augmentation.from_json(original.to_json())
        assert "\n" not in original.to_json()
        for name, value in original.__dict__.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(getattr(copy, name), value)
                assert getattr(copy, name).dtype == value.dtype
            else:
                assert getattr(copy, name) == value


@pytest.mark.parametrize(
    ("change", "received"),
    [
        ({"resolution": 8}, "8"),
        ({"color_transfer": "sepia"}, "sepia"),
        ({"hsv_power": 2.0}, "2.0"),
        ({"rotation_range": (0.2, -0.2)}, "0.2"),
        ({"shift_range": (0.0, float("nan"))}, "nan"),
        ({"scale_range": (1.0, 1.5)}, "1.0"),
    ],
)
def test_senseless_settings_are_refused(change: dict, received: str) -> None:
    with pytest.raises(BadOption, match=received):
        replace(SETTINGS, **change)
