"""Sessions on the disk: nothing is lost, whatever happens while they are written or wherever they are moved."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from core import files
from core.errors import BrokenFile, FaceLoomError
from merger import session_file
from merger.session import MergeSession
from merger.session_changes import Identity
from merger.session_file import STATES_KEPT, SessionFile
from merger.session_records import SessionFrame
from merger.settings import MergeSettings

ROOT = Path(__file__).resolve().parents[2]
MODEL = Identity("new", "SAEHD", 1000, "weights", "xseg")
FRAMES = tuple(SessionFrame(f"{n + 1:05d}.png", ((f"face {n}", 1), (f"other {n}", 2)), 100 + n, n) for n in range(8))


def session_of(root: Path, identity: Identity = MODEL) -> SessionFile:
    return SessionFile(root / "model" / "new_SAEHD_merger_session.json", identity, root, root / "data_dst")


BEGUN = MergeSettings(
    morph_factor=0.5,
    mode="seamless",
    hist_match_threshold=255,
    mask_mode="dst",
    erode_mask=2,
    color_transfer="none",
)


def filled() -> MergeSession:
    """A session with something of everything in it."""
    session = MergeSession(FRAMES, BEGUN, cuts=[4])
    session.ledger._clock = iter(range(1, 1000)).__next__
    session.set("erode_mask", 7)
    session.next_frame()
    session.set("mask_mode", "learned-prd")
    session.switch_keyframing()
    session.set("output_face_scale", 4)
    session.go(6)
    session.set("output_face_scale", 9)
    session.face = 2
    session.set("blur_mask", 30)
    session.choose_face(1, enabled=False, order=3)
    session.mark(5, "hair; ünïcode ✂")
    session.apply({"color_transfer": "rct"}, "scene", "night")
    session.link_scenes(True)
    session.view.scale = 0.5
    session.undo()
    return session


def content(session: MergeSession) -> Any:
    """Everything of a session that is worth keeping."""
    looks = [[vars(session.settings_at(n, track)) for track in (None, 1, 2)] for n in range(len(session.frames))]
    state = (session.cursor, set(session.visited), session.keyframing, session.new_curve, asdict(session.view))
    return looks, dict(session.ledger.entries), session.scenes, session.marks, session.faces, state, session.frames


def loaded(file: SessionFile, frames: tuple[SessionFrame, ...] = FRAMES) -> MergeSession:
    found = file.load(frames)
    assert found is not None
    return found.session


def test_everything_is_read_as_it_was_written(tmp_path: Path) -> None:
    before = filled()
    session_of(tmp_path).save(before)
    found = session_of(tmp_path).load(FRAMES)
    assert found is not None
    assert found.notes == []
    assert found.changes.sentences(FRAMES) == []
    assert content(found.session) == content(before)
    # Undo and redo go on where they were.
    assert found.session.redo() == before.redo() == "link"
    while before.undo() is not None:
        found.session.undo()
        assert content(found.session) == content(before)
    assert found.session.undo() is None
    assert found.session.settings_at(3) == BEGUN


def test_dissolves_and_the_face_that_is_worked_at_are_kept(tmp_path: Path) -> None:
    before = filled()
    before.choose_dissolve(12)
    before.work_at(2)
    before.set_key("mode", 2, "overlay", dissolve=5)
    session_of(tmp_path).save(before)
    after = loaded(session_of(tmp_path))
    assert (after.new_dissolve, after.face) == (12, 2)
    assert [(key.frame, key.value, key.dissolve) for key in after.timeline.keys("mode", 2)] == [(2, "overlay", 5)]
    assert len(after.renderings(3)) == len(before.renderings(3)) == 2
    plain = json.loads(session_of(tmp_path).path.read_text("utf-8"))
    assert {"setting": "mode", "face": 2, "keys": [[2, "overlay", "hold", 5]]} in plain["tracks"]
    after.undo()
    after.redo()
    assert content(after) == content(before)


def test_the_file_is_plain_json_with_paths_from_the_workspace_on(tmp_path: Path) -> None:
    file = session_of(tmp_path)
    file.save(filled())
    plain = json.loads(file.path.read_text("utf-8"))
    assert plain["schema"] == "MergeSession.1"
    assert plain["frames_folder"] == "data_dst"
    assert str(tmp_path) not in file.path.read_text("utf-8")
    assert plain["identity"]["iteration"] == 1000
    assert plain["frames"][2] == ["00003.png", 102, 2, [["face 2", 1], ["other 2", 2]]]


def test_a_workspace_that_was_moved_has_its_session(tmp_path: Path) -> None:
    session_of(tmp_path / "here").save(filled())
    (tmp_path / "here").rename(tmp_path / "there")
    assert content(loaded(session_of(tmp_path / "there"))) == content(filled())


def test_without_a_file_there_is_no_session(tmp_path: Path) -> None:
    assert session_of(tmp_path).load(FRAMES) is None


def test_the_last_states_are_kept(tmp_path: Path) -> None:
    file, session = session_of(tmp_path), filled()
    for number in range(STATES_KEPT + 5):
        session.mark(0, str(number))
        file.save(session)
    kept = sorted(file.earlier.iterdir())
    assert len(kept) == STATES_KEPT
    assert json.loads(kept[-1].read_text("utf-8"))["marks"]["0"] == str(STATES_KEPT + 3)
    assert loaded(file).marks[0] == str(STATES_KEPT + 4)


def test_where_the_user_looks_is_saved_and_pushes_no_state_out(tmp_path: Path) -> None:
    file, session = session_of(tmp_path), filled()
    file.save(session)
    for frame in range(6):
        session.go(frame)
        file.save(session)
    assert not file.earlier.exists()
    assert loaded(file).cursor == 5


def test_a_file_of_the_first_version_can_be_read(tmp_path: Path) -> None:
    file = session_of(tmp_path)
    file.path.parent.mkdir()
    file.path.write_bytes((Path(__file__).parents[1] / "data" / "formats" / "merge_session_1.json").read_bytes())
    expected = filled()
    assert content(loaded(file)) == content(expected)
    assert loaded(file).redo() == "link"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: '{"schema": "Other.1"}',
        lambda text: text.replace('"erode_mask"', '"erode_mask", "keys": 5, "x"', 1),
        lambda text: text.replace('"cursor"', '"cursors"'),
        lambda text: text.replace('"seamless"', '"no such mode"'),
        lambda text: text.replace('"hold"', '"wavy"'),
        lambda text: text.replace('"hold"]', '"hold", 3]'),
        lambda text: text.replace('"screen"', '"screens"'),
        lambda text: text.replace('["key", 0,', '["secret", 0,'),
    ],
)
def test_instead_of_a_damaged_file_the_state_before_it_is_used(tmp_path: Path, damage: Callable[[str], str]) -> None:
    file, session = session_of(tmp_path), filled()
    file.save(session)
    before = content(session)
    session.mark(0, "the last change")
    file.save(session)
    text = file.path.read_text("utf-8")
    assert damage(text) != text
    file.path.write_text(damage(text), "utf-8")
    found = session_of(tmp_path).load(FRAMES)
    assert found is not None
    assert content(found.session) == before
    assert len(found.notes) == 2
    assert "damaged" in found.notes[0]
    assert (file.path.parent / "new_SAEHD_merger_session.damaged1.json").read_text("utf-8") == damage(text)
    session_of(tmp_path).save(found.session)
    assert loaded(session_of(tmp_path)).marks.get(0) is None


def test_a_damaged_file_without_another_state_is_said_and_kept(tmp_path: Path) -> None:
    file = session_of(tmp_path)
    file.save(filled())
    file.path.write_text("{", "utf-8")
    with pytest.raises(BrokenFile, match="damaged"):
        file.load(FRAMES)
    assert (file.path.parent / "new_SAEHD_merger_session.damaged1.json").read_text("utf-8") == "{"
    assert file.load(FRAMES) is None


def test_a_session_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = session_of(tmp_path)
    file.save(filled())
    later = file.path.read_text("utf-8").replace("MergeSession.1", "MergeSession.2")
    file.path.write_text(later, "utf-8")
    with pytest.raises(BrokenFile, match=r"later version.*MergeSession\.2"):
        file.load(FRAMES)
    assert file.path.read_text("utf-8") == later


def test_settings_of_a_later_version_stay_in_the_file(tmp_path: Path) -> None:
    file, session = session_of(tmp_path), filled()
    session.ledger.entries["key", 0, "sparkle", 3] = (5, "hold")
    file.save(session)
    again = loaded(file)
    file.save(again)
    assert {"setting": "sparkle", "face": 0, "keys": [[3, 5, "hold"]]} in json.loads(file.path.read_text())["tracks"]


class Crash(BaseException):
    """The power fails."""


def test_a_crash_at_any_step_of_saving_leaves_the_old_or_the_new_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[Any, str]] = [
        (os, "link"),
        (os, "fsync"),
        (files, "replace_patiently"),
        (files, "sync_file"),
        (files, "sync_folder"),
    ]
    steps += [(Path, "write_bytes"), (Path, "mkdir"), (Path, "unlink")]
    crashed = 0
    for at in range(40):
        root = tmp_path / str(at)
        file, session = session_of(root), filled()
        for number in range(STATES_KEPT + 2):  # so that an old state goes away, too
            session.mark(1, str(number))
            file.save(session)
        old = content(session)
        session.mark(0, "the last change")
        new = content(session)
        left = at

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def stumble(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left == -1:
                    raise Crash
                return real(*arguments, **named)

            return stumble

        with monkeypatch.context() as patch:
            for owner, name in steps:
                patch.setattr(owner, name, counted(getattr(owner, name)))
            try:
                file.save(session)
            except Crash:
                crashed += 1
        found = session_of(root).load(FRAMES)
        assert found is not None
        assert found.notes == []
        assert content(found.session) in (old, new)
        if left >= 0:
            assert content(found.session) == new
            break
    assert crashed >= 6
    assert left >= 0, "the last round must have come to its end"


SAVER = """
import itertools, sys
from pathlib import Path

from tests.merger.test_session_file import filled, session_of

file, session = session_of(Path(sys.argv[1])), filled()
for number in itertools.count():
    session.mark(0, str(number))
    file.save(session)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="processes are killed as on Unix")
def test_a_process_that_is_killed_while_it_saves_loses_nothing_it_has_saved(tmp_path: Path) -> None:
    rng = random.Random(5)
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", SAVER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as saver:
            assert saver.stdout is not None
            saved = [int(saver.stdout.readline()) for _ in range(rng.randint(1, 40))]
            time.sleep(rng.random() * 0.02)  # to be in the middle of a save
            saver.kill()
            saved += [int(line) for line in saver.stdout if line.endswith("\n")]
        found = session_of(tmp_path).load(FRAMES)
        assert found is not None
        assert found.notes == []
        assert int(found.session.marks[0]) in (saved[-1], saved[-1] + 1)


def test_a_file_cut_at_any_length_gives_the_state_before_or_the_whole(tmp_path: Path) -> None:
    file, session = session_of(tmp_path), filled()
    file.save(session)
    session_of(tmp_path).save(session)
    whole = file.path.read_bytes()
    for length in range(0, len(whole), 211):
        file.path.unlink(missing_ok=True)  # the states beside it share its bytes
        file.path.write_bytes(whole[:length])
        assert content(loaded(session_of(tmp_path))) == content(session)


def test_a_disk_without_second_names_keeps_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    file, session = session_of(tmp_path), filled()
    file.save(session)
    session.mark(0)
    file.save(session)
    assert [path.name for path in file.earlier.iterdir()] == ["000001.json"]


def test_a_full_disk_is_said_and_the_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, session = session_of(tmp_path), filled()
    file.save(session)
    before = file.path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace_patiently", full)
    with pytest.raises(FaceLoomError, match="full"):
        file.save(session)
    assert file.path.read_bytes() == before


def test_the_steps_that_are_kept_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, session = session_of(tmp_path), filled()
    for number in range(session_file.STEPS_KEPT + 20):
        session.mark(number % 8, str(number))
    file.save(session)
    again = loaded(file)
    assert len(again.ledger.done) == session_file.STEPS_KEPT
    monkeypatch.setattr(session_file, "_EDITS_KEPT", 3)
    file.save(session)
    again = loaded(file)
    assert len(again.ledger.done) == 3
    again.undo()
    session.undo()
    assert content(again) == content(session)


def test_a_session_of_other_frames_is_put_aside_under_another_name(tmp_path: Path) -> None:
    file = session_of(tmp_path)
    file.save(filled())
    found = file.load([replace(frame, name=f"other{frame.name}") for frame in FRAMES])
    assert found is not None
    assert found.changes.is_other_shot
    assert file.put_aside() == "new_SAEHD_merger_session.other1.json"
    assert not file.path.exists()
