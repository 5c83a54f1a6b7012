"""What merge can be told, and the folders it comes to."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.errors import BadOption
from core.options import resolve, specs
from core.paths import Workspace
from mainscripts.merge_options import Folders, MergeOptions, settings_without_use, workers_by_default


def test_flags_are_spelled_as_users_know_them() -> None:
    flags = {spec.name: spec.flag for spec in specs(MergeOptions)}
    assert (flags["frame_range"], flags["frame_list"], flags["faces"]) == ("range", "frames", "faces")
    assert len(set(flags.values())) == len(flags)


def test_folders_are_those_of_the_workspace_unless_named(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    options = resolve(MergeOptions, {"output_dir": tmp_path / "elsewhere"})
    folders = Folders.of(options, place)
    assert folders.merged == tmp_path / "elsewhere"
    assert (folders.frames, folders.faces) == (place.data_dst, place.data_dst_aligned)
    assert (folders.masks, folders.models) == (place.data_dst_merged_mask, place.model)
    folders.check()


def test_two_folders_that_are_one_are_refused(tmp_path: Path) -> None:
    options = resolve(MergeOptions, {"output_dir": tmp_path / "a", "output_mask_dir": tmp_path / "b" / ".." / "a"})
    with pytest.raises(BadOption, match="--output-dir and --output-mask-dir must be different"):
        Folders.of(options, Workspace(tmp_path)).check()


def test_a_settings_file_goes_before_the_defaults_and_flags_before_it(tmp_path: Path) -> None:
    path = tmp_path / "look.json"
    path.write_text(json.dumps({"mask_mode": 3, "blur_mask": 20}))
    options = resolve(MergeOptions, {"settings": path, "blur_mask": 7})
    assert (options.mask_mode, options.blur_mask, options.erode_mask) == ("learned-dst", 7, 0)
    path.write_text('{"mask": 1}')
    with pytest.raises(BadOption, match="Received: mask"):
        resolve(MergeOptions, {"settings": path})


def test_choices_that_exclude_each_other_are_refused() -> None:
    for given, words in (
        ({"restart": True, "older_frames": "keep"}, "--restart and --older-frames keep"),
        ({"force_model_name": "one", "model_name": "two"}, "--force-model-name one and --model-name two"),
    ):
        with pytest.raises(BadOption, match=f"Received: {words}. Leave one of them out"):
            resolve(MergeOptions, given)
        for name, value in given.items():
            assert getattr(resolve(MergeOptions, {name: value}), name) == value
    assert resolve(MergeOptions, {"restart": False, "older_frames": "keep"}).older_frames == "keep"


@pytest.mark.parametrize(
    ("given", "unused"),
    [
        ({}, []),
        ({"mode": "seamless", "color_transfer": "lct", "stabilize_seamless": 10}, []),
        ({"mode": "overlay", "hist_match_threshold": 9}, ["--hist-match-threshold 9"]),
        ({"mode": "overlay", "stabilize_seamless": 10}, ["--stabilize-seamless 10"]),
        ({"mode": "overlay", "stabilize_seamless": 0}, []),
        ({"mode": "raw-rgb", "erode_mask": 5, "color_transfer": "lct"}, ["--erode-mask 5", "--color-transfer lct"]),
        ({"mode": "raw-predict", "output_face_scale": 5}, ["--output-face-scale 5"]),
        ({"blursharpen_amount": 5}, ["--blursharpen-amount 5"]),
        ({"blursharpen_amount": 5, "sharpen_mode": "box"}, []),
        ({"sr_range": "correct"}, ["--sr-range correct"]),
        ({"sr_range": "correct", "super_resolution_power": 10}, []),
        ({"mode": "hist-match", "masked_hist_match": False}, []),
        ({"mode": "seamless-hist-match", "masked_hist_match": False}, ["--masked-hist-match n"]),
    ],
)
def test_settings_that_are_passed_over_are_known(given: dict[str, object], unused: list[str]) -> None:
    assert settings_without_use(resolve(MergeOptions, given)) == unused


def test_workers_leave_a_core_to_the_model() -> None:
    assert 1 <= workers_by_default() <= (os.cpu_count() or 1)
