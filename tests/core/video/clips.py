"""Tiny videos for the tests, made by ffmpeg itself and not by the code under test."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*words: object, feed: bytes | None = None) -> bytes:
    """Runs ffmpeg and returns its standard output; a failure fails the test with its words."""
    line = [FFMPEG, "-y", "-hide_banner", "-loglevel", "error", *map(str, words)]
    done = subprocess.run(line, input=feed, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def make_clip(
    path: Path,
    *,
    rate: str = "25",
    frames: int = 10,
    size: str = "64x48",
    sound: bool = False,
    words: tuple[object, ...] = ("-c:v", "libx264", "-pix_fmt", "yuv420p"),
    filters: str = "null",
) -> Path:
    """A moving test pattern, with a 440 Hz tone where `sound` is wanted."""
    seconds = frames / (float(rate.split("/")[0]) / float((rate + "/1").split("/")[1]))
    tone = ("-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}", "-c:a", "aac") if sound else ()
    source = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}")
    ffmpeg(*source, *tone, "-vf", filters, "-frames:v", frames, *words, path)
    return path


def raw_frames(path: Path, width: int, height: int, pixel_format: str = "bgr24", channels: int = 3) -> np.ndarray:
    """Decodes a video with ffmpeg's own conversions -> (N, H, W, C) uint8."""
    data = ffmpeg("-i", path, "-map", "0:v:0", "-f", "rawvideo", "-pix_fmt", pixel_format, "pipe:1")
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, channels)


def packet_hash(path: Path, stream: str = "a:0") -> bytes:
    """The MD5 of a stream's packets, as they lie in the file."""
    return ffmpeg("-i", path, "-map", f"0:{stream}", "-c", "copy", "-f", "streamhash", "-hash", "md5", "pipe:1")


def smooth_chart(width: int, height: int) -> np.ndarray:
    """A saturated picture without sharp edges, which 4:2:0 can hold: (H, W, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    waves = (np.sin(x / 20), np.sin(y / 17 + 1), np.sin((x + y) / 23 + 2))
    return np.stack([np.round(127 + 120 * w) for w in waves], axis=-1).astype(np.uint8)


# Rows: the R'G'B' weights of luma; from the recommendations BT.709 and BT.601, not from the code under test.
LUMA_WEIGHTS = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114)}


def to_limited_444(image: np.ndarray, matrix: str) -> np.ndarray:
    """(H, W, 3) BGR uint8 -> (3, H, W) uint8 Y'CbCr in limited range by the formula of the recommendation."""
    blue, green, red = (image[..., n].astype(np.float64) / 255 for n in range(3))
    of_red, of_blue = LUMA_WEIGHTS[matrix]
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    cb, cr = (blue - luma) / (2 - 2 * of_blue), (red - luma) / (2 - 2 * of_red)
    planes = np.stack([16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr])
    return np.round(planes).astype(np.uint8)
