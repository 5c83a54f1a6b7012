"""Worker processes that build batches into shared memory; only numbers travel, as short JSON messages over pipes.

Each side has its own, and one that has less to do than the others helps the other side: a color transfer makes a sample
of src cost two to twenty times one of dst, and no fixed split would keep all of them busy.

A worker that dies is noticed at once (the system reports it like a message), replaced, and its batches are given to its
successor. Workers ignore Ctrl-C and the other signals that mean the parent, which may want to save first; they end when
told to, and by themselves when the parent is gone. They import no neural framework.
"""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import cv2
import numpy as np

from core.errors import FaceLoomError, ToolFailed
from core.shared_arrays import SharedArrays, SharedHandle
from samplelib.batch_builder import DST, SRC, BatchBuilder, BatchPlan, Problem

MOST_RESTARTS = 3
_MOST_BY_DEFAULT = 6  # for each side; one of them makes a thousand samples a second, or fifty with the slowest transfer
_RECOLORING = 1.5  # so many times as many for a side with a color transfer
_STOP = b"stop"
_PARENT_CHECK_SECONDS = 10.0
_STOP_SECONDS = 2.0
_LARGE_BLOCK_BYTES = 31 << 20


def default_counts(processors: int, recolored: tuple[bool, bool]) -> tuple[int, int]:
    """Workers of src and dst when nobody says how many: a quarter of the processors each, from 1 to 6, and half as many
    again with a color transfer. The other half is left to training without a graphics card.

    Source: spec models 5.2, where it is half of them each, without a bound, and nothing helps the other side.
    """
    each = min(processors // 4, _MOST_BY_DEFAULT)
    src, dst = (max(1, int(each * _RECOLORING) if recolors else each) for recolors in recolored)
    return src, dst


def shared_out(count: int, recolored: tuple[bool, bool]) -> tuple[int, int]:
    """So many workers all in all as workers of src and dst; the odd one is src's."""
    src, dst = (_RECOLORING if recolors else 1.0 for recolors in recolored)
    of_src = math.ceil(count * src / (src + dst))
    return of_src, count - of_src


@dataclass(frozen=True)
class BuiltBatch:
    """Which batch is ready in which slot, and the faces that had to be left out."""

    iteration: int
    slot: int
    problems: list[Problem]


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    side: int
    open_jobs: dict[tuple[int, int], int] = field(default_factory=dict)  # iteration, side -> slot


class BatchWorkers:
    """A group of worker processes.

    Args:
        counts: how many of src and of dst, at least 1 in all.
        plan: what they build.
        caches: shared storage of the prepared faces, one per pool.
        batches: shared storage of the batches.
    """

    def __init__(
        self, counts: tuple[int, int], plan: BatchPlan, caches: list[SharedHandle], batches: SharedHandle
    ) -> None:
        self._arguments = (plan, caches, batches)
        self._restarts = 0
        self._half_built: dict[int, list[Problem]] = {}
        self._workers = [self._start(side) for side, count in enumerate(counts) for _ in range(count)]

    def _start(self, side: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(
            target=_run_worker, args=(there, *self._arguments), name="faceloom-samples", daemon=True
        )
        with _interrupts_held_back():
            process.start()
        there.close()
        return _Worker(process, here, side)

    @property
    def process_ids(self) -> list[int]:
        """The workers that are running now."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def submit(self, iteration: int, slot: int) -> None:
        """Asks for a batch: the least busy worker for each side of it, of equally busy ones one of that side."""
        for side in (SRC, DST):
            worker = min(self._workers, key=lambda one: (len(one.open_jobs), one.side != side))
            self._give(worker, iteration, side, slot)

    def _give(self, worker: _Worker, iteration: int, side: int, slot: int) -> None:
        worker.open_jobs[iteration, side] = slot
        # A worker that has just died is replaced by `collect`, which hands its jobs on.
        with contextlib.suppress(OSError):
            worker.pipe.send_bytes(json.dumps({"iteration": iteration, "side": side, "slot": slot}).encode())

    def collect(self, timeout_seconds: float) -> list[BuiltBatch]:
        """Waits until something has happened, at most so long; returns the batches that got ready.

        Raises:
            ToolFailed: workers died `MOST_RESTARTS` times and one died again.
            FaceLoomError: a worker found that the work cannot go on.
            RuntimeError: a worker met a fault of ours; carries its traceback.
        """
        signs: dict[object, _Worker] = {}
        for worker in self._workers:
            signs[worker.pipe] = worker
            signs[worker.process.sentinel] = worker
        happened = wait(list(signs), timeout_seconds)  # type: ignore[arg-type]
        built: list[BuiltBatch] = []
        for worker in {id(signs[sign]): signs[sign] for sign in happened}.values():
            built += self._read(worker)
            if not worker.process.is_alive():
                self._replace(worker)
        return built

    def _read(self, worker: _Worker) -> list[BuiltBatch]:
        built = []
        with contextlib.suppress(EOFError, OSError):
            while worker.pipe.poll():
                message = json.loads(worker.pipe.recv_bytes())
                if "fault" in message:
                    raise RuntimeError(f"A sample worker met a fault:\n{message['fault']}")
                if "what" in message:
                    raise FaceLoomError(message["what"], message["remedy"])
                iteration, problems = message["iteration"], [Problem(**problem) for problem in message["problems"]]
                slot = worker.open_jobs.pop((iteration, message["side"]))
                if iteration in self._half_built:
                    built.append(BuiltBatch(iteration, slot, self._half_built.pop(iteration) + problems))
                else:
                    self._half_built[iteration] = problems
        return built

    def _replace(self, dead: _Worker) -> None:
        exit_code = dead.process.exitcode
        place = self._workers.index(dead)
        del self._workers[place]
        _end(dead)
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            batches = ", ".join(str(iteration) for iteration in sorted({iteration for iteration, _ in dead.open_jobs}))
            raise ToolFailed(
                "Preparing samples",
                f"workers died {self._restarts} times, the last with exit code {exit_code} at batch {batches}.",
                "Usually memory ran out: run the step again with fewer workers (--workers) or a smaller batch.",
            )
        fresh = self._start(dead.side)
        self._workers.insert(place, fresh)
        for (iteration, side), slot in dead.open_jobs.items():
            self._give(fresh, iteration, side, slot)

    def close(self) -> None:
        """Ends all workers, whatever they are doing; returns when they are gone."""
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.pipe.send_bytes(_STOP)
        deadline = time.monotonic() + _STOP_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            _end(worker)
        self._workers = []


def _end(worker: _Worker) -> None:
    """Makes sure that a worker is gone and nothing of it is left."""
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.process.close()
    worker.pipe.close()


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A process started meanwhile begins with Ctrl-C blocked, so that it cannot be hit while it is still importing."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # its own start would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle_process() -> None:
    """Sets this process up for preparing samples on one processor core."""
    cv2.setNumThreads(1)
    # The C library learns from one large block, taken and given back, to keep freed memory instead of returning it to
    # the system and clearing it anew for the next picture. It halves the time of a color transfer.
    np.empty(_LARGE_BLOCK_BYTES, np.uint8)


def _run_worker(pipe: Connection, plan: BatchPlan, caches: list[SharedHandle], batches: SharedHandle) -> None:
    """A worker's life: take a job, build it, say so, until told to stop or the parent is gone."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):  # a closed terminal on POSIX, Ctrl-Break on Windows
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    settle_process()
    storage = SharedArrays.attach(batches)
    builder = BatchBuilder(plan, [SharedArrays.attach(handle) for handle in caches])
    # A closed pipe means that the parent is gone.
    with contextlib.suppress(EOFError, OSError):
        while True:
            if not pipe.poll(_PARENT_CHECK_SECONDS):
                continue
            request = pipe.recv_bytes()
            if request == _STOP:
                break
            pipe.send_bytes(json.dumps(_answer(builder, storage, json.loads(request))).encode())


def _answer(builder: BatchBuilder, storage: SharedArrays, job: dict[str, int]) -> dict[str, object]:
    try:
        problems = builder.build(job["iteration"], storage, job["slot"], [job["side"]])
    except FaceLoomError as problem:
        return {"what": problem.what, "remedy": problem.remedy}
    except Exception:
        return {"fault": traceback.format_exc()}
    return {**job, "problems": [asdict(problem) for problem in problems]}
