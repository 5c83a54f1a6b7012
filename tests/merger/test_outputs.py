"""Every form a frame is written in, read back: depth, alpha, layers, linear light."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from core.images import decode_bgra, decode_gray, decode_image
from merger.compositing import FaceLayers, MergedFrame
from merger.outputs import FORMS, SUFFIXES, RawWriter, frame_writer

OpenEXR = pytest.importorskip("OpenEXR")
NAMELESS = Path("x")


def scene(dtype: type) -> tuple[NDArray, MergedFrame]:
    """A source frame and a merged one: noise, with a soft mask."""
    rng = np.random.default_rng(3)
    most = np.iinfo(dtype).max
    pictures: list[NDArray] = [rng.integers(0, most + 1, (20, 30, 3)).astype(dtype) for _ in range(3)]
    source, image, colors = pictures
    mask: NDArray = np.round(np.linspace(0, 1, 30) * most).astype(dtype) * np.ones((20, 1), dtype)
    return source, MergedFrame(image, mask, FaceLayers(colors, np.full((20, 30), 2, np.uint8)))


@pytest.mark.parametrize(
    ("form", "source_depth", "frame_depth"),
    [
        ("png", np.uint8, np.uint8),
        ("png", np.uint16, np.uint16),
        ("png8", np.uint8, np.uint8),
        ("png8", np.uint16, np.uint8),
        ("png16", np.uint16, np.uint16),
        ("tiff16", np.uint16, np.uint16),
    ],
)
def test_plain_forms_keep_every_level(form: str, source_depth: type, frame_depth: type) -> None:
    source, merged = scene(source_depth)
    image, mask = frame_writer(form).encode(merged, source)
    back, back_mask = decode_image(image, NAMELESS), decode_gray(mask, NAMELESS)
    assert back.dtype == back_mask.dtype == frame_depth
    if source_depth == frame_depth:
        assert np.array_equal(back, merged.image)
        assert np.array_equal(back_mask, merged.mask)
    else:
        assert np.array_equal(back, np.floor(merged.image / 257 + 0.5))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_raw_frames_are_the_picture_or_the_layer_and_the_mask(dtype: type) -> None:
    source, merged = scene(dtype)
    assert merged.layers is not None
    for with_layer, colors in ((False, merged.image), (True, merged.layers.colors)):
        image, mask = RawWriter(with_layer).encode(merged, source)
        assert np.array_equal(decode_image(image, NAMELESS), colors)
        assert np.array_equal(decode_gray(mask, NAMELESS), merged.mask)
        assert decode_gray(mask, NAMELESS).dtype == dtype
        assert len(image) - colors.nbytes < 32


@pytest.mark.parametrize("form", ["png16", "tiff16", "exr"])
def test_shallow_frames_are_blended_with_sixteen_bits_where_the_form_has_them(form: str) -> None:
    shallow = np.arange(256, dtype=np.uint8).reshape(16, 16)
    deep = frame_writer(form).prepare(shallow)
    assert deep.dtype == np.uint16
    assert np.array_equal(deep, shallow.astype(int) * 257)
    assert np.array_equal(frame_writer("png").prepare(shallow), shallow)
    assert frame_writer(form).prepare(deep) is deep


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgba_is_the_face_layer_with_straight_alpha(dtype: type) -> None:
    source, merged = scene(dtype)
    image, mask = frame_writer("png-rgba").encode(merged, source)
    back = decode_bgra(image, NAMELESS)
    assert merged.layers is not None
    assert back.dtype == dtype
    assert np.array_equal(back[..., :3], merged.layers.colors)  # where the alpha is 0, too
    assert np.array_equal(back[..., 3], merged.mask)
    assert np.array_equal(decode_gray(mask, NAMELESS), merged.mask)


def channels(data: bytes) -> tuple[dict[str, NDArray], dict[str, object]]:
    with OpenEXR.File(io.BytesIO(data), separate_channels=True) as opened:
        return {name: np.array(channel.pixels) for name, channel in opened.channels().items()}, dict(opened.header())


def test_exr_has_its_layers_in_half_floats() -> None:
    source, merged = scene(np.uint16)
    image, mask = frame_writer("exr", None, "bt2020", with_source=True).encode(merged, source)
    layers, header = channels(image)
    names = {f"{layer}{color}" for layer in ("", "face.", "src.") for color in "RGB"}
    assert set(layers) == names | {"mask.A", "face.id"}
    assert merged.layers is not None
    for layer, picture in (("", merged.image), ("face.", merged.layers.colors), ("src.", source)):
        for number, color in enumerate("BGR"):
            assert layers[f"{layer}{color}"].dtype == np.float16
            assert np.array_equal(layers[f"{layer}{color}"], (picture[..., number] / 65535).astype(np.float16))
    assert np.array_equal(layers["mask.A"], (merged.mask / 65535).astype(np.float16))
    assert (layers["face.id"] == 2).all()
    assert np.allclose(header["chromaticities"], (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329))  # type: ignore[arg-type]
    assert decode_gray(mask, NAMELESS).dtype == np.uint16
    assert header["faceloomTransfer"] == "asis"
    assert set(channels(frame_writer("exr", None).encode(merged, source)[0])[0]) & {"src.R"} == set()


@pytest.mark.parametrize(
    ("transfer", "code", "light"),
    [
        ("bt709", 0.5, 0.2596),  # BT.709: ((0.5 + 0.099) / 1.099) ^ (1 / 0.45)
        ("iec61966-2-1", 0.5, 0.2140),  # sRGB's well-known middle
        ("smpte2084", 0.508078, 1.0),  # ST 2084: 100 cd/m2 lie at code 0.5081
        ("arib-std-b67", 0.5, 1 / 12),  # BT.2100: the two pieces of HLG meet at 1/12
    ],
)
def test_exr_is_linear_light_but_for_the_mask(transfer: str, code: float, light: float) -> None:
    image = np.full((2, 2, 3), round(code * 65535), np.uint16)
    merged = MergedFrame(image, image[..., 0].copy(), FaceLayers(image, np.zeros((2, 2), np.uint8)))
    layers, header = channels(frame_writer("exr", transfer).encode(merged, image)[0])
    for name in ("R", "face.B"):
        assert layers[name] == pytest.approx(light, rel=2e-3)  # half floats have 11 bits
    assert layers["mask.A"] == pytest.approx(code, rel=1e-3)
    assert transfer in str(header["comments"])
    assert header["faceloomTransfer"] == transfer
    assert ("cd/m2" in str(header["comments"])) == (transfer == "smpte2084")


@pytest.mark.parametrize("form", ["png-rgba", "exr"])
def test_raw_predict_writes_the_square_alone(form: str) -> None:
    square = np.full((8, 8, 3), 30000, np.uint16)
    mask = np.full((8, 8), 40000, np.uint16)
    source = np.zeros((20, 30, 3), np.uint16)
    data, _ = frame_writer(form, None, with_source=True).encode(MergedFrame(square, mask), source)
    if form == "png-rgba":
        assert decode_bgra(data, NAMELESS).shape == (8, 8, 4)
    else:
        layers, _ = channels(data)
        assert "src.R" not in layers
        assert (layers["face.id"] == 1).all()


def test_files_of_equal_frames_are_equal_and_keys_tell_forms_apart() -> None:
    source, merged = scene(np.uint16)
    writers = [frame_writer(form) for form in FORMS] + [
        frame_writer("exr", "bt709"),
        frame_writer("exr", "bt709", "bt2020"),
        frame_writer("exr", "bt709", "bt2020", True),
    ]
    assert len({writer.key for writer in writers}) == len(writers)
    for writer in writers:
        assert writer.encode(merged, source) == writer.encode(merged, source)
        assert set(writer.suffixes) <= set(SUFFIXES)
        assert writer.needs_layers == (writer.key.startswith("exr") or writer.key == "png-rgba")


def test_tiffs_are_read_by_others() -> None:
    source, merged = scene(np.uint16)
    data, _ = frame_writer("tiff16").encode(merged, source)
    assert data[:2] in (b"II", b"MM")
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert back is not None
    assert np.array_equal(back, merged.image)
