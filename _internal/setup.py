"""Prepares what FaceLoom runs on, then runs it: the launchers bat/faceloom.sh and bat/faceloom.bat end here.

    setup.py demo ...        the demonstration
    setup.py test ...        every check and test (further words go to pytest)
    setup.py <command> ...   main.py with these words

Before that, whatever is missing is made: the environment `_internal/venv`, the packages of requirements.txt (with an
NVIDIA GPU on Linux: requirements-cuda.txt; for `test` also requirements-dev.txt) and the default face networks.

Only the standard library is used: this file runs on the system's Python, before anything is installed.

How an interrupted attempt is told from a finished one: a stamp (venv/faceloom.json) is written last and holds the
digests of what was installed. A mark (venv/.installing) lies there while the environment or its packages are being
written; if it is found at the start, an earlier attempt was killed in the middle of that, and the environment is built
anew (pip's own cache makes that quick). Two launches at once wait for each other on a file lock, which vanishes with
its process.

Environment variables: FACELOOM_CUDA=auto|yes|no, FACELOOM_INTERNAL (another place for `_internal`'s contents).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
"""Python versions that the pinned packages exist for, both included."""

ROOT = Path(__file__).resolve().parent.parent
INTERNAL = Path(os.environ.get("FACELOOM_INTERNAL") or ROOT / "_internal").expanduser().resolve()
VENV = INTERNAL / "venv"
STAMP = VENV / "faceloom.json"
INSTALLING = VENV / ".installing"
OUT_OF_USE = INTERNAL / "venv.old"
LOCK = INTERNAL / ".setup.lock"
WEIGHTS = INTERNAL / "weights"
WEIGHTS_LIST = ROOT / "facelib" / "nets" / "pretrained.py"

CHECKS: Mapping[str, Sequence[str]] = {
    "ruff": ("-m", "ruff", "check", "."),
    "mypy": ("-m", "mypy"),
    "import-linter": ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
}
"""What `test` runs before pytest: words for the environment's Python."""

WITHOUT_NETWORKS = ("weights", "doctor", "workspace", "-h", "--help")
"""Commands that are of use without the face networks; the launcher does not fetch any for them."""


class SetupFailed(Exception):
    """One sentence what happened and one what to do."""


def main(words: Sequence[str]) -> int:
    """Prepares everything that `words` need, runs them, and returns their exit code."""
    words = drop_repair(list(words), os.environ)
    try:
        python = prepare_environment(with_tests=words[:1] == ["test"])
        if words[:1] and words[0] not in WITHOUT_NETWORKS:
            fetch_networks(python, needed=words[0] in ("demo", "test"))
        if words[:1] == ["test"]:
            code = run_tests(python, words[1:])
        else:
            code = become(python, [str(ROOT / "main.py"), *words])
    except SetupFailed as problem:
        print(f"Error: {problem}", file=sys.stderr, flush=True)
        code = 1
    except OSError as problem:
        print(f"Error: {problem}. Check the rights and the free space of {INTERNAL}.", file=sys.stderr, flush=True)
        code = 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on from here.", file=sys.stderr, flush=True)
        code = 130
    if started_by_explorer(os.environ.get("FACELOOM_CMDLINE", ""), os.environ.get("FACELOOM_SCRIPT", ""), words):
        wait_for_a_key()
    return code


# ---------------------------------------------------------------------------------------------------- environment


def prepare_environment(with_tests: bool) -> Path:
    """Makes or completes the environment and returns its Python. Nothing happens when the stamp says all is there."""
    wanted = requirement_files(with_tests)
    if stamp_fits(wanted):
        return venv_python()
    INTERNAL.mkdir(parents=True, exist_ok=True)
    with lock(LOCK):
        if stamp_fits(wanted):  # another launch has just finished the same work
            return venv_python()
        shutil.rmtree(OUT_OF_USE, ignore_errors=True)  # what an earlier launch had no time to remove
        if VENV.exists() and (reason := reason_to_rebuild()):
            say(f"{reason} It is built anew.")
            put_out_of_use()
        if not VENV.exists():
            make_venv()
        install(wanted)
        write_stamp({"python": venv_version(), "installed": {**read_stamp_digests(), **digests(wanted)}})
    return venv_python()


def requirement_files(with_tests: bool) -> list[Path]:
    """The requirement files of this machine and purpose."""
    names = ["requirements-cuda.txt" if wants_cuda() else "requirements.txt"]
    if with_tests:
        names.append("requirements-dev.txt")
    return [ROOT / name for name in names]


def wants_cuda() -> bool:
    """Whether the GPU build of TensorFlow is for this machine: Linux with a working NVIDIA driver, or as told."""
    choice = os.environ.get("FACELOOM_CUDA", "auto").strip().lower() or "auto"
    if choice not in ("auto", "yes", "no", "1", "0"):
        raise SetupFailed(f"FACELOOM_CUDA must be auto, yes or no. Received: {choice}.")
    if choice in ("no", "0"):
        return False
    if not sys.platform.startswith("linux"):
        if choice != "auto":
            raise SetupFailed("TensorFlow's CUDA packages exist for Linux only. Use WSL 2, or unset FACELOOM_CUDA.")
        return False
    if choice in ("yes", "1"):
        return True
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    if "requirements-cuda.txt" in read_stamp_digests():
        return True
    try:
        return subprocess.run([tool], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def digests(files: Sequence[Path]) -> dict[str, str]:
    """File name -> SHA-256 of the file and of every file it includes with `-r`."""
    return {file.name: hashlib.sha256(_with_included(file)).hexdigest() for file in files}


def _with_included(file: Path) -> bytes:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as problem:
        raise SetupFailed(f"{file} cannot be read ({problem.strerror}). Fetch FaceLoom again.") from None
    included = re.findall(r"^\s*-[rc]\s+(\S+)", text, flags=re.MULTILINE)
    return text.encode() + b"".join(_with_included(file.parent / name) for name in included)


def stamp_fits(wanted: Sequence[Path]) -> bool:
    """Whether everything wanted has been installed and the environment's Python is still there."""
    installed = read_stamp_digests()
    fits = all(installed.get(name) == digest for name, digest in digests(wanted).items())
    return fits and venv_python().exists() and not INSTALLING.exists()


def read_stamp_digests() -> dict[str, str]:
    """What the stamp says is installed; a stamp that cannot be read says: nothing."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        return dict(stamp["installed"]) if stamp["python"] == venv_version() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_stamp(stamp: dict[str, object]) -> None:
    """Writes the stamp whole or not at all."""
    beside = STAMP.with_name(STAMP.name + ".new")
    beside.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    os.replace(beside, STAMP)


def reason_to_rebuild() -> str:
    """One sentence why the existing environment is of no use, or "" when it can be completed."""
    if INSTALLING.exists():
        return "An earlier installation was interrupted."
    if not venv_python().exists():
        return f"The environment {VENV} is incomplete."
    check = f"import sys, pip; sys.exit(not {OLDEST} <= sys.version_info[:2] <= {NEWEST})"
    try:
        works = subprocess.run([venv_python(), "-c", check], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        works = False
    return "" if works else f"The Python of the environment {VENV} does not run, has no pip, or does not fit."


def put_out_of_use() -> None:
    """Removes the environment; renamed first, so that a launch killed meanwhile leaves no half of it in its place."""
    try:
        os.replace(VENV, OUT_OF_USE)
    except OSError as problem:
        raise SetupFailed(
            f"{VENV} is in use ({problem.strerror}). Close other windows of FaceLoom, then try again."
        ) from None
    shutil.rmtree(OUT_OF_USE, ignore_errors=True)


def make_venv() -> None:
    """Creates the environment from the Python that runs this file."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise SetupFailed(f"FaceLoom needs Python 3.11, 3.12 or 3.13. Received: {version}. Install one of them.")
    say(f"Making the Python {version} environment {VENV} ...")
    VENV.mkdir(parents=True)
    INSTALLING.touch()
    base = getattr(sys, "_base_executable", sys.executable)  # not the Python of an environment that was just removed
    made = subprocess.run([base, "-m", "venv", str(VENV)], env=clean_environment())
    if made.returncode:
        put_out_of_use()
        raise SetupFailed(
            f"The environment {VENV} could not be made. On Debian and Ubuntu the package python3-venv is needed: "
            f"sudo apt install python{sys.version_info.major}.{sys.version_info.minor}-venv."
        )


def install(files: Sequence[Path]) -> None:
    """Has pip install the requirement files, exactly as pinned."""
    names = " and ".join(file.name for file in files)
    say(f"Installing {names} ... (the first time this downloads about 700 MB and takes a few minutes)")
    if files[0].name == "requirements-cuda.txt":
        say("With TensorFlow's CUDA packages for the NVIDIA GPU (about 3 GB more; FACELOOM_CUDA=no leaves them out).")
    words = [str(venv_python()), "-m", "pip", "install", "--progress-bar", "on" if sys.stdout.isatty() else "off"]
    for file in files:
        words += ["-r", str(file)]
    INSTALLING.touch()
    code = subprocess.run(words, env=clean_environment(), cwd=ROOT).returncode
    if code > 0:  # pip gave up by itself and has put back what it had begun; a killed pip leaves the mark
        INSTALLING.unlink(missing_ok=True)
    if code:
        raise SetupFailed(
            "The packages could not be installed; pip's message stands above. "
            "Check the network connection and the free disk space (5 GB are needed), then run the same command again."
        )
    INSTALLING.unlink(missing_ok=True)


def venv_python() -> Path:
    """The environment's Python."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def venv_version() -> str:
    """The environment's Python version, as it was made (from pyvenv.cfg), or ""."""
    try:
        found = re.search(r"^version\s*=\s*(\S+)", (VENV / "pyvenv.cfg").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return ""
    return found.group(1) if found else ""


def clean_environment() -> dict[str, str]:
    """The environment variables of what we start: UTF-8 everywhere, and nothing that bends Python's or pip's paths."""
    bending = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV")
    kept = {name: value for name, value in os.environ.items() if name not in bending}
    return {**kept, "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@contextlib.contextmanager
def lock(file: Path) -> Iterator[None]:
    """Holds the file lock; says so when it has to wait. The system releases it when the process ends, however."""
    with open(file, "a+b") as handle:
        if not _try_lock(handle.fileno()):
            say("Another launch is setting FaceLoom up; waiting for it ...")
            while not _try_lock(handle.fileno()):
                time.sleep(0.5)
        yield  # closing the file releases the lock


def _try_lock(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# --------------------------------------------------------------------------------------------- networks, tests, run


def fetch_networks(python: Path, needed: bool) -> None:
    """Fetches the default face networks unless all of them lie there since the last time.

    Args:
        needed: without them the command makes no sense, so a failed download ends it here.
    """
    listed = hashlib.sha256(WEIGHTS_LIST.read_bytes()).hexdigest() if WEIGHTS_LIST.exists() else ""
    note = WEIGHTS / ".fetched.json"
    if _networks_lie_there(note, listed):
        return
    with lock(LOCK):
        if _networks_lie_there(note, listed):  # another launch has just fetched them
            return
        say("Fetching the default face networks ...")
        failed = run(python, [str(ROOT / "main.py"), "weights", "--fetch", "--defaults"])
        if not failed:
            sizes = {p.name: p.stat().st_size for p in WEIGHTS.iterdir() if p.is_file() and p.name[0] != "."}
            note.write_text(json.dumps({"listed": listed, "sizes": sizes}, indent=1), encoding="utf-8")
    if failed and needed:
        raise SetupFailed("The face networks could not be fetched; the message above says why.")
    if failed:
        say("Going on without them.")


def _networks_lie_there(note: Path, listed: str) -> bool:
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        sizes = {name: (WEIGHTS / name).stat().st_size for name in known["sizes"]}
        return known["listed"] == listed and known["sizes"] == sizes
    except (OSError, ValueError, KeyError, TypeError):
        return False


def run_tests(python: Path, words: Sequence[str]) -> int:
    """Runs the checks and then pytest, whose summary is the last line; the exit code is that of the first failure."""
    code = 0
    for name, check in CHECKS.items():
        say(f"{name} ...")
        failed = run(python, check, folder=ROOT)
        if failed:
            say(f"{name} found something (exit code {failed}); see above.")
        code = code or failed
    say("pytest ...")
    return run(python, ["-m", "pytest", *words], folder=ROOT) or code


def become(python: Path, words: Sequence[str]) -> int:
    """Runs the last command: where the system can, this process turns into it, so that signals reach it directly."""
    if os.name == "nt":
        return run(python, words)
    sys.stdout.flush()
    os.execve(python, [str(python), *words], clean_environment())


def run(python: Path, words: Sequence[str], folder: Path | None = None) -> int:
    """Runs the environment's Python and returns its exit code (128 + signal when it was killed).

    A terminal sends Ctrl-C to both: the child tidies up and exits 130, this process waits for it.
    """
    child = subprocess.Popen([str(python), *words], env=clean_environment(), cwd=folder)
    while True:
        try:
            code = child.wait()
            break
        except KeyboardInterrupt:
            continue
    if code < 0:
        print(f"The command was ended by signal {-code}.", file=sys.stderr, flush=True)
    return code if code >= 0 else 128 - code


# ---------------------------------------------------------------------------------------------------- double click


def started_by_explorer(command_line: str, script: str, words: Sequence[str]) -> bool:
    r"""Whether a .bat was double-clicked (or a file dropped on it), so that its window would close at once.

    Args:
        command_line: %CMDCMDLINE%. Explorer writes `cmd.exe /c ""C:\...\name.bat" "` (the blank before the last quote
            is its mark) and, for a dropped file, `cmd.exe /c ""C:\...\name.bat" C:\...\file"`.
        script: the .bat's file name.
        words: the words of the command, to recognize a dropped file.
    """
    found = re.search(r'\s/c\s+""[^"]*[\\/]' + re.escape(script) + r'"(.*)"\s*$', command_line, re.IGNORECASE)
    if not script or not found:
        return False
    rest = found.group(1)
    if rest == " ":
        return True
    dropped = rest.strip().strip('"')
    return bool(re.match(r"[A-Za-z]:\\|\\\\", dropped)) and "--" not in rest and "cut-video" in words


def drop_repair(words: list[str], environment: Mapping[str, str]) -> list[str]:
    r"""Puts the whole path of a dropped file back.

    Explorer quotes a dropped path only when it holds a blank, so cmd.exe cuts `C:\a&b.mp4` at the `&`; the whole of
    it still stands in %CMDCMDLINE%.
    """
    line, script = environment.get("FACELOOM_CMDLINE", ""), environment.get("FACELOOM_SCRIPT", "")
    if "--input-file" not in words[:-1] or not started_by_explorer(line, script, words):
        return words
    position = words.index("--input-file") + 1
    dropped = line.rstrip().removesuffix('"').rpartition(f'{script}" ')[2].strip().strip('"')
    if words[position] and dropped != words[position] and dropped.startswith(words[position]):
        words[position] = dropped
    return words


def wait_for_a_key() -> None:
    """Keeps the window of a double-clicked script open until a key is pressed."""
    print("\nPress any key to close this window ...", flush=True)
    if os.name == "nt" and sys.stdin is not None and sys.stdin.isatty():
        import msvcrt

        msvcrt.getch()  # type: ignore[attr-defined]


def say(text: str) -> None:
    """One line on standard output, at once, before whatever a child process writes."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
