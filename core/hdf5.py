"""Attributes of HDF5 files that cannot hurt: texts of fixed length and whole numbers, nothing else."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np


def fixed_text(text: str) -> np.bytes_:
    """`text` as an attribute is written: UTF-8 of fixed length."""
    return np.bytes_(text.encode("utf-8"))


def read_attribute(file: h5py.File, name: str) -> Any:
    """A text of fixed length (bytes) or a whole number (int); None for anything else, and where there is none.

    Texts of variable length lie in a heap, and in a damaged one the HDF5 library searches without end (found by
    fuzzing), so those are not even touched.
    """
    if name not in file.attrs:
        return None
    kind = h5py.h5a.open(file.id, name.encode()).get_type()
    fixed = isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str()
    if not fixed and not isinstance(kind, h5py.h5t.TypeIntegerID):
        return None
    value = file.attrs[name]
    return value.item() if value.ndim == 0 else None
