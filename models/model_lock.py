"""One trainer per model: it holds the lock `lock` in the model's folder (core/lock.py) as long as it trains.

A file system that knows no locks cannot tell; there a trainer on another machine is known by its `report.json`, which
it rewrites every few seconds (models/report.py), and one that has been silent for two minutes counts as gone.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

from core.errors import FaceLoomError
from core.lock import hold
from models.report import REPORT_NAME

LOCK_NAME = "lock"

SILENT_SECONDS = 120.0
"""Without locks: a trainer on another machine that has written no figures for so long is gone."""


def lock_model(folder: Path) -> AbstractContextManager[None]:
    """Holds the model in `folder` (made when missing) for the length of the block.

    Raises, on entering:
        FaceLoomError: another process holds it, or the folder cannot be written.
    """
    return hold(
        folder / LOCK_NAME,
        lambda owner: FaceLoomError(
            f"The model in {folder} is being trained by another process{owner}.",
            "Stop that one first (Ctrl-C saves), or train another model with --model-name.",
        ),
        lambda now: _is_trained_elsewhere(folder, now),
    )


def _is_trained_elsewhere(folder: Path, now: float) -> bool:
    """Whether the figures in the folder are those of a trainer that still lives. `now`: by the folder's own clock."""
    path = folder / REPORT_NAME
    try:
        report = json.loads(path.read_text("utf-8"))
        age = now - path.stat().st_mtime
        stopped, process, host = report["stopped_by"], int(report["process"]), report["host"]
    except (OSError, ValueError, TypeError, KeyError):
        return False
    if stopped:
        return False
    if host == socket.gethostname():
        return process != os.getpid() and psutil.pid_exists(process) and age < SILENT_SECONDS
    return age < SILENT_SECONDS
