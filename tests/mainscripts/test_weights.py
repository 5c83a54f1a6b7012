"""The `weights` command: says what is there, fetches when asked, fails in words when it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import MissingInput
from core.paths import Workspace
from core.progress import SilentProgress
from facelib.nets import pretrained
from facelib.nets.pretrained import State
from mainscripts.weights import WeightsOptions, run


class _Listener(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def nothing_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path))
    return tmp_path


def test_listing_names_state_size_hash_license_and_origin(nothing_fetched: Path) -> None:
    listener = _Listener()
    report = run(Workspace(nothing_fetched), WeightsOptions.of(), listener)
    said = "\n".join(listener.lines)
    assert set(report.states.values()) == {State.MISSING}
    for file in pretrained.FILES:
        for word in (file.name, f"{file.size:,}", file.sha256, "Apache-2.0", "mediapipe==0.10.21"):
            assert word in said
    assert "weights --fetch" in said
    assert not list(nothing_fetched.rglob("*.tflite"))  # nothing is fetched unasked


def test_verify_fails_when_something_is_missing(nothing_fetched: Path) -> None:
    with pytest.raises(MissingInput, match=r"face_landmark\.tflite.*weights --fetch"):
        run(Workspace(nothing_fetched), WeightsOptions.of(verify=True), SilentProgress())


def test_what_is_there_needs_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_pip(folder: Path) -> Path:
        raise AssertionError("nothing is missing, so nothing may be downloaded")

    monkeypatch.setattr(pretrained, "_download", no_pip)
    report = run(Workspace(tmp_path), WeightsOptions.of(fetch=True, verify=True), SilentProgress())
    assert report.fetched == []
    assert set(report.states.values()) == {State.OK}


def test_optional_networks_are_listed_with_what_is_known_of_them(nothing_fetched: Path) -> None:
    listener = _Listener()
    report = run(Workspace(nothing_fetched), WeightsOptions.of(), listener)
    said = "\n".join(listener.lines)
    assert set(report.optional.values()) == {State.MISSING}
    for words in (
        ("S3FD.npy", "66c054f251f50f132eba2aba06d032cc444343cd"),
        ("2DFAN.npy", "ba55f153cd5e526299a38998fb2f69f530cc29fb"),
        ("3DFAN.npy", "b96bcd20d888a505ab85ca3f0e8b2952d74be30b"),
        ("FaceEnhancer.npy", "1890f42aa9d082cbf51356ee04d0529dd70773a1"),
        ("46fc2397c582b9fc375a023418257924112e292b", "never fetched"),
    ):
        assert all(word in said for word in words)


def test_an_optional_file_of_other_content_is_named(monkeypatch: pytest.MonkeyPatch, nothing_fetched: Path) -> None:
    (nothing_fetched / "weights").mkdir()
    (nothing_fetched / "weights" / "S3FD.npy").write_bytes(b"something else")
    monkeypatch.setattr(pretrained, "FILES", ())  # nothing else can be missing
    listener = _Listener()
    report = run(Workspace(nothing_fetched), WeightsOptions.of(), listener)
    assert report.optional[pretrained.S3FD] is State.DAMAGED
    assert any(line.startswith("Not the known content, so not used: S3FD.npy.") for line in listener.lines)
    with pytest.raises(MissingInput, match=r"another version: S3FD\.npy"):
        run(Workspace(nothing_fetched), WeightsOptions.of(verify=True), SilentProgress())
