"""The graphics cards that the system shows, asked of its driver: no neural framework is needed to know them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A graphics card as the system's driver shows it, whether or not the neural framework can use it."""

    name: str
    memory_bytes: int

    def __str__(self) -> str:
        return f"{self.name}, {self.memory_bytes / 2**30:.0f} GiB"


def installed_cards() -> list[Card]:
    """The NVIDIA cards that the system's driver shows; none where its tool `nvidia-smi` is absent or fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    words = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    cards = []
    for line in answer.stdout.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if name and mebibytes.strip().isdigit():
            cards.append(Card(name.strip(), int(mebibytes) * 2**20))
    return cards
