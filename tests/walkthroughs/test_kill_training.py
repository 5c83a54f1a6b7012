"""Demonstrate that `kill -9` at any moment costs at most the work since the last save.

A real `main.py train` of a small Quick96 on painted faces saves about once a second, and is killed at random moments
after a save; each time the model must be found whole, with everything that was said to be saved, and train on. With
FACELOOM_KILLS=20 in the environment it is killed that often.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from models.checkpoint import CheckpointStore
from tests.painting import write_painted_faceset

REPOSITORY = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("FACELOOM_KILLS", "3"))

SMALL = """
import sys
sys.path.insert(0, sys.argv[1])
if __name__ == "__main__":  # the processes that prepare samples run this file again
    from mainscripts.cli import main
    from models.autoencoders import Dims
    from models.quick96 import Quick96
    Quick96.__init__.__kwdefaults__["dims"] = Dims(resolution=32, ae=16, e=16, d=16, d_mask=8)
    sys.exit(main(sys.argv[2:]))
"""


def start(folder: Path, *flags: str) -> tuple[subprocess.Popen[bytes], Path]:
    """Starts a training; returns the process and the file with what it says."""
    script = folder / "small.py"
    script.write_text(SMALL)
    said = folder / "said.txt"
    words = ["train", "--workspace", str(folder), "--defaults", "--device", "cpu", "--workers", "1", "--seed", "3"]
    words += ["--save-every", "1s", "--no-preview", *flags]
    environment = {**os.environ, "FACELOOM_INTERNAL": str(folder / "internal"), "PYTHONUNBUFFERED": "1"}
    with open(said, "wb") as stream:
        process = subprocess.Popen(
            [sys.executable, str(script), str(REPOSITORY), *words], stdout=stream, stderr=stream, env=environment
        )
    return process, said


def saved_iterations(said: Path) -> list[int]:
    """The iterations that the training has said are saved."""
    return [int(number) for number in re.findall(r"\[#(\d+)\]\S* saved;", said.read_text("utf-8", "replace"))]


def wait_for_saves(process: subprocess.Popen[bytes], said: Path, count: int) -> None:
    end = time.monotonic() + 120.0
    while len(saved_iterations(said)) < count:
        assert process.poll() is None, said.read_text("utf-8", "replace")
        assert time.monotonic() < end, said.read_text("utf-8", "replace")
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
def test_demonstrate_that_a_killed_training_goes_on_from_its_last_save(odd_folder: Path) -> None:
    write_painted_faceset(odd_folder / "data_src" / "aligned", count=8, side=64)
    write_painted_faceset(odd_folder / "data_dst" / "aligned", count=8, side=64, seed=40)
    store = CheckpointStore(odd_folder / "model" / "new_Quick96")
    moments = random.Random(5)
    last = 0
    for kill in range(KILLS):
        process, said = start(odd_folder)
        wait_for_saves(process, said, 2)
        time.sleep(moments.uniform(0.0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        promised = saved_iterations(said)[-1]
        found = store.read()
        assert found is not None
        assert found.state.iteration >= promised > last, f"kill {kill}"
        assert len(found.parts) == 5
        assert all(np.isfinite(tensor).all() for part in found.parts.values() for tensor in part.values())
        assert int(found.parts["optimizer"]["iterations"]) == found.state.iteration
        last = found.state.iteration

    process, said = start(odd_folder, "--target-iteration", str(last + 3))
    assert process.wait(timeout=120) == 0, said.read_text("utf-8", "replace")
    assert f"Current iteration: {last:,} " in said.read_text("utf-8")  # nothing of what was saved was lost
    assert store.read().state.iteration == last + 3  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends signals")
def test_demonstrate_that_ctrl_c_saves_once_and_exits_with_130(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path / "data_src" / "aligned", count=8, side=64)
    write_painted_faceset(tmp_path / "data_dst" / "aligned", count=8, side=64, seed=40)
    process, said = start(tmp_path, "--save-every", "1h")
    wait_for_saves(process, said, 1)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # an impatient second time
    assert process.wait(timeout=60) == 130
    words = said.read_text("utf-8")
    assert words.count("Stopping; saving first.") == 1
    assert "; all is saved." in words
    assert "Error" not in words
    found = CheckpointStore(tmp_path / "model" / "new_Quick96").read()
    assert found is not None
    assert saved_iterations(said) == [1, found.state.iteration]
    assert found.state.iteration > 1
