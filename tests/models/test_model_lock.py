"""One trainer per model, and nothing stale after a kill."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import FaceLoomError
from models.model_lock import lock_model

REPOSITORY = Path(__file__).resolve().parents[2]

HOLDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, {repository!r})
from models.model_lock import lock_model
with lock_model(Path({folder!r})):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused_until_the_first_lets_go(odd_folder: Path) -> None:
    folder = odd_folder / "new_Quick96"
    with (
        lock_model(folder),
        pytest.raises(FaceLoomError, match="is being trained by another process"),
        lock_model(folder),
    ):
        pass
    with lock_model(folder):
        pass


def test_a_killed_owner_leaves_nothing_behind(tmp_path: Path) -> None:
    script = HOLDER.format(repository=str(REPOSITORY), folder=str(tmp_path))
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    with (
        pytest.raises(FaceLoomError, match=rf"process {owner.pid} on {re.escape(socket.gethostname())}, since"),
        lock_model(tmp_path),
    ):
        pass
    owner.kill()
    owner.wait()
    assert (tmp_path / "lock").exists()
    with lock_model(tmp_path):
        pass
    owner.stdout.close()


def test_a_full_disk_does_not_keep_anybody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write)
    with lock_model(tmp_path), pytest.raises(FaceLoomError, match="by another process"), lock_model(tmp_path):
        pass


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network folder that knows no locks."""
    monkeypatch.setattr("core.lock._take", lambda descriptor: None)


def figures(folder: Path, age: float = 0.0, **differing: Any) -> None:
    """The figures that a trainer left so many seconds ago."""
    report = {"process": 99, "host": "another machine", "stopped_by": "", **differing}
    path = folder / "report.json"
    path.write_text(json.dumps(report), "utf-8")
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))


@pytest.mark.parametrize("age", [0.0, 100.0])
@pytest.mark.usefixtures("without_locks")
def test_without_locks_a_trainer_on_another_machine_is_known_by_its_figures(tmp_path: Path, age: float) -> None:
    (tmp_path / "lock").write_text("process 99 on another machine, since 2026-03-01 12:00:00\n")
    figures(tmp_path, age)
    words = r"by another process \(process 99 on another machine, since 2026-03-01"
    with pytest.raises(FaceLoomError, match=words), lock_model(tmp_path):
        pass


@pytest.mark.parametrize(
    ("age", "differing"),
    [
        (130.0, {}),  # silent: it crashed, or its machine did
        (0.0, {"stopped_by": "asked to stop"}),
        (0.0, {"host": socket.gethostname(), "process": 2**22 + 1}),  # crashed on this machine
        (0.0, {"host": socket.gethostname(), "process": os.getpid()}),
        (0.0, {"process": "x"}),
    ],
)
@pytest.mark.usefixtures("without_locks")
def test_without_locks_nothing_stale_keeps_anybody_out(tmp_path: Path, age: float, differing: dict[str, Any]) -> None:
    figures(tmp_path, age, **differing)
    with lock_model(tmp_path):
        assert f"process {os.getpid()} on {socket.gethostname()}, since 2" in (tmp_path / "lock").read_text()


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS])
@pytest.mark.skipif(os.name == "nt", reason="flock is POSIX")
def test_a_file_system_without_locks_lets_a_trainer_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with lock_model(tmp_path):
        pass
