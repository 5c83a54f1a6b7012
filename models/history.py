"""The losses of every iteration: kept, summed up, watched, drawn.

`LossHistory` only grows: one row of float32 per iteration, one column per name. A loss that comes with an option (an
adversary's, say) gets a column of its own, NaN where there was none. `LossWatch` looks at the same numbers for signs
that a model is breaking. `draw_loss_chart` makes the picture a user looks at while training.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

LOSS_RANGES: tuple[int | None, ...] = (None, 5_000, 10_000, 50_000, 100_000)
"""What the chart shows: everything, or the last so many iterations (spec models-and-training 8.4)."""

_CHART_COLUMNS = 600  # points drawn per curve; more than a screen resolves, few enough to draw at once
_COLORS = ("#1f6fd6", "#e08a1e", "#3a9d5d", "#a04bb5", "#c8463c", "#2aa5a5")  # src blue, dst amber, then further losses

WATCHED = ("src_loss", "dst_loss", "loss")
"""Losses in which a jump is a model breaking. Those of adversaries jump by nature: one wins, the other learns."""


class LossHistory:
    """Losses by iteration.

    Attributes:
        names: what the columns are, e.g. ("src_loss", "dst_loss"); () until the first row.
    """

    def __init__(self, names: Sequence[str] = (), values: np.ndarray | None = None) -> None:
        self.names = tuple(names)
        rows = np.zeros((0, len(self.names)), np.float32) if values is None else np.asarray(values, np.float32)
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise ValueError(f"Losses must be (iterations, {len(self.names)}). Received: {rows.shape}.")
        self._rows = rows
        self._length = len(rows)

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> np.ndarray:
        """(iterations, losses) float32; a view that later rows do not change."""
        return self._rows[: self._length]

    def append(self, losses: Mapping[str, float]) -> None:
        """Adds the losses of one iteration. Room is doubled when it runs out, so a row costs the same at any length."""
        if new := [name for name in losses if name not in self.names]:
            self.names += tuple(new)
            added = np.full((len(self._rows), len(new)), np.nan, np.float32)
            self._rows = np.concatenate([self._rows, added], axis=1)
        if self._length == len(self._rows):
            grown = np.full((max(1024, 2 * self._length), len(self.names)), np.nan, np.float32)
            grown[: self._length] = self._rows
            self._rows = grown
        self._rows[self._length] = [losses.get(name, math.nan) for name in self.names]
        self._length += 1

    def last(self) -> dict[str, float]:
        """The newest row; {} when there is none."""
        return _present(self.names, self.values[-1]) if self._length else {}

    def mean_since(self, length: int) -> dict[str, float]:
        """Means of all rows after the first `length`, each over the rows that have that loss; {} without rows."""
        return _present(self.names, _over_rows(np.nanmean, self.values[length:], dtype=np.float64))


def _present(names: Sequence[str], row: np.ndarray) -> dict[str, float]:
    """The losses of a row by name, without those that it does not have."""
    return {name: float(value) for name, value in zip(names, row, strict=True) if not math.isnan(value)}


def _over_rows(figure: Callable[..., Any], values: np.ndarray, **how: Any) -> np.ndarray:
    """(n, k) rows -> (k,) by a NumPy function that passes over NaN; NaN for a column that holds nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "All-NaN slice", "Mean of empty slice": the answer is NaN
        row: np.ndarray = figure(values, axis=0, **how)
    return row


class LossWatch:
    """Notices a model that breaks: a loss that is no number, or one that is suddenly far above what it was.

    A value is *high* when it is more than `factor` times the median of the iterations before, and above all but 2 % of
    them. Every high value counts one up, every other one down; at `patience` the model is called broken. So an
    explosion is caught in five iterations, one that comes and goes a little later, and bad batches are forgiven.

    However wild the losses of a faceset are, only one in fifty of an even course is above all but 2 %, so five in a row
    come about once in 50^5 iterations: a year of training at ten a second. (Tried: none in 400,000 values of which 6 %
    were above three times the median.) Only losses of one session are compared, as options, faceset or parts may have
    changed between two. The first 50 iterations, whose losses fall from anywhere, are only looked at.

    Attributes:
        factor: how many times its usual value a high loss has.
        patience: how many more high values than others break.
        recent: the newest values, which are not yet held to be usual.
        reference: up to how many before them are.
    """

    least = 50
    rarely = 0.98

    def __init__(self, factor: float = 3.0, patience: int = 5, recent: int = 10, reference: int = 400) -> None:
        self.factor, self.patience, self.recent, self.reference = factor, patience, recent, reference
        self._columns: dict[str, deque[float]] = {}
        self._high: dict[str, int] = {}

    def note(self, losses: Mapping[str, float]) -> str | None:
        """Takes the losses of one iteration; says in words what is wrong, or None."""
        for name, value in losses.items():
            if not math.isfinite(value):
                return f"{_spoken(name)} is {value}, not a number"
        for name in WATCHED:
            if name in losses and (usual := self._usual_if_broken(name, losses[name])) is not None:
                return f"{_spoken(name)} rose from about {usual:.4f} to {losses[name]:.4f} within a few iterations"
        return None

    @property
    def is_calm(self) -> bool:
        """Whether nothing is high: the moment for a save that should not catch a model that is breaking."""
        return not any(self._high.values())

    def learn(self, history: LossHistory, first: int, last: int) -> None:
        """Takes the iterations after `first` up to `last` for usual ones."""
        for name in WATCHED:
            if name in history.names:
                rows = history.values[first:last, history.names.index(name)]
                column = self._columns.setdefault(name, deque(maxlen=self.recent + self.reference))
                column.extend(float(value) for value in rows[-self.reference :] if math.isfinite(value))

    def _usual_if_broken(self, name: str, value: float) -> float | None:
        column = self._columns.setdefault(name, deque(maxlen=self.recent + self.reference))
        before = np.array(column)[: -self.recent]
        column.append(value)
        if len(before) < self.least:
            return None
        usual = float(np.median(before))
        is_high = value > max(self.factor * usual, float(np.quantile(before, self.rarely, method="higher")))
        self._high[name] = max(0, self._high.get(name, 0) + (1 if is_high else -1))
        return usual if self._high[name] >= self.patience else None


def _spoken(name: str) -> str:
    return "The " + name.replace("_", " ")


def draw_loss_chart(history: LossHistory, title: str, last: int | None = None) -> np.ndarray:
    """Draws the losses against the iteration.

    Each loss is a pale band from its least to its greatest value and a line through its means, over at most 600
    stretches of equal length. The scale ends at twice the mean of the last four fifths, so that the steep beginning
    does not flatten the rest.

    Args:
        title: the line above the chart.
        last: show only so many of the newest iterations; None: all.

    Returns:
        (450, 1000, 3) uint8 BGR.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = history.values if last is None else history.values[-last:]
    first = len(history) - len(values)
    figure = Figure(figsize=(10, 4.5), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="iteration", ylabel="loss", title=title)
    axes.grid(True, color="0.85", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    if len(values):
        starts, low, mean, high = _decimate(values, _CHART_COLUMNS)
        middles = first + (starts + np.append(starts[1:], len(values)) + 1) / 2  # the first row is iteration first + 1
        for column, name in enumerate(history.names):
            color = _COLORS[column % len(_COLORS)]
            if np.isnan(mean[:, column]).all():
                continue  # a loss of an option that was not on in these iterations
            newest = "" if math.isnan(mean[-1, column]) else f"  {mean[-1, column]:.4f}"
            label = name.removesuffix("_loss").replace("_", " ") + newest
            axes.fill_between(middles, low[:, column], high[:, column], color=color, alpha=0.18, linewidth=0)
            marker = "." if len(starts) < 30 else ""
            axes.plot(middles, mean[:, column], color=color, linewidth=1.5, label=label, marker=marker)
        top = 2.0 * float(np.nanmean(values[len(values) // 5 :], dtype=np.float64))
        axes.set_ylim(0.0, top if math.isfinite(top) and top > 0 else 1.0)
        axes.set_xlim(first, first + max(len(values), 2))
        axes.legend(loc="upper right", frameon=False)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, 2::-1])


def _decimate(values: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Splits (n, k) rows into at most `columns` stretches: their first rows (c,), minima, means and maxima (c, k).

    A stretch has a loss where any of its rows has; NaN elsewhere.
    """
    count = min(columns, len(values))
    starts = np.arange(count) * len(values) // count
    absent = np.isnan(values)
    present = np.add.reduceat(~absent, starts, axis=0, dtype=np.int64)
    sums = np.add.reduceat(np.where(absent, 0.0, values), starts, axis=0, dtype=np.float64)
    mean = np.divide(sums, present, out=np.full(sums.shape, np.nan), where=present > 0)
    return starts, np.fmin.reduceat(values, starts, axis=0), mean, np.fmax.reduceat(values, starts, axis=0)
