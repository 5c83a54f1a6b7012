"""The settings of a model: which value wins, what is asked when, what cannot change, what is remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadOption, BrokenFile, MissingInput
from core.paths import Workspace
from mainscripts.answers import Talk, recall, remember
from mainscripts.cli import main, parse
from mainscripts.train_models import saved_state
from mainscripts.train_questions import (
    further_words,
    given_values,
    read_options_file,
    remembered_key,
    settle_further,
    settle_values,
)
from tests.mainscripts.trained import Person, enter_is, save_model, talk, tiny, train_options  # noqa: F401

pytestmark = pytest.mark.usefixtures("tiny")

ALL = ["Target iteration", "Write preview history", "Batch size", "Resolution", "Power", "Pretraining"]
SAVED: dict[str, Any] = {
    "target_iter": 9,
    "batch_size": 6,
    "resolution": 96,
    "power": 0.5,
    "patch": 7,
    "from_the_future": 1,
}


@pytest.fixture(autouse=True)
def faces(tmp_path: Path) -> None:
    """The workspace has files that look like faces."""
    for folder in (Workspace(tmp_path).data_src_aligned, Workspace(tmp_path).data_dst_aligned):
        folder.mkdir(parents=True)
        (folder / "00001_0.jpg").touch()


def test_a_new_model_is_asked_everything_once_in_order(tmp_path: Path) -> None:
    person = Person("mine", "1000", "", "8", "96", "", "")
    options = settle_further(train_options(tmp_path / "model"), talk(tmp_path, person))
    assert person.labels == ["Name of the new model", *ALL]
    assert options.model_name == "mine"
    assert settle_values("Quick96", given_values(options), None)["resolution"] == 96
    assert further_words(options) == ["--set", "target_iter=1000", "--set", "batch_size=8", "--set", "resolution=96"]


def test_a_condition_opens_its_question(tmp_path: Path) -> None:
    person = Person("", "", "", "", "96", "0.1", "", "")
    options = settle_further(train_options(tmp_path / "model"), talk(tmp_path, person))
    assert person.labels[-2:] == ["Patch", "Pretraining"]
    assert person.questions[-2].startswith("[12] Patch")
    assert "patch=12" in further_words(options)


def test_what_is_given_is_not_asked(tmp_path: Path) -> None:
    person = Person("", "", "", "", "")
    options = settle_further(
        train_options(tmp_path / "model", batch_size=2), talk(tmp_path, person, resolution="96", power="0")
    )
    assert person.labels == ["Name of the new model", "Target iteration", "Write preview history", "Pretraining"]
    assert given_values(options) | {} == {
        "batch_size": 2,
        "resolution": 96,
        "power": 0.0,
        "target_iter": 0,
        "write_preview_history": False,
        "pretrain": False,
    }


def test_the_answers_are_offered_for_the_next_new_model_and_taken_without_questions(tmp_path: Path) -> None:
    settle_further(train_options(tmp_path / "model"), talk(tmp_path, Person("a", "5", "", "8", "96", "", "")))
    kept = recall(Workspace(tmp_path), remembered_key("Quick96"))
    assert kept == {
        "target_iter": 5,
        "write_preview_history": False,
        "batch_size": 8,
        "resolution": 96,
        "power": 0.0,
        "pretrain": False,
    }
    assert settle_values("Quick96", {}, None, kept)["resolution"] == 96
    person = Person("b", "", "", "4", "", "", "")
    options = settle_further(train_options(tmp_path / "model"), talk(tmp_path, person))
    assert person.questions[1].startswith("[5] Target")
    repeated = further_words(options)
    assert "batch_size=4" in repeated, "the default, which the remembered answer would hide"
    again = [word.partition("=") for word in repeated if word != "--set"]
    assert settle_values("Quick96", {n: v for n, _, v in again}, None, kept) == {
        **kept,
        "batch_size": 4,
        "patch": 12,
    }


def test_a_trained_model_goes_on_without_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "model", "new", **SAVED)
    asked = enter_is(monkeypatch, False)
    person = Person("0")
    options = settle_further(train_options(tmp_path / "model"), talk(tmp_path, person))
    assert asked == ["Press Enter within 2 seconds to change the settings of this model"]
    assert len(person.questions) == 1
    assert options.model_values == {}
    values = settle_values("Quick96", given_values(options), SAVED)
    assert (values["resolution"], values["batch_size"], values["power"]) == (96, 6, 0.5)


def test_enter_asks_for_what_can_still_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "model", "new", **SAVED)
    enter_is(monkeypatch, True)
    person = Person("", "", "", "", "0", "")
    options = settle_further(train_options(tmp_path / "model"), talk(tmp_path, person))
    assert person.labels[1:] == ["Target iteration", "Write preview history", "Batch size", "Power", "Pretraining"]
    assert person.questions[3].startswith("[6] Batch size")
    assert options.model_values == {"power": 0.0}
    assert further_words(options) == ["--set", "power=0.0"], "its default, but not what the model had"
    assert recall(Workspace(tmp_path), remembered_key("Quick96")) == {}, "only new models are remembered"


def test_without_faces_nothing_is_asked_of_a_new_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path / "internal"))
    dst = Workspace(tmp_path).data_dst_aligned / "00001_0.jpg"
    dst.unlink()
    person = Person("mine")
    with pytest.raises(MissingInput, match=r"There is no face to work with in .*data_dst.* Run the step"):
        settle_further(train_options(tmp_path / "model"), talk(tmp_path, person))
    assert person.labels == ["Name of the new model"]
    (tmp_path / "internal" / "pretrain_faces").mkdir(parents=True)
    (tmp_path / "internal" / "pretrain_faces" / "00001_0.jpg").touch()  # it can still pretrain
    person = Person("mine", "", "", "", "", "", "y")
    settle_further(train_options(tmp_path / "model"), talk(tmp_path, person))
    assert len(person.questions) == 7


def test_a_damaged_model_is_not_asked_about_as_a_new_one(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", "new", **SAVED)
    (folder / "checkpoint" / "state.json").write_text("{")
    person = Person("0")
    options = settle_further(train_options(tmp_path / "model"), talk(tmp_path, person))
    assert len(person.questions) == 1, "which model"
    assert options.model_values == {}
    assert recall(Workspace(tmp_path), remembered_key("Quick96")) == {}


@pytest.mark.parametrize("edit", [True, False])
def test_a_flag_answers_the_question_of_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: bool
) -> None:
    save_model(tmp_path / "model", "new", **SAVED)
    asked = enter_is(monkeypatch, not edit)
    person = Person(*[""] * 7)
    settle_further(train_options(tmp_path / "model", edit_options=edit, silent_start=True), talk(tmp_path, person))
    assert asked == []
    assert bool(person.questions) is edit


def test_the_preview_history_asks_for_its_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "model", "new", **SAVED)
    person = Person("", "y", "", "", "", "", "random")
    given = train_options(tmp_path / "model", edit_options=True, silent_start=True)
    options = settle_further(given, talk(tmp_path, person))
    assert person.labels[-1] == "Faces of the preview history: empty for the usual ones, random, or names"
    assert options.choose_preview_faces == "random"


def test_without_anybody_nothing_is_asked_and_nothing_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(tmp_path / "model", "new", **SAVED)
    asked = enter_is(monkeypatch, True)
    options = settle_further(train_options(tmp_path / "model"), talk(tmp_path, None, batch_size="3"))
    assert asked == []
    assert settle_values("Quick96", given_values(options), SAVED)["batch_size"] == 3


@pytest.mark.parametrize("with_person", [True, False])
def test_what_is_fixed_stays(tmp_path: Path, with_person: bool) -> None:
    save_model(tmp_path / "model", "new", **SAVED)
    given = train_options(tmp_path / "model", silent_start=True, values={"resolution": "128"})
    with pytest.raises(BadOption, match=r"The resolution of this model is 96 and stays\. Received: 128\."):
        if with_person:
            settle_further(given, talk(tmp_path, Person(), resolution="128"))
        else:
            settle_values("Quick96", given_values(given), SAVED)
    assert settle_values("Quick96", {"resolution": "96"}, SAVED)["resolution"] == 96


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"colour": 1}, r"no setting of that name\. Received: colour\. Settings: target_iter, .*pretrain"),
        (
            {"batch_size": "999"},
            r"batch_size: Batch size must be a whole number \(1-256\)\. Received: 999\. Give it as",
        ),
        ({"power": True}, r"power: Power must be a number"),
    ],
)
def test_bad_settings_are_refused_with_what_there_is(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadOption, match=sentence):
        settle_values("Quick96", given, None)


def test_a_file_with_a_setting_that_does_not_exist_is_refused_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"colour": 1}')
    options = train_options(tmp_path / "model", options_file=tmp_path / "run.json")
    with pytest.raises(BadOption, match=r"Received: colour\."):
        settle_further(options, talk(tmp_path))


def test_what_was_typed_is_repeated_as_it_was_meant(tmp_path: Path) -> None:
    given: dict[str, Any] = {"write_preview_history": "y", "pretrain": "no", "power": "0,5", "batch_size": "4"}
    options = settle_further(train_options(tmp_path / "model"), talk(tmp_path, **given))
    assert further_words(options) == ["--set", "write_preview_history=y", "--set", "power=0.5"]


def test_set_beats_the_file_of_options_which_beats_the_answers(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text('{"power": 0.25, "batch_size": 5, "target_iter": 7}', "utf-8")
    answers = {"power": 0.75, "target_iter": 8, "resolution": 256}
    order = Talk(Workspace(tmp_path), {**answers, "batch_size": "2"}, set(answers), (), None)
    options = settle_further(train_options(tmp_path / "model", options_file=file), order)
    values = settle_values("Quick96", given_values(options), None)
    assert [values[n] for n in ("power", "batch_size", "target_iter", "resolution")] == [0.25, 2, 7, 256]


def test_settings_come_from_another_model(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "other", resolution=96, power=0.5)
    assert read_options_file(folder / "checkpoint" / "options.json") == {"resolution": 96, "power": 0.5}
    assert read_options_file(None) == {}
    folder = save_model(tmp_path, "watched", power=0.5, preview_faces=["00001_0.jpg"])
    assert read_options_file(folder / "checkpoint" / "options.json") == {"power": 0.5}


def test_a_file_that_a_windows_editor_has_saved(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"batch_size": 8}', "utf-8-sig")
    assert read_options_file(tmp_path / "run.json") == {"batch_size": 8}


@pytest.mark.parametrize("text", ["[1]", "{", "7"])
def test_a_broken_file_of_options(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(BrokenFile, match=r"run\.json"):
        read_options_file(tmp_path / "run.json")
    with pytest.raises(MissingInput, match="cannot be read"):
        read_options_file(tmp_path / "gone.json")


def test_pretraining_without_faces_is_not_taken_for_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path / "internal"))
    person = Person("", "", "", "", "", "", "y", "")
    said: list[str] = []
    monkeypatch.setattr("core.console.say", said.append)
    options = settle_further(train_options(tmp_path / "model"), talk(tmp_path, person))
    assert person.labels[-2:] == ["Pretraining", "Pretraining"]
    assert options.model_values["pretrain"] is False
    assert any("there are none in" in sentence for sentence in said)


def test_the_command_line_knows_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = parse(["train", "--set", "power=0.5", "--set", "target-iter=3", "--set", "stop_after=1s"])
    assert call is not None
    assert call.further == {"power": "0.5", "target_iter": "3"}
    assert call.given == {"stop_after": "1s"}
    with pytest.raises(BadOption, match=r"Options: target_iter, .*pretrain, training_data_src_dir"):
        parse(["train", "--set", "colour=1"])
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "settings of a Quick96 model, given by --set NAME=VALUE" in shown
    assert "Resolution (64-640). Default: 128. Cannot be changed later." in shown


def test_remembered_answers_of_other_steps_stay(tmp_path: Path) -> None:
    remember(Workspace(tmp_path), "extract", {"a": 1})
    remember(Workspace(tmp_path), remembered_key("Quick96"), {"batch_size": 2})
    assert recall(Workspace(tmp_path), "extract") == {"a": 1}
    written = json.loads(Workspace(tmp_path).answers_file.read_text("utf-8"))
    assert written == {"extract": {"a": 1}, "new Quick96": {"batch_size": 2}}


def test_an_untouched_state_is_what_was_saved(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "a", iterations=4, **SAVED)
    state = saved_state(folder)
    assert state is not None
    assert (state.iteration, state.options) == (4, SAVED)
