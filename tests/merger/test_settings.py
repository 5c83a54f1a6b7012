"""The knobs of merging: words, DFL's numbers, ranges, defaults, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadOption, BrokenFile, MissingInput
from core.options import Options, parse_value, specs
from merger.settings import MASK_MODES, MergeSettings, check_settings, read_settings

SPECS = {spec.name: spec for spec in specs(MergeSettings)}


def test_defaults_are_those_of_the_classical_questions() -> None:
    """Without a person at the keyboard: overlay, landmark mask, no color transfer (spec merging 4.4)."""
    assert vars(MergeSettings.of()) == {
        "mode": "overlay",
        "mask_mode": "dst",
        "erode_mask": 0,
        "blur_mask": 0,
        "output_face_scale": 0,
        "color_transfer": "none",
    }


def test_the_order_is_that_of_the_classical_questions() -> None:
    order = ["mode", "mask_mode", "erode_mask", "blur_mask", "output_face_scale", "color_transfer"]
    assert [spec.name for spec in specs(MergeSettings)] == order


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("mode", "0", "original"),
        ("mode", "1", "overlay"),
        ("mode", "5", "raw-rgb"),
        ("mode", "RAW-RGB", "raw-rgb"),
        ("mask_mode", "0", "full"),
        ("mask_mode", "1", "dst"),
        ("mask_mode", "2", "learned-prd"),
        ("mask_mode", "3", "learned-dst"),
        ("mask_mode", "4", "learned-prd*learned-dst"),
        ("mask_mode", "5", "learned-prd+learned-dst"),
        ("mask_mode", "learned-prd+learned-dst", "learned-prd+learned-dst"),
        ("color_transfer", "0", "none"),
        ("color_transfer", "rct", "rct"),
        ("erode_mask", "-400", -400),
        ("blur_mask", "400", 400),
        ("output_face_scale", "-50", -50),
    ],
)
def test_words_and_numbers_are_accepted(name: str, typed: str, value: Any) -> None:
    assert parse_value(SPECS[name], typed) == value


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("mode", "2"),  # hist-match does not exist yet; 2 must not become the third word
        ("mode", "7"),
        ("mask_mode", "6"),
        ("color_transfer", "2"),
        ("erode_mask", "401"),
        ("blur_mask", "-1"),
        ("output_face_scale", "51"),
        ("erode_mask", "1.5"),
    ],
)
def test_anything_else_is_refused(name: str, typed: str) -> None:
    with pytest.raises(BadOption, match=rf"Received: {typed}\."):
        parse_value(SPECS[name], typed)


def test_the_prompt_shows_numbers_with_their_words() -> None:
    assert SPECS["mode"].range_text == "0:original/1:overlay/5:raw-rgb"


def test_face_scale_has_the_classical_sign() -> None:
    assert MergeSettings.of(output_face_scale=50).paste_scale == pytest.approx(1.5)
    assert MergeSettings.of(output_face_scale=-50).paste_scale == pytest.approx(0.5)


def test_only_what_reaches_the_picture_is_effective() -> None:
    plain, turned = MergeSettings.of(mode="raw-rgb"), MergeSettings.of(mode="raw-rgb")
    turned.erode_mask, turned.blur_mask, turned.color_transfer = 30, 30, "rct"
    assert plain.effective() == turned.effective()
    assert plain.effective() != MergeSettings.of(mode="raw-rgb", mask_mode="full").effective()
    for name, value in (("erode_mask", 3), ("blur_mask", 3), ("color_transfer", "rct"), ("output_face_scale", 3)):
        assert MergeSettings.of(**{name: value}).effective() != MergeSettings.of().effective()


def test_settings_are_taken_out_of_a_commands_options() -> None:
    from mainscripts.merge import MergeOptions

    assert issubclass(MergeOptions, Options)
    folders = dict.fromkeys(("input_dir", "output_dir", "output_mask_dir", "aligned_dir", "model_dir"), Path("x"))
    options = MergeOptions.of(**folders, model="Quick96", blur_mask=9, model_name="a")
    part = MergeSettings.part_of(options)
    assert type(part) is MergeSettings
    assert part == MergeSettings.of(blur_mask=9)


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
        ('{"mask_mode": 9}', BadOption, "Received: 9"),
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
