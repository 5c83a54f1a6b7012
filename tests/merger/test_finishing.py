"""Softening a frame and taking colors away, in 8 and 16 bits."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from merger.finishing import finish_frame, soften_frame, to_levels
from merger.settings import MergeSettings
from tests.merger.scenes import smooth_frame


def noisy(dtype: type = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(1)
    most = np.iinfo(dtype).max
    return np.clip(smooth_frame(40, 60, dtype=dtype) + rng.normal(0, most / 20, (40, 60, 3)), 0, most).astype(dtype)


@pytest.mark.parametrize("given", [{}, {"image_denoise_power": 50, "mode": "raw-rgb"}, {"color_degrade_power": 50}])
def test_a_frame_that_is_not_to_be_softened_is_copied(given: dict[str, Any]) -> None:
    frame = noisy()
    canvas = soften_frame(frame, MergeSettings.of(**given))
    assert np.array_equal(canvas, frame)
    assert canvas is not frame
    assert not np.shares_memory(canvas, frame)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_denoise_and_degrade_follow_each_other(dtype: type) -> None:
    frame = noisy(dtype)
    settings = MergeSettings.of(image_denoise_power=40, bicubic_degrade_power=50)
    canvas = soften_frame(frame, settings)
    assert canvas.dtype == dtype
    expected = frame.astype(np.float32)
    for power in (40, 30, 20, 10):
        expected = expected * (1 - power / 100) + cv2.medianBlur(expected.astype(np.float32), 5) * (power / 100)
    expected = expected.astype(np.float32)
    small = cv2.resize(expected, (int(60 * 51 / 101), int(40 * 51 / 101)), interpolation=cv2.INTER_CUBIC)
    expected = np.clip(cv2.resize(small, (60, 40), interpolation=cv2.INTER_CUBIC), 0, np.iinfo(dtype).max)
    assert np.abs(canvas.astype(float) - expected).max() <= 0.51 if dtype == np.uint8 else 2


def test_fewer_colors() -> None:
    frame = noisy()
    assert finish_frame(frame, MergeSettings.of()) is frame
    reduced = finish_frame(frame, MergeSettings.of(color_degrade_power=100))
    assert len(np.unique(reduced.reshape(-1, 3), axis=0)) <= 256
    two = np.array([[0, 0, 0], [255, 255, 255]], np.float32)
    assert set(np.unique(finish_frame(frame, MergeSettings.of(color_degrade_power=100), two))) <= {0, 255}


def test_levels_are_rounded_and_kept_in_range() -> None:
    picture = np.array([[-3.0, 0.4, 0.6, 254.6, 300.0]], np.float32)
    assert to_levels(picture, np.dtype(np.uint8)).tolist() == [[0, 0, 1, 255, 255]]
