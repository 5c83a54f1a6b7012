"""`steps`: writes the scripts and the tables of the documentation, and tells when they are out of date."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import BrokenFile, FaceLoomError
from core.options import specs
from core.paths import Workspace
from core.progress import SILENT
from mainscripts import generated
from mainscripts.commands import COMMANDS
from mainscripts.generated import StepsOptions, fill_blocks, options_tables, outdated, run, settings_tables
from mainscripts.steps import scripts
from models.registry import MODEL_CLASSES, options_class

WORKSPACE = Workspace(Path("unused"))


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with an empty bat/, and a README and a page of docs/ with one generated part each."""
    (tmp_path / "bat").mkdir()
    (tmp_path / "bat" / "faceloom.sh").write_text("by hand")
    (tmp_path / "README.md").write_text("# Top\n<!-- generated: steps -->\nold\n<!-- end -->\nBottom\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "models.md").write_text("<!-- generated: models -->\n<!-- end -->\n")
    (tmp_path / "docs" / "plain.md").write_text("Nothing in here is generated.\n")
    monkeypatch.setattr(generated, "repository_root", lambda: tmp_path)
    return tmp_path


def test_write_makes_everything_and_then_nothing_more(house: Path) -> None:
    (house / "bat" / "0) gone.bat").write_text("a step that no longer exists")
    written = run(WORKSPACE, StepsOptions(write=True), SILENT)
    assert {p.name for p in written} == {*scripts(), "0) gone.bat", "README.md", "models.md"}
    assert {p.name for p in (house / "bat").iterdir()} == {*scripts(), "faceloom.sh"}
    readme = (house / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# Top\n<!-- generated: steps -->\n| step |")
    assert readme.endswith("|\n<!-- end -->\nBottom\n")
    assert (house / "docs" / "models.md").read_text(encoding="utf-8").startswith("<!-- generated: models -->\n### ")
    assert os.name == "nt" or os.access(house / "bat" / "1_clear_workspace.sh", os.X_OK)
    assert run(WORKSPACE, StepsOptions(write=True), SILENT) == []


def test_check_names_what_differs(house: Path) -> None:
    run(WORKSPACE, StepsOptions(write=True), SILENT)
    assert run(WORKSPACE, StepsOptions(check=True), SILENT) == []
    script = house / "bat" / "1) clear workspace.bat"
    script.write_bytes(script.read_bytes().replace(b"\r\n", b"\n"))
    assert list(outdated(house)) == [script]
    page = house / "docs" / "models.md"
    page.write_text(page.read_text(encoding="utf-8").replace("resolution", "size"))
    with pytest.raises(FaceLoomError, match=r"Out of date: 1\) clear workspace\.bat, models\.md\."):
        run(WORKSPACE, StepsOptions(check=True), SILENT)


def test_without_flags_nothing_is_written(house: Path) -> None:
    assert run(WORKSPACE, StepsOptions(), SILENT) == []
    assert {p.name for p in (house / "bat").iterdir()} == {"faceloom.sh"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<!-- generated: nonsense -->\n<!-- end -->", 'no generated part named "nonsense"'),
        ("<!-- generated: steps -->\nand no end", "has no <!-- end -->"),
    ],
)
def test_broken_markers_are_told(text: str, sentence: str) -> None:
    with pytest.raises(BrokenFile, match=sentence):
        fill_blocks(text, {"steps": lambda: "x"}, Path("README.md"))


def test_only_the_parts_between_markers_change() -> None:
    text = "a\n<!-- generated: x -->\n<!-- end -->\nb\n<!-- generated: x -->\n1\n2\n<!-- end -->"
    filled = "a\n<!-- generated: x -->\nNEW\n<!-- end -->\nb\n<!-- generated: x -->\nNEW\n<!-- end -->"
    assert fill_blocks(text, {"x": lambda: "NEW"}, Path("f")) == filled
    assert fill_blocks(filled, {"x": lambda: "NEW"}, Path("f")) == filled


def test_the_tables_hold_every_command() -> None:
    tables = options_tables()
    for command in COMMANDS:
        assert f"## `{command.words}`\n\n{command.summary}" in tables
    for flag in ("--workspace DIR", "--defaults", "--yes", "--progress bar/json/none"):
        assert f"| `{flag}` |" in tables


def test_the_settings_of_every_class_are_there() -> None:
    text = settings_tables()
    for class_name in MODEL_CLASSES:
        assert f"### {class_name}" in text
        for spec in specs(options_class(class_name)):
            (row,) = [
                line
                for line in text.split(f"### {class_name}")[1].split("###")[0].splitlines()
                if f"| `{spec.name}` |" in line
            ]
            assert ("Stays as it is" in row) is spec.fixed
