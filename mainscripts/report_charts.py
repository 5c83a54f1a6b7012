"""Charts of `util --report` as inline SVG: no script, colors from the page's style, so that they are light or dark.

Classes used: `one` and `two` (the two facesets), `good`, `few`, `none` (how well a direction is covered), `axis`.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def _svg(width: float, height: float, parts: Sequence[str], words: str) -> str:
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" aria-label="{escape(words)}">'
    return head + "".join(parts) + "</svg>"
