"""What `extract` can be told about tracks and filters, as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadOption
from mainscripts.cli import parse
from mainscripts.extract import ExtractOptions

_FOLDERS = ["--input-dir", "frames", "--output-dir", "faces"]


def _given(*words: str) -> dict[str, object]:
    call = parse(["extract", *_FOLDERS, *words])
    assert call is not None
    return {name: value for name, value in call.given.items() if name not in ("input_dir", "output_dir")}


def test_max_faces_has_a_short_name() -> None:
    assert _given("--max-faces", "2") == _given("--max-faces-from-image", "2") == {"max_faces_from_image": 2}


@pytest.mark.parametrize(("word", "value"), [("3", 3), ("all", "all"), ("biggest", "biggest"), ("LONGEST", "longest")])
def test_a_track_is_a_number_or_a_word(word: str, value: object) -> None:
    assert _given("--only-track", word) == {"only_track": value}


@pytest.mark.parametrize(
    "words",
    [
        ["--only-track", "0"],
        ["--only-track", "mine"],
        ["--min-confidence", "1.5"],
        ["--min-face-size", "-1"],
        ["--max-faces", "-1"],
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str]) -> None:
    with pytest.raises(BadOption, match=f"Received: {words[1]}"):
        _given(*words)


def test_nothing_is_left_out_unasked() -> None:
    options = ExtractOptions.of(input_dir=Path("a"), output_dir=Path("b"))
    kept = (options.only_track, options.min_face_size, options.min_confidence, options.max_faces_from_image)
    assert kept == ("all", 0, 0.0, 0)
    assert options.smooth_landmarks
