"""Times one training step: ours in fp32 and in bf16, and a plain-Keras yardstick, interleaved in one process.

    python benchmarks/train_step.py [--config quick96|df-ud-128|liae-ud-128] [--rmsprop] [--steps 15] [--batch 4]
                                    [--device cpu] [--reference PATH/reference_step.py]

Ours is the step that a user gets: Quick96, or SAEHD with every option at its default, AdaBelief (with --rmsprop the
yardstick's optimizer). The steps take turns, so that a busy machine slows all of them alike; figures are medians, and
where other work interferes the ratio of CPU seconds is the one to trust. The batch is fixed: making samples is
measured elsewhere. "first" is the first step, compilation included; memory is the peak of a process that
runs this step alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core.nn.device import choose_devices  # noqa: E402
from models.base import SwapModel  # noqa: E402
from models.quick96 import Quick96, Quick96Options  # noqa: E402
from models.saehd import SAEHD, SAEHDOptions  # noqa: E402
from samplelib.batches import FaceBatch, TrainingBatch  # noqa: E402

Step = Callable[[], object]

CONFIGS = ("quick96", "df-ud-128", "liae-ud-128")


def random_batch(size: int, resolution: int) -> TrainingBatch:
    """Noise with the shapes and types of real training samples."""
    rng = np.random.default_rng(0)

    def pictures(channels: int) -> np.ndarray:
        return rng.integers(0, 256, (size, resolution, resolution, channels), dtype=np.uint8)

    def side() -> FaceBatch:
        return FaceBatch(pictures(3), pictures(3), pictures(1), None, np.arange(size))

    return TrainingBatch(side(), side(), 0)


def our_step(words: argparse.Namespace, precision: str) -> Step:
    model: SwapModel
    if words.config == "quick96":
        model = Quick96(Quick96Options(batch_size=words.batch), device=words.device, precision=precision)
    else:
        archi, _, resolution = words.config.rpartition("-")
        options = SAEHDOptions.of(
            archi=archi, resolution=int(resolution), batch_size=words.batch, adabelief=not words.rmsprop
        )
        model = SAEHD(options, device=words.device, precision=precision)
    samples = random_batch(words.batch, model.resolution)
    return lambda: model.train_step(samples)


def reference_step(words: argparse.Namespace) -> Step | None:
    """The yardstick's update on its own fixed batch, or None where the script is absent."""
    script: Path = words.reference
    if not script.is_file():
        return None
    spec = importlib.util.spec_from_file_location("reference_step", script)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    step, arrays = module.make_step(words.config, words.batch)
    return lambda: step(*arrays).numpy()


def builders(words: argparse.Namespace) -> dict[str, Callable[[], Step | None]]:
    """What is timed, by name."""
    return {
        "ours fp32": lambda: our_step(words, "fp32"),
        "ours bf16": lambda: our_step(words, "bf16"),
        "reference fp32": lambda: reference_step(words),
    }


def peak_memory(name: str, words: argparse.Namespace) -> float:
    """GiB at the worst moment of a process that builds one step and runs it three times."""
    command = [sys.executable, __file__, "--peak-of", name, "--batch", str(words.batch), "--device", words.device]
    command += ["--config", words.config, "--reference", str(words.reference)]
    command += ["--rmsprop"] if words.rmsprop else []
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def print_peak(name: str, words: argparse.Namespace) -> None:
    """The child's side of `peak_memory`: watches its own size while the step runs in a thread."""
    process, peak = psutil.Process(), 0

    def work() -> None:
        step = builders(words)[name]()
        for _ in range(3):
            if step is not None:
                step()

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        peak = max(peak, process.memory_info().rss)
        thread.join(0.01)
    print(peak / 2**30)


def main() -> None:
    """Parses the words, runs the steps in turn, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", choices=CONFIGS, default="quick96")
    parser.add_argument("--rmsprop", action="store_true")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--reference", type=Path, default=ROOT.parent / "shared" / "bench" / "reference_step.py")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.peak_of:
        print_peak(words.peak_of, words)
        return

    steps: dict[str, Step] = {}
    first: dict[str, float] = {}
    for name, build in builders(words).items():
        if (step := build()) is None:
            print(f"No reference script at {words.reference}: only our own steps are timed (--reference names one).")
            continue
        start = time.perf_counter()
        step()
        first[name] = time.perf_counter() - start
        step()
        steps[name] = step

    wall: dict[str, list[float]] = {name: [] for name in steps}
    cpu: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(words.steps):
        for name, step in steps.items():
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            step()
            wall[name].append(time.perf_counter() - wall_start)
            cpu[name].append(time.process_time() - cpu_start)
    print_table(words, wall, cpu, first)


def print_table(
    words: argparse.Namespace, wall: dict[str, list[float]], cpu: dict[str, list[float]], first: dict[str, float]
) -> None:
    """Medians, and the medians of the ratios round by round."""
    device = choose_devices(words.device)[0]
    base = "reference fp32" if "reference fp32" in wall else "ours fp32"
    print(
        f"{words.config} training step, batch {words.batch}, {device.name} ({device.description}), {words.steps} rounds"
    )
    print(f"speed is against {base}")
    columns = ("step", "wall s", "cpu s", "faces/s", "speed wall", "speed cpu", "first s", "memory GiB")
    print("".join(f"{column:<16}" if column == "step" else f"{column:>12}" for column in columns))
    for name in wall:
        seconds = float(np.median(wall[name]))
        ratios = [float(np.median(np.array(t[base]) / np.array(t[name]))) for t in (wall, cpu)]
        row = [f"{seconds:.3f}", f"{np.median(cpu[name]):.3f}", f"{2 * words.batch / seconds:.1f}"]
        row += [f"{ratio:.2f}x" for ratio in ratios] + [f"{first[name]:.1f}", f"{peak_memory(name, words):.2f}"]
        print(f"{name:<16}" + "".join(f"{cell:>12}" for cell in row), flush=True)


if __name__ == "__main__":
    main()
