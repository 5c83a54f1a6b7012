"""The two autoencoder families that swap faces, DF and LIAE, with the flags u, d, t and c. Source: spec models 2.

DF:    src -> encoder -> inter -> decoder_src          swap = decoder_src(inter(encoder(dst)))
       dst -> encoder -> inter -> decoder_dst
LIAE:  src -> encoder -> [AB, AB]    -> decoder        swap = decoder([AB(encoder(dst)), AB(encoder(dst))])
       dst -> encoder -> [B, AB]     -> decoder

Faces are (N, R, R, 3) BGR float32 in [0, 1], masks (N, R, R, 1). Parameter names, kernel layouts and the order of a
flattened map are those of stored models of the field, so that such models fit without touching a tensor.

Precision: with `trunk="mixed_bfloat16"` the convolutions compute in bfloat16; the normalization of the code, the
dense layers and the heads stay in float32 (bfloat16 near 1.0 has steps of 1/256: visible banding).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from core.nn.framework import Tensor, keras, ops
from core.nn.layers import (
    Activation,
    Conv2D,
    Dense,
    Downscale,
    DownscaleStack,
    ResidualBlock,
    Shape,
    Upscale,
    cosine,
    depth_to_space,
    flatten_channels_first,
    leaky,
    pixel_norm,
    unflatten_channels_first,
)
from models.architecture import Architecture, Dims


def activation_of(architecture: Architecture) -> Activation:
    """What follows every convolution but the last."""
    return cosine if "c" in architecture.flags else leaky


class Encoder(keras.layers.Layer):
    """(N, R, R, 3) -> (N, E) float32, E = 8 * e * (R/16)^2, or (R/32)^2 with flag t."""

    def __init__(self, architecture: Architecture, dims: Dims, *, trunk: Any = None) -> None:
        super().__init__(name="encoder", dtype="float32")
        self.normalized = "u" in architecture.flags
        self.resolution = dims.resolution
        act, e = activation_of(architecture), dims.e
        self.stages: list[Any]
        if "t" in architecture.flags:
            self.stages = [
                Downscale(e, act, name="down1", dtype=trunk),
                ResidualBlock(e, act, name="res1", dtype=trunk),
                Downscale(2 * e, act, name="down2", dtype=trunk),
                Downscale(4 * e, act, name="down3", dtype=trunk),
                Downscale(8 * e, act, name="down4", dtype=trunk),
                Downscale(8 * e, act, name="down5", dtype=trunk),
                ResidualBlock(8 * e, act, name="res5", dtype=trunk),
            ]
        else:
            self.stages = [DownscaleStack(e, 4, act, name="down1", dtype=trunk)]
        self.code_length = 8 * e * (dims.resolution // (32 if "t" in architecture.flags else 16)) ** 2

    def build(self, input_shape: Shape) -> None:
        for stage in self.stages:
            stage.build(input_shape)
            input_shape = stage.compute_output_shape(input_shape)

    def call(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        x = ops.cast(flatten_channels_first(x), "float32")
        return pixel_norm(x) if self.normalized else x


class Inter(keras.layers.Layer):
    """(N, E) -> (N, G, G, channels): two dense layers without activation, then one Upscale unless flag t."""

    def __init__(
        self, architecture: Architecture, dims: Dims, channels: int, *, name: str = "inter", trunk: Any = None
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self.side = dims.resolution // (32 if "d" in architecture.flags else 16)
        self.channels = channels
        self.dense1 = Dense(dims.ae, name="dense1")
        self.dense2 = Dense(self.side * self.side * channels, name="dense2")
        self.upscale1: Upscale | None = None
        if "t" not in architecture.flags:
            self.upscale1 = Upscale(channels, activation_of(architecture), name="upscale1", dtype=trunk)

    def build(self, input_shape: Shape) -> None:
        self.dense1.build(input_shape)
        self.dense2.build((None, self.dense1.units))
        if self.upscale1 is not None:
            self.upscale1.build((None, self.side, self.side, self.channels))

    def call(self, x: Tensor) -> Tensor:
        x = unflatten_channels_first(self.dense2(self.dense1(x)), self.side, self.side)
        return x if self.upscale1 is None else self.upscale1(x)


class Decoder(keras.layers.Layer):
    """(N, G, G, z) -> face (N, R, R, 3), mask (N, R, R, 1), both float32 after a sigmoid."""

    def __init__(self, architecture: Architecture, dims: Dims, *, name: str = "decoder", trunk: Any = None) -> None:
        super().__init__(name=name, dtype="float32")
        act, d, m = activation_of(architecture), dims.d, dims.d_mask
        self.sub_pixels = "d" in architecture.flags
        widths = (8, 8, 4, 2) if "t" in architecture.flags else (8, 4, 2)

        def upscale(name: str, filters: int) -> Upscale:
            return Upscale(filters, act, name=name, dtype=trunk)

        self.upscales = [upscale(f"upscale{k}", width * d) for k, width in enumerate(widths)]
        self.residuals = [ResidualBlock(width * d, act, name=f"res{k}", dtype=trunk) for k, width in enumerate(widths)]
        self.mask_upscales = [upscale(f"upscalem{k}", width * m) for k, width in enumerate(widths)]
        self.heads = [Conv2D(3, 1, name="out_conv", dtype="float32")]
        if self.sub_pixels:
            self.heads += [Conv2D(3, 3, name=f"out_conv{k}", dtype="float32") for k in (1, 2, 3)]
            self.mask_upscales += [upscale(f"upscalem{len(widths)}", m)]
        self.mask_head = Conv2D(1, 1, name="out_convm", dtype="float32")

    def build(self, input_shape: Shape) -> None:
        face_shape, mask_shape = input_shape, input_shape
        for upscale, residual in zip(self.upscales, self.residuals, strict=True):
            upscale.build(face_shape)
            face_shape = upscale.compute_output_shape(face_shape)
            residual.build(face_shape)
        for upscale in self.mask_upscales:
            upscale.build(mask_shape)
            mask_shape = upscale.compute_output_shape(mask_shape)
        for head in self.heads:
            head.build(face_shape)
        self.mask_head.build(mask_shape)

    def call(self, code: Tensor) -> tuple[Tensor, Tensor]:
        face, mask = code, code
        for upscale, residual in zip(self.upscales, self.residuals, strict=True):
            face = residual(upscale(face))
        for upscale in self.mask_upscales:
            mask = upscale(mask)
        return ops.sigmoid(self._face_logits(face)), ops.sigmoid(self.mask_head(mask))

    def _face_logits(self, features: Tensor) -> Tensor:
        """The face head; with flag d the four heads run as one convolution to 12 channels, then depth to space."""
        if not self.sub_pixels:
            return self.heads[0](features)
        kernels = [head.kernel for head in self.heads]
        kernels[0] = ops.pad(kernels[0], ((1, 1), (1, 1), (0, 0), (0, 0)))  # 1x1 as the middle of 3x3
        kernel = ops.concatenate(kernels, axis=-1)
        bias = ops.concatenate([head.bias for head in self.heads], axis=-1)
        features = ops.cast(features, "float32")
        return depth_to_space(ops.conv(features, kernel, padding="same", data_format="channels_last") + bias)


@dataclass(frozen=True)
class Drawn:
    """Tensors of both people redrawn: faces (N, R, R, 3), masks (N, R, R, 1), and the codes (N, G, G, z) they were
    drawn from; `swap_code` is what `Autoencoder.draw_swap` draws dst as src from."""

    src: Tensor
    src_mask: Tensor
    dst: Tensor
    dst_mask: Tensor
    src_code: Tensor
    dst_code: Tensor
    swap_code: Tensor


@dataclass(frozen=True)
class Swapped:
    """Tensors of dst drawn as src, with the mask drawn beside it and the mask of dst drawn as itself."""

    face: Tensor
    src_mask: Tensor
    dst_mask: Tensor


class Autoencoder(ABC):
    """The networks of one family, built, and how they are put together."""

    networks: dict[str, keras.layers.Layer]
    """By part name, in the order in which a model stores them."""

    code_shape: tuple[int, int]
    """Grid side G and channels of one inter's output."""

    @abstractmethod
    def code(self, encoded: Tensor, person: str) -> Tensor:
        """Encoder output -> decoder input, for person "src", "dst" or "swap" (dst drawn as src)."""

    @abstractmethod
    def redraw(self, src: Tensor, dst: Tensor) -> Drawn:
        """Redraws as many src as dst faces; the encoder sees both in one batch."""

    @abstractmethod
    def draw_swap(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Draws a `swap_code` as src: face and mask."""

    @abstractmethod
    def swap(self, dst: Tensor) -> Swapped:
        """Draws dst faces as src, and the masks of both."""


class DF(Autoencoder):
    """One encoder, one inter, a decoder for each person."""

    def __init__(self, architecture: Architecture, dims: Dims, *, trunk: Any = None) -> None:
        dims.require_fit(architecture)
        self.encoder = Encoder(architecture, dims, trunk=trunk)
        self.inter = Inter(architecture, dims, dims.ae, trunk=trunk)
        self.decoder_src = Decoder(architecture, dims, name="decoder_src", trunk=trunk)
        self.decoder_dst = Decoder(architecture, dims, name="decoder_dst", trunk=trunk)
        code_shape = _build_to_code(self.encoder, [self.inter], dims)
        self.code_shape = code_shape[1], code_shape[3]
        self.decoder_src.build(code_shape)
        self.decoder_dst.build(code_shape)
        self.networks = {
            network.name: network for network in (self.encoder, self.inter, self.decoder_src, self.decoder_dst)
        }

    def code(self, encoded: Tensor, person: str) -> Tensor:
        del person  # one code for all: the person is in the decoder
        return self.inter(encoded)

    def redraw(self, src: Tensor, dst: Tensor) -> Drawn:
        code_src, code_dst = ops.split(self.inter(self.encoder(ops.concatenate([src, dst], axis=0))), 2, axis=0)
        src_face, src_mask = self.decoder_src(code_src)
        dst_face, dst_mask = self.decoder_dst(code_dst)
        return Drawn(src_face, src_mask, dst_face, dst_mask, code_src, code_dst, code_dst)

    def draw_swap(self, code: Tensor) -> tuple[Tensor, Tensor]:
        face, mask = self.decoder_src(code)
        return face, mask

    def swap(self, dst: Tensor) -> Swapped:
        code = self.inter(self.encoder(dst))
        face, src_mask = self.decoder_src(code)
        return Swapped(face, src_mask, self.decoder_dst(code)[1])


class LIAE(Autoencoder):
    """One encoder, an inter of what both people share and one of dst alone, one decoder."""

    def __init__(self, architecture: Architecture, dims: Dims, *, trunk: Any = None) -> None:
        dims.require_fit(architecture)
        self.encoder = Encoder(architecture, dims, trunk=trunk)
        self.inter_ab = Inter(architecture, dims, 2 * dims.ae, name="inter_AB", trunk=trunk)
        self.inter_b = Inter(architecture, dims, 2 * dims.ae, name="inter_B", trunk=trunk)
        self.decoder = Decoder(architecture, dims, trunk=trunk)
        batch, height, width, channels = _build_to_code(self.encoder, [self.inter_ab, self.inter_b], dims)
        self.code_shape = height, channels
        self.decoder.build((batch, height, width, 2 * channels))
        self.networks = {network.name: network for network in (self.encoder, self.inter_ab, self.inter_b, self.decoder)}

    def code(self, encoded: Tensor, person: str) -> Tensor:
        shared = self.inter_ab(encoded)
        return ops.concatenate([self.inter_b(encoded) if person == "dst" else shared, shared], axis=-1)

    def redraw(self, src: Tensor, dst: Tensor) -> Drawn:
        encoded = self.encoder(ops.concatenate([src, dst], axis=0))
        shared_src, shared_dst = ops.split(self.inter_ab(encoded), 2, axis=0)
        own_dst = self.inter_b(ops.split(encoded, 2, axis=0)[1])
        code_src = ops.concatenate([shared_src, shared_src], axis=-1)
        code_dst = ops.concatenate([own_dst, shared_dst], axis=-1)
        faces, masks = self.decoder(ops.concatenate([code_src, code_dst], axis=0))
        (src_face, dst_face), (src_mask, dst_mask) = ops.split(faces, 2, axis=0), ops.split(masks, 2, axis=0)
        code_swap = ops.concatenate([shared_dst, shared_dst], axis=-1)
        return Drawn(src_face, src_mask, dst_face, dst_mask, code_src, code_dst, code_swap)

    def draw_swap(self, code: Tensor) -> tuple[Tensor, Tensor]:
        face, mask = self.decoder(code)
        return face, mask

    def swap(self, dst: Tensor) -> Swapped:
        encoded = self.encoder(dst)
        shared = self.inter_ab(encoded)
        face, src_mask = self.draw_swap(ops.concatenate([shared, shared], axis=-1))
        _, dst_mask = self.decoder(ops.concatenate([self.inter_b(encoded), shared], axis=-1))
        return Swapped(face, src_mask, dst_mask)  # nobody asks for the face beside dst's mask, so it is never computed


def _build_to_code(encoder: Encoder, inters: list[Inter], dims: Dims) -> tuple[int | None, int, int, int]:
    """Builds encoder and inters; returns the shape of one inter's output."""
    encoder.build((None, dims.resolution, dims.resolution, 3))
    for inter in inters:
        inter.build((None, encoder.code_length))
    side = inters[0].side * (1 if inters[0].upscale1 is None else 2)
    return None, side, side, inters[0].channels


FAMILIES: dict[str, type[DF] | type[LIAE]] = {"df": DF, "liae": LIAE}


def build_autoencoder(architecture: Architecture, dims: Dims, *, trunk: Any = None) -> Autoencoder:
    """Builds the networks of an architecture. Weights are zero until `core.nn.weights.initialize` fills them."""
    return FAMILIES[architecture.family](architecture, dims, trunk=trunk)
