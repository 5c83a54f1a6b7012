"""How the time of a sort grows with the number of faces, what cells cost a chain, and how well persons are told apart.

    python benchmarks/sort.py [--sizes 1000,10000,100000] [--persons FOLDER FOLDER ...]

Synthetic faces: people in slow motion, shuffled; descriptors as the index keeps them. Rows of the table:

    hist chain       greedy chain of histograms by cells, at every size
    ..., exact       the exact chain, which users get up to 2,048 faces
    absdiff chain    greedy chain of absolute differences
    hist-dissim      sums of distances; from 12,000 faces on to 8,192 of them
    duplicates       near-duplicates, level 3
    persons          groups of persons, every face a track of its own
    best faces       2,000 of them
    coverage         the whole order

Seconds are those of the processor. Growth is the exponent e of n^e between neighboring sizes. Chain quality is the mean
step of the chain by cells over that of the exact greedy chain (1.00: as good), with the mean step of a random order for
comparison.

--persons: folders of faces that show one person each; how the groups fit the folders, with and without tracks.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain as joined
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.console import say
from core.files import list_images
from core.progress import TqdmProgress
from facelib.landmarks import POSE_POINTS
from mainscripts.sort_best import best_faces, coverage_order
from mainscripts.sort_chain import ABSOLUTE, EXACT_UP_TO, HISTOGRAMS, Metric, chain, dissimilarity_sums
from mainscripts.sort_duplicates import near_duplicates
from mainscripts.sort_identity import describe, find_persons, find_tracks, normalized, suppress_variation
from mainscripts.sort_table import FaceTable, load_table
from samplelib.face_features import CHROMA_SIZE, IDENTITY, RECORD, TEXTURE_SIZE, THUMBNAIL, TONES
from samplelib.face_index import FaceFile

_FACES_OF_A_PERSON = 400
_QUALITY_AT = 4000


def synthetic_table(count: int, seed: int = 1) -> FaceTable:
    """Faces of several people who move slowly: a random walk of light, pose and expression for each."""
    rng = np.random.default_rng(seed)
    persons = max(3, count // _FACES_OF_A_PERSON)
    who = np.repeat(np.arange(persons), -(-count // persons))[:count]
    walk = np.cumsum(rng.normal(0, 0.15, (count, 8)), axis=0)
    state = np.sin(walk).astype(np.float32)  # slow, and never beyond +-1
    files = tuple(FaceFile(Path(f"{n:06d}.jpg"), n + 1, 1, 1) for n in range(count))
    poses = np.column_stack([state[:, 0] * 0.4, state[:, 1] * 0.9])
    tones, pictures = _tones(rng, who, state), _pictures(rng, who, state)
    texture = rng.normal(0, 1, (persons, TEXTURE_SIZE)).astype(np.float32)[who]
    texture += state @ rng.normal(0, 0.8, (8, TEXTURE_SIZE)).astype(np.float32)
    texture += rng.normal(0, 0.6, texture.shape).astype(np.float32)
    shuffled = rng.permutation(count)
    groups: dict[str, Any] = {
        RECORD: {
            "side": np.full(count, 256, np.int32),
            "landmarks": _landmarks(poses, state)[shuffled],
            "frame_name": [f"photo{n}x.png" for n in range(count)],
            "frame_bbox": np.tile(np.array([0, 0, 100, 100], np.float32), (count, 1)),
            "rect_area": rng.uniform(1e4, 1e5, count),
        },
        TONES: {name: column[shuffled] for name, column in tones.items()},
        THUMBNAIL: {
            "pixels": pictures[shuffled],
            "digest": np.arange(count, dtype=np.uint64),
            "detail": np.ones(count),
        },
        IDENTITY: {
            "texture": texture.astype(np.float16)[shuffled],
            "chroma": np.zeros((count, CHROMA_SIZE), np.float16),
            "shape": np.zeros((count, 51, 2), np.float32),
        },
    }
    return FaceTable(files, groups)


def _landmarks(poses: np.ndarray, state: np.ndarray) -> np.ndarray:
    pitch, yaw = poses.T
    x = POSE_POINTS[:, 0] * np.cos(yaw)[:, None] + POSE_POINTS[:, 2] * np.sin(yaw)[:, None]
    y = POSE_POINTS[:, 1] * np.cos(pitch)[:, None] - POSE_POINTS[:, 2] * np.sin(pitch)[:, None]
    points = np.stack([x, y], axis=-1) + 128
    points[:, 65:68, 1] += 6 * np.abs(state[:, 2:3])
    return points.astype(np.float32)


def _tones(rng: np.random.Generator, who: np.ndarray, state: np.ndarray) -> dict[str, np.ndarray]:
    hills = rng.uniform(20, 235, (who.max() + 1, 3, 8)).astype(np.float32)
    weights = rng.dirichlet(np.ones(8), (who.max() + 1, 3)).astype(np.float32)
    levels = np.arange(256, dtype=np.float32)
    roots = np.zeros((len(who), 3, 256), np.float16)
    for start in range(0, len(who), 1000):
        part = slice(start, start + 1000)
        shares = np.full((len(who[part]), 3, 256), 1e-6, np.float32)
        for hill in range(8):
            middle = hills[who[part], :, hill] + 15 * state[part, hill : hill + 1]
            shares += weights[who[part], :, hill, None] * np.exp(-(((levels - middle[..., None]) / 12) ** 2))
        roots[part] = np.sqrt(shares / shares.sum(axis=2, keepdims=True))
    return {"histogram": roots, "gray": roots[:, 1], "face": roots[:, 2]}


def _pictures(rng: np.random.Generator, who: np.ndarray, state: np.ndarray) -> np.ndarray:
    faces = rng.uniform(60, 200, (who.max() + 1, 32 * 32 * 3)).astype(np.float32)
    changes = rng.normal(0, 12, (8, 32 * 32 * 3)).astype(np.float32)
    pictures = np.empty((len(who), 32, 32, 3), np.uint8)
    for start in range(0, len(who), 1000):
        part = slice(start, start + 1000)
        pictures[part] = (faces[who[part]] + state[part] @ changes).clip(0, 255).reshape(-1, 32, 32, 3)
    return pictures


def timed(work: Callable[[], Any]) -> float:
    """Seconds of the processor that the work takes, on all cores together: a busy machine does not slow these."""
    start = time.process_time()
    work()
    return time.process_time() - start


def mean_step(points: np.ndarray, order: np.ndarray, metric: Metric) -> float:
    """The mean distance of neighbors in an order."""
    return float(np.mean([metric.distances(points[a][None], points[b])[0] for a, b in pairwise(order.tolist())]))


def _measure(count: int) -> dict[str, float]:
    table = synthetic_table(count)
    bars = TqdmProgress()
    histograms = table.column(TONES, "histogram").reshape(count, -1).astype(np.float32)
    pixels = table.column(THUMBNAIL, "pixels").reshape(count, 16, 2, 16, 2, 3).mean(axis=(2, 4), dtype=np.float32)
    pixels = pixels.reshape(count, -1)
    quality = np.random.default_rng(2).uniform(0, 1, count)
    work: dict[str, Callable[[], Any]] = {
        "hist chain": lambda: chain(histograms, HISTOGRAMS, exact_up_to=0, progress=bars),
        "absdiff chain": lambda: chain(pixels, ABSOLUTE, exact_up_to=0, progress=bars),
        "hist-dissim": lambda: dissimilarity_sums(table.column(TONES, "face"), progress=bars),
        "duplicates": lambda: near_duplicates(table, 3, bars),
        "best faces": lambda: best_faces(table, quality, 2000),
        "coverage": lambda: coverage_order(table, bars),
        "persons": lambda: find_persons(table, bars),
    }
    if count <= EXACT_UP_TO:
        work["hist chain, exact"] = lambda: chain(histograms, HISTOGRAMS)
    seconds = {}
    for name, task in work.items():
        seconds[name] = timed(task)
        say(f"{count:,} faces, {name}: {seconds[name]:.2f} s")
    return seconds


def _quality() -> None:
    table = synthetic_table(_QUALITY_AT)
    points = table.column(TONES, "histogram").reshape(_QUALITY_AT, -1).astype(np.float32)
    exact = mean_step(points, chain(points, HISTOGRAMS, exact_up_to=_QUALITY_AT), HISTOGRAMS)
    cells = mean_step(points, chain(points, HISTOGRAMS, exact_up_to=0), HISTOGRAMS)
    shuffled = mean_step(points, np.arange(_QUALITY_AT), HISTOGRAMS)
    say(
        f"chain of {_QUALITY_AT:,}: mean step exact {exact:.4f}, cells {cells:.4f} (x{cells / exact:.3f}), "
        f"random {shuffled:.3f}"
    )


def _persons(folders: list[Path]) -> None:
    tables = [load_table(f, list_images(f, (".jpg",)), (IDENTITY,), TqdmProgress())[0] for f in folders]
    who = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    groups: dict[str, Any] = {}
    for group in (RECORD, IDENTITY):
        columns = {name: [table.groups[group][name] for table in tables] for name in tables[0].groups[group]}
        groups[group] = {
            name: list(joined(*parts)) if isinstance(parts[0], list) else np.concatenate(parts)
            for name, parts in columns.items()
        }
    names = [f"{folder}-{name}" for folder, name in zip(who, groups[RECORD]["frame_name"], strict=True)]
    for title, frames in (("with tracks", names), ("as photos", [f"photo{n}x.png" for n in range(len(who))])):
        groups[RECORD]["frame_name"] = frames
        table = FaceTable(tuple(joined(*(t.files for t in tables))), groups)
        ids = find_persons(table).ids
        found = [dict(Counter(who[ids == n].tolist())) for n in range(ids.max() + 1)]
        pure = sum(max(group.values()) for group in found) / len(who)
        points = describe(table)
        points = normalized(suppress_variation(points, find_tracks(table, points)))
        together = sum(_pairs(group.values()) for group in found)
        right = together / max(sum(_pairs([sum(group.values())]) for group in found), 1)
        whole = together / max(_pairs(np.bincount(who).tolist()), 1)
        say(
            f"persons {title}: {len(found)} groups of {len(tables)} persons, purity {pure:.4f}, pairs put together "
            f"rightly {right:.4f}, of those that belong together {whole:.4f}, {_area(points, who):.4f} AUC"
        )
        for members in found[:12]:
            say(f"    {', '.join(f'{folders[n].name} {count:,}' for n, count in members.items())}")


def _pairs(counts: Iterable[int]) -> int:
    return sum(count * (count - 1) // 2 for count in counts)


def _area(points: np.ndarray, who: np.ndarray) -> float:
    """The chance that two faces of one person are more alike than two of different persons."""
    some = np.random.default_rng(1).permutation(len(who))[:1000]
    likeness = points[some] @ points[some].T
    upper = np.triu_indices(len(some), 1)
    same = (who[some][:, None] == who[some])[upper]
    ranks = np.argsort(np.argsort(likeness[upper]))
    count = int(same.sum())
    return float((ranks[same].sum() - count * (count - 1) / 2) / count / max(len(ranks) - count, 1))


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000")
    parser.add_argument("--persons", nargs="*", type=Path, default=[])
    given = parser.parse_args()
    sizes = [int(text) for text in given.sizes.split(",") if text]
    seconds = {size: _measure(size) for size in sizes}
    say(f"{'seconds':<20}" + "".join(f"{size:>10,}" for size in sizes) + "   growth")
    for name in dict.fromkeys(name for found in seconds.values() for name in found):
        row = [seconds[size].get(name) for size in sizes]
        steps = [
            f"{np.log(b / a) / np.log(n / m):.2f}"
            for a, b, m, n in zip(row, row[1:], sizes, sizes[1:], strict=False)
            if a and b
        ]
        say(f"{name:<20}" + "".join(f"{'' if s is None else f'{s:.2f}':>10}" for s in row) + f"   {' '.join(steps)}")
    if sizes:
        _quality()
    if given.persons:
        _persons(given.persons)


if __name__ == "__main__":
    main()
