"""Settings in files, and presets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import BadOption, BrokenFile, MissingInput
from merger.presets import Presets, check_settings, read_settings, write_settings
from merger.settings import COLOR_TRANSFERS, MASK_MODES, MODES, MergeSettings


def test_a_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "look.json"
    path.write_text(json.dumps({"mode": 5, "mask_mode": "3", "erode_mask": -7}))
    assert read_settings(path) == {"mode": "raw-rgb", "mask_mode": "learned-dst", "erode_mask": -7}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("{", BrokenFile, "not JSON"),
        ("[1]", BrokenFile, "one JSON object"),
        ('{"mask": 1}', BadOption, "Received: mask"),
        ('{"blur_mask": 999}', BadOption, "Received: 999"),
        ('{"blur_mask": true}', BadOption, "Received: True"),
        ('{"mask_mode": 10}', BadOption, "Received: 10"),
    ],
)
def test_a_bad_settings_file_is_refused_in_words(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    path = tmp_path / "look.json"
    path.write_text(text)
    with pytest.raises(error, match=words):
        read_settings(path)


def test_a_missing_settings_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"none\.json"):
        read_settings(tmp_path / "none.json")


def test_every_mask_mode_word_survives_a_file() -> None:
    for word in MASK_MODES:
        assert check_settings({"mask_mode": word}) == {"mask_mode": word}


@pytest.mark.parametrize(
    ("name", "words"), [("mode", MODES), ("mask_mode", MASK_MODES), ("color_transfer", COLOR_TRANSFERS)]
)
def test_every_word_and_number_survives_a_file(name: str, words: dict[str, object]) -> None:
    for number, word in enumerate(words):
        assert check_settings({name: word}) == check_settings({name: number}) == {name: word}


def test_names_of_older_tools_are_understood() -> None:
    given = {"erode_mask_modifier": 4, "blur_mask_modifier": 5, "color_transfer_mode": 8, "masked_hist_match": False}
    expected = {"erode_mask": 4, "blur_mask": 5, "color_transfer": "mix-m", "masked_hist_match": False}
    assert check_settings(given) == expected


def test_all_settings_survive_writing_and_reading(odd_folder: Path) -> None:
    settings = MergeSettings.of(mode="seamless", erode_mask=-7, morph_factor=0.25, compat="dfl")
    write_settings(odd_folder / "deep" / "look.json", vars(settings))
    assert MergeSettings.of(**read_settings(odd_folder / "deep" / "look.json")) == settings


def test_presets_are_saved_listed_and_applied(odd_folder: Path) -> None:
    presets = Presets(odd_folder / "presets")
    assert presets.names() == []
    presets.save("look 10", {"mode": "seamless", "blur_mask": 30})
    presets.save("look 9", {"blur_mask": 1})
    presets.save("look 9", {"blur_mask": 2})
    (presets.folder / "notes.txt").write_text("not a preset")
    assert presets.names() == ["look 9", "look 10"]
    now = MergeSettings.of(erode_mask=5, blur_mask=9)
    applied = presets.apply("look 10", now)
    assert applied == MergeSettings.of(mode="seamless", erode_mask=5, blur_mask=30)
    assert now == MergeSettings.of(erode_mask=5, blur_mask=9)


def test_a_preset_that_is_not_there(tmp_path: Path) -> None:
    presets = Presets(tmp_path)
    with pytest.raises(MissingInput, match="Save one first"):
        presets.read("dusk")
    presets.save("dawn", {})
    with pytest.raises(MissingInput, match=r"Received: dusk\. There are: dawn"):
        presets.read("dusk")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", ".x", "x.", 'a"b', "a\nb", "w" * 81])
def test_names_that_cannot_be_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadOption, match="A preset cannot have this name"):
        Presets(tmp_path).path(name)


def test_a_bad_setting_is_never_saved(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="Received: 9000"):
        Presets(tmp_path).save("x", {"blur_mask": 9000})
    assert Presets(tmp_path).names() == []
