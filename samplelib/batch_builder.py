"""One batch from its number: a pure function of seed, iteration, facesets and settings, in whatever process it runs.

Sample `position` of iteration `i` has the number `g = i * batch_size + position`. The order of its side names its face,
the order of donors the face that lends colors, and a generator keyed by `g` throws its dice. A face that cannot be used
gives its place to the face of the next number, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import BrokenFile, FaceLoomError
from core.shared_arrays import Layout, SharedArrays
from samplelib.augmentation import Augmentation, SampleSettings, draw_augmentation
from samplelib.face_cache import FaceCache, FaceNeeds, WorkingFace
from samplelib.faceset import Faceset
from samplelib.order import Order, PlainOrder, Stream, UniformYawOrder, keyed_rng
from samplelib.sample import FacePlace
from samplelib.training_sample import TrainingSample, make_training_sample

SIDES = ("src", "dst")
SRC, DST = 0, 1
_STREAMS = {
    "src": (Stream.ORDER_SRC, Stream.DONOR_SRC, Stream.AUGMENTATION_SRC),
    "dst": (Stream.ORDER_DST, Stream.DONOR_DST, Stream.AUGMENTATION_DST),
}


@dataclass(frozen=True)
class PoolPlan:
    """A faceset prepared for one framing: where its faces are, and what they are prepared for."""

    places: tuple[FacePlace, ...]
    needs: FaceNeeds


@dataclass(frozen=True, eq=False)
class SidePlan:
    """One side of the batches.

    Attributes:
        pool: number of the pool its faces come from.
        donor_pool: number of the pool that lends colors; None: nobody does.
        settings: of its samples.
        yaws: (N,) radians where faces are dealt out by direction of view; else None.
    """

    pool: int
    donor_pool: int | None
    settings: SampleSettings
    yaws: np.ndarray | None


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """All that decides what is in the batches; small enough to hand to every worker."""

    seed: int
    batch_size: int
    pools: tuple[PoolPlan, ...]
    sides: tuple[SidePlan, SidePlan]


@dataclass(frozen=True)
class Problem:
    """A face that had to be left out."""

    pool: int
    index: int
    reason: str


@dataclass(frozen=True, eq=False)
class DrawnSample:
    """One sample with its story.

    Attributes:
        index: of its face.
        augmentation: what chance did to it.
        sample: its pixels.
    """

    index: int
    augmentation: Augmentation
    sample: TrainingSample


def plan_batches(
    facesets: tuple[Faceset, Faceset],
    settings: tuple[SampleSettings, SampleSettings],
    donors: tuple[Faceset, Faceset],
    batch_size: int,
    seed: int,
) -> tuple[BatchPlan, list[Faceset]]:
    """Works out which facesets are prepared how; those used twice for the same framing are prepared once.

    Args:
        donors: of the two sides; looked at only where the side's settings have a color transfer.

    Returns: the plan, and the faceset of each pool.
    """
    owners: list[Faceset] = []
    needs: list[FaceNeeds] = []

    def pool_of(faceset: Faceset, side_settings: SampleSettings, eyes_mouth: bool, thumbnail: bool) -> int:
        for number, (owner, known) in enumerate(zip(owners, needs, strict=True)):
            framing = (known.resolution, known.face_type)
            if owner is faceset and framing == (side_settings.resolution, side_settings.face_type):
                needs[number] = replace(
                    known, eyes_mouth=known.eyes_mouth or eyes_mouth, thumbnail=known.thumbnail or thumbnail
                )
                return number
        owners.append(faceset)
        needs.append(FaceNeeds(side_settings.resolution, side_settings.face_type, eyes_mouth, thumbnail))
        return len(owners) - 1

    sides = []
    for faceset, side_settings, donor in zip(facesets, settings, donors, strict=True):
        recolors = side_settings.color_transfer != "none"
        sides.append(
            SidePlan(
                pool_of(faceset, side_settings, side_settings.eyes_mouth, recolors),
                pool_of(donor, side_settings, False, True) if recolors else None,
                side_settings,
                faceset.yaws() if side_settings.uniform_yaw else None,
            )
        )
    pools = tuple(
        PoolPlan(tuple(sample.place for sample in owner), need) for owner, need in zip(owners, needs, strict=True)
    )
    return BatchPlan(seed, batch_size, pools, (sides[0], sides[1])), owners


def batch_layout(plan: BatchPlan, slots: int) -> Layout:
    """Storage for `slots` batches: arrays "<side>_<field>" of shape (slots, N, ...)."""
    layout: dict[str, tuple[tuple[int, ...], str]] = {}
    for name, side in zip(SIDES, plan.sides, strict=True):
        resolution = side.settings.resolution
        leading = (slots, plan.batch_size)
        layout[f"{name}_warped"] = ((*leading, resolution, resolution, 3), "uint8")
        layout[f"{name}_target"] = ((*leading, resolution, resolution, 3), "uint8")
        layout[f"{name}_mask"] = ((*leading, resolution, resolution, 1), "uint8")
        if side.settings.eyes_mouth:
            layout[f"{name}_eyes_mouth_mask"] = ((*leading, resolution, resolution, 1), "uint8")
        layout[f"{name}_indices"] = (leading, "int64")
    return layout


class BatchBuilder:
    """Makes samples and batches of a plan.

    Args:
        caches: storage of the prepared faces, one for each pool of the plan.
    """

    def __init__(self, plan: BatchPlan, caches: list[SharedArrays]) -> None:
        self._plan = plan
        self._pools = [
            FaceCache(pool.places, pool.needs, arrays) for pool, arrays in zip(plan.pools, caches, strict=True)
        ]
        self._orders: list[Order] = []
        self._donor_orders: list[Order | None] = []
        for name, side in zip(SIDES, plan.sides, strict=True):
            order, donor_order, _ = _STREAMS[name]
            count = len(plan.pools[side.pool].places)
            self._orders.append(
                PlainOrder(count, plan.seed, order)
                if side.yaws is None
                else UniformYawOrder(side.yaws, plan.seed, order)
            )
            donors = side.donor_pool
            self._donor_orders.append(
                None if donors is None else PlainOrder(len(plan.pools[donors].places), plan.seed, donor_order)
            )
        self._problems: dict[tuple[int, int], str] = {}

    @property
    def prepared(self) -> int:
        """How many faces this builder has decoded."""
        return sum(pool.prepared for pool in self._pools)

    def draw(self, side: int, iteration: int, position: int) -> DrawnSample:
        """The sample at `position` of one side (0 src, 1 dst) of an iteration."""
        plan = self._plan.sides[side]
        number = iteration * self._plan.batch_size + position
        index, face = self._usable_face(plan.pool, self._orders[side], number)
        donor_index, donor = None, None
        donor_order = self._donor_orders[side]
        if donor_order is not None and plan.donor_pool is not None:
            donor_index, donor = self._usable_face(plan.donor_pool, donor_order, number)
        rng = keyed_rng(self._plan.seed, _STREAMS[SIDES[side]][2], number)
        augmentation = draw_augmentation(rng, plan.settings, donor_index)
        return DrawnSample(index, augmentation, make_training_sample(face, augmentation, plan.settings, donor))

    def _usable_face(self, pool: int, order: Order, number: int) -> tuple[int, WorkingFace]:
        """The first face from `number` on that can be used."""
        cache = self._pools[pool]
        # Twice round, because the numbers may straddle two epochs.
        for place in range(number, number + 2 * len(cache)):
            index = order.index(place)
            try:
                return index, cache.face(index)
            except BrokenFile as problem:
                self._problems[pool, index] = problem.why
        folder = self._plan.pools[pool].places[0].path.parent
        raise FaceLoomError(f"No face in {folder} can be used.", "Extract the faces again.")

    def build(
        self, iteration: int, storage: SharedArrays, slot: int, sides: Sequence[int] = (SRC, DST)
    ) -> list[Problem]:
        """Writes a batch, or one side of it, into a slot of storage made by `batch_layout`.

        Returns: the faces found unusable since the last call.
        """
        for side in sides:
            name = SIDES[side]
            for position in range(self._plan.batch_size):
                drawn = self.draw(side, iteration, position)
                storage[f"{name}_warped"][slot, position] = drawn.sample.warped
                storage[f"{name}_target"][slot, position] = drawn.sample.target
                storage[f"{name}_mask"][slot, position, ..., 0] = drawn.sample.mask
                if drawn.sample.eyes_mouth_mask is not None:
                    storage[f"{name}_eyes_mouth_mask"][slot, position, ..., 0] = drawn.sample.eyes_mouth_mask
                storage[f"{name}_indices"][slot, position] = drawn.index
        found = [Problem(pool, index, reason) for (pool, index), reason in self._problems.items()]
        self._problems.clear()
        return found
