"""How much of the head an aligned face shows: five sizes, each holding the one before it."""

from enum import Enum
from functools import total_ordering
from math import sqrt

from core.errors import BadOption


@total_ordering
class FaceType(Enum):
    """A framing of the face. The value is the word stored in files; a larger type contains a smaller one.

    Source: spec faces-and-formats 1.1.
    """

    HALF = "half_face"
    MID_FULL = "midfull_face"
    FULL = "full_face"
    WHOLE = "whole_face"
    HEAD = "head"

    @property
    def padding(self) -> float:
        """Room added around the unit square of the alignment, in half-diagonals of it."""
        return _PADDINGS[self]

    @property
    def unit_sides(self) -> float:
        """Side of the framed square in unit sides of the alignment, at scale 1."""
        return 1.0 + 2.0 * sqrt(2.0) * self.padding

    @property
    def short_name(self) -> str:
        """The word used at prompts: h, mf, f, wf, head."""
        return _SHORT_NAMES[self]

    @classmethod
    def parse(cls, word: str) -> "FaceType":
        """A type from its stored word or its short name, in any case. BadOption for anything else."""
        key = word.strip().lower()
        for face_type in cls:
            if key in (face_type.value, face_type.short_name):
                return face_type
        known = ", ".join(f"{face_type.short_name} ({face_type.value})" for face_type in cls)
        raise BadOption(f"The face type is one of {known}. Received: {word}.", "Choose one of these words.")

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, FaceType):
            return NotImplemented
        return self.padding < other.padding


_PADDINGS = {
    FaceType.HALF: 0.0,
    FaceType.MID_FULL: 0.0675,
    FaceType.FULL: 27 / 128,
    FaceType.WHOLE: 0.40,
    FaceType.HEAD: 0.70,
}
_SHORT_NAMES = {
    FaceType.HALF: "h",
    FaceType.MID_FULL: "mf",
    FaceType.FULL: "f",
    FaceType.WHOLE: "wf",
    FaceType.HEAD: "head",
}
