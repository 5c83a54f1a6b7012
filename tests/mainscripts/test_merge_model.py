"""Which model a merge uses, what tells its state, and what is refused before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, MissingInput
from core.nn.steps import Device
from core.options import resolve
from core.progress import SilentProgress
from mainscripts import merge_model
from mainscripts.merge_model import fingerprint, open_model, shape_words
from mainscripts.merge_options import MergeOptions
from merger.face_tools import FaceTools
from models.base import State
from models.checkpoint import CheckpointStore
from models.checkpoint_files import TrainingState
from tests.merger.scenes import TintedPredictor


class Listener(SilentProgress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.text = ""

    def say(self, text: str) -> None:
        self.text += text + "\n"


def options(**given: Any) -> MergeOptions:
    return resolve(MergeOptions, {"model": "Quick96", **given})


def write_model(folder: Path, name: str) -> None:
    """A saved model that nobody will load: one part with one tensor."""
    parts: State = {"encoder": {"weight": np.ones(3, np.float32)}, "optimizer": {"iteration": np.zeros(1, np.int64)}}
    CheckpointStore(folder / f"{name}_Quick96").save(parts, TrainingState(seed=1))


def test_an_unknown_model_is_refused_and_the_existing_ones_are_named(odd_folder: Path) -> None:
    with pytest.raises(MissingInput, match="There is no trained Quick96 model"):
        open_model(odd_folder, options(), Listener())
    write_model(odd_folder, "anna")
    write_model(odd_folder, "bert")
    with pytest.raises(MissingInput, match=r"Received: carl\.(.|\n)*anna(.|\n)*|bert"):
        open_model(odd_folder, options(model_name="carl"), Listener())
    with pytest.raises(BadOption, match="Received: H128"):
        options(model="H128")
    assert {path.name for path in odd_folder.iterdir()} == {"anna_Quick96", "bert_Quick96"}


def test_the_newest_model_is_taken_unless_one_is_named(odd_folder: Path) -> None:
    write_model(odd_folder, "anna")
    write_model(odd_folder, "bert")
    for name, given in (("bert", {}), ("anna", {"model_name": "anna"}), ("anna", {"force_model_name": "anna"})):
        listener = Listener()
        networks, _ = open_model(odd_folder, options(**given), listener)
        assert f"Model {name} (Quick96), iteration" in listener.text
        assert networks.weights == fingerprint({"encoder": {"weight": np.ones(3, np.float32)}})


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"mask_mode": "XSeg-dst"}, MissingInput, "needs a trained XSeg model"),
        ({"mask_mode": 9}, MissingInput, r"learned-prd\*learned-dst\*XSeg-prd\*XSeg-dst needs"),
        ({"super_resolution_power": 50}, MissingInput, "FaceEnhancer.npy"),
        ({"morph_factor": 0.5}, BadOption, r"Only AMP models can be morphed\. Received: a morph factor of 0\.5"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_loaded(
    odd_folder: Path,
    given: dict[str, Any],
    error: type[Exception],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path))
    write_model(odd_folder, "anna")
    given = {name: str(value) for name, value in given.items()}
    with pytest.raises(error, match=words):
        open_model(odd_folder, options(**given), Listener())


def test_the_shape_holds_what_cannot_change() -> None:
    small = shape_words("Quick96", {"size": "small", "batch_size": 8})
    assert small == shape_words("Quick96", {"size": "small", "batch_size": 4})
    assert small != shape_words("Quick96", {"size": "full"})


def test_a_fingerprint_tells_any_change_of_the_weights() -> None:
    parts = {"encoder": {"weight": np.arange(6, dtype=np.float32)}}
    before = fingerprint(parts)
    assert fingerprint({"encoder": {"weight": np.arange(6, dtype=np.float32)}}) == before
    changed = np.arange(6, dtype=np.float32)
    changed[3] = np.nextafter(changed[3], 9)
    assert fingerprint({"encoder": {"weight": changed}}) != before
    assert fingerprint({"encoder": {"weight": parts["encoder"]["weight"].reshape(2, 3)}}) != before
    assert fingerprint({"encoder": {"bias": parts["encoder"]["weight"]}}) != before


def test_a_model_on_a_graphics_card_can_be_loaded_on_the_cpu_too(
    odd_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For faces that the card has no room for. Until then nothing is loaded a second time."""
    write_model(odd_folder, "anna")
    loaded: list[str] = []

    def load_stub(saved: object, *, device: str, found: object) -> tuple[TintedPredictor, list[str]]:
        loaded.append(device)
        return TintedPredictor(), []

    monkeypatch.setattr(merge_model, "load_model", load_stub)
    for device, kind in (("cpu", "cpu"), ("0", "gpu")):
        chosen = [Device(f"{kind.upper()}:0", kind, 0, "", None)]
        monkeypatch.setattr("core.nn.device.choose_devices", lambda text, chosen=chosen: chosen)
        tools = FaceTools.of(open_model(odd_folder, options(device=device), Listener())[1]())
        assert (tools.on_cpu is None) == (kind == "cpu")
    assert loaded == ["cpu", "0"]
    assert tools.on_cpu is not None
    assert tools.on_cpu().resolution == 48
    assert loaded == ["cpu", "0", "cpu"]
