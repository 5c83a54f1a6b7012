"""What a face does otherwise because of the frames around it: colors without flicker, a mask with a calm edge.

The principle is the same for all: smooth the change that merging makes to the old face, never the face. The old face
has the same light, expression and motion, so what it does is not flicker.

colors  The color transfer and the histograms become the mean of those of the frames around: a face is colored as the
        mean of its neighbors would color it. Then its lightness, color and contrast are leveled: they go where the
        frames around put them, plus what the old face and the frame around it did both at once, which is the light of
        the shot. So a model that flickers is calmed, a flash is followed, and neither a hand over the face nor a car
        behind it changes the new face's colors.
cloned  In seamless modes a pixel at the mask's edge colors the whole face. The difference between cloned and old face,
        in coarse squares, is smoothed inside; what differs much (somebody's hand) is left alone, and so is the edge.
mask    Smoothed over 3 frames before and after, but no edge moves by more than 2 model pixels.

Weights are those of merger/temporal.py: nothing lags, nothing crosses a cut, and 8 frames on each side are enough to
know all of a frame. Source: spec merging 10.2; it has lattices instead of the fields of sot and mix, and offsets of
gradients instead of the cloned face: these are what is seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.color import LabStatistics, ReinhardTransform, fit_reinhard
from merger.adjustments import AS_MEASURED, FaceAdjustment
from merger.frames import FrameFaces
from merger.measures import ColorMeasures, FaceMeasures, color_figures, recolored
from merger.settings import MergeSettings
from merger.temporal import REACH, Track, neighbors, time_weights

MASK_REACH = 3
"""Frames before and after that shape a mask."""

FARTHEST_EDGE = 2
"""Model pixels by which the edge of a mask moves at most."""

_FRAMES_PER_STRENGTH = 1 / 20
_LARGEST_LEVEL = np.array([8.0, 8.0, 8.0, 0.25, 0.25, 0.25])
"""Leveling changes mean Lab and logarithms of deviations by no more."""

_CLONING_NOISE = 0.06
"""Differences between cloned faces of neighboring frames that are larger than about this are no flicker."""


class Neighborhood:
    """The measures of the frames at hand, and what they make of each face. Nothing here depends on the order in which
    frames are measured.

    Args:
        frames: of the whole shot, with the landmarks they are merged with.
        tracks: of them (temporal.link_faces).
    """

    def __init__(self, frames: Sequence[FrameFaces], tracks: Sequence[Track]) -> None:
        self._frames = frames
        self._around = neighbors(tracks)
        self._measures: dict[int, dict[int, list[FaceMeasures]]] = {}

    def add(self, frame: int, measures: Sequence[FaceMeasures]) -> None:
        """Takes the measures of a frame; faces outside it have none."""
        # Both in one order: two faces with the same landmarks (a copied file) are two.
        faces = iter(enumerate(self._frames[frame].faces))
        known = self._measures[frame] = {}
        place = -1
        for one in measures:
            if one.rendering == 0:
                place = next(p for p, f in faces if np.array_equal(f.landmarks[0], one.point))
            known.setdefault(place, []).append(one)

    def knows(self, frame: int) -> bool:
        """Whether the measures of a frame are at hand."""
        return frame in self._measures

    def forget_before(self, frame: int) -> None:
        """Lets go of frames that nobody will ask for."""
        for number in [number for number in self._measures if number < frame]:
            del self._measures[number]

    def adjustment(self, frame: int, settings: MergeSettings) -> list[FaceAdjustment] | None:
        """What becomes of the measured faces of a frame, for `composite_faces`: all in its first rendering, then all in
        the next; None: it was not measured.

        Args:
            settings: of the faces of this frame that have none of their own.
        """
        if frame not in self._measures:
            return None
        here = self._frames[frame]
        return [
            self._of_face(frame, place, rendering, here.faces[place].settings_in(settings, rendering))
            for rendering in range(len(here.shares))
            for place in self._measures[frame]
        ]

    def _of_face(self, frame: int, place: int, rendering: int, settings: MergeSettings) -> FaceAdjustment:
        own = self._measures[frame][place][rendering]
        alike = [(0, own)]
        for other, face in self._around.get((frame, place), ()):
            several = self._measures.get(other, {}).get(face, ()) if other != frame else ()
            alike += [(other - frame, one) for one in several if one.kind == own.kind][:1]
        return adjust(sorted(alike, key=lambda one: one[0]), settings)


def adjust(around: Sequence[tuple[int, FaceMeasures]], settings: MergeSettings) -> FaceAdjustment:
    """What one face does otherwise.

    Args:
        around: (frames from here, measures) of the same face, the frame itself (0) among them.
        settings: of the frame itself.
    """
    own = next((measures for apart, measures in around if apart == 0), None)
    if own is None:
        return AS_MEASURED
    alike = [(apart, measures) for apart, measures in around if measures.kind == own.kind]
    if len(alike) < 2 or not settings.looks_around:
        return AS_MEASURED
    adjustment = AS_MEASURED
    if settings.mask_strength and own.mask is not None:
        masks = [(apart, m.mask) for apart, m in alike]
        adjustment = dataclasses.replace(adjustment, mask=_calm_mask(own.mask, masks, settings.mask_strength))
    if settings.color_strength and own.colors is not None:
        colors = [(apart, m.colors) for apart, m in alike if m.colors is not None]
        adjustment = _steady_colors(own.colors, colors, settings.color_strength, adjustment)
    if settings.seamless_strength and own.cloned is not None:
        fields = [(apart, m.cloned) for apart, m in alike]
        adjustment = dataclasses.replace(adjustment, cloned=_calm_clone(own.cloned, fields, settings.seamless_strength))
    return adjustment


def _smoothed(parts: Sequence[tuple[int, Any]], strength: int, degree: int = 1, reach: int = REACH) -> Any:
    """The weighted mean of (frames from here, what was measured there), of what was measured at all."""
    known = [(apart, part) for apart, part in parts if part is not None and abs(apart) <= reach]
    apart = np.array([apart for apart, _ in known])
    weights = time_weights(apart, 0.0, strength * _FRAMES_PER_STRENGTH, degree, reach)
    return weighted_mean([part for _, part in known], weights)


def weighted_mean(parts: Sequence[Any], weights: NDArray) -> Any:
    """The mean of numbers, arrays, or records of them; of color transforms, the one whose colors are the mean of what
    these give.
    """
    first = parts[0]
    if dataclasses.is_dataclass(first):
        names = [field.name for field in dataclasses.fields(first)]
        values = {name: weighted_mean([getattr(part, name) for part in parts], weights) for name in names}
        return type(first)(**values)  # type: ignore[misc]
    if isinstance(first, np.ndarray):
        kind = np.float64 if first.dtype == np.float64 else np.float32
        mean = np.zeros(first.shape, kind)
        for part, weight in zip(parts, weights, strict=True):
            np.add(mean, part * kind(weight), out=mean)
        return mean
    return float(np.dot(parts, weights))


def _calm_mask(own: NDArray, masks: Sequence[tuple[int, NDArray | None]], strength: int) -> NDArray[np.float32]:
    mean = _smoothed(masks, strength, 0, MASK_REACH)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * FARTHEST_EDGE + 1,) * 2)
    least, most = cv2.erode(own, disc), cv2.dilate(own, disc)
    return np.asarray(np.clip(mean, least, most) / np.float32(255), np.float32)


def _steady_colors(
    own: ColorMeasures, around: Sequence[tuple[int, ColorMeasures]], strength: int, adjustment: FaceAdjustment
) -> FaceAdjustment:
    def smoothed(name: str) -> Any:
        return _smoothed([(apart, getattr(colors, name)) for apart, colors in around], strength)

    transform = None if own.transform is None else smoothed("transform")
    curves = None if own.curves is None else smoothed("curves")
    flash = own.old - smoothed("old")
    if own.ring is not None:
        flash = _same_change(flash, own.ring - smoothed("ring"))
    wanted = own.new + np.clip(smoothed("new") + flash - own.new, -_LARGEST_LEVEL, _LARGEST_LEVEL)
    has = color_figures(recolored(own.shown, transform, curves), own.weights)
    level = fit_reinhard(_statistics(has), _statistics(wanted))
    if isinstance(transform, ReinhardTransform) and curves is None:  # two of a kind are one
        transform = ReinhardTransform(level.gain * transform.gain, level.gain * transform.offset + level.offset)
        return dataclasses.replace(adjustment, colors=transform)
    return dataclasses.replace(adjustment, colors=transform, curves=curves, level=level)


def _same_change(one: NDArray, other: NDArray) -> NDArray[np.float64]:
    """What two changes have in common: the smaller one where both go the same way, else nothing."""
    return np.where(one * other > 0, np.sign(one) * np.minimum(np.abs(one), np.abs(other)), 0.0)


def _statistics(figures: NDArray) -> LabStatistics:
    return LabStatistics(figures[:3], np.exp(figures[3:]))


def _calm_clone(own: NDArray, fields: Sequence[tuple[int, NDArray | None]], strength: int) -> NDArray[np.float32]:
    change = _smoothed(fields, strength) - own.astype(np.float32)
    size = np.linalg.norm(change, axis=2, keepdims=True)
    return np.asarray(change * np.exp(-0.5 * (size / _CLONING_NOISE) ** 2), np.float32)
