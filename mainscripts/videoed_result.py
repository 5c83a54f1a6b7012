"""`videoed video-from-sequence`: images become a video (scripts 8)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from core.errors import BadOption, FaceLoomError, MissingInput
from core.options import REQUIRED, Options, option
from core.paths import Workspace, find_video
from core.progress import Progress
from core.video.assembly import CONTAINERS, encode_video, plan_sound
from core.video.commands import EncodingPlan, RawFrames, SoundPlan
from core.video.probe import Probe, probe_video
from core.video.properties import ColorTags, VideoProperties, settle_colors, show_rate
from mainscripts.sequence import PictureSequence, check_against_frames, find_frames_record, open_sequence, read_pictures
from mainscripts.videoed import FFMPEG_HELP, put_away


def _is_rate_known(options: Any) -> bool:
    """Whether the frames' record or the reference video will tell the rate."""
    folder = getattr(options, "input_dir", None)
    if isinstance(folder, Path) and find_frames_record(folder)[0] is not None:
        return True
    try:
        return isinstance(options.reference_file, Path) and find_video(options.reference_file).is_file()
    except FaceLoomError:
        return False


@dataclass(kw_only=True)
class VideoFromSequenceOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of images", help="Pictures of one size and kind, one per frame.")
    output_file: Path = option(REQUIRED, "Output file", help="A .mp4, .mov, .avi or .mkv.")
    reference_file: Path | None = option(
        None, "Reference video", ask=False, help="Gives the sound, and what the frames' own record does not say."
    )
    ext: str | None = option(None, "Extension", ask=False, help="Take only images with this extension. Default: all.")
    fps: Fraction | None = option(
        lambda o: None if _is_rate_known(o) else Fraction(25),
        "Enter FPS",
        low=0.01,
        high=1000,
        when=lambda o: not _is_rate_known(o),
        help="Frames per second, also as a fraction. Default: the rate the frames were extracted at.",
    )
    lossless: bool = option(
        False,
        "Lossless",
        ask=False,
        help="Every pixel exactly as in the images: x264 RGB in .mp4, PNG in .mov, FFV1 in .avi and .mkv.",
    )
    bitrate: float | None = option(
        None,
        "Bitrate of output file in Mbit/s",
        low=0.1,
        when=lambda o: not o.lossless,
        help="Empty: constant quality (--crf), which is the better choice unless a size is prescribed.",
    )
    crf: int = option(
        16, "Quality", low=0, high=51, ask=False, help="Of x264: 0 best, 16 visually lossless, 23 smaller."
    )
    include_audio: bool = option(False, "Include audio", ask=False, help="The reference's sound goes along.")
    audio_track_id: int = option(0, "Audio track", low=0, ask=False, help="0 is the first audio track.")
    allow_gaps: bool = option(False, "Allow gaps", ask=False, help="Makes a shorter video where frames are missing.")
    ffmpeg: str | None = option(None, "ffmpeg", ask=False, help=FFMPEG_HELP)


def video_from_sequence(workspace: Workspace, options: VideoFromSequenceOptions, progress: Progress) -> VideoProperties:
    """Makes a video of a folder of images, with rate, colors and pixel aspect of the video its frames came from.

    Raises:
        MissingInput, BadOption, BrokenFile, FaceLoomError: no images; images that are not alike; frames missing.
    """
    extension = options.output_file.suffix.casefold()
    if extension not in CONTAINERS:
        raise BadOption(
            f"A video is written as {', '.join(CONTAINERS)}. Received: {options.output_file.name}.",
            "Change --output-file.",
        )
    sequence = open_sequence(options.input_dir, options.ext, progress)
    if not options.allow_gaps:
        check_against_frames(sequence, options.input_dir)
    kind = sequence.kind
    if options.lossless and kind.depth == 16 and extension == ".mp4":
        raise BadOption("A lossless .mp4 holds 8 bits per channel. Received: 16-bit images.", "Use .mov, .avi or .mkv.")
    reference, probe = _open_reference(options, progress)
    plan, rate = _plan(options, probe.video if probe else None, sequence, extension)
    sound = _plan_sound(options, reference, probe, extension, progress)
    _warn_of_strangers(options, reference, progress)
    frames = RawFrames(kind.width, kind.height, kind.channels, kind.depth, rate)
    with progress.task(f"Writing {options.output_file.name}", len(sequence.pictures)) as task:
        made = encode_video(
            read_pictures(sequence),
            frames,
            len(sequence.pictures),
            plan,
            options.output_file,
            sound=sound,
            ffmpeg=options.ffmpeg,
            put_away=lambda: put_away(workspace, options.output_file, progress),
            on_frame=task.advance,
        )
    if (made.width, made.height) != (kind.width, kind.height):
        progress.say(
            f"{kind.width}x{kind.height} became {made.width}x{made.height}: the last column or row is there twice, for "
            "players want even sides. A lossless video keeps the exact size."
        )
    progress.say(f"{options.output_file}: {made.describe()}")
    return made


def _open_reference(options: VideoFromSequenceOptions, progress: Progress) -> tuple[Path | None, Probe | None]:
    if options.reference_file is None:
        return None, None
    try:
        path = find_video(options.reference_file)
    except MissingInput:
        progress.say(f"There is no {options.reference_file.name}, so the result has no sound.")
        return None, None
    return path, probe_video(path, options.ffmpeg)


def _plan(
    options: VideoFromSequenceOptions, video: VideoProperties | None, sequence: PictureSequence, extension: str
) -> tuple[EncodingPlan, Fraction]:
    """Rate, colors and pixel aspect: from the frames' record, else the reference, else the rule for untagged video."""
    record, _ = find_frames_record(options.input_dir)
    kind = sequence.kind
    rate = options.fps or (record.rate if record else video.rate if video else None)
    if rate is None:
        raise BadOption("The frame rate is not known. Received: none.", "Add --fps, e.g. --fps 24000/1001.")
    if record is not None:
        colors, aspect = record.colors, record.sample_aspect
    elif video is not None:
        colors, aspect = video.settled_colors, video.picture_sample_aspect
    else:
        colors, aspect = settle_colors(ColorTags(), kind.width, kind.height), Fraction(1)
    plan = EncodingPlan(
        extension=extension,
        lossless=options.lossless,
        crf=options.crf,
        bitrate_megabits=options.bitrate,
        colors=colors,
        sample_aspect=aspect,
    )
    return plan, rate


def _plan_sound(
    options: VideoFromSequenceOptions, path: Path | None, probe: Probe | None, extension: str, progress: Progress
) -> SoundPlan | None:
    if not options.include_audio or path is None or probe is None:
        return None
    tracks = len(probe.video.audio)
    if tracks == 0:
        progress.say(f"{path.name} has no sound, so the result has none.")
        return None
    if options.audio_track_id >= tracks:
        raise BadOption(
            f"{path.name} has {tracks} audio tracks, numbered from 0. Received: {options.audio_track_id}.",
            "Choose another --audio-track-id.",
        )
    sound = plan_sound(path, probe.video, options.audio_track_id, extension)
    codec = probe.video.audio[options.audio_track_id].codec
    if sound.copy:
        progress.say(f"The sound of {path.name} ({codec}) is copied bit for bit.")
    else:
        made = {"aac": "AAC", "pcm_s16le": "uncompressed 16-bit sound"}[sound.codec]
        progress.say(f"{extension} cannot hold the sound of {path.name} ({codec}) as it is: it becomes {made}.")
    return sound


def _warn_of_strangers(options: VideoFromSequenceOptions, path: Path | None, progress: Progress) -> None:
    record, _ = find_frames_record(options.input_dir)
    if record is not None and path is not None and not record.is_from(path):
        progress.say(f"Note: the frames came from {record.source_name}, and {path.name} is another file.")
    if record is not None and options.fps and options.fps != record.rate and options.include_audio:
        progress.say(
            f"Note: at {show_rate(options.fps)} frames/s instead of {show_rate(record.rate)} the sound will drift."
        )
