"""What native code writes to standard error is kept, or shown when things fail."""

from __future__ import annotations

import os

import pytest

from core.nn.chatter import held_back


def test_silent_when_all_is_well(capfd: pytest.CaptureFixture[str]) -> None:
    with held_back():
        os.write(2, b"chatter\n")
    os.write(2, b"news\n")
    assert capfd.readouterr().err == "news\n"


def test_told_when_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError), held_back():
        os.write(2, b"missing library\n")
        raise ImportError("no")
    assert capfd.readouterr().err == "missing library\n"
