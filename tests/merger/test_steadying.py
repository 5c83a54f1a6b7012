"""A shot steadied for the engine: what is measured, what frames depend on, and parts that make the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.images import write_image
from core.progress import SILENT
from facelib.face_type import FaceType
from facelib.prediction import Prediction
from merger import steadying
from merger.aligning import align_faces
from merger.compositors import CompositorSetup, FrameView
from merger.engine import merge_frames
from merger.face_tools import FaceTools, ask_networks
from merger.frames import FrameFaces
from merger.journal import RenderKey
from merger.kept_answers import KeptAnswers, answer_bytes
from merger.merge_frame import composite_faces
from merger.rounds import FrameJob
from merger.sequence import merge_sequence
from merger.settings import MergeSettings
from merger.steadying import SteadyShot, split_shot, steady_shot
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
    asked = [stem for stems in measured for stem in stems]
    assert sorted(asked) == [f"{n:05d}" for n in range(14) if n != 4]  # once each; nobody is in number 4
    assert len(measured) == (2 if frames_per_part == 4 else 1)


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


class CountingPredictor(TintedPredictor):
    """Knows how many faces it was shown; those that only fill up a batch are black."""

    faces = 0

    def predict(self, faces: NDArray) -> Sequence[Prediction]:
        self.faces += int(np.count_nonzero(faces.any(axis=(1, 2, 3))))
        return super().predict(faces)


def rendered(
    folder: Path, shot: SteadyShot, workers: int, frames_per_part: int, most_bytes: int
) -> tuple[dict[str, bytes], int]:
    """Merges with processes; the files, and how many faces the model was asked about."""
    predictor = CountingPredictor(32)
    setup = CompositorSetup(folder / "merged", folder / "masks", 32, FaceType.FULL)
    kept = KeptAnswers(most_bytes)
    how: dict[str, Any] = {"workers": workers, "progress": SILENT, "kept": kept}
    for part in shot.adjusted(shot.jobs, predictor, setup, frames_per_part=frames_per_part, **how):
        outcome = merge_frames(part, predictor, setup, on_error="stop", on_merged=lambda *_: None, **how)
        assert outcome.merged == len(part)
    assert all(kept.of(job.frame.stem) is None for job in shot.jobs)
    return {f"{p.parent.name}/{p.name}": p.read_bytes() for p in sorted(folder.rglob("*.png"))}, predictor.faces


def test_every_face_is_asked_about_once_and_the_files_are_always_the_same(tmp_path: Path) -> None:
    frames = []
    for frame in film(24, path=lambda n: (60 + n, 60.0), noise=0.3, missing=(4,)):
        path = tmp_path / "frames" / frame.path.name
        write_image(path, picture(frame))
        frames.append(FrameFaces(path, frame.faces))
    shot = steady_shot(jobs(frames), [15])
    size = answer_bytes(32, [SETTINGS])
    files, faces = rendered(tmp_path / "whole", shot, 1, 1000, 100 * size)
    assert len(files) == 48
    assert faces == 23
    assert rendered(tmp_path / "parts", shot, 2, 12, 100 * size) == (files, 23)
    # Room for five answers only: the other 18 faces are asked about again.
    assert rendered(tmp_path / "little room", shot, 1, 1000, 5 * size) == (files, 2 * 23 - 5)


def test_parts_are_as_long_as_their_answers_have_room() -> None:
    shot = jobs(film(100, missing=(0, 1)))
    size = answer_bytes(32, [SETTINGS])

    def lengths(most_frames: int, faces: int) -> list[int]:
        return [len(part) for part in split_shot(shot, most_frames, 32, faces * size)]

    assert lengths(1000, 98) == [100]
    assert lengths(1000, 97) == [91, 9]  # less the eight that are measured for the last ones
    assert lengths(1000, 48) == [42, 40, 18]
    assert lengths(1000, 0) == [32, 32, 32, 4]  # no less, even if no answer can be kept
    assert lengths(30, 98) == [30, 30, 30, 10]


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
