"""Named tensors in and out of a network."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.nn.layers import ResidualBlock, leaky
from core.nn.weights import export_tensors, import_tensors, initialize, named_variables

NAMES = ["conv1/weight", "conv1/bias", "conv2/weight", "conv2/bias"]


def block(name: str = "encoder") -> ResidualBlock:
    layer = ResidualBlock(16, leaky, name=name)
    layer.build((None, 4, 4, 16))
    return layer


def filled(seed: int, name: str = "encoder") -> dict[str, np.ndarray]:
    layer = block(name)
    initialize(layer, seed)
    return export_tensors(named_variables(layer))


def test_names_are_paths_below_the_network() -> None:
    assert list(named_variables(block())) == NAMES


def test_same_seed_same_weights_and_every_tensor_its_own() -> None:
    first, again, other = filled(3), filled(3), filled(4)
    for name in NAMES:
        np.testing.assert_array_equal(first[name], again[name])
    for a, b in [(first["conv1/weight"], other["conv1/weight"]), (first["conv1/weight"], first["conv2/weight"])]:
        assert np.abs(a - b).max() > 0.01
    assert np.abs(first["conv1/weight"] - filled(3, "decoder_src")["conv1/weight"]).max() > 0.01


def test_kernels_are_glorot_uniform_and_the_rest_zero() -> None:
    tensors = filled(0)
    limit = np.sqrt(6 / (9 * 16 + 9 * 16))
    kernel = tensors["conv1/weight"]
    assert kernel.dtype == np.float32
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert kernel.mean() == pytest.approx(0, abs=0.01)
    assert not tensors["conv2/bias"].any()


def test_export_is_a_copy_and_import_brings_it_back() -> None:
    layer = block()
    initialize(layer, 5)
    tensors = export_tensors(named_variables(layer))
    initialize(layer, 6)
    np.testing.assert_array_equal(tensors["conv1/weight"], filled(5)["conv1/weight"])
    import_tensors("encoder", named_variables(layer), tensors)
    for name, tensor in export_tensors(named_variables(layer)).items():
        np.testing.assert_array_equal(tensor, tensors[name])


def test_what_does_not_fit_is_named_and_nothing_is_changed() -> None:
    layer = block()
    initialize(layer, 5)
    tensors = filled(6)
    del tensors["conv1/bias"]
    tensors["conv3/weight"] = np.zeros(3, np.float32)
    tensors["conv2/weight"] = np.zeros((3, 3, 16, 8), np.float32)
    tensors["conv2/bias"] = np.full(16, np.nan, np.float32)
    with pytest.raises(FaceLoomError) as caught:
        import_tensors("decoder_src", named_variables(layer), tensors)
    sentence = str(caught.value)
    assert "'decoder_src'" in sentence
    assert "conv1/bias is missing" in sentence
    assert "conv3/weight is unexpected" in sentence
    assert "conv2/weight has shape (3, 3, 16, 8) instead of (3, 3, 16, 16)" in sentence
    assert "conv2/bias holds values that are not finite" in sentence
    for name, tensor in export_tensors(named_variables(layer)).items():
        np.testing.assert_array_equal(tensor, filled(5)[name])


def test_tensors_that_are_no_numbers_are_refused() -> None:
    layer = block()
    tensors = filled(6)
    tensors["conv1/bias"] = np.array(["a"] * 16)
    with pytest.raises(FaceLoomError, match="conv1/bias holds <U1 instead of numbers"):
        import_tensors("encoder", named_variables(layer), tensors)
