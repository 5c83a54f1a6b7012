"""The knobs of merging: words, DFL's numbers, ranges, defaults, questions, and what has an effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import BadOption
from core.options import Options, OptionSpec, parse_value, resolve, specs
from merger.settings import MergeSettings

SPECS = {spec.name: spec for spec in specs(MergeSettings)}


def test_defaults_are_those_of_the_classical_window() -> None:
    """overlay, what both learned masks agree on, rct, threshold 238 (spec merging 4.2; its questions, 4.4, differ)."""
    values = vars(MergeSettings.of())
    words = {name: value for name, value in values.items() if isinstance(value, str)}
    assert words == {
        "mode": "overlay",
        "mask_mode": "learned-prd*learned-dst",
        "color_transfer": "rct",
        "sharpen_mode": "none",
        "sr_range": "dfl",
        "compat": "none",
    }
    others = {name: value for name, value in values.items() if name not in words and value != 0}
    stabilizers = {name: value for name, value in others.items() if name.startswith("stabilize")}
    assert stabilizers == {
        "stabilize_landmarks": 30,
        "stabilize_colors": 50,
        "stabilize_seamless": 50,
        "stabilize_mask": 20,
    }
    others = {name: value for name, value in others.items() if name not in stabilizers}
    assert others == {"morph_factor": 1.0, "masked_hist_match": True, "hist_match_threshold": 238}


def test_the_order_is_that_of_the_classical_questions() -> None:
    order = """
        mode masked_hist_match hist_match_threshold mask_mode erode_mask blur_mask motion_blur_power output_face_scale
        color_transfer sharpen_mode blursharpen_amount super_resolution_power image_denoise_power bicubic_degrade_power
        color_degrade_power"""
    asked = [spec.name for spec in specs(MergeSettings) if spec.ask]
    assert asked == ["morph_factor", *order.split()]


class Asked:
    """Answers every question with its default, or as told; remembers what was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.names = answers, list[str]()

    def ask(self, spec: OptionSpec, default: Any) -> Any:
        self.names.append(spec.name)
        return self.answers.get(spec.name, default)


@pytest.mark.parametrize(
    ("answers", "left_out"),
    [
        ({}, {"masked_hist_match", "hist_match_threshold", "blursharpen_amount"}),
        ({"mode": "hist-match", "sharpen_mode": "box"}, set()),
        ({"mode": "seamless-hist-match"}, {"masked_hist_match", "blursharpen_amount"}),
        (
            {"mode": "raw-rgb"},
            {
                *("masked_hist_match", "hist_match_threshold", "erode_mask", "blur_mask", "motion_blur_power"),
                *("color_transfer", "blursharpen_amount", "image_denoise_power", "bicubic_degrade_power"),
                "color_degrade_power",
            },
        ),
    ],
)
def test_only_what_matters_is_asked(answers: dict[str, Any], left_out: set[str]) -> None:
    """Source: spec merging 4.4. The morph factor is a question of AMP models."""
    asker = Asked(**answers)
    resolve(MergeSettings, {}, asker=asker)
    assert set(asker.names) == {spec.name for spec in specs(MergeSettings) if spec.ask} - left_out - {"morph_factor"}


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("mode", "0", "original"),
        ("mode", "1", "overlay"),
        ("mode", "2", "hist-match"),
        ("mode", "3", "seamless"),
        ("mode", "4", "seamless-hist-match"),
        ("mode", "6", "raw-predict"),
        ("mode", "5", "raw-rgb"),
        ("mode", "RAW-RGB", "raw-rgb"),
        ("mask_mode", "0", "full"),
        ("mask_mode", "1", "dst"),
        ("mask_mode", "2", "learned-prd"),
        ("mask_mode", "3", "learned-dst"),
        ("mask_mode", "4", "learned-prd*learned-dst"),
        ("mask_mode", "5", "learned-prd+learned-dst"),
        ("mask_mode", "learned-prd+learned-dst", "learned-prd+learned-dst"),
        ("mask_mode", "6", "XSeg-prd"),
        ("mask_mode", "7", "XSeg-dst"),
        ("mask_mode", "8", "XSeg-prd*XSeg-dst"),
        ("mask_mode", "9", "learned-prd*learned-dst*XSeg-prd*XSeg-dst"),
        ("color_transfer", "0", "none"),
        *(
            ("color_transfer", str(n), word)
            for n, word in enumerate(["none", "rct", "lct", "mkl", "mkl-m", "idt", "idt-m", "sot-m", "mix-m"])
        ),
        ("sharpen_mode", "2", "gaussian"),
        ("image_denoise_power", "500", 500),
        ("hist_match_threshold", "0", 0),
        ("blursharpen_amount", "-100", -100),
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
        ("mode", "7"),
        ("mask_mode", "10"),
        ("color_transfer", "9"),
        ("color_transfer", "sot"),  # only measured inside the mask
        ("image_denoise_power", "501"),
        ("morph_factor", "1.1"),
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
    shown = "0:original/1:overlay/2:hist-match/3:seamless/4:seamless-hist-match/5:raw-rgb/6:raw-predict"
    assert SPECS["mode"].range_text == shown


def test_face_scale_has_the_classical_sign() -> None:
    assert MergeSettings.of(output_face_scale=50).paste_scale == pytest.approx(1.5)
    assert MergeSettings.of(output_face_scale=-50).paste_scale == pytest.approx(0.5)


SAMPLES: dict[str, Any] = {
    "mask_mode": "full",
    "erode_mask": 3,
    "blur_mask": 3,
    "motion_blur_power": 3,
    "output_face_scale": 3,
    "color_transfer": "none",
    "blursharpen_amount": -3,
    "super_resolution_power": 3,
    "image_denoise_power": 3,
    "bicubic_degrade_power": 3,
    "color_degrade_power": 3,
    "masked_hist_match": False,
    "hist_match_threshold": 3,
    "stabilize_colors": 3,
    "stabilize_seamless": 3,
    "stabilize_mask": 3,
}
EVERYWHERE = {"mask_mode", "output_face_scale", "stabilize_mask"}
CLONED = {*SAMPLES} - {"masked_hist_match", "hist_match_threshold", "stabilize_colors"}
PASTED = (CLONED | {"stabilize_colors"}) - {"stabilize_seamless"}


@pytest.mark.parametrize(
    ("mode", "counts"),
    [
        ("original", EVERYWHERE | {"erode_mask", "blur_mask"}),
        ("overlay", PASTED),
        ("hist-match", PASTED | {"masked_hist_match", "hist_match_threshold"}),
        ("seamless", CLONED),
        ("seamless-hist-match", CLONED | {"hist_match_threshold"}),
        ("raw-rgb", EVERYWHERE | {"super_resolution_power"}),
        ("raw-predict", {"mask_mode", "super_resolution_power", "stabilize_mask"}),
    ],
)
def test_only_what_reaches_the_picture_is_effective(mode: str, counts: set[str]) -> None:
    """The table of spec merging 3.11."""
    plain = MergeSettings.of(mode=mode).effective()
    found = {
        name for name, value in SAMPLES.items() if MergeSettings.of(mode=mode, **{name: value}).effective() != plain
    }
    assert found == counts


def test_details_of_what_is_not_done_have_no_effect() -> None:
    assert MergeSettings.of(sharpen_mode="box").effective() == MergeSettings.of().effective()
    assert MergeSettings.of(sr_range="correct").effective() == MergeSettings.of().effective()
    sharp, enhanced = {"blursharpen_amount": 5}, {"super_resolution_power": 5}
    assert MergeSettings.of(sharpen_mode="box", **sharp).effective() != MergeSettings.of(**sharp).effective()
    assert MergeSettings.of(sr_range="correct", **enhanced).effective() != MergeSettings.of(**enhanced).effective()


@pytest.mark.parametrize(
    ("given", "strengths"),
    [
        ({}, (30, 50, 0, 20)),
        ({"mode": "seamless"}, (30, 0, 50, 20)),
        ({"mode": "raw-rgb"}, (30, 0, 0, 20)),
        ({"mode": "original", "mask_mode": "full"}, (30, 0, 0, 0)),
        ({"compat": "dfl"}, (0, 0, 0, 0)),
        ({"compat": "dfl", "mode": "seamless"}, (0, 0, 0, 0)),
    ],
)
def test_what_is_steadied(given: dict[str, Any], strengths: tuple[int, ...]) -> None:
    """Older merges knew no frame but their own."""
    settings = MergeSettings.of(**given)
    found = (settings.landmark_strength, settings.color_strength, settings.seamless_strength, settings.mask_strength)
    assert found == strengths
    assert settings.looks_around == any(strengths[1:])
    # Steadied landmarks are part of what a frame depends on; how they came about is not.
    assert MergeSettings.of(**given, stabilize_landmarks=1).effective() == settings.effective()


@pytest.mark.parametrize(
    ("given", "asked", "segments"),
    [
        ({}, True, (False, False)),
        ({"mode": "original"}, True, (False, False)),
        ({"mode": "original", "mask_mode": "dst"}, False, (False, False)),
        ({"mode": "original", "mask_mode": "learned-dst"}, True, (False, False)),
        ({"mask_mode": "XSeg-prd"}, True, (True, False)),
        ({"mask_mode": "9"}, True, (True, True)),
    ],
)
def test_which_networks_are_needed(given: dict[str, Any], asked: bool, segments: tuple[bool, bool]) -> None:
    settings = MergeSettings.of(**given)
    assert settings.needs_prediction == asked
    assert (settings.segments_new_face, settings.segments_old_face) == segments


def test_the_frame_is_softened_only_where_faces_are_blended() -> None:
    assert MergeSettings.of(image_denoise_power=1).softens_frame
    assert not MergeSettings.of(image_denoise_power=1, mode="raw-rgb").softens_frame
    assert not MergeSettings.of(blur_mask=5).softens_frame


def test_settings_are_taken_out_of_a_commands_options() -> None:
    from mainscripts.merge_options import MergeOptions

    assert issubclass(MergeOptions, Options)
    folders = dict.fromkeys(("input_dir", "output_dir", "output_mask_dir", "aligned_dir", "model_dir"), Path("x"))
    options = MergeOptions.of(**folders, model="Quick96", blur_mask=9, model_name="a")
    part = MergeSettings.part_of(options)
    assert type(part) is MergeSettings
    assert part == MergeSettings.of(blur_mask=9)
