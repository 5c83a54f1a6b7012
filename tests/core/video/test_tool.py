"""Running ffmpeg: where it is found, what it says, and that it is gone afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from core.errors import BadOption, ToolFailed
from core.video.tool import ffmpeg_binary, ffmpeg_version, file_address, knows_option, run, running
from tests.core.video.clips import FFMPEG


def test_the_binary_of_the_package_is_used_unless_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FACELOOM_FFMPEG", raising=False)
    assert str(ffmpeg_binary()) == FFMPEG
    monkeypatch.setenv("FACELOOM_FFMPEG", sys.executable)
    assert str(ffmpeg_binary()) == sys.executable
    assert str(ffmpeg_binary(FFMPEG)) == FFMPEG
    assert ffmpeg_version(Path(FFMPEG))


def test_a_program_that_is_no_ffmpeg_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="does not answer"):
        ffmpeg_version(Path(sys.executable))
    with pytest.raises(ToolFailed, match="does not start"):
        ffmpeg_version(tmp_path / "gone")
    with pytest.raises(ToolFailed, match="does not start"), running([str(tmp_path / "gone")]):
        pass


def test_names_are_taken_literally() -> None:
    address = file_address(Path("-i %d http:x"))
    assert address.startswith("file:")
    assert address.endswith(f"{os.sep}-i %d http:x")


def test_the_last_words_are_its_error() -> None:
    with pytest.raises(ToolFailed, match=r"ffmpeg failed: .*No such file or directory"):
        run([FFMPEG, "-loglevel", "level+verbose", "-i", "file:/no/such/file", "-f", "null", "-"])


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("refusal", "meaning", "remedy"),
    [
        ("No space left on device", "the disk is full", "Free some space"),
        ("Read-only file system", "the disk is write-protected", "Put the workspace or the result on another disk"),
        ("Permission denied", "may not be read or written", "Make it accessible"),
    ],
)
def test_what_the_machine_refuses_is_told_with_the_next_step(refusal: str, meaning: str, remedy: str) -> None:
    said = f"[out#0/mp4 @ 0x5581c0] [error] Error opening output x.mp4: {refusal}"
    with pytest.raises(ToolFailed) as caught:
        run(["/bin/sh", "-c", f"echo '{said}' >&2; echo '{said}s' >&2; exit 243"])
    assert meaning in caught.value.what
    assert caught.value.what.count(refusal) == 1
    assert caught.value.remedy.startswith(remedy)


def test_it_is_gone_when_we_stop() -> None:
    endless = [FFMPEG, "-loglevel", "level+error", "-re", "-f", "lavfi", "-i", "testsrc", "-f", "null", "-"]
    with pytest.raises(KeyboardInterrupt), running(endless) as tool:
        number = tool._process.pid
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_name_that_is_no_unicode_is_refused_in_words() -> None:
    with pytest.raises(BadOption, match=r"must be Unicode.*Received: .*clip\?\.mp4\. Rename"):
        file_address(Path("clip\udcff.mp4"))


def test_an_ffmpeg_tells_which_options_it_has(tmp_path: Path) -> None:
    assert knows_option(Path(FFMPEG), "mastering_display")
    assert not knows_option(Path(FFMPEG), "mastering")
    assert not knows_option(tmp_path / "no such program", "mastering_display")
