"""From face and augmentation to pixels."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from benchmarks.color_spread import training_distances
from core.color import lab_statistics
from core.geometry import compose_affine, transform_points
from core.images import to_float
from facelib.face_type import FaceType
from facelib.masks import hull_mask
from samplelib.augmentation import UNCHANGED, Augmentation, SampleSettings, draw_augmentation
from samplelib.face_cache import WorkingFace
from samplelib.order import keyed_rng
from samplelib.training_sample import make_training_sample, recolored, warp_map
from tests.painting import paint_face
from tests.portraits import portrait_pairs

SIDE = 128
SETTINGS = SampleSettings(SIDE, FaceType.WHOLE, scale_range=(-0.15, 0.15), flip=True)
PLAIN_MATRIX = np.array([[1.0, 0, 0], [0, 1.0, 0]])
NO_PUSH = np.zeros((5, 5, 2), np.float32)


def painted(seed: int = 0, side: int = SIDE, eyes: bool = False) -> tuple[WorkingFace, np.ndarray]:
    """A prepared face as large as the model's square times `side` / SIDE, and its landmarks."""
    image, landmarks = paint_face(side, seed=seed)
    image = cv2.GaussianBlur(image, (0, 0), side / SIDE)
    planes = [np.round(hull_mask(landmarks, side, side) * 255).astype(np.uint8)]
    if eyes:
        planes.append(planes[0] // 2)
    matrix = PLAIN_MATRIX * (SIDE / side)
    mask = cv2.resize(planes[0], (64, 64), interpolation=cv2.INTER_AREA)
    thumbnail = np.dstack([cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA), mask])
    return WorkingFace(image, np.stack(planes, axis=-1), matrix, thumbnail), landmarks


def augmentations(count: int, **changes: object) -> list[Augmentation]:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    return [draw_augmentation(keyed_rng(3, 5, number), settings) for number in range(count)]


def test_nothing_drawn_nothing_changed() -> None:
    face, _ = painted()
    for augmentation in (UNCHANGED, Augmentation(displacement=NO_PUSH)):
        made = make_training_sample(face, augmentation, SETTINGS)
        np.testing.assert_array_equal(made.warped, face.image)
        np.testing.assert_array_equal(made.target, face.image)
        np.testing.assert_array_equal(made.mask, face.masks[..., 0])
        assert made.eyes_mouth_mask is None


def test_a_flip_is_an_exact_mirror() -> None:
    face, _ = painted()
    made = make_training_sample(face, Augmentation(flip=True, displacement=NO_PUSH), SETTINGS)
    for picture in (made.warped, made.target):
        np.testing.assert_array_equal(picture, face.image[:, ::-1])
    np.testing.assert_array_equal(made.mask, face.masks[:, ::-1, 0])


def test_the_same_record_gives_the_same_pixels() -> None:
    face, _ = painted()
    for augmentation in augmentations(5, hsv_power=0.1):
        first = make_training_sample(face, augmentation, SETTINGS)
        again = make_training_sample(face, Augmentation.from_json(augmentation.to_json()), SETTINGS)
        np.testing.assert_array_equal(first.warped, again.warped)
        np.testing.assert_array_equal(first.target, again.target)


def test_the_input_unwarped_by_its_own_map_is_the_target() -> None:
    face, _ = painted(side=2 * SIDE)
    for augmentation in augmentations(8):
        made = make_training_sample(face, augmentation, SETTINGS)
        working_to_network = compose_affine(face.working_to_face, augmentation.face_to_network(SIDE))
        # Where each input pixel comes from, told in pixels of the target; found again by a few steps of iteration.
        source = transform_points(warp_map(face.working_to_face, augmentation, SIDE), working_to_network)
        rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
        here = np.stack([columns, rows], axis=-1)
        push = (source - here).astype(np.float32)
        back = here.copy()
        for _ in range(30):
            back = here - cv2.remap(push, back, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        unwarped = cv2.remap(made.warped, back, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        inner = slice(SIDE // 6, -SIDE // 6)
        error = np.abs(to_float(unwarped) - to_float(made.target))[inner, inner].mean()
        assert error < 0.01
        assert error < 0.5 * np.abs(to_float(made.warped) - to_float(made.target))[inner, inner].mean()


def test_the_picture_goes_where_the_landmarks_go() -> None:
    face, landmarks = painted(side=2 * SIDE)
    for augmentation in augmentations(6, warp=False):
        made = make_training_sample(face, augmentation, SETTINGS)
        working_to_network = compose_affine(face.working_to_face, augmentation.face_to_network(SIDE))
        moved = transform_points(landmarks, working_to_network)
        canvas = np.zeros((SIDE * 8, SIDE * 8), np.float32)
        mouth = np.round((moved[48:60] + 0.5) * 8).astype(np.int32)
        cv2.fillPoly(canvas, [mouth], 1.0)
        expected = cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        where = expected > 0.99
        around = (cv2.dilate(expected, np.ones((9, 9))) > 0) & (cv2.dilate(expected, np.ones((5, 5))) == 0)
        red = made.target[..., 2].astype(int) - made.target[..., 1]
        assert red[where].mean() > red[around].mean() + 20


def test_mask_edges_follow_the_picture_within_half_a_pixel() -> None:
    # A bright disc with its own mask: after any augmentation both have the same outline.
    rows, columns = np.mgrid[: 2 * SIDE, : 2 * SIDE]
    distance = np.hypot(columns - 130, rows - 120)
    disc = np.clip(70 - distance, 0, 1)
    image = np.repeat((disc * 255).astype(np.uint8)[..., None], 3, axis=2)
    face = WorkingFace(image, image[..., :1].copy(), PLAIN_MATRIX / 2, None)
    for augmentation in augmentations(6, warp=False):
        made = make_training_sample(face, augmentation, SETTINGS)
        drawn, masked = made.target[..., 0] >= 128, made.mask >= 128
        assert abs(np.sqrt(drawn.sum() / np.pi) - np.sqrt(masked.sum() / np.pi)) < 0.1
        for outline in (drawn, masked):
            middle = np.array([np.nonzero(outline)[1].mean(), np.nonzero(outline)[0].mean()])
            to_network = compose_affine(face.working_to_face, augmentation.face_to_network(SIDE))
            np.testing.assert_allclose(middle, transform_points(np.array([130.0, 120.0]), to_network), atol=0.5)


def test_input_and_target_share_turn_scale_shift_and_flip() -> None:
    face, _ = painted(side=2 * SIDE)
    for augmentation in augmentations(4):
        still = replace(augmentation, displacement=np.zeros_like(augmentation.displacement))
        made = make_training_sample(face, still, SETTINGS)
        # Remapping rounds places to 1/32 of a pixel, as the affine warp does, but not at the same places.
        assert np.abs(made.warped.astype(int) - made.target).mean() < 0.6


def test_the_legacy_warp_moves_by_half_a_pixel_and_darkens_the_rim() -> None:
    gray = np.full((SIDE, SIDE, 3), 200, np.uint8)
    ramp = np.repeat(np.arange(SIDE, dtype=np.uint8)[None, :, None], SIDE, axis=0).repeat(3, axis=2)
    mask = np.zeros((SIDE, SIDE, 1), np.uint8)
    legacy = Augmentation(displacement=NO_PUSH, legacy_warp=True)
    made = make_training_sample(WorkingFace(gray, mask, PLAIN_MATRIX, None), legacy, SETTINGS)
    # Cubic weights half a pixel off: -3/32, 19/32, 19/32, -3/32; two of four lie outside, in the black.
    np.testing.assert_allclose(made.warped[20, -1], 200 * 0.5, atol=1)
    np.testing.assert_allclose(made.warped[-1, -1], 200 * 0.25, atol=1)
    np.testing.assert_allclose(made.warped[20, -2], 200 * (1 + 3 / 32), atol=1)
    np.testing.assert_array_equal(made.warped[10:100, 10:100], 200)
    np.testing.assert_array_equal(made.target, gray)
    shifted = make_training_sample(WorkingFace(ramp, mask, PLAIN_MATRIX, None), legacy, SETTINGS)
    difference = shifted.warped[10:100, 10:100].astype(float) - ramp[10:100, 10:100]
    assert difference.min() >= 0.0
    assert 0.4 <= difference.mean() <= 1.0  # half a step, rounded to whole gray levels


def test_the_clean_warp_has_no_dark_rim() -> None:
    gray = np.full((SIDE, SIDE, 3), 200, np.uint8)
    face = WorkingFace(gray, np.zeros((SIDE, SIDE, 1), np.uint8), PLAIN_MATRIX, None)
    for augmentation in augmentations(6):
        np.testing.assert_array_equal(make_training_sample(face, augmentation, SETTINGS).warped, 200)


def test_the_mask_of_eyes_and_mouth_is_stretched_to_white() -> None:
    face, _ = painted(eyes=True)
    assert face.masks[..., 1].max() == 127
    made = make_training_sample(face, UNCHANGED, replace(SETTINGS, eyes_mouth=True))
    assert made.eyes_mouth_mask is not None
    assert made.eyes_mouth_mask.max() == 255
    empty = WorkingFace(face.image, np.zeros_like(face.masks), face.working_to_face, None)
    made = make_training_sample(empty, UNCHANGED, replace(SETTINGS, eyes_mouth=True))
    assert made.eyes_mouth_mask is not None
    assert not made.eyes_mouth_mask.any()


def test_hsv_shifts_the_input_only() -> None:
    face, _ = painted()
    made = make_training_sample(face, Augmentation(hsv_shift=(120.0, 0.0, 0.0)), SETTINGS)
    np.testing.assert_array_equal(made.target, face.image)
    # A third of the color circle passes each channel on to the next: red becomes green.
    rolled = np.roll(face.image, -1, axis=2)
    assert np.abs(made.warped.astype(int) - rolled).max() <= 1


@pytest.mark.parametrize("mode", ["rct", "lct", "mkl", "idt", "sot"])
def test_input_and_target_get_the_same_colors(mode: str) -> None:
    face, _ = painted(seed=1, side=2 * SIDE)
    donor, _ = painted(seed=2)
    settings = replace(SETTINGS, color_transfer=mode)
    augmentation = Augmentation(displacement=NO_PUSH, donor=7, color_seed=11)
    made = make_training_sample(face, augmentation, settings, donor)
    assert np.abs(made.warped.astype(int) - made.target).max() <= 2
    assert np.abs(made.target.astype(int) - make_training_sample(face, UNCHANGED, settings).target).mean() > 2
    again = make_training_sample(face, augmentation, settings, donor)
    np.testing.assert_array_equal(made.target, again.target)


def test_colors_are_measured_on_the_face_and_not_around_it() -> None:
    face, _ = painted(seed=3)
    donor, _ = painted(seed=4)
    loud = WorkingFace(donor.image, donor.masks, donor.working_to_face, donor.thumbnail.copy())  # type: ignore[union-attr]
    loud.thumbnail[loud.thumbnail[..., 3] == 0, :3] = (255, 0, 255)  # type: ignore[index]
    settings = replace(SETTINGS, color_transfer="rct")
    plain_result = recolored(face, donor, UNCHANGED, settings)
    loud_result = recolored(face, loud, UNCHANGED, settings)
    np.testing.assert_array_equal(plain_result, loud_result)
    inside = to_float(face.masks[..., 0])
    reached = lab_statistics(to_float(plain_result), inside).mean
    wanted = lab_statistics(to_float(donor.image), to_float(donor.masks[..., 0])).mean
    np.testing.assert_allclose(reached, wanted, atol=2.0)  # measured on thumbnails, clipped to the colors of a screen


def test_a_field_lands_on_the_face_it_was_made_for() -> None:
    # The donor is brighter on the right half: with sot the face gets brighter where its own colors call for it,
    # wherever the face lies in its working picture.
    face, _ = painted(seed=5)
    donor, _ = painted(seed=6)
    wide = cv2.copyMakeBorder(face.image, 40, 24, 30, 34, cv2.BORDER_REPLICATE)
    masks = cv2.copyMakeBorder(face.masks, 40, 24, 30, 34, cv2.BORDER_CONSTANT)[..., None]
    moved = WorkingFace(wide, masks, np.array([[1.0, 0, -30], [0, 1.0, -40]]), face.thumbnail)
    settings = replace(SETTINGS, color_transfer="sot")
    here = recolored(face, donor, UNCHANGED, settings)
    there = recolored(moved, donor, UNCHANGED, settings)[40 : 40 + SIDE, 30 : 30 + SIDE]
    assert np.abs(here.astype(int) - there).max() <= 1


def test_a_color_transfer_without_thumbnails_is_our_own_mistake() -> None:
    face, _ = painted()
    bare = WorkingFace(face.image, face.masks, face.working_to_face, None)
    with pytest.raises(ValueError, match="thumbnails"):
        make_training_sample(bare, UNCHANGED, replace(SETTINGS, color_transfer="rct"), bare)


@pytest.mark.parametrize("mode", ["idt", "sot"])
def test_random_color_transfers_are_nearer_to_the_classical_ones_than_those_to_themselves(mode: str) -> None:
    """The classical forms draw random directions: two runs differ. Ours lies among them, whatever its own seed."""
    for own_seed, (face, donor) in enumerate(portrait_pairs()):
        distances = training_distances(mode, face, donor, (1, 2, 3), own_seed)
        assert 0.1 < distances.spread < 5
        assert distances.ours < distances.spread, (mode, distances)
