"""Writing OpenEXR pictures with named layers, through the Academy Software Foundation's own library.

The library is loaded at the first use: nobody else pays for it, and where it is missing only this is.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import FaceLoomError

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


def encode_exr(channels: Mapping[str, NDArray], primaries: str | None = None, comment: str = "") -> bytes:
    """Named channels -> the bytes of one scanline picture, ZIP-compressed without loss, identical for equal input.

    Args:
        channels: name -> (H, W), all of one size; floats are stored as half, unsigned integers as 32-bit integers.
            A layer's channels share a name before the dot: "R", "G", "B", "face.R", ...
        primaries: the tag of CHROMATICITIES to write; None, or one that is not known: none is written.
        comment: what the numbers mean, for people.
    """
    exr = _library()
    header: dict[str, Any] = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    if primaries in CHROMATICITIES:
        header["chromaticities"] = CHROMATICITIES[primaries]
    if comment:
        header["comments"] = comment
    stored = {
        name: np.ascontiguousarray(values, np.float16 if values.dtype.kind == "f" else np.uint32)
        for name, values in channels.items()
    }
    stream = io.BytesIO()
    exr.File(header, stored, num_threads=1).write(stream)
    return stream.getvalue()
