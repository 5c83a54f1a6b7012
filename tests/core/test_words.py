"""core.words: numbers in sentences."""

from __future__ import annotations

import pytest

from core.words import counted


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 faces"), (1, "1 face"), (2, "2 faces"), (1204, "1,204 faces"), (100_000, "100,000 faces")],
)
def test_one_is_one_and_many_are_many(count: int, words: str) -> None:
    assert counted(count, "face") == words
