"""`steps`: the files that are written from tables: the scripts in bat/ and the parts of docs/ between markers.

    main.py steps           lists the numbered steps
    main.py steps --write   writes bat/ and the generated parts of the documentation anew
    main.py steps --check   fails when any of them differs from what would be written

A generated part of README.md or docs/*.md stands between `<!-- generated: steps -->` (or `options`, `models`) and
`<!-- end -->`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import BrokenFile, FaceLoomError
from core.files import atomic_write_bytes
from core.options import Options, OptionSpec, option, specs
from core.paths import Workspace, repository_root
from core.progress import Progress
from mainscripts.cli import FLAGS_OF_EVERY_COMMAND, default_text
from mainscripts.commands import COMMANDS
from mainscripts.steps import STEPS, scripts, steps_table

_KEPT = ("faceloom.sh", "faceloom.bat")
"""Files in bat/ that are written by hand."""


@dataclass(kw_only=True)
class StepsOptions(Options):
    write: bool = option(False, "Write", ask=False, help="Writes the scripts in bat/ and the tables in docs/ anew.")
    check: bool = option(False, "Check", ask=False, help="Fails when a script or a table in docs/ is out of date.")


def run(workspace: Workspace, options: StepsOptions, progress: Progress) -> list[Path]:
    """Lists the steps, or writes or checks what is generated from them.

    Returns:
        The files that were written, or (with `check`) that differ: an empty list.

    Raises:
        FaceLoomError: `check` found files that differ.
    """
    del workspace
    if not options.write and not options.check:
        for step in STEPS:
            progress.say(f"{step.name}\n    {step.note}")
        return []
    differing = outdated(repository_root())
    if options.check:
        if differing:
            names = ", ".join(p.name for p in differing)
            raise FaceLoomError(f"Out of date: {names}.", "Run main.py steps --write and commit the result.")
        progress.say("Every script and every table in docs/ is up to date.")
        return []
    for path, content in differing.items():
        if content is None:
            path.unlink()
            progress.say(f"Removed {path.name}, which no step needs any more.")
        else:
            atomic_write_bytes(path, content)
            if path.suffix == ".sh":
                os.chmod(path, 0o755)
            progress.say(f"Wrote {path.name}.")
    return list(differing)


def outdated(root: Path) -> dict[Path, bytes | None]:
    """Generated files that differ from what would be written, with their new content (None: to be removed)."""
    folder = root / "bat"
    wanted: dict[Path, bytes | None] = {folder / name: text.encode("ascii") for name, text in scripts().items()}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix in (".sh", ".bat") and path.name not in _KEPT:
            wanted.setdefault(path, None)
    for page in pages(root):
        wanted[page] = fill_blocks(page.read_text(encoding="utf-8"), BLOCKS, page).encode()
    return {p: new for p, new in wanted.items() if (p.read_bytes() if p.exists() else None) != new}


def pages(root: Path) -> list[Path]:
    """The pages of the documentation: README.md, then docs/ by name."""
    return [page for page in (root / "README.md", *sorted((root / "docs").glob("*.md"))) if page.is_file()]


def fill_blocks(text: str, blocks: Mapping[str, Callable[[], str]], path: Path) -> str:
    """The text with every generated part replaced by what its block says today.

    Raises:
        BrokenFile: a marker names an unknown block, or has no end.
    """

    def fill(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in blocks:
            raise BrokenFile(path, f'there is no generated part named "{name}".', f"Known: {', '.join(blocks)}.")
        return f"<!-- generated: {name} -->\n{blocks[name]()}\n<!-- end -->"

    filled = re.sub(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)
    if filled.count("<!-- generated:") != filled.count("<!-- end -->"):
        raise BrokenFile(path, "a generated part has no <!-- end -->.", "Put the marker back.")
    return filled


def options_tables() -> str:
    """The page of flags: one table per command, and the flags of every command."""
    parts = [_every_command()]
    for command in COMMANDS:
        options_class, _ = command.load()
        parts.append(f"## `{command.words}`\n\n{command.summary}")
        known = specs(options_class)
        if known:
            rows = ["| flag | what | accepts | default |", "|---|---|---|---|"]
            rows += [_row(spec) for spec in known]
            parts.append("\n".join(rows))
    return "\n\n".join(parts)


def settings_tables() -> str:
    """The chapter of the models' settings: one table per class."""
    from models.registry import MODEL_CLASSES, options_class

    parts = []
    for class_name in MODEL_CLASSES:
        rows = [f"### {class_name}", "", "| setting | what | accepts | default |", "|---|---|---|---|"]
        for spec in specs(options_class(class_name)):
            stays = " *Stays as it is once the model is made.*" if spec.fixed else ""
            rows.append(_cells(f"`{spec.name}`", f"{_told(spec)}{stays}", _accepts(spec), default_text(spec)))
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def _every_command() -> str:
    rows = ["## every command", "", "| flag | what |", "|---|---|"]
    for flag, how, told in FLAGS_OF_EVERY_COMMAND:
        value = how.get("metavar") or "/".join(how.get("choices", ()))
        rows.append(f"| `{f'{flag} {value}'.strip()}` | {told} |")
    return "\n".join(rows)


def _row(spec: OptionSpec) -> str:
    flag = f"`--{spec.flag}`" + (f", `--no-{spec.flag}`" if spec.kind is bool else "")
    return _cells(flag, _told(spec), _accepts(spec), default_text(spec))


def _accepts(spec: OptionSpec) -> str:
    kinds = {int: "a whole number", float: "a number", str: "text", Path: "a path", bool: "y/n"}
    return spec.range_text or kinds.get(spec.kind, "a number or fraction")


def _told(spec: OptionSpec) -> str:
    return f"{spec.label.rstrip('.?')}. {spec.help}".strip().replace("<", "&lt;")


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


BLOCKS: Mapping[str, Callable[[], str]] = {"steps": steps_table, "options": options_tables, "models": settings_tables}
"""The generated parts of the documentation."""
