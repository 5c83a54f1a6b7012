"""What `extract` can be told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.options import REQUIRED, Options, option
from mainscripts.extract_journal import Journal
from mainscripts.extract_manual import FORM
from mainscripts.extract_plan import list_faces, list_packs


def _holds_faces(settled: Any) -> bool:
    return bool(list_faces(settled.output_dir) or list_packs(settled.output_dir))


def by_hand(settled: Any) -> bool:
    """Whether nobody but the user finds faces."""
    return settled.detector == "manual" or bool(settled.manual_output_debug_fix)


def _as_before(settled: Any, name: str) -> Any:
    """How the faces that are to be mended were made; None in all other modes, and where nothing tells."""
    earlier = Journal(settled.output_dir).settings.values() if settled.manual_output_debug_fix else ()
    return next((settings[name] for settings in reversed([*earlier]) if name in settings), None)


@dataclass(kw_only=True)
class ExtractOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of frames", ask=False, help="Pictures directly inside are searched.")
    output_dir: Path = option(
        REQUIRED, "Folder for faces", ask=False, help="Debug pictures go beside it, into <folder>_debug."
    )
    detector: str = option(
        "face_mesh",
        "Detector",
        choices=("face_mesh", "s3fd", "manual"),
        ask=False,
        help="Who finds faces. s3fd needs S3FD.npy; `weights` says where to put it. manual: you do, see --manual-file.",
    )
    manual_fix: bool = option(
        False,
        "Missed faces by hand",
        ask=False,
        help="Frames in which no face is found are then done by hand, see --manual-file.",
    )
    manual_output_debug_fix: bool = option(
        False,
        "Wrong faces by hand",
        ask=False,
        help="Frames whose picture was deleted from <folder>_debug are done again by hand, see --manual-file.",
    )
    manual_file: Path | None = option(
        None,
        "File of faces marked by hand",
        ask=False,
        help=f"Left out: <folder>_manual.json, which is written with a line for each frame that needs one. {FORM}.",
    )
    on_existing: str = option(
        "continue",
        "The folder holds faces already: what now",
        choices=("continue", "replace", "merge", "abort"),
        when=lambda settled: not settled.manual_output_debug_fix and _holds_faces(settled),
        help="continue: do the frames that are not finished. replace: put the old faces into the trash and start anew. "
        "merge: keep every face that is there, look at all frames again and add faces that are missing. abort: stop.",
    )
    face_type: str = option(
        lambda settled: _as_before(settled, "face_type") or "whole_face",
        "Face type",
        choices={"full_face": ("f",), "whole_face": ("wf",), "head": (), "half_face": ("h",), "midfull_face": ("mf",)},
        help="How much of the head a face shows. Choose the model's type or a larger one.",
    )
    max_faces_from_image: int = option(
        0,
        "Max number of faces from image",
        low=0,
        when=lambda settled: not by_hand(settled),
        help="The largest ones are kept, in a film the people who are largest throughout the shot; 0 keeps all.",
    )
    image_size: int | str = option(
        lambda settled: _as_before(settled, "side") or (768 if settled.face_type == "head" else 512),
        "Image size",
        low=256,
        high=2048,
        special=("auto",),
        help="Side of the stored face in pixels. auto: the size that faces have in these frames.",
    )
    only_track: int | str = option(
        "all",
        "Only track",
        low=1,
        special=("all", "biggest", "longest"),
        ask=False,
        help="Faces are followed through each shot of a film. all: every one; biggest, longest: the main one of each "
        "shot; a number: the track that is called so in the list at the end.",
    )
    min_face_size: int = option(
        0, "Min face size", low=0, ask=False, help="Leaves out faces whose box is smaller, in pixels of the frame."
    )
    min_confidence: float = option(
        0.0,
        "Min confidence",
        low=0.0,
        high=1.0,
        ask=False,
        help="Leaves out faces that the detector is less sure of; the report (util --report) shows what it thought.",
    )
    smooth_landmarks: bool = option(
        True,
        "Smooth landmarks",
        ask=False,
        help="Takes the trembling out of faces in a film, without lag; no point moves by more than 0.8 % of the face. "
        "Photos are left alone.",
    )
    jpeg_quality: int = option(
        90, "Jpeg quality", low=1, high=100, help="100 is nearly lossless, and nearly three times as large."
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
        left_out: reason (mainscripts/extract_tracks.py) -> faces of all frames that were found and are not wanted; like
            the next two, empty where nothing was left to do.
        found_again: faces of all frames that the detector missed.
        tracks: how many were followed, each person anew in every shot.
        side: of the stored faces in pixels.
        without_face: names of all frames that show no face, those of earlier runs included.
        failed: frame name -> why it could not be done.
        trash: where old faces were put, if any were.
        unmarked: names of frames that are still to be marked by hand.
    """

    frames: int
    skipped: int = 0
    faces: int = 0
    side: int = 0
    without_face: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    trash: Path | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    found_again: int = 0
    tracks: int = 0
    unmarked: list[str] = field(default_factory=list)
