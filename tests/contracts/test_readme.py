"""What README and docs/ promise is what the code does: every command, script and flag is told, tables are fresh."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.options import specs
from mainscripts.commands import COMMANDS, Command
from mainscripts.generated import BLOCKS, fill_blocks, pages
from mainscripts.steps import STEPS

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 10
CHARACTERS_A_MINUTE = 1500


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    """Every page of the documentation."""
    return {page: page.read_text(encoding="utf-8") for page in pages(ROOT)}


@pytest.fixture(scope="module")
def everything(texts: dict[Path, str]) -> str:
    return "\n".join(texts.values())


def test_the_generated_parts_are_up_to_date(texts: dict[Path, str]) -> None:
    for page, text in texts.items():
        assert text == fill_blocks(text, BLOCKS, page), "Run main.py steps --write."
    for name in BLOCKS:
        assert sum(text.count(f"<!-- generated: {name} -->") for text in texts.values()) == 1, name


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.words)
def test_every_command_and_flag_is_told(everything: str, command: Command) -> None:
    assert f"`{command.words}`" in everything
    for spec in specs(command.load()[0]):
        assert f"`--{spec.flag}`" in everything


def test_every_script_is_told(everything: str) -> None:
    for step in STEPS:
        assert step.name in everything
        assert step.sh_name in everything


def test_scripts_that_are_named_exist(everything: str) -> None:
    names = [step.name for step in STEPS]
    named = re.findall(r"`(\d[\w.]*\) [^`]+)`", everything)
    assert len(named) >= 8
    assert [name for name in named if not any(known.startswith(name) for known in names)] == []


def test_flags_that_are_named_exist(texts: dict[Path, str]) -> None:
    """A flag in a sentence is one that some command, the launcher or a benchmark knows."""
    known = {spec.flag for command in COMMANDS for spec in specs(command.load()[0])}
    tables = re.compile(r"<!-- generated: \w+ -->.*?<!-- end -->", re.DOTALL)
    every = "".join(found for text in texts.values() for found in tables.findall(text))
    elsewhere = (ROOT / "benchmarks").glob("*.py")
    every += "".join(path.read_text(encoding="utf-8") for path in elsewhere) + "--help"
    for page, text in texts.items():
        for flag in re.findall(r"--[a-z][a-z0-9-]+", tables.sub("", text)):
            assert flag[2:].removeprefix("no-") in known or re.search(flag + r"\b", every), f"{page.name}: {flag}"


def test_the_two_commands_stand_in_it(readme: str) -> None:
    for line in (
        "bash bat/faceloom.sh demo",
        "bash bat/faceloom.sh test",
        "bat\\faceloom.bat demo",
        "bat\\faceloom.bat test",
    ):
        assert line in readme


def test_readme_is_read_in_minutes(readme: str) -> None:
    """What is looked up stands in docs/; README leads there, to every page."""
    assert len(readme) < MINUTES * CHARACTERS_A_MINUTE
    for page in pages(ROOT)[1:]:
        assert f"](docs/{page.name})" in readme


def test_continuous_integration_runs_what_it_says() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == ['exec bash "$(dirname -- "$0")/../bat/faceloom.sh" test "$@"']


def test_files_they_point_at_exist(texts: dict[Path, str], readme: str) -> None:
    """Pictures and links inside the repository, scripts of benchmarks, and folders of the house map."""
    for page, text in texts.items():
        for target in re.findall(r"\]\(([^)#:]+)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
        for script in re.findall(r"`(benchmarks/\w+\.py)", text):
            assert (ROOT / script).exists(), f"{page.name}: {script}"
    folders = re.findall(r"^\| \d \| `([\w./]+)` \|", readme, re.MULTILINE)
    assert len(folders) >= 7
    for folder in folders:
        assert (ROOT / folder).exists(), folder


def test_licence_and_pins_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    for name in ("requirements.txt", "requirements-dev.txt"):
        pins = [line for line in (ROOT / name).read_text().splitlines() if line and line[0] not in "#-"]
        assert pins
        assert all(re.fullmatch(r"[A-Za-z0-9_.\-\[\]]+==[0-9][0-9A-Za-z.]*( ;.*)?", pin) for pin in pins), pins
