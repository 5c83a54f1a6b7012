"""`workspace status`: counts, what does not fit together, and the next step."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from core.paths import Workspace
from core.progress import SILENT
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.landmarks import LANDMARKS
from facelib.metadata import FaceMetadata, write_face
from mainscripts.cli import main
from mainscripts.steps import STEPS
from mainscripts.workspace_state import WorkspaceState, look_at, next_step, table


def put_face(folder: Path, name: str, frame_name: str, side: int = 64, face_type: FaceType = FaceType.WHOLE) -> None:
    """Writes a gray face whose record is of the right form."""
    landmarks = np.random.default_rng(1).uniform(5, side - 5, (LANDMARKS, 2)).astype(np.float32)
    jpeg = cv2.imencode(".jpg", np.full((side, side, 3), 128, np.uint8))[1].tobytes()
    record = FaceMetadata(
        face_type=face_type,
        landmarks=landmarks,
        frame_name=frame_name,
        frame_bbox=np.array([0, 0, side, side], np.float32),
        frame_landmarks=landmarks,
        frame_to_face=frame_to_face(landmarks, face_type, side),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_face(folder / name, jpeg, record)


def put_frames(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"frame")


@pytest.fixture
def workspace(odd_folder: Path) -> Workspace:
    return Workspace(odd_folder)


def test_an_empty_place_is_no_error(workspace: Workspace) -> None:
    state = look_at(Workspace(workspace.root / "nowhere"), SILENT)
    assert (state.src.frames, state.dst.faces, state.models, state.results) == (0, 0, [], [])
    assert state.free > 0
    assert "data_src.mp4" in next_step(state)


def test_the_faces_of_a_pack_count_and_a_damaged_pack_is_named(workspace: Workspace) -> None:
    put_frames(workspace.data_dst, "工作 空间 00042.png", "00043.png")
    pack = workspace.data_dst_aligned / "faceset.pak"
    pack.parent.mkdir(parents=True)
    pack.write_bytes((Path(__file__).parent.parent / "data" / "formats" / "dfl_faceset.pak").read_bytes())
    dst = look_at(workspace, SILENT).dst
    assert (dst.faces, dst.frames_without_faces, dst.faces_without_frame) == (2, ["00043.png"], [])
    pack.write_bytes(pack.read_bytes()[:-1])
    dst = look_at(workspace, SILENT).dst
    assert dst.faces == 0
    assert [name for name, _ in dst.broken] == ["faceset.pak"]


def test_frames_and_faces_are_counted_and_compared(workspace: Workspace) -> None:
    put_frames(workspace.data_dst, "00001.png", "00002.png", "00003.png")
    put_face(workspace.data_dst_aligned, "00001_0.jpg", "00001.png")
    put_face(workspace.data_dst_aligned, "00001_1.jpg", "00001.png", side=96, face_type=FaceType.HEAD)
    put_face(workspace.data_dst_aligned, "00009_0.jpg", "00009.png")
    dst = look_at(workspace, SILENT).dst
    assert (dst.frames, dst.faces) == (3, 3)
    assert dst.frames_without_faces == ["00002.png", "00003.png"]
    assert dst.faces_without_frame == ["00009_0.jpg"]
    assert dst.face_types == {"whole_face": 2, "head": 1}
    assert dst.face_sides == {64: 2, 96: 1}


def test_a_frame_in_another_format_is_still_the_same_frame(workspace: Workspace) -> None:
    put_frames(workspace.data_dst, "00001.jpg")
    put_face(workspace.data_dst_aligned, "00001_0.jpg", "00001.png")
    assert look_at(workspace, SILENT).dst.faces_without_frame == []


def test_mixed_kinds_and_doubled_names_are_told(workspace: Workspace) -> None:
    put_frames(workspace.data_src, "00001.png", "00001.jpg", "00002.PNG")
    state = look_at(workspace, SILENT)
    assert state.src.extensions == {".png": 2, ".jpg": 1}
    assert state.src.repeated == ["00001"]
    told = "\n".join(table(state))
    assert "frames of several kinds: 2 .png, 1 .jpg" in told
    assert "several frames of the same name: 1: 00001" in told


def test_unusable_faces_are_named_with_the_reason(workspace: Workspace) -> None:
    put_frames(workspace.data_src, "00001.png")
    put_face(workspace.data_src_aligned, "00001_0.jpg", "00001.png")
    (workspace.data_src_aligned / "empty.jpg").write_bytes(b"")
    (workspace.data_src_aligned / "text.jpg").write_text("I am no picture")
    src = look_at(workspace, SILENT).src
    assert src.faces == 1
    assert {name for name, _ in src.broken} == {"empty.jpg", "text.jpg"}
    assert all(reason for _, reason in src.broken)


def test_a_folder_of_nothing_but_unusable_faces_is_told(workspace: Workspace) -> None:
    workspace.data_src_aligned.mkdir(parents=True)
    (workspace.data_src_aligned / "empty.jpg").write_bytes(b"")
    src = look_at(workspace, SILENT).src
    assert (src.faces, [name for name, _ in src.broken]) == (0, ["empty.jpg"])


def test_two_videos_of_one_name_are_told(workspace: Workspace) -> None:
    put_frames(workspace.root, "data_src.mp4", "data_src.mov", "data_src.txt")
    src = look_at(workspace, SILENT).src
    assert src.video == ""
    assert "data_src.mov, data_src.mp4" in src.video_problem


def test_frames_that_are_not_merged_are_named(workspace: Workspace) -> None:
    put_frames(workspace.data_dst, *(f"{n:05d}.png" for n in range(1, 9)))
    put_frames(workspace.data_dst_merged, "00001.png")
    put_frames(workspace.data_dst_merged_mask, "00001.png")
    state = look_at(workspace, SILENT)
    assert (state.merged, state.merged_masks, len(state.not_merged)) == (1, 1, 7)
    assert "missing: 7: 00002.png, 00003.png, 00004.png, 00005.png, 00006.png and 2 more" in "\n".join(table(state))


def test_the_next_step_is_a_step_that_exists_and_the_first_that_is_missing(workspace: Workspace) -> None:
    """Demonstrates the road: each line makes what the last answer asked for."""
    known = {step.name for step in STEPS}
    root = workspace.root

    def now() -> str:
        return next_step(look_at(workspace, SILENT))

    assert "data_src.mp4" in now()
    put_frames(root, "data_src.mp4")
    assert "data_dst.mp4" in now()
    put_frames(root, "data_dst.mp4")
    road = []
    for make in (
        lambda: put_frames(workspace.data_src, "00001.png"),
        lambda: put_frames(workspace.data_dst, "00001.png"),
        lambda: put_face(workspace.data_src_aligned, "00001_0.jpg", "00001.png"),
        lambda: put_face(workspace.data_dst_aligned, "00001_0.jpg", "00001.png"),
    ):
        road.append(now())
        make()
    assert set(road) <= known
    assert [name[0] for name in road] == ["2", "3", "4", "5"]
    trained = look_at(workspace, SILENT)
    assert next_step(trained) in known
    assert next_step(trained).startswith("6")
    trained = with_model(trained)
    assert next_step(trained) in known
    assert next_step(trained).startswith("7")
    merged = replace(trained, merged=1)
    assert next_step(merged) in known
    assert next_step(merged).startswith("8")
    assert "result.mp4" in next_step(replace(merged, results=["result.mp4"]))


def with_model(state: WorkspaceState) -> WorkspaceState:
    from mainscripts.workspace_state import ModelState

    return replace(state, models=[ModelState("new_Quick96", 1000, "")])


def test_json_is_one_object_and_nothing_else(
    workspace: Workspace, capsys: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path / "internal"))
    put_frames(workspace.data_src, "00001.png")
    assert main(["workspace", "status", "--json", "--workspace", str(workspace.root)]) == 0
    state = json.loads(capsys.readouterr().out)
    assert state["src"]["frames"] == 1
    assert state["next_step"]
