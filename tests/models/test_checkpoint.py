"""Checkpoints: what is saved comes back, and whatever breaks, the last or the previous save is found whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, BrokenFile, FaceLoomError, MissingInput
from models.base import State
from models.checkpoint import CheckpointStore, TrainingState, UnfitToSave, load_weights, start_training
from models.history import LossHistory
from models.part_files import encode_part
from tests.models.fake_model import FakeModel

REPOSITORY = Path(__file__).resolve().parents[2]


def some_parts(value: float) -> State:
    return {
        "encoder": {"down1/downs_0/conv1/weight": np.full((3, 2), value, np.float32), "bias": np.zeros(0, np.float32)},
        "optimizer": {"iterations": np.array(value, np.int64)},
    }


def some_state(iterations: int) -> TrainingState:
    rows = np.arange(2 * iterations, dtype=np.float32).reshape(iterations, 2)
    history = LossHistory(("src_loss", "dst_loss"), rows)
    return TrainingState(seed=2**63 - 1, options={"batch_size": 4}, history=history, batch_number=5, seconds=12.5)


@pytest.fixture
def store(odd_folder: Path) -> CheckpointStore:
    """A store with two saves: of iteration 2, and of iteration 3."""
    store = CheckpointStore(odd_folder / "模型 1_Quick96")
    store.save(some_parts(2), some_state(2))
    store.save(some_parts(3), some_state(3))
    return store


def iteration_in(store: CheckpointStore) -> int:
    found = store.read()
    assert found is not None
    assert found.parts["encoder"]["down1/downs_0/conv1/weight"].tolist() == [[found.state.iteration] * 2] * 3
    return found.state.iteration


def test_everything_comes_back(store: CheckpointStore) -> None:
    found = store.read()
    assert found is not None
    assert found.folder == store.current
    assert found.notes == found.missing == ()
    assert found.state.seed == 2**63 - 1
    assert found.state.options == {"batch_size": 4}
    assert found.state.batch_number == 5
    assert found.state.seconds == 12.5
    assert found.state.history.names == ("src_loss", "dst_loss")
    assert found.state.history.values.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert {part: sorted(tensors) for part, tensors in found.parts.items()} == {
        "encoder": ["bias", "down1/downs_0/conv1/weight"],
        "optimizer": ["iterations"],
    }
    assert found.parts["optimizer"]["iterations"].dtype == np.int64
    assert found.parts["encoder"]["bias"].shape == (0,)
    assert sorted(p.name for p in store.current.iterdir()) == [
        *("encoder.h5", "history.npy", "manifest.json", "optimizer.h5", "options.json", "state.json"),
    ]
    assert json.loads((store.current / "state.json").read_text("utf-8"))["iteration"] == 3


def test_a_part_not_wanted_is_not_read(store: CheckpointStore) -> None:
    found = store.read(without=("optimizer",))
    assert found is not None
    assert list(found.parts) == ["encoder"]
    assert found.missing == ()


def test_nothing_saved_yet(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "new_Quick96").read() is None


@pytest.mark.parametrize("damage", ["cut", "emptied", "bit", "gone"])
@pytest.mark.parametrize("name", ["encoder.h5", "history.npy", "state.json", "options.json", "manifest.json"])
def test_damage_in_any_file_falls_back_to_the_previous_save_and_says_so(
    store: CheckpointStore, name: str, damage: str
) -> None:
    path = store.current / name
    data = bytearray(path.read_bytes())
    # in a weight, in the list's first brace, or anywhere: a byte that means something
    place = {"encoder.h5": data.find(np.float32(3).tobytes()), "manifest.json": 0}.get(name, len(data) // 2)
    data[place] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": bytes(data[: len(data) // 2]), "emptied": b"", "bit": bytes(data)}[damage])
    if (name, damage) == ("encoder.h5", "gone"):  # a part taken away is no damage, see below
        assert store.read().missing == ("encoder",)  # type: ignore[union-attr]
        return
    found = store.read()
    assert found is not None
    assert found.folder == store.previous
    assert found.state.iteration == 2
    assert str(path) in found.notes[0]
    assert found.notes[1] == "The previous checkpoint, iteration 2, is used instead."


def test_a_damaged_save_does_not_push_out_the_whole_one(store: CheckpointStore) -> None:
    (store.current / "optimizer.h5").write_bytes(b"")
    assert iteration_in(store) == 2
    store.save(some_parts(4), some_state(4))
    assert iteration_in(store) == 4
    shutil.rmtree(store.current)
    assert iteration_in(store) == 2
    assert (store.folder / "checkpoint.broken" / "optimizer.h5").exists()


def test_when_nothing_is_whole_the_backups_are_named(store: CheckpointStore) -> None:
    store.backups.make(store.current)
    for folder in (store.current, store.previous):
        (folder / "state.json").write_bytes(b"{}")
    with pytest.raises(BrokenFile, match=r"--restore-backup NUMBER. There are: 01 \(") as caught:
        store.read()
    assert str(store.current) in str(caught.value)
    assert str(store.previous) in str(caught.value)
    found = store.read(backup=1)
    assert found is not None
    assert found.state.iteration == 3
    assert found.notes == ("Going on from backup 01, iteration 3.",)


def test_a_checkpoint_that_is_gone_is_no_fresh_start_while_there_are_backups(store: CheckpointStore) -> None:
    store.backups.make(store.current)
    shutil.rmtree(store.current)
    shutil.rmtree(store.previous)
    with pytest.raises(BrokenFile, match="the checkpoint is gone, but there are backups"):
        store.read()
    with pytest.raises(MissingInput, match="Received: 7"):
        store.read(backup=7)


def test_what_lies_beside_the_checkpoint_is_not_touched(store: CheckpointStore) -> None:
    mine = store.folder / "notes of mine.txt"
    mine.write_text("keep")
    (store.folder / "previews").mkdir()
    (store.folder / "previews" / "Quick96.png").write_bytes(b"picture")
    for n in (4, 5, 6):
        store.save(some_parts(n), some_state(n))
    assert mine.read_text() == "keep"
    assert (store.folder / "previews" / "Quick96.png").read_bytes() == b"picture"
    assert sorted(p.name for p in store.folder.iterdir()) == [
        *("checkpoint", "checkpoint.previous", "notes of mine.txt", "previews"),
    ]


def test_values_that_are_no_numbers_are_not_saved(store: CheckpointStore) -> None:
    for bad in (np.nan, np.inf):
        parts = some_parts(4)
        parts["encoder"]["down1/downs_0/conv1/weight"][1, 1] = bad
        with pytest.raises(UnfitToSave, match="encoder/down1/downs_0/conv1/weight"):
            store.save(parts, some_state(4))
    assert iteration_in(store) == 3


@pytest.mark.parametrize("file_number", range(6))
def test_a_disk_that_fills_up_while_saving(
    store: CheckpointStore, file_number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = Path.write_bytes, []

    def write(path: Path, data: Any) -> int:
        written.append(path.name)
        if len(written) > file_number:
            real(path, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(FaceLoomError, match="The disk is full"):
        store.save(some_parts(4), some_state(4))
    monkeypatch.undo()
    assert not (store.folder / "checkpoint.new").exists()  # the space is given back
    assert iteration_in(store) == 3
    store.save(some_parts(4), some_state(4))
    assert iteration_in(store) == 4


def test_too_little_room_is_noticed_before_anything_is_written(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.files.free_bytes", lambda path: 1_000_000)
    with pytest.raises(FaceLoomError, match=r"has 1\.0 MB free, and about 4\.0 MB are needed"):
        store.save(some_parts(4), some_state(4))
    assert iteration_in(store) == 3


def test_a_read_only_folder_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(FaceLoomError, match="cannot be written"):
        CheckpointStore(tmp_path / "m").save(some_parts(1), some_state(1))


KILLED_SAVER = """
import os, sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from models.checkpoint import CheckpointStore
from tests.models.test_checkpoint import some_parts, some_state

def parts_at_3():  # a part switched on since the save before ...
    return {{**some_parts(3), **({{"GAN": some_parts(3)["encoder"]}} if {change!r} == "on" else {{}})}}

def state_at_3():  # ... or one switched off: it is kept
    state = some_state(3)
    state.dormant = {{"GAN": some_parts(2)["encoder"]}} if {change!r} == "off" else {{}}
    return state

def kill_at(number, half):
    # The process ends, as by kill -9, just before its file operation of that number; `half`: in the middle of writing.
    count = [0]
    def watch(event, arguments):
        if event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            return
        if event == "open" and not isinstance(arguments[0], (str, bytes)):
            return
        if str(arguments[0]).startswith({folder!r}):
            if count[0] == number:
                if half and event == "open" and "w" in (arguments[1] or ""):
                    descriptor = os.open(arguments[0] + "", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                    os.write(descriptor, b"half of somethi")
                os._exit(9)
            count[0] += 1
    return watch

folder, number = Path({folder!r}), 0
while True:
    for half in (False, True):
        CheckpointStore(folder / f"{{number}} {{half}}").save(some_parts(1), some_state(1))
        parts_at_2 = {{**some_parts(2), **({{"GAN": some_parts(2)["encoder"]}} if {change!r} == "off" else {{}})}}
        CheckpointStore(folder / f"{{number}} {{half}}").save(parts_at_2, some_state(2))
        child = os.fork()
        if child == 0:
            sys.addaudithook(kill_at(number, half))
            CheckpointStore(folder / f"{{number}} {{half}}").save(parts_at_3(), state_at_3())
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        break
    number += 1
print(number)
"""


@pytest.mark.parametrize("change", ["on", pytest.param("off", marks=pytest.mark.slow)])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_before_any_file_operation_of_a_save_a_whole_checkpoint_is_found(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    script = KILLED_SAVER.format(repository=str(REPOSITORY), folder=str(folder), change=change)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    boundaries = int(done.stdout)
    assert boundaries > 25  # six or seven files written and flushed, a folder removed file by file, two renames
    found_new = []
    for number in range(boundaries):
        for half in (False, True):
            store = CheckpointStore(folder / f"{number} {half}")
            iteration = iteration_in(store)
            assert iteration in (2, 3), number  # the save before, or already the new one; never an older one
            found_new.append(iteration == 3)
            with_gan = (
                {"encoder", "GAN", "optimizer"} if change == "off" or iteration == 3 else {"encoder", "optimizer"}
            )
            assert set(store.read().parts) == with_gan  # type: ignore[union-attr]
            # ... and the next save cleans up and works, whatever the last one left
            store.save(some_parts(4), some_state(4))
            assert iteration_in(store) == 4
            shutil.rmtree(store.current)
            assert iteration_in(store) == iteration
            assert not (store.folder / "checkpoint.new").exists()
    assert not found_new[0]
    assert found_new[-1]


def test_killed_between_the_two_renames_the_new_save_is_found(store: CheckpointStore) -> None:
    shutil.rmtree(store.previous)
    store.current.rename(store.folder / "checkpoint.new")  # as if iteration 2 had already become the previous one
    assert iteration_in(store) == 3
    store.save(some_parts(4), some_state(4))
    assert iteration_in(store) == 4
    shutil.rmtree(store.current)
    assert iteration_in(store) == 3


def test_a_first_save_cut_short_leaves_nothing_to_find(store: CheckpointStore) -> None:
    shutil.rmtree(store.previous)
    store.current.rename(store.folder / "checkpoint.new")
    (store.folder / "checkpoint.new" / "manifest.json").unlink()
    assert store.read() is None


# The ways to start -----------------------------------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path: Path) -> CheckpointStore:
    """A saved fake model whose every tensor differs from a fresh one's."""
    model = FakeModel(seed=1)
    for part, tensors in model.export_state().items():
        model.import_state(part, {name: np.asarray(tensor + 7, tensor.dtype) for name, tensor in tensors.items()})
    store = CheckpointStore(tmp_path / "m_Fake")
    store.save(model.export_state(), some_state(7))
    return store


def test_resume(trained: CheckpointStore) -> None:
    model = FakeModel(seed=1)
    said: list[str] = []
    found = trained.read()
    state = start_training(model, found, seed=99, say=said.append)
    assert state.seed == 2**63 - 1  # the model's own, not the new one
    assert state.iteration == 7
    assert model.iteration == 7
    assert said == []


def test_the_previous_checkpoint_is_used_aloud(trained: CheckpointStore) -> None:
    trained.save(FakeModel(seed=1).export_state(), some_state(8))
    (trained.current / "encoder.h5").write_bytes(b"not a model")
    said: list[str] = []
    assert start_training(FakeModel(seed=1), trained.read(), seed=0, say=said.append).iteration == 7
    assert "The previous checkpoint, iteration 7, is used instead." in said


def test_from_scratch(tmp_path: Path) -> None:
    model = FakeModel(seed=1)
    state = start_training(model, None, seed=99, pretrained_folder=tmp_path / "not there")
    assert (state.seed, state.iteration, state.batch_number) == (99, 0, 0)
    assert same(model.export_state(), FakeModel(seed=1).export_state())


def same(a: State, b: State) -> bool:
    return all(np.array_equal(a[part][name], b[part][name]) for part in a for name in a[part])


def test_pretrained_parts_are_taken_by_a_new_model(tmp_path: Path) -> None:
    weights = {"down/weight": np.full(8, 3, np.float32), "bias": np.ones((2, 2), np.float32)}
    (tmp_path / "encoder.h5").write_bytes(encode_part("encoder", weights))
    model = FakeModel(seed=1)
    said: list[str] = []
    start_training(model, None, seed=99, pretrained_folder=tmp_path, say=said.append)
    assert model.export_state()["encoder"]["down/weight"].tolist() == [3.0] * 8
    assert said == [f"Pretrained parts from {tmp_path}: encoder."]
    (tmp_path / "decoder_src.h5").write_bytes(encode_part("decoder_src", {"bias": np.ones(3, np.float32)}))
    with pytest.raises(BrokenFile, match=r"decoder_src.h5.*does not fit this model"):
        start_training(FakeModel(), None, seed=99, pretrained_folder=tmp_path)
    (tmp_path / "decoder_src.h5").write_bytes(encode_part("encoder", weights))
    with pytest.raises(BrokenFile, match='it holds the part "encoder"'):
        start_training(FakeModel(), None, seed=99, pretrained_folder=tmp_path)


@pytest.mark.parametrize("reset", [(), ("encoder",)])
def test_a_deleted_part_starts_afresh_and_that_is_said(trained: CheckpointStore, reset: Sequence[str]) -> None:
    (trained.current / "encoder.h5").unlink()
    with pytest.raises(FaceLoomError, match=r"encoder.h5 missing from .*train with --reset encoder"):
        load_weights(FakeModel(seed=1), trained.read(), ["encoder"])  # type: ignore[arg-type]
    model = FakeModel(seed=1)
    said: list[str] = []
    start_training(model, trained.read(), seed=0, reset=reset, say=said.append)
    assert said == [f"encoder.h5 was taken out of {trained.current}.", "Started afresh, the rest is kept: encoder."]
    fresh, kept = FakeModel(seed=1).export_state(), FakeModel(seed=1)
    load_weights(kept, trained.read(), ["decoder_src", "optimizer"])  # type: ignore[arg-type]
    assert same({"encoder": model.export_state()["encoder"]}, {"encoder": fresh["encoder"]})
    assert same(model.export_state(), kept.export_state())


def test_a_part_that_an_option_switches_on_starts_from_the_seed_aloud(trained: CheckpointStore) -> None:
    model = FakeModel(seed=1, extra=["GAN"])
    said: list[str] = []
    state = start_training(model, trained.read(), seed=0, say=said.append)
    assert said == ["Switched on, and never trained in this model: GAN. It starts from the seed."]
    assert same({"GAN": model.export_state()["GAN"]}, FakeModel(seed=1, extra=["GAN"]).export_state())
    assert model.iteration == 7
    assert state.dormant == {}


def test_a_part_switched_off_stays_in_every_save_and_comes_back(trained: CheckpointStore) -> None:
    model = FakeModel(seed=1, extra=["GAN"])
    state = start_training(model, trained.read(), seed=0)
    weights = {"down/weight": np.arange(8, dtype=np.float32), "bias": np.ones((2, 2), np.float32)}
    model.import_state("GAN", weights)
    trained.save(model.export_state(), state)

    for _ in range(3):  # off for three sessions
        plain, said = FakeModel(seed=1), list[str]()
        state = start_training(plain, trained.read(), seed=0, say=said.append)
        assert said == []
        trained.save(plain.export_state(), state)
        assert (trained.current / "GAN.h5").exists()

    again, said = FakeModel(seed=1, extra=["GAN"]), []
    state = start_training(again, trained.read(), seed=0, say=said.append)
    assert said == []
    assert same({"GAN": weights}, again.export_state())
    assert state.dormant == {}


def test_a_part_switched_off_whose_file_is_gone_is_not_missed(trained: CheckpointStore) -> None:
    trained.save(FakeModel(seed=1, extra=["GAN"]).export_state(), some_state(8))
    (trained.current / "GAN.h5").unlink()
    said: list[str] = []
    state = start_training(FakeModel(seed=1), trained.read(), seed=0, say=said.append)
    assert said == []
    assert state.dormant == {}


def test_a_damaged_part_is_an_error_also_when_it_could_start_afresh(trained: CheckpointStore) -> None:
    trained.save(FakeModel(seed=1, extra=["GAN"]).export_state(), some_state(8))
    shutil.rmtree(trained.previous)
    trained.backups.make(trained.current)
    (trained.current / "GAN.h5").write_bytes(b"not a part")
    with pytest.raises(BrokenFile, match=r"GAN\.h5.*There are: 01 \("):
        trained.read()


def test_a_part_whose_shape_an_option_has_changed_starts_afresh_aloud(trained: CheckpointStore) -> None:
    saved = FakeModel(seed=1, extra=["GAN"]).export_state()
    saved["GAN"]["down/weight"] = np.zeros(5, np.float32)  # of another patch size
    trained.save(saved, some_state(8))
    model, said = FakeModel(seed=1, extra=["GAN"]), list[str]()
    start_training(model, trained.read(), seed=0, say=said.append)
    assert said == [
        "Saved in another shape, which the options no longer ask for: GAN.",
        "Started afresh, the rest is kept: GAN.",
    ]
    assert same({"GAN": model.export_state()["GAN"]}, FakeModel(seed=1, extra=["GAN"]).export_state())
    saved["encoder"]["down/weight"] = np.zeros(5, np.float32)  # no option changes an encoder
    trained.save(saved, some_state(9))
    with pytest.raises(FaceLoomError, match=r"encoder.h5 in .* does not fit this model"):
        start_training(FakeModel(seed=1, extra=["GAN"]), trained.read(), seed=0)


def test_with_every_part_gone_nothing_starts(trained: CheckpointStore) -> None:
    for file in trained.current.glob("*.h5"):
        file.unlink()
    with pytest.raises(FaceLoomError, match=r"encoder.h5, .*missing from"):
        start_training(FakeModel(seed=1), trained.read(), seed=0)


def test_reset_names_parts_of_the_model(trained: CheckpointStore) -> None:
    with pytest.raises(BadOption, match=r"one of encoder, decoder_src, optimizer\. Received: inter"):
        start_training(FakeModel(), trained.read(), seed=0, reset=["encoder", "inter"])
    with pytest.raises(BadOption, match=r"A new model has no part to reset\. Received: encoder"):
        start_training(FakeModel(), None, seed=0, reset=["encoder"])


def test_a_part_that_does_not_fit_is_an_error(trained: CheckpointStore) -> None:
    trained.backups.make(trained.current)
    with pytest.raises(FaceLoomError, match=r"encoder.h5 in .* does not fit this model") as caught:
        start_training(FakeModel(size=9), trained.read(), seed=0)
    assert "--reset encoder" in caught.value.remedy
    assert "There are: 01" in caught.value.remedy
    with pytest.raises(FaceLoomError, match=r"encoder.h5 in .*01 does not fit this model") as caught:
        start_training(FakeModel(size=9), trained.read(backup=1), seed=0)
    assert "There are: 01" in caught.value.remedy


def test_a_part_put_in_from_another_save_is_used_and_mentioned(store: CheckpointStore) -> None:
    shutil.copyfile(store.previous / "encoder.h5", store.current / "encoder.h5")
    found = store.read()
    assert found is not None
    assert found.folder == store.current
    assert found.notes == ("encoder.h5 is not the file that was saved there; it is intact, and used.",)
    assert found.parts["encoder"]["down1/downs_0/conv1/weight"][0, 0] == 2


def test_a_manifest_cannot_reach_outside_its_folder(store: CheckpointStore) -> None:
    path = store.current / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    manifest["files"]["../../secret"] = {"sha256": "0"}
    path.write_text(json.dumps(manifest), "utf-8")
    found = store.read()
    assert found is not None
    assert "it lists files outside its folder" in found.notes[0]
