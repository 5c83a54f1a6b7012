"""How many training samples one processor core makes in a second, and what fusing and caching bring.

    python benchmarks/samples.py [--faces 48] [--seconds 2]

Painted whole faces of 512 pixels; the model sees full faces; everything of a swap model's sample is made: warped input,
target, mask, with SAEHD's ranges (scale +-15 %, flips). One sample is one side of a batch. Rows:

    warm       decoded faces are in the cache (the state after the first epoch)
    cold       nothing is cached: every face is opened, decoded and reduced again
    unfused    written straightforwardly: decode, float, crop, warp and affine one after another, masks at stored size
    + eyes     with the eyes-and-mouth mask;  + rct, ...: with that color transfer
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.console import say
from core.shared_arrays import SharedArrays
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from samplelib.augmentation import Augmentation, SampleSettings, draw_augmentation
from samplelib.batch_builder import BatchBuilder, plan_batches
from samplelib.batch_workers import settle_process
from samplelib.face_cache import cache_layout
from samplelib.faceset import Faceset, open_faceset
from samplelib.order import keyed_rng
from samplelib.random_warp import displacement_field
from samplelib.sample import Sample
from tests.painting import write_painted_faceset


def settings_for(resolution: int, eyes_mouth: bool = False, color_transfer: str = "none") -> SampleSettings:
    """The samples that are timed."""
    return SampleSettings(
        resolution,
        FaceType.FULL,
        scale_range=(-0.15, 0.15),
        flip=True,
        eyes_mouth=eyes_mouth,
        color_transfer=color_transfer,
    )


def fused_rate(faceset: Faceset, settings: SampleSettings, cached: bool, seconds: float) -> float:
    """Samples per second of `BatchBuilder` on this core."""
    pair = (faceset, faceset)
    plan, owners = plan_batches(pair, (settings, settings), pair, batch_size=1, seed=1)
    slots = len(faceset) if cached else 0
    caches = [
        SharedArrays.private(cache_layout(owner.samples, pool.needs, slots))
        for owner, pool in zip(owners, plan.pools, strict=True)
    ]
    builder = BatchBuilder(plan, caches)
    return rate_of(lambda number: builder.draw(0, number, 0), 2 * len(faceset) if cached else 2, seconds)


def unfused_rate(faceset: Faceset, settings: SampleSettings, seconds: float) -> float:
    """Samples per second of the same work step by step, nothing kept."""

    def make(number: int) -> None:
        sample = faceset.samples[number % len(faceset)]
        unfused_sample(sample, draw_augmentation(keyed_rng(1, 0, number), settings), settings)

    return rate_of(make, 2, seconds)


def unfused_sample(sample: Sample, augmentation: Augmentation, settings: SampleSettings) -> tuple[np.ndarray, ...]:
    """Warped input, target and mask, float32, one resampling after another."""
    side = settings.resolution
    picture = sample.image().astype(np.float32) / 255.0
    crop = frame_to_face(sample.metadata.landmarks, settings.face_type, side)
    affine = augmentation.face_to_network(side)
    columns, rows = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    outputs = []
    for warped in (True, False):
        face = cv2.warpAffine(picture, crop, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        if warped and augmentation.displacement is not None:
            push = displacement_field(augmentation.displacement, side)
            face = cv2.remap(face, columns + push[..., 0], rows + push[..., 1], cv2.INTER_CUBIC)
        face = cv2.warpAffine(face, affine, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        outputs.append(np.clip(face, 0.0, 1.0))
    mask = cv2.warpAffine(sample.mask(), crop, (side, side), flags=cv2.INTER_LINEAR)
    outputs.append(cv2.warpAffine(mask, affine, (side, side), flags=cv2.INTER_LINEAR))
    return tuple(outputs)


def rate_of(make: Callable[[int], object], warm_up: int, seconds: float) -> float:
    """Calls of `make` per second of processor time, which others on the machine do not use up: median of five."""
    for number in range(warm_up):
        make(number)
    number, rates = warm_up, []
    for _ in range(5):
        start, count = time.process_time(), 0
        while time.process_time() - start < seconds / 5:
            make(number)
            number += 1
            count += 1
        rates.append(count / (time.process_time() - start))
    return float(np.median(rates))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=48, help="how many painted faces")
    parser.add_argument("--seconds", type=float, default=2.0, help="per figure")
    arguments = parser.parse_args()
    settle_process()
    resolutions = (96, 128, 256)
    with tempfile.TemporaryDirectory() as folder:
        write_painted_faceset(Path(folder), arguments.faces, 512)
        faceset = open_faceset(Path(folder))
        say(f"{len(faceset)} whole faces of 512 pixels, model sees full faces, one core, samples per second")
        say("resolution      " + "".join(f"{resolution:>9}" for resolution in resolutions))
        transfers = [(f"warm + {mode}", True, False, mode) for mode in ("rct", "lct", "mkl", "idt", "sot")]
        for name, cached, eyes_mouth, mode in [
            ("warm", True, False, "none"),
            ("cold", False, False, "none"),
            ("unfused", None, False, "none"),
            ("warm + eyes", True, True, "none"),
            *transfers,
        ]:
            rates = []
            for resolution in resolutions:
                settings = settings_for(resolution, eyes_mouth, mode)
                if cached is None:
                    rates.append(unfused_rate(faceset, settings, arguments.seconds))
                else:
                    rates.append(fused_rate(faceset, settings, cached, arguments.seconds))
            say(f"{name:<16}" + "".join(f"{rate:>9.0f}" for rate in rates))


if __name__ == "__main__":
    main()
