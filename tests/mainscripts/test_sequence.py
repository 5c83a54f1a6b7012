"""A folder of pictures is checked before it becomes a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption, BrokenFile, FaceLoomError, MissingInput
from core.images import write_image
from core.progress import SILENT
from mainscripts.sequence import check_against_frames, open_sequence, read_pictures


def fill(folder: Path, names: list[str], shape: tuple[int, ...] = (8, 10, 3)) -> Path:
    for level, name in enumerate(names):
        write_image(folder / name, np.full(shape, 3 * level, np.uint8))
    return folder


def test_pictures_come_in_natural_order_and_right(odd_folder: Path) -> None:
    folder = fill(odd_folder / "a", [f"shot {n}.png" for n in range(1, 31)])
    sequence = open_sequence(folder, None, SILENT)
    assert [p.name for p in sequence.pictures] == [f"shot {n}.png" for n in range(1, 31)]
    levels = [int(picture[0, 0, 0]) for picture in read_pictures(sequence)]
    assert levels == [3 * n for n in range(30)]


def test_gray_stays_gray(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a", ["1.png", "2.png"], (8, 10))
    assert [p.shape for p in read_pictures(open_sequence(folder, None, SILENT))] == [(8, 10)] * 2


def test_only_the_extension_asked_for_counts(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a", ["1.png", "1.jpg"])
    with pytest.raises(BadOption, match=r"1\.jpg and 1\.png"):
        open_sequence(folder, None, SILENT)
    assert [p.name for p in open_sequence(folder, "jpg", SILENT).pictures] == ["1.jpg"]
    with pytest.raises(MissingInput, match=r"no \.tif images"):
        open_sequence(folder, ".tif", SILENT)


def test_gaps_are_seen_in_numbers_only(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a", [f"x_{n:03d}.png" for n in (5, 6, 9)])
    with pytest.raises(FaceLoomError, match=r"Missing: x_007, x_008\."):
        check_against_frames(open_sequence(folder, None, SILENT), folder)
    words = fill(tmp_path / "b", ["dawn.png", "noon.png"])
    check_against_frames(open_sequence(words, None, SILENT), words)


def test_merged_frames_are_compared_with_the_frames(tmp_path: Path) -> None:
    frames = fill(tmp_path / "data_dst", [f"{n:05d}.png" for n in range(1, 13)])
    merged = fill(frames / "merged", [f"{n:05d}.png" for n in range(1, 13)])
    check_against_frames(open_sequence(merged, None, SILENT), merged)
    for number in range(3, 11):
        (merged / f"{number:05d}.png").unlink()
    with pytest.raises(FaceLoomError, match=r"4 of 12 frames\. Missing: 00003, 00004, 00005, 00006, 00007 and 3 more"):
        check_against_frames(open_sequence(merged, None, SILENT), merged)
    strangers = fill(frames / "merged_mask", [f"{n:05d}.png" for n in range(1, 14)])
    with pytest.raises(FaceLoomError, match="no frame of data_dst: 00013"):
        check_against_frames(open_sequence(strangers, None, SILENT), strangers)


def test_a_picture_that_breaks_off_is_named_when_it_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("1.png", "2.png", "3.png"):
        write_image(tmp_path / name, rng.integers(0, 256, (64, 64, 3)).astype(np.uint8))
    broken = tmp_path / "2.png"
    broken.write_bytes(broken.read_bytes()[:60])
    sequence = open_sequence(tmp_path, None, SILENT)
    with pytest.raises(BrokenFile, match=r"2\.png"):
        list(read_pictures(sequence))
