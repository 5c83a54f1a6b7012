"""Running one network: its answers are plain arrays, it greets nobody, and damaged weights never run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import BrokenFile
from core.paths import weights_folder
from facelib.nets.litert import LiteRTNetwork
from facelib.nets.pretrained import FACE_MESH, FULL_RANGE, SHORT_RANGE, WeightFile


@pytest.mark.parametrize(
    ("file", "side", "shapes"),
    [
        (FULL_RANGE, 192, [(2304, 16), (2304, 1)]),
        (SHORT_RANGE, 128, [(896, 16), (896, 1)]),
        (FACE_MESH, 192, [(1, 1, 1404), (1, 1, 1)]),
    ],
)
def test_shapes(weights: None, file: WeightFile, side: int, shapes: list[tuple[int, ...]]) -> None:
    """Source: spec faces-and-formats 10.2 (468 x 3 = 1404)."""
    network = LiteRTNetwork(file)
    assert network.side == side
    answers = network.run(np.zeros((side, side, 3), np.float32))
    assert [a.shape for a in answers] == shapes
    assert all(a.dtype == np.float32 for a in answers)


def test_answers_belong_to_the_caller(weights: None) -> None:
    network = LiteRTNetwork(FACE_MESH)
    first = network.run(np.zeros((192, 192, 3), np.float32))[0]
    kept = first.copy()
    network.run(np.ones((192, 192, 3), np.float32))
    np.testing.assert_array_equal(first, kept)


def test_same_picture_same_answer(weights: None) -> None:
    """Any memory layout, and a second network."""
    picture = np.random.default_rng(0).random((192, 192, 3)).astype(np.float32)
    one, two = LiteRTNetwork(FACE_MESH), LiteRTNetwork(FACE_MESH, threads=2)
    np.testing.assert_array_equal(one.run(picture)[0], one.run(np.asfortranarray(picture))[0])
    np.testing.assert_allclose(one.run(picture)[0], two.run(picture)[0], atol=1e-3)


def test_nothing_is_printed(weights: None, capfd: pytest.CaptureFixture[str]) -> None:
    LiteRTNetwork(FACE_MESH).run(np.zeros((192, 192, 3), np.float32))
    assert capfd.readouterr() == ("", "")


def test_damaged_weights_are_not_run(weights: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = bytearray((weights_folder() / FACE_MESH.name).read_bytes())
    data[len(data) // 2] ^= 1
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path))
    weights_folder().mkdir()
    (weights_folder() / FACE_MESH.name).write_bytes(data)
    with pytest.raises(BrokenFile, match="damaged"):
        LiteRTNetwork(FACE_MESH)
