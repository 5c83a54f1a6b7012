"""What `merge --report` sees of one frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.exr import encode_exr
from core.images import decode_image, encode_png, write_image
from mainscripts.merge_report_looks import Place, look_at, strip, touched_edges
from merger.compositing import MergedFrame
from merger.frames import FrameFace, FrameFaces
from merger.outputs import frame_writer
from tests.painting import paint_frame

SIZE = (120, 160)


def place_of(folder: Path, merged: bytes | None, mask: np.ndarray | None, with_face: bool = True) -> Place:
    source, landmarks = paint_frame(SIZE[1], SIZE[0], (80, 60), 50, seed=1)
    write_image(folder / "f.png", source)
    if merged is not None:
        (folder / "m.png").write_bytes(merged)
    if mask is not None:
        write_image(folder / "k.png", mask)
    faces = (FrameFace(landmarks),) if with_face else ()
    here = folder / "m.png" if merged is not None else None
    return Place(0, FrameFaces(folder / "f.png", faces), here, folder / "k.png" if mask is not None else None)


def block(value: int = 255) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[40:84, 62:98] = value
    return mask


def painted() -> np.ndarray:
    return paint_frame(SIZE[1], SIZE[0], (80, 60), 50, seed=1)[0]


def test_a_face_layer_is_put_over_its_source(tmp_path: Path) -> None:
    layer = np.dstack([np.full((*SIZE, 3), 200, np.uint8), block()])
    look = look_at(place_of(tmp_path, encode_png(layer), block()))
    (record,) = look.records
    assert record.lab_face == pytest.approx((80.6, 0.0, 0.0), abs=0.3)  # gray 200 is L* 80.6
    assert record.difference is not None
    assert not look.unchanged
    transparent = np.dstack([np.full((*SIZE, 3), 200, np.uint8), np.zeros(SIZE, np.uint8)])
    assert look_at(place_of(tmp_path, encode_png(transparent), block(0))).unchanged


def test_sixteen_bits_are_compared_with_eight(tmp_path: Path) -> None:
    deep = painted().astype(np.uint16) * 257
    look = look_at(place_of(tmp_path, encode_png(deep), block().astype(np.uint16) * 257))
    assert look.unchanged
    assert look.records[0].difference == pytest.approx(look.records[0].old_difference, abs=1e-3)


@pytest.mark.parametrize("transfer", ["bt709", "smpte2084", None])
def test_light_in_exr_files_is_compared_as_the_codes_it_was_made_of(tmp_path: Path, transfer: str | None) -> None:
    frame = painted().astype(np.uint16) * 257
    mask = block().astype(np.uint16) * 257
    data, _ = frame_writer("exr", transfer).encode(MergedFrame(frame, mask), frame)
    path = tmp_path / "f.exr"
    path.write_bytes(data)
    place = replace(place_of(tmp_path, None, mask), merged=path)
    look = look_at(place)
    assert look.unchanged
    assert look.records[0].difference == pytest.approx(look.records[0].old_difference, abs=0.05)
    shown = decode_image(strip((place, 0)), Path("strip"))
    third = (shown.shape[1] - 8) // 3
    assert np.abs(shown[:, :third].astype(int) - shown[:, third + 4 : 2 * third + 4]).mean() < 3


def test_light_of_an_unknown_curve_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "f.exr"
    path.write_bytes(encode_exr({name: np.zeros(SIZE, np.float16) for name in "RGB"}))
    look = look_at(replace(place_of(tmp_path, None, block()), merged=path))
    assert (look.unchanged, look.broken, look.records[0].difference) == (False, (), None)


def test_what_cannot_be_read_is_told_and_the_rest_seen(tmp_path: Path) -> None:
    look = look_at(place_of(tmp_path, b"no picture", block()))
    assert [name for name, _ in look.broken] == ["the merged frame"]
    assert look.size == (160, 120)
    assert look.records[0].difference is None


def test_edges_count_from_where_a_mask_shows() -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[3, 0], mask[9, 5] = 20, 200
    assert touched_edges(mask) == ("bottom",)
    mask[0, 11] = 255
    assert touched_edges(mask) == ("top", "right", "bottom")


def test_a_strip_shows_three_pictures_and_gray_for_what_is_missing(tmp_path: Path) -> None:
    place = place_of(tmp_path, None, block())
    shown = decode_image(strip((place, 0)), Path("strip"))
    third = (shown.shape[1] - 8) // 3
    assert shown.shape == (third, 3 * third + 8, 3)
    middle, last = shown[:, third + 8 : 2 * third], shown[:, 2 * third + 8 :]
    assert np.ptp(middle) <= 2
    assert last.max() > 250
    assert last.min() < 5
    whole = decode_image(strip((place, None)), Path("strip"))
    assert np.abs(whole[:10, :third].astype(int) - 128).max() <= 3  # bars above a wide frame


def test_a_face_larger_than_its_frame_is_shown_without_bars(tmp_path: Path) -> None:
    source, landmarks = paint_frame(100, 100, (50, 80), 110, seed=1)
    write_image(tmp_path / "f.png", np.full_like(source, 200))
    place = Place(0, FrameFaces(tmp_path / "f.png", (FrameFace(landmarks),)), None, None)
    shown = decode_image(strip((place, 0)), Path("strip"))
    assert shown[:, :190].min() > 190
