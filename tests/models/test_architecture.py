"""What an architecture may be called, and which sizes fit it."""

from __future__ import annotations

import pytest

from core.errors import BadOption
from models.architecture import Architecture, Dims


@pytest.mark.parametrize(
    ("text", "spelled", "step"),
    [("df", "df", 16), (" LIAE-du ", "liae-ud", 32), ("df-uucc", "df-uc", 16), ("liae-t", "liae-t", 32)],
)
def test_spellings(text: str, spelled: str, step: int) -> None:
    architecture = Architecture.parse(text)
    assert (str(architecture), architecture.resolution_step) == (spelled, step)


@pytest.mark.parametrize("text", ["", "df-", "dfhd", "liaeuhd", "df-x", "ld", "df ud"])
def test_what_is_no_architecture(text: str) -> None:
    with pytest.raises(BadOption, match=r"Received: "):
        Architecture.parse(text)


def test_sizes_that_do_not_fit() -> None:
    Dims(144, 32, 16, 16, 16).require_fit(Architecture.parse("df-u"))
    with pytest.raises(BadOption, match=r"The resolution of df-t must be a multiple of 32\. Received: 144\."):
        Dims(144, 32, 16, 16, 16).require_fit(Architecture.parse("df-t"))
