"""The command `train` with painted faces and a model of eight numbers: no neural framework is loaded."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import BadOption, Cancelled, FaceLoomError, MissingInput
from core.images import read_image
from core.paths import Workspace
from core.progress import SILENT, SilentProgress
from mainscripts.cli import main
from mainscripts.train import run
from mainscripts.train_options import TrainOptions, parse_duration
from mainscripts.train_previews import KEPT_AS
from models.checkpoint import CheckpointStore
from models.model_lock import lock_model
from models.report import TrainingReport
from samplelib.batches import TrainingBatches
from tests.mainscripts.trained import save_model, tiny  # noqa: F401
from tests.models.fake_model import FakeModel, Said
from tests.painting import write_painted_faceset

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two facesets."""
    folder = tmp_path_factory.mktemp("faces")
    write_painted_faceset(folder / "src", count=5, side=64)
    write_painted_faceset(folder / "dst", count=4, side=64, seed=50)
    return folder


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Models are fakes; what they were built with is collected."""
    calls: list[dict[str, Any]] = []

    def build(class_name: str, values: Mapping[str, Any], **rest: Any) -> FakeModel:
        model = FakeModel(seed=rest["seed"])
        calls.append({"class_name": class_name, "values": dict(values), "model": model, **rest})
        return model

    monkeypatch.setattr("mainscripts.train.build_model", build)
    return calls


def options(faces: Path, model_dir: Path, **given: Any) -> TrainOptions:
    given = {"target_iteration": 5, "workers": 0, "preview": False, "seed": 11, **given}
    places = {"training_data_src_dir": faces / "src", "training_data_dst_dir": faces / "dst", "model_dir": model_dir}
    return TrainOptions.of(**places, **{name: value for name, value in given.items() if value is not None})


def train(faces: Path, model_dir: Path, said: Any = SILENT, **given: Any) -> TrainingReport:
    report = run(Workspace(model_dir.parent), options(faces, model_dir, **given), said)
    assert isinstance(report, TrainingReport)
    return report


def test_a_new_model_is_trained_saved_and_resumed(faces: Path, odd_folder: Path, built: list[dict[str, Any]]) -> None:
    models = odd_folder / "model"
    assert train(faces, models, preview=True).iteration == 5
    folder = models / "new_Quick96"
    assert {p.name for p in folder.iterdir()} >= {"checkpoint", "previews", "report.json", "lock"}
    assert train(faces, models, target_iteration=8, seed=None).iteration == 8  # the newest model goes on
    found = CheckpointStore(folder).read()
    assert found is not None
    assert found.state.iteration == 8
    assert found.state.seed == 11
    assert built[1]["model"].seen == [4, 4, 5]  # batches 0 1 2 2 3 were seen before
    assert [p.name for p in models.iterdir()] == ["new_Quick96"]


@pytest.mark.parametrize("given", [{"restore_backup": 1}, {"reset": "encoder"}])
def test_the_way_back_never_leads_to_the_save_that_was_left(
    faces: Path, tmp_path: Path, built: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    store = CheckpointStore(tmp_path / "model" / "new_Quick96")
    train(faces, tmp_path / "model")
    store.backups.make(store.current)
    train(faces, tmp_path / "model", target_iteration=9)
    monkeypatch.setattr(FakeModel, "train_step", lambda self, batch: {"src_loss": float("nan"), "dst_loss": 0.5})
    with pytest.raises(FaceLoomError, match="in a row"):
        train(faces, tmp_path / "model", target_iteration=20, **given)
    started = store.read()
    assert started is not None
    left = store.previous / "encoder.h5"
    if "reset" in given:
        fresh = FakeModel(seed=11).export_state()["encoder"]["down/weight"]
        assert started.parts["encoder"]["down/weight"].tolist() == fresh.tolist()
        assert built[2]["model"].export_state()["encoder"]["down/weight"].tolist() == fresh.tolist()
    else:
        assert started.state.iteration == built[2]["model"].iteration == 5
    assert left.read_bytes() != (store.current / "encoder.h5").read_bytes()


@pytest.mark.parametrize(
    ("part", "words"),
    [("nonsense", r"--reset must be one of encoder, .*Received: nonsense"), ("GAN", "--reset must be one of")],
)
def test_a_part_that_does_not_exist_is_refused(
    faces: Path, tmp_path: Path, built: list[dict[str, Any]], part: str, words: str
) -> None:
    """Nonsense before the networks are built, which takes long; one that an option could switch on, after it."""
    train(faces, tmp_path / "model")
    with pytest.raises(BadOption, match=words):
        train(faces, tmp_path / "model", reset=part)
    assert len(built) == (1 if part == "nonsense" else 2)


class Listener(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_a_part_taken_out_starts_afresh_and_can_be_had_back(
    faces: Path, tmp_path: Path, built: list[dict[str, Any]]
) -> None:
    store = CheckpointStore(tmp_path / "model" / "new_Quick96")
    train(faces, tmp_path / "model")
    train(faces, tmp_path / "model", target_iteration=6)
    had = (store.previous / "encoder.h5").read_bytes()
    (store.current / "encoder.h5").unlink()
    listener = Listener()
    assert train(faces, tmp_path / "model", listener, target_iteration=7).iteration == 7
    said = "\n".join(listener.lines)
    assert "encoder.h5 was taken out of" in said
    assert "Started afresh, the rest is kept: encoder." in said
    assert "--restore-backup 1" in said
    assert (store.backups.find(1) / "encoder.h5").read_bytes() == had


def test_settings_of_the_model_are_kept_with_it(faces: Path, tmp_path: Path, built: list[dict[str, Any]]) -> None:
    train(faces, tmp_path / "model", batch_size=2)
    train(faces, tmp_path / "model", target_iteration=6, precision="bf16", device="0,1")
    assert [call["values"] for call in built] == [{"batch_size": 2, "size": "full"}] * 2
    assert [call["seed"] for call in built] == [11, 11]
    assert (built[1]["precision"], built[1]["device"]) == ("bf16", "0+1")


def test_the_seed_of_a_model_stays(faces: Path, tmp_path: Path, built: list[dict[str, Any]]) -> None:
    train(faces, tmp_path / "model")
    with pytest.raises(BadOption, match=r"The seed of this model is 11 and stays\. Received: 12\."):
        train(faces, tmp_path / "model", seed=12)


def test_the_size_of_a_model_stays(faces: Path, tmp_path: Path, built: list[dict[str, Any]]) -> None:
    train(faces, tmp_path / "model", size="small")
    train(faces, tmp_path / "model", target_iteration=6)
    assert [call["values"] for call in built] == [{"batch_size": 4, "size": "small"}] * 2
    with pytest.raises(BadOption, match=r"The size of this model is small and stays\. Received: full\."):
        train(faces, tmp_path / "model", size="full")


def test_which_model(faces: Path, tmp_path: Path, built: list[dict[str, Any]]) -> None:
    models = tmp_path / "model"
    train(faces, models, force_model_name="工作_1")
    train(faces, models, model_name="second", target_iteration=3)
    assert {p.name for p in models.iterdir()} == {"工作_1_Quick96", "second_Quick96"}
    assert train(faces, models, silent_start=True, target_iteration=4).iteration == 4  # second, the newest
    with pytest.raises(BadOption, match="name of a model cannot hold /"):
        train(faces, models, model_name="a/b")


def test_what_the_user_is_told(faces: Path, tmp_path: Path, built: list[dict[str, Any]]) -> None:
    said = Said()
    train(faces, tmp_path / "model", said)
    assert "5 src faces in" in said.all
    assert re.search("== +Model name: new_Quick96 +==", said.all)
    assert "Stopped at iteration 5: the target of 5 iterations is reached." in said.all
    assert "waiting for samples" in said.all
    box = next(text for text in said.texts if text.startswith("===") and " Model Summary " in text).splitlines()
    assert len({len(line) for line in box}) == 1


def test_a_faceset_that_is_not_there(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="nowhere"):
        run(Workspace(tmp_path), TrainOptions.of(training_data_src_dir=faces / "nowhere"), SILENT)
    assert not (tmp_path / "model").exists()


def test_two_trainings_of_one_model_are_refused(faces: Path, tmp_path: Path, built: list[dict[str, Any]]) -> None:
    with lock_model(tmp_path / "model" / "new_Quick96"), pytest.raises(FaceLoomError, match="by another process"):
        train(faces, tmp_path / "model")


def test_programs_are_refused_with_what_replaces_them(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"not supported.*--save-every") as caught:
        train(faces, tmp_path / "model", execute_program="-60 self.model_save()")
    assert caught.value.exit_code == 2


def test_debug_shows_samples_and_does_not_train(faces: Path, tmp_path: Path, built: list[dict[str, Any]]) -> None:
    written = run(Workspace(tmp_path), options(faces, tmp_path / "model", debug=True), SILENT)
    assert isinstance(written, list)
    assert [p.name for p in written] == ["samples src.png", "samples dst.png"]
    assert all(read_image(path).shape[1] > 4 * 192 for path in written)
    assert CheckpointStore(tmp_path / "model" / "new_Quick96").read() is None
    assert built[0]["model"].seen == []


def test_another_error_stays_what_it_is(
    faces: Path, tmp_path: Path, built: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FakeModel, batch: Any) -> dict[str, float]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(FakeModel, "train_step", fail)
    with pytest.raises(ZeroDivisionError):
        train(faces, tmp_path / "model")


SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
SIGNALS += [
    (getattr(signal, name), code) for name, code in (("SIGHUP", 129), ("SIGBREAK", 149)) if hasattr(signal, name)
]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_signals_save_and_stop(
    faces: Path, tmp_path: Path, built: list[dict[str, Any]], number: signal.Signals, code: int
) -> None:
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)  # whoever runs the tests may hold it off, as nohup does

    def send() -> None:
        while not built or built[0]["model"].iteration < 3:
            time.sleep(0.01)
        signal.raise_signal(number)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        with pytest.raises(Cancelled, match="all is saved") as caught:
            train(faces, tmp_path / "model", target_iteration=0)
        assert signal.getsignal(number) == usual
    finally:
        signal.signal(number, before)
    sender.join()
    assert caught.value.exit_code == code
    found = CheckpointStore(tmp_path / "model" / "new_Quick96").read()
    assert found is not None
    assert found.state.iteration == built[0]["model"].iteration >= 3
    summary = (tmp_path / "model" / "new_Quick96" / "summary.txt").read_text("utf-8")
    assert re.search(f"== +Current iteration: {found.state.iteration:,} +==", summary)


CLOSED_TERMINAL = """
import os, signal, sys
sys.path.insert(0, {repository!r})
if __name__ == "__main__":
    os.login_tty(0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    import mainscripts.train
    from mainscripts.cli import main
    from tests.models.fake_model import FakeModel
    mainscripts.train.build_model = lambda class_name, values, **rest: FakeModel(seed=rest["seed"])
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="pseudo terminals are POSIX")
def test_a_closed_terminal_saves(faces: Path, tmp_path: Path) -> None:
    import pty

    keyboard, terminal = pty.openpty()
    script = tmp_path / "script.py"
    script.write_text(CLOSED_TERMINAL.format(repository=str(REPOSITORY)))
    words = ["train", "--training-data-src-dir", faces / "src", "--training-data-dst-dir", faces / "dst", "--defaults"]
    words += ["--model-dir", tmp_path / "model", "--no-preview", "--workers", "1", "--workspace", tmp_path]
    words += ["--log", tmp_path / "step.log"]
    command = [sys.executable, str(script), *map(str, words)]
    trainer = subprocess.Popen(command, cwd=REPOSITORY, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    while b"[#0000" not in shown:
        shown += os.read(keyboard, 4096)
    time.sleep(0.2)
    os.close(keyboard)
    assert trainer.wait(timeout=30) == 128 + signal.SIGHUP
    assert "Stopped at iteration" in (tmp_path / "step.log").read_text("utf-8")
    found = CheckpointStore(tmp_path / "model" / "new_Quick96").read()
    assert found is not None
    assert found.state.iteration > 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("25", 1500),
        ("90s", 90),
        ("25m", 1500),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1,5h", 5400),
        (" 1H2M3S ", 3723),
        ("0.5", 30),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text, "save-every") == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "soon", "-5m", "5 m 3", "m", "1d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadOption, match="--save-every must be a time"):
        parse_duration(text, "save-every")


def test_help_loads_no_neural_framework() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(REPOSITORY / "main.py"), "train", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    for flag in ("--training-data-src-dir", "--no-preview", "--force-model-name", "--cpu-only", "--restore-backup"):
        assert flag in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert not imported & {"keras", "tensorflow", "h5py", "matplotlib"}


def test_figures_for_onlookers_lie_beside_the_checkpoint(
    faces: Path, tmp_path: Path, built: list[dict[str, Any]]
) -> None:
    report = train(faces, tmp_path / "model")
    figures = json.loads((tmp_path / "model" / "new_Quick96" / "report.json").read_text("utf-8"))
    assert figures["iteration"] == report.iteration == 5
    assert figures["seed"] == 11


def test_programs_are_refused_on_the_command_line_as_it_used_to_be(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--defaults", "--execute-program", "-60", "self.model_save()"]) == 2
    assert "--save-every" in capfd.readouterr().err


class Pretrained(FakeModel):
    """One whose decoder starts afresh after pretraining."""

    @property
    def parts_reset_after_pretraining(self) -> list[str]:
        return ["decoder_src"]


@pytest.mark.usefixtures("tiny")
def test_pretraining_and_its_end(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainscripts.train.build_model", lambda name, values, **rest: Pretrained(seed=rest["seed"]))
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path / "internal"))
    models, said = tmp_path / "model", Said()

    def go(target: int, **values: Any) -> TrainingReport:
        given = options(faces, models, target_iteration=target)
        report = run(Workspace(tmp_path), replace(given, model_values=values), said)
        assert isinstance(report, TrainingReport)
        return report

    with pytest.raises(BadOption, match=r"needs faces of many people.*--set pretrain=n"):
        go(3, pretrain=True)
    assert not models.exists()
    write_painted_faceset(tmp_path / "internal" / "pretrain_faces", count=3, side=64)
    assert go(3, pretrain=True).iteration == 3
    assert "3 pretraining faces in" in said.all
    assert "src faces in" not in said.all
    assert go(5).iteration == 5, "it goes on until it is switched off"
    assert go(2, pretrain=False).iteration == 2
    assert "Pretraining is over after 5 iterations." in said.all
    store = CheckpointStore(models / "new_Quick96")
    now, kept = store.read(), store.read(backup=1)
    assert now is not None
    assert kept is not None
    assert (now.state.iteration, now.state.options["pretrain"]) == (2, False)
    assert (kept.state.iteration, kept.state.options["pretrain"]) == (5, True)
    assert go(4).iteration == 4, "and is not ended a second time"
    assert said.all.count("Pretraining is over") == 1


@pytest.mark.usefixtures("tiny")
def test_the_box_and_the_file_have_every_setting(
    faces: Path, tmp_path: Path, built: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeModel, "training_bytes", 123_456_789)
    card = SimpleNamespace(name="GPU:0", description="a card", memory_bytes=8_000_000_000)
    monkeypatch.setattr(FakeModel, "devices", [card], raising=False)
    said = Said()
    given = replace(options(faces, tmp_path / "model", target_iteration=None), model_values={"target_iter": 4})
    report = run(Workspace(tmp_path), given, said)
    assert isinstance(report, TrainingReport)
    assert report.iteration == 4, "the model's own target"
    written = (tmp_path / "model" / "new_Quick96" / "summary.txt").read_text("utf-8")
    for text in (said.all, written):
        assert re.search("== +resolution: 128 +==", text)
        assert re.search("== +Memory: 123.5 MB of 8.0 GB, and the batch's +==", text)
    assert re.search("== +Current iteration: 0 +==", said.all)
    assert re.search("== +Current iteration: 4 +==", written)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"workers": 3}, (2, 1)),
        ({"workers": 2, "workers_dst": 0}, (1, 0)),
        ({"workers_src": 0, "workers_dst": 1}, (0, 1)),
    ],
)
def test_each_side_has_its_number_of_workers(
    faces: Path,
    tmp_path: Path,
    built: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, int],
    expected: tuple[int, int],
) -> None:
    started: list[tuple[int, int]] = []

    class Batches(TrainingBatches):
        def __init__(self, *positional: Any, **named: Any) -> None:
            started.append(named["workers"])
            super().__init__(*positional, **{**named, "workers": 0})

    monkeypatch.setattr("samplelib.batches.TrainingBatches", Batches)
    said = Said()
    train(faces, tmp_path / "model", said, **{"workers": None, **given})
    assert started == [expected]
    assert re.search(f"== +Sample processes: {expected[0]} src, {expected[1]} dst +==", said.all)


def test_chosen_preview_faces_stay_with_the_model(faces: Path, tmp_path: Path, built: list[dict[str, Any]]) -> None:
    name = next(iter(sorted((faces / "src").glob("*.jpg")))).name
    train(faces, tmp_path / "model", choose_preview_faces=name)
    train(faces, tmp_path / "model", target_iteration=6)
    found = CheckpointStore(tmp_path / "model" / "new_Quick96").read()
    assert found is not None
    assert found.state.options[KEPT_AS] == [name]


def test_unknown_answers_of_another_version_are_kept(faces: Path, tmp_path: Path, built: list[dict[str, Any]]) -> None:
    save_model(tmp_path / "model", "new", 2, batch_size=2, from_the_future="x")
    assert train(faces, tmp_path / "model", seed=None).iteration == 5
    found = CheckpointStore(tmp_path / "model" / "new_Quick96").read()
    assert found is not None
    assert found.state.options == {"batch_size": 2, "size": "full", "from_the_future": "x"}


def test_progress_as_json(
    faces: Path, tmp_path: Path, built: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    train(faces, tmp_path / "model", json=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all("event" in json.loads(line) for line in lines)


def test_a_target_that_is_reached_says_how_to_train_on(
    faces: Path, tmp_path: Path, built: list[dict[str, Any]]
) -> None:
    train(faces, tmp_path / "model")
    said = Said()
    assert train(faces, tmp_path / "model", said).session_iterations == 0
    assert "To train on, set another target: --target-iteration 0 means none." in said.all
