"""FAN with weights made by hand that read positions off a gradient; crops and decoding by hand examples."""

from __future__ import annotations

import numpy as np
import pytest

from core.nn.device import choose_devices
from core.nn.framework import ops
from facelib.nets import fan
from facelib.nets.older_weights import fan_table
from tests.painting import paint_frame


def neutral() -> dict[str, np.ndarray]:
    """All convolutions zero, all normalizations idle (variance + 1e-5 = 1)."""
    weights = {name: np.zeros(shape, np.float32) for name, shape in fan_table().items()}
    for name, value in weights.items():
        if name.endswith("running_var"):
            value[:] = 1 - 1e-5
        elif value.ndim == 1 and name.endswith("weight"):
            value[:] = 1
    return weights


def staircase() -> np.ndarray:
    """What the four pools of an idle hourglass make of the column number 0..63: x + its means over 2, 4, 8 and 16."""
    columns = np.arange(64, dtype=np.float64)
    return columns + sum(columns.reshape(-1, n).mean(axis=1).repeat(n) for n in (2, 4, 8, 16))


def gradient() -> np.ndarray:
    """A BGR picture: red is the column, green the row, 0..255."""
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[..., 2] = np.arange(256)
    picture[..., 1] = np.arange(256)[:, None]
    return picture


def reading_weights(cells: np.ndarray) -> dict[str, np.ndarray]:
    """Weights that make map k of a gradient peak at cells[k] = (column, row).

    Residual branches are zero, so red and green walk through to the last stack as they are; the idle hourglass turns
    them into a staircase. There, map k is -|s - s_k|, written 2 relu(s_k - s) - s_k + s for each axis, negated.
    """
    weights = neutral()
    weights["conv1/weight"][3, 3, 0, 0] = weights["conv1/weight"][3, 3, 1, 1] = 1
    for name in ("conv2/down_conv1/weight", "conv4/down_conv1/weight"):
        weights[name][0, 0, 0, 0] = weights[name][0, 0, 1, 1] = 1
    # Cell c averages the pixels 4 c and 4 c + 2: (4 c + 1) / 255. The block means make five times the offset of it.
    steps = staircase() * 4 / 255 + 5 * 1 / 255
    last, heads = weights["conv_last_3/weight"][0, 0], weights["l_3/weight"][0, 0]
    last[0, 0] = last[1, 1] = 1
    for k, cell in enumerate(cells):
        for axis in (0, 1):
            channel = 2 + 2 * k + axis
            last[axis, channel] = -1
            weights["conv_last_3/bias"][channel] = steps[cell[axis]]
            heads[channel, k] = -2
            heads[axis, k] = -1
            weights["l_3/bias"][k] += steps[cell[axis]]
    return weights


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    """68 different cells, none at the edge, a face among them would do; (column, row)."""
    points = paint_frame(256, 256, (128, 128), 100)[1]
    return np.clip(np.round(points / 4), 1, 62).astype(int)


@pytest.fixture(scope="module")
def network(cells: np.ndarray) -> fan.FAN:
    return fan.FAN(reading_weights(cells), choose_devices("cpu")[0], largest_batch=1)  # one graph for all tests


def quartered(cells: np.ndarray) -> np.ndarray:
    """The decoded place: half a cell on, and a quarter toward the neighbor that the staircase brings nearer."""
    steps = staircase()
    nearer = [[np.sign(2 * steps[c] - steps[c + 1] - steps[c - 1]) for c in cell] for cell in cells]
    return cells + 0.5 + 0.25 * np.array(nearer)


def test_heat_peaks_where_the_weights_say(network: fan.FAN, cells: np.ndarray) -> None:
    # A box whose crop is the picture itself: side 256 = 200 (w + h) / 195, center (128, 128).
    half = 256 * 195 / 200 / 4
    box = np.array([128 - half, 128 - half, 128 + half, 128 + half])
    assert fan.Crop.of_box(box).bounds == (1, 1, 256, 256)
    (points,) = network.measure([gradient()], [box], five=False)
    assert points is not None
    # The crop leaves the first row and column out and stretches 255 pixels over 256: a value is found up to a pixel
    # before its place, so in the cell before it at worst, and with the other quarter.
    assert np.abs(points - 4 * quartered(cells)).max() <= 4 * 1.5
    (heat,) = network._network.run(gradient()[None, ..., ::-1].astype(np.float32) / 255)
    assert heat.shape == (1, 64, 64, 68)
    hottest = np.stack(np.divmod(heat[0].reshape(-1, 68).argmax(axis=0), 64)[::-1], axis=1)
    np.testing.assert_array_equal(hottest, cells)
    np.testing.assert_allclose(fan.decode(heat)[0], quartered(cells))


def test_five_looks_are_averaged_and_empty_boxes_answer_nothing(network: fan.FAN) -> None:
    picture = gradient()
    box = np.array([60.0, 60, 160, 180])
    outside = np.array([900.0, 900, 950, 950])
    both = network.measure([picture, picture], [outside, box], five=True)
    assert both[0] is None
    single = [
        network.measure([picture], [box + np.array([x, y, x, y])], five=False)[0]
        for x, y in ((0, 0), (-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    expected = np.mean([points for points in single if points is not None], axis=0)
    assert both[1] is not None
    np.testing.assert_allclose(both[1], expected, atol=1e-9)


def test_a_block_by_its_definition() -> None:
    """conv4, 128 -> 256 channels, in NumPy and float64."""
    rng = np.random.default_rng(3)
    weights = {
        name: rng.uniform(0.5, 1.5, shape) if "var" in name else 0.05 * rng.standard_normal(shape)
        for name, shape in fan_table().items()
        if name.startswith("conv4/")
    }
    x = rng.standard_normal((1, 4, 5, 128))

    def active(x: np.ndarray, bn: str) -> np.ndarray:
        w, b, mean, var = (weights[f"conv4/{bn}/{leaf}"] for leaf in ("weight", "bias", "running_mean", "running_var"))
        return np.maximum((x - mean) / np.sqrt(var + 1e-5) * w + b, 0)

    def window(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        margin = kernel.shape[0] // 2
        padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
        rows, columns = x.shape[1:3]
        shifts = np.ndindex(kernel.shape[:2])
        return sum(padded[:, dy : dy + rows, dx : dx + columns] @ kernel[dy, dx] for dy, dx in shifts)

    one = window(active(x, "bn1"), weights["conv4/conv1/weight"])
    two = window(active(one, "bn2"), weights["conv4/conv2/weight"])
    three = window(active(two, "bn3"), weights["conv4/conv3/weight"])
    rest = window(active(x, "down_bn1"), weights["conv4/down_conv1/weight"])
    expected = np.concatenate([one, two, three], axis=-1) + rest
    singles = {name: value.astype(np.float32) for name, value in weights.items()}
    got = fan._block(ops.convert_to_tensor(x.astype(np.float32)), singles, "conv4")
    np.testing.assert_allclose(ops.convert_to_numpy(got), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("center", "scale", "x", "y"),
    [
        ((150.5, 100), 0.7, (81, 220), (30, 170)),
        ((10, 20), 0.61, (-50, 71), (-40, 81)),
        ((290, 195), 1.3, (161, 420), (66, 325)),
    ],
)
def test_bounds_of_crops(center: tuple[float, float], scale: float, x: tuple[int, int], y: tuple[int, int]) -> None:
    """Spec faces-and-formats 11, V4."""
    left, top, right, bottom = fan.Crop(*center, side=200 * scale).bounds
    assert ((left, right), (top, bottom)) == (x, y)


def test_scale_of_a_box() -> None:
    # 100 wide, 95 high: (100 + 95) / 195 = 1, so the crop is 200 wide.
    assert fan.Crop.of_box(np.array([10, 20, 110, 115])) == fan.Crop(60, 67.5, 200)


def test_outside_the_picture_a_crop_is_black() -> None:
    picture = np.full((40, 60, 3), 200, np.uint8)
    cut = fan.Crop(0, 20, 40).cut(picture)
    assert cut is not None
    assert cut.shape == (256, 256, 3)
    assert (cut[:, :120] == 0).all()
    assert (cut[:, 136:] == 200).all()
    assert fan.Crop(-100, 20, 40).cut(picture) is None


def test_decoding_by_hand() -> None:
    heat = np.zeros((1, 64, 64, 4), np.float32)
    heat[0, 20, 10, 0], heat[0, 20, 11, 0], heat[0, 19, 10, 0] = 5, 2, 1  # right and above are hotter
    heat[0, 0, 30, 1], heat[0, 0, 31, 1] = 5, 2  # at the edge: no quarter
    heat[0, 5, 7, 2] = heat[0, 9, 3, 2] = 5  # two of one heat: the first row counts; neighbors alike: no quarter
    heat[0, 33, 62, 3], heat[0, 34, 62, 3], heat[0, 33, 61, 3] = 5, 1, 1
    points = fan.decode(heat)
    assert points.dtype == np.float64
    assert points[0].tolist() == [[10.75, 20.25], [30.5, 0.5], [7.5, 5.5], [62.25, 33.75]]


def test_heat_maps_lie_on_the_crop() -> None:
    # A cell of a crop of 128 pixels is 2 wide; its left edge lies at 100 - 64.
    points = fan.Crop(100, 50, 128).to_picture(np.array([[0, 0], [32, 32], [10.75, 64]]))
    assert points.tolist() == [[36, -14], [100, 50], [57.5, 114]]
