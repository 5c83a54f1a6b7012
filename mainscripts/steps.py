"""The numbered steps: one table, from which the scripts in bat/ and docs/steps.md are written.

A script holds no logic: it hands fixed words to the launcher, and whatever the user adds comes after them. Paths are
spelled `{workspace}/...` and `{internal}/...`; the command line fills them in, so a script works from any folder, with
another `--workspace`, and no path ever has to survive a shell's quoting.

`main.py steps` (mainscripts/generated.py) lists them and writes the files anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.paths import Workspace, pretrained_quick96_folder, pretraining_faces_folder

_PLACE = Workspace(Path("{workspace}"))


def _in(folder: Path) -> str:
    return folder.as_posix()


_SRC, _DST, _MODEL = _in(_PLACE.data_src), _in(_PLACE.data_dst), _in(_PLACE.model)
_SRC_FACES, _DST_FACES = _in(_PLACE.data_src_aligned), _in(_PLACE.data_dst_aligned)
_PRETRAINED = f"{{internal}}/{pretrained_quick96_folder().name}"
_PRETRAINING_FACES = f"{{internal}}/{pretraining_faces_folder().name}"
_MERGED, _MERGED_MASK = _in(_PLACE.data_dst_merged), _in(_PLACE.data_dst_merged_mask)

_EXTRACT_DST = f"extract --input-dir {_DST} --output-dir {_DST_FACES} --output-debug"

DROPPED = "<file>"
"""Stands in a step's words for the file that is dropped on its script, or given as the script's first word."""


@dataclass(frozen=True)
class Step:
    """One numbered script.

    Attributes:
        number: as the scripts are sorted by, e.g. "3.optional".
        title: the rest of the name (spec steps-and-cli 3).
        commands: the words for main.py; several commands run one after another.
        note: one line for docs/steps.md.
    """

    number: str
    title: str
    commands: tuple[tuple[str, ...], ...]
    note: str

    @property
    def name(self) -> str:
        """The name users know, without extension: "4) data_src faceset extract"."""
        return f"{self.number}) {self.title}"

    @property
    def bat_name(self) -> str:
        return f"{self.name}.bat"

    @property
    def sh_name(self) -> str:
        """The mechanical rule of spec 3: no parentheses, no blanks."""
        title = self.title.replace("(", "").replace(")", "").replace(" - ", "_").replace(" ", "_")
        return f"{self.number}_{title}.sh"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _to_video(extension: str, flags: str = "") -> tuple[tuple[str, ...], ...]:
    command = f"videoed video-from-sequence --reference-file {_in(_PLACE.video_pattern('dst'))}"
    frames = f"--input-dir {_MERGED} --output-file {_in(_PLACE.result(extension))} --include-audio {flags}"
    masks = f"--input-dir {_MERGED_MASK} --output-file {_in(_PLACE.result_mask(extension))} --lossless"
    return _words(f"{command} {frames}"), _words(f"{command} {masks}")


def _train(class_name: str, flags: str, note: str) -> Step:
    faces = f"--training-data-src-dir {_SRC_FACES} --training-data-dst-dir {_DST_FACES}"
    command = f"train {faces} {flags} --model-dir {_MODEL} --model {class_name}"
    return Step("6", f"train {class_name}", (_words(command),), f"{note} until you stop it (Enter, or Ctrl-C).")


def _merge(class_name: str) -> Step:
    folders = f"--input-dir {_DST} --output-dir {_MERGED} --output-mask-dir {_MERGED_MASK} --aligned-dir {_DST_FACES}"
    command = f"merge {folders} --model-dir {_MODEL} --model {class_name}"
    note = f"Puts the face that a {class_name} model learned onto every destination frame."
    return Step("7", f"merge {class_name}", (_words(command),), note)


def _view(number: str, title: str, folder: Path) -> Step:
    note = "Opens the folder in the system's viewer; without a screen, writes one picture of many small ones."
    return Step(number, title, (_words(f"view --input-dir {_in(folder)}"),), note)


_SERVICES = (
    ("src", "add landmarks debug images", "util --add-landmarks-debug-images", "Shows the landmarks of every face."),
    ("src dst", "faceset enhance", "facesettool enhance", "Makes edges crisper, and the faces larger if you like."),
    (
        "src dst",
        "faceset metadata restore",
        "util --restore-faceset-metadata",
        "Gives faces their records back after they were edited in other programs.",
    ),
    ("src dst", "faceset metadata save", "util --save-faceset-metadata", "Keeps all records before faces are edited."),
    ("src dst", "faceset pack", "util --pack-faceset", "Puts all faces into one file, which opens at once."),
    ("src dst", "faceset resize", "facesettool resize", "Makes all faces another size or another type."),
    ("src dst", "faceset unpack", "util --unpack-faceset", "Makes files of a pack again."),
    (
        "src dst",
        "recover original filename",
        "util --recover-original-aligned-filename",
        "Names every face after its frame again.",
    ),
)
"""Sides that have the script, the rest of its title, what it runs, its note."""


def _services(number: str, side: str, faces: str) -> tuple[Step, ...]:
    """The scripts `<number>) data_<side> util ...`."""
    steps = []
    for sides, title, command, note in _SERVICES:
        if side in sides.split():
            words = command.split()
            at = 1 if words[0] == "util" else 2
            line = (*words[:at], "--input-dir", faces, *words[at:])
            steps.append(Step(number, f"data_{side} util {title}", (line,), note))
    return tuple(steps)


STEPS: tuple[Step, ...] = (
    Step(
        "1",
        "clear workspace",
        (_words("workspace clear"),),
        "Puts frames, faces and models into the trash; videos stay.",
    ),
    Step(
        "2",
        "extract images from video data_src",
        (
            _words(
                f"videoed extract-video --input-file {_in(_PLACE.video_pattern('src'))} --output-dir {_SRC} --depth 8"
            ),
        ),
        "The source video becomes pictures, of 8 bits like the faces that are cut out of them.",
    ),
    Step(
        "3",
        "cut video (drop video on me)",
        (_words(f"videoed cut-video --input-file {DROPPED}"),),
        "Keeps one part of a video.",
    ),
    Step(
        "3",
        "extract images from video data_dst FULL FPS",
        (_words(f"videoed extract-video --input-file {_in(_PLACE.video_pattern('dst'))} --output-dir {_DST} --fps 0"),),
        "The destination video becomes pictures, every frame of it.",
    ),
    Step(
        "3.optional",
        "denoise data_dst images",
        (_words(f"videoed denoise-image-sequence --input-dir {_DST}"),),
        "Takes noise out of the destination frames.",
    ),
    Step(
        "4",
        "data_src faceset extract",
        (_words(f"extract --input-dir {_SRC} --output-dir {_SRC_FACES}"),),
        "Finds and cuts out the faces of the source. Look through them and delete what is not the person.",
    ),
    Step(
        "4",
        "data_src faceset extract MANUAL",
        (_words(f"extract --input-dir {_SRC} --output-dir {_SRC_FACES} --detector manual"),),
        "The same, with faces that you mark: writes the file in which to do so, then cuts out what it says.",
    ),
    _view("4.1", "data_src view aligned result", _PLACE.data_src_aligned),
    Step(
        "4.2",
        "data_src sort",
        (_words(f"sort --input-dir {_SRC_FACES}"),),
        "Puts the source's faces into a new order: blurred ones, strangers and doubles come together.",
    ),
    *_services("4.2", "src", _SRC_FACES),
    Step(
        "5",
        "data_dst faceset extract",
        (_words(f"{_EXTRACT_DST} --max-faces-from-image 0"),),
        "The same for the destination, with pictures that show what was found.",
    ),
    Step(
        "5",
        "data_dst faceset extract + manual fix",
        (_words(f"{_EXTRACT_DST} --max-faces-from-image 0 --manual-fix"),),
        "The same, then frames without a face are listed for you to mark; the next run cuts out what you marked.",
    ),
    Step(
        "5",
        "data_dst faceset extract MANUAL",
        (_words(f"{_EXTRACT_DST} --detector manual"),),
        "Every face of the destination is marked by you.",
    ),
    Step(
        "5",
        "data_dst faceset MANUAL RE-EXTRACT DELETED ALIGNED_DEBUG",
        (_words(f"{_EXTRACT_DST} --detector manual --manual-output-debug-fix"),),
        "Frames whose picture you deleted from aligned_debug are listed for you to mark, and done again.",
    ),
    _view("5.1", "data_dst view aligned results", _PLACE.data_dst_aligned),
    _view("5.1", "data_dst view aligned_debug results", _PLACE.data_dst_aligned_debug),
    Step(
        "5.2",
        "data_dst sort",
        (_words(f"sort --input-dir {_DST_FACES}"),),
        "The same for the destination.",
    ),
    *_services("5.2", "dst", _DST_FACES),
    _train("Quick96", f"--pretrained-model-dir {_PRETRAINED}", "Trains the small, fast model"),
    _train(
        "SAEHD", f"--pretraining-data-dir {_PRETRAINING_FACES}", "Trains the full model, with a setting for everything,"
    ),
    _merge("Quick96"),
    _merge("SAEHD"),
    Step("8", "merged to avi", _to_video(".avi"), "Makes result.avi and result_mask.avi."),
    Step("8", "merged to mov lossless", _to_video(".mov", "--lossless"), "Makes result.mov and result_mask.mov."),
    Step(
        "8",
        "merged to mov prores4444",
        _to_video(".mov", f"--encoder prores4444 --alpha-dir {_MERGED_MASK}"),
        "For editing programs: the merged frames, or the faces alone (merge --out png-rgba), with their alpha.",
    ),
    Step("8", "merged to mp4", _to_video(".mp4"), "Makes result.mp4 and result_mask.mp4."),
    Step("8", "merged to mp4 lossless", _to_video(".mp4", "--lossless"), "The same, every pixel kept exactly."),
)


# ------------------------------------------------------------------------------------------------------------ scripts


def sh_script(step: Step) -> str:
    """The text of a step's .sh: POSIX sh, line feeds."""
    dropped = any(DROPPED in command for command in step.commands)
    extra = '"$@"'
    lines = ["#!/bin/sh", f"# {step.name}: {step.note} Written by `main.py steps --write`."]
    if dropped:
        lines += ["file=${1:-}", "[ $# -gt 0 ] && shift", "case $file in -*.*) file=./$file ;; esac"]
    words = " --then ".join(f"{_sh_words(command)} {extra}" for command in step.commands)
    lines.append(f'exec sh "$(dirname -- "$0")/faceloom.sh" {words}')
    return "\n".join(lines) + "\n"


def _sh_words(command: Sequence[str]) -> str:
    return " ".join('"$file"' if word == DROPPED else shlex.quote(word) for word in command)


def bat_script(step: Step) -> str:
    """The text of a step's .bat: no CALL (see faceloom.bat), carriage returns, ASCII."""
    dropped = any(DROPPED in command for command in step.commands)
    lines = ["@echo off", f"rem {step.name}: {step.note} Written by main.py steps --write.", "setlocal"]
    lines.append('set "FACELOOM_SCRIPT=%~nx0"')
    if dropped:
        lines.append('set "FACELOOM_DROP=1"')
    extra = "%2 %3 %4 %5 %6 %7 %8 %9" if dropped else "%*"
    words = " --then ".join(f"{_bat_words(command)} {extra}" for command in step.commands)
    lines.append(f'"%~dp0faceloom.bat" {words}')
    return "\r\n".join(lines) + "\r\n"


def _bat_words(command: Sequence[str]) -> str:
    return " ".join('"%~1"' if word == DROPPED else word for word in command)


def scripts() -> dict[str, str]:
    """File name in bat/ -> text, for every generated script."""
    return {s.bat_name: bat_script(s) for s in STEPS} | {s.sh_name: sh_script(s) for s in STEPS}


# ------------------------------------------------------------------------------------------------------ documentation


def steps_table() -> str:
    """The table of the numbered steps."""
    rows = ["| step | script (`.bat`, `.sh`) | runs |", "|---|---|---|"]
    for step in STEPS:
        runs = "<br>".join(f"`{' '.join(command)}`" for command in step.commands)
        rows.append(f"| {step.number} | **{step.name}**<br>`{step.sh_name}`<br>{step.note} | {runs} |")
    return "\n".join(rows)
