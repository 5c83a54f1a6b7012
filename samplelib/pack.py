"""The pack of a faceset, `faceset.h5`: all faces of a folder in one file that opens at once.

It is an HDF5 file of plain arrays, each stored in one piece and uncompressed; N faces:

    attributes      schema "FaceLoom.Faceset.1", a text of fixed length; index_crc32, the CRC-32 of all arrays but the
                    first, in this order
    jpegs           uint8 (bytes,)       the N face files as they were, one after the other, records and all
    offsets         uint64 (N + 1,)      face i is jpegs[offsets[i]:offsets[i + 1]]
    sha256          uint8 (N, 32)        of each face file
    sides           uint16 (N,)          width and height of each picture, pixels
    face_types      uint8 (N,)           0 half, 1 midfull, 2 full, 3 whole, 4 head
    landmarks, frame_landmarks           float32 (N, 68, 2)
    frame_bboxes    float32 (N, 4)
    frame_to_face   float64 (N, 2, 3)
    brow_lifts      float64 (N,)
    mask_offsets    uint64 (N + 1,)      the applied mask of face i is masks[mask_offsets[i]:mask_offsets[i + 1]];
    masks           uint8 (bytes,)       a PNG file, or nothing where none was applied
    texts           uint8 (bytes,)       JSON: "names" (N file names, perhaps with one folder: "person/00001.jpg"),
                                         "frame_names" (N), "detectors" (N), and "further": {"<i>": {"polygons",
                                         "extra"}} for the faces that have any (facelib/face_record.py)

The arrays hold nothing that the face files do not hold: they are the index that lets 100,000 faces open in less than
two seconds (benchmarks/pack.py). A stranger's pack can neither run code nor reach beyond itself: links, virtual and
external data and compression are refused, and every rule of a face record is checked, over all faces at once.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile, FaceLoomError
from core.files import atomic_path, require_free_space
from core.hdf5 import fixed_text, read_attribute
from core.jpeg import jpeg_size
from core.progress import SILENT, Progress
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata, metadata_from_jpeg, read_face
from samplelib.pack_index import (
    INDEX_ARRAYS,
    TEXT,
    assemble_records,
    check_index,
    columns_of,
)
from samplelib.sample import FacePlace, Sample

PACK_NAME = "faceset.h5"

_SCHEMA = "FaceLoom.Faceset.1"
_FACE_TYPES = tuple(FaceType)
_AGAIN = "Pack the faces again, or put the pack away and use the face files."


@dataclass(frozen=True)
class PackedFile:
    """One face file that goes into a pack, and what it is called there: a file name, perhaps below one folder."""

    path: Path
    name: str


def write_pack(path: Path, files: Sequence[PackedFile], progress: Progress = SILENT) -> list[tuple[Path, str]]:
    """Packs face files; the finished pack is opened again and every face in it compared before it takes its place.

    Returns:
        The files that are no faces and were left out, each with the reason.

    Raises:
        FaceLoomError: no file is a face, a file changed meanwhile, the disk is full, or the pack does not read back.
    """
    faces: list[tuple[PackedFile, FaceMetadata]] = []
    problems: list[tuple[Path, str]] = []
    sides: list[int] = []
    lengths: list[int] = []
    prints: list[bytes] = []
    with progress.task("Reading faces", len(files), "face") as task:
        for file in files:
            try:
                jpeg, metadata = read_face(file.path)
                sides.append(_square_side(jpeg, file.path))
                faces.append((file, metadata))
                lengths.append(len(jpeg))
                prints.append(hashlib.sha256(jpeg).digest())
            except FaceLoomError as problem:
                problems.append((file.path, problem.why if isinstance(problem, BrokenFile) else problem.what))
            task.advance()
    if not faces:
        raise FaceLoomError(f"None of the {len(files)} files is a face, so no pack was made.", "Extract faces first.")
    columns = columns_of([metadata for _, metadata in faces], [file.name for file, _ in faces])
    columns["offsets"] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint64)
    columns["sha256"] = np.frombuffer(b"".join(prints), np.uint8).reshape(-1, 32)
    columns["sides"] = np.array(sides, np.uint16)
    require_free_space(path.parent, sum(lengths) + sum(column.nbytes for column in columns.values()))
    with atomic_path(path) as unfinished:
        _write(unfinished, columns, [file for file, _ in faces], progress)
        _verify(unfinished, faces, progress)
    return problems


def _square_side(jpeg: bytes, path: Path) -> int:
    width, height = jpeg_size(jpeg, path)
    if width != height:
        raise BrokenFile(path, f"a face is square, and this is {width} x {height} pixels.")
    return width


def _write(path: Path, columns: dict[str, NDArray], files: Sequence[PackedFile], progress: Progress) -> None:
    offsets = columns["offsets"]
    # The file lies on a Python stream, so any path will do and a full disk is an OSError with its number.
    with open(path, "w+b") as stream, h5py.File(stream, "w") as pack:
        pack.attrs["schema"] = fixed_text(_SCHEMA)
        pack.attrs["index_crc32"] = np.uint32(_crc32(columns))
        jpegs = pack.create_dataset("jpegs", (int(offsets[-1]),), np.uint8)
        for name in INDEX_ARRAYS:
            pack.create_dataset(name, data=columns[name])
        with progress.task("Packing faces", len(files), "face") as task:
            for number, file in enumerate(files):
                jpeg = np.frombuffer(file.path.read_bytes(), np.uint8)
                start, end = int(offsets[number]), int(offsets[number + 1])
                if len(jpeg) != end - start:
                    raise BrokenFile(file.path, "it changed while it was packed.", "Run the step again.")
                jpegs[start:end] = jpeg
                task.advance()


def _crc32(columns: dict[str, NDArray]) -> int:
    total = 0
    for name in INDEX_ARRAYS:
        total = zlib.crc32(np.ascontiguousarray(columns[name]).reshape(-1).view(np.uint8).data, total)
    return total


def _verify(path: Path, faces: Sequence[tuple[PackedFile, FaceMetadata]], progress: Progress) -> None:
    """Reads the finished file as anybody would, and compares every byte and every record with the face files."""
    samples, prints = _open(path)
    same = len(samples) == len(faces)
    with progress.task("Checking the pack", len(samples), "face") as task:
        for sample, seen, (file, metadata) in zip(samples, prints, faces, strict=False):
            jpeg = sample.place.read()
            same = same and hashlib.sha256(jpeg).digest() == seen.tobytes() and sample.place.packed_name == file.name
            same = same and sample.metadata == metadata == metadata_from_jpeg(jpeg, file.path)
            if not same:
                raise FaceLoomError(
                    f"{file.path} does not read back from the pack as it is on the disk, so the pack was not kept.",
                    "Run the step again; if it happens again, check the disk.",
                )
            task.advance()
    if not same:
        raise FaceLoomError("The pack does not hold all faces, so it was not kept.", "Check the disk.")


def open_pack(path: Path) -> list[Sample]:
    """The faces of a pack in the order they were packed; their records are in memory, their pictures on the disk.

    Raises:
        BrokenFile: not a pack, damaged, cut off, or breaking a rule of the format.
    """
    return _open(path)[0]


def check_pack(path: Path, progress: Progress = SILENT) -> list[Sample]:
    """As `open_pack`, and every byte of every face is read and compared with its SHA-256.

    Raises:
        BrokenFile: as `open_pack`, or a face is not what was packed.
    """
    samples, prints = _open(path)
    with progress.task("Checking the pack", len(samples), "face") as task:
        for sample, seen in zip(samples, prints, strict=True):
            if hashlib.sha256(sample.place.read()).digest() != seen.tobytes():
                raise BrokenFile(path, f"the face {sample.place.packed_name} in it is damaged.", _AGAIN)
            task.advance()
    return samples


def _open(path: Path) -> tuple[list[Sample], NDArray]:
    """The faces, and the SHA-256 of each: uint8 (N, 32)."""
    try:
        with open(path, "rb") as stream, h5py.File(stream, "r") as pack:
            if read_attribute(pack, "schema") != _SCHEMA.encode():
                raise BrokenFile(path, "this is not a faceset packed by FaceLoom, or by a later version.")
            columns, begin = _read_columns(pack, path, path.stat().st_size)
            if _crc32(columns) != read_attribute(pack, "index_crc32"):
                raise BrokenFile(path, "its index is damaged.", _AGAIN)
        texts = _read_texts(columns[TEXT])
        check_index(columns, texts)
        records = assemble_records(columns, texts)
    except (BrokenFile, MemoryError):
        raise
    except OSError as problem:
        raise BrokenFile(path, f"the pack cannot be read, or is cut off ({problem}).", _AGAIN) from problem
    except (KeyError, ValueError, TypeError, RuntimeError, RecursionError) as problem:
        raise BrokenFile(path, f"the pack is damaged: {problem}", _AGAIN) from problem
    starts = (columns["offsets"].astype(np.int64) + begin).tolist()
    lengths = np.diff(columns["offsets"].astype(np.int64)).tolist()
    places = (FacePlace(path, *place) for place in zip(starts[:-1], lengths, texts["names"], strict=True))
    sides = columns["sides"].tolist()
    return [Sample(*face) for face in zip(places, records, sides, strict=True)], columns["sha256"]


def _read_columns(pack: h5py.File, path: Path, size: int) -> tuple[dict[str, NDArray], int]:
    """The index, and where the face files begin in the pack, bytes."""
    unknown = set(pack) ^ {"jpegs", *INDEX_ARRAYS}
    if unknown:
        raise BrokenFile(path, f"the pack lacks {sorted(unknown)[0]}, or holds something of that name.", _AGAIN)
    for name in pack:
        link = pack.get(name, getlink=True)
        dataset = pack[name] if isinstance(link, h5py.HardLink) else None
        plain = isinstance(dataset, h5py.Dataset) and dataset.chunks is None and not dataset.is_virtual
        if dataset is None or not plain or dataset.external or dataset.dtype.kind not in "uf" or dataset.nbytes > size:
            raise BrokenFile(path, f"{name} in it is stored in a way that a pack never uses.", _AGAIN)
    jpegs = pack["jpegs"]
    begin = jpegs.id.get_offset()
    if jpegs.dtype != np.uint8 or jpegs.ndim != 1 or begin is None or begin + len(jpegs) > size:
        raise BrokenFile(path, "the pack is cut off.", _AGAIN)
    columns = {name: pack[name][()] for name in INDEX_ARRAYS}
    if len(columns["offsets"]) < 2 or int(columns["offsets"][-1]) != len(jpegs):
        raise BrokenFile(path, "its index does not fit its faces.", _AGAIN)
    return columns, int(begin)


def _read_texts(texts: NDArray) -> dict[str, Any]:
    record = json.loads(texts.tobytes())
    if not isinstance(record, dict) or set(record) != {"names", "frame_names", "detectors", "further"}:
        raise ValueError("its texts are not the four that a pack has.")
    return record
