"""What a large `faceset.pak` holds, kept beside it, so that it opens in a second from the second time on.

`<folder>/.faceloom_index/faceset.pak.npz`, uncompressed: the arrays of samplelib/pack_index.py for the usable faces in
their order; `starts` int64 (N,), where each begins in the pack; `problems`, JSON: [[name, reason], ...] of the others;
and `pack`, what the pack was when they were read: schema, length, time of change, SHA-256 of its table of places.

Nothing depends on it but time. It is checked like a pack from a stranger; one that is damaged, or does not belong to
the pack as it is now, is passed over, and made anew.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.errors import FaceLoomError
from core.files import atomic_path
from facelib.legacy_pack import LegacyPack
from samplelib.pack_index import TEXT, assemble_records, check_index, columns_of
from samplelib.sample import FacePlace, Sample

FEWEST_FACES = 500
"""A smaller pack opens fast enough without."""

_INDEX_FOLDER = ".faceloom_index"  # the folder of samplelib/face_index.py, too
_SCHEMA = "FaceLoom.LegacyPackIndex.1"
Opened = tuple[list[Sample], list[tuple[Path, str]]]


def recall(pack: LegacyPack) -> Opened | None:
    """The usable faces of a pack and the problems of the others, as found before; None: not known."""
    path = _index_of(pack)
    if len(pack) < FEWEST_FACES or not path.is_file():
        return None
    try:
        with open(path, "rb") as stream, zipfile.ZipFile(stream) as entries:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.infolist()):
                return None  # what is stored plainly is no larger than the file
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as arrays:
                if arrays["pack"].tobytes() != _identity(pack):
                    return None
                columns = {name: arrays[name] for name in arrays.files}
        texts = json.loads(columns[TEXT].tobytes())
        problems = json.loads(columns["problems"].tobytes())
        starts, lengths = columns["starts"], np.diff(columns["offsets"].astype(np.int64))
        count = len(starts)
        columns["sha256"] = np.zeros((count, 32), np.uint8)  # pack_index expects it; places come from the pack alone
        check_index(columns, texts)
        known = {pack.place(n) for n in range(len(pack))}
        places = [
            FacePlace(pack.path, *place)
            for place in zip(starts.tolist(), lengths.tolist(), texts["names"], strict=True)
        ]
        if count + len(problems) != len(pack) or not known.issuperset((p.offset, p.length) for p in places):
            return None
        records = assemble_records(columns, texts)
        sides = columns["sides"].tolist()
        samples = [Sample(*face) for face in zip(places, records, sides, strict=True)]
        return samples, [(pack.path / str(name), str(reason)) for name, reason in problems]
    except (OSError, KeyError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, RecursionError):
        return None


def remember(pack: LegacyPack, samples: Sequence[Sample], problems: Sequence[tuple[Path, str]]) -> None:
    """Keeps what was found in a pack; where the folder cannot be written to, it is not kept."""
    if len(pack) < FEWEST_FACES or not samples:
        return
    try:
        columns = columns_of([s.metadata for s in samples], [s.place.packed_name for s in samples])
    except ValueError:
        return
    listed = [[path.relative_to(pack.path).as_posix(), reason] for path, reason in problems]
    lengths = [sample.place.length or 0 for sample in samples]
    columns |= {
        "pack": np.frombuffer(_identity(pack), np.uint8),
        "problems": np.frombuffer(json.dumps(listed).encode("ascii"), np.uint8),
        "starts": np.array([sample.place.offset for sample in samples], np.int64),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint64),
        "sides": np.array([sample.side for sample in samples], np.uint16),
    }
    path = _index_of(pack)
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic_path(path) as unfinished, open(unfinished, "wb") as stream:
            np.savez(stream, **columns)  # type: ignore[arg-type]
    except (OSError, FaceLoomError):
        return


def _index_of(pack: LegacyPack) -> Path:
    return pack.path.parent / _INDEX_FOLDER / f"{pack.path.name}.npz"


def _identity(pack: LegacyPack) -> bytes:
    found = pack.path.stat()
    table = hashlib.sha256(pack.places.tobytes()).hexdigest()
    return f"{_SCHEMA} {found.st_size} {found.st_mtime_ns} {table}".encode("ascii")
