"""`sort` from the outside: new names, the trash and the way back, kills at every moment, words for what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import renames
from core.errors import BadOption, MissingInput, PartialFailure
from core.images import encode_jpeg
from core.paths import Workspace
from core.progress import SILENT
from facelib.metadata import read_metadata
from mainscripts.extract_journal import Journal
from mainscripts.sort import ORDER_NAME, SortOptions, SortReport, numbered_names, run
from mainscripts.workspace import UndoOptions, undo
from samplelib import face_index
from samplelib.face_features import measure_files
from tests.mainscripts.faces_of_a_film import SIDE, contents, spread, write_film
from tests.mainscripts.test_journal_names import listed, write_journal

REPOSITORY = Path(__file__).resolve().parents[2]


class Stop(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture
def place(odd_folder: Path) -> Workspace:
    return Workspace(odd_folder)


@pytest.fixture
def faces(place: Workspace) -> Path:
    """Seven faces that look in all directions, with the extraction's journal."""
    folder = place.data_src_aligned
    write_journal(folder, write_film(folder, spread(7)))
    return folder


def sort(place: Workspace, folder: Path, by: str = "face-yaw", **given: Any) -> SortReport:
    return run(place, SortOptions.of(input_dir=folder, by=by, workers=0, **given), SILENT)


def by_frame(folder: Path) -> dict[str, str]:
    """Frame -> the file that holds its face."""
    return {read_metadata(folder / name).frame_name: name for name in contents(folder) if name.endswith(".jpg")}


def test_faces_are_renamed_in_their_order(place: Workspace, faces: Path) -> None:
    before = contents(faces)
    report = sort(place, faces)
    after = contents(faces)
    assert list(after) == report.new_names == [f"{n:05d}.jpg" for n in range(7)]
    assert [after[new] for new in report.new_names] == [before[old] for old in report.order]
    yaws = [read_metadata(faces / name).landmarks[30, 0] for name in after]
    assert yaws == sorted(yaws), "noses toward image-left come first"
    assert listed(faces) == by_frame(faces)


def test_undo_gives_the_names_back(place: Workspace, faces: Path) -> None:
    before = contents(faces)
    sort(place, faces)
    sort(place, faces, "brightness", reverse=True)
    undo(place, UndoOptions(), SILENT)
    undo(place, UndoOptions(), SILENT)
    assert contents(faces) == before
    assert listed(faces) == by_frame(faces)
    assert not any(place.trash.iterdir())


def test_undo_brings_the_trashed_faces_back(place: Workspace, faces: Path) -> None:
    before = contents(faces)
    report = sort(place, faces, "final-fast", target_count=3)
    assert (len(report.order), len(report.trashed), len(contents(faces))) == (3, 4, 3)
    assert report.box is not None
    assert {p.name for p in (report.box / "items").iterdir()} == set(report.trashed)
    undo(place, UndoOptions(), SILENT)
    assert contents(faces) == before
    assert listed(faces) == by_frame(faces)


def test_an_earlier_trash_is_never_touched(place: Workspace, faces: Path) -> None:
    first = sort(place, faces, "final-fast", target_count=5).box
    second = sort(place, faces, "final-fast", target_count=3).box
    assert first is not None
    assert second is not None
    assert len(list((first / "items").iterdir())) == len(list((second / "items").iterdir())) == 2


def test_sorting_again_measures_and_renames_nothing(
    place: Workspace, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sort(place, faces, "blur")
    measured: list[Path] = []

    def noting(task: tuple[str, tuple[Path, ...]]) -> object:
        measured.extend(task[1])
        return measure_files(task)

    monkeypatch.setattr(face_index, "measure_files", noting)
    before = contents(faces)
    assert sort(place, faces, "blur").box is None
    assert (measured, contents(faces)) == ([], before)


def test_a_folder_that_was_sorted_is_sorted_by_another_way(place: Workspace, faces: Path) -> None:
    """Old and new names overlap."""
    sort(place, faces)
    before = contents(faces)
    report = sort(place, faces, "origname")
    assert [contents(faces)[new] for new in report.new_names] == [before[old] for old in report.order]
    assert list(by_frame(faces)) == [f"{n + 1:05d}.png" for n in range(7)]
    assert listed(faces) == by_frame(faces)


def test_pictures_that_are_no_faces_stay_and_are_named(place: Workspace, faces: Path) -> None:
    strange = encode_jpeg(np.zeros((SIDE, SIDE, 3), np.uint8))
    (faces / "00001.jpg").write_bytes(strange)
    (faces / "notes.png").write_bytes(b"mine")
    with pytest.raises(PartialFailure, match=r"1 of 8 files were left as they are: 00001\.jpg") as caught:
        sort(place, faces)
    assert caught.value.exit_code == 3
    after = contents(faces)
    assert after["00001.jpg"] == strange
    assert after["notes.png"] == b"mine"
    assert [n for n in after if n != "00001.jpg" and n.endswith("jpg")] == [f"{n:05d}.jpg" for n in (0, *range(2, 8))]
    undo(place, UndoOptions(), SILENT)
    assert (faces / "00007_0.jpg").exists()


def test_near_duplicates_go_to_the_trash(place: Workspace, faces: Path) -> None:
    shutil.copyfile(faces / "00001_0.jpg", faces / "00008_0.jpg")
    assert sort(place, faces, near_duplicates=1).trashed == ["00008_0.jpg"]


def test_nothing_changes_when_nothing_shall(place: Workspace, faces: Path) -> None:
    before = contents(faces)
    report = sort(place, faces, "final-fast", target_count=3, dry_run=True)
    assert (len(report.trashed), contents(faces)) == (4, before)
    report = sort(place, faces, rename=False)
    written = (faces / ORDER_NAME).read_text("utf-8").split()
    assert written == report.order
    assert {k: v for k, v in contents(faces).items() if k != ORDER_NAME} == before
    assert not place.trash.exists()


@pytest.mark.parametrize("missing", ["absent", "empty", "no faces"])
def test_without_faces_it_says_so(place: Workspace, missing: str) -> None:
    folder = place.data_src_aligned
    if missing != "absent":
        folder.mkdir(parents=True)
    if missing == "no faces":
        (folder / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(MissingInput):
        sort(place, folder)


@pytest.mark.parametrize("pack", ["faceset.h5", "faceset.pak"])
def test_packed_faces_are_to_be_unpacked_first(place: Workspace, pack: str) -> None:
    folder = place.data_src_aligned
    folder.mkdir(parents=True)
    (folder / pack).write_bytes(b"packed")
    with pytest.raises(MissingInput, match=f"packed in {pack}.*--unpack-faceset"):
        sort(place, folder)


def test_a_wrong_way_is_refused_before_anything_is_measured(place: Workspace, faces: Path) -> None:
    with pytest.raises(BadOption, match="Received: sharpest"):
        sort(place, faces, "sharpest")
    assert not (faces / face_index.INDEX_NAME).exists()


@pytest.mark.parametrize(
    ("names", "taken", "expected"),
    [
        (["a.jpg", "b.JPEG"], set(), ["00000.jpg", "00001.JPEG"]),
        (["a.jpg", "b.jpg"], {"00000.jpg"}, ["00001.jpg", "00002.jpg"]),
        ([], set(), []),
    ],
)
def test_numbers(names: list[str], taken: set[str], expected: list[str]) -> None:
    assert numbered_names(names, taken) == expected


def test_more_than_a_hundred_thousand_faces_get_six_digits() -> None:
    assert numbered_names(["x.jpg"] * 100_000, set())[-1] == "99999.jpg"
    assert numbered_names(["x.jpg"] * 100_001, set())[0] == "000000.jpg"


# --------------------------------------------------------------------------------------------------------------- kills


def stops(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Every rename inside the folder is counted; the work stops before number `at`."""
    real, done = os.rename, 0

    def counting(old: Path, new: Path) -> None:
        nonlocal done
        if done == at:
            raise Stop
        done += 1
        real(old, new)

    monkeypatch.setattr(renames, "_rename", counting)


def whole(folder: Path, place: Workspace) -> Iterator[bytes]:
    """The bytes of every face, wherever it is."""
    for path in [*folder.rglob("*.jpg"), *folder.rglob(".*.jpg"), *place.trash.rglob("*.jpg")]:
        yield path.read_bytes()


@pytest.mark.parametrize("at", range(10))
def test_a_kill_at_any_rename_is_finished_by_the_next_sort(
    place: Workspace, faces: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Five faces stay, two go: ten renames. Names overlap, because the folder was sorted before."""
    sort(place, faces)
    before = contents(faces)
    with monkeypatch.context() as patched:
        stops(patched, at)
        with pytest.raises(Stop):
            sort(place, faces, "final-fast,".rstrip(","), target_count=5, reverse=True)
    assert set(whole(faces, place)) == set(before.values()), "no face is lost at any moment"
    sort(place, faces, "origname")
    assert list(contents(faces)) == [f"{n:05d}.jpg" for n in range(5)]
    assert listed(faces).keys() == {f"{n + 1:05d}.png" for n in range(7)}
    undo(place, UndoOptions(), SILENT)
    undo(place, UndoOptions(), SILENT)
    assert contents(faces) == before


@pytest.mark.parametrize("at", range(0, 14, 2))
def test_a_kill_during_undo_is_finished_by_the_next_undo(
    place: Workspace, faces: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    sort(place, faces)
    before = contents(faces)
    sort(place, faces, "origname")
    with monkeypatch.context() as patched:
        stops(patched, at)
        with pytest.raises(Stop):
            undo(place, UndoOptions(), SILENT)
    undo(place, UndoOptions(), SILENT)
    assert contents(faces) == before


def test_a_kill_before_the_first_rename_leaves_the_names(
    place: Workspace, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The box of the trash is there and the renaming has not begun: undo must not rename anything."""
    sort(place, faces)
    before = contents(faces)

    def killed(folder: Path, names: object) -> int:
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(renames, "rename_all", killed)
        with pytest.raises(Stop):
            sort(place, faces, "final-fast", target_count=5, reverse=True)
    assert len(contents(faces)) == 5
    undo(place, UndoOptions(), SILENT)
    assert contents(faces) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_kill_minus_nine(place: Workspace, tmp_path: Path) -> None:
    """A real process is killed in the middle of renaming a few hundred faces; the next sort goes on."""
    folder = place.data_src_aligned
    single = write_film(folder, [0.0])[0].read_bytes()
    expected = {single}
    for n in range(400):
        (folder / f"{n + 2:05d}_0.jpg").write_bytes(single + b"%d" % n + b"\xff\xd9")
        expected.add(single + b"%d" % n + b"\xff\xd9")
    sort(place, folder, "origname")
    words = ["sort", "--workspace", str(place.root), "--input-dir", str(folder), "--by", "origname", "--reverse"]
    program = (
        "import os, sys, time; from core import renames; real = os.rename\n"
        "def slow(old, new):\n    real(old, new)\n    time.sleep(0.002)\n"
        "renames._rename = slow\n"
        "from mainscripts.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words, "--defaults", "--workers", "0", "--log", str(tmp_path / "log")],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None and not any(folder.glob(".*.renaming.jpg")):
        time.sleep(0.002)
    time.sleep(0.15)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert (folder / renames.JOURNAL_NAME).exists(), "it was to be killed in the middle"
    sort(place, folder, "face-pitch")
    assert set(contents(folder).values()) == expected
    assert list(contents(folder)) == [f"{n:05d}.jpg" for n in range(401)]
    assert Journal(folder).frames == {}
