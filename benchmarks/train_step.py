"""Times one Quick96 training step: ours in fp32 and in bf16, and a plain-Keras yardstick, interleaved in one process.

    python benchmarks/train_step.py [--steps 15] [--batch 4] [--device cpu] [--reference PATH/reference_step.py]

The steps take turns, so that a busy machine slows all of them alike; figures are medians. The batch is fixed: making
samples is measured elsewhere. Memory is what the process grew by while each step was built and first run.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core.nn.device import choose_devices  # noqa: E402
from models.quick96 import Quick96, Quick96Options  # noqa: E402
from samplelib.batches import FaceBatch, TrainingBatch  # noqa: E402

Step = Callable[[], object]


def random_batch(size: int, resolution: int) -> TrainingBatch:
    """Noise with the shapes and types of real training samples."""
    rng = np.random.default_rng(0)

    def pictures(channels: int) -> np.ndarray:
        return rng.integers(0, 256, (size, resolution, resolution, channels), dtype=np.uint8)

    def side() -> FaceBatch:
        return FaceBatch(pictures(3), pictures(3), pictures(1), None, np.arange(size))

    return TrainingBatch(side(), side(), 0)


def our_step(precision: str, batch: int, device: str) -> Step:
    model = Quick96(Quick96Options(batch_size=batch), device=device, precision=precision)
    samples = random_batch(batch, model.resolution)
    return lambda: model.train_step(samples)


def reference_step(script: Path, batch: int) -> Step | None:
    """The yardstick's update on its own fixed batch, or None where the script is absent."""
    if not script.is_file():
        return None
    spec = importlib.util.spec_from_file_location("reference_step", script)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    step, arrays = module.make_step("quick96", batch)
    return lambda: step(*arrays).numpy()


def main() -> None:
    """Parses the words, runs the steps in turn, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--reference", type=Path, default=ROOT.parent / "shared" / "bench" / "reference_step.py")
    words = parser.parse_args()

    process = psutil.Process()
    steps: dict[str, Step] = {}
    memory: dict[str, float] = {}
    builders: dict[str, Callable[[], Step | None]] = {
        "ours fp32": lambda: our_step("fp32", words.batch, words.device),
        "ours bf16": lambda: our_step("bf16", words.batch, words.device),
        "reference fp32": lambda: reference_step(words.reference, words.batch),
    }
    for name, build in builders.items():
        before = process.memory_info().rss
        if (step := build()) is None:
            print(f"No reference script at {words.reference}: only our own steps are timed (--reference names one).")
            continue
        for _ in range(3):
            step()
        steps[name], memory[name] = step, (process.memory_info().rss - before) / 2**30

    wall: dict[str, list[float]] = {name: [] for name in steps}
    cpu: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(words.steps):
        for name, step in steps.items():
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            step()
            wall[name].append(time.perf_counter() - wall_start)
            cpu[name].append(time.process_time() - cpu_start)

    device = choose_devices(words.device)[0]
    base = "reference fp32" if "reference fp32" in steps else "ours fp32"
    print(f"Quick96 training step, batch {words.batch}, {device.name} ({device.description}), {words.steps} rounds")
    print(f"{'step':<16}{'wall s':>9}{'cpu s':>9}{'faces/s':>9}{'memory GiB':>12}{'speed vs ' + base:>26}")
    for name in steps:
        seconds = float(np.median(wall[name]))
        ratio = float(np.median(np.array(wall[base]) / np.array(wall[name])))
        print(
            f"{name:<16}{seconds:>9.3f}{float(np.median(cpu[name])):>9.3f}{2 * words.batch / seconds:>9.1f}"
            f"{memory[name]:>12.2f}{ratio:>25.2f}x"
        )


if __name__ == "__main__":
    main()
