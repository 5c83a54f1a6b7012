"""Batches of painted shapes, small enough to train on in a test."""

from __future__ import annotations

import numpy as np

from samplelib.batches import FaceBatch, TrainingBatch


def shapes_batch(size: int = 2, seed: int = 0, resolution: int = 64) -> TrainingBatch:
    """Discs on flat ground, another color for each side: something that can be learned."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:resolution, :resolution]

    def side(color: tuple[int, int, int]) -> FaceBatch:
        target = np.full((size, resolution, resolution, 3), 40, np.uint8)
        mask = np.zeros((size, resolution, resolution, 1), np.uint8)
        eyes = np.zeros_like(mask)
        for k in range(size):
            y, x = rng.uniform(0.4, 0.6, 2) * resolution
            disc = (rows - y) ** 2 + (columns - x) ** 2 < (resolution / 3) ** 2
            target[k][disc] = color
            mask[k][disc] = 255
            eyes[k][int(y) - 4 : int(y), int(x) - 8 : int(x) + 8] = 255
        return FaceBatch(np.roll(target, 2, axis=1), target, mask, eyes, np.arange(size))

    return TrainingBatch(side((200, 120, 60)), side((60, 120, 200)), 0)
