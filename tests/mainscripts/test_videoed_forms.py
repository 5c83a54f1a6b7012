"""Depth, HDR and every form of merged frames on their way into a video."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import (
    BadOption,
    BrokenFile,
)
from core.exr import encode_exr
from core.files import list_images
from core.images import read_gray, read_image, write_image
from core.paths import Workspace
from core.transfer import light_of_levels
from core.video import assembly
from core.video.probe import probe_video
from mainscripts import videoed
from mainscripts.videoed import (
    CutVideoOptions,
    cut,
)
from merger.compositing import MergedFrame
from merger.outputs import frame_writer
from tests.core.video.clips import ffmpeg, make_clip, raw_frames
from tests.mainscripts.video_steps import TAGGED_709, Told, extract, fake_merge, footage, result


@pytest.fixture
def workspace(odd_folder: Path) -> Workspace:
    return footage(odd_folder)


HDR = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv"


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
