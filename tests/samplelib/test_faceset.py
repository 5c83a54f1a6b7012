"""Opening a folder of faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError, MissingInput
from core.images import encode_jpeg
from facelib.face_type import FaceType
from facelib.metadata import read_face, with_metadata, write_face
from samplelib.faceset import Faceset, check_failures, open_faceset, require_face_files, tolerated_failures
from samplelib.sample import open_sample
from tests.painting import paint_face, painted_metadata, write_painted_faceset


def test_faces_come_in_natural_order_with_their_records(odd_folder: Path) -> None:
    paths = write_painted_faceset(odd_folder, 12, 64)
    paths[1].rename(odd_folder / "9_0.jpeg")
    paths[2].rename(odd_folder / "10_0.JPG")
    faceset = open_faceset(odd_folder)
    names = [sample.path.name for sample in faceset]
    assert names[:2] == ["00001_0.jpg", "00004_0.jpg"]
    assert names.index("9_0.jpeg") < names.index("10_0.JPG") < names.index("00011_0.jpg")
    assert len(faceset) == 12
    assert not faceset.problems
    sample = faceset.samples[0]
    image, landmarks = paint_face(64, yaw=-0.5)
    assert sample.side == 64
    np.testing.assert_allclose(sample.metadata.landmarks, landmarks, atol=1e-4)
    assert np.abs(sample.image().astype(int) - image).mean() < 3  # JPEG of quality 95


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "a.png", "faceset.h5", "faceset.pak"])
def test_whether_there_can_be_faces_is_seen_at_a_glance(tmp_path: Path, name: str) -> None:
    for folder in (tmp_path / "gone", tmp_path):
        (tmp_path / "notes.txt").touch()
        with pytest.raises(MissingInput, match=r"no face to work with in .* first\."):
            require_face_files(folder)
    (tmp_path / name).touch()
    require_face_files(tmp_path)


def test_what_is_no_face_is_named_and_left_out(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path, 3, 64)
    image, _ = paint_face(64)
    (tmp_path / "plain.jpg").write_bytes(encode_jpeg(image))
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a picture")
    whole = (tmp_path / "00001_0.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    metadata = painted_metadata(64, FaceType.WHOLE, "a.png")
    write_face(tmp_path / "wide.jpg", encode_jpeg(np.zeros((64, 80, 3), np.uint8)), metadata)
    (tmp_path / "notes.txt").write_text("not looked at")
    faceset = open_faceset(tmp_path)
    assert len(faceset) == 3
    reasons = {path.name: reason for path, reason in faceset.problems}
    assert set(reasons) == {"plain.jpg", "empty.jpg", "text.jpg", "cut.jpg", "wide.jpg"}
    assert "no face record" in reasons["plain.jpg"]
    assert "0 bytes" in reasons["empty.jpg"]
    assert "cut off" in reasons["cut.jpg"]
    assert "80 x 64" in reasons["wide.jpg"]


def test_a_record_with_a_number_that_is_none_is_left_out(tmp_path: Path) -> None:
    paths = write_painted_faceset(tmp_path, 2, 64)
    jpeg, metadata = read_face(paths[0])
    text = metadata.to_json()
    first = text.index("[[") + 2
    spoiled = text[:first] + "NaN" + text[text.index(",", first) :]
    marked = with_metadata(jpeg, metadata)
    assert len(text) > len(spoiled)
    paths[0].write_bytes(marked.replace(text.encode(), spoiled.encode() + b" " * (len(text) - len(spoiled))))
    faceset = open_faceset(tmp_path)
    assert [path for path, _ in faceset.problems] == [paths[0]]
    assert "not finite" in faceset.problems[0][1]


@pytest.mark.parametrize("kind", ["absent", "empty", "no faces"])
def test_a_folder_without_faces_names_the_step_to_run(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "aligned"
    if kind != "absent":
        folder.mkdir()
    if kind == "no faces":
        (folder / "a.jpg").write_bytes(encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(MissingInput) as problem:
        open_faceset(folder)
    assert "faceset extract" in problem.value.remedy
    if kind == "no faces":
        assert "a.jpg" in problem.value.what


def test_too_many_failures_are_refused_with_names() -> None:
    problems = [(Path(f"{number}.jpg"), "cut off.") for number in range(6)]
    check_failures(Path("aligned"), problems, 120)
    with pytest.raises(FaceLoomError, match=r"6 of the 100 faces.*\n  0\.jpg: cut off\.(.|\n)*and 1 more"):
        check_failures(Path("aligned"), problems, 100)
    with pytest.raises(FaceLoomError):
        check_failures(Path("aligned"), problems[:1], 1)
    assert [tolerated_failures(count) for count in (10, 60, 80, 1000)] == [3, 3, 4, 50]


def test_yaws_are_those_that_were_painted(tmp_path: Path) -> None:
    yaws = [-0.6, -0.2, 0.0, 0.3, 0.7]
    write_painted_faceset(tmp_path, 5, 64, yaws=yaws)
    # The painter's camera is not the one poses are measured with, which costs some accuracy far from the front.
    np.testing.assert_allclose(open_faceset(tmp_path).yaws(), yaws, atol=0.08)


def test_a_faceset_counts_and_iterates(tmp_path: Path) -> None:
    sample = open_sample(write_painted_faceset(tmp_path, 1, 64)[0])
    faceset = Faceset(tmp_path, (sample, sample))
    assert len(faceset) == 2
    assert list(faceset) == [sample, sample]
