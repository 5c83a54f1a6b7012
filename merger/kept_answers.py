"""What the networks said of faces that are cut twice: when a frame is measured, and when it is composited.

The networks are what a merge waits for. A frame that is read and cut once more is the same to the bit, and so would be
their answer: it is kept from one pass to the other, up to a certain size, and whoever is not kept is asked again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from facelib.prediction import Prediction
from merger.face_tools import ENHANCER_SCALE, SEGMENT_SIDE, FaceAnswer
from merger.settings import MergeSettings

KEPT_BYTES = 512 << 20
"""390 faces of a model of 256 pixels, 97 of 512; 37 and 9 with super resolution."""


class KeptAnswers:
    """Answers by the stem of their frame, those of frames that are expected. All copies: nobody changes them."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self.most_bytes = most_bytes
        self._free = most_bytes
        self._expected: set[str] = set()
        self._answers: dict[str, list[FaceAnswer]] = {}

    def expect(self, stems: Iterable[str]) -> None:
        """These frames will be asked for again."""
        self._expected.update(stems)

    def keep(self, stem: str, answers: Sequence[FaceAnswer]) -> None:
        """Keeps the answers about the faces of a frame, if it is expected and there is room."""
        size = sum(_bytes_of(answer) for answer in answers)
        if stem in self._expected and stem not in self._answers and size <= self._free:
            self._free -= size
            self._answers[stem] = [_copy_of(answer) for answer in answers]

    def of(self, stem: str) -> Sequence[FaceAnswer] | None:
        """The answers about the faces of a frame; None: they are not kept."""
        return self._answers.get(stem)

    def forget(self, stems: Iterable[str]) -> None:
        """These frames are over."""
        for stem in stems:
            self._expected.discard(stem)
            self._free += sum(_bytes_of(answer) for answer in self._answers.pop(stem, ()))


def answer_bytes(resolution: int, settings: Iterable[MergeSettings]) -> int:
    """The size of the largest answer that any of these settings asks for."""
    return 4 * max(
        5 * resolution**2
        + (one.segments_old_face + one.segments_new_face) * SEGMENT_SIDE**2
        + one.enhances * 3 * (ENHANCER_SCALE * resolution) ** 2
        for one in settings
    )


def _bytes_of(answer: FaceAnswer) -> int:
    told = answer.prediction
    arrays = (told.face, told.src_mask, told.dst_mask, answer.enhanced, answer.src_segment, answer.dst_segment)
    return sum(array.nbytes for array in arrays if array is not None)


def _copy_of(answer: FaceAnswer) -> FaceAnswer:
    told = answer.prediction
    further = ("enhanced", "src_segment", "dst_segment")
    return dataclasses.replace(
        answer,
        prediction=Prediction(told.face.copy(), told.src_mask.copy(), told.dst_mask.copy()),
        **{name: array.copy() for name in further if (array := getattr(answer, name)) is not None},
    )
