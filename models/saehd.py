"""SAEHD: the model of days. DF or LIAE of any size, and every means of training. Source: spec models 5.

One step, with one forward pass that all share:

    redraw both people -> losses of each side (+ styles of the swap) -> what the critics say
    "optimizer" moves encoder, inters and decoders; each critic has an optimizer of its own

The critics learn from the very faces and codes that the autoencoder is judged by. Gradients are of sums over the batch.
With LIAE `inter_AB` learns only while random warp is on, so never in pretraining: what both people share is learned
from distorted faces or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.nn.framework import Tensor, ops
from core.nn.optimizers import AdaBelief, OptimizerSettings, RMSprop
from facelib.face_type import FaceType
from models.architecture import Architecture, Dims
from models.autoencoder_model import CLIP_NORM, AutoencoderModel, unit
from models.autoencoders import Drawn
from models.discriminators import CodeDiscriminator, PatchDiscriminator
from models.face_losses import (
    background_style_loss,
    background_weight,
    blur_out,
    classical_background_weight,
    code_discriminator_loss,
    eyes_mouth_loss,
    face_style_loss,
    gan_loss,
    patch_discriminator_loss,
    reconstruction_loss,
    soft_mask,
    surroundings_loss,
    true_face_loss,
)
from models.patch_solver import solve_patch_size
from models.saehd_options import SAEHDOptions
from samplelib.augmentation import SampleSettings

if TYPE_CHECKING:
    from samplelib.batches import FaceBatch, TrainingBatch

__all__ = ["SAEHD", "SAEHDOptions"]

_LEARNING_RATE = 5e-5
_KEPT_BY_DROPOUT = 0.3
_COSINE_PERIOD = 500
_SCALE_RANGE = (-0.15, 0.15)


class SAEHD(AutoencoderModel):
    """See the module's docstring; the attributes are those of `AutoencoderModel`."""

    name = "SAEHD"

    def __init__(
        self,
        options: SAEHDOptions | None = None,
        *,
        device: str = "auto",
        precision: str = "fp32",
        seed: int = 0,
        training: bool = True,
    ) -> None:
        """See `AutoencoderModel`.

        Args:
            options: the user's settings; while pretraining those of `SAEHDOptions.in_effect` are followed.
            training: False for use alone: no critics, no optimizers, no step.
        """
        options = options or SAEHDOptions.of()
        self.options = options.in_effect
        architecture = Architecture.parse(options.archi)
        super().__init__(
            architecture,
            Dims(options.resolution, options.ae_dims, options.e_dims, options.d_dims, options.d_mask_dims),
            batch_size=options.batch_size,
            device=device,
            precision=precision,
            seed=seed,
            at_home_on_cpu=training and not options.models_opt_on_gpu,
        )
        self.face_type = FaceType.parse(options.face_type)
        self.src_settings, self.dst_settings = sample_settings(self.options)
        self._inters = [part for part in self._networks if part.startswith("inter")]
        self._code_critic: CodeDiscriminator | None = None
        self._face_critic: PatchDiscriminator | None = None
        if training:
            self._prepare_training(list(self._networks))

    def _prepare_training(self, autoencoder: Sequence[str]) -> None:
        """The critics that the options ask for, and the optimizers."""
        o = self.options
        kind, settings = AdaBelief if o.adabelief else RMSprop, optimizer_settings(o)
        if o.true_face_power > 0.0:
            grid, channels = self._autoencoder.code_shape
            self._code_critic = CodeDiscriminator(grid, trunk=self._trunk)
            self._add_critic("code_discriminator", self._code_critic, (None, grid, grid, channels))
        if o.gan_power > 0.0:
            self._face_critic = PatchDiscriminator(o.gan_patch_size, o.gan_dims, trunk=self._trunk)
            strides = np.array(solve_patch_size(o.gan_patch_size), np.int64)
            self._add_critic("GAN", self._face_critic, (None, o.resolution, o.resolution, 3), strides=strides)
        self._learn("optimizer", autoencoder, kind, settings, frozen=() if o.random_warp else ("inter_AB",))
        for part in self._networks:
            if part not in autoencoder:
                self._learn(f"{part}_optimizer", [part], kind, settings)
        self._compile()

    @property
    def parts_reset_after_pretraining(self) -> Sequence[str]:
        return self._inters

    @property
    def replaceable_parts(self) -> Sequence[str]:
        return [part for part in self.part_names if part in ("GAN", "GAN_optimizer")]

    def train_step(self, batch: TrainingBatch) -> dict[str, float]:
        return self._trained_on({**self._named("src", batch.src), **self._named("dst", batch.dst)})

    def _named(self, side: str, faces: FaceBatch) -> dict[str, np.ndarray]:
        """The arrays of one side as the objective calls them."""
        arrays = {f"{side}_input": faces.warped, f"{side}_target": faces.target, f"{side}_mask": faces.mask}
        if not self.options.eyes_mouth_prio:
            return arrays
        if faces.eyes_mouth_mask is None:
            raise ValueError("Priority for eyes and mouth needs batches with their mask.")
        return {**arrays, f"{side}_eyes_mouth": faces.eyes_mouth_mask}

    # -------------------------------------------------------------------------------------------------- the objective

    def _objective(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Totals by optimizer: sums over the batch. Reported: the mean of each side's loss, without the critics'."""
        images = {name: unit(array) for name, array in batch.items()}
        if self.options.blur_out_mask:
            for side in ("src", "dst"):
                target, mask = images[f"{side}_target"], images[f"{side}_mask"]
                images[f"{side}_target"] = blur_out(target, mask, self.resolution)
        drawn = self._autoencoder.redraw(images["src_input"], images["dst_input"])
        weights = {side: soft_mask(images[f"{side}_mask"], self.resolution) for side in ("src", "dst")}
        losses = {
            "src_loss": self._side_loss("src", images, drawn.src, drawn.src_mask, weights["src"])
            + self._style_losses(images, drawn),
            "dst_loss": self._side_loss("dst", images, drawn.dst, drawn.dst_mask, weights["dst"]),
        }
        to_autoencoder = losses["src_loss"] + losses["dst_loss"]
        totals = {}
        if self._code_critic is not None:
            judged, critic_loss = self._true_face(drawn)
            to_autoencoder += judged
            totals["code_discriminator_optimizer"] = ops.sum(critic_loss)
        if self._face_critic is not None:
            judged, critic_loss = self._gan(images["src_target"], drawn.src, weights["src"])
            to_autoencoder += judged
            totals["GAN_optimizer"] = ops.sum(critic_loss)
        totals["optimizer"] = ops.sum(to_autoencoder)
        return totals, {name: ops.mean(loss) for name, loss in losses.items()}

    def _side_loss(
        self, side: str, images: Mapping[str, Tensor], face: Tensor, drawn_mask: Tensor, weight: Tensor
    ) -> Tensor:
        """What redrawing one side costs, (N,). Source: spec models 5.4."""
        target, mask = images[f"{side}_target"], images[f"{side}_mask"]
        inside = weight if self.options.masked_training else None
        loss = reconstruction_loss(target, face, mask, drawn_mask, inside)
        if self.options.eyes_mouth_prio:
            loss += eyes_mouth_loss(target, face, images[f"{side}_eyes_mouth"])
        return loss

    def _style_losses(self, images: Mapping[str, Tensor], drawn: Drawn) -> Tensor:
        """What the swap's colors and surroundings cost, (N,); 0 without styles.

        The colors of the face are learned by the decoder alone, so for them the swap is drawn from a code without
        gradient; the surroundings are learned by all.
        """
        o, loss = self.options, 0.0
        if o.face_style_power > 0.0:
            swap, swap_mask = self._autoencoder.draw_swap(ops.stop_gradient(drawn.swap_code))
            loss += face_style_loss(swap, swap_mask, drawn.dst, drawn.dst_mask, o.face_style_power)
        if o.bg_style_power > 0.0:
            swap, swap_mask = self._autoencoder.draw_swap(drawn.swap_code)
            if o.legacy_bg_style:
                outside = classical_background_weight(images["src_mask"])
            else:
                outside = background_weight(swap_mask, drawn.dst_mask)
            loss += background_style_loss(swap, images["dst_target"], outside, o.bg_style_power)
        return loss

    def _true_face(self, drawn: Drawn) -> tuple[Tensor, Tensor]:
        """What the code's critic costs the autoencoder, and what it costs itself; (N,) each."""
        assert self._code_critic is not None
        src, dst = self._code_critic(drawn.src_code), self._code_critic(drawn.dst_code)
        return self.options.true_face_power * true_face_loss(src), code_discriminator_loss(src, dst)

    def _gan(self, target: Tensor, face: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The same for the critic of the redrawn src face."""
        assert self._face_critic is not None
        masked = self.options.masked_training
        real, fake = (target * weight, face * weight) if masked else (target, face)
        seen_real, seen_fake = self._face_critic(real), self._face_critic(fake)
        judged = self.options.gan_power * gan_loss(seen_fake)
        if masked:
            judged += surroundings_loss(target, face, weight)
        return judged, patch_discriminator_loss(seen_real, seen_fake)


def optimizer_settings(options: SAEHDOptions) -> OptimizerSettings:
    """Of all of the model's optimizers alike. Source: spec models 4."""
    dropout = options.lr_dropout != "n"
    return OptimizerSettings(
        _LEARNING_RATE,
        keep_probability=_KEPT_BY_DROPOUT if dropout else 1.0,
        clip_norm=CLIP_NORM if options.clipgrad else 0.0,
        cosine_period=_COSINE_PERIOD if dropout else 0,
    )


def sample_settings(options: SAEHDOptions) -> tuple[SampleSettings, SampleSettings]:
    """Of src and dst samples, from the options in effect: colors are moved and shifted on the src side alone."""

    def side(flip: bool, hsv_power: float, color_transfer: str) -> SampleSettings:
        return SampleSettings(
            resolution=options.resolution,
            face_type=FaceType.parse(options.face_type),
            scale_range=_SCALE_RANGE,
            flip=flip,
            warp=options.random_warp,
            legacy_warp=options.legacy_warp,
            hsv_power=hsv_power,
            color_transfer=color_transfer,
            eyes_mouth=options.eyes_mouth_prio,
            uniform_yaw=options.uniform_yaw,
        )

    src = side(options.random_src_flip, options.random_hsv_power, options.ct_mode)
    return src, side(options.random_dst_flip, 0.0, "none")
