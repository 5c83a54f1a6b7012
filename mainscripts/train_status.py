"""`train --status`: where a training stands, told while another process may be training. Reads files, changes nothing,
loads no neural framework.

The trainer writes `report.json` every few seconds (models/report.py); what is saved lies in the checkpoint.
"""

from __future__ import annotations

import json
import math
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from core import console
from core.paths import Workspace
from core.progress import Progress
from mainscripts.train_models import saved_state
from mainscripts.train_options import TrainOptions, training_settings
from mainscripts.train_summary import spoken
from models.checkpoint import CheckpointStore
from models.history import LossHistory
from models.model_lock import LOCK_NAME
from models.registry import find_model, known_values, model_folder
from models.report import REPORT_NAME

TREND_ITERATIONS = 1000
"""So many iterations are compared with as many before them; fewer where the training is younger."""

LEAST_STRETCH = 10
"""A trend of fewer iterations than this would only be noise."""

_OF_ALL_SESSIONS = ("seconds", "rollbacks")
"""Figures that a session takes over from the one before."""

SILENT_SECONDS = 120.0
"""A training on another machine that writes no figures for so long is not running."""


@dataclass(frozen=True)
class TrainingStatus:
    """Where a training stands.

    Attributes:
        name, model_class, folder: of the model.
        running: whether a process trains it now; `process` is its number.
        iteration: of the running session, else of the last save.
        saved_iteration, saved_at: of the last save; None: there is none.
        losses: means since the last save, or of the last save.
        trend: by loss, the change of its mean from one stretch of iterations to the next; -0.02 is 2 % less.
        trend_iterations: the length of these stretches.
        seconds_per_iteration: of the running or the last session; None: not known.
        seconds_trained: all sessions together.
        target_iteration: of the model; 0: none.
        seconds_to_target: at this speed; None: no target, or no speed.
        rollbacks: how often it went back to a checkpoint.
        stopped_by: why the last session ended; "" while one runs, and where it ended without a word.
        previews: pictures, by path.
        backups: numbers of those there are.
    """

    name: str
    model_class: str
    folder: str
    running: bool
    process: int | None
    iteration: int
    saved_iteration: int | None
    saved_at: str | None
    losses: dict[str, float]
    trend: dict[str, float]
    trend_iterations: int
    seconds_per_iteration: float | None
    seconds_trained: float
    target_iteration: int
    seconds_to_target: float | None
    rollbacks: int
    stopped_by: str
    previews: list[str]
    backups: list[int]


def show_status(workspace: Workspace, options: TrainOptions, progress: Progress) -> TrainingStatus:
    """Says where a model of the class stands: the chosen one, else one that is being trained, else the newest; with
    `json` as one object.

    Raises:
        MissingInput: there is no such model.
    """
    status = look_at_training(workspace, options)
    if options.json:
        console.say(json.dumps(asdict(status), ensure_ascii=False))
    else:
        progress.say(in_words(status))
    return status


def look_at_training(workspace: Workspace, options: TrainOptions) -> TrainingStatus:
    """Reads the figures. Raises MissingInput when there is no such model."""
    models, name = options.models_folder(workspace), options.force_model_name or options.model_name
    folder = _in_training(models, options.model) if name is None else model_folder(models, name, options.model)
    if folder is None or not (_report(folder) or _starting(folder, {})):  # one in training may never have been saved
        folder = find_model(models, options.model, name).folder
    report = _report(folder)
    store, state = CheckpointStore(folder), saved_state(folder)
    starting = _starting(folder, report)
    if starting is not None:  # the figures are those of an earlier session
        report = {name: value for name, value in report.items() if name in _OF_ALL_SESSIONS}
    running = starting is not None or _is_running(report)
    saved_iteration = state.iteration if state is not None else None
    iteration = int(report["iteration"]) if running and starting is None else (saved_iteration or 0)
    speed = report.get("seconds_per_iteration")
    values = known_values(options.model, state.options) if state is not None else {}
    target = training_settings(options, values).target_iteration
    if running:
        target = int(report.get("target_iteration", target))
    seconds_to_target = max(0, target - iteration) * speed if target and speed is not None else None
    history = state.history if state is not None else LossHistory()
    trend, stretch = loss_trend(history)
    manifest = store.current / "manifest.json"
    saved_at = datetime.fromtimestamp(manifest.stat().st_mtime) if manifest.exists() else None
    return TrainingStatus(
        name=folder.name.removesuffix(f"_{options.model}"),
        model_class=options.model,
        folder=str(folder),
        running=running,
        process=starting if starting is not None else (int(report["process"]) if running else None),
        iteration=iteration,
        saved_iteration=saved_iteration,
        saved_at=saved_at.astimezone().isoformat(timespec="seconds") if saved_at is not None else None,
        losses={str(k): float(v) for k, v in (report.get("mean_losses") or history.last()).items()},
        trend=trend,
        trend_iterations=stretch,
        seconds_per_iteration=speed,
        seconds_trained=float(report.get("seconds", state.seconds if state is not None else 0.0)),
        target_iteration=target,
        seconds_to_target=seconds_to_target,
        rollbacks=int(report.get("rollbacks", state.rollbacks if state is not None else 0)),
        stopped_by="" if running else str(report.get("stopped_by", "")),
        previews=[str(path) for path in sorted((folder / "previews").glob("*.png"))],
        backups=[int(slot.name) for slot in store.backups.all()],
    )


def loss_trend(history: LossHistory) -> tuple[dict[str, float], int]:
    """The change of every loss from the last but one stretch of iterations to the last; and their length.

    A loss that was switched on or off in between has none.
    """
    stretch = min(TREND_ITERATIONS, len(history) // 2)
    if stretch < LEAST_STRETCH:
        return {}, 0
    last = history.values[-stretch:].mean(axis=0, dtype="float64")
    before = history.values[-2 * stretch : -stretch].mean(axis=0, dtype="float64")
    pairs = zip(history.names, before.tolist(), last.tolist(), strict=True)
    return {name: new / old - 1.0 for name, old, new in pairs if old > 0 and not math.isnan(new)}, stretch


def _report(folder: Path) -> dict[str, Any]:
    """The trainer's figures; {} where there are none, or none that can be read."""
    try:
        found = json.loads((folder / REPORT_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _in_training(models: Path, class_name: str) -> Path | None:
    """The model that a process trains now, saved or not; of several the one whose training began last."""
    folders = [folder for folder in models.glob(f"*_{class_name}") if (folder / LOCK_NAME).exists()]
    reports = {folder: _report(folder) for folder in folders}
    trained = [f for f in folders if _starting(f, reports[f]) is not None or _is_running(reports[f])]
    return max(trained, key=lambda folder: (folder / LOCK_NAME).stat().st_mtime, default=None)


def _starting(folder: Path, report: Mapping[str, Any]) -> int | None:
    """The process that holds the model and has not told any figures yet: it builds and compiles its networks."""
    try:
        words = (folder / LOCK_NAME).read_text("utf-8", "replace")
        found = re.match(r"process (\d+) on (.+), since (.+)", words)
        if found is None or found[2] != socket.gethostname():
            return None
        since = datetime.fromisoformat(found[3].strip()).timestamp()
        told = datetime.fromisoformat(report["at"]).timestamp() if report else 0.0
        begun = psutil.Process(int(found[1])).create_time()
    except (OSError, KeyError, ValueError, psutil.Error):
        return None
    return int(found[1]) if told < since and begun <= since + 1.0 else None


def _is_running(report: Mapping[str, Any]) -> bool:
    """Whether the process that wrote the report is still there and has not said that it stopped."""
    if report.get("stopped_by"):
        return False
    try:
        written = datetime.fromisoformat(report["at"]).timestamp()
        if report.get("host", socket.gethostname()) != socket.gethostname():  # its processes cannot be seen from here
            return time.time() - written < SILENT_SECONDS
        begun = psutil.Process(int(report["process"])).create_time()
    except (KeyError, TypeError, ValueError, psutil.Error):
        return False
    return begun <= written + 1.0  # younger: the number was given away again


def in_words(status: TrainingStatus) -> str:
    """The status for people."""
    state = f"training now (process {status.process})" if status.running else "not training"
    if status.running and status.seconds_per_iteration is None:
        state = f"starting (process {status.process}): the networks are built and compiled"
    rows = [(f"{status.name}, {status.model_class}", state), ("Iteration", f"{status.iteration:,}")]
    if status.saved_at is None:
        rows.append(("Last save", "none"))
    else:
        when = datetime.fromisoformat(status.saved_at)
        rows.append(("Last save", f"iteration {status.saved_iteration or 0:,}, {when:%Y-%m-%d %H:%M}"))
    for name, value in status.losses.items():
        words = f"{value:.4f}"
        if name in status.trend:
            words += f", {status.trend[name]:+.1%} over the last {status.trend_iterations:,} iterations"
        rows.append((name.replace("_", " ").capitalize(), words))
    if status.seconds_per_iteration is not None:
        rows.append(("Speed", f"{1000 * status.seconds_per_iteration:.0f} ms per iteration"))
    rows.append(("Trained", spoken(status.seconds_trained)))
    if status.target_iteration:
        left = "" if status.seconds_to_target is None else f", {spoken(status.seconds_to_target)} to go at this speed"
        rows.append(("Target", f"iteration {status.target_iteration:,}{left}"))
    if status.rollbacks:
        often = "once" if status.rollbacks == 1 else f"{status.rollbacks} times"
        rows.append(("Went back", f"{often} to a checkpoint"))
    if status.stopped_by:
        rows.append(("Stopped", status.stopped_by))
    if status.backups:
        rows.append(("Backups", ", ".join(f"{number:02d}" for number in status.backups)))
    rows += [("Pictures" if number == 0 else "", path) for number, path in enumerate(status.previews)]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
