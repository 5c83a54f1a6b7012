"""`util --export-dfl` and `util --import-dfl`: another folder, the same faces."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, MissingInput, PartialFailure
from core.images import decode_image, encode_png, encode_png_mask
from core.jpeg import parse_segments
from core.legacy_writer import encode
from core.paths import Workspace
from core.progress import SILENT
from facelib import legacy
from facelib.legacy_pack import PACK_NAME, FaceToPack, PackedName, write_legacy_pack
from facelib.metadata import FaceMetadata, metadata_from_jpeg, read_face, read_metadata, write_face
from mainscripts.util import UtilOptions, run
from mainscripts.util_dfl import export_dfl, import_dfl, same_face
from tests.facelib.legacy_samples import PICTURE, face_jpeg, face_png, values
from tests.painting import write_painted_faceset


def util(folder: Path, **switches: Any) -> int:
    return run(Workspace(folder), UtilOptions(input_dir=folder, **switches), SILENT).faces


def assert_same_faces(first: list[Path], second: list[Path]) -> None:
    assert [path.stem for path in first] == [path.stem for path in second]
    for one, other in zip(first, second, strict=True):
        (jpeg, face), (back_jpeg, back) = read_face(one), read_face(other)
        assert same_face(face, back)
        np.testing.assert_array_equal(decode_image(jpeg, one), decode_image(back_jpeg, other))


def test_faces_go_out_and_come_back_the_same(odd_folder: Path) -> None:
    paths = write_painted_faceset(odd_folder / "aligned", 4, 64, with_masks=True)
    before = [path.read_bytes() for path in paths]
    assert util(odd_folder / "aligned", export_dfl=True) == 4
    out = sorted((odd_folder / "aligned_dfl").iterdir())
    for path in out:
        head = parse_segments(path.read_bytes(), path)
        assert [segment.marker for segment in head.segments].count(legacy.APP15) == 1
        assert b"FaceLoom" not in path.read_bytes()
    assert_same_faces(paths, out)
    assert util(odd_folder / "aligned_dfl", import_dfl=True, output_dir=odd_folder / "back") == 4
    back = sorted((odd_folder / "back").iterdir())
    assert_same_faces(paths, back)
    assert all(b'"schema":"Face.1"' in path.read_bytes() for path in back)
    assert [path.read_bytes() for path in paths] == before


def test_a_pack_is_brought_in_person_by_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faces = []
    for n in range(4):
        path = write_painted_faceset(tmp_path / str(n), 1, 64, seed=n)[0]
        faces.append(FaceToPack(*read_face(path), PackedName("1_0.jpg", f"person {n}")))
    (tmp_path / "packed").mkdir()
    write_legacy_pack(tmp_path / "packed" / PACK_NAME, faces)
    assert util(tmp_path / "packed", print_metadata=True) == 4
    assert '"file": "person 2/1_0.jpg"' in capsys.readouterr().out
    assert util(tmp_path / "packed", import_dfl=True) == 4
    back = sorted((tmp_path / "packed_faceloom").rglob("*.jpg"))
    assert [path.relative_to(tmp_path / "packed_faceloom").as_posix() for path in back] == [
        f"person {n}/1_0.jpg" for n in range(4)
    ]
    for path, face in zip(back, faces, strict=True):
        assert same_face(face.metadata, read_metadata(path))


def test_old_png_files_become_face_files(tmp_path: Path) -> None:
    source = tmp_path / "old"
    source.mkdir()
    (source / "00001_0.png").write_bytes(face_png(encode(values(image_to_face_mat=...), 3)))
    (source / "00001_0.jpg").write_bytes(face_jpeg())
    (source / "drawing.png").write_bytes(encode_png(PICTURE))
    report = import_dfl(source, tmp_path / "new", SILENT)
    assert report.saved_anew == ("00001_0.png",)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["00001_0.jpg", "00001_0_png.jpg"]
    picture = decode_image((tmp_path / "new" / "00001_0_png.jpg").read_bytes(), source)
    assert np.abs(picture.astype(int) - PICTURE).max() <= 6  # JPEG of quality 100


def test_capital_letters_in_the_suffix_are_made_small_for_the_other_tool(tmp_path: Path) -> None:
    path = write_painted_faceset(tmp_path / "in", 1, 64)[0]
    path.rename(path.with_suffix(".JPEG"))
    export_dfl(tmp_path / "in", tmp_path / "out", SILENT)
    assert [p.name for p in (tmp_path / "out").iterdir()] == [f"{path.stem}.jpg"]


def test_a_mask_that_had_to_shrink_is_named(tmp_path: Path) -> None:
    path = write_painted_faceset(tmp_path / "in", 1, 64)[0]
    jpeg, face = read_face(path)
    noise = np.random.default_rng(0).random((256, 256))
    write_face(path, jpeg, dataclasses.replace(face, xseg_mask=encode_png_mask(noise)))
    report = export_dfl(tmp_path / "in", tmp_path / "out", SILENT)
    assert (report.faces, report.masks_reduced, report.saved_anew) == (1, (path.name,), ())
    assert read_metadata(tmp_path / "out" / path.name).mask_size == (256, 256)


def test_what_cannot_be_written_is_named_and_the_rest_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(SILENT, "say", said.append)
    source = tmp_path / "in"
    write_painted_faceset(source, 2, 64)
    (source / "frame.jpg").write_bytes(face_jpeg(face_type="mark_only", image_to_face_mat=...))
    (source / "bad.jpg").write_bytes(face_jpeg()[:500])
    with pytest.raises(PartialFailure, match=r"2 of 4 faces were not written to .*: bad\.jpg, frame\.jpg\."):
        export_dfl(source, tmp_path / "out", SILENT)
    assert [line.partition(": ")[0] for line in said] == ["bad.jpg", "frame.jpg"]
    assert all(len(line.partition(": ")[2]) > 20 for line in said)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_folder_that_holds_something_is_not_written_to(tmp_path: Path) -> None:
    source = tmp_path / "in"
    write_painted_faceset(source, 1, 64)
    for output in (source, tmp_path):
        with pytest.raises(BadOption, match="is not empty"):
            export_dfl(source, output, SILENT)
    assert len(list(source.iterdir())) == 1
    (tmp_path / "nothing").mkdir()
    with pytest.raises(MissingInput, match="no face in"):
        import_dfl(tmp_path / "nothing", tmp_path / "out", SILENT)
    with pytest.raises(BadOption, match="is not empty"):  # the second would write among the files of the first
        util(source, export_dfl=True, import_dfl=True, output_dir=tmp_path / "both")
    assert len(list((tmp_path / "both").iterdir())) == 1


def test_a_difference_is_seen() -> None:
    face = metadata_from_jpeg(face_jpeg(), Path("a.jpg"))

    def changed(**changes: Any) -> FaceMetadata:
        return dataclasses.replace(face, **changes)

    assert same_face(face, changed(detector="x", extra={"a": 1}, frame_bbox=face.frame_bbox + 0.4))
    assert not same_face(face, changed(frame_bbox=face.frame_bbox + 1))
    assert not same_face(face, changed(landmarks=face.landmarks + 1))
    assert not same_face(face, changed(brow_lift=2))
    assert not same_face(face, changed(frame_name="b.png"))
    assert not same_face(face, changed(xseg_mask=encode_png_mask(np.ones((2, 2)))))
