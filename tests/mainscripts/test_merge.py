"""The merge command: from folders to folders, repeated, stopped, killed, and with everything wrong that users do."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, FaceLoomError, MissingInput, PartialFailure
from core.images import encode_jpeg, read_gray, read_image, write_image
from core.options import resolve
from core.paths import Workspace
from core.progress import SilentProgress
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata, write_face
from mainscripts import merge, merge_steady
from mainscripts.merge_options import MergeOptions
from mainscripts.merge_steady import CHART_NAME, SCENES_NAME
from mainscripts.videoed_result import VideoFromSequenceOptions, video_from_sequence
from merger.journal import JOURNAL_NAME, Networks
from merger.merge_lock import lock_of, lock_results
from merger.meters import METERS_NAME
from tests.merger.scenes import TintedPredictor
from tests.painting import paint_frame

ROOT = Path(__file__).resolve().parents[2]
ALONE = {"stabilize_landmarks": 0, "stabilize_colors": 0, "stabilize_mask": 0, "stabilize_seamless": 0}


class Listener(SilentProgress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def say(self, text: str) -> None:
        self.words.append(text)

    @property
    def text(self) -> str:
        return "\n".join(self.words)


class Shot:
    """A workspace with painted destination frames and their faces, and a stand-in for the model."""

    def __init__(self, root: Path, frames: int = 6) -> None:
        self.workspace = Workspace(root)
        self.model = "one state of the weights"
        self.predictor = TintedPredictor()
        self.loaded = 0
        for number in range(1, frames + 1):
            self.add_frame(number)

    def add_frame(self, number: int, name: str | None = None) -> None:
        """Writes frame and face `number`; the face moves to the right."""
        frame, landmarks = paint_frame(160, 120, (50 + 8 * number, 60), 50, yaw=0.05 * number, seed=number)
        write_image(self.workspace.data_dst / (name or f"{number:05d}.png"), frame)
        self.write_face(f"{number:05d}_0.jpg", f"{number:05d}.png", landmarks)

    def write_face(self, file: str, frame_name: str, landmarks: np.ndarray) -> None:
        # Merging reads the name of the frame and the landmarks in it; the rest of the record only has to be sound.
        matrix = np.array([[1.0, 0, 0], [0, 1, 0]])
        metadata = FaceMetadata(FaceType.FULL, landmarks, frame_name, np.array([0, 0, 64, 64]), landmarks, matrix)
        path = self.workspace.data_dst_aligned / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_face(path, encode_jpeg(np.zeros((64, 64, 3), np.uint8)), metadata)

    @property
    def folders(self) -> dict[str, Path]:
        place = self.workspace
        return {
            "input_dir": place.data_dst,
            "output_dir": place.data_dst_merged,
            "output_mask_dir": place.data_dst_merged_mask,
            "aligned_dir": place.data_dst_aligned,
            "model_dir": place.model,
        }

    def options(self, **given: Any) -> MergeOptions:
        """Every frame stands for itself; frames that look around are merged in test_merge_steady.py."""
        return resolve(MergeOptions, {**self.folders, "model": "Quick96", "workers": 1, **ALONE, **given})

    def merge(self, **given: Any) -> tuple[merge.MergeReport, str]:
        listener = Listener()
        return merge.run(self.workspace, self.options(**given), listener), listener.text

    def open_model(self, *_: Any) -> tuple[Networks, Callable[[], TintedPredictor]]:
        """Stands in for merge.open_model."""

        def load() -> TintedPredictor:
            self.loaded += 1
            return self.predictor

        return Networks("48 full_face", self.model), load

    def files(self) -> dict[str, str]:
        """Name and hash of all finished frames and masks, and of whatever else is in their folders."""
        return {
            f"{folder.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in (self.workspace.data_dst_merged, self.workspace.data_dst_merged_mask)
            for path in folder.iterdir()
            if path.name not in (JOURNAL_NAME, METERS_NAME, CHART_NAME, SCENES_NAME, lock_of(folder).name)
        }

    def times(self) -> dict[str, int]:
        """When each finished frame was written."""
        return {path.name: path.stat().st_mtime_ns for path in self.workspace.data_dst_merged.glob("*.png")}


@pytest.fixture
def shot(odd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shot:
    shot = Shot(odd_folder)
    monkeypatch.setattr(merge, "open_model", shot.open_model)
    return shot


def rewritten(shot: Shot, **given: Any) -> tuple[list[str], str]:
    """Merges again; the frames that were rendered, and what was said."""
    before = shot.times()
    _, said = shot.merge(**given)
    after = shot.times()
    return [name for name in sorted(after) if after[name] != before.get(name)], said


def test_every_frame_and_mask_is_written(shot: Shot) -> None:
    report, said = shot.merge(mask_mode="learned-prd", color_transfer="rct")
    assert (report.frames, report.rendered, report.up_to_date) == (6, 6, 0)
    assert "0 of 6 frames are up to date; 6 new." in said
    for number in range(1, 7):
        source = read_image(shot.workspace.data_dst / f"{number:05d}.png")
        image = read_image(shot.workspace.data_dst_merged / f"{number:05d}.png")
        mask = read_gray(shot.workspace.data_dst_merged_mask / f"{number:05d}.png")
        assert image.shape == source.shape
        assert mask.shape == source.shape[:2]
        assert np.array_equal(image[mask == 0], source[mask == 0])
        assert (image[mask == 255] != source[mask == 255]).any(axis=-1).mean() > 0.9


def test_two_merges_into_one_folder_are_not_let_in(shot: Shot) -> None:
    with lock_results(shot.workspace.data_dst_merged):
        with pytest.raises(FaceLoomError, match=r"A merge is writing into .*merged right now \(process \d+ on .*Wait"):
            shot.merge()
        assert shot.times() == {}
        with pytest.raises(FaceLoomError, match=r"A merge is writing into .*merged right now"):
            video_from_sequence(
                shot.workspace,
                VideoFromSequenceOptions.of(
                    input_dir=shot.workspace.data_dst_merged, output_file=shot.workspace.result(".mp4"), fps="25"
                ),
                Listener(),
            )
    assert shot.merge()[0].rendered == 6


def test_frames_that_may_be_none_of_the_shot_are_told_and_merged(shot: Shot) -> None:
    write_image(shot.workspace.data_dst / "holiday.png", np.zeros((60, 80, 3), np.uint8))
    report, told = shot.merge()
    assert report.frames == 7
    assert "Perhaps not of this shot, but merged with it: holiday.png (named unlike 00001.png). Put away" in told


def test_a_second_run_renders_nothing_and_does_not_load_the_model(shot: Shot) -> None:
    shot.merge()
    names, said = rewritten(shot)
    assert names == []
    assert "6 of 6 frames are up to date; nothing is to be rendered." in said
    assert shot.loaded == 1


def test_a_second_run_renders_exactly_what_changed(shot: Shot) -> None:
    shot.merge()
    place = shot.workspace
    frame, landmarks = paint_frame(160, 120, (70, 62), 52, seed=2)
    shot.write_face("00002_0.jpg", "00002.png", landmarks)
    write_image(place.data_dst / "00003.png", frame)
    (place.data_dst_merged / "00004.png").unlink()
    (place.data_dst_merged_mask / "00005.png").write_bytes(b"cut short")
    names, said = rewritten(shot)
    assert names == ["00002.png", "00003.png", "00004.png", "00005.png"]
    assert "2 of 6 frames are up to date; 4 changed because of: faces (1), frame (1), missing (2)." in said


def test_other_settings_and_another_state_of_the_model_render_all_frames(shot: Shot) -> None:
    shot.merge()
    names, said = rewritten(shot, erode_mask=5)
    assert len(names) == 6
    assert "changed because of: settings (6)" in said
    shot.model = "trained on"
    names, said = rewritten(shot, erode_mask=5)
    assert len(names) == 6
    assert "changed because of: model (6)" in said


def test_settings_that_the_mode_passes_over_are_told(shot: Shot) -> None:
    _, said = shot.merge(mode="overlay", hist_match_threshold=100)
    assert "Not used, for the mode or another setting passes them over: --hist-match-threshold 100." in said
    _, said = shot.merge(mode="hist-match", hist_match_threshold=100)
    assert "Not used" not in said


def test_new_frames_are_added_and_old_ones_kept(shot: Shot) -> None:
    shot.merge()
    shot.add_frame(7)
    names, said = rewritten(shot)
    assert names == ["00007.png"]
    assert "6 of 7 frames are up to date; 1 new." in said


def test_restart_renders_everything(shot: Shot) -> None:
    shot.merge()
    first = shot.files()
    names, said = rewritten(shot, restart=True)
    assert len(names) == 6
    assert "restart (6)" in said
    assert shot.files() == first


def test_finished_frames_are_never_deleted_and_strangers_are_named(shot: Shot) -> None:
    shot.merge()
    (shot.workspace.data_dst / "00006.png").unlink()
    _, said = rewritten(shot)
    for folder in (shot.workspace.data_dst_merged, shot.workspace.data_dst_merged_mask):
        assert f"Of no frame of this shot: 1 picture in {folder} (00006.png). Put away what" in said
    assert "Left out, as their frames are not there: 1 face (" in said
    assert len(shot.files()) == 12


def test_pictures_of_others_go_to_the_trash_and_not_under_finished_frames(shot: Shot) -> None:
    """A mistyped --output-dir: the frames of the other video have the same names."""
    foreign = shot.workspace.data_src / "00002.png"
    write_image(foreign, np.full((20, 30, 3), 77, np.uint8))
    before = foreign.read_bytes()
    _, said = shot.merge(output_dir=shot.workspace.data_src)
    assert "as they were in the way and not merged here, or edited since: 1 picture (" in said
    (kept,) = shot.workspace.trash.glob("*/items/00002.png")
    assert kept.read_bytes() == before
    assert read_image(foreign).shape == (120, 160, 3)
    shot.merge(output_dir=shot.workspace.data_src, restart=True)  # our own frames are simply written anew
    assert len(list(shot.workspace.trash.iterdir())) == 1


def test_a_retouched_frame_goes_to_the_trash_when_it_is_rendered_anew(shot: Shot) -> None:
    shot.merge()
    rendered = shot.files()
    retouched = shot.workspace.data_dst_merged / "00002.png"
    write_image(retouched, np.full((120, 160, 3), 77, np.uint8))
    before = retouched.read_bytes()
    assert "edited since" in shot.merge(restart=True)[1]
    (kept,) = shot.workspace.trash.glob("*/items/*")
    assert (kept.name, kept.read_bytes()) == ("00002.png", before)
    assert shot.files() == rendered


def test_a_failed_frame_painted_by_hand_goes_to_the_trash_when_it_is_tried_again(shot: Shot) -> None:
    face = shot.workspace.data_dst_aligned / "00002_0.jpg"
    shot.write_face(face.name, "00002.png", np.tile(np.arange(68, dtype=np.float32)[:, None], 2))
    for _ in range(2):  # the copy of its source is replaced in silence
        with pytest.raises(PartialFailure, match="1 of "):
            shot.merge()
    assert not shot.workspace.trash.exists()
    painted = shot.workspace.data_dst_merged / "00002.png"
    write_image(painted, np.full((120, 160, 3), 77, np.uint8))
    before = painted.read_bytes()
    with pytest.raises(PartialFailure, match="1 of "):
        shot.merge()
    (kept,) = shot.workspace.trash.glob("*/items/*")
    assert (kept.name, kept.read_bytes()) == ("00002.png", before)


def test_frames_without_a_face_are_copied_and_told(shot: Shot) -> None:
    (shot.workspace.data_dst_aligned / "00004_0.jpg").unlink()
    report, said = shot.merge()
    assert report.without_face == 1
    assert "1 of 6 frames have no face and are copied: 00004.png." in said
    source = read_image(shot.workspace.data_dst / "00004.png")
    assert np.array_equal(read_image(shot.workspace.data_dst_merged / "00004.png"), source)
    assert not read_gray(shot.workspace.data_dst_merged_mask / "00004.png").any()


def test_a_file_that_is_no_face_is_named_and_left_out(shot: Shot) -> None:
    (shot.workspace.data_dst_aligned / "broken.jpg").write_bytes(b"")
    (shot.workspace.data_dst_aligned / "plain.jpg").write_bytes(encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
    report, said = shot.merge()
    assert report.rendered == 6
    assert "Left out: 2 files in" in said
    assert ".," not in said
    assert "broken.jpg" in said
    assert "plain.jpg" in said


def test_a_broken_frame_is_named_tried_again_next_time_and_does_not_stop_the_rest(shot: Shot) -> None:
    path = shot.workspace.data_dst / "00002.png"
    good = path.read_bytes()
    path.write_bytes(good[:100])
    listener = Listener()
    with pytest.raises(PartialFailure, match="1 of 6 frames could not be merged") as caught:
        merge.run(shot.workspace, shot.options(), listener)
    assert caught.value.exit_code == 3
    assert "00002.png" in listener.text
    assert len(shot.times()) == 5
    path.write_bytes(good)
    names, _ = rewritten(shot)
    assert names == ["00002.png"]


def test_a_copy_that_stood_in_for_a_frame_is_not_taken_for_finished(shot: Shot) -> None:
    shot.write_face("00002_0.jpg", "00002.png", np.tile(np.arange(68, dtype=np.float32)[:, None], 2))
    with pytest.raises(PartialFailure):
        shot.merge()
    source = read_image(shot.workspace.data_dst / "00002.png")
    assert np.array_equal(read_image(shot.workspace.data_dst_merged / "00002.png"), source)
    listener = Listener()
    with pytest.raises(PartialFailure):
        merge.run(shot.workspace, shot.options(), listener)
    assert "5 of 6 frames are up to date; 1 new." in listener.text
    assert "Its source was copied." in listener.text


def test_frames_that_clash_and_frames_that_match_nothing_stop_the_step(shot: Shot) -> None:
    shot.add_frame(6, "00006.jpg")
    with pytest.raises(BadOption, match=r"00006\.jpg and 00006\.png"):
        shot.merge()
    for path in shot.workspace.data_dst.glob("0000*"):
        path.rename(path.with_name("x" + path.name)) if path.suffix == ".png" else path.unlink()
    with pytest.raises(MissingInput, match="0 of 6 frames match"):
        shot.merge()
    assert not shot.workspace.data_dst_merged.exists()


@pytest.mark.parametrize("name", ["input_dir", "aligned_dir"])
def test_folders_that_are_missing_or_empty(shot: Shot, name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="nowhere"):
        shot.merge(**{name: tmp_path / "nowhere"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInput):
        shot.merge(**{name: tmp_path / "empty"})


def test_frames_cannot_overwrite_their_sources(shot: Shot) -> None:
    with pytest.raises(BadOption, match="--input-dir and --output-dir must be different"):
        shot.merge(output_dir=shot.workspace.data_dst)
    with pytest.raises(BadOption, match="--output-dir and --output-mask-dir"):
        shot.merge(output_mask_dir=shot.workspace.data_dst_merged)


def test_a_full_disk_is_told_before_the_work(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    import core.files

    monkeypatch.setattr(core.files, "free_bytes", lambda path: 1000)
    with pytest.raises(Exception, match=r" kB free, and about 100\.\d MB are needed"):
        shot.merge()
    assert shot.loaded == 0


def test_folders_not_given_are_those_of_the_workspace(shot: Shot) -> None:
    report = merge.run(shot.workspace, MergeOptions.of(workers=1), Listener())
    assert report.rendered == 6
    assert len(shot.files()) == 12


def test_a_range_and_single_frames_are_rendered_alone(shot: Shot) -> None:
    report, said = shot.merge(frame_range="2-3", frame_list="00006")
    assert (report.frames, report.rendered) == (3, 3)
    assert "0 of 3 frames are up to date; 3 new." in said
    assert sorted(shot.times()) == ["00002.png", "00003.png", "00006.png"]
    part = shot.files()
    names, said = rewritten(shot)
    assert names == ["00001.png", "00004.png", "00005.png"]
    assert part.items() <= shot.files().items()
    with pytest.raises(BadOption, match="No frame has this number"):
        shot.merge(frame_list="7")


def test_one_of_several_faces_is_chosen_and_a_change_renders_what_changed(shot: Shot) -> None:
    _, landmarks = paint_frame(160, 120, (110, 60), 30, seed=9)
    shot.write_face("00002_1.jpg", "00002.png", landmarks)
    _, said = shot.merge()
    assert "More than one face in 1 frame, and all of them are swapped" in said
    assert "Track 1: 00001 to 00006" in said
    names, said = rewritten(shot, faces="largest")
    assert names == ["00002.png"]
    assert "Left as filmed (--faces largest): 1 face." in said
    assert "all of them are swapped" not in said
    names, _ = rewritten(shot, faces="1")
    assert names == []
    with pytest.raises(BadOption, match="There is no track 7"):
        shot.merge(faces="7")


# ------------------------------------------------------------------------------------------------- presets and motion


def test_settings_are_kept_as_a_preset_and_taken_from_it(shot: Shot, tmp_path: Path) -> None:
    _, said = shot.merge(save_preset="dusk", mode="seamless", blur_mask=30)
    assert "dusk.json" in said
    root = shot.workspace.root
    taken = resolve(MergeOptions, {**shot.folders, "preset": "dusk"}, workspace=root)
    assert (taken.mode, taken.blur_mask) == ("seamless", 30)
    over = resolve(MergeOptions, {**shot.folders, "preset": "dusk", "blur_mask": 5}, workspace=root)
    assert (over.mode, over.blur_mask) == ("seamless", 5)
    (tmp_path / "look.json").write_text('{"blur_mask": 7}')
    given = {**shot.folders, "preset": "dusk", "settings": tmp_path / "look.json"}
    assert resolve(MergeOptions, given, workspace=root).blur_mask == 7
    with pytest.raises(MissingInput, match=r"Received: dawn\. There are: dusk"):
        resolve(MergeOptions, {**shot.folders, "preset": "dawn"}, workspace=root)


def test_faces_that_move_are_smeared(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge_steady, "look_for_cuts", lambda *_: [])  # every painted frame is a new picture
    shot.merge(mask_mode="learned-dst")
    still = shot.files()
    shot.merge(mask_mode="learned-dst", motion_blur_power=100)
    moved = shot.files()
    assert {name for name in still if still[name] != moved[name]} == {
        name for name in still if name.startswith("merged/")
    }
    shot.merge(mask_mode="learned-dst", motion_blur_power=100, compat="dfl")
    assert shot.files() != moved


# ---------------------------------------------------------------------------------------- as a process of its own


UNSTEADIED = [f"--stabilize-{what}=0" for what in ("landmarks", "colors", "mask")]
"""So the model is asked while frames are merged, and not all of it before."""


def start(shot: Shot, pause: float = 0.0, *flags: str) -> subprocess.Popen[str]:
    """Starts the command as a user would, with a stand-in for the model."""
    words: list[str] = ["merge", "--model", "Quick96", "--workers", "2", "--defaults", "--mask-mode", "learned-dst"]
    for name, folder in shot.folders.items():
        words += [f"--{name.replace('_', '-')}", str(folder)]
    environment = {**os.environ, "PAUSE": str(pause), "FACELOOM_INTERNAL": str(shot.workspace.root / "internal")}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.mainscripts.merge_with_stub", *words, *flags],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def wait_for_frames(shot: Shot, process: subprocess.Popen[str], count: int) -> None:
    """Until at least `count` finished frames are there, or the process has ended."""
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        if len(list(shot.workspace.data_dst_merged.glob("[0-9]*.png"))) >= count:
            return
        time.sleep(0.005)


def finish(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=120)[0]


def tampering(names: Sequence[str]) -> list[str]:
    return [name for name in names if not name.endswith(".png") or "/." in name]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")
def test_killed_at_random_moments_the_files_are_those_of_an_undisturbed_run(odd_folder: Path, tmp_path: Path) -> None:
    undisturbed, shot = Shot(tmp_path / "undisturbed", 40), Shot(odd_folder, 40)
    process = start(undisturbed)
    assert "Done." in finish(process)
    dice = random.Random(2026)
    for _ in range(4):
        before = shot.times() if shot.workspace.data_dst_merged.exists() else {}
        process = start(shot, 0.03)
        wait_for_frames(shot, process, min(39, len(before) + dice.randint(1, 8)))
        time.sleep(dice.random() * 0.05)
        process.kill()
        finish(process)
        kept = shot.times()
        # What an earlier run finished is not rendered again, but for what was in flight when it was killed.
        assert sum(kept[name] != before[name] for name in before) <= 8
    said = finish(start(shot))
    assert "Done." in said
    assert re.search(r"\b[1-9]\d* of 40 frames are up to date", said)
    assert shot.files() == undisturbed.files()
    assert tampering(list(shot.files())) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")
def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(odd_folder: Path) -> None:
    shot = Shot(odd_folder, 30)
    process = start(shot, 0.6, *UNSTEADIED)
    wait_for_frames(shot, process, 3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process of the group
    said = finish(process)
    assert process.returncode == 130, said
    assert "frames were finished" in said
    assert "Traceback" not in said
    before = shot.times()
    assert 3 <= len(before) < 30
    said = finish(start(shot, 0.0, *UNSTEADIED))
    assert "Done." in said
    after = shot.times()
    assert all(after[name] == before[name] for name in before)
    assert tampering(list(shot.files())) == []


def test_a_partial_failure_exits_with_3(odd_folder: Path) -> None:
    shot = Shot(odd_folder, 3)
    (shot.workspace.data_dst / "00002.png").write_bytes(b"")
    process = start(shot)
    said = finish(process)
    assert process.returncode == 3, said
    assert "00002.png" in said
    assert "0 bytes" in said
    assert "Done." not in said
