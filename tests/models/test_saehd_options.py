"""Every option of SAEHD: names, limits, rules, and what pretraining leaves of them. Source: spec models 5.1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.asking import TerminalAsker
from core.cards import Card
from core.errors import BadOption
from core.options import resolve, specs
from models import saehd_options
from models.saehd_options import SAEHDOptions

ASKED_ONCE = {"resolution", "face_type", "archi", "ae_dims", "e_dims", "d_dims", "d_mask_dims"}
NAMES = {
    *("autobackup_hour", "write_preview_history", "target_iter", "random_src_flip", "random_dst_flip", "batch_size"),
    *("masked_training", "eyes_mouth_prio", "uniform_yaw", "blur_out_mask", "adabelief", "lr_dropout", "random_warp"),
    *("random_hsv_power", "gan_power", "gan_patch_size", "gan_dims", "true_face_power", "face_style_power"),
    *("bg_style_power", "ct_mode", "clipgrad", "pretrain", "models_opt_on_gpu"),
    *ASKED_ONCE,
}


@pytest.fixture(autouse=True)
def no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saehd_options, "installed_cards", list)


def test_the_names_users_know() -> None:
    asked = {spec.name for spec in specs(SAEHDOptions) if spec.ask}
    assert asked == NAMES
    assert {spec.name for spec in specs(SAEHDOptions) if spec.fixed} == ASKED_ONCE
    assert all(spec.help for spec in specs(SAEHDOptions))


def test_defaults() -> None:
    made = SAEHDOptions.of()
    assert (made.archi, made.resolution, made.face_type) == ("liae-ud", 128, "f")
    assert (made.ae_dims, made.e_dims, made.d_dims, made.d_mask_dims) == (256, 64, 64, 22)
    assert (made.batch_size, made.gan_patch_size, made.gan_dims) == (4, 16, 16)
    on = {name for name, value in vars(made).items() if value is True}
    assert on == {"random_dst_flip", "masked_training", "models_opt_on_gpu", "adabelief", "random_warp"}
    assert (made.lr_dropout, made.ct_mode) == ("n", "none")
    powers = [value for name, value in vars(made).items() if name.endswith("_power")]
    assert powers == [0.0] * 5


@pytest.mark.parametrize(
    ("memory", "size"), [([], 4), ([3 << 30], 4), ([4 << 30], 8), ([24 << 30, 2 << 30], 4), ([24 << 30, 8 << 30], 8)]
)
def test_the_batch_size_goes_by_the_smallest_card(
    monkeypatch: pytest.MonkeyPatch, memory: list[int], size: int
) -> None:
    monkeypatch.setattr(saehd_options, "installed_cards", lambda: [Card("a card", m) for m in memory])
    assert SAEHDOptions.of().batch_size == size


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"archi": "LIAE-DU"}, {"archi": "liae-ud"}),
        ({"archi": "df", "resolution": 159}, {"resolution": 144}),
        ({"archi": "df-d", "resolution": 159}, {"resolution": 128}),
        ({"archi": "df-t", "resolution": 144}, {"resolution": 128}),
        ({"archi": "liae-u", "resolution": 640}, {"resolution": 640}),
        ({"resolution": 320}, {"gan_patch_size": 40}),
        ({"e_dims": 63, "d_dims": 95}, {"e_dims": 64, "d_dims": 96, "d_mask_dims": 32}),
        ({"d_dims": 48}, {"d_mask_dims": 16}),
        ({"d_dims": 16}, {"d_mask_dims": 16}),
        ({"d_dims": 128, "d_mask_dims": 33}, {"d_mask_dims": 34}),
        ({"face_type": "whole_face"}, {"face_type": "wf"}),
        ({"lr_dropout": "cpu"}, {"lr_dropout": "y"}),
        ({"lr_dropout": True}, {"lr_dropout": "y"}),
        ({"archi": "df", "true_face_power": 0.01}, {"true_face_power": 0.01}),
    ],
)
def test_what_becomes_of_answers(given: dict[str, Any], expected: dict[str, Any]) -> None:
    made = SAEHDOptions.of(**given)
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    "given",
    [
        {"resolution": 63},
        {"resolution": 641},
        {"archi": "dfhd"},
        {"ae_dims": 1025},
        {"ae_dims": 31},
        {"e_dims": 15},
        {"d_dims": 257},
        {"d_mask_dims": 300},
        {"gan_power": 5.1},
        {"gan_patch_size": 2},
        {"gan_dims": 513},
        {"random_hsv_power": 0.31},
        {"face_style_power": 101.0},
        {"bg_style_power": -1.0},
        {"true_face_power": 0.5, "archi": "liae"},
        {"true_face_power": 1.5, "archi": "df"},
        {"ct_mode": "hm"},
        {"lr_dropout": "gpu"},
        {"batch_size": 0},
        {"autobackup_hour": 25},
        {"target_iter": -1},
        {"face_type": "mark_only"},
    ],
)
def test_what_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadOption, match=r"Received: "):
        SAEHDOptions.of(**given)


def test_a_model_made_elsewhere_keeps_its_sizes() -> None:
    assert resolve(SAEHDOptions, {}, saved={"ae_dims": 2048, "d_dims": 10}).ae_dims == 2048


def test_masked_training_of_another_face_type_is_not_carried_over() -> None:
    """Turned off in a whole-face model and remembered, it is on again in a full-face model, where nobody asks."""
    remembered = {"masked_training": False, "gan_power": 0.1, "gan_dims": 32}
    assert SAEHDOptions.of().masked_training
    assert resolve(SAEHDOptions, {"face_type": "f"}, remembered=remembered).masked_training
    assert not resolve(SAEHDOptions, {"face_type": "wf"}, remembered=remembered).masked_training
    assert resolve(SAEHDOptions, {}, remembered=remembered).gan_dims == 32


def test_questions_come_in_order_and_only_where_they_apply() -> None:
    asked: list[str] = []
    answers = {"Architecture": "df-ud", "GAN power": "0.1", "Face type": "head", "Resolution": "200"}

    def read_line(prompt: str) -> str:
        label = prompt.partition("] ")[2].partition(" (")[0]
        asked.append(label)
        return answers.get(label, "")

    said: list[str] = []
    made = resolve(SAEHDOptions, {}, asker=TerminalAsker(read_line, said.append))
    assert (made.archi, made.resolution, made.gan_patch_size) == ("df-ud", 192, 24)
    assert "192" in said  # the number taken instead is shown
    assert asked[:3] == ["Autobackup every N hours", "Write preview history", "Target iteration"]
    assert {"GAN patch size", "GAN dimensions", "True face power", "Masked training"} <= set(asked)
    asked.clear()
    answers.clear()
    resolve(SAEHDOptions, {}, asker=TerminalAsker(read_line, said.append))
    assert not {"GAN patch size", "GAN dimensions", "True face power", "Masked training"} & set(asked)


def test_pretraining_takes_over() -> None:
    every = {
        "random_src_flip": False,
        "random_hsv_power": 0.1,
        "ct_mode": "rct",
        "lr_dropout": "y",
        "gan_power": 0.1,
        "true_face_power": 0.1,
        "face_style_power": 1.0,
        "bg_style_power": 1.0,
        "archi": "df",
    }
    kept = {"eyes_mouth_prio": True, "blur_out_mask": True, "clipgrad": True, "adabelief": False}
    asked = SAEHDOptions.of(**every, **kept, random_dst_flip=False)
    assert asked.in_effect is asked
    asked = SAEHDOptions.of(**every, **kept, random_dst_flip=False, pretrain=True)
    got = asked.in_effect
    assert (got.random_warp, got.random_src_flip, got.random_dst_flip, got.uniform_yaw) == (False, True, True, True)
    assert (got.random_hsv_power, got.ct_mode, got.lr_dropout) == (0.0, "none", "n")
    assert (got.gan_power, got.true_face_power, got.face_style_power, got.bg_style_power) == (0.0, 0.0, 0.0, 0.0)
    assert {name: getattr(got, name) for name in kept} == kept
    assert asked.gan_power == 0.1  # what is saved stays


def test_no_neural_framework_is_loaded() -> None:
    script = "import sys; import models.saehd_options; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
