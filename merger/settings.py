"""The knobs of merging, each declared once: prompt, flag, settings file, preset, render key and row in docs/ come from
here.

The order is the order of DFL's questions (spec merging 4.4), ranges and defaults are those of its merger in the window
(4.2), where a face begins with colors and a mask that fit; its questions alone begin with neither. DFL's numbers are
accepted beside the words. Files and presets of settings are merger/presets.py.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from core.filters import SHARPEN_MODES
from core.options import Options, option


def numbered(*words: str) -> dict[str, tuple[str, ...]]:
    """Choices that may be typed by their number, as in DFL."""
    return {word: (str(number),) for number, word in enumerate(words)}


MODES = numbered("original", "overlay", "hist-match", "seamless", "seamless-hist-match", "raw-rgb", "raw-predict")
"""What becomes of the predicted face. Source: spec merging 3.6."""

MASK_MODES = numbered(
    "full",
    "dst",
    "learned-prd",
    "learned-dst",
    "learned-prd*learned-dst",
    "learned-prd+learned-dst",
    "XSeg-prd",
    "XSeg-dst",
    "XSeg-prd*XSeg-dst",
    "learned-prd*learned-dst*XSeg-prd*XSeg-dst",
)
"""Where the face goes. Source: spec merging 3.4."""

COLOR_TRANSFERS = numbered("none", "rct", "lct", "mkl", "mkl-m", "idt", "idt-m", "sot-m", "mix-m")
"""How the new face takes the colors of the old one. Source: spec merging 3.6c."""

COMPATIBILITIES = ("none", "dfl")

_STEADY_COLORS = ("stabilize_colors", "stabilize_seamless")
_BLENDING = (*_STEADY_COLORS, "color_transfer", "motion_blur_power", "sharpen_mode", "blursharpen_amount")
_SOFTENING = ("image_denoise_power", "bicubic_degrade_power", "color_degrade_power")
_SHAPING = ("erode_mask", "blur_mask")
_UPSCALING = ("super_resolution_power", "sr_range")
IGNORED = {
    "original": (*_BLENDING, *_SOFTENING, *_UPSCALING),
    "overlay": ("stabilize_seamless",),
    "hist-match": ("stabilize_seamless",),
    "seamless": ("stabilize_colors",),
    "seamless-hist-match": ("stabilize_colors",),
    "raw-rgb": (*_BLENDING, *_SOFTENING, *_SHAPING),
    "raw-predict": (*_BLENDING, *_SOFTENING, *_SHAPING, "output_face_scale"),
}
"""Settings a mode passes over. Source: spec merging 3.11."""

WHOLE_FRAME = ("image_denoise_power", "bicubic_degrade_power", "color_degrade_power", "compat")
"""What is done to a frame as a whole: faces of one frame may differ in everything else. The frame is softened where any
of its faces has a mode that softens it. Mode raw-predict makes a square of the frame, so it is not one face's either.
"""


def _is_blended(settings: MergeSettings) -> bool:
    return not settings.mode.startswith("raw")


def _matches_histograms(settings: MergeSettings) -> bool:
    return "hist-match" in settings.mode


def _can_morph(settings: Any) -> bool:
    """AMP is the class of models whose answer can be morphed; only a command knows the class."""
    return getattr(settings, "model", "") == "AMP"


@dataclass(kw_only=True)
class MergeSettings(Options):
    """How one frame is merged. Plain values; treated as immutable."""

    morph_factor: float = option(
        1.0,
        "Morph factor",
        low=0.0,
        high=1.0,
        when=_can_morph,
        help="For AMP models: 1 is all src, 0 all dst, between them both.",
    )
    mode: str = option(
        "overlay",
        "Mode",
        choices=MODES,
        help="original: the frame as it is, only the mask is written. overlay: the face is blended in through the mask."
        " hist-match: the same, and the face takes the old one's histogram. seamless: the face keeps its detail and"
        " takes its colors from around the mask. raw-rgb: the whole predicted square is pasted, for compositing by"
        " hand. raw-predict: the square alone.",
    )
    masked_hist_match: bool = option(
        True,
        "Masked hist match",
        when=lambda s: s.mode == "hist-match",
        help="Matches the histograms of what lies inside the mask only.",
    )
    hist_match_threshold: int = option(
        238,
        "Hist match threshold",
        low=0,
        high=255,
        when=_matches_histograms,
        help="255 matches fully; less keeps highlights down and makes the face darker.",
    )
    mask_mode: str = option(
        "learned-prd*learned-dst",
        "Mask mode",
        choices=MASK_MODES,
        help="dst: the outline of the landmarks. learned-prd, learned-dst: what the model learned of the new and of the"
        " old face; their product (*) keeps what both agree on, their sum (+) what either shows. XSeg-prd, XSeg-dst:"
        " what a trained XSeg model sees of them. full: the square.",
    )
    erode_mask: int = option(
        0,
        "Erode mask",
        low=-400,
        high=400,
        when=_is_blended,
        help="Above 0 shrinks the mask, below 0 grows it. In quarters of a model pixel, so relative to the face.",
    )
    blur_mask: int = option(
        0,
        "Blur mask",
        low=0,
        high=400,
        when=_is_blended,
        help="Softens the edge of the mask. In quarters of a model pixel, so relative to the face.",
    )
    motion_blur_power: int = option(
        0,
        "Motion blur power",
        low=0,
        high=100,
        when=_is_blended,
        help="Smears the face along its way: 100 as if the shutter were open from one frame to the next.",
    )
    output_face_scale: int = option(
        0,
        "Output face scale",
        low=-50,
        high=50,
        help="Above 0 makes the pasted face smaller (+50: two thirds), below 0 larger (-50: twice).",
    )
    color_transfer: str = option(
        "rct",
        "Color transfer to predicted face",
        choices=COLOR_TRANSFERS,
        when=_is_blended,
        help="How the new face takes the old one's colors. rct: mean and spread, inside the mask. lct, mkl: also how"
        " the channels vary together. idt, sot: the whole distribution of colors. mix: lightness and color apart."
        " -m: measured inside the mask.",
    )
    sharpen_mode: str = option(
        "none",
        "Sharpen mode",
        choices=numbered(*SHARPEN_MODES),
        help="How an amount above 0 sharpens the face: against a box, or more gently against a Gaussian.",
    )
    blursharpen_amount: int = option(
        0,
        "Blur or sharpen amount",
        low=-100,
        high=100,
        when=lambda s: s.sharpen_mode != "none",
        help="Above 0 sharpens the face, below 0 softens it.",
    )
    super_resolution_power: int = option(
        0,
        "Super resolution power",
        low=0,
        high=100,
        help="How much detail the face enhancer adds, at four times the model's resolution. Needs its weights.",
    )
    image_denoise_power: int = option(
        0,
        "Degrade by denoise power",
        low=0,
        high=500,
        when=_is_blended,
        help="Takes grain and detail out of the frame around the face, to match a soft face.",
    )
    bicubic_degrade_power: int = option(
        0,
        "Degrade by bicubic rescale power",
        low=0,
        high=100,
        when=_is_blended,
        help="Makes the frame around the face as soft as a smaller picture.",
    )
    color_degrade_power: int = option(
        0,
        "Degrade color power of final image",
        low=0,
        high=100,
        when=_is_blended,
        help="Mixes the finished frame with itself in 256 colors.",
    )
    sr_range: str = option(
        "dfl",
        "Super resolution range",
        choices=("dfl", "correct"),
        ask=False,
        help="The values the face enhancer is shown: dfl, those that powers in tutorials assume; correct, those it was"
        " trained on.",
    )
    stabilize_landmarks: int = option(
        30,
        "Stabilize landmarks",
        low=0,
        high=100,
        ask=False,
        help="Takes the trembling out of where the face is put, over the frames around. 0: every frame for itself.",
    )
    stabilize_colors: int = option(
        50,
        "Stabilize colors",
        low=0,
        high=100,
        ask=False,
        help="Takes flicker out of the face's colors; they still follow the light of the shot. Not in seamless modes.",
    )
    stabilize_seamless: int = option(
        50,
        "Stabilize seamless",
        low=0,
        high=100,
        ask=False,
        help="In seamless modes: keeps what changes around the mask from flickering over the whole face.",
    )
    stabilize_mask: int = option(
        20,
        "Stabilize mask",
        low=0,
        high=100,
        ask=False,
        help="Calms the edge of the mask; it moves by 2 model pixels at most.",
    )
    compat: str = option(
        "none",
        "Compatible with",
        choices=COMPATIBILITIES,
        ask=False,
        help="dfl: the pixels of older merges, their faults included, for shots that were begun there.",
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
    def is_classical(self) -> bool:
        """Whether the pixels of older merges are wanted."""
        return self.compat == "dfl"

    @property
    def is_seamless(self) -> bool:
        """Whether the face is cloned by its gradients."""
        return self.mode.startswith("seamless")

    @property
    def needs_prediction(self) -> bool:
        """Whether any network has to be asked at all."""
        return self.mode != "original" or self.mask_mode not in ("full", "dst")

    @property
    def segments_new_face(self) -> bool:
        """Whether XSeg is asked about the predicted face."""
        return "XSeg-prd" in self.mask_mode

    @property
    def segments_old_face(self) -> bool:
        """Whether XSeg is asked about the face in the frame."""
        return "XSeg-dst" in self.mask_mode

    @property
    def enhances(self) -> bool:
        """Whether the face enhancer is asked; classically also where only the mask is wanted, which it changes."""
        return self.super_resolution_power > 0 and (self.mode != "original" or self.is_classical)

    @property
    def softens_frame(self) -> bool:
        """Whether pixels outside the mask change, too."""
        softening = (self.image_denoise_power, self.bicubic_degrade_power, self.color_degrade_power)
        return any(softening) and "color_degrade_power" not in IGNORED[self.mode]

    @property
    def landmark_strength(self) -> int:
        """How much landmarks are steadied, 0..100."""
        return 0 if self.is_classical else self.stabilize_landmarks

    @property
    def color_strength(self) -> int:
        """How much the face's colors are steadied, 0..100."""
        return 0 if self.is_classical or "stabilize_colors" in IGNORED[self.mode] else self.stabilize_colors

    @property
    def seamless_strength(self) -> int:
        """How much a cloned face is steadied, 0..100."""
        return 0 if self.is_classical or not self.is_seamless else self.stabilize_seamless

    @property
    def mask_strength(self) -> int:
        """How much the mask is steadied, 0..100."""
        return 0 if self.is_classical or self.mask_mode == "full" else self.stabilize_mask

    @property
    def looks_around(self) -> bool:
        """Whether pixels of the frames around are needed, too."""
        return bool(self.color_strength or self.seamless_strength or self.mask_strength)

    def effective(self) -> dict[str, Any]:
        """The values that reach the picture: what has no effect is left out, so that changing it renders nothing."""
        ignored = set(IGNORED[self.mode])
        if self.mode != "hist-match":
            ignored.add("masked_hist_match")
        if not _matches_histograms(self):
            ignored.add("hist_match_threshold")
        if self.blursharpen_amount <= 0:
            ignored.add("sharpen_mode")
        if self.is_classical:
            ignored -= set(_UPSCALING)
        if self.super_resolution_power == 0:
            ignored.add("sr_range")
        if not self.needs_prediction:
            ignored.add("morph_factor")
        ignored.add("stabilize_landmarks")  # the landmarks themselves are part of what a frame depends on
        if not self.color_strength:
            ignored.add("stabilize_colors")
        if not self.seamless_strength:
            ignored.add("stabilize_seamless")
        if not self.mask_strength:
            ignored.add("stabilize_mask")
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(MergeSettings)}
        return {name: value for name, value in values.items() if name not in ignored}
