"""Looking at a folder: the viewer that is there, or one picture of many small ones."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from core.errors import MissingInput, ToolFailed
from core.files import list_images
from core.images import read_image, write_image
from core.paths import Workspace
from core.progress import SILENT
from mainscripts import view
from mainscripts.util import UtilOptions
from mainscripts.util import run as util
from mainscripts.view import ViewOptions, ViewReport, find_viewer
from tests.painting import write_painted_faceset


@pytest.fixture(autouse=True)
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No screen and no chosen viewer, whatever machine this is."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", view.VIEWER_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(view.sys, "platform", "linux")


def look(folder: Path, **given: object) -> ViewReport:
    return view.run(Workspace(folder.parent), ViewOptions.of(input_dir=folder, **given), SILENT)


def test_without_a_screen_a_sheet_is_written(odd_folder: Path) -> None:
    folder = odd_folder / "faces"
    folder.mkdir()
    for number, color in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 255, 255)]):
        write_image(folder / f"{number}.png", np.full((40, 80, 3), color, np.uint8))
    (folder / "6.png").write_bytes(b"broken")
    report = look(folder)
    assert report.sheet == odd_folder / "faces_contact_sheet.png"
    sheet = read_image(report.sheet)
    assert sheet.shape == (2 * 146 + 4, 3 * 132 + 4, 3)
    # The middle of each cell of 128 pixels; pictures of 80 x 40 fill 128 x 64 of it.
    middles = [[sheet[4 + row * 146 + 64, 4 + column * 132 + 64].tolist() for column in range(3)] for row in range(2)]
    assert middles == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 255, 255], [0, 255, 255], [32, 32, 32]]]
    assert sheet[4 + 20, 4 + 64].tolist() == [32, 32, 32]


def test_a_sheet_never_lies_among_frames(odd_folder: Path) -> None:
    """Faces lie in the folder of their frames; a sheet beside them would be taken for a frame."""
    workspace = Workspace(odd_folder)
    write_image(workspace.data_dst_aligned / "1.png", np.zeros((8, 8, 3), np.uint8))
    report = view.run(workspace, ViewOptions.of(input_dir=workspace.data_dst_aligned), SILENT)
    assert report.sheet == odd_folder / "data_dst_aligned_contact_sheet.png"
    assert report.sheet.is_file()
    assert list_images(workspace.data_dst) == []


def test_many_pictures_are_spread_over_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(241):
        write_image(folder / f"{number}.png", np.full((4, 4, 3), number, np.uint8))
    target = tmp_path / "x" / "sheet.png"
    assert look(folder, contact_sheet=target).sheet == target
    sheet = read_image(target)
    assert sheet[4 + 64, 4 + 64, 0] == 0
    assert sheet.shape[:2] == (11 * 146 + 4, 11 * 132 + 4)  # 120 of the 241, eleven in a row
    assert sheet[4 + 10 * 146 + 64, 4 + 9 * 132 + 64, 0] == 240


def test_packed_faces_are_shown_on_a_sheet(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    write_painted_faceset(folder, 3, side=64)
    util(Workspace(tmp_path), UtilOptions.of(input_dir=folder, pack_faceset=True, delete_originals=True), SILENT)
    sheet = look(folder).sheet
    assert sheet is not None
    assert read_image(sheet).std() > 20


def test_the_system_opener_where_there_is_a_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view.shutil, "which", lambda name: f"/bin/{name}")
    assert find_viewer(tmp_path) == ()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert find_viewer(tmp_path) == ("/bin/xdg-open", str(tmp_path))
    monkeypatch.setattr(view.shutil, "which", lambda name: None)
    assert find_viewer(tmp_path) == ()
    for platform, opener in (("darwin", "open"), ("win32", "explorer")):
        monkeypatch.setattr(view.sys, "platform", platform)
        assert find_viewer(tmp_path) == (opener, str(tmp_path))


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_the_chosen_viewer_gets_the_folder_as_one_word(odd_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = odd_folder / "faces & $HOME `x`"
    folder.mkdir()
    write_image(folder / "1.png", np.zeros((4, 4, 3), np.uint8))
    stand_in, record = odd_folder / "viewer", odd_folder / "record"
    stand_in.write_text(f"#!/bin/sh\nprintf '%s' \"$#:$1\" > '{record}.new'\nmv '{record}.new' '{record}'\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv(view.VIEWER_VARIABLE, str(stand_in))
    assert look(folder).viewer == (str(stand_in), str(folder))
    for _ in range(200):
        if record.exists():
            break
        time.sleep(0.05)
    assert record.read_text() == f"1:{folder}"
    monkeypatch.setenv(view.VIEWER_VARIABLE, str(odd_folder / "nowhere"))
    with pytest.raises(ToolFailed, match="FACELOOM_VIEWER"):
        look(folder)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="There is no folder"):
        look(tmp_path / "nowhere")
    with pytest.raises(MissingInput, match="There are no pictures"):
        look(tmp_path)
