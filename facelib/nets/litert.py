"""Runs one .tflite network on the CPU, through LiteRT; every process makes its own, nothing is shared."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from facelib.nets.pretrained import WeightFile, read_weights


class LiteRTNetwork:
    """A network with one square RGB input and float32 outputs.

    Attributes:
        side: width and height of the input in pixels.
    """

    def __init__(self, file: WeightFile, threads: int = 1) -> None:
        """Loads verified weights.

        Args:
            threads: processors the network may use; 1 when several worker processes run side by side.

        Raises:
            MissingInput, BrokenFile: the weights are not there, or damaged.
        """
        weights = read_weights(file)
        with _quiet_standard_error():
            self._interpreter = Interpreter(model_content=weights, num_threads=threads)
            self._interpreter.allocate_tensors()
        (entry,) = self._interpreter.get_input_details()
        self._entry = entry["index"]
        self._exits = [d["index"] for d in self._interpreter.get_output_details()]
        self.side = int(entry["shape"][1])

    def run(self, picture: np.ndarray) -> list[np.ndarray]:
        """(side, side, 3) float32 RGB in the network's own range -> its outputs, without the batch axis."""
        self._interpreter.set_tensor(self._entry, np.ascontiguousarray(picture[None], np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._exits]


@contextlib.contextmanager
def _quiet_standard_error() -> Iterator[None]:
    """The runtime greets on descriptor 2, below Python, whenever it starts; that would tear progress bars."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
