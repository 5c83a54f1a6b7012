"""The forms a merged frame is written in. Whatever the form, there are two files: the frame and its mask.

    form      frame, in the folder of frames                         mask, in the folder of masks
    png       .png, as deep as the source frames                     .png, as deep
    png8      .png, 8 bits: what older tools write                   .png, 8 bits
    png16     .png, 16 bits; 8-bit frames are blended with 16        .png, 16 bits
    tiff16    .tif, 16 bits, likewise                                .tif, 16 bits
    png-rgba  .png, the face layer with straight alpha               .png, as deep
    exr       .exr, half floats in layers                            .png, 16 bits

A frame on its way into a video is two plain files, .ppm and .pgm, as deep as the source frames.

An .exr holds R, G, B (the merged frame), face.R, face.G, face.B (the face layer, not multiplied by the mask), face.id
(which face, 0 none), mask.A, and on request src.R, src.G, src.B (the source frame). Colors are linear light, worked out
with the transfer function of the source video, or the codes as they are. Source: spec merging 10.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.exr import AS_IS, encode_exr
from core.images import encode_png, encode_pnm, encode_tiff, to_uint8, to_uint16
from core.transfer import REFERENCE_NITS, light_of_levels
from merger.compositing import MergedFrame

FORMS = ("png", "png8", "png16", "tiff16", "png-rgba", "exr")
"""What users may choose from."""

SUFFIXES = (".png", ".tif", ".exr")
"""What files of all forms end with."""


class FrameWriter(Protocol):
    """Makes the bytes of a merged frame's two files.

    Attributes:
        key: a text that changes whenever the files of equal frames would.
        suffixes: of the frame's file and of the mask's.
        needs_layers: whether it asks for the face layer.
    """

    @property
    def key(self) -> str: ...

    @property
    def suffixes(self) -> tuple[str, str]: ...

    @property
    def needs_layers(self) -> bool: ...

    def prepare(self, frame: NDArray) -> NDArray:
        """A source frame, uint8 or uint16, as deep as it is to be blended."""
        ...

    def encode(self, merged: MergedFrame, source: NDArray) -> tuple[bytes, bytes]:
        """The frame's file and the mask's; `source` is what `prepare` gave."""
        ...


@dataclass(frozen=True)
class PlainWriter:
    """Picture and mask in one of the forms png, png8, png16, tiff16."""

    form: str = "png"
    needs_layers = False

    @property
    def key(self) -> str:
        return self.form

    @property
    def suffixes(self) -> tuple[str, str]:
        return (".tif", ".tif") if self.form == "tiff16" else (".png", ".png")

    def prepare(self, frame: NDArray) -> NDArray:
        return to_uint16(frame) if self.form.endswith("16") else frame

    def encode(self, merged: MergedFrame, source: NDArray) -> tuple[bytes, bytes]:
        image, mask = merged.image, merged.mask
        if self.form == "png8":
            image, mask = to_uint8(image), to_uint8(mask)
        encode = encode_tiff if self.form == "tiff16" else encode_png
        return encode(image), encode(mask)


@dataclass(frozen=True)
class LayerWriter:
    """The face layer with its mask as straight alpha; without a face, transparent black."""

    needs_layers = True
    key = "png-rgba"
    suffixes = (".png", ".png")

    def prepare(self, frame: NDArray) -> NDArray:
        return frame

    def encode(self, merged: MergedFrame, source: NDArray) -> tuple[bytes, bytes]:
        return encode_png(np.dstack([_face_colors(merged), merged.mask])), encode_png(merged.mask)


@dataclass(frozen=True)
class RawWriter:
    """Plain pixels for an encoder: the merged frame or the face layer, and the mask."""

    needs_layers: bool = False
    suffixes = (".ppm", ".pgm")

    @property
    def key(self) -> str:
        return "raw face layer" if self.needs_layers else "raw"

    def prepare(self, frame: NDArray) -> NDArray:
        return frame

    def encode(self, merged: MergedFrame, source: NDArray) -> tuple[bytes, bytes]:
        return encode_pnm(_face_colors(merged) if self.needs_layers else merged.image), encode_pnm(merged.mask)


@dataclass(frozen=True)
class ExrWriter:
    """Half floats in layers.

    Attributes:
        transfer: tag of the transfer function whose inverse makes light of the codes; None: codes as they are.
        primaries: tag of the primaries, for the file's chromaticities; None: not known.
        with_source: whether the source frame goes along (not in raw-predict mode, where it has another size).
    """

    transfer: str | None
    primaries: str | None = None
    with_source: bool = False
    needs_layers = True
    suffixes = (".exr", ".png")

    @property
    def key(self) -> str:
        return f"exr {self.transfer or 'asis'} {self.primaries or ''}{' with source' if self.with_source else ''}"

    def prepare(self, frame: NDArray) -> NDArray:
        return to_uint16(frame)

    def encode(self, merged: MergedFrame, source: NDArray) -> tuple[bytes, bytes]:
        values = _half_floats(self.transfer)
        layers = {"": merged.image, "face.": _face_colors(merged)}
        if self.with_source and source.shape == merged.image.shape:
            layers["src."] = source
        channels = {f"{layer}{name}": values[p[..., n]] for layer, p in layers.items() for n, name in enumerate("BGR")}
        channels["mask.A"] = _half_floats(None)[merged.mask]
        channels["face.id"] = _numbers(merged).astype(np.uint32)
        data = encode_exr(channels, self.primaries, self._comment(), self.transfer or AS_IS)
        return data, encode_png(merged.mask)

    def _comment(self) -> str:
        if self.transfer is None:
            return "R, G, B, face and src hold the video's codes, 0 to 1."
        unit = f", 1 is {REFERENCE_NITS:g} cd/m2" if self.transfer == "smpte2084" else ""
        return f"R, G, B, face and src are linear light, made from {self.transfer} codes{unit}."


@lru_cache(maxsize=2)
def _half_floats(transfer: str | None) -> NDArray[np.float16]:
    """(65536,) the half float of every 16-bit code."""
    return light_of_levels(transfer or "linear", 16).astype(np.float16)


def _face_colors(merged: MergedFrame) -> NDArray:
    return merged.image if merged.layers is None else merged.layers.colors


def _numbers(merged: MergedFrame) -> NDArray:
    if merged.layers is not None:
        return merged.layers.numbers
    return np.asarray(merged.mask >= np.iinfo(merged.mask.dtype).max / 2, np.uint8)


def frame_writer(
    form: str, transfer: str | None = None, primaries: str | None = None, with_source: bool = False
) -> FrameWriter:
    """The writer of a form of FORMS; the rest is for exr, see ExrWriter."""
    if form == "exr":
        return ExrWriter(transfer, primaries, with_source)
    return LayerWriter() if form == "png-rgba" else PlainWriter(form)
