"""What a swap model says of one face, and what the merger asks of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from facelib.face_type import FaceType


@dataclass(frozen=True)
class Prediction:
    """The swapped face with the two masks a model draws. Source: spec merging 2.1.

    Attributes:
        face: (R, R, 3) float32 BGR in [0, 1]: src person, dst expression.
        src_mask: (R, R) float32 in [0, 1]: the mask drawn with the swapped face ("learned-prd").
        dst_mask: (R, R) float32 in [0, 1]: the mask drawn with the redrawn dst face ("learned-dst").
    """

    face: np.ndarray
    src_mask: np.ndarray
    dst_mask: np.ndarray


class Predictor(Protocol):
    """Anything that can swap aligned faces: a trained model, or a stand-in for tests."""

    @property
    def resolution(self) -> int:
        """R, side of the square it sees."""
        ...

    @property
    def face_type(self) -> FaceType:
        """How much of the head that square shows."""
        ...

    def predict(self, faces: np.ndarray) -> Sequence[Prediction]:
        """Swaps a batch: (N, R, R, 3) float32 BGR in [0, 1], any N including 0 -> N predictions in order."""
        ...
