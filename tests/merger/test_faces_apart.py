"""Faces of one frame with settings of their own: each is merged as if it were alone with them.

Speaks for what merger/frames.py carries and merger/merge_frame.py, merger/face_tools.py and merger/engine.py make of
it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.images import read_image, write_image
from core.progress import SILENT
from facelib.prediction import Prediction
from merger.compositors import CompositorSetup
from merger.engine import Engine
from merger.face_tools import FaceTools
from merger.frames import FrameFace, FrameFaces
from merger.journal import Networks, render_key
from merger.merge_frame import merge_frame
from merger.rounds import FrameJob, settings_of
from merger.settings import MergeSettings
from tests.merger.scenes import PLAIN, TintedPredictor, enlarge, painted_landmarks, segment_blobs, smooth_frame

LEFT, RIGHT = (FrameFace(painted_landmarks((x, 65), 40)) for x in (50, 150))
FRAME = smooth_frame(130, 200, seed=8)


class Morphing(TintedPredictor):
    """An AMP model: the factor is seen in the colors."""

    def predict_morphed(self, faces: NDArray, factor: float) -> Sequence[Prediction]:
        return [dataclasses.replace(p, face=p.face * np.float32(factor)) for p in self.predict(faces)]


MODEL = Morphing()
TOOLS = FaceTools(
    *(MODEL.resolution, MODEL.face_type, MODEL.predict, MODEL.predict_morphed),
    segment=lambda faces: np.stack([segment_blobs(face) for face in faces]),
    enhance=lambda face, _: enlarge(face),
)


def settings(**given: Any) -> MergeSettings:
    return MergeSettings.of(**{**PLAIN, "mask_mode": "learned-prd", **given})


def with_own(face: FrameFace, *own: MergeSettings) -> FrameFace:
    return dataclasses.replace(face, settings=own)


APART: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"mode": "seamless", "erode_mask": 12}, {"mode": "overlay", "color_transfer": "rct", "blur_mask": 20}),
    ({"mask_mode": "XSeg-dst"}, {"mask_mode": "dst", "super_resolution_power": 70}),
    ({"mask_mode": "XSeg-prd", "sr_range": "correct", "super_resolution_power": 30}, {"mode": "raw-rgb"}),
    ({"mode": "original", "mask_mode": "dst"}, {"mode": "hist-match", "output_face_scale": -10}),
    ({"morph_factor": 0.25}, {"morph_factor": 0.75, "sharpen_mode": "box", "blursharpen_amount": 30}),
]


@pytest.mark.parametrize(("left", "right"), APART)
def test_two_faces_are_the_two_merges_side_by_side(left: Any, right: Any) -> None:
    one, other = settings(**left), settings(**right)
    together = merge_frame(FRAME, [with_own(LEFT, one), with_own(RIGHT, other)], one, TOOLS)
    alone = [merge_frame(FRAME, [LEFT], one, TOOLS), merge_frame(FRAME, [RIGHT], other, TOOLS)]
    for name in ("image", "mask"):
        by_hand = np.concatenate([getattr(alone[0], name)[:, :100], getattr(alone[1], name)[:, 100:]], axis=1)
        assert np.array_equal(getattr(together, name), by_hand)
    # The one whose settings are the frame's needs none of its own.
    assert np.array_equal(merge_frame(FRAME, [LEFT, with_own(RIGHT, other)], one, TOOLS).image, together.image)


@pytest.mark.parametrize(("left", "right"), APART)
def test_classically_too_but_the_later_ones_edge_is_blended_twice(left: Any, right: Any) -> None:
    """Source: spec merging 3.9: final = final (1 - M) + out M, and out is blended through M already."""
    one, other = settings(compat="dfl", **left), settings(compat="dfl", **right)
    together = merge_frame(FRAME, [with_own(LEFT, one), with_own(RIGHT, other)], one, TOOLS)
    first, second = merge_frame(FRAME, [LEFT], one, TOOLS), merge_frame(FRAME, [RIGHT], other, TOOLS)
    mask = second.mask[..., None] / 255
    assert np.abs(first.image * (1 - mask) + second.image * mask - together.image).max() <= 2  # cut off twice
    assert np.abs(first.mask.astype(int) + second.mask - together.mask).max() <= 1


def test_where_they_overlap_the_later_one_lies_above() -> None:
    near = FrameFace(painted_landmarks((66, 70), 40))
    one, other = settings(mode="overlay"), settings(mode="hist-match", blur_mask=10)
    together = merge_frame(FRAME, [with_own(LEFT, one), with_own(near, other)], one, TOOLS)
    below, above = merge_frame(FRAME, [LEFT], one, TOOLS), merge_frame(FRAME, [near], other, TOOLS)
    sure = above.mask == 255
    assert sure.any()
    assert np.abs(together.image[sure].astype(int) - above.image[sure]).max() <= 1
    assert np.array_equal(together.image[above.mask == 0], below.image[above.mask == 0])


def test_the_frame_is_softened_once_where_any_face_softens_it() -> None:
    soft = {"image_denoise_power": 200, "color_degrade_power": 40}
    plain, soften = settings(mode="original", **soft), settings(mode="overlay", **soft)
    together = merge_frame(FRAME, [with_own(LEFT, plain), with_own(RIGHT, soften)], plain, TOOLS)
    assert np.array_equal(together.image, merge_frame(FRAME, [RIGHT], soften, TOOLS).image)
    assert np.array_equal(merge_frame(FRAME, [LEFT], plain, TOOLS).image, FRAME)


def test_all_networks_that_any_face_needs_are_required() -> None:
    bare = FaceTools.of(TintedPredictor())
    for own in (settings(mask_mode="XSeg-prd"), settings(super_resolution_power=1), settings(morph_factor=0.5)):
        with pytest.raises(Exception, match=r"XSeg|enhancer|morph"):
            merge_frame(FRAME, [LEFT, with_own(RIGHT, own)], settings(), bare)
    assert settings_of([FrameJob(FrameFaces(Path("1.png"), (LEFT, with_own(RIGHT, own))), settings())])[1:] == [own]


def shot(folder: Path) -> list[FrameJob]:
    """Two faces in every frame; from frame to frame they have others of these settings, some dissolving."""
    every = [settings(**given) for pair in APART for given in pair]
    jobs = []
    for number in range(6):
        path = folder / "frames" / f"{number:05d}.png"
        write_image(path, smooth_frame(130, 200, seed=number))
        one, two, three = every[number], every[number + 1], every[number + 2]
        left, right = (
            (with_own(LEFT, one), RIGHT) if number % 2 else (with_own(LEFT, one, three), with_own(RIGHT, two, two))
        )
        jobs.append(FrameJob(FrameFaces(path, (left, right), (1.0,) if number % 2 else (0.75, 0.25)), two))
    return jobs


def test_the_engine_makes_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    jobs = shot(tmp_path)
    done: list[str] = []
    for workers in (1, 3):
        folders = tmp_path / f"merged {workers}", tmp_path / f"masks {workers}"
        for folder in folders:
            folder.mkdir()
        setup = CompositorSetup(*folders, MODEL.resolution, MODEL.face_type)
        with Engine(TOOLS, setup, jobs, jobs, workers=workers, progress=SILENT) as engine:
            engine.merge(jobs, on_error="stop", on_merged=lambda frame, _: done.append(frame.stem))
        assert len(done) == len(jobs)
        done.clear()
        for job in jobs:
            frame = read_image(job.frame.path)
            expected = merge_frame(frame, job.frame.faces, job.settings, TOOLS, job.frame.shares)
            assert np.array_equal(read_image(folders[0] / f"{job.frame.stem}.png"), expected.image)


def test_the_key_of_a_frame_holds_what_each_face_has(tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    write_image(path, FRAME)
    networks = Networks("48 full_face", "weights", "segmenter", "enhancer")
    base, own = settings(), settings(erode_mask=4)

    def key(shares: tuple[float, ...] = (1.0,), **faces: tuple[MergeSettings, ...]) -> Any:
        found = tuple(with_own(face, *faces.get(name, ())) for name, face in (("left", LEFT), ("right", RIGHT)))
        return render_key(FrameFaces(path, found, shares), base, networks)

    assert key().changes_since(key()) == []
    assert key(right=(own,)).changes_since(key()) == ["settings"]
    assert key(right=(own,)).changes_since(key(left=(own,))) == ["settings"]
    mixed = {"left": (base, base), "right": (base, own)}
    assert key((0.5, 0.5), **mixed).changes_since(key((0.25, 0.75), **mixed)) == ["settings"]
    unseen = settings(sharpen_mode="gaussian")  # with no amount
    assert key(right=(unseen,)).changes_since(key(right=(base,))) == []
    assert key(right=(settings(mask_mode="XSeg-dst"),)).changes_since(key()) == ["settings", "model"]
