"""Faces prepared once and kept in slots."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.errors import BrokenFile
from core.geometry import transform_points
from core.shared_arrays import SharedArrays, layout_bytes
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from samplelib.face_cache import (
    FaceCache,
    FaceNeeds,
    WorkingFace,
    cache_layout,
    default_cache_bytes,
    prepare_face,
    shareable_bytes,
    slots_within,
    stored_to_face,
    working_side,
)
from samplelib.faceset import Faceset, open_faceset
from tests.painting import write_painted_faceset

NEEDS = FaceNeeds(64, FaceType.FULL, eyes_mouth=True, thumbnail=True)


@pytest.fixture
def faceset(tmp_path: Path) -> Faceset:
    write_painted_faceset(tmp_path, 5, 160)
    return open_faceset(tmp_path)


def cache_of(faceset: Faceset, needs: FaceNeeds, slots: int) -> FaceCache:
    arrays = SharedArrays.private(cache_layout(faceset.samples, needs, slots))
    return FaceCache([sample.place for sample in faceset], needs, arrays)


def assert_same(first: WorkingFace, second: WorkingFace) -> None:
    for name in ("image", "masks", "working_to_face", "thumbnail"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_each_face_is_decoded_once(faceset: Faceset) -> None:
    cache = cache_of(faceset, NEEDS, 5)
    for _ in range(3):
        for index in range(5):
            cache.face(index)
    assert cache.prepared == 5


def test_faces_without_a_slot_are_decoded_each_time_and_look_the_same(faceset: Faceset) -> None:
    warm, cold = cache_of(faceset, NEEDS, 5), cache_of(faceset, NEEDS, 2)
    for index in [*range(5)] * 2:
        assert_same(warm.face(index), cold.face(index))
    assert cold.prepared == 2 + 2 * 3


def test_two_caches_on_the_same_slots_share_their_work(faceset: Faceset) -> None:
    layout = cache_layout(faceset.samples, NEEDS, 5)
    arrays = SharedArrays.create(layout)
    places = [sample.place for sample in faceset]
    first = FaceCache(places, NEEDS, arrays)
    second = FaceCache(places, NEEDS, SharedArrays.attach(arrays.handle))
    assert_same(first.face(3), second.face(3))
    assert (first.prepared, second.prepared) == (1, 0)
    arrays.close()


def test_a_broken_face_is_tried_once_and_keeps_its_reason(faceset: Faceset) -> None:
    cache = cache_of(faceset, NEEDS, 5)
    path = faceset.samples[1].path
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BrokenFile, match="cut off"):
        cache.face(1)
    path.write_bytes(whole)
    with pytest.raises(BrokenFile, match="cut off"):
        cache.face(1)
    cache.face(2)


def test_a_large_face_is_reduced_to_what_the_model_can_see(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path, 1, 512)
    sample = open_faceset(tmp_path).samples[0]
    # Whole face 2.1313709, full face 1.5966214 unit sides: 1.25 * 96 * 1.33493 = 160.19.
    assert working_side(sample, FaceNeeds(96, FaceType.FULL)) == 161
    assert working_side(sample, FaceNeeds(96, FaceType.WHOLE)) == 120
    assert working_side(sample, FaceNeeds(341, FaceType.WHOLE)) == 427
    assert working_side(sample, FaceNeeds(342, FaceType.WHOLE)) == 512  # less than 1.5 times too large
    face = prepare_face(sample, FaceNeeds(96, FaceType.FULL))
    assert face.image.shape == (161, 161, 3)
    assert face.masks.shape == (161, 161, 1)
    assert face.thumbnail is None


def test_a_face_of_the_models_type_is_taken_corner_to_corner(faceset: Faceset) -> None:
    matrix = stored_to_face(faceset.samples[0], FaceNeeds(40, FaceType.WHOLE))
    np.testing.assert_allclose(transform_points(np.array([[0.0, 0], [160, 160]]), matrix), [[0, 0], [40, 40]])


def test_another_type_is_cut_as_the_frame_would_be(faceset: Faceset) -> None:
    sample = faceset.samples[0]
    matrix = stored_to_face(sample, FaceNeeds(64, FaceType.FULL))
    frame_points = sample.metadata.frame_landmarks.astype(np.float64)
    from_frame = transform_points(frame_points, frame_to_face(frame_points, FaceType.FULL, 64))
    in_two_steps = transform_points(sample.metadata.landmarks.astype(np.float64), matrix)
    np.testing.assert_allclose(in_two_steps, from_frame, atol=1e-3)


def test_the_matrix_leads_from_working_pixels_to_the_models_square(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path, 1, 512)
    sample = open_faceset(tmp_path).samples[0]
    needs = FaceNeeds(96, FaceType.FULL)
    face = prepare_face(sample, needs)
    through_working = transform_points(sample.landmarks_at(face.image.shape[0]), face.working_to_face)
    direct = transform_points(sample.metadata.landmarks, stored_to_face(sample, needs))
    np.testing.assert_allclose(through_working, direct, atol=1e-3)


def test_the_thumbnail_shows_the_models_square_and_its_mask(faceset: Faceset) -> None:
    face = prepare_face(faceset.samples[2], NEEDS)
    assert face.thumbnail is not None
    assert face.thumbnail.shape == (128, 128, 4)
    landmarks = transform_points(faceset.samples[2].metadata.landmarks, stored_to_face(faceset.samples[2], NEEDS))
    column, row = np.round(2 * landmarks[30]).astype(int)  # resolution 64: two of its pixels to one of the model's
    assert face.thumbnail[row, column, 3] == 255
    assert face.thumbnail[1, 1, 3] == 0


def test_the_eyes_mask_is_bright_on_eyes_and_mouth_only(faceset: Faceset) -> None:
    sample = faceset.samples[2]
    face = prepare_face(sample, NEEDS)
    landmarks = sample.landmarks_at(face.image.shape[0])
    for part in (range(36, 42), range(42, 48), range(60, 68)):
        column, row = np.round(landmarks[list(part)].mean(axis=0)).astype(int)
        assert face.masks[row, column, 1] > 100
    for point in (8, 27, 33):
        column, row = np.round(landmarks[point]).astype(int)
        assert face.masks[row, column, 1] == 0


def test_the_memory_bound_is_shared_out_evenly(faceset: Faceset) -> None:
    small, large = FaceNeeds(32, FaceType.FULL), FaceNeeds(64, FaceType.FULL)
    pools = [(faceset.samples, small), (faceset.samples, large)]
    whole = sum(layout_bytes(cache_layout(samples, needs, 5)) for samples, needs in pools)
    assert slots_within(whole, pools) == [5, 5]
    assert slots_within(10 * whole, pools) == [5, 5]
    assert slots_within(0, pools) == [0, 0]
    slots = slots_within(whole // 2, pools)
    assert slots == [2, 2]
    taken = sum(layout_bytes(cache_layout(s, n, count)) for (s, n), count in zip(pools, slots, strict=True))
    assert taken <= whole // 2


def test_the_default_bound_is_a_quarter_of_the_memory_and_half_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for total, free, bound in ((4000, 3000, 1000), (4000, 600, 300)):
        memory = SimpleNamespace(total=total, available=free)
        monkeypatch.setattr("samplelib.face_cache.psutil.virtual_memory", lambda memory=memory: memory)
        assert default_cache_bytes() == bound


def test_the_bound_gives_way_to_a_small_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samplelib.face_cache.shared_memory_room", lambda: 1000)
    assert shareable_bytes(5000, 300) == 600
    assert shareable_bytes(200, 300) == 200
    assert shareable_bytes(5000, 2000) == 0
    monkeypatch.setattr("samplelib.face_cache.shared_memory_room", lambda: None)
    assert shareable_bytes(5000, 2000) == 5000
