"""Questions and answers: who is asked what, what is remembered, and the line that repeats a step."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core import console
from core.errors import BadOption
from core.options import REQUIRED, Options, option
from core.paths import Workspace
from mainscripts.answers import quote_for_cmd, repeat_line, settle
from mainscripts.commands import Call, Command, Everywhere

ROOT = Path(__file__).resolve().parents[2]


@dataclass(kw_only=True)
class HangOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder", ask=False)
    side: int = option(512, "Image size", low=256, high=2048)
    debug: bool = option(True, "Debug pictures")
    on_existing: str = option("continue", "What now", choices=("continue", "replace"))
    merge_back: bool = option(False, "Put back", when=lambda o: o.side == 1024)
    target: Path | None = option(None, "Target")
    nails: int | None = option(None, "Nails", ask=False)
    hidden: int = option(3, "Never asked", ask=False)


COMMAND = Command("hang", "", "HangOptions", "Hangs a picture.")


def call(workspace: Path, **given: Any) -> Call:
    given.setdefault("input_dir", workspace / "frames")
    return Call(COMMAND, HangOptions, given, Everywhere(workspace=str(workspace)))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Puts somebody in front of the terminal who types these lines; returns the questions as they come."""

    def sit_down(*lines: str) -> list[str]:
        typed, questions = iter(lines), []

        def read_line(prompt: str) -> str:
            questions.append(prompt)
            return next(typed)

        monkeypatch.setattr(console, "is_interactive", lambda: True)
        monkeypatch.setattr(console, "read_line", read_line)
        return questions

    return sit_down


def test_without_a_terminal_nothing_is_asked(tmp_path: Path) -> None:
    options = settle(call(tmp_path))
    assert (options.side, options.debug) == (512, True)  # type: ignore[attr-defined]
    assert not Workspace(tmp_path).answers_file.exists()


def test_what_is_open_is_asked_in_order(tmp_path: Path, terminal: Any, capsys: Any) -> None:
    questions = terminal("768", "n", "", "")
    options = settle(call(tmp_path))
    assert [q.split(" (")[0] for q in questions] == [
        "[512] Image size",
        "[y] Debug pictures",
        "[continue] What now",
        "Target : ",
    ]
    assert (options.side, options.debug) == (768, False)  # type: ignore[attr-defined]
    said = capsys.readouterr().out
    assert "To repeat this step without questions:" in said
    assert f"--input-dir {shlex.quote(str(tmp_path / 'frames'))} --side 768 --no-debug --defaults" in said


def test_a_flag_is_not_asked_and_not_remembered(tmp_path: Path, terminal: Any) -> None:
    questions = terminal("n", "", "")
    settle(call(tmp_path, side=300))
    assert len(questions) == 3
    assert json.loads(Workspace(tmp_path).answers_file.read_text()) == {"hang frames": {"debug": False}}


def test_defaults_asks_nothing(tmp_path: Path, terminal: Any) -> None:
    questions = terminal()
    one = call(tmp_path)
    one.everywhere.defaults = True
    settle(one)
    assert not questions


def test_bad_answers_are_asked_again_never_replaced(tmp_path: Path, terminal: Any, capsys: Any) -> None:
    questions = terminal("100", "ten", "640", "yes", "", "")
    options = settle(call(tmp_path))
    assert options.side == 640  # type: ignore[attr-defined]
    assert len(questions) == 6
    assert "Received: 100." in capsys.readouterr().out


def test_the_last_answer_is_offered_the_next_time(tmp_path: Path, terminal: Any) -> None:
    terminal("768", "n", "replace", str(tmp_path / "target"))
    settle(call(tmp_path))
    questions = terminal("", "", "", "")
    options = settle(call(tmp_path))
    assert questions[0].startswith("[768]")
    assert (options.side, options.debug) == (768, False)  # type: ignore[attr-defined]
    assert options.on_existing == "continue", "an answer about the moment is not remembered"  # type: ignore[attr-defined]
    assert options.target is None, "a path is not remembered"  # type: ignore[attr-defined]


def test_the_last_answer_counts_without_a_terminal_too(tmp_path: Path, terminal: Any, monkeypatch: Any) -> None:
    terminal("768", "n", "", "")
    settle(call(tmp_path))
    monkeypatch.setattr(console, "is_interactive", lambda: False)
    assert settle(call(tmp_path)).side == 768  # type: ignore[attr-defined]
    assert settle(call(tmp_path, side=512)).side == 512  # type: ignore[attr-defined]


def test_to_have_agreed_once_is_no_agreement_for_ever(tmp_path: Path, terminal: Any, monkeypatch: Any) -> None:
    terminal("1024", "n", "", "y", "")
    assert settle(call(tmp_path)).merge_back  # type: ignore[attr-defined]
    monkeypatch.setattr(console, "is_interactive", lambda: False)
    options = settle(call(tmp_path))
    assert (options.side, options.merge_back) == (1024, False)  # type: ignore[attr-defined]


def test_answers_of_one_folder_are_not_those_of_another(tmp_path: Path, terminal: Any, monkeypatch: Any) -> None:
    terminal("768", "n", "", "")
    settle(call(tmp_path, input_dir=tmp_path / "data_src"))
    monkeypatch.setattr(console, "is_interactive", lambda: False)
    assert settle(call(tmp_path, input_dir=tmp_path / "data_dst")).side == 512  # type: ignore[attr-defined]


def test_a_remembered_answer_that_no_longer_fits_is_passed_over(tmp_path: Path) -> None:
    file = Workspace(tmp_path).answers_file
    file.parent.mkdir()
    file.write_text(json.dumps({"hang frames": {"side": 9999, "debug": False, "gone": 1}}))
    options = settle(call(tmp_path))
    assert (options.side, options.debug) == (512, False)  # type: ignore[attr-defined]


def test_answers_of_a_file_that_a_windows_editor_has_saved(tmp_path: Path) -> None:
    (tmp_path / "answers.json").write_text('{"side": 768}', "utf-8-sig")
    one = call(tmp_path)
    one.everywhere.answers = str(tmp_path / "answers.json")
    assert settle(one).side == 768  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"hang frames": 3}'])
def test_a_damaged_memory_is_no_obstacle(tmp_path: Path, content: str) -> None:
    file = Workspace(tmp_path).answers_file
    file.parent.mkdir()
    file.write_text(content)
    assert settle(call(tmp_path)).side == 512  # type: ignore[attr-defined]
    assert file.read_text() == content


def test_a_missing_required_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"Folder is needed and was not given\. Add --input-dir\."):
        settle(Call(COMMAND, HangOptions, {}, Everywhere(workspace=str(tmp_path))))


def test_the_repeating_line_gives_the_same_values_whatever_is_remembered(odd_folder: Path) -> None:
    """A value equal to the default is spelled out where another one is remembered."""
    one = call(odd_folder, side=512, debug=True)
    remembered = {"side": 768, "debug": False, "nails": 3}
    words = shlex.split(repeat_line(one, HangOptions.of(**one.given), remembered))
    assert words[:2] == ["bash", str(ROOT / "bat" / "faceloom.sh")]
    assert words[2:5] == ["hang", "--workspace", str(odd_folder)]
    assert words[5:] == [
        "--input-dir",
        str(odd_folder / "frames"),
        "--side",
        "512",
        "--debug",
        "--nails",
        "none",
        "--defaults",
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["a", "b"], "a b"),
        (["a b", "c&d", "e^f", "100%"], '"a b" "c&d" "e^f" "100%"'),
        (["C:\\x (1)\\工作.mp4", ""], '"C:\\x (1)\\工作.mp4" ""'),
    ],
)
def test_words_are_quoted_for_cmd(words: list[str], line: str) -> None:
    assert quote_for_cmd(words) == line


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo terminal")
@pytest.mark.parametrize(("keys", "code"), [(b"\x03", 130), (b"no\n", 130), (b"clear\n", 0)])
def test_in_a_real_terminal(tmp_path: Path, keys: bytes, code: int) -> None:
    """`workspace clear` asks for the word; Ctrl-C or another word ends it with 130 and moves nothing."""
    import pty

    frames = Workspace(tmp_path).data_src
    frames.mkdir()
    (frames / "00001.png").write_bytes(b"x")
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), "workspace", "clear", "--workspace", str(tmp_path)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_own_the_terminal,
        env={**os.environ, "FACELOOM_INTERNAL": str(tmp_path / "internal")},
    )
    os.close(theirs)
    said = b""
    while b"Type clear to go on: " not in said:
        said += os.read(ours, 1000)
    for _ in range(30):  # a key pressed in the instant between prompt and reading may be lost, as for any program
        os.write(ours, keys)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=1)
            break
    assert child.wait(timeout=1) == code
    os.close(ours)
    assert (frames / "00001.png").exists() == (code != 0)


def _own_the_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
