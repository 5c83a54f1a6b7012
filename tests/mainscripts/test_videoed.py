"""videoed extract-video, cut-video and denoise-image-sequence, called as the command line calls them."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import (
    BadOption,
    BrokenFile,
    ConfirmationNeeded,
    MissingInput,
    PartialFailure,
    ToolFailed,
)
from core.files import list_images
from core.images import read_image
from core.paths import Workspace
from core.renames import undo_newest
from core.video.probe import probe_video
from core.video.record import read_record
from mainscripts.videoed import (
    CutVideoOptions,
    DenoiseOptions,
    cut,
    denoise,
)
from tests.core.video.clips import make_clip
from tests.mainscripts.video_steps import X264, Told, extract, footage


@pytest.fixture
def workspace(odd_folder: Path) -> Workspace:
    return footage(odd_folder)


# ------------------------------------------------------------------------------------------------------ extract-video


def test_extract_video_writes_frames_and_their_record(workspace: Workspace) -> None:
    extract(workspace)
    assert [p.name for p in list_images(workspace.data_dst)] == [f"{n:05d}.png" for n in range(1, 13)]
    record = read_record(workspace.data_dst)
    assert record is not None
    assert (record.rate, record.frames, record.sample_aspect) == (Fraction(24000, 1001), 12, Fraction(15, 16))
    assert (record.source_name, record.colors.matrix) == ("data_dst.mp4", "bt709")


def test_extracting_again_does_nothing_when_all_is_there(workspace: Workspace) -> None:
    extract(workspace)
    before = [p.stat().st_mtime_ns for p in list_images(workspace.data_dst)]
    told = Told()
    extract(workspace, told)
    assert "already" in told.text
    assert [p.stat().st_mtime_ns for p in list_images(workspace.data_dst)] == before


def test_other_pictures_are_replaced_only_when_agreed(workspace: Workspace) -> None:
    workspace.data_dst.mkdir()
    (workspace.data_dst / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(ConfirmationNeeded, match=r"holds 1 images.*--on-existing replace"):
        extract(workspace)
    assert (workspace.data_dst / "mine.jpg").read_bytes() == b"mine"
    extract(workspace, on_existing="replace")
    assert len(list_images(workspace.data_dst)) == 12
    assert [p.read_bytes() for p in workspace.trash.rglob("mine.jpg")] == [b"mine"]


def test_what_was_replaced_comes_back_with_undo(workspace: Workspace) -> None:
    """Extracting again can be taken back."""
    extract(workspace)
    before = {p.name: p.read_bytes() for p in list_images(workspace.data_dst)}
    extract(workspace, fps="12000/1001", on_existing="replace")
    assert len(list_images(workspace.data_dst)) == 6
    undo_newest(workspace.trash)
    assert {p.name: p.read_bytes() for p in list_images(workspace.data_dst)} == before
    record = read_record(workspace.data_dst)
    assert record is not None
    assert record.frames == 12


def test_one_missing_frame_is_not_all_there(workspace: Workspace) -> None:
    extract(workspace)
    (workspace.data_dst / "00007.png").unlink()
    with pytest.raises(ConfirmationNeeded):
        extract(workspace)
    extract(workspace, yes=True)
    assert len(list_images(workspace.data_dst)) == 12


@pytest.mark.parametrize(("extension", "depth"), [("jpg", 8), ("tif", 8), ("tif", 16), ("png", 16)])
def test_formats_and_depths(workspace: Workspace, extension: str, depth: int) -> None:
    extract(workspace, output_ext=extension, depth=depth)
    picture = read_image(workspace.data_dst / f"00012.{extension}")
    assert picture.dtype == (np.uint8 if depth == 8 else np.uint16)


def test_jpeg_with_sixteen_bits_is_refused(workspace: Workspace) -> None:
    with pytest.raises(BadOption, match="8 bits"):
        extract(workspace, output_ext="jpg", depth=16)


def test_a_lower_rate_is_taken_as_a_fraction_and_told(workspace: Workspace) -> None:
    told = Told()
    extract(workspace, told, fps="12000/1001")
    record = read_record(workspace.data_dst)
    assert record is not None
    assert (record.rate, record.frames, record.dropped) == (Fraction(12000, 1001), 6, 6)
    assert "6 dropped" in told.text


def test_varying_spacing_is_told(workspace: Workspace) -> None:
    (workspace.root / "data_dst.mp4").unlink()
    slower = "setpts='if(lt(N,10),N,10+(N-10)*2)/30/TB'"
    words = (*X264, "-fps_mode", "vfr")
    make_clip(workspace.root / "data_dst.mov", rate="30", frames=30, filters=slower, words=words)
    told = Told()
    extract(workspace, told)
    assert "of 30 frames 19 were repeated and 0 dropped" in told.text


def test_a_damaged_video_gives_what_can_be_read_and_says_so(workspace: Workspace) -> None:
    whole = make_clip(workspace.root / "whole.mkv", frames=100, size="320x240", words=(*X264, "-g", "10"))
    (workspace.root / "data_src.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(PartialFailure, match="readable frames were extracted"):
        extract(workspace, input_file=workspace.video_pattern("src"), output_dir=workspace.data_src)
    assert len(list_images(workspace.data_src)) > 10
    assert PartialFailure("").exit_code != 0


def test_bad_videos_are_said_in_words(workspace: Workspace) -> None:
    for name, content, sentence in (
        ("a.mp4", b"", "0 bytes"),
        ("b.mp4", b"hello there " * 50, "not a video that can be read"),
    ):
        (workspace.root / name).write_bytes(content)
        with pytest.raises(BrokenFile, match=sentence):
            extract(workspace, input_file=workspace.root / name)
    with pytest.raises(MissingInput, match="data_src"):
        extract(workspace, input_file=workspace.video_pattern("src"))
    with pytest.raises(ToolFailed, match="no program"):
        extract(workspace, ffmpeg="no-such-program")
    assert not workspace.data_dst.exists()


# ------------------------------------------------------------------------------------------------- cut-video, denoise


def test_cut_video_writes_beside_the_video(workspace: Workspace) -> None:
    video = workspace.root / "data_dst.mp4"
    made = cut(workspace, CutVideoOptions.of(input_file=video, from_time="#3", to_time="#7"), Told())
    assert (made.frames, made.rate) == (5, Fraction(24000, 1001))
    assert (workspace.root / "data_dst_cut.mp4").is_file()
    cut(workspace, CutVideoOptions.of(input_file=video), Told())  # the defaults: everything
    assert probe_video(workspace.root / "data_dst_cut.mp4").video.frames == 12
    assert len(list(workspace.trash.rglob("data_dst_cut.mp4"))) == 1


def test_cut_video_refuses_in_words(workspace: Workspace) -> None:
    video = workspace.root / "data_dst.mp4"
    for given, sentence in (
        ({"from_time": "soon"}, "Received: soon"),
        ({"from_time": "9"}, "before the end"),
        ({"audio_track_id": 3}, "1 audio tracks"),
        ({"output_file": video}, "overwrite"),
        ({"output_file": workspace.root / "a.gif"}, "written as"),
        ({"crf": 20, "bitrate": 8.0}, "Received: --crf 20 and --bitrate 8"),
        ({"copy": True, "crf": 20}, "Received: --copy with --crf or --bitrate"),
    ):
        with pytest.raises(BadOption, match=sentence):
            cut(workspace, CutVideoOptions.of(input_file=video, **given), Told())
    with pytest.raises(MissingInput):
        cut(workspace, CutVideoOptions.of(input_file=workspace.root / "gone.mp4"), Told())
    assert sorted(os.listdir(workspace.root)) == ["data_dst.mp4"]


def test_denoise_uses_its_factor_keeps_names_and_says_when_it_was_done_before(workspace: Workspace) -> None:
    extract(workspace)
    before = {p.name: read_image(p) for p in list_images(workspace.data_dst)}
    told = Told()
    options = DenoiseOptions.of(input_dir=workspace.data_dst, factor=5)
    assert denoise(workspace, options, told).pictures == 12
    assert sorted(p.name for p in list_images(workspace.data_dst)) == sorted(before)
    assert not np.array_equal(read_image(workspace.data_dst / "00001.png"), before["00001.png"])
    record = read_record(workspace.data_dst)
    assert record is not None
    assert record.denoised == 5
    assert denoise(workspace, options, told).pictures == 0
    assert "factor 5" in told.text
    assert denoise(workspace, DenoiseOptions.of(input_dir=workspace.data_dst, again=True), told).pictures == 12


def test_denoising_taken_back_counts_as_not_done(workspace: Workspace) -> None:
    """`workspace undo` brings the record back with the originals, so that another factor can be tried at once."""
    extract(workspace)
    before = {p.name: p.read_bytes() for p in list_images(workspace.data_dst)}
    denoise(workspace, DenoiseOptions.of(input_dir=workspace.data_dst, factor=5), Told())
    undo_newest(workspace.trash)
    assert {p.name: p.read_bytes() for p in list_images(workspace.data_dst)} == before
    record = read_record(workspace.data_dst)
    assert record is not None
    assert record.denoised is None
    assert denoise(workspace, DenoiseOptions.of(input_dir=workspace.data_dst, factor=9), Told()).pictures == 12


def test_denoise_of_nothing_is_said_so(workspace: Workspace) -> None:
    workspace.data_dst.mkdir()
    with pytest.raises(MissingInput, match="no images"):
        denoise(workspace, DenoiseOptions.of(input_dir=workspace.data_dst), Told())
    with pytest.raises(BadOption, match="1-20"):
        DenoiseOptions.of(input_dir=workspace.data_dst, factor=21)
