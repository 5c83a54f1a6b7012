"""What was seen is kept: nothing is looked at twice, and a damaged or strange file costs time only."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.images import write_image
from core.paths import EXTRACTION_FINDINGS
from facelib.extraction import FoundFace
from mainscripts.extract_findings import Finding, Findings, finding_of
from mainscripts.extract_journal import Fingerprint
from tests.painting import paint_frame


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    path = tmp_path / "00001.png"
    write_image(path, paint_frame(320, 240, (160, 120), 90)[0])
    return path


def _finding(path: Path) -> Finding:
    picture, landmarks = paint_frame(320, 240, (160, 120), 90)
    faces = [FoundFace.from_landmarks(landmarks + k, 0.9 - k / 10, 17.5 if k else None) for k in range(2)]
    return finding_of(picture, faces, Fingerprint.of(path))


def test_a_finding_comes_back_as_it_was(frame: Path, tmp_path: Path) -> None:
    with Findings(tmp_path / "faces", "me") as findings:
        findings.add(frame.name, _finding(frame))
        findings.add_again(frame.name, np.ones((68, 2), np.float32), None)
        findings.add_again(frame.name, np.zeros((68, 2), np.float32), _finding(frame).sight.faces[1])
    again = Findings(tmp_path / "faces", "me")
    kept, made = again.of(frame), _finding(frame)
    assert kept is not None
    assert kept.size == (320, 240)
    np.testing.assert_array_equal(kept.glance, made.glance)
    for ours, theirs in zip(kept.sight.faces, made.sight.faces, strict=True):
        np.testing.assert_array_equal(ours.landmarks, theirs.landmarks)
        np.testing.assert_array_equal(ours.bbox, theirs.bbox)
        assert (ours.score, ours.presence) == (theirs.score, theirs.presence)
    np.testing.assert_array_equal(kept.sight.looks, made.sight.looks)
    assert again.seen_again(frame.name, np.ones((68, 2), np.float32)) == (None,)
    assert again.seen_again(frame.name, np.full((68, 2), 2, np.float32)) is None
    face = again.seen_again(frame.name, np.zeros((68, 2), np.float32))
    assert face is not None
    assert face[0] is not None
    assert face[0].presence == 17.5


def test_another_detector_and_another_file_are_other_findings(frame: Path, tmp_path: Path) -> None:
    with Findings(tmp_path / "faces", "me") as findings:
        findings.add(frame.name, _finding(frame))
    assert Findings(tmp_path / "faces", "you").of(frame) is None
    os.utime(frame, (1, 1))
    assert Findings(tmp_path / "faces", "me").of(frame) is None


def test_nothing_is_written_where_nothing_is_found(tmp_path: Path) -> None:
    with Findings(tmp_path / "faces", "me"):
        pass
    assert not (tmp_path / "faces").exists()


def test_a_file_cut_at_any_length_is_read_as_far_as_it_goes(frame: Path, tmp_path: Path) -> None:
    with Findings(tmp_path, "me") as findings:
        for name in ("00001.png", "00002.png"):
            findings.add(name, _finding(frame))
    file = tmp_path / EXTRACTION_FINDINGS
    data = file.read_bytes()
    first = data.index(b"\n")
    for length in [*range(0, len(data), 97), len(data) - 1, len(data)]:
        file.write_bytes(data[:length])
        frames = Findings(tmp_path, "me").frames
        assert sorted(frames) == ["00001.png", "00002.png"][: (length >= first) + (length >= len(data) - 1)]
    file.write_bytes(data[: first + 50])  # torn: what is added next stands on a line of its own
    with Findings(tmp_path, "me") as findings:
        findings.add("00003.png", _finding(frame))
    assert sorted(Findings(tmp_path, "me").frames) == ["00001.png", "00003.png"]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"frame": "00001.png"}',
        b'{"frame":"a","bytes":1,"mtime_ns":1,"detector":"me","size":[1],"glance":"","faces":[]}',
        b'{"frame":"a","bytes":1,"mtime_ns":1,"detector":"me","size":[1,1],"glance":"AA==","faces":[]}',
        b'{"again":"a","bytes":1,"mtime_ns":1,"detector":"me","expected":"0","face":{"landmarks":"AAAA","score":1}}',
    ],
)
def test_nonsense_is_passed_over(tmp_path: Path, line: bytes) -> None:
    (tmp_path / EXTRACTION_FINDINGS).write_bytes(line + b"\n")
    assert Findings(tmp_path, "me").frames == {}


def test_a_folder_that_cannot_be_written_is_told_in_words(frame: Path, tmp_path: Path) -> None:
    (tmp_path / "faces").write_bytes(b"I am a file")
    with pytest.raises(FaceLoomError, match="faces"), Findings(tmp_path / "faces", "me") as findings:
        findings.add(frame.name, _finding(frame))
