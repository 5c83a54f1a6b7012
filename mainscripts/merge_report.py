"""`merge --report`, and `report` by itself: what a supervisor reads before watching a merged shot. Nothing is rendered.

merge_report_looks.py      what is seen of each frame, in worker processes
merge_report_judging.py    what stands out, as numbers
merge_report_sections.py   the same in words, charts and strips
report_page.py             the page, report_files.py its place: <folder of merged frames>_report.html and .json
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import MissingInput
from core.files import list_images
from core.options import Options, option
from core.parallel import default_workers, map_ordered
from core.paths import Workspace
from core.progress import Progress
from core.video.record import read_record
from mainscripts.merge_report_judging import FaceKey, Judged, Known
from mainscripts.merge_report_looks import FrameLook, Place, look_at, strip
from mainscripts.merge_report_sections import all_sections, headline, wanted_strips
from mainscripts.merge_report_words import StripKey
from mainscripts.report_faces import Faces
from mainscripts.report_files import ReportPlaces
from mainscripts.report_findings import Doubt, find_doubts, misfits
from mainscripts.report_page import Report
from mainscripts.report_words import say_frames
from mainscripts.sort_table import FaceTable
from merger.frames import FrameFaces, collect_frames
from merger.journal import Journal, RenderKey
from merger.meters import METERS_NAME, read_meters
from merger.outputs import SUFFIXES
from samplelib.faceset import Faceset, open_faceset

SCHEMA = "MergeReport.1"
_MOST_WORKERS = 256
_NO_KEY = RenderKey("", "", "", "", "")
_FEW = 8


@dataclass(kw_only=True)
class ReportOptions(Options):
    """What `report` judges; where nothing is named, the places of the workspace."""

    input_dir: Path | None = option(None, "Folder of frames", ask=False, help="Else data_dst.")
    output_dir: Path | None = option(None, "Folder of merged frames", ask=False, help="Else data_dst/merged.")
    output_mask_dir: Path | None = option(None, "Folder of their masks", ask=False, help="Else data_dst/merged_mask.")
    aligned_dir: Path | None = option(None, "Folder of dst faces", ask=False, help="Else data_dst/aligned.")
    output: Path | None = option(
        None, "Page of the report", ask=False, help="An .html file. Else <folder>_report.html beside the merged frames."
    )
    workers: int = option(
        lambda _: default_workers(),
        "Number of workers",
        low=1,
        high=_MOST_WORKERS,
        ask=False,
        help="Processes that look at frames. The report does not depend on it.",
    )


@dataclass(frozen=True)
class ShotFolders:
    """Where a merged shot lies."""

    frames: Path
    faces: Path
    merged: Path
    masks: Path


@dataclass(frozen=True)
class WrittenReport:
    """What was written, and the report itself."""

    report: Report
    page: Path
    data: Path


def run(workspace: Workspace, options: ReportOptions, progress: Progress) -> WrittenReport:
    """The command `report`: judges what has been merged, as it is.

    Raises:
        MissingInput: there are no frames, or none is merged.
        BadOption: the place of the page holds another file.
    """
    folders = ShotFolders(
        options.input_dir or workspace.data_dst,
        options.aligned_dir or workspace.data_dst_aligned,
        options.output_dir or workspace.data_dst_merged,
        options.output_mask_dir or workspace.data_dst_merged_mask,
    )
    return write_merge_report(folders, {}, options.workers, progress, options.output)


def write_merge_report(
    folders: ShotFolders,
    failed: Mapping[str, str],
    workers: int,
    progress: Progress,
    page: Path | None = None,
    frames: Sequence[FrameFaces] | None = None,
    cuts: Sequence[int] | None = None,
) -> WrittenReport:
    """Judges a merged shot and writes the page and its JSON.

    Args:
        failed: stem of a frame -> why it could not be merged just now.
        workers: processes; few frames are looked at in this one.
        page: None: beside the folder of merged frames.
        frames: in order, each with the faces that were swapped; None: all frames of the folder, with all their faces.
        cuts: first frames of all scenes but the first, where a session knows them; None: they are found.
    """
    files = report_places(folders.merged, page)
    faceset, frames = _gather(folders, frames, progress)
    places = _places(frames, folders)
    if not failed and not any(place.merged for place in places):
        raise MissingInput(f"No frame of {folders.frames} is merged in {folders.merged}.", "Run 7) merge first.")
    looks = _look(places, workers, progress)
    judged = _judge(Judged(places, looks, _known(places, faceset, folders, failed, cuts)), progress)
    sections = all_sections(judged, _draw(judged, workers, progress))
    report = Report(
        title=f"Merged shot: {say_frames(len(places))}",
        folder=str(folders.merged.absolute()),
        against=str(folders.frames.absolute()),
        made=f"Made on {datetime.now():%Y-%m-%d at %H:%M}.",
        counts=_counts(judged),
        sections=sections,
        headline=headline(judged, sections),
        in_order="Nothing: no frame stands out.",
        schema=SCHEMA,
    )
    files.write(report)
    progress.say(report.headline.replace("`", ""))
    progress.say(f"The report is {files.page}, and for programs {files.data}.")
    return WrittenReport(report, files.page, files.data)


def report_places(merged: Path, page: Path | None = None) -> ReportPlaces:
    """Where the report of a folder of merged frames goes. BadOption: something else is there."""
    return ReportPlaces.beside(merged, SCHEMA, page)


def _gather(
    folders: ShotFolders, frames: Sequence[FrameFaces] | None, progress: Progress
) -> tuple[Faceset, Sequence[FrameFaces]]:
    """The faces, and every frame with its own; no faces are no error here."""
    if frames is not None:
        return open_faceset(folders.faces, progress), frames
    paths = list_images(folders.frames)
    if not paths:
        raise MissingInput(
            f"There are no frames in {folders.frames}.", "Run 3) extract images from video data_dst first."
        )
    try:
        faceset = open_faceset(folders.faces, progress)
        collection = collect_frames(paths, ((sample.path.name, sample.metadata) for sample in faceset.samples))
        return faceset, collection.frames
    except MissingInput as problem:
        progress.say(f"{problem.what} The frames are judged without faces.")
        return Faceset(folders.faces, ()), [FrameFaces(path) for path in paths]


def _places(frames: Sequence[FrameFaces], folders: ShotFolders) -> list[Place]:
    """The files of each frame."""
    merged, masks = (_by_stem(folder) for folder in (folders.merged, folders.masks))
    return [Place(n, f, merged.get(f.stem), masks.get(f.stem)) for n, f in enumerate(frames)]


def _by_stem(folder: Path) -> dict[str, Path]:
    """The newest picture of each stem: a frame that was merged in two forms is there twice."""
    if not folder.is_dir():
        return {}
    files = [path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith(".")]
    return {path.stem: path for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)}


def _look(places: Sequence[Place], workers: int, progress: Progress) -> list[FrameLook]:
    looks = []
    with progress.task("Looking at merged frames", len(places), "frame") as task:
        for outcome in map_ordered(look_at, places, workers=_processes(places, workers)):
            if outcome.value is None:
                looks.append(FrameLook(broken=((outcome.item.name, outcome.error or ""),)))
            else:
                looks.append(outcome.value)
            task.advance()
    return looks


def _judge(judged: Judged, progress: Progress) -> Judged:
    """Works out what takes long in long shots."""
    questions: tuple[Callable[[], object], ...] = (
        lambda: judged.scenes,
        lambda: judged.records,
        lambda: judged.found_records,
        lambda: judged.troubles,
    )
    with progress.task("Judging", len(questions), "question") as task:
        for question in questions:
            question()
            task.advance()
    return judged


def _draw(judged: Judged, workers: int, progress: Progress) -> dict[StripKey, bytes]:
    """The strips that the page shows."""
    keys = wanted_strips(judged)
    jobs = [(judged.places[frame], face) for frame, face in keys]
    strips = {}
    with progress.task("Drawing strips", len(jobs), "strip") as task:
        for key, outcome in zip(keys, map_ordered(strip, jobs, workers=_processes(jobs, workers)), strict=True):
            strips[key] = outcome.value or b""
            task.advance()
    return strips


def _processes(jobs: Sequence[Any], workers: int) -> int:
    """Starting a process takes longer than looking at a few frames."""
    return min(workers, len(jobs) // _FEW)


def _known(
    places: Sequence[Place],
    faceset: Faceset,
    folders: ShotFolders,
    failed: Mapping[str, str],
    cuts: Sequence[int] | None,
) -> Known:
    numbers = {place.faces.stem: place.number for place in places}
    record = read_record(folders.frames)
    keys, faces = _faces_of(places, faceset)
    return Known(
        failed={numbers[stem]: reason for stem, reason in failed.items() if stem in numbers},
        unrecorded=_unrecorded(places, folders),
        doubts=_doubts(keys, faces),
        sureness=dict(
            zip(keys, zip(faces.told("score").tolist(), faces.told("presence").tolist(), strict=True), strict=True)
        ),
        pasted={(r.stem, r.face): r for r in read_meters(folders.merged / METERS_NAME)},
        rate=record.rate if record is not None and record.frames == len(places) else None,
        cuts=None if cuts is None else tuple(cuts),
    )


def _unrecorded(places: Sequence[Place], folders: ShotFolders) -> frozenset[int]:
    """Frames that the journal does not know as finished; none where there is no journal."""
    journal = Journal(folders.merged, folders.masks)
    if not journal.path.exists():
        return frozenset()
    return frozenset(p.number for p in places if p.merged and journal.state_of(p.faces.stem, _NO_KEY) == ["new"])


def _faces_of(places: Sequence[Place], faceset: Faceset) -> tuple[list[FaceKey], Faces]:
    """The faces that are in these frames, row by row with their keys."""
    samples = {sample.path.name: sample for sample in faceset.samples}
    keys = [(place.number, n) for place in places for n in range(len(place.faces.faces))]
    chosen = [samples[places[frame].faces.faces[face].name] for frame, face in keys]
    return keys, Faces(faceset.folder, tuple(chosen), FaceTable((), {}))


def _doubts(keys: Sequence[FaceKey], faces: Faces) -> dict[FaceKey, Doubt]:
    """Which faces may be aligned wrongly; how they jump is judged with the others over time."""
    if not keys:
        return {}
    misfit = misfits(faces.frame_landmarks)
    found = find_doubts(
        misfit, np.zeros(len(keys)), faces.frame_to_face, faces.told("presence"), faces.told("score"), faces.told("gap")
    )
    return {keys[doubt.row]: doubt for doubt in found}


def _counts(judged: Judged) -> tuple[tuple[str, str], ...]:
    merged = sum(place.merged is not None for place in judged.places)
    faces = sum(len(place.faces.faces) for place in judged.places)
    tiles = [("frames", f"{len(judged):,}"), ("merged frames", f"{merged:,}"), ("faces", f"{faces:,}")]
    tiles.append(("scene" if len(judged.scenes) == 1 else "scenes", f"{len(judged.scenes):,}"))
    tiles.append(("frames stand out", f"{len(judged.by_frame):,}"))
    if judged.known.rate:
        tiles.append(("seconds", f"{float(len(judged) / judged.known.rate):.1f}"))
    return tuple(tiles)
