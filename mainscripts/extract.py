"""`extract`: finds the faces of a folder of frames and cuts them out, aligned, each with its record.

1. Every frame is searched (mainscripts/extract_search.py); what was seen is kept beside the faces.
2. Faces are followed through the shots of a film, missed ones looked for again, landmarks steadied, and the faces that
   are wanted chosen (mainscripts/extract_tracks.py).
3. These are cut out (mainscripts/extract_worker.py).

Every frame ends in exactly one of {its faces, no face, failed with a reason}, written to a journal beside the faces
(mainscripts/extract_journal.py). Running the step again goes on where it stopped: finished frames are left alone, so
faces that were deleted by hand stay deleted; failed ones are tried again.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core import console
from core.errors import (
    BadOption,
    ConfirmationNeeded,
    MissingInput,
    PartialFailure,
)
from core.files import move_to_trash, require_free_space
from core.parallel import default_workers
from core.paths import Workspace
from core.progress import Progress
from core.shots import MOST_RUNS, say_runs
from core.words import counted
from facelib.extraction import ExtractionSettings, crop_side_pixels, suggest_side
from facelib.face_type import FaceType
from mainscripts.extract_by_hand import extract_by_hand
from mainscripts.extract_central import MakeBatchFinders, make_batch_finders
from mainscripts.extract_cutting import cut_out_faces, debug_folder, put_old_faces_away
from mainscripts.extract_findings import Findings
from mainscripts.extract_journal import Journal
from mainscripts.extract_options import ExtractOptions as ExtractOptions
from mainscripts.extract_options import ExtractReport as ExtractReport
from mainscripts.extract_options import by_hand
from mainscripts.extract_plan import (
    Plan,
    few,
    in_words,
    list_faces,
    list_frames,
    list_packs,
    plan_continue,
    plan_merge,
    refuse_mixed_folders,
)
from mainscripts.extract_search import Search
from mainscripts.extract_tracks import Wanted, choose_faces, tell, tell_tracks, track_faces
from mainscripts.extract_worker import (
    FinderChoice,
    FrameTask,
    MakeFinder,
    WorkerSettings,
    make_face_mesh,
)

_MOST_WORKERS = 8
_FRAMES_MEASURED = 24
_UNFINISHED = re.compile(r"\.[0-9a-f]{12}\.part\.jpe?g")
_UNFINISHED_FOR_SECONDS = 600


def run(
    workspace: Workspace,
    options: ExtractOptions,
    progress: Progress,
    make_finder: MakeFinder = make_face_mesh,
    make_batch: MakeBatchFinders = make_batch_finders,
) -> ExtractReport:
    """Extracts the faces of all frames that are not finished yet.

    Args:
        make_finder: another finder than the default one (module-level function; it is called in every process).
        make_batch: makes what finds the faces, in this process, where a neural network is chosen.

    Raises:
        MissingInput: no frames, no networks, or no face in any frame.
        BadOption: frames and faces share a folder, two frames share a stem, the faces that are there were made with
            other settings, or no such device.
        ConfirmationNeeded: `replace` without `yes` and without a terminal; `abort` with faces there.
        FaceLoomError: the disk is full or the folder cannot be written.
        PartialFailure: some frames could not be read; the others are done.
    """
    refuse_mixed_folders(options.input_dir, options.output_dir, debug_folder(options))
    frames = list_frames(options.input_dir)
    _check_existing(options)
    if options.manual_fix and by_hand(options):
        raise BadOption(
            "--manual-fix comes after a search for faces. Received: --manual-fix with --detector manual or "
            "--manual-output-debug-fix.",
            "Leave --manual-fix out: the file says which frames are done.",
        )
    choice = _finder_choice(options)
    # Making the finders says at once, and in words, when networks are missing.
    central = make_batch(choice) if choice.landmarker != "face_mesh" else ()
    finder = central[0] if central else make_finder(choice)
    detector = finder.identity
    workers = min(_MOST_WORKERS, default_workers()) if options.workers is None else options.workers
    if by_hand(options):
        report = ExtractReport(len(frames))
        journal = extract_by_hand(workspace, options, frames, finder, workers, report, progress)
        _tell(frames, journal, report, options, progress)
        return report
    settings = _settings(options, detector)
    journal = Journal(options.output_dir)
    with Findings(options.output_dir, _searched_by(detector, choice)) as findings:
        search = Search(make_finder, choice, central, workers, findings, progress)
        if options.image_size == "auto":
            settings["side"] = _auto_side(options, settings, journal, frames, search)
        report = ExtractReport(len(frames), side=settings["side"])
        if options.on_existing == "replace":
            put_old_faces_away(workspace, options, report, progress)
            journal = Journal(options.output_dir)
        plan = _plan(workspace, options, settings, frames, journal, report, progress)
        _sweep(options.output_dir)
        tasks = _choose(plan.tasks, frames, search, _wanted(options), report, progress) if plan.tasks else []
    worker = WorkerSettings(
        extraction=ExtractionSettings(choice.face_type, report.side, jpeg_quality=options.jpeg_quality),
        output=options.output_dir,
        debug=debug_folder(options) if options.output_debug else None,
        detector=detector,
    )
    with journal:
        cut_out_faces(tasks, journal, journal.use(settings), worker, workers, report, progress)
    if options.manual_fix:
        journal = extract_by_hand(workspace, options, frames, finder, workers, report, progress)
    _tell(frames, journal, report, options, progress)
    return report


def _plan(
    workspace: Workspace,
    options: ExtractOptions,
    settings: dict[str, Any],
    frames: list[Path],
    journal: Journal,
    report: ExtractReport,
    progress: Progress,
) -> Plan:
    """What is to be done, once there is room for it and faces of frames that have changed are out of the way."""
    if journal.broken_lines:
        progress.say(f"{journal.broken_lines} lines of {journal.path} cannot be read; their frames are done again.")
    if options.on_existing == "merge":
        plan = plan_merge(frames, options.output_dir)
    else:
        plan = plan_continue(frames, options.output_dir, journal, settings)
    report.skipped = len(frames) - len(plan.tasks)
    bytes_per_pixel = 0.4 if options.jpeg_quality <= 92 else 1.2
    require_free_space(options.output_dir, int(len(plan.tasks) * report.side**2 * bytes_per_pixel))
    if plan.outdated:
        report.trash = move_to_trash(workspace.trash, plan.outdated, "extract: their frames have changed")
        progress.say(f"{len(plan.outdated)} faces of frames that have changed since were put into {report.trash}.")
    return plan


def _choose(
    tasks: Sequence[FrameTask],
    frames: list[Path],
    search: Search,
    wanted: Wanted,
    report: ExtractReport,
    progress: Progress,
) -> list[FrameTask]:
    """The tasks with the faces to cut out. All frames are looked at: those around tell what a face is part of."""
    seen, problems = search.look(frames)
    tracked = track_faces(frames, seen, search.look_again, progress)
    for line in tell_tracks(tracked):
        progress.say(line)
    chosen = choose_faces(tracked, wanted, progress)
    report.left_out, report.found_again = dict(chosen.left_out), chosen.found_again
    report.tracks = len(tracked.tracks)
    for line in tell(chosen, wanted):
        progress.say(line)
    prints = {path.name: one.fingerprint for path, one in zip(frames, seen, strict=True) if one is not None}
    return [
        replace(
            task,
            found=chosen.faces.get(task.path.name, ()),
            problem=problems.get(task.path.name, ""),
            searched=prints.get(task.path.name),
        )
        for task in tasks
    ]


def _finder_choice(options: ExtractOptions) -> FinderChoice:
    return FinderChoice(
        FaceType(options.face_type),
        options.accurate,
        options.calibrated,
        "face_mesh" if by_hand(options) else options.detector,
        _landmarker(options),
        options.device,
    )


def _searched_by(detector: str, choice: FinderChoice) -> str:
    """Who searches, for findings: networks leave out crops that are too large for faces of the type, others do not."""
    return detector if choice.landmarker == "face_mesh" else f"{detector}, for {choice.face_type.value}"


def _wanted(options: ExtractOptions) -> Wanted:
    return Wanted(
        options.max_faces_from_image,
        options.min_face_size,
        options.min_confidence,
        options.only_track,
        options.smooth_landmarks,
    )


def _landmarker(options: ExtractOptions) -> str:
    """Who measures the landmarks: what `auto` means. BadOption: the mesh with boxes it cannot work from."""
    by_mesh = by_hand(options) or options.detector == "face_mesh"
    if options.landmarker == "face_mesh" and not by_mesh:
        raise BadOption(
            f"face_mesh measures only faces that face_mesh has found. Received: --detector {options.detector} "
            "--landmarker face_mesh.",
            "Leave one of the two out.",
        )
    if options.landmarker != "auto":
        return options.landmarker
    if by_mesh:
        return "face_mesh"
    return "3dfan" if options.face_type == FaceType.HEAD.value else "2dfan"


def _settings(options: ExtractOptions, detector: str) -> dict[str, Any]:
    """Everything a face depends on: faces of equal settings may stand side by side."""
    return {
        "detector": detector,
        "face_type": options.face_type,
        "side": options.image_size,
        "auto_side": options.image_size == "auto",
        "max_faces": options.max_faces_from_image,
        "jpeg_quality": options.jpeg_quality,
        "only_track": options.only_track,
        "min_face_size": options.min_face_size,
        "min_confidence": options.min_confidence,
        "smooth_landmarks": options.smooth_landmarks,
    }


def _check_existing(options: ExtractOptions) -> None:
    """`abort` and an unconfirmed `replace` stop here, before anything is done."""
    faces, packs = list_faces(options.output_dir), list_packs(options.output_dir)
    if not faces and not packs:
        return
    if options.on_existing == "abort":
        raise ConfirmationNeeded(
            f"{options.output_dir} holds {in_words(faces, packs)} already; nothing was changed.",
            "Choose --on-existing continue, merge or replace.",
        )
    if options.on_existing == "replace" and not (options.yes or console.is_interactive()):
        raise ConfirmationNeeded(
            f"{in_words(faces, packs)} of {options.output_dir} would be put into the trash.",
            "Repeat the command with --yes.",
        )


def _auto_side(
    options: ExtractOptions, settings: dict[str, Any], journal: Journal, frames: list[Path], search: Search
) -> int:
    """The side an earlier run of `auto` with the same settings has measured, or a new measurement."""
    if options.on_existing != "replace":
        for earlier in reversed(journal.settings.values()):
            if {**earlier, "side": "auto"} == settings:
                return int(earlier["side"])
    count = min(_FRAMES_MEASURED, len(frames))
    seen, _ = search.look([frames[n * len(frames) // count] for n in range(count)])
    most = options.max_faces_from_image or None
    faces = [face for one in seen if one is not None for face in one.sight.faces[:most]]
    if not faces:
        raise MissingInput(
            f"No face was found in {count} frames spread over the whole sequence, so no size can be measured.",
            "Give --image-size a number, and check that the frames show faces.",
        )
    sides = [crop_side_pixels(face.landmarks, FaceType(options.face_type)) for face in faces]
    side = suggest_side(sides)
    search.progress.say(
        f"Image size auto: {side} pixels (faces span {min(sides):.0f} to {max(sides):.0f} in these frames)."
    )
    return side


def _sweep(folder: Path) -> None:
    """Removes files that a killed run left half written (core/files.py names them); young ones may be in use."""
    for path in folder.glob(".*.part.jp*g") if folder.is_dir() else ():
        with contextlib.suppress(OSError):  # another process may have finished it this moment
            if _UNFINISHED.fullmatch(path.name) and time.time() - path.stat().st_mtime > _UNFINISHED_FOR_SECONDS:
                path.unlink()


def _tell(
    frames: list[Path], journal: Journal, report: ExtractReport, options: ExtractOptions, progress: Progress
) -> None:
    names = [frame.name for frame in frames]
    entries = [journal.frames[name] for name in names if name in journal.frames]
    report.without_face = [e.frame for e in entries if e.failed is None and not e.faces]
    progress.say(f"Images found: {report.frames}")
    if report.skipped:
        progress.say(f"Finished before: {report.skipped}")
    now = f" ({report.faces} of them now)" if report.skipped else ""
    progress.say(f"Faces detected: {sum(len(entry.faces) for entry in entries)}{now}")
    packs = list_packs(options.output_dir) if report.faces else []
    if packs:
        progress.say(
            f"{options.output_dir} holds {packs[0].name}: other steps take its faces, and not the new ones beside it. "
            "Unpack it (util --unpack-faceset), or put it elsewhere."
        )
    if report.without_face:
        count = counted(len(report.without_face), "frame")
        progress.say(f"Without a face: {count}: {say_runs(report.without_face, MOST_RUNS)}")
    for name, reason in report.failed.items():
        progress.say(f"Failed: {name}: {reason}")
    if report.failed:
        marked = by_hand(options) or options.manual_fix
        raise PartialFailure(
            f"{len(report.failed)} of {report.frames} frames could not be done: {few(list(report.failed))}.",
            f"{'Correct their marks, or repair' if marked else 'Repair or remove'} these files, then run the same step "
            "again; only they are tried.",
        )
    if len(report.without_face) == report.frames:
        raise _no_faces(report, options.input_dir)


def _no_faces(report: ExtractReport, frames: Path) -> MissingInput:
    if report.left_out:
        return MissingInput(
            f"All {counted(sum(report.left_out.values()), 'face')} that were found were left out.",
            "Loosen --only-track, --min-face-size or --min-confidence.",
        )
    return MissingInput(
        f"No face was found in any of the {counted(report.frames, 'frame')} of {frames}.",
        "Look at a few frames: faces should be at least 40 pixels large and not far beyond profile. "
        "--output-debug shows what is seen.",
    )
