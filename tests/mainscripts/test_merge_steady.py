"""`merge` over time: the files it leaves, what it says, and that many processes give what one gives."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import PartialFailure
from core.images import read_image, write_image
from core.progress import SILENT
from mainscripts import merge, merge_steady
from mainscripts.merge_steady import CHART_NAME, SCENES_NAME, Meters, draw_meters, steady_jobs, tell
from merger.face_tools import FaceTools
from merger.frames import FrameFaces, collect_frames
from merger.journal import RenderKey
from merger.meters import METERS_NAME, FaceReading, MeterRecord, read_meters, with_figures
from merger.rounds import FrameJob
from merger.sequence import merge_sequence
from merger.settings import MergeSettings
from samplelib.faceset import open_faceset
from tests.mainscripts.test_merge import Listener, Shot
from tests.merger.scenes import TintedPredictor, smooth_frame
from tests.merger.shots import film

STEADY = {"stabilize_landmarks": 30, "stabilize_colors": 50, "stabilize_mask": 20, "color_transfer": "rct"}


@pytest.fixture
def shot(odd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shot:
    shot = Shot(odd_folder)
    monkeypatch.setattr(merge, "open_model", shot.open_model)
    monkeypatch.setattr(merge_steady, "look_for_cuts", lambda frames, *_: [4])  # every painted frame is a new picture
    return shot


def test_a_steadied_shot_from_folders_to_folders(shot: Shot) -> None:
    """Frames 1 to 4 and 5 to 6 are scenes. Then one face is corrected: its scene is rendered again."""
    report, said = shot.merge(mask_mode="learned-dst", **STEADY)
    assert report.rendered == 6
    merged = shot.workspace.data_dst_merged
    assert json.loads((merged / SCENES_NAME).read_bytes())["cuts"] == [4]
    assert "scene 1, 00001 to 00004: flicker" in said
    assert "scene 2, 00005 to 00006: flicker unknown" in said
    records = read_meters(merged / METERS_NAME)
    assert [(r.stem, r.scene, r.track) for r in records[3:5]] == [("00004", 1, 1), ("00005", 2, 2)]
    assert ET.parse(merged / CHART_NAME).getroot().tag.endswith("svg")

    faces = ((s.path.name, s.metadata) for s in open_faceset(shot.workspace.data_dst_aligned, SILENT).samples)
    frames = collect_frames([shot.workspace.data_dst / f"{n:05d}.png" for n in range(1, 7)], faces).frames
    settings = [MergeSettings.of(mask_mode="learned-dst", **STEADY)] * 6
    alone = merge_sequence(frames, lambda f: read_image(f.path), settings, FaceTools.of(TintedPredictor()), [4])
    for one in alone:
        assert np.array_equal(read_image(merged / f"{one.source.stem}.png"), one.merged.image)

    moved = frames[4].faces[0].landmarks + np.float32(3)
    shot.write_face("00005_0.jpg", "00005.png", moved)
    again, said = shot.merge(mask_mode="learned-dst", **STEADY)
    assert again.rendered == 2
    assert "faces (1), neighbors (1)" in said
    assert [r.stem for r in read_meters(merged / METERS_NAME)] == [f"{n:05d}" for n in range(1, 7)]


def test_frames_around_one_that_failed_for_a_while_are_rendered_again_once_it_is_back(shot: Shot) -> None:
    given = {"mask_mode": "learned-dst", **STEADY}
    frame = shot.workspace.data_dst / "00002.png"
    pixels, times = frame.read_bytes(), (frame.stat().st_atime_ns, frame.stat().st_mtime_ns)
    frame.write_bytes(bytes(len(pixels)))  # a disk that stumbles: name, size and time stay
    os.utime(frame, ns=times)
    with pytest.raises(PartialFailure):
        shot.merge(**given)
    with pytest.raises(PartialFailure, match="1 of 1 frames"):  # it is no better yet
        shot.merge(**given)
    frame.write_bytes(pixels)
    os.utime(frame, ns=times)
    assert shot.merge(frame_range="3-6", **given)[0].rendered == 0  # it is not among them
    report, said = shot.merge(**given)
    assert report.rendered == 4
    assert "2 of 6 frames are up to date; 4 changed because of: neighbors (3), new (1)." in said
    resumed = shot.files()
    assert shot.merge(**given)[0].rendered == 0
    shot.merge(restart=True, **given)
    pictures = [name for name in resumed if name.endswith(".png")]
    assert [name for name in pictures if shot.files()[name] != resumed[name]] == []


def jobs(frames: list[FrameFaces], folder: Path) -> list[FrameJob]:
    placed = [FrameFaces(folder / frame.path.name, frame.faces) for frame in frames]
    for number, frame in enumerate(placed):
        write_image(frame.path, smooth_frame(40, 60, seed=number // 5))
    return [FrameJob(frame, MergeSettings.of()) for frame in placed]


def test_scenes_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shot = jobs(film(10), tmp_path / "frames")
    assert steady_jobs(shot, None, tmp_path, 1, SILENT).scene_starts == (5,)
    monkeypatch.setattr(merge_steady, "look_for_cuts", lambda *_: pytest.fail("looked again"))
    assert steady_jobs(shot, None, tmp_path, 1, SILENT).scene_starts == (5,)
    assert steady_jobs(shot, [3], tmp_path, 1, SILENT).scene_starts == (3,)  # a session knows better
    monkeypatch.setattr(merge_steady, "look_for_cuts", lambda *_: [2])
    (tmp_path / SCENES_NAME).write_text('{"shot": "half')
    assert steady_jobs(shot, None, tmp_path, 1, SILENT).scene_starts == (2,)
    write_image(shot[0].frame.path, smooth_frame(44, 60))
    monkeypatch.setattr(merge_steady, "look_for_cuts", lambda *_: [7])
    assert steady_jobs(shot, None, tmp_path, 1, SILENT).scene_starts == (7,)


def test_no_motion_blur_across_a_cut_that_only_the_pictures_tell(tmp_path: Path) -> None:
    """The face moves on by 2 pixels a frame, as if nothing had happened."""
    plain = {"stabilize_landmarks": 0, "stabilize_colors": 0, "stabilize_seamless": 0, "stabilize_mask": 0}
    for compat, length in (("none", 1), ("dfl", 2)):
        settings = MergeSettings.of(motion_blur_power=50, compat=compat, **plain)
        shot = jobs(film(10, path=lambda n: (80.0 + 2 * n, 60.0)), tmp_path / compat)
        steady = steady_jobs([FrameJob(job.frame, settings) for job in shot], None, tmp_path, 1, SILENT)
        before, after = (steady.frames[number].faces[0].motion for number in (4, 5))
        assert (before.dx, after.dx) == pytest.approx((2 * length, 2 * length), abs=1e-3)


def test_nobody_looks_for_scenes_where_nothing_is_steadied(tmp_path: Path) -> None:
    shot = [FrameJob(job.frame, MergeSettings.of(compat="dfl")) for job in jobs(film(6), tmp_path / "frames")]
    steady = steady_jobs(shot, None, tmp_path, 1, SILENT)
    assert steady.scene_starts == ()
    assert steady.jobs == shot
    assert not (tmp_path / SCENES_NAME).exists()


def test_a_killed_run_keeps_its_figures(tmp_path: Path) -> None:
    shot = steady_jobs(jobs(film(12, noise=0.4), tmp_path / "frames"), [6], tmp_path, 1, SILENT)
    chance = np.random.default_rng(1)
    colors = []
    for _ in range(12):
        face, ring, old_face, old_ring = ((light, a, b) for light, a, b in chance.random((4, 3)).tolist())
        colors.append([FaceReading(face, ring, old_face, old_ring, False)])

    keys = {frame.stem: RenderKey(frame.stem, "", "as ever", "", "") for frame in shot.frames}

    def merge_some(name: str, places: Sequence[int], is_killed: bool = False) -> bytes:
        folder = tmp_path / name
        meters = Meters(shot, folder, keys)
        for place in places:
            meters.take(shot.frames[place], colors[place])
        if is_killed:
            meters._lines.close()  # as the system does
        else:
            meters.keep()
        return (folder / METERS_NAME).read_bytes()

    undisturbed = merge_some("undisturbed", range(12))
    assert b"flicker" in undisturbed
    merge_some("killed", [3, 1, 2, 0, 7], is_killed=True)
    assert merge_some("killed", [*range(4, 7), *range(8, 12), 3]) == undisturbed
    merge_some("killed last", range(12), is_killed=True)
    assert merge_some("killed last", []) == undisturbed  # all frames are there: only the figures are completed
    assert (tmp_path / "killed last" / CHART_NAME).exists()


def test_frames_of_other_settings_are_not_compared(tmp_path: Path) -> None:
    """Ten frames, of which three are merged anew with other settings; then all of them with settings of their own."""
    shot = steady_jobs(jobs(film(10, noise=0.4), tmp_path / "frames"), [], tmp_path, 1, SILENT)
    readings = [FaceReading((50.0, 0.0, 0.0), (40.0, 0.0, 0.0), (50.0, 0.0, 0.0), (40.0, 0.0, 0.0), False)]

    def merge_some(places: Sequence[int], settings: Sequence[str]) -> tuple[list[int], str]:
        """The frames whose jitter is known, and what was said."""
        keys = {frame.stem: RenderKey(frame.stem, "", settings[n], "", "") for n, frame in enumerate(shot.frames)}
        meters, listener = Meters(shot, tmp_path, keys), Listener()
        for place in places:
            meters.take(shot.frames[place], readings)
        meters.keep()
        meters.tell(listener)
        return [r.index for r in read_meters(tmp_path / METERS_NAME) if r.jitter is not None], listener.text

    known, said = merge_some(range(10), ["old"] * 10)
    assert known == list(range(1, 9))
    assert "other settings" not in said
    known, said = merge_some([4, 5, 6], ["new"] * 10)
    assert known == [1, 2, 5, 8]
    assert "7 of 10 frames were merged with other settings, or another state of the model" in said
    known, said = merge_some([0, 1, 2, 3, 7, 8, 9], ["new"] * 10)  # the rest follows
    assert known == list(range(1, 9))
    assert "other settings" not in said
    # Keys of a session: every frame has settings of its own, and one of them is changed afterwards.
    assert merge_some(range(10), [f"key {n}" for n in range(10)])[0] == list(range(1, 9))
    assert merge_some([3], [f"key {n}" if n != 3 else "changed" for n in range(10)])[0] == list(range(1, 9))


def records(scenes: int) -> list[MeterRecord]:
    made = [
        MeterRecord(
            *(n, f"{n:05d}", 1, (80.0 + (n % 2), 60.0), 100.0, 0.0, 0.0, 0.0),
            difference=(5.0 + n % 2, 0.0, 0.0),
            old_difference=(1.0, 0.0, 0.0),
            scene=n // 4 + 1,
        )
        for n in range(4 * scenes)
    ]
    return with_figures(made, [[(n, 0) for n in range(first, first + 4)] for first in range(0, 4 * scenes, 4)])


def test_every_scene_has_its_line() -> None:
    assert tell(records(1))[1] == (
        "  4 frames: flicker 2.00 (the footage 0.00), jitter 20.00, the face 5.50 levels off its surroundings"
    )
    lines = tell(records(23))
    assert len(lines) == 22
    assert lines[2].startswith("  scene 2, 00004 to 00007: flicker 2.00")
    assert lines[-1] == f"  and 3 more scenes; all are in {METERS_NAME}."
    assert tell([]) == []


def test_the_chart_is_the_same_every_time() -> None:
    drawn = draw_meters(records(3), [4, 8])
    assert drawn == draw_meters(records(3), [4, 8])
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert ET.fromstring(draw_meters([])).tag.endswith("svg")
