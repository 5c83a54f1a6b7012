"""A shot steadied for the engine: what is measured, what frames depend on, and parts that make the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from core.images import write_image
from core.progress import SILENT
from facelib.face_type import FaceType
from facelib.prediction import Prediction
from merger.aligning import align_faces
from merger.compositors import CompositorSetup, FrameView
from merger.engine import Engine
from merger.face_tools import FaceTools, ask_networks
from merger.frames import FrameFaces
from merger.journal import RenderKey
from merger.kept_frames import KEPT_BYTES, KeptFrames, bytes_of
from merger.merge_frame import composite_faces
from merger.rounds import FrameJob
from merger.sequence import merge_sequence
from merger.settings import MergeSettings
from merger.steadying import SteadyShot, part_length, steady_shot
from tests.merger.scenes import TintedPredictor, smooth_frame
from tests.merger.shots import film

SETTINGS = MergeSettings.of(mask_mode="learned-dst", color_transfer="rct")
TOOLS = FaceTools.of(TintedPredictor(32))


def picture(frame: FrameFaces) -> np.ndarray:
    return smooth_frame(120, 160, seed=int(frame.stem))


def jobs(frames: Sequence[FrameFaces], settings: MergeSettings = SETTINGS) -> list[FrameJob]:
    return [FrameJob(frame, settings) for frame in frames]


class DeskEngine:
    """Measures in this process instead of others, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.kept = KeptFrames()
        self.measured: list[list[str]] = []

    def measure(
        self,
        wanted: Sequence[FrameJob],
        measure: Callable[[FrameView], Any],
        on_measured: Callable[[FrameFaces, Any], None],
    ) -> None:
        self.measured.append([job.frame.stem for job in wanted])
        for job in reversed(wanted):  # in no certain order
            on_measured(job.frame, measure(view_of(job)))


def view_of(job: FrameJob) -> FrameView:
    frame = picture(job.frame)
    aligned = align_faces(frame, job.frame.faces, 32, FaceType.FULL, job.settings)
    answers = ask_networks(TOOLS, [face.question for face in aligned], job.settings) if aligned else ()
    return FrameView(frame, aligned, answers, job.settings, FaceType.FULL, 32)


def adjusted(
    shot: SteadyShot, wanted: Sequence[FrameJob], engine: DeskEngine, frames_per_part: int = 1000
) -> list[list[FrameJob]]:
    return list(shot.adjusted(wanted, cast(Engine, engine), frames_per_part))


def merged(shot: SteadyShot, engine: DeskEngine, frames_per_part: int) -> list[np.ndarray]:
    images = []
    for part in adjusted(shot, shot.jobs, engine, frames_per_part):
        for job in part:
            view = view_of(job)
            result = composite_faces(
                *(view.frame, view.aligned, view.answers, job.settings, FaceType.FULL, 32), adjustment=job.adjustment
            )
            images.append(result.image)
    return images


@pytest.mark.parametrize("frames_per_part", [4, 100])
def test_parts_make_the_whole(frames_per_part: int) -> None:
    engine = DeskEngine()
    frames = film(14, path=lambda n: (70 + n, 60.0), noise=0.3, missing=(4,))
    shot = steady_shot(jobs(frames), [9])
    whole = [one.merged.image for one in merge_sequence(frames, picture, [SETTINGS] * 14, TOOLS, [9])]
    assert all(np.array_equal(a, b) for a, b in zip(merged(shot, engine, frames_per_part), whole, strict=True))
    asked = [stem for stems in engine.measured for stem in stems]
    assert sorted(asked) == [f"{n:05d}" for n in range(14) if n != 4]  # once each; nobody is in number 4
    assert len(engine.measured) == (2 if frames_per_part == 4 else 1)


def test_only_what_has_a_say_is_measured() -> None:
    shot, engine = steady_shot(jobs(film(40)), [30]), DeskEngine()
    (part,) = adjusted(shot, [shot.jobs[25]], engine)
    assert engine.measured == [[f"{n:05d}" for n in range(17, 30)]]
    assert len(part) == 1
    assert part[0].adjustment is not None


def test_nothing_is_measured_where_every_frame_stands_for_itself() -> None:
    engine = DeskEngine()
    alone = MergeSettings.of(stabilize_colors=0, stabilize_mask=0)
    shot = steady_shot(jobs(film(6, noise=0.4), alone))
    assert adjusted(shot, shot.jobs, engine) == [shot.jobs]
    classical = steady_shot(jobs(film(6, noise=0.4), MergeSettings.of(compat="dfl")))
    assert adjusted(classical, classical.jobs, engine) == [classical.jobs]
    assert engine.measured == []


def test_a_frame_that_cannot_be_measured_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeskEngine, "measure", lambda *_: [])
    shot = steady_shot(jobs(film(6)))
    (part,) = adjusted(shot, shot.jobs, DeskEngine())
    assert [job.adjustment for job in part] == [None] * 6


class CountingPredictor(TintedPredictor):
    """Knows how many faces it was shown; those that only fill up a batch are black."""

    faces = 0

    def predict(self, faces: NDArray) -> Sequence[Prediction]:
        self.faces += int(np.count_nonzero(faces.any(axis=(1, 2, 3))))
        return super().predict(faces)


def rendered(
    folder: Path, shot: SteadyShot, workers: int, frames_per_part: int = 1000, most_bytes: int = KEPT_BYTES
) -> tuple[dict[str, bytes], int, int]:
    """Merges with processes; the files, how many faces the model was asked about, and how many processes it took."""
    predictor = CountingPredictor(32)
    setup = CompositorSetup(folder / "merged", folder / "masks", 32, FaceType.FULL)
    how: dict[str, Any] = {"workers": workers, "progress": SILENT, "most_kept_bytes": most_bytes}
    with Engine(predictor, setup, shot.jobs, shot.jobs, **how) as engine:
        processes = set()
        for part in shot.adjusted(shot.jobs, engine, frames_per_part):
            outcome = engine.merge(part, on_error="stop", on_merged=lambda *_: None)
            assert outcome.merged == len(part)
            processes |= {worker.process.pid for worker in engine._crew.workers}
        assert all(engine.kept.keeper(job.frame.stem) is None for job in shot.jobs)
    files = {f"{p.parent.name}/{p.name}": p.read_bytes() for p in sorted(folder.rglob("*.png"))}
    return files, predictor.faces, len(processes)


@pytest.fixture
def walk(tmp_path: Path) -> SteadyShot:
    """24 frames on disk; nobody is in number 4, and number 15 begins a scene."""
    frames = []
    for frame in film(24, path=lambda n: (60 + n, 60.0), noise=0.3, missing=(4,)):
        path = tmp_path / "frames" / frame.path.name
        write_image(path, picture(frame))
        frames.append(FrameFaces(path, frame.faces))
    return steady_shot(jobs(frames), [15])


def test_every_face_is_asked_about_once_and_the_files_are_always_the_same(walk: SteadyShot, tmp_path: Path) -> None:
    files, faces, _ = rendered(tmp_path / "whole", walk, 1)
    assert len(files) == 48
    assert faces == 23
    assert rendered(tmp_path / "parts", walk, 2, 12) == (files, 23, 2)  # the same two processes in both parts
    # Room for five frames only: the other 18 are read, and asked about, again.
    size = bytes_of(picture(walk.frames[0])) + bytes_of(view_of(walk.jobs[0]).aligned) + 4 * 5 * 32**2
    assert rendered(tmp_path / "little room", walk, 1, most_bytes=5 * size) == (files, 2 * 23 - 5, 1)


def test_every_frame_is_read_once(walk: SteadyShot, tmp_path: Path) -> None:
    """Their files vanish when they are measured."""

    class Thief(CountingPredictor):
        def predict(self, faces: NDArray) -> Sequence[Prediction]:
            for job in walk.jobs[:2]:
                job.frame.path.unlink(missing_ok=True)
            return super().predict(faces)

    setup = CompositorSetup(tmp_path / "merged", tmp_path / "masks", 32, FaceType.FULL)
    first = walk.jobs[:3]
    with Engine(Thief(32), setup, walk.jobs, first, workers=1, progress=SILENT) as engine:
        for part in walk.adjusted(first, engine):
            assert engine.merge(part, on_error="stop", on_merged=lambda *_: None).merged == 3
    assert not first[0].frame.path.exists()


def test_parts_are_as_long_as_their_frames_have_room() -> None:
    def length(frames: int, most: int = 1000) -> int:
        kept = KeptFrames(1000 * frames)
        kept.keep("one", "somebody", 1000)
        return part_length(kept, most)

    assert part_length(KeptFrames(), 1000) == 16  # nobody knows yet
    assert length(98) == 90  # less the eight that are measured for the last ones
    assert length(98, 30) == 30
    assert length(0) == length(20) == 16  # no less, even if hardly any frame can be kept


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


def test_a_face_with_settings_of_its_own_looks_around_or_does_not() -> None:
    """What the frame's other faces do does not count: only the faces that look around make their neighbors heard."""
    alone = MergeSettings.of(stabilize_colors=0, stabilize_mask=0, stabilize_landmarks=0)

    def own(settings: MergeSettings) -> list[FrameFaces]:
        return [replace(f, faces=tuple(replace(face, settings=(settings,)) for face in f.faces)) for f in film(6)]

    assert steady_shot(jobs(own(alone))).heard_by() == {}
    assert set(steady_shot(jobs(own(SETTINGS), alone)).heard_by()) == set(range(6))
