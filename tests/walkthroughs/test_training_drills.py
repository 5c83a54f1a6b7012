"""Demonstrate what a user sees when a training meets trouble, with the real program and a real, small Quick96.

Each drill starts `main.py train` on painted faces with one thing going wrong at a given moment: a weight that is no
number, a card without room, a full disk, a second trainer, a machine that sleeps. What was said is compared word for
word, and the model must be whole afterwards.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from models.checkpoint import Checkpoint, CheckpointStore
from tests.painting import write_painted_faceset

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="uses POSIX signals")]

SMALL = """
import errno, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
if __name__ == "__main__":  # the processes that prepare samples run this file again
    import models.schedule
    from core.nn.weights import named_variables
    from mainscripts.cli import main
    from models.autoencoders import Dims
    from models.quick96 import Quick96
    Quick96.__init__.__kwdefaults__["dims"] = Dims(resolution=32, ae=16, e=16, d=16, d_mask=8)
    train_step, objective, write_bytes = Quick96.train_step, Quick96._objective, Path.write_bytes
{trouble}
    sys.exit(main(sys.argv[2:]))
"""

POISON = """
    poisoned = []
    def spoiling(self, batch):
        if self.iteration in {iterations} and len(poisoned) < {times}:
            poisoned.append(self.iteration)
            weight = next(iter(named_variables(self._networks["inter"]).values()))
            weight.assign(weight * float("nan"))
        return train_step(self, batch)
    Quick96.train_step = spoiling
"""

SMALL_CARD = """
    import tensorflow as tf
    def greedy(self, batch):
        if batch["src_input"].shape[0] > {most}:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[8,64,32,32]")
        return objective(self, batch)
    Quick96._objective = greedy
"""

FULL_DISK = """
    trained = [0]
    def counting(self, batch):
        trained[0] = self.iteration
        return train_step(self, batch)
    def write(path, data):
        if trained[0] >= {iteration} and path.suffix == ".h5":
            write_bytes(path, bytes(data)[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write_bytes(path, data)
    Quick96.train_step, Path.write_bytes = counting, write
"""

SLEEPY = """
    models.schedule.PAUSE_SECONDS = 2.0
"""


class Drill:
    """A workspace with painted faces, and the program running in it."""

    def __init__(self, folder: Path) -> None:
        write_painted_faceset(folder / "data_src" / "aligned", count=8, side=64)
        write_painted_faceset(folder / "data_dst" / "aligned", count=8, side=64, seed=40)
        self.folder = folder
        self.model = folder / "model" / "new_Quick96"

    def start(self, trouble: str, *flags: str, log: str = "said.txt") -> subprocess.Popen[bytes]:
        script = self.folder / "small.py"
        script.write_text(SMALL.replace("{trouble}", trouble))
        words = ["train", "--workspace", str(self.folder), "--defaults", "--device", "cpu", "--workers", "1"]
        words += ["--model", "Quick96", "--no-preview", *flags]
        environment = {**os.environ, "FACELOOM_INTERNAL": str(self.folder / "internal"), "PYTHONUNBUFFERED": "1"}
        with open(self.folder / log, "wb") as stream:
            return subprocess.Popen(
                [sys.executable, str(script), str(REPOSITORY), *words], stdout=stream, stderr=stream, env=environment
            )

    def run(self, trouble: str, *flags: str) -> int:
        """Runs to the end; returns the exit code."""
        return self.start(trouble, *flags).wait(timeout=300)

    def said(self, log: str = "said.txt") -> str:
        return (self.folder / log).read_text("utf-8", "replace")

    def wait_for(self, process: subprocess.Popen[bytes], pattern: str) -> None:
        end = time.monotonic() + 200.0
        while not re.search(pattern, self.said()):
            assert process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.05)

    def found(self) -> Checkpoint:
        found = CheckpointStore(self.model).read()
        assert found is not None
        assert all(np.isfinite(tensor).all() for part in found.parts.values() for tensor in part.values())
        assert int(found.parts["optimizer"]["iterations"]) == found.state.iteration
        return found


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return Drill(tmp_path)


def test_demonstrate_that_a_broken_weight_leads_back_to_the_checkpoint(drill: Drill) -> None:
    code = drill.run(POISON.format(iterations="(5,)", times=1), "--target-iteration", "9", "--seed", "3")
    assert code == 0, drill.said()
    assert "The src loss is nan, not a number at iteration 6: back to the checkpoint of iteration 1." in drill.said(), (
        drill.said()
    )
    found = drill.found()
    assert (found.state.iteration, found.state.rollbacks) == (9, 1)


def test_demonstrate_that_a_model_that_breaks_again_and_again_stops_with_the_reason(drill: Drill) -> None:
    code = drill.run(POISON.format(iterations="(5,)", times=99), "--seed", "3")
    assert code == 1
    assert (
        "The src loss is nan, not a number at iteration 6, for the 4th time in a row; training stopped. "
        "The checkpoint of iteration 1 is intact." in drill.said()
    ), drill.said()
    assert drill.found().state.iteration == 1


def test_demonstrate_that_a_card_without_room_gets_smaller_batches(drill: Drill) -> None:
    flags = ("--batch-size", "8", "--seed", "3", "--target-iteration")
    assert drill.run(SMALL_CARD.format(most=2), *flags, "3") == 0, drill.said()
    said = drill.said()
    assert "CPU:0 (CPU): out of memory. Training goes on with batches of 4 instead of 8, which the model keeps" in said
    assert "Training goes on with batches of 2 instead of 4" in said
    assert drill.found().state.options["batch_size"] == 2
    assert drill.run("", "--target-iteration", "5") == 0  # kept: nothing is tried in vain the next time
    assert "out of memory" not in drill.said()
    assert drill.found().state.options["batch_size"] == 2

    assert drill.run(SMALL_CARD.format(most=2), *flags, "9", "--on-out-of-memory", "stop") == 1
    assert (
        "CPU:0 (CPU) failed: out of memory. (Batch size 8.) Any of these helps: a smaller batch (--batch-size), "
        "--precision bf16, a new model with a lower resolution or smaller dims." in drill.said()
    ), drill.said()
    assert drill.found().state.iteration == 5


def test_demonstrate_that_a_full_disk_harms_nothing(drill: Drill) -> None:
    assert drill.run(FULL_DISK.format(iteration=4), "--target-iteration", "6", "--seed", "3", "--save-every", "1s") == 1
    said = drill.said()
    assert "The disk is full" in said
    assert re.search(r"The checkpoint of iteration [1-4] is intact\.", said), said
    before = drill.found().state.iteration
    assert before < 6
    assert not (drill.model / "checkpoint.new").exists()
    assert drill.run("", "--target-iteration", "7") == 0
    assert drill.found().state.iteration == 7


def test_demonstrate_that_a_second_trainer_is_refused_and_a_sleeping_machine_goes_on(drill: Drill) -> None:
    first = drill.start(SLEEPY, "--seed", "3", "--save-every", "1h", "--json", log="said.txt")
    drill.wait_for(first, '"event": "saved"')
    second = drill.start("", log="second.txt")
    assert second.wait(timeout=200) == 1
    said = drill.said("second.txt")
    assert re.search(rf"is being trained by another process \(process {first.pid} on \S+, since ", said), said

    first.send_signal(signal.SIGSTOP)
    time.sleep(4.0)
    first.send_signal(signal.SIGCONT)
    drill.wait_for(first, "the machine slept, or the program was stopped")
    first.send_signal(signal.SIGINT)
    assert first.wait(timeout=100) == 130
    events = [json.loads(line) for line in drill.said().splitlines() if line.startswith("{")]
    kinds = [event["event"] for event in events]
    assert kinds.count("saved") == 2
    assert "stopped" in kinds
    figures = [event for event in events if event["event"] == "iteration"]
    assert all({"iteration", "losses", "seconds", "waited", "saved", "eta_seconds"} <= set(event) for event in figures)
    report = json.loads((drill.model / "report.json").read_text("utf-8"))
    assert report["stopped_by"] == "asked to stop"
    assert drill.found().state.iteration == report["iteration"] == events[kinds.index("stopped")]["iteration"]


def test_demonstrate_that_a_training_in_pieces_is_the_training_in_one(drill: Drill, tmp_path: Path) -> None:
    assert drill.run("", "--seed", "3", "--target-iteration", "7") == 0, drill.said()
    pieces = Drill(tmp_path / "pieces")
    for target in ("1", "3", "4", "7"):
        assert pieces.run("", "--seed", "3", "--target-iteration", target) == 0, pieces.said()
    one, several = drill.found(), pieces.found()
    assert np.array_equal(one.state.history.values, several.state.history.values)
    for part, tensors in one.parts.items():
        for name, tensor in tensors.items():
            assert np.array_equal(tensor, several.parts[part][name]), f"{part}/{name}"
