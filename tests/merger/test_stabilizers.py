"""What the frames around change of a face: known noise is halved, a cut and a hand are respected."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from core.color import ColorTransform, FieldTransform, LatticeTransform, MatrixTransform, ReinhardTransform
from core.color_mix import MixTransform
from merger.adjustments import AS_MEASURED
from merger.measures import ColorMeasures, FaceMeasures, color_figures
from merger.settings import MergeSettings
from merger.stabilizers import FARTHEST_EDGE, Neighborhood, adjust, weighted_mean
from merger.temporal import link_faces
from tests.merger.scenes import disc
from tests.merger.shots import film

SETTINGS = MergeSettings.of(mode="overlay")
POINT = np.zeros(2, np.float32)


def masks(values: list[NDArray], settings: MergeSettings = SETTINGS) -> list[NDArray]:
    """The calmed masks of a sequence, uint8."""
    measures = [(n, FaceMeasures(POINT, "overlay", mask=value)) for n, value in enumerate(values)]
    adjusted = [adjust([(n - now, m) for n, m in measures], settings).mask for now in range(len(values))]
    return [np.rint(255 * mask).astype(np.uint8) for mask in adjusted if mask is not None]


def pulsing(frames: int) -> list[NDArray]:
    chance = np.random.default_rng(7)
    radii = 0.35 + 0.01 * chance.standard_normal(frames)
    return [np.rint(255 * disc(64, radius)).astype(np.uint8) for radius in radii]


def test_a_pulsing_mask_is_calmed_by_half() -> None:
    before = pulsing(40)
    after = masks(before, MergeSettings.of(stabilize_mask=40))
    areas = [np.array([one.sum() / 255 for one in sequence]) for sequence in (before, after)]
    assert np.diff(areas[1], 2).std() < 0.5 * np.diff(areas[0], 2).std()
    assert areas[1].mean() == pytest.approx(areas[0].mean(), rel=0.01)


@pytest.mark.parametrize("strength", [20, 100])
def test_the_edge_of_a_hand_moves_by_two_pixels_at_most(strength: int) -> None:
    """A hand crosses the face at 6 model pixels a frame."""
    sequence = []
    for number in range(12):
        mask = np.full((64, 64), 255, np.uint8)
        mask[:, 6 * number : 6 * number + 12] = 0
        sequence.append(mask)
    disc_element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * FARTHEST_EDGE + 1,) * 2)
    for before, after in zip(sequence, masks(sequence, MergeSettings.of(stabilize_mask=strength)), strict=True):
        for level in (64, 128, 192):
            seen, was = (after >= level).astype(np.uint8), (before >= level).astype(np.uint8)
            assert (seen <= cv2.dilate(was, disc_element)).all()
            assert (seen >= cv2.erode(was, disc_element)).all()


def colored(shift: float, old: float = 0.0, ring: float | None = 0.0, kind: str = "overlay") -> FaceMeasures:
    """A face whose lightness is off by `shift`, whose old face and ring are lighter by `old` and `ring`."""
    chance = np.random.default_rng(8)
    base = chance.random((16, 16, 3)).astype(np.float32) * 0.4 + 0.3
    weights = np.ones((16, 16), np.float16)
    shown = (base + 0.01 * shift).astype(np.float16)

    def figures(lighter: float) -> NDArray:
        return color_figures(base, weights) + np.array([lighter, 0, 0, 0, 0, 0])

    new = color_figures(shown.astype(np.float32), weights)
    around = None if ring is None else figures(ring)
    return FaceMeasures(POINT, kind, colors=ColorMeasures(shown, weights, None, None, new, figures(old), around))


def leveled(measures: list[FaceMeasures], settings: MergeSettings = SETTINGS) -> NDArray[np.float64]:
    """Lightness of each frame's new face, after its adjustment."""
    found = []
    for now, own in enumerate(measures):
        assert own.colors is not None
        change = adjust([(n - now, m) for n, m in enumerate(measures)], settings)
        shown = own.colors.shown.astype(np.float32)
        shown = shown if change.level is None else change.level.apply(shown)
        found.append(color_figures(shown, own.colors.weights)[0])
    return np.array(found)


def raw(measures: list[FaceMeasures]) -> NDArray[np.float64]:
    return np.array([m.colors.new[0] for m in measures if m.colors is not None])


def test_a_model_that_flickers_is_calmed() -> None:
    chance = np.random.default_rng(9)
    measures = [colored(shift) for shift in chance.standard_normal(30)]
    assert np.diff(leveled(measures), 2).std() < 0.1 * np.diff(raw(measures), 2).std()


def test_slow_changes_are_followed_without_lag() -> None:
    measures = [colored(0.4 * n, 0.4 * n, 0.4 * n) for n in range(20)]
    assert leveled(measures) == pytest.approx(raw(measures), abs=0.1)


def test_a_flash_is_followed() -> None:
    """In one frame all is lighter by 6: the old face, the frame around it, and the new face as the model shows it."""
    measures = [colored(0.0) for _ in range(20)]
    lighter = color_figures(np.asarray(measures[0].colors.shown + 0.06, np.float32), np.ones((16, 16)))[0]  # type: ignore[union-attr]
    by = lighter - raw(measures)[0]
    measures[10] = colored(6.0, by, by)
    found = leveled(measures)
    assert found[10] == pytest.approx(lighter, abs=0.1)
    assert found[9] == pytest.approx(raw(measures)[9], abs=0.1 * by + 0.6)


@pytest.mark.parametrize(("old", "ring"), [(-9.0, 0.0), (0.0, 9.0), (-9.0, 5.0)])
def test_a_hand_over_the_face_and_a_car_behind_it_change_nothing(old: float, ring: float) -> None:
    measures = [colored(0.0) for _ in range(20)]
    measures[10] = colored(0.0, old, ring)
    assert leveled(measures) == pytest.approx(raw(measures), abs=0.05)


def test_without_a_ring_the_old_face_alone_tells_of_the_light() -> None:
    measures = [colored(0.0, ring=None) for _ in range(20)]
    measures[10] = colored(4.0, 4.0, None)
    assert leveled(measures)[10] > raw(measures)[0] + 2


def test_leveling_is_bounded() -> None:
    measures = [colored(0.0) for _ in range(20)]
    measures[10] = colored(30.0)
    assert abs(leveled(measures)[10] - raw(measures)[10]) <= 8.1


def test_other_settings_are_another_face() -> None:
    measures = [colored(0.0) for _ in range(10)] + [colored(5.0, kind="hist-match")] * 10
    assert leveled(measures) == pytest.approx(raw(measures), abs=0.05)


def test_nothing_to_smooth_nothing_changed() -> None:
    own = colored(1.0)
    assert adjust([(0, own)], SETTINGS) is AS_MEASURED
    assert adjust([(0, own), (1, own)], MergeSettings.of(stabilize_colors=0, stabilize_mask=0)) is AS_MEASURED
    assert adjust([(-1, own), (1, own)], SETTINGS) is AS_MEASURED
    assert adjust([(0, FaceMeasures(POINT, "x")), (1, FaceMeasures(POINT, "x"))], SETTINGS) == AS_MEASURED


def test_the_mean_transform_gives_the_mean_of_the_colors() -> None:
    """For all that are linear in their parameters and do not clip."""
    chance = np.random.default_rng(10)
    picture = (0.4 + 0.2 * chance.random((8, 8, 3))).astype(np.float32)
    lattice = np.stack(np.meshgrid(*[np.linspace(0, 1, 5)] * 3, indexing="ij"), axis=-1).astype(np.float32)
    makers: list[Callable[[], ColorTransform]] = [
        lambda: MatrixTransform(np.eye(3, 4) + 0.05 * chance.standard_normal((3, 4))),
        lambda: LatticeTransform(lattice + np.float32(0.03) * chance.standard_normal(lattice.shape).astype(np.float32)),
        lambda: FieldTransform((0.05 * chance.standard_normal((4, 4, 3))).astype(np.float32)),
    ]
    weights = np.array([0.2, 0.5, 0.3])
    for maker in makers:
        parts = [maker() for _ in range(3)]
        mean = weighted_mean(parts, weights)
        assert type(mean) is type(parts[0])
        expected = np.tensordot(weights, np.stack([part.apply(picture) for part in parts]), 1)
        assert mean.apply(picture) == pytest.approx(expected, abs=1e-5)
    rct = [ReinhardTransform(np.full(3, gain), np.zeros(3)) for gain in (1.0, 1.2)]
    assert weighted_mean(rct, np.array([0.5, 0.5])).gain == pytest.approx(np.full(3, 1.1))
    mixes = [MixTransform(gain, 2.0, FieldTransform(np.full((2, 2, 3), gain, np.float32))) for gain in (1.0, 2.0)]
    mix = weighted_mean(mixes, np.array([0.25, 0.75]))
    assert (mix.gain, mix.offset, mix.chroma.field.max()) == pytest.approx((1.75, 2.0, 1.75))


def test_an_even_level_joins_the_transfer_of_the_same_kind() -> None:
    rct = ReinhardTransform(np.full(3, 1.1), np.array([2.0, 0, 0]))
    own = colored(0.0)
    assert own.colors is not None
    shown = rct.apply(own.colors.shown.astype(np.float32))
    new = color_figures(shown, own.colors.weights)
    own = dataclasses.replace(own, colors=dataclasses.replace(own.colors, transform=rct, new=new))
    change = adjust([(0, own), (1, own)], SETTINGS)
    assert change.level is None
    assert isinstance(change.colors, ReinhardTransform)
    assert change.colors.gain == pytest.approx(rct.gain, abs=1e-6)
    assert change.colors.offset == pytest.approx(rct.offset, abs=1e-4)


def cloned(fields: list[NDArray]) -> list[NDArray]:
    settings = MergeSettings.of(mode="seamless")
    measures = [(n, FaceMeasures(POINT, "seamless", cloned=field.astype(np.float16))) for n, field in enumerate(fields)]
    changes = [adjust([(n - now, m) for n, m in measures], settings).cloned for now in range(len(fields))]
    return [field + change for field, change in zip(fields, changes, strict=True) if change is not None]


def test_a_flickering_clone_is_calmed_and_a_hand_left_alone() -> None:
    chance = np.random.default_rng(11)
    fields = [np.full((8, 8, 3), 0.1) + 0.01 * chance.standard_normal(3) for _ in range(30)]
    for number in (14, 15):
        fields[number][2:4, 2:4] = 0.6
    after = cloned(fields)
    assert np.diff([f[6, 6, 0] for f in after], 2).std() < 0.3 * np.diff([f[6, 6, 0] for f in fields], 2).std()
    assert after[14][3, 3] == pytest.approx(fields[14][3, 3], abs=0.01)
    assert len(after) == 30


def test_a_neighborhood_knows_whose_measures_they_are() -> None:
    shot = film(20, path=lambda n: (80 + n, 60.0))
    around = Neighborhood(shot, link_faces(shot))
    chance = np.random.default_rng(12)
    for number in reversed(range(20)):  # in any order
        point = shot[number].faces[0].landmarks[0]
        around.add(number, [dataclasses.replace(colored(float(chance.standard_normal())), point=point)])
    (change,) = around.adjustment(10, SETTINGS) or []
    assert change.level is not None
    around.forget_before(10)
    (late,) = around.adjustment(18, SETTINGS) or []
    assert late.level is not None
    assert around.adjustment(9, SETTINGS) is None
    around.add(3, [])
    assert around.adjustment(3, SETTINGS) == []


def test_two_faces_with_the_same_landmarks_are_two() -> None:
    """A face file that was copied: compositing wants a change for each of them."""
    shot = [dataclasses.replace(frame, faces=frame.faces * 2) for frame in film(5)]
    around = Neighborhood(shot, link_faces(shot))
    for number, frame in enumerate(shot):
        around.add(number, [dataclasses.replace(colored(0.0), point=face.landmarks[0]) for face in frame.faces])
    assert len(around.adjustment(2, SETTINGS) or []) == 2


def test_only_frames_within_reach_matter() -> None:
    """So a frame is finished when the eighth after it has been measured."""
    shot = film(30)
    measures = [dataclasses.replace(colored(float(n % 3)), point=shot[0].faces[0].landmarks[0]) for n in range(30)]
    whole, part = (Neighborhood(shot, link_faces(shot)) for _ in range(2))
    for number in range(30):
        whole.add(number, [measures[number]])
        if abs(number - 12) <= 8:
            part.add(number, [measures[number]])
    (one,), (other,) = whole.adjustment(12, SETTINGS) or [], part.adjustment(12, SETTINGS) or []
    assert one.level is not None
    assert other.level is not None
    assert (one.level.gain == other.level.gain).all()
    assert (one.level.offset == other.level.offset).all()
