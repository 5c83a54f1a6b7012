"""The terminal's side of a training: keys and signals in, lines out. No model, no training."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from typing import Any

import pytest

from core import console
from core.progress import SILENT, JsonProgress, SilentProgress, TqdmProgress
from mainscripts import train_terminal
from mainscripts.train_terminal import COMPILING, STOPPING, STOPPING_FIRST, TerminalCommands
from models.schedule import TrainingCommand
from tests.models.fake_model import Said


@pytest.mark.skipif(os.name == "nt", reason="nohup is POSIX")
def test_what_nohup_holds_off_stays_off() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with TerminalCommands(SILENT) as commands:
            signal.raise_signal(signal.SIGHUP)
            assert commands.read() == []
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_third_signal_stops_at_once() -> None:
    with TerminalCommands(SILENT) as commands:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert commands.read() == [TrainingCommand.STOP]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


class Busy(SilentProgress):
    """What was said, and when a text came that is waited for."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.spoken = threading.Condition()

    def say(self, text: str) -> None:
        with self.spoken:
            self.texts.append(text)
            self.spoken.notify_all()

    def heard(self, text: str) -> bool:
        """Whether it was said within five seconds."""
        with self.spoken:
            return self.spoken.wait_for(lambda: text in self.texts, timeout=5)


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal work differently there")
@pytest.mark.parametrize(("begun", "words"), [(False, STOPPING_FIRST), (True, STOPPING)])
def test_a_signal_is_answered_in_the_middle_of_a_long_step(begun: bool, words: str) -> None:
    noticed: list[int] = []

    class Listening(Busy):
        def say(self, text: str) -> None:
            if text == words:
                noticed.append(commands._signals)
            super().say(text)

    progress = Listening()
    with TerminalCommands(progress) as commands:
        if begun:
            commands.show("[#000001]")
        press = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        press.start()
        hashlib.pbkdf2_hmac("sha256", b"one long step", b"outside of Python", 2_000_000)
        assert progress.heard(words)
        press.join()
    assert noticed == [0], "before Python itself got round to it"
    assert commands.signal_number == signal.SIGINT


def test_signals_that_come_together_are_answered_one_by_one() -> None:
    progress = Busy()
    with TerminalCommands(progress), progress.spoken:  # nothing can be said before the second one is there
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert progress.texts == [STOPPING_FIRST, train_terminal.ONCE_MORE]


def test_the_seconds_of_the_first_iteration_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    counted = threading.Event()

    def draw(line: str) -> None:
        drawn.append(line)
        if len(drawn) == 2:
            counted.set()

    monkeypatch.setattr(console, "is_interactive", lambda: True)
    monkeypatch.setattr(console.KeyReader, "__enter__", lambda self: self)
    monkeypatch.setattr(console, "say_inline", draw)
    monkeypatch.setattr(train_terminal, "_TICK_SECONDS", 0.01)
    with TerminalCommands(TqdmProgress()) as commands:
        assert counted.wait(10)
        commands.show("[#000001]")
        number = len(drawn)
        time.sleep(0.1)
        assert drawn[number - 1 :] == ["[#000001]"]
    assert all(line.startswith(f"{COMPILING} ... ") for line in drawn[: number - 1])
    assert not any(thread.name == "faceloom-signals" for thread in threading.enumerate())


def test_keys_are_answered_while_the_networks_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    pressed = ["p", "x"]
    monkeypatch.setattr(console.KeyReader, "read", lambda self: pressed.pop(0) if pressed else None)
    monkeypatch.setattr(train_terminal, "_TICK_SECONDS", 0.01)
    progress = Busy()
    with TerminalCommands(progress) as commands:
        assert progress.heard(train_terminal.AFTER_FIRST)
        pressed += ["enter", "p"]
        assert progress.heard(STOPPING_FIRST)
        assert commands.read() == [TrainingCommand.PREVIEW, TrainingCommand.STOP]
        assert commands.read() == [], "each is told once"
    assert progress.texts == [train_terminal.AFTER_FIRST, STOPPING_FIRST]


def test_without_a_terminal_a_long_first_iteration_says_so_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_terminal, "_TICK_SECONDS", 0.01)
    monkeypatch.setattr(train_terminal, "LINE_SECONDS", 0.3)
    progress = Busy()
    with TerminalCommands(progress) as commands:
        assert progress.heard(f"{COMPILING} ... 0 s")
        commands.show("[#000001]")
    assert progress.texts[-1] == "[#000001]"
    assert len(progress.texts) < 5


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    pressed = iter(["s", "x", "b", "s", "space", None, "p", "l", "enter", None])
    monkeypatch.setattr(console.KeyReader, "read", lambda self: next(pressed))
    commands = TerminalCommands(TqdmProgress())
    assert commands.read() == [TrainingCommand.SAVE, TrainingCommand.BACKUP, TrainingCommand.NEXT_FACES]
    assert commands.read() == [TrainingCommand.PREVIEW, TrainingCommand.NEXT_RANGE, TrainingCommand.STOP]


def test_keys_typed_before_it_listens_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["enter", "s", None, "p", None])
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    monkeypatch.setattr(console.KeyReader, "__enter__", lambda self: self)
    monkeypatch.setattr(console.KeyReader, "read", lambda self: next(typed))
    with TerminalCommands(TqdmProgress()) as commands:
        assert commands.read() == [TrainingCommand.PREVIEW]


def test_without_a_terminal_the_line_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("mainscripts.train_terminal.time.monotonic", lambda: now[0])
    said: Any = Said()
    with TerminalCommands(said) as commands:
        for second in range(61):
            now[0] = 1000.0 + second
            commands.show(f"line {second}")
        commands.show("")
    assert said.texts == ["line 0", "line 30", "line 60"]


def test_in_a_terminal_the_line_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(console, "is_interactive", lambda: True)
    monkeypatch.setattr(console, "say_inline", drawn.append)
    commands = TerminalCommands(TqdmProgress())
    for line in ("a", "b", "", ""):
        commands.show(line)
    assert drawn == ["a", "b", ""]
    assert not TerminalCommands(JsonProgress()).interactive
