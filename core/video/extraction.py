"""A video becomes numbered pictures.

Frame count in = frame count out: a video of constant rate gives one picture per stored frame. One of varying spacing
(phones, screen recordings) is laid out at one constant rate by this rule: every frame goes to the nearest place of the
grid k / rate, the later one wins a place that two would take, and an empty place repeats the frame before it (ffmpeg's
`fps` filter, round=near). The rate is `timing.layout_rate`: the lowest usual one that drops at most one frame in a
hundred. How many frames are repeated and dropped is counted and told; the length in seconds, and with it the sound,
stays as it was.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from core.errors import BrokenFile, FaceLoomError
from core.files import explain_os_error, list_images, move_to_trash, require_free_space
from core.video.commands import ExtractionPlan, build_extraction
from core.video.probe import Probe
from core.video.record import FramesRecord, fingerprint, record_path, write_record
from core.video.tool import ffmpeg_binary, run

_PART_FOLDER = ".extracting"
_PACKED_SHARE = 0.5
"""Of the raw size, what a stored picture takes: PNG (level 1, "up") of the shared clips takes 0.33, noise 1.0."""


@dataclass(frozen=True)
class ExtractionReport:
    """What an extraction did.

    Attributes:
        record: as written into the folder.
        problems: what ffmpeg complained about, frames that could not be read.
        unreadable: stored frames that gave no picture.
    """

    record: FramesRecord
    problems: tuple[str, ...]
    unreadable: int


def needed_bytes(probe: Probe, extension: str, depth: int, rate: Fraction | None) -> int:
    """About how much disk the pictures take."""
    width, height = probe.video.picture_size
    count = probe.video.frames if rate is None else int(probe.video.seconds * rate) + 1
    share = 0.15 if extension == ".jpg" else _PACKED_SHARE
    return int(count * width * height * 3 * (depth // 8) * share)


def extract_frames(
    path: Path,
    probe: Probe,
    folder: Path,
    *,
    extension: str = ".png",
    depth: int = 8,
    rate: Fraction | None = None,
    deinterlace: bool = False,
    trash: Path,
    ffmpeg: str | None = None,
    on_frame: Callable[[int], None] = lambda _: None,
) -> ExtractionReport:
    """Extracts every frame into `folder`; pictures that lie there move to `trash` first, when all new ones are ready.

    Args:
        path: the video.
        probe: what `probe_video` said of it.
        extension: ".png", ".jpg" or ".tif".
        depth: 8 or 16 bits per channel.
        rate: lay the frames out at this rate instead of the video's own.
        trash: the workspace's trash.
        on_frame: told how many more frames are done.

    Raises:
        BrokenFile: not one frame could be read.
        ToolFailed, FaceLoomError: ffmpeg failed; the disk is full or the folder cannot be written. `folder` is then
            as it was.
    """
    binary = ffmpeg_binary(ffmpeg)
    require_free_space(folder, needed_bytes(probe, extension, depth, rate))
    layout = rate if rate is not None else None if probe.video.constant_rate else probe.video.rate
    guess = probe.video.frames if layout is None else int(probe.video.seconds * layout) + 1
    plan = ExtractionPlan(extension, depth, layout, deinterlace, digits=max(5, len(str(guess))))
    part = folder / _PART_FOLDER
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        report = run(build_extraction(binary, path, probe.video, plan, part), on_frame)
        pictures = sorted(part.iterdir())
        if not pictures:
            words = report.last_words() if report.complaints else "it holds no complete picture"
            raise BrokenFile(path, f"not one frame could be read ({words}).", "Copy or record the video again.")
        sizes = os.stat(pictures[-1]).st_size
        if sizes == 0:
            raise FaceLoomError(f"The disk is full: {pictures[-1].name} could not be written.", "Free some space.")
        counted = report.search(r"(\d+) frames in, (\d+) frames out; (\d+) frames dropped, (\d+) frames duplicated")
        read, dropped, repeated = (
            (int(counted[1]), int(counted[3]), int(counted[4])) if counted else (len(pictures), 0, 0)
        )
        record = _make_record(path, probe, plan, len(pictures), (read, repeated, dropped))
        _move_in(pictures, folder, trash, path)
        write_record(folder, record)
    except OSError as problem:
        raise explain_os_error(problem, folder) from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)
    problems = tuple(dict.fromkeys((*probe.complaints, *report.complaints)))
    return ExtractionReport(record, problems, max(0, probe.video.frames - read))


def _make_record(
    path: Path, probe: Probe, plan: ExtractionPlan, count: int, counts: tuple[int, int, int]
) -> FramesRecord:
    video = probe.video
    width, height = video.picture_size
    size, digest = fingerprint(path)
    read, repeated, dropped = counts
    return FramesRecord(
        source_name=path.name,
        source_bytes=size,
        source_hash=digest,
        frames=count,
        extension=plan.extension,
        depth=plan.depth,
        width=width,
        height=height,
        rate=plan.rate if plan.rate is not None else video.rate,
        sample_aspect=video.picture_sample_aspect,
        colors=video.settled_colors,
        frames_read=read,
        repeated=repeated,
        dropped=dropped,
        deinterlaced=plan.deinterlace,
    )


def _move_in(pictures: list[Path], folder: Path, trash: Path, source: Path) -> None:
    """Old pictures out, new ones in; the width of the number fits the final count."""
    digits = max(5, len(str(len(pictures))))
    places = [folder / f"{number:0{digits}d}{picture.suffix}" for number, picture in enumerate(pictures, start=1)]
    old = list_images(folder)
    if old:
        old += [record for record in [record_path(folder)] if record.exists()]
        reason = f"extract-video {source.name} into {folder.name}"
        move_to_trash(trash, old, reason, replaced_by=[*places, record_path(folder)])
    for picture, place in zip(pictures, places, strict=True):
        os.replace(picture, place)
