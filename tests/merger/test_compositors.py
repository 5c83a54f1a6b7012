"""What a worker process answers, message by message (here in this process)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.images import read_gray, read_image, write_image
from merger.compositors import (
    Aligned,
    Compositor,
    CompositorSetup,
    Done,
    Drop,
    Failed,
    Finish,
    FrameView,
    Measured,
    Prepare,
    Read,
    Unwritten,
)
from merger.face_tools import FaceAnswer, FaceQuestion, FaceTools, ask_networks
from merger.frames import FrameFace, FrameFaces
from merger.settings import MergeSettings
from tests.merger.scenes import TintedPredictor, painted_landmarks, smooth_frame

SETTINGS = MergeSettings.of(mask_mode="learned-dst")


@pytest.fixture
def frame(tmp_path: Path) -> FrameFaces:
    write_image(tmp_path / "00001.png", smooth_frame(90, 120))
    return FrameFaces(tmp_path / "00001.png", (FrameFace(painted_landmarks((60, 45), 40)),))


@pytest.fixture
def compositor(tmp_path: Path) -> Compositor:
    predictor = TintedPredictor()
    return Compositor(
        CompositorSetup(tmp_path / "merged", tmp_path / "masks", predictor.resolution, predictor.face_type)
    )


def answers(aligned: Aligned) -> list[FaceAnswer]:
    questions = [question for question in aligned.questions if isinstance(question, FaceQuestion)]
    return ask_networks(FaceTools.of(TintedPredictor()), questions, SETTINGS)


def test_a_frame_with_a_face_takes_two_messages(compositor: Compositor, frame: FrameFaces, tmp_path: Path) -> None:
    aligned = compositor.work_through(Prepare(7, frame, SETTINGS))
    assert isinstance(aligned, Aligned)
    assert aligned.number == 7
    (question,) = aligned.questions
    assert isinstance(question, FaceQuestion)
    assert question.pixels.shape == (48, 48, 3)
    assert question.pixels.dtype == np.float32
    assert question.around is None
    done = compositor.work_through(Finish(7, answers(aligned)))
    image, mask = tmp_path / "merged" / "00001.png", tmp_path / "masks" / "00001.png"
    assert isinstance(done, Done)
    assert (done.number, done.sizes) == (7, (image.stat().st_size, mask.stat().st_size))
    assert [reading.touches_border for reading in done.readings] == [False]
    assert read_image(image).shape == (90, 120, 3)
    assert read_gray(mask).shape == (90, 120)


@pytest.mark.parametrize(
    ("faces", "settings"),
    [(False, SETTINGS), (True, MergeSettings.of(mode="original", mask_mode="dst"))],
)
def test_a_frame_that_needs_no_prediction_takes_one(
    compositor: Compositor, frame: FrameFaces, faces: bool, settings: MergeSettings
) -> None:
    wanted = frame if faces else FrameFaces(frame.path)
    assert isinstance(compositor.work_through(Prepare(0, wanted, settings)), Done)


def test_a_step_at_a_time(compositor: Compositor, frame: FrameFaces, tmp_path: Path) -> None:
    """What the three threads of a process hand on to each other."""
    read = compositor.work_on(Prepare(7, frame, SETTINGS))
    assert isinstance(read, Read)
    assert np.array_equal(read.picture, smooth_frame(90, 120))
    aligned = compositor.work_on(read)
    assert isinstance(aligned, Aligned)
    unwritten = compositor.work_on(Finish(7, answers(aligned)))
    assert isinstance(unwritten, Unwritten)
    assert not (tmp_path / "merged").exists()
    assert isinstance(compositor.work_on(unwritten), Done)


def face_mean(view: FrameView) -> dict[str, np.ndarray]:
    """A measure."""
    assert view.settings is not None
    return {"mean": view.answers[0].prediction.face.mean(axis=(0, 1)), "size": np.array(view.frame.shape)}


def frame_size(view: FrameView) -> tuple[int, ...]:
    """A measure."""
    return view.frame.shape


def test_measuring_sees_what_is_composited_and_writes_nothing(
    compositor: Compositor, frame: FrameFaces, tmp_path: Path
) -> None:
    aligned = compositor.work_through(Prepare(3, frame, SETTINGS, measure=face_mean))
    assert isinstance(aligned, Aligned)
    told = answers(aligned)
    measured = compositor.work_through(Finish(3, told))
    assert isinstance(measured, Measured)
    assert np.array_equal(measured.measures["mean"], told[0].prediction.face.mean(axis=(0, 1)))
    assert measured.measures["size"].tolist() == [90, 120, 3]
    assert not (tmp_path / "merged").exists()


def test_a_measured_frame_that_is_kept_is_composited_without_being_read_or_asked_about_again(
    compositor: Compositor, frame: FrameFaces, tmp_path: Path
) -> None:
    aligned = compositor.work_through(Prepare(0, frame, SETTINGS))
    assert isinstance(aligned, Aligned)
    assert aligned.size is None
    told = answers(aligned)
    compositor.work_through(Finish(0, told))
    alone = (tmp_path / "merged" / "00001.png").read_bytes()

    for number, is_kept in ((1, False), (2, True)):
        aligned = compositor.work_through(Prepare(number, frame, SETTINGS, measure=face_mean))
        assert isinstance(aligned, Aligned)
        assert aligned.size is not None
        assert aligned.size > 90 * 120 * 3 + 4 * 48 * 48 * 3
        assert isinstance(compositor.work_through(Finish(number, told, is_kept)), Measured)
    for answer in told:
        answer.prediction.face[...] = 0  # the engine uses its memory again
    frame.path.unlink()
    assert isinstance(compositor.work_through(Prepare(3, frame, SETTINGS)), Done)
    assert (tmp_path / "merged" / "00001.png").read_bytes() == alone
    assert isinstance(compositor.work_through(Prepare(4, frame, SETTINGS)), Failed)  # kept once


def test_a_frame_without_a_question_is_measured_too(compositor: Compositor, frame: FrameFaces) -> None:
    aligned = compositor.work_through(Prepare(0, FrameFaces(frame.path), SETTINGS, measure=frame_size))
    assert aligned == Aligned(0, (), 90 * 120 * 3)
    assert compositor.work_through(Finish(0, ())) == Measured(0, (90, 120, 3))


def test_a_dropped_frame_is_forgotten(compositor: Compositor, frame: FrameFaces) -> None:
    aligned = compositor.work_through(Prepare(0, frame, SETTINGS))
    assert isinstance(aligned, Aligned)
    assert compositor.work_through(Drop(0)) is None
    assert compositor.work_through(Drop(5)) is None
    assert isinstance(compositor.work_through(Finish(0, answers(aligned))), Failed)


def test_a_broken_frame_fails_in_words(compositor: Compositor, frame: FrameFaces) -> None:
    frame.path.write_bytes(b"")
    failed = compositor.work_through(Prepare(3, frame, SETTINGS))
    assert isinstance(failed, Failed)
    assert failed.number == 3
    assert "0 bytes" in failed.reason
    assert failed.details == ""
    assert not failed.in_writing


def test_an_unforeseen_failure_carries_its_traceback(compositor: Compositor, frame: FrameFaces) -> None:
    aligned = compositor.work_through(Prepare(0, frame, SETTINGS))
    assert isinstance(aligned, Aligned)
    failed = compositor.work_through(Finish(0, ()))
    assert isinstance(failed, Failed)
    assert "KeyError" in failed.reason
    assert "composite_faces" in failed.details


def test_a_folder_that_refuses_is_told_apart(compositor: Compositor, frame: FrameFaces, tmp_path: Path) -> None:
    (tmp_path / "masks").write_text("in the way")
    failed = compositor.work_through(Prepare(0, FrameFaces(frame.path), SETTINGS))
    assert isinstance(failed, Failed)
    assert failed.in_writing
