"""core.console: what is said reaches the terminal and the log; keys are read only where there is a keyboard."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from core import console


def test_everything_said_goes_to_the_log(odd_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with console.log_to(odd_folder / "logs" / "step.log") as log:
        console.say("two\nlines")
        console.warn("careful 空间")
        console.log_only("a traceback")
    console.say("after")
    shown = capsys.readouterr()
    assert shown.out == "two\nlines\nafter\n"
    assert shown.err == "Note: careful 空间\n"
    lines = log.read_text("utf-8").splitlines()
    assert [line[9:] for line in lines[:3]] == ["two", "lines", "Note: careful 空间"]
    assert lines[3:] == ["a traceback"]


def test_a_log_that_cannot_be_opened_does_not_stop_the_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    with console.log_to(tmp_path / "file" / "x.log"):
        console.say("still here")
    shown = capsys.readouterr()
    assert "No log is kept" in shown.err
    assert "still here" in shown.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux")
def test_a_log_on_a_full_disk_does_not_stop_the_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "step.log").symlink_to("/dev/full")
    with console.log_to(tmp_path / "step.log"):
        console.say("still here")
        console.log_only("a traceback")
    assert capsys.readouterr().out == "still here\n"


def test_a_console_that_cannot_show_a_name_shows_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with open(tmp_path / "out.txt", "w", encoding="ascii") as narrow:
        monkeypatch.setattr(sys, "stdout", narrow)
        console.say("frame 工作.png")
    assert "frame ??.png" in (tmp_path / "out.txt").read_text("ascii")


def test_a_line_that_is_redrawn_stays_on_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    console.say_inline("[12:00:00][#000001][0100ms][0.1234][0.5678]")
    shown = capsys.readouterr().out.removeprefix("\r").removesuffix("\x1b[K")
    assert shown == "[12:00:00][#000001][0100ms][0"
    assert len(shown) < 30


def test_without_a_keyboard_no_key_is_ever_pressed() -> None:
    with console.KeyReader() as keys:
        assert keys.read() is None


@pytest.mark.skipif(os.name == "nt", reason="pseudo terminals are POSIX")
def test_keys_of_a_terminal_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import pty
    import termios

    keyboard, terminal = pty.openpty()
    with open(terminal, "rb", 0) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(console, "is_interactive", lambda: True)
        before = termios.tcgetattr(terminal)
        with console.KeyReader() as keys:
            assert keys.read() is None
            os.write(keyboard, b"S\n ")
            assert [keys.read(), keys.read(), keys.read(), keys.read()] == ["s", "enter", "space", None]
            # down, F5, Alt-b, b, Escape: only the fourth is a "b"
            os.write(keyboard, b"\x1b[B\x1b[15~\x1bbb\x1b")
            pressed = [keys.read() for _ in range(6)]
            assert pressed == ["special", "special", "special", "b", "escape", None]
        assert termios.tcgetattr(terminal) == before
    os.close(keyboard)


@pytest.mark.parametrize(
    ("keys", "pressed"),
    [
        (["enter", "enter", None, None, "x", "enter", None], True),
        (["enter", None, "x", "space", None], False),
    ],
)
def test_enter_counts_only_after_the_question(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], keys: list[str | None], pressed: bool
) -> None:
    """Keys before the first None were typed before the question."""
    typed, now = iter(keys), iter(range(1000))
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    monkeypatch.setattr(console.KeyReader, "__enter__", lambda self: self)
    monkeypatch.setattr(console.KeyReader, "read", lambda self: next(typed, None))
    monkeypatch.setattr(console.time, "monotonic", lambda: next(now) / 2)
    monkeypatch.setattr(console.time, "sleep", lambda seconds: None)
    assert console.pressed_enter_within(2, "Press Enter") is pressed
    shown = capsys.readouterr().out
    assert "Press Enter ... 2" in shown
    assert shown.endswith(f"Press Enter: {'yes' if pressed else 'no'}\n")


def test_where_nobody_is_nothing_is_counted_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert not console.pressed_enter_within(2, "Press Enter")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("on_terminal", "shown"), [(True, "\nStopped.\n"), (False, "Stopped.\n")])
def test_a_line_of_the_terminal_is_ended_and_no_file_is_given_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], on_terminal: bool, shown: str
) -> None:
    monkeypatch.setattr(console, "is_interactive", lambda: on_terminal)
    console.end_line()
    console.say("Stopped.")
    assert capsys.readouterr().out == shown
