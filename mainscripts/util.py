"""`util`: small services on a folder of faces.

`--print-metadata` prints what every face carries, one JSON object per line on standard output and nothing else, so that
other programs can read it: the keys of the record (facelib/metadata.py), and with them

    file       name of the face file; within a pack, perhaps with its folder there
    mask_size  [width, height] of the applied mask, null where there is none

What else it does has a file of its own:

    --add-landmarks-debug-images, --export-faceset-mask                     util_pictures.py
    --recover-original-aligned-filename                                     util_names.py
    --save-faceset-metadata, --restore-faceset-metadata                     util_backup.py
    --pack-faceset, --unpack-faceset                                        util_pack.py
    --export-dfl, --import-dfl                                              util_dfl.py
    --recover-records                                                       util_recover.py
    --report                                                                util_report.py
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core import console
from core.errors import BadOption, BrokenFile, MissingInput, NotAFace, PartialFailure
from core.options import REQUIRED, Options, option
from core.paths import Workspace, sibling
from core.progress import Progress
from facelib.metadata import FaceMetadata
from mainscripts.util_backup import restore_metadata, save_metadata
from mainscripts.util_dfl import export_dfl, import_dfl
from mainscripts.util_names import recover_names
from mainscripts.util_pack import FORMATS, pack_faceset, unpack_faceset
from mainscripts.util_pictures import export_masks, write_landmarks
from mainscripts.util_recover import recover_records
from mainscripts.util_report import write_report
from samplelib.faceset import face_places
from samplelib.sample import open_sample

_NAMED_AT_MOST = 20


@dataclass(kw_only=True)
class UtilOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of faces", ask=False, help="The folder whose faces are meant.")
    print_metadata: bool = option(
        False, "Print metadata", ask=False, help="Prints the record of every face as one line of JSON."
    )
    add_landmarks_debug_images: bool = option(
        False,
        "Add landmarks debug images",
        ask=False,
        help="Writes every face with its landmarks into the folder beside it, <folder>_landmarks.",
    )
    recover_original_aligned_filename: bool = option(
        False, "Recover original filenames", ask=False, help="Names every face after the frame it is from."
    )
    save_faceset_metadata: bool = option(
        False,
        "Save faceset metadata",
        ask=False,
        help="Keeps all records in the folder, so that the pictures can be edited in any program.",
    )
    restore_faceset_metadata: bool = option(
        False, "Restore faceset metadata", ask=False, help="Gives the records back to pictures that were edited."
    )
    restore_size: str = option(
        "new",
        "Size of pictures that were resized meanwhile",
        choices=("new", "original"),
        ask=False,
        help="new: they keep their size and the records are scaled. original: they are resized back.",
    )
    pack_faceset: bool = option(False, "Pack faceset", ask=False, help="Puts all faces into one file.")
    unpack_faceset: bool = option(False, "Unpack faceset", ask=False, help="Makes files of a pack again.")
    format: str = option(
        "faceloom",
        "Format of the pack",
        choices=FORMATS,
        ask=False,
        help="faceloom: faceset.h5, opens at once. dfl: faceset.pak, for DeepFaceLab.",
    )
    person_dirs: bool = option(
        False,
        "Person folders",
        ask=False,
        help="Packs the faces of the folders inside the folder, each as a person of its own.",
    )
    overwrite: bool = option(
        False,
        "Overwrite",
        ask=False,
        help="A pack that is there goes to the trash instead of stopping the step.",
    )
    delete_originals: bool = option(
        False,
        "Delete original files",
        when=lambda settled: settled.pack_faceset or settled.unpack_faceset,
        help="What was packed (or the pack that was unpacked) goes to the trash, after every face was compared.",
    )
    export_faceset_mask: bool = option(
        False,
        "Export faceset mask",
        ask=False,
        help="Writes the mask of every face into the folder beside it, <folder>_mask.",
    )
    mask_size: int = option(
        0, "Mask size", low=0, high=8192, ask=False, help="Side of exported masks in pixels; 0 as they are stored."
    )
    mask_soft: bool = option(
        False, "Soft masks", ask=False, help="Exported masks keep soft edges instead of being 0 or 255."
    )
    export_dfl: bool = option(
        False,
        "Export for DeepFaceLab",
        ask=False,
        help="Writes the faces, packed or not, as JPEGs that DeepFaceLab and its editors read, and compares them.",
    )
    import_dfl: bool = option(
        False,
        "Import from DeepFaceLab",
        ask=False,
        help="Writes the faces of a faceset.pak, of old PNG files or of JPEGs as FaceLoom's own face files.",
    )
    output_dir: Path | None = option(
        None, "Folder to write to", ask=False, help="A new folder. Else the input folder's name with _dfl or _faceloom."
    )
    recover_records: bool = option(
        False,
        "Recover records",
        ask=False,
        help="Gives faces that an editor stripped their records back, from the extraction's journal, by name or looks.",
    )
    report: bool = option(
        False,
        "Report",
        ask=False,
        help="Judges the faceset on one page with pictures: what is doubtful, missing, blurred, twice. Also as JSON.",
    )
    against: Path | None = option(
        None,
        "Faceset to hold the report against",
        ask=False,
        help="Else the other side of the workspace the folder belongs to.",
    )
    output: Path | None = option(
        None, "Page of the report", ask=False, help="An .html file. Else <folder>_report.html beside the folder."
    )


@dataclass(frozen=True)
class UtilReport:
    """How many faces were printed, written, renamed, packed: of the last thing that was done."""

    faces: int


def run(workspace: Workspace, options: UtilOptions, progress: Progress) -> UtilReport:
    """Does what the switches ask for to the faces of the input folder, one after another in the order of `_WORK`.

    Raises:
        BadOption: no switch was given, or the folder to write to holds something already.
        MissingInput: the folder does not exist or holds no face files.
        PartialFailure: some files could not be worked on; each is named with its reason.
    """
    wanted = [name for name in _WORK if getattr(options, name)]
    if not wanted:
        switches = ", ".join(f"--{name.replace('_', '-')}" for name in _WORK)
        raise BadOption("util needs to be told what to do. Received: no switch.", f"Add one of {switches}.")
    if not options.input_dir.is_dir():
        raise MissingInput(f"There is no folder {options.input_dir}.", "Extract faces first, or check the path.")
    faces = 0
    for name in wanted:
        faces = _WORK[name](workspace, options, progress)
    return UtilReport(faces)


def _export_dfl(workspace: Workspace, options: UtilOptions, progress: Progress) -> int:
    output = options.output_dir or sibling(options.input_dir.absolute(), "dfl")
    return export_dfl(options.input_dir, output, progress).faces


def _import_dfl(workspace: Workspace, options: UtilOptions, progress: Progress) -> int:
    output = options.output_dir or sibling(options.input_dir.absolute(), "faceloom")
    return import_dfl(options.input_dir, output, progress).faces


def _save(workspace: Workspace, options: UtilOptions, progress: Progress) -> int:
    return save_metadata(workspace, options.input_dir, progress)


def _restore(workspace: Workspace, options: UtilOptions, progress: Progress) -> int:
    return restore_metadata(workspace, options.input_dir, options.restore_size == "new", progress)


def _pack(workspace: Workspace, options: UtilOptions, progress: Progress) -> int:
    return pack_faceset(
        workspace,
        options.input_dir,
        options.format,
        options.person_dirs,
        options.overwrite,
        options.delete_originals,
        progress,
    )


_WORK: dict[str, Callable[[Workspace, UtilOptions, Progress], int]] = {
    "print_metadata": lambda workspace, options, progress: _print_metadata(options.input_dir, progress),
    "add_landmarks_debug_images": lambda workspace, options, progress: write_landmarks(
        workspace, options.input_dir, progress
    ),
    "recover_original_aligned_filename": lambda workspace, options, progress: recover_names(
        workspace, options.input_dir, progress
    ),
    "save_faceset_metadata": _save,
    "restore_faceset_metadata": _restore,
    "pack_faceset": _pack,
    "unpack_faceset": lambda workspace, options, progress: unpack_faceset(
        workspace, options.input_dir, options.delete_originals, progress
    ),
    "export_faceset_mask": lambda workspace, options, progress: export_masks(
        workspace, options.input_dir, options.mask_size, options.mask_soft, progress
    ),
    "export_dfl": _export_dfl,
    "import_dfl": _import_dfl,
    "recover_records": lambda workspace, options, progress: recover_records(workspace, options.input_dir, progress),
    "report": lambda workspace, options, progress: write_report(
        workspace, options.input_dir, options.against, options.output, progress
    ).faces,
}
"""Switch -> what it does, in the order in which several are done. Each returns how many faces it was about."""


def metadata_line(file: str, metadata: FaceMetadata) -> str:
    """One face as a line of JSON, ASCII only."""
    ours = {"file": file, "mask_size": metadata.mask_size}
    return json.dumps(ours | metadata.to_record() | ours, allow_nan=False)  # a foreign key cannot pose as ours


def _print_metadata(folder: Path, progress: Progress) -> int:
    places, _ = face_places(folder)
    if not places:
        raise MissingInput(f"There are no faces (.jpg files) in {folder}.", "Extract faces first, or check the path.")
    unread: list[str] = []
    with progress.task("Reading faces", total=len(places), unit="face") as task:
        for place in places:
            try:
                metadata = open_sample(place).metadata
                console.show_only(metadata_line(place.packed_name or place.name, metadata))
            except (BrokenFile, NotAFace) as problem:
                unread.append(place.name)
                console.warn(problem.what)
            task.advance()
    if unread:
        named = ", ".join(unread[:_NAMED_AT_MOST])
        more = f" and {len(unread) - _NAMED_AT_MOST} more" if len(unread) > _NAMED_AT_MOST else ""
        raise PartialFailure(
            f"{len(unread)} of {len(places)} files could not be read: {named}{more}.",
            "Delete them, or extract these faces again.",
        )
    return len(places)
