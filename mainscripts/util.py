"""`util`: small services on a folder of faces.

`--print-metadata` prints what every face carries, one JSON object per line on standard output and nothing else, so that
other programs can read it: the keys of the record (facelib/metadata.py), and with them

    file       name of the face file
    mask_size  [width, height] of the applied mask, null where there is none
"""

import json
from dataclasses import dataclass
from pathlib import Path

from core import console
from core.errors import BadOption, BrokenFile, MissingInput, NotAFace, PartialFailure
from core.files import list_images
from core.options import REQUIRED, Options, option
from core.paths import FACE_EXTENSIONS, Workspace
from core.progress import Progress
from facelib.metadata import FaceMetadata, read_metadata

_NAMED_AT_MOST = 20


@dataclass(kw_only=True)
class UtilOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of faces", ask=False, help="The folder whose faces are meant.")
    print_metadata: bool = option(
        False, "Print metadata", ask=False, help="Prints the record of every face as one line of JSON."
    )


@dataclass(frozen=True)
class UtilReport:
    """How many faces were printed."""

    faces: int


def run(workspace: Workspace, options: UtilOptions, progress: Progress) -> UtilReport:
    """Does what the switches ask for to the faces of the input folder.

    Raises:
        BadOption: no switch was given.
        MissingInput: the folder does not exist or holds no face files.
        PartialFailure: some files could not be read; each is named with its reason.
    """
    del workspace  # the folder is given
    if not options.print_metadata:
        raise BadOption("util needs to be told what to do. Received: no switch.", "Add --print-metadata.")
    files = list_images(options.input_dir, FACE_EXTENSIONS)
    if not files:
        raise MissingInput(
            f"There are no faces (.jpg files) in {options.input_dir}.", "Extract faces first, or check the path."
        )
    return _print_metadata(files, progress)


def metadata_line(file: Path, metadata: FaceMetadata) -> str:
    """One face as a line of JSON, ASCII only."""
    ours = {"file": file.name, "mask_size": metadata.mask_size}
    return json.dumps(ours | metadata.to_record() | ours, allow_nan=False)  # a foreign key cannot pose as ours


def _print_metadata(files: list[Path], progress: Progress) -> UtilReport:
    unread: list[str] = []
    with progress.task("Reading faces", total=len(files), unit="face") as task:
        for file in files:
            try:
                console.show_only(metadata_line(file, read_metadata(file)))
            except (BrokenFile, NotAFace) as problem:
                unread.append(file.name)
                console.warn(problem.what)
            task.advance()
    if unread:
        named = ", ".join(unread[:_NAMED_AT_MOST])
        more = f" and {len(unread) - _NAMED_AT_MOST} more" if len(unread) > _NAMED_AT_MOST else ""
        raise PartialFailure(
            f"{len(unread)} of {len(files)} files could not be read: {named}{more}.",
            "Delete them, or extract these faces again.",
        )
    return UtilReport(len(files))
