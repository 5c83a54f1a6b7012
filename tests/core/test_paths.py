"""core.paths: the names of the workspace, and which file `data_src.*` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadOption, MissingInput
from core.paths import (
    Workspace,
    find_video,
    internal_folder,
    merge_session_file,
    merge_session_files,
    sibling,
)


def test_the_names_users_know() -> None:
    workspace = Workspace(Path("w"))
    assert workspace.data_src_aligned.as_posix() == "w/data_src/aligned"
    assert workspace.data_dst_aligned_debug.as_posix() == "w/data_dst/aligned_debug"
    assert workspace.data_dst_merged_mask.as_posix() == "w/data_dst/merged_mask"
    assert workspace.model.as_posix() == "w/model"
    assert workspace.result_mask(".mp4").as_posix() == "w/result_mask.mp4"
    assert sibling(Path("x/a.b"), "trash").as_posix() == "x/a.b_trash"


def test_the_video_is_found_by_stem_and_only_videos_count(odd_folder: Path) -> None:
    pattern = Workspace(odd_folder).video_pattern("src")
    for name in ("data_src.aac", "data_src.json", "DATA_SRC.MP4", "data_src_old.mp4"):
        (odd_folder / name).touch()
    (odd_folder / "data_src.mov").mkdir()
    assert find_video(pattern).name == "DATA_SRC.MP4"
    assert find_video(odd_folder / "data_src_old.mp4").name == "data_src_old.mp4"


def test_no_video_and_several_videos_are_said_in_words(tmp_path: Path) -> None:
    pattern = Workspace(tmp_path).video_pattern("dst")
    with pytest.raises(MissingInput, match=r"data_dst\.mp4"):
        find_video(pattern)
    with pytest.raises(MissingInput):
        find_video(tmp_path / "other.mp4")
    (tmp_path / "data_dst.mp4").touch()
    (tmp_path / "data_dst.mov").touch()
    with pytest.raises(BadOption, match=r"Received: data_dst\.mov, data_dst\.mp4\. .*--reference-file"):
        find_video(pattern)


def test_internal_folder_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path))
    assert internal_folder() == tmp_path.resolve()


def test_everything_of_one_models_merge_session_is_found(tmp_path: Path) -> None:
    mine = ["new_SAEHD_merger_session.earlier", "new_SAEHD_merger_session.json", "new_SAEHD_merger_session.other1.json"]
    for name in (*mine, "new2_SAEHD_merger_session.json", "new_Quick96_merger_session.json", "new_SAEHD"):
        (tmp_path / name).touch()
    assert merge_session_file(tmp_path, "new", "SAEHD") == tmp_path / "new_SAEHD_merger_session.json"
    assert [path.name for path in merge_session_files(tmp_path, "new", "SAEHD")] == mine
