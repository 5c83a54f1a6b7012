"""Settings of merging in files: whole, or only those that shall change.

A settings file is one JSON object, `{"mode": "seamless", "blur_mask": 40}`. A preset is such a file with a name, in the
presets folder of the workspace; what it does not name stays as it is. Names of older tools (erode_mask_modifier) and
their numbers are understood.
"""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import BadOption, BrokenFile, MissingInput
from core.files import atomic_write_text, natural_sorted
from core.options import check_value, specs
from merger.settings import MergeSettings

OLDER_NAMES = {
    "erode_mask_modifier": "erode_mask",
    "blur_mask_modifier": "blur_mask",
    "color_transfer_mode": "color_transfer",
}
_EXAMPLE = 'Write it as {"mask_mode": "learned-dst", "blur_mask": 40}.'
_FORBIDDEN = set('/\\:*?"<>|')
_LONGEST_NAME = 80


def check_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Checks settings that come from a file: known names, accepted values; DFL's names and numbers become ours.

    Raises:
        BadOption: an unknown name or a value outside its range.
    """
    known = {spec.name: spec for spec in specs(MergeSettings)}
    checked = {}
    for given, value in values.items():
        name = OLDER_NAMES.get(given, given)
        if name not in known:
            raise BadOption(
                f"Merging has no setting of this name. Received: {given}.", f"Settings: {', '.join(sorted(known))}."
            )
        spec = known[name]
        is_number = isinstance(value, int) and not isinstance(value, bool)
        checked[name] = check_value(spec, str(value) if spec.choices and is_number else value)
    return checked


def read_settings(path: Path) -> dict[str, Any]:
    """Reads a settings file; settings not in it are left open.

    Raises:
        MissingInput: no such file.
        BrokenFile: not JSON, or not an object.
        BadOption: an unknown setting or a bad value.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise MissingInput(f"The settings file {path} cannot be read ({problem.strerror}).") from problem
    except ValueError as problem:
        raise BrokenFile(path, f"this is not JSON ({problem}).", _EXAMPLE) from problem
    if not isinstance(values, dict):
        raise BrokenFile(path, "settings are one JSON object.", _EXAMPLE)
    return check_settings(values)


def write_settings(path: Path, values: Mapping[str, Any]) -> None:
    """Writes settings, all of them or some, so that `read_settings` gives them back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, json.dumps(check_settings(values), indent=2) + "\n")


class Presets:
    """The presets of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """In natural order; none where the folder is not there yet."""
        if not self.folder.is_dir():
            return []
        return [p.stem for p in natural_sorted(p for p in self.folder.glob("*.json") if not p.name.startswith("."))]

    def path(self, name: str) -> Path:
        """Where a preset of that name lies, or will.

        Raises:
            BadOption: a name that cannot be a file's on every system.
        """
        text = unicodedata.normalize("NFC", name).strip()
        bad = [c for c in text if c in _FORBIDDEN or unicodedata.category(c)[0] == "C"]
        if not text or bad or text.startswith(".") or text.endswith(".") or len(text.encode()) > _LONGEST_NAME:
            raise BadOption(
                f"A preset cannot have this name. Received: {name}.", "Letters, digits, blanks and _ always work."
            )
        return self.folder / f"{text}.json"

    def read(self, name: str) -> dict[str, Any]:
        """The settings a preset names.

        Raises:
            MissingInput: there is none of that name; those that exist are listed.
            BrokenFile, BadOption: its file cannot be used.
        """
        path = self.path(name)
        if not path.is_file():
            there = ", ".join(self.names())
            raise MissingInput(
                f"There is no preset of this name in {self.folder}. Received: {name}.",
                f"There are: {there}." if there else "Save one first: merge --save-preset NAME.",
            )
        return read_settings(path)

    def save(self, name: str, values: Mapping[str, Any]) -> Path:
        """Writes a preset; one of that name is replaced."""
        path = self.path(name)
        write_settings(path, values)
        return path

    def apply(self, name: str, settings: MergeSettings) -> MergeSettings:
        """The settings with what the preset names put in."""
        return dataclasses.replace(settings, **self.read(name))
