"""Quick96 from outside: it learns, it stops and goes on to the bit, and it takes any number of faces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from core.errors import BadOption, FaceLoomError
from core.nn.steps import StepResult
from models.architecture import Dims
from models.quick96 import Quick96, Quick96Options
from tests.models.shapes import shapes_batch

TINY = Dims(resolution=64, ae=32, e=16, d=16, d_mask=8)


def test_small_has_half_the_width_of_full() -> None:
    full, small = (Quick96(Quick96Options(size=size), device="cpu").export_state() for size in ("full", "small"))
    name = "down1/downs_3/conv1/weight"
    assert full["encoder"][name].shape == (5, 5, 256, 512)
    assert small["encoder"][name].shape == (5, 5, 128, 256)
    assert [sum(t.size for t in full[part].values()) for part in ("encoder", "inter", "decoder_src")] == [
        4_306_560,  # the counts of spec models 2.9
        3_098_368,
        15_444_701,
    ]


@pytest.fixture(scope="module")
def model() -> Quick96:
    """One compiled model for all tests here; `pristine` brings it back to its start."""
    return Quick96(Quick96Options(batch_size=2), device="cpu", seed=1, dims=TINY)


@pytest.fixture
def pristine(model: Quick96) -> Quick96:
    for part in model.part_names:
        model.reset_part(part)
    return model


def everything(model: Quick96) -> dict[str, np.ndarray]:
    return {f"{part}/{name}": t for part, tensors in model.export_state().items() for name, t in tensors.items()}


def assert_same(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> None:
    assert list(first) == list(second)
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor, second[name], err_msg=name)


def test_the_real_size_has_the_published_number_of_weights() -> None:
    model = Quick96(device="cpu")
    state = model.export_state()
    counted = {part: (len(tensors), sum(t.size for t in tensors.values())) for part, tensors in state.items()}
    assert counted["encoder"] == (8, 4_306_560)
    assert counted["inter"] == (6, 3_098_368)
    assert counted["decoder_src"] == counted["decoder_dst"] == (36, 15_444_701)
    assert counted["optimizer"] == (88, 38_294_330 + 2)
    assert (model.name, model.resolution, model.batch_size, model.iteration) == ("Quick96", 96, 4, 0)
    assert model.face_type.value == "full_face"
    settings = model.src_settings
    assert (settings.flip, settings.warp, settings.color_transfer, settings.scale_range) == (
        False,
        True,
        "none",
        (-0.05, 0.05),
    )


def test_training_lowers_the_loss(pristine: Quick96) -> None:
    batch = shapes_batch()
    first = pristine.train_step(batch)
    for _ in range(60):
        last = pristine.train_step(batch)
    assert list(first) == ["src_loss", "dst_loss"]
    for name in first:
        assert last[name] < 0.75 * first[name]
    assert pristine.iteration == 61


def test_step_save_load_step_equals_step_step(pristine: Quick96) -> None:
    """Through every iteration's kind (fresh and repeated batches), to the bit; also into a model of another seed."""
    batches = [shapes_batch(seed=seed) for seed in range(6)]
    for batch in batches[:2]:
        pristine.train_step(batch)
    saved = pristine.export_state()
    losses = [pristine.train_step(batch) for batch in batches[2:]]
    expected = everything(pristine)
    other = Quick96(Quick96Options(batch_size=2), device="cpu", seed=99, dims=TINY)
    for resumed in (pristine, other):
        for part in resumed.part_names:
            resumed.import_state(part, saved[part])
        assert resumed.iteration == 2
        assert [resumed.train_step(batch) for batch in batches[2:]] == losses
        assert_same(everything(resumed), expected)


def test_exported_tensors_do_not_change_with_the_model(pristine: Quick96) -> None:
    before = everything(pristine)
    kept = {name: tensor.copy() for name, tensor in before.items()}
    pristine.train_step(shapes_batch())
    assert_same(before, kept)
    assert np.abs(everything(pristine)["inter/dense1/weight"] - kept["inter/dense1/weight"]).max() > 1e-5


def test_learning_rate_dropout_freezes_seven_in_ten(pristine: Quick96) -> None:
    before = everything(pristine)
    pristine.train_step(shapes_batch())
    after = everything(pristine)
    name = "decoder_src/res0/conv1/weight"
    moved = after[name] != before[name]
    reached = after[f"optimizer/acc/{name}"] > 0
    assert moved[reached].mean() == pytest.approx(0.3, abs=0.01)
    # the first RMSprop step is lr / sqrt(0.1) wherever the gradient is well above epsilon
    assert np.abs(after[name] - before[name]).max() == pytest.approx(2e-4 / np.sqrt(0.1), rel=0.02)


def test_every_third_iteration_repeats_the_batch_undistorted(
    pristine: Quick96, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [pristine.batch_number(k) for k in range(11)] == [0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7]
    batch = shapes_batch()
    seen: list[Mapping[str, np.ndarray]] = []

    def step(arrays: Mapping[str, np.ndarray]) -> StepResult:
        seen.append(arrays)
        pristine._optimizers["optimizer"].iterations.assign_add(1)
        return StepResult({"src_loss": 1.0, "dst_loss": 2.0}, True)

    monkeypatch.setattr(pristine, "_step", step)
    for _ in range(7):
        pristine.train_step(batch)
    undistorted = [
        arrays["src_input"] is batch.src.target and arrays["dst_input"] is batch.dst.target for arrays in seen
    ]
    assert undistorted == [False, False, False, True, False, False, True]
    assert all(
        arrays["src_input"] is batch.src.warped for arrays, flag in zip(seen, undistorted, strict=True) if not flag
    )
    assert all(arrays["dst_target"] is batch.dst.target and arrays["dst_mask"] is batch.dst.mask for arrays in seen)


def test_a_step_that_is_not_finite_is_reported_and_changes_nothing(pristine: Quick96) -> None:
    pristine.train_step(shapes_batch())
    variable = pristine._optimizers["optimizer"].variables["inter/dense1/bias"]
    variable.assign(np.full(variable.shape, np.inf, np.float32))
    before = everything(pristine)
    losses = pristine.train_step(shapes_batch())
    assert list(losses) == ["src_loss", "dst_loss"]
    assert np.isnan(list(losses.values())).all()
    assert_same(everything(pristine), before)
    assert pristine.iteration == 1


@pytest.mark.parametrize("count", [0, 1, 3, 17])
def test_predict_takes_any_number_of_faces(pristine: Quick96, count: int) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    predictions = pristine.predict(faces)
    assert len(predictions) == count
    for face, prediction in zip(faces, predictions, strict=True):
        assert prediction.face.shape == (64, 64, 3)
        assert prediction.src_mask.shape == prediction.dst_mask.shape == (64, 64)
        assert prediction.face.dtype == prediction.src_mask.dtype == np.float32
        assert 0.0 <= prediction.face.min() <= prediction.face.max() <= 1.0
        (alone,) = pristine.predict(face[None].astype(np.float32) / 255.0)
        np.testing.assert_allclose(prediction.face, alone.face, atol=1e-6)
        np.testing.assert_allclose(prediction.dst_mask, alone.dst_mask, atol=1e-6)


def test_reconstruct_shows_both_people_and_the_swap(pristine: Quick96) -> None:
    batch = shapes_batch(3)
    for _ in range(3):
        pristine.train_step(shapes_batch())
    drawn = pristine.reconstruct(batch.src.target, batch.dst.target)
    assert drawn.src.shape == drawn.dst.shape == drawn.swap.shape == (3, 64, 64, 3)
    assert drawn.src_mask.shape == drawn.dst_mask.shape == drawn.swap_mask.shape == (3, 64, 64, 1)
    for k, prediction in enumerate(pristine.predict(batch.dst.target)):
        np.testing.assert_allclose(drawn.swap[k], prediction.face, atol=1e-6)
        np.testing.assert_allclose(drawn.swap_mask[k, :, :, 0], prediction.src_mask, atol=1e-6)
        np.testing.assert_allclose(drawn.dst_mask[k, :, :, 0], prediction.dst_mask, atol=1e-6)
    nobody = pristine.reconstruct(batch.src.target[:0], batch.dst.target[:0])
    assert nobody.swap.shape == (0, 64, 64, 3)
    assert nobody.swap_mask.shape == (0, 64, 64, 1)


def test_faces_of_the_wrong_size_are_refused(pristine: Quick96) -> None:
    with pytest.raises(ValueError, match="Received: "):
        pristine.predict(np.zeros((1, 96, 96, 3), np.float32))
    with pytest.raises(ValueError, match="Received: "):
        pristine.predict(np.zeros((1, 64, 64, 3), np.float64))


def test_reset_of_a_part_starts_it_afresh_and_forgets_its_accumulators(pristine: Quick96) -> None:
    start = everything(pristine)
    pristine.train_step(shapes_batch())
    trained = everything(pristine)
    pristine.reset_part("inter")
    now = everything(pristine)
    for name, tensor in now.items():
        expected = start if name.startswith(("inter/", "optimizer/acc/inter/")) else trained
        np.testing.assert_array_equal(tensor, expected[name], err_msg=name)
    pristine.reset_part("optimizer")
    assert pristine.iteration == 0
    assert not any(t.any() for name, t in everything(pristine).items() if name.startswith("optimizer/acc/"))


def test_state_that_does_not_fit_is_refused(pristine: Quick96) -> None:
    state = pristine.export_state()
    with pytest.raises(FaceLoomError, match="acc/encoder/down1/downs_0/conv1/weight is missing"):
        del state["optimizer"]["acc/encoder/down1/downs_0/conv1/weight"]
        pristine.import_state("optimizer", state["optimizer"])
    with pytest.raises(BadOption, match=r"encoder, inter, decoder_src, decoder_dst, optimizer\. Received: inter_AB\."):
        pristine.import_state("inter_AB", {})
    with pytest.raises(BadOption, match=r"Received: head\."):
        pristine.reset_part("head")


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(BadOption, match=r"fp32, bf16\. Received: fp8\."):
        Quick96(device="cpu", precision="fp8", dims=TINY)


@pytest.mark.slow
def test_bf16_learns_like_fp32(pristine: Quick96) -> None:
    """Same weights, same batches: first losses within a percent, weights float32, and the loss goes down."""
    coarse = Quick96(Quick96Options(batch_size=2), device="cpu", precision="bf16", seed=1, dims=TINY)
    assert_same(everything(coarse), everything(pristine))
    batch = shapes_batch()
    first, exact = coarse.train_step(batch), pristine.train_step(batch)
    for name in exact:
        assert first[name] == pytest.approx(exact[name], rel=0.01)
    for _ in range(60):
        last = coarse.train_step(batch)
    assert last["src_loss"] < 0.75 * first["src_loss"]
    assert {tensor.dtype for name, tensor in everything(coarse).items() if "/acc/" in name} == {np.dtype("float32")}
