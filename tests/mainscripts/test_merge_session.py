"""Merging with a session: every frame as it was set, and what changed is rendered, nothing else."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadOption, BrokenFile
from core.images import read_image, write_image
from core.options import resolve
from core.paths import merge_session_file
from facelib.metadata import read_face, write_face
from mainscripts import merge, merge_session
from mainscripts.merge_options import MergeOptions
from mainscripts.merge_session import plan_merge
from merger.engine import Engine, MergeOutcome
from merger.frames import FrameFace, FrameFaces
from merger.session import MergeSession
from merger.session_changes import Identity
from merger.session_file import SessionFile
from merger.session_records import SessionFrame
from merger.settings import MergeSettings
from models.registry import SavedModel
from tests.mainscripts.test_merge import Listener, Shot
from tests.painting import paint_frame

ALONE = {"stabilize_landmarks": 0, "stabilize_colors": 0, "stabilize_seamless": 0, "stabilize_mask": 0}
"""Every frame for itself, so that a change of one reaches no other."""


class Crash(BaseException):
    """The power fails."""


class Sitting(Shot):
    """A shot whose frames are not composited: who is rendered, and with what, is all that counts here."""

    def __init__(self, root: Path, frames: int = 6) -> None:
        super().__init__(root, frames)
        self.iteration = 1000
        self.rendered: dict[str, MergeSettings] = {}
        self.shown: dict[str, int] = {}
        self.faces: dict[str, tuple[FrameFace, ...]] = {}
        self.crash_after: int | None = None

    def add_frame(self, number: int, name: str | None = None) -> None:
        """As there, but all of one scene."""
        frame, landmarks = paint_frame(160, 120, (50 + 8 * number, 60), 50, yaw=0.05 * number, seed=1)
        write_image(self.workspace.data_dst / (name or f"{number:05d}.png"), frame)
        self.write_face(f"{number:05d}_0.jpg", f"{number:05d}.png", landmarks)

    def find_model(self, folder: Path, class_name: str, *_: Any) -> SavedModel:
        return SavedModel("new", class_name, folder / f"new_{class_name}", self.iteration, datetime(2026, 1, 1))

    def merge_jobs(
        self,
        engine: Engine,
        jobs: Sequence[Any],
        *,
        on_merged: Callable[[FrameFaces, tuple[int, int]], None],
        **_: Any,
    ) -> MergeOutcome:
        for number, job in enumerate(jobs):
            if number == self.crash_after:
                raise Crash
            for folder in (engine.setup.frames_folder, engine.setup.masks_folder):
                (folder / f"{job.frame.stem}.png").write_bytes(b"merged")
            self.rendered[job.frame.stem] = job.settings
            self.shown[job.frame.stem] = len(job.frame.faces)
            self.faces[job.frame.stem] = job.frame.faces
            on_merged(job.frame, (6, 6))
        return MergeOutcome(len(jobs))

    def go(self, **given: Any) -> tuple[list[str], str]:
        """Merges with the session; the frames that were rendered, and what was said."""
        self.rendered = {}
        _, said = self.merge(session=True, **{**ALONE, **given})
        return sorted(self.rendered), said

    @property
    def file(self) -> SessionFile:
        place = self.workspace
        path = merge_session_file(place.model, "new", "Quick96")
        return SessionFile(path, Identity("new", "Quick96", self.iteration), place.root, place.data_dst)

    def change(self, edit: Callable[[MergeSession], object]) -> None:
        """What a window does between two merges."""
        frames = [SessionFrame(path.name) for path in sorted(self.workspace.data_dst.glob("*.png"))]
        found = self.file.load(frames)
        assert found is not None
        session = found.session
        session.on_change = lambda: self.file.save(session)
        edit(session)


@pytest.fixture
def sitting(odd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Sitting:
    sitting = Sitting(odd_folder)
    monkeypatch.setattr(merge, "open_model", sitting.open_model)
    monkeypatch.setattr(Engine, "merge", lambda engine, jobs, **how: sitting.merge_jobs(engine, jobs, **how))
    monkeypatch.setattr(merge_session, "find_model", sitting.find_model)
    return sitting


ALL = [f"{number:05d}" for number in range(1, 7)]


def test_a_session_is_begun_with_the_settings_that_are_given(sitting: Sitting) -> None:
    rendered, said = sitting.go(erode_mask=7)
    assert rendered == ALL
    assert {settings.erode_mask for settings in sitting.rendered.values()} == {7}
    assert "A session is begun with erode_mask 7, " in said
    assert f": {sitting.file.path}." in said
    assert sitting.file.path.exists()
    rendered, said = sitting.go()
    assert rendered == []
    assert "0 keys, 1 scene" in said


def test_what_was_changed_in_the_session_is_rendered_and_nothing_else(sitting: Sitting) -> None:
    sitting.go()
    sitting.change(lambda session: session.apply({"blur_mask": 20}, "all"))
    assert sitting.go()[0] == ALL

    def edit(session: MergeSession) -> None:
        session.go(3)
        session.set("erode_mask", 5)
        session.next_frame()
        session.set("erode_mask", 0)

    sitting.change(edit)
    rendered, _ = sitting.go()
    assert rendered == ["00004"]
    assert (sitting.rendered["00004"].erode_mask, sitting.rendered["00004"].blur_mask) == (5, 20)
    sitting.change(lambda session: session.undo())  # the zero behind it
    assert sitting.go()[0] == ["00005", "00006"]


def test_keys_that_lead_from_one_to_the_next_reach_every_frame_between(sitting: Sitting) -> None:
    sitting.go()
    sitting.change(lambda session: session.set_key("output_face_scale", 0, 0, "linear"))
    sitting.change(lambda session: session.set_key("output_face_scale", 4, 10))
    assert sitting.go()[0] == ALL[1:]
    values = [sitting.rendered[stem].output_face_scale for stem in ALL[1:]]
    assert values == [2.5, 5, 7.5, 10, 10]


def test_new_faces_of_one_frame_render_exactly_that_frame(sitting: Sitting) -> None:
    sitting.go()
    _, landmarks = paint_frame(160, 120, (90, 60), 50, seed=9)
    sitting.write_face("00003_0.jpg", "00003.png", landmarks)
    rendered, said = sitting.go()
    assert rendered == ["00003"]
    assert "With other faces since the session was saved: 1 frame (00003.png)." in said
    assert "other faces" not in sitting.go()[1]


def test_a_model_that_was_trained_on_renders_anew_unless_that_is_not_wanted(sitting: Sitting) -> None:
    sitting.go()
    sitting.iteration, sitting.model = 2500, "another state of the weights"
    rendered, said = sitting.go(older_frames="keep")
    assert rendered == []
    assert "at iteration 1,000 when the session was saved and is at 2,500 now" in said
    sitting.iteration, sitting.model = 3000, "yet another"
    sitting.change(lambda session: (session.go(4), session.set("erode_mask", 3)))
    assert sitting.go(older_frames="keep")[0] == ["00005", "00006"]
    rendered, said = sitting.go()
    assert rendered == ALL[:4]
    assert sitting.go()[0] == []


def test_a_stream_is_of_one_state_of_the_model(sitting: Sitting, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="--older-frames keep and --stream"):
        plan_merge(
            sitting.workspace,
            sitting.options(older_frames="keep", stream=tmp_path / "result.mp4"),
            merge.Folders.of(sitting.options(), sitting.workspace),
            [],
            Listener(),
        )


def test_frames_that_came_and_went_take_their_settings_along(sitting: Sitting) -> None:
    sitting.go()
    sitting.change(lambda session: (session.go(3), session.set("erode_mask", 4)))
    sitting.go()
    sitting.add_frame(0, "00000.png")
    rendered, said = sitting.go()
    assert rendered == ["00000"]
    assert "New since the session was saved: 1 frame" in said
    assert sitting.rendered["00000"].erode_mask == 0
    (sitting.workspace.data_dst / "00004.png").unlink()
    assert sitting.go()[0] == []  # the key moved to the frame behind it


@pytest.mark.parametrize("finished", range(7))
def test_after_a_crash_only_what_is_missing_is_rendered(sitting: Sitting, finished: int) -> None:
    sitting.crash_after = finished if finished < 6 else None
    if finished < 6:
        with pytest.raises(Crash):
            sitting.go(erode_mask=3)
    else:
        sitting.go(erode_mask=3)
    sitting.crash_after = None
    rendered, said = sitting.go()
    assert rendered == ALL[finished:]
    assert {settings.erode_mask for settings in sitting.rendered.values()} <= {3}
    assert f"{finished} of 6 frames are up to date" in said


def test_a_damaged_session_is_told_and_the_state_before_it_counts(sitting: Sitting) -> None:
    sitting.go()
    sitting.change(lambda session: session.set("erode_mask", 4))
    sitting.change(lambda session: session.mark(2, "later"))
    sitting.file.path.write_text("{", "utf-8")
    rendered, said = sitting.go()
    assert rendered == ALL
    assert {settings.erode_mask for settings in sitting.rendered.values()} == {4}
    assert "damaged" in said
    assert "damaged" not in sitting.go()[1]


def test_a_session_of_another_shot_is_kept_and_a_new_one_begun(sitting: Sitting) -> None:
    other = [SessionFrame(f"shot_b_{number}.png") for number in range(3)]
    sitting.file.save(MergeSession(other, MergeSettings(erode_mask=9)))
    rendered, said = sitting.go()
    assert rendered == ALL
    assert "new_Quick96_merger_session.other1.json" in said
    assert {settings.erode_mask for settings in sitting.rendered.values()} == {0}


def test_settings_that_the_session_has_otherwise_are_told(sitting: Sitting) -> None:
    sitting.go(erode_mask=7)
    rendered, said = sitting.go(erode_mask=9, blur_mask=0)
    assert rendered == []
    assert "these are not used: erode_mask 9." in said
    assert "not used" not in sitting.go(erode_mask=7)[1]


def test_with_a_session_nobody_is_asked_for_settings(sitting: Sitting) -> None:
    asked: list[str] = []

    class Asker:
        def ask(self, spec: Any, default: Any) -> Any:
            asked.append(spec.name)
            return default

    given = {**sitting.folders, "model": "Quick96", "session": True}
    resolve(MergeOptions, given, asker=Asker())
    assert not set(asked) & {field.name for field in dataclasses.fields(MergeSettings)}
    resolve(MergeOptions, {**given, "session": False}, asker=Asker())
    assert "mode" in asked


def test_the_last_answers_begin_a_session_and_what_is_given_goes_before_them(sitting: Sitting) -> None:
    """They would have been used without a session, too; a session that is there keeps its own."""
    last = {"erode_mask": 10, "blur_mask": 20, "mode": "seamless"}
    given = {**sitting.folders, **ALONE, "model": "Quick96", "session": True, "workers": 1, "blur_mask": 5}
    options = resolve(MergeOptions, given, remembered=last)
    assert (options.erode_mask, options.blur_mask, options.mode) == (10, 5, "seamless")
    merge.run(sitting.workspace, options, Listener())
    assert {(one.erode_mask, one.blur_mask) for one in sitting.rendered.values()} == {(10, 5)}
    sitting.rendered, listener = {}, Listener()
    options = resolve(MergeOptions, {**given, "blur_mask": 6}, remembered={"erode_mask": 1})
    merge.run(sitting.workspace, options, listener)
    assert not sitting.rendered
    assert "these are not used: blur_mask 6." in listener.text, "the last answers are nothing that was asked for"


def test_without_a_session_nothing_of_one_is_read_or_written(sitting: Sitting) -> None:
    sitting.file.save(MergeSession([SessionFrame("00001.png")], MergeSettings(erode_mask=9)))
    before = sitting.file.path.read_bytes()
    sitting.merge()
    assert {settings.erode_mask for settings in sitting.rendered.values()} == {0}
    assert sitting.file.path.read_bytes() == before


def test_faces_that_are_left_out_are_left_out(sitting: Sitting) -> None:
    face, record = read_face(sitting.workspace.data_dst_aligned / "00002_0.jpg")
    for number, (file, track) in enumerate([("00002_0.jpg", 1), ("00002_1.jpg", 2)]):
        shifted = dataclasses.replace(
            record, frame_landmarks=record.frame_landmarks + 60 * number, extra={"finding": {"track": track}}
        )
        write_face(sitting.workspace.data_dst_aligned / file, face, shifted)
    sitting.go()
    assert sitting.shown["00002"] == 2
    sitting.change(lambda session: session.choose_face(2, enabled=False))
    assert sitting.go()[0] == ["00002"]
    assert sitting.shown["00002"] == 1

    def apart(session: MergeSession) -> None:
        session.choose_face(2, enabled=True)
        session.face = 2
        session.set("erode_mask", 9)

    sitting.change(apart)
    rendered, said = sitting.go()
    assert rendered == ["00002"]
    assert [one.erode_mask for face in sitting.faces["00002"] for one in face.settings] == [0, 9]
    assert "With settings of their own: 1 face (track 2); 1 frame with faces that differ." in said
    assert sitting.go()[0] == []
    sitting.change(lambda session: session.follow_all(2))
    rendered, said = sitting.go()
    assert rendered == ["00002"]
    assert sitting.faces["00002"][0].settings == ()
    assert "of their own" not in said


def test_a_key_that_dissolves_renders_the_frames_between_with_both(sitting: Sitting) -> None:
    sitting.go()
    sitting.change(lambda session: session.set_key("mode", 2, "seamless", dissolve=2))
    rendered, said = sitting.go()
    assert rendered == ALL[2:]
    assert [[one.mode for one in sitting.faces[stem][0].settings] for stem in ALL[2:5]] == [
        ["seamless", "overlay"],
        ["seamless", "overlay"],
        [],
    ]
    assert "Between two settings, rendered with both and mixed: 2 frames." in said
    sitting.change(lambda session: session.set_key("mode", 2, "seamless"))
    assert sitting.go()[0] == ALL[2:4]


def test_a_missed_face_is_laid_in_with_the_settings_of_its_frame(sitting: Sitting) -> None:
    (sitting.workspace.data_dst_aligned / "00003_0.jpg").unlink()
    sitting.go()
    sitting.change(lambda session: session.set_key("erode_mask", 2, 6))
    rendered, said = sitting.go(fill_missing="on")
    assert rendered == ALL[2:]
    assert [face.is_bridged for face in sitting.faces["00003"]] == [True]
    assert sitting.rendered["00003"].erode_mask == 6
    rendered, said = sitting.go(fill_missing="on")
    assert rendered == []
    assert "With other faces" not in said  # the session is of the faces that were found
    sitting.change(lambda session: (session.go(2), session.switch_cut()))
    assert sitting.go(fill_missing="on")[0] == ["00003"]
    assert sitting.faces["00003"] == ()


def test_a_session_is_begun_with_what_single_faces_have(sitting: Sitting) -> None:
    face, record = read_face(sitting.workspace.data_dst_aligned / "00002_0.jpg")
    for number, (file, track) in enumerate([("00002_0.jpg", 1), ("00002_1.jpg", 2)]):
        shifted = dataclasses.replace(
            record, frame_landmarks=record.frame_landmarks + 60 * number, extra={"finding": {"track": track}}
        )
        write_face(sitting.workspace.data_dst_aligned / file, face, shifted)
    given = {"face_settings": "2:mode=seamless,erode_mask=5"}
    sitting.go(**given)
    assert [[(s.mode, s.erode_mask) for s in face.settings] for face in sitting.faces["00002"]] == [
        [("overlay", 0)],
        [("seamless", 5)],
    ]
    rendered, said = sitting.go(**given)
    assert rendered == []
    assert "not used" not in said
    _, said = sitting.go(face_settings="2:mode=hist-match,erode_mask=5")
    assert "these are not used: face 2 mode hist-match." in said
    with pytest.raises(BadOption, match=r"There is no track 7. Received: --face-settings"):
        sitting.go(face_settings="7:erode_mask=5")
    table = sitting.workspace.root / "table.csv"
    sitting.go(session_table=table)
    rows = [row for row in csv.DictReader(io.StringIO(table.read_text("utf-8"))) if row["frame"] == "00002.png"]
    assert [(row["face"], row["mode"], row["erode_mask"]) for row in rows] == [
        ("all", "overlay", "0"),
        ("2", "seamless", "5"),
    ]


def test_single_faces_keep_what_they_have_where_no_record_says_who_they_are(sitting: Sitting) -> None:
    sitting.go(face_settings="1:erode_mask=5")
    assert {face.settings[0].erode_mask for faces in sitting.faces.values() for face in faces} == {5}
    assert sitting.go()[0] == []


def test_motion_blur_in_one_scene_brings_motion_to_all_frames(sitting: Sitting) -> None:
    sitting.go()
    sitting.change(lambda session: session.apply({"motion_blur_power": 50}, "all"))
    folders = merge.Folders.of(sitting.options(), sitting.workspace)
    collection = merge._collect(folders, sitting.options(), Listener())
    plan = plan_merge(sitting.workspace, sitting.options(session=True), folders, collection.frames, Listener())
    assert all(job.frame.faces[0].motion.dx > 5 for job in plan.jobs)


def test_networks_that_any_frame_needs_are_asked_for(sitting: Sitting) -> None:
    sitting.go()

    def edit(session: MergeSession) -> None:
        session.go(5)
        session.set("super_resolution_power", 40)
        session.set("mask_mode", "XSeg-dst")

    sitting.change(edit)
    folders = merge.Folders.of(sitting.options(), sitting.workspace)
    collection = merge._collect(folders, sitting.options(), Listener())
    plan = plan_merge(sitting.workspace, sitting.options(session=True), folders, collection.frames, Listener())
    assert plan.jobs[0].settings.super_resolution_power == 0
    assert plan.options.enhances
    assert plan.options.segments_old_face
    assert isinstance(plan.options, MergeOptions)


# -------------------------------------------------------------------------------------------------- import and table


def test_a_session_of_the_older_tool_is_taken_over(sitting: Sitting, shared_data: Path) -> None:
    older = shared_data / "dfl" / "session" / "posix" / "dfud_SAEHD_merger_session.dat"
    if not older.exists():
        pytest.skip("the sessions of the older tool are not here")
    rendered, said = sitting.go(import_session=older)
    assert rendered == ALL
    # Source: truth/session_posix.json: frame 6 has no settings and goes on with those of frame 5.
    found = [(s.mode, s.mask_mode, s.output_face_scale, s.sharpen_mode) for _, s in sorted(sitting.rendered.items())]
    last = ("seamless", "learned-prd+learned-dst", 3, "box")
    usual = ("overlay", "learned-prd*learned-dst", 0, "none")
    assert found == [usual, usual, ("seamless", "learned-prd*learned-dst", 0, "none"), last, last, last]
    assert {(s.erode_mask, s.blur_mask, s.color_transfer) for s in sitting.rendered.values()} == {(5, 20, "lct")}
    assert "3 different settings of 5 frames, saved at iteration 20" in said
    assert sitting.go()[0] == []
    sitting.change(lambda session: session.undo())
    assert sitting.go()[0] == ALL


def test_a_hostile_session_is_refused_and_changes_nothing(sitting: Sitting, shared_data: Path) -> None:
    folder = shared_data / "dfl" / "hostile" / "session"
    if not folder.is_dir():
        pytest.skip("the hostile files are not here")
    sitting.go()
    before = sitting.file.path.read_bytes()
    for name in ("reduce", "getattr_dunder", "getattr_other_name"):
        with pytest.raises(BrokenFile, match="refused"):
            sitting.go(import_session=folder / name / "evil_SAEHD_merger_session.dat")
    with pytest.raises(BadOption, match="None of the frames"):
        sitting.go(import_session=folder / "path_traversal" / "evil_SAEHD_merger_session.dat")
    assert sitting.file.path.read_bytes() == before
    assert not Path("/tmp/pwned").exists()


def test_the_settings_of_every_frame_are_written_as_a_table(sitting: Sitting, tmp_path: Path) -> None:
    sitting.go()

    def edit(session: MergeSession) -> None:
        session.go(4)
        session.set("mode", "seamless")
        session.switch_cut()
        session.mark(4, "hair, again")

    sitting.change(edit)
    table = tmp_path / "settings.csv"
    sitting.go(session_table=table)
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8"))))
    assert [row["frame"] for row in rows] == [f"{stem}.png" for stem in ALL]
    assert [row["mode"] for row in rows] == ["overlay"] * 4 + ["seamless"] * 2
    assert [row["scene"] for row in rows] == ["1", "1", "1", "1", "2", "2"]
    assert rows[4]["note"] == "hair, again"


def test_pixels_are_those_of_the_settings(odd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sitting = Sitting(odd_folder, frames=3)
    monkeypatch.setattr(merge, "open_model", sitting.open_model)
    monkeypatch.setattr(merge_session, "find_model", sitting.find_model)
    sitting.merge(session=True, **ALONE)
    frames = {path.name: read_image(path) for path in sorted(sitting.workspace.data_dst_merged.glob("*.png"))}
    sitting.change(lambda session: (session.go(1), session.set("mode", "original")))
    sitting.merge(session=True, **ALONE)
    for number, name in enumerate(sorted(frames)):
        source = read_image(sitting.workspace.data_dst / name)
        merged = read_image(sitting.workspace.data_dst_merged / name)
        assert (merged == (frames[name] if number == 0 else source)).all()
        assert (frames[name] != source).any()
