"""Faces with settings of their own, and faces that were missed, from folders to folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core import console
from core.errors import BadOption
from core.images import read_image, write_image
from core.progress import TqdmProgress
from facelib.metadata import read_face, write_face
from mainscripts import merge, merge_jobs, merge_steady
from mainscripts.merge_jobs import bridge_missed
from merger.frames import FrameFaces
from merger.journal import JOURNAL_NAME
from tests.mainscripts.test_merge import Listener, Shot
from tests.merger.scenes import smooth_frame
from tests.merger.shots import film
from tests.painting import head_landmarks

FRAMES = 4


class Pair(Shot):
    """Two people in every frame: track 1 on the left, track 2 on the right."""

    def add_frame(self, number: int, name: str | None = None) -> None:
        write_image(self.workspace.data_dst / f"{number:05d}.png", smooth_frame(120, 240, seed=number))
        for track, x in ((1, 60), (2, 180)):
            landmarks = np.asarray(head_landmarks((x + number, 60), 44), np.float32)
            file = self.workspace.data_dst_aligned / f"{number:05d}_{track}.jpg"
            self.write_face(file.name, f"{number:05d}.png", landmarks)
            face, record = read_face(file)
            write_face(file, face, dataclasses.replace(record, extra={"finding": {"track": track}}))

    def merged(self, stem: str = "00002") -> np.ndarray:
        return read_image(self.workspace.data_dst_merged / f"{stem}.png")


@pytest.fixture
def pair(odd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    monkeypatch.setattr(merge_steady, "look_for_cuts", lambda *_: [])
    pair = Pair(odd_folder, FRAMES)
    monkeypatch.setattr(merge, "open_model", pair.open_model)
    return pair


def test_two_people_with_their_own_settings_are_two_merges_side_by_side(pair: Pair) -> None:
    common = {"mask_mode": "learned-prd", "motion_blur_power": 40}
    pair.merge(**common, face_settings="2:mode=hist-match,erode_mask=8 1:blur_mask=12")
    together = pair.merged()
    report, said = pair.merge(**common, face_settings="1:blur_mask=12 2:erode_mask=8,mode=2")  # DFL's number
    assert report.rendered == 0
    assert "With settings of their own: 2 faces (track 1, 2); 4 frames with faces that differ." in said
    pair.merge(**common, faces="1", blur_mask=12)
    left = pair.merged()
    pair.merge(**common, faces="2", mode="hist-match", erode_mask=8)
    right = pair.merged()
    assert np.array_equal(together, np.concatenate([left[:, :120], right[:, 120:]], axis=1))
    source = read_image(pair.workspace.data_dst / "00002.png")
    assert (left[:, :120] != source[:, :120]).any()
    assert (right[:, 120:] != source[:, 120:]).any()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2", "written as 2:mode=seamless"),
        ("2:erode_mask", "written as 2:mode=seamless"),
        ("0:erode_mask=4", "written as 2:mode=seamless"),
        ("left:erode_mask=4", "written as 2:mode=seamless"),
        ("2:erode_mask=900", "Received: 900"),
        ("2:zoom=1", "Received: zoom"),
        ("2:image_denoise_power=50", "image_denoise_power: this is done to the whole frame"),
        ("2:mode=raw-predict", "mode: this is done to the whole frame"),
        ("5:erode_mask=4", "There is no track 5"),
    ],
)
def test_what_cannot_be_is_refused(pair: Pair, text: str, why: str) -> None:
    with pytest.raises(BadOption, match=why):
        pair.merge(face_settings=text)
    assert not pair.workspace.data_dst_merged.exists()


def test_missed_faces_are_named_and_laid_in_where_that_is_wanted(pair: Pair) -> None:
    (pair.workspace.data_dst_aligned / "00003_2.jpg").unlink()
    source = read_image(pair.workspace.data_dst / "00003.png")
    _, said = pair.merge()
    assert "between frames that show it: a face in 1 frame (00003.png)." in said
    assert "They stay as they are; --fill-missing on lays it in." in said
    assert np.array_equal(pair.merged("00003")[:, 120:], source[:, 120:])
    _, said = pair.merge(fill_missing="off")
    assert "--fill-missing" not in said
    report, said = pair.merge(fill_missing="on")
    assert report.rendered == 1
    assert "Laid in where it was missed" in said
    assert "1 changed because of: bridged (1), faces (1)." in said
    assert (pair.merged("00003")[:, 120:] != source[:, 120:]).any()
    assert '"bridged":1' in (pair.workspace.data_dst_merged / JOURNAL_NAME).read_text("utf-8").splitlines()[-1]
    assert pair.merge(fill_missing="on")[0].rendered == 0
    # What is laid in hangs on the faces around it.
    file = pair.workspace.data_dst_aligned / "00004_2.jpg"
    face, record = read_face(file)
    write_face(file, face, dataclasses.replace(record, frame_landmarks=record.frame_landmarks + 4))
    report, said = pair.merge(fill_missing="on")
    assert "2 changed because of: faces (2)." in said
    assert report.rendered == 2


def test_a_face_that_was_laid_in_has_the_settings_of_its_track(pair: Pair) -> None:
    pair.merge(face_settings="2:mode=original")
    (pair.workspace.data_dst_aligned / "00003_2.jpg").unlink()
    source = read_image(pair.workspace.data_dst / "00003.png")
    pair.merge(face_settings="2:mode=original", fill_missing="on")
    assert np.array_equal(pair.merged("00003")[:, 120:], source[:, 120:])
    mask = read_image(pair.workspace.data_dst_merged_mask / "00003.png")
    assert (mask[:, 120:] > 0).any()


def test_nor_does_it_take_those_of_a_frame_without_others(pair: Pair) -> None:
    for file in pair.workspace.data_dst_aligned.glob("*_1.jpg"):
        file.unlink()
    (pair.workspace.data_dst_aligned / "00003_2.jpg").unlink()
    pair.merge(face_settings="2:mode=original", fill_missing="on")
    assert np.array_equal(pair.merged("00003"), read_image(pair.workspace.data_dst / "00003.png"))
    assert read_image(pair.workspace.data_dst_merged_mask / "00003.png").any()


def fill(fill_missing: str, cuts: Sequence[int] = (), is_classical: bool = False) -> tuple[list[int], str]:
    """The frames a face is laid into, and what was said."""
    listener = Listener()
    frames = film(8, missing=(3, 4))
    filled = bridge_missed(frames, lambda: cuts, fill_missing, is_classical, listener)
    return [n for n, frame in enumerate(filled) if frame is not frames[n]], listener.text


def test_who_is_not_asked_keeps_the_frames_as_they_are() -> None:
    assert fill("off") == ([], "")
    assert fill("ask", is_classical=True) == ([], "")
    assert fill("on", is_classical=True)[0] == [3, 4]
    assert fill("on", cuts=[4]) == fill("ask", cuts=[4]) == ([], "")
    assert fill("ask")[0] == []
    assert "a face in 2 frames (00003.png, 00004.png)" in fill("ask")[1]


def test_scenes_are_not_looked_for_where_nothing_is_missing() -> None:
    def look() -> list[int]:
        pytest.fail("looked for scenes")

    whole: list[FrameFaces] = film(8)
    assert bridge_missed(whole, look, "on", False, Listener()) is whole


@pytest.mark.parametrize("agrees", [True, False])
def test_in_a_terminal_enter_lays_them_in(agrees: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "pressed_enter_within", lambda *_: agrees)
    monkeypatch.setattr(merge_jobs, "TqdmProgress", Listener)
    found, said = fill("ask")
    assert found == ([3, 4] if agrees else [])
    assert ("--fill-missing on" in said) is not agrees
    assert TqdmProgress is not Listener
