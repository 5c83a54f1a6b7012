"""`doctor`: checks everything FaceLoom runs on, and says in words what is wrong and what to do about it.

The neural framework is loaded only by the check of the devices, so that a broken installation is a finding of the
doctor and not its end.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from core import console
from core.errors import FaceLoomError, ToolFailed
from core.files import free_bytes, show_bytes
from core.options import Options, option
from core.paths import Workspace, internal_folder, repository_root
from core.progress import Progress

_LITTLE_SPACE = 5_000_000_000
"""Free bytes below which the doctor warns: the frames of a short clip fill that easily."""

_INSTALL = "Run the launcher (bash bat/faceloom.sh, or bat\\faceloom.bat), which installs what requirements.txt says."


@dataclass(kw_only=True)
class DoctorOptions(Options):
    json: bool = option(False, "JSON", ask=False, help="Prints one JSON object instead of the table.")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    Attributes:
        about: what was checked.
        state: "ok", "note" (works, but worth knowing) or "wrong".
        words: what was found.
        remedy: what to do about it, "" when nothing.
    """

    about: str
    state: str
    words: str
    remedy: str = ""


def run(workspace: Workspace, options: DoctorOptions, progress: Progress) -> list[Finding]:
    """Makes every check, prints the findings, and returns them.

    Raises:
        FaceLoomError: something is wrong; the findings have been printed.
    """
    findings: list[Finding] = []
    for check in _checks(workspace, progress):
        for finding in _guarded(check):
            findings.append(finding)
            if not options.json:
                progress.say(f"{finding.state:<5}  {finding.about:<14} {finding.words}")
                if finding.remedy:
                    progress.say(f"{'':<22}{finding.remedy}")
    wrong = [f for f in findings if f.state == "wrong"]
    if options.json:
        console.say(json.dumps({"ok": not wrong, "findings": [asdict(f) for f in findings]}, ensure_ascii=False))
    if wrong:
        raise FaceLoomError(
            f"{len(wrong)} of {len(findings)} findings {'is' if len(wrong) == 1 else 'are'} wrong: "
            f"{'; '.join(dict.fromkeys(f.about for f in wrong))}.",
            "Do what stands below each of them, then run doctor again.",
        )
    return findings


Check = Callable[[], Iterable[Finding]]


def _checks(workspace: Workspace, progress: Progress) -> list[Check]:
    return [
        check_python,
        lambda: check_packages(repository_root() / "requirements.txt"),
        check_ffmpeg,
        check_networks,
        check_devices,
        lambda: check_disk(workspace.root, internal_folder()),
        lambda: check_workspace(workspace, progress),
    ]


def _guarded(check: Check) -> list[Finding]:
    """The findings of one check; a check that cannot run is a finding itself, whatever the reason."""
    try:
        return list(check())
    except Exception as problem:
        about = getattr(check, "__name__", "check").removeprefix("check_")
        return [Finding(about, "wrong", f"{type(problem).__name__}: {problem}", _INSTALL)]


def check_python() -> Iterable[Finding]:
    """The interpreter and its version."""
    found = f"{platform.python_version()} ({platform.system()} {platform.machine()}, {sys.executable})"
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("Python", "wrong", found, "Use Python 3.11, 3.12 or 3.13.")
    else:
        yield Finding("Python", "ok", found)


def check_packages(requirements: Path) -> Iterable[Finding]:
    """Installed versions against the pins of a requirements file."""
    pins = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", requirements.read_text(encoding="utf-8"), re.MULTILINE))
    differing = []
    for name, wanted in pins.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            differing.append(f"{name} is not installed")
            continue
        if found != wanted:
            differing.append(f"{name} {found} instead of {wanted}")
    if differing:
        yield Finding("packages", "wrong", ", ".join(differing), _INSTALL)
    else:
        yield Finding("packages", "ok", f"all {len(pins)} as pinned in {requirements.name}")


def check_ffmpeg() -> Iterable[Finding]:
    """The ffmpeg binary: that it runs, and its version."""
    from core.video.tool import ffmpeg_binary, ffmpeg_version

    try:
        binary = ffmpeg_binary()
        yield Finding("ffmpeg", "ok", f"{ffmpeg_version(binary)} ({binary})")
    except ToolFailed as problem:
        yield Finding("ffmpeg", "wrong", problem.what, problem.remedy or _INSTALL)


def check_networks() -> Iterable[Finding]:
    """The default face networks: there, and unchanged."""
    from facelib.nets import pretrained

    bad = {f.name: s.value for f in pretrained.FILES if (s := pretrained.state(f)) is not pretrained.State.OK}
    if bad:
        words = ", ".join(f"{name} is {state}" for name, state in bad.items())
        yield Finding("face networks", "wrong", words, pretrained.FETCH_REMEDY)
    else:
        yield Finding("face networks", "ok", f"all {len(pretrained.FILES)} files there, with their recorded SHA-256")


def check_devices() -> Iterable[Finding]:
    """Every device: a convolution and a training step on it, compared with exact numbers and with the CPU's."""
    from core.nn import device as devices

    if problem := devices.unusable_cards():
        yield Finding("GPU", "wrong", problem, devices.CUDA_REMEDY)
    for one in devices.list_devices():
        result = devices.check_device(one)
        if result.problem:
            yield Finding(one.name, "wrong", result.problem, devices.CUDA_REMEDY if one.kind == "gpu" else _INSTALL)
            continue
        memory = f", {show_bytes(one.memory_bytes)}" if one.memory_bytes else ""
        yield Finding(
            one.name,
            "ok",
            f"{one.description}{memory}: convolution off by {result.convolution_difference:.1e}, "
            f"training step by {result.step_difference:.1e}, {result.seconds:.1f} s",
        )


def check_disk(*folders: Path) -> Iterable[Finding]:
    """Free space where the work and the networks lie."""
    for folder in folders:
        free = free_bytes(folder)
        words = f"{show_bytes(free)} free for {folder}"
        if free < _LITTLE_SPACE:
            yield Finding("disk", "note", words, "Free some space before the next long step.")
        else:
            yield Finding("disk", "ok", words)


def check_workspace(workspace: Workspace, progress: Progress) -> Iterable[Finding]:
    """What lies in the workspace, what does not fit together, and what comes next."""
    from mainscripts.workspace_state import look_at, next_step, table

    state = look_at(workspace, progress)
    for line in table(state)[:-1]:
        yield Finding("workspace", "ok", line.strip())
    yield Finding("next", "ok", next_step(state))
