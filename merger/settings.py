"""The knobs of merging, each declared once: prompt, flag, settings file, render key and README row come from here.

The order is the order of DFL's questions, and so are the defaults (spec merging 4.4); DFL's numbers are accepted
beside the words.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from core.errors import BadOption, BrokenFile, MissingInput
from core.options import Options, check_value, option, specs

MODES = {"original": ("0",), "overlay": ("1",), "raw-rgb": ("5",)}
"""What becomes of the predicted face: nothing; blended in through the mask; the whole square pasted."""

MASK_MODES = {
    "full": ("0",),
    "dst": ("1",),
    "learned-prd": ("2",),
    "learned-dst": ("3",),
    "learned-prd*learned-dst": ("4",),
    "learned-prd+learned-dst": ("5",),
}
"""Where the face goes. Source: spec merging 3.4."""

COLOR_TRANSFERS = {"none": ("0",), "rct": ("1",)}
"""How the new face takes the colors of the old one."""


def _is_shaped(settings: MergeSettings) -> bool:
    return not settings.mode.startswith("raw")


@dataclass(kw_only=True)
class MergeSettings(Options):
    """How one frame is merged. Plain values; treated as immutable."""

    mode: str = option(
        "overlay",
        "Mode",
        choices=MODES,
        help="original: the frame as it is, only the mask is written. overlay: the face is blended in through the mask."
        " raw-rgb: the whole predicted square is pasted, for compositing by hand.",
    )
    mask_mode: str = option(
        "dst",
        "Mask mode",
        choices=MASK_MODES,
        help="dst: the outline of the landmarks. learned-prd, learned-dst: what the model learned of the new and of the"
        " old face; their product (*) keeps what both agree on, their sum (+) what either shows. full: the square.",
    )
    erode_mask: int = option(
        0,
        "Erode mask",
        low=-400,
        high=400,
        when=_is_shaped,
        help="Above 0 shrinks the mask, below 0 grows it. In quarters of a model pixel, so relative to the face.",
    )
    blur_mask: int = option(
        0,
        "Blur mask",
        low=0,
        high=400,
        when=_is_shaped,
        help="Softens the edge of the mask. In quarters of a model pixel, so relative to the face.",
    )
    output_face_scale: int = option(
        0,
        "Output face scale",
        low=-50,
        high=50,
        help="Above 0 makes the pasted face smaller (+50: two thirds), below 0 larger (-50: twice).",
    )
    color_transfer: str = option(
        "none",
        "Color transfer to predicted face",
        choices=COLOR_TRANSFERS,
        when=_is_shaped,
        help="rct gives the new face the mean and the spread of the old one's colors, measured inside the mask.",
    )

    @classmethod
    def part_of(cls, options: MergeSettings) -> Self:
        """The settings alone, out of a command's options that include them."""
        return cls(**{field.name: getattr(options, field.name) for field in dataclasses.fields(cls)})

    @property
    def paste_scale(self) -> float:
        """Zoom of the paste matrix: above 1 the face covers less of the frame. Source: spec merging 3.2."""
        return 1.0 + 0.01 * self.output_face_scale

    @property
    def needs_prediction(self) -> bool:
        """Whether the model has to be asked at all."""
        return self.mode != "original" or self.mask_mode.startswith("learned")

    def effective(self) -> dict[str, Any]:
        """The values that reach the picture: what a mode ignores is left out, so that changing it renders nothing."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(MergeSettings)}
        ignored = {"original": ("color_transfer",), "raw-rgb": ("erode_mask", "blur_mask", "color_transfer")}
        return {name: value for name, value in values.items() if name not in ignored.get(self.mode, ())}


def check_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Checks settings that come from a file: known names, accepted values; DFL's numbers become words.

    Raises:
        BadOption: an unknown name or a value outside its range.
    """
    known = {spec.name: spec for spec in specs(MergeSettings)}
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise BadOption(
                f"Merging has no setting of this name. Received: {name}.", f"Settings: {', '.join(sorted(known))}."
            )
        spec = known[name]
        is_number = isinstance(value, int) and not isinstance(value, bool)
        checked[name] = check_value(spec, str(value) if spec.choices and is_number else value)
    return checked


def read_settings(path: Path) -> dict[str, Any]:
    """Reads a settings file: one JSON object of setting names and values; settings not in it keep their defaults.

    Raises:
        MissingInput: no such file.
        BrokenFile: not JSON, or not an object.
        BadOption: an unknown setting or a bad value.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise MissingInput(f"The settings file {path} cannot be read ({problem.strerror}).") from problem
    except ValueError as problem:
        raise BrokenFile(path, f"this is not JSON ({problem}).", 'Write it as {"mask_mode": "dst", ...}.') from problem
    if not isinstance(values, dict):
        raise BrokenFile(path, "settings are one JSON object.", 'Write it as {"mask_mode": "dst", ...}.')
    return check_settings(values)
