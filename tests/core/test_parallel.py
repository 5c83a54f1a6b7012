"""core.parallel: in order, nothing lost, no hang, whatever the workers do."""

from __future__ import annotations

import os
import sys

import pytest

from core import parallel
from core.errors import BrokenFile
from core.parallel import map_ordered


def _square(n: int) -> int:
    return n * n


def _misbehave(n: int) -> int:
    if n == 3:
        raise BrokenFile("three.jpg", "it is damaged.")
    if n == 5:
        raise RuntimeError("a bug")
    if n == 7:
        os._exit(9)  # as when the system kills a process for its memory
    return n


def _modules(_: int) -> list[str]:
    return sorted({"tensorflow", "keras", "jax", "torch"} & set(sys.modules))


def test_outcomes_come_in_order() -> None:
    assert [o.value for o in map_ordered(_square, range(40), workers=2)] == [n * n for n in range(40)]


@pytest.mark.parametrize("workers", [0, 2])
def test_failures_name_their_item_and_the_rest_goes_on(workers: int) -> None:
    items = [n for n in range(12) if workers or n != 7]
    outcomes = list(map_ordered(_misbehave, items, workers=workers))
    assert [o.item for o in outcomes] == items
    failed = {o.item: o.error for o in outcomes if o.error}
    assert failed.pop(3) == "three.jpg: it is damaged."
    assert failed.pop(5) == "RuntimeError: a bug"
    assert "died twice" in (failed.pop(7, None) or "died twice")
    assert not failed
    assert [o.value for o in outcomes if not o.error] == [o.item for o in outcomes if not o.error]


def test_workers_load_no_neural_framework() -> None:
    assert next(map_ordered(_modules, [0], workers=1)).value == []


def test_leaving_early_stops_the_workers() -> None:
    for outcome in map_ordered(_square, range(10_000), workers=2):
        if outcome.item == 5:
            break


def test_never_more_processes_than_the_system_can_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Windows machine with 64 cores and more: 61 processes, not an error."""
    asked: list[int] = []

    def executor(workers: int, *_: object, **__: object) -> object:
        asked.append(workers)
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "_MOST_PROCESSES", 61)
    monkeypatch.setattr(parallel, "ProcessPoolExecutor", executor)
    for workers in (3, 128):
        with pytest.raises(KeyboardInterrupt):
            list(map_ordered(str, [1], workers=workers))
    assert asked == [3, 61]
