"""core.hdf5: what is written is read; what could hurt is not touched."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from core.hdf5 import fixed_text, read_attribute


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (fixed_text("encoder 空间"), "encoder 空间".encode()),
        (np.uint32(7), 7),
        ("of variable length", None),
        (np.array([1, 2]), None),
        (1.5, None),
    ],
)
def test_attributes(written: Any, found: Any) -> None:
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        file.attrs["x"] = written
        assert read_attribute(file, "x") == found
        assert read_attribute(file, "y") is None
