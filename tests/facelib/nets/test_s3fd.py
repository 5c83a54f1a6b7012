"""S3FD with weights made by hand, whose one answer is known; decoding and suppression by hand examples."""

from __future__ import annotations

import numpy as np
import pytest

from core.nn.device import choose_devices
from core.nn.framework import keras
from facelib.nets import s3fd
from facelib.nets.older_weights import S3FD_HEADS, s3fd_table

SIDE = 256
"""Of the picture; the network sees it at half size."""


def spot_weights() -> dict[str, np.ndarray]:
    """Channel 0 carries red through all layers; each level says "face" where it is bright, and a box four pixels right.

    A convolution passes its middle tap on, a pooling layer the largest value, a normalization the sign. All other cells
    stay at a face score of sigmoid(-20).
    """
    weights = {name: np.zeros(shape, np.float32) for name, shape in s3fd_table().items()}
    for name, kernel in weights.items():
        if name.startswith("conv") and "mbox" not in name and name.endswith("/weight") and "norm" not in name:
            middle = kernel.shape[0] // 2
            kernel[middle, middle, 0, 0] = 1
    weights["fc6/weight"][1, 1, 0, 0] = weights["fc7/weight"][0, 0, 0, 0] = 1
    for level, (name, _, _) in enumerate(S3FD_HEADS):
        stride = 4 * 2**level
        weights[f"{name}_mbox_conf/bias"][-1] = -20
        weights[f"{name}_mbox_conf/weight"][1, 1, 0, -1] = 40
        # A quarter of the side to the right, and twice as high: exp(0.2 v) = 2.
        weights[f"{name}_mbox_loc/bias"][:] = (4 / (0.1 * 4 * stride), 0, 0, np.log(2) / 0.2)
        if name.endswith("_norm"):
            weights[f"{name}/weight"][..., 0] = 1
    return weights


@pytest.fixture(scope="module")
def network() -> s3fd.S3FD:
    return s3fd.S3FD(spot_weights(), choose_devices("cpu")[0])


def spot(x: int, y: int, color: tuple[int, int, int] = (0, 0, 255)) -> np.ndarray:
    """A black picture with 4 x 4 bright pixels, a 2 x 2 spot at (x, y) of what the network sees."""
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[2 * y : 2 * y + 4, 2 * x : 2 * x + 4] = color
    return picture


def run(network: s3fd.S3FD, picture: np.ndarray) -> list[np.ndarray]:
    return network._network.run(s3fd._prepared(picture, (SIDE // 2, SIDE // 2))[None])


def test_each_level_fires_at_the_cell_of_the_spot(network: s3fd.S3FD) -> None:
    # (36, 70): cells of 4, 8 and 16 pixels; fc6 moves its grid by two cells of 32; the next levels take every second.
    answers = run(network, spot(36, 70))
    expected = [(17, 9), (8, 4), (4, 2), (4, 3)]
    for level, cell in enumerate(expected):
        score = answers[2 * level][0]
        assert np.argwhere(score > 0.5).tolist() == [list(cell)], level
        assert score[cell] == pytest.approx(1, abs=1e-6)
        assert score.min() == pytest.approx(1 / (1 + np.exp(20)), rel=1e-3)
    assert [a.shape[1:3] for a in answers[::2]] == [(32, 32), (16, 16), (8, 8), (8, 8), (4, 4), (2, 2)]


def test_the_box_is_the_one_the_weights_say(network: s3fd.S3FD) -> None:
    # Level 3, cell (4, 3) of 32: center (112, 144) + (4, 0), 128 wide, 256 high; it covers what finer levels say too
    # little to drop them, so look at it alone.
    answers = run(network, spot(36, 70))
    boxes, scores = s3fd.decode([*[np.zeros_like(a[0]) for a in answers[:6]], *[a[0] for a in answers[6:8]]])
    np.testing.assert_allclose(boxes, [[116 - 64, 144 - 128, 116 + 64, 144 + 128]], atol=1e-3)
    assert scores == pytest.approx([1])


def test_only_red_counts_because_red_goes_in_first(network: s3fd.S3FD) -> None:
    assert network.detect([spot(36, 70, (255, 255, 0))]) == [[]]
    assert network.detect([spot(36, 70)])[0]


def test_pictures_of_several_sizes_at_once(network: s3fd.S3FD) -> None:
    tall = np.zeros((SIDE, 160, 3), np.uint8)
    alone = network.detect([spot(36, 70)])[0]
    together = network.detect([tall, spot(36, 70), tall, spot(80, 20)])
    assert together[0] == together[2] == []
    for got, expected in zip(together[1], alone, strict=True):
        np.testing.assert_array_equal(got.bbox, expected.bbox)
    assert together[3]


def test_sizes_of_the_answer_for_640_by_360() -> None:
    """Spec faces-and-formats 4.3. Shapes only: nothing is computed."""
    weights = {name: keras.KerasTensor(shape) for name, shape in s3fd_table().items()}
    answers = s3fd.forward(weights, keras.KerasTensor((1, 360, 640, 3)))
    sizes = [(a.shape[2], a.shape[1]) for a in answers]
    assert sizes[::2] == sizes[1::2] == [(160, 90), (80, 45), (40, 22), (24, 15), (12, 8), (6, 4)]
    assert all(a.shape[-1] == 4 for a in answers[1::2])


def test_the_finest_level_has_three_kinds_of_background(network: s3fd.S3FD) -> None:
    weights = spot_weights()
    weights["conv3_3_norm_mbox_conf/bias"][:] = (1, 7, 3, 5)
    weights["conv3_3_norm_mbox_conf/weight"][:] = 0
    other = s3fd.S3FD(weights, choose_devices("cpu")[0])
    score = other._network.run(np.zeros((1, 32, 32, 3), np.float32))[0]
    np.testing.assert_allclose(score, 1 / (1 + np.exp(2)), rtol=1e-5)  # 5 against the largest of 1, 7, 3


@pytest.mark.parametrize(
    ("width", "height", "shrink", "size"),
    [
        (1920, 1080, 3, (640, 360)),
        (3840, 2160, 6, (640, 360)),
        (1280, 720, 2, (640, 360)),
        (640, 481, 2, (320, 240)),
        (256, 256, 2, (128, 128)),
        (100, 60, 100 / 64, (64, 38)),
    ],
)
def test_how_far_a_picture_is_shrunk(width: int, height: int, shrink: float, size: tuple[int, int]) -> None:
    assert s3fd.working_size(width, height) == (shrink, size)


def test_suppression_counts_the_last_pixel() -> None:
    # 10 wide (0..9); the second shares 5 x 10 = 50 of 100 + 100 - 50: 0.333 and goes. The third shares 46 / 154 with
    # the first, 0.299, and stays. Without the last pixel the second would share 36 / 126 = 0.286 and stay.
    boxes = np.array([[0, 0, 9, 9], [5, 0, 14, 9], [0, 5.4, 9, 14.4]], np.float64)
    assert s3fd.suppress(boxes, np.array([0.9, 0.8, 0.7])).tolist() == [0, 2]
    assert s3fd.suppress(boxes, np.array([0.7, 0.8, 0.6])).tolist() == [1, 2]
    assert s3fd.suppress(np.empty((0, 4)), np.empty(0)).tolist() == []


def test_boxes_become_faces_of_the_picture() -> None:
    # Cut to whole pixels, doubled, a tenth more at the bottom: 22.9 -> 22 -> 44; 44 + 4.4 -> 48. 19 wide is 38: gone.
    boxes = np.array([[0.7, -0.7, 22.9, 22.9], [10, 10, 29, 60], [5, 5, 45, 55]], np.float64)
    faces = s3fd.finish(boxes, np.array([0.9, 0.8, 0.7]), 2.0)
    assert [face.bbox.tolist() for face in faces] == [[10, 10, 90, 120], [0, 0, 44, 48]]
    assert [face.score for face in faces] == [0.7, 0.9]
