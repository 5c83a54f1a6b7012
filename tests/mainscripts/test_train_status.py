"""`train --status`: figures of a training that runs, of one that stopped, of one that died."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import MissingInput
from core.paths import Workspace
from core.progress import SILENT
from mainscripts.cli import main
from mainscripts.train_questions import settle_further
from mainscripts.train_status import in_words, look_at_training, loss_trend, show_status
from models.backups import Backups
from models.history import LossHistory
from models.model_lock import lock_model
from tests.mainscripts.trained import save_model, talk, train_options
from tests.models.fake_model import Said

ROOT = Path(__file__).resolve().parents[2]


def write_report(folder: Path, **figures: Any) -> None:
    """As the trainer writes it, by this process unless said otherwise."""
    report = {
        "iteration": 40,
        "mean_losses": {"src_loss": 0.25},
        "session_iterations": 20,
        "session_seconds": 74.0,
        "seconds_per_iteration": 0.55,
        "seconds": 3700.0,
        "rollbacks": 1,
        "stopped_by": "",
        "process": os.getpid(),
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "target_iteration": 100,
        "eta_seconds": 33.0,
    }
    (folder / "report.json").write_text(json.dumps({**report, **figures}), "utf-8")


def look(models: Path, **given: Any) -> Any:
    options = settle_further(train_options(models, status=True, **given), talk(models.parent, own=list(given)))
    return look_at_training(Workspace(models.parent), options)


def test_while_it_runs(odd_folder: Path) -> None:
    folder = save_model(odd_folder / "model", "new", 3)
    Backups(folder / "backups").make(folder / "checkpoint")
    (folder / "previews").mkdir()
    (folder / "previews" / "loss.png").touch()
    write_report(folder)
    status = look(odd_folder / "model")
    assert (status.running, status.process, status.iteration, status.saved_iteration) == (True, os.getpid(), 40, 3)
    assert (status.seconds_per_iteration, status.target_iteration, status.seconds_to_target) == (0.55, 100, 33.0)
    assert status.losses == {"src_loss": 0.25}
    assert status.backups == [1]
    words = in_words(status)
    for part in (
        f"training now (process {os.getpid()})",
        "iteration 3, ",
        "550 ms per iteration",
        "1 h 1 min",
        "iteration 100, 33 s to go at this speed",
        "once to a checkpoint",
        str(folder / "previews" / "loss.png"),
    ):
        assert part in words


@pytest.mark.parametrize(
    "figures",
    [
        {"stopped_by": "asked to stop"},
        {"process": 2**22 + 7},
        {"at": (datetime.now() - timedelta(days=4000)).astimezone().isoformat()},
        {"at": "yesterday"},
        {"host": "another", "at": (datetime.now() - timedelta(hours=1)).astimezone().isoformat()},
    ],
)
def test_when_it_does_not_run(tmp_path: Path, figures: dict[str, Any]) -> None:
    folder = save_model(tmp_path / "model", "new", 3, target_iter=7)
    write_report(folder, **figures)
    status = look(tmp_path / "model")
    assert (status.running, status.process, status.iteration) == (False, None, 3)
    assert "not training" in in_words(status)
    assert "550 ms per iteration" in in_words(status)  # without what compiling took
    assert status.stopped_by == figures.get("stopped_by", "")


def test_a_process_of_another_machine_counts_while_it_writes(tmp_path: Path) -> None:
    write_report(save_model(tmp_path / "model", "new"), host="another", process=2**22 + 7)
    assert look(tmp_path / "model").running


def test_without_a_report(tmp_path: Path) -> None:
    save_model(tmp_path / "model", "new", 20)
    status = look(tmp_path / "model")
    assert (status.iteration, status.seconds_per_iteration, status.seconds_to_target) == (20, None, None)
    assert status.losses == pytest.approx({"src_loss": 0.05, "dst_loss": 0.5})
    before, last = (sum(1 / k for k in range(first, first + 10)) for first in (1, 11))
    assert status.trend == pytest.approx({"src_loss": last / before - 1, "dst_loss": 0.0})
    assert f"  0.0500, {last / before - 1:+.1%} over the last 10 iterations" in in_words(status)


def test_a_training_that_was_never_saved_is_found_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "model" / "young_Quick96"
    folder.mkdir(parents=True)
    write_report(folder, iteration=0, session_iterations=0, seconds_per_iteration=None, eta_seconds=None)
    status = look(tmp_path / "model", model_name="young")
    assert (status.running, status.saved_at, status.seconds_per_iteration) == (True, None, None)
    assert "Last save" in in_words(status)
    with pytest.raises(MissingInput, match="no trained Quick96 model"):
        look(tmp_path / "model")


def test_what_is_trained_now_comes_before_what_was_saved_last(tmp_path: Path) -> None:
    save_model(tmp_path / "model", "idle", 3)
    assert look(tmp_path / "model").name == "idle"
    with lock_model(tmp_path / "model" / "young_Quick96"):  # builds its networks for the first time
        status = look(tmp_path / "model")
        assert (status.name, status.running, status.iteration) == ("young", True, 0)
        assert look(tmp_path / "model", model_name="young").running
        assert look(tmp_path / "model", model_name="idle").name == "idle"
        write_report(tmp_path / "model" / "young_Quick96", iteration=7, at=_soon())
        assert look(tmp_path / "model").iteration == 7
    write_report(tmp_path / "model" / "young_Quick96", stopped_by="asked to stop", at=_soon())
    assert look(tmp_path / "model").name == "idle"


def _soon() -> str:
    """After any lock that is taken in this second."""
    return (datetime.now() + timedelta(seconds=2)).astimezone().isoformat()


def test_the_trend_compares_equal_stretches() -> None:
    falling = np.concatenate([np.full(1500, 4.0), np.full(1000, 2.0), np.full(1000, 1.0)])[:, None]
    assert loss_trend(LossHistory(["src_loss"], falling)) == ({"src_loss": -0.5}, 1000)
    assert loss_trend(LossHistory(["src_loss"], falling[:19])) == ({}, 0)
    assert loss_trend(LossHistory()) == ({}, 0)
    switched_off = np.where(np.arange(3500)[:, None] < 3000, falling, np.nan)
    assert loss_trend(LossHistory(["src_loss", "gan_loss"], np.hstack([falling, switched_off]))) == (
        {"src_loss": -0.5},
        1000,
    )


def test_for_machines_and_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(tmp_path / "model", "new", 4)
    words = ["train", "--status", "--workspace", str(tmp_path)]
    assert main([*words, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["name"], figures["iteration"], figures["running"]) == ("new", 4, False)
    said = Said()
    show_status(Workspace(tmp_path), train_options(tmp_path / "model", status=True), said)
    assert said.all.splitlines()[0].startswith("new, Quick96")
    show_status(Workspace(tmp_path), train_options(tmp_path / "model", status=True), SILENT)


def test_it_loads_no_neural_framework_and_changes_nothing(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", "new", 4)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    words = [str(ROOT / "main.py"), "train", "--status", "--workspace", str(tmp_path), "--log", str(tmp_path / "l")]
    done = subprocess.run([sys.executable, "-X", "importtime", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert not imported & {"keras", "tensorflow"}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_while_it_starts_the_figures_of_the_session_before_are_not_its_own(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", "new", 3)
    write_report(folder, stopped_by="asked to stop", at="2026-01-01T00:00:00+00:00")
    with lock_model(folder):
        status = look(tmp_path / "model")
        assert (status.running, status.process, status.iteration, status.stopped_by) == (True, os.getpid(), 3, "")
        assert status.seconds_per_iteration is None
        assert f"starting (process {os.getpid()})" in in_words(status)
    write_report(folder, stopped_by="asked to stop", at=_soon())
    assert not look(tmp_path / "model").running, "the same process lives on after its training"
