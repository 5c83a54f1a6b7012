"""`.frames.json`: what goes in comes out, and what is broken is said so."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from core.errors import BrokenFile
from core.video.properties import ColorTags
from core.video.record import FramesRecord, fingerprint, read_record, write_record

RECORD = FramesRecord(
    source_name="工作 a.mp4",
    source_bytes=12,
    source_hash="00",
    frames=7,
    extension=".png",
    depth=16,
    width=512,
    height=480,
    rate=Fraction(24000, 1001),
    sample_aspect=Fraction(15, 16),
    colors=ColorTags("bt709", "bt709", "bt709", "tv", "left"),
    frames_read=8,
    repeated=1,
    dropped=2,
    deinterlaced=True,
    denoised=7,
)


def test_every_field_survives(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path) == RECORD


def test_no_record_is_no_error(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("frames", 0), ("rate", "1/0"), ("rate", "x"), ("width", None), ("schema", "Frames.9"), ("sample_aspect", "-1/1")],
)
def test_a_broken_field_is_said_so(tmp_path: Path, field: str, value: object) -> None:
    write_record(tmp_path, RECORD)
    path = tmp_path / ".frames.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), field: value}), "utf-8")
    with pytest.raises(BrokenFile, match=r"\.frames\.json"):
        read_record(tmp_path)


def test_a_record_cut_at_any_length_is_an_error_or_the_truth(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    path = tmp_path / ".frames.json"
    whole = path.read_bytes()
    for length in range(len(whole) - 2):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenFile):
            read_record(tmp_path)


def test_a_renamed_video_is_known_again_and_another_is_not(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"x" * 3_000_000)
    size, digest = fingerprint(video)
    record = FramesRecord(**{**RECORD.__dict__, "source_bytes": size, "source_hash": digest})
    assert record.is_from(video.rename(tmp_path / "b.mp4"))
    (tmp_path / "c.mp4").write_bytes(b"y" * 3_000_000)
    assert not record.is_from(tmp_path / "c.mp4")
    assert not record.is_from(tmp_path / "gone.mp4")
