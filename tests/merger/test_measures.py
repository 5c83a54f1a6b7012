"""What is measured of a face before it is composited."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest

from core.color import ReinhardTransform
from merger.aligning import align_faces
from merger.face_tools import FaceTools, ask_networks
from merger.frames import FrameFace
from merger.measures import FaceMeasures, color_figures, measure_faces
from merger.settings import MergeSettings
from tests.merger.scenes import PLAIN, BlankPredictor, HonestPredictor, TintedPredictor, painted_landmarks, smooth_frame

FRAME = smooth_frame(120, 160, seed=5)
CENTER = (80.0, 60.0)


def measure(predictor: Any, center: tuple[float, float] = CENTER, **given: Any) -> FaceMeasures:
    settings = MergeSettings.of(**{**PLAIN, "mask_mode": "learned-dst", **given})
    tools = FaceTools.of(predictor)
    faces = [FrameFace(painted_landmarks(center, 60))]
    aligned = align_faces(FRAME, faces, tools.resolution, tools.face_type, settings)
    answers = ask_networks(tools, [face.question for face in aligned], settings) if settings.needs_prediction else ()
    (measures,) = measure_faces(FRAME, aligned, answers, settings, tools.face_type)
    assert (measures.point == faces[0].landmarks[0]).all()
    return measures


def test_a_perfect_prediction_is_colored_like_the_old_face() -> None:
    measures = measure(HonestPredictor(48), mask_mode="learned-dst")
    assert measures.mask is not None
    assert (measures.mask == 255).all()
    assert measures.colors is not None
    assert measures.colors.transform is None
    assert measures.colors.curves is None
    # Measured on a small picture, whose colors vary a little less.
    assert measures.colors.new[:3] == pytest.approx(measures.colors.old[:3], abs=0.5)
    assert measures.colors.ring is None  # the mask fills the square


def test_a_transfer_is_measured_as_it_is_composited() -> None:
    measures = measure(TintedPredictor(48), color_transfer="rct")
    assert measures.colors is not None
    assert isinstance(measures.colors.transform, ReinhardTransform)
    assert measures.colors.ring is not None
    plain = measure(TintedPredictor(48))
    assert plain.colors is not None
    off, plain_off = (abs(m.new[:3] - m.old[:3]).max() for m in (measures.colors, plain.colors))
    assert off < 0.3 * plain_off
    assert measure(TintedPredictor(48), mode="hist-match").colors.curves is not None  # type: ignore[union-attr]


def test_a_clone_is_compared_with_the_old_face() -> None:
    measures = measure(TintedPredictor(48), mode="seamless")
    assert measures.colors is None
    assert measures.cloned is not None
    assert measures.cloned.shape == (8, 8, 3)
    assert measures.cloned[0, 0] == pytest.approx(np.zeros(3), abs=0.01)  # outside the mask nothing changes
    assert abs(measures.cloned).max() > 0.05
    honest = measure(HonestPredictor(48), mode="seamless")
    assert honest.cloned is not None
    assert abs(honest.cloned).max() < 0.02


@pytest.mark.parametrize(
    "given",
    [
        {"stabilize_colors": 0, "stabilize_mask": 0},
        {"compat": "dfl"},
        {"mode": "raw-rgb", "stabilize_mask": 0},
        {"mode": "original", "mask_mode": "full"},
    ],
)
def test_what_is_not_steadied_is_not_measured(given: dict[str, Any]) -> None:
    measures = measure(TintedPredictor(48), **given)
    assert (measures.mask, measures.colors, measures.cloned) == (None, None, None)


@pytest.mark.parametrize("mode", ["overlay", "seamless"])
def test_a_face_that_is_not_seen_has_no_colors(mode: str) -> None:
    measures = measure(BlankPredictor(48), mode=mode)
    assert (measures.colors, measures.cloned) == (None, None)
    assert measures.mask is not None


def test_a_face_at_the_border_is_measured_where_the_frame_is() -> None:
    measures = measure(TintedPredictor(48), center=(12.0, 60.0))
    assert measures.colors is not None
    assert np.isfinite(measures.colors.old).all()


def test_kinds_tell_settings_apart_that_cannot_be_smoothed_together() -> None:
    kinds = {
        measure(TintedPredictor(48), **given).kind
        for given in (
            {},
            {"color_transfer": "rct"},
            {"mask_mode": "dst"},
            {"mode": "hist-match"},
            {"mode": "hist-match", "masked_hist_match": False},
        )
    }
    assert len(kinds) == 5
    assert measure(TintedPredictor(48), erode_mask=20).kind in kinds


def test_measures_are_small_and_travel() -> None:
    """From one process to another, in the form in which messages go."""
    data = ForkingPickler.dumps(measure(TintedPredictor(96), color_transfer="idt-m"))
    assert data.nbytes < 470_000  # most of it the lattice of colors, 33^3
    assert ForkingPickler.loads(data).kind == measure(TintedPredictor(96), color_transfer="idt-m").kind


def test_figures_of_a_flat_picture_are_finite() -> None:
    flat = color_figures(np.full((4, 4, 3), 0.5, np.float32), np.ones((4, 4), np.float32))
    assert flat[0] == pytest.approx(53.39, abs=0.05)  # L of the gray 0.5
    assert np.isfinite(flat).all()
