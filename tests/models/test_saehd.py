"""SAEHD from within: which parts there are, what each option does to losses and gradients, and to nothing else.

Gradients are taken without compilation, of tiny networks. Training itself: tests/models/test_saehd_training.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from core.nn.backend_tensorflow import _gradients_function, tf
from core.nn.optimizers import AdaBelief, OptimizerSettings, RMSprop
from core.nn.weights import named_variables
from facelib.face_type import FaceType
from models.saehd import SAEHD, optimizer_settings, sample_settings
from models.saehd_options import SAEHDOptions
from samplelib.batches import TrainingBatch
from tests.models.shapes import shapes_batch

TINY = {"resolution": 64, "ae_dims": 32, "e_dims": 16, "d_dims": 16, "d_mask_dims": 16, "batch_size": 2}


def tiny(archi: str = "df", **given: Any) -> SAEHD:
    return SAEHD(SAEHDOptions.of(**{**TINY, "archi": archi, **given}), device="cpu", seed=1)


@dataclass(frozen=True)
class Learned:
    """What one batch has to say: totals and reported losses by name, gradients by optimizer and variable."""

    totals: dict[str, float]
    losses: dict[str, float]
    gradients: dict[str, dict[str, np.ndarray]]

    def of(self, part: str) -> dict[str, np.ndarray]:
        """Gradients of one part's variables."""
        return {n: g for named in self.gradients.values() for n, g in named.items() if n.startswith(f"{part}/")}


def learned(model: SAEHD, batch: TrainingBatch | None = None) -> Learned:
    batch = batch or shapes_batch()
    arrays = {**model._named("src", batch.src), **model._named("dst", batch.dst)}
    compute = _gradients_function(model._objective, model._optimizers, model.devices[0])
    batch_tensors = {name: tf.constant(array) for name, array in arrays.items()}
    totals, losses, gradients = compute(batch_tensors, tf.constant(1.0), None)
    return Learned(
        {name: float(total) for name, total in totals.items()},
        {name: float(loss) for name, loss in losses.items()},
        {kind: {name: g.numpy() for name, g in named.items()} for kind, named in gradients.items()},
    )


def changed(first: Learned, second: Learned) -> set[str]:
    """The parts whose gradients differ by more than rounding."""
    parts = set()
    for named, others in zip(first.gradients.values(), second.gradients.values(), strict=False):
        for name, gradient in named.items():
            if np.abs(gradient - others[name]).max() > 1e-5 * np.abs(gradient).max():
                parts.add(name.partition("/")[0])
    return parts


@pytest.fixture(scope="module")
def plain() -> Learned:
    """DF without any extra."""
    return learned(tiny())


# --------------------------------------------------------------------------------------------------------------- parts

ALL_DF = ["encoder", "inter", "decoder_src", "decoder_dst"]
ALL_LIAE = ["encoder", "inter_AB", "inter_B", "decoder"]

# (tensors, parameters) of encoder, each inter, each decoder. Source: spec models 2.9
COUNTS = [
    ("df", (8, 4_306_560), (6, 14_959_872), (28, 19_136_000)),
    ("df-ud", (8, 4_306_560), (6, 11_801_856), (36, 19_181_291)),
    ("df-t", (18, 15_654_144), (4, 6_308_096), (36, 34_410_688)),
    ("df-udt", (18, 15_654_144), (4, 3_150_080), (44, 34_455_979)),
    ("liae-ud", (8, 4_306_560), (6, 19_933_440), (36, 38_203_115)),
    ("liae-udt", (18, 15_654_144), (4, 4_202_752), (44, 53_477_803)),
]


@pytest.mark.parametrize(("archi", "encoder", "inter", "decoder"), COUNTS, ids=[row[0] for row in COUNTS])
def test_the_default_sizes_have_the_published_number_of_weights(
    archi: str,
    encoder: tuple[int, int],
    inter: tuple[int, int],
    decoder: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.autoencoder_model.initialize", lambda network, seed: None)  # only counted here
    model = SAEHD(SAEHDOptions.of(archi=archi), device="cpu", training=False)
    assert model.part_names == (ALL_DF if archi.startswith("df") else ALL_LIAE)
    for part, network in model._networks.items():
        expected = {"e": encoder, "i": inter, "d": decoder}[part[0]]
        variables = named_variables(network).values()
        assert (len(variables), sum(int(np.prod(v.shape)) for v in variables)) == expected


@pytest.mark.parametrize(
    ("archi", "given", "more"),
    [
        ("df", {}, ["optimizer"]),
        ("liae-ud", {"gan_power": 0.1}, ["GAN", "optimizer", "GAN_optimizer"]),
        (
            "df-ud",
            {"gan_power": 0.1, "true_face_power": 0.01},
            ["code_discriminator", "GAN", "optimizer", "code_discriminator_optimizer", "GAN_optimizer"],
        ),
        ("df", {"gan_power": 0.1, "true_face_power": 0.01, "pretrain": True}, ["optimizer"]),
    ],
)
def test_parts_come_with_the_options_that_need_them(archi: str, given: dict[str, Any], more: list[str]) -> None:
    model = tiny(archi, **given)
    networks = ALL_DF if archi.startswith("df") else ALL_LIAE
    assert model.part_names == [*networks, *more]
    state = model.export_state()
    assert list(state) == model.part_names
    counted = {part: len(tensors) for part, tensors in state.items()}
    assert counted["optimizer"] == 2 + 2 * sum(counted[part] for part in networks)
    assert model.parts_reset_after_pretraining == (["inter"] if archi.startswith("df") else ["inter_AB", "inter_B"])
    assert model.replaceable_parts == [part for part in model.part_names if part.startswith("GAN")]


@pytest.mark.parametrize(("face_type", "word"), [(t, t.short_name) for t in FaceType])
def test_every_face_type(face_type: FaceType, word: str) -> None:
    src, dst = sample_settings(SAEHDOptions.of(face_type=word))
    assert src.face_type is dst.face_type is face_type


@pytest.mark.parametrize(("archi", "resolution"), [("df", 80), ("liae-t", 96), ("df-dt", 96), ("liae-udtc", 64)])
def test_odd_sizes_draw_and_predict(archi: str, resolution: int) -> None:
    model = SAEHD(SAEHDOptions.of(**{**TINY, "archi": archi, "resolution": resolution}), device="cpu", training=False)
    faces = np.random.default_rng(0).integers(0, 256, (1, resolution, resolution, 3), dtype=np.uint8)
    (prediction,) = model.predict(faces)
    assert prediction.face.shape == (resolution, resolution, 3)
    assert prediction.src_mask.shape == prediction.dst_mask.shape == (resolution, resolution)
    with pytest.raises(RuntimeError, match="built for use"):
        model.train_step(shapes_batch(1, resolution=resolution))
    assert model.iteration == 0


# ------------------------------------------------------------------------------------------------- losses and gradients


def test_totals_are_sums_and_reports_are_means(plain: Learned) -> None:
    assert list(plain.losses) == ["src_loss", "dst_loss"]
    assert plain.totals["optimizer"] == pytest.approx(2 * sum(plain.losses.values()), rel=1e-6)
    assert set(plain.gradients) == {"optimizer"}
    assert all(np.abs(plain.of(part)[f"{part}/{name}"]).max() > 0 for part, name in _SOME_TENSORS)


_SOME_TENSORS = [
    ("encoder", "down1/downs_0/conv1/weight"),
    ("inter", "dense1/weight"),
    ("decoder_src", "out_conv/weight"),
    ("decoder_dst", "out_convm/weight"),
]


def test_masked_training_looks_inside_the_mask_alone() -> None:
    """A corner of the target is repainted: nothing changes with masked training, and everything without."""
    batch = shapes_batch()
    target = batch.src.target.copy()
    target[:, :6, :6] = 255
    repainted = replace(batch, src=replace(batch.src, target=target))
    masked, whole = tiny(), tiny(face_type="wf", masked_training=False)
    assert learned(masked, batch).losses == learned(masked, repainted).losses
    before, after = learned(whole, batch), learned(whole, repainted)
    assert after.losses["src_loss"] != before.losses["src_loss"]
    assert after.losses["dst_loss"] == before.losses["dst_loss"]
    assert changed(before, after) == {"encoder", "inter", "decoder_src"}


def test_priority_for_eyes_and_mouth_adds_their_difference(plain: Learned) -> None:
    model = tiny(eyes_mouth_prio=True)
    batch = shapes_batch()
    got = learned(model, batch)
    drawn = model.reconstruct(batch.src.warped, batch.dst.warped)
    for side, faces in (("src", batch.src), ("dst", batch.dst)):
        assert faces.eyes_mouth_mask is not None
        difference = np.abs(faces.target / 255.0 - getattr(drawn, side)) * (faces.eyes_mouth_mask / 255.0)
        expected = plain.losses[f"{side}_loss"] + 300.0 * difference.mean()
        assert got.losses[f"{side}_loss"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="eyes and mouth"):
        model.train_step(replace(batch, src=replace(batch.src, eyes_mouth_mask=None)))


def test_blur_out_changes_the_targets_of_both_sides() -> None:
    batch, rng = shapes_batch(), np.random.default_rng(0)
    noisy = [
        replace(side, target=rng.integers(0, 256, side.target.shape, dtype=np.uint8)) for side in (batch.src, batch.dst)
    ]
    batch = replace(batch, src=noisy[0], dst=noisy[1])
    sharp, got = learned(tiny(), batch), learned(tiny(blur_out_mask=True), batch)
    assert all(got.losses[name] < sharp.losses[name] - 0.01 for name in got.losses)  # flat ground is easier to draw


def test_true_face_reaches_encoder_and_inter_alone(plain: Learned) -> None:
    got = learned(tiny(true_face_power=1.0))
    assert got.losses == pytest.approx(plain.losses, rel=1e-6)  # what is reported is without critics
    assert changed(plain, got) == {"encoder", "inter"}
    assert all(name.startswith("code_discriminator/") for name in got.gradients["code_discriminator_optimizer"])
    # an untrained critic says 0 to everything: ln 2 for each of its two labels, halved, for two samples
    fresh = tiny(true_face_power=1.0)
    for variable in named_variables(fresh._networks["code_discriminator"]).values():
        variable.assign(np.zeros(variable.shape, np.float32))
    said = learned(fresh)
    assert said.totals["code_discriminator_optimizer"] == pytest.approx(2 * np.log(2), rel=1e-5)
    assert said.totals["optimizer"] == pytest.approx(plain.totals["optimizer"] + 2 * np.log(2), rel=1e-5)


def test_gan_judges_the_src_face_alone(plain: Learned) -> None:
    got = learned(tiny(gan_power=0.5))
    assert got.losses == pytest.approx(plain.losses, rel=1e-6)
    assert changed(plain, got) == {"encoder", "inter", "decoder_src"}
    assert all(name.startswith("GAN/") for name in got.gradients["GAN_optimizer"])
    assert all(np.isfinite(g).all() for g in got.gradients["GAN_optimizer"].values())


def test_gan_without_masked_training_judges_the_whole_face() -> None:
    batch = shapes_batch()
    target = batch.src.target.copy()
    target[:, :6, :6] = 255
    repainted = replace(batch, src=replace(batch.src, target=target))

    def critic(model: SAEHD, seen: TrainingBatch) -> float:
        return learned(model, seen).totals["GAN_optimizer"]

    masked, whole = tiny(gan_power=0.5), tiny(gan_power=0.5, face_type="wf", masked_training=False)
    assert critic(masked, batch) == critic(masked, repainted)
    assert critic(whole, batch) != critic(whole, repainted)


def test_face_style_is_learned_by_the_decoder_alone(plain: Learned) -> None:
    got = learned(tiny(face_style_power=10.0))
    assert got.losses["src_loss"] > plain.losses["src_loss"]
    assert got.losses["dst_loss"] == pytest.approx(plain.losses["dst_loss"], rel=1e-6)
    assert changed(plain, got) == {"decoder_src"}


def test_background_style_is_learned_by_all_that_draws_the_swap(plain: Learned) -> None:
    got, classical = learned(tiny(bg_style_power=10.0)), learned(tiny(bg_style_power=10.0, legacy_bg_style=True))
    assert changed(plain, got) == {"encoder", "inter", "decoder_src"}
    assert got.losses["src_loss"] > plain.losses["src_loss"]
    assert abs(got.losses["src_loss"] - classical.losses["src_loss"]) > 1e-3


def test_liae_shares_what_it_learns_and_lets_the_shared_inter_rest() -> None:
    model, rested = tiny("liae"), tiny("liae", random_warp=False)
    got, still = learned(model), learned(rested)
    assert got.of("inter_AB")
    assert got.of("inter_B")
    assert not still.of("inter_AB")
    assert still.of("inter_B").keys() == got.of("inter_B").keys()
    assert list(rested.export_state()["optimizer"]) == list(model.export_state()["optimizer"])
    assert not tiny("liae", pretrain=True)._optimizers["optimizer"].trained.keys() & got.of("inter_AB").keys()


def test_styles_of_liae_compare_the_swap_with_dst() -> None:
    """Its untrained decoder draws both alike, so the inter of dst is made to say more."""

    def outspoken(**given: Any) -> Learned:
        model = tiny("liae", **given)
        for variable in named_variables(model._networks["inter_B"]).values():
            variable.assign(20.0 * variable.numpy())
        return learned(model)

    plain, face, background = outspoken(), outspoken(face_style_power=10.0), outspoken(bg_style_power=10.0)
    assert changed(plain, face) == {"decoder"}
    assert changed(plain, background) == {"encoder", "inter_AB", "decoder"}


# ------------------------------------------------------------------------------------------------- optimizers, samples


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, OptimizerSettings(5e-5)),
        ({"lr_dropout": "y"}, OptimizerSettings(5e-5, keep_probability=0.3, cosine_period=500)),
        ({"clipgrad": True}, OptimizerSettings(5e-5, clip_norm=1.0)),
        ({"lr_dropout": "cpu", "pretrain": True}, OptimizerSettings(5e-5)),
    ],
)
def test_optimizer_settings(given: dict[str, Any], expected: OptimizerSettings) -> None:
    assert optimizer_settings(SAEHDOptions.of(**given).in_effect) == expected


def test_every_optimizer_is_of_the_kind_asked_for() -> None:
    for adabelief, kind in ((True, AdaBelief), (False, RMSprop)):
        model = tiny(adabelief=adabelief, gan_power=0.1, true_face_power=0.1)
        assert [type(optimizer) for optimizer in model._optimizers.values()] == [kind] * 3


def test_limiting_gradients_is_new_once() -> None:
    model = tiny(gan_power=0.1)
    step = model._step
    assert model.limit_gradients()
    assert model._step is not step
    assert [optimizer.settings.clip_norm for optimizer in model._optimizers.values()] == [1.0, 1.0]
    assert not model.limit_gradients()
    assert not tiny(clipgrad=True).limit_gradients()


def test_samples_of_both_sides() -> None:
    src, dst = sample_settings(SAEHDOptions.of())
    assert src.scale_range == dst.scale_range == (-0.15, 0.15)
    assert (src.flip, dst.flip) == (False, True)
    assert src.warp
    assert (src.eyes_mouth, src.uniform_yaw, src.legacy_warp) == (False, False, False)
    given: dict[str, Any] = {"random_src_flip": True, "random_dst_flip": False, "random_warp": False}
    given |= {"random_hsv_power": 0.05, "ct_mode": "sot", "eyes_mouth_prio": True, "uniform_yaw": True}
    src, dst = sample_settings(SAEHDOptions.of(**given, legacy_warp=True, resolution=160, face_type="head"))
    assert (src.flip, dst.flip, src.warp, dst.warp) == (True, False, False, False)
    assert (src.hsv_power, dst.hsv_power, src.color_transfer, dst.color_transfer) == (0.05, 0.0, "sot", "none")
    assert src.eyes_mouth
    assert dst.eyes_mouth
    assert src.uniform_yaw
    assert dst.uniform_yaw
    assert src.legacy_warp
    assert dst.legacy_warp
    assert (src.resolution, src.face_type) == (160, FaceType.HEAD)
    src, dst = tiny(**given, pretrain=True).src_settings, tiny(**given, pretrain=True).dst_settings
    assert src == dst
    assert (src.flip, src.warp, src.uniform_yaw, src.color_transfer, src.hsv_power) == (True, False, True, "none", 0.0)
