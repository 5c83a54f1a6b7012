"""The form of finished frames: what the options mean, and a merge in every form."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption, FaceLoomError
from core.files import list_images
from core.images import read_bgra, read_gray, read_image, write_image
from core.video.properties import ColorTags
from core.video.record import FramesRecord, write_record
from mainscripts import merge, merge_output
from mainscripts.merge_output import MergeOutputOptions, open_writer, require_space
from merger.frames import FrameFaces
from merger.outputs import ExrWriter, frame_writer
from tests.mainscripts.test_merge import Listener, Shot

LIBRARY = "OpenEXR"
OpenEXR = pytest.importorskip(LIBRARY)
HDR = ColorTags("bt2020nc", "bt2020", "smpte2084", "tv", "left")


@pytest.fixture
def shot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shot:
    """Two frames; the second has no face."""
    shot = Shot(tmp_path, frames=2)
    (shot.workspace.data_dst_aligned / "00002_0.jpg").unlink()
    monkeypatch.setattr(merge, "open_model", shot.open_model)
    return shot


def tagged(folder: Path, colors: ColorTags) -> Path:
    """A folder whose frames say where they came from."""
    folder.mkdir(parents=True, exist_ok=True)
    record = FramesRecord("a.mov", 1, "", 1, ".png", 16, 160, 120, Fraction(24), Fraction(1), colors, 1)
    write_record(folder, record)
    return folder


def test_exr_takes_the_colors_of_the_video(tmp_path: Path) -> None:
    told = Listener()
    folder = tagged(tmp_path, HDR)
    assert open_writer(MergeOutputOptions(out="exr"), folder, told) == ExrWriter("smpte2084", "bt2020", False)
    asis = MergeOutputOptions(out="exr", exr_transfer="asis", exr_source=True)
    assert open_writer(asis, folder, told) == ExrWriter(None, "bt2020", True)
    assert told.words == []


def test_frames_that_say_nothing_are_taken_for_bt709_and_that_is_told(tmp_path: Path) -> None:
    told = Listener()
    assert open_writer(MergeOutputOptions(out="exr"), tmp_path, told) == ExrWriter("bt709", "bt709", False)
    assert "bt709 is assumed" in told.text


def test_a_curve_nobody_knows_is_refused_before_the_work(tmp_path: Path) -> None:
    folder = tagged(tmp_path, ColorTags("bt709", "bt709", "vlog", "tv", "left"))
    with pytest.raises(BadOption, match=r"vlog of these frames cannot be made linear.*--exr-transfer asis"):
        open_writer(MergeOutputOptions(out="exr"), folder, Listener())
    open_writer(MergeOutputOptions(out="exr", exr_transfer="asis"), folder, Listener())


def test_room_is_asked_for_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(merge_output, "require_free_space", lambda folder, needed: asked.append(needed - 100_000_000))
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    for number in range(3):
        write_image(tmp_path / f"{number}.png", noise)
    (tmp_path / "0.png").write_bytes(b"")  # the first cannot be read, the next one is tried
    frames = [FrameFaces(tmp_path / f"{number}.png") for number in range(3)]
    for form in ("png8", "png16"):
        require_space(frames, tmp_path / "merged", frame_writer(form))
    assert 3 * noise.size < asked[0] < 3.6 * noise.size
    assert asked[1] > asked[0]
    (tmp_path / "merged").mkdir()
    write_image(tmp_path / "merged" / "1.png", noise)
    require_space(frames, tmp_path / "merged", frame_writer("png8"))
    assert asked[2] == pytest.approx(asked[0] * 2 / 3, rel=0.01)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("0*"))


def test_a_merge_in_one_form_after_the_other(shot: Shot) -> None:
    """A change of form renders anew, the earlier files go to the trash, a repeat does nothing."""
    place = shot.workspace
    stems = ["00001", "00002"]
    for form, suffix in (("tiff16", ".tif"), ("exr", ".exr"), ("png-rgba", ".png")):
        report, told = shot.merge(out=form)
        assert report.rendered == 2
        assert names(place.data_dst_merged) == [f"{stem}{suffix}" for stem in stems]
        masks = names(place.data_dst_merged_mask)
        assert masks == [f"{stem}{'.tif' if form == 'tiff16' else '.png'}" for stem in stems]
        assert ("these frames in another form" in told) == (form != "tiff16")
        again, _ = shot.merge(out=form)
        assert (again.rendered, again.up_to_date) == (0, 2)
        first, empty = (place.data_dst_merged / f"{stem}{suffix}" for stem in stems)
        mask = read_gray(place.data_dst_merged_mask / masks[1])
        assert mask.shape == (120, 160)
        assert not mask.any()
        if form == "exr":
            with OpenEXR.File(io.BytesIO(empty.read_bytes()), separate_channels=True) as opened:
                assert not opened.channels()["face.R"].pixels.any()
                assert opened.channels()["R"].pixels.any()
        elif form == "png-rgba":
            assert not read_bgra(empty).any()
            assert read_bgra(first)[..., 3].any()
            assert read_bgra(first).dtype == np.uint8
        else:
            assert read_image(first).dtype == np.uint16
            source = read_image(place.data_dst / "00002.png")
            assert np.array_equal(read_image(empty), source.astype(int) * 257)


def test_the_usual_form_keeps_the_depth_of_the_frames(shot: Shot) -> None:
    (shot.workspace.data_dst / "00002.png").unlink()
    frame = shot.workspace.data_dst / "00001.png"
    deep = read_image(frame).astype(np.uint16) * 257 + 100
    write_image(frame, deep)
    shot.merge()
    (merged,) = list_images(shot.workspace.data_dst_merged)
    (mask,) = list_images(shot.workspace.data_dst_merged_mask)
    result = read_image(merged)
    assert result.dtype == read_gray(mask).dtype == np.uint16
    untouched = read_gray(mask) == 0
    assert np.array_equal(result[untouched], deep[untouched])


def test_a_missing_library_stops_before_the_model_is_loaded(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, LIBRARY, None)
    with pytest.raises(FaceLoomError, match="OpenEXR is not there"):
        shot.merge(out="exr")
    assert shot.loaded == 0
