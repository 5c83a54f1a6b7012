"""The command line with a stand-in for the trained model: `python -m tests.mainscripts.merge_with_stub merge ...`.

So a test can stop, kill and repeat a real merge, processes and all, without any weights. Every prediction of a batch
takes PAUSE seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence

from numpy.typing import NDArray

from facelib.prediction import Prediction, Predictor
from mainscripts import cli, merge
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


if __name__ == "__main__":
    vars(merge)["open_model"] = open_stub
    sys.exit(cli.main(sys.argv[1:]))
