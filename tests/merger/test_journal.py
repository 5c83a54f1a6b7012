"""Which frames are up to date, and why the others are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import MissingInput
from merger.frames import FrameFace, FrameFaces, Motion
from merger.journal import JOURNAL_NAME, Journal, Networks, RenderKey, render_key, summary
from merger.settings import MergeSettings
from tests.merger.scenes import painted_landmarks


def network(weights: str) -> Networks:
    """One whose weights are known by a word."""
    return Networks("48 full_face", weights)


KEY = RenderKey("frame", "faces", "settings", "model", "software")


@pytest.fixture
def frame(tmp_path: Path) -> FrameFaces:
    path = tmp_path / "00001.png"
    path.write_bytes(b"pixels")
    return FrameFaces(path, (FrameFace(painted_landmarks((50, 50), 40)),))


def finish(folder: Path, stem: str, key: RenderKey = KEY) -> None:
    """Writes the files of a frame and enters it, as a run would."""
    for name in ("merged", "masks"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / f"{stem}.png").write_bytes(b"12345" if name == "merged" else b"123")
    with open_journal(folder) as journal:
        journal.record(stem, key, (5, 3))


def open_journal(folder: Path) -> Journal:
    return Journal(folder / "merged", folder / "masks")


def test_a_finished_frame_is_up_to_date(tmp_path: Path) -> None:
    assert open_journal(tmp_path).state_of("1", KEY) == ["new"]
    finish(tmp_path, "1")
    assert open_journal(tmp_path).state_of("1", KEY) == []
    assert open_journal(tmp_path).state_of("2", KEY) == ["new"]


def test_a_name_that_is_no_unicode_is_kept(tmp_path: Path) -> None:
    """What Python makes of a file name with the single byte 0xE9 in it."""
    with open_journal(tmp_path) as journal:
        journal.record("caf\udce9", KEY, (5, 3))
        journal.withdraw("caf\udce9")
        journal.record("caf\udce9", KEY, (5, 3))
    assert open_journal(tmp_path).state_of("caf\udce9", KEY) == ["missing"]  # known; its files were never written


@pytest.mark.parametrize("part", ["frame", "faces", "settings", "model", "software"])
def test_what_changed_is_named(tmp_path: Path, part: str) -> None:
    finish(tmp_path, "1")
    now = RenderKey(**{**vars(KEY), part: "another"})
    assert open_journal(tmp_path).state_of("1", now) == [part]


@pytest.mark.parametrize("name", ["merged", "masks"])
def test_missing_and_shortened_files_are_noticed(tmp_path: Path, name: str) -> None:
    finish(tmp_path, "1")
    (tmp_path / name / "1.png").write_bytes(b"1")
    assert open_journal(tmp_path).state_of("1", KEY) == ["missing"]
    (tmp_path / name / "1.png").unlink()
    assert open_journal(tmp_path).state_of("1", KEY) == ["missing"]


def test_a_withdrawn_frame_is_new_again(tmp_path: Path) -> None:
    finish(tmp_path, "1")
    with open_journal(tmp_path) as journal:
        journal.withdraw("1")
        journal.withdraw("never heard of")
    assert open_journal(tmp_path).state_of("1", KEY) == ["new"]


def test_a_picture_made_by_hand_in_place_of_a_failed_frame_is_somebodys_work(tmp_path: Path) -> None:
    """The copy of its source is not; and the journal remembers which is which, also when it is written anew."""
    finish(tmp_path, "1")
    finish(tmp_path, "2")
    with open_journal(tmp_path) as journal:
        journal.withdraw("1")
        for _ in range(200):
            journal.record("2", KEY, (5, 3))
    assert open_journal(tmp_path).foreign_files("1") == []
    painted = tmp_path / "merged" / "1.png"
    painted.write_bytes(b"painted by hand")
    assert open_journal(tmp_path).foreign_files("1") == [painted]
    assert open_journal(tmp_path).state_of("1", KEY) == ["new"]
    finish(tmp_path, "1")
    assert open_journal(tmp_path).state_of("1", KEY) == []


def test_cut_at_every_byte_the_journal_keeps_all_whole_lines(tmp_path: Path) -> None:
    for stem in ("1", "2", "工作 3"):
        finish(tmp_path, stem)
    path = tmp_path / "merged" / JOURNAL_NAME
    data = path.read_bytes()
    ends = [n + 1 for n, byte in enumerate(data) if byte == ord("\n")]
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        journal = open_journal(tmp_path)
        known = [stem for stem in ("1", "2", "工作 3") if journal.state_of(stem, KEY) == []]
        whole = sum(end <= length for end in ends)
        # A line that lacks nothing but its line feed is whole, too.
        assert len(known) in (whole, whole + (length + 1 in ends))
        with journal:
            journal.record("4", KEY, (5, 3))
        assert open_journal(tmp_path).state_of("4", KEY) != ["new"]


def test_strange_lines_count_for_nothing(tmp_path: Path) -> None:
    finish(tmp_path, "1")
    path = tmp_path / "merged" / JOURNAL_NAME
    strange = (
        b'[]\n7\n{"stem": 1}\n{"stem": "1", "key": 3}\n{"stem": "1", "key": {"a": 1}, "sizes": [1, 2]}\n\xff\xfe\n'
    )
    path.write_bytes(strange + path.read_bytes() + strange)
    assert open_journal(tmp_path).state_of("1", KEY) == []


def test_a_journal_much_longer_than_the_shot_is_written_anew(tmp_path: Path) -> None:
    for _ in range(150):
        finish(tmp_path, "1")
    open_journal(tmp_path)
    assert (tmp_path / "merged" / JOURNAL_NAME).read_text().count("\n") < 110
    assert open_journal(tmp_path).state_of("1", KEY) == []


def test_each_input_changes_its_part_of_the_key_and_no_other(frame: FrameFaces) -> None:
    settings = MergeSettings.of()
    before = render_key(frame, settings, network("model a"))
    assert render_key(frame, settings, network("model a")) == before
    assert render_key(frame, settings, network("model b")).changes_since(before) == ["model"]
    assert render_key(frame, MergeSettings.of(blur_mask=3), network("model a")).changes_since(before) == ["settings"]
    moved = FrameFaces(frame.path, (FrameFace(frame.faces[0].landmarks + 0.01),))
    assert render_key(moved, settings, network("model a")).changes_since(before) == ["faces"]
    lifted = FrameFaces(frame.path, (FrameFace(frame.faces[0].landmarks, 0.5),))
    assert render_key(lifted, settings, network("model a")).changes_since(before) == ["faces"]
    os.utime(frame.path, ns=(1, 1))
    assert render_key(frame, settings, network("model a")).changes_since(before) == ["frame"]


def test_the_name_of_a_face_file_is_of_no_concern(frame: FrameFaces) -> None:
    renamed = FrameFaces(frame.path, (FrameFace(frame.faces[0].landmarks, name="better name.jpg"),))
    assert render_key(renamed, MergeSettings.of(), network("m")) == render_key(frame, MergeSettings.of(), network("m"))


def test_a_frame_without_a_face_depends_on_nothing_but_itself(frame: FrameFaces) -> None:
    alone = FrameFaces(frame.path)
    assert render_key(alone, MergeSettings.of(), network("a")) == render_key(
        alone, MergeSettings.of(mask_mode="full"), network("b")
    )


def test_where_the_model_is_not_asked_it_does_not_matter(frame: FrameFaces) -> None:
    settings = MergeSettings.of(mode="original", mask_mode="dst")
    assert render_key(frame, settings, network("a")) == render_key(frame, settings, network("b"))


def test_the_shape_of_the_model_always_matters(frame: FrameFaces) -> None:
    """Resolution and face type decide where masks lie, even where the model's answer is not needed."""
    settings = MergeSettings.of(mode="original", mask_mode="dst")
    before = render_key(frame, settings, Networks("48 full_face", "a"))
    assert render_key(frame, settings, Networks("64 full_face", "a")).changes_since(before) == ["model"]


def test_other_networks_matter_where_they_are_asked(frame: FrameFaces) -> None:
    one, other = Networks("48", "a", "x", "e"), Networks("48", "a", "y", "f")
    for given, matters in (
        ({}, False),
        ({"mask_mode": "XSeg-dst"}, True),
        ({"super_resolution_power": 20}, True),
        ({"super_resolution_power": 20, "mode": "original"}, False),
    ):
        settings = MergeSettings.of(**given)
        assert (render_key(frame, settings, one) != render_key(frame, settings, other)) == matters


def test_motion_matters_where_it_blurs(frame: FrameFaces) -> None:
    moving = FrameFaces(frame.path, (FrameFace(frame.faces[0].landmarks, motion=Motion(3, 4)),))
    for power, matters in ((0, False), (10, True)):
        settings = MergeSettings.of(motion_blur_power=power)
        assert (render_key(frame, settings, network("a")) != render_key(moving, settings, network("a"))) == matters


def test_without_a_face_only_the_square_alone_follows_the_model(frame: FrameFaces) -> None:
    alone, settings = FrameFaces(frame.path), MergeSettings.of(mode="raw-predict")
    before = render_key(alone, settings, Networks("48 full_face", "a"))
    assert render_key(alone, settings, Networks("64 full_face", "a")).changes_since(before) == ["model"]


def test_a_frame_that_is_gone(frame: FrameFaces) -> None:
    frame.path.unlink()
    with pytest.raises(MissingInput, match=r"00001\.png"):
        render_key(frame, MergeSettings.of(), network("m"))


def test_summaries() -> None:
    assert summary([["new"], ["new"]]) == "0 of 2 frames are up to date; 2 new."
    assert summary([[], []]) == "2 of 2 frames are up to date; nothing is to be rendered."
    found = summary([[], ["model", "settings"], ["model"], ["missing"]])
    expected = "1 of 4 frames are up to date; 3 changed because of: missing (1), model (2), settings (1)."
    assert found == expected


def test_frames_that_the_arithmetic_before_this_one_made_are_rendered_anew(tmp_path: Path, frame: FrameFaces) -> None:
    now = render_key(frame, MergeSettings(color_transfer="idt"), network("old"))
    number, _, library = now.software.partition(" ")
    assert int(number) > 2  # idt, sot and mix give other pixels than version 2 did
    finish(tmp_path, frame.stem, RenderKey(**{**vars(now), "software": f"2 {library}"}))
    assert open_journal(tmp_path).state_of(frame.stem, now) == ["software"]
