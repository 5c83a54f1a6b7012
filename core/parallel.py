"""Work over many items in several processes: in order, nothing lost, no hang.

Every item ends in exactly one Outcome. An item whose work raises, or whose process dies, is tried once more alone;
if that fails too, the Outcome says why and names the item, and the others go on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from core.errors import FaceLoomError

Item = TypeVar("Item")
Result = TypeVar("Result")


_MOST_PROCESSES = 61 if os.name == "nt" else 1024
"""Windows cannot wait for more at once, and `ProcessPoolExecutor` refuses to try."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of one item.

    Attributes:
        item: as it was given.
        value: the result; None when it failed.
        error: None, or one sentence why it failed.
        details: the traceback of an unexpected failure, for the log.
    """

    item: Item
    value: Result | None
    error: str | None = None
    details: str = ""


def default_workers() -> int:
    """The processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # Windows, macOS
        return max(1, os.cpu_count() or 1)


def _start_worker(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    # Ctrl-C reaches every process of the terminal; only the parent acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if initializer is not None:
        initializer(*initargs)


def _guarded(function: Callable[[Any], Any], item: Any) -> tuple[Any, str | None, str]:
    try:
        return function(item), None, ""
    except FaceLoomError as problem:
        return None, str(problem), ""
    except Exception as problem:
        return None, f"{type(problem).__name__}: {problem}", traceback.format_exc()


class _Pool:
    """A process pool that can be thrown away and made again."""

    def __init__(self, workers: int, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
        self._workers = min(workers, _MOST_PROCESSES)
        self._start = (initializer, initargs)
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, function: Callable[[Any], Any], item: Any) -> Future[Any]:
        if self._executor is None:
            spawn = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self._workers, spawn, initializer=_start_worker, initargs=self._start)
        return self._executor.submit(_guarded, function, item)

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
    window: int | None = None,
) -> Iterator[Outcome[Item, Result]]:
    """Applies `function` to every item and yields the outcomes in the order of the items.

    Args:
        function: a module-level function; runs in freshly spawned processes.
        workers: number of processes; 0 works in this process (tests, debugging).
        initializer, initargs: called once in every process before its first item.
        window: items under way at once, at most (default 4 per worker); bounds memory.
    """
    if workers <= 0:
        if initializer is not None:
            initializer(*initargs)
        for item in items:
            value, error, details = _guarded(function, item)
            yield Outcome(item, value, error, details)
        return
    pool = _Pool(workers, initializer, initargs)
    under_way: deque[tuple[Item, Future[Any] | None]] = deque()
    source = iter(items)
    exhausted = False
    try:
        while under_way or not exhausted:
            while not exhausted and len(under_way) < (window or 4 * workers):
                try:
                    item = next(source)
                except StopIteration:
                    exhausted = True
                    break
                under_way.append((item, _submit(pool, function, item)))
            if under_way:
                item, future = under_way.popleft()
                yield _collect(pool, function, item, future, initializer, initargs)
    finally:
        pool.close()


def _submit(pool: _Pool, function: Callable[[Any], Any], item: Any) -> Future[Any] | None:
    """None when the pool has just broken: the item is then worked on alone when its turn comes."""
    try:
        return pool.submit(function, item)
    except BrokenProcessPool:
        pool.close()
        return None


def _collect(
    pool: _Pool,
    function: Callable[[Any], Any],
    item: Any,
    future: Future[Any] | None,
    initializer: Callable[..., None] | None,
    initargs: tuple[Any, ...],
) -> Outcome[Any, Any]:
    if future is not None:
        try:
            value, error, details = future.result()
            if error is None:
                return Outcome(item, value)
            if not details:  # a failure the work itself put into words does not get better by trying again
                return Outcome(item, None, error)
        except BrokenProcessPool:
            pool.close()  # whoever comes next gets fresh processes
    alone = _Pool(1, initializer, initargs)
    try:
        value, error, details = alone.submit(function, item).result()
        return Outcome(item, value, error, details)
    except BrokenProcessPool:
        return Outcome(item, None, "its worker process died twice (out of memory, or a crash in a library).")
    finally:
        alone.close()
