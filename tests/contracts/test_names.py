"""The vocabulary of the house: no names that say nothing, American spelling, tests that mirror the rooms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "facelib", "samplelib", "models", "merger", "mainscripts")
EMPTY_WORDS = {"utils", "common", "misc", "helper", "helpers", "manager", "tmp", "cfg", "img", "imgs", "mat"}
BRITISH = re.compile(r"colour|grey|centre|neighbour|behaviour|normalis|optimis|initialis|licence|serialis")


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of what a file gives a name to: functions, classes, arguments, variables, imports' aliases."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield 0, node.asname


def words(name: str) -> list[str]:
    """The words of a name: "readImg_list" -> read, img, list."""
    return [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def complaints(file: str, tree: ast.Module) -> Iterator[str]:
    """What is wrong with the names of one file, its own included."""
    stem = Path(file).stem
    for line, name in [(0, stem), *names(tree)]:
        for word in EMPTY_WORDS & set(words(name)):
            yield f"{file}:{line} {name}: {word} says nothing"
        if BRITISH.search(name.lower()):
            yield f"{file}:{line} {name}: American spelling in code"


def house_files() -> list[Path]:
    return [ROOT / "main.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]


def test_names_say_something_and_are_spelled_american() -> None:
    found: list[str] = []
    for path in house_files():
        found += complaints(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("core/utils.py", ""),
        ("core/x.py", "img = 1"),
        ("core/x.py", "def read_cfg(): ..."),
        ("core/x.py", "class WindowManager: ..."),
        ("core/x.py", "def f(tmp): ..."),
        ("core/x.py", "self.face_mat = 1"),
        ("core/x.py", "def normalise(): ..."),
        ("core/x.py", "colour_transfer = 1"),
    ],
)
def test_bad_names_are_found(file: str, text: str) -> None:
    assert list(complaints(file, ast.parse(text)))


@pytest.mark.parametrize(
    "name", ["image", "matrix", "format", "commonly", "imagine", "color", "center", "gray", "tmpfs"]
)
def test_good_names_pass(name: str) -> None:
    assert not list(complaints("core/x.py", ast.parse(f"{name} = 1")))


def test_no_twins_with_numbers() -> None:
    """image1 and image2 are two names not found yet; corners (x1, y2) and published layers (conv1, dense1) are."""
    twins = []
    for path in house_files():
        found = {name for _, name in names(ast.parse(path.read_text(encoding="utf-8")))}
        for name in found:
            stem = name.removesuffix("2")
            if (
                name.endswith("2")
                and len(stem) > 4
                and stem.isalpha()
                and f"{stem}1" in found
                and stem not in ("conv", "dense")
            ):
                twins.append(f"{path.relative_to(ROOT).as_posix()}: {stem}1, {name}")
    assert not twins, "\n".join(twins)


def test_every_file_has_its_test_in_the_mirrored_place() -> None:
    """core/files.py -> tests/core/test_files.py; plain declarations need none, and one test may speak for a family."""
    missing = []
    for path in house_files():
        relative = path.relative_to(ROOT)
        if path.name == "__init__.py" or path.name == "main.py" or is_declarations(path):
            continue
        folder = ROOT / "tests" / relative.parent
        if not (folder / f"test_{relative.name}").exists() and not spoken_for(folder, relative):
            missing.append(relative.as_posix())
    assert not missing, "No test for:\n" + "\n".join(missing)


def is_declarations(path: Path) -> bool:
    """Whether a file holds no function with a body of its own: enums, records, protocols, option classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    return all(len(n.body) <= 2 for n in functions)


def spoken_for(folder: Path, file: Path) -> bool:
    """Whether a test in the mirrored folder names the file: imports it, or says that it speaks for it."""
    dotted = ".".join(file.with_suffix("").parts)
    package, _, name = dotted.rpartition(".")
    by_path = rf"\b{re.escape(dotted)}\b"
    by_name = rf"from {re.escape(package)} import [^\n]*\b{name}\b"
    pattern = re.compile(f"{by_path}|{by_name}")
    return any(pattern.search(test.read_text(encoding="utf-8")) for test in folder.glob("test_*.py"))
