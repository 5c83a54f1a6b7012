"""`sort`: gives the faces of a folder new names in an order that makes them easy to look through, and to choose from.

What is measured is kept in an index beside the faces (samplelib/face_index.py), so a second sort by anything measured
before is a matter of renaming. Faces that a way leaves out go to the workspace's trash; `workspace undo` gives them and
all old names back. Pictures without a face record, or that cannot be read, are named and stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import console
from core.errors import MissingInput, PartialFailure
from core.files import atomic_write_text, list_images
from core.options import REQUIRED, Options, option
from core.paths import FACE_EXTENSIONS, Workspace
from core.progress import Progress
from core.renames import finish_renames, rename_with_undo
from core.words import counted
from facelib.legacy_pack import PACK_NAME as LEGACY_PACK_NAME
from mainscripts.journal_names import follow_names
from mainscripts.sort_best import yaw_bins
from mainscripts.sort_duplicates import near_duplicates
from mainscripts.sort_keys import DEFAULT, METHODS, Arrangement, SortSettings, arrange_by, find_methods, groups_of
from mainscripts.sort_table import FaceTable, load_table, take_rows
from samplelib.face_features import RECORD, THUMBNAIL
from samplelib.pack import PACK_NAME

ORDER_NAME = "order.txt"
_NAMED = 20
_BIN_DEGREES = 15


def _menu(settled: Any) -> list[tuple[str, str]]:
    return [(method.name, method.title) for method in METHODS]


def _wants(*names: str) -> Any:
    """Whether one of these ways is asked for."""

    def when(settled: Any) -> bool:
        words = {word.strip() for word in settled.by.casefold().split(",")}
        spellings = {s for m in METHODS if m.name in names for s in (m.name, str(m.number), *m.others)}
        return bool(words & spellings)

    return when


@dataclass(kw_only=True)
class SortOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of faces", ask=False, help="The faces directly inside are sorted.")
    by: str = option(
        DEFAULT,
        "Choose sorting method",
        menu=_menu,
        help="A name or a number: " + ", ".join(f"{m.number} {m.name}" for m in METHODS) + ". Several, with commas: "
        "the first makes groups (angles of 15 degrees, persons, frames, parts of equal size), the last sorts inside "
        "them. similarity groups by texture, skin tone and shape of the aligned face and by tracks of neighboring "
        "frames; it is no face recognition: look through its groups.",
    )
    target_count: int = option(
        2000,
        "Target number of faces?",
        low=1,
        when=_wants("final", "final-fast"),
        help="How many faces `final` and `final-fast` keep; the others go to the trash.",
    )
    similar: bool = option(
        True, "Sort by similar?", when=_wants("absdiff"), help="absdiff: each face beside the most similar one."
    )
    dissimilar: bool = option(False, "Sort by dissimilar", ask=False, help="absdiff: the opposite of --similar.")
    near_duplicates: int = option(
        0,
        "Near-duplicates",
        low=0,
        high=3,
        ask=False,
        help="Puts all but one of nearly equal faces into the trash first. 0: none; 1: the same picture; 2: hardly to "
        "be told apart; 3: alike at a glance.",
    )
    reverse: bool = option(False, "Reverse", ask=False, help="Turns the order around.")
    groups: int = option(
        8, "Groups", low=2, high=1000, ask=False, help="How many parts a value such as blur makes before another way."
    )
    trash_multi: bool = option(
        False, "Trash shared frames", ask=False, help="oneface: faces that share their frame go to the trash."
    )
    trash_unsharp: bool = option(
        False, "Trash what has no edge", ask=False, help="blur, motion-blur: faces of sharpness 0 go to the trash."
    )
    mode: str = option(
        "even",
        "Choice of the best faces",
        choices=("even", "dfl"),
        ask=False,
        help="even: exactly the target, evenly over all directions, most different first. dfl: the choice of "
        "DeepFaceLab, which often keeps fewer.",
    )
    rename: bool = option(
        True, "Rename", ask=False, help=f"--no-rename changes nothing and writes the order to {ORDER_NAME}."
    )
    dry_run: bool = option(
        False, "Dry run", ask=False, help="Changes nothing; tells how many faces look where, and how many would stay."
    )
    workers: int | None = option(
        None, "Number of workers", low=0, ask=False, help="Processes; empty: one per core; 0: no extra one."
    )


@dataclass
class SortReport:
    """What came out.

    Attributes:
        order: old names in their new order.
        new_names: the same faces' new names.
        trashed: old names of faces that went (or would go) to the trash.
        unread: file name -> why it was left as it is.
        box: where the trash and the old names are; None where nothing changed.
    """

    order: list[str]
    new_names: list[str]
    trashed: list[str]
    unread: dict[str, str]
    box: Path | None


def run(workspace: Workspace, options: SortOptions, progress: Progress) -> SortReport:
    """Sorts the faces of a folder.

    Raises:
        BadOption: a way to sort is not known, or two of them do not go together.
        MissingInput: no such folder, or no face in it.
        PartialFailure: the rest is sorted, but some files were left as they are; each is named.
    """
    methods = find_methods(options.by)
    folder = options.input_dir
    if folder.is_dir() and finish_renames(folder):
        progress.say("An earlier renaming was interrupted; it has been finished.")
    paths = list_images(folder, FACE_EXTENSIONS)
    groups = groups_of(methods) + ((THUMBNAIL,) if options.near_duplicates else ())
    table, problems = load_table(folder, paths, groups, progress, options.workers)
    unread = {path.name: reason for path, reason in sorted(problems.items())}
    for name in list(unread)[:_NAMED]:
        console.warn(f"{name}: {unread[name]} It keeps its name.")
    if len(table) == 0:
        raise _nothing_to_sort(folder, len(paths))
    arranged = _arrange(table, methods, options, progress)
    order = [table.files[n].path.name for n in arranged.order.tolist()]
    trashed = [table.files[n].path.name for n in arranged.trash.tolist()]
    report = SortReport(order, _new_names(folder, order, trashed), trashed, unread, None)
    for note in arranged.notes:
        progress.say(note)
    if options.dry_run:
        for line in _directions(table, arranged.order):
            progress.say(line)
        progress.say(f"{len(order):,} faces would stay and {len(trashed):,} would go to the trash. Nothing changed.")
    elif not options.rename:
        atomic_write_text(folder / ORDER_NAME, "".join(f"{name}\n" for name in order))
        progress.say(f"The order of {len(order):,} faces is in {folder / ORDER_NAME}. Nothing was renamed.")
    else:
        _rename(workspace, table, report, options, progress)
    if unread:
        more = f" and {len(unread) - _NAMED} more" if len(unread) > _NAMED else ""
        raise PartialFailure(
            f"{len(unread):,} of {len(paths):,} files were left as they are: {', '.join(list(unread)[:_NAMED])}{more}.",
            "They carry no readable face record: extract these faces again, or move the files away.",
        )
    return report


def _nothing_to_sort(folder: Path, looked_at: int) -> MissingInput:
    for name in (PACK_NAME, LEGACY_PACK_NAME):
        if (folder / name).is_file():
            return MissingInput(
                f"The faces of {folder} are packed in {name}, and there are no loose ones to sort.",
                "Unpack them first: util --unpack-faceset.",
            )
    return MissingInput(
        f"There is no face to sort in {folder} ({counted(looked_at, 'file')} looked at).",
        "Extract faces first (step 4 or 5), or check the path.",
    )


def _arrange(table: FaceTable, methods: Sequence[Any], options: SortOptions, progress: Progress) -> Arrangement:
    """The order by the ways asked for, after near-duplicates are out of it; rows are those of `table`."""
    settings = SortSettings(
        similar=options.similar and not options.dissimilar,
        target=options.target_count,
        as_before=options.mode == "dfl",
        trash_multi=options.trash_multi,
        trash_unsharp=options.trash_unsharp,
        groups=options.groups,
    )
    twice = near_duplicates(table, options.near_duplicates, progress)
    stays = np.setdiff1d(np.arange(len(table)), twice)
    arranged = arrange_by(take_rows(table, stays), methods, settings, progress, take_rows)
    order: NDArray[np.int64] = stays[arranged.order]
    notes = arranged.notes
    if options.near_duplicates:
        notes = (f"{len(twice):,} faces are near-duplicates (level {options.near_duplicates}).", *notes)
    return Arrangement(order[::-1] if options.reverse else order, np.concatenate([twice, stays[arranged.trash]]), notes)


def _new_names(folder: Path, order: Sequence[str], trashed: Sequence[str]) -> list[str]:
    sorted_away = {*order, *trashed}
    taken = {path.name.casefold() for path in folder.iterdir() if path.name not in sorted_away}
    return numbered_names(order, taken)


def numbered_names(names: Sequence[str], taken: set[str]) -> list[str]:
    """New names for files in their new order: 00000.jpg, 00001.jpg ..., the suffixes kept, as wide as needed.

    taken: case-folded names of other files of the folder; their numbers are passed over.
    """
    width = max(5, len(str(len(names) + len(taken) - 1)))
    numbered: list[str] = []
    number = 0
    for name in names:
        while (new := f"{number:0{width}d}{Path(name).suffix}").casefold() in taken:
            number += 1
        numbered.append(new)
        number += 1
    return numbered


def _rename(
    workspace: Workspace, table: FaceTable, report: SortReport, options: SortOptions, progress: Progress
) -> None:
    folder = options.input_dir
    progress.say(f"Renaming {len(report.order):,} faces in {folder}.")
    report.box = rename_with_undo(
        workspace.trash,
        folder,
        dict(zip(report.order, report.new_names, strict=True)),
        f"sort by {options.by}",
        [folder / name for name in report.trashed],
    )
    new = dict(zip(report.order, report.new_names, strict=True))
    boxes = table.column(RECORD, "frame_bbox")
    follow_names(
        folder,
        {
            (frame, box.tobytes()): new[file.path.name]
            for frame, box, file in zip(table.frame_names, boxes, table.files, strict=True)
            if file.path.name in new
        },
    )
    if report.box is None:
        progress.say("The faces are in this order already.")
        return
    gone = f" {len(report.trashed):,} are in the trash: {report.box}." if report.trashed else ""
    progress.say(f"Sorted {len(report.order):,} faces by {options.by}.{gone} To take it back: workspace undo.")


def _directions(table: FaceTable, order: NDArray[np.int64]) -> list[str]:
    """A table of how many faces look where, all and (after the slash) those that stay."""
    degrees = np.degrees(table.poses[:, :2])
    cells = np.round(degrees / _BIN_DEGREES).astype(int)
    stays = np.zeros(len(table), bool)
    stays[order] = True
    yaws, pitches = (range(int(c.min()), int(c.max()) + 1) for c in (cells[:, 1], cells[:, 0]))
    lines = ["Faces by yaw (across; above 0 looks to image-left) and pitch (down; above 0 looks up), degrees:"]
    lines.append("pitch\\yaw" + "".join(f"{yaw * _BIN_DEGREES:>13}" for yaw in yaws))
    for pitch in reversed(pitches):
        inside = [(cells == (pitch, yaw)).all(axis=1) for yaw in yaws]
        lines.append(
            f"{pitch * _BIN_DEGREES:>9}"
            + "".join(f"{f'{int(i.sum())}/{int((i & stays).sum())}' if i.any() else '.':>13}" for i in inside)
        )
    used = len(np.unique(yaw_bins(table.poses[:, 1])))
    lines.append(f"{used} of 128 bins of yaw hold faces.")
    return lines
