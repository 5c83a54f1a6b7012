"""What is known of a video file, and the rules for what it does not say.

Colors. A video stores Y'CbCr; pictures are R'G'B'. Which matrix and which range lie between them is written in the
file's tags, or is not. The rule (spec steps-and-cli 5.5.3):

    matrix     the tag; else BT.709 when the picture is at least 720 high or 1280 wide; else BT.601
    primaries  the tag; else those that belong to the matrix (BT.601: the 625-line ones when the height is 576 or 288)
    transfer   the tag; else the one that belongs to the matrix
    range      the tag; else limited ("tv"), of gray pictures full ("pc", as ffmpeg reads them too)

Frames are decoded and encoded with the same explicit matrix and range, and a result always carries all four tags. What
HDR video says beside them (core/video/mastering.py) goes along where it is said.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

MATRICES = ("bt709", "fcc", "bt470bg", "smpte170m", "smpte240m", "bt2020nc")
"""Matrices that can be converted; a tag beyond these counts as no tag."""

_UNKNOWN = (None, "", "unknown", "unspecified", "reserved", "gbr")
_OF_MATRIX = {
    "bt709": ("bt709", "bt709"),
    "fcc": ("bt470m", "bt470m"),
    "bt470bg": ("bt470bg", "smpte170m"),
    "smpte170m": ("smpte170m", "smpte170m"),
    "smpte240m": ("smpte240m", "smpte240m"),
    "bt2020nc": ("bt2020", "bt2020-10"),
}
_HDR_TRANSFERS = ("smpte2084", "arib-std-b67")


@dataclass(frozen=True)
class ColorTags:
    """Color tags in ffmpeg's words ("bt709", "smpte170m", ...); None where the file says nothing.

    Attributes:
        matrix, primaries, transfer: see the module's docstring.
        range: "tv" (limited, 16..235) or "pc" (full, 0..255).
        chroma: where chroma samples of 4:2:0 lie: "left", "center", "topleft", ...
        mastering, light: what HDR video says of its display and its brightness; see core/video/mastering.py.
    """

    matrix: str | None = None
    primaries: str | None = None
    transfer: str | None = None
    range: str | None = None
    chroma: str | None = None
    mastering: str | None = None
    light: str | None = None

    @property
    def is_hdr(self) -> bool:
        """Whether the picture is meant for a high dynamic range display (PQ or HLG)."""
        return self.transfer in _HDR_TRANSFERS


def settle_colors(tags: ColorTags, width: int, height: int) -> ColorTags:
    """Fills in what the tags leave open, by the rule in this module's docstring.

    Args:
        tags: as read from the file.
        width, height: of the picture in pixels.

    Returns:
        Tags without any None, but for `mastering` and `light`, which nobody can guess.
    """
    if tags.matrix in MATRICES:
        matrix = str(tags.matrix)
    elif height >= 720 or width >= 1280:
        matrix = "bt709"
    else:
        matrix = "bt470bg" if height in (576, 288) else "smpte170m"
    primaries, transfer = _OF_MATRIX[matrix]
    return replace(
        tags,
        matrix=matrix,
        primaries=primaries if tags.primaries in _UNKNOWN else tags.primaries,
        transfer=transfer if tags.transfer in _UNKNOWN else tags.transfer,
        range=tags.range if tags.range in ("tv", "pc") else "tv",
        chroma=tags.chroma or "left",
    )


@dataclass(frozen=True)
class AudioProperties:
    """One audio track.

    Attributes:
        stream: its number in the file, counting all streams from 0.
        codec: in ffmpeg's words, e.g. "aac", "pcm_s16le".
        sample_rate: in Hz.
        channels: how many.
        start_seconds: time stamp of its first packet, on the same clock as the video's `start_seconds`.
        packets: number of packets.
    """

    stream: int
    codec: str
    sample_rate: int
    channels: int
    start_seconds: Fraction
    packets: int


@dataclass(frozen=True)
class VideoProperties:
    """What is known of a video.

    Attributes:
        stream: number of the picture stream in the file; attached pictures (cover art) never count.
        codec: in ffmpeg's words.
        width, height: of the stored picture in pixels, before rotation.
        rotation_degrees: clockwise turn a player applies: 0, 90, 180 or 270.
        sample_aspect: width of a stored pixel divided by its height (1: square).
        pixel_format, bit_depth: of the stored picture.
        colors: tags as written in the file.
        interlaced: whether the file says that its frames are two fields.
        rate: frames per second, exact; of a file with varying spacing, the rate its frames are laid out at.
        constant_rate: whether every frame stands where `rate` puts it, within one tick of the file's clock.
        frames: number of stored frames.
        seconds: from the first frame to the end of the last one.
        missing_seconds: how much earlier the last stream ends than the file's header promises: a file cut off.
        start_seconds: time stamp of the first frame.
        file_start_seconds: where the file's own clock begins; a seek time of 0 means this.
        audio: its audio tracks, maybe none.
        bound_to_pictures: names of data that describe its own pictures one by one ("HDR10+"): no result has them.
    """

    stream: int
    codec: str
    width: int
    height: int
    rotation_degrees: int
    sample_aspect: Fraction
    pixel_format: str
    bit_depth: int
    colors: ColorTags
    interlaced: bool
    rate: Fraction
    constant_rate: bool
    frames: int
    seconds: Fraction
    missing_seconds: Fraction
    start_seconds: Fraction
    file_start_seconds: Fraction
    audio: tuple[AudioProperties, ...]
    bound_to_pictures: tuple[str, ...] = ()

    @property
    def has_audio(self) -> bool:
        """Whether there is at least one audio track."""
        return bool(self.audio)

    @property
    def is_rgb(self) -> bool:
        """Whether R'G'B' is stored, so that no matrix applies."""
        return re.match(r"(gbr|rgb|bgr|argb|abgr|0rgb|0bgr|pal8|x2rgb|x2bgr|mono)", self.pixel_format) is not None

    @property
    def picture_size(self) -> tuple[int, int]:
        """(width, height) of a frame as it is extracted: rotation applied, pixels as stored."""
        return (self.height, self.width) if self.rotation_degrees in (90, 270) else (self.width, self.height)

    @property
    def picture_sample_aspect(self) -> Fraction:
        """`sample_aspect` after rotation."""
        return 1 / self.sample_aspect if self.rotation_degrees in (90, 270) else self.sample_aspect

    @property
    def settled_colors(self) -> ColorTags:
        """The colors to decode with, nothing left open."""
        tags = self.colors
        if self.pixel_format.startswith(("yuvj", "gray")) and tags.range is None:
            tags = replace(tags, range="pc")
        if tags.chroma is None and self.codec in ("mjpeg", "mpeg1video"):
            tags = replace(tags, chroma="center")
        return settle_colors(tags, self.width, self.height)

    def describe(self) -> str:
        """One line for people."""
        width, height = self.picture_size
        parts = [f"{width}x{height}", f"{self.frames} frames", f"{show_rate(self.rate)} frames/s"]
        if not self.constant_rate:
            parts[-1] += " (varying)"
        if self.picture_sample_aspect != 1:
            ratio = self.picture_sample_aspect
            parts.append(f"pixel aspect {ratio.numerator}:{ratio.denominator}")
        if self.rotation_degrees:
            parts.append(f"turned by {self.rotation_degrees} degrees")
        colors = self.settled_colors
        tagged = "" if self.colors.matrix in MATRICES or self.is_rgb else " (untagged)"
        gray = self.pixel_format.startswith("gray")
        parts.append("gray" if gray else "RGB" if self.is_rgb else f"{colors.matrix}{tagged}")
        parts.append({"tv": "limited range", "pc": "full range"}[str(colors.range)] + f", {self.bit_depth} bit")
        parts.append(" + ".join(a.codec for a in self.audio) + " audio" if self.audio else "no audio")
        return ", ".join(parts)


def show_rate(rate: Fraction) -> str:
    """A rate as people write it: 25, 24000/1001."""
    return str(rate.numerator) if rate.denominator == 1 else f"{rate.numerator}/{rate.denominator}"


def colors_to_plain(colors: ColorTags) -> dict[str, str | None]:
    """For JSON."""
    return asdict(colors)


def colors_from_plain(plain: Any) -> ColorTags:
    """From JSON; what is not text is dropped."""
    known = plain if isinstance(plain, dict) else {}
    return ColorTags(
        **{name: known[name] for name in ColorTags.__dataclass_fields__ if isinstance(known.get(name), str)}
    )
