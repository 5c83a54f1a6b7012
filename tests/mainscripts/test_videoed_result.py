"""videoed video-from-sequence, called as the command line calls it; what is deep or HDR is in test_videoed_forms."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import (
    BadOption,
    BrokenFile,
    FaceLoomError,
    MissingInput,
)
from core.files import list_images
from core.images import read_bgra, read_gray, read_image, write_image
from core.paths import Workspace
from core.video.probe import probe_video
from tests.core.video.clips import ffmpeg, make_clip, packet_hash, raw_frames
from tests.mainscripts.video_steps import TAGGED_709, Told, extract, fake_merge, footage, result


@pytest.fixture
def workspace(odd_folder: Path) -> Workspace:
    return footage(odd_folder)


@pytest.mark.parametrize(("extension", "lossless"), [(".avi", False), (".mp4", False), (".mp4", True), (".mov", True)])
def test_the_four_scripts_of_step_8(workspace: Workspace, extension: str, lossless: bool) -> None:
    """Frames in = frames out, same rate and pixel aspect, the sound, and for lossless every pixel."""
    extract(workspace)
    fake_merge(workspace)
    made_at = result(workspace, extension, lossless=lossless)
    made = probe_video(made_at).video
    assert (made.frames, made.rate, made.sample_aspect) == (12, Fraction(24000, 1001), Fraction(15, 16))
    assert len(made.audio) == 1
    if extension != ".avi":
        assert packet_hash(made_at) == packet_hash(workspace.root / "data_dst.mp4")
    if lossless:
        back = raw_frames(made_at, 64, 48)
        for picture, path in zip(back, list_images(workspace.data_dst_merged), strict=True):
            assert np.array_equal(picture, read_image(path))
    else:
        assert (made.colors.matrix, made.colors.primaries, made.colors.range) == ("bt709", "bt709", "tv")
    mask = workspace.result_mask(extension)
    result(
        workspace,
        extension,
        input_dir=workspace.data_dst_merged_mask,
        output_file=mask,
        lossless=True,
        include_audio=False,
    )
    gray = raw_frames(mask, 64, 48, "gray", 1)[..., 0]
    assert (gray.shape, int(gray[5, 20, 30]), int(gray[5, 5, 5])) == ((12, 48, 64), 255, 0)
    assert np.array_equal(np.unique(gray), [0, 255])
    assert not probe_video(mask).video.has_audio


SURROUND = "aevalsrc=0.1*sin(440*t)|0.1*sin(500*t)|0|0.1*sin(60*t)|0|0.1*sin(700*t):c=5.1:s=48000:d=0.6"


@pytest.mark.parametrize(
    ("filters", "pixel_format", "size", "kept"),
    [
        (f"crop=97:53:0:0:exact=1,{TAGGED_709}", "yuv444p", (98, 54), ("bt709", "bt709", "tv", "yuv420p")),
        (TAGGED_709, "yuv420p", (54, 98), ("bt709", "bt709", "tv", "yuv420p")),  # a telephone held upright
        (
            "setparams=colorspace=bt470bg:color_primaries=bt470bg:color_trc=smpte170m:range=tv",
            "yuv420p",
            (98, 54),
            ("bt470bg", "bt470bg", "tv", "yuv420p"),
        ),
        (
            f"scale=out_range=pc,{TAGGED_709.replace('=tv', '=pc')}",
            "yuvj420p",
            (98, 54),
            ("bt709", "bt709", "pc", "yuvj420p"),
        ),
    ],
    ids=["odd", "turned", "601", "full range"],
)
def test_odd_footage_comes_out_right_and_playable(
    workspace: Workspace, filters: str, pixel_format: str, size: tuple[int, int], kept: tuple[str, ...]
) -> None:
    """With 5.1 sound that begins half a second late, and is longer than the pictures."""
    clip = workspace.root / "data_dst.mp4"
    pictures, sound = workspace.root / "pictures.mp4", workspace.root / "sound.m4a"
    words = ("-c:v", "libx264", "-pix_fmt", pixel_format)
    make_clip(pictures, rate="30000/1001", frames=8, size="98x54", filters=filters, words=words)
    ffmpeg("-f", "lavfi", "-i", SURROUND, "-c:a", "aac", sound)
    turn = ("-display_rotation", 90) if size[0] < size[1] else ()
    ffmpeg(*turn, "-i", pictures, "-itsoffset", "0.5", "-i", sound, "-map", "0:v", "-map", "1:a", "-c", "copy", clip)
    pictures.unlink()
    extract(workspace)
    fake_merge(workspace)
    made_at = result(workspace, ".mp4")
    made, source = probe_video(made_at).video, probe_video(clip).video
    assert (made.frames, made.rate, made.width, made.height) == (8, Fraction(30000, 1001), *size)
    assert (made.colors.matrix, made.colors.primaries, made.colors.range, made.pixel_format) == kept
    assert (made.rotation_degrees, made.start_seconds, made.audio[0].channels) == (0, 0, 6)
    assert packet_hash(made_at) == packet_hash(clip)
    late = source.audio[0].start_seconds - source.start_seconds
    assert float(made.audio[0].start_seconds) == pytest.approx(float(late), abs=1e-3)
    whole = made_at.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")  # it can be watched while it loads


def test_prores_takes_its_alpha_from_the_masks_or_from_the_images(workspace: Workspace) -> None:
    """The script, after a merge of frames, and after one of faces alone."""
    extract(workspace)
    fake_merge(workspace)
    words: dict[str, Any] = {"encoder": "prores4444", "alpha_dir": workspace.data_dst_merged_mask}
    told = Told()
    made_at = result(workspace, ".mov", told, **words)
    for repeat in range(2):
        made = probe_video(made_at).video
        assert (made.codec, made.pixel_format, made.frames) == ("prores", "yuva444p12le", 12)
        assert packet_hash(made_at) == packet_hash(workspace.root / "data_dst.mp4")
        back = raw_frames(made_at, 64, 48, "bgra", 4)[5]
        assert np.array_equal(np.unique(back[..., 3]), [0, 255])
        assert (int(back[20, 30, 3]), int(back[5, 5, 3])) == (255, 0)
        frame = read_image(list_images(workspace.data_dst)[5]).astype(int)
        assert np.abs(back[..., :3] - frame).mean() < 3  # where the alpha is 0, too
        assert ("the masks are not used" in told.text) == (repeat == 1)
        if repeat == 0:
            for path in list_images(workspace.data_dst_merged):
                mask = read_gray(workspace.data_dst_merged_mask / path.name)
                write_image(path, np.dstack([read_image(path), mask]))
            made_at = result(workspace, ".mov", told, **words)
    told = Told()
    result(workspace, ".mp4", told)
    assert "alpha channel, which this video cannot hold: it shows the colors alone" in told.text
    result(workspace, ".mov", lossless=True)
    lossless = raw_frames(workspace.result(".mov"), 64, 48, "bgra", 4)[5]
    assert np.array_equal(lossless, read_bgra(list_images(workspace.data_dst_merged)[5]))


def test_masks_that_do_not_fit_are_refused(workspace: Workspace) -> None:
    extract(workspace)
    fake_merge(workspace)
    words: dict[str, Any] = {"encoder": "prores4444", "alpha_dir": workspace.data_dst_merged_mask}
    with pytest.raises(BadOption, match=r"needs color images, and prores4444 or a lossless"):
        result(workspace, ".mp4", alpha_dir=workspace.data_dst_merged_mask)
    masks = list_images(workspace.data_dst_merged_mask)
    masks[3].unlink()
    with pytest.raises(BadOption, match=r"same names. Received: 1 without their like, e.g. 00004"):
        result(workspace, ".mov", **words)
    for path in masks[:3] + masks[4:]:
        write_image(path, np.zeros((40, 64), np.uint8))
    write_image(masks[3], np.zeros((40, 64), np.uint8))
    with pytest.raises(BadOption, match=r"as large and deep as the images. Received: 64x40 gray, 8 bit for 64x48"):
        result(workspace, ".mov", **words)


def test_missing_frames_are_named_before_anything_runs(workspace: Workspace) -> None:
    extract(workspace)
    fake_merge(workspace)
    for number in (4, 9):
        (workspace.data_dst_merged / f"{number:05d}.png").unlink()
    with pytest.raises(FaceLoomError, match=r"merged holds 10 of 12 frames\. Missing: 00004, 00009"):
        result(workspace, ".mp4")
    assert not workspace.result(".mp4").exists()
    made = probe_video(result(workspace, ".mp4", allow_gaps=True)).video
    assert made.frames == 10


def test_pictures_that_differ_are_named(workspace: Workspace) -> None:
    extract(workspace)
    fake_merge(workspace)
    third = workspace.data_dst_merged / "00003.png"
    for wrong in (np.zeros((20, 30, 3), np.uint8), np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3), np.uint16)):
        write_image(third, wrong)
        with pytest.raises(BadOption, match=r"00001\.png .* and 00003\.png"):
            result(workspace, ".mp4")
    third.write_bytes(b"")
    with pytest.raises(BrokenFile, match=r"00003\.png.*0 bytes"):
        result(workspace, ".mp4")
    third.write_bytes((workspace.data_dst / "00003.png").read_bytes()[:400])  # its header is still right
    with pytest.raises(BrokenFile, match=r"00003\.png"):
        result(workspace, ".mp4")
    third.unlink()
    (workspace.data_dst_merged / "00003.jpg").write_bytes(b"x")
    (workspace.data_dst_merged / "00003.png").write_bytes((workspace.data_dst / "00003.png").read_bytes())
    with pytest.raises(BadOption, match=r"00003\.jpg and 00003\.png"):
        result(workspace, ".mp4")
    assert not workspace.result(".mp4").exists()
    assert probe_video(result(workspace, ".mp4", ext="png")).video.frames == 12


def test_an_empty_folder_names_the_step_to_run(workspace: Workspace) -> None:
    workspace.data_dst_merged.mkdir(parents=True)
    with pytest.raises(MissingInput, match="merge"):
        result(workspace, ".mp4")
    with pytest.raises(MissingInput, match="no folder"):
        result(workspace, ".mp4", input_dir=workspace.root / "gone")


def test_an_image_sequence_without_a_video_asks_for_the_rate(workspace: Workspace, odd_folder: Path) -> None:
    folder = odd_folder / "shots"
    for number in (7, 8, 9):
        write_image(folder / f"shot_{number}.png", np.full((48, 64, 3), 20 * number, np.uint8))
    given: dict[str, Any] = {"input_dir": folder, "reference_file": odd_folder / "data_dst.*", "include_audio": True}
    told = Told()
    made = probe_video(result(workspace, ".mp4", told, **given)).video
    assert (made.rate, made.frames, made.has_audio) == (25, 3, False)
    assert "no sound" in told.text
    assert probe_video(result(workspace, ".mov", fps="30000/1001", **given)).video.rate == Fraction(30000, 1001)
    (folder / "shot_8.png").unlink()
    with pytest.raises(FaceLoomError, match=r"gaps\. Missing: shot_8"):
        result(workspace, ".mp4", **given)


def test_no_sound_is_invented(workspace: Workspace) -> None:
    (workspace.root / "data_dst.mp4").unlink()
    make_clip(workspace.root / "data_dst.mp4", frames=5)
    extract(workspace)
    fake_merge(workspace)
    told = Told()
    assert not probe_video(result(workspace, ".mp4", told)).video.has_audio
    assert "has no sound" in told.text


def test_sound_that_is_out_of_step_is_told(workspace: Workspace) -> None:
    """Frames that were deleted by hand leave no gap that merging would know of."""
    extract(workspace)
    frames = sorted(workspace.data_dst.glob("*.png"))
    frames[2].unlink()
    fake_merge(workspace)
    told = Told()
    result(workspace, ".mp4", told)
    assert (
        f"data_dst.mp4 gave {len(frames)} frames and the result has {len(frames) - 1}, so its sound is out of step"
        in told.text
    )
    silent = Told()
    result(workspace, ".mp4", silent, include_audio=False)
    assert "out of step" not in silent.text


def test_the_earlier_result_is_in_the_trash(workspace: Workspace) -> None:
    extract(workspace)
    fake_merge(workspace)
    workspace.result(".mp4").write_bytes(b"yesterday")
    result(workspace, ".mp4")
    assert [p.read_bytes() for p in workspace.trash.rglob("result.mp4")] == [b"yesterday"]


def test_what_cannot_be_written_is_refused_first(workspace: Workspace) -> None:
    extract(workspace, output_ext="png", depth=16)
    fake_merge(workspace)
    with pytest.raises(BadOption, match=r"written as \.mp4"):
        result(workspace, ".mp4", output_file=workspace.root / "result.gif")
    with pytest.raises(BadOption, match="8 bits per channel"):
        result(workspace, ".mp4", lossless=True)
    assert probe_video(result(workspace, ".mp4")).video.bit_depth == 10
    with pytest.raises(BadOption, match="1 audio tracks"):
        result(workspace, ".mp4", audio_track_id=1)
    with pytest.raises(BadOption, match="Received: --include-audio without --reference-file"):
        result(workspace, ".mp4", reference_file=None)
    with pytest.raises(BadOption, match="Received: --audio-track-id 1 without --include-audio"):
        result(workspace, ".mp4", audio_track_id=1, include_audio=False)


def test_another_video_than_the_frames_came_from_is_told(workspace: Workspace) -> None:
    extract(workspace)
    fake_merge(workspace)
    (workspace.root / "data_dst.mp4").unlink()
    make_clip(workspace.root / "data_dst.mp4", rate="50", frames=5, sound=True)
    told = Told()
    made = probe_video(result(workspace, ".mp4", told)).video
    assert made.rate == Fraction(24000, 1001)
    assert "another file" in told.text
