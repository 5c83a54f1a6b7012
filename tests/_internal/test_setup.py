"""The set-up script behind the launchers: what is missing is made, what is there is left alone, and a half-finished
attempt is told from a finished one. A real environment is made in a folder of the test's own; pip installs nothing from
outside (the requirement files of the test are empty)."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAIN = """
import os, sys
print("MAIN", *sys.argv[1:], flush=True)
if sys.argv[1:2] == ["weights"]:
    folder = os.path.join(os.environ["FACELOOM_INTERNAL"], "weights")
    if os.environ.get("OFFLINE"):
        sys.exit(1)
    os.makedirs(folder, exist_ok=True)
    open(os.path.join(folder, "net.tflite"), "w").write("net")
if sys.argv[1:2] == ["exit"]:
    sys.exit(int(sys.argv[2]))
"""


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"faceloom_setup_{abs(hash(path))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def house(odd_folder: Path) -> Path:
    """A small FaceLoom: launcher and set-up script are the real ones, main.py only says what it was given."""
    for folder in ("bat", "_internal", "facelib/nets"):
        (odd_folder / folder).mkdir(parents=True)
    for name in ("bat/faceloom.sh", "_internal/setup.py"):
        (odd_folder / name).write_bytes((ROOT / name).read_bytes())
    (odd_folder / "main.py").write_text(MAIN)
    (odd_folder / "facelib/nets/pretrained.py").write_text("# the list of networks\n")
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-cuda.txt"):
        (odd_folder / name).write_text("# nothing\n")
    return odd_folder


@pytest.fixture
def setup(house: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The set-up script of that house, loaded; its `_internal` is the one beside it."""
    monkeypatch.delenv("FACELOOM_INTERNAL", raising=False)
    monkeypatch.delenv("FACELOOM_CUDA", raising=False)
    return load(house / "_internal" / "setup.py")


def environment(house: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "FACELOOM_PYTHON": sys.executable,
        "FACELOOM_INTERNAL": str(house / "_internal"),
        "FACELOOM_CUDA": "no",
        **more,
    }


def launch(house: Path, *words: str, folder: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs the launcher as a user would; from another folder, unless one is named."""
    return subprocess.run(
        ["sh", str(house / "bat" / "faceloom.sh"), *words],
        cwd=folder or Path("/"),
        env=environment(house, **more),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=200,
        check=False,
    )


posix = pytest.mark.skipif(os.name == "nt", reason="needs sh")


@posix
@pytest.mark.slow
def test_the_launcher_makes_everything_once(house: Path) -> None:
    """Demonstrates two first runs at once, a later run, a changed requirement, a damaged network."""
    words = ["sh", str(house / "bat" / "faceloom.sh"), "paint", "a b", "工作 & 空间"]
    both = [
        subprocess.Popen(
            words, cwd="/", env=environment(house), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    together = "".join(out for out, _ in said)
    for once in ("Making the Python", "Installing requirements.txt", "MAIN weights --fetch"):
        assert together.count(once) == 1
    assert "waiting for it" in together
    assert all(out.endswith("MAIN paint a b 工作 & 空间\n") for out, _ in said)

    later = launch(house, "exit", "3")
    assert (later.returncode, later.stdout, later.stderr) == (3, "MAIN exit 3\n", "")

    (house / "requirements.txt").write_text("# another version\n")
    changed = launch(house, "paint")
    assert "Installing" in changed.stdout
    assert "Making" not in changed.stdout

    (house / "_internal" / "weights" / "net.tflite").write_text("damaged or cut")
    assert "Fetching" in launch(house, "paint").stdout
    assert launch(house, "paint").stdout == "MAIN paint\n"


@posix
@pytest.mark.slow
def test_a_launch_killed_at_any_moment_is_completed_by_the_next(house: Path) -> None:
    mark = house / "_internal" / "venv" / ".installing"
    for seconds in (0.0, 0.7):  # after the environment has been begun; making it takes longer than that
        words = ["sh", str(house / "bat" / "faceloom.sh"), "paint"]
        process = subprocess.Popen(words, env=environment(house), stdout=subprocess.DEVNULL, start_new_session=True)
        while not mark.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = launch(house, "paint")
    assert done.returncode == 0, done.stderr
    assert "An earlier installation was interrupted. It is built anew." in done.stdout
    assert done.stdout.endswith("MAIN paint\n")
    assert launch(house, "paint").stdout == "MAIN paint\n"


@posix
def test_no_fitting_python_is_said_in_words(house: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    for tool in ("dirname",):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    done = subprocess.run(
        ["/bin/sh", str(house / "bat" / "faceloom.sh"), "demo"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "FaceLoom needs Python 3.11, 3.12 or 3.13" in done.stderr


# ------------------------------------------------------------------------------------------------------------ decisions


@pytest.fixture
def started(setup: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Takes the place of child processes and of the environment: notes what would run."""
    ran: list[list[str]] = []

    def run(python: Path, words: Any, folder: Path | None = None) -> int:
        ran.append(list(words))
        return 0

    monkeypatch.setattr(setup, "run", run)
    monkeypatch.setattr(setup, "become", run)
    monkeypatch.setattr(setup, "prepare_environment", lambda with_tests: Path("python"))
    setup.WEIGHTS.mkdir(parents=True)
    return ran


def test_test_runs_every_check_and_pytest_last(setup: Any, started: list[list[str]]) -> None:
    assert setup.main(["test", "tests/core", "-k", "a b"]) == 0
    fetch, *checks, last = started
    assert fetch[1:] == ["weights", "--fetch", "--defaults"]
    assert [check[:2] for check in checks[:2]] == [["-m", "ruff"], ["-m", "mypy"]]
    assert "importlinter" in checks[2][1]
    assert last == ["-m", "pytest", "tests/core", "-k", "a b"]


@pytest.mark.parametrize(("failing", "code"), [("ruff", 4), ("mypy", 4), ("pytest", 4), ("", 0)])
def test_a_failing_check_does_not_stop_the_others_but_shows_in_the_exit_code(
    setup: Any, started: list[list[str]], monkeypatch: pytest.MonkeyPatch, failing: str, code: int
) -> None:
    def run(python: Path, words: Any, folder: Path | None = None) -> int:
        started.append(list(words))
        return 4 if failing and failing in words else 0

    monkeypatch.setattr(setup, "run", run)
    assert setup.run_tests(Path("python"), []) == code
    assert started[-1] == ["-m", "pytest"]
    assert len(started) == len(setup.CHECKS) + 1


@pytest.mark.parametrize("words", [["weights", "--fetch"], ["doctor"], ["--help"], [], ["workspace", "status"]])
def test_what_needs_no_networks_does_not_wait_for_them(setup: Any, started: list[list[str]], words: list[str]) -> None:
    assert setup.main(words) == 0
    assert [ran[1:] for ran in started] == [words]


def test_without_a_network_a_command_goes_on_and_the_demo_does_not(
    setup: Any, started: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(setup, "run", lambda *words, **more: 1)
    assert setup.main(["merge"]) == 0
    assert "Going on without them." in capsys.readouterr().out
    assert setup.main(["demo"]) == 1
    assert "could not be fetched" in capsys.readouterr().err


@pytest.fixture
def nvidia(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Puts an nvidia-smi with this exit code on the PATH."""

    def put(code: int) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\nexit {code}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="CUDA packages exist for Linux only")
@pytest.mark.parametrize(
    ("driver", "choice", "file"),
    [
        (0, "auto", "requirements-cuda.txt"),
        (0, "", "requirements-cuda.txt"),
        (0, "no", "requirements.txt"),
        (9, "auto", "requirements.txt"),
        (9, "yes", "requirements-cuda.txt"),
    ],
)
def test_a_working_driver_brings_the_cuda_packages(
    setup: Any, nvidia: Any, monkeypatch: pytest.MonkeyPatch, driver: int, choice: str, file: str
) -> None:
    nvidia(driver)
    monkeypatch.setenv("FACELOOM_CUDA", choice)
    assert [f.name for f in setup.requirement_files(with_tests=False)] == [file]
    assert [f.name for f in setup.requirement_files(with_tests=True)] == [file, "requirements-dev.txt"]


def test_a_bad_choice_is_named(setup: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELOOM_CUDA", "maybe")
    with pytest.raises(setup.SetupFailed, match=r"Received: maybe\."):
        setup.wants_cuda()


def test_digests_follow_included_files(setup: Any, house: Path) -> None:
    (house / "requirements-dev.txt").write_text("-r requirements.txt\npytest\n")
    before = setup.digests([house / "requirements-dev.txt"])
    (house / "requirements.txt").write_text("numpy==2\n")
    after = setup.digests([house / "requirements-dev.txt"])
    assert before.keys() == after.keys() == {"requirements-dev.txt"}
    assert before != after


@pytest.mark.parametrize("stamp", ["", "{", "[]", '{"installed": {}}', '{"python": "3.11.1", "installed": 3}'])
def test_a_stamp_that_cannot_be_read_counts_as_none(setup: Any, stamp: str) -> None:
    setup.VENV.mkdir()
    setup.STAMP.write_text(stamp)
    assert setup.read_stamp_digests() == {}
    assert not setup.stamp_fits([setup.ROOT / "requirements.txt"])


def test_nothing_that_bends_pythons_paths_reaches_the_children(setup: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org/simple")
    clean = setup.clean_environment()
    assert "PYTHONPATH" not in clean
    assert "PIP_TARGET" not in clean
    assert clean["PIP_INDEX_URL"] == "https://example.org/simple"
    assert clean["PYTHONUTF8"] == "1"


# --------------------------------------------------------------------------------------------------------- double click

SCRIPT = "3) cut video (drop video on me).bat"
FOLDER = "C:\\a b & c\\bat"
CMD = "C:\\Windows\\system32\\cmd.exe"


@pytest.mark.parametrize(
    ("line", "words", "clicked"),
    [
        (f'{CMD} /c ""{FOLDER}\\{SCRIPT}" "', ["videoed", "cut-video", "--input-file", ""], True),
        (f'{CMD} /C ""{FOLDER}\\{SCRIPT}" C:\\x.mp4"', ["videoed", "cut-video", "--input-file", "C:\\x.mp4"], True),
        (
            f'{CMD} /c ""{FOLDER}\\{SCRIPT}" "C:\\x y.mp4""',
            ["videoed", "cut-video", "--input-file", "C:\\x y.mp4"],
            True,
        ),
        (f'"{CMD}" ', ["videoed", "cut-video", "--input-file", "C:\\x.mp4"], False),  # typed in a console
        (f'"{CMD}" /c ""{FOLDER}\\{SCRIPT}""', ["videoed", "cut-video"], False),  # started by PowerShell
        (f'{CMD} /c ""{FOLDER}\\{SCRIPT}" --defaults"', ["videoed", "cut-video", "--defaults"], False),
        (f'{CMD} /c outer.bat "{SCRIPT}"', ["videoed", "cut-video"], False),
        ("", ["videoed", "cut-video"], False),
    ],
)
def test_a_double_click_is_told_from_a_console(setup: Any, line: str, words: list[str], clicked: bool) -> None:
    assert setup.started_by_explorer(line, SCRIPT, words) is clicked


def test_another_scripts_line_is_no_double_click_of_ours(setup: Any) -> None:
    assert not setup.started_by_explorer(f'{CMD} /c ""{FOLDER}\\other.bat" "', SCRIPT, [])


@pytest.mark.parametrize(
    ("line", "received", "repaired"),
    [
        ('" C:\\a&b.mp4"', "C:\\a", "C:\\a&b.mp4"),
        ('" C:\\工作&空间.mp4"', "C:\\工作", "C:\\工作&空间.mp4"),
        ('" "C:\\a b & c.mp4""', "C:\\a b & c.mp4", "C:\\a b & c.mp4"),
        ('" C:\\plain.mp4"', "C:\\plain.mp4", "C:\\plain.mp4"),
        ('" "', "", ""),
    ],
)
def test_a_dropped_path_cut_at_the_ampersand_is_put_back(setup: Any, line: str, received: str, repaired: str) -> None:
    started = {"FACELOOM_CMDLINE": f'{CMD} /c ""{FOLDER}\\{SCRIPT}{line}', "FACELOOM_SCRIPT": SCRIPT}
    words = ["videoed", "cut-video", "--input-file", received]
    assert setup.drop_repair(words, started) == ["videoed", "cut-video", "--input-file", repaired]


def test_typed_words_are_left_alone(setup: Any) -> None:
    words = ["videoed", "cut-video", "--input-file", "C:\\a"]
    assert setup.drop_repair(list(words), {"FACELOOM_CMDLINE": f'"{CMD}"', "FACELOOM_SCRIPT": SCRIPT}) == words
