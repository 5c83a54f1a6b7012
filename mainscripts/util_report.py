"""`util --report`: judges a faceset. One page with pictures to act on, and the same as JSON beside it.

    report_faces.py      what is looked at: faces, their measured columns, their frames
    report_findings.py   the judgments, as numbers
    report_sections.py   the same in words and pictures; report_looks.py and report_words.py with it
    report_charts.py     charts, report_page.py the page, report_files.py its place

The page is one file: no script, nothing from elsewhere. It stands beside the folder of faces (<folder>_report.html and
.json) unless another place is named, and takes the place of an earlier report, but of no other file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import MissingInput
from core.paths import Workspace
from core.progress import Progress
from mainscripts.report_faces import Faces, Judged, gather_faces, gather_frames
from mainscripts.report_files import ReportPlaces
from mainscripts.report_page import SCHEMA, Report
from mainscripts.report_sections import all_sections
from samplelib.face_features import SHARPNESS, THUMBNAIL


@dataclass(frozen=True)
class ReportFiles:
    """What was written, and the report itself."""

    report: Report
    page: Path
    data: Path
    faces: int


def write_report(
    workspace: Workspace, folder: Path, against: Path | None, output: Path | None, progress: Progress
) -> ReportFiles:
    """Judges the faces of `folder` and writes the page and its JSON.

    Args:
        against: the faceset it is held against; None: the other side of the workspace that the folder belongs to, if
            that side has faces.
        output: of the page (.html); the JSON has the same name. None: beside the folder.

    Raises:
        MissingInput: there are no faces in `folder`, or in the folder that was named to hold it against.
        BadOption: the place of the page holds another file, or it is no .html file.
    """
    places = ReportPlaces.beside(folder, SCHEMA, output)
    label, other_folder = _sides(workspace, folder, against)
    own = gather_faces(folder, (SHARPNESS, THUMBNAIL), progress)
    if not len(own):
        raise MissingInput(f"No face in {folder} can be measured.", "Extract these faces again.")
    other = None
    if other_folder is not None:
        try:
            other = gather_faces(other_folder, (THUMBNAIL,), progress)
        except MissingInput:
            if against is not None:
                raise
    if other is not None and not len(other):
        other = None
    judged = Judged(own, gather_frames(own, progress), label, other, "dst" if label == "src" else "src")
    report = Report(
        title=f"Faces of {label}: {len(own):,}",
        folder=str(folder.absolute()),
        against="" if other is None else str(other.folder.absolute()),
        made=f"Made on {datetime.now():%Y-%m-%d at %H:%M}.",
        counts=_counts(judged),
        sections=all_sections(judged, progress),
    )
    places.write(report)
    for _, finding in report.findings:
        if finding.level == "act":
            progress.say(f"- {finding.sentence}")
    progress.say(f"The report is {places.page}, and for programs {places.data}.")
    return ReportFiles(report, places.page, places.data, len(own))


def _sides(workspace: Workspace, folder: Path, against: Path | None) -> tuple[str, Path | None]:
    """Whether the folder is "src" or "dst", and the folder to hold it against."""
    here = folder.resolve()
    for candidate in (workspace, Workspace(here.parent.parent)):
        src, dst = candidate.data_src_aligned.resolve(), candidate.data_dst_aligned.resolve()
        if here in (src, dst):
            return ("src", against or dst) if here == src else ("dst", against or src)
        if against is not None and against.resolve() == src:
            return "dst", against
    return "src", against


def _counts(judged: Judged) -> tuple[tuple[str, str], ...]:
    own: Faces = judged.own
    names = own.table.frame_names
    frames = len(set(names))
    tiles = [("faces", f"{len(own):,}"), ("frames with a face", f"{frames:,}")]
    if judged.frames.without.known:
        tiles.append(("frames without one", f"{judged.frames.without.total - frames:,}"))
    if frames < len(names):
        tiles.append(("in shared frames", f"{len(names) - frames:,}"))
    kinds = sorted({sample.metadata.face_type for sample in own.samples})
    tiles.append(("face type", ", ".join(kind.value.replace("_", " ") for kind in kinds)))
    masks = sum(sample.metadata.xseg_mask is not None for sample in own.samples)
    tiles.append(("with an applied mask", f"{masks:,}"))
    if judged.other is not None:
        tiles.append((f"faces of {judged.other_label}", f"{len(judged.other):,}"))
    return tuple(tiles)
