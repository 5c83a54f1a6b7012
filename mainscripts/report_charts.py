"""Charts of the reports as inline SVG: no script, colors from the page's style, so that they are light or dark.

Classes used: `one` and `two` (the two facesets), `good`, `few`, `none` (how well a direction is covered), `axis`;
over time `trace` and `other` (lines), `point`, `limit`, `over` (frames beyond the limit).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from mainscripts.report_findings import count_near, say_direction

_WIDTH, _HEIGHT = 460, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 10, 34
_CELL = 34
_STEP = 10
_ENOUGH = 5
_STRIP = 48
_STRONG = 0.6
_HEIGHT_OF_TIME, _LEFT_OF_TIME = 150, 56


@dataclass(frozen=True)
class Series:
    """Values of one faceset, and its name."""

    label: str
    values: NDArray


def histogram(series: Sequence[Series], unit: str, bins: int = 24, low: float | None = None) -> str:
    """Shares of one or two facesets in equal bins, the second as a line, with the medians in words.

    unit: behind every number, for example " px". low: where the axis begins; None: at the smallest value.
    """
    everything = np.concatenate([np.asarray(one.values, np.float64) for one in series])
    begin = float(everything.min()) if low is None else low
    end = max(float(np.percentile(everything, 99.5)), begin + 1e-6)
    if end - begin < 1e-3 * max(abs(end), 1.0):
        end = begin + max(abs(end), 1.0) * 0.1
    edges = np.linspace(begin, end, bins + 1)
    counts = [np.histogram(np.clip(one.values, begin, end), edges)[0] for one in series]
    shares = [count / max(count.sum(), 1) for count in counts]
    top = max(float(share.max()) for share in shares) or 1.0
    width, height = (_WIDTH - _LEFT - _RIGHT) / bins, _HEIGHT - _TOP - _BOTTOM
    parts = []
    for n, (count, share) in enumerate(zip(counts[0], shares[0], strict=True)):
        tall = share / top * height
        note = f"{edges[n]:.4g} to {edges[n + 1]:.4g}{unit}: {count} faces"
        place = f'x="{_LEFT + n * width:.1f}" y="{_TOP + height - tall:.1f}" width="{width - 1:.1f}"'
        parts.append(f'<rect class="one" {place} height="{tall:.1f}"><title>{escape(note)}</title></rect>')
    for share in shares[1:]:
        corners = [
            f"{_LEFT + (n + step) * width:.1f},{_TOP + height - one / top * height:.1f}"
            for n, one in enumerate(share.tolist())
            for step in (0, 1)
        ]
        parts.append(f'<polyline class="two" points="{" ".join(corners)}"/>')
    base = _TOP + height
    parts.append(f'<line class="axis" x1="{_LEFT}" y1="{base}" x2="{_WIDTH - _RIGHT}" y2="{base}"/>')
    for position, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = _LEFT + position * (_WIDTH - _LEFT - _RIGHT)
        number = begin + position * (end - begin)
        parts.append(f'<text x="{x:.0f}" y="{base + 15}" text-anchor="{anchor}">{number:.3g}{escape(unit)}</text>')
    words = " · ".join(f"{one.label}: middle {np.median(one.values):.3g}{unit}" for one in series)
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 3}">{escape(words)}</text>')
    return _svg(_WIDTH, _HEIGHT, parts, words)


def pose_map(here: Series, there: Series | None) -> str:
    """Where faces look, in cells of 10 degrees; image-left is left. Values: (N, 2), yaw and pitch in degrees.

    With `there`: its faces as numbers, colored by how many faces of `here` look the same way. Else those of `here`.
    """
    shown = here if there is None else there
    both = here.values if there is None else np.concatenate([here.values, there.values])
    yaws, pitches = (
        max(least, int(np.ceil(np.abs(both[:, n]).max(initial=0) / _STEP))) for n, least in ((0, 4), (1, 3))
    )
    near = None if there is None else count_near(there.values, here.values)
    counts, counts_here = _count_cells(shown.values), _count_cells(here.values)
    most = max(counts.values(), default=1)
    left, top = 44, 24
    parts = []
    for pitch in range(pitches, -pitches - 1, -1):
        for yaw in range(yaws, -yaws - 1, -1):
            count, own = counts.get((yaw, pitch), 0), counts_here.get((yaw, pitch), 0)
            x, y = left + (yaws - yaw) * _CELL, top + (pitches - pitch) * _CELL
            kind = "empty"
            if count:
                kind = "good" if near is None else _coverage(there.values, near, yaw, pitch)  # type: ignore[union-attr]
            elif own:
                kind = "spare"
            strength = 0.35 + 0.65 * np.log1p(count) / np.log1p(most) if count else 1.0
            note = f"{say_direction(yaw * _STEP, pitch * _STEP)}: {shown.label} {count}"
            note += "" if there is None else f", {here.label} {own}"
            parts.append(
                f'<rect class="{kind}" x="{x}" y="{y}" width="{_CELL - 2}" height="{_CELL - 2}" rx="3" '
                f'fill-opacity="{strength:.2f}"><title>{escape(note)}</title></rect>'
            )
            if count:
                text = str(count) if count < 1000 else f"{count / 1000:.0f}k"
                shade = "in strong" if strength > _STRONG else "in"
                parts.append(f'<text class="{shade}" x="{x + _CELL / 2 - 1}" y="{y + _CELL / 2 + 3}">{text}</text>')
    parts += _pose_axes(yaws, pitches, left, top)
    width, height = left + (2 * yaws + 1) * _CELL + 10, top + (2 * pitches + 1) * _CELL + 26
    return _svg(width, height, parts, "Directions of the faces")


def _pose_axes(yaws: int, pitches: int, left: int, top: int) -> list[str]:
    parts = []
    for yaw in range(-yaws, yaws + 1):
        if yaw % 2 == 0:
            x = left + (yaws - yaw) * _CELL + _CELL / 2 - 1
            below = top + (2 * pitches + 1) * _CELL + 14
            parts.append(f'<text x="{x}" y="{below}" text-anchor="middle">{abs(yaw) * _STEP}°</text>')
    for pitch in range(-pitches, pitches + 1):
        if pitch % 2 == 0:
            y = top + (pitches - pitch) * _CELL + _CELL / 2 + 3
            parts.append(f'<text x="{left - 6}" y="{y}" text-anchor="end">{abs(pitch) * _STEP}°</text>')
    middle = left + (2 * yaws + 1) * _CELL / 2
    parts.append(f'<text x="{middle}" y="14" text-anchor="middle">↑ looks up</text>')
    bottom = top + (2 * pitches + 1) * _CELL + 14
    parts.append(f'<text x="2" y="{bottom}">← left</text>')
    return parts


def _count_cells(places: NDArray) -> dict[tuple[int, int], int]:
    cells, counts = np.unique(np.round(places / _STEP).astype(int).reshape(-1, 2), axis=0, return_counts=True)
    return {(yaw, pitch): count for (yaw, pitch), count in zip(cells.tolist(), counts.tolist(), strict=True)}


def _coverage(places: NDArray, near: NDArray, yaw: int, pitch: int) -> str:
    """Of the faces in one cell: whether most have enough near them, some, or none."""
    inside = (np.round(places / _STEP) == (yaw, pitch)).all(axis=1)
    middle = float(np.median(near[inside]))
    return "good" if middle >= _ENOUGH else "few" if middle >= 1 else "none"


def color_strip(series: Sequence[tuple[str, NDArray[np.uint8]]]) -> str:
    """One row of colors for each faceset, from dark to bright, spread evenly over its faces.

    series: name and (N, 3) RGB, sorted.
    """
    parts = []
    row, left = 26, 44
    width = (_WIDTH - left) / _STRIP
    for n, (label, colors) in enumerate(series):
        parts.append(f'<text x="0" y="{n * (row + 6) + 17}">{escape(label)}</text>')
        chosen = colors[np.linspace(0, len(colors) - 1, _STRIP).round().astype(int)]
        for k, (red, green, blue) in enumerate(chosen.tolist()):
            place = f'x="{left + k * width:.2f}" y="{n * (row + 6)}" width="{width + 0.3:.2f}" height="{row}"'
            parts.append(f'<rect {place} shape-rendering="crispEdges" fill="#{red:02x}{green:02x}{blue:02x}"/>')
    return _svg(_WIDTH, len(series) * (row + 6), parts, "Colors of the faces, from dark to bright")


@dataclass(frozen=True)
class Timeline:
    """Values over the frames of a film.

    Attributes:
        values: (N,), NaN where there is none.
        names: of the frames.
        limit: a value above it stands out.
        unit: behind every number.
        beside: (N,) to compare with, a thin line; None: nothing.
        cuts: frames at which a scene begins, but for the first.
        width: of the chart in pixels.
    """

    values: NDArray
    names: Sequence[str]
    limit: float
    unit: str
    beside: NDArray | None = None
    cuts: Sequence[int] = ()
    width: int = 960

    @property
    def frames_per_point(self) -> int:
        """How many frames share a point of the line, which shows the largest value among them."""
        return max(1, -(-len(self.values) // (self.width - _LEFT_OF_TIME - _RIGHT)))


def timeline(chart: Timeline) -> str:
    """Values frame by frame, with the limit as a broken line and a dot on each frame beyond it."""
    together, count = chart.frames_per_point, len(chart.values)
    base, wide = _HEIGHT_OF_TIME - 22, chart.width - _LEFT_OF_TIME - _RIGHT
    known = chart.values[np.isfinite(chart.values)]
    top = max(1.5 * chart.limit, min(float(known.max(initial=0.0)) * 1.05, 6 * chart.limit))

    def x(frame: float) -> float:
        return _LEFT_OF_TIME + wide * (frame + 0.5) / count

    def y(value: float) -> float:
        return base - (base - _TOP) * min(value, top) / top

    parts = []
    for cut in chart.cuts:
        at = f"{x(cut - 0.5):.1f}"
        parts.append(f'<line class="axis" x1="{at}" y1="{_TOP}" x2="{at}" y2="{base}"/>')
    for kind, values in (("other", chart.beside), ("trace", chart.values)):
        if values is not None:
            shown = _largest(values, together)
            starts = chart.cuts if together == 1 else ()
            parts += _lines(shown, starts, kind, lambda n: x((n + 0.5) * together - 0.5), y)
    parts.append(f'<line class="axis" x1="{_LEFT_OF_TIME}" y1="{base}" x2="{chart.width - _RIGHT}" y2="{base}"/>')
    level = y(chart.limit)
    parts.append(
        f'<line class="limit" x1="{_LEFT_OF_TIME}" y1="{level:.1f}" x2="{chart.width - _RIGHT}" y2="{level:.1f}"/>'
    )
    for value in (0.0, chart.limit, top):
        text = f"{value:.2g}{escape(chart.unit) if value == top else ''}"
        parts.append(f'<text x="{_LEFT_OF_TIME - 6}" y="{y(value) + 4:.0f}" text-anchor="end">{text}</text>')
    for frame in np.flatnonzero(np.nan_to_num(chart.values) > chart.limit).tolist():
        value = float(chart.values[frame])
        note = escape(f"{chart.names[frame]}: {value:.2f}{chart.unit}")
        parts.append(
            f'<circle class="over" cx="{x(frame):.1f}" cy="{y(value):.1f}" r="3"><title>{note}</title></circle>'
        )
    for frame, anchor in ((0, "start"), (count - 1, "end"))[: min(count, 2)]:
        parts.append(
            f'<text x="{x(frame):.0f}" y="{_HEIGHT_OF_TIME - 6}" text-anchor="{anchor}">'
            f"{escape(chart.names[frame])}</text>"
        )
    return _svg(chart.width, _HEIGHT_OF_TIME, parts, f"From {chart.names[0]} to {chart.names[-1]}")


def _largest(values: NDArray, together: int) -> NDArray:
    """The largest of each so many values that follow each other; NaN where none is known."""
    if together == 1:
        return values
    padded = np.concatenate([values, np.full(-len(values) % together, np.nan)]).reshape(-1, together)
    largest = np.where(np.isfinite(padded), padded, -np.inf).max(axis=1)
    return np.where(np.isfinite(largest), largest, np.nan)


def _lines(
    values: NDArray, starts: Sequence[int], kind: str, x: Callable[[float], float], y: Callable[[float], float]
) -> list[str]:
    """A line through the known values, broken where one is not and before `starts`; a value alone becomes a point."""
    known = np.flatnonzero(np.isfinite(values))
    runs = np.split(known, np.flatnonzero((np.diff(known) > 1) | np.isin(known[1:], starts)) + 1)
    parts = []
    for run in runs:
        corners = [f"{x(n):.1f},{y(float(values[n])):.1f}" for n in run.tolist()]
        if len(corners) > 1:
            parts.append(f'<polyline class="{kind}" points="{" ".join(corners)}"/>')
        elif corners and kind == "trace":
            across, down = corners[0].split(",")
            parts.append(f'<circle class="point" cx="{across}" cy="{down}" r="1.5"/>')
    return parts


def _svg(width: float, height: float, parts: Sequence[str], words: str) -> str:
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" aria-label="{escape(words)}">'
    return head + "".join(parts) + "</svg>"
