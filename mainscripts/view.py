"""`view`: shows a folder of pictures in the system's viewer, or as one sheet where there is no screen.

The environment variable FACELOOM_VIEWER names another program; it is started with the folder as its only word. Without
a screen (or with `--contact-sheet FILE`) a PNG is written that shows pictures spread over the whole folder.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile, MissingInput, ToolFailed
from core.files import list_images, natural_sorted
from core.images import decode_image, read_image, to_uint8, write_image
from core.options import REQUIRED, Options, option
from core.paths import Workspace
from core.progress import Progress
from samplelib.faceset import face_places

VIEWER_VARIABLE = "FACELOOM_VIEWER"

_MOST_PICTURES = 120
_COLUMNS = 12
_CELL = 128
_GAP = 4
_CAPTION = 14


@dataclass(kw_only=True)
class ViewOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of pictures", ask=False, help="The folder that is shown.")
    contact_sheet: Path | None = option(
        None, "Contact sheet", ask=False, help="Writes one picture of many small ones here instead of opening a viewer."
    )


@dataclass(frozen=True)
class ViewReport:
    """What showed the pictures: the words of a viewer that was started, or the sheet that was written."""

    viewer: tuple[str, ...] = ()
    sheet: Path | None = None


def run(workspace: Workspace, options: ViewOptions, progress: Progress) -> ViewReport:
    """Shows a folder.

    Raises:
        MissingInput: there is no such folder, or no picture in it.
        ToolFailed: the viewer could not be started.
    """
    folder = options.input_dir
    count = len(list_images(folder))
    packed = not count
    if packed and not any(path.suffix in (".h5", ".pak") for path in folder.iterdir()):
        raise MissingInput(f"There are no pictures in {folder}.", "Run the step that makes them first (4 or 5).")
    viewer = () if options.contact_sheet or packed else find_viewer(folder)
    if viewer:
        progress.say(f"Opening {folder} ({count} pictures).")
        _start(viewer)
        return ViewReport(viewer)
    sheet = options.contact_sheet or default_sheet(workspace, folder)
    shown, total = write_contact_sheet(folder, sheet, progress)
    progress.say(f"{shown} of {total} pictures are shown in {sheet}.")
    return ViewReport(sheet=sheet)


def default_sheet(workspace: Workspace, folder: Path) -> Path:
    """Where the sheet of a folder goes: beside the videos, never beside the folder, where frames may lie."""
    folder = folder.absolute()
    names = [name for name in (folder.parent.name, folder.name) if name]
    if folder.parent == workspace.root.absolute():
        names = [folder.name]
    return workspace.root / f"{'_'.join([*names, 'contact_sheet'])}.png"


def find_viewer(folder: Path) -> tuple[str, ...]:
    """The words that open a folder on this system; empty where there is no screen or no opener."""
    chosen = os.environ.get(VIEWER_VARIABLE)
    if chosen:
        return chosen, str(folder)
    if sys.platform == "win32":
        return "explorer", str(folder)
    if sys.platform == "darwin":
        return "open", str(folder)
    opener = shutil.which("xdg-open")
    has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return (opener, str(folder)) if opener and has_screen else ()


def _start(words: tuple[str, ...]) -> None:
    """Starts the viewer and leaves it on its own."""
    quiet = subprocess.DEVNULL
    try:
        subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=os.name != "nt")
    except OSError as problem:
        raise ToolFailed(
            words[0], problem.strerror or str(problem), f"Check {VIEWER_VARIABLE}, or add --contact-sheet FILE."
        ) from problem


def write_contact_sheet(folder: Path, sheet: Path, progress: Progress) -> tuple[int, int]:
    """Writes one picture of up to 120 small ones, spread evenly over the folder, each with the end of its name.

    Returns:
        How many are shown, and how many there are.
    """
    loose = list_images(folder)
    if loose:
        readers = [(path.name, lambda path=path: read_image(path)) for path in natural_sorted(loose)]
    else:
        places, _ = face_places(folder)
        readers = [(p.packed_name or p.name, lambda p=p: decode_image(p.read(), p.label)) for p in places]
    count = min(len(readers), _MOST_PICTURES)
    chosen = [readers[n * (len(readers) - 1) // max(count - 1, 1)] for n in range(count)]
    columns = min(_COLUMNS, max(1, math.ceil(math.sqrt(count))))
    rows = math.ceil(count / columns)
    step = np.array([_CELL + _CAPTION + _GAP, _CELL + _GAP])
    canvas = np.full((*(np.array([rows, columns]) * step + _GAP), 3), 32, np.uint8)
    with progress.task("Drawing the sheet", count, "picture") as task:
        for number, (name, read) in enumerate(chosen):
            top, left = np.array(divmod(number, columns)) * step + _GAP
            try:
                _draw(canvas[top : top + _CELL, left : left + _CELL], to_uint8(read()))
            except BrokenFile as problem:
                progress.say(f"{name}: {problem.why}")
            caption = name.encode("ascii", "replace").decode("ascii")[-20:]
            place = (int(left), int(top) + _CELL + _CAPTION - 4)
            cv2.putText(canvas, caption, place, cv2.FONT_HERSHEY_PLAIN, 0.75, (220, 220, 220), 1, cv2.LINE_AA)
            task.advance()
    write_image(sheet, canvas)
    return count, len(readers)


def _draw(cell: NDArray, picture: NDArray) -> None:
    """Fits a picture into a cell, in place."""
    factor = _CELL / max(picture.shape[:2])
    size = [max(1, round(length * factor)) for length in picture.shape[1::-1]]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    top, left = (_CELL - size[1]) // 2, (_CELL - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = small
