"""What `merge` writes: the form of finished frames, and what is known of their colors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import BadOption, BrokenFile
from core.exr import CHROMATICITIES, require_exr
from core.files import require_free_space
from core.images import read_image
from core.options import option
from core.progress import Progress
from core.transfer import TRANSFERS
from core.video.properties import ColorTags, settle_colors
from core.video.record import read_record
from mainscripts.encoding import BITRATE_HELP, EncodingOptions
from merger.compositing import MergedFrame
from merger.frames import FrameFaces
from merger.outputs import FORMS, FrameWriter, frame_writer

_ROOM_TO_SPARE = 100_000_000  # bytes that stay free when every frame is written
_TRIED = 3


@dataclass(kw_only=True)
class MergeOutputOptions(EncodingOptions):
    """The form of finished frames, or the video they go into."""

    out: str = option(
        "png",
        "Form of merged frames",
        choices=dict.fromkeys(FORMS, ()),
        ask=False,
        help="png: as deep as the frames. png8, png16, tiff16: 8 or 16 bits, whatever the frames have. png-rgba: the"
        " faces alone, with the mask as straight alpha. exr: half floats, the merged frame, faces and mask in layers.",
    )
    exr_transfer: str = option(
        "linear",
        "Numbers in .exr files",
        choices={"linear": (), "asis": ()},
        ask=False,
        help="linear: light, by the inverse of the video's transfer function. asis: the video's codes, 0 to 1.",
    )
    exr_source: bool = option(
        False,
        "Source in .exr files",
        ask=False,
        help="Adds the untouched frame as the layer src; to squares of raw-predict there is none.",
    )
    stream: Path | None = option(
        None,
        "Video to merge into",
        ask=False,
        help="A .mp4 or .mov: frames go straight into it, and masks into <name>_mask beside it; no pictures are kept."
        " A stopped run goes on from the last finished part. With --encoder, --lossless, --crf, --bitrate.",
    )
    bitrate: float | None = option(None, "Bitrate of the video in Mbit/s", low=0.1, ask=False, help=BITRATE_HELP)
    reference_file: Path | None = option(
        None, "Reference video", ask=False, help="Gives the video of --stream its sound. Else data_dst.*."
    )


def open_writer(options: MergeOutputOptions, frames_folder: Path, progress: Progress) -> FrameWriter:
    """The writer that the options ask for; colors are those of the video the frames came from.

    Raises:
        BadOption: the transfer function of the video is not known; or what only .exr files have is asked of others.
        FaceLoomError: the library for .exr files is missing.
    """
    if options.out != "exr":
        refuse_exr_choices(options)
        return frame_writer(options.out)
    require_exr()
    record = read_record(frames_folder)
    colors = record.colors if record is not None else settle_colors(ColorTags(), 0, 720)
    if record is None:
        progress.say(f"The frames do not say which colors they have; {colors.transfer} is assumed for the .exr files.")
    primaries = colors.primaries if colors.primaries in CHROMATICITIES else None
    if options.exr_transfer == "asis":
        return frame_writer("exr", None, primaries, options.exr_source)
    if colors.transfer not in TRANSFERS:
        raise BadOption(
            f"The transfer function {colors.transfer} of these frames cannot be made linear. Received: --out exr.",
            "Add --exr-transfer asis: the codes are written as they are.",
        )
    return frame_writer("exr", colors.transfer, primaries, options.exr_source)


def refuse_exr_choices(options: MergeOutputOptions) -> None:
    """BadOption where layers or numbers of .exr files are chosen, and none are written."""
    told = {"--exr-transfer": options.exr_transfer != "linear", "--exr-source": options.exr_source}
    lonely = [flag for flag, is_told in told.items() if is_told]
    if lonely:
        raise BadOption(
            f"Only .exr files have these choices. Received: {', '.join(lonely)} with --out {options.out}.",
            "Add --out exr, or leave them out.",
        )


def require_space(frames: Iterable[FrameFaces], folder: Path, writer: FrameWriter) -> None:
    """Estimates by the first frame what new files will take, and stops before work that cannot fit.

    Args:
        frames: that will be written.
        folder: of finished frames.

    Raises:
        FaceLoomError: the disk has not that much room.
    """
    new = [frame for frame in frames if not (folder / f"{frame.stem}{writer.suffixes[0]}").exists()]
    for frame in new[:_TRIED]:  # a frame that cannot be read is another matter
        try:
            source = writer.prepare(read_image(frame.path))
        except BrokenFile:
            continue
        size = sum(map(len, writer.encode(MergedFrame(source, np.zeros(source.shape[:2], source.dtype)), source)))
        require_free_space(folder, len(new) * (size + size // 10) + _ROOM_TO_SPARE)
        return
