"""One part of a model (a network, or the optimizer) as one HDF5 file.

    encoder.h5
      attributes  schema "FaceLoom.Part.1", part "encoder", digest (SHA-256 over all tensors, see `digest_of`)
      datasets    one per tensor, at the path that is its name: down1/downs_0/conv1/weight

Numbers only (float, integer, bool), stored in one piece, uncompressed. Reading refuses whatever else HDF5 can hold
(links into other files, virtual and external data, objects), so a stranger's file can neither run code nor reach
beyond itself. Files are read and written whole by Python; HDF5 works in memory, so any path will do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from core.errors import BrokenFile
from core.hdf5 import fixed_text, read_attribute

SUFFIX = ".h5"
_SCHEMA = "FaceLoom.Part.1"


def digest_of(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256, in hexadecimal, over name, type, shape and little-endian bytes of every tensor in order of name."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        array = _little_endian(tensors[name])
        total.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        total.update(array.reshape(-1).view(np.uint8).data if array.size else b"")
    return total.hexdigest()


def encode_part(part: str, tensors: Mapping[str, np.ndarray]) -> bytes:
    """The content of a part's file."""
    with h5py.File(part, "w", driver="core", backing_store=False) as file:  # a name only: nothing is written to disk
        for name, text in (("schema", _SCHEMA), ("part", part), ("digest", digest_of(tensors))):
            file.attrs[name] = fixed_text(text)
        for name in sorted(tensors):
            file.create_dataset(name, data=_little_endian(tensors[name]))
        file.flush()
        return file.id.get_file_image()


def decode_part(data: bytes, path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Reads the content of a part's file.

    Args:
        path: where the content came from, for the error.

    Returns:
        The part's name and its tensors.

    Raises:
        BrokenFile: not such a file, damaged, or holding what a part never holds.
    """
    try:
        with h5py.File(BytesIO(data), "r") as file:
            schema, part, digest = (_text(file, name) for name in ("schema", "part", "digest"))
            if schema != _SCHEMA:
                raise BrokenFile(path, "this is not a part of a FaceLoom model.")
            tensors: dict[str, np.ndarray] = {}
            _collect(file, "", tensors, path)
    except BrokenFile:
        raise
    except Exception as problem:  # HDF5 reports damage as OSError, KeyError, RuntimeError, ValueError or TypeError
        raise BrokenFile(path, f"the file is damaged ({type(problem).__name__}).") from problem
    if digest_of(tensors) != digest:
        raise BrokenFile(path, "the file is damaged: its checksum does not match its content.")
    return part, tensors


def _text(file: h5py.File, name: str) -> str:
    text = read_attribute(file, name)
    return text.decode("utf-8") if isinstance(text, bytes) else ""


def _collect(group: h5py.Group, prefix: str, tensors: dict[str, np.ndarray], path: Path) -> None:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise BrokenFile(path, f"{prefix}{name} points outside the file; that is not allowed.")
        item = group[name]
        if isinstance(item, h5py.Group):
            if prefix.count("/") > 16:
                raise BrokenFile(path, "its groups are nested without end.")
            _collect(item, f"{prefix}{name}/", tensors, path)
        elif not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub" or item.is_virtual or item.external:
            raise BrokenFile(path, f"{prefix}{name} is not a plain array of numbers.")
        else:
            tensors[f"{prefix}{name}"] = np.asarray(item[()])


def _little_endian(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"A tensor must hold numbers. Received: {array.dtype}.")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
