"""Frames that are wanted twice: measured first, composited once the frames around are measured, too.

In between a frame stays with the compositor that measured it: its pixels, its faces as they were cut, and what the
networks said of them. So every frame is read once and every face asked about once. All of them together take no more
than `KEPT_BYTES`; whoever finds no room is read and asked about again, and comes out the same to the bit.

2026-11: 40 frames of 1080p with a stand-in for the model took 7.6 s of processor time as they are and 8.2 s steadied;
when every frame was read twice, 11.3 s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from facelib.prediction import Prediction
from merger.face_tools import FaceAnswer

KEPT_BYTES = 1 << 30
"""Over all processes. With a model of 256 pixels about 120 frames of 1080p with a face each, 36 of 2160p."""


class KeptFrames:
    """Who keeps which frame, by its stem, as the engine knows it; the pixels are with the keepers."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self.most_bytes = most_bytes
        self._free = most_bytes
        self._largest = 0
        self._expected: set[str] = set()
        self._kept: dict[str, tuple[object, int]] = {}

    def expect(self, stems: Iterable[str]) -> None:
        """These frames will be composited after they are measured."""
        self._expected.update(stems)

    def keep(self, stem: str, keeper: object, size: int) -> bool:
        """Whether a frame of so many bytes is to be kept; if so, it is entered."""
        self._largest = max(self._largest, size)
        if stem not in self._expected or stem in self._kept or size > self._free:
            return False
        self._free -= size
        self._kept[stem] = keeper, size
        return True

    def keeper(self, stem: str) -> object | None:
        """Who has a frame; None: nobody."""
        return self._kept[stem][0] if stem in self._kept else None

    def release(self, stem: str) -> None:
        """The keeper of a frame goes on with it, so that it is kept no longer. Nor is it expected."""
        self._expected.discard(stem)
        if stem in self._kept:
            self._free += self._kept.pop(stem)[1]

    def lose(self, keeper: object) -> None:
        """A keeper is gone, and its frames with it."""
        for stem in [stem for stem, (who, _) in self._kept.items() if who is keeper]:
            self._free += self._kept.pop(stem)[1]

    @property
    def room(self) -> int | None:
        """How many frames like the largest so far can be kept at once; None: there was none."""
        return self.most_bytes // self._largest if self._largest else None


def bytes_of(record: Any) -> int:
    """The size of all arrays in a record, in what it holds, and so on."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return sum(bytes_of(value) for value in vars(record).values())
    if isinstance(record, list | tuple):
        return sum(map(bytes_of, record))
    return int(getattr(record, "nbytes", 0))


def copy_of(answer: FaceAnswer) -> FaceAnswer:
    """The same, in memory of its own: the engine uses the memory of an answer again."""

    def copied(array: NDArray | None) -> NDArray | None:
        return None if array is None else array.copy()

    told = answer.prediction
    return dataclasses.replace(
        answer,
        prediction=Prediction(told.face.copy(), told.src_mask.copy(), told.dst_mask.copy()),
        enhanced=copied(answer.enhanced),
        src_segment=copied(answer.src_segment),
        dst_segment=copied(answer.dst_segment),
    )
