"""The five face types."""

import pytest

from core.errors import BadOption
from facelib.face_type import FaceType


def test_words_in_files_never_change() -> None:
    assert [t.value for t in FaceType] == ["half_face", "midfull_face", "full_face", "whole_face", "head"]


def test_larger_types_contain_smaller_ones() -> None:
    assert FaceType.HALF < FaceType.MID_FULL < FaceType.FULL < FaceType.WHOLE < FaceType.HEAD
    assert sorted([FaceType.HEAD, FaceType.FULL, FaceType.HALF]) == [FaceType.HALF, FaceType.FULL, FaceType.HEAD]
    assert FaceType.WHOLE >= FaceType.WHOLE
    with pytest.raises(TypeError):
        assert FaceType.WHOLE < 3  # type: ignore[operator]


@pytest.mark.parametrize(
    ("face_type", "sides"),
    [
        (FaceType.HALF, 1.0),
        (FaceType.MID_FULL, 1.1909188),
        (FaceType.FULL, 1.5966214),
        (FaceType.WHOLE, 2.1313709),
        (FaceType.HEAD, 2.9798990),
    ],
)
def test_side_of_the_crop_in_unit_sides(face_type: FaceType, sides: float) -> None:
    assert face_type.unit_sides == pytest.approx(sides, abs=1.5e-7)


@pytest.mark.parametrize(
    ("word", "face_type"),
    [("wf", FaceType.WHOLE), ("whole_face", FaceType.WHOLE), (" HEAD ", FaceType.HEAD), ("mf", FaceType.MID_FULL)],
)
def test_words_are_read_in_any_case(word: str, face_type: FaceType) -> None:
    assert FaceType.parse(word) is face_type


@pytest.mark.parametrize("word", ["", "face", "whole", "mark_only"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(BadOption, match=f"Received: {word}."):
        FaceType.parse(word)


@pytest.mark.parametrize("face_type", list(FaceType))
def test_every_type_is_found_by_both_its_words(face_type: FaceType) -> None:
    assert FaceType.parse(face_type.value) is face_type
    assert FaceType.parse(face_type.short_name) is face_type
