"""Who may import whom: the contracts of pyproject.toml hold, and would be missed if they did not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("importlinter")

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "facelib", "samplelib", "models", "merger", "mainscripts")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter in a folder that holds the rooms and a pyproject.toml."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONUTF8": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_the_floors_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    assert f"Contracts: {len(contracts)} kept, 0 broken." in done.stdout


def empty_house(folder: Path) -> None:
    """The rooms without furniture, under the same contracts."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in (*ROOMS, "core/nn", "core/video"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text('"""A room."""\n')
    for module in ("core/parallel", "core/images", "core/geometry", "core/color"):
        (folder / f"{module}.py").write_text('"""A file."""\n')


@pytest.mark.parametrize(
    ("files", "contract"),
    [
        ({"core/a.py": "import facelib"}, "Floors"),
        ({"core/a.py": "def f():\n    import facelib"}, "Floors"),
        ({"models/a.py": "import merger"}, "Floors"),
        ({"merger/a.py": "import models"}, "Floors"),
        ({"samplelib/a.py": "import mainscripts"}, "Floors"),
        ({"models/a.py": "import tensorflow"}, "by name"),
        ({"core/b.py": "import core.nn", "samplelib/a.py": "import core.b"}, "loads no neural framework"),
        ({"core/a.py": "import core.b", "core/b.py": "def f():\n    import core.a"}, "No circles"),
    ],
    ids=lambda value: value if isinstance(value, str) else ", ".join(value),
)
def test_a_breach_is_found(tmp_path: Path, files: dict[str, str], contract: str) -> None:
    empty_house(tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = done.stdout.split("Broken contracts")[1]
    assert contract in " ".join(broken.split())


def test_an_empty_house_breaks_nothing(tmp_path: Path) -> None:
    empty_house(tmp_path)
    assert lint(tmp_path).returncode == 0
