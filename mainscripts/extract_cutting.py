"""The last part of every extraction: faces that are known are cut out of their frames and written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core import console
from core.errors import FaceLoomError
from core.files import list_images, move_to_trash
from core.parallel import map_ordered
from core.paths import Workspace, sibling
from core.progress import Progress
from mainscripts.extract_journal import JOURNAL_NAME, Fingerprint, FrameEntry, Journal
from mainscripts.extract_options import ExtractOptions, ExtractReport
from mainscripts.extract_plan import in_words, list_faces, list_packs
from mainscripts.extract_worker import FrameResult, FrameTask, WorkerSettings, extract_frame, start_cutting


def debug_folder(options: ExtractOptions) -> Path:
    """Where the pictures go that show what was found in each frame."""
    return sibling(options.output_dir, "debug")


def put_old_faces_away(
    workspace: Workspace, options: ExtractOptions, report: ExtractReport, progress: Progress
) -> None:
    """Faces, packed ones too, their journal and their debug pictures go into the trash."""
    faces, packs = list_faces(options.output_dir), list_packs(options.output_dir)
    journal, debug = options.output_dir / JOURNAL_NAME, debug_folder(options)
    old = [*faces, *packs, *([journal] if journal.exists() else []), *(list_images(debug) if debug.is_dir() else [])]
    if old:
        report.trash = move_to_trash(workspace.trash, old, f"extract --on-existing replace ({options.output_dir})")
        progress.say(f"Put into {report.trash}: {in_words(faces, packs)} (`workspace undo` brings them back).")


def cut_out_faces(
    tasks: Sequence[FrameTask],
    journal: Journal,
    key: str,
    worker: WorkerSettings,
    workers: int,
    report: ExtractReport,
    progress: Progress,
) -> None:
    """Cuts out the faces of all tasks and writes what became of each frame into the journal, under `key`.

    FaceLoomError: the disk is full or the folder cannot be written.
    """
    if not tasks:
        return
    with progress.task("Cutting out faces", total=len(tasks)) as task:
        workers = min(workers, len(tasks))
        outcomes = map_ordered(extract_frame, tasks, workers=workers, initializer=start_cutting, initargs=(worker,))
        for outcome in outcomes:
            name = outcome.item.path.name
            result: FrameResult | None = outcome.value
            if result is None:
                report.failed[name] = (outcome.error or "unknown").removeprefix(f"{outcome.item.path}: ")
                if outcome.details:
                    console.log_only(outcome.details)
                if not outcome.item.marks:  # by hand, what was known of the frame before stays true
                    journal.add(FrameEntry(name, Fingerprint(-1, -1), key, failed=report.failed[name]))
            elif result.unwritable is not None:
                raise FaceLoomError(result.unwritable, "Finished frames are kept; the same command goes on from there.")
            else:
                faces = (*outcome.item.present, *result.faces)
                journal.add(FrameEntry(name, result.fingerprint, key, faces, marks=outcome.item.marks))
                report.faces += len(result.faces)
            task.note(f"{report.faces} faces")
            task.advance()
