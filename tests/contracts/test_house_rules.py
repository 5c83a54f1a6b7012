"""The rules of the house, each one a test over the syntax tree of every file; below, proof that each rule can bite."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "facelib", "samplelib", "models", "merger", "mainscripts")
FRAMEWORKS = {"tensorflow", "jax", "torch"}
FOLDER_NAMES = {
    "data_src", "data_dst", "aligned", "aligned_debug", "aligned_trash", "merged", "merged_mask", ".state",
    "pretrain_Quick96", "data_src.*", "data_dst.*",
}  # fmt: skip

Rule = Callable[[str, ast.Module], Iterator[str]]
"""A rule takes a file (path from the repository root, forward slashes) and its tree, and names what breaks it."""


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a file imports, function-level imports and import_module("...") included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            yield from (
                (node.lineno, a.value) for a in node.args if isinstance(a, ast.Constant) and str(a.value) == a.value
            )


def called(node: ast.Call) -> str:
    """The last name of what is called: "imread" for cv2.imread(...)."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def docstrings(tree: ast.Module) -> set[int]:
    """The identity of every string that stands alone as a statement: docstrings, and remarks below a constant."""
    return {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}


# ---------------------------------------------------------------------------------------------------------- the rules


def framework_only_where_networks_live(file: str, tree: ast.Module) -> Iterator[str]:
    """Keras in core/nn, facelib/nets and models; TensorFlow, JAX and PyTorch by name in core/nn."""
    for line, name in imported(tree):
        top = name.split(".")[0]
        if top == "keras" and not file.startswith(("core/nn/", "facelib/nets/", "models/")):
            yield f"{file}:{line} imports keras"
        if top in FRAMEWORKS and not file.startswith("core/nn/"):
            yield f"{file}:{line} imports {top}"


def pages_only_in_ui(file: str, tree: ast.Module) -> Iterator[str]:
    """NiceGUI in mainscripts/ui."""
    for line, name in imported(tree):
        if name.split(".")[0] == "nicegui" and not file.startswith("mainscripts/ui/"):
            yield f"{file}:{line} imports nicegui"


def terminal_only_in_console(file: str, tree: ast.Module) -> Iterator[str]:
    """print and input in core/console.py."""
    if file == "core/console.py":
        return
    for node in calls(tree):
        if isinstance(node.func, ast.Name) and node.func.id in ("print", "input"):
            yield f"{file}:{node.lineno} calls {node.func.id}"


def command_line_only_in_cli(file: str, tree: ast.Module) -> Iterator[str]:
    """argparse in mainscripts/cli.py, and no other library of its kind."""
    for line, name in imported(tree):
        top = name.split(".")[0]
        if top in ("click", "typer", "optparse", "getopt", "fire") or (
            top == "argparse" and file != "mainscripts/cli.py"
        ):
            yield f"{file}:{line} imports {top}"


def ffmpeg_only_in_video(file: str, tree: ast.Module) -> Iterator[str]:
    """ffmpeg in core/video; OpenCV's own video functions nowhere."""
    for line, name in imported(tree):
        if name.split(".")[0] in ("ffmpeg", "imageio_ffmpeg", "av") and not file.startswith("core/video"):
            yield f"{file}:{line} imports {name}"
    for node in calls(tree):
        if called(node) in ("VideoCapture", "VideoWriter"):
            yield f"{file}:{node.lineno} calls {called(node)}"


def pictures_only_in_images(file: str, tree: ast.Module) -> Iterator[str]:
    """Pictures are read, written, encoded and decoded in core/images.py; windows are opened nowhere."""
    codec = {"imread", "imwrite", "imdecode", "imencode", "imreadmulti", "savefig", "imsave"}
    for node in calls(tree):
        if called(node) in codec and file != "core/images.py":
            yield f"{file}:{node.lineno} calls {called(node)}"
        if called(node) in ("imshow", "namedWindow", "waitKey"):
            yield f"{file}:{node.lineno} opens a window"
    for line, name in imported(tree):
        if name.split(".")[0] in ("PIL", "imageio") and file != "core/images.py":
            yield f"{file}:{line} imports {name}"


def folder_names_only_in_paths(file: str, tree: ast.Module) -> Iterator[str]:
    """A name of the workspace is spelled in core/paths.py; everybody else asks a Workspace."""
    if file == "core/paths.py":
        return
    spared = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spared:
            for name in FOLDER_NAMES & set(node.value.replace("\\", "/").split("/")):
                yield f"{file}:{node.lineno} spells {name}"


def nothing_that_runs_data(file: str, tree: ast.Module) -> Iterator[str]:
    """No pickle or its kin, no eval or exec, no shell."""
    if file == "core/legacy_pickle.py":
        return
    for line, name in imported(tree):
        if name.split(".")[0] in ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"):
            yield f"{file}:{line} imports {name}"
    for node in calls(tree):
        if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            yield f"{file}:{node.lineno} calls {node.func.id}"
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) in ("os.system", "os.popen"):
            yield f"{file}:{node.lineno} calls {ast.unparse(node.func)}"
        for keyword in node.keywords:
            harmless = isinstance(keyword.value, ast.Constant) and not keyword.value.value
            if keyword.arg in ("shell", "allow_pickle") and not harmless:
                yield f"{file}:{node.lineno} says {keyword.arg}={ast.unparse(keyword.value)}"


def a_sign_on_every_door(file: str, tree: ast.Module) -> Iterator[str]:
    """__init__.py holds one docstring and nothing else."""
    if file.endswith("__init__.py") and (len(tree.body) != 1 or ast.get_docstring(tree) is None):
        yield f"{file} holds more or less than one docstring"


def every_file_says_what_it_is(file: str, tree: ast.Module) -> Iterator[str]:
    """Each file, and each public function and class at its top, has a docstring."""
    if not ast.get_docstring(tree):
        yield f"{file} has no docstring"
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not _is_plain_options(node):
            yield f"{file}:{node.lineno} {node.name} has no docstring"


def _is_plain_options(node: ast.stmt) -> bool:
    """A command's options class: its fields explain themselves."""
    return isinstance(node, ast.ClassDef) and node.name.endswith("Options")


def short_enough_to_read(file: str, tree: ast.Module) -> Iterator[str]:
    """A file has about 400 lines at most and a function about 60: a feeling, with a tenth of tolerance."""
    longest = max((getattr(node, "end_lineno", 0) or 0 for node in tree.body), default=0)
    if longest > 440:
        yield f"{file} has {longest} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > 66:
                yield f"{file}:{node.lineno} {node.name} has {length} lines"


RULES: tuple[Rule, ...] = (
    framework_only_where_networks_live,
    pages_only_in_ui,
    terminal_only_in_console,
    command_line_only_in_cli,
    ffmpeg_only_in_video,
    pictures_only_in_images,
    folder_names_only_in_paths,
    nothing_that_runs_data,
    a_sign_on_every_door,
    every_file_says_what_it_is,
    short_enough_to_read,
)


def house_files() -> list[Path]:
    """Every Python file of the rooms, and the door."""
    return [ROOT / "main.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule: Rule) -> None:
    found: list[str] = []
    for path in house_files():
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        found += rule(path.relative_to(ROOT).as_posix(), tree)
    assert not found, "\n".join([rule.__doc__ or "", *found])


def test_tests_and_benchmarks_run_no_data_either() -> None:
    found: list[str] = []
    for folder in ("tests", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            file = path.relative_to(ROOT).as_posix()
            found += nothing_that_runs_data(file, ast.parse(path.read_text(encoding="utf-8")))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("rule", "file", "text"),
    [
        (framework_only_where_networks_live, "samplelib/x.py", "def f():\n    import keras"),
        (framework_only_where_networks_live, "models/x.py", "from tensorflow import function"),
        (framework_only_where_networks_live, "merger/x.py", "import importlib\nimportlib.import_module('torch')"),
        (pages_only_in_ui, "mainscripts/x.py", "from nicegui import ui"),
        (terminal_only_in_console, "core/x.py", "print('hello')"),
        (command_line_only_in_cli, "mainscripts/x.py", "import argparse"),
        (command_line_only_in_cli, "mainscripts/cli.py", "import click"),
        (ffmpeg_only_in_video, "mainscripts/x.py", "import imageio_ffmpeg"),
        (ffmpeg_only_in_video, "core/video/x.py", "cv2.VideoCapture('a.mp4')"),
        (pictures_only_in_images, "facelib/x.py", "cv2.imread('a.png')"),
        (pictures_only_in_images, "core/images.py", "cv2.imshow('window', picture)"),
        (folder_names_only_in_paths, "merger/x.py", "folder = root / 'data_dst' / x"),
        (folder_names_only_in_paths, "merger/x.py", "folder = f'{root}/data_dst/{x}'"),
        (nothing_that_runs_data, "core/x.py", "from pickle import loads"),
        (nothing_that_runs_data, "core/x.py", "eval('1')"),
        (nothing_that_runs_data, "core/x.py", "subprocess.run(words, shell=True)"),
        (nothing_that_runs_data, "core/x.py", "numpy.load(path, allow_pickle=choice)"),
        (a_sign_on_every_door, "core/__init__.py", '"""A room."""\nfrom core import files'),
        (a_sign_on_every_door, "core/__init__.py", ""),
        (every_file_says_what_it_is, "core/x.py", '"""A file."""\ndef f(): ...'),
        (short_enough_to_read, "core/x.py", "x = 1\n" * 441),
        (short_enough_to_read, "core/x.py", "def f():\n" + "    x = 1\n" * 66),
    ],
)
def test_the_rule_bites(rule: Rule, file: str, text: str) -> None:
    assert list(rule(file, ast.parse(text)))


@pytest.mark.parametrize(
    ("rule", "file", "text"),
    [
        (framework_only_where_networks_live, "core/nn/x.py", "import tensorflow, keras"),
        (
            folder_names_only_in_paths,
            "merger/x.py",
            '"""Reads data_dst/aligned."""\nsay("run 4) data_src faceset extract")',
        ),
        (nothing_that_runs_data, "core/x.py", "numpy.load(path, allow_pickle=False)"),
        (a_sign_on_every_door, "core/__init__.py", '"""A room."""'),
        (short_enough_to_read, "core/x.py", "def f():\n" + "    x = 1\n" * 60),
    ],
)
def test_the_rule_lets_good_code_pass(rule: Rule, file: str, text: str) -> None:
    assert not list(rule(file, ast.parse(text)))


def tracked_files() -> list[Path]:
    """The files git knows, or without git every file of ours."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.split("\0") if name]
    return [p for room in (*ROOMS, "tests", "benchmarks") for p in (ROOT / room).rglob("*.py")]


def test_no_path_of_a_developers_machine_is_written_down() -> None:
    marks = ["/" + "work/", "/" + "home/", "/" + "Users/", "C:" + "\\Users\\", "/" + "opt/"]
    texts = (".py", ".toml", ".txt", ".md", ".sh", ".bat", "")
    found: list[str] = []
    for path in tracked_files():
        if path.suffix in texts and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{path.relative_to(ROOT)}: {mark}" for mark in marks if mark in text]
    assert not found, "\n".join(found)
