"""Numbers in sentences."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """How many of what: "1 frame", "1,204 frames"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
