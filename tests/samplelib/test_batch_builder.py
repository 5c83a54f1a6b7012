"""One batch from its number, without processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.shared_arrays import SharedArrays
from facelib.face_type import FaceType
from samplelib.augmentation import SampleSettings
from samplelib.batch_builder import BatchBuilder, BatchPlan, batch_layout, plan_batches
from samplelib.face_cache import FaceNeeds, cache_layout
from samplelib.faceset import Faceset, open_faceset
from tests.painting import write_painted_faceset

PLAIN = SampleSettings(32, FaceType.FULL)
RECOLORED = SampleSettings(32, FaceType.FULL, color_transfer="lct")
LARGE = SampleSettings(48, FaceType.FULL, eyes_mouth=True)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Faceset, Faceset]:
    write_painted_faceset(tmp_path / "src", 4, 48)
    write_painted_faceset(tmp_path / "dst", 6, 48, seed=20)
    return open_faceset(tmp_path / "src"), open_faceset(tmp_path / "dst")


def builder_of(plan: BatchPlan, owners: list[Faceset]) -> BatchBuilder:
    pools = zip(owners, plan.pools, strict=True)
    return BatchBuilder(plan, [SharedArrays.private(cache_layout(o.samples, p.needs, len(o))) for o, p in pools])


def test_faces_are_prepared_for_what_is_asked_of_them(pair: tuple[Faceset, Faceset]) -> None:
    src, dst = pair
    plan, owners = plan_batches(pair, (PLAIN, LARGE), (dst, src), 2, 1)
    assert owners == [src, dst]
    assert plan.pools[0].needs == FaceNeeds(32, FaceType.FULL)
    assert plan.pools[1].needs == FaceNeeds(48, FaceType.FULL, eyes_mouth=True)
    assert plan.sides[0].donor_pool is None


def test_donors_in_the_same_framing_share_the_other_sides_faces(pair: tuple[Faceset, Faceset]) -> None:
    src, dst = pair
    plan, owners = plan_batches(pair, (RECOLORED, PLAIN), (dst, src), 2, 1)
    assert owners == [src, dst]
    assert plan.sides[0].donor_pool == plan.sides[1].pool == 1
    assert [pool.needs.thumbnail for pool in plan.pools] == [True, True]


def test_donors_in_another_framing_are_prepared_apart(pair: tuple[Faceset, Faceset]) -> None:
    src, dst = pair
    plan, owners = plan_batches(pair, (RECOLORED, LARGE), (dst, src), 2, 1)
    assert owners == [src, dst, dst]
    assert plan.sides[0].donor_pool == 1
    assert plan.pools[1].needs == FaceNeeds(32, FaceType.FULL, thumbnail=True)
    assert plan.sides[1].pool == 2


def test_storage_is_laid_out_per_slot_and_sample(pair: tuple[Faceset, Faceset]) -> None:
    plan, _ = plan_batches(pair, (PLAIN, LARGE), pair, 3, 1)
    layout = batch_layout(plan, 5)
    assert layout["src_warped"] == ((5, 3, 32, 32, 3), "uint8")
    assert layout["dst_eyes_mouth_mask"] == ((5, 3, 48, 48, 1), "uint8")
    assert "src_eyes_mouth_mask" not in layout
    assert layout["dst_indices"] == ((5, 3), "int64")


def test_epochs_run_across_batches(pair: tuple[Faceset, Faceset]) -> None:
    plan, owners = plan_batches(pair, (PLAIN, PLAIN), pair, 3, 1)
    builder = builder_of(plan, owners)
    drawn = [builder.draw(0, number // 3, number % 3).index for number in range(12)]
    for epoch in range(3):
        assert sorted(drawn[4 * epoch : 4 * epoch + 4]) == [0, 1, 2, 3]


def test_a_bad_face_gives_its_place_to_the_next_and_is_reported_once(pair: tuple[Faceset, Faceset]) -> None:
    src, dst = pair
    plan, owners = plan_batches(pair, (PLAIN, PLAIN), (dst, src), 4, 1)
    whole = builder_of(plan, owners)
    before = [whole.draw(0, 0, position).index for position in range(4)]
    src.samples[2].path.write_bytes(b"")
    builder = builder_of(plan, owners)
    ring = SharedArrays.private(batch_layout(plan, 1))
    problems = builder.build(0, ring, 0)
    assert [(problem.pool, problem.index) for problem in problems] == [(0, 2)]
    assert "0 bytes" in problems[0].reason
    after = ring["src_indices"][0].tolist()
    place = before.index(2)
    following = whole.draw(0, (place + 1) // 4, (place + 1) % 4).index
    assert after == [following if index == 2 else index for index in before]
    # A builder of its own finds the same fault by itself and builds the same batch.
    assert builder_of(plan, owners).build(0, SharedArrays.private(batch_layout(plan, 1)), 0) == problems


def test_when_no_face_is_left_it_says_so(pair: tuple[Faceset, Faceset]) -> None:
    src, dst = pair
    for sample in src:
        sample.path.unlink()
    plan, owners = plan_batches(pair, (PLAIN, PLAIN), (dst, src), 2, 1)
    with pytest.raises(FaceLoomError, match="No face in"):
        builder_of(plan, owners).draw(0, 0, 0)


def test_donors_go_round_like_faces(pair: tuple[Faceset, Faceset]) -> None:
    src, dst = pair
    plan, owners = plan_batches(pair, (RECOLORED, PLAIN), (dst, src), 6, 1)
    builder = builder_of(plan, owners)
    donors = [builder.draw(0, 0, position).augmentation.donor for position in range(6)]
    assert sorted(donor for donor in donors if donor is not None) == [0, 1, 2, 3, 4, 5]
    assert all(builder.draw(1, 0, position).augmentation.donor is None for position in range(6))
    assert np.unique([builder.draw(0, 0, position).augmentation.color_seed for position in range(6)]).size == 6
