"""Merger sessions of an older tool: true ones give their settings, hostile ones nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import BrokenFile, MissingInput
from core.legacy_writer import encode
from merger.legacy_session import read_legacy_session

MODES = ["none", "rct", "lct", "mkl", "mkl-m", "idt", "idt-m", "sot-m", "mix-m"]
SHARPEN = ["none", "box", "gaussian"]
MASKS = ["full", "dst", "learned-prd", "learned-dst", "learned-prd*learned-dst", "learned-prd+learned-dst"]


@pytest.fixture
def sessions(shared_data: Path) -> Path:
    folder = shared_data / "dfl"
    if not (folder / "session").is_dir():
        pytest.skip("the sessions of the older tool are not here")
    return folder


@pytest.mark.parametrize("system", ["posix", "windows"])
def test_true_sessions_give_what_their_tool_wrote(sessions: Path, system: str) -> None:
    truth = json.loads((sessions / "truth" / f"session_{system}.json").read_text())
    session = read_legacy_session(sessions / "session" / system / "dfud_SAEHD_merger_session.dat")
    assert session.iteration == truth["model_iter"] == 20
    assert [frame.name for frame in session.frames] == [frame["path_parts"][-1] for frame in truth["frames"]]
    for frame, expected in zip(session.frames, truth["frames"], strict=True):
        if expected["cfg"] is None:
            assert frame.settings is None
            continue
        values = expected["cfg"]["values"]
        assert frame.settings == {
            "mode": values["mode"],
            "masked_hist_match": values["masked_hist_match"],
            "hist_match_threshold": values["hist_match_threshold"],
            "mask_mode": MASKS[values["mask_mode"]],
            "erode_mask": values["erode_mask_modifier"],
            "blur_mask": values["blur_mask_modifier"],
            "motion_blur_power": values["motion_blur_power"],
            "output_face_scale": values["output_face_scale"],
            "super_resolution_power": values["super_resolution_power"],
            "color_transfer": MODES[values["color_transfer_mode"]],
            "sharpen_mode": SHARPEN[values["sharpen_mode"]],
            "blursharpen_amount": values["blursharpen_amount"],
            "image_denoise_power": values["image_denoise_power"],
            "bicubic_degrade_power": values["bicubic_degrade_power"],
            "color_degrade_power": values["color_degrade_power"],
        }
    assert session.distinct_settings == 3


@pytest.mark.parametrize("attack", ["reduce", "getattr_other_name", "getattr_dunder"])
def test_hostile_sessions_are_refused_with_a_sentence(sessions: Path, attack: str) -> None:
    marker = Path("/tmp/pwned")
    assert not marker.exists()
    with pytest.raises(BrokenFile, match="is refused"):
        read_legacy_session(sessions / "hostile" / "session" / attack / "evil_SAEHD_merger_session.dat")
    assert not marker.exists()


def test_of_a_path_only_the_file_name_is_used(sessions: Path) -> None:
    session = read_legacy_session(sessions / "hostile/session/path_traversal/evil_SAEHD_merger_session.dat")
    assert [frame.name for frame in session.frames] == ["pwned"]


def test_a_session_cut_anywhere_is_refused(sessions: Path, tmp_path: Path) -> None:
    whole = (sessions / "session/posix/dfud_SAEHD_merger_session.dat").read_bytes()
    path = tmp_path / "cut.dat"
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenFile):
            read_legacy_session(path)


def test_impossible_settings_are_named(sessions: Path, tmp_path: Path) -> None:
    whole = (sessions / "session/posix/dfud_SAEHD_merger_session.dat").read_bytes()
    path = tmp_path / "far.dat"
    at = whole.index(b"hist_match_threshold") + len("hist_match_threshold")
    assert whole[at : at + 4] == b"qCK\xee" or whole[at + 2] == ord("K")
    path.write_bytes(whole[:at] + whole[at : at + 2] + b"M\xee\xff" + whole[at + 4 :])
    with pytest.raises(BrokenFile, match="impossible value"):
        read_legacy_session(path)


@pytest.mark.parametrize(
    "value", [[], {"frames": [], "model_iter": "20"}, {"frames": [1], "model_iter": 2}, {"model_iter": 2}]
)
def test_streams_of_something_else_are_no_sessions(value: object, tmp_path: Path) -> None:
    path = tmp_path / "other.dat"
    path.write_bytes(encode(value))
    with pytest.raises(BrokenFile, match="refused"):
        read_legacy_session(path)


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInput):
        read_legacy_session(tmp_path / "none.dat")
