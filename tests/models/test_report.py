"""The training line, the pace, and the figures for onlookers."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from models.report import Pace, TrainingReport, training_line, write_report


def test_the_training_line() -> None:
    now = datetime(2026, 3, 1, 9, 5, 7)
    losses = {"src_loss": 0.12344, "dst_loss": 1.5}
    assert training_line(123, 0.0876, losses, now) == "[09:05:07][#000123][0087ms][0.1234][1.5000]"
    assert training_line(1234567, 12.345678, {}, now) == "[09:05:07][#1234567][12.34s]"
    assert training_line(1, 9.9999, {}, now) == "[09:05:07][#000001][9999ms]"
    assert training_line(1, 9.9, {}, now) == "[09:05:07][#000001][9900ms]"
    assert training_line(1, 123.456, {}, now) == "[09:05:07][#000001][123.4s]"


def test_waiting_is_on_the_line_where_there_is_some() -> None:
    now = datetime(2026, 3, 1, 9, 5, 7)
    assert training_line(1, 0.1, {"loss": 0.5}, now, 0.034) == "[09:05:07][#000001][0100ms][0.5000][waited 3%]"
    assert training_line(1, 0.1, {"loss": 0.5}, now, 0.0049) == "[09:05:07][#000001][0100ms][0.5000]"


def test_the_pace_leaves_the_first_iteration_out() -> None:
    pace = Pace(recent=4)
    assert pace.seconds_for(100) is None
    pace.note(60.0, 30.0)  # compiles, and the first samples are not there yet
    assert pace.seconds_for(100) is None
    assert pace.waited_share == 0.0
    for _ in range(3):
        pace.note(1.0, 0.0)
    pace.note(5.0, 4.0)  # a slow one, with a save
    assert pace.seconds_for(100) == pytest.approx(100 * 8.0 / 4)
    assert pace.waited_share == pytest.approx(4.0 / 8.0)
    for _ in range(4):
        pace.note(1.0, 9.0)  # never more than all of it
    assert pace.waited_share == 1.0


def test_the_figures_on_disk(tmp_path: Path) -> None:
    report = TrainingReport(3, {"src_loss": 0.5}, {"src_loss": 0.6}, 9.0, 1.0, 2, 6.0, 0.5, 1, (tmp_path / "源.png",))
    write_report(tmp_path, report, seed=7, eta_seconds=None)
    figures = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert figures["schema"] == "Report.1"
    assert figures["process"] == os.getpid()
    assert figures["host"]
    assert datetime.fromisoformat(figures["at"]).tzinfo is not None
    assert (figures["iteration"], figures["losses"], figures["rollbacks"]) == (3, {"src_loss": 0.5}, 1)
    assert figures["previews"] == [str(tmp_path / "源.png")]
    assert (figures["seed"], figures["eta_seconds"], figures["stopped_by"]) == (7, None, "")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]  # nothing half-written lies beside it


def test_a_disk_that_refuses_the_figures_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    write_report(tmp_path, TrainingReport(0, {}, {}, 0.0, 0.0, 0, 0.0, 0.0, 0, ()))
