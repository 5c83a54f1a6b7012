"""`model list`, `model rename`, `model delete`, as a script calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mainscripts.cli import main
from models.registry import list_models
from tests.mainscripts.trained import save_model


@pytest.fixture
def here(odd_folder: Path) -> list[str]:
    """Words that name a workspace with one model."""
    save_model(odd_folder / "model", "new", 12)
    return ["--workspace", str(odd_folder)]


def names(here: list[str]) -> list[str]:
    return [m.name for m in list_models(Path(here[1]) / "model", "Quick96")]


def test_list(here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "list", *here]) == 0
    assert "Quick96  new  iteration 12, saved " in capsys.readouterr().out
    assert main(["model", "list", "--model", "Quick96", "--json", *here]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["class"], row["iteration"]) == ("new", "Quick96", 12)
    assert Path(row["folder"]).is_dir()


def test_an_empty_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "list", "--workspace", str(tmp_path)]) == 0
    assert "There is no trained model in" in capsys.readouterr().out


def test_rename(here: list[str]) -> None:
    words = ["model", "rename", "--model", "quick96", "--model-name", "new", "--new-name", "best one", *here]
    assert main(words) == 0
    assert names(here) == ["best one"]
    assert main(words) == 2, "it is not there any more"


def test_delete_needs_agreement_and_undo_brings_back(here: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    words = ["model", "delete", "--model", "Quick96", "--model-name", "new", *here]
    assert main(words) == 4
    assert "--yes" in capfd.readouterr().out
    assert names(here) == ["new"]
    assert main([*words, "--yes"]) == 0
    assert names(here) == []
    assert main(["workspace", "undo", *here]) == 0
    assert names(here) == ["new"]


@pytest.mark.parametrize(("typed", "code", "left"), [("delete", 0, []), ("", 130, ["new"]), ("y", 130, ["new"])])
def test_delete_asks_for_the_word(
    here: list[str], monkeypatch: pytest.MonkeyPatch, typed: str, code: int, left: list[str]
) -> None:
    monkeypatch.setattr("core.console.is_interactive", lambda: True)
    monkeypatch.setattr("core.console.read_line", lambda prompt: typed)
    assert main(["model", "delete", "--model", "Quick96", "--model-name", "new", *here]) == code
    assert names(here) == left
