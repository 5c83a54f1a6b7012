"""Frames between two settings: the mean of both renderings, to the level."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from merger.aligning import align_faces
from merger.compositing import FaceLayers, MergedFrame
from merger.dissolving import mix_renderings
from merger.face_tools import FaceTools, ask_networks
from merger.frames import FrameFace
from merger.merge_frame import composite_faces, merge_frame
from merger.settings import MergeSettings
from tests.merger.scenes import PLAIN, TintedPredictor, enlarge, painted_landmarks, segment_blobs, smooth_frame

MODEL = TintedPredictor()
TOOLS = FaceTools(
    *(MODEL.resolution, MODEL.face_type, MODEL.predict),
    segment=lambda faces: np.stack([segment_blobs(face) for face in faces]),
    enhance=lambda face, _: enlarge(face),
)
FACE = FrameFace(painted_landmarks((80, 65), 48))


def settings(**given: Any) -> MergeSettings:
    return MergeSettings.of(**{**PLAIN, "mask_mode": "learned-prd", **given})


def dissolved(frame: NDArray, shares: tuple[float, ...], *several: MergeSettings) -> MergedFrame:
    faces = [dataclasses.replace(FACE, settings=several)]
    return merge_frame(frame, faces, several[0], TOOLS, shares)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"mode": "seamless"}),
        ({"mode": "original"}, {"mode": "overlay", "super_resolution_power": 60}),
        ({}, {"mask_mode": "XSeg-prd"}),
        ({"mask_mode": "XSeg-dst"}, {"mask_mode": "full", "color_transfer": "rct"}),
        ({"blursharpen_amount": 40}, {"blursharpen_amount": 40, "sharpen_mode": "gaussian"}),
        ({"compat": "dfl"}, {"compat": "dfl", "mode": "hist-match"}),
    ],
)
def test_half_way_a_frame_is_the_mean_of_both(before: Any, after: Any, dtype: type) -> None:
    frame = smooth_frame(130, 160, seed=3, dtype=dtype)
    alone = [merge_frame(frame, [FACE], settings(**given), TOOLS) for given in (before, after)]
    mixed = dissolved(frame, (0.5, 0.5), settings(**before), settings(**after))
    for name in ("image", "mask"):
        one, other = (getattr(result, name) for result in alone)
        exact = (one.astype(np.int64) + other) / 2
        assert (one != other).any() or name == "mask"
        assert np.array_equal(getattr(mixed, name), np.rint(exact).astype(dtype))
    assert mixed.image.dtype == mixed.mask.dtype == dtype


def test_shares_are_those_asked_for_and_add_up() -> None:
    frame = smooth_frame(130, 160, seed=4)
    modes = ("overlay", "hist-match", "seamless")
    alone = [merge_frame(frame, [FACE], settings(mode=mode), TOOLS).image.astype(float) for mode in modes]
    mixed = dissolved(frame, (0.5, 0.25, 0.25), *(settings(mode=mode) for mode in modes))
    expected = np.rint(0.5 * alone[0] + 0.25 * alone[1] + 0.25 * alone[2])
    assert np.array_equal(mixed.image, expected.astype(np.uint8))


def test_outside_the_masks_every_pixel_keeps_its_bits() -> None:
    frame = smooth_frame(130, 160, seed=5)
    mixed = dissolved(frame, (1 / 3, 2 / 3), settings(), settings(mask_mode="dst", mode="seamless"))
    outside = mixed.mask == 0
    assert outside.mean() > 0.5
    assert np.array_equal(mixed.image[outside], frame[outside])


def test_a_frame_without_a_face_is_itself() -> None:
    frame = smooth_frame(40, 60)
    assert np.array_equal(merge_frame(frame, [], settings(), TOOLS, (0.5, 0.5)).image, frame)


def test_the_layer_over_the_frame_is_the_mixed_frame() -> None:
    frame = smooth_frame(130, 160, seed=6)
    both = (settings(blur_mask=20), settings(mask_mode="learned-dst", color_transfer="rct"))
    face = dataclasses.replace(FACE, settings=both)
    aligned = align_faces(frame, [face], MODEL.resolution, MODEL.face_type, both[0])
    answers = ask_networks(TOOLS, [one.question for one in aligned], both[0])
    fixed = (frame, aligned, answers, both[0], MODEL.face_type, MODEL.resolution, True)
    mixed = composite_faces(*fixed, shares=(0.75, 0.25))
    assert mixed.layers is not None
    alpha = mixed.mask[..., None] / 255
    laid_over = frame * (1 - alpha) + mixed.layers.colors * alpha
    assert np.abs(laid_over - mixed.image).max() <= 2  # pictures, layers and masks of both were rounded
    assert np.array_equal(mixed.layers.numbers == 1, mixed.mask >= 127.5)
    assert (mixed.layers.colors[mixed.mask == 0] > 0).any()  # beyond the mask the colors go on


def test_the_larger_share_says_whose_face_is_seen() -> None:
    def rendering(number: int) -> MergedFrame:
        layers = FaceLayers(np.full((2, 2, 3), 90, np.uint8), np.full((2, 2), number, np.uint8))
        return MergedFrame(np.zeros((2, 2, 3), np.uint8), np.full((2, 2), 255, np.uint8), layers)

    for shares, expected in (((0.7, 0.3), 1), ((0.3, 0.7), 2)):
        mixed = mix_renderings([rendering(1), rendering(2)], shares)
        assert mixed.layers is not None
        assert (mixed.layers.numbers == expected).all()
        assert (mixed.layers.colors == 90).all()
