"""Worker processes by themselves; how they serve training is in test_batches.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.shared_arrays import SharedArrays
from facelib.face_type import FaceType
from samplelib.augmentation import SampleSettings
from samplelib.batch_builder import DST, SRC, BatchPlan, batch_layout, plan_batches
from samplelib.batch_workers import BatchWorkers, BuiltBatch, default_counts, shared_out
from samplelib.face_cache import cache_layout
from samplelib.faceset import open_faceset
from tests.painting import write_painted_faceset


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[BatchPlan, SharedArrays, SharedArrays]]:
    """A plan over three faces, storage for them, and storage for three batches."""
    write_painted_faceset(tmp_path, 3, 32)
    faceset = open_faceset(tmp_path)
    settings = SampleSettings(32, FaceType.WHOLE)
    plan, _ = plan_batches((faceset, faceset), (settings, settings), (faceset, faceset), 2, 1)
    faces = SharedArrays.create(cache_layout(faceset.samples, plan.pools[0].needs, 3))
    batches = SharedArrays.create(batch_layout(plan, 3))
    yield plan, faces, batches
    faces.close()
    batches.close()


def gather(workers: BatchWorkers, count: int) -> list[BuiltBatch]:
    built: list[BuiltBatch] = []
    deadline = time.monotonic() + 60
    while len(built) < count and time.monotonic() < deadline:
        built += workers.collect(1.0)
    return built


def test_jobs_are_done_where_they_were_told_to_be(desk: tuple[BatchPlan, SharedArrays, SharedArrays]) -> None:
    plan, faces, batches = desk
    workers = BatchWorkers((1, 1), plan, [faces.handle], batches.handle)
    try:
        for iteration, slot in ((7, 2), (8, 0), (7000, 1)):
            workers.submit(iteration, slot)
        built = gather(workers, 3)
    finally:
        workers.close()
    assert sorted((done.iteration, done.slot) for done in built) == [(7, 2), (8, 0), (7000, 1)]
    assert all(done.problems == [] for done in built)
    assert batches["src_warped"].reshape(3, -1).any(axis=1).all()
    assert np.ptp(batches["dst_mask"]) == 255


def test_each_side_has_its_workers_and_the_idle_ones_help(desk: tuple[BatchPlan, SharedArrays, SharedArrays]) -> None:
    plan, faces, batches = desk
    workers = BatchWorkers((1, 2), plan, [faces.handle], batches.handle)
    jobs = [worker.open_jobs for worker in workers._workers]
    try:
        workers.submit(0, 0)
        assert jobs == [{(0, SRC): 0}, {(0, DST): 0}, {}], "each side's go to its own"
        workers.submit(1, 1)
        assert jobs[2] == {(1, SRC): 1}, "whoever has less to do helps"
        assert jobs[1] == {(0, DST): 0, (1, DST): 1}, "of equally busy ones it is the side's own"
    finally:
        workers.close()


@pytest.mark.parametrize(
    ("processors", "plain", "recolored"),
    [(1, (1, 1), (1, 1)), (2, (1, 1), (1, 1)), (8, (2, 2), (3, 2)), (16, (4, 4), (6, 4)), (64, (6, 6), (9, 6))],
)
def test_default_counts(processors: int, plain: tuple[int, int], recolored: tuple[int, int]) -> None:
    assert default_counts(processors, (False, False)) == plain
    assert default_counts(processors, (True, False)) == recolored


@pytest.mark.parametrize(
    ("count", "plain", "recolored"),
    [(0, (0, 0), (0, 0)), (1, (1, 0), (1, 0)), (5, (3, 2), (3, 2)), (12, (6, 6), (8, 4))],
)
def test_a_sum_is_shared_out(count: int, plain: tuple[int, int], recolored: tuple[int, int]) -> None:
    assert shared_out(count, (False, False)) == plain
    assert shared_out(count, (True, False)) == recolored


def test_waiting_for_nothing_ends_in_time(desk: tuple[BatchPlan, SharedArrays, SharedArrays]) -> None:
    plan, faces, batches = desk
    workers = BatchWorkers((1, 0), plan, [faces.handle], batches.handle)
    try:
        start = time.monotonic()
        assert workers.collect(0.2) == []
        assert time.monotonic() - start < 5
    finally:
        workers.close()
    assert workers.process_ids == []


def test_what_a_worker_cannot_do_is_said_by_the_parent(desk: tuple[BatchPlan, SharedArrays, SharedArrays]) -> None:
    plan, faces, batches = desk
    for place in plan.pools[0].places:
        place.path.unlink()
    workers = BatchWorkers((1, 0), plan, [faces.handle], batches.handle)
    try:
        workers.submit(0, 0)
        with pytest.raises(FaceLoomError, match="No face in"):
            gather(workers, 1)
    finally:
        workers.close()


def test_a_fault_of_ours_comes_with_its_traceback(desk: tuple[BatchPlan, SharedArrays, SharedArrays]) -> None:
    plan, faces, batches = desk
    workers = BatchWorkers((1, 0), plan, [faces.handle], batches.handle)
    try:
        workers.submit(0, 99)  # there is no such slot
        with pytest.raises(RuntimeError, match="IndexError"):
            gather(workers, 1)
    finally:
        workers.close()
