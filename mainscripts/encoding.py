"""The choice of an encoder: declared once, for videos made of images and for merging straight into a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import BadOption
from core.options import Options, option
from core.video.commands import EncodingPlan, RawFrames
from core.video.encoders import ENCODER_WORDS, X264, Encoder, find_encoder
from core.video.properties import ColorTags, VideoProperties

FFMPEG_HELP = "Another ffmpeg than the one that comes with FaceLoom: a path or a program name. Also: FACELOOM_FFMPEG."
BITRATE_HELP = "Empty: constant quality (--crf), which is the better choice unless a size is prescribed."


def has_bitrate(options: Any) -> bool:
    """Whether a bit rate can be chosen: lossless forms and ProRes have none, and a quality goes without."""
    return not options.lossless and options.encoder != "prores4444" and options.crf is None


def refuse_two_sizes(crf: int | None, bitrate: float | None) -> None:
    """BadOption where both a quality and a bit rate are told: one follows from the other."""
    if crf is not None and bitrate is not None:
        raise BadOption(
            f"A video has a constant quality or a bit rate. Received: --crf {crf} and --bitrate {bitrate:g}.",
            "Leave one of them out.",
        )


@dataclass(kw_only=True)
class EncodingOptions(Options):
    """How a video is encoded."""

    lossless: bool = option(
        False,
        "Lossless",
        ask=False,
        help="Every pixel exactly as in the images: x264 RGB in .mp4, PNG in .mov, FFV1 in .avi and .mkv.",
    )
    encoder: str = option(
        X264.word,
        "Encoder",
        choices=dict.fromkeys(ENCODER_WORDS, ()),
        ask=False,
        help="x264 plays everywhere; x265 and av1 are smaller and slower; prores4444 (.mov) is for editing and holds"
        " an alpha channel; nvenc, qsv, videotoolbox and amf belong to graphics cards.",
    )
    crf: int | None = option(
        None,
        "Quality",
        low=0,
        high=63,
        ask=False,
        help="On the encoder's own scale, 0 best. Empty: visually lossless, e.g. 16 for x264, 18 for x265, 20 for av1.",
    )
    ffmpeg: str | None = option(None, "ffmpeg", ask=False, help=FFMPEG_HELP)


@dataclass(frozen=True)
class EncoderChoice:
    """What the options came to.

    Attributes:
        encoder: that works here.
        quality: on its scale.
        keeps_alpha: whether the result holds an alpha channel.
        note: what is to be told about it, or None.
    """

    encoder: Encoder
    quality: int
    keeps_alpha: bool
    note: str | None = None


def choose_encoder(options: EncodingOptions, bitrate: float | None, extension: str) -> EncoderChoice:
    """Checks that what was asked for fits together and works on this machine: before the work, not after it.

    Args:
        bitrate: in Mbit/s, or None.
        extension: of the result, e.g. ".mp4".

    Raises:
        BadOption: it does not fit; the encoder does not work here.
    """
    if options.lossless:
        unused = [options.encoder] if options.encoder != X264.word else []
        unused += [flag for flag, value in (("--crf", options.crf), ("--bitrate", bitrate)) if value is not None]
        note = f"A lossless {extension} has an encoder of its own. Not used: {', '.join(unused)}." if unused else None
        return EncoderChoice(X264, X264.usual_quality, extension != ".mp4", note)
    encoder = find_encoder(options.encoder, options.ffmpeg)
    if extension not in encoder.containers:
        raise BadOption(
            f"{encoder.word} goes into {', '.join(encoder.containers)}. Received: {extension}.",
            "Change the suffix of the output file, or --encoder.",
        )
    refuse_two_sizes(options.crf, bitrate)
    if not encoder.has_quality and (options.crf is not None or bitrate is not None):
        raise BadOption(f"{encoder.word} has one quality, a high one. Received: --crf or --bitrate.", "Leave it out.")
    quality = encoder.usual_quality if options.crf is None else options.crf
    if quality > encoder.worst_quality:
        raise BadOption(f"The quality of {encoder.word} ends at {encoder.worst_quality}. Received: --crf {quality}.")
    return EncoderChoice(encoder, quality, encoder.family == "prores")


def depth_notes(frames: RawFrames, plan: EncodingPlan) -> list[str]:
    """What happens to pictures of 16 bits, and to HDR, in words; nothing where nothing is lost."""
    if frames.channels == 1 or plan.lossless:
        return []
    encoder = plan.encoder
    if frames.depth == 16 and encoder.deep is not None and encoder.family == "h264":
        return ["16 bits become 10: every program shows such H.264, but few television sets and telephones do."]
    if frames.depth == 16 and encoder.deep is not None:
        return ["16 bits become 10."]
    notes = [f"{encoder.word} holds 8 bits: the 16 bits of the images become 8."] if frames.depth == 16 else []
    if plan.colors.is_hdr:
        notes.append("HDR in 8 bits shows bands in skies and on walls. Extract and merge with 16 bits to keep more.")
    return notes


def lost_tags(wanted: ColorTags, made: VideoProperties) -> str | None:
    """Sentences where the finished video does not say which colors it has; None where it does."""
    found, sentences = made.colors, []
    if (found.primaries, found.transfer) != (wanted.primaries, wanted.transfer):
        sentences.append(
            f"This form of video does not say its colors: tell the program that opens it {wanted.primaries} primaries "
            f"and {wanted.transfer} transfer."
        )
    if (found.mastering, found.light) != (wanted.mastering, wanted.light):
        sentences.append(
            "Nor on which display they were graded, and how bright they are, which the footage said: x264, x265, av1 "
            "and prores4444 do in .mp4, .mov and .mkv, written by the ffmpeg that comes with FaceLoom."
            if sentences
            else "This video does not say on which display it was graded, and how bright it is, which the footage "
            "said: the ffmpeg that comes with FaceLoom writes it."
        )
    return " ".join(sentences) or None
