"""What README promises is what the code does: every command, script and flag is in it, its tables are up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.options import specs
from mainscripts.commands import COMMANDS, Command
from mainscripts.generated import BLOCKS, fill_blocks
from mainscripts.steps import STEPS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_generated_parts_are_up_to_date(readme: str) -> None:
    assert readme == fill_blocks(readme, BLOCKS, Path("README.md")), "Run main.py steps --write."
    for name in BLOCKS:
        assert f"<!-- generated: {name} -->" in readme


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.words)
def test_every_command_and_flag_is_in_it(readme: str, command: Command) -> None:
    assert f"`{command.words}`" in readme
    for spec in specs(command.load()[0]):
        assert f"`--{spec.flag}`" in readme


def test_every_script_is_in_it(readme: str) -> None:
    for step in STEPS:
        assert step.name in readme
        assert step.sh_name in readme


def test_the_two_commands_stand_in_it(readme: str) -> None:
    for line in (
        "bash bat/faceloom.sh demo",
        "bash bat/faceloom.sh test",
        "bat\\faceloom.bat demo",
        "bat\\faceloom.bat test",
    ):
        assert line in readme


def test_continuous_integration_runs_what_it_says() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == ['exec bash "$(dirname -- "$0")/../bat/faceloom.sh" test "$@"']


def test_files_it_points_at_exist(readme: str) -> None:
    """Pictures and links inside the repository, and folders of the house map."""
    for target in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / target).exists(), target
    for folder in re.findall(r"^\| \d \| `([\w./]+)` \|", readme, re.MULTILINE):
        assert (ROOT / folder).exists(), folder


def test_licence_and_pins_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    for name in ("requirements.txt", "requirements-dev.txt"):
        pins = [line for line in (ROOT / name).read_text().splitlines() if line and line[0] not in "#-"]
        assert pins
        assert all(re.fullmatch(r"[A-Za-z0-9_.\-\[\]]+==[0-9][0-9A-Za-z.]*( ;.*)?", pin) for pin in pins), pins
