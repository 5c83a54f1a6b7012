"""One trainer per model, and nothing stale after a kill."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

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
    with pytest.raises(FaceLoomError, match=rf"process {owner.pid}, since"), lock_model(tmp_path):
        pass
    owner.kill()
    owner.wait()
    assert (tmp_path / "lock").exists()
    with lock_model(tmp_path):
        pass
    owner.stdout.close()


@pytest.mark.skipif(os.name == "nt", reason="nothing is written there")
def test_a_full_disk_does_not_keep_anybody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write)
    with lock_model(tmp_path), pytest.raises(FaceLoomError, match="by another process"), lock_model(tmp_path):
        pass
