"""SAEHD against another implementation: two models that the classical trainer saved, what it drew with them, and what
one more of its updates, on the batch stored beside them, made of them.

df-ud trains inside masks with AdaBelief; liae-udt besides with a GAN and priority for eyes and mouth. Two releases of
the framework under that trainer differ from each other by 5e-6 in what is drawn, 1e-5 in losses, 1e-6 in weights and
0.5 % in moments.

One thing is ordered otherwise: that trainer draws the faces a second time, with what it has just learned, before its
GAN learns from them. Ours learns from the faces it drew in the first place. So the GAN is compared after a step that
begins with the other networks already updated; and the difference that the order makes is measured.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.legacy import LegacyFaces, LegacyModel, find_legacy_models, read_legacy_model
from models.saehd import SAEHD
from models.saehd_options import SAEHDOptions
from samplelib.batches import FaceBatch, TrainingBatch

DRAWN = 1e-5
LOSS = 2e-5
WEIGHT = 3e-5
MOMENT = 0.02  # of the tensor's maximum
ORDER = 1e-4  # in weights, which the update moves by up to 7.8e-4; measured 6.3e-5

OPTIMIZERS = {"src_dst_opt": "optimizer", "GAN_opt": "GAN_optimizer"}


def revived(folder: Path) -> tuple[LegacyModel, SAEHD]:
    """A model out of its files, as ours."""
    (data_file,) = find_legacy_models(folder)
    stored = read_legacy_model(data_file)
    settings = stored.settings()
    assert isinstance(settings, SAEHDOptions)
    model = SAEHD(settings, device="cpu")
    for part, tensors in {**stored.parts, **stored.optimizers}.items():
        model.import_state(part, tensors)
    assert set(model.part_names) == {*stored.parts, *stored.optimizers}
    return stored, model


def faces(side: LegacyFaces) -> FaceBatch:
    return FaceBatch(side.warped, side.target, side.mask, side.eyes_mouth_mask, np.zeros(len(side.warped), np.int64))


def our_name(file: str, key: str) -> tuple[str, str]:
    """Part and tensor of a tensor as the other tool calls it."""
    name = key.removesuffix(":0")
    if file not in OPTIMIZERS:
        return file, name
    if name == "iters":
        return OPTIMIZERS[file], "iterations"
    slot, _, rest = name.removesuffix("_0").partition("_")
    return OPTIMIZERS[file], f"{slot}/{rest.replace('D_src/', 'GAN/')}"


@pytest.fixture(scope="module", params=["df-ud", "liae-udt"])
def folder(request: pytest.FixtureRequest, shared_data: Path) -> Path:
    found: Path = shared_data / "dfl" / "models" / request.param
    if not found.is_dir():
        pytest.skip("the true models are not here")
    return found


def test_what_it_draws_and_what_one_update_makes_of_it(folder: Path) -> None:
    stored, model = revived(folder)
    truth = folder.parents[1] / "truth" / "models"
    drawn = np.load(truth / f"{folder.name}.npz")
    check_drawn(model, {name: drawn[name] for name in drawn.files})

    assert stored.preview is not None
    batch = TrainingBatch(src=faces(stored.preview[0]), dst=faces(stored.preview[1]), iteration=stored.iteration)
    losses = model.train_step(batch)
    after = model.export_state()
    expected = np.load(truth / f"{folder.name}_step_after.npz")
    for name in ("src_loss", "dst_loss"):
        assert losses[name] == pytest.approx(expected[name].item(), abs=LOSS), name
    if "GAN" in stored.parts:
        with_drawn_first = after["GAN"]
        after |= critic_after(model, stored, batch)
        for name, tensor in with_drawn_first.items():
            np.testing.assert_allclose(tensor, after["GAN"][name], atol=ORDER, rtol=0, err_msg=name)
    compare(stored, {name: expected[name] for name in expected.files if "|" in name}, after)


def critic_after(model: SAEHD, stored: LegacyModel, batch: TrainingBatch) -> dict[str, dict[str, np.ndarray]]:
    """The GAN's parts after a step from their stored state, with everything else one update further."""
    parts = ("GAN", "GAN_optimizer")
    for part in parts:
        model.import_state(part, {**stored.parts, **stored.optimizers}[part])
    model.train_step(batch)
    state = model.export_state()
    return {part: state[part] for part in parts}


def compare(stored: LegacyModel, expected: dict[str, np.ndarray], after: dict[str, dict[str, np.ndarray]]) -> None:
    """Weights, moments and counters after the update; and that everything moved at all."""
    compared = {"weights": 0, "moments": 0}
    for written, theirs in expected.items():
        file, _, key = written.partition("|")
        part, name = our_name(file, key)
        difference = np.abs(after[part][name].astype(np.float64) - theirs).max()
        if name == "iterations":
            assert after[part][name] == theirs == stored.iteration + 1
        elif file in OPTIMIZERS:
            compared["moments"] += 1
            assert difference <= MOMENT * np.abs(theirs).max(), written
        else:
            compared["weights"] += 1
            assert difference <= WEIGHT, written
            assert (after[part][name] != stored.parts[part][name]).any(), f"{written} was not trained"
    assert min(compared.values()) >= 40


def check_drawn(model: SAEHD, truth: dict[str, np.ndarray]) -> None:
    """Both people redrawn, and the swap as merging gets it."""
    redrawn = model.reconstruct(truth["input_src"], truth["input_dst"])
    (swap,) = model.predict(truth["input_dst"])
    pairs = {
        "src_face": redrawn.src, "src_mask": redrawn.src_mask, "dst_face": redrawn.dst, "dst_mask": redrawn.dst_mask,
        "merge_face": swap.face, "merge_src_mask": swap.src_mask, "merge_dst_mask": swap.dst_mask,
    }  # fmt: skip
    for name, ours in pairs.items():
        np.testing.assert_allclose(ours, truth[name], atol=DRAWN, rtol=0, err_msg=name)
    np.testing.assert_allclose(redrawn.swap[0], truth["merge_face"], atol=DRAWN, rtol=0)
