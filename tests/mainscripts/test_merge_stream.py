"""`merge --stream`: the same frames as in pictures, in a video; stopped, resumed, changed, refused."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, Cancelled, PartialFailure
from core.files import list_images
from core.images import read_gray, read_image
from core.progress import SILENT
from core.video.probe import probe_video
from core.video.properties import ColorTags
from core.video.record import FramesRecord, write_record
from core.video.segments import plan_parts
from mainscripts import merge, merge_stream
from merger import rounds
from merger.compositing import MergedFrame
from merger.engine import MergeOutcome
from merger.frames import FrameFaces
from merger.journal import RenderKey
from merger.outputs import RawWriter
from merger.rounds import FrameJob
from merger.settings import MergeSettings
from merger.streaming import FrameQueue
from tests.core.video.clips import make_clip, packet_hash, raw_frames
from tests.mainscripts.test_merge import ROOT, Shot

COUNT = 7
NTSC = Fraction(30000, 1001)
TAGS = ColorTags("bt709", "bt709", "bt709", "tv", "left")


@pytest.fixture
def shot(odd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shot:
    """Seven frames with their record, the video they came from with its sound, parts of two frames."""
    shot = Shot(odd_folder, frames=COUNT)
    monkeypatch.setattr(merge, "open_model", shot.open_model)
    monkeypatch.setattr(merge_stream, "plan_parts", lambda count, cuts: plan_parts(count, cuts, 2))
    make_clip(odd_folder / "data_dst.mp4", rate="30000/1001", frames=COUNT, size="160x120", sound=True)
    record = FramesRecord("data_dst.mp4", 1, "", COUNT, ".png", 8, 160, 120, NTSC, Fraction(1), TAGS, COUNT)
    write_record(shot.workspace.data_dst, record)
    return shot


def target(shot: Shot, suffix: str = ".mp4") -> Path:
    return shot.workspace.result(suffix)


def stop_after(frames: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Ctrl-C comes when so many frames have been finished; what takes it away again."""
    honest, finished = FrameQueue.record, 0

    def record(queue: FrameQueue, stem: str, *rest: object) -> None:
        nonlocal finished
        finished += 1
        if finished <= frames:  # what workers still finish after Ctrl-C counts for nothing here
            honest(queue, stem, *rest)
        if finished == frames:
            raise KeyboardInterrupt

    monkeypatch.setattr(FrameQueue, "record", record)
    return lambda: monkeypatch.setattr(FrameQueue, "record", honest)


def test_the_video_holds_the_frames_that_pictures_would(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped once, resumed, repeated, then one face changed; and all the same the pixels of an undisturbed merge."""
    place = shot.workspace
    resume = stop_after(5, monkeypatch)
    with pytest.raises(Cancelled):
        shot.merge(stream=target(shot), lossless=True)
    resume()
    report, told = shot.merge(stream=target(shot), lossless=True)
    assert 0 < report.rendered < COUNT
    assert f"{COUNT - report.rendered} of {COUNT} frames are in finished parts" in told
    again, told = shot.merge(stream=target(shot), lossless=True)
    assert (again.rendered, again.up_to_date) == (0, COUNT)
    assert shot.loaded == 2  # not for nothing
    assert not (place.root / ".result.mp4.frames").exists()
    shot.merge()
    pictures = np.stack([read_image(path) for path in list_images(place.data_dst_merged)])
    masks = np.stack([read_gray(path) for path in list_images(place.data_dst_merged_mask)])
    assert np.array_equal(raw_frames(target(shot), 160, 120), pictures)
    assert np.array_equal(raw_frames(place.result_mask(".mp4"), 160, 120, "gray", 1)[..., 0], masks)
    made = probe_video(target(shot)).video
    assert (made.frames, made.rate, made.constant_rate) == (COUNT, NTSC, True)
    assert packet_hash(target(shot)) == packet_hash(place.root / "data_dst.mp4")
    assert not probe_video(place.result_mask(".mp4")).video.has_audio
    face = place.data_dst_aligned / "00004_0.jpg"
    face.unlink()
    changed, _ = shot.merge(stream=target(shot), lossless=True)
    assert changed.rendered == 2  # the part of frames 3 and 4
    assert np.array_equal(raw_frames(target(shot), 160, 120)[3], read_image(place.data_dst / "00004.png"))
    assert np.array_equal(raw_frames(target(shot), 160, 120)[4], pictures[4])


def test_prores_takes_the_faces_alone_with_their_alpha(shot: Shot) -> None:
    (shot.workspace.data_dst_aligned / "00002_0.jpg").unlink()
    shot.merge(stream=target(shot, ".mov"), encoder="prores4444", out="png-rgba", frame_range="1-2")
    made = probe_video(target(shot, ".mov")).video
    assert (made.codec, made.pixel_format, made.frames) == ("prores", "yuva444p12le", 2)
    assert not made.has_audio  # of a part of the shot
    with_face, without = raw_frames(target(shot, ".mov"), 160, 120, "bgra", 4)
    assert with_face[..., 3].max() == 255
    assert not without[..., 3].any()
    assert without[..., :3].max() <= 1


def test_frames_that_were_deleted_take_the_sound_along(shot: Shot) -> None:
    """All that is there is merged, but it is not all of the video: its sound would not fit."""
    (shot.workspace.data_dst / "00001.png").unlink()
    _, told = shot.merge(stream=target(shot), lossless=True)
    made = probe_video(target(shot)).video
    assert (made.frames, made.has_audio) == (COUNT - 1, False)
    assert f"{COUNT - 1} frames of {COUNT}; not among them: 00001. A part of the shot has no sound" in told


def test_what_a_lossless_stream_does_not_use_is_told(shot: Shot) -> None:
    _, told = shot.merge(stream=target(shot), lossless=True, crf=20, frame_range="1-2")
    assert "Not used: --crf." in told


def test_a_frame_that_fails_is_copied_and_tried_again_next_time(shot: Shot) -> None:
    """Landmarks on a line have no square: the source stands in for frame 2, and its part is made again."""
    face = shot.workspace.data_dst_aligned / "00002_0.jpg"
    whole = face.read_bytes()
    shot.write_face(face.name, "00002.png", np.tile(np.arange(68, dtype=np.float32)[:, None], 2))
    given: dict[str, Any] = {"stream": target(shot), "lossless": True, "frame_range": "1-4"}
    with pytest.raises(PartialFailure, match="1 of 4 frames"):
        shot.merge(**given)
    source = read_image(shot.workspace.data_dst / "00002.png")
    assert np.array_equal(raw_frames(target(shot), 160, 120)[1], source)
    face.write_bytes(whole)
    report, _ = shot.merge(**given)
    assert report.rendered == 2
    assert not np.array_equal(raw_frames(target(shot), 160, 120)[1], source)


def test_few_frames_wait_for_one_that_fails(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its source stands in for frame 1 before those behind it pile up on the disk."""
    waiting: list[int] = []
    honest = FrameQueue._arrived

    def arrived(queue: FrameQueue, stem: str, is_final: bool) -> None:
        honest(queue, stem, is_final)
        waiting.append(len(queue._waiting))

    monkeypatch.setattr(FrameQueue, "_arrived", arrived)
    monkeypatch.setattr(rounds, "_FRAMES_AHEAD", 3)
    shot.write_face("00001_0.jpg", "00001.png", np.tile(np.arange(68, dtype=np.float32)[:, None], 2))
    with pytest.raises(PartialFailure):
        shot.merge(stream=target(shot), lossless=True)
    assert len(waiting) == COUNT
    assert max(waiting) == 2
    assert probe_video(target(shot)).video.frames == COUNT


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stream": "a.mkv"}, r"written as \.mp4 or \.mov\. Received: --stream a\.mkv"),
        ({"stream": "a.mp4", "mode": "raw-predict"}, "raw-predict gives squares"),
        ({"stream": "a.mp4", "on_error": "skip"}, "A video has no holes"),
        ({"stream": "a.mp4", "report": True}, "The report looks at pictures"),
        ({"stream": "a.mp4", "out": "exr"}, r"Received: --out exr with --stream"),
        ({"stream": "a.mp4", "out": "png-rgba"}, "Faces alone need a video with alpha"),
        ({"stream": "a.mp4", "encoder": "prores4444"}, r"prores4444 goes into \.mov"),
        ({"stream": "a.mp4", "encoder": "h264_videotoolbox"}, "does not work on this machine"),
        ({"stream": "a.mp4", "exr_source": True}, r"Only \.exr files have these choices\. Received: --exr-source"),
        ({"exr_transfer": "asis"}, r"Only \.exr files have these choices\. Received: --exr-transfer with --out png\."),
        ({"encoder": "x265", "crf": 3}, r"Pictures need no encoder\. Received: --encoder, --crf"),
        ({"ffmpeg": "/usr/bin/ffmpeg"}, r"Pictures need no encoder\. Received: --ffmpeg"),
    ],
)
def test_what_cannot_work_is_refused_before_the_model_is_loaded(shot: Shot, given: dict[str, Any], words: str) -> None:
    if "stream" in given:
        given = {**given, "stream": shot.workspace.root / given["stream"]}
    with pytest.raises(BadOption, match=words):
        shot.merge(**given)
    assert shot.loaded == 0


def test_parts_begin_where_scenes_do(shot: Shot) -> None:
    frames_folder = shot.workspace.data_dst
    stream = merge_stream.open_stream(shot.options(stream=target(shot)), shot.workspace, frames_folder, SILENT)
    assert stream is not None
    wanted = [FrameJob(FrameFaces(path), MergeSettings()) for path in list_images(frames_folder)]
    keys = {job.frame.stem: RenderKey(job.frame.stem, "", "", "", "") for job in wanted}

    def copy_frames(jobs: Sequence[FrameJob], queue: FrameQueue) -> MergeOutcome:
        for job in jobs:
            frame = read_image(job.frame.path)
            merged = MergedFrame(frame, np.zeros(frame.shape[:2], np.uint8))
            image, mask = RawWriter().encode(merged, frame)
            (queue.frames_folder / f"{job.frame.stem}.ppm").write_bytes(image)
            (queue.masks_folder / f"{job.frame.stem}.pgm").write_bytes(mask)
            queue.record(job.frame.stem)
        return MergeOutcome(len(jobs))

    assert stream.merge(wanted, keys, True, copy_frames, cuts=[3])[0] == COUNT
    parts = sorted(path.name[:13] for path in (shot.workspace.root / ".result.mp4.parts").glob("0*"))
    assert parts == ["000000-000002", "000003-000004", "000005-000006"]
    assert probe_video(target(shot)).video.frames == COUNT


def test_frames_of_unknown_rate_are_refused(shot: Shot) -> None:
    (shot.workspace.data_dst / ".frames.json").unlink()
    told = shot.merge(stream=target(shot), frame_range="1-2")[1]
    assert probe_video(target(shot)).video.rate == NTSC  # the reference knows it
    assert "A part of the shot has no sound" in told
    (shot.workspace.root / "data_dst.mp4").unlink()
    with pytest.raises(BadOption, match="rate of these frames is not known"):
        shot.merge(stream=target(shot))


# ---------------------------------------------------------------------------------------- as a process of its own


def start(shot: Shot) -> subprocess.Popen[str]:
    """Starts the command as a user would, with a stand-in for the model and parts of four frames."""
    words = ["merge", "--model", "Quick96", "--workers", "2", "--defaults", "--mask-mode", "learned-dst"]
    words += ["--workspace", str(shot.workspace.root), "--stream", str(target(shot)), "--lossless"]
    environment = {**os.environ, "PAUSE": "0.03", "FACELOOM_INTERNAL": str(shot.workspace.root / "internal")}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.mainscripts.stream_with_stub", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")
def test_killed_at_random_moments_the_video_is_that_of_an_undisturbed_run(odd_folder: Path, tmp_path: Path) -> None:
    undisturbed, shot = Shot(tmp_path / "undisturbed", 24), Shot(odd_folder, 24)
    for one in (undisturbed, shot):
        make_clip(one.workspace.root / "data_dst.mp4", rate="30000/1001", frames=24, size="160x120", sound=True)
    assert "Done." in start(undisturbed).communicate(timeout=120)[0]
    dice, parts = random.Random(2026), shot.workspace.root / ".result.mp4.parts"
    for _ in range(3):
        before = len(list(parts.glob("0*"))) if parts.exists() else 0
        process = start(shot)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end and len(list(parts.glob("0*"))) <= min(before, 4):
            time.sleep(0.005)
        time.sleep(dice.random() * 0.1)
        process.kill()
        process.communicate(timeout=60)
        assert not target(shot).exists() or probe_video(target(shot)).video.frames == 24
        assert len(list(parts.glob("0*"))) >= before
    said = start(shot).communicate(timeout=120)[0]
    assert "frames are in finished parts" in said
    assert " 0 of 24" not in said
    for made, plain in ((target(shot), target(undisturbed)), (result_mask(shot), result_mask(undisturbed))):
        assert made.read_bytes() == plain.read_bytes()
    left = [path.name for path in shot.workspace.root.glob(".result*")]
    assert sorted(left) == [".result.mp4.lock", ".result.mp4.parts", ".result_mask.mp4.parts"]


def result_mask(shot: Shot) -> Path:
    return shot.workspace.result_mask(".mp4")
