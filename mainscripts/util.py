"""`util`: small services on a folder of faces.

`--print-metadata` prints what every face carries, one JSON object per line on standard output and nothing else, so that
other programs can read it: the keys of the record (facelib/metadata.py), and with them

    file       name of the face file; within a pack, perhaps with its folder there
    mask_size  [width, height] of the applied mask, null where there is none

`--export-dfl` and `--import-dfl` write the faces to another folder for DeepFaceLab, or bring them in from it; see
mainscripts/util_dfl.py.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from core import console
from core.errors import BadOption, BrokenFile, MissingInput, NotAFace, PartialFailure
from core.options import REQUIRED, Options, option
from core.paths import Workspace, sibling
from core.progress import Progress
from facelib.metadata import FaceMetadata
from mainscripts.util_dfl import export_dfl, import_dfl
from samplelib.faceset import face_places
from samplelib.sample import FacePlace, open_sample

_NAMED_AT_MOST = 20


@dataclass(kw_only=True)
class UtilOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of faces", ask=False, help="The folder whose faces are meant.")
    print_metadata: bool = option(
        False, "Print metadata", ask=False, help="Prints the record of every face as one line of JSON."
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


@dataclass(frozen=True)
class UtilReport:
    """How many faces were printed or written."""

    faces: int


def run(workspace: Workspace, options: UtilOptions, progress: Progress) -> UtilReport:
    """Does what the switches ask for to the faces of the input folder.

    Raises:
        BadOption: not exactly one switch was given, or the folder to write to holds something already.
        MissingInput: the folder does not exist or holds no face files.
        PartialFailure: some files could not be read; each is named with its reason.
    """
    del workspace  # the folder is given
    wanted = [name for name in ("print_metadata", "export_dfl", "import_dfl") if getattr(options, name)]
    if len(wanted) != 1:
        said = " ".join(f"--{name.replace('_', '-')}" for name in wanted) or "no switch"
        raise BadOption(
            f"util needs to be told one thing to do. Received: {said}.",
            "Add one of --print-metadata, --export-dfl, --import-dfl.",
        )
    if options.export_dfl:
        output = options.output_dir or sibling(options.input_dir.absolute(), "dfl")
        return UtilReport(export_dfl(options.input_dir, output, progress).faces)
    if options.import_dfl:
        output = options.output_dir or sibling(options.input_dir.absolute(), "faceloom")
        return UtilReport(import_dfl(options.input_dir, output, progress).faces)
    places, _ = face_places(options.input_dir)
    if not places:
        raise MissingInput(
            f"There are no faces (.jpg files) in {options.input_dir}.", "Extract faces first, or check the path."
        )
    return _print_metadata(places, progress)


def metadata_line(file: str, metadata: FaceMetadata) -> str:
    """One face as a line of JSON, ASCII only."""
    ours = {"file": file, "mask_size": metadata.mask_size}
    return json.dumps(ours | metadata.to_record() | ours, allow_nan=False)  # a foreign key cannot pose as ours


def _print_metadata(places: list[FacePlace], progress: Progress) -> UtilReport:
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
    return UtilReport(len(places))
