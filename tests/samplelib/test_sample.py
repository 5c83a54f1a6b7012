"""One face: its picture at any size, its masks, its place in a file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import BrokenFile, NotAFace
from core.images import encode_jpeg, encode_png
from facelib.face_type import FaceType
from facelib.metadata import write_face
from samplelib.sample import LARGEST_SIDE, FacePlace, open_sample, resize_matrix
from tests.painting import paint_face, painted_metadata, soft_disc, write_painted_faceset


def test_a_sample_reads_a_face_inside_a_larger_file(tmp_path: Path) -> None:
    path = write_painted_faceset(tmp_path, 1, 64)[0]
    sample = open_sample(path)
    packed = tmp_path / "pack.bin"
    jpeg = path.read_bytes()
    packed.write_bytes(b"x" * 100 + jpeg + b"y" * 50)
    inside = open_sample(FacePlace(packed, 100, len(jpeg), "person/1.jpg"))
    np.testing.assert_array_equal(inside.image(), sample.image())
    assert inside.metadata == sample.metadata
    assert inside.path == packed / "person" / "1.jpg"
    assert inside.place.name == "1.jpg"
    for offset, length in ((99, len(jpeg)), (100, len(jpeg) - 2), (100, 50), (200, len(jpeg) - 50)):
        with pytest.raises(BrokenFile, match=r"pack\.bin.1\.jpg: "):
            open_sample(FacePlace(packed, offset, length, "1.jpg"))


def test_an_applied_mask_goes_before_the_hull(tmp_path: Path) -> None:
    plain, masked = (
        open_sample(write_painted_faceset(tmp_path / str(flag), 1, 64, with_masks=flag)[0]) for flag in (False, True)
    )
    np.testing.assert_allclose(masked.mask(), soft_disc(64) / 255, atol=1e-6)
    hull = plain.mask()
    nose = np.round(plain.metadata.landmarks[30]).astype(int)
    assert hull[nose[1], nose[0]] == 1.0
    assert hull[0, 0] == 0.0
    assert masked.mask(32).shape == plain.mask(32).shape == (32, 32)


def test_a_resized_picture_shows_its_landmarks_where_they_are_said_to_be(tmp_path: Path) -> None:
    sample = open_sample(write_painted_faceset(tmp_path, 1, 256)[0])
    for side in (64, 100, 128, 200, 300):
        landmarks = sample.landmarks_at(side)
        eye = landmarks[42:48]
        left, top = np.floor(eye.min(axis=0)).astype(int) - 2
        right, bottom = np.ceil(eye.max(axis=0)).astype(int) + 3
        near = sample.image(side)[top:bottom, left:right].astype(np.float64).sum(axis=2)
        # The eye is painted white on darker skin: its center of light is the center of its outline.
        light = near - np.median(near)
        light[light < 0.3 * light.max()] = 0
        rows, columns = np.mgrid[top:bottom, left:right]
        outline = np.zeros((side * 8, side * 8), np.uint8)
        cv2.fillPoly(outline, [np.round((eye + 0.5) * 8).astype(np.int32)], 1)
        fine_rows, fine_columns = np.nonzero(outline)
        expected = np.array([fine_columns.mean(), fine_rows.mean()]) / 8 - 0.5
        found = np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()
        np.testing.assert_allclose(found, expected, atol=max(0.3, side * 0.003))


def test_resizing_keeps_the_outer_edges() -> None:
    matrix = resize_matrix(512, 128)
    np.testing.assert_allclose(matrix @ [-0.5, -0.5, 1], [-0.5, -0.5])
    np.testing.assert_allclose(matrix @ [511.5, 511.5, 1], [127.5, 127.5])


def test_grayscale_faces_are_welcome(tmp_path: Path) -> None:
    image, _ = paint_face(64)
    path = tmp_path / "gray.jpg"
    write_face(
        path, encode_jpeg(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)), painted_metadata(64, FaceType.WHOLE, "a.png")
    )
    picture = open_sample(path).image()
    assert picture.shape == (64, 64, 3)
    np.testing.assert_array_equal(picture[..., 0], picture[..., 2])


def test_a_face_that_turns_out_to_be_something_else(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(BrokenFile):
        open_sample(path)
    drawing = path.rename(tmp_path / "picture.png")
    with pytest.raises(NotAFace):
        open_sample(drawing)
    plain = tmp_path / "plain.jpg"
    plain.write_bytes(encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(NotAFace):
        open_sample(plain)


def test_a_head_that_tells_of_a_giant_is_refused_before_a_pixel_is_decoded(tmp_path: Path) -> None:
    path = write_painted_faceset(tmp_path, 1, 64)[0]
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (LARGEST_SIDE + 8).to_bytes(2, "big") * 2
    path.write_bytes(data)
    with pytest.raises(BrokenFile, match="at most 8192 pixels a side, and this has 8200"):
        open_sample(path)


def test_a_picture_that_is_not_what_its_head_says_is_refused(tmp_path: Path) -> None:
    sample = open_sample(write_painted_faceset(tmp_path, 1, 64)[0])
    other = encode_jpeg(np.zeros((48, 48, 3), np.uint8))
    sample.path.write_bytes(other)
    for side in (64, 32, 20):
        with pytest.raises(BrokenFile, match="48 x 48 pixels instead of 64"):
            sample.image(side)
    sample.path.unlink()
    with pytest.raises(BrokenFile, match="cannot be read"):
        sample.image()


def test_the_pose_is_the_one_painted(tmp_path: Path) -> None:
    sample = open_sample(write_painted_faceset(tmp_path, 1, 64, yaws=[0.3])[0])
    assert abs(sample.pose().yaw - 0.3) < 0.05
