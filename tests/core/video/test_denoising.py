"""Less noise, the same names, and the originals in the trash whatever happens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BrokenFile
from core.files import list_images
from core.images import read_image, write_image
from core.video.denoising import denoise_frames, finish_exchange

NAMES = [f"shot {n}.png" for n in (2, 3, 10, 11)]


def noisy(folder: Path, levels: list[int], deep: bool = False) -> list[Path]:
    """One even picture with noise per level."""
    rng = np.random.default_rng(3)
    folder.mkdir(exist_ok=True)
    for name, level in zip(NAMES, levels, strict=True):
        values = np.clip(level + rng.normal(0, 8, (49, 65, 3)), 0, 255)
        write_image(folder / name, (values * 257).astype(np.uint16) if deep else values.astype(np.uint8))
    return list_images(folder)


def denoise(folder: Path, pictures: list[Path], factor: int = 7, **rest: Any) -> int:
    return denoise_frames(folder, pictures, factor, trash=folder.parent / "trash", **rest)[0]


@pytest.mark.parametrize("deep", [False, True])
def test_noise_goes_and_brightness_stays(odd_folder: Path, deep: bool) -> None:
    folder = odd_folder / "data_dst"
    pictures = noisy(folder, [120] * 4, deep)
    before = [read_image(p).astype(float) for p in pictures]
    assert denoise(folder, pictures) == 1
    assert [p.name for p in list_images(folder)] == NAMES
    for path, old in zip(pictures, before, strict=True):
        new = read_image(path).astype(float)
        assert new.shape == old.shape
        assert new.std() < 0.9 * old.std()
        assert abs(new.mean() - old.mean()) < 0.004 * old.mean()
    assert sorted(p.name for p in (odd_folder / "trash").rglob("*.png")) == sorted(NAMES)
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


def test_time_does_not_bleed_over_a_cut(tmp_path: Path) -> None:
    """The two scenes are denoised as if each were alone."""
    folder = tmp_path / "both"
    pictures = noisy(folder, [60, 60, 190, 190])
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in pictures[2:]:
        (alone / path.name).write_bytes(path.read_bytes())
    assert denoise(folder, pictures) == 2
    assert denoise(alone, list_images(alone)) == 1
    for path in pictures[2:]:
        assert np.array_equal(read_image(path), read_image(alone / path.name))


def test_more_is_smoother(tmp_path: Path) -> None:
    spread = []
    for factor in (1, 7, 20):
        folder = tmp_path / str(factor)
        pictures = noisy(folder, [120] * 4)
        denoise(folder, pictures, factor)
        spread.append(read_image(pictures[-1]).std())
    assert spread[0] > spread[1] > spread[2]


def test_another_size_is_named_and_nothing_changes(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    noisy(folder, [120] * 4)
    write_image(folder / NAMES[2], np.zeros((20, 30, 3), np.uint8))
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(BrokenFile, match=r"shot 10\.png"):
        denoise(folder, list_images(folder))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_stop_while_filtering_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    pictures = noisy(folder, [120] * 4)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        denoise(folder, pictures, on_frame=stop)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize("moves", range(1, 8))
def test_a_stop_while_exchanging_is_finished_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    """Power fails after any number of renames: the next run ends with four new pictures and four originals."""
    folder = tmp_path / "a"
    pictures = noisy(folder, [120] * 4)
    originals = {p.name: p.read_bytes() for p in pictures}
    real_replace, real_rename = os.replace, os.rename
    left = [moves]

    def counted(real: Any) -> Any:
        def move(source: Any, target: Any, **rest: Any) -> None:
            between = Path(source).suffix == ".png" and not Path(source).name.startswith(".")
            if between and left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= between
            real(source, target, **rest)

        return move

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted(real_replace))
        patch.setattr(os, "rename", counted(real_rename))
        with pytest.raises(KeyboardInterrupt):
            denoise(folder, pictures)
    finish_exchange(folder, tmp_path / "trash")
    kept = {p.name: p.read_bytes() for p in (tmp_path / "trash").rglob("*.png")}
    assert kept == originals
    assert [p.name for p in list_images(folder)] == NAMES
    assert all(read_image(p).std() < 7 for p in pictures)
    assert not (folder / ".denoised").exists()
