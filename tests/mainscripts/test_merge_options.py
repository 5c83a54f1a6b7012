"""What merge can be told, and the folders it comes to."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.errors import BadOption
from core.options import resolve, specs
from core.paths import Workspace
from mainscripts.merge_options import Folders, MergeOptions, workers_by_default


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


def test_workers_leave_a_core_to_the_model() -> None:
    assert 1 <= workers_by_default() <= (os.cpu_count() or 1)
