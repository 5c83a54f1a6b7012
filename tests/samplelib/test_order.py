"""Whose turn it is."""

from __future__ import annotations

import numpy as np
import pytest

from samplelib.order import PlainOrder, Stream, UniformYawOrder, keyed_rng, yaw_bins


def test_every_face_once_in_each_epoch() -> None:
    order = PlainOrder(37, seed=5, stream=Stream.ORDER_SRC)
    epochs = [[order.index(epoch * 37 + rank) for rank in range(37)] for epoch in range(4)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(37))
    assert epochs[0] != epochs[1]


def test_an_order_can_be_entered_anywhere() -> None:
    walked = PlainOrder(11, seed=5, stream=Stream.ORDER_SRC)
    sequence = [walked.index(number) for number in range(60)]
    for number in (59, 3, 30, 12, 58):
        assert PlainOrder(11, seed=5, stream=Stream.ORDER_SRC).index(number) == sequence[number]


def test_seed_and_stream_make_different_orders() -> None:
    def first_epoch(seed: int, stream: int) -> list[int]:
        order = PlainOrder(50, seed, stream)
        return [order.index(number) for number in range(50)]

    base = first_epoch(1, Stream.ORDER_SRC)
    assert base == first_epoch(1, Stream.ORDER_SRC)
    assert base != first_epoch(2, Stream.ORDER_SRC)
    assert base != first_epoch(1, Stream.ORDER_DST)


def test_one_face_is_always_the_one() -> None:
    order = PlainOrder(1, 0, Stream.ORDER_DST)
    assert [order.index(number) for number in (0, 1, 1000)] == [0, 0, 0]


def test_keyed_generators_depend_on_their_key_alone() -> None:
    first = keyed_rng(7, 3, 1000).random(5)
    np.testing.assert_array_equal(keyed_rng(7, 3, 1000).random(5), first)
    for other in (keyed_rng(8, 3, 1000), keyed_rng(7, 4, 1000), keyed_rng(7, 3, 1001), keyed_rng(7, 3, 1000, 1)):
        assert np.abs(other.random(5) - first).max() > 1e-3


def test_a_full_seed_is_used() -> None:
    assert keyed_rng(2**64 - 1, 1, 0).random() != keyed_rng(2**63 - 1, 1, 0).random()


@pytest.mark.parametrize(
    ("yaw", "expected"),
    [
        (1.5, 0),  # far to image-left: s = -1.5
        (1.2, 0),
        (1.2 - 2.4 / 127 + 1e-6, 0),
        (1.2 - 2.4 / 127 - 1e-6, 1),
        (0.0, 63),  # s = 0 lies between edges 63 and 64 (63.5 steps from the left)
        (-1.2 + 1e-6, 126),
        (-1.2, 127),
        (-1.5, 127),
        (float("nan"), 63),
    ],
)
def test_yaw_bins(yaw: float, expected: int) -> None:
    assert yaw_bins(np.array([yaw]))[0] == expected


def test_yaw_bins_are_visited_evenly_and_no_face_is_forgotten() -> None:
    rng = np.random.default_rng(1)
    yaws = np.concatenate([rng.normal(0, 0.15, 300), [-0.9, 0.8, 1.4]])
    bins = yaw_bins(yaws)
    kinds, sizes = np.unique(bins, return_counts=True)
    order = UniformYawOrder(yaws, seed=3, stream=Stream.ORDER_SRC)
    drawn = np.array([order.index(number) for number in range(len(kinds) * sizes.max())])
    visits = np.array([(bins[drawn] == kind).sum() for kind in kinds])
    np.testing.assert_array_equal(visits, sizes.max())
    assert set(drawn.tolist()) == set(range(len(yaws)))


def test_inside_a_yaw_bin_no_face_repeats_before_all_were_seen() -> None:
    yaws = np.array([0.0] * 5 + [0.6] * 2)
    order = UniformYawOrder(yaws, seed=4, stream=Stream.ORDER_DST)
    fronts = [face for face in (order.index(number) for number in range(40)) if face < 5]
    for epoch in range(4):
        assert sorted(fronts[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]


def test_a_uniform_yaw_order_can_be_entered_anywhere() -> None:
    yaws = np.random.default_rng(2).normal(0, 0.4, 50)
    walked = UniformYawOrder(yaws, 9, Stream.ORDER_SRC)
    sequence = [walked.index(number) for number in range(300)]
    for number in (299, 5, 150):
        assert UniformYawOrder(yaws, 9, Stream.ORDER_SRC).index(number) == sequence[number]
