"""Which faces are in which frame."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption, MissingInput
from core.images import write_image
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata
from merger.frames import collect_frames, frame_stem, shortened, strange_frames
from tests.painting import painted_metadata


def record(frame_name: str) -> FaceMetadata:
    return painted_metadata(64, FaceType.FULL, frame_name)


def paths(*names: str) -> list[Path]:
    return [Path("shot") / name for name in names]


def test_faces_find_their_frames_by_the_stem_of_the_recorded_name() -> None:
    faces = [
        ("b.jpg", record("00002.png")),
        ("renamed.jpg", record("00001.png")),
        ("x.jpg", record("frame 0201.final.png")),
    ]
    found = collect_frames(paths("00001.jpg", "00002.jpg", "00003.jpg", "frame 0201.final.tif"), faces)
    assert [[face.name for face in frame.faces] for frame in found.frames] == [
        ["renamed.jpg"],
        ["b.jpg"],
        [],
        ["x.jpg"],
    ]
    assert [frame.stem for frame in found.without_face] == ["00003"]
    assert found.orphans == []


@pytest.mark.parametrize(("finding", "confidence"), [({"score": 0.75}, 0.75), ({"score": "?"}, None), (None, None)])
def test_how_sure_the_finder_was_comes_along(finding: object, confidence: float | None) -> None:
    metadata = dataclasses.replace(record("1.png"), extra={} if finding is None else {"finding": finding})
    assert collect_frames(paths("1.png"), [("1_0.jpg", metadata)]).frames[0].faces[0].confidence == confidence


def test_landmarks_and_brow_lift_come_along() -> None:
    metadata = dataclasses.replace(record("1.png"), brow_lift=0.5)
    face = collect_frames(paths("1.png"), [("1_0.jpg", metadata)]).frames[0].faces[0]
    assert (face.landmarks == metadata.frame_landmarks).all()
    assert face.brow_lift == 0.5


def test_several_faces_keep_their_order_and_are_told() -> None:
    found = collect_frames(paths("1.png", "2.png"), [("1_0.jpg", record("1.png")), ("1_1.jpg", record("1.png"))])
    assert [face.name for face in found.frames[0].faces] == ["1_0.jpg", "1_1.jpg"]
    notes = " ".join(found.notes())
    assert "More than one face in 1 frame, and all" in notes
    assert "1.png (1_0.jpg, 1_1.jpg)" in notes
    assert "1 of 2 frames have no face and are copied: 2.png" in notes


def test_faces_whose_frame_is_gone_are_told() -> None:
    found = collect_frames(paths("1.png"), [("1_0.jpg", record("1.png")), ("7_0.jpg", record("7.png"))])
    assert found.orphans == ["7_0.jpg"]
    assert found.notes() == ["Left out, as their frames are not there: 1 face (7_0.jpg)."]


def test_all_is_well_says_nothing() -> None:
    assert collect_frames(paths("1.png"), [("1_0.jpg", record("1.png"))]).notes() == []


def test_frames_of_one_stem_are_refused() -> None:
    with pytest.raises(BadOption, match=r"00001\.jpg and 00001\.png"):
        collect_frames(paths("00001.jpg", "00001.png", "00002.png"), [("a.jpg", record("00001.png"))])
    with pytest.raises(BadOption, match=r"A\.png and a\.png"):
        collect_frames(paths("A.png", "a.png"), [("a.jpg", record("a.png"))])


def test_no_match_at_all_says_what_names_look_like() -> None:
    faces = [("a.jpg", record("000001.png")), ("b.jpg", record("000002.png"))]
    with pytest.raises(
        MissingInput, match=r"0 of 2 frames match: frames are named like 00001, the faces refer to 000001"
    ):
        collect_frames(paths("00001.png", "00002.png"), faces)


def test_no_frames_and_no_faces_are_told_apart() -> None:
    with pytest.raises(MissingInput, match="no frames"):
        collect_frames([], [("a.jpg", record("1.png"))])
    with pytest.raises(MissingInput, match="no faces"):
        collect_frames(paths("1.png"), [])


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("00001.png", "00001"),
        ("a.b.png", "a.b"),
        ("C:\\shot\\7.png", "7"),
        ("/shot/7.png", "7"),
        ("工作 7.png", "工作 7"),
    ],
)
def test_stems(name: str, stem: str) -> None:
    assert frame_stem(name) == stem


def test_long_lists_are_shortened() -> None:
    assert shortened(["a", "b"]) == "a, b"
    assert shortened([str(n) for n in range(9)]) == "0, 1, 2, 3, 4 and 4 more"


@pytest.mark.parametrize(
    ("names", "strange"),
    [
        (["00001.png", "00002.png", "holiday.png"], ["holiday.png (named unlike 00001.png)"]),
        (["00001.png", "00002.png", "IMG_2041.jpg"], ["IMG_2041.jpg (named unlike 00001.png)"]),
        (["a_1.png", "a_2.png", "b_1.png", "b_2.png"], []),  # two films
        (["1.png", "2.jpg", "00003.png"], []),
        (["still.png"], []),
    ],
)
def test_a_frame_named_unlike_the_others_is_strange(odd_folder: Path, names: list[str], strange: list[str]) -> None:
    for name in names:
        write_image(odd_folder / name, np.zeros((6, 8, 3), np.uint8))
    assert strange_frames([odd_folder / name for name in names]) == strange


def test_a_frame_of_another_size_is_strange_and_a_broken_one_has_none(tmp_path: Path) -> None:
    for number, width in enumerate([8, 8, 10, 8], 1):
        write_image(tmp_path / f"{number}.png", np.zeros((6, width, 3), np.uint8))
    (tmp_path / "5.png").write_bytes(b"")
    found = strange_frames([tmp_path / f"{number}.png" for number in range(1, 6)])
    assert found == ["3.png (10x6, not 8x6)"]
