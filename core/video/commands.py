"""ffmpeg command lines, built with ffmpeg-python and run elsewhere: pure functions from settings to lists of words.

Every line names files as `file:<absolute path>`, so no name is ever taken for an option, a protocol or a pattern, and
asks for messages with their level, so that a complaint can be told from chatter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from core.video.encoders import X264, Encoder
from core.video.properties import ColorTags, VideoProperties
from core.video.tool import file_address

_QUIET = ("-hide_banner", "-nostdin", "-loglevel", "level+verbose")
_PROGRESS = ("-progress", "pipe:1", "-nostats", "-stats_period", "0.5")
_PLAIN = {"color_primaries": "bt709", "color_trc": "bt709"}  # said to both sides of a conversion: it stays out of it
_NO_TAGS = {"colorspace": "unknown", "color_primaries": "unknown", "color_trc": "unknown"}


def _words(output: Any, binary: Path, *extra: str) -> list[str]:
    program, *rest = output.compile(cmd=str(binary))
    return [program, *_QUIET, "-y", *extra, *rest]


def build_probe(binary: Path, path: Path) -> list[str]:
    """Lists the packets of the first picture stream and of all audio on standard output; describes on standard
    error."""
    source = ffmpeg.input(file_address(path))
    output = ffmpeg.output(source["V:0"], source["a?"], "pipe:1", c="copy", f="framecrc")
    return _words(output, binary, "-copyts")


def build_look(binary: Path, path: Path, stream: int) -> list[str]:
    """Decodes one picture into nothing; what is said about it comes on standard error."""
    output = (
        ffmpeg.input(file_address(path))[str(stream)]
        .filter("showinfo", checksum=0)
        .output("pipe:1", f="null", **{"frames:v": 1})
    )
    return _words(output, binary)


@dataclass(frozen=True)
class ExtractionPlan:
    """How frames leave a video.

    Attributes:
        extension: ".png", ".jpg" or ".tif".
        depth: 8 or 16 bits per channel (JPEG: 8).
        rate: lay the frames out at this rate, repeating and dropping by time; None: one picture per stored frame.
        deinterlace: turn the two fields of a frame into one clean picture.
        digits: width of the number in the file name.
    """

    extension: str
    depth: int
    rate: Fraction | None
    deinterlace: bool
    digits: int


def build_extraction(binary: Path, path: Path, video: VideoProperties, plan: ExtractionPlan, folder: Path) -> list[str]:
    """Writes every frame into `folder` as 00001.png, ...; the picture is turned upright and pixels stay as stored."""
    stream = ffmpeg.input(file_address(path))[str(video.stream)]
    if plan.deinterlace:
        stream = stream.filter("bwdif", mode="send_frame")
    if plan.rate is not None:
        stream = stream.filter("fps", fps=str(plan.rate), round="near")
    deep = plan.depth == 16
    settings: dict[str, Any] = {"fps_mode": "passthrough", "f": "image2", "start_number": 1}
    stream = _to_rgb(stream, video, "gbrp16le" if deep else "gbrp")
    if plan.extension == ".png":
        stream = stream.filter("format", "rgb48be" if deep else "rgb24").filter("setparams", **_NO_TAGS)
        settings |= {"c:v": "png", "compression_level": 1, "pred": "up"}
    elif plan.extension == ".tif":
        stream = stream.filter("format", "rgb48le" if deep else "rgb24").filter("setparams", **_NO_TAGS)
        settings |= {"c:v": "tiff", "compression_algo": "deflate"}
    else:  # JPEG is BT.601 in full range, whatever the video was
        stream = _from_rgb(stream, "gbrp", "smpte170m", "pc", "yuv444p")
        settings |= {"c:v": "mjpeg", "q:v": 2}
    pattern = file_address(folder).replace("%", "%%") + f"/%0{plan.digits}d{plan.extension}"
    return _words(ffmpeg.output(stream, pattern, **settings), binary, *_PROGRESS)


def _to_rgb(stream: Any, video: VideoProperties, pixel_format: str) -> Any:
    """Stored picture -> planar RGB in full range.

    zscale, not swscale: swscale's 16-bit white is 65280, and its way back to full range cuts half a code off the color
    differences; zscale's means are right within 0.01 codes both ways (measured on a smooth saturated chart).
    """
    if video.is_rgb:
        return stream.filter("format", pixel_format)
    colors = video.settled_colors
    width, height = video.picture_size
    stream = stream.filter("setparams", colorspace=colors.matrix, range=colors.range, **_PLAIN)
    if (width % 2 or height % 2) and video.pixel_format.startswith(("yuv4", "yuvj4", "nv", "p0")):
        # zscale wants whole chroma samples, so swscale spreads them first; it leaves luma as it is.
        stream = stream.filter("scale", in_chroma_loc=colors.chroma, flags="bicubic+accurate_rnd")
        stream = stream.filter("format", f"yuv444p{video.bit_depth}le" if video.bit_depth > 8 else "yuv444p")
    fine = "error_diffusion" if video.bit_depth > 8 and pixel_format == "gbrp" else "none"
    stream = stream.filter("zscale", matrix="gbr", range="full", chromalin=colors.chroma, filter="bicubic", dither=fine)
    return stream.filter("format", pixel_format)


def _from_rgb(stream: Any, planar: str, matrix: str, span: str, pixel_format: str) -> Any:
    """RGB in full range -> Y'CbCr with this matrix and range ("tv" or "pc"); 4:2:0 wants even sides.

    `planar` is the planar form of the pictures, of their own depth, with or without alpha.
    """
    # zscale multiplies straight colors by their alpha for the while, and where that is 0 they are gone; so it is told
    # that this has been done already.
    trick, truth = ({"alpha_mode": "premultiplied"}, {"alpha_mode": "straight"}) if "gbra" in planar else ({}, {})
    stream = stream.filter("format", planar).filter("setparams", colorspace="gbr", range="pc", **_PLAIN, **trick)
    stream = stream.filter("zscale", matrix=matrix, range=span, chromal="left", filter="bicubic")
    stream = stream.filter("format", pixel_format)
    return stream.filter("setparams", **truth) if truth else stream


@dataclass(frozen=True)
class RawFrames:
    """The pictures that are fed through standard input.

    Attributes:
        width, height: in pixels.
        channels: 3 (BGR), 4 (BGR and straight alpha) or 1 (gray).
        depth: 8 or 16 bits.
        rate: frames per second.
    """

    width: int
    height: int
    channels: int
    depth: int
    rate: Fraction

    @property
    def pixel_format(self) -> str:
        """In ffmpeg's words."""
        shallow, deep = {1: ("gray", "gray16le"), 3: ("bgr24", "bgr48le"), 4: ("bgra", "bgra64le")}[self.channels]
        return shallow if self.depth == 8 else deep

    @property
    def planar_rgb(self) -> str:
        """The planar form of the same depth. swscale makes it exactly, but would widen 255 to 65280."""
        return f"gbr{'a' if self.channels == 4 else ''}p{'16le' if self.depth == 16 else ''}"


@dataclass(frozen=True)
class EncodingPlan:
    """How pictures become a video.

    Attributes:
        extension: ".mp4", ".mov", ".avi" or ".mkv".
        lossless: every pixel comes back as it went in.
        crf: constant quality on the encoder's own scale, used unless `bitrate_megabits` is given.
        bitrate_megabits: average rate in Mbit/s, or None.
        colors: settled tags; the matrix and range pictures are encoded with.
        sample_aspect: width of a pixel divided by its height.
        encoder: what makes the video, unless it is lossless: then the container decides.
    """

    extension: str
    lossless: bool
    crf: int
    bitrate_megabits: float | None
    colors: ColorTags
    sample_aspect: Fraction
    encoder: Encoder = X264

    def padded(self, frames: RawFrames) -> RawFrames:
        """The frames as they are stored: 4:2:0 needs even sides; lossless and 4:4:4 results keep the exact size."""
        if self.lossless or "444" in self.encoder.shallow:
            return frames
        return replace(frames, width=frames.width + frames.width % 2, height=frames.height + frames.height % 2)


@dataclass(frozen=True)
class SoundPlan:
    """The audio track that goes along.

    Attributes:
        path: the file that holds it.
        stream: its number there.
        copy: whether its packets go over as they are.
        codec: what is made of them otherwise: "aac" or "pcm_s16le".
        channels: how many, for the bit rate of AAC.
        shift_seconds: added to the time stamps of `path`, so that its first picture stands at 0.
    """

    path: Path
    stream: int
    copy: bool
    codec: str
    channels: int
    shift_seconds: Fraction


def clock(rate: Fraction) -> tuple[int, int]:
    """(ticks per second, ticks per frame) of an .mp4's or .mov's picture track: fine, and exact for this rate."""
    factor = 1
    while rate.numerator * factor < 10000:
        factor *= 2
    return rate.numerator * factor, rate.denominator * factor


def build_joining(binary: Path, listing: Path, rate: Fraction, sound: SoundPlan | None, target: Path) -> list[str]:
    """Makes one .mp4 or .mov of the parts that `listing` names (ffmpeg's concat script), without encoding anything, and
    of a sound track."""
    source = ffmpeg.input(file_address(listing), f="concat", safe=0)
    ticks_per_second, ticks = clock(rate)
    # Where parts meet, ffmpeg counts in microseconds: the time stamps snap back to the frames.
    snapped = f"setts=pts=round(PTS/{ticks})*{ticks}:dts=round(DTS/{ticks})*{ticks}:duration={ticks}"
    settings: dict[str, Any] = {
        "c": "copy",
        "bsf:v": snapped,
        "movflags": "+faststart",
        "video_track_timescale": ticks_per_second,
    }
    streams = [source["0"]]
    extra: list[str] = []
    if sound is not None:
        streams.append(_sound(sound, settings))
        extra.append("-copyts")
    return _words(ffmpeg.output(*streams, file_address(target), **settings), binary, *extra)


def build_encoding(
    binary: Path, frames: RawFrames, plan: EncodingPlan, sound: SoundPlan | None, target: Path
) -> list[str]:
    """Makes a video of raw pictures from standard input, and of an audio track."""
    stream = ffmpeg.input(
        "pipe:0",
        f="rawvideo",
        pix_fmt=frames.pixel_format,
        video_size=(frames.width, frames.height),
        framerate=str(frames.rate),
        **_mastering(frames, plan),
    )["0"]
    settings: dict[str, Any] = {"fps_mode": "passthrough"}
    if plan.lossless:
        stream, words = _lossless(stream, frames, plan)
    else:
        stream, words = _lossy(stream, frames, plan)
    settings |= words
    aspect = plan.sample_aspect
    stream = stream.filter("setsar", sar=f"{aspect.numerator}/{aspect.denominator}")
    if plan.extension in (".mp4", ".mov"):
        settings |= {"movflags": "+faststart", "video_track_timescale": clock(frames.rate)[0]}
    extra = ["-nostats"]  # nobody reads its standard output while it is fed: a full pipe would hold it up
    streams = [stream]
    if sound is not None:
        streams.append(_sound(sound, settings))
        extra.append("-copyts")
    return _words(ffmpeg.output(*streams, file_address(target), **settings), binary, *extra)


def _mastering(frames: RawFrames, plan: EncodingPlan) -> dict[str, str]:
    """What HDR pictures say of their display, said of those that come in: every encoder and container takes it from
    there. Nothing for masks, and for PNG, which goes without tags."""
    if frames.channels == 1 or (plan.lossless and plan.extension == ".mov"):
        return {}
    told = {"mastering_display": plan.colors.mastering, "content_light": plan.colors.light}
    return {name: words for name, words in told.items() if words}


def _sound(sound: SoundPlan, settings: dict[str, Any]) -> Any:
    """The sound track as a further stream; what is to be done with it goes into `settings`."""
    shift = {"itsoffset": f"{float(sound.shift_seconds):.6f}"} if sound.shift_seconds else {}
    track = ffmpeg.input(file_address(sound.path), **shift)[str(sound.stream)]
    if sound.copy:
        settings["c:a"] = "copy"
    elif sound.codec == "aac":
        settings |= _aac(sound.channels)
    else:  # no time stamps in the container: silence in front, or the first part left out
        track = track.filter("aresample", **{"async": 1, "first_pts": 0})
        settings["c:a"] = sound.codec
    return track


def _aac(channels: int) -> dict[str, Any]:
    return {"c:a": "aac", "b:a": f"{96 * max(channels, 1)}k"}


def _lossless(stream: Any, frames: RawFrames, plan: EncodingPlan) -> tuple[Any, dict[str, Any]]:
    """PNG pictures in a .mov (what compositing programs open), FFV1 in .avi and .mkv, x264 at quantizer 0 in .mp4."""
    gray, deep = frames.channels == 1, frames.depth == 16
    colors = replace(plan.colors, range="pc")
    if not gray:
        colors = ColorTags(matrix="gbr", primaries=colors.primaries, transfer=colors.transfer, range="pc")
    if plan.extension == ".mov":
        shallow_form, deep_form = {1: ("gray", "gray16be"), 3: ("rgb24", "rgb48be"), 4: ("rgba", "rgba64be")}[
            frames.channels
        ]
        stream = stream.filter("format", deep_form if deep else shallow_form)
        # Without primaries: PNG would carry them as a gamma that some programs apply and others do not.
        stream = stream.filter("setparams", range="pc", **_NO_TAGS)
        return stream, {"c:v": "png", "compression_level": 1, "pred": "mixed"}
    if plan.extension in (".avi", ".mkv"):
        shallow_form, deep_form = {1: ("gray", "gray16le"), 3: ("bgr0", "gbrp16le"), 4: ("bgra", "gbrap16le")}[
            frames.channels
        ]
        stream = stream.filter("format", deep_form if deep else shallow_form)
        return _tagged(stream, colors), {"c:v": "ffv1", "level": 3, "slicecrc": 1}
    stream = _tagged(stream.filter("format", "gray" if gray else "bgr24"), colors)
    return stream, {"c:v": "libx264" if gray else "libx264rgb", "qp": 0, "preset": "medium"}


_PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le"}
"""What graphics cards take, and the form of the same pixels that zscale makes."""


def _lossy(stream: Any, frames: RawFrames, plan: EncodingPlan) -> tuple[Any, dict[str, Any]]:
    colors, encoder = plan.colors, plan.encoder
    if encoder.family == "prores":
        colors = replace(colors, range="tv")  # it has no word for its range, so all take it for limited
    deep = frames.depth == 16 and encoder.deep is not None
    if frames.channels == 1:
        stream = stream.filter("setparams", range="pc", **_NO_TAGS)
    if frames.channels == 1 and encoder.program in ("libx264", "libx265"):
        stream = _tagged(stream.filter("format", "gray10le" if deep else "gray"), replace(colors, range="pc"))
    else:
        pixel_format = str(encoder.deep) if deep else encoder.shallow
        if frames.channels == 4:
            pixel_format = pixel_format.replace("yuv", "yuva")
        planar = _PLANAR.get(pixel_format, pixel_format)
        stream = _from_rgb(stream, frames.planar_rgb, str(colors.matrix), str(colors.range), planar)
        stream = _tagged(stream.filter("format", pixel_format), colors)
    words = encoder.command_words(plan.crf, plan.bitrate_megabits, deep, plan.extension)
    if plan.extension == ".avi":
        words["bf"] = 0  # the container cannot say that frames are shown in another order than they are stored in
    return stream, words


def _tagged(stream: Any, colors: ColorTags) -> Any:
    return stream.filter(
        "setparams",
        colorspace=colors.matrix,
        color_primaries=colors.primaries,
        color_trc=colors.transfer,
        range=colors.range,
    )


@dataclass(frozen=True)
class CutPlan:
    """A part of a video.

    Attributes:
        start_seconds: where it begins, counted from the beginning of the file's clock; None: at the beginning.
        decode_all: reach the beginning by decoding everything before it, in files that have no index to seek by.
        frames: how many frames it has; None with `copy`.
        seconds: how long it is.
        copy: keep the packets as they are; the cut then begins at the key frame before `start_seconds`.
        bitrate_megabits, crf: as in EncodingPlan.
        audio_stream: number of the audio track that goes along, or None.
        audio_channels: of that track.
    """

    start_seconds: Fraction | None
    decode_all: bool
    frames: int | None
    seconds: Fraction
    copy: bool
    bitrate_megabits: float | None
    crf: int
    audio_stream: int | None
    audio_channels: int


def build_cut(binary: Path, path: Path, video: VideoProperties, plan: CutPlan, target: Path) -> list[str]:
    """Cuts a part out of a video: picture at constant quality with the same colors, rate and pixel aspect."""
    seek = {} if plan.start_seconds is None else {"ss": f"{float(plan.start_seconds):.6f}"}
    source = ffmpeg.input(file_address(path), **({} if plan.decode_all else seek))
    stream = source[str(video.stream)]
    settings: dict[str, Any] = {"t": f"{float(plan.seconds):.6f}", **(seek if plan.decode_all else {})}
    if plan.copy:
        settings["c:v"] = "copy"
    else:
        colors = video.settled_colors
        stream, words = _cut_picture(stream, video, colors)
        settings |= words
        settings |= {"crf": plan.crf} if plan.bitrate_megabits is None else {"b:v": f"{plan.bitrate_megabits:g}M"}
        settings["frames:v"] = plan.frames
    streams = [stream]
    if plan.audio_stream is not None:
        streams.append(source[str(plan.audio_stream)])
        settings |= {"c:a": "copy"} if plan.copy else _aac(plan.audio_channels)
    if target.suffix.casefold() in (".mp4", ".mov", ".m4v"):
        settings["movflags"] = "+faststart"
    return _words(ffmpeg.output(*streams, file_address(target), **settings), binary, *_PROGRESS)


def _cut_picture(stream: Any, video: VideoProperties, colors: ColorTags) -> tuple[Any, dict[str, Any]]:
    deep = video.bit_depth > 8
    if video.is_rgb:
        stream = stream.filter("format", "gbrp")
        return stream, {"c:v": "libx264rgb", "fps_mode": "passthrough", "preset": "medium"}
    width, height = video.picture_size
    layout = "444" if width % 2 or height % 2 else "420"
    stream = stream.filter("scale", in_range=colors.range, out_range=colors.range, flags="bicubic+accurate_rnd")
    stream = _tagged(stream.filter("format", f"yuv{layout}p{'10le' if deep else ''}"), colors)
    return stream, {"c:v": "libx264", "fps_mode": "passthrough", "preset": "medium"}


def build_denoising(binary: Path, frames: RawFrames, factor: int) -> list[str]:
    """Raw BGR pictures in and out; hqdn3d works on luma and color differences, here with 16 bits and full range, so
    that an untouched pixel comes back as it was (the filter has no RGB form)."""
    stream = ffmpeg.input(
        "pipe:0",
        f="rawvideo",
        pix_fmt=frames.pixel_format,
        video_size=(frames.width, frames.height),
        framerate="25",
    )["0"]
    stream = _from_rgb(stream, frames.planar_rgb, "bt709", "pc", "yuv444p16le")
    stream = stream.filter("hqdn3d", luma_spatial=factor, chroma_spatial=factor, luma_tmp=5, chroma_tmp=5)
    stream = stream.filter("zscale", matrix="gbr", range="full").filter("format", frames.planar_rgb)
    stream = stream.filter("format", frames.pixel_format)
    return _words(ffmpeg.output(stream, "pipe:1", f="rawvideo", fps_mode="passthrough"), binary)
