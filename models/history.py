"""The losses of every iteration: kept, summed up, watched, drawn.

`LossHistory` only grows: one row of float32 per iteration, in the order of the loss names. `LossWatch` looks at the
same numbers for signs that a model is breaking. `draw_loss_chart` makes the picture a user looks at while training.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

LOSS_RANGES: tuple[int | None, ...] = (None, 5_000, 10_000, 50_000, 100_000)
"""What the chart shows: everything, or the last so many iterations (spec models-and-training 8.4)."""

_CHART_COLUMNS = 600  # points drawn per curve; more than a screen resolves, few enough to draw at once
_COLORS = ("#1f6fd6", "#e08a1e", "#3a9d5d", "#a04bb5")  # src blue, dst amber, then further losses


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
        if not self.names:
            self.names = tuple(losses)
            self._rows = np.zeros((0, len(self.names)), np.float32)
        if self._length == len(self._rows):
            grown = np.zeros((max(1024, 2 * self._length), len(self.names)), np.float32)
            grown[: self._length] = self._rows
            self._rows = grown
        self._rows[self._length] = [losses[name] for name in self.names]
        self._length += 1

    def last(self) -> dict[str, float]:
        """The newest row; {} when there is none."""
        return dict(zip(self.names, map(float, self.values[-1]), strict=True)) if self._length else {}

    def mean_since(self, length: int) -> dict[str, float]:
        """Means of all rows after the first `length`; {} when there are none."""
        rows = self.values[length:]
        return dict(zip(self.names, map(float, rows.mean(axis=0, dtype=np.float64)), strict=True)) if len(rows) else {}


class LossWatch:
    """Notices a model that breaks: a loss that is no number, or one that stays far above what it was.

    Only losses of this session count, so a new faceset or a reset part is not mistaken for a collapse. One bad batch
    is forgiven: medians are compared.

    Attributes:
        recent: how many iterations a jump must last.
        reference: up to how many iterations before them it is measured against; a quarter of them must have passed.
        factor: how many times its usual value a loss must have become.
    """

    def __init__(self, recent: int = 25, reference: int = 400, factor: float = 3.0) -> None:
        self.recent = recent
        self.reference = reference
        self.factor = factor
        self._columns: dict[str, deque[float]] = {}

    def note(self, losses: Mapping[str, float]) -> str | None:
        """Takes the losses of one iteration; says in words what is wrong, or None."""
        for name, value in losses.items():
            if not math.isfinite(value):
                return f"{_spoken(name)} is {value}, not a number"
        for name, value in losses.items():
            column = self._columns.setdefault(name, deque(maxlen=self.recent + self.reference))
            column.append(value)
            if len(column) < self.recent + self.reference // 4:
                continue
            # The middle of the recent values is looked for only once the newest has jumped: this runs every iteration.
            rows = list(column)
            usual = statistics.median(rows[: -self.recent]) if value > self.factor * min(rows) else math.inf
            now = statistics.median(rows[-self.recent :]) if math.isfinite(usual) else 0.0
            if now > self.factor * usual:
                return f"{_spoken(name)} rose from about {usual:.4f} to {now:.4f} within {self.recent} iterations"
        return None


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
            label = f"{name.removesuffix('_loss')}  {mean[-1, column]:.4f}"
            axes.fill_between(middles, low[:, column], high[:, column], color=color, alpha=0.18, linewidth=0)
            marker = "." if len(starts) < 30 else ""
            axes.plot(middles, mean[:, column], color=color, linewidth=1.5, label=label, marker=marker)
        top = 2.0 * float(np.mean(values[len(values) // 5 :], dtype=np.float64))
        axes.set_ylim(0.0, top if math.isfinite(top) and top > 0 else 1.0)
        axes.set_xlim(first, first + max(len(values), 2))
        axes.legend(loc="upper right", frameon=False)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, 2::-1])


def _decimate(values: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Splits (n, k) rows into at most `columns` stretches: their first rows (c,), minima, means and maxima (c, k)."""
    count = min(columns, len(values))
    starts = np.arange(count) * len(values) // count
    lengths = np.diff(np.append(starts, len(values)))[:, None]
    sums = np.add.reduceat(values, starts, axis=0, dtype=np.float64)
    low, high = np.minimum.reduceat(values, starts, axis=0), np.maximum.reduceat(values, starts, axis=0)
    return starts, low, sums / lengths, high
