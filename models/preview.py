"""Pictures of a training: what the model makes of a few faces, and what it is fed.

    previews/
      Quick96.png           S | S^ | D | D^ | X, one row per pair of faces (spec models-and-training 5.8)
      Quick96 masked.png    the same inside the masks
      SAEHD src-src.png ... above 256 pixels instead of these two: six sheets of two columns
      loss.png              the chart of models/history.py
      history/<sheet>/0012000.jpg   with --preview-history: the sheets of earlier iterations, always the same faces
      history 1/            the same of a pretraining that is over: its iterations are other ones
      samples src.png, samples dst.png   from `train --debug`: the first batch as the network sees it

S and D are a src and a dst face, S^ and D^ the model's redrawing of them, X the dst face redrawn as src: the swap.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from core.errors import BrokenFile, FaceLoomError, NotAFace
from core.files import explain_os_error, replace_patiently
from core.images import to_float, to_uint8, write_image
from facelib.face_type import FaceType
from models.base import Reconstruction, SwapModel
from models.checkpoint_files import TrainingState
from models.history import LOSS_RANGES, draw_loss_chart

if TYPE_CHECKING:
    from samplelib.augmentation import SampleSettings
    from samplelib.batches import FaceBatch
    from samplelib.faceset import Faceset

ROWS = 4
"""Pairs of faces on a sheet, at most."""

_TALLEST = 800  # pixels; so many rows as fit, one at least
_WIDE = 256  # pixels; larger faces are shown two a row

_HISTORY = "history"

_CELL = 192  # pixels; smaller pictures are enlarged to at least this, so that they can be judged on a screen
_GAP, _TITLE, _LABEL, _MARGIN = 2, 34, 24, 8
_PAPER, _INK, _PALE = (26, 26, 26), (235, 235, 235), (165, 165, 165)


@dataclass(frozen=True)
class PreviewFaces:
    """N src and N dst faces as they lie in the faceset, not augmented.

    Faces (N, R, R, 3) BGR, masks (N, R, R, 1); uint8 0..255 or float32 [0, 1].
    """

    src: np.ndarray
    src_mask: np.ndarray
    dst: np.ndarray
    dst_mask: np.ndarray


def rows_shown(resolution: int) -> int:
    """Pairs of faces on a sheet of a model of that resolution."""
    return max(1, min(ROWS, _TALLEST // resolution))


class FacePages:
    """The faces to show: page 0 is the same in every session of a model, further pages show others.

    Which faces a page has follows from the seed and the names of the faces: a face that is added or taken away changes
    nothing for the others, unless it is one of those shown.
    """

    def __init__(
        self, facesets: tuple[Faceset, Faceset], settings: tuple[SampleSettings, SampleSettings], seed: int
    ) -> None:
        """Both pairs: src, dst. `seed` is the model's."""
        self._sides = tuple(zip(facesets, settings, strict=True))
        self._seed = seed

    def __call__(self, page: int) -> PreviewFaces:
        """Faces of page 0, 1, 2, ... Raises FaceLoomError when no face of a side can be read."""
        return PreviewFaces(*self._drawn(0, page), *self._drawn(1, page))

    def _drawn(self, side: int, page: int) -> tuple[np.ndarray, np.ndarray]:
        """Usable faces and their masks at random; the same ones again where a faceset has too few."""
        from samplelib.batches import raw_faces

        faceset, settings = self._sides[side]
        count = rows_shown(settings.resolution)
        usable: list[tuple[np.ndarray, np.ndarray]] = []
        for sample in sorted(faceset.samples, key=lambda sample: self._rank(side, page, sample.path.name)):
            with contextlib.suppress(BrokenFile, NotAFace):  # the batches name it
                usable.append(raw_faces([sample], settings))
            if len(usable) == count:
                break
        if not usable:
            raise FaceLoomError(f"None of the faces in {faceset.folder} can be read.", "Extract them again.")
        rows = [usable[row % len(usable)] for row in range(count)]
        return np.concatenate([face for face, _ in rows]), np.concatenate([mask for _, mask in rows])

    def _rank(self, side: int, page: int, name: str) -> bytes:
        """A number drawn for one face of one page."""
        return hashlib.blake2b(f"{self._seed} {side} {page} {name}".encode(), digest_size=8).digest()


def draw_sheet(columns: Sequence[tuple[str, np.ndarray]], title: str) -> np.ndarray:
    """Lays batches side by side, one labeled column each, one row per picture.

    Args:
        columns: label and (N, R, R, 3) or (N, R, R, 1), uint8 0..255 or float32 (clipped to [0, 1]); one N, one R.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    rows, side = columns[0][1].shape[:2]
    cell = side * max(1, math.ceil(_CELL / side))
    width = 2 * _MARGIN + len(columns) * cell + (len(columns) - 1) * _GAP
    height = _TITLE + _LABEL + rows * (cell + _GAP) - _GAP + _MARGIN
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    _write(sheet, title, _MARGIN, _TITLE - 11, _fitting(title, width - 2 * _MARGIN, 17), _INK)
    for number, (label, pictures) in enumerate(columns):
        left = _MARGIN + number * (cell + _GAP)
        _write(sheet, label, left, _TITLE + _LABEL - 8, _fitting(label, cell, 14), _PALE)
        for row, picture in enumerate(pictures):
            top = _TITLE + _LABEL + row * (cell + _GAP)
            sheet[top : top + cell, left : left + cell] = _as_cell(picture, cell)
    return sheet


def _fitting(text: str, width: int, largest: int) -> int:
    """The size of letters for a text that has so many pixels. A letter is about 0.56 of its height wide."""
    return max(9, min(largest, int(width / (0.56 * max(1, len(text))))))


def _as_cell(picture: np.ndarray, cell: int) -> np.ndarray:
    shown = picture if picture.dtype == np.uint8 else to_uint8(np.clip(picture, 0.0, 1.0))
    shown = np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown
    return shown if len(shown) == cell else cv2.resize(shown, (cell, cell), interpolation=cv2.INTER_CUBIC)


def _write(sheet: np.ndarray, text: str, left: int, baseline: int, size: int, color: tuple[int, int, int]) -> None:
    cv2.putText(sheet, text, (left, baseline), color, cv2.FontFace("sans"), size, 400)


def swap_sheets(
    faces: PreviewFaces, drawn: Reconstruction, face_type: FaceType, name: str, title: str
) -> dict[str, np.ndarray]:
    """The sheets of a model: everything, and everything inside its mask.

    The swap is shown inside the product of the two masks the model drew, for whole heads inside that of the swap alone.

    Returns:
        Up to 256 pixels {name: sheet, "<name> masked": sheet}; above, each of the two cut into "src-src", "dst-dst" and
        "pred" of two columns. uint8 BGR.
    """
    src, src_mask, dst, dst_mask = (_unit(a) for a in (faces.src, faces.src_mask, faces.dst, faces.dst_mask))
    swap_mask = drawn.swap_mask if face_type is FaceType.HEAD else drawn.dst_mask * drawn.swap_mask
    plain = [
        ("S   src", src),
        ("S^  src redrawn", drawn.src),
        ("D   dst", dst),
        ("D^  dst redrawn", drawn.dst),
        ("X   swap", drawn.swap),
    ]
    masked = [
        ("S   src in its mask", src * src_mask),
        ("S^  src redrawn", drawn.src),
        ("D   dst in its mask", dst * dst_mask),
        ("D^  in the learned mask", drawn.dst * drawn.dst_mask),
        ("X   in the learned mask", drawn.swap * swap_mask),
    ]
    sheets: dict[str, np.ndarray] = {}
    for sheet, columns, note in ((name, plain, title), (f"{name} masked", masked, f"{title}   masked")):
        if src.shape[1] <= _WIDE:
            sheets[sheet] = draw_sheet(columns, note)
            continue
        for pair, left, right in (("src-src", 0, 1), ("dst-dst", 2, 3), ("pred", 2, 4)):
            sheets[f"{sheet} {pair}"] = draw_sheet([columns[left], columns[right]], note)
    return sheets


def _unit(array: np.ndarray) -> np.ndarray:
    return to_float(array) if array.dtype == np.uint8 else array


def batch_sheet(batch: FaceBatch, title: str) -> np.ndarray:
    """What the network sees of one side: (H, W, 3) uint8 BGR, one row per sample."""
    columns = [
        ("warped: what it is shown", batch.warped),
        ("target: what it should draw", batch.target),
        ("mask: where it counts", batch.mask),
    ]
    if batch.eyes_mouth_mask is not None:
        columns.append(("eyes and mouth: counts more", batch.eyes_mouth_mask))
    inside = to_float(batch.target) * to_float(batch.mask)
    return draw_sheet([*columns, ("target inside the mask", inside)], title)


def put_history_aside(previews: Path) -> Path | None:
    """Gives the pictures kept so far a folder of their own, before the iterations are counted from 0 again.

    Returns:
        That folder; None where nothing was kept.

    Raises:
        FaceLoomError: the disk refuses.
    """
    history = previews / _HISTORY
    if not history.exists():
        return None
    aside = next(path for n in itertools.count(1) if not (path := previews / f"{_HISTORY} {n}").exists())
    try:
        replace_patiently(history, aside)
    except OSError as problem:
        raise explain_os_error(problem, history) from problem
    return aside


class PreviewWriter:
    """Draws the previews of one training and writes them as files.

    Attributes:
        folder: where they go.
        files: what the last `write` wrote.
    """

    def __init__(
        self,
        folder: Path,
        faces: Callable[[int], PreviewFaces],
        *,
        enabled: bool = True,
        history_iterations: int = 0,
    ) -> None:
        """Nothing is drawn yet.

        Args:
            enabled: if not, nothing ever is.
            faces: page number 0, 1, 2, ... -> the faces of that page; page 0 is the one the history shows.
            history_iterations: keep the sheets of every so many iterations; 0: none.
        """
        self.folder = folder
        self.files: list[Path] = []
        self._draw_faces = faces
        self._pages: dict[int, PreviewFaces] = {}
        self._page = 0
        self._range = 0
        self._enabled = enabled
        self._history_iterations = history_iterations if enabled else 0

    def next_faces(self) -> None:
        """The next `write` shows other faces."""
        self._page += 1

    def next_range(self) -> str:
        """The chart shows the next range of iterations; returns which, in words."""
        self._range = (self._range + 1) % len(LOSS_RANGES)
        last = LOSS_RANGES[self._range]
        return "all iterations" if last is None else f"the last {last:,} iterations"

    def history_due(self, iteration: int) -> bool:
        """Whether the sheets of this iteration are to be kept."""
        return self._history_iterations > 0 and iteration % self._history_iterations == 0

    def write(self, model: SwapModel, state: TrainingState) -> list[Path]:
        """Draws everything anew. Raises FaceLoomError when a file cannot be written."""
        self.files = []
        if not self._enabled:
            return self.files
        for name, sheet in self._sheets(model, state, self._page).items():
            self.files.append(self._store(self.folder / f"{name}.png", sheet))
        title = f"{model.name}   iteration {state.iteration:,}"
        chart = draw_loss_chart(state.history, title, LOSS_RANGES[self._range])
        self.files.append(self._store(self.folder / "loss.png", chart))
        return self.files

    def write_history(self, model: SwapModel, state: TrainingState) -> None:
        """Keeps the sheets of this iteration, always of the same faces."""
        for name, sheet in self._sheets(model, state, 0).items():
            self._store(self.folder / _HISTORY / name / f"{state.iteration:07d}.jpg", sheet)

    def _sheets(self, model: SwapModel, state: TrainingState, page: int) -> dict[str, np.ndarray]:
        if page not in self._pages:
            self._pages = {n: kept for n, kept in self._pages.items() if n == 0} | {page: self._draw_faces(page)}
        faces = self._pages[page]
        losses = "   ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in state.history.last().items())
        shown = f"   faces {page + 1}" if page else ""
        title = f"{model.name}   iteration {state.iteration:,}{shown}   {losses}"
        return swap_sheets(faces, model.reconstruct(faces.src, faces.dst), model.face_type, model.name, title)

    @staticmethod
    def _store(path: Path, picture: np.ndarray) -> Path:
        write_image(path, picture)
        return path
