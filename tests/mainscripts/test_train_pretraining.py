"""Pretraining: whose faces it wants, what stays and what starts afresh when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.paths import pretraining_faces_folder
from mainscripts.train_options import TrainOptions
from mainscripts.train_pretraining import end, faces_folder, is_over, refusal
from models.checkpoint import CheckpointStore
from models.checkpoint_files import TrainingState
from tests.models.fake_model import FakeModel, Said
from tests.painting import write_painted_faceset


class Pretrained(FakeModel):
    """One whose decoder forgets."""

    @property
    def parts_reset_after_pretraining(self) -> Sequence[str]:
        return ["decoder_src"]


def test_where_the_faces_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path))
    assert faces_folder(TrainOptions.of()) == pretraining_faces_folder() == tmp_path / "pretrain_faces"
    pack = tmp_path / "many" / "faceset.pak"
    pack.parent.mkdir()
    pack.touch()
    assert faces_folder(TrainOptions.of(pretraining_data_dir=pack)) == pack.parent


def test_no_faces_no_pretraining(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    options = TrainOptions.of(pretraining_data_dir=folder)
    for _ in ("no folder", "an empty one"):
        problem = refusal(options)
        assert problem is not None
        assert str(folder) in problem.what
        assert "--pretraining-data-dir" in problem.remedy
        folder.mkdir(exist_ok=True)
    write_painted_faceset(folder, count=1, side=32)
    assert refusal(options) is None


def test_a_damaged_pack_is_named(tmp_path: Path) -> None:
    (tmp_path / "faceset.h5").write_bytes(b"no pack")
    problem = refusal(TrainOptions.of(pretraining_data_dir=tmp_path))
    assert problem is not None
    assert "faceset.h5" in problem.what


@pytest.mark.parametrize(
    ("saved", "values", "over"), [(True, False, True), (True, True, False), (False, True, False), (None, None, False)]
)
def test_when_it_is_over(saved: bool | None, values: bool | None, over: bool) -> None:
    assert is_over({"pretrain": saved}, {"pretrain": values}) is over
    assert is_over({}, {}) is False


def test_the_end_keeps_a_backup_resets_and_counts_from_zero(tmp_path: Path) -> None:
    model, store, said = Pretrained(seed=1), CheckpointStore(tmp_path / "a_Fake"), Said()
    for part in ("encoder", "decoder_src"):
        model.import_state(part, {name: tensor + 1 for name, tensor in model.export_state()[part].items()})
    model.import_state("optimizer", {**model.export_state()["optimizer"], "iterations": np.array(9, np.int64)})
    learned = model.export_state()
    state = TrainingState(seed=1, options={"pretrain": True}, batch_number=9, seconds=50.0, rollbacks=2)
    state.history.append({"src_loss": 1.0, "dst_loss": 1.0})
    state.dormant = {"GAN": {}}
    store.save(learned, state)
    kept_picture = store.folder / "previews" / "history" / "Fake" / "0000001.jpg"
    kept_picture.parent.mkdir(parents=True)
    kept_picture.touch()
    after = end(model, store, state, said)
    assert (after.iteration, after.seed, after.batch_number, after.seconds, after.rollbacks) == (0, 1, 0, 0.0, 0)
    assert after.dormant == {"GAN": {}}, "what is switched off is kept all the same"
    assert model.iteration == 0
    now = model.export_state()
    assert (now["encoder"]["bias"] == learned["encoder"]["bias"]).all()
    assert (now["decoder_src"]["bias"] == 0).all()
    kept = store.read(backup=1)
    assert kept is not None
    assert (kept.state.iteration, kept.state.options) == (1, {"pretrain": True})
    assert (kept.parts["decoder_src"]["bias"] == 1).all()
    assert "--restore-backup 1" in said.all
    assert "Started afresh: decoder_src." in said.all
    assert not kept_picture.exists(), "iteration 1 of the training to come is another one"
    assert (store.folder / "previews" / "history 1" / "Fake" / "0000001.jpg").exists()
    assert "history 1." in said.all


def test_without_a_backup_it_does_not_end(tmp_path: Path) -> None:
    model, store = Pretrained(seed=1), CheckpointStore(tmp_path / "a_Fake")
    model.import_state("decoder_src", {n: t + 1 for n, t in model.export_state()["decoder_src"].items()})
    with pytest.raises(FaceLoomError, match="pretraining was not ended"):
        end(model, store, TrainingState(seed=1), Said())
    assert (model.export_state()["decoder_src"]["bias"] == 1).all()
