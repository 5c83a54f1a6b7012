"""The face layer: put over the frame through the mask it gives the merged frame, and it goes on beyond the mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from merger.aligning import align_faces
from merger.compositing import MergedFrame, PlacedMask, Region
from merger.face_tools import FaceTools, ask_networks
from merger.frames import FrameFace, Motion
from merger.layers import LayerBuilder
from merger.merge_frame import composite_faces
from merger.settings import MergeSettings
from tests.merger.scenes import PLAIN, TintedPredictor, painted_landmarks, smooth_frame

TWO_FACES = (
    FrameFace(painted_landmarks((70, 60), 60), motion=Motion(6, 2)),
    FrameFace(painted_landmarks((105, 60), 50)),
)


def merged(faces: tuple[FrameFace, ...], with_layers: bool = True, **settings: Any) -> tuple[NDArray, MergedFrame]:
    """A 16-bit frame of clouds, and what becomes of it."""
    frame = smooth_frame(120, 160, dtype=np.uint16)
    chosen = MergeSettings.of(**{**PLAIN, "mask_mode": "learned-dst", "blur_mask": 40, **settings})
    tools = FaceTools.of(TintedPredictor())
    aligned = align_faces(frame, faces, tools.resolution, tools.face_type, chosen)
    asked = aligned and chosen.needs_prediction
    answers = ask_networks(tools, [face.question for face in aligned], chosen) if asked else ()
    return frame, composite_faces(frame, aligned, answers, chosen, tools.face_type, tools.resolution, with_layers)


def over(frame: NDArray, result: MergedFrame) -> NDArray:
    """The layer over the frame, in float64, by the textbook."""
    assert result.layers is not None
    alpha = result.mask[..., None] / 65535
    return frame * (1 - alpha) + result.layers.colors * alpha


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "overlay", "color_transfer": "rct"},
        {"mode": "overlay", "motion_blur_power": 60, "sharpen_mode": "box", "blursharpen_amount": 10},
        {"mode": "hist-match"},
        {"mode": "seamless"},
        {"mode": "original"},
    ],
)
@pytest.mark.parametrize("faces", [TWO_FACES[:1], TWO_FACES], ids=["one face", "two that overlap"])
def test_layer_over_frame_is_the_merged_frame(settings: dict[str, Any], faces: tuple[FrameFace, ...]) -> None:
    frame, result = merged(faces, **settings)
    # Every rounding to whole levels (mask, colors, canvas, once per face) may cost one of 65535.
    assert np.abs(over(frame, result) - result.image).max() <= 3 * len(faces)
    assert result.mask.max() > 60000


def test_the_classical_way_has_a_layer_too() -> None:
    frame, result = merged(TWO_FACES[:1], mode="overlay", compat="dfl")
    # Classical levels are cut off, and where the mask is faint its 16 bits say little of the color.
    assert np.abs(over(frame, result) - result.image).max() <= 3


def test_asking_for_layers_changes_nothing_else() -> None:
    for mode in ("overlay", "raw-rgb"):
        _, with_layers = merged(TWO_FACES, mode=mode)
        _, without = merged(TWO_FACES, with_layers=False, mode=mode)
        assert without.layers is None
        assert np.array_equal(with_layers.mask, without.mask)
        assert np.abs(with_layers.image.astype(int) - without.image).max() <= 1


@pytest.mark.parametrize("compat", ["none", "dfl"])
def test_colors_go_on_beyond_the_mask(compat: str) -> None:
    """Two pixels and more outside the mask there still is face, not black."""
    _, result = merged(TWO_FACES[:1], mode="overlay", compat=compat, erode_mask=60, blur_mask=0)
    assert result.layers is not None
    rows, columns = np.nonzero(result.mask)
    left, middle = columns[rows == 60].min(), 60
    assert (result.mask[middle, left - 6 : left - 2] == 0).all()
    beyond = result.layers.colors[middle, left - 6 : left - 2].astype(int)
    assert (beyond.max(axis=1) > 2000).all()  # the stand-in adds a tenth to every color
    edge = result.layers.colors[middle, left + 1].astype(int)
    assert np.abs(beyond[-1] - edge).max() < 12000
    assert not result.layers.colors[0, 0].any()


def test_faces_are_told_apart_and_no_face_is_transparent_black() -> None:
    _, result = merged(TWO_FACES, mode="overlay")
    assert result.layers is not None
    assert set(np.unique(result.layers.numbers)) == {0, 1, 2}
    assert result.layers.numbers[60, 50] == 1
    assert result.layers.numbers[60, 110] == 2  # the later face lies over the earlier
    _, empty = merged((), mode="overlay")
    assert empty.layers is not None
    assert not empty.layers.colors.any()
    assert not empty.layers.numbers.any()


def test_raw_rgb_has_the_square_and_the_mask_that_was_asked_for() -> None:
    _, result = merged(TWO_FACES[:1], mode="raw-rgb")
    assert result.layers is not None
    inside = result.mask == 65535
    assert inside.any()
    assert np.abs(result.layers.colors[inside].astype(int) - result.image[inside]).max() <= 1


def test_an_empty_region_adds_nothing() -> None:
    builder = LayerBuilder((4, 5, 3), np.dtype(np.uint8))
    nowhere = Region(0, 0, 0, 0)
    builder.add(np.zeros((0, 0, 3), np.float32), nowhere, PlacedMask(nowhere, np.zeros((0, 0), np.float32)))
    assert not builder.finish().colors.any()
