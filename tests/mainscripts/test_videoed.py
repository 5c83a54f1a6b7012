"""The four videoed commands, called as the command line calls them."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import (
    BadOption,
    BrokenFile,
    ConfirmationNeeded,
    FaceLoomError,
    MissingInput,
    PartialFailure,
    ToolFailed,
)
from core.exr import encode_exr
from core.files import list_images
from core.images import read_bgra, read_gray, read_image, write_image
from core.paths import Workspace
from core.progress import SilentProgress
from core.renames import undo_newest
from core.transfer import light_of_levels
from core.video import assembly
from core.video.probe import probe_video
from core.video.record import read_record
from mainscripts import videoed
from mainscripts.videoed import (
    CutVideoOptions,
    DenoiseOptions,
    ExtractVideoOptions,
    cut,
    denoise,
    extract_video,
)
from mainscripts.videoed_result import VideoFromSequenceOptions, video_from_sequence
from merger.compositing import MergedFrame
from merger.outputs import frame_writer
from tests.core.video.clips import ffmpeg, make_clip, packet_hash, raw_frames

TAGGED_709 = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


class Told(SilentProgress):
    """A progress that remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def workspace(odd_folder: Path) -> Workspace:
    """A workspace with a 12-frame data_dst.mp4: 24000/1001, BT.709, pixel aspect 15:16, with sound."""
    workspace = Workspace(odd_folder / "workspace")
    workspace.root.mkdir()
    filters = f"setsar=15/16,{TAGGED_709}"
    make_clip(workspace.root / "data_dst.mp4", rate="24000/1001", frames=12, filters=filters, sound=True)
    return workspace


def extract(workspace: Workspace, progress: Told | None = None, **rest: object) -> None:
    given = {"input_file": workspace.video_pattern("dst"), "output_dir": workspace.data_dst, **rest}
    extract_video(workspace, ExtractVideoOptions.of(**given), progress or Told())


def fake_merge(workspace: Workspace) -> None:
    """Copies the frames as `merged`, and writes a mask for each."""
    for frame in list_images(workspace.data_dst):
        workspace.data_dst_merged.mkdir(exist_ok=True)
        (workspace.data_dst_merged / frame.name).write_bytes(frame.read_bytes())
        mask = np.zeros(read_image(frame).shape[:2], np.uint8)
        mask[10:30, 20:40] = 255
        write_image(workspace.data_dst_merged_mask / frame.name, mask)


def result(workspace: Workspace, extension: str, progress: Told | None = None, **rest: object) -> Path:
    given = {
        "input_dir": workspace.data_dst_merged,
        "output_file": workspace.result(extension),
        "reference_file": workspace.video_pattern("dst"),
        "include_audio": True,
        **rest,
    }
    video_from_sequence(workspace, VideoFromSequenceOptions.of(**given), progress or Told())
    return Path(str(given["output_file"]))


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


# ------------------------------------------------------------------------------------------------ video-from-sequence


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


HDR = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv"


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


MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.fixture
def hdr(workspace: Workspace) -> Workspace:
    """The same with ten bits, BT.2020 and PQ, graded on a P3 display of 1000 cd/m2."""
    told = f"mastering-display={MASTERING}:cll=1000,400"
    words = ("-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p10le", "-x264-params", told)
    # Without edges and without colors beyond RGB, which no way there and back could keep.
    filters = f"gblur=sigma=8,hue=s=0.3,{HDR}"
    make_clip(workspace.root / "data_dst.mp4", rate="30000/1001", frames=4, filters=filters, words=words)
    return workspace


def luma(path: Path) -> np.ndarray:
    """(frames, H, W) ten-bit codes."""
    data = ffmpeg("-i", path, "-vf", "extractplanes=y", "-f", "rawvideo", "-pix_fmt", "gray10le", "pipe:1")
    return np.frombuffer(data, "<u2").reshape(-1, 48, 64).astype(int)


@pytest.mark.parametrize(("encoder", "extension"), [("x264", ".mp4"), ("x265", ".mov"), ("prores4444", ".mov")])
def test_ten_bits_and_hdr_come_back_as_they_were(hdr: Workspace, encoder: str, extension: str) -> None:
    """Nobody asks for anything: 16-bit frames, a ten-bit result, the tags of the source, the same codes."""
    told = Told()
    extract(hdr, told)
    assert "The video has 10 bits, so the pictures have 16: nothing is lost." in told.text
    assert "nothing is tone-mapped" in told.text
    assert read_image(hdr.data_dst / "00001.png").dtype == np.uint16
    fake_merge(hdr)
    made_at = result(hdr, extension, told, encoder=encoder, crf=None if encoder == "prores4444" else 1)
    made = probe_video(made_at).video
    tags = (made.colors.matrix, made.colors.primaries, made.colors.transfer, made.colors.range)
    assert tags == ("bt2020nc", "bt2020", "smpte2084", "tv")
    assert (made.colors.mastering, made.colors.light) == (MASTERING, "1000,400")
    assert (made.frames, made.rate, made.bit_depth) == (4, Fraction(30000, 1001), 12 if encoder == "prores4444" else 10)
    off = luma(made_at) - luma(hdr.root / "data_dst.mp4")
    assert np.abs(off).mean() < 1.5  # of 1023
    assert abs(off.mean()) < 0.2
    assert "16 bits become 10" in told.text
    assert "does not say" not in told.text


def test_a_form_that_cannot_hold_depth_or_tags_says_so(hdr: Workspace) -> None:
    told = Told()
    extract(hdr)
    fake_merge(hdr)
    result(hdr, ".mov", told, lossless=True)
    assert (
        "does not say its colors: tell the program that opens it bt2020 primaries and smpte2084 transfer. Nor on which "
        "display they were graded" in told.text
    )
    back = np.frombuffer(
        ffmpeg("-i", hdr.result(".mov"), "-f", "rawvideo", "-pix_fmt", "bgr48le", "pipe:1"), "<u2"
    ).reshape(4, 48, 64, 3)
    assert np.array_equal(back[1], read_image(hdr.data_dst / "00002.png"))  # yet every one of 16 bits is there
    with pytest.raises(BadOption, match="holds 8 bits per channel"):
        result(hdr, ".mp4", lossless=True)
    for path in list_images(hdr.data_dst_merged_mask):
        write_image(path, read_gray(path).astype(np.uint16) * 257)
    masks: dict[str, Any] = {
        "input_dir": hdr.data_dst_merged_mask,
        "output_file": hdr.result_mask(".mp4"),
        "include_audio": False,
    }
    result(hdr, ".mp4", told, lossless=True, **masks)
    assert "the 16 bits of the masks become 8" in told.text
    assert set(np.unique(raw_frames(hdr.result_mask(".mp4"), 64, 48, "gray", 1))) == {0, 255}


def test_a_cut_of_hdr_says_the_same_of_its_display(hdr: Workspace) -> None:
    made = cut(hdr, CutVideoOptions.of(input_file=hdr.root / "data_dst.mp4", from_time="#2"), Told())
    assert (made.colors.mastering, made.colors.light, made.frames) == (MASTERING, "1000,400", 3)


def test_an_ffmpeg_that_cannot_write_the_display_is_named(hdr: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    extract(hdr)
    fake_merge(hdr)
    monkeypatch.setattr(assembly, "knows_option", lambda binary, name: False)
    result(hdr, ".mp4", told)
    assert "does not say on which display it was graded, and how bright it is, which the footage said" in told.text


def test_data_of_single_pictures_are_named(hdr: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a telephone: plain HLG is what remains."""
    seen = probe_video(hdr.root / "data_dst.mp4")
    bound = replace(seen, video=replace(seen.video, bound_to_pictures=("HDR10+", "Dolby Vision")))
    monkeypatch.setattr(videoed, "probe_video", lambda *_: bound)
    told = Told()
    extract(hdr, told)
    assert "Its HDR10+ and Dolby Vision data describe its own pictures one by one" in told.text


def test_eight_bits_are_a_choice_and_said(hdr: Workspace) -> None:
    told = Told()
    extract(hdr, told, depth=8)
    assert "10 bits become 8, dithered. --depth 16 keeps them." in told.text
    extract(hdr, told, output_ext="jpg", on_existing="replace")
    assert "--output-ext png keeps them." in told.text
    extract(hdr, told, depth=8, on_existing="replace")
    fake_merge(hdr)
    result(hdr, ".mp4", told)
    assert "HDR in 8 bits shows bands" in told.text
    assert probe_video(hdr.result(".mp4")).video.colors.is_hdr


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


def merge_in_form(workspace: Workspace, form: str, transfer: str | None = None) -> None:
    """Writes the frames as `merge --out FORM` would: the frame itself as what is merged, a square as the mask."""
    writer = frame_writer(form, transfer, "bt709")
    for frame in list_images(workspace.data_dst):
        picture = writer.prepare(read_image(frame))
        mask = np.zeros(picture.shape[:2], picture.dtype)
        mask[10:30, 20:40] = np.iinfo(mask.dtype).max
        files = writer.encode(MergedFrame(picture, mask), picture)
        folders = (workspace.data_dst_merged, workspace.data_dst_merged_mask)
        for folder, data, suffix in zip(folders, files, writer.suffixes, strict=True):
            folder.mkdir(exist_ok=True)
            (folder / f"{frame.stem}{suffix}").write_bytes(data)


def deep_frames(path: Path, pixel_format: str = "bgr48le", channels: int = 3) -> np.ndarray:
    """(frames, 48, 64, channels) 16-bit codes."""
    data = ffmpeg("-i", path, "-map", "0:v:0", "-f", "rawvideo", "-pix_fmt", pixel_format, "pipe:1")
    return np.frombuffer(data, "<u2").reshape(-1, 48, 64, channels)


@pytest.mark.parametrize("transfer", ["bt709", "smpte2084", "arib-std-b67", None])
def test_exr_frames_become_the_video_they_were_made_from(workspace: Workspace, transfer: str | None) -> None:
    """Light becomes the video's codes again, as exactly as half floats tell them apart: that is, made of the codes that
    come back, the half floats would be the same."""
    tags = "gblur=sigma=8,hue=s=0.3," + TAGGED_709.replace("trc=bt709", f"trc={transfer or 'bt709'}")
    (workspace.root / "data_dst.mp4").unlink()
    words = ("-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p10le")
    make_clip(workspace.root / "data_dst.mp4", rate="24000/1001", frames=3, filters=tags, sound=True, words=words)
    extract(workspace)
    merge_in_form(workspace, "exr", transfer)
    told = Told()
    made_at = result(workspace, ".mkv", told, lossless=True)
    light = light_of_levels(transfer or "linear", 16).astype(np.float16)
    for back, frame in zip(deep_frames(made_at), list_images(workspace.data_dst), strict=True):
        before = read_image(frame)
        assert np.array_equal(light[back], light[before])
        assert np.abs(back.astype(int) - before)[before > 6553].max() <= 32  # half a code of ten bits
    assert ("becomes" in told.text) == (transfer is not None)
    made = probe_video(result(workspace, ".mp4", told, crf=1)).video
    assert (made.colors.matrix, made.colors.primaries) == ("bt709", "bt709")
    assert (made.colors.transfer, made.colors.range) == (transfer or "bt709", "tv")
    assert (made.frames, made.rate, made.bit_depth, made.has_audio) == (3, Fraction(24000, 1001), 10, True)
    off = luma(workspace.result(".mp4")) - luma(workspace.root / "data_dst.mp4")
    assert np.abs(off).mean() < 1.5  # of 1023
    assert abs(off.mean()) < 0.2


def test_exr_frames_that_cannot_be_right_are_refused_in_words(workspace: Workspace) -> None:
    extract(workspace)
    merge_in_form(workspace, "exr", "smpte2084")
    with pytest.raises(BadOption, match=r"bt709 transfer.*made from smpte2084\. Name the video .* --reference-file"):
        result(workspace, ".mp4")
    merge_in_form(workspace, "exr", "bt709")
    with pytest.raises(BadOption, match=r"lossless \.mp4 holds 8 bits.*Use \.mov, \.avi or \.mkv"):
        result(workspace, ".mp4", lossless=True)
    asis = (workspace.data_dst_merged / "00002.exr").read_bytes().replace(b"bt709", b"bt601")
    (workspace.data_dst_merged / "00002.exr").write_bytes(asis)
    with pytest.raises(BadOption, match=r"00001\.exr .*made from bt709\) and 00002\.exr .*made from bt601"):
        result(workspace, ".mp4")
    (workspace.data_dst_merged / "00001.exr").write_bytes(b"v/1\x01")
    with pytest.raises(BrokenFile, match=r"00001\.exr"):
        result(workspace, ".mp4")


def test_exr_frames_of_other_programs_keep_their_alpha(workspace: Workspace) -> None:
    """By custom their colors are multiplied by it; a video's are straight."""
    extract(workspace)
    workspace.data_dst_merged.mkdir()
    light = np.full((48, 64), 0.18, np.float16)
    alpha = np.repeat(np.array([0.0, 0.25, 0.5, 1.0], np.float16), 16)[None] * np.ones((48, 1), np.float16)
    for frame in list_images(workspace.data_dst):
        channels = {"R": light * alpha, "G": light * alpha, "B": light * alpha, "A": alpha}
        (workspace.data_dst_merged / f"{frame.stem}.exr").write_bytes(encode_exr(channels))
    told = Told()
    back = deep_frames(result(workspace, ".mov", told, lossless=True), "bgra64le", 4)[0]
    assert "do not say what their numbers are: they are taken for linear light, 1 for white" in told.text
    assert np.unique(back[:, 16:, :3]) == pytest.approx(round(0.409 * 65535), abs=20)  # 1.099 * 0.18 ^ 0.45 - 0.099
    assert np.unique(back[..., 3]).tolist() == [0, 16384, 32768, 65535]
    result(workspace, ".mp4", told)
    assert "alpha channel, which this video cannot hold" in told.text


@pytest.mark.parametrize("form", ["png8", "png16", "tiff16", "exr"])
def test_every_form_of_merged_frames_goes_through_every_script(workspace: Workspace, form: str) -> None:
    """Frames, masks and ProRes with the masks for alpha: depth, alpha and size are right, or it is said why not."""
    extract(workspace)
    merge_in_form(workspace, form, "bt709")
    deep = form != "png8"
    made = probe_video(result(workspace, ".mp4")).video
    assert (made.frames, made.bit_depth, made.pixel_format) == (12, *((10, "yuv420p10le") if deep else (8, "yuv420p")))
    words: dict[str, Any] = {"encoder": "prores4444", "alpha_dir": workspace.data_dst_merged_mask}
    made_at = result(workspace, ".mov", **words)
    assert probe_video(made_at).video.pixel_format == "yuva444p12le"
    assert np.unique(raw_frames(made_at, 64, 48, "bgra", 4)[..., 3]).tolist() == [0, 255]
    masks: dict[str, Any] = {"input_dir": workspace.data_dst_merged_mask, "lossless": True, "include_audio": False}
    for extension in (".mp4", ".mov", ".avi"):
        made_at = result(workspace, extension, output_file=workspace.result_mask(extension), **masks)
        gray = raw_frames(made_at, 64, 48, "gray", 1)
        assert (np.unique(gray).tolist(), gray[0, 15, 25, 0], len(gray)) == ([0, 255], 255, 12)


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
