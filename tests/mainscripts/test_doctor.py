"""`doctor`: finds what is wrong, says it in words, and is never itself the patient."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import FaceLoomError, ToolFailed
from core.paths import Workspace
from core.progress import SILENT
from facelib.nets import pretrained
from mainscripts import doctor
from mainscripts.doctor import (
    DoctorOptions,
    Finding,
    check_disk,
    check_ffmpeg,
    check_networks,
    check_packages,
    check_python,
    check_workspace,
    run,
)


def one(findings: Any) -> Finding:
    (found,) = findings
    return found


def test_this_python_fits() -> None:
    assert one(check_python()).state == "ok"


def test_an_unfit_python_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    found = one(check_python())
    assert found.state == "wrong"
    assert "3.11" in found.remedy


def test_packages_are_held_against_their_pins(tmp_path: Path) -> None:
    import numpy

    pins = tmp_path / "requirements.txt"
    pins.write_text(f"# exact\nnumpy=={numpy.__version__}\n")
    assert one(check_packages(pins)) == Finding("packages", "ok", "all 1 as pinned in requirements.txt")
    pins.write_text("numpy==1.0\nno-such-package-of-ours==2.0\n")
    found = one(check_packages(pins))
    assert found.state == "wrong"
    assert found.words == f"numpy {numpy.__version__} instead of 1.0, no-such-package-of-ours is not installed"
    assert "faceloom.sh" in found.remedy


def test_the_real_pins_are_read() -> None:
    words = one(check_packages(doctor.repository_root() / "requirements.txt")).words
    assert int(words.split()[1]) >= 10 if words.startswith("all") else "instead of" in words


def test_ffmpeg_runs() -> None:
    found = one(check_ffmpeg())
    assert found.state == "ok"
    version, _, binary = found.words.partition(" (")
    assert any(letter.isdigit() for letter in version)
    assert Path(binary.removesuffix(")")).is_file()


def test_a_missing_ffmpeg_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACELOOM_FFMPEG", str(tmp_path / "no ffmpeg here"))
    found = one(check_ffmpeg())
    assert found.state == "wrong"
    assert "no ffmpeg here" in found.words


def test_missing_and_damaged_networks_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / pretrained.FACE_MESH.name).write_bytes(b"x" * pretrained.FACE_MESH.size)
    found = one(check_networks())
    assert found.state == "wrong"
    assert f"{pretrained.FACE_MESH.name} is damaged" in found.words
    assert f"{pretrained.FULL_RANGE.name} is missing" in found.words
    assert "weights --fetch" in found.remedy


@pytest.mark.parametrize(("free", "state"), [(4_999_999_999, "note"), (5_000_000_001, "ok")])
def test_little_disk_is_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str) -> None:
    monkeypatch.setattr(doctor, "free_bytes", lambda folder: free)
    found = one(check_disk(tmp_path))
    assert found.state == state
    assert "5.0 GB free" in found.words


def test_the_workspace_is_looked_at(tmp_path: Path) -> None:
    findings = list(check_workspace(Workspace(tmp_path), SILENT))
    assert findings[-1].about == "next"
    assert "data_src.mp4" in findings[-1].words


def test_the_devices_compute_what_they_should() -> None:
    """A real convolution and a real training step on every device of this machine."""
    findings = list(doctor.check_devices())
    assert findings[0].about.upper().startswith("CPU")
    assert findings[0].state == "ok", findings[0].words


def test_a_card_that_cannot_be_used_is_wrong_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.nn import device

    monkeypatch.setattr(device, "installed_cards", lambda: ["NVIDIA H200, 143771 MiB"] * 99)
    first = next(iter(doctor.check_devices()))
    assert first.state == "wrong"
    assert "NVIDIA H200" in first.words
    assert first.remedy


def only(monkeypatch: pytest.MonkeyPatch, *checks: Any) -> None:
    monkeypatch.setattr(doctor, "_checks", lambda workspace, progress: list(checks))


def test_anything_wrong_ends_in_an_error_and_exit_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    only(monkeypatch, lambda: [Finding("GPU", "wrong", "It is not usable.", "Update.")], check_python)
    with pytest.raises(FaceLoomError, match=r"1 of 2 findings is wrong: GPU\.") as caught:
        run(Workspace(tmp_path), DoctorOptions(), SILENT)
    assert caught.value.exit_code == 1


def test_notes_are_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    only(monkeypatch, lambda: [Finding("disk", "note", "4 GB free.")])
    assert [f.state for f in run(Workspace(tmp_path), DoctorOptions(), SILENT)] == ["note"]


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    def check_devices() -> Any:
        raise ImportError("libsomething.so is missing")

    def check_ffmpeg() -> Any:
        raise ToolFailed("ffmpeg", "it is gone")

    only(monkeypatch, check_devices, check_ffmpeg, check_python)
    with pytest.raises(FaceLoomError, match="2 of 3"):
        run(Workspace(tmp_path), DoctorOptions(json=True), SILENT)
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert answer["findings"][0]["about"] == "devices"
    assert "libsomething.so is missing" in answer["findings"][0]["words"]
    assert answer["findings"][2]["state"] == "ok"
