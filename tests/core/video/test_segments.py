"""Videos in parts: stopped, resumed, changed; the joined result is frame for frame what one run makes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, FaceLoomError, ToolFailed
from core.video.assembly import plan_sound
from core.video.commands import EncodingPlan, RawFrames
from core.video.encoders import find_encoder
from core.video.probe import probe_video
from core.video.properties import ColorTags
from core.video.segments import Part, SegmentedVideo, plan_parts
from tests.core.video.clips import ffmpeg, make_clip, packet_hash, raw_frames

BT709 = ColorTags("bt709", "bt709", "bt709", "tv", "left")
COUNT = 23
PICTURES = np.random.default_rng(2).integers(0, 256, (COUNT, 48, 64, 3)).astype(np.uint8)
NTSC = Fraction(30000, 1001)


def video(
    target: Path, rate: Fraction = NTSC, about: int = 6, keys: list[str] | None = None, **plan: Any
) -> SegmentedVideo:
    """Lossless unless told otherwise."""
    encoding = EncodingPlan(target.suffix, plan.pop("lossless", True), 16, None, BT709, Fraction(1), **plan)
    frames = RawFrames(64, 48, 3, 8, rate)
    return SegmentedVideo(
        target, frames, encoding, plan_parts(COUNT, (), about), keys or [str(n) for n in range(COUNT)]
    )


def write_missing(segmented: SegmentedVideo) -> list[Part]:
    missing = segmented.missing
    for part in missing:
        for number in range(part.first, part.behind):
            segmented.write(number, PICTURES[number])
    return missing


# --------------------------------------------------------------------------------------------------------------- plan


@pytest.mark.parametrize("frames", [0, 1, 62, 249, 250, 251, 312, 313, 1000, 5407])
@pytest.mark.parametrize("cuts", [(), (1, 130, 260, 400, 777, 1300, 2000)])
def test_parts_cover_the_shot_once_in_order(frames: int, cuts: tuple[int, ...]) -> None:
    parts = plan_parts(frames, [cut for cut in cuts if cut < frames])
    assert [n for part in parts for n in range(part.first, part.behind)] == list(range(frames))
    assert all(62 <= part.count <= 250 + 125 + 62 for part in parts) or frames < 125


def test_parts_begin_at_cuts_that_are_near() -> None:
    assert plan_parts(1000, (10, 240, 700, 990)) == [Part(0, 240), Part(240, 490), Part(490, 700), Part(700, 1000)]


# -------------------------------------------------------------------------------------------------------------- result


@pytest.mark.parametrize("extension", [".mp4", ".mov"])
@pytest.mark.parametrize("rate", [NTSC, Fraction(25), Fraction(997, 33)])
def test_the_joined_video_is_exact(tmp_path: Path, extension: str, rate: Fraction) -> None:
    segmented = video(tmp_path / f"a{extension}", rate)
    write_missing(segmented)
    made = segmented.join()
    probe = probe_video(tmp_path / f"a{extension}")
    assert (made.frames, made.rate, made.constant_rate) == (COUNT, rate, True)
    assert np.abs(probe.frame_seconds - np.arange(COUNT) / float(rate)).max() < 1e-9  # no drift where parts meet
    assert np.array_equal(raw_frames(tmp_path / f"a{extension}", 64, 48), PICTURES)


@pytest.mark.parametrize(
    ("word", "extension"), [("x264", ".mp4"), ("x265", ".mp4"), ("av1", ".mp4"), ("prores4444", ".mov")]
)
def test_every_encoder_can_be_joined(tmp_path: Path, word: str, extension: str) -> None:
    """Frames that build on later ones included: no frame is lost or shown at another time."""
    segmented = video(tmp_path / f"a{extension}", about=9, lossless=False, encoder=find_encoder(word))
    write_missing(segmented)
    made = segmented.join()
    assert (made.frames, made.rate, made.colors.matrix, made.colors.range) == (COUNT, NTSC, "bt709", "tv")
    seconds = probe_video(segmented.target).frame_seconds
    assert np.abs(seconds - np.arange(COUNT) / float(NTSC)).max() < 1e-9
    ffmpeg("-xerror", "-err_detect", "explode", "-i", segmented.target, "-f", "null", "-")  # decodes without complaint


def test_sound_is_copied_packet_for_packet(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", rate="30000/1001", frames=COUNT, sound=True)
    segmented = video(tmp_path / "a.mp4")
    write_missing(segmented)
    segmented.join(plan_sound(source, probe_video(source).video, 0, ".mp4"))
    assert packet_hash(tmp_path / "a.mp4") == packet_hash(source)


# -------------------------------------------------------------------------------------------------------------- resume


def test_a_stopped_run_goes_on_with_the_part_it_was_in(tmp_path: Path) -> None:
    first = video(tmp_path / "a.mp4")
    for number in range(15):  # two parts of six, and three frames of the third
        first.write(number, PICTURES[number])
    first.close()
    again = video(tmp_path / "a.mp4")
    assert again.missing == [Part(12, 18), Part(18, 23)]
    write_missing(again)
    again.join()
    assert np.array_equal(raw_frames(tmp_path / "a.mp4", 64, 48), PICTURES)
    assert video(tmp_path / "a.mp4").missing == []


def test_only_what_changed_is_made_again_and_what_it_replaces_goes(tmp_path: Path) -> None:
    segmented = video(tmp_path / "a.mp4")
    write_missing(segmented)
    segmented.join()
    before = {path.name: path.stat().st_mtime_ns for path in segmented.folder.glob("*.mp4")}
    keys = [str(n) if n != 8 else "another picture" for n in range(COUNT)]
    changed = video(tmp_path / "a.mp4", keys=keys)
    assert write_missing(changed) == [Part(6, 12)]
    changed.join()
    after = {path.name: path.stat().st_mtime_ns for path in segmented.folder.glob("*.mp4")}
    assert len(after) == len(before) == 4
    assert len(after.items() & before.items()) == 3
    assert len(video(tmp_path / "a.mp4", lossless=False).missing) == 4  # another encoding: all parts
    assert len(video(tmp_path / "a.mp4", rate=Fraction(25)).missing) == 4


def test_an_earlier_result_is_put_away_unless_it_is_the_same(tmp_path: Path) -> None:
    told: list[bytes] = []
    segmented = video(tmp_path / "a.mp4")
    write_missing(segmented)
    segmented.target.write_bytes(b"of yesterday")
    segmented.join(put_away=lambda: told.append(segmented.target.read_bytes()))
    segmented.join(put_away=lambda: told.append(segmented.target.read_bytes()))
    assert told == [b"of yesterday"]


def test_a_part_with_a_stand_in_is_made_again_next_time(tmp_path: Path) -> None:
    segmented = video(tmp_path / "a.mp4")
    for number in range(COUNT):
        segmented.write(number, PICTURES[number], is_final=number != 7)
    segmented.join()
    assert video(tmp_path / "a.mp4").missing == [Part(6, 12)]


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    segmented = video(tmp_path / "a.mp4")
    segmented.folder.mkdir()
    (segmented.folder / ".000006.4711.mp4").write_bytes(b"half")
    assert len(segmented.missing) == 4
    write_missing(segmented)
    segmented.join()
    assert len([path for path in segmented.folder.iterdir() if not path.name.startswith(".")]) == 4
    assert len(list(segmented.folder.iterdir())) == 4


def test_nothing_half_gets_a_name(tmp_path: Path) -> None:
    segmented = video(tmp_path / "a.mp4")
    segmented.write(0, PICTURES[0])
    with pytest.raises(ValueError, match="Frame 1 comes next"):
        segmented.write(2, PICTURES[2])
    segmented.close()
    assert list(segmented.folder.iterdir()) == []
    with pytest.raises(FaceLoomError, match="frame 3 has 32x48 pixels of 8 bits, the first one 64x48 of 8"):
        segmented.write(2, PICTURES[2][:, :32])
    with pytest.raises(FaceLoomError, match="of 16 bits"):
        segmented.write(0, PICTURES[0].astype(np.uint16))
    with pytest.raises(ToolFailed):
        segmented.join()
    assert not segmented.target.exists()


def test_containers_with_coarse_clocks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"written as \.mp4 or \.mov\. Received: a\.mkv"):
        video(tmp_path / "a.mkv")


def test_names_with_quotes_and_blanks(odd_folder: Path) -> None:
    segmented = video(odd_folder / "it's a 'result'.mp4")
    write_missing(segmented)
    assert segmented.join().frames == COUNT
