"""`util --print-metadata`: one JSON line per face, and a word about every file that is none."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import BadOption, MissingInput, PartialFailure
from core.paths import Workspace
from core.progress import SILENT
from facelib.metadata import read_face, write_face
from mainscripts.util import UtilOptions, run

REPOSITORY = Path(__file__).parent.parent.parent
FACE = REPOSITORY / "tests" / "data" / "formats" / "face_1.jpg"


@pytest.fixture
def faces(odd_folder: Path) -> Path:
    """Three faces, out of order in the alphabet."""
    for name in ("10_0.jpg", "9_0.jpg", "11_0.JPG"):
        shutil.copyfile(FACE, odd_folder / name)
    return odd_folder


def print_metadata(folder: Path) -> int:
    return run(Workspace(folder), UtilOptions(input_dir=folder, print_metadata=True), SILENT).faces


def test_every_face_is_one_line_with_every_field(faces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_metadata(faces) == 3
    out, err = capsys.readouterr()
    assert err == ""
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["file"] for line in lines] == ["9_0.jpg", "10_0.jpg", "11_0.JPG"]
    for line in lines:
        assert set(line) == {
            *("file", "schema", "face_type", "landmarks", "frame_name", "frame_bbox", "frame_landmarks"),
            *("frame_to_face", "brow_lift", "polygons", "mask_size", "detector", "note"),
        }
        assert line["face_type"] == "whole_face"
        assert line["landmarks"][30] == pytest.approx([63.85946, 66.78332], abs=1e-4)
        assert line["frame_name"] == "工作 空间 00042.png"
        assert line["mask_size"] == [64, 64]
        assert line["polygons"][1]["include"] is False
        assert len(line["frame_landmarks"]) == 68
        assert len(line["frame_to_face"]) == 2


def test_a_face_without_mask_has_none_and_foreign_keys_do_not_pose_as_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jpeg, face = read_face(FACE)
    face = dataclasses.replace(face, xseg_mask=None, extra={"file": "x", "mask_size": [1, 2]})
    write_face(tmp_path / "1_0.jpg", jpeg, face)
    print_metadata(tmp_path)
    line = json.loads(capsys.readouterr().out)
    assert line["mask_size"] is None
    assert line["file"] == "1_0.jpg"


def test_bad_files_are_named_when_met_and_at_the_end(faces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (faces / "1_empty.jpg").write_bytes(b"")
    (faces / "2_text.jpg").write_text("a text")
    (faces / "3_cut.jpg").write_bytes(FACE.read_bytes()[:3000])
    with pytest.raises(PartialFailure, match=r"3 of 6 files .*: 1_empty\.jpg, 2_text\.jpg, 3_cut\.jpg\."):
        print_metadata(faces)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert "1_empty.jpg: the file is empty" in err
    assert "2_text.jpg: this is not a JPEG file" in err
    assert "3_cut.jpg: the file is cut off" in err
    assert PartialFailure("", "").exit_code == 3


def test_many_bad_files_are_counted(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.jpg").write_bytes(b"")
    with pytest.raises(PartialFailure, match="and 10 more"):
        print_metadata(tmp_path)


def test_an_empty_or_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("no face")
    with pytest.raises(MissingInput, match="Extract faces first"):
        print_metadata(tmp_path)
    with pytest.raises(MissingInput):
        print_metadata(tmp_path / "nowhere")


def test_without_a_switch_there_is_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="--print-metadata"):
        run(Workspace(tmp_path), UtilOptions(input_dir=tmp_path), SILENT)


def test_several_switches_are_done_in_their_order(tmp_path: Path) -> None:
    """Records are saved before the faces are packed and put away, whatever order the switches were typed in."""
    folder = tmp_path / "faces"
    folder.mkdir()
    shutil.copyfile(FACE, folder / "1_0.jpg")
    options = UtilOptions.of(
        input_dir=folder, pack_faceset=True, delete_originals=True, save_faceset_metadata=True, export_faceset_mask=True
    )
    assert run(Workspace(tmp_path), options, SILENT).faces == 1
    assert {p.name for p in folder.iterdir()} == {"faceset.h5", "faceset_metadata.jsonl"}
    assert [p.name for p in (tmp_path / "faces_mask").iterdir()] == ["1_0_mask.png"]


def test_standard_output_of_the_command_is_json_and_nothing_else(faces: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "main.py"), "util", "--input-dir", str(faces), "--print-metadata"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == ["9_0.jpg", "10_0.jpg", "11_0.JPG"]
