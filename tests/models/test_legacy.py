"""Models of DeepFaceLab: true files against what that tool itself says they hold, made-up ones, broken ones, hostile
ones.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, BrokenFile, MissingInput
from core.legacy_writer import encode
from models.architecture import Architecture
from models.legacy import find_legacy_models, read_legacy_model, read_legacy_weights
from models.saehd_options import SAEHDOptions
from models.tensor_tables import autoencoder_tables
from tests.models.legacy_models import DIMS, data, options, tensors, weights_file, write_model

ROOTS = {"GAN": "D_src"}


@pytest.fixture
def dfl(shared_data: Path) -> Path:
    if not (shared_data / "dfl").is_dir():
        pytest.skip("the true files are not here")
    return shared_data / "dfl"


def short_digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("folder", ["df-ud", "liae-udt"])
def test_true_models(dfl: Path, folder: str) -> None:
    """Every option, every loss, every tensor of every file."""
    truth = json.loads((dfl / "truth" / "models" / f"{folder}.json").read_text())
    (data_file,) = find_legacy_models(dfl / "models" / folder)
    model = read_legacy_model(data_file)
    assert (f"{model.name}_{model.class_name}", model.iteration) == (truth["name"], truth["iter"])
    assert (model.options, model.unknown_options, model.missing) == (truth["options"], (), ())
    assert all(type(value) in (bool, int, float, str) for value in model.options.values())
    np.testing.assert_array_equal(model.loss_history, np.array(truth["loss_history"], np.float32))
    assert model.preview is not None
    for side, expected in zip(model.preview, truth["sample_for_preview"], strict=True):
        for array, description in zip(vars(side).values(), expected, strict=True):
            assert hashlib.sha256(array.tobytes()).hexdigest() == description["sha256"]
    for file, content in truth["files"].items():
        if "tensors" not in content:
            continue
        kind = file.split("_SAEHD_")[1].removesuffix(".npy")
        ours = {"src_dst_opt": "optimizer", "GAN_opt": "GAN_optimizer"}.get(kind, kind)
        for key, description in content["tensors"].items():
            name = key.removesuffix(":0")
            if not kind.endswith("_opt"):
                tensor = model.parts[kind][name]
            elif name == "iters":
                tensor = model.optimizers[ours]["iterations"]
            else:
                slot, _, rest = name.removesuffix("_0").partition("_")
                root, _, path = rest.partition("/")
                tensor = model.optimizers[ours][f"{slot}/{'GAN' if root == 'D_src' else root}/{path}"]
            assert short_digest(tensor) == description["sha256_16"], (file, key)
        held = len(model.optimizers[ours]) - 1 if kind.endswith("_opt") else len(model.parts[kind])  # - 1: our seed
        assert held == len(content["tensors"])


def test_a_model_of_our_own_making(tmp_path: Path) -> None:
    model = read_legacy_model(write_model(tmp_path))
    assert (model.name, model.class_name, model.iteration) == ("one", "SAEHD", 123)
    assert (model.architecture, model.dims) == (Architecture.parse("liae-ud"), DIMS)
    assert model.options["random_hsv_power"] == 0.05
    assert list(model.parts) == ["encoder", "inter_AB", "inter_B", "decoder", "GAN"]
    expected = tensors(autoencoder_tables(model.architecture, DIMS)["decoder"], 3)
    for name, tensor in model.parts["decoder"].items():
        np.testing.assert_array_equal(tensor, expected[name])
    assert {name: int(state["iterations"]) for name, state in model.optimizers.items()} == {
        "optimizer": 123, "GAN_optimizer": 7,
    }  # fmt: skip
    assert len(model.optimizers["optimizer"]) == 2 + 2 * sum(len(model.parts[p]) for p in model.parts if p != "GAN")
    assert "vs/GAN/center_conv/bias" in model.optimizers["GAN_optimizer"]
    assert model.loss_history.tolist() == [[2.0, 3.0], [1.5, 2.5], [1.25, 2.25]]


def test_rmsprop_and_df(tmp_path: Path) -> None:
    model = read_legacy_model(write_model(tmp_path, slots=("acc",), archi="df-t"))
    assert list(model.parts) == ["encoder", "inter", "decoder_src", "decoder_dst", "GAN"]
    assert "acc/inter/dense2/bias" in model.optimizers["optimizer"]


def test_what_may_be_missing_is_named(tmp_path: Path) -> None:
    """The field's recipe for a new pair is to take inter files out of a folder."""
    data_file = write_model(tmp_path)
    for part in ("inter_AB", "GAN", "GAN_opt"):
        (tmp_path / f"one_SAEHD_{part}.npy").unlink()
    model = read_legacy_model(data_file)
    assert model.missing == ("one_SAEHD_inter_AB.npy", "one_SAEHD_GAN.npy", "one_SAEHD_GAN_opt.npy")
    assert list(model.parts) == ["encoder", "inter_B", "decoder"]


def test_without_its_decoder_a_model_is_none(tmp_path: Path) -> None:
    data_file = write_model(tmp_path)
    (tmp_path / "one_SAEHD_decoder.npy").unlink()
    with pytest.raises(BrokenFile, match=r"one_SAEHD_decoder\.npy: it is missing"):
        read_legacy_model(data_file)


def test_a_discriminator_that_is_switched_off_is_left_alone(tmp_path: Path) -> None:
    """Such a file can be left over from other settings, and of any size."""
    data_file = write_model(tmp_path, content=data(options=options(gan_power=0.0, gan_dims=99)))
    model = read_legacy_model(data_file)
    assert "GAN" not in model.parts
    assert list(model.optimizers) == ["optimizer"]


def test_old_and_unknown_options(tmp_path: Path) -> None:
    written = options(
        lr_dropout=True, eyes_prio=True, random_flip=True, lucky_number=7, true_face_power=0, ct_mode=None
    )
    model = read_legacy_model(write_model(tmp_path, content=data(options=written)))
    assert (model.options["lr_dropout"], model.options["true_face_power"]) == ("y", 0.0)
    assert model.unknown_options == ("lucky_number",)
    assert not {"eyes_prio", "random_flip", "lucky_number", "ct_mode"} & set(model.options)


def test_settings_are_ours_and_not_clipped(tmp_path: Path) -> None:
    """Numbers below the ranges of our prompts stay; "cpu" says where a mask was kept; what is not told is default."""
    settings = read_legacy_model(write_model(tmp_path, content=data(options=options(lr_dropout="cpu")))).settings()
    assert isinstance(settings, SAEHDOptions)
    assert (settings.ae_dims, settings.e_dims, settings.lr_dropout, settings.ct_mode) == (6, 2, "y", "lct")
    assert (settings.gan_patch_size, settings.random_warp, settings.masked_training) == (7, True, True)


def test_preview_of_a_graphics_card_is_turned_channels_last(tmp_path: Path) -> None:
    content = data()
    plain = content["sample_for_preview"]
    content["sample_for_preview"] = [[array.transpose(0, 3, 1, 2).copy() for array in side] for side in plain]
    model = read_legacy_model(write_model(tmp_path, content=content))
    assert model.preview is not None
    for side, expected in zip(model.preview, plain, strict=True):
        for ours, theirs in zip(vars(side).values(), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "found",
    [None, [], [[], []], [[np.zeros((1, 64, 64, 3), np.float32)] * 4] * 2, [[np.zeros(3)] * 4] * 2, [["x"] * 4] * 2],
)
def test_a_preview_that_cannot_be_shown_is_drawn_anew(tmp_path: Path, found: Any) -> None:
    assert read_legacy_model(write_model(tmp_path, content=data(sample_for_preview=found))).preview is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"iter": 0}, "no completed iteration"),
        ({"iter": "many"}, "no completed iteration"),
        ({"options": None}, "holds no options"),
        ({"options": options(archi="dfhd")}, "its architecture 'dfhd' is none"),
        ({"options": options(archi=...)}, "its architecture 'None' is none"),
        ({"options": options(resolution=...)}, "its option resolution is missing"),
        ({"options": options(resolution=72)}, "must be a multiple of 32"),
        ({"options": options(resolution=10**9)}, "its option resolution is missing or no number"),
        ({"options": options(e_dims=-2)}, "its option e_dims is missing or no number"),
        ({"options": options(ae_dims="many")}, "its option ae_dims is no int"),
        ({"options": options(gan_power=float("nan"))}, "its option gan_power is no float"),
        ({"options": options(adabelief=1)}, "its option adabelief is no bool"),
        ({"options": {3: 4}}, "holds no options"),
        ({"options": options(e_dims=4)}, "down1/downs_0/conv1/weight has shape"),
        ({"loss_history": [[1.0]]}, "its loss history"),
        ({"loss_history": "low"}, "its loss history"),
    ],
)
def test_broken_data(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BrokenFile) as caught:
        read_legacy_model(write_model(tmp_path, content=data(**changes)))
    assert sentence in str(caught.value)


def without(name: str) -> Callable[[dict[str, np.ndarray]], object]:
    return lambda named: named.pop(name)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (without("dense1/bias"), "dense1/bias is missing"),
        (lambda n: n.update(extra=np.zeros(3, np.float32)), "extra is unexpected"),
        (
            lambda n: n.update({"dense1/bias": np.zeros((6, 1), np.float32)}),
            "dense1/bias has shape (6, 1) instead of (6,)",
        ),
        (lambda n: n.update({"dense1/bias": np.zeros(6)}), "dense1/bias holds float64"),
        (lambda n: n.update({"dense1/bias": np.full(6, np.nan, np.float32)}), "dense1/bias holds values that are not"),
        (lambda n: n.clear(), "upscale1/conv1/bias is missing. Take"),
    ],
)
def test_broken_weights(tmp_path: Path, damage: Callable[[dict[str, np.ndarray]], object], sentence: str) -> None:
    table = autoencoder_tables(Architecture.parse("liae-ud"), DIMS)["inter_B"]
    named = tensors(table, 0)
    damage(named)
    path = tmp_path / "one_SAEHD_inter_B.npy"
    path.write_bytes(weights_file(named))
    with pytest.raises(BrokenFile) as caught:
        read_legacy_weights(path, table)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"ms_x:0": np.zeros(3, np.float32)}, "iters:0"),
        ({"iters:0": -1}, "iters:0"),
        ({"iters:0": np.zeros(2, np.int64)}, "iters:0"),
        ({"iters:0": 5}, "ms_encoder/down1/downs_0/conv1/weight_0 is missing"),
        ({"iters:0": 5, "acc_x:0": np.zeros(3, np.float32)}, "acc_encoder/down1/downs_0/conv1/weight_0 is missing"),
        ({"iters": 5}, "'iters' is no tensor"),
        ([1, 2], "no values by name"),
    ],
)
def test_broken_optimizers(tmp_path: Path, content: Any, sentence: str) -> None:
    data_file = write_model(tmp_path)
    (tmp_path / "one_SAEHD_src_dst_opt.npy").write_bytes(encode(content))
    with pytest.raises(BrokenFile) as caught:
        read_legacy_model(data_file)
    assert sentence in str(caught.value)


def test_cut_files_are_refused_at_every_length(tmp_path: Path) -> None:
    table = {"dense1/weight": (3, 4), "dense1/bias": (4,)}
    path = tmp_path / "x.npy"
    whole = weights_file(tensors(table, 0))
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenFile):
            read_legacy_weights(path, table)
    path.write_bytes(whole)
    assert list(read_legacy_weights(path, table)) == list(table)


def test_other_classes_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="holds no model"):
        find_legacy_models(tmp_path)
    for name in ("a_AMP_data.dat", "_SAEHD_data.dat", "a_SAEHD_summary.txt"):
        with pytest.raises(BadOption, match=rf"Received: {name}\."):
            read_legacy_model(tmp_path / name)


def test_names_may_hold_underscores(tmp_path: Path) -> None:
    write_model(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name.replace("one_", "my_best_one_"))
    (data_file,) = find_legacy_models(tmp_path)
    assert read_legacy_model(data_file).name == "my_best_one"


def test_quick96_has_one_size(tmp_path: Path) -> None:
    """Seventy megabytes of weights are not written for a test: the first file is asked for by its one true shape."""
    path = tmp_path / "q_Quick96_data.dat"
    path.write_bytes(encode(data(options={"batch_size": 4})))
    (tmp_path / "q_Quick96_encoder.npy").write_bytes(
        weights_file({"down1/downs_0/conv1/bias": np.zeros(3, np.float32)})
    )
    with pytest.raises(BrokenFile, match=r"down1/downs_0/conv1/bias has shape \(3,\) instead of \(64,\)"):
        read_legacy_model(path)


HOSTILE = """
import json, resource, sys, time
from pathlib import Path

from core.errors import FaceLoomError
from models.architecture import Architecture, Dims
from models.legacy import read_legacy_model, read_legacy_weights
from models.tensor_tables import autoencoder_tables

table = autoencoder_tables(Architecture.parse("df"), Dims(64, 16, 4, 4, 2))["encoder"]
with open("/proc/self/statm") as sizes:
    taken = int(sizes.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (256 << 20), taken + (256 << 20)))
for name in sys.argv[1:]:
    begin = time.process_time()
    try:
        read_legacy_model(Path(name)) if name.endswith(".dat") else read_legacy_weights(Path(name), table)
        said = "read"
    except FaceLoomError as problem:
        said = str(problem)
    sys.stdout.write(json.dumps([name, said, time.process_time() - begin]) + chr(10))
assert "keras" not in sys.modules
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is bounded and measured as on Linux")
def test_hostile_files_are_refused_in_time_and_memory(dfl: Path) -> None:
    marker = Path("/tmp/pwned")
    assert not marker.exists()
    names = [str(path) for path in sorted((dfl / "hostile" / "model").glob("*/evil_*"))]
    assert len(names) == 9
    repository = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, *names], cwd=repository, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        name, said, seconds = json.loads(line)
        assert said.startswith(f"{name}: it"), (name, said)
        assert seconds < 2.0, name
        if "wrong_shape" in name:
            assert (
                "down1/downs_0/conv1/weight has shape (3, 3, 3, 4) instead of (5, 5, 3, 4)" in said or "missing" in said
            )
    assert len(done.stdout.splitlines()) == len(names)
    assert not marker.exists()
