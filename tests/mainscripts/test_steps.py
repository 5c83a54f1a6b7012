"""The table of steps and the two scripts of each. That the files in bat/ equal it: tests/contracts/test_scripts.py."""

from __future__ import annotations

import pytest

from core.files import natural_key
from mainscripts.steps import DROPPED, STEPS, Step, bat_script, scripts, sh_script, steps_table

STEP = Step("4.2", "data_src mask - edit (all)", (("paint", "--input-dir", "{workspace}/x"),), "Paints.")
TWO = Step("8", "two", (("a", "b"), ("c", "--d")), "Runs two commands.")
DROP = Step("3", "cut", (("cut", "--file", DROPPED),), "Takes a file.")


def test_names_follow_the_rule_of_the_specification() -> None:
    """`)` after the number -> `_`, other parentheses go, ` - ` -> `_`, blanks -> `_`."""
    assert STEP.bat_name == "4.2) data_src mask - edit (all).bat"
    assert STEP.sh_name == "4.2_data_src_mask_edit_all.sh"


def test_the_sh_script() -> None:
    assert sh_script(STEP).splitlines() == [
        "#!/bin/sh",
        "# 4.2) data_src mask - edit (all): Paints. Written by `main.py steps --write`.",
        'exec sh "$(dirname -- "$0")/faceloom.sh" paint --input-dir \'{workspace}/x\' "$@"',
    ]


def test_the_bat_script() -> None:
    assert bat_script(STEP).split("\r\n") == [
        "@echo off",
        "rem 4.2) data_src mask - edit (all): Paints. Written by main.py steps --write.",
        "setlocal",
        'set "FACELOOM_SCRIPT=%~nx0"',
        '"%~dp0faceloom.bat" paint --input-dir {workspace}/x %*',
        "",
    ]


def test_two_commands_go_in_one_line_and_both_take_what_the_user_adds() -> None:
    assert 'a b "$@" --then c --d "$@"' in sh_script(TWO)
    assert "a b %* --then c --d %*" in bat_script(TWO)


def test_a_dropped_file_is_one_word_and_the_rest_follows() -> None:
    assert 'cut --file "$file" "$@"' in sh_script(DROP)
    assert 'cut --file "%~1" %2 %3' in bat_script(DROP)
    assert 'set "FACELOOM_DROP=1"' in bat_script(DROP)
    assert "FACELOOM_DROP" not in bat_script(STEP)


def test_steps_come_in_the_order_of_their_numbers() -> None:
    order = [natural_key(step.number) for step in STEPS]
    assert order == sorted(order)


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.name)
def test_every_step_says_what_it_does(step: Step) -> None:
    assert step.note.endswith(".")
    assert step.note.isascii()
    assert step.commands


def test_the_table_of_the_readme_names_every_script_and_its_words() -> None:
    table = steps_table()
    for step in STEPS:
        assert step.name in table
        assert step.sh_name in table
        assert all(" ".join(command) in table for command in step.commands)
    assert table.count("\n") == len(STEPS) + 1
    assert len(scripts()) == 2 * len(STEPS)
