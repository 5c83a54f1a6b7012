"""The table of commands: which words, which function, which options, and one line about it.

Nothing heavy is imported here: a command's module is loaded when its words are given (`Command.load`), so that
`main.py --help` answers at once.
"""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import BadOption
from core.options import Options
from core.paths import Workspace, default_workspace
from core.progress import Progress

Run = Callable[[Workspace, Any, Progress], Any]
"""Every command: `run(workspace, options, progress) -> report`."""


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        words: what is typed after main.py, one or two words.
        module, options, function: where it lives; `options` is the name of its Options class.
        summary: one line for `--help` and docs/commands.md.
        prints: switches after which standard output is meant for another program, so that nothing is added to it.
        further: module that knows the options settled after the command's own (of `train`: those of the model) by
            `further_class`, `further_title`, `settle_further` and `further_words`, as called below; "": there are none.
    """

    words: str
    module: str
    options: str
    summary: str
    function: str = "run"
    prints: tuple[str, ...] = ()
    further: str = ""

    def further_class(self, given: Mapping[str, Any]) -> type[Options] | None:
        """The class of the further options, which may depend on what was given for the command's own."""
        found: type[Options] | None = None
        if self.further:
            found = importlib.import_module(self.further).further_class(given)
        return found

    def further_title(self, given: Mapping[str, Any]) -> str:
        """What stands above the further options in `--help`."""
        title: str = importlib.import_module(self.further).further_title(given)
        return title

    def settle_further(self, options: Any, talk: Any) -> Any:
        """Settles the further options (mainscripts/answers.py: Talk); returns `options` with them."""
        if not self.further:
            return options
        return importlib.import_module(self.further).settle_further(options, talk)

    def further_words(self, options: Any) -> list[str]:
        """The words of a command line that say the further options again."""
        words: list[str] = []
        if self.further:
            words = importlib.import_module(self.further).further_words(options)
        return words

    def load(self) -> tuple[type[Options], Run]:
        """Imports the command and returns its options class and its function."""
        module = importlib.import_module(self.module)
        return getattr(module, self.options), getattr(module, self.function)


_WORKSPACE, _VIDEO, _FACESET = "mainscripts.workspace", "mainscripts.videoed", "mainscripts.facesettool"
_MODEL = "mainscripts.model"

COMMANDS: tuple[Command, ...] = (
    Command("demo", "mainscripts.demo", "DemoOptions", "Makes a face swap from two built-in portraits."),
    Command("videoed extract-video", _VIDEO, "ExtractVideoOptions", "Turns a video into pictures.", "extract_video"),
    Command("videoed cut-video", _VIDEO, "CutVideoOptions", "Keeps one part of a video.", "cut"),
    Command("videoed denoise-image-sequence", _VIDEO, "DenoiseOptions", "Takes noise out of frames.", "denoise"),
    Command(
        "videoed video-from-sequence",
        "mainscripts.videoed_result",
        "VideoFromSequenceOptions",
        "Makes a video of pictures.",
        "video_from_sequence",
    ),
    Command("extract", "mainscripts.extract", "ExtractOptions", "Finds the faces in pictures and cuts them out."),
    Command("sort", "mainscripts.sort", "SortOptions", "Puts faces into a new order, or keeps the best of them."),
    Command(
        "train",
        "mainscripts.train",
        "TrainOptions",
        "Trains a model on two facesets.",
        prints=("json",),
        further="mainscripts.train_questions",
    ),
    Command("model list", _MODEL, "ListOptions", "Lists the trained models.", "run_list", ("json",)),
    Command("model rename", _MODEL, "RenameOptions", "Gives a model another name.", "run_rename"),
    Command("model delete", _MODEL, "DeleteOptions", "Puts a model into the trash.", "run_delete"),
    Command("merge", "mainscripts.merge", "MergeOptions", "Puts the learned face onto every frame."),
    Command("report", "mainscripts.merge_report", "ReportOptions", "Judges what was merged, on one page."),
    Command("presets", "mainscripts.presets", "PresetsOptions", "Lists the settings of merging kept under names."),
    Command("util", "mainscripts.util", "UtilOptions", "Works on a folder of faces.", prints=("print_metadata",)),
    Command("facesettool resize", _FACESET, "ResizeOptions", "Makes all faces another size or type.", "resize"),
    Command("facesettool enhance", _FACESET, "EnhanceOptions", "Makes all faces crisper or larger.", "enhance"),
    Command("view", "mainscripts.view", "ViewOptions", "Shows a folder, or writes one picture of it."),
    Command("doctor", "mainscripts.doctor", "DoctorOptions", "Checks everything FaceLoom runs on.", prints=("json",)),
    Command("weights", "mainscripts.weights", "WeightsOptions", "Lists, fetches and verifies the face networks."),
    Command("workspace status", _WORKSPACE, "StatusOptions", "Says what is there.", "status", ("json",)),
    Command("workspace clear", _WORKSPACE, "ClearOptions", "Puts frames, faces and models into the trash.", "clear"),
    Command("workspace undo", _WORKSPACE, "UndoOptions", "Brings back what was put into the trash last.", "undo"),
    Command("steps", "mainscripts.generated", "StepsOptions", "Lists the numbered steps, and writes their scripts."),
)


@dataclass
class Everywhere:
    """The flags that every command takes."""

    help: bool = False
    workspace: str | None = None
    defaults: bool = False
    yes: bool = False
    answers: str | None = None
    log: str | None = None
    progress: str = "bar"
    set: list[str] = field(default_factory=list)

    def find_workspace(self) -> Workspace:
        """The folder of `--workspace`, or the usual one."""
        if self.workspace is None:
            return default_workspace()
        return Workspace(Path(os.path.abspath(Path(self.workspace).expanduser())))


@dataclass
class Call:
    """One command with what was given for it on the command line."""

    command: Command
    options_class: type[Options]
    given: dict[str, Any]
    everywhere: Everywhere
    further: dict[str, str] = field(default_factory=dict)
    """What `--set` says of further options, as it was typed."""

    @property
    def workspace(self) -> Workspace:
        """The workspace the command works on."""
        return self.everywhere.find_workspace()


def find_command(words: Sequence[str]) -> tuple[Command, list[str]] | None:
    """The command that `words` begin with, and the words after it; None when they name no command or half of one.

    Raises:
        BadOption: the words begin with something that is no command; close ones are named.
    """
    for length in (2, 1):
        for command in COMMANDS:
            if tuple(command.words.split()) == tuple(words[:length]):
                return command, list(words[length:])
    if not words or words[0].startswith("-"):
        return None
    half = group(words[0])
    if half and (len(words) == 1 or words[1].startswith("-")):
        return None
    typed = " ".join(words[:2]) if half else words[0]
    known = [c.words for c in (half or COMMANDS)]
    raise BadOption(
        f"There is no command by that name. Received: {typed}.",
        did_you_mean(typed, known) or f"Commands: {', '.join(known)}.",
    )


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """The question that names what is spelled much like what was typed; "" where nothing is."""
    close = difflib.get_close_matches(typed, list(known), n=3, cutoff=0.65)
    return f"Did you mean: {', '.join(close)}?" if close else ""


def group(first_word: str) -> list[Command]:
    """The commands of two words that begin with `first_word`, e.g. the four of "videoed"."""
    return [c for c in COMMANDS if " " in c.words and c.words.split()[0] == first_word]
