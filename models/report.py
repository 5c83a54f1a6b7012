"""What a training tells while it runs: the line of an iteration, and `report.json` for whoever looks on.

    [12:34:56][#000123][0123ms][0.1234][0.2345]              Source: spec models 8.3
    [12:34:56][#000123][0123ms][0.1234][0.2345][waited 3%]   only when the device had to wait for samples

`model/<name>_<Class>/report.json` is written whole aside and swapped in every ten seconds, so it can be read at any
moment: the figures of `TrainingReport`, the previews as paths, and

    schema "Report.1"   at (local time with offset)   process, host (who trains)   seed   batch_size
    target_iteration (0: none)   eta_seconds (to the target; null without one, or before two iterations are known)
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import FaceLoomError
from core.files import atomic_write_text

REPORT_NAME = "report.json"


@dataclass(frozen=True)
class TrainingReport:
    """Where a training stands.

    Attributes:
        iteration: completed.
        losses: of the newest iteration, by name.
        mean_losses: over the iterations since the last save; right after one, over those before it.
        seconds, seconds_waited: of all sessions; the second is the part spent waiting for samples.
        session_iterations, session_seconds, session_seconds_waited: since this session began.
        rollbacks: how often the training went back to a checkpoint.
        previews: the pictures drawn last.
        stopped_by: in words; "" while it runs.
        seconds_per_iteration: in this session, saves and pictures included, without the first, which compiles; None
            before the second.
    """

    iteration: int
    losses: Mapping[str, float]
    mean_losses: Mapping[str, float]
    seconds: float
    seconds_waited: float
    session_iterations: int
    session_seconds: float
    session_seconds_waited: float
    rollbacks: int
    previews: tuple[Path, ...]
    stopped_by: str = ""
    seconds_per_iteration: float | None = None


def write_report(folder: Path, report: TrainingReport, **further: Any) -> None:
    """Writes `report.json`. It is a convenience: a disk that refuses it stops nothing."""
    figures = {**asdict(report), "previews": [str(path) for path in report.previews]}
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    figures |= {"schema": "Report.1", "at": now, "process": os.getpid(), "host": socket.gethostname(), **further}
    with contextlib.suppress(FaceLoomError):
        atomic_write_text(folder / REPORT_NAME, json.dumps(figures, ensure_ascii=False, indent=1) + "\n")


def training_line(
    iteration: int, seconds: float, losses: Mapping[str, float], now: datetime, waited: float = 0.0
) -> str:
    """[HH:MM:SS][#000123][0123ms][0.1234][0.2345]; ten seconds and more as [12.34s].

    Args:
        waited: the share of the time, 0..1, in which the device waited for samples; below half a percent is not shown.
    """
    took = f"{int(1000 * seconds):04d}ms" if seconds < 10 else f"{seconds:.4f}"[:5] + "s"
    line = f"[{now:%H:%M:%S}][#{iteration:06d}][{took}]" + "".join(f"[{value:.4f}]" for value in losses.values())
    return line + (f"[waited {waited:.0%}]" if waited >= 0.005 else "")


class Pace:
    """How fast a session goes and how much of it is waiting. Its first iteration, which compiles, counts for neither.

    Attributes:
        recent: over how many iterations the share of waiting is taken.
    """

    def __init__(self, recent: int = 50) -> None:
        self._passes: deque[tuple[float, float]] = deque(maxlen=recent)
        self._iterations = -1
        self._seconds = 0.0

    def note(self, seconds: float, waited: float) -> None:
        """One iteration from its beginning to the next one's, and how long of that it waited for samples."""
        self._iterations += 1
        if self._iterations:
            self._passes.append((seconds, min(waited, seconds)))
            self._seconds += seconds

    @property
    def waited_share(self) -> float:
        """0..1, of the last iterations."""
        seconds = sum(seconds for seconds, _ in self._passes)
        return sum(waited for _, waited in self._passes) / seconds if seconds > 0 else 0.0

    def seconds_for(self, iterations: int) -> float | None:
        """How long so many more would take, saves and pictures included; None before that can be known."""
        return iterations * self._seconds / self._iterations if self._iterations > 0 else None
