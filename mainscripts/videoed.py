"""`videoed extract-video | cut-video | denoise-image-sequence`: scripts 2, 3 and 3.optional.

Each command checks everything it can before it starts, shows what it is doing, and puts results in place only when they
are whole. What ffmpeg is told lies in core/video/; the way back, `video-from-sequence`, in videoed_result.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from core import console
from core.errors import BadOption, ConfirmationNeeded, MissingInput, PartialFailure
from core.files import list_images, move_to_trash
from core.options import REQUIRED, Options, option
from core.paths import Workspace, find_video
from core.progress import Progress
from core.video.cutting import cut_video, frame_range, parse_moment
from core.video.denoising import denoise_frames, finish_exchange
from core.video.encoders import X264
from core.video.extraction import ExtractionReport, extract_frames
from core.video.probe import Probe, probe_video
from core.video.properties import MATRICES, VideoProperties, show_rate
from core.video.record import read_record
from mainscripts.encoding import FFMPEG_HELP, refuse_two_sizes

_YES_HELP = "Agrees to --on-existing replace."
_ON_EXISTING = {"replace": ("r",), "abort": ("a",)}


def _has_images(folder: Any) -> bool:
    return isinstance(folder, Path) and folder.is_dir() and bool(list_images(folder))


# ------------------------------------------------------------------------------------------------------ extract-video


@dataclass(kw_only=True)
class ExtractVideoOptions(Options):
    input_file: Path = option(REQUIRED, "Video", help="The video; data_src.* finds it by its stem.")
    output_dir: Path = option(REQUIRED, "Output folder", help="Where the pictures go.")
    fps: Fraction = option(
        Fraction(0),
        "Enter FPS",
        low=0,
        high=1000,
        help="How many frames of every second are extracted; fractions such as 24000/1001 are welcome. 0: all of them.",
    )
    output_ext: str = option(
        "png",
        "Output image format",
        choices={"png": (), "jpg": ("jpeg",), "tif": ("tiff",)},
        help="png is lossless and larger; jpg loses a little and takes about a third of the space; tif is lossless.",
    )
    depth: int | None = option(
        None,
        "Bits per channel",
        low=8,
        high=16,
        step=8,
        ask=False,
        help="8 or 16. Empty: 16 where the video has more than 8 and the format can hold them: nothing is lost.",
    )
    deinterlace: bool = option(
        False, "Deinterlace", ask=False, help="Makes one clean picture of the two fields of an interlaced frame."
    )
    on_existing: str = option(
        "abort",
        "The output folder holds images",
        choices=_ON_EXISTING,
        when=lambda o: _has_images(o.output_dir),
        help="replace: they move to the workspace's trash when the new ones are ready. abort: nothing is done.",
    )
    yes: bool = option(False, "Agree", ask=False, help=_YES_HELP)
    ffmpeg: str | None = option(None, "ffmpeg", ask=False, help=FFMPEG_HELP)


def extract_video(workspace: Workspace, options: ExtractVideoOptions, progress: Progress) -> ExtractionReport | None:
    """Turns a video into numbered pictures and writes `.frames.json` beside them.

    Returns:
        What was done; None when exactly these pictures are there already.

    Raises:
        MissingInput, BrokenFile: no such video, or not a video.
        ConfirmationNeeded: the output folder holds other images and nobody agreed to replace them.
        PartialFailure: every readable frame was extracted, but the video is damaged or ends too early.
    """
    if options.depth == 16 and options.output_ext == "jpg":
        raise BadOption("JPEG holds 8 bits per channel. Received: depth 16.", "Choose --output-ext png or tif.")
    path = find_video(options.input_file)
    probe = probe_video(path, options.ffmpeg)
    progress.say(f"{path.name}: {probe.video.describe()}")
    rate = options.fps if options.fps > 0 and options.fps != probe.video.rate else None
    replacing = options.yes or options.on_existing == "replace"
    if options.on_existing != "replace" and _is_extracted(options, path, probe, rate):
        progress.say(f"All frames of {path.name} are in {options.output_dir} already. Nothing to do.")
        return None
    if not replacing and _has_images(options.output_dir):
        raise ConfirmationNeeded(
            f"{options.output_dir} holds {len(list_images(options.output_dir))} images already, so nothing was done.",
            "Repeat the step with --on-existing replace: they move to the workspace's trash.",
        )
    depth = _depth(probe, options)
    for note in _notes(probe, options):
        progress.say(note)
    layout = rate or (None if probe.video.constant_rate else probe.video.rate)
    total = probe.video.frames if layout is None else round(probe.video.seconds * layout)
    with progress.task(f"Extracting {path.name}", total) as task:
        report = extract_frames(
            path,
            probe,
            options.output_dir,
            extension=f".{options.output_ext}",
            depth=depth,
            rate=rate,
            deinterlace=options.deinterlace,
            trash=workspace.trash,
            ffmpeg=options.ffmpeg,
            on_frame=task.advance,
        )
    _tell_extraction(path, probe, report, options.output_dir, progress)
    return report


def _is_extracted(options: ExtractVideoOptions, path: Path, probe: Probe, rate: Fraction | None) -> bool:
    record = read_record(options.output_dir)
    if record is None or not record.is_from(path):
        return False
    wanted = (f".{options.output_ext}", _depth(probe, options), rate or probe.video.rate, options.deinterlace)
    found = (record.extension, record.depth, record.rate, record.deinterlaced)
    return wanted == found and len(list_images(options.output_dir)) == record.frames


def _depth(probe: Probe, options: ExtractVideoOptions) -> int:
    """Bits per channel of the pictures."""
    if options.depth is not None:
        return options.depth
    return 16 if probe.video.bit_depth > 8 and options.output_ext != "jpg" else 8


def _notes(probe: Probe, options: ExtractVideoOptions) -> list[str]:
    video = probe.video
    notes = []
    if not video.is_rgb and video.colors.matrix not in MATRICES:
        notes.append(
            f"The video does not say how its colors are coded; {video.settled_colors.matrix} is assumed for its size."
        )
    if video.colors.is_hdr:
        notes.append(
            "This is HDR video: its pictures look gray, for nothing is tone-mapped; the result is tagged alike."
        )
    if video.bound_to_pictures:
        notes.append(
            f"Its {' and '.join(video.bound_to_pictures)} data describe its own pictures one by one, so they go along "
            "to no result: it shows as plain HDR."
        )
    if video.bit_depth > 8 and _depth(probe, options) == 8:
        better = "--output-ext png" if options.output_ext == "jpg" else "--depth 16"
        notes.append(f"{video.bit_depth} bits become 8, dithered. {better} keeps them.")
    elif video.bit_depth > 8 and options.depth is None:
        notes.append(
            f"The video has {video.bit_depth} bits, so the pictures have 16: nothing is lost. --depth 8 saves space."
        )
    if video.interlaced and not options.deinterlace:
        notes.append("The video is interlaced: moving edges show combs. --deinterlace removes them.")
    return notes


def _tell_extraction(path: Path, probe: Probe, report: ExtractionReport, folder: Path, progress: Progress) -> None:
    record, video = report.record, probe.video
    progress.say(f"{record.frames} frames at {show_rate(record.rate)} frames/s in {folder}.")
    if not video.constant_rate or record.rate != video.rate:
        reason = "asked for" if video.constant_rate else "laid out, for the spacing of its frames varies"
        progress.say(
            f"The rate of {show_rate(record.rate)} was {reason}: of {record.frames_read} frames "
            f"{record.repeated} were repeated and {record.dropped} dropped."
        )
    if report.unreadable or video.missing_seconds or report.problems:
        parts = [f"{report.unreadable} of {video.frames} frames could not be read"] if report.unreadable else []
        if video.missing_seconds:
            parts.append(f"the file ends {float(video.missing_seconds):.1f} s before its announced end")
        for problem in report.problems[:5]:
            console.warn(f"ffmpeg: {problem}")
        raise PartialFailure(
            f"{path.name} is damaged: {', '.join(parts) or 'ffmpeg complained'}. "
            f"All {record.frames} readable frames were extracted.",
            "Go on with them, or copy the video again and extract with --on-existing replace.",
        )


# ---------------------------------------------------------------------------------------------------------- cut-video


@dataclass(kw_only=True)
class CutVideoOptions(Options):
    input_file: Path = option(REQUIRED, "Video", help="The video to cut. It stays as it is.")
    from_time: str = option(
        "00:00:00.000", "From time", help="90, 1:30, 00:01:30.500 or #120, the frame that extraction names 00120."
    )
    to_time: str | None = option(
        None, "To time", help="As From; a named frame still belongs to the cut. Empty: the end."
    )
    audio_track_id: int = option(0, "Specify audio track id.", low=0, help="0 is the first audio track.")
    crf: int | None = option(
        None, "Quality", low=0, high=51, ask=False, help="Of x264: 0 best, 23 smaller. Empty: 16, visually lossless."
    )
    copy: bool = option(
        False,
        "Copy packets",
        ask=False,
        help="Keeps picture and sound bit for bit; the cut then begins at the key frame before From.",
    )
    bitrate: float | None = option(
        None,
        "Bitrate of output file in Mbit/s",
        low=0.1,
        when=lambda o: not o.copy and o.crf is None,
        help="Empty: constant quality (--crf), which is the better choice unless a size is prescribed.",
    )
    output_file: Path | None = option(
        None, "Output file", ask=False, help="Default: <name>_cut beside the video. An earlier one moves to the trash."
    )
    ffmpeg: str | None = option(None, "ffmpeg", ask=False, help=FFMPEG_HELP)


def cut(workspace: Workspace, options: CutVideoOptions, progress: Progress) -> VideoProperties:
    """Writes `<name>_cut.<ext>`, the part between two times.

    Raises:
        MissingInput, BrokenFile, BadOption: no such video; not a video; times that make no part; no such audio track.
    """
    refuse_two_sizes(options.crf, options.bitrate)
    if options.copy and (options.crf is not None or options.bitrate is not None):
        raise BadOption("What is copied is not encoded. Received: --copy with --crf or --bitrate.", "Leave one out.")
    start = parse_moment(options.from_time)
    end = parse_moment(options.to_time) if options.to_time else None
    path = find_video(options.input_file)
    probe = probe_video(path, options.ffmpeg)
    progress.say(f"{path.name}: {probe.video.describe()}")
    tracks = len(probe.video.audio)
    if options.audio_track_id >= max(tracks, 1):
        raise BadOption(
            f"{path.name} has {tracks} audio tracks, numbered from 0. Received: {options.audio_track_id}.",
            "Choose another --audio-track-id.",
        )
    target = options.output_file or path.with_name(f"{path.stem}_cut{_cut_suffix(path)}")
    if target.suffix.casefold() not in _CUT_CONTAINERS:
        raise BadOption(
            f"A cut is written as {', '.join(_CUT_CONTAINERS)}. Received: {target.name}.", "Change --output-file."
        )
    if target == path:
        raise BadOption(f"The cut would overwrite the video itself. Received: {target}.", "Change --output-file.")
    first, behind = frame_range(probe.frame_seconds, start, end)
    with progress.task(f"Cutting {path.name}", None if options.copy else behind - first) as task:
        made = cut_video(
            path,
            probe,
            target,
            start,
            end,
            copy=options.copy,
            crf=X264.usual_quality if options.crf is None else options.crf,
            bitrate_megabits=options.bitrate,
            audio_track=options.audio_track_id if tracks else None,
            ffmpeg=options.ffmpeg,
            put_away=lambda: put_away(workspace, target, progress),
            on_frame=task.advance,
        )
    progress.say(f"{target}: {made.describe()}, {float(made.seconds):.3f} s")
    return made


_CUT_CONTAINERS = (".mp4", ".mov", ".m4v", ".mkv", ".avi", ".ts", ".mts", ".m2ts")


def _cut_suffix(path: Path) -> str:
    return path.suffix if path.suffix.casefold() in _CUT_CONTAINERS else ".mp4"


def put_away(workspace: Workspace, target: Path, progress: Progress) -> None:
    """Moves an earlier `target` into the trash and says where it is; nothing where there is none."""
    if target.exists():
        box = move_to_trash(workspace.trash, [target], f"a new {target.name}", replaced_by=[target])
        progress.say(f"The earlier {target.name} is in {box}.")


# --------------------------------------------------------------------------------------------- denoise-image-sequence


@dataclass(kw_only=True)
class DenoiseOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of images", help="Frames of one video.")
    factor: int = option(7, "Denoise factor?", low=1, high=20, help="1 light, 20 heavy: strength of the spatial part.")
    again: bool = option(False, "Denoise again", ask=False, help="Also denoises frames that were denoised before.")
    ffmpeg: str | None = option(None, "ffmpeg", ask=False, help=FFMPEG_HELP)


@dataclass(frozen=True)
class DenoiseReport:
    """How many pictures were denoised, in how many scenes."""

    pictures: int
    scenes: int


def denoise(workspace: Workspace, options: DenoiseOptions, progress: Progress) -> DenoiseReport:
    """Denoises the pictures of a folder; they keep their names, the originals go to the trash (`workspace undo`).

    Raises:
        MissingInput: no folder, or no images in it.
        BrokenFile: an image that cannot be read, or of another size.
    """
    folder = options.input_dir
    finished, _ = finish_exchange(folder, workspace.trash)
    if finished:
        progress.say(
            f"An earlier run was interrupted while it put {finished} denoised images in place; it is finished now."
        )
        return DenoiseReport(finished, 0)
    pictures = list_images(folder)
    if not pictures:
        raise MissingInput(f"{folder} holds no images.", "Extract frames first (script 3).")
    record = read_record(folder)
    if record is not None and record.denoised is not None and not options.again:
        progress.say(f"These frames were denoised before, with factor {record.denoised}. --again denoises them again.")
        return DenoiseReport(0, 0)
    with progress.task("Denoising", len(pictures)) as task:
        scenes, box = denoise_frames(
            folder,
            pictures,
            options.factor,
            trash=workspace.trash,
            record=record,
            ffmpeg=options.ffmpeg,
            on_frame=task.advance,
        )
    progress.say(
        f"{len(pictures)} images denoised in {scenes} scene{'s' if scenes > 1 else ''}. The originals are in {box}."
    )
    return DenoiseReport(len(pictures), scenes)
