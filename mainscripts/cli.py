"""The command line: a thin skin over `run(workspace, options, progress)` of every command, and the only argparse user.

    main.py <command> [flags]                 one command
    main.py <command> ... --then <command> ...  several, one after another, until one fails

What a flag is called, which values it takes and what it says in `--help` come from the command's options class
(core/options.py). A value is found in this order: flag, `--set`, answers file, what the model has saved, the last
answer given in this workspace, default. Questions are asked only in a terminal and without `--defaults`.

Exit codes: 0 success, 1 failure, 2 the request cannot be carried out as given, 3 finished but some items failed,
4 a confirmation is missing, 130 cancelled. `Done.` is said only with 0.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import platform
import re
import shlex
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from core import console
from core.errors import BadOption, Cancelled, ConfirmationNeeded, FaceLoomError
from core.files import explain_os_error
from core.options import REQUIRED, OptionSpec, parse_value, show_value, specs
from core.paths import internal_folder, logs_folder
from core.progress import JsonProgress, Progress, SilentProgress, TqdmProgress
from mainscripts.answers import repeat_line, settle
from mainscripts.commands import COMMANDS, Call, Command, Everywhere, did_you_mean, find_command, group

THEN = "--then"
"""Stands between two commands of one line."""

BROKEN_PIPE = 141
"""Exit code when whoever read our output has gone, as a shell gives it (128 + SIGPIPE)."""

_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


class WithoutBars(SilentProgress):
    """No bars, but every message."""

    def say(self, text: str) -> None:
        console.say(text)


_PROGRESS: dict[str, Callable[[], Progress]] = {"bar": TqdmProgress, "json": JsonProgress, "none": WithoutBars}


def main(words: Sequence[str]) -> int:
    """Runs a command line (without the program's name) and returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        for one in split_commands(words):
            code = _guarded(one)
            if code:
                return code
        return 0
    except BrokenPipeError:
        # Python flushes standard output once more while it ends; that must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def split_commands(words: Sequence[str]) -> list[list[str]]:
    """The commands between the `--then`."""
    commands: list[list[str]] = [[]]
    for word in words:
        if word == THEN:
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def _guarded(words: Sequence[str]) -> int:
    """Runs one command; every error becomes words and an exit code."""
    try:
        call = parse(words)
        if call is None:
            return 0
        with console.log_to(_log_file(call)) as log:
            console.log_only(f"FaceLoom, Python {platform.python_version()}, {platform.platform()}")
            console.log_only(f"Words: {shlex.join(words)}")
            return _run(call, log)
    except FaceLoomError as problem:
        return _report(problem)
    except KeyboardInterrupt:
        return _stopped()


def _run(call: Call, log: Path) -> int:
    """Settles the options and runs the command, inside its log."""
    repeat = ""
    progress = _PROGRESS[call.everywhere.progress]()
    try:
        options = settle(call)
        repeat = repeat_line(call, options, {})
        _, function = call.command.load()
        function(call.workspace, options, progress)
    except ConfirmationNeeded as problem:
        code = _report(problem)
        console.say(f"With your agreement:\n  {repeat} --yes")
        return code
    except FaceLoomError as problem:
        return _report(problem)
    except KeyboardInterrupt:
        return _stopped()
    except BrokenPipeError:
        raise
    except (OSError, MemoryError) as problem:
        console.log_only(traceback.format_exc())
        in_words = _in_words(problem)
        return _report(in_words) if in_words else _our_bug(problem, log)
    except Exception as problem:
        console.log_only(traceback.format_exc())
        return _our_bug(problem, log)
    if not any(getattr(options, switch, False) for switch in call.command.prints):
        progress.say("Done.")
    return 0


def _report(problem: FaceLoomError) -> int:
    if isinstance(problem, Cancelled):
        console.end_line()
        console.say(str(problem))
    else:
        console.error(str(problem))
    return problem.exit_code


def _stopped() -> int:
    return _report(Cancelled())


def _our_bug(problem: BaseException, log: Path) -> int:
    console.error(
        f"Something unforeseen happened ({type(problem).__name__}: {problem}). "
        f"This is a fault of FaceLoom; please report it with the file {log}."
    )
    return 1


def _in_words(problem: OSError | MemoryError) -> FaceLoomError | None:
    """The sentence for what the machine refuses; None for what is our own mistake."""
    if isinstance(problem, MemoryError):
        return FaceLoomError("The memory of this machine is used up.", "Close other programs, or use fewer --workers.")
    if problem.filename is None or problem.errno not in _REFUSALS:
        return None
    return explain_os_error(problem, Path(os.fsdecode(problem.filename)))


def _log_file(call: Call) -> Path:
    if call.everywhere.log is not None:
        return Path(os.path.abspath(Path(call.everywhere.log).expanduser()))
    return logs_folder() / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{call.command.words.replace(' ', '_')}.log"


# ------------------------------------------------------------------------------------------------------------ parsing


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are sentences of ours."""

    def error(self, message: str) -> NoReturn:
        strange = re.search(r"unrecognized arguments: --([\w-]+)", message)
        flags = (flag.removeprefix("--") for flag in self._option_string_actions)
        meant = did_you_mean(strange[1], flags) if strange else ""
        raise BadOption(f"{message[:1].upper()}{message[1:]}.", f"{meant} All flags: {self.prog} --help.".lstrip())


def parse(words: Sequence[str]) -> Call | None:
    """Reads the words of one command; prints help and returns None where that is what the words ask for.

    Raises:
        BadOption: unknown command, flag or value.
    """
    before, rest = _flags_before(words)
    found = find_command(rest)
    if found is None:
        console.say(group_help(rest[0]) if rest[:1] and group(rest[0]) else overview())
        return None
    command, flags = found
    options_class, _ = command.load()
    known = specs(options_class)
    values = vars(parser_for(command, known).parse_args([*before, *flags]))
    everywhere = Everywhere(**{name[2:]: values.pop(name) for name in list(values) if name.startswith("__")})
    if everywhere.help:
        console.say(parser_for(command, known).format_help().rstrip() + further_help(command, values))
        return None
    workspace = everywhere.find_workspace().root
    given = {spec.name: _value(spec, values[spec.name], workspace) for spec in known if values.get(spec.name, "") != ""}
    further_class = command.further_class(given)
    further_known = specs(further_class) if further_class is not None else []
    further = {}
    for spec, text in _set_values(everywhere.set, [*further_known, *known]):
        if spec in further_known:
            further[spec.name] = text
        elif text.strip() and spec.name not in given:
            given[spec.name] = _value(spec, text, workspace)
    if everywhere.yes and any(s.name == "yes" for s in known):
        given["yes"] = True
    return Call(command, options_class, given, everywhere, further)


def _flags_before(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits off the flags for every command that stand before the command's own words."""
    position = 0
    while position < len(words) and words[position].startswith("-"):
        takes_value = words[position] in ("--workspace", "--answers", "--log", "--progress", "--set")
        position += 2 if takes_value else 1
    return list(words[:position]), list(words[position:])


def parser_for(command: Command, known: Sequence[OptionSpec]) -> argparse.ArgumentParser:
    """The parser of one command, made from its options."""
    parser = _Parser(
        prog=f"main.py {command.words}",
        description=command.summary,
        allow_abbrev=False,
        add_help=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=36, width=110),
    )
    own = parser.add_argument_group("flags of this command")
    for spec in known:
        names = [f"--{spec.flag}", *(["--max-faces"] if spec.name == "max_faces_from_image" else [])]
        if spec.kind is bool:
            own.add_argument(
                *names, dest=spec.name, action=argparse.BooleanOptionalAction, help=describe(spec).replace("%", "%%")
            )
        elif spec.name == "execute_program":  # two words after it in older tools: seconds and code
            own.add_argument(*names, dest=spec.name, nargs=2, metavar=("SECONDS", "CODE"), help=describe(spec))
        else:
            own.add_argument(*names, dest=spec.name, metavar=_metavar(spec), help=describe(spec).replace("%", "%%"))
    if any(spec.name == "device" for spec in known):
        own.add_argument("--cpu-only", dest="device", action="store_const", const="cpu", help="Same as --device cpu.")
        own.add_argument(
            "--force-gpu-idxs",
            dest="device",
            metavar="LIST",
            type=lambda text: text.replace(",", "+"),
            help="Same as --device; a comma list such as 0,1 is understood.",
        )
    _add_flags_for_every_command(parser, {f"--{spec.flag}" for spec in known})
    return parser


FLAGS_OF_EVERY_COMMAND: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--workspace", {"metavar": "DIR"}, "The folder that holds the work (default: workspace beside main.py)."),
    ("--defaults", {"action": "store_true"}, "Ask nothing: the last answer counts, else the default."),
    ("--yes", {"action": "store_true"}, "Agree in advance to everything this step would put away."),
    ("--answers", {"metavar": "FILE"}, 'JSON with answers by option name, e.g. {"image_size": 512}.'),
    ("--set", {"metavar": "NAME=VALUE", "action": "append"}, "One answer by option name; may be repeated."),
    ("--log", {"metavar": "FILE"}, "Where to keep the log of this step (default: a new file in _internal/logs)."),
    ("--progress", {"choices": sorted(_PROGRESS)}, "How progress is shown (default: bar)."),
)
"""Flag, how argparse takes it, help."""


def _add_flags_for_every_command(parser: argparse.ArgumentParser, taken: set[str]) -> None:
    flags = parser.add_argument_group("flags of every command")
    flags.add_argument("-h", "--help", dest="__help", action="store_true", help="Show this and stop.")
    for flag, how, told in FLAGS_OF_EVERY_COMMAND:
        if flag not in taken:
            flags.add_argument(flag, dest="__" + flag.strip("-"), help=told, **how)


def describe(spec: OptionSpec) -> str:
    """What `--help` and docs/commands.md say of an option: label, what is accepted, help, default."""
    accepted = f" ({spec.range_text})" if spec.range_text and spec.kind is not bool else ""
    shown = default_text(spec)
    label = spec.label.rstrip(".?")
    sentences = [f"{label}{accepted}.", spec.help, f"Default: {shown}." if shown else ""]
    return " ".join(s for s in sentences if s)


def default_text(spec: OptionSpec) -> str:
    """The default as `--help` and docs/commands.md show it; "" where there is nothing to tell."""
    if callable(spec.default):
        return "depends on other answers"
    if spec.default is REQUIRED:
        return "none, must be given"
    return show_value(spec, spec.default)


def _metavar(spec: OptionSpec) -> str:
    return {int: "N", float: "X", Path: "PATH"}.get(spec.kind, "VALUE")


def _value(spec: OptionSpec, given: Any, workspace: Path) -> Any:
    """The typed value of a flag; paths may begin with {workspace} or {internal}, as in the numbered scripts."""
    if isinstance(given, list):
        given = " ".join(given)
    if not isinstance(given, str):
        return given
    if spec.kind is Path:
        given = given.replace("{workspace}", str(workspace)).replace("{internal}", str(internal_folder()))
    return parse_value(spec, given)


def _set_values(texts: Sequence[str], known: Sequence[OptionSpec]) -> Iterator[tuple[OptionSpec, str]]:
    """What every `--set` sets, and to what; where two options have one name, the first of `known` is meant."""
    names = {spelling: spec for spec in reversed(known) for spelling in (spec.flag, spec.name)}
    known_names = list(dict.fromkeys(spec.name for spec in known))
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name.strip() not in names:
            raise BadOption(
                f"--set needs NAME=VALUE with an option of this command. Received: {text}.",
                did_you_mean(name.strip(), known_names) or f"Options: {', '.join(known_names)}.",
            )
        yield names[name.strip()], value


# --------------------------------------------------------------------------------------------------------------- help


def further_help(command: Command, given: Mapping[str, Any]) -> str:
    """What `train --help` shows of the model's settings; "" for a command without further options."""
    further_class = command.further_class(given)
    if further_class is None:
        return ""
    lines = ["", "", f"{command.further_title(given)}:"]
    for spec in specs(further_class):
        fixed = " Cannot be changed later." if spec.fixed else ""
        lines.append(f"  {spec.name}")
        lines += textwrap.wrap(
            describe(spec) + fixed, 110, initial_indent=" " * 8, subsequent_indent=" " * 8, break_on_hyphens=False
        )
    return "\n".join(lines)


def overview() -> str:
    """What `main.py --help` shows."""
    width = max(len(c.words) for c in COMMANDS) + 2
    return "\n".join(
        [
            "usage: main.py <command> [flags]",
            "",
            "FaceLoom: two videos in, a finished video out.",
            "",
            "commands:",
            *(f"  {c.words:<{width}}{c.summary}" for c in COMMANDS),
            "",
            "main.py <command> --help shows the flags of a command. The scripts in bat/ run the steps in order.",
        ]
    )


def group_help(first_word: str) -> str:
    """What `main.py videoed` alone shows."""
    commands = group(first_word)
    width = max(len(c.words) for c in commands) + 2
    lines = [f"  {c.words:<{width}}{c.summary}" for c in commands]
    return "\n".join([f"usage: main.py {first_word} <command> [flags]", "", "commands:", *lines])
