"""Decisions of a user, each under its place, and every step back and forth between them.

    ledger.change("erode_mask", {("key", 0, "erode_mask", 12): (5, "hold")})    # None takes an entry away
    ledger.undo()

A burst of changes of one thing, less than 0.7 seconds apart, is one step. Source: spec merging 10.5.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Place = tuple[str | int, ...]

BURST_SECONDS = 0.7


@dataclass
class Step:
    """A change of some entries: what they were before and after. at: when it was last added to, seconds."""

    what: str
    before: dict[Place, Any] = field(default_factory=dict)
    after: dict[Place, Any] = field(default_factory=dict)
    at: float = -1e9

    def map_places(self, place_of: Callable[[Place], Place | None]) -> Step:
        """The same step where places have other names; those that are gone (None) are left out."""
        return Step(self.what, move_places(self.before, place_of), move_places(self.after, place_of))


class Ledger:
    """Entries and the steps that led to them.

    Args:
        clock: seconds, for bursts.
    """

    def __init__(self, entries: Mapping[Place, Any] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.entries: dict[Place, Any] = dict(entries or {})
        self.done: list[Step] = []
        self.undone: list[Step] = []
        self.version = 0
        """Goes up with every change of an entry."""
        self._clock = clock

    def of_kind(self, kind: str) -> Iterator[tuple[Place, Any]]:
        """The entries whose place begins with a word."""
        return ((place, value) for place, value in self.entries.items() if place[0] == kind)

    def change(self, what: str, edits: Mapping[Place, Any]) -> bool:
        """Puts entries in, or takes away those that are None; False where all of it is so already."""
        changed = {place: value for place, value in edits.items() if self.entries.get(place) != value}
        if not changed:
            return False
        now = self._clock()
        before = {place: self.entries.get(place) for place in changed}
        last = self.done[-1] if self.done and not self.undone else None
        if last is not None and last.what == what and 0 <= now - last.at < BURST_SECONDS:
            last.before = {**before, **last.before}
            last.after.update(changed)
            last.at = now
        else:
            self.done.append(Step(what, before, changed, now))
        self.undone.clear()
        self._put(changed)
        return True

    def undo(self) -> str | None:
        """Takes the last step back; what it was, or None where there is none."""
        if not self.done:
            return None
        step = self.done.pop()
        self.undone.append(step)
        self._put(step.before)
        return step.what

    def redo(self) -> str | None:
        """Takes the last step that was taken back again."""
        if not self.undone:
            return None
        step = self.undone.pop()
        step.at = -1e9  # what comes next is a step of its own
        self.done.append(step)
        self._put(step.after)
        return step.what

    def map_places(self, place_of: Callable[[Place], Place | None]) -> None:
        """Gives every entry, in steps too, another place, or drops it (None). Of two at one place the later counts."""
        self.entries = move_places(self.entries, place_of)
        self.done = [step.map_places(place_of) for step in self.done]
        self.undone = [step.map_places(place_of) for step in self.undone]
        self.version += 1

    def _put(self, values: Mapping[Place, Any]) -> None:
        for place, value in values.items():
            if value is None:
                self.entries.pop(place, None)
            else:
                self.entries[place] = value
        self.version += 1


def move_places(entries: Mapping[Place, Any], place_of: Callable[[Place], Place | None]) -> dict[Place, Any]:
    """The entries under their new places, in the order of their old ones."""
    moved = ((place_of(place), entries[place]) for place in sorted(entries, key=_order))
    return {place: value for place, value in moved if place is not None}


def _order(place: Place) -> tuple[tuple[bool, str, int], ...]:
    return tuple(
        (isinstance(part, str), str(part) * isinstance(part, str), part if isinstance(part, int) else 0)
        for part in place
    )
