"""The command line with a stand-in for the trained model: `python -m tests.mainscripts.merge_with_stub merge ...`.

So a test can stop, kill and repeat a real merge, processes and all, without any weights. Every prediction of a batch
takes PAUSE seconds. FAULT is what goes wrong in worker processes: "exception", "memory" or "death" at the frame 00003,
or "disk", which is full for that frame's files.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from numpy.typing import NDArray

from core.files import explain_os_error
from facelib.prediction import Prediction, Predictor
from mainscripts import cli, merge
from merger import compositors
from merger.journal import Networks
from tests.merger.scenes import TintedPredictor


class SlowPredictor(TintedPredictor):
    """A stand-in that takes its time."""

    def predict(self, faces: NDArray) -> Sequence[Prediction]:
        time.sleep(float(os.environ.get("PAUSE", "0")))
        return super().predict(faces)


def open_stub(*_: object) -> tuple[Networks, Callable[[], Predictor]]:
    """Stands in for merge.open_model."""
    return Networks("48 full_face", "weights of the stand-in"), SlowPredictor


def read_image(path: Path) -> NDArray:
    """Stands in for that of the compositors."""
    if path.stem == "00003":
        fault = os.environ.get("FAULT")
        if fault == "exception":
            raise RuntimeError("a fault of ours")
        if fault == "memory":
            raise MemoryError
        if fault == "death":
            os._exit(9)
    return honest_read(path)


def write_bytes(path: Path, data: bytes) -> None:
    """Stands in for that of the compositors."""
    if os.environ.get("FAULT") == "disk" and path.stem == "00003":
        raise explain_os_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path)
    honest_write(path, data)


honest_read, honest_write = compositors.read_image, compositors.atomic_write_bytes
if "FAULT" in os.environ:  # worker processes import this file, too
    vars(compositors).update(read_image=read_image, atomic_write_bytes=write_bytes)

if __name__ == "__main__":
    vars(merge)["open_model"] = open_stub
    sys.exit(cli.main(sys.argv[1:]))
