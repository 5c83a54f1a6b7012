"""Demonstrate a frame's journey: out of a video, through the face networks and the merger, and into a video again.

The same command functions run that the numbered scripts run; only the trained model is replaced, by one that draws
the face it is shown (a perfect prediction), so that the road itself can be judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import MissingInput
from core.images import decode_image, read_gray, read_image, write_image
from core.paths import Workspace
from core.progress import SILENT, Progress
from core.video.probe import probe_video
from facelib.face_type import FaceType
from facelib.metadata import read_metadata
from facelib.prediction import Prediction, Predictor
from mainscripts import extract, merge, videoed, videoed_result
from merger.journal import Networks

FRAMES = 6
RATE = Fraction(24000, 1001)


class PerfectModel:
    """Draws what it is shown, and believes that the whole square is face."""

    resolution = 128
    face_type = FaceType.FULL

    def predict(self, faces: np.ndarray) -> Sequence[Prediction]:
        ones = np.ones(faces.shape[1:3], np.float32)
        return [Prediction(face, ones, ones) for face in faces]


def shoot(workspace: Workspace) -> None:
    """A short lossless clip, workspace/data_dst.mp4: a portrait, seen by a moving camera; one frame shows no face."""
    astronaut = files("skimage.data") / "astronaut.png"
    portrait = decode_image(astronaut.read_bytes(), Path(astronaut.name))
    takes = workspace.root / "takes"
    for number in range(FRAMES):
        shot: np.ndarray = np.roll(portrait, (3 * number, -5 * number), axis=(0, 1))
        if number == 4:
            shot = cv2.GaussianBlur(shot, (0, 0), 40)
        write_image(takes / f"{number + 1:05d}.png", shot)
    options = videoed_result.VideoFromSequenceOptions.of(
        input_dir=takes, output_file=workspace.root / "data_dst.mp4", fps=RATE, lossless=True
    )
    videoed_result.video_from_sequence(workspace, options, SILENT)


def test_demonstrate_a_frames_journey(odd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(odd_folder)
    shoot(workspace)

    # 1. Out of the video: every frame becomes a picture.
    videoed.extract_video(
        workspace,
        videoed.ExtractVideoOptions.of(input_file=workspace.video_pattern("dst"), output_dir=workspace.data_dst),
        SILENT,
    )
    frames = sorted(workspace.data_dst.glob("*.png"))
    assert [frame.name for frame in frames] == [f"{n:05d}.png" for n in range(1, FRAMES + 1)]

    # 2.-4. Finding the face, setting it upright, and a picture that knows itself.
    found = extract.run(
        workspace,
        extract.ExtractOptions.of(
            input_dir=workspace.data_dst, output_dir=workspace.data_dst_aligned, image_size=256, workers=0
        ),
        SILENT,
    )
    assert found.faces == FRAMES - 1
    assert found.without_face == ["00005.png"]
    face = read_metadata(workspace.data_dst_aligned / "00001_0.jpg")
    assert (face.face_type, face.frame_name) == (FaceType.WHOLE, "00001.png")
    nose = face.frame_landmarks[30]
    assert np.hypot(*(nose - (225, 121))) < 12  # where the tip of her nose is in the portrait

    # 6.-8. The model is trained (here: perfect), and every frame is merged.
    def open_model(
        folder: Path, options: merge.MergeOptions, progress: Progress
    ) -> tuple[Networks, Callable[[], Predictor]]:
        return Networks("128", "perfect"), PerfectModel

    monkeypatch.setattr(merge, "open_model", open_model)
    options = merge.MergeOptions.of(
        input_dir=workspace.data_dst,
        output_dir=workspace.data_dst_merged,
        output_mask_dir=workspace.data_dst_merged_mask,
        aligned_dir=workspace.data_dst_aligned,
        model_dir=workspace.model,
        model="Quick96",
        blur_mask=40,
        workers=1,
    )
    report = merge.run(workspace, options, SILENT)
    assert (report.rendered, report.without_face) == (FRAMES, 1)
    for frame in frames:
        source, merged = read_image(frame), read_image(workspace.data_dst_merged / frame.name)
        mask = read_gray(workspace.data_dst_merged_mask / frame.name)
        np.testing.assert_array_equal(merged[mask == 0], source[mask == 0])  # outside the mask: the same, to the bit
        assert (mask > 0).any() == (frame.name != "00005.png")
        inside = mask > 200
        if inside.any():  # the face went through 128 pixels and back: softer, and in the same place and color
            assert np.abs(merged[inside].astype(int) - source[inside]).mean() < 8

    # Again: nothing has changed, nothing is rendered.
    assert merge.run(workspace, options, SILENT).up_to_date == FRAMES

    # 10. Into a video again: the shot's rate and number of frames.
    videoed_result.video_from_sequence(
        workspace,
        videoed_result.VideoFromSequenceOptions.of(
            input_dir=workspace.data_dst_merged,
            output_file=workspace.result(".mp4"),
            reference_file=workspace.video_pattern("dst"),
            include_audio=True,
        ),
        SILENT,
    )
    result = probe_video(workspace.result(".mp4")).video
    assert (result.rate, result.frames, result.has_audio) == (RATE, FRAMES, False)
    assert (result.width, result.height) == (512, 512)


def test_demonstrate_that_no_faces_says_which_step_to_run(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for number in (1, 2):
        write_image(workspace.data_dst / f"{number:05d}.png", np.full((96, 128, 3), 90, np.uint8))
    options = extract.ExtractOptions.of(input_dir=workspace.data_dst, output_dir=workspace.data_dst_aligned, workers=0)
    with pytest.raises(MissingInput) as caught:
        extract.run(workspace, options, SILENT)
    assert caught.value.remedy
