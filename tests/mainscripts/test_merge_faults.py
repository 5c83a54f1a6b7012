"""Whatever goes wrong in a worker process: the command ends, says what, with the right code, and keeps the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mainscripts.test_merge import UNSTEADIED, Shot, finish, start, tampering

ALL = [f"{number:05d}.png" for number in range(1, 7)]


@pytest.mark.slow
@pytest.mark.parametrize("flags", [UNSTEADIED, []], ids=["alone", "steadied"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("exception", "RuntimeError: a fault of ours"),
        ("memory", "MemoryError"),
        ("death", "its worker process died (exit code 9)"),
        ("unreadable", "0 bytes"),
    ],
)
def test_a_frame_that_always_fails_is_named_and_costs_no_other(
    odd_folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, words: str, flags: list[str]
) -> None:
    shot = Shot(odd_folder)
    monkeypatch.setenv("FAULT", fault)
    if fault == "unreadable":
        (shot.workspace.data_dst / "00003.png").write_bytes(b"")
    process = start(shot, 0.0, *flags)
    said = finish(process)
    assert process.returncode == 3, said
    assert "1 of 6 frames could not be merged" in said
    assert "00003.png: " in said
    assert words in said
    assert sorted(shot.times()) == [name for name in ALL if name != "00003.png"]
    if fault == "unreadable":
        return
    monkeypatch.delenv("FAULT")
    process = start(shot, 0.0, *flags)
    said = finish(process)
    assert process.returncode == 0, said
    assert sorted(shot.times()) == ALL
    assert tampering(list(shot.files())) == []


@pytest.mark.slow
def test_a_full_disk_ends_the_command_and_the_next_run_goes_on(
    odd_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shot = Shot(odd_folder)
    monkeypatch.setenv("FAULT", "disk")
    process = start(shot)
    said = finish(process)
    assert process.returncode == 1, said
    assert "The disk is full" in said
    assert "00003.png" not in shot.times()
    monkeypatch.delenv("FAULT")
    assert "Done." in finish(start(shot))
    assert sorted(shot.times()) == ALL
    assert tampering(list(shot.files())) == []
