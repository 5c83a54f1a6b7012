"""Training batches, prepared ahead by worker processes: the door to this room.

    src, dst = open_faceset(workspace.data_src_aligned), open_faceset(workspace.data_dst_aligned)
    with TrainingBatches(src, dst, src_settings, dst_settings, batch_size=8, seed=1234) as batches:
        batch = next(batches)               # TrainingBatch(src=FaceBatch(...), dst=FaceBatch(...), iteration=0)

Batch `i` depends on seed, facesets and settings alone: any number of workers, of either side, gives the same bits, and
training resumes at any iteration. `batches.replay("src", iteration, position)` shows any sample again, with what chance
did to it.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from core.console import warn
from core.errors import BadOption, FaceLoomError, MissingInput
from core.parallel import default_workers
from core.shared_arrays import SharedArrays, layout_bytes
from samplelib.augmentation import UNCHANGED, SampleSettings
from samplelib.batch_builder import SIDES, BatchBuilder, BatchPlan, DrawnSample, Problem, batch_layout, plan_batches
from samplelib.batch_workers import BatchWorkers, default_counts, shared_out
from samplelib.face_cache import (
    FaceNeeds,
    cache_layout,
    default_cache_bytes,
    prepare_face,
    shareable_bytes,
    slots_within,
)
from samplelib.faceset import Faceset, check_failures
from samplelib.sample import Sample
from samplelib.training_sample import make_training_sample

_LEAST_AHEAD = 4
_WAIT_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class FaceBatch:
    """N samples of one side, R pixels a side; uint8 0..255, the caller's to keep.

    Attributes:
        warped: (N, R, R, 3) BGR, what the network is shown.
        target: (N, R, R, 3) BGR, what it should draw.
        mask: (N, R, R, 1), 255 where the target is face.
        eyes_mouth_mask: (N, R, R, 1), 255 at eyes and mouth; None where not asked for.
        indices: (N,) int64, which face of the faceset each sample shows.
    """

    warped: np.ndarray
    target: np.ndarray
    mask: np.ndarray
    eyes_mouth_mask: np.ndarray | None
    indices: np.ndarray


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """What one training step eats."""

    src: FaceBatch
    dst: FaceBatch
    iteration: int


class TrainingBatches:
    """An endless iterator over training batches, from `first_iteration` on.

    Args:
        src: faces of the person whose likeness is wanted.
        dst: faces of the footage.
        src_settings: of the src samples.
        dst_settings: of the dst samples.
        batch_size: samples of each side.
        seed: decides everything random, 0 .. 2^64 - 1.
        workers: processes that prepare batches, of src and of dst, or their sum; 0: this process does; None: by the
            processors of this machine.
        cache_bytes: bound of the memory for decoded faces; None: a quarter of the machine's.
        first_iteration: the first batch wanted.
        color_donors: faces that lend their colors to a side with a color transfer; None: the other side's.

    Attributes:
        seconds_waited: how long `next` has had to wait for samples, all in all.
        problems: faces left out so far and why, those of the facesets first.

    Raises:
        BadOption: a number that makes no sense.
        FaceLoomError: more than 5 % of the faces are unusable (now or later, from `next`).
    """

    def __init__(
        self,
        src: Faceset,
        dst: Faceset,
        src_settings: SampleSettings,
        dst_settings: SampleSettings,
        batch_size: int,
        seed: int,
        workers: tuple[int, int] | int | None = None,
        cache_bytes: int | None = None,
        first_iteration: int = 0,
        color_donors: Faceset | None = None,
    ) -> None:
        counts = worker_counts(workers, src_settings, dst_settings)
        _check_numbers(batch_size, seed, counts, cache_bytes, first_iteration)
        for faceset, settings in ((src, src_settings), (dst, dst_settings)):
            _check_faceset(faceset, settings)
        self.seconds_waited = 0.0
        self.problems: list[tuple[Path, str]] = list(dict.fromkeys([*src.problems, *dst.problems]))
        donors = (color_donors or dst, color_donors or src)
        self._plan, self._owners = plan_batches((src, dst), (src_settings, dst_settings), donors, batch_size, seed)
        self._failed: list[dict[int, str]] = [{} for _ in self._owners]
        self._next = first_iteration
        ahead = max(_LEAST_AHEAD, 2 * sum(counts))
        storage = _take_memory(self._plan, self._owners, sum(counts), ahead, cache_bytes)
        self._caches, self._ring = storage[:-1], storage[-1]
        self._builder: BatchBuilder | None = None
        self._replayer: BatchBuilder | None = None
        self._workers: BatchWorkers | None = None
        self._ready: dict[int, int] = {}
        if not any(counts):
            self._builder = BatchBuilder(self._plan, self._caches)
        else:
            handles = [arrays.handle for arrays in self._caches]
            self._workers = BatchWorkers(counts, self._plan, handles, self._ring.handle)
            for slot in range(ahead):
                self._workers.submit(first_iteration + slot, slot)
        self._ahead = ahead
        self._finalizer = weakref.finalize(self, _release, self._workers, storage)

    def __iter__(self) -> TrainingBatches:
        return self

    def __next__(self) -> TrainingBatch:
        if not self._finalizer.alive:
            raise StopIteration
        iteration = self._next
        start = time.perf_counter()
        slot = self._slot_of(iteration)
        self.seconds_waited += time.perf_counter() - start
        batch = TrainingBatch(self._copied("src", slot), self._copied("dst", slot), iteration)
        if self._workers is not None:
            self._workers.submit(iteration + self._ahead, slot)
        self._next += 1
        return batch

    def _slot_of(self, iteration: int) -> int:
        """The slot a batch is in, once it is there."""
        if self._builder is not None:
            self._note_problems(self._builder.build(iteration, self._ring, 0))
            return 0
        if self._workers is None:
            raise RuntimeError("There are no workers to wait for.")
        # News that came while nobody listened is taken up without waiting.
        timeout = 0.0
        while True:
            for built in self._workers.collect(timeout):
                self._ready[built.iteration] = built.slot
                self._note_problems(built.problems)
            if iteration in self._ready:
                return self._ready.pop(iteration)
            timeout = _WAIT_SECONDS

    def _copied(self, name: str, slot: int) -> FaceBatch:
        def copied(field: str) -> np.ndarray:
            return self._ring[f"{name}_{field}"][slot].copy()

        eyes_mouth = copied("eyes_mouth_mask") if f"{name}_eyes_mouth_mask" in self._ring else None
        return FaceBatch(copied("warped"), copied("target"), copied("mask"), eyes_mouth, copied("indices"))

    def _note_problems(self, found: list[Problem]) -> None:
        for problem in found:
            failed = self._failed[problem.pool]
            if problem.index in failed:
                continue
            failed[problem.index] = problem.reason
            owner = self._owners[problem.pool]
            path = owner.samples[problem.index].path
            self.problems.append((path, problem.reason))
            warn(f"{path.name} is left out: {problem.reason}")
            unusable = [*owner.problems, *((owner.samples[index].path, reason) for index, reason in failed.items())]
            check_failures(owner.folder, unusable, len(owner.samples) + len(owner.problems))

    def replay(self, side: str, iteration: int, position: int) -> DrawnSample:
        """One sample of any batch again, bit for bit, with its face and its augmentation.

        Args:
            side: "src" or "dst".
        """
        if side not in SIDES or not 0 <= position < self._plan.batch_size:
            raise BadOption(
                f"A sample is named by src or dst and a position below {self._plan.batch_size}. "
                f"Received: {side}, {position}."
            )
        if self._replayer is None:
            pools = zip(self._owners, self._plan.pools, strict=True)
            caches = [SharedArrays.private(cache_layout(owner.samples, pool.needs, 0)) for owner, pool in pools]
            self._replayer = BatchBuilder(self._plan, caches)
        return self._replayer.draw(SIDES.index(side), iteration, position)

    @property
    def worker_process_ids(self) -> list[int]:
        """Processes that prepare batches; empty when this one does."""
        return [] if self._workers is None else self._workers.process_ids

    def close(self) -> None:
        """Ends the workers and gives the memory back. May be called again."""
        self._finalizer()

    def __enter__(self) -> TrainingBatches:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _release(workers: BatchWorkers | None, storage: list[SharedArrays]) -> None:
    if workers is not None:
        workers.close()
    for arrays in storage:
        arrays.close()


def worker_counts(
    workers: tuple[int, int] | int | None, src_settings: SampleSettings, dst_settings: SampleSettings
) -> tuple[int, int]:
    """The processes of src and of dst: as they are given, else their sum shared out, else by this machine."""
    if isinstance(workers, tuple):
        return workers
    recolored = src_settings.color_transfer != "none", dst_settings.color_transfer != "none"
    return default_counts(default_workers(), recolored) if workers is None else shared_out(workers, recolored)


def _take_memory(
    plan: BatchPlan, owners: list[Faceset], workers: int, ahead: int, cache_bytes: int | None
) -> list[SharedArrays]:
    """Storage of each pool's faces, then of the batches; shared between processes where there are workers."""
    ring = batch_layout(plan, ahead if workers else 1)
    bound = default_cache_bytes() if cache_bytes is None else cache_bytes
    if workers:
        bound = shareable_bytes(bound, layout_bytes(ring))
    pools = [(owner.samples, pool.needs) for owner, pool in zip(owners, plan.pools, strict=True)]
    slots = slots_within(bound, pools)
    take = SharedArrays.create if workers else SharedArrays.private
    taken: list[SharedArrays] = []
    try:
        # The batches come first: without them nothing works, without room for faces it is only slower.
        taken.append(take(ring))
        for (samples, needs), count in zip(pools, slots, strict=True):
            try:
                taken.append(take(cache_layout(samples, needs, count)))
            except FaceLoomError as problem:
                warn(f"Faces are decoded anew each time, which is slower. {problem.what}")
                taken.append(take(cache_layout(samples, needs, 0)))
    except BaseException:
        for arrays in taken:
            arrays.close()
        raise
    return [*taken[1:], taken[0]]


def _check_numbers(
    batch_size: int, seed: int, workers: tuple[int, int], cache_bytes: int | None, first_iteration: int
) -> None:
    if batch_size < 1:
        raise BadOption(f"A batch has at least 1 sample of each side. Received: {batch_size}.")
    if not 0 <= seed < 1 << 64:
        raise BadOption(f"A seed lies between 0 and 2^64 - 1. Received: {seed}.")
    counted = (("cache bytes", cache_bytes), ("first iteration", first_iteration))
    for name, value in (*(("workers", count) for count in workers), *counted):
        if value is not None and value < 0:
            raise BadOption(f"The number of {name} is not below 0. Received: {value}.")


def _check_faceset(faceset: Faceset, settings: SampleSettings) -> None:
    if not len(faceset):
        raise MissingInput(f"There is no face to work with in {faceset.folder}.", "Extract faces first.")
    check_failures(faceset.folder, list(faceset.problems), len(faceset) + len(faceset.problems))
    smaller = [sample for sample in faceset if sample.metadata.face_type < settings.face_type]
    if smaller:
        stored = smaller[0].metadata.face_type
        warn(
            f"{len(smaller)} of {len(faceset)} faces in {faceset.folder} show less ({stored.value}) "
            f"than the model sees ({settings.face_type.value}): their borders will be smeared. "
            f"Extract them again with --face-type {settings.face_type.short_name}."
        )


def raw_faces(samples: Sequence[Sample], settings: SampleSettings) -> tuple[np.ndarray, np.ndarray]:
    """Faces as the network would see them without any augmentation, for previews.

    Returns: (N, R, R, 3) BGR and masks (N, R, R, 1), both uint8.

    Raises:
        BrokenFile, NotAFace: one of them cannot be used.
    """
    needs = FaceNeeds(settings.resolution, settings.face_type)
    plain = SampleSettings(settings.resolution, settings.face_type, warp=False)
    side = settings.resolution
    pictures = np.empty((len(samples), side, side, 3), np.uint8)
    masks = np.empty((len(samples), side, side, 1), np.uint8)
    for number, sample in enumerate(samples):
        made = make_training_sample(prepare_face(sample, needs), UNCHANGED, plain)
        pictures[number] = made.target
        masks[number, ..., 0] = made.mask
    return pictures, masks
