"""The pack of DeepFaceLab, `faceset.pak`: many face files in one, read and written.

All numbers are 64 bits, unsigned, little-endian:

    offset          content
    0               version, 1
    8               P, length of the list below
    16              an object stream: a list of n dictionaries, one per face
    16 + P          n + 1 places: of each face relative to D; the last one is the size of the whole file, or that less D
    D               16 + P + 8 (n + 1): the n JPEG files, one after the other, each with its own record

Where a face lies follows from the places alone, so a pack opens at once however large it is; the list is read only for
the names. Records are read from the JPEG files: the numbers for face types in the list changed over the years.
Source: spec faces-and-formats 1.2, 8.1.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from core.errors import BrokenFile, FaceLoomError
from core.files import atomic_path
from core.jpeg import jpeg_size
from core.legacy_pickle import Limits, decode
from core.legacy_writer import EnumMember, encode_items
from facelib.face_record import FaceMetadata
from facelib.legacy import plain_name
from facelib.legacy_export import dfl_face

PACK_NAME = "faceset.pak"

_VERSION = 1
_SMALLEST_JPEG = 100
_LARGEST_LIST = 4 << 30
_SCANNED_AT_ONCE = 1 << 16
_SAMPLE_TYPE = ("samplelib.Sample", "SampleType")
_FACE_TYPE = ("facelib.FaceType", "FaceType")
_FACE = EnumMember(*_SAMPLE_TYPE, 1)
_NUMBERS = {
    "half_face": 0,
    "midfull_face": 1,
    "full_face": 2,
    "full_face_no_align": 3,
    "whole_face": 4,
    "head": 10,
    "head_no_align": 20,
}


@dataclass(frozen=True)
class PackedName:
    """What a pack calls a face: a plain file name, and the folder it came from (None: none)."""

    name: str
    person: str | None = None

    def __str__(self) -> str:
        return self.name if self.person is None else f"{self.person}/{self.name}"


class LegacyPack:
    """A `faceset.pak`. `len` tells how many faces it has; they are numbered from 0.

    Attributes:
        path: the file.
        places: (n + 1,) int64; face i takes the bytes places[i] to places[i + 1] of the file.

    Raises:
        BrokenFile: no pack of version 1, or its places are damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open(path, "rb") as stream:
                self._list_bytes, self.places = _read_places(stream, path.stat().st_size, path)
        except OSError as problem:
            raise BrokenFile(path, f"cannot be read ({problem.strerror}).") from problem

    def __len__(self) -> int:
        return len(self.places) - 1

    def place(self, index: int) -> tuple[int, int]:
        """(offset, length) in bytes of a face in the file."""
        return int(self.places[index]), int(self.places[index + 1] - self.places[index])

    def jpeg(self, index: int) -> bytes:
        """The JPEG file of a face as it was packed. BrokenFile where the pack cannot be read."""
        offset, length = self.place(index)
        try:
            with open(self.path, "rb") as stream:
                stream.seek(offset)
                return stream.read(length)
        except OSError as problem:
            raise BrokenFile(self.path, f"cannot be read ({problem.strerror}).") from problem

    @cached_property
    def names(self) -> tuple[PackedName, ...]:
        """What each face is called. A name that could lead out of a folder is changed; no two are the same.

        Raises:
            BrokenFile: the list is damaged, of another length, or asks for something it must not have.
        """
        try:
            with open(self.path, "rb") as stream:
                stream.seek(16)
                data = stream.read(self._list_bytes)
            entries = decode(data, Limits.of_file(len(data)), (_SAMPLE_TYPE, _FACE_TYPE))
        except OSError as problem:
            raise BrokenFile(self.path, f"cannot be read ({problem.strerror}).") from problem
        except ValueError as problem:
            raise BrokenFile(self.path, f"its list of faces is refused: {problem}") from problem
        if not isinstance(entries, list) or len(entries) != len(self):
            raise BrokenFile(self.path, f"its list does not name the {len(self)} faces that it holds.")
        taken: dict[str, int] = {}  # name -> how often it came
        return tuple(_unique_name(entry, index, taken, self.path) for index, entry in enumerate(entries))


def _read_places(stream: BinaryIO, size: int, path: Path) -> tuple[int, np.ndarray]:
    """The length of the list, and where the faces lie. Nothing tells how many: the places end where the size stands."""
    head = stream.read(16)
    if len(head) < 16:
        raise BrokenFile(path, "the pack is cut off.", "Make it again.")
    version, list_bytes = struct.unpack("<QQ", head)
    if version != _VERSION:
        raise BrokenFile(path, f"this is no pack of version {_VERSION}. Received: version {version}.")
    if list_bytes > min(size - 24, _LARGEST_LIST):
        raise BrokenFile(path, f"its list of faces should have {list_bytes} bytes, more than the file holds.")
    start = 16 + list_bytes
    stream.seek(start)
    found: list[np.ndarray] = []
    count = 0
    while True:
        entries = np.frombuffer(stream.read(8 * _SCANNED_AT_ONCE)[: 8 * ((size - start) // 8 - count)], "<u8")
        after = start + 8 * (count + 1 + np.arange(len(entries), dtype=np.uint64))  # where the faces would begin
        ends = np.flatnonzero((entries == size) | (entries == size - after))
        last = int(ends[0]) if len(ends) else len(entries)
        found.append(entries[:last])
        count += last
        if len(ends):
            break
        if len(entries) == 0 or int(entries[-1]) > size or np.any(entries[1:] <= entries[:-1]):
            raise BrokenFile(path, "the table of its faces is damaged: it does not rise to the end of the file.")
    begin = start + 8 * (count + 1)
    table = np.concatenate(found)
    places = np.append(table.astype(np.int64), size - begin)
    if begin > size or np.any(table > size) or places[0] != 0 or np.any(np.diff(places) < _SMALLEST_JPEG):
        raise BrokenFile(path, "the table of its faces is damaged: it does not rise from 0 by the size of a picture.")
    return list_bytes, places + begin


def _unique_name(entry: Any, index: int, taken: dict[str, int], path: Path) -> PackedName:
    if not isinstance(entry, dict):
        raise BrokenFile(path, f"its list of faces is refused: entry {index} is no dictionary.")
    name = _safe(entry.get("filename"), f"{index + 1:05d}.jpg")
    person = None if entry.get("person_name") is None else _safe(entry.get("person_name"), "person")
    stem, dot, suffix = name.rpartition(".")
    packed = first = PackedName(name, person)
    while str(packed).casefold() in taken:
        number = taken[str(first).casefold()] = taken[str(first).casefold()] + 1
        packed = PackedName(f"{stem}_{number}{dot}{suffix}" if dot else f"{name}_{number}", person)
    taken[str(packed).casefold()] = 1
    return packed


def _safe(name: Any, instead: str) -> str:
    """A plain file name as near to `name` as can be."""
    try:
        return plain_name(name)
    except ValueError:
        if not isinstance(name, str):
            return instead
    changed = re.sub(r'[/\\:*?"<>|\x00-\x1f\x7f]', "_", name[-200:]).strip(" ._")
    try:
        return plain_name(changed)
    except ValueError:
        return instead


@dataclass(frozen=True)
class FaceToPack:
    """A face that goes into a pack: its JPEG file, its record, and what it shall be called."""

    jpeg: bytes
    metadata: FaceMetadata
    name: PackedName


def write_legacy_pack(path: Path, faces: Iterable[FaceToPack]) -> int:
    """Writes a `faceset.pak` whole or not at all, opens it again and compares every face. Returns how many there are.

    Raises:
        BrokenFile, FaceLoomError: as `dfl_face`, or what was read back is not what was written.
    """
    lengths: list[int] = []
    prints: list[bytes] = []
    with atomic_path(path) as unfinished, tempfile.TemporaryFile(dir=path.parent) as pictures:
        with open(unfinished, "wb") as stream:
            stream.write(bytes(16))
            for piece in encode_items(_listed(faces, pictures, lengths, prints)):
                stream.write(piece)
            list_bytes = stream.tell() - 16
            places = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype("<u8")
            places[-1] = 16 + list_bytes + 8 * len(places) + sum(lengths)
            stream.write(places.tobytes())
            pictures.seek(0)
            shutil.copyfileobj(pictures, stream, 1 << 20)
            stream.seek(0)
            stream.write(struct.pack("<QQ", _VERSION, list_bytes))
        written = LegacyPack(unfinished)
        same = len(written) == len(prints) == len(written.names)
        if not same or any(hashlib.sha256(written.jpeg(n)).digest() != seen for n, seen in enumerate(prints)):
            raise FaceLoomError(f"{path}: the pack does not read back as it was written.", "Check the disk.")
    return len(prints)


def _listed(
    faces: Iterable[FaceToPack], pictures: BinaryIO, lengths: list[int], prints: list[bytes]
) -> Iterator[dict[str, Any]]:
    """The dictionary of each face; on the way its picture is put aside, and its length and fingerprint noted."""
    for face in faces:
        packed = dfl_face(face.jpeg, face.metadata, Path(str(face.name)))
        pictures.write(packed.jpeg)
        lengths.append(len(packed.jpeg))
        prints.append(hashlib.sha256(packed.jpeg).digest())
        width, height = jpeg_size(packed.jpeg, Path(str(face.name)))
        values = packed.values
        yield {
            "sample_type": _FACE,
            "filename": plain_name(face.name.name),
            "face_type": EnumMember(*_FACE_TYPE, _NUMBERS[values["face_type"]]),
            "shape": (height, width, 3),
            "landmarks": values["landmarks"],
            "seg_ie_polys": values.get("seg_ie_polys", {"polys": []}),
            "xseg_mask": None,
            "xseg_mask_compressed": values.get("xseg_mask"),
            "eyebrows_expand_mod": face.metadata.brow_lift,
            "source_filename": face.metadata.frame_name,
            "person_name": None if face.name.person is None else plain_name(face.name.person),
        }
