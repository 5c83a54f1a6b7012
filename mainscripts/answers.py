"""Where the values of a command come from: flags, `--set`, the answers file, the last time, the person in the terminal.

    flag > --set > --answers FILE > what the model has saved > last answer in this workspace > default

Questions are asked only in a terminal and without `--defaults`. What was answered there (no flag, no path, nothing
about the files of the moment) is kept in the workspace's `.state/answers.json` and offered as the default of the
question the next time.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import console
from core.asking import TerminalAsker
from core.errors import BrokenFile, MissingInput
from core.files import atomic_write_text
from core.options import Asker, Options, OptionSpec, flag_words, resolve, show_value, specs, to_plain
from core.paths import Workspace, repository_root
from mainscripts.commands import COMMANDS, Call

OF_THE_MOMENT = ("on_existing", "model_name", "from_time", "to_time", "delete_originals", "merge_back")
"""Answers about what lies there now, about one file, or that put files away; offering them the next time would invite
mistakes, and `--defaults` must not agree to what was agreed to once."""


@dataclass(frozen=True)
class Talk:
    """What settling a command's further options needs (mainscripts/commands.py: Command.further).

    Attributes:
        given: values of further options by `--set` (text) or, ranking lower, from the answers file.
        from_file: those of `given` that are from the answers file.
        own: names of the command's own options that were given, so that they are not asked.
        asker: who answers questions; None: nobody is to be asked.
    """

    workspace: Workspace
    given: Mapping[str, Any]
    from_file: Collection[str]
    own: Collection[str]
    asker: Asker | None


def settle(call: Call) -> Options:
    """Settles every option of the call; asks in the terminal where that is wanted, and remembers what was answered."""
    workspace = call.workspace
    known = specs(call.options_class)
    key = _answers_key(call, workspace)
    remembered = {k: v for k, v in recall(workspace, key).items() if k in {s.name for s in known}}
    file, further_file = _divided(call, _answers_file(call))
    asker = None
    if console.is_interactive() and not call.everywhere.defaults:
        asker = _Recorder(TerminalAsker(console.read_line, console.say))
    options = resolve(
        call.options_class, call.given, file=file, remembered=remembered, asker=asker, workspace=workspace.root
    )
    answered = sorted(asker.answers) if asker is not None else []
    talk = Talk(
        workspace, {**further_file, **call.further}, {*further_file} - {*call.further}, {*call.given, *file}, asker
    )
    options = call.command.settle_further(options, talk)
    repeat = repeat_line(call, options, remembered)
    if asker is not None and asker.asked:
        console.say(f"To repeat this step without questions:\n  {repeat}")
    else:
        console.log_only(f"Repeat: {repeat}")
    if answered:
        plain = to_plain(options)
        remember(workspace, key, {**remembered, **{name: plain[name] for name in answered}})
    return options


def _divided(call: Call, file: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """An answers file's values: those of the command's own options, and those of further ones."""
    further_class = call.command.further_class({**file, **call.given})
    names = {s.name for s in specs(further_class)} if further_class is not None else set()
    return {k: v for k, v in file.items() if k not in names}, {k: v for k, v in file.items() if k in names}


class _Recorder:
    """An asker that notes which answers are worth remembering."""

    def __init__(self, asker: TerminalAsker) -> None:
        self._asker = asker
        self.asked = False
        self.answers: set[str] = set()

    def ask(self, spec: OptionSpec, default: Any) -> Any:
        answer = self._asker.ask(spec, default)
        self.asked = True
        if spec.kind is not Path and spec.name not in OF_THE_MOMENT:
            self.answers.add(spec.name)
        return answer


def repeat_line(call: Call, options: Options, remembered: Mapping[str, Any]) -> str:
    """One line for this system's shell that runs the step again with the same values and no questions."""
    launcher = repository_root() / "bat" / ("faceloom.bat" if os.name == "nt" else "faceloom.sh")
    words = [str(launcher)] if os.name == "nt" else ["bash", str(launcher)]
    words += call.command.words.split()
    if call.everywhere.workspace is not None:
        words += ["--workspace", str(call.workspace.root)]
    words += flag_words(options, only_changed=True)
    for spec in specs(call.options_class):
        value = getattr(options, spec.name)
        if spec.name not in remembered or callable(spec.default) or value != spec.default:
            continue
        if spec.kind is bool:
            words.append(f"--{'' if value else 'no-'}{spec.flag}")
        elif value is not None:
            words += [f"--{spec.flag}", show_value(spec, value)]
        elif spec.is_number and remembered[spec.name] is not None:
            words += [f"--{spec.flag}", "none"]
    words += call.command.further_words(options)
    words.append("--defaults")
    return quote_for_cmd(words) if os.name == "nt" else shlex.join(words)


def quote_for_cmd(words: Sequence[str]) -> str:
    """Quotes for cmd.exe, where an ampersand or caret outside of quotes has a meaning of its own."""
    special = set(" \t&^|<>()%!;,='`~[]{}")
    return " ".join(
        f'"{word}"' if word == "" or (special & set(word) and '"' not in word) else subprocess.list2cmdline([word])
        for word in words
    )


def _answers_key(call: Call, workspace: Workspace) -> str:
    """What remembered answers are filed under: the command and, where it works on one, its folder in the workspace.

    So the answers of step 4 (data_src) are not offered in step 5 (data_dst).
    """
    folder = call.given.get("input_dir") or call.given.get("input_file")
    if isinstance(folder, Path) and folder.is_relative_to(workspace.root):
        return f"{call.command.words} {folder.relative_to(workspace.root).as_posix()}"
    return call.command.words


def recall(workspace: Workspace, key: str) -> dict[str, Any]:
    """What was remembered under that key."""
    return _read_answers(workspace).get(key, {})


def remember(workspace: Workspace, key: str, values: Mapping[str, Any]) -> None:
    """Keeps plain values in the workspace until the next time."""
    kept = {**_read_answers(workspace), key: dict(values)}
    atomic_write_text(workspace.answers_file, json.dumps(kept, indent=1, ensure_ascii=False))


def _read_answers(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Remembered answers; a file that cannot be read is named and left as it is."""
    if not workspace.answers_file.exists():
        return {}
    try:
        found = json.loads(workspace.answers_file.read_text(encoding="utf-8"))
        return {k: v for k, v in found.items() if isinstance(v, dict)}
    except (OSError, ValueError, AttributeError) as problem:
        console.warn(f"The answers of the last time cannot be read ({workspace.answers_file}: {problem}).")
        return {}


def _answers_file(call: Call) -> dict[str, Any]:
    """The values of `--answers`: one object of names, or one object per command ({"extract": {...}})."""
    if call.everywhere.answers is None:
        return {}
    path = Path(call.everywhere.answers).expanduser()
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as problem:
        raise MissingInput(f"The answers file {path} cannot be read ({problem.strerror}).", "Check the name.") from None
    except ValueError as problem:
        raise BrokenFile(
            path, f"this is no JSON ({problem}).", "Write one object of option names and values."
        ) from None
    if not isinstance(found, dict):
        raise BrokenFile(path, "the answers must be one JSON object.", 'For example {"image_size": 512}.')
    if any(c.words in found for c in COMMANDS):
        found = found.get(call.command.words, {})
    return found
