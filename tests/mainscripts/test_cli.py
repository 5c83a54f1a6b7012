"""The command line: words in, exit code and sentences out."""

from __future__ import annotations

import errno
import json
import os
import shlex
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from core import console
from core.errors import BadOption, BrokenFile, Cancelled, ConfirmationNeeded, MissingInput, PartialFailure
from core.options import REQUIRED, Options, option
from core.paths import Workspace, internal_folder
from core.progress import JsonProgress, Progress, TqdmProgress
from mainscripts import answers, cli, commands
from mainscripts.cli import WithoutBars, main, parse
from mainscripts.commands import Command

ROOT = Path(__file__).resolve().parents[2]


@dataclass(kw_only=True)
class PaintOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder", ask=False)
    side: int = option(512, "Image size", low=256, high=2048, help="50 % of it is face.")
    quality: float = option(0.5, "Quality", low=0.0, high=1.0)
    rate: Fraction | None = option(None, "Rate")
    debug: bool = option(False, "Debug pictures")
    device: str = option("auto", "Device", ask=False)
    mode: str = option("soft", "Mode", choices={"soft": ("s",), "hard": ("h",)})
    json: bool = option(False, "JSON", ask=False)
    yes: bool = option(False, "Agree", ask=False)


class Painter:
    """A command that notes what it was called with and then does what the test wants."""

    def __init__(self) -> None:
        self.calls: list[tuple[Workspace, PaintOptions, Progress]] = []
        self.act: Callable[[], Any] = lambda: None

    def run(self, workspace: Workspace, options: PaintOptions, progress: Progress) -> None:
        self.calls.append((workspace, options, progress))
        self.act()


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Painter:
    """FaceLoom with two commands of the test's own, logging into a folder of its own."""
    made = Painter()
    module = types.ModuleType("faceloom_test_painter")
    module.PaintOptions = PaintOptions  # type: ignore[attr-defined]
    module.run = made.run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    table = (
        Command("paint", module.__name__, "PaintOptions", "Paints a folder.", prints=("json",)),
        Command("frame hang", module.__name__, "PaintOptions", "Hangs a picture."),
        Command("frame turn", module.__name__, "PaintOptions", "Turns a picture."),
    )
    for where in (commands, cli, answers):
        monkeypatch.setattr(where, "COMMANDS", table)
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path / "internal"))
    monkeypatch.setenv("FACELOOM_WORKSPACE", str(tmp_path / "workspace"))
    return made


def paint(*words: str) -> int:
    return main(["paint", "--input-dir", "frames", *words])


# ------------------------------------------------------------------------------------------------------------- values


def test_flags_become_typed_values(painter: Painter) -> None:
    assert paint("--side", "768", "--quality", "0,25", "--rate", "24000/1001", "--debug", "--mode", "H") == 0
    _, options, _ = painter.calls[0]
    assert options.input_dir == Path.cwd() / "frames"
    assert (options.side, options.quality, options.rate) == (768, 0.25, Fraction(24000, 1001))
    assert options.debug is True
    assert options.mode == "hard"
    assert options.device == "auto"


def test_paths_expand_home_workspace_and_internal(painter: Painter, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    expected = {
        "~/x": tmp_path / "home" / "x",
        "{workspace}/data_src.*": tmp_path / "w" / "data_src.*",
        "{internal}/pretrain": internal_folder() / "pretrain",
    }
    for text, path in expected.items():
        assert main(["paint", "--workspace", str(tmp_path / "w"), "--input-dir", text]) == 0
        assert painter.calls[-1][1].input_dir == path


def test_set_gives_options_by_name_and_flags_win(painter: Painter) -> None:
    assert paint("--set", "side=1024", "--set", "quality=1", "--side", "300") == 0
    _, options, _ = painter.calls[0]
    assert (options.side, options.quality) == (300, 1.0)


def test_an_answers_file_ranks_below_set(painter: Painter, tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"side": 256, "quality": 0.75, "rate": "25"}))
    assert paint("--answers", str(file), "--set", "side=1024") == 0
    _, options, _ = painter.calls[0]
    assert (options.side, options.quality, options.rate) == (1024, 0.75, Fraction(25))


def test_an_answers_file_may_have_a_part_per_command(painter: Painter, tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"paint": {"side": 256}, "frame hang": {"side": 300}, "other": {"x": 1}}))
    assert paint("--answers", str(file)) == 0
    assert main(["frame", "hang", "--input-dir", "x", "--answers", str(file)]) == 0
    assert [options.side for _, options, _ in painter.calls] == [256, 300]


def test_dfl_names_of_the_device_still_work(painter: Painter) -> None:
    assert paint("--cpu-only") == 0
    assert paint("--force-gpu-idxs", "0,1") == 0
    assert [options.device for _, options, _ in painter.calls] == ["cpu", "0+1"]


def test_flags_for_every_command_may_stand_before_it(painter: Painter, tmp_path: Path) -> None:
    assert main(["--workspace", str(tmp_path / "w"), "--defaults", "paint", "--input-dir", "x"]) == 0
    assert painter.calls[0][0] == Workspace(tmp_path / "w")


def test_yes_reaches_the_command(painter: Painter) -> None:
    assert paint("--yes") == 0
    assert painter.calls[0][1].yes is True


@pytest.mark.parametrize(("word", "kind"), [("bar", TqdmProgress), ("json", JsonProgress), ("none", WithoutBars)])
def test_progress_is_shown_as_asked(painter: Painter, word: str, kind: type) -> None:
    assert paint("--progress", word) == 0
    assert isinstance(painter.calls[0][2], kind)


def test_without_bars_messages_are_still_said(painter: Painter, capsys: Any) -> None:
    painter.act = lambda: painter.calls[-1][2].say("Two frames have no face.")
    assert paint("--progress", "none") == 0
    assert capsys.readouterr().out == "Two frames have no face.\nDone.\n"


def test_json_progress_keeps_every_line_json(painter: Painter, capsys: Any) -> None:
    painter.act = lambda: painter.calls[-1][2].say("Two frames have no face.")
    assert paint("--progress", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == ["Two frames have no face.", "Done."]


def test_then_runs_commands_until_one_fails(painter: Painter) -> None:
    words = ["paint", "--input-dir", "1", "--then", "paint", "--input-dir", "2", "--then", "paint", "--input-dir", "3"]
    assert main(words) == 0
    assert [call[1].input_dir.name for call in painter.calls] == ["1", "2", "3"]
    painter.calls.clear()

    def fail_at_two() -> None:
        if len(painter.calls) == 2:
            raise MissingInput("There is no 2.", "Make it.")

    painter.act = fail_at_two
    assert main(words) == 2
    assert len(painter.calls) == 2


# --------------------------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_no_command_shows_the_commands(painter: Painter, words: list[str], capsys: Any) -> None:
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "Paints a folder." in said
    assert "frame turn" in said
    assert "Done." not in said


def test_half_a_command_shows_the_other_half(painter: Painter, capsys: Any) -> None:
    for words in (["frame"], ["frame", "--help"]):
        assert main(words) == 0
        said = capsys.readouterr().out
        assert "frame hang" in said
        assert "paint" not in said


def test_help_of_a_command_tells_flag_range_help_and_default(painter: Painter, capsys: Any) -> None:
    assert main(["paint", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--side N Image size (256-2048). 50 % of it is face. Default: 512." in said
    assert "--debug, --no-debug" in said
    assert "--workspace DIR" in said
    assert not painter.calls


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["piant"], "There is no command by that name. Received: piant. Did you mean: paint?"),
        (["frame", "hnag"], "Received: frame hnag. Did you mean: frame hang"),
        (["paint"], "Folder is needed and was not given. Add --input-dir."),
        (["paint", "--input-dir", ""], "Folder is needed and was not given."),
        (["paint", "--input-dir", "x", "--side", "100"], "Received: 100."),
        (["paint", "--input-dir", "x", "--side", "ten"], "Received: ten."),
        (["paint", "--input-dir", "x", "--mode", "firm"], "Mode must be one of soft, hard"),
        (["paint", "--input-dir", "x", "--no-such-flag"], "--no-such-flag. All flags: main.py paint --help."),
        (["paint", "--input-dir", "x", "--sid", "300"], "--sid 300"),
        (["paint", "--inptu-dir", "x"], "Did you mean: input-dir? All flags: main.py paint --help."),
        (["paint", "--input-dir"], "All flags: main.py paint --help."),
        (["paint", "--input-dir", "x", "--set", "height=3"], "Received: height=3. Options: input_dir, side"),
        (["paint", "--input-dir", "x", "--set", "mdoe=soft"], "Received: mdoe=soft. Did you mean: mode?"),
        (["paint", "--input-dir", "x", "--progress", "loud"], "invalid choice"),
        (["paint", "--input-dir", "x", "--answers", "missing.json"], "missing.json cannot be read"),
    ],
)
def test_wrong_words_are_named_and_exit_2(painter: Painter, capsys: Any, words: list[str], sentence: str) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert "Traceback" not in captured.out + captured.err
    assert "Done." not in captured.out
    assert not painter.calls


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("{", "this is no JSON"), ("[1]", "one JSON object"), ('{"height": 1}', "Received: height.")],
)
def test_a_bad_answers_file_is_named(
    painter: Painter, capsys: Any, tmp_path: Path, content: str, sentence: str
) -> None:
    file = tmp_path / "answers.json"
    file.write_text(content)
    assert paint("--answers", str(file)) in (1, 2)
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (MissingInput("No frames.", "Run step 2."), 2),
        (BadOption("Bad. Received: 1."), 2),
        (BrokenFile(Path("a.jpg"), "it is cut off.", "Extract it again."), 1),
        (PartialFailure("2 of 10 failed.", "See the list."), 3),
        (ConfirmationNeeded("Nobody agreed.", "Add --yes."), 4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_become_one_sentence_and_their_code(
    painter: Painter, capsys: Any, problem: BaseException, code: int
) -> None:
    def fail() -> None:
        raise problem

    painter.act = fail
    assert paint() == code
    captured = capsys.readouterr()
    assert f"Error: {problem}" in captured.err
    assert "Traceback" not in captured.out + captured.err
    assert "Done." not in captured.out


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (KeyboardInterrupt(), "Stopped.\n"),
        (Cancelled("Stopped at iteration 7; all is saved."), "iteration 7; all is saved."),
    ],
    ids=["at any moment", "in its own words"],
)
def test_stopping_is_no_error(painter: Painter, capsys: Any, problem: BaseException, words: str) -> None:
    def stop() -> None:
        raise problem

    painter.act = stop
    assert paint() == 130
    captured = capsys.readouterr()
    assert words in captured.out
    assert "Error" not in captured.err
    assert "Done." not in captured.out


def test_stopping_begins_a_new_line_behind_the_echo_of_the_terminal(
    painter: Painter, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        monkeypatch.setattr(console, "is_interactive", lambda: True)
        raise KeyboardInterrupt

    painter.act = stop
    assert paint() == 130
    assert capsys.readouterr().out.endswith("\nStopped.\n")


def test_a_missing_agreement_comes_with_the_command_that_gives_it(painter: Painter, capsys: Any) -> None:
    def refuse() -> None:
        if not painter.calls[-1][1].yes:
            raise ConfirmationNeeded("Nobody agreed.", "Repeat it with --yes.")

    painter.act = refuse
    assert paint("--side", "300") == 4
    line = capsys.readouterr().out.splitlines()[-1]
    words = shlex.split(line)
    assert words[:2] == ["bash", str(ROOT / "bat" / "faceloom.sh")]
    assert main(words[2:]) == 0
    assert painter.calls[-1][1].side == 300


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(errno.ENOSPC, "The disk is full"), (errno.EACCES, "cannot be written"), (errno.EROFS, "cannot be written")],
)
def test_what_the_machine_refuses_is_said_in_words(painter: Painter, capsys: Any, number: int, sentence: str) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number), "frames/00001.png")

    painter.act = fail
    assert paint() == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert "00001.png" in said


def test_a_bug_of_ours_goes_to_the_log_and_is_named(painter: Painter, capsys: Any, tmp_path: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError("the secret of the crash")

    painter.act = fail
    assert paint() == 1
    captured = capsys.readouterr()
    (log,) = (tmp_path / "internal" / "logs").iterdir()
    assert str(log) in captured.err
    assert "Traceback" not in captured.out + captured.err
    content = log.read_text(encoding="utf-8")
    assert "Traceback" in content
    assert "the secret of the crash" in content
    assert "paint --input-dir frames" in content


# ----------------------------------------------------------------------------------------------------- logs and output


def test_done_is_said_after_success_unless_the_output_is_for_programs(painter: Painter, capsys: Any) -> None:
    assert paint() == 0
    assert capsys.readouterr().out == "Done.\n"
    assert paint("--json") == 0
    assert capsys.readouterr().out == ""


def test_every_step_has_its_log(painter: Painter, tmp_path: Path) -> None:
    assert paint() == 0
    (log,) = (tmp_path / "internal" / "logs").iterdir()
    assert log.name.endswith("_paint.log")
    content = log.read_text(encoding="utf-8")
    assert "Repeat: " in content
    assert "Done." in content


def test_the_log_can_lie_elsewhere(painter: Painter, tmp_path: Path) -> None:
    assert paint("--log", str(tmp_path / "工作 & log.txt")) == 0
    assert "Done." in (tmp_path / "工作 & log.txt").read_text(encoding="utf-8")


def test_parse_touches_nothing(painter: Painter, tmp_path: Path) -> None:
    call = parse(["paint", "--input-dir", "x"])
    assert call is not None
    assert call.command.words == "paint"
    assert not (tmp_path / "internal").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX pipe")
def test_a_reader_that_leaves_ends_us_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, str(ROOT / "main.py"), "--help"], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert done.returncode == 141
    assert done.stderr == b""
