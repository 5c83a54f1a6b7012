"""`extract`: finds the faces of a folder of frames and cuts them out, aligned, each with its record.

Every frame ends in exactly one of {its faces, no face, failed with a reason}, written to a journal beside the faces
(mainscripts/extract_journal.py). Running the step again goes on where it stopped: finished frames are left alone, so
faces that were deleted by hand stay deleted; failed ones are tried again.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core import console
from core.errors import (
    BadOption,
    ConfirmationNeeded,
    FaceLoomError,
    MissingInput,
    PartialFailure,
)
from core.files import list_images, move_to_trash, require_free_space
from core.options import REQUIRED, Options, option
from core.parallel import default_workers, map_ordered
from core.paths import Workspace, sibling
from core.progress import Progress
from facelib.extraction import ExtractionSettings, suggest_side
from facelib.face_type import FaceType
from mainscripts.extract_central import BatchFinder, MakeBatchFinders, located, make_batch_finders
from mainscripts.extract_journal import JOURNAL_NAME, Fingerprint, FrameEntry, Journal
from mainscripts.extract_plan import (
    few,
    in_words,
    list_faces,
    list_frames,
    list_packs,
    name_ranges,
    plan_continue,
    plan_merge,
    refuse_mixed_folders,
)
from mainscripts.extract_worker import (
    FinderChoice,
    FrameResult,
    FrameTask,
    MakeFinder,
    WorkerSettings,
    extract_frame,
    make_face_mesh,
    measure_frame,
    start_process,
)

_MOST_WORKERS = 8
_FRAMES_MEASURED = 24
_UNFINISHED = re.compile(r"\.[0-9a-f]{12}\.part\.jpe?g")
_UNFINISHED_FOR_SECONDS = 600


def _holds_faces(settled: Any) -> bool:
    return bool(list_faces(settled.output_dir) or list_packs(settled.output_dir))


@dataclass(kw_only=True)
class ExtractOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of frames", ask=False, help="Pictures directly inside are searched.")
    output_dir: Path = option(
        REQUIRED, "Folder for faces", ask=False, help="Debug pictures go beside it, into <folder>_debug."
    )
    on_existing: str = option(
        "continue",
        "The folder holds faces already: what now",
        choices=("continue", "replace", "merge", "abort"),
        when=_holds_faces,
        help="continue: do the frames that are not finished. replace: put the old faces into the trash and start anew. "
        "merge: keep every face that is there, look at all frames again and add faces that are missing. abort: stop.",
    )
    face_type: str = option(
        "whole_face",
        "Face type",
        choices={"full_face": ("f",), "whole_face": ("wf",), "head": (), "half_face": ("h",), "midfull_face": ("mf",)},
        help="How much of the head a face shows. Choose the model's type or a larger one.",
    )
    max_faces_from_image: int = option(
        0, "Max number of faces from image", low=0, help="The largest ones are kept; 0 keeps all."
    )
    image_size: int | str = option(
        lambda settled: 768 if settled.face_type == "head" else 512,
        "Image size",
        low=256,
        high=2048,
        special=("auto",),
        help="Side of the stored face in pixels. auto: the size that faces have in these frames.",
    )
    jpeg_quality: int = option(
        90, "Jpeg quality", low=1, high=100, help="100 is nearly lossless, and nearly three times as large."
    )
    detector: str = option(
        "face_mesh",
        "Detector",
        choices=("face_mesh", "s3fd"),
        ask=False,
        help="Who finds faces. s3fd needs S3FD.npy; `weights` says where to put it.",
    )
    landmarker: str = option(
        "auto",
        "Landmarker",
        choices=("auto", "face_mesh", "2dfan", "3dfan"),
        ask=False,
        help="Who measures them. auto: face_mesh for face_mesh; for s3fd 3dfan (heads) or 2dfan (others). These need "
        "3DFAN.npy and 2DFAN.npy; `weights` says where to put them.",
    )
    device: str = option(
        "auto",
        "Device",
        ask=False,
        help="What s3fd, 2dfan and 3dfan run on: auto, cpu, or GPU numbers like 0 or 0+1. face_mesh needs none.",
    )
    output_debug: bool = option(
        False, "Write debug images to <folder>_debug", help="Every frame with what was found drawn in."
    )
    accurate: bool = option(
        True,
        "Accurate landmarks",
        ask=False,
        help="Looks at every face again, eight times (2dfan, 3dfan: five): steadier, a little slower.",
    )
    calibrated: bool = option(
        True,
        "Calibrated landmarks",
        ask=False,
        help="Takes the difference between the mesh and the 68-point convention out (crops 0.9 % tighter); for "
        "landmarks by face_mesh.",
    )
    workers: int | None = option(
        None, "Number of workers", low=0, ask=False, help="Processes; empty: one per core, 8 at most; 0: no extra one."
    )
    yes: bool = option(False, "Agree", ask=False, help="Agree to `replace` without a terminal.")


@dataclass
class ExtractReport:
    """What came out.

    Attributes:
        frames: in the input folder.
        skipped: of these, finished by an earlier run.
        faces: written by this run.
        side: of the stored faces in pixels.
        without_face: names of all frames that show no face, those of earlier runs included.
        failed: frame name -> why it could not be done.
        trash: where old faces were put, if any were.
    """

    frames: int
    skipped: int = 0
    faces: int = 0
    side: int = 0
    without_face: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    trash: Path | None = None


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
    refuse_mixed_folders(options.input_dir, options.output_dir, _debug_folder(options))
    frames = list_frames(options.input_dir)
    _check_existing(options)
    worker = _worker_settings(options, make_finder)
    # Making the finders says at once, and in words, when networks are missing.
    central = make_batch(worker.choice) if worker.choice.landmarker != "face_mesh" else ()
    detector = central[0].identity if central else make_finder(worker.choice).identity
    if central:
        worker = replace(worker, make_finder=None, detector=detector)
    workers = min(_MOST_WORKERS, default_workers()) if options.workers is None else options.workers
    settings = _settings(options, detector)
    if options.image_size == "auto":
        settings["side"] = _auto_side(options, settings, frames, worker, central, workers, progress)
    worker = replace(worker, extraction=replace(worker.extraction, side=settings["side"]))
    report = ExtractReport(len(frames), side=settings["side"])
    if options.on_existing == "replace":
        _put_old_faces_away(workspace, options, report, progress)
    journal = Journal(options.output_dir)
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
    _sweep(options.output_dir)
    with journal:
        _work(plan.tasks, journal, journal.use(settings), worker, central, workers, report, progress)
    _tell(frames, journal, report, options, progress)
    return report


def _worker_settings(options: ExtractOptions, make_finder: MakeFinder) -> WorkerSettings:
    """What the processes need to know; the side of the faces comes later."""
    face_type = FaceType(options.face_type)
    return WorkerSettings(
        make_finder=make_finder,
        choice=FinderChoice(
            face_type, options.accurate, options.calibrated, options.detector, _landmarker(options), options.device
        ),
        extraction=ExtractionSettings(face_type, 0, options.max_faces_from_image, options.jpeg_quality),
        output=options.output_dir,
        debug=_debug_folder(options) if options.output_debug else None,
    )


def _landmarker(options: ExtractOptions) -> str:
    """Who measures the landmarks: what `auto` means. BadOption: the mesh with boxes it cannot work from."""
    if options.landmarker == "face_mesh" and options.detector != "face_mesh":
        raise BadOption(
            f"face_mesh measures only faces that face_mesh has found. Received: --detector {options.detector} "
            "--landmarker face_mesh.",
            "Leave one of the two out.",
        )
    if options.landmarker != "auto":
        return options.landmarker
    if options.detector == "face_mesh":
        return "face_mesh"
    return "3dfan" if options.face_type == FaceType.HEAD.value else "2dfan"


def _debug_folder(options: ExtractOptions) -> Path:
    return sibling(options.output_dir, "debug")


def _settings(options: ExtractOptions, detector: str) -> dict[str, Any]:
    """Everything a face depends on: faces of equal settings may stand side by side."""
    return {
        "detector": detector,
        "face_type": options.face_type,
        "side": options.image_size,
        "auto_side": options.image_size == "auto",
        "max_faces": options.max_faces_from_image,
        "jpeg_quality": options.jpeg_quality,
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


def _put_old_faces_away(
    workspace: Workspace, options: ExtractOptions, report: ExtractReport, progress: Progress
) -> None:
    """Faces, packed ones too, their journal and their debug pictures go into the trash."""
    faces, packs = list_faces(options.output_dir), list_packs(options.output_dir)
    journal, debug = options.output_dir / JOURNAL_NAME, _debug_folder(options)
    old = [*faces, *packs, *([journal] if journal.exists() else []), *(list_images(debug) if debug.is_dir() else [])]
    if old:
        report.trash = move_to_trash(workspace.trash, old, f"extract --on-existing replace ({options.output_dir})")
        progress.say(f"Put into {report.trash}: {in_words(faces, packs)} (`workspace undo` brings them back).")


def _auto_side(
    options: ExtractOptions,
    settings: dict[str, Any],
    frames: list[Path],
    worker: WorkerSettings,
    central: Sequence[BatchFinder],
    workers: int,
    progress: Progress,
) -> int:
    """The side an earlier run of `auto` with the same settings has measured, or a new measurement."""
    if options.on_existing != "replace":
        for earlier in reversed(Journal(options.output_dir).settings.values()):
            if {**earlier, "side": "auto"} == settings:
                return int(earlier["side"])
    count = min(_FRAMES_MEASURED, len(frames))
    sample = [FrameTask(frames[n * len(frames) // count]) for n in range(count)]
    sides: list[float] = []
    with (
        progress.task("Measuring faces", total=count) as task,
        contextlib.closing(_ready_tasks(sample, central)) as ready,
    ):
        outcomes = map_ordered(
            measure_frame, ready, workers=min(workers, count), initializer=start_process, initargs=(worker,)
        )
        for outcome in outcomes:
            sides += outcome.value or []
            task.advance()
    if not sides:
        raise MissingInput(
            f"No face was found in {count} frames spread over the whole sequence, so no size can be measured.",
            "Give --image-size a number, and check that the frames show faces.",
        )
    side = suggest_side(sides)
    progress.say(f"Image size auto: {side} pixels (faces span {min(sides):.0f} to {max(sides):.0f} in these frames).")
    return side


def _ready_tasks(tasks: Sequence[FrameTask], central: Sequence[BatchFinder]) -> Generator[FrameTask, None, None]:
    """The tasks as the workers can do them: with their faces, where these are found in this process."""
    return located(tasks, central) if central else (task for task in tasks)


def _sweep(folder: Path) -> None:
    """Removes files that a killed run left half written (core/files.py names them); young ones may be in use."""
    for path in folder.glob(".*.part.jp*g") if folder.is_dir() else ():
        with contextlib.suppress(OSError):  # another process may have finished it this moment
            if _UNFINISHED.fullmatch(path.name) and time.time() - path.stat().st_mtime > _UNFINISHED_FOR_SECONDS:
                path.unlink()


def _work(
    tasks: Sequence[FrameTask],
    journal: Journal,
    key: str,
    worker: WorkerSettings,
    central: Sequence[BatchFinder],
    workers: int,
    report: ExtractReport,
    progress: Progress,
) -> None:
    if not tasks:
        return
    with (
        progress.task("Extracting faces", total=len(tasks)) as task,
        contextlib.closing(_ready_tasks(tasks, central)) as ready,
    ):
        outcomes = map_ordered(
            extract_frame,
            ready,
            workers=min(workers, len(tasks)),
            initializer=start_process,
            initargs=(worker,),
        )
        for outcome in outcomes:
            name = outcome.item.path.name
            result: FrameResult | None = outcome.value
            if result is None:
                report.failed[name] = (outcome.error or "unknown").removeprefix(f"{outcome.item.path}: ")
                if outcome.details:
                    console.log_only(outcome.details)
                journal.add(FrameEntry(name, Fingerprint(-1, -1), key, failed=report.failed[name]))
            elif result.unwritable is not None:
                raise FaceLoomError(result.unwritable, "Finished frames are kept; the same command goes on from there.")
            else:
                faces = (*outcome.item.present, *result.faces)
                journal.add(FrameEntry(name, result.fingerprint, key, faces))
                report.faces += len(result.faces)
            task.note(f"{report.faces} faces")
            task.advance()


def _tell(
    frames: list[Path], journal: Journal, report: ExtractReport, options: ExtractOptions, progress: Progress
) -> None:
    names = [frame.name for frame in frames]
    entries = [journal.frames[name] for name in names]
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
        noun = "frame" if len(report.without_face) == 1 else "frames"
        progress.say(f"Without a face: {len(report.without_face)} {noun}: {name_ranges(report.without_face, names)}")
    for name, reason in report.failed.items():
        progress.say(f"Failed: {name}: {reason}")
    if report.failed:
        raise PartialFailure(
            f"{len(report.failed)} of {report.frames} frames could not be done: {few(list(report.failed))}.",
            "Repair or remove these files, then run the same step again; only they are tried.",
        )
    if len(report.without_face) == report.frames:
        raise MissingInput(
            f"No face was found in any of the {report.frames} frames of {options.input_dir}.",
            "Look at a few frames: faces should be at least 40 pixels large and not far beyond profile. "
            "--output-debug shows what is seen.",
        )
