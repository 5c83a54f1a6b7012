"""Which faces of a frame are swapped, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadOption
from merger.face_choice import FaceChoice, track_lines
from merger.frames import FrameFace, FrameFaces
from tests.merger.scenes import painted_landmarks


def frame(number: int, *faces: tuple[int, float, float]) -> FrameFaces:
    """A frame with faces (track, x of the center, size); the name of a face is its track's number."""
    made = [FrameFace(painted_landmarks((x, 50), size), name=str(track), track=track) for track, x, size in faces]
    return FrameFaces(Path(f"{number:05d}.png"), tuple(made))


SHOT = [
    frame(1, (1, 30, 40), (2, 90, 60), (3, 60, 20)),
    frame(2, (2, 20, 60), (1, 80, 61)),
    frame(3, (1, 50, 40)),
    frame(4),
]


def chosen(text: str) -> list[list[str]]:
    return [[face.name for face in one.faces] for one in FaceChoice.parse(text).of(SHOT)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", [["1", "2", "3"], ["2", "1"], ["1"], []]),
        ("Largest", [["2"], ["1"], ["1"], []]),
        ("left:1", [["1"], ["2"], ["1"], []]),
        ("left: 2", [["3"], ["1"], [], []]),
        ("right:1", [["2"], ["1"], ["1"], []]),
        ("right:3", [["1"], [], [], []]),
        ("2", [["2"], ["2"], [], []]),
        ("1,2", [["1", "2"], ["1", "2"], ["1"], []]),
        ("2, 1", [["2", "1"], ["2", "1"], ["1"], []]),
        ("not:2", [["1", "3"], ["1"], ["1"], []]),
        ("not:1,2", [["3"], [], [], []]),
    ],
)
def test_what_is_chosen_and_in_which_order_it_is_pasted(text: str, expected: list[list[str]]) -> None:
    assert chosen(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "some", "left", "left:0", "left:1,2", "left:x", "0", "1,,2", "1,x", "-1", "not:", "1:2", "tracks:1", ":1"],
)
def test_what_is_no_choice_is_refused_with_the_words_there_are(text: str) -> None:
    with pytest.raises(BadOption, match=r"largest, left:1.*Received: --faces"):
        FaceChoice.parse(text)


def test_a_track_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(BadOption) as caught:
        chosen("4")
    assert "There is no track 4" in str(caught.value)
    assert "Track 1: 00001 to 00003, 3 frames" in str(caught.value)
    with pytest.raises(BadOption, match="There is no track 9"):
        chosen("not:9")


def test_a_choice_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(BadOption, match="at most 3 face"):
        chosen("left:4")
    with pytest.raises(BadOption, match="No face is left"):
        chosen("not:1,2,3")


def test_tracks_are_told_with_their_frames_and_sizes() -> None:
    lines = track_lines(SHOT)
    assert [line.split(",")[0] for line in lines] == [
        "Track 1: 00001 to 00003",
        "Track 2: 00001 to 00002",
        "Track 3: 00001 to 00001",
    ]
    many = [frame(1, *((n, 10.0 * n, 40.0) for n in range(1, 20))), frame(2, (19, 50, 40))]
    lines = track_lines(many)
    assert len(lines) == 13
    assert lines[-2].startswith("Track 19: 00001 to 00002, 2 frames")
    assert lines[-1] == "And 7 shorter ones."
    assert track_lines([frame(1, (0, 30, 40))]) == []
