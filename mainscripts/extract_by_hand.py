"""`extract` where faces are marked by hand: from the file of marks (extract_manual.py) to faces and journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.files import move_to_trash
from core.paths import Workspace
from core.progress import Progress
from core.shots import MOST_RUNS, say_runs
from core.words import counted
from facelib.extraction import ExtractionSettings, crop_side_pixels, suggest_side
from facelib.face_type import FaceType
from facelib.marks import FaceMeasurer
from mainscripts.extract_cutting import cut_out_faces, debug_folder, put_old_faces_away
from mainscripts.extract_journal import Journal, settings_key
from mainscripts.extract_manual import HandPlan, find_marked, frames_without_picture, plan_by_hand
from mainscripts.extract_options import ExtractOptions, ExtractReport
from mainscripts.extract_plan import BY_HAND, few, refuse_other_settings
from mainscripts.extract_worker import WorkerSettings


def extract_by_hand(
    workspace: Workspace,
    options: ExtractOptions,
    frames: list[Path],
    finder: object,
    workers: int,
    report: ExtractReport,
    progress: Progress,
) -> Journal:
    """Does what the file of marks says, and writes into it which frames are still open. Returns the journal.

    Raises:
        MissingInput: there is nothing to do, or nothing to be done yet.
    """
    assert isinstance(finder, FaceMeasurer), "every finder of ours measures boxes too"
    debug, journal = debug_folder(options), Journal(options.output_dir)
    if options.manual_fix:
        marked = find_marked(options.manual_file, options.output_dir, frames, missed=journal)
    else:
        todo = frames_without_picture(frames, debug) if options.manual_output_debug_fix else frames
        marked = find_marked(options.manual_file, options.output_dir, frames, todo=todo)
        if options.on_existing == "replace":
            put_old_faces_away(workspace, options, report, progress)
            journal = Journal(options.output_dir)
    settings = _settings_by_hand(options, finder.identity, report.side or _side_before(options, journal))
    key, again = settings_key(settings), options.manual_output_debug_fix
    plan = plan_by_hand(marked, finder, options.output_dir, journal, key, progress, again=again)
    others = {name for name, entry in journal.frames.items() if entry.failed is None} - plan.names
    refuse_other_settings(journal, others, settings, options.output_dir)
    if not settings["side"]:
        settings["side"] = _side_of_marked(plan, FaceType(options.face_type), progress)
    if plan.replaced:
        report.trash = move_to_trash(workspace.trash, plan.replaced, "extract: marked by hand anew")
        names = few([path.name for path in plan.replaced])
        progress.say(f"Faces marked by hand take the places of {names}, which were put into {report.trash}.")
    worker = WorkerSettings(
        extraction=ExtractionSettings(FaceType(options.face_type), settings["side"], jpeg_quality=options.jpeg_quality),
        output=options.output_dir,
        debug=debug if options.output_debug or options.manual_output_debug_fix else None,
        detector=settings["detector"],
    )
    report.side, report.unmarked = settings["side"], marked.unmarked
    with journal:
        cut_out_faces(plan.tasks, journal, journal.use(settings), worker, workers, report, progress)
    report.failed |= plan.failed
    if not options.manual_fix:
        report.skipped = plan.finished
    if report.unmarked:
        count = counted(len(report.unmarked), "frame")
        progress.say(f"Still to be marked in {marked.file}: {count}: {say_runs(report.unmarked, MOST_RUNS)}")
    return journal


def _settings_by_hand(options: ExtractOptions, measurer: str, side: int) -> dict[str, Any]:
    return {
        BY_HAND: True,
        "detector": f"by hand + {measurer}",
        "face_type": options.face_type,
        "side": side,
        "auto_side": options.image_size == "auto",
        "jpeg_quality": options.jpeg_quality,
    }


def _side_before(options: ExtractOptions, journal: Journal) -> int:
    """The side that was asked for, or, for `auto`, that of the faces that are there; 0 where there are none."""
    if options.image_size != "auto":
        return int(options.image_size)
    return next((int(earlier["side"]) for earlier in reversed(journal.settings.values()) if earlier.get("side")), 0)


def _side_of_marked(plan: HandPlan, face_type: FaceType, progress: Progress) -> int:
    """What `auto` means for these faces; 0 where there are none, so that nothing depends on it."""
    sides = [crop_side_pixels(face.landmarks, face_type) for task in plan.tasks for face in task.found]
    if not sides:
        return 0
    side = suggest_side(sides)
    progress.say(f"Image size auto: {side} pixels (faces span {min(sides):.0f} to {max(sides):.0f} in these frames).")
    return side
