"""The scripts in bat/ equal what the table of steps says, their words are words of the real command line, and they run:
the .sh under sh with a stand-in Python, the .bat by a strict reading of the subset we write and, where wine is there,
under its cmd.exe with a stand-in python.exe."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest

from core.paths import Workspace, pretrained_quick96_folder, pretraining_faces_folder
from mainscripts.cli import parse, split_commands
from mainscripts.generated import outdated
from mainscripts.steps import DROPPED, STEPS, Step, bat_script, scripts

ROOT = Path(__file__).resolve().parents[2]
BAT = ROOT / "bat"
BY_NAME = {step.name: step for step in STEPS}
EXTRA = ["--log", "a & b (1) 100% ^ 工作.txt", "--defaults"]
DROPPED_FILE = "C:\\films & more\\工作 (1).mp4"


def words_of(step: Step, extra: list[str], dropped: str = "") -> list[str]:
    """What a script hands to the launcher, worked out from the table."""
    line: list[str] = []
    for command in step.commands:
        line += ["--then"] if line else []
        line += [dropped if word == DROPPED else word for word in command] + extra
    return line


def takes_a_file(step: Step) -> bool:
    return any(DROPPED in command for command in step.commands)


# --------------------------------------------------------------------------------------------------- files and table


def test_the_files_are_what_the_table_says() -> None:
    stale = [path.name for path in outdated(ROOT) if path.parent == BAT]
    assert not stale, f"Run main.py steps --write. Out of date: {stale}"


def test_names_are_those_users_know() -> None:
    """Spelled out from the specification, chapter 3."""
    assert {name for name in scripts() if name.endswith(".bat")} == {
        "1) clear workspace.bat",
        "2) extract images from video data_src.bat",
        "3) cut video (drop video on me).bat",
        "3) extract images from video data_dst FULL FPS.bat",
        "3.optional) denoise data_dst images.bat",
        "4) data_src faceset extract.bat",
        "4) data_src faceset extract MANUAL.bat",
        "4.1) data_src view aligned result.bat",
        "4.2) data_src util add landmarks debug images.bat",
        "4.2) data_src util faceset enhance.bat",
        "4.2) data_src util faceset metadata restore.bat",
        "4.2) data_src util faceset metadata save.bat",
        "4.2) data_src util faceset pack.bat",
        "4.2) data_src util faceset resize.bat",
        "4.2) data_src util faceset unpack.bat",
        "4.2) data_src util recover original filename.bat",
        "4.2) data_src sort.bat",
        "5) data_dst faceset extract.bat",
        "5) data_dst faceset extract + manual fix.bat",
        "5) data_dst faceset extract MANUAL.bat",
        "5) data_dst faceset MANUAL RE-EXTRACT DELETED ALIGNED_DEBUG.bat",
        "5.2) data_dst sort.bat",
        "5.1) data_dst view aligned results.bat",
        "5.1) data_dst view aligned_debug results.bat",
        "5.2) data_dst util faceset enhance.bat",
        "5.2) data_dst util faceset metadata restore.bat",
        "5.2) data_dst util faceset metadata save.bat",
        "5.2) data_dst util faceset pack.bat",
        "5.2) data_dst util faceset resize.bat",
        "5.2) data_dst util faceset unpack.bat",
        "5.2) data_dst util recover original filename.bat",
        "6) train Quick96.bat",
        "6) train SAEHD.bat",
        "7) merge Quick96.bat",
        "7) merge SAEHD.bat",
        "8) merged to avi.bat",
        "8) merged to mov lossless.bat",
        "8) merged to mov prores4444.bat",
        "8) merged to mp4 lossless.bat",
        "8) merged to mp4.bat",
    }
    assert {"1_clear_workspace.sh", "3_cut_video_drop_video_on_me.sh", "3.optional_denoise_data_dst_images.sh"} <= {
        *scripts()
    }


def test_no_two_names_are_one_on_a_disk_that_ignores_case() -> None:
    assert len({name.casefold() for name in scripts()}) == len(scripts()) == 2 * len(STEPS)


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.name)
def test_the_words_of_every_step_are_understood(step: Step, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    line = words_of(step, ["--workspace", str(workspace.root), "--defaults"], "film.mp4")
    for words in split_commands(line):
        call = parse(words)
        assert call is not None
        paths = [value for value in call.given.values() if isinstance(value, Path)]
        inside = [p for p in paths if p.is_relative_to(workspace.root)]
        elsewhere = {p for p in paths if p not in inside}
        assert elsewhere <= {Path.cwd() / "film.mp4", pretrained_quick96_folder(), pretraining_faces_folder()}
        assert inside or not [word for word in words if "{workspace}" in word]


def test_faces_go_where_the_next_step_looks_for_them(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    given = {}
    for name in ("4) data_src faceset extract", "5) data_dst faceset extract", "7) merge Quick96"):
        call = parse(words_of(BY_NAME[name], ["--workspace", str(tmp_path)]))
        assert call is not None
        given[name[0]] = call.given
    assert given["4"]["input_dir"] == workspace.data_src
    assert given["4"]["output_dir"] == workspace.data_src_aligned
    assert given["5"]["output_dir"] == workspace.data_dst_aligned == given["7"]["aligned_dir"]
    assert given["7"]["output_dir"] == workspace.data_dst_merged


# ------------------------------------------------------------------------------------------------------------------ sh


@pytest.fixture
def house(odd_folder: Path) -> Path:
    """A copy of bat/ in a folder whose name has a blank, an ampersand, parentheses, accents and Chinese letters."""
    shutil.copytree(BAT, odd_folder / "bat")
    (odd_folder / "_internal").mkdir()
    (odd_folder / "_internal" / "setup.py").write_text("")
    return odd_folder


@pytest.mark.skipif(os.name == "nt", reason="needs sh")
@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.name)
def test_sh_scripts_hand_over_their_words(step: Step, house: Path, tmp_path: Path) -> None:
    stand_in = tmp_path / "stand in"
    stand_in.write_text(
        '#!/bin/sh\n[ "$1" = -c ] && exit 0\nshift\nprintf "%s\\0" "$@" > "$RECORD"\nexit 7\n'.replace("\\0", "\\000")
    )
    stand_in.chmod(0o755)
    record = tmp_path / "record"
    extra = ["--log", 'a & b\'s "$HOME" `x` * 工作', "--defaults"]
    dropped = ["films & more/a b.mp4"] if takes_a_file(step) else []
    done = subprocess.run(
        ["sh", str(house / "bat" / step.sh_name), *dropped, *extra],
        cwd=tmp_path,
        env={**os.environ, "FACELOOM_PYTHON": str(stand_in), "RECORD": str(record)},
        check=False,
    )
    assert done.returncode == 7
    assert record.read_text(encoding="utf-8").split("\0")[:-1] == words_of(step, extra, *dropped)


@pytest.mark.skipif(os.name == "nt", reason="needs sh")
def test_a_file_whose_name_looks_like_a_flag_is_a_file(house: Path, tmp_path: Path) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\necho "$5"\n')
    stand_in.chmod(0o755)
    for step in filter(takes_a_file, STEPS):
        for given, word in (("-take 2.mp4", "./-take 2.mp4"), ("-x.mp4", "./-x.mp4"), ("--help", "--help")):
            done = subprocess.run(
                ["sh", str(house / "bat" / step.sh_name), given],
                env={**os.environ, "FACELOOM_PYTHON": str(stand_in)},
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout == f"{word}\n"


def test_sh_scripts_are_read_by_a_strict_shell() -> None:
    for path in sorted(BAT.glob("*.sh")):
        assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0
        assert b"\r" not in path.read_bytes()
        assert path.read_bytes().startswith(b"#!/bin/sh\n")
        assert os.name == "nt" or os.access(path, os.X_OK)


# ----------------------------------------------------------------------------------------------------------------- bat


def read_bat(text: str) -> list[str]:
    """Reads a numbered .bat and returns the words it hands over; refuses any line that is not of the known forms.

    What cmd.exe would do with these forms needs no emulation: outside of quotes there is no & | < > ^ ( ) or !, and the
    only percent signs are %~nx0, %~dp0, %~1, %2 ... %9 and %*.
    """
    assert text.isascii()
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    lines = text.split("\r\n")[:-1]
    assert lines[0] == "@echo off"
    assert re.fullmatch(r"rem [^%&|<>^!]*", lines[1])
    assert lines[2:4] == ["setlocal", 'set "FACELOOM_SCRIPT=%~nx0"']
    drop = lines[4] == 'set "FACELOOM_DROP=1"'
    assert len(lines) == 5 + drop
    launcher, words = lines[-1].split(" ", 1)
    assert launcher == '"%~dp0faceloom.bat"'
    read = words.split()
    rest = "%2 %3 %4 %5 %6 %7 %8 %9" if drop else "%*"
    for word in read:
        assert re.fullmatch(r'[A-Za-z0-9_./{}*-]+|"%~1"|%\*|%[2-9]', word), word
    shown = " ".join(read)
    assert "%" not in shown.replace(rest, "").replace('"%~1"', "")
    return shown.replace(rest, "%*").split()


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.name)
def test_bat_scripts_are_of_the_known_forms(step: Step) -> None:
    text = (BAT / step.bat_name).read_bytes().decode("ascii")
    assert read_bat(text) == words_of(step, ["%*"], '"%~1"')


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("\r\n", "\n"),
        ("%*", "%* & del *"),
        ("setlocal", ""),
        ("{workspace}", "%WORKSPACE%"),
        ('"%~dp0faceloom.bat"', 'call "%~dp0faceloom.bat"'),
        ("@echo off", "@echo off\r\npause"),
        ("{workspace}", "工作"),
    ],
)
def test_the_reader_refuses_what_it_does_not_know(good: str, bad: str) -> None:
    text = bat_script(BY_NAME["4) data_src faceset extract"])
    assert good in text
    with pytest.raises(AssertionError):
        assert read_bat(text.replace(good, bad)) == words_of(BY_NAME["4) data_src faceset extract"], ["%*"])


def test_the_launcher_for_windows_is_plain_ascii_with_carriage_returns() -> None:
    text = (BAT / "faceloom.bat").read_bytes().decode("ascii")
    assert "\n" not in text.replace("\r\n", "")
    labels = set(re.findall(r"^:(\w+)", text, re.MULTILINE))
    assert set(re.findall(r"goto (\w+)", text)) <= labels
    assert not re.search(r"^\s*call\b", text, re.MULTILINE | re.IGNORECASE)


def wine_launcher() -> bytes | None:
    """The small Windows program that pip puts in front of scripts: it starts the interpreter named behind itself."""
    found = importlib.util.find_spec("pip")
    if found is None or found.origin is None:
        return None
    program = Path(found.origin).parent / "_vendor" / "distlib" / "t64.exe"
    return program.read_bytes() if program.exists() else None


@pytest.fixture(scope="session")
def wine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a fresh wine, or a skip where there is none."""
    if shutil.which("wine") is None or wine_launcher() is None:
        pytest.skip("wine is not here")
    prefix = tmp_path_factory.mktemp("wine")
    quiet = {"WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree=;mshtml=", "LC_ALL": "C.UTF-8", "DISPLAY": ""}
    environment = {**os.environ, **quiet, "WINEPREFIX": str(prefix)}
    code, said = run_in_wine(["cmd", "/c", "ver"], prefix, environment)
    if code != 0:
        pytest.skip(f"wine does not start: {said}")
    return environment


def run_in_wine(words: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and output. Into a file: wine's servers keep a pipe open for seconds after the program has ended."""
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            ["wine", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=240,
            check=False,
        )
        output.seek(0)
        return done.returncode, output.read().decode("utf-8", "replace")


def windows_path(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


@pytest.mark.slow
def test_bat_scripts_run_under_wine(wine: dict[str, str], house: Path, tmp_path: Path) -> None:
    """Every .bat, called from another folder, hands its words to python.exe and passes its exit code on."""
    stub, record = tmp_path / "stub", tmp_path / "record.txt"
    stub.mkdir()
    (stub / "python.bat").write_bytes(
        b'@echo off\r\nif "%~2"=="-c" goto where\r\nset "THERE=no"\r\nif exist "%~2" set "THERE=yes"\r\n'
        b'>>"%RECORD%" echo %FACELOOM_SCRIPT%//%PYTHONUTF8%//%THERE%//%*\r\nexit 7\r\n'
        b":where\r\necho %STUB%\r\nexit 0\r\n"
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as empty:
        empty.writestr("__main__.py", "")
    shebang = f"#!C:\\windows\\system32\\cmd.exe /d /c {windows_path(stub / 'python.bat')}\n".encode()
    (stub / "python.exe").write_bytes((wine_launcher() or b"") + shebang + archive.getvalue())
    environment = {
        **wine,
        "WINEPATH": windows_path(stub),
        "STUB": windows_path(stub / "python.exe"),
        "RECORD": windows_path(record),
        "HOUSE": windows_path(house),
    }
    environment.pop("FACELOOM_PYTHON", None)
    extra = ["--log", '"a & b (1) ^ c.txt"', "--defaults"]
    for step in STEPS:
        dropped = ['"C:\\films & more\\a (1).mp4"'] if takes_a_file(step) else []
        driver = tmp_path / "driver.bat"
        driver.write_bytes(f'@echo off\r\n"%HOUSE%\\bat\\{step.bat_name}" {" ".join([*dropped, *extra])}\r\n'.encode())
        record.unlink(missing_ok=True)
        code, said = run_in_wine(["cmd", "/c", "driver.bat"], tmp_path, environment)
        assert code == 7, (step.name, said)
        script, utf8, there, words = record.read_bytes().decode("utf-8", "replace").strip().split("//", 3)
        assert (script, utf8, there) == (step.bat_name, "1", "yes")
        handed = words.split('setup.py"', 1)[1]
        assert handed.split() == " ".join(words_of(step, extra, *dropped)).split()


@pytest.mark.slow
def test_bat_says_so_when_there_is_no_python(wine: dict[str, str], house: Path) -> None:
    environment = {k: v for k, v in wine.items() if k != "FACELOOM_PYTHON"}
    code, said = run_in_wine(["cmd", "/c", "bat\\faceloom.bat", "doctor"], house, environment)
    assert code == 1
    assert "FaceLoom needs Python 3.11, 3.12 or 3.13" in said
