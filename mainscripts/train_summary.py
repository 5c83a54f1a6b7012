"""What a training says of itself: the box at its start, which is also `summary.txt`, and the words at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.files import atomic_write_text
from core.options import Options, resolve, show_value, specs
from models.registry import options_class

if TYPE_CHECKING:
    from models.checkpoint import CheckpointStore
    from models.report import TrainingReport

SUMMARY_NAME = "summary.txt"
"""Beside the checkpoint, in the model's folder."""

Rows = Sequence[tuple[str, str]]


def box(sections: Sequence[tuple[str, Rows]]) -> str:
    """Rows of name and value in a frame; the first section's heading is the box's. Source: spec models 7.6."""
    rows = [row for _, section in sections for row in section]
    names, values = max(len(name) for name, _ in rows), max(len(value) for _, value in rows)
    width = names + values + 8
    lines = []
    for number, (heading, section) in enumerate(sections):
        lines.append(f" {heading} ".center(width, "-" if number else "="))
        lines += [f"== {name:>{names}}: {value:<{values}} ==" for name, value in section]
    return "\n".join([*lines, "=" * width])


def setting_rows(class_name: str, values: Mapping[str, Any]) -> Rows:
    """Every setting of a model by name; during pretraining as it then is, and marked where that differs."""
    settings: Options = resolve(options_class(class_name), {}, saved=values)
    in_effect = getattr(settings, "in_effect", settings)
    rows = []
    for spec in specs(type(settings)):
        own, now = (show_value(spec, getattr(one, spec.name)) for one in (settings, in_effect))
        rows.append((spec.name, now if now == own else f"{now} (pretraining; else {own})"))
    return rows


def write_summary(folder: Path, text: str) -> Path:
    """Keeps the box in the model's folder, for whoever looks at it later."""
    path = folder / SUMMARY_NAME
    atomic_write_text(path, text + "\n")
    return path


def closing_words(report: TrainingReport, store: CheckpointStore) -> str:
    """Where the training stopped and why, how fast it was, where it is saved."""
    losses = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in report.mean_losses.items())
    lines = [f"Stopped at iteration {report.iteration:,}: {report.stopped_by}. {losses}".rstrip()]
    if report.session_iterations:
        seconds, waited = report.session_seconds, report.session_seconds_waited
        pace, several = report.seconds_per_iteration, report.session_iterations > 1
        each = "" if pace is None else f", {1000 * pace:.0f} ms each after the first"
        lines.append(
            f"{report.session_iterations:,} iteration{'s' if several else ''} in {spoken(seconds)}{each}; "
            f"{waited:.1f} s ({waited / max(seconds, 1e-9):.0%}) of it waiting for samples."
        )
    elif report.iteration:
        lines.append("Nothing was left to do. To train on, set another target: --target-iteration 0 means none.")
    lines.append(f"Saved in {store.current}." if store.current.exists() else "Nothing was saved.")
    return "\n".join(lines)


def spoken(seconds: float) -> str:
    """A length of time as people say it: "3 days 4 h", "2 h 5 min", "1 min 30 s", "43 s"."""
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    if days:
        return f"{days} day{'s' * (days != 1)} {hours} h"
    if hours:
        return f"{hours} h {rest // 60} min"
    return f"{rest // 60} min {rest % 60} s" if rest >= 60 else f"{rest} s"
