"""core.progress: the three ways of telling how far work is."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from core.progress import SILENT, JsonProgress, Progress, TqdmProgress


def _work(progress: Progress) -> None:
    with progress.task("Working", total=3, unit="face") as task:
        for n in range(3):
            task.note(f"n={n}")
            task.advance()
    progress.say("done")


def test_the_bar_names_the_work_and_ends_full(capsys: pytest.CaptureFixture[str]) -> None:
    _work(TqdmProgress())
    shown = capsys.readouterr()
    assert "Working: 100%" in shown.err
    assert "3/3" in shown.err
    assert shown.out == "done\n"


@pytest.mark.parametrize("late", [False, True])
def test_a_brief_bar_is_shown_only_when_it_takes_its_time(
    late: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("core.progress.BRIEF_SECONDS", 0.25 if late else 60.0)
    with TqdmProgress().task("Working", total=2, brief=True) as task:
        task.advance()
        time.sleep(0.3 if late else 0.0)
        task.advance()
    assert ("Working: 100%" in capsys.readouterr().err) is late


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    _work(SILENT)
    assert capsys.readouterr() == ("", "")


def test_json_lines_say_start_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    _work(JsonProgress())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line.get("done")) for line in lines] == [
        ("progress", 0),
        ("progress", 3),
        ("message", None),
    ]
    assert lines[1]["total"] == 3
    assert lines[1]["note"] == "n=2"


def test_events_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    JsonProgress().event("saved", iteration=3, losses={"源": 0.5}, checkpoint=Path("a") / "b")
    TqdmProgress().event("saved", iteration=3)
    SILENT.event("saved", iteration=3)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "event": "saved",
        "iteration": 3,
        "losses": {"源": 0.5},
        "checkpoint": str(Path("a") / "b"),
    }
