"""How far the fast color transfers lie from the classical ones, against how far those lie from themselves.

    python benchmarks/color_spread.py SRC_ALIGNED DST_ALIGNED [--pairs 24] [--resolution 128] [--seeds 3]

idt, sot and mix drew their directions at random: two runs of the classical form differ. For pairs of faces, in levels
of 255, the mean over the measured pixels of

    spread   two runs of the classical form, apart: |classical(a) - classical(b)|, over all pairs of runs
    ours     ours and a run of the classical form, apart: |ours - classical(a)|, over all runs
    mean     ours and the mean of the classical runs, apart

A form that gave the mean of all runs exactly would still be 0.71 of the spread away from a run of them, if they scatter
as Gaussians do. "worst" is the pair of faces whose ratio is the largest. Merging: a src face as the prediction, a dst
face as the frame's, measured in the mask and inside the frame; "mask full": in the whole square. Training: as samples
are made, measured in both masks. The classical form is classical_color.py's, counted and smoothed over the pixels that
are measured, with the smoothing scaled to the picture (16 pixels of 256). Classically mix was rounded to 8 bits twice,
which every run shares and ours leaves out: its last row tells how far that takes them apart.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import classical_color
from core.console import say
from core.geometry import invert_affine
from core.images import to_float
from facelib.face_type import FaceType
from merger.color_match import fit_colors, thumbnail_to_square
from samplelib.batch_workers import settle_process
from samplelib.face_cache import FaceNeeds, WorkingFace, face_to_thumbnail, prepare_face
from samplelib.faceset import open_faceset
from samplelib.training_sample import fitted_transfer

TRAINING_MODES = ("idt", "sot")
MERGING_MODES = ("idt", "idt-m", "sot-m", "mix-m")
_BEYOND_THE_FRAME = 8


@dataclass(frozen=True)
class Square:
    """A face as a model of that resolution sees it: color (R, R, 3) and mask (R, R) float32, which pixels lie in the
    frame, and the thumbnail color transfers are fitted on in training."""

    color: NDArray
    mask: NDArray
    in_frame: NDArray
    thumbnail: NDArray


@dataclass(frozen=True)
class Distances:
    """Mean distances in levels: two classical runs, ours and a run, ours and the mean of the runs."""

    spread: float
    ours: float
    to_mean: float


def square_of(face: WorkingFace, side: int) -> Square:
    """A prepared face, unaugmented."""
    size, matrix = (side, side), face.working_to_face
    assert face.thumbnail is not None
    color = cv2.warpAffine(face.image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(face.masks[..., 0], matrix, size, flags=cv2.INTER_LINEAR)
    black = (color.max(axis=2) < _BEYOND_THE_FRAME).view(np.uint8)
    beyond = cv2.dilate(cv2.morphologyEx(black, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), np.ones((5, 5), np.uint8))
    return Square(to_float(color), to_float(mask), beyond == 0, face.thumbnail)


def merging_distances(
    mode: str, new: Square, old: Square, seeds: Sequence[int], whole: bool = False, rounded: bool = False
) -> Distances:
    """Of a random mode of the merger. whole: the mask is the whole square. rounded: mix as it was, in 8 bits."""
    side = len(new.color)
    mask = np.ones_like(new.mask) if whole else new.mask
    transform = fit_colors(mode, new.color, old.color, mask, old.in_frame)
    assert transform is not None, "no pixel of this pair is measured"
    measured = old.in_frame & (mask >= 1 / 255) if mode.endswith("-m") else old.in_frame
    space = side / 16

    def classical(rng: np.random.Generator) -> NDArray:
        if mode.startswith("idt"):
            return classical_color.distribution(new.color, old.color, rng, measured)
        if mode == "sot-m":
            return np.clip(classical_color.transport(new.color, old.color, rng, 30, space, measured), 0, 1)
        return classical_color.mix(new.color, old.color, rng, space, measured, rounded)

    return _distances(transform.apply(new.color, thumbnail_to_square(side)), classical, seeds, measured)


def training_distances(mode: str, face: Square, donor: Square, seeds: Sequence[int], own_seed: int) -> Distances:
    """Of a random mode of training."""
    side = len(face.color)
    transform = fitted_transfer(face.thumbnail, donor.thumbnail, mode, own_seed)
    inside, inside_donor = face.mask >= 0.5, donor.mask >= 0.5
    pair = (face.color, donor.color)

    def classical(rng: np.random.Generator) -> NDArray:
        if mode == "idt":
            return classical_color.distribution(*pair, rng, inside, inside_donor)
        return np.clip(classical_color.transport(*pair, rng, 5, side / 16, inside, inside_donor), 0, 1)

    ours = transform.apply(face.color, invert_affine(face_to_thumbnail(side)))
    return _distances(ours, classical, seeds, inside)


def _distances(
    ours: NDArray, classical: Callable[[np.random.Generator], NDArray], seeds: Sequence[int], where: NDArray
) -> Distances:
    runs = [classical(np.random.default_rng(seed))[where] for seed in seeds]
    mine = ours[where]

    def apart(one: NDArray, other: NDArray) -> float:
        return 255 * float(np.abs(one - other).mean())

    return Distances(
        float(np.mean([apart(*pair) for pair in itertools.combinations(runs, 2)])),
        float(np.mean([apart(mine, run) for run in runs])),
        apart(mine, np.mean(runs, axis=0)),
    )


def squares_of(folder: Path, count: int, side: int, seed: int) -> list[Square]:
    """Some faces of a faceset, drawn at random."""
    samples = open_faceset(folder).samples
    chosen = np.random.default_rng(seed).choice(len(samples), count, replace=len(samples) < count)
    needs = FaceNeeds(side, FaceType.FULL, thumbnail=True)
    return [square_of(prepare_face(samples[number], needs), side) for number in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("src", type=Path, help="folder of aligned faces")
    parser.add_argument("dst", type=Path, help="folder of aligned faces")
    parser.add_argument("--pairs", type=int, default=24, help="of faces, drawn at random")
    parser.add_argument("--resolution", type=int, default=128, help="side of the model's square")
    parser.add_argument("--seeds", type=int, default=3, help="classical runs of each")
    arguments = parser.parse_args()
    settle_process()
    sides = [
        squares_of(folder, arguments.pairs, arguments.resolution, seed)
        for seed, folder in enumerate((arguments.src, arguments.dst))
    ]
    pairs, seeds = list(zip(*sides, strict=True)), range(100, 100 + arguments.seeds)
    say(f"{arguments.pairs} pairs of faces, {arguments.resolution} pixels, {arguments.seeds} classical runs of each")
    say(f"{'':<28}{'spread':>8}{'ours':>8}{'ratio':>8}{'worst':>8}{'mean':>8}")
    rows: list[tuple[str, Callable[[Square, Square], Distances]]] = [
        *((f"merging, {mode}", lambda a, b, m=mode: merging_distances(m, a, b, seeds)) for mode in MERGING_MODES),
        *(
            (f"merging, {mode}, mask full", lambda a, b, m=mode: merging_distances(m, a, b, seeds, whole=True))
            for mode in ("sot-m", "mix-m")
        ),
        *((f"training, {mode}", lambda a, b, m=mode: training_distances(m, a, b, seeds, 7)) for mode in TRAINING_MODES),
        ("merging, mix-m, in 8 bits", lambda a, b: merging_distances("mix-m", a, b, seeds, rounded=True)),
    ]
    for name, measure in rows:
        found = [measure(*pair) for pair in pairs]
        spread, ours, to_mean = (float(np.mean([getattr(d, k) for d in found])) for k in ("spread", "ours", "to_mean"))
        worst = max(d.ours / d.spread for d in found)
        say(f"{name:<28}{spread:>8.3f}{ours:>8.3f}{ours / spread:>8.2f}{worst:>8.2f}{to_mean:>8.3f}")


if __name__ == "__main__":
    main()
