"""SAEHD learns, stops and goes on to the bit, with everything on; what rests does not move."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption
from core.options import to_plain
from facelib.face_type import FaceType
from models.checkpoint import CheckpointStore, start_training
from models.checkpoint_files import TrainingState
from models.registry import find_model, load_model
from models.saehd import SAEHD, SAEHDOptions
from tests.models.shapes import shapes_batch
from tests.models.test_saehd import TINY, tiny

EVERYTHING: dict[str, Any] = {
    "gan_power": 0.1,
    "true_face_power": 0.01,
    "lr_dropout": "y",
    "clipgrad": True,
    "eyes_mouth_prio": True,
}


def tensors_of(model: SAEHD) -> dict[str, np.ndarray]:
    return {f"{part}/{name}": t for part, tensors in model.export_state().items() for name, t in tensors.items()}


def assert_same(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> None:
    assert list(first) == list(second)
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor, second[name], err_msg=name)


@pytest.fixture(scope="module")
def everything() -> SAEHD:
    """DF with both critics and learning-rate dropout; compiled once for the tests here."""
    return tiny("df-ud", **EVERYTHING)


@pytest.fixture
def pristine(everything: SAEHD) -> SAEHD:
    for part in everything.part_names:
        everything.reset_part(part)
    return everything


def test_step_save_load_step_equals_step_step(pristine: SAEHD) -> None:
    """Both critics, their optimizers, dropout and the cosine go on where they were, to the bit."""
    batches = [shapes_batch(seed=seed) for seed in range(4)]
    start = tensors_of(pristine)
    for batch in batches[:2]:
        pristine.train_step(batch)
    saved = pristine.export_state()
    losses = [pristine.train_step(batch) for batch in batches[2:]]
    expected = tensors_of(pristine)
    for part in pristine.part_names:
        pristine.reset_part(part)
    assert_same(tensors_of(pristine), start)
    for part in pristine.part_names:
        pristine.import_state(part, saved[part])
    assert [pristine.train_step(batch) for batch in batches[2:]] == losses
    assert_same(tensors_of(pristine), expected)
    assert pristine.iteration == 4
    counts = {name: int(t) for name, t in expected.items() if name.endswith("iterations")}
    assert counts == {
        "optimizer/iterations": 4,
        "code_discriminator_optimizer/iterations": 4,
        "GAN_optimizer/iterations": 4,
    }


def test_every_network_learns_and_dropout_rests_seven_in_ten(pristine: SAEHD) -> None:
    before = tensors_of(pristine)
    pristine.train_step(shapes_batch())
    after = tensors_of(pristine)
    optimizers = {"code_discriminator": "code_discriminator_optimizer", "GAN": "GAN_optimizer"}
    for name in (
        "encoder/down1/downs_1/conv1/weight",
        "inter/dense2/weight",
        "decoder_src/res0/conv1/weight",
        "decoder_dst/upscalem0/conv1/weight",
        "code_discriminator/convs_0/weight",
        "GAN/convs_1/weight",
    ):
        reached = after[f"{optimizers.get(name.partition('/')[0], 'optimizer')}/vs/{name}"] > 0
        assert reached.any(), name
        moved = (after[name] != before[name])[reached]
        assert moved.mean() == pytest.approx(0.3, abs=0.03), name


def test_a_step_that_is_not_finite_changes_no_part(pristine: SAEHD) -> None:
    pristine.train_step(shapes_batch())
    critic = pristine._optimizers["GAN_optimizer"].variables["GAN/out_conv/bias"]
    critic.assign(np.full(critic.shape, np.nan, np.float32))
    before = tensors_of(pristine)
    losses = pristine.train_step(shapes_batch())
    assert np.isnan(list(losses.values())).all()
    assert_same(tensors_of(pristine), before)


def test_learning_goes_on_without_a_critic_and_finds_it_again(pristine: SAEHD, tmp_path: Path) -> None:
    """GAN off, save, GAN on: to the bit the critic that was there; with another patch size a fresh one, said aloud."""
    pristine.train_step(shapes_batch())
    store, state = CheckpointStore(tmp_path / "x_SAEHD"), TrainingState(seed=1)
    state.history.append({"src_loss": 1.0, "dst_loss": 1.0})
    store.save(pristine.export_state(), state)
    with_critic = pristine.export_state()

    def resumed(**given: Any) -> tuple[SAEHD, list[str]]:
        said: list[str] = []
        model = tiny("df-ud", **{**EVERYTHING, **given})
        state = start_training(model, store.read(), seed=1, say=said.append)
        store.save(model.export_state(), state)
        return model, said

    plain, said = resumed(gan_power=0.0, true_face_power=0.0)
    assert list(plain.part_names) == ["encoder", "inter", "decoder_src", "decoder_dst", "optimizer"]
    assert said == []
    again, said = resumed()
    assert said == []
    for part, tensors in with_critic.items():
        assert_same(again.export_state()[part], tensors)
    other, said = resumed(gan_patch_size=16)
    assert any("GAN" in text for text in said)
    fresh = tiny("df-ud", **{**EVERYTHING, "gan_patch_size": 16}).export_state()
    assert_same(other.export_state()["GAN"], fresh["GAN"])
    assert not any(t.any() for name, t in other.export_state()["GAN_optimizer"].items() if "/" in name)
    assert_same(other.export_state()["code_discriminator"], with_critic["code_discriminator"])
    _, said = resumed(adabelief=False)
    assert any("what AdaBelief remembers is kept" in text for text in said)


def test_a_saved_model_swaps_as_the_trained_one_without_what_only_training_needs(
    pristine: SAEHD, tmp_path: Path
) -> None:
    pristine.train_step(shapes_batch())
    options = SAEHDOptions.of(**TINY, archi="df-ud", face_type="head", **EVERYTHING)
    state = TrainingState(seed=1, options={**to_plain(options), "of_another_version": 1})
    state.history.append({"src_loss": 1.0, "dst_loss": 1.0})
    CheckpointStore(tmp_path / "a_SAEHD").save(pristine.export_state(), state)
    model, notes = load_model(find_model(tmp_path, "SAEHD"), device="cpu")
    assert list(model.part_names) == ["encoder", "inter", "decoder_src", "decoder_dst"]
    assert (notes, model.face_type, model.resolution) == ([], FaceType.HEAD, 64)
    faces = shapes_batch().dst.target
    for got, expected in zip(model.predict(faces), pristine.predict(faces), strict=True):
        np.testing.assert_allclose(got.face, expected.face, atol=1e-6)
        np.testing.assert_allclose(got.src_mask, expected.src_mask, atol=1e-6)
        np.testing.assert_allclose(got.dst_mask, expected.dst_mask, atol=1e-6)
    store = CheckpointStore(tmp_path / "b_SAEHD")
    state.options["pretrain"] = True
    store.save(pristine.export_state(), state)
    with pytest.raises(BadOption, match="b is still pretraining"):
        load_model(find_model(tmp_path, "SAEHD", "b"), device="cpu")


def test_liae_learns_while_the_shared_inter_rests() -> None:
    model = tiny("liae", random_warp=False)
    before = tensors_of(model)
    first = model.train_step(shapes_batch())
    for _ in range(50):
        last = model.train_step(shapes_batch())
    assert list(first) == ["src_loss", "dst_loss"]
    for name in first:
        assert last[name] < 0.6 * first[name]
    after = tensors_of(model)
    for name, tensor in after.items():
        rests = "inter_AB/" in name or name.endswith("/seed")
        assert np.array_equal(tensor, before[name]) == rests, name


FLAGS = ["df-u", "df-t", "df-c", "df-dt", "liae-ud", "liae-udt", "liae-c"]


@pytest.mark.slow
@pytest.mark.parametrize("archi", FLAGS)
def test_every_architecture_learns(archi: str) -> None:
    model = tiny(archi)
    first = model.train_step(shapes_batch())
    for _ in range(80):
        last = model.train_step(shapes_batch())
    assert all(last[name] < 0.7 * first[name] for name in first)


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"adabelief": False, "lr_dropout": "y"},
        {"gan_power": 0.1, "face_style_power": 1.0, "bg_style_power": 1.0, "blur_out_mask": True},
        {"face_type": "head", "masked_training": False, "eyes_mouth_prio": True, "clipgrad": True},
        {"pretrain": True, "archi": "liae-ud"},
    ],
    ids=["rmsprop", "styles", "unmasked", "pretraining"],
)
def test_learning_by_other_means(given: dict[str, Any]) -> None:
    model = tiny(**given)
    first = model.train_step(shapes_batch())
    for _ in range(120):
        last = model.train_step(shapes_batch())
    share = 0.9 if "lr_dropout" in given else 0.8  # dropout lets 0.3 of each update through (measured: 0.85)
    assert all(last[name] < share * first[name] for name in first)


@pytest.mark.slow
def test_another_process_of_another_seed_goes_on_alike(pristine: SAEHD) -> None:
    pristine.train_step(shapes_batch())
    saved = pristine.export_state()
    other = SAEHD(pristine.options, device="cpu", seed=99)
    for part in other.part_names:
        other.import_state(part, saved[part])
    batch = shapes_batch(seed=3)
    assert other.train_step(batch) == pristine.train_step(batch)
    assert_same(tensors_of(other), tensors_of(pristine))


@pytest.mark.slow
def test_bf16_sees_what_fp32_sees(pristine: SAEHD) -> None:
    coarse = SAEHD(pristine.options, device="cpu", precision="bf16", seed=1)
    assert_same(tensors_of(coarse), tensors_of(pristine))
    batch = shapes_batch()
    first, exact = coarse.train_step(batch), pristine.train_step(batch)
    for name in exact:
        assert first[name] == pytest.approx(exact[name], rel=0.01)
    for _ in range(80):
        last = coarse.train_step(batch)
    assert last["src_loss"] < 0.9 * first["src_loss"]
    assert {t.dtype for name, t in tensors_of(coarse).items() if "/vs/" in name} == {np.dtype("float32")}
