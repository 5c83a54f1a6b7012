"""Questions in the terminal: the `Asker` of core/options.py that people meet."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from typing import Any

from core.errors import BadOption
from core.options import REQUIRED, OptionSpec, missing, numbered_choices, parse_value, show_value


class TerminalAsker:
    """Asks in the terminal, in DFL's form: `[512] Image size ( 256-2048 ?:help ) : ` (spec steps-and-cli 4.1)."""

    def __init__(self, read_line: Callable[[str], str], say: Callable[[str], None]) -> None:
        self._read_line = read_line
        self._say = say

    def ask(self, spec: OptionSpec, default: Any) -> Any:
        """The value that was typed, or the default; asks until it is one that is accepted."""
        prompt = prompt_of(spec, default)
        if len(spec.choices) > 1 and len(prompt) > shutil.get_terminal_size().columns:
            prompt = self._list_choices(spec, default)
        for number, (value, remark) in enumerate(spec.rows):
            self._say(f"[{number}] : {value} - {remark}")
        while True:
            text = self._answer(prompt, spec, default)
            if text == "?" and spec.help:
                self._say(spec.help)
            elif text == "" and default is not REQUIRED:
                self._say(show_value(spec, default))
                return default
            else:
                try:
                    value = parse_value(spec, _row_of(spec, text))
                except BadOption as problem:
                    self._say(problem.what)
                    continue
                if spec.rule is not None and (taken := show_value(spec, value)) != text:
                    self._say(taken)
                return value

    def _list_choices(self, spec: OptionSpec, default: Any) -> str:
        """Says the choices one below the other, for whom a line has no room; returns the prompt to their numbers."""
        rows = numbered_choices(spec)
        for number, word in rows.items():
            self._say(f"[{number}] : {word}")
        first, *_, last = rows
        return prompt_of(dataclasses.replace(spec, choices={}, special=(f"{first}-{last}", *spec.special)), default)

    def _answer(self, prompt: str, spec: OptionSpec, default: Any) -> str:
        """What was typed; nothing more to read means the default."""
        try:
            return self._read_line(prompt).strip()
        except EOFError:
            if default is REQUIRED:
                raise missing(spec) from None
            return ""


def prompt_of(spec: OptionSpec, default: Any) -> str:
    """`[512] Image size ( 256-2048 ?:help ) : `"""
    inside = [spec.range_text] if spec.range_text else []
    if spec.optional and spec.is_number and spec.default is None and default is not None:
        inside.append("none")  # an empty line means the number that is offered
    if spec.help:
        inside.append("?:help")
    shown = "" if default is REQUIRED or default is None else f"[{show_value(spec, default)}] "
    return shown + spec.label + (f" ( {' '.join(inside)} )" if inside else "") + " : "


def _row_of(spec: OptionSpec, text: str) -> str:
    """What a typed number stands for where rows were listed; any other text as it is. BadOption: no such row."""
    if not (spec.rows and text.isascii() and text.isdigit()):
        return text
    if int(text) >= len(spec.rows):
        raise BadOption(f"The numbers here are 0-{len(spec.rows) - 1}. Received: {text}.")
    return spec.rows[int(text)][0]
