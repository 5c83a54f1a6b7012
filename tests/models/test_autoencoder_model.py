"""What all autoencoder models share: parts that are saved with facts, optimizers that take turns, large faces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, FaceLoomError
from core.nn import winograd
from models.architecture import Dims
from models.autoencoder_model import AutoencoderModel, unit
from models.quick96 import Quick96, Quick96Options
from models.saehd import SAEHD, SAEHDOptions
from tests.models.shapes import shapes_batch
from tests.models.test_saehd import TINY, tiny


def fill_slots(model: SAEHD, value: float) -> None:
    for optimizer in model._optimizers.values():
        for named in optimizer.slots.values():
            for variable in named.values():
                variable.assign(np.full(variable.shape, value, np.float32))
        optimizer.iterations.assign(7)


def test_unit_takes_bytes_and_fractions() -> None:
    assert np.asarray(unit(np.array([0, 255, 51], np.uint8))).tolist() == pytest.approx([0.0, 1.0, 0.2])
    fractions = np.array([0.25], np.float32)
    assert unit(fractions) is fractions


def test_both_kinds_of_optimizer_are_remembered() -> None:
    belief, rms = tiny(), tiny(adabelief=False)
    fill_slots(belief, 0.5)
    saved = belief.export_state()
    rms.import_state("optimizer", saved["optimizer"])
    assert rms.iteration == 7
    assert rms.notes == ["What RMSprop remembers starts at zero (optimizer); what AdaBelief remembers is kept."]
    assert not any(v.numpy().any() for v in rms._optimizers["optimizer"].slots["acc"].values())
    fill_slots(rms, 0.25)
    both = rms.export_state()["optimizer"]
    name = "inter/dense1/weight"
    assert [both[f"{slot}/{name}"].flat[0] for slot in ("acc", "ms", "vs")] == [0.25, 0.5, 0.5]
    back = tiny()
    back.import_state("optimizer", both)
    assert back.notes == []
    again = back.export_state()["optimizer"]
    assert {name: tensor.tobytes() for name, tensor in again.items()} == {n: t.tobytes() for n, t in both.items()}
    # a part that starts afresh is forgotten by both, the other parts by neither
    back.reset_part("inter")
    again = back.export_state()["optimizer"]
    assert [again[f"{slot}/{name}"].any() for slot in ("acc", "ms", "vs")] == [False] * 3
    assert [again[f"{slot}/encoder/down1/downs_0/conv1/bias"].flat[0] for slot in ("acc", "ms")] == [0.25, 0.5]
    back.reset_part("optimizer")
    assert "acc/inter/dense1/weight" not in back.export_state()["optimizer"]
    assert back.iteration == 0


@pytest.mark.parametrize(("given", "slots"), [({}, 2), ({"adabelief": False, "gan_power": 0.1}, 1)])
def test_the_memory_of_training_is_known_before_the_first_step(given: dict[str, Any], slots: int) -> None:
    model = tiny(**given)
    state = model.export_state()
    weights = sum(t.size for part in state if "optimizer" not in part for n, t in state[part].items() if n != "strides")
    assert model.training_bytes == 4 * weights * (2 + slots)  # weights, gradients, slots
    at_rest = tiny("liae", random_warp=False)
    inter = sum(tensor.nbytes for tensor in at_rest.export_state()["inter_AB"].values())
    assert tiny("liae").training_bytes - at_rest.training_bytes == inter  # it has no gradients


def test_accumulators_that_are_not_whole_are_refused() -> None:
    saved = tiny().export_state()["optimizer"]
    del saved["ms/inter/dense1/weight"]
    with pytest.raises(FaceLoomError, match="ms/inter/dense1/weight is missing"):
        tiny().import_state("optimizer", saved)
    saved = tiny().export_state()["optimizer"]
    saved["acc/nobody/weight"] = np.zeros(3, np.float32)
    with pytest.raises(FaceLoomError, match="acc/nobody/weight is unexpected"):
        tiny().import_state("optimizer", saved)


def test_a_critic_of_another_patch_size_does_not_fit_even_where_its_shapes_do() -> None:
    """Receptive fields 11 and 15 both take three layers of the same widths; only the strides differ."""
    small, large = tiny(gan_power=0.1, gan_patch_size=11), tiny(gan_power=0.1, gan_patch_size=15)
    saved = small.export_state()["GAN"]
    theirs = large.export_state()["GAN"]
    assert {n: t.shape for n, t in saved.items()} == {n: t.shape for n, t in theirs.items()}
    with pytest.raises(FaceLoomError, match="made for other settings"):
        large.import_state("GAN", saved)
    small.import_state("GAN", saved)
    tiny(gan_power=0.1, gan_patch_size=12).import_state("GAN", saved)  # solved by the same layers
    del saved["strides"]
    small.import_state("GAN", saved)  # files of other programs do not say
    with pytest.raises(FaceLoomError, match="has shape"):
        tiny(gan_power=0.1, gan_patch_size=11, gan_dims=8).import_state("GAN", saved)


def test_the_end_of_pretraining() -> None:
    model = tiny("liae", pretrain=True)
    fill_slots(model, 0.5)
    start = tiny("liae", pretrain=True).export_state()
    for name in ("inter_AB", "encoder"):
        for variable in model._networks[name].variables:
            variable.assign(np.ones(variable.shape, np.float32))
    for part in model.parts_reset_after_pretraining:
        model.reset_part(part)
    model.count_from_zero()
    now = model.export_state()
    assert model.iteration == 0
    for name, tensor in now["inter_AB"].items():
        np.testing.assert_array_equal(tensor, start["inter_AB"][name])
    assert all((tensor == 1.0).all() for tensor in now["encoder"].values())
    for name, tensor in now["optimizer"].items():
        if "/inter" in name:
            assert not tensor.any(), name
        elif "/" in name:
            assert (tensor == 0.5).all(), name


def test_parts_that_are_not_there() -> None:
    model = tiny()
    for call in (lambda: model.reset_part("GAN"), lambda: model.import_state("GAN", {})):
        with pytest.raises(BadOption, match=r"encoder, inter, decoder_src, decoder_dst, optimizer\. Received: GAN\."):
            call()


def test_large_faces_go_through_in_smaller_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    sizes: list[int] = []

    def forward(faces: np.ndarray) -> list[np.ndarray]:
        sizes.append(len(faces))
        return [faces]

    for resolution, expected in ((256, [16, 4]), (288, [8, 8, 4]), (640, [2] * 10)):
        monkeypatch.setattr(model, "resolution", resolution)
        sizes.clear()
        faces = np.zeros((20, resolution, resolution, 3), np.uint8)
        assert AutoencoderModel._in_portions(model, forward, (3,), faces)[0].shape == faces.shape
        assert sizes == expected


def wide(name: str, precision: str) -> AutoencoderModel:
    """Small pictures, and decoders wide enough for the products of tiles."""
    if name == "SAEHD":
        options = SAEHDOptions.of(**{**TINY, "archi": "df-ud", "d_dims": 64, "batch_size": 4})
        return SAEHD(options, device="cpu", precision=precision, seed=1)
    dims = Dims(resolution=64, ae=32, e=16, d=64, d_mask=8)
    return Quick96(Quick96Options(batch_size=4), device="cpu", precision=precision, seed=1, dims=dims)


@pytest.fixture
def by_tiles(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Grows with every convolution of a step; what it holds says whether that goes by tiles."""
    told: list[bool] = []
    pays = winograd.pays

    def watched(picture: tuple[int | None, ...], kernel: tuple[int, ...]) -> bool:
        told.append(pays(picture, kernel))
        return told[-1]

    monkeypatch.setattr(winograd, "pays", watched)
    return told


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Quick96", "SAEHD"])
def test_a_wide_model_goes_on_to_the_bit(name: str, by_tiles: list[bool]) -> None:
    model, batches = wide(name, "fp32"), [shapes_batch(4, seed) for seed in range(4)]
    for batch in batches[:2]:
        model.train_step(batch)
    assert any(by_tiles)
    saved = model.export_state()
    losses = [model.train_step(batch) for batch in batches[2:]]
    expected = model.export_state()
    for part in model.part_names:
        model.import_state(part, saved[part])
    assert [model.train_step(batch) for batch in batches[2:]] == losses
    for part, tensors in model.export_state().items():
        for tensor, value in tensors.items():
            np.testing.assert_array_equal(value, expected[part][tensor], err_msg=f"{part}/{tensor}")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Quick96", "SAEHD"])
def test_a_wide_model_learns_in_bf16(name: str, by_tiles: list[bool]) -> None:
    coarse, exact, batch = wide(name, "bf16"), wide(name, "fp32"), shapes_batch(4)
    first, expected = coarse.train_step(batch), exact.train_step(batch)
    assert any(by_tiles)
    assert list(first.values()) == pytest.approx(list(expected.values()), rel=0.01)
    for _ in range(40):
        last = coarse.train_step(batch)
    assert last["src_loss"] < 0.8 * first["src_loss"]
