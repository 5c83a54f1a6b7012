"""How long a packed faceset takes to open, to pack and to check, against the same faces as single files.

    python benchmarks/pack.py [--faces 100000] [--packed 2000] [--masks]

Opening is measured on `--faces` tiny faces whose pack is written from one painted face with changed numbers (packing so
many files one by one would measure the disk); packing, checking and opening single files on `--packed` real files.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.console import say
from facelib.metadata import read_face
from samplelib import pack
from samplelib.faceset import open_faceset
from samplelib.pack_index import columns_of
from tests.painting import write_painted_faceset


def write_large_pack(path: Path, template: Path, count: int) -> None:
    """A pack of `count` faces that share one picture; each has numbers and names of its own."""
    jpeg, metadata = read_face(template)
    names = [f"{number:06d}_0.jpg" for number in range(count)]
    records = [dataclasses.replace(metadata, frame_name=f"{number:06d}.png") for number in range(1000)]
    columns = columns_of([records[number % 1000] for number in range(count)], names)
    columns["landmarks"] = columns["landmarks"] + np.linspace(0, 1, count, dtype=np.float32)[:, None, None]
    columns["offsets"] = (np.arange(count + 1) * len(jpeg)).astype(np.uint64)
    columns["sha256"] = np.zeros((count, 32), np.uint8)
    columns["sides"] = np.full(count, 64, np.uint16)
    same = [pack.PackedFile(template, name) for name in names]
    pack._write(path, columns, same, pack.SILENT)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--packed", type=int, default=2000)
    parser.add_argument("--masks", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room) / "faces"
        paths = write_painted_faceset(folder, 1, side=64, with_masks=given.masks)
        large = Path(room) / pack.PACK_NAME
        write_large_pack(large, paths[0], given.faces)
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            samples = pack.open_pack(large)
            seconds.append(time.perf_counter() - start)
            assert len(samples) == given.faces
            del samples
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        say(f"open a pack of {given.faces:,} faces, {large.stat().st_size / 1e6:.0f} MB: {min(seconds):.2f} s best, "
            f"{max(seconds):.2f} s worst of 5; largest memory of the process {memory:.0f} MB")  # fmt: skip
        jpeg = paths[0].read_bytes()
        for number in range(1, given.packed):
            (folder / f"{number + 1:05d}_0.jpg").write_bytes(jpeg)
        files = [pack.PackedFile(path, path.name) for path in sorted(folder.iterdir())]
        start = time.perf_counter()
        open_faceset(folder)
        single = time.perf_counter() - start
        start = time.perf_counter()
        pack.write_pack(folder / pack.PACK_NAME, files)
        packing = time.perf_counter() - start
        start = time.perf_counter()
        pack.check_pack(folder / pack.PACK_NAME)
        checking = time.perf_counter() - start
        figures = f"open {single:.2f} s, pack and verify {packing:.2f} s, check the pack {checking:.2f} s"
        say(f"{given.packed:,} single files: {figures}")


if __name__ == "__main__":
    main()
