"""The demo: its clips are what they should be, and its road is the user's road."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption
from core.images import read_image
from core.paths import Workspace
from core.progress import SILENT
from core.video.probe import probe_video
from core.video.record import read_record
from mainscripts import demo
from mainscripts.demo_clips import (
    ASTRONAUT,
    HOPPER,
    Moment,
    Portrait,
    displacement,
    moment_at,
    paint_clip,
    paint_frame,
    read_portrait,
)

STILL = Moment(
    smile=0, brows=0, lids=0, mouth=0, turn=0, nod=0, roll_radians=0, zoom=1, shift=(0, 0), light=0, light_side=0
)
PORTRAITS = pytest.mark.parametrize("portrait", [HOPPER, ASTRONAUT], ids=["Hopper", "Collins"])
TINY = demo.Recipe(src_frames=4, dst_frames=3, rate=Fraction(24000, 1001), training_seconds=20, iterations=2)


def grid(portrait: Portrait) -> np.ndarray:
    width, height = portrait.size
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)


@PORTRAITS
def test_a_still_moment_is_the_picture_itself(portrait: Portrait) -> None:
    """The pixel under the frame's middle is the portrait's center."""
    picture = read_portrait(portrait)
    frame = paint_frame(picture, portrait, STILL, side=447)
    x, y = (round(v) for v in portrait.center)
    assert np.abs(frame[223, 223].astype(int) - picture[y, x]).max() <= 1


@PORTRAITS
@pytest.mark.parametrize(("name", "strength"), [("smile", 1), ("brows", 1), ("mouth", 1), ("lids", 1), ("turn", 1)])
def test_expressions_move_the_face_smoothly_and_leave_the_rest(portrait: Portrait, name: str, strength: float) -> None:
    given: dict[str, Any] = {name: strength}
    moved = displacement(portrait, dataclasses.replace(STILL, **given), grid(portrait))
    length = np.hypot(moved[..., 0], moved[..., 1])
    assert 0.01 < length.max() / portrait.unit < 0.2
    # No fold: a step of one pixel moves by less than one pixel.
    assert max(np.abs(np.diff(moved, axis=axis)).max() for axis in (0, 1)) < 0.75
    assert length[-1].max() < 0.01 * portrait.unit
    assert np.array_equal(displacement(portrait, STILL, grid(portrait)), np.zeros_like(moved))


def test_a_smile_draws_the_corners_apart_and_up() -> None:
    moved = displacement(HOPPER, dataclasses.replace(STILL, smile=1), grid(HOPPER))
    (left_x, left_y), (right_x, right_y) = ((round(x), round(y)) for x, y in HOPPER.mouth_corners)
    assert moved[left_y, left_x, 0] < -3
    assert moved[right_y, right_x, 0] > 3
    assert max(moved[left_y, left_x, 1], moved[right_y, right_x, 1]) < -3


def test_the_same_seed_paints_the_same_clip() -> None:
    rate = Fraction(25)
    once, again, other = (np.stack(list(paint_clip(ASTRONAUT, 3, rate, seed))) for seed in (1, 1, 2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert once.shape == (3, 448, 448, 3)
    assert moment_at(0.0, 1) != moment_at(0.4, 1)


def test_clips_are_painted_once_and_one_has_sound(odd_folder: Path) -> None:
    place = Workspace(odd_folder / "demo")
    demo.paint_clips(TINY, place, SILENT)
    src, dst = (probe_video(place.root / f"data_{side}.mp4").video for side in ("src", "dst"))
    assert (src.frames, dst.frames, src.rate, dst.rate) == (4, 3, TINY.rate, TINY.rate)
    assert (src.has_audio, dst.has_audio, dst.colors.matrix) == (False, True, "bt709")
    before = (place.root / "data_src.mp4").stat().st_mtime_ns
    demo.paint_clips(TINY, place, SILENT)
    assert (place.root / "data_src.mp4").stat().st_mtime_ns == before


def test_clips_cut_short_are_painted_again(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "demo")
    demo.paint_clips(TINY, place, SILENT)
    note = place.root / "clips.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "done": False}))
    (place.root / "data_dst.mp4").unlink()
    demo.paint_clips(TINY, place, SILENT)
    assert (place.root / "data_dst.mp4").is_file()
    longer = dataclasses.replace(TINY, dst_frames=5)
    (place.root / "data_src").mkdir()
    demo.paint_clips(longer, place, SILENT)  # a demo of another length starts afresh, nothing is deleted
    assert probe_video(place.root / "data_dst.mp4").video.frames == 5
    assert not (place.root / "data_src").exists()
    assert any(place.trash.rglob("data_src"))


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data_src.mp4").write_bytes(b"mine")
    with pytest.raises(BadOption, match="folder of its own"):
        demo.run(Workspace(tmp_path), demo.DemoOptions.of(output=tmp_path), SILENT)
    assert [p.name for p in tmp_path.iterdir()] == ["data_src.mp4"]


@pytest.mark.slow
def test_the_whole_road(odd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Demonstrate `demo --quick`: two portraits become a finished video, and a second run does nothing twice."""
    options = demo.DemoOptions.of(output=odd_folder / "demo", quick=True)
    place = demo.demo_workspace(options)
    report = demo.run(place, options, SILENT)
    assert report.iteration >= 1
    result, dst = probe_video(report.result).video, probe_video(place.root / "data_dst.mp4").video
    assert (result.frames, result.rate, result.colors) == (demo.QUICK.dst_frames, demo.QUICK.rate, dst.colors)
    assert result.audio[0].packets == dst.audio[0].packets
    record = read_record(place.data_dst)
    assert record is not None
    assert record.frames == demo.QUICK.dst_frames
    merged = read_image(place.data_dst_merged / "00002.png").astype(int)
    assert np.abs(merged - read_image(place.data_dst / "00002.png")).max() > 20  # there is another face on it
    assert read_image(report.picture).shape[1] > 4 * 192

    def never(*_: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("mainscripts.train.run", never)
    stamp = report.result.stat().st_mtime_ns
    assert demo.run(place, options, SILENT).iteration == report.iteration
    assert report.result.stat().st_mtime_ns == stamp
