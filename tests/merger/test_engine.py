"""Many frames over worker processes: same files for any number of workers, nothing lost, never a hang."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import FaceLoomError
from core.images import read_gray, read_image, write_image
from core.progress import SILENT
from facelib.prediction import Prediction
from merger import crew, rounds
from merger.compositors import CompositorSetup, FrameView, Measures, remove_unfinished_files
from merger.engine import Engine, MergeOutcome
from merger.face_slots import FaceSlots
from merger.face_tools import FaceTools
from merger.frames import FrameFace, FrameFaces
from merger.merge_frame import merge_frame
from merger.rounds import FrameJob
from merger.settings import MergeSettings
from tests.merger.poison import (
    TravelingFace,
    die,
    die_once,
    fail_to_arrive,
    fill_disk,
    note_modules,
    use_up_memory,
)
from tests.merger.scenes import TintedPredictor, painted_landmarks, smooth_frame

SETTINGS = MergeSettings.of(mask_mode="learned-prd*learned-dst", color_transfer="rct", blur_mask=12)


class Shot:
    """Painted frames on disk: number 3 has no face, number 5 has two."""

    def __init__(self, folder: Path, frames: int) -> None:
        self.folder = folder
        self.jobs: list[FrameJob] = []
        for number in range(1, frames + 1):
            path = folder / "frames" / f"{number:05d}.png"
            write_image(path, smooth_frame(90, 120, seed=number))
            centers = {3: [], 5: [(40, 40), (80, 50)]}.get(number, [(40 + 3 * number, 45)])
            faces = tuple(FrameFace(painted_landmarks(center, 36, 0.02 * number)) for center in centers)
            self.jobs.append(FrameJob(FrameFaces(path, faces), SETTINGS))

    def replace_faces(self, number: int, *faces: FrameFace) -> None:
        """Gives frame `number` (from 1) other faces."""
        self.jobs[number - 1] = FrameJob(FrameFaces(self.jobs[number - 1].frame.path, faces), SETTINGS)

    def setup(self, name: str) -> CompositorSetup:
        predictor = TintedPredictor()
        frames, masks = self.folder / name / "merged", self.folder / name / "masks"
        return CompositorSetup(frames, masks, predictor.resolution, predictor.face_type)

    def merge(
        self, name: str, workers: int = 1, on_error: str = "copy", predictor: TintedPredictor | None = None
    ) -> tuple[MergeOutcome, dict[str, tuple[int, int]]]:
        """Merges into the folder `name`; the outcome, and what was reported as merged."""
        merged: dict[str, tuple[int, int]] = {}

        def on_merged(frame: FrameFaces, sizes: tuple[int, int]) -> None:
            assert frame.stem not in merged, "reported twice"
            merged[frame.stem] = sizes

        with self.engine(name, workers, predictor or TintedPredictor()) as engine:
            return engine.merge(self.jobs, on_error=on_error, on_merged=on_merged), merged

    def engine(self, name: str, workers: int, predictor: TintedPredictor) -> Engine:
        """One that writes into the folder `name`."""
        return Engine(predictor, self.setup(name), self.jobs, self.jobs, workers=workers, progress=SILENT)

    def files(self, name: str) -> dict[str, str]:
        """Name and hash of everything under the folder `name`."""
        root = self.folder / name
        return {
            path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return Shot(tmp_path, 9)


def test_files_do_not_depend_on_the_number_of_workers(shot: Shot) -> None:
    for workers in (1, 4, 8):
        outcome, merged = shot.merge(f"with {workers}", workers)
        assert outcome.merged == len(merged) == 9
        assert outcome.failed == []
    first = shot.files("with 1")
    assert len(first) == 18
    assert shot.files("with 4") == shot.files("with 8") == first
    # ... and they are what merge_frame makes of each frame.
    for job in shot.jobs:
        expected = merge_frame(read_image(job.frame.path), job.frame.faces, SETTINGS, FaceTools.of(TintedPredictor()))
        folders = shot.setup("with 1")
        assert np.array_equal(read_image(folders.frames_folder / f"{job.frame.stem}.png"), expected.image)
        assert np.array_equal(read_gray(folders.masks_folder / f"{job.frame.stem}.png"), expected.mask)
    assert merged["00001"] == tuple(
        (folder / "00001.png").stat().st_size for folder in (folders.frames_folder, folders.masks_folder)
    )


def test_no_more_processes_are_started_than_the_system_can_wait_for(
    shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[CompositorSetup] = []

    class CountedWorker(crew.Worker):
        def __init__(self, setup: CompositorSetup, slots: FaceSlots) -> None:
            started.append(setup)
            super().__init__(setup, slots)

    monkeypatch.setattr(crew, "Worker", CountedWorker)
    monkeypatch.setattr(crew, "_MOST_PROCESSES", 1)
    outcome, _ = shot.merge("out", 8)
    assert (outcome.merged, len(started)) == (9, 1)


def test_faces_of_many_frames_are_predicted_in_batches_of_one_size(shot: Shot) -> None:
    predictor = TintedPredictor()
    shot.merge("out", 1, predictor=predictor)
    assert set(predictor.calls) == {4}
    assert len(predictor.calls) <= 5  # 9 faces in 8 frames, and batches wait for whole frames


def test_frames_without_a_face_are_copied(shot: Shot) -> None:
    shot.merge("out")
    folders = shot.setup("out")
    assert np.array_equal(read_image(folders.frames_folder / "00003.png"), read_image(shot.jobs[2].frame.path))
    assert not read_gray(folders.masks_folder / "00003.png").any()


def test_gray_alpha_and_16_bit_frames(tmp_path: Path) -> None:
    import cv2

    gray, color = smooth_frame(60, 80)[..., 0], smooth_frame(60, 80)
    deep = smooth_frame(60, 80, dtype=np.uint16)
    pictures = {"gray": gray, "alpha": np.dstack([color, gray]), "deep": deep}
    shot = Shot(tmp_path, 0)
    for name, picture in pictures.items():
        for faces in ((), (FrameFace(painted_landmarks((40, 30), 30)),)):
            path = tmp_path / "frames" / f"{name} {len(faces)}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            shot.jobs.append(FrameJob(FrameFaces(path, faces), SETTINGS))
    outcome, _ = shot.merge("out")
    assert outcome.failed == []
    folders = shot.setup("out")
    for name, picture in pictures.items():
        copied = read_image(folders.frames_folder / f"{name} 0.png")
        expected = np.dstack([picture] * 3) if picture.ndim == 2 else picture[..., :3]
        assert np.array_equal(copied, expected)
        merged = read_image(folders.frames_folder / f"{name} 1.png")
        mask = read_gray(folders.masks_folder / f"{name} 1.png")
        assert merged.dtype == mask.dtype == picture.dtype
        assert np.array_equal(merged[mask == 0], expected[mask == 0])
        assert not np.array_equal(merged, expected)


def test_workers_load_no_neural_framework(shot: Shot, tmp_path: Path) -> None:
    listed = tmp_path / "modules.txt"
    shot.replace_faces(1, TravelingFace(painted_landmarks((40, 40), 36), note_modules, listed))
    outcome, _ = shot.merge("out")
    assert outcome.failed == []
    modules = {name.split(".")[0] for name in listed.read_text(encoding="utf-8").splitlines()}
    assert "cv2" in modules
    assert not modules & {"keras", "tensorflow", "torch", "jax", "h5py", "models"}


def test_a_worker_that_dies_once_costs_nothing(shot: Shot, tmp_path: Path) -> None:
    shot.merge("undisturbed")
    shot.replace_faces(4, TravelingFace(shot.jobs[3].frame.faces[0].landmarks, die_once, tmp_path / "died"))
    outcome, merged = shot.merge("out", 2)
    assert (tmp_path / "died").exists()
    assert outcome.failed == []
    assert len(merged) == 9
    assert shot.files("out") == shot.files("undisturbed")


@pytest.mark.parametrize("harm", [die, fail_to_arrive])
def test_a_frame_that_always_kills_its_worker_is_copied_and_named(shot: Shot, harm: Callable[..., FrameFace]) -> None:
    shot.merge("undisturbed")
    shot.replace_faces(4, TravelingFace(shot.jobs[3].frame.faces[0].landmarks, harm))
    outcome, merged = shot.merge("out", 2)
    assert [(f.frame.stem, f.copied) for f in outcome.failed] == [("00004", True)]
    assert "died" in outcome.failed[0].reason
    assert len(merged) == 8
    assert "00004" not in merged
    folders = shot.setup("out")
    assert np.array_equal(read_image(folders.frames_folder / "00004.png"), read_image(shot.jobs[3].frame.path))
    expected, found = shot.files("undisturbed"), shot.files("out")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == ["masks/00004.png", "merged/00004.png"]


def test_broken_frames_and_broken_faces_are_named_and_the_rest_is_merged(shot: Shot) -> None:
    shot.jobs[1].frame.path.write_bytes(b"")
    shot.jobs[5].frame.path.write_text("this is text")
    shot.replace_faces(7, FrameFace(np.zeros((68, 2), np.float32)))
    outcome, merged = shot.merge("out", 2)
    assert [f.frame.stem for f in outcome.failed] == ["00002", "00006", "00007"]
    assert [f.copied for f in outcome.failed] == [False, False, True]
    reasons = [f.reason for f in outcome.failed]
    assert "0 bytes" in reasons[0]
    assert "not a picture" in reasons[1]
    assert "landmarks" in reasons[2].lower()
    assert outcome.merged == len(merged) == 6


def test_skip_writes_nothing_for_a_failed_frame(shot: Shot) -> None:
    shot.replace_faces(7, FrameFace(np.zeros((68, 2), np.float32)))
    outcome, _ = shot.merge("out", on_error="skip")
    assert [(f.frame.stem, f.copied) for f in outcome.failed] == [("00007", False)]
    assert "merged/00007.png" not in shot.files("out")
    assert outcome.merged == 8


def test_stop_ends_soon_and_names_the_frame(shot: Shot) -> None:
    for number in range(10, 60):
        path = shot.folder / "frames" / f"{number:05d}.png"
        write_image(path, smooth_frame(90, 120, seed=number))
        shot.jobs.append(FrameJob(FrameFaces(path), SETTINGS))
    shot.replace_faces(2, FrameFace(np.zeros((68, 2), np.float32)))
    with pytest.raises(FaceLoomError, match=r"00002\.png"):
        shot.merge("out", on_error="stop")
    assert len(shot.files("out")) < 2 * 30


def test_a_batch_the_model_cannot_hold_is_halved(shot: Shot) -> None:
    class SmallDevice(TintedPredictor):
        def predict(self, faces: NDArray) -> Sequence[Prediction]:
            if len(faces) > 2:
                raise RuntimeError("out of memory")
            return super().predict(faces)

    predictor = SmallDevice()
    outcome, _ = shot.merge("small", predictor=predictor)
    assert outcome.merged == 9
    assert set(predictor.calls) == {2}
    shot.merge("usual")
    assert shot.files("small") == shot.files("usual")


def test_a_model_that_cannot_predict_at_all_stops_the_merge(shot: Shot) -> None:
    class DeadModel(TintedPredictor):
        def predict(self, faces: NDArray) -> Sequence[Prediction]:
            raise RuntimeError("no such device")

    with pytest.raises(FaceLoomError, match="no such device"):
        shot.merge("out", predictor=DeadModel())


def test_a_model_of_damaged_weights_stops_the_merge(shot: Shot) -> None:
    class Collapsed(TintedPredictor):
        def predict_one(self, face: NDArray) -> tuple[NDArray, NDArray, NDArray]:
            return np.full_like(face, np.nan), *super().predict_one(face)[1:]

    with pytest.raises(FaceLoomError, match="not numbers"):
        shot.merge("out", predictor=Collapsed())


def test_one_failed_prediction_fails_its_frames_only_once(shot: Shot) -> None:
    """The third call and its smaller repeats fail; the frames are tried again and come out well."""

    class Moody(TintedPredictor):
        failures = 3

        def predict(self, faces: NDArray) -> Sequence[Prediction]:
            if self.calls and self.failures:
                self.failures -= 1
                raise RuntimeError("a hiccup")
            return super().predict(faces)

    outcome, merged = shot.merge("out", predictor=Moody())
    assert outcome.failed == []
    assert len(merged) == 9


def test_a_folder_that_cannot_be_written_stops_the_merge_in_words(shot: Shot) -> None:
    folders = shot.setup("out")
    folders.frames_folder.parent.mkdir(parents=True)
    folders.frames_folder.write_text("a file in the place of the folder")
    with pytest.raises(FaceLoomError, match="merged"):
        shot.merge("out")


def test_a_full_disk_stops_the_merge_in_words(shot: Shot) -> None:
    shot.merge("undisturbed")
    shot.replace_faces(4, TravelingFace(shot.jobs[3].frame.faces[0].landmarks, fill_disk))
    with pytest.raises(FaceLoomError, match="The disk is full"):
        shot.merge("out")
    assert shot.files("out").items() <= shot.files("undisturbed").items()


def test_a_worker_without_memory_fails_its_frames_and_they_are_tried_alone(shot: Shot) -> None:
    shot.replace_faces(9, TravelingFace(shot.jobs[8].frame.faces[0].landmarks, use_up_memory))
    outcome, _ = shot.merge("out", 2, "skip")
    names = [failed.frame.stem for failed in outcome.failed]
    assert "00009" in names
    assert all("MemoryError" in failed.reason for failed in outcome.failed)
    assert outcome.merged + len(names) == 9


def test_a_worker_without_memory_is_not_used_again(shot: Shot) -> None:
    shot.replace_faces(1, TravelingFace(shot.jobs[0].frame.faces[0].landmarks, use_up_memory))
    outcome, _ = shot.merge("out", 1, "skip")
    assert [failed.frame.stem for failed in outcome.failed] == ["00001"]
    assert outcome.merged == 8


def test_nobody_gets_far_ahead_of_a_failed_frame(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dealt with first: those who take the frames in order never have many waiting."""
    monkeypatch.setattr(rounds, "_FRAMES_AHEAD", 4)
    shot.replace_faces(2, FrameFace(np.zeros((68, 2), np.float32)))
    told: list[str] = []
    with shot.engine("out", 1, TintedPredictor()) as engine:
        engine.merge(
            shot.jobs,
            on_error="copy",
            on_merged=lambda frame, _: told.append(frame.stem),
            on_failed=lambda failed: told.append(f"{failed.frame.stem} copied" * failed.copied),
        )
    assert sorted(told[:5]) == ["00001", "00002 copied", "00003", "00004", "00005"]
    assert told[4] == "00002 copied"
    assert sorted(told[5:]) == ["00006", "00007", "00008", "00009"]


def test_adjustments_reach_the_compositor(shot: Shot) -> None:
    """One the compositor does not know what to do with: it says so instead of passing it over."""
    shot.jobs[1] = dataclasses.replace(shot.jobs[1], adjustment="none of ours")
    outcome, _ = shot.merge("out")
    assert [failed.frame.stem for failed in outcome.failed] == ["00002"]


def mean_color(view: FrameView) -> dict[str, NDArray]:
    """A measure."""
    return {"mean": view.frame.mean(axis=(0, 1)), "masks": np.stack([a.prediction.dst_mask for a in view.answers])}


def test_frames_are_measured_once_each_whatever_the_number_of_workers(shot: Shot) -> None:
    shot.jobs[1].frame.path.write_bytes(b"")
    shot.jobs.pop(2)  # the one without a face
    found: list[dict[str, Measures]] = []
    for workers in (1, 3):
        measures: dict[str, Measures] = {}

        def measured(frame: FrameFaces, told: Measures, into: dict[str, Measures] = measures) -> None:
            into[frame.stem] = told

        with shot.engine("out", workers, TintedPredictor()) as engine:
            failed = engine.measure(shot.jobs, mean_color, measured)
        assert [one.frame.stem for one in failed] == ["00002"]
        found.append(measures)
    first, second = found
    assert first.keys() == second.keys() == {f"0000{n}" for n in (1, 4, 5, 6, 7, 8, 9)}
    assert all(np.array_equal(first[stem][name], second[stem][name]) for stem in first for name in first[stem])
    assert first["00005"]["masks"].shape == (2, 48, 48)
    assert shot.files("out") == {}


def test_ctrl_c_keeps_what_is_finished_and_ends_soon(shot: Shot) -> None:
    class Interrupted(TintedPredictor):
        def predict(self, faces: NDArray) -> Sequence[Prediction]:
            if self.calls:
                raise KeyboardInterrupt
            return super().predict(faces)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        shot.merge("out", predictor=Interrupted())
    assert time.monotonic() - start < 20
    found = shot.files("out")
    shot.merge("undisturbed")
    assert found.items() <= shot.files("undisturbed").items()


def test_no_jobs_no_processes(tmp_path: Path) -> None:
    outcome, merged = Shot(tmp_path, 0).merge("out")
    assert outcome.merged == 0
    assert merged == {}


def test_what_a_killed_run_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    keep, drop = tmp_path / "00001.png", tmp_path / ".0123456789ab.part.png"
    for path in (keep, drop):
        path.write_bytes(b"x")
    remove_unfinished_files(tmp_path)
    assert keep.exists()
    assert not drop.exists()
