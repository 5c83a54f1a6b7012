"""A shot steadied for the engine: what is measured, what frames depend on, and parts that make the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.progress import SILENT
from facelib.face_type import FaceType
from merger import steadying
from merger.aligning import align_faces
from merger.compositors import CompositorSetup, FrameView
from merger.face_tools import FaceTools, ask_networks
from merger.frames import FrameFaces
from merger.journal import RenderKey
from merger.merge_frame import composite_faces
from merger.rounds import FrameJob
from merger.sequence import merge_sequence
from merger.settings import MergeSettings
from merger.steadying import SteadyShot, steady_shot
from tests.merger.scenes import TintedPredictor, smooth_frame
from tests.merger.shots import film

SETTINGS = MergeSettings.of(mask_mode="learned-dst", color_transfer="rct")
TOOLS = FaceTools.of(TintedPredictor(32))
SETUP = CompositorSetup(Path("frames"), Path("masks"), 32, FaceType.FULL)


def picture(frame: FrameFaces) -> np.ndarray:
    return smooth_frame(120, 160, seed=int(frame.stem))


def jobs(frames: Sequence[FrameFaces], settings: MergeSettings = SETTINGS) -> list[FrameJob]:
    return [FrameJob(frame, settings) for frame in frames]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Measures in this process instead of others; what was asked for."""
    asked: list[list[str]] = []

    def measure_frames(
        wanted: Sequence[FrameJob],
        tools: FaceTools,
        setup: CompositorSetup,
        measure: Callable[[FrameView], Any],
        *,
        on_measured: Callable[[FrameFaces, Any], None],
        **_: Any,
    ) -> None:
        asked.append([job.frame.stem for job in wanted])
        for job in reversed(wanted):  # in no certain order
            view = view_of(job)
            on_measured(job.frame, measure(view))

    monkeypatch.setattr(steadying, "measure_frames", measure_frames)
    return asked


def view_of(job: FrameJob) -> FrameView:
    frame = picture(job.frame)
    aligned = align_faces(frame, job.frame.faces, 32, FaceType.FULL, job.settings)
    answers = ask_networks(TOOLS, [face.question for face in aligned], job.settings) if aligned else ()
    return FrameView(frame, aligned, answers, job.settings, FaceType.FULL, 32)


def merged(shot: SteadyShot, wanted: Sequence[FrameJob], frames_per_part: int) -> list[np.ndarray]:
    images = []
    for part in shot.adjusted(wanted, TOOLS, SETUP, workers=1, progress=SILENT, frames_per_part=frames_per_part):
        for job in part:
            view = view_of(job)
            result = composite_faces(
                *(view.frame, view.aligned, view.answers, job.settings, FaceType.FULL, 32), adjustment=job.adjustment
            )
            images.append(result.image)
    return images


@pytest.mark.parametrize("frames_per_part", [4, 100])
def test_parts_make_the_whole(measured: list[list[str]], frames_per_part: int) -> None:
    frames = film(14, path=lambda n: (70 + n, 60.0), noise=0.3, missing=(4,))
    shot = steady_shot(jobs(frames), [9])
    whole = [one.merged.image for one in merge_sequence(frames, picture, [SETTINGS] * 14, TOOLS, [9])]
    assert all(np.array_equal(a, b) for a, b in zip(merged(shot, shot.jobs, frames_per_part), whole, strict=True))
    assert len(measured) == (4 if frames_per_part == 4 else 1)
    assert "00004" not in measured[0]  # nobody is in it


def test_only_what_has_a_say_is_measured(measured: list[list[str]]) -> None:
    shot = steady_shot(jobs(film(40)), [30])
    (part,) = shot.adjusted([shot.jobs[25]], TOOLS, SETUP, workers=1, progress=SILENT)
    assert measured == [[f"{n:05d}" for n in range(17, 30)]]
    assert len(part) == 1
    assert part[0].adjustment is not None


def test_nothing_is_measured_where_every_frame_stands_for_itself(measured: list[list[str]]) -> None:
    alone = MergeSettings.of(stabilize_colors=0, stabilize_mask=0)
    shot = steady_shot(jobs(film(6, noise=0.4), alone))
    assert list(shot.adjusted(shot.jobs, TOOLS, SETUP, workers=1, progress=SILENT)) == [shot.jobs]
    assert measured == []
    classical = steady_shot(jobs(film(6, noise=0.4), MergeSettings.of(compat="dfl")))
    assert list(classical.adjusted(classical.jobs, TOOLS, SETUP, workers=1, progress=SILENT)) == [classical.jobs]


def test_a_frame_that_cannot_be_measured_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steadying, "measure_frames", lambda *_, **__: [])
    shot = steady_shot(jobs(film(6)))
    (part,) = shot.adjusted(shot.jobs, TOOLS, SETUP, workers=1, progress=SILENT)
    assert [job.adjustment for job in part] == [None] * 6


def key(name: str) -> RenderKey:
    return RenderKey(name, "faces", "settings", "model", "software")


def test_keys_cover_the_frames_within_reach_and_no_others() -> None:
    """A change of frame 20 is a change of 12 to 28, as far as the scene goes."""
    shot = steady_shot(jobs(film(40)), [25])
    keys = {job.frame.stem: key(job.frame.stem) for job in shot.jobs}
    before = shot.with_neighbors(keys)
    after = shot.with_neighbors({**keys, "00020": replace(keys["00020"], frame="edited")})
    changed = {stem for stem in keys if before[stem] != after[stem]}
    assert changed == {f"{n:05d}" for n in range(12, 25)}
    assert before["00013"].changes_since(after["00013"]) == ["neighbors"]
    # The model is every frame's own affair: it changes for all.
    other = shot.with_neighbors({stem: replace(k, model="new") for stem, k in keys.items()})
    assert other["00013"].changes_since(before["00013"]) == ["model"]


def test_keys_of_frames_for_themselves_are_as_they_were() -> None:
    shot = steady_shot(jobs(film(6), MergeSettings.of(stabilize_colors=0, stabilize_mask=0)))
    keys = {job.frame.stem: key(job.frame.stem) for job in shot.jobs}
    assert shot.with_neighbors(keys) == keys
    single = steady_shot(jobs(film(1)))
    assert single.with_neighbors({"00000": key("x")}) == {"00000": key("x")}
