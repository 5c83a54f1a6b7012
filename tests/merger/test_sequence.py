"""A painted shot from end to end: flicker and jitter are halved, nothing crosses a cut, off is off to the bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from merger.face_tools import FaceTools
from merger.frames import FrameFaces
from merger.merge_frame import merge_frame
from merger.meters import steadiness, with_figures
from merger.sequence import SequenceFrame, merge_sequence
from merger.settings import MergeSettings
from merger.temporal import link_faces
from tests.merger.scenes import PLAIN, TintedPredictor, smooth_frame
from tests.merger.shots import FlickeringPredictor, film

OFF = {"stabilize_landmarks": 0, "stabilize_colors": 0, "stabilize_mask": 0, "stabilize_seamless": 0}
PICTURE = smooth_frame(120, 160, seed=3)


def merge(
    frames: Sequence[FrameFaces], given: dict[str, Any], cuts: Sequence[int] = (), tools: FaceTools | None = None
) -> list[SequenceFrame]:
    settings = [MergeSettings.of(**{**PLAIN, "mask_mode": "learned-dst", **given})] * len(frames)
    tools = tools or FaceTools.of(FlickeringPredictor(0.02))
    return list(merge_sequence(frames, lambda _: PICTURE, settings, tools, cuts))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"color_transfer": "idt-m"},
        {"mode": "seamless"},
        {"mode": "hist-match", "color_transfer": "lct", "masked_hist_match": False},
    ],
)
def test_flicker_and_jitter_are_halved(given: dict[str, Any]) -> None:
    shot = film(26, path=lambda n: (70 + n, 60.0), noise=0.3)
    before, after = (
        steadiness(with_figures([r for one in merge(shot, {**given, **extra}) for r in one.records], link_faces(shot)))
        for extra in (OFF, {})
    )
    assert before.frames == after.frames == 26
    assert before.jitter is not None
    assert after.jitter is not None
    assert after.jitter < 0.5 * before.jitter
    assert before.flicker is not None
    assert after.flicker is not None
    assert after.old_flicker is not None
    # What the footage itself does is not taken out.
    assert after.flicker - after.old_flicker < 0.5 * (before.flicker - after.old_flicker)


@pytest.mark.parametrize("mode", ["overlay", "seamless", "raw-rgb", "raw-predict", "original"])
def test_off_is_every_frame_for_itself_to_the_bit(mode: str) -> None:
    shot, tools = film(4, noise=0.5), FaceTools.of(TintedPredictor(32))
    settings = MergeSettings.of(mode=mode, color_transfer="rct", mask_mode="learned-dst", **OFF)
    for one, frame in zip(merge_sequence(shot, lambda _: PICTURE, [settings] * 4, tools), shot, strict=True):
        alone = merge_frame(PICTURE, frame.faces, settings, tools)
        assert np.array_equal(one.merged.image, alone.image)
        assert np.array_equal(one.merged.mask, alone.mask)


def test_one_frame_is_a_frame_for_itself() -> None:
    shot, tools = film(1), FaceTools.of(TintedPredictor(32))
    (one,) = merge(shot, {"color_transfer": "rct"}, tools=tools)
    settings = MergeSettings.of(mask_mode="learned-dst", color_transfer="rct")
    assert np.array_equal(one.merged.image, merge_frame(PICTURE, shot[0].faces, settings, tools).image)


def test_nothing_crosses_a_cut() -> None:
    class Scenes(FlickeringPredictor):
        """Answers that are darker for the first faces it is asked about, and lighter later."""

        def predict(self, faces: NDArray) -> Any:
            return [dataclasses.replace(p, face=p.face * np.float32(0.9)) for p in super().predict(faces)]

    first, second = film(10, noise=0.3), film(10, path=lambda _: (84.0, 62.0), noise=0.3)
    one, other = FaceTools.of(Scenes(0.02)), FaceTools.of(Scenes(0.02))
    joined = merge([*first, *second], {}, [10], one)
    apart = [*merge(first, {}, tools=other), *merge(second, {}, tools=other)]
    for a, b in zip(joined, apart, strict=True):
        assert np.array_equal(a.merged.image, b.merged.image)


def test_frames_come_in_order_and_gaps_are_passed() -> None:
    shot = film(14, noise=0.2, missing=(5, 6))
    merged = merge(shot, {"color_transfer": "mix-m"})
    assert [one.source.path for one in merged] == [frame.path for frame in shot]
    assert [len(one.records) for one in merged] == [len(frame.faces) for frame in shot]
    assert np.array_equal(merged[5].merged.image, PICTURE)


def test_settings_that_change_over_time_are_each_frames_own() -> None:
    shot = film(8)
    settings = [MergeSettings.of(mask_mode="full", **OFF)] * 4 + [MergeSettings.of(mask_mode="learned-dst")] * 4
    merged = list(merge_sequence(shot, lambda _: PICTURE, settings, FaceTools.of(TintedPredictor(32))))
    alone = merge_frame(PICTURE, shot[0].faces, settings[0], FaceTools.of(TintedPredictor(32)))
    assert np.array_equal(merged[0].merged.image, alone.image)
    assert merged[7].merged.mask.sum() < merged[0].merged.mask.sum()


def dressed(shot: Sequence[FrameFaces], shares: tuple[float, ...], *several: MergeSettings) -> list[FrameFaces]:
    """Every frame mixed of renderings with these settings."""
    return [
        dataclasses.replace(f, shares=shares, faces=tuple(dataclasses.replace(x, settings=several) for x in f.faces))
        for f in shot
    ]


@pytest.mark.parametrize("other", [{"mode": "seamless"}, {"color_transfer": "rct"}, {"mask_mode": "dst"}])
def test_where_settings_dissolve_both_renderings_are_steadied(other: dict[str, Any]) -> None:
    """Each as in a shot that has its settings throughout: so nothing jumps where a dissolve begins or ends."""
    shot = film(12, path=lambda n: (70 + n, 60.0), noise=0.3)
    one, two = (MergeSettings.of(**{**PLAIN, "mask_mode": "learned-dst", **given}) for given in ({}, other))
    alone = [[frame.merged.image.astype(int) for frame in merge(shot, given)] for given in ({}, other)]
    unsteady = [frame.merged.image for frame in merge(shot, {**other, **OFF})]
    mixed = [frame.merged.image for frame in merge(dressed(shot, (0.5, 0.5), one, two), {})]
    for number, image in enumerate(mixed):
        assert np.array_equal(image, np.rint((alone[0][number] + alone[1][number]) / 2))
    assert any((alone[1][number] != unsteady[number]).any() for number in range(12))


def test_a_face_is_steadied_with_its_own_settings() -> None:
    shot = film(12, noise=0.5)
    own = MergeSettings.of(**{**PLAIN, "mask_mode": "learned-dst"}, mode="hist-match", stabilize_colors=20)
    usual = merge(shot, {"mode": "hist-match", "stabilize_colors": 20})
    for mine, expected in zip(merge(dressed(shot, (1.0,), own), OFF), usual, strict=True):
        assert np.array_equal(mine.merged.image, expected.merged.image)
