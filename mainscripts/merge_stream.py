"""`merge --stream result.mp4`: frames go straight into a video, masks into another, and no pictures are kept.

The videos grow in parts (core/video/segments.py); a stopped run goes on from the last finished part, and after a change
only the parts it touches are rendered again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from numpy.typing import NDArray

from core.errors import BadOption, MissingInput
from core.images import read_image
from core.paths import Workspace, find_video, sibling
from core.progress import Progress
from core.shots import film_and_number, say_runs
from core.video.assembly import plan_sound
from core.video.commands import EncodingPlan, RawFrames, SoundPlan
from core.video.encoders import X264
from core.video.probe import Probe, probe_video
from core.video.properties import ColorTags
from core.video.record import read_record
from core.video.segments import CONTAINERS, SegmentedVideo, plan_parts
from core.words import counted
from mainscripts.encoding import choose_encoder, depth_notes, lost_tags
from mainscripts.merge_options import MergeOptions
from mainscripts.merge_output import refuse_exr_choices
from mainscripts.videoed import put_away
from merger.engine import MergeOutcome
from merger.journal import RenderKey
from merger.outputs import RawWriter
from merger.rounds import FrameJob
from merger.streaming import FrameQueue, StreamWriter

Render = Callable[[Sequence[FrameJob], FrameQueue], MergeOutcome]
"""Renders jobs as raw files into the folders of a queue, and tells it of each."""


@dataclass(frozen=True)
class _Source:
    """Where frames come from, as far as a video of them has to know. frames: how many there were, if that is known."""

    rate: Fraction
    colors: ColorTags
    sample_aspect: Fraction
    path: Path | None
    probe: Probe | None
    frames: int | None = None


def open_stream(
    options: MergeOptions, workspace: Workspace, frames_folder: Path, progress: Progress
) -> MergeStream | None:
    """The videos that frames are to go into; None: pictures are wanted.

    Raises:
        BadOption: as MergeStream; or the choice of an encoder is told, and no video is wanted.
    """
    if options.stream is not None:
        return MergeStream(options, workspace, frames_folder, progress)
    told = {
        "--encoder": options.encoder != X264.word,
        "--lossless": options.lossless,
        "--crf": options.crf is not None,
        "--bitrate": options.bitrate is not None,
        "--reference-file": options.reference_file is not None,
        "--ffmpeg": options.ffmpeg is not None,
    }
    lonely = [flag for flag, is_told in told.items() if is_told]
    if lonely:
        raise BadOption(
            f"Pictures need no encoder. Received: {', '.join(lonely)}.",
            "Add --stream result.mp4, or leave it out and use it in step 8.",
        )
    return None


class MergeStream:
    """The two videos of one run. What cannot work is refused here, before any work.

    Raises:
        BadOption: options that do not fit together; the rate of the frames is not known.
    """

    def __init__(self, options: MergeOptions, workspace: Workspace, frames_folder: Path, progress: Progress) -> None:
        assert options.stream is not None
        self.target = options.stream
        self._options, self._workspace, self._progress = options, workspace, progress
        extension = self.target.suffix.casefold()
        if extension not in CONTAINERS:
            raise BadOption(
                f"A stream is written as {' or '.join(CONTAINERS)}. Received: --stream {self.target.name}.",
                "Other containers are made by step 8.",
            )
        if options.mode == "raw-predict":
            raise BadOption("raw-predict gives squares, not frames. Received: --stream.", "Leave --stream out.")
        if options.report:
            raise BadOption("The report looks at pictures. Received: --report with --stream.", "Leave one of them out.")
        if options.on_error == "skip":
            raise BadOption("A video has no holes. Received: --on-error skip with --stream.", "Take copy or stop.")
        refuse_exr_choices(options)
        self._choice = choose_encoder(options, options.bitrate, extension)
        if self._choice.note:
            progress.say(self._choice.note)
        self.writer = self._raw_writer()
        self._with_alpha = self._choice.keeps_alpha and (self.writer.needs_layers or not options.lossless)
        self._source = self._open_source(frames_folder)

    def _raw_writer(self) -> RawWriter:
        form = self._options.out
        if form not in ("png", "png-rgba"):
            raise BadOption(f"A video takes frames as they are, or faces alone. Received: --out {form} with --stream.")
        if form == "png-rgba" and not self._choice.keeps_alpha:
            raise BadOption(
                f"Faces alone need a video with alpha. Received: --out png-rgba with --stream {self.target.name}.",
                "Take a .mov with --encoder prores4444 or --lossless.",
            )
        return RawWriter(needs_layers=form == "png-rgba")

    def _open_source(self, frames_folder: Path) -> _Source:
        wanted = self._options.reference_file or self._workspace.video_pattern("dst")
        try:
            path = find_video(wanted)
            probe = probe_video(path, self._options.ffmpeg)
        except MissingInput:
            path, probe = None, None
            self._progress.say(f"There is no {wanted.name}, so the result has no sound.")
        record = read_record(frames_folder)
        if record is not None:
            return _Source(record.rate, record.colors, record.sample_aspect, path, probe, record.frames)
        if probe is None:
            raise BadOption(
                "The rate of these frames is not known. Received: --stream.",
                "Name the video they came from with --reference-file, or merge into pictures and use step 8.",
            )
        video = probe.video
        return _Source(video.rate, video.settled_colors, video.picture_sample_aspect, path, probe)

    def merge(
        self,
        wanted: Sequence[FrameJob],
        keys: Mapping[str, RenderKey],
        is_whole: bool,
        render: Render,
        cuts: Sequence[int] = (),
    ) -> tuple[int, MergeOutcome]:
        """Renders what is missing, and joins the videos.

        Args:
            wanted: every frame of the result, in order.
            keys: of every frame, by stem.
            is_whole: whether that is all there is: only then its sound fits.
            render: does the work.
            cuts: numbers of wanted frames that begin a scene; parts begin there where they can.

        Returns:
            (number of frames that had to be rendered, what became of them).
        """
        if not wanted:
            raise MissingInput("There are no frames to merge.", "Run 3) extract images from video data_dst first.")
        texts = [repr(keys[job.frame.stem]) for job in wanted]
        writer = self._open_videos(read_image(wanted[0].frame.path), texts, cuts)
        folder = self.target.with_name(f".{self.target.name}.frames")
        outcome = MergeOutcome()
        with FrameQueue(writer, folder, [job.frame.stem for job in wanted]) as queue:
            jobs = [wanted[number] for number in queue.wanted]
            done = len(wanted) - len(jobs)
            self._progress.say(f"{done} of {len(wanted)} frames are in finished parts; {len(jobs)} are to be rendered.")
            if jobs:
                outcome = render(jobs, queue)
        is_whole = is_whole and self._source.frames in (None, len(wanted))
        sound = self._sound() if is_whole else None
        if not is_whole:
            self._progress.say(self._why_without_sound([job.frame.path.name for job in wanted]))
        made = writer.join(sound, lambda path: put_away(self._workspace, path, self._progress))
        untold = lost_tags(self._source.colors, made[0]) if self._source.colors.is_hdr else None
        if untold:
            self._progress.say(untold)
        for path, video in zip((self.target, self._mask_target), made, strict=True):
            self._progress.say(f"{path}: {video.describe()}")
        return len(jobs), outcome

    def _why_without_sound(self, names: Sequence[str]) -> str:
        """names: of the frames of the result; they are numbered from 1."""
        there = {film_and_number(name)[1] for name in names}
        digits = len(Path(names[0]).stem)
        gone = [f"{n:0{digits}}" for n in range(1, (self._source.frames or 0) + 1) if n not in there]
        which = f"; not among them: {say_runs(gone)}" if gone else ""
        of_all = f" of {self._source.frames:,}" if self._source.frames else ""
        return f"{counted(len(names), 'frame')}{of_all}{which}. A part of the shot has no sound: it would not fit."

    @property
    def _mask_target(self) -> Path:
        return sibling(self.target.with_suffix(""), "mask").with_suffix(self.target.suffix)

    def _open_videos(self, first: NDArray, keys: Sequence[str], cuts: Sequence[int]) -> StreamWriter:
        height, width = first.shape[:2]
        depth = 8 * first.itemsize
        extension, options, source = self.target.suffix.casefold(), self._options, self._source
        if options.lossless and extension == ".mp4" and depth == 16:
            raise BadOption("A lossless .mp4 holds 8 bits per channel. Received: 16-bit frames.", "Use .mov.")
        frames = RawFrames(width, height, 4 if self._with_alpha else 3, depth, source.rate)
        plan = EncodingPlan(
            extension=extension,
            lossless=options.lossless,
            crf=self._choice.quality,
            bitrate_megabits=options.bitrate,
            colors=source.colors,
            sample_aspect=source.sample_aspect,
            encoder=self._choice.encoder,
        )
        for note in depth_notes(frames, plan):
            self._progress.say(note)
        masks = replace(frames, channels=1, depth=8 if extension == ".mp4" else depth)
        parts = plan_parts(len(keys), cuts)
        lossless = replace(plan, lossless=True, encoder=X264, bitrate_megabits=None)
        picture = SegmentedVideo(self.target, frames, plan, parts, keys, options.ffmpeg)
        mask = SegmentedVideo(self._mask_target, masks, lossless, parts, keys, options.ffmpeg)
        if options.restart:
            picture.forget()
            mask.forget()
        return StreamWriter(picture, mask, self._with_alpha)

    def _sound(self) -> SoundPlan | None:
        path, probe = self._source.path, self._source.probe
        if path is None or probe is None or not probe.video.has_audio:
            return None
        return plan_sound(path, probe.video, 0, self.target.suffix.casefold())
