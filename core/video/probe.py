"""What a video file holds, found out with ffmpeg alone (its package brings no ffprobe).

One pass copies every packet, undecoded, into a list of time stamps (`-c copy -f framecrc`), while ffmpeg describes the
streams on its standard error. The description names codec, size, colors, rotation; its rate is rounded to two decimals,
so the exact rate comes from the time stamps.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from core.errors import BrokenFile, MissingInput, ToolFailed
from core.video.commands import build_look, build_probe
from core.video.mastering import read_mastering
from core.video.properties import AudioProperties, ColorTags, VideoProperties
from core.video.timing import fit_rate
from core.video.tool import ffmpeg_binary, running

_STREAM = re.compile(r"^  Stream #0:(\d+)\S*: (Video|Audio): (.*)$")
_PICTURE = re.compile(r"^(\w+).*?, (\w+)(?:\(((?:[^()]|\([^()]*\))*)\))?, (\d+)x(\d+)")
_AUDIO = re.compile(r"^(\w+).*?, (\d+) Hz, ([^,]+)")
_FILE = re.compile(r"^  Duration: (?:(\d+):(\d+):(\d+(?:\.\d+)?)|N/A)(?:, start: (-?[\d.]+))?")
_CHANNELS = {"mono": 1, "stereo": 2, "2.1": 3, "quad": 4, "5.0": 5, "5.1": 6, "6.1": 7, "7.1": 8}
_PLACES = ("left", "center", "topleft", "top", "bottomleft", "bottom")
_DISCARDED = 0x4
_CUT_OFF = Fraction(1, 2)
_REORDERED = 16


@dataclass
class _StreamText:
    number: int
    kind: str
    text: str
    rotation: float = 0.0
    side_data: list[str] = field(default_factory=list)


@dataclass
class _Packets:
    """Time stamps of one stream, in ticks of `time_base`; without the packets that are never shown."""

    time_base: Fraction = Fraction(1)
    times: list[int] = field(default_factory=list)
    last_duration: int = 0


@dataclass(frozen=True)
class Probe:
    """Everything one pass over a file told.

    Attributes:
        video: its properties.
        frame_seconds: (frames,) float64, when each frame is shown, on the file's own clock, ascending.
        complaints: what ffmpeg found wrong, usually nothing.
    """

    video: VideoProperties
    frame_seconds: np.ndarray
    complaints: tuple[str, ...]


def probe_video(path: Path, ffmpeg: str | None = None) -> Probe:
    """Reads what a video file holds. Reads the whole file, decodes nothing: as fast as the disk.

    Args:
        path: any file ffmpeg can open.
        ffmpeg: see `ffmpeg_binary`.

    Raises:
        MissingInput: no such file.
        ToolFailed: there is no ffmpeg, or it does not work.
        BrokenFile: not a video, empty, without a picture stream, or without a single readable frame.
    """
    if not path.is_file():
        raise MissingInput(f"There is no video {path}.", "Check the name.")
    if path.stat().st_size == 0:
        raise BrokenFile(path, "the file is empty (0 bytes).", "Copy or record the video again.")
    listing: list[str] = []
    with running(build_probe(ffmpeg_binary(ffmpeg), path)) as tool:
        listing = [line.decode("ascii", "replace") for line in tool.output]
        failure = None
        try:
            report = tool.finish()
        except ToolFailed as problem:
            report, failure = tool.report, problem
    streams, promised, file_start = parse_description(text for _, text in report.head)
    pictures = [s for s in streams if s.kind == "Video" and "(attached pic)" not in s.text]
    if failure is not None and not report.lines:
        raise failure  # not a word: it is not the video that is at fault
    if not streams:
        words = failure.last_words if failure else report.last_words()
        raise BrokenFile(path, f"this is not a video that can be read ({words}).", "Copy or record the video again.")
    if not pictures:
        raise BrokenFile(path, "the file has no picture stream.", "Choose the video file, not its sound track.")
    packets = parse_packets(listing)
    sounds = [s for s in streams if s.kind == "Audio"]
    order = [pictures[0].number, *(s.number for s in sounds)]
    by_stream = {number: packets[n] for n, number in enumerate(order) if n in packets}
    shown = by_stream.get(pictures[0].number, _Packets())
    if not shown.times:
        words = report.last_words() if report.complaints else "it ends before the first one"
        raise BrokenFile(path, f"the video has no readable frame ({words}).", "Copy or record the video again.")
    video = _assemble(pictures[0], sounds, by_stream, promised, file_start)
    if video.colors.is_hdr:
        video = _with_mastering(video, pictures[0].side_data, path, ffmpeg)
    seconds = np.asarray(shown.times, np.float64) * float(shown.time_base)
    return Probe(video, seconds, tuple(report.complaints))


def _with_mastering(video: VideoProperties, said: list[str], path: Path, ffmpeg: str | None) -> VideoProperties:
    """What HDR video says beside its tags: in the file's description, else with its first picture."""
    with running(build_look(ffmpeg_binary(ffmpeg), path, video.stream)) as tool:
        tool.output.read()
        with contextlib.suppress(ToolFailed):  # a picture that cannot be decoded is found when it is extracted
            tool.finish()
    seen = [text for _, text in tool.report.lines if "showinfo" in text or "side data" in text]
    mastering, light, bound = read_mastering([*said, *seen])
    return replace(video, colors=replace(video.colors, mastering=mastering, light=light), bound_to_pictures=bound)


def parse_description(lines: Iterable[str]) -> tuple[list[_StreamText], Fraction, Fraction]:
    """Reads ffmpeg's description of its first input.

    Returns:
        Streams; the duration the file promises in seconds (0: none); where its clock starts, in seconds.
    """
    streams: list[_StreamText] = []
    duration, start = Fraction(0), Fraction(0)
    for line in lines:
        if line.startswith(("Output #", "Stream mapping:")):
            break
        if match := _STREAM.match(line):
            streams.append(_StreamText(int(match[1]), match[2], match[3]))
        elif match := _FILE.match(line):
            if match[1]:
                duration = int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
            start = Fraction(match[4] or 0)
        elif streams and (match := re.match(r"^\s+display ?matrix: rotation of (-?[\d.]+|nan) degrees", line, re.I)):
            streams[-1].rotation = 0.0 if match[1] == "nan" else float(match[1])
        elif streams:
            streams[-1].side_data.append(line)
    return streams, duration, start


def parse_packets(lines: Iterable[str]) -> dict[int, _Packets]:
    """Reads a framecrc listing: `stream, decoding time, presentation time, duration, size, checksum[, F=flags ...]`.

    Returns:
        Per output stream, the presentation times of its shown packets in ascending order.
    """
    found: defaultdict[int, _Packets] = defaultdict(_Packets)
    for line in lines:
        if line.startswith("#tb "):
            number, _, base = line[4:].partition(":")
            found[int(number)].time_base = Fraction(base.strip())
        elif not line.startswith("#"):
            parts = [part.strip() for part in line.split(",")]
            if len(parts) < 6:
                continue
            stamp = next((int(p) for p in (parts[2], parts[1]) if p.lstrip("-").isdigit()), None)
            flags = next((int(p[2:], 16) for p in parts[6:] if p.startswith("F=")), 0)
            if stamp is not None and not (parts[0] == "0" and flags & _DISCARDED):
                packets = found[int(parts[0])]
                packets.times.append(stamp)
                packets.last_duration = int(parts[3])
    for packets in found.values():
        packets.times.sort()
    return dict(found)


def _assemble(
    picture: _StreamText,
    sounds: list[_StreamText],
    packets: dict[int, _Packets],
    promised: Fraction,
    file_start: Fraction,
) -> VideoProperties:
    match = _PICTURE.match(picture.text)
    codec, pixel_format, inside, width, height = match.groups() if match else ("", "", "", "0", "0")
    hint = re.search(r"([\d.]+)(k?) fps", picture.text) or re.search(r"([\d.]+)(k?) tbr", picture.text)
    shown = packets[picture.number]
    aspect = re.search(r"SAR (\d+):(\d+)", picture.text)
    square = aspect is None or int(aspect[1]) == 0 or int(aspect[2]) == 0
    start = shown.times[0] * shown.time_base
    hinted = float(hint[1]) * (1000 if hint[2] else 1) if hint else 25.0
    rate, constant = fit_rate(shown.times, shown.time_base, hinted)
    if constant:
        seconds = len(shown.times) / rate
    else:
        seconds = (shown.times[-1] + max(shown.last_duration, 1)) * shown.time_base - start
    ends = [start + seconds, *(p.time_base * (p.times[-1] + p.last_duration) for p in packets.values() if p.times)]
    missing = file_start + promised - max(ends)
    if missing > _CUT_OFF and not constant:  # where a file breaks off, frames that others build on are gone
        rate, constant = fit_rate(shown.times[:-_REORDERED], shown.time_base, hinted)
    colors, interlaced = _parse_inside(inside or "")
    return VideoProperties(
        stream=picture.number,
        codec=codec,
        width=int(width),
        height=int(height),
        rotation_degrees=round(-picture.rotation / 90) * 90 % 360,
        sample_aspect=Fraction(1) if square else Fraction(int(aspect[1]), int(aspect[2])),  # type: ignore[index]
        pixel_format=pixel_format,
        bit_depth=_bit_depth(pixel_format),
        colors=colors,
        interlaced=interlaced,
        rate=rate,
        constant_rate=constant,
        frames=len(shown.times),
        seconds=seconds,
        missing_seconds=missing if missing > _CUT_OFF else Fraction(0),
        start_seconds=start,
        file_start_seconds=file_start,
        audio=tuple(_audio(s, packets.get(s.number, _Packets())) for s in sounds),
    )


def _parse_inside(text: str) -> tuple[ColorTags, bool]:
    """Reads the parenthesis after a pixel format: "tv, bt2020nc/bt2020/smpte2084, progressive, topleft"."""
    matrix = primaries = transfer = span = chroma = None
    interlaced = False
    for word in (w.strip() for w in text.split(",")):
        if word in ("tv", "pc"):
            span = word
        elif word in _PLACES:
            chroma = word
        elif re.match(r"(top|bottom) (coded )?first", word):
            interlaced = True
        elif word.count("/") == 2:
            matrix, primaries, transfer = (None if w in ("unknown", "reserved") else w for w in word.split("/"))
        elif word and word != "progressive" and not word.endswith(("bpc", "alpha")) and "/" not in word:
            matrix = primaries = transfer = word  # one word where all three are the same
    return ColorTags(matrix, primaries, transfer, span, chroma), interlaced


def _bit_depth(pixel_format: str) -> int:
    if match := re.search(r"(?:p|gray|gbrap|ya|xyz|y2|bayer_\w+?)(9|10|12|14|16)(?:le|be)?$", pixel_format):
        return int(match[1])
    if match := re.match(r"(?:rgb|bgr|rgba|bgra|argb|abgr)(48|64)", pixel_format):
        return 16
    return 10 if re.match(r"(x2rgb10|x2bgr10|p[024]10|y210|v30x)", pixel_format) else 8


def _audio(sound: _StreamText, packets: _Packets) -> AudioProperties:
    match = _AUDIO.match(sound.text)
    codec, sample_rate, layout = match.groups() if match else (sound.text.split()[0].strip(","), "0", "")
    counted = re.match(r"(\d+) channels", layout.strip())
    return AudioProperties(
        stream=sound.number,
        codec=codec,
        sample_rate=int(sample_rate),
        channels=int(counted[1]) if counted else _CHANNELS.get(layout.strip().split("(")[0], 2),
        start_seconds=(packets.times[0] if packets.times else 0) * packets.time_base,
        packets=len(packets.times),
    )
