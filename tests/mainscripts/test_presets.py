"""`presets`: what is kept under names."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.paths import Workspace
from mainscripts import cli


def test_presets_are_listed(odd_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["presets", "--workspace", str(odd_folder), "--log", str(odd_folder / "log.txt")]
    assert cli.main(words) == 0
    assert "There are no presets" in capsys.readouterr().out
    folder = Workspace(odd_folder).merge_presets
    folder.mkdir(parents=True)
    (folder / "dawn.json").write_text('{"blur_mask_modifier": 12, "mode": 3}')
    (folder / "dusk.json").write_text("{")
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "dawn: blur_mask 12, mode seamless" in said
    assert "not JSON" in said
