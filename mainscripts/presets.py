"""`presets`: the settings of merging that are kept under names, and what each of them sets."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import FaceLoomError
from core.options import Options
from core.paths import Workspace
from core.progress import Progress
from merger.presets import Presets


@dataclass(kw_only=True)
class PresetsOptions(Options):
    """Nothing is asked."""


def run(workspace: Workspace, options: PresetsOptions, progress: Progress) -> list[str]:
    """Says what each preset sets, and what is wrong with those that cannot be read; their names."""
    presets = Presets(workspace.merge_presets)
    names = presets.names()
    if not names:
        progress.say(f"There are no presets in {presets.folder}. Keep settings as one: merge --save-preset NAME.")
    for name in names:
        try:
            told = ", ".join(f"{key} {value}" for key, value in presets.read(name).items())
        except FaceLoomError as problem:
            told = str(problem)
        progress.say(f"{name}: {told}")
    return names
