"""Writing and reading OpenEXR pictures with named layers, through the Academy Software Foundation's own library.

What the numbers are, no standard attribute says; so files written here carry one of their own, `faceloomTransfer`: the
tag of the transfer function that light was made with, or "asis" where the numbers are a video's codes.

The library is loaded at the first use: nobody else pays for it, and where it is missing only this is.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile, FaceLoomError

_WHITE_D65 = (0.3127, 0.3290)
_WHITE_C = (0.310, 0.316)
_SMPTE_C = (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_WHITE_D65)
_P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
CHROMATICITIES: dict[str, tuple[float, ...]] = {
    "bt709": (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *_WHITE_D65),
    "bt2020": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_WHITE_D65),
    "bt470m": (0.670, 0.330, 0.210, 0.710, 0.140, 0.080, *_WHITE_C),
    "bt470bg": (0.640, 0.330, 0.290, 0.600, 0.150, 0.060, *_WHITE_D65),
    "smpte170m": _SMPTE_C,
    "smpte240m": _SMPTE_C,
    "film": (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_WHITE_C),
    "smpte431": (*_P3, 0.314, 0.351),
    "smpte432": (*_P3, *_WHITE_D65),
}
"""x, y of red, green, blue and white by the tag of the primaries. Source: Recommendation ITU-T H.273, table 2."""

EXR_START = b"\x76\x2f\x31\x01"
AS_IS = "asis"

_TRANSFER = "faceloomTransfer"
_MISSING = "The Python package OpenEXR is not there, and .exr files need it."


def _library() -> ModuleType:
    try:
        import OpenEXR
    except ImportError as problem:
        raise FaceLoomError(
            f"{_MISSING} ({problem})", "Run the set-up again, or choose another form, e.g. --out tiff16."
        ) from problem
    return OpenEXR


def require_exr() -> None:
    """Raises FaceLoomError, in words, where .exr files cannot be written: before the work, not after it."""
    _library()


def encode_exr(
    channels: Mapping[str, NDArray], primaries: str | None = None, comment: str = "", transfer: str | None = None
) -> bytes:
    """Named channels -> the bytes of one scanline picture, ZIP-compressed without loss, identical for equal input.

    Args:
        channels: name -> (H, W), all of one size; floats are stored as half, unsigned integers as 32-bit integers.
            A layer's channels share a name before the dot: "R", "G", "B", "face.R", ...
        primaries: the tag of CHROMATICITIES to write; None, or one that is not known: none is written.
        comment: what the numbers mean, for people.
        transfer: the same for `read_exr_header`: a tag, or AS_IS; None: nothing is said.
    """
    exr = _library()
    header: dict[str, Any] = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    if primaries in CHROMATICITIES:
        header["chromaticities"] = CHROMATICITIES[primaries]
    if comment:
        header["comments"] = comment
    if transfer:
        header[_TRANSFER] = transfer
    stored = {
        name: np.ascontiguousarray(values, np.float16 if values.dtype.kind == "f" else np.uint32)
        for name, values in channels.items()
    }
    stream = io.BytesIO()
    exr.File(header, stored, num_threads=1).write(stream)
    return stream.getvalue()


@dataclass(frozen=True)
class ExrHeader:
    """What is known of an .exr file without its pixels.

    Attributes:
        width, height: of the picture, which may be larger or smaller than the part that is stored.
        transfer: tag of the transfer function that its light was made with, or AS_IS; "": it does not say.
        has_alpha: whether there is an A beside R, G and B.
    """

    width: int
    height: int
    transfer: str
    has_alpha: bool


def read_exr_header(path: Path) -> ExrHeader:
    """What an .exr file says of itself.

    Raises:
        BrokenFile: no .exr file, damaged, or without R, G and B.
        FaceLoomError: the library is missing.
    """
    with _opened(path, header_only=True) as header:
        left, top, right, bottom = _window(header, "displayWindow")
        names = {channel.name for channel in header["channels"]}
        return ExrHeader(right - left, bottom - top, str(header.get(_TRANSFER, "")), "A" in names)


def read_exr(path: Path, with_alpha: bool = False) -> NDArray[np.float16]:
    """The picture of an .exr file, (H, W, 3) B, G, R as half floats; where nothing is stored, 0.

    Args:
        with_alpha: its A as a fourth channel; by custom colors are multiplied by it.

    Raises:
        BrokenFile, FaceLoomError: as `read_exr_header`.
    """
    with _opened(path, header_only=False) as header:
        left, top, right, bottom = _window(header, "displayWindow")
        stored_left, stored_top, stored_right, stored_bottom = _window(header, "dataWindow")
        names = "BGRA" if with_alpha else "BGR"
        picture = np.zeros((bottom - top, right - left, len(names)), np.float16)
        rows = slice(max(top, stored_top), max(top, min(bottom, stored_bottom)))
        columns = slice(max(left, stored_left), max(left, min(right, stored_right)))
        inside = picture[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        for number, name in enumerate(names):
            pixels = header["pixels"][name]
            if pixels.shape != (stored_bottom - stored_top, stored_right - stored_left):
                raise BrokenFile(path, f"its channel {name} is sampled more coarsely.", _WRITE_AGAIN)
            with np.errstate(over="ignore"):
                inside[..., number] = pixels[
                    rows.start - stored_top : rows.stop - stored_top,
                    columns.start - stored_left : columns.stop - stored_left,
                ]
        return picture


_WRITE_AGAIN = "Write it again as scanlines with the channels R, G and B."


@contextmanager
def _opened(path: Path, *, header_only: bool) -> Iterator[dict[str, Any]]:
    """The header of the first part that has R, G and B, with its channels under "pixels" unless `header_only`."""
    exr = _library()
    try:
        with open(path, "rb") as stream, exr.File(stream, separate_channels=True, header_only=header_only) as opened:
            for part in opened.parts:
                header = dict(part.header)
                if {"R", "G", "B"} <= {channel.name for channel in header["channels"]}:
                    header["pixels"] = {name: channel.pixels for name, channel in part.channels.items()}
                    yield header
                    return
            found = len(opened.parts)
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem
    except (RuntimeError, ValueError, KeyError, TypeError) as problem:
        raise BrokenFile(path, f"the .exr file is damaged ({problem!s:.200}).", "Make it again.") from problem
    if found:
        raise BrokenFile(path, "the .exr file has no channels R, G and B.", _WRITE_AGAIN)
    raise BrokenFile(path, "the .exr file is damaged.", "Make it again.")


def _window(header: Mapping[str, Any], name: str) -> tuple[int, int, int, int]:
    """left, top, right, bottom; the latter two behind the last pixel."""
    (left, top), (right, bottom) = header[name]
    return int(left), int(top), int(right) + 1, int(bottom) + 1
