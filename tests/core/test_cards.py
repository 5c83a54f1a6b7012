"""Graphics cards as the driver's tool names them."""

from __future__ import annotations

import subprocess

import pytest

from core import cards
from core.cards import Card, installed_cards


def test_cards_come_from_the_drivers_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards.shutil, "which", lambda _: "nvidia-smi")

    def answer(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 0, "NVIDIA H200, 143771\nQuadro, old, 2048\n\nnonsense\n", "")

    monkeypatch.setattr(cards.subprocess, "run", answer)
    assert installed_cards() == [Card("NVIDIA H200", 143771 << 20), Card("Quadro, old", 2048 << 20)]

    def broken(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.CalledProcessError(9, words)

    monkeypatch.setattr(cards.subprocess, "run", broken)
    assert installed_cards() == []
