"""Reading, writing, encoding and decoding pictures: the only place that does.

In memory a picture is (H, W, 3) BGR, uint8 or uint16 as stored; masks are (H, W). All paths may hold blanks and any
Unicode: bytes are read and written by Python, OpenCV only sees memory.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from core.errors import BrokenFile, FaceLoomError
from core.files import atomic_write_bytes, explain_os_error

_LARGEST_SIDE = 32768
"""No frame is larger; a header that says so lies."""

_DECODING = {
    1: cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def read_image(path: Path) -> np.ndarray:
    """Reads a picture of any depth as (H, W, 3) BGR uint8 or uint16; EXIF orientation is applied, alpha is dropped.

    Raises:
        BrokenFile: not a picture, or damaged.
    """
    return decode_image(_read_bytes(path), path)


def decode_image(data: bytes, path: Path, shrink: int = 1) -> np.ndarray:
    """As `read_image`, from bytes; `path` is only named in errors.

    Args:
        shrink: 2, 4 or 8 give a picture so many times smaller, 8 bits deep; a JPEG is decoded faster then.
    """
    image = _decode(data, path, _DECODING[shrink])
    if image.dtype == np.float32 or image.dtype == np.float64:
        image = np.round(np.clip(image, 0.0, 1.0) * 65535.0).astype(np.uint16)
    if image.dtype not in (np.uint8, np.uint16):
        raise BrokenFile(path, f"a picture of {image.dtype} values is not supported.", "Save it with 8 or 16 bits.")
    return image


def read_gray(path: Path) -> np.ndarray:
    """Reads a picture as (H, W) uint8 or uint16: masks, charts."""
    return _decode(_read_bytes(path), path, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE)


def decode_gray(data: bytes, path: Path) -> np.ndarray:
    """As `read_gray`, from bytes; `path` is only named in errors."""
    return _decode(data, path, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem


def _decode(data: bytes, path: Path, flags: int) -> np.ndarray:
    if not data:
        raise BrokenFile(path, "the file is empty (0 bytes).", "Delete it, or make it again.")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as problem:
        raise BrokenFile(path, f"the picture cannot be decoded ({problem.err}).") from problem
    if image is None:
        raise BrokenFile(path, "this is not a picture, or it is damaged.", "Delete it, or make it again.")
    if max(image.shape[:2]) > _LARGEST_SIDE:
        raise BrokenFile(path, f"a side of {max(image.shape[:2])} pixels is more than {_LARGEST_SIDE}.")
    return image


def decode_bgra(data: bytes, path: Path) -> np.ndarray:
    """A PNG with alpha -> (H, W, 4) BGRA, uint8 or uint16 as stored, colors not multiplied by the alpha.

    Raises:
        BrokenFile: as `read_image`, or the picture has no alpha.
    """
    image = _decode(data, path, cv2.IMREAD_UNCHANGED)
    if image.ndim != 3 or image.shape[2] != 4:
        raise BrokenFile(path, "this picture has no alpha channel.", "Make it again.")
    return image


def read_bgra(path: Path) -> np.ndarray:
    """As `decode_bgra`, from a file."""
    return decode_bgra(_read_bytes(path), path)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels, as `read_image` would give it."""
    height, width = read_image(path).shape[:2]
    return width, height


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """(H, W, 3) BGR or (H, W) uint8 -> baseline JPEG with full chroma resolution (4:4:4) and no restart markers.

    Args:
        quality: 1..100.
    """
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
    parameters += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encode(".jpg", image, parameters)


def encode_png(image: np.ndarray, compression: int = 1) -> bytes:
    """(H, W), (H, W, 3) BGR or (H, W, 4) BGRA with straight alpha, uint8 or uint16 -> PNG.

    Args:
        compression: 0 (none) .. 9 (smallest); 1 is fast and keeps most of the gain.
    """
    parameters = [cv2.IMWRITE_PNG_COMPRESSION, compression]
    if compression == 1:
        # One filter and runs only: half the time of the usual search on video frames (720p: 40 -> 21 ms on one core of
        # a 2026 server), files within 20 % of its size, smaller on grainy ones.
        parameters += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB]
        parameters += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    return _encode(".png", image, parameters)


def encode_tiff(image: np.ndarray) -> bytes:
    """(H, W) or (H, W, 3) BGR, uint8 or uint16 -> TIFF, LZW-compressed: without loss, and every program knows it."""
    return _encode(".tif", image, [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW])


def encode_pnm(image: np.ndarray) -> bytes:
    """(H, W) or (H, W, 3) BGR, uint8 or uint16 -> PGM or PPM: a short header and the plain pixels."""
    return _encode(".ppm" if image.ndim == 3 else ".pgm", image, [])


def _encode(suffix: str, image: np.ndarray, parameters: list[int]) -> bytes:
    if image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"A stored picture has 8 or 16 bits. Received: {image.dtype}.")
    done, data = cv2.imencode(suffix, image, parameters)
    if not done:
        raise FaceLoomError(f"A picture of shape {image.shape} could not be encoded as {suffix}.")
    return data.tobytes()


def encode_png_mask(mask: np.ndarray) -> bytes:
    """(H, W) float in [0, 1] -> 8-bit PNG."""
    return encode_png(to_uint8(mask), compression=9)


def decode_png_mask(data: bytes, path: Path) -> np.ndarray:
    """The mask of a face record -> (H, W) float32 in [0, 1]; `path` is only named in errors."""
    return to_float(_decode(data, path, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE))


def write_image(path: Path, image: np.ndarray, *, quality: int = 95, compression: int = 1) -> None:
    """Writes a picture whole or not at all; the suffix decides the format (.jpg .jpeg .png .tif .tiff).

    Args:
        image: (H, W, 3) BGR or (H, W), uint8 or uint16 (JPEG: uint8).
        quality: of a JPEG, 1..100.
        compression: of a PNG, 0..9.

    Raises:
        FaceLoomError: the disk is full or the folder cannot be written.
    """
    suffix = path.suffix.casefold()
    if suffix in (".jpg", ".jpeg"):
        data = encode_jpeg(image, quality)
    elif suffix == ".png":
        data = encode_png(image, compression)
    elif suffix in (".tif", ".tiff"):
        data = encode_tiff(image)
    else:
        raise ValueError(f"Pictures are written as .jpg, .png or .tif. Received: {path.name}.")
    try:
        atomic_write_bytes(path, data)
    except OSError as problem:
        raise explain_os_error(problem, path) from problem


def to_float(image: np.ndarray) -> np.ndarray:
    """uint8 or uint16 -> float32 in [0, 1]."""
    return image.astype(np.float32) * np.float32(1.0 / np.iinfo(image.dtype).max)


def to_uint16(image: np.ndarray) -> np.ndarray:
    """uint8 -> uint16, white on white (257 levels for one); uint16 as it is."""
    return image if image.dtype == np.uint16 else image.astype(np.uint16) * 257


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Float in [0, 1] (clipped) or uint16 -> uint8, rounded to nearest."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        return np.asarray((image.astype(np.uint32) + 128) // 257, np.uint8)
    return np.asarray(np.clip(image, 0.0, 1.0) * 255.0 + 0.5, np.uint8)
