"""Frames that are finished in any order go into two videos in theirs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.files import atomic_write_bytes
from core.video.commands import EncodingPlan, RawFrames
from core.video.encoders import find_encoder
from core.video.properties import ColorTags
from core.video.segments import SegmentedVideo, plan_parts
from merger.compositing import MergedFrame
from merger.outputs import RawWriter
from merger.streaming import FrameQueue, StreamWriter
from tests.core.video.clips import raw_frames

COUNT = 10
RNG = np.random.default_rng(6)
IMAGES = RNG.integers(0, 256, (COUNT, 48, 64, 3)).astype(np.uint8)
MASKS = RNG.integers(0, 256, (COUNT, 48, 64)).astype(np.uint8)
STEMS = [f"{n + 1:05d}" for n in range(COUNT)]
BT709 = ColorTags("bt709", "bt709", "bt709", "tv", "left")


def open_writer(folder: Path, keys: list[str] = STEMS, depth: int = 8) -> StreamWriter:
    """Two lossless videos in parts of three frames."""
    plan = EncodingPlan(".mp4", True, 16, None, BT709, Fraction(1))
    parts = plan_parts(COUNT, (), 3)
    color = RawFrames(64, 48, 3, depth, Fraction(25))
    picture = SegmentedVideo(folder / "a.mp4", color, plan, parts, keys)
    mask = SegmentedVideo(folder / "a_mask.mp4", RawFrames(64, 48, 1, 8, Fraction(25)), plan, parts, keys)
    return StreamWriter(picture, mask)


def finish(queue: FrameQueue, number: int) -> None:
    """What a compositor does: two files, each whole or not there."""
    merged = MergedFrame(IMAGES[number], MASKS[number])
    for folder, suffix, data in zip(
        (queue.frames_folder, queue.masks_folder),
        RawWriter.suffixes,
        RawWriter().encode(merged, IMAGES[0]),
        strict=True,
    ):
        atomic_write_bytes(folder / f"{STEMS[number]}{suffix}", data)


def test_any_order_in_the_shot_s_order_out(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    with FrameQueue(writer, tmp_path / "frames", STEMS) as queue:
        for number in RNG.permutation(COUNT):
            finish(queue, number)
            queue.record(STEMS[number], "key", (1, 2))
        assert queue.wanted == []
        assert not list(queue.frames_folder.iterdir())  # what is encoded takes no more room
        assert not list(queue.masks_folder.iterdir())
    assert not (tmp_path / "frames").exists()
    told: list[str] = []
    writer.join(None, lambda path: told.append(path.name))
    assert told == ["a.mp4", "a_mask.mp4"]
    assert np.array_equal(raw_frames(tmp_path / "a.mp4", 64, 48), IMAGES)
    assert np.array_equal(raw_frames(tmp_path / "a_mask.mp4", 64, 48, "gray", 1)[..., 0], MASKS)


def test_a_stopped_run_renders_only_what_is_in_no_finished_part(tmp_path: Path) -> None:
    with FrameQueue(open_writer(tmp_path), tmp_path / "frames", STEMS) as queue:
        for number in (0, 2, 1, 3, 4):
            finish(queue, number)
            queue.record(STEMS[number])
        (queue.frames_folder / "left.ppm").write_bytes(b"by a killed run")
    again = open_writer(tmp_path)
    assert again.wanted == list(range(3, COUNT))
    changed = open_writer(tmp_path, ["another", *STEMS[1:]])
    assert changed.wanted == list(range(COUNT))


def test_when_one_of_the_two_has_lost_a_part_only_that_is_written(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    for number in range(COUNT):
        writer.write(number, IMAGES[number], MASKS[number])
    next(writer.mask.folder.glob("000003-*")).unlink()
    again = open_writer(tmp_path)
    assert again.wanted == [3, 4, 5]
    before = {path: path.stat().st_mtime_ns for path in writer.picture.folder.iterdir()}
    for number in again.wanted:
        again.write(number, IMAGES[number], MASKS[number])
    assert {path: path.stat().st_mtime_ns for path in writer.picture.folder.iterdir()} == before
    again.join(None, lambda _: None)
    assert np.array_equal(raw_frames(tmp_path / "a_mask.mp4", 64, 48, "gray", 1)[..., 0], MASKS)


def test_a_failed_frame_s_source_stands_in_until_the_next_run(tmp_path: Path) -> None:
    with FrameQueue(open_writer(tmp_path), tmp_path / "frames", STEMS) as queue:
        for number in range(COUNT):
            finish(queue, number)
            if number != 4:
                queue.record(STEMS[number])
        queue.withdraw(STEMS[4])
        assert queue.wanted == []
    assert open_writer(tmp_path).wanted == [3, 4, 5]


def test_a_hole_is_refused_in_words(tmp_path: Path) -> None:
    with (
        FrameQueue(open_writer(tmp_path), tmp_path / "frames", STEMS) as queue,
        pytest.raises(FaceLoomError, match="00005 could not be merged, and its source cannot stand in"),
    ):
        queue.withdraw(STEMS[4])


def test_masks_of_sixteen_bits_fit_an_mp4_of_eight(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, depth=16)
    writer.mask.write(0, MASKS[0])
    writer.mask.close()
    writer.picture.close()
    deep = MASKS[0].astype(np.uint16) * 257
    writer.picture.write(0, IMAGES[0].astype(np.uint16) * 257)
    writer.close()
    fresh = open_writer(tmp_path, depth=16)
    for number in range(3):
        fresh.write(number, IMAGES[number].astype(np.uint16) * 257, deep)
    assert [part.first for part in open_writer(tmp_path, depth=16).mask.missing] == [3, 6, 9]


def test_the_mask_is_the_alpha_of_a_video_that_holds_one(tmp_path: Path) -> None:
    plan = EncodingPlan(".mov", False, 0, None, BT709, Fraction(1), find_encoder("prores4444"))
    parts = plan_parts(3)
    color = RawFrames(64, 48, 4, 8, Fraction(25))
    picture = SegmentedVideo(tmp_path / "a.mov", color, plan, parts, STEMS[:3])
    gray = EncodingPlan(".mov", True, 0, None, BT709, Fraction(1))
    mask = SegmentedVideo(tmp_path / "m.mov", RawFrames(64, 48, 1, 8, Fraction(25)), gray, parts, STEMS[:3])
    writer = StreamWriter(picture, mask, with_alpha=True)
    for number in range(3):
        writer.write(number, IMAGES[number], MASKS[number])
    writer.join(None, lambda _: None)
    back = raw_frames(tmp_path / "a.mov", 64, 48, "bgra", 4)
    assert np.abs(back[..., 3].astype(int) - MASKS[:3]).max() <= 1  # ffmpeg's way from twelve bits to eight
