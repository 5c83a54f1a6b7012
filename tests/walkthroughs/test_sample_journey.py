"""Demonstrate a training sample's journey: from a face on disk to a loss, and safely back to disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.paths import Workspace
from models.autoencoders import Dims
from models.checkpoint import CheckpointStore, TrainingState, start_training
from models.quick96 import Quick96
from samplelib.augmentation import Augmentation, draw_augmentation
from samplelib.batches import TrainingBatches
from samplelib.faceset import open_faceset
from samplelib.order import PlainOrder, Stream, keyed_rng
from tests.painting import write_painted_faceset

SMALL = Dims(resolution=32, ae=16, e=16, d=16, d_mask=8)


def small_model(seed: int = 1) -> Quick96:
    return Quick96(device="cpu", seed=seed, dims=SMALL)


def test_demonstrate_a_samples_journey(odd_folder: Path) -> None:
    workspace = Workspace(odd_folder)
    write_painted_faceset(workspace.data_src_aligned, count=6, side=64)
    write_painted_faceset(workspace.data_dst_aligned, count=5, side=64, seed=40)

    # 1. Known, not loaded: the faceset is a list of records.
    src, dst = open_faceset(workspace.data_src_aligned), open_faceset(workspace.data_dst_aligned)
    assert (len(src), len(dst)) == (6, 5)

    # 2. Its turn: dealt out without repeats.
    order = PlainOrder(len(src), seed=7, stream=Stream.ORDER_SRC)
    assert sorted(order.index(n) for n in range(6)) == [0, 1, 2, 3, 4, 5]

    # 4. The dice are thrown once, and can be read back from a line of text.
    model = small_model()
    augmentation = draw_augmentation(keyed_rng(7, Stream.AUGMENTATION_SRC, 0), model.src_settings)
    assert Augmentation.from_json(augmentation.to_json()).to_json() == augmentation.to_json()

    # 3.-6. Worker processes make the batch; the same number gives the same batch, whoever makes it.
    def batches(workers: int, first: int) -> TrainingBatches:
        settings = (model.src_settings, model.dst_settings)
        return TrainingBatches(src, dst, *settings, batch_size=4, seed=7, workers=workers, first_iteration=first)

    with batches(2, 0) as many, batches(0, 1) as alone:
        first, second, again = next(many), next(many), next(alone)
    assert first.src.warped.shape == (4, 32, 32, 3)
    assert first.src.mask.shape == (4, 32, 32, 1)
    np.testing.assert_array_equal(second.dst.target, again.dst.target)

    # 7.-10. Through the networks, to two numbers.
    losses = model.train_step(first)
    assert set(losses) == {"src_loss", "dst_loss"}
    assert all(np.isfinite(value) for value in losses.values())

    # 11. Kept safe: what is read back goes on exactly as what was never put away.
    store = CheckpointStore(workspace.model / "new_Quick96")
    state = TrainingState(seed=7)
    state.history.append(losses)
    store.save(model.export_state(), state)
    other = small_model(seed=99)
    start_training(other, store.read(), seed=7)
    assert other.train_step(second) == model.train_step(second)
