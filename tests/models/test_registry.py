"""Which models there are, and what they may be called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import BadOption, MissingInput
from models.checkpoint import CheckpointStore
from models.registry import build_model, check_name, find_model, list_models, model_folder, read_for_use
from tests.models.test_checkpoint import some_parts, some_state

REPOSITORY = Path(__file__).resolve().parents[2]


def save_model(folder: Path, name: str, iteration: int, at: float, class_name: str = "Quick96") -> CheckpointStore:
    store = CheckpointStore(model_folder(folder, name, class_name))
    store.save(some_parts(iteration), some_state(iteration))
    os.utime(store.current, (at, at))
    return store


def test_models_are_listed_newest_first(odd_folder: Path) -> None:
    save_model(odd_folder, "first", 10, at=1000.0)
    save_model(odd_folder, "my_new 模型", 30, at=3000.0)
    save_model(odd_folder, "second", 20, at=2000.0)
    save_model(odd_folder, "other class", 5, at=9000.0, class_name="SAEHD")
    (odd_folder / "empty_Quick96").mkdir()
    (odd_folder / "file_Quick96").write_text("no folder")
    (odd_folder / "without underscore").mkdir()
    found = list_models(odd_folder, "Quick96")
    assert [(m.name, m.iteration) for m in found] == [("my_new 模型", 30), ("second", 20), ("first", 10)]
    assert list_models(odd_folder / "nowhere", "Quick96") == []


def test_a_damaged_model_is_still_listed(tmp_path: Path) -> None:
    store = save_model(tmp_path, "a", 3, at=1000.0)
    (store.current / "state.json").write_bytes(b"")
    assert [(m.name, m.iteration) for m in list_models(tmp_path, "Quick96")] == [("a", None)]
    store.backups.make(save_model(tmp_path, "b", 4, at=1000.0).current)
    assert {m.name: m.iteration for m in list_models(tmp_path, "Quick96")} == {"a": 4, "b": 4}


def test_finding_never_makes_one(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="There is no trained Quick96 model"):
        find_model(tmp_path, "Quick96")
    save_model(tmp_path, "old", 1, at=1000.0)
    save_model(tmp_path, "young", 2, at=2000.0)
    assert find_model(tmp_path, "Quick96").name == "young"
    assert find_model(tmp_path, "Quick96", " old ").name == "old"
    with pytest.raises(MissingInput, match=r"Received: foo\. There are: young \(iteration 2, saved") as caught:
        find_model(tmp_path, "Quick96", "foo")
    assert caught.value.exit_code == 2
    with pytest.raises(
        MissingInput, match=r"no trained SAEHD model.*--model Quick96 \(young\), --model Quick96 \(old\)"
    ):
        find_model(tmp_path, "SAEHD")


@pytest.mark.parametrize("name", ["new", "a_b", "Tom 2", "模型", "été", "model.v2", "0", "x" * 120])
def test_names_that_work(name: str) -> None:
    assert check_name(name) == name
    assert check_name(f"  {name} ") == name


def test_two_ways_to_write_a_letter_are_one_name() -> None:
    assert check_name("e\u0301te\u0301") == "\u00e9t\u00e9"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "..",
        ".hidden",
        "end.",
        "con",
        "NUL",
        "com1",
        "aux.txt",
        "x" * 121,
        *(f"a{c}b" for c in ("/", "\\", ":", '"', "|", "*", "?", "<", "\n", "\0", "\u202e")),
    ],
)
def test_names_that_no_system_could_keep(name: str) -> None:
    with pytest.raises(BadOption, match="The name of a model"):
        check_name(name)


def test_listing_models_loads_no_neural_framework(tmp_path: Path) -> None:
    save_model(tmp_path, "a", 1, at=1000.0)
    script = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from pathlib import Path\n"
        "import mainscripts.train, mainscripts.train_terminal, models.engine, models.registry\n"
        f"assert models.registry.list_models(Path({str(tmp_path)!r}), 'Quick96')[0].name == 'a'\n"
        "loaded = {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_model_for_use_is_read_without_what_only_training_needs(tmp_path: Path) -> None:
    store = CheckpointStore(model_folder(tmp_path, "a", "SAEHD"))
    parts = some_parts(1)
    tensors = next(iter(parts.values()))
    names = ("encoder", "GAN", "GAN_optimizer", "code_discriminator", "code_discriminator_optimizer", "optimizer")
    state = some_state(1)
    state.options = {"pretrain": False}
    store.save(dict.fromkeys(names, tensors), state)
    saved = find_model(tmp_path, "SAEHD")
    assert list(read_for_use(saved).parts) == ["encoder"]
    state.options = {"pretrain": True}
    store.save({"encoder": tensors}, state)
    with pytest.raises(BadOption, match="a is still pretraining") as caught:
        read_for_use(saved)
    assert "--set pretrain=n" in caught.value.remedy


def test_a_class_without_such_a_setting_is_said_to_have_none() -> None:
    with pytest.raises(BadOption, match="A Quick96 model has no setting named archi"):
        build_model("Quick96", {"archi": "df"})
    with pytest.raises(BadOption, match=r"Received: DFaker\."):
        build_model("DFaker", {})
