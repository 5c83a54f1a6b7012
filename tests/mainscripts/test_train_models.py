"""The menu of models: choosing by number or name, renaming, deleting, one class at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import BadOption, FaceLoomError
from core.files import newest_box, undo_box
from core.paths import Workspace
from mainscripts.train_models import choose_model, delete_model, rename_model, saved_state
from models.backups import Backups
from models.model_lock import lock_model
from models.registry import find_model, list_models
from tests.mainscripts.trained import Person, save_model, train_options


@pytest.fixture
def models(odd_folder: Path) -> Path:
    """Two Quick96 models and one of another class that has the name of one of them."""
    folder = odd_folder / "model"
    for age, (name, iterations) in enumerate({"young": 7, "old_one": 5}.items()):
        checkpoint = save_model(folder, name, iterations) / "checkpoint"
        os.utime(checkpoint, (1e9 - age, 1e9 - age))
    save_model(folder, "young", 2, class_name="Other")
    return folder


def choose(models: Path, *lines: str) -> tuple[str, Person]:
    person = Person(*lines)
    workspace = Workspace(models.parent)
    return choose_model(workspace, train_options(models), person.asker, person.said.append), person


def test_the_newest_comes_first_and_a_number_or_a_name_chooses(models: Path) -> None:
    name, person = choose(models, "1")
    assert name == "old_one"
    assert person.said[0].startswith("[0] : young - iteration 7, saved ")
    assert person.said[0].endswith(" - latest")
    assert person.said[1].startswith("[1] : old_one - iteration 5, saved ")
    assert "r to rename one, d to delete one" in person.questions[0]
    assert choose(models, "")[0] == "young"
    assert choose(models, "another")[0] == "another"


def test_the_first_model_gets_a_name(tmp_path: Path) -> None:
    name, person = choose(tmp_path / "model", "")
    assert name == "new"
    assert person.said[0] == "There is no Quick96 model yet."
    name, person = choose(tmp_path / "model", "R", "a/b", "mine")
    assert name == "mine"
    assert any("mean rename and delete in the menu" in line for line in person.said)
    assert any("cannot hold /" in line for line in person.said)


def test_rename_and_go_on(models: Path) -> None:
    name, person = choose(models, "r", "1", "工作", "工作")
    assert name == "工作"
    assert sorted(p.name for p in models.iterdir()) == sorted(["young_Quick96", "young_Other", "工作_Quick96"])
    assert "Renamed: old_one is now 工作." in person.said
    assert any(line.startswith("[1] : 工作") for line in person.said), "the list is shown again"


def test_the_merge_session_of_a_model_goes_where_the_model_goes(models: Path) -> None:
    for name in ("young_Quick96_merger_session.json", "young_Other_merger_session.json"):
        (models / name).write_text(name)
    (models / "young_Quick96_merger_session.earlier").mkdir()
    rename_model(find_model(models, "Quick96", "young"), "grown up")
    assert (models / "grown up_Quick96_merger_session.json").read_text() == "young_Quick96_merger_session.json"
    assert (models / "grown up_Quick96_merger_session.earlier").is_dir()
    box = delete_model(find_model(models, "Quick96", "grown up"), models / "trash")
    assert not list(models.glob("*up_Quick96*"))
    assert (models / "young_Other_merger_session.json").exists()
    undo_box(box)
    assert (models / "grown up_Quick96_merger_session.json").exists()


def test_delete_asks_and_can_be_undone(models: Path) -> None:
    name, person = choose(models, "d", "young", "n", "d", "0", "y", "")
    assert name == "old_one"
    asked = [question for question in person.questions if "with its backups into the trash" in question]
    assert len(asked) == 2
    assert asked[0].startswith("[n] Move young (iteration 7, saved")
    assert [p.name for p in models.iterdir() if p.name.startswith("young")] == ["young_Other"]
    box, record = newest_box(Workspace(models.parent).trash)
    assert record["reason"] == "model delete young_Quick96"
    undo_box(box)
    assert find_model(models, "Quick96", "young").iteration == 7


def test_empty_answers_change_nothing(models: Path) -> None:
    before = sorted(models.iterdir())
    choose(models, "r", "", "d", "", "r", "0", "", "")
    assert sorted(models.iterdir()) == before


def test_what_cannot_be_is_said_and_the_menu_goes_on(models: Path) -> None:
    name, person = choose(models, "r", "0", "old_one", "d", "nobody", "0")
    assert name == "young"
    assert any("There is a Quick96 model of that name. Received: old_one." in line for line in person.said)
    assert any("no Quick96 model of that name" in line and "Received: nobody." in line for line in person.said)


def test_a_model_in_training_is_left_alone(models: Path) -> None:
    saved = find_model(models, "Quick96", "young")
    with lock_model(saved.folder):
        with pytest.raises(FaceLoomError, match="being trained"):
            rename_model(saved, "b")
        with pytest.raises(FaceLoomError, match="being trained"):
            delete_model(saved, models / "trash")
    assert len(list_models(models, "Quick96")) == 2


def test_a_name_that_cannot_be_one(models: Path) -> None:
    with pytest.raises(BadOption, match="cannot hold /"):
        rename_model(find_model(models, "Quick96"), "a/b")
    with pytest.raises(BadOption, match="mean rename and delete"):
        rename_model(find_model(models, "Quick96"), "d")


def test_the_state_of_a_damaged_checkpoint_is_that_of_the_one_before(models: Path) -> None:
    folder = save_model(models, "twice", 3, batch_size=2)
    Backups(folder / "backups").make(folder / "checkpoint")
    save_model(models, "twice", 4, batch_size=8)
    newest = saved_state(folder)
    assert newest is not None
    assert newest.iteration == 4
    (folder / "checkpoint" / "state.json").write_text("{")
    for backup in (None, 1):
        state = saved_state(folder, backup)
        assert state is not None
        assert (state.iteration, state.options) == (3, {"batch_size": 2})
    assert saved_state(models / "nobody_Quick96") is None
