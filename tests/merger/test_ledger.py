"""Entries, and the steps between them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from merger.ledger import Ledger, Place, Step


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_step_is_taken_back_and_forth() -> None:
    ledger = Ledger({("mark", 1): "old"}, Clock())
    assert ledger.change("mark", {("mark", 1): None, ("mark", 2): "new"})
    assert ledger.entries == {("mark", 2): "new"}
    assert ledger.undo() == "mark"
    assert ledger.entries == {("mark", 1): "old"}
    assert ledger.undo() is None
    assert ledger.redo() == "mark"
    assert ledger.entries == {("mark", 2): "new"}
    assert ledger.redo() is None


def test_what_changes_nothing_is_no_step() -> None:
    ledger = Ledger({("mark", 1): ""}, Clock())
    assert not ledger.change("mark", {("mark", 1): "", ("mark", 2): None})
    assert ledger.version == 0
    assert ledger.undo() is None


def test_a_burst_on_one_thing_is_one_step() -> None:
    clock = Clock()
    ledger = Ledger(clock=clock)
    for number, now in enumerate((0.0, 0.6, 1.2, 1.89)):
        clock.now = now
        ledger.change("erode", {("key", 0): number, ("key", number): number})
    assert len(ledger.done) == 1
    clock.now = 1.95
    ledger.change("blur", {("key", 9): 1})
    clock.now = 2.0
    ledger.change("erode", {("key", 0): 7})
    clock.now = 2.71
    ledger.change("erode", {("key", 0): 8})
    assert [step.what for step in ledger.done] == ["erode", "blur", "erode", "erode"]
    for _ in range(3):
        ledger.undo()
    assert ledger.entries[("key", 0)] == 3
    ledger.undo()
    assert ledger.entries == {}


def test_a_change_after_taking_back_is_a_step_of_its_own_and_ends_what_could_be_done_again() -> None:
    ledger = Ledger(clock=Clock())
    ledger.change("erode", {("key", 0): 1})
    ledger.undo()
    ledger.redo()
    ledger.change("erode", {("key", 0): 2})
    assert len(ledger.done) == 2
    ledger.undo()
    assert ledger.entries == {("key", 0): 1}
    ledger.change("blur", {("key", 1): 1})
    assert ledger.redo() is None


@given(st.lists(st.dictionaries(st.integers(0, 4), st.one_of(st.none(), st.integers(0, 3)), max_size=3), max_size=12))
def test_every_state_comes_back(changes: list[dict[int, int | None]]) -> None:
    ledger, clock = Ledger({("key", 0): 1}), Clock()
    ledger._clock = clock
    states = [dict(ledger.entries)]
    for change in changes:
        clock.now += 1
        if ledger.change("any", {("key", place): value for place, value in change.items()}):
            states.append(dict(ledger.entries))
    for expected in reversed(states[:-1]):
        assert ledger.undo() is not None
        assert ledger.entries == expected
    for expected in states[1:]:
        ledger.redo()
        assert ledger.entries == expected


def test_places_move_in_entries_and_steps_and_the_later_of_two_counts() -> None:
    def halved(place: Place) -> Place | None:
        return None if place[1] == 9 else ("key", int(place[1]) // 2)

    ledger = Ledger({("key", 3): "c", ("key", 2): "b", ("key", 9): "z"})
    ledger.done = [Step("x", {("key", 4): "old"}, {("key", 4): None})]
    ledger.map_places(halved)
    assert ledger.entries == {("key", 1): "c"}
    assert ledger.done[0].before == {("key", 2): "old"}
