"""The settings of a SAEHD model, under the names that users of the field know. Loads no neural framework.

Source: spec models 5.1. They are asked in this order; those marked `fixed` only when a model is made. The architecture
comes before the resolution, because it decides what the resolution must be a multiple of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from core.cards import installed_cards
from core.color import COLOR_TRANSFER_MODES
from core.errors import BadOption
from core.options import Options, option
from facelib.face_type import FaceType
from models.architecture import Architecture

RESOLUTIONS = (64, 640)
_ROOMY = 4 << 30  # bytes of graphics memory that a batch of eight wants


def _spelled(text: str, _: Any) -> str:
    """One spelling for one architecture: "LIAE-DU" is liae-ud."""
    return str(Architecture.parse(text))


def _on_grid(resolution: int, settled: Any) -> int:
    """The next lower multiple of 16, or of 32 with flags d and t."""
    step = Architecture.parse(settled.archi).resolution_step
    return resolution // step * step


def _even(dims: int, _: Any) -> int:
    return dims + dims % 2


def _only_with_df(power: float, settled: Any) -> float:
    if power and not settled.archi.startswith("df"):
        raise BadOption(
            f"True face is for the df architectures; this model is {settled.archi}. Received: {power:g}.",
            "Leave true_face_power at 0.",
        )
    return power


def _batch_size(_: Any) -> int:
    """Eight where every graphics card has room for it, else four."""
    cards = installed_cards()
    return 8 if cards and min(card.memory_bytes for card in cards) >= _ROOMY else 4


def _with_gan(settled: Any) -> bool:
    return bool(settled.gan_power > 0.0)


@dataclass(kw_only=True)
class SAEHDOptions(Options):
    """What a SAEHD model remembers of its user."""

    autobackup_hour: int = option(
        0, "Autobackup every N hours", low=0, high=24, help="24 backups are kept, 01 the newest. 0: none."
    )
    write_preview_history: bool = option(
        False, "Write preview history", help="Keeps previews of the same faces from iteration to iteration."
    )
    target_iter: int = option(
        0, "Target iteration", low=0, help="Training saves and stops there. 0: it goes on until you stop it."
    )
    random_src_flip: bool = option(
        False,
        "Flip src faces randomly",
        help="More views of the src face; its asymmetries, a parting or a mole, are lost.",
    )
    random_dst_flip: bool = option(
        True, "Flip dst faces randomly", help="More views of the dst face; helps where one profile is rare."
    )
    batch_size: int = option(
        _batch_size,
        "Batch size",
        low=1,
        high=256,
        help="Faces per side in one step. More makes steps slower and steadier, and takes more memory.",
    )
    archi: str = option(
        "liae-ud",
        "Architecture",
        rule=_spelled,
        fixed=True,
        help="df keeps the likeness of src; liae follows the light and shape of dst. Flags behind a hyphen, any of: "
        "u more likeness to src; d twice the resolution for the same cost; t finer likeness, slower; "
        "c another activation, experimental. Examples: df, liae-ud, df-udt.",
    )
    resolution: int = option(
        128,
        "Resolution",
        low=RESOLUTIONS[0],
        high=RESOLUTIONS[1],
        rule=_on_grid,
        fixed=True,
        help="Side of the square the network sees, in pixels; rounded down to a multiple of 16, with flags d and t of "
        "32. Time and memory grow with its square.",
    )
    face_type: str = option(
        "f",
        "Face type",
        choices={face_type.short_name: (face_type.value,) for face_type in FaceType},
        fixed=True,
        help="How much of the head is swapped: half, mid-full, full, whole face, head. Src must be extracted as large "
        "or larger; wf and head need masks from XSeg to be merged well.",
    )
    ae_dims: int = option(
        256,
        "Dimensions of the code",
        low=32,
        high=1024,
        fixed=True,
        help="How much of a face is remembered. More keeps more expressions apart, and takes more memory.",
    )
    e_dims: int = option(
        64,
        "Dimensions of the encoder",
        low=16,
        high=256,
        rule=_even,
        fixed=True,
        help="More recognizes more features and sharpens; even numbers.",
    )
    d_dims: int = option(
        64,
        "Dimensions of the decoder",
        low=16,
        high=256,
        rule=_even,
        fixed=True,
        help="More draws finer detail; even numbers.",
    )
    d_mask_dims: int = option(
        lambda settled: max(16, _even(settled.d_dims // 3, settled)),
        "Dimensions of the mask decoder",
        low=16,
        high=256,
        rule=_even,
        fixed=True,
        help="About a third of the decoder's; even numbers. More for masks of fine structures.",
    )
    masked_training: bool = option(
        True,
        "Masked training",
        when=lambda settled: settled.face_type in ("wf", "head"),
        help="Only what lies inside the mask is learned: the face is trained, not the background.",
    )
    eyes_mouth_prio: bool = option(
        False, "Priority for eyes and mouth", help="Helps with eyes that look wrong, and with detail of teeth."
    )
    uniform_yaw: bool = option(
        False, "Uniform yaw", help="Shows all directions of view equally often; helps with rare profiles."
    )
    blur_out_mask: bool = option(
        False,
        "Blur out the mask",
        help="Blurs the surroundings of the face in the samples: a smoother border, less learned beside the point. "
        "Needs good masks on both sides.",
    )
    models_opt_on_gpu: bool = option(
        True,
        "Models and optimizer on GPU",
        help="n keeps weights and optimizer state in the computer's memory: the card has room for a larger model or "
        "batch, and each step takes longer. Nothing else changes, and nothing at all without a card.",
    )
    adabelief: bool = option(
        True, "AdaBelief", help="The better optimizer, with twice the memory of RMSprop. The state of both is kept."
    )
    lr_dropout: str = option(
        "n",
        "Learning rate dropout",
        choices={"n": ("no", "false", "off"), "y": ("yes", "true", "on", "cpu")},
        help="Sharpens a trained face and calms its jitter: turn it on when the face is trained, before random warp "
        "goes off and before GAN. It takes no memory on the device, so cpu means y.",
    )
    random_warp: bool = option(
        True,
        "Random warp",
        help="Distorts what the network is shown; needed to learn both faces. Turn it off late, for sharpness.",
    )
    random_hsv_power: float = option(
        0.0,
        "Random hue, saturation and brightness",
        low=0.0,
        high=0.3,
        help="Of what the network is shown of src; evens out its colors. Typical: 0.05.",
    )
    gan_power: float = option(
        0.0,
        "GAN power",
        low=0.0,
        high=5.0,
        help="Forces fine detail. Turn it on when the face is trained, without random warp; back up before. "
        "Typical: 0.1.",
    )
    gan_patch_size: int = option(
        lambda settled: max(3, settled.resolution // 8),
        "GAN patch size",
        low=3,
        high=640,
        when=_with_gan,
        help="How much of the face is judged at once. An eighth of the resolution is right for most.",
    )
    gan_dims: int = option(
        16, "GAN dimensions", low=4, high=512, when=_with_gan, help="Of the network that judges. 16 is right for most."
    )
    true_face_power: float = option(
        0.0,
        "True face power",
        low=0.0,
        high=1.0,
        when=lambda settled: settled.archi.startswith("df"),
        rule=_only_with_df,
        help="Pulls the swap towards src, for df alone. Typical: 0.01.",
    )
    face_style_power: float = option(
        0.0,
        "Face style power",
        low=0.0,
        high=100.0,
        help="Moves the colors of the swap towards dst's face; raise it slowly from 0.001. Back up before.",
    )
    bg_style_power: float = option(
        0.0,
        "Background style power",
        low=0.0,
        high=100.0,
        help="Moves the surroundings of the swap towards dst's; can make the face more like dst. Back up before.",
    )
    ct_mode: str = option(
        "none",
        "Color transfer for src",
        choices=COLOR_TRANSFER_MODES,
        help="Shows src in the colors of dst faces. Try them with `train --debug`.",
    )
    clipgrad: bool = option(
        False, "Clip gradients", help="Keeps a step from being too large: safer against collapse, a little slower."
    )
    pretrain: bool = option(
        False,
        "Pretraining",
        help="Learns faces as such from a large faceset of many people, which gives a head start for every pair. When "
        "it is switched off, the iterations count from 0 again.",
    )
    legacy_warp: bool = option(
        False, "Classical warp", ask=False, help="Distorts as DeepFaceLab does, with its half-pixel shift and dark rim."
    )
    legacy_bg_style: bool = option(
        False,
        "Classical background style",
        ask=False,
        help="The background's weight comes from the mask of src, as in DeepFaceLab, not from that of the swap.",
    )

    @property
    def in_effect(self) -> SAEHDOptions:
        """What training follows: these settings, or those of pretraining where they leave no choice."""
        if not self.pretrain:
            return self
        return replace(
            self,
            random_warp=False,
            random_src_flip=True,
            random_dst_flip=True,
            random_hsv_power=0.0,
            uniform_yaw=True,
            ct_mode="none",
            lr_dropout="n",
            gan_power=0.0,
            true_face_power=0.0,
            face_style_power=0.0,
            bg_style_power=0.0,
        )
