"""`videoed video-from-sequence`: images become a video (scripts 8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption, FaceLoomError, MissingInput
from core.images import to_uint8
from core.options import REQUIRED, option
from core.paths import Workspace, find_video
from core.picture_headers import PictureKind
from core.progress import Progress
from core.video.assembly import CONTAINERS, encode_video, plan_sound
from core.video.commands import EncodingPlan, RawFrames, SoundPlan
from core.video.probe import Probe, probe_video
from core.video.properties import ColorTags, VideoProperties, settle_colors, show_rate
from core.words import counted
from mainscripts.encoding import (
    BITRATE_HELP,
    EncoderChoice,
    EncodingOptions,
    choose_encoder,
    depth_notes,
    has_bitrate,
    lost_tags,
)
from mainscripts.sequence import (
    PictureSequence,
    check_against_frames,
    codes_of_light,
    find_frames_record,
    open_masks,
    open_sequence,
    read_pictures,
    with_masks,
)
from mainscripts.videoed import put_away
from merger.merge_lock import refuse_while_merging


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
class VideoFromSequenceOptions(EncodingOptions):
    input_dir: Path = option(REQUIRED, "Folder of images", help="Pictures of one size and kind, one per frame.")
    output_file: Path = option(REQUIRED, "Output file", help="A .mp4, .mov, .avi or .mkv.")
    reference_file: Path | None = option(
        None, "Reference video", ask=False, help="Gives the sound, and what the frames' own record does not say."
    )
    alpha_dir: Path | None = option(
        None,
        "Folder of masks",
        ask=False,
        help="They become the alpha channel, unless the images have one; for prores4444 and lossless .mov, .avi, .mkv.",
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
    bitrate: float | None = option(
        None, "Bitrate of output file in Mbit/s", low=0.1, when=has_bitrate, help=BITRATE_HELP
    )
    include_audio: bool = option(False, "Include audio", ask=False, help="The reference's sound goes along.")
    audio_track_id: int = option(0, "Audio track", low=0, ask=False, help="0 is the first audio track.")
    allow_gaps: bool = option(False, "Allow gaps", ask=False, help="Makes a shorter video where frames are missing.")


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
    refuse_while_merging(options.input_dir)
    _refuse_sound_without_source(options)
    choice = choose_encoder(options, options.bitrate, extension)
    if choice.note:
        progress.say(choice.note)
    sequence = open_sequence(options.input_dir, options.ext, progress)
    if not options.allow_gaps:
        check_against_frames(sequence, options.input_dir)
    kind = sequence.kind
    reference, probe = _open_reference(options, progress)
    plan, rate = _plan(options, probe.video if probe else None, kind, choice)
    codes = codes_of_light(kind, str(plan.colors.transfer), progress)
    pictures, channels = _pictures(options, sequence, choice, codes, progress)
    depth = kind.depth
    if options.lossless and depth == 16 and extension == ".mp4":
        if channels != 1:
            raise BadOption(
                "A lossless .mp4 holds 8 bits per channel. Received: 16-bit images.", "Use .mov, .avi or .mkv."
            )
        progress.say("A lossless .mp4 holds 8 bits: the 16 bits of the masks become 8. .mov, .avi and .mkv hold all.")
        pictures, depth = map(to_uint8, pictures), 8
    sound = _plan_sound(options, reference, probe, extension, progress)
    _warn_of_strangers(options, reference, progress)
    if sound is not None:
        _warn_of_fewer_frames(options.input_dir, sound.path, len(sequence.pictures), progress)
    frames = RawFrames(kind.width, kind.height, channels, depth, rate)
    for note in depth_notes(frames, plan):
        progress.say(note)
    with progress.task(f"Writing {options.output_file.name}", len(sequence.pictures)) as task:
        made = encode_video(
            pictures,
            frames,
            len(sequence.pictures),
            plan,
            options.output_file,
            sound=sound,
            ffmpeg=options.ffmpeg,
            put_away=lambda: put_away(workspace, options.output_file, progress),
            on_frame=task.advance,
        )
    untold = lost_tags(plan.colors, made) if channels != 1 and (plan.colors.is_hdr or kind.depth == 16) else None
    if untold:
        progress.say(untold)
    if (made.width, made.height) != (kind.width, kind.height):
        progress.say(
            f"{kind.width}x{kind.height} became {made.width}x{made.height}: the last column or row is there twice, for "
            "players want even sides. A lossless video keeps the exact size."
        )
    progress.say(f"{options.output_file}: {made.describe()}")
    return made


def _refuse_sound_without_source(options: VideoFromSequenceOptions) -> None:
    if options.include_audio and options.reference_file is None:
        raise BadOption(
            "Sound comes from the reference video. Received: --include-audio without --reference-file.",
            "Name the video, or leave --include-audio out.",
        )
    if options.audio_track_id and not options.include_audio:
        raise BadOption(
            f"No sound goes along. Received: --audio-track-id {options.audio_track_id} without --include-audio.",
            "Add --include-audio, or leave it out.",
        )


def _open_reference(options: VideoFromSequenceOptions, progress: Progress) -> tuple[Path | None, Probe | None]:
    if options.reference_file is None:
        return None, None
    try:
        path = find_video(options.reference_file)
    except MissingInput:
        progress.say(f"There is no {options.reference_file.name}, so the result has no sound.")
        return None, None
    return path, probe_video(path, options.ffmpeg)


def _pictures(
    options: VideoFromSequenceOptions,
    sequence: PictureSequence,
    choice: EncoderChoice,
    codes: NDArray[np.uint16] | None,
    progress: Progress,
) -> tuple[Iterator[np.ndarray], int]:
    """The pictures as they are encoded, and how many channels they have."""
    kind = sequence.kind
    if kind.channels == 4 and not choice.keeps_alpha:
        progress.say("The images have an alpha channel, which this video cannot hold: it shows the colors alone.")
    if kind.channels == 4 and options.alpha_dir is not None:
        progress.say("The images have an alpha channel of their own, so the masks are not used for one.")
    if kind.channels == 4:
        return read_pictures(sequence, choice.keeps_alpha, codes), 4 if choice.keeps_alpha else 3
    if options.alpha_dir is None:
        return read_pictures(sequence, codes=codes), kind.channels
    if not choice.keeps_alpha or kind.channels == 1:
        raise BadOption(
            f"An alpha channel needs color images, and prores4444 or a lossless .mov, .avi or .mkv. Received: "
            f"--alpha-dir for {options.output_file.name}.",
            "Leave --alpha-dir out, or add --encoder prores4444.",
        )
    masks = open_masks(options.alpha_dir, sequence, progress)
    return with_masks(read_pictures(sequence, codes=codes), read_pictures(masks)), 4


def _plan(
    options: VideoFromSequenceOptions, video: VideoProperties | None, kind: PictureKind, choice: EncoderChoice
) -> tuple[EncodingPlan, Fraction]:
    """Rate, colors and pixel aspect: from the frames' record, else the reference, else the rule for untagged video."""
    record, _ = find_frames_record(options.input_dir)
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
        extension=options.output_file.suffix.casefold(),
        lossless=options.lossless,
        crf=choice.quality,
        bitrate_megabits=options.bitrate,
        colors=colors,
        sample_aspect=aspect,
        encoder=choice.encoder,
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


def _warn_of_fewer_frames(folder: Path, video: Path, pictures: int, progress: Progress) -> None:
    """Frames that were deleted before merging leave no gap in what was merged, but the sound has their time."""
    record, _ = find_frames_record(folder)
    if record is not None and pictures != record.frames and record.is_from(video):
        progress.say(
            f"Note: {video.name} gave {counted(record.frames, 'frame')} and the result has {pictures:,}, so its sound "
            "is out of step from the first missing one on. Extract the frames again (step 3) and merge to have all."
        )
