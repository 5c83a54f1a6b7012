"""The table of commands: every entry leads to a function with options, and has something to say."""

from __future__ import annotations

import inspect

import pytest

from core.asking import TerminalAsker
from core.errors import BadOption
from core.options import Options, specs
from mainscripts.cli import describe, parser_for
from mainscripts.commands import COMMANDS, Command, find_command, group
from models.registry import MODEL_CLASSES, options_class


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.words)
def test_every_command_is_there(command: Command) -> None:
    options_class, function = command.load()
    assert issubclass(options_class, Options)
    assert list(inspect.signature(function).parameters)[:3] == ["workspace", "options", "progress"]
    assert function.__doc__
    names = {spec.name for spec in specs(options_class)}
    assert set(command.prints) <= names
    assert command.summary.endswith(".")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.words)
def test_every_flag_has_help_and_no_two_are_one(command: Command) -> None:
    known = specs(command.load()[0])
    flags = [spec.flag for spec in known]
    assert len(set(flags)) == len(flags)
    text = " ".join(parser_for(command, known).format_help().split())
    for spec in known:
        assert spec.label
        assert f"--{spec.flag}" in text
        assert describe(spec).split()[0] in text


def test_commands_are_found_by_one_or_two_words() -> None:
    found = find_command(["workspace", "clear", "--yes"])
    assert found is not None
    assert found[0].words == "workspace clear"
    assert found[1] == ["--yes"]
    assert find_command(["workspace"]) is None
    assert find_command([]) is None
    assert {c.words for c in group("workspace")} == {"workspace status", "workspace clear", "workspace undo"}


def test_no_command_is_the_beginning_of_another() -> None:
    words = [c.words for c in COMMANDS]
    assert len(set(words)) == len(words)
    assert not {w for w in words if group(w)}


def test_an_unknown_command_names_close_ones() -> None:
    with pytest.raises(BadOption, match="Did you mean: doctor"):
        find_command(["docter"])


def test_every_question_fits_a_usual_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns; a default that depends on other answers is not counted."""
    monkeypatch.setenv("COLUMNS", "80")
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "0"

    asker = TerminalAsker(answer, asked.append)
    classes = [command.load()[0] for command in COMMANDS] + [options_class(name) for name in MODEL_CLASSES]
    for spec in (spec for one in classes for spec in specs(one) if spec.ask and spec.choices):
        asker.ask(spec, None if callable(spec.default) else spec.default)
    assert "[overlay] Mode ( 0-6 ?:help ) : " in asked
    assert [line for line in asked if len(line) > 80] == []
