"""The losses of every iteration: kept, summed up, watched, drawn."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from models.history import LossHistory, LossWatch, draw_loss_chart


def losses(src: float, dst: float) -> dict[str, float]:
    return {"src_loss": src, "dst_loss": dst}


def test_rows_are_kept_in_order() -> None:
    history = LossHistory()
    assert history.last() == history.mean_since(0) == {}
    for n in range(3000):
        history.append(losses(n, -n))
    assert len(history) == 3000
    assert history.names == ("src_loss", "dst_loss")
    assert history.values.dtype == np.float32
    assert history.values[:, 0].tolist() == list(range(3000))
    assert history.last() == losses(2999, -2999)
    assert history.mean_since(2996) == losses(2997.5, -2997.5)
    assert history.mean_since(3000) == {}


def test_what_was_handed_out_does_not_change() -> None:
    history = LossHistory(("loss",), np.array([[1.0]]))
    before = history.values
    history.append({"loss": 2.0})
    assert before.tolist() == [[1.0]]


def test_a_loss_that_comes_and_goes_has_a_column_of_its_own() -> None:
    history = LossHistory()
    history.append({"src_loss": 1.0})
    history.append({"src_loss": 2.0, "gan_loss": 5.0})
    history.append({"src_loss": 3.0, "gan_loss": 7.0})
    history.append({"src_loss": 4.0})
    assert history.names == ("src_loss", "gan_loss")
    assert np.array_equal(history.values[:, 1], [np.nan, 5.0, 7.0, np.nan], equal_nan=True)
    assert history.last() == {"src_loss": 4.0}
    assert history.mean_since(1) == {"src_loss": 3.0, "gan_loss": 6.0}
    assert history.mean_since(3) == {"src_loss": 4.0}
    again = LossHistory(history.names, history.values)
    again.append({"src_loss": 0.5, "gan_loss": 8.0})
    assert again.last() == {"src_loss": 0.5, "gan_loss": 8.0}


def test_columns_must_have_names() -> None:
    with pytest.raises(ValueError, match=r"Received: \(4, 2\)"):
        LossHistory(("loss",), np.zeros((4, 2)))


def watch_over(values: Iterable[float], name: str = "dst_loss") -> tuple[int, str] | None:
    """The first complaint and after how many values it came."""
    watch = LossWatch()
    for count, value in enumerate(values, start=1):
        if complaint := watch.note({"src_loss": 0.2, name: value}):
            return count, complaint
    return None


def test_no_number_is_noticed_at_once() -> None:
    assert watch_over([0.1, float("nan")]) == (2, "The dst loss is nan, not a number")
    assert watch_over([float("inf")]) == (1, "The dst loss is inf, not a number")
    assert watch_over([0.1, float("nan")], "gan_loss") == (2, "The gan loss is nan, not a number")


def test_an_explosion_is_caught_in_five_iterations() -> None:
    found = watch_over([0.1] * 100 + [0.5, 0.8, 3.0, 7.0, 9.0, 9.0])
    assert found == (105, "The dst loss rose from about 0.1000 to 9.0000 within a few iterations")


def test_an_explosion_soon_after_the_start_is_caught() -> None:
    course = [4.0 * 0.9**n + 0.2 for n in range(90)]  # from 4.2 down; the middle of the first 84 is 0.2506
    assert watch_over([*course, *[4.1] * 5]) == (
        95,
        "The dst loss rose from about 0.2506 to 4.1000 within a few iterations",
    )


def test_one_that_comes_and_goes_is_caught_a_little_later() -> None:
    found = watch_over([0.1] * 200 + [5.0, 5.0, 0.1] * 10)
    assert found is not None
    assert 205 < found[0] <= 215


def usual_course(batch: int, count: int) -> np.ndarray:
    """A fall from 4 to 0.3 with the scatter of small batches, every third iteration lower, as Quick96 reports it."""
    rng = np.random.default_rng(batch)
    n = np.arange(count)
    scatter = np.exp(rng.standard_normal((count, batch)) * 0.6).mean(axis=1)
    return (0.3 + 3.7 * np.exp(-n / 400.0)) * scatter * np.where(n % 3 == 2, 0.6, 1.0)


@pytest.mark.parametrize(
    "values",
    [
        [0.1] * 130 + [9.0, 9.0, 9.0, 9.0] + [0.1] * 30,  # four bad batches
        [0.1] * 130 + [0.29] * 30,  # not three times as much
        [4.0 * 0.97**n + 0.1 for n in range(200)],  # the usual course
        [0.1] * 5 + [0.9] * 200,  # too early to know what is usual
        [0.0] * 160,
        [0.1 * 1.002**n for n in range(3000)],  # slowly, over thousands of iterations: no explosion
        usual_course(batch=1, count=20_000),
        usual_course(batch=4, count=20_000),
    ],
)
def test_what_happens_in_every_training_is_no_trouble(values: Iterable[float]) -> None:
    assert watch_over(values) is None


def test_losses_of_adversaries_may_jump() -> None:
    assert watch_over([0.01] * 130 + [0.7] * 50, "gan_loss") is None


def curve_pixels(chart: np.ndarray, bgr: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere((np.abs(chart.astype(int) - bgr) < 12).all(axis=2))


SRC, DST = (0xD6, 0x6F, 0x1F), (0x1E, 0x8A, 0xE0)


def test_the_chart_shows_both_losses_at_their_heights() -> None:
    history = LossHistory(("src_loss", "dst_loss"), np.tile(np.array([[0.3, 0.1]], np.float32), (500, 1)))
    chart = draw_loss_chart(history, "Quick96")
    assert chart.shape == (450, 1000, 3)
    assert chart.dtype == np.uint8
    src, dst = curve_pixels(chart[:, :700], SRC), curve_pixels(chart[:, :700], DST)  # without the legend
    # the scale ends at 2 * mean = 0.4, so 0.3 lies at three quarters and 0.1 at one quarter of the axes' height
    zero_to_top = (dst[:, 0].mean() - src[:, 0].mean()) / (0.3 - 0.1) * 0.4
    assert 300 < zero_to_top < 420
    assert np.ptp(src[:, 0]) <= 3
    assert np.ptp(src[:, 1]) > 600


def test_the_chart_of_the_last_iterations_leaves_the_rest_out() -> None:
    values = np.concatenate([np.full((1000, 1), 50.0), np.full((100, 1), 0.2)]).astype(np.float32)
    history = LossHistory(("src_loss",), values)
    everything, last = draw_loss_chart(history, "t"), draw_loss_chart(history, "t", last=100)
    assert np.array_equal(last, draw_loss_chart(history, "t", last=100))
    assert not np.array_equal(everything, last)
    assert np.ptp(curve_pixels(last[:, :700], SRC)[:, 0]) <= 3  # a level line: nothing of the fifties is left


def test_a_loss_that_came_later_is_drawn_from_there_on() -> None:
    values = np.full((1000, 2), 0.3, np.float32)
    values[:600, 1] = np.nan
    values[600:, 1] = 0.1
    history = LossHistory(("src_loss", "gan_loss"), values)
    chart = draw_loss_chart(history, "t")
    src, gan = curve_pixels(chart[150:], SRC), curve_pixels(chart[150:], DST)  # below the legend
    assert np.ptp(src[:, 1]) > 800
    assert 300 < np.ptp(gan[:, 1]) < 400
    assert gan[:, 1].min() > 560
    assert not len(curve_pixels(draw_loss_chart(LossHistory(history.names, values[:500]), "t"), DST))


@pytest.mark.parametrize("count", [0, 1, 2, 5, 599, 601])
def test_any_length_can_be_drawn(count: int) -> None:
    rows = np.linspace(1.0, 0.5, 2 * count, dtype=np.float32).reshape(count, 2)
    assert draw_loss_chart(LossHistory(("src_loss", "dst_loss"), rows), "t").shape == (450, 1000, 3)
