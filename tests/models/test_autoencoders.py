"""Networks against numbers worked out elsewhere: forward values, parameter counts, names, sub-pixels.

The golden rows are those of spec models, appendix A (another implementation, float32): tensor t of each network is
U(-1, 1) of RandomState(1000 + t), scaled; inputs RandomState(7) and (8). Tolerance 1e-5 relative to the array's scale.
"""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import BadOption
from core.nn.framework import keras
from core.nn.weights import named_variables
from models.autoencoders import Architecture, Autoencoder, Dims, build_autoencoder

# (shape, mean, std, first, third, last)
GOLDEN = {
    "df": {
        "enc": ((2, 2048), 0.140174, 0.251631, -0.0121219, -0.0231589, -0.0481086),
        "code": ((2, 8, 8, 32), 0.23157, 0.425208, -0.0300639, -0.190015, -0.01416),
        "rgb": ((2, 64, 64, 3), 0.532681, 0.377142, 0.617254, 0.999132, 0.564272),
        "mask": ((2, 64, 64, 1), 0.536438, 0.104735, 0.465409, 0.543386, 0.477345),
    },
    "df-ud": {
        "enc": ((2, 2048), 0.486668, 0.87358, -0.0424573, -0.0811151, -0.165576),
        "code": ((2, 4, 4, 32), 0.792103, 1.25918, -0.13708, 3.67495, -0.17668),
        "rgb": ((2, 64, 64, 3), 0.460315, 0.428664, 0.589138, 1, 0.406856),
        "mask": ((2, 64, 64, 1), 0.485133, 0.243758, 0.587241, 0.307738, 0.391912),
    },
    "df-udt": {
        "enc": ((2, 512), 0.58053, 0.814234, 1.90042, -0.141926, 0.130816),
        "code": ((2, 2, 2, 32), 0.0461145, 1.98336, -2.87288, -3.27121, 0.70564),
        "rgb": ((2, 64, 64, 3), 0.597244, 0.398868, 0.455845, 0.14141, 0.519366),
        "mask": ((2, 64, 64, 1), 0.357427, 0.207237, 0.371159, 0.505395, 0.418043),
    },
    "df-tc": {
        "enc": ((2, 512), -0.00829115, 0.309292, 0.108473, -0.181807, -0.0702646),
        "code": ((2, 4, 4, 32), -0.0227432, 0.705247, -0.241199, -0.741904, 1.35203),
        "rgb": ((2, 64, 64, 3), 0.502237, 0.122611, 0.705851, 0.257278, 0.549275),
        "mask": ((2, 64, 64, 1), 0.487424, 0.12544, 0.420486, 0.403479, 0.468382),
    },
    "liae-ud": {
        "enc": ((2, 2048), 0.486668, 0.87358, -0.0424573, -0.0811151, -0.165576),
        "code": ((2, 4, 4, 128), 0.68105, 1.16576, -0.0314673, 1.53748, -0.0766162),
        "rgb": ((2, 64, 64, 3), 0.461525, 0.421903, 0.679947, 0.999871, 0.500816),
        "mask": ((2, 64, 64, 1), 0.47711, 0.219778, 0.471141, 0.571686, 0.368554),
    },
    "liae-udt": {
        "enc": ((2, 512), 0.58053, 0.814234, 1.90042, -0.141926, 0.130816),
        "code": ((2, 2, 2, 128), -0.0429814, 2.03725, 1.64206, -1.77916, 1.07343),
        "rgb": ((2, 64, 64, 3), 0.59769, 0.397125, 0.509535, 0.997715, 0.340726),
        "mask": ((2, 64, 64, 1), 0.352973, 0.210777, 0.403622, 0.665064, 0.41694),
    },
}

# (tensors, parameters) of encoder, one inter, one decoder
COUNTS = [
    ("df-ud", Dims(96, 128, 64, 64, 16), (8, 4_306_560), (6, 3_098_368), (36, 15_444_701)),
    ("df", Dims(128, 256, 64, 64, 22), (8, 4_306_560), (6, 14_959_872), (28, 19_136_000)),
    ("df-ud", Dims(128, 256, 64, 64, 22), (8, 4_306_560), (6, 11_801_856), (36, 19_181_291)),
    ("df-t", Dims(128, 256, 64, 64, 22), (18, 15_654_144), (4, 6_308_096), (36, 34_410_688)),
    ("df-udt", Dims(128, 256, 64, 64, 22), (18, 15_654_144), (4, 3_150_080), (44, 34_455_979)),
    ("liae-ud", Dims(128, 256, 64, 64, 22), (8, 4_306_560), (6, 19_933_440), (36, 38_203_115)),
    ("liae-udt", Dims(128, 256, 64, 64, 22), (18, 15_654_144), (4, 4_202_752), (44, 53_477_803)),
]


def fill(network: keras.layers.Layer, offset: int = 0) -> None:
    """The deterministic weights of appendix A."""
    for t, variable in enumerate(named_variables(network).values()):
        shape = tuple(variable.shape)
        uniform = np.random.RandomState(1000 + offset + t).uniform(-1, 1, size=shape)
        scale = np.sqrt(6 / np.prod(shape[:-1])) if len(shape) >= 2 else 0.1
        variable.assign((scale * uniform).astype(np.float32))


def picture(seed: int, *shape: int) -> np.ndarray:
    return np.random.RandomState(seed).rand(*shape).astype(np.float32)


def small(text: str, resolution: int = 64) -> Autoencoder:
    return build_autoencoder(Architecture.parse(text), Dims(resolution, 32, 16, 16, 16))


@pytest.mark.parametrize("text", GOLDEN)
def test_forward_values(text: str) -> None:
    autoencoder = small(text)
    for name, network in autoencoder.networks.items():
        fill(network, 100 if name == "inter_B" else 0)
    decoder = autoencoder.networks["decoder_src" if text.startswith("df") else "decoder"]
    encoded = autoencoder.networks["encoder"](picture(7, 2, 64, 64, 3))
    code = autoencoder.code(encoded, "dst")
    rgb, mask = decoder(code)
    for key, tensor in {"enc": encoded, "code": code, "rgb": rgb, "mask": mask}.items():
        shape, mean, std, *elements = GOLDEN[text][key]
        got = np.asarray(tensor, np.float64)
        assert got.shape == shape
        flat = got.ravel()
        ours = [got.mean(), got.std(), flat[0], flat[flat.size // 3], flat[-1]]
        # six digits are printed: half a unit of the last one, plus float32 rounding relative to the array's scale
        expected = np.array([mean, std, *elements])
        bound = 1e-5 * max(1.0, std, abs(mean)) + 0.5e-5 * np.abs(expected)
        assert (np.abs(ours - expected) <= bound).all(), (key, ours, expected.tolist())


@pytest.mark.parametrize(("text", "dims", "encoder", "inter", "decoder"), COUNTS)
def test_parameter_counts(
    text: str, dims: Dims, encoder: tuple[int, int], inter: tuple[int, int], decoder: tuple[int, int]
) -> None:
    for name, network in build_autoencoder(Architecture.parse(text), dims).networks.items():
        expected = {"encoder": encoder, "inter": inter, "decoder": decoder}[name.split("_")[0]]
        shapes = [tuple(v.shape) for v in named_variables(network).values()]
        assert (len(shapes), sum(int(np.prod(shape)) for shape in shapes)) == expected, name


def test_tensor_names() -> None:
    networks = build_autoencoder(Architecture.parse("df-ud"), Dims(32, 4, 4, 4, 2)).networks
    layers = ["upscale0/conv1", "upscale1/conv1", "upscale2/conv1"]
    layers += [f"res{k}/conv{c}" for k in range(3) for c in (1, 2)]
    layers += ["upscalem0/conv1", "upscalem1/conv1", "upscalem2/conv1"]
    layers += ["out_conv", "out_conv1", "out_conv2", "out_conv3", "upscalem3/conv1", "out_convm"]
    names = {part: list(named_variables(network)) for part, network in networks.items()}
    assert list(networks) == ["encoder", "inter", "decoder_src", "decoder_dst"]
    assert names["decoder_dst"] == [f"{layer}/{leaf}" for layer in layers for leaf in ("weight", "bias")]
    assert names["encoder"] == [f"down1/downs_{k}/conv1/{leaf}" for k in range(4) for leaf in ("weight", "bias")]
    assert names["inter"] == [
        f"{layer}/{leaf}" for layer in ("dense1", "dense2", "upscale1/conv1") for leaf in ("weight", "bias")
    ]
    deep = build_autoencoder(Architecture.parse("liae-t"), Dims(32, 4, 4, 4, 2)).networks
    assert list(deep) == ["encoder", "inter_AB", "inter_B", "decoder"]
    assert [n.removesuffix("/weight") for n in named_variables(deep["encoder"]) if n.endswith("weight")] == [
        "down1/conv1", "res1/conv1", "res1/conv2", "down2/conv1", "down3/conv1", "down4/conv1", "down5/conv1",
        "res5/conv1", "res5/conv2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "corner"), [("out_conv", (0, 0)), ("out_conv1", (0, 1)), ("out_conv2", (1, 0)), ("out_conv3", (1, 1))]
)
def test_each_head_draws_its_own_sub_pixel(head: str, corner: tuple[int, int]) -> None:
    decoder = build_autoencoder(Architecture.parse("df-d"), Dims(32, 4, 4, 4, 2)).networks["decoder_src"]
    named_variables(decoder)[f"{head}/bias"].assign(np.array([0.5, -1.0, 2.0], np.float32))
    face = np.asarray(decoder(np.zeros((1, 2, 2, 4), np.float32))[0])
    rows, columns = np.nonzero(face[0, :, :, 0] != 0.5)
    assert set(zip(rows % 2, columns % 2, strict=True)) == {corner}
    assert len(rows) == 16 * 16
    np.testing.assert_allclose(face[0, corner[0], corner[1]], 1 / (1 + np.exp([-0.5, 1.0, -2.0])), rtol=1e-6)


def test_one_head_pixel_is_taken_from_the_middle_of_its_window() -> None:
    """The 1x1 head runs as the middle of a 3x3 kernel together with the others: it must see its own pixel alone."""
    decoder = build_autoencoder(Architecture.parse("df-d"), Dims(32, 4, 4, 4, 2)).networks["decoder_src"]
    weight = np.zeros((1, 1, 8, 3), np.float32)
    weight[0, 0, 5] = 1.0
    named_variables(decoder)["out_conv/weight"].assign(weight)
    features = np.zeros((1, 4, 4, 8), np.float32)
    features[0, 1, 2, 5] = 3.0
    logits = np.asarray(decoder._face_logits(features))
    assert [tuple(index) for index in np.argwhere(logits[0, :, :, 0])] == [(2, 4)]
    assert logits[0, 2, 4].tolist() == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("text", ["df-ud", "liae-ud"])
def test_swap_and_redraw_agree_with_the_parts(text: str) -> None:
    autoencoder = small(text, 32)
    for number, network in enumerate(autoencoder.networks.values()):
        fill(network, 37 * number)
    src, dst = picture(1, 2, 32, 32, 3), picture(2, 2, 32, 32, 3)
    encoder = autoencoder.networks["encoder"]
    decoder_src = autoencoder.networks["decoder_src" if text.startswith("df") else "decoder"]
    decoder_dst = autoencoder.networks["decoder_dst" if text.startswith("df") else "decoder"]
    drawn, swapped = autoencoder.redraw(src, dst), autoencoder.swap(dst)
    expected_src = decoder_src(autoencoder.code(encoder(src), "src"))
    expected_dst = decoder_dst(autoencoder.code(encoder(dst), "dst"))
    expected_swap = decoder_src(autoencoder.code(encoder(dst), "swap"))
    pairs = [(drawn.src, expected_src[0]), (drawn.src_mask, expected_src[1]), (drawn.dst, expected_dst[0])]
    pairs += [(drawn.dst_mask, expected_dst[1]), (swapped.dst_mask, expected_dst[1])]
    pairs += [(swapped.face, expected_swap[0]), (swapped.src_mask, expected_swap[1])]
    for got, expected in pairs:
        np.testing.assert_allclose(np.asarray(got), np.asarray(expected), atol=2e-6)
    assert np.abs(np.asarray(swapped.face) - np.asarray(drawn.dst)).max() > 0.1


def test_bf16_trunk_draws_nearly_the_same_and_keeps_float32_weights_and_heads() -> None:
    exact = small("df-ud")
    coarse = build_autoencoder(Architecture.parse("df-ud"), Dims(64, 32, 16, 16, 16), trunk="mixed_bfloat16")
    for name in exact.networks:
        fill(exact.networks[name])
        fill(coarse.networks[name])
        assert {v.dtype for v in named_variables(coarse.networks[name]).values()} == {"float32"}
    faces = picture(7, 2, 64, 64, 3)
    expected, got = exact.swap(faces), coarse.swap(faces)
    assert np.asarray(got.face).dtype == np.float32
    difference = np.abs(np.asarray(got.face) - np.asarray(expected.face))
    assert 0.0 < difference.mean() < 0.01  # bfloat16 keeps 8 bits: about 0.4 % per layer


@pytest.mark.parametrize("text", ["df", "DF-ud", "liae-cutd", "liae-uu"])
def test_architectures_that_parse(text: str) -> None:
    parsed = Architecture.parse(text)
    assert Architecture.parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "df-", "dfhd", "df-x", "liaeuhd", "saehd-ud", "df ud"])
def test_architectures_that_do_not(text: str) -> None:
    with pytest.raises(BadOption, match=r"Received: "):
        Architecture.parse(text)


@pytest.mark.parametrize(("text", "resolution"), [("df", 72), ("df-d", 80), ("df-t", 144), ("liae-ud", 0)])
def test_resolutions_that_cannot_be_built(text: str, resolution: int) -> None:
    with pytest.raises(BadOption, match=rf"Received: {resolution}\."):
        build_autoencoder(Architecture.parse(text), Dims(resolution, 32, 16, 16, 16))
