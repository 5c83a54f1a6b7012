"""The encoders a result can be made with, and whether this machine has them.

`x264` plays everywhere. `x265` and `av1` need less space and more time; `prores4444` is what editing programs exchange,
with an alpha of 16 bits; the others are made by a graphics card, quickly, at somewhat more space for the same look.
Quality is the encoder's own scale: 0 is best, larger is smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ffmpeg

from core.errors import BadOption, ToolFailed
from core.video.tool import ffmpeg_binary, running

_Words = dict[str, Any]


@dataclass(frozen=True)
class Encoder:
    """One encoder of ffmpeg.

    Attributes:
        word: what users call it.
        program: what ffmpeg calls it.
        family: "h264", "hevc", "av1" or "prores".
        shallow: pixel format for 8-bit pictures.
        deep: pixel format for deeper ones, at least 10 bits; None: it holds 8 bits.
        quality: constant quality -> ffmpeg's words for it.
        usual_quality, worst_quality: what is taken when nothing is asked for, and the end of the scale.
        words: said always.
    """

    word: str
    program: str
    family: str
    shallow: str
    deep: str | None
    quality: Callable[[int], _Words] = field(repr=False)  # a text of it would tell one run from the next
    usual_quality: int = 16
    worst_quality: int = 51
    words: tuple[tuple[str, Any], ...] = ()

    @property
    def containers(self) -> tuple[str, ...]:
        """The suffixes a result may have."""
        return _CONTAINERS[self.family]

    @property
    def has_quality(self) -> bool:
        """Whether its quality, or its bit rate, is to be chosen."""
        return self.family != "prores"

    def command_words(self, quality: int, bitrate_megabits: float | None, deep: bool, extension: str) -> _Words:
        """What ffmpeg is told about it.

        Args:
            quality: used unless a bit rate is given.
            deep: whether the pictures have more than 8 bits.
            extension: of the result.
        """
        told: _Words = {"c:v": self.program, **dict(self.words)}
        if self.has_quality:
            told |= self.quality(quality) if bitrate_megabits is None else {"b:v": f"{bitrate_megabits:g}M"}
        if self.family == "h264" and not deep and self.shallow == "yuv420p":
            told["profile:v"] = "high"
        if self.family == "hevc" and extension in (".mp4", ".mov"):
            told["tag:v"] = "hvc1"  # the name under which Apple's players know it
        return told


def _crf(quality: int) -> _Words:
    return {"crf": quality}


def _nvenc(quality: int) -> _Words:
    return {"rc": "vbr", "cq": quality, "b:v": 0}


def _qsv(quality: int) -> _Words:
    return {"global_quality": quality}


def _amf(quality: int) -> _Words:
    return {"rc": "cqp", "qp_i": quality, "qp_p": quality}


def _videotoolbox(quality: int) -> _Words:
    return {"q:v": max(1, 100 - 2 * quality)}  # its scale runs upward to 100


_CONTAINERS = {
    "h264": (".mp4", ".mov", ".avi", ".mkv"),
    "hevc": (".mp4", ".mov", ".mkv"),
    "av1": (".mp4", ".mkv"),
    "prores": (".mov",),
}
_MEDIUM = (("preset", "medium"),)
_NVENC = (("preset", "p6"),)
_QSV = (("preset", "slow"),)
_AMF = (("quality", "quality"),)
_PRORES = (("profile:v", "4444"), ("alpha_bits", 16), ("vendor", "apl0"))

X264 = Encoder("x264", "libx264", "h264", "yuv420p", "yuv420p10le", _crf, words=_MEDIUM)
_ENCODERS = (
    X264,
    Encoder(
        *("x265", "libx265", "hevc", "yuv420p", "yuv420p10le", _crf, 18),
        words=(*_MEDIUM, ("x265-params", "log-level=error")),
    ),
    Encoder("av1", "libsvtav1", "av1", "yuv420p", "yuv420p10le", _crf, 20, 63, words=(("preset", 5),)),
    Encoder("av1", "libaom-av1", "av1", "yuv420p", "yuv420p10le", _crf, 20, 63, words=(("cpu-used", 4),)),
    Encoder("prores4444", "prores_ks", "prores", "yuv444p10le", "yuv444p10le", _crf, 0, 0, words=_PRORES),
    Encoder("h264_nvenc", "h264_nvenc", "h264", "yuv420p", None, _nvenc, 18, words=_NVENC),
    Encoder("hevc_nvenc", "hevc_nvenc", "hevc", "yuv420p", "p010le", _nvenc, 20, words=_NVENC),
    Encoder("av1_nvenc", "av1_nvenc", "av1", "yuv420p", "p010le", _nvenc, 24, 63, words=_NVENC),
    Encoder("h264_qsv", "h264_qsv", "h264", "nv12", None, _qsv, 18, words=_QSV),
    Encoder("hevc_qsv", "hevc_qsv", "hevc", "nv12", "p010le", _qsv, 20, words=_QSV),
    Encoder("av1_qsv", "av1_qsv", "av1", "nv12", "p010le", _qsv, 24, 63, words=_QSV),
    Encoder("h264_videotoolbox", "h264_videotoolbox", "h264", "nv12", None, _videotoolbox, 16, 49),
    Encoder("hevc_videotoolbox", "hevc_videotoolbox", "hevc", "nv12", "p010le", _videotoolbox, 16, 49),
    Encoder("h264_amf", "h264_amf", "h264", "nv12", None, _amf, 18, words=_AMF),
    Encoder("hevc_amf", "hevc_amf", "hevc", "nv12", "p010le", _amf, 20, words=_AMF),
)
ENCODER_WORDS = tuple(dict.fromkeys(e.word for e in _ENCODERS))
"""What users may choose from."""


def find_encoder(word: str, ffmpeg: str | None = None) -> Encoder:
    """The encoder of this name that works here; x264 needs no proof, any other one encodes a frame first.

    Raises:
        BadOption: this ffmpeg has none, or the machine lacks what it needs.
    """
    reasons = []
    for encoder in (e for e in _ENCODERS if e.word == word):
        if encoder is X264:
            return encoder
        reason = _try_out(encoder, ffmpeg)
        if reason is None:
            return encoder
        reasons.append(reason)
    raise BadOption(
        f"The encoder {word} does not work on this machine ({'; '.join(reasons)}). Received: --encoder {word}.",
        "Leave --encoder out (x264), or choose x265, av1 or a graphics card's encoder that this machine has.",
    )


def _try_out(encoder: Encoder, told: str | None) -> str | None:
    """Encodes one black frame, large enough for every graphics card, into nothing; why that fails, or None."""
    words = encoder.command_words(encoder.usual_quality, None, False, ".mkv")
    source = ffmpeg.input("color=size=256x256:rate=25:duration=0.04", f="lavfi")
    output = ffmpeg.output(source, "pipe:1", f="null", pix_fmt=encoder.shallow, **words)
    program, *rest = output.compile(cmd=str(ffmpeg_binary(told)))
    with running([program, "-hide_banner", "-nostdin", "-loglevel", "level+error", *rest]) as tool:
        tool.output.read()
        try:
            tool.finish()
        except ToolFailed as problem:
            return next(iter(tool.report.complaints), problem.last_words)  # the first names the cause
    return None
