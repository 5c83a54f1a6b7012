"""Coverage-guided fuzzing of everything that reads DeepFaceLab's files, by hand: needs atheris, which is not required.

    python -m venv fuzzing && fuzzing/bin/pip install atheris numpy opencv-python-headless
    fuzzing/bin/python benchmarks/fuzz_legacy.py [FOLDER] [-max_total_time=300] [other options of libFuzzer]

The corpus grows in FOLDER (a new temporary one where none is given), which first gets sound records and packs; more
files to begin from may be put there. Whatever comes out must be plain values, a face that keeps every rule, or a
refusal of the documented kind within a second; anything else stops the run and leaves the input as `crash-*`.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from pathlib import Path

import atheris  # type: ignore

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

with atheris.instrument_imports(
    include=["core.legacy_pickle", "core.legacy_points", "core.legacy_values", "core.png", "facelib"]
):
    from core.errors import BrokenFile, FaceLoomError, NotAFace
    from core.legacy_pickle import Limits, decode
    from core.legacy_values import Refused
    from facelib.legacy import face_from_stream, read_meta_dat, read_png_face, values_of
    from facelib.legacy_export import dfl_face
    from facelib.legacy_pack import LegacyPack, PackedName, write_legacy_pack

from core.legacy_writer import EnumMember, encode
from facelib.legacy_pack import FaceToPack
from facelib.metadata import metadata_from_jpeg
from tests.core.test_legacy_pickle import is_plain
from tests.facelib.legacy_samples import HERE, PICTURE, dfl_jpeg, face_jpeg, face_png, values

MOST_SECONDS = 1.0
ENUMERATIONS = [("samplelib.Sample", "SampleType"), ("facelib.FaceType", "FaceType")]
SCRATCH = Path(tempfile.mkdtemp())


def read_stream(data: bytes) -> None:
    """A record by itself, and as a face that is written back."""
    try:
        value = decode(data, Limits(1 << 20, 1 << 18), ENUMERATIONS)
    except Refused:
        pass
    else:
        assert is_plain(value)
    face = face_from_stream(data, HERE)
    if face is not None:
        again = face_from_stream(encode(values_of(face)), HERE)
        assert again is not None
        assert again.landmarks.tolist() == face.landmarks.tolist()


def read_jpeg(data: bytes) -> None:
    """A face file; what is read is written for the other tool."""
    dfl_face(data, metadata_from_jpeg(data, HERE), HERE)


def read_segment(data: bytes) -> None:
    """A record in a sound JPEG."""
    read_jpeg(dfl_jpeg(data[:65_533]))


def read_png(data: bytes) -> None:
    """An old face."""
    path = SCRATCH / "a.png"
    path.write_bytes(data)
    read_png_face(path)


def read_pack(data: bytes) -> None:
    """A pack and all its faces."""
    path = SCRATCH / "faceset.pak"
    path.write_bytes(data)
    pack = LegacyPack(path)
    assert len(set(pack.names)) == len(pack)
    for n in range(len(pack)):
        metadata_from_jpeg(pack.jpeg(n), HERE)


def read_backup(data: bytes) -> None:
    """A metadata backup."""
    path = SCRATCH / "meta.dat"
    path.write_bytes(data)
    read_meta_dat(path)


READERS = {b"S": read_stream, b"J": read_jpeg, b"R": read_segment, b"P": read_png, b"K": read_pack, b"M": read_backup}


def one_input(data: bytes) -> None:
    """The first byte says which reader gets the rest."""
    reader = READERS.get(data[:1])
    if reader is None:
        return
    begin = time.process_time()
    with contextlib.suppress(BrokenFile, NotAFace, FaceLoomError):
        reader(data[1:])
    assert time.process_time() - begin < MOST_SECONDS


def seeds() -> dict[str, bytes]:
    """Sound inputs of every kind."""
    full = values(
        seg_ie_polys={"polys": [{"type": 1, "pts": PICTURE[0, :4, :2].astype("<f4")}]},
        xseg_mask=PICTURE[:4].reshape(-1, 1),
        eyebrows_expand_mod=1.5,
        other=(None, True, -1, 1 << 40, EnumMember(*ENUMERATIONS[0], 1)),
    )
    jpeg = face_jpeg()
    face = FaceToPack(jpeg, metadata_from_jpeg(jpeg, HERE), PackedName("a.jpg", "p"))
    write_legacy_pack(SCRATCH / "faceset.pak", [face, face])
    found = {f"stream{protocol}": b"S" + encode(full, protocol) for protocol in (3, 4)}
    found |= {f"segment{protocol}": b"R" + encode(values(), protocol) for protocol in (3, 4)}
    found["jpeg"] = b"J" + jpeg
    found["png"] = b"P" + face_png(encode(values(), 3))
    found["pack"] = b"K" + (SCRATCH / "faceset.pak").read_bytes()
    found["backup"] = b"M" + encode({"a.jpg": ((8, 8, 3), values())}, 3)
    return found


def main() -> None:
    """Fills the corpus and fuzzes until told to stop."""
    folders = [word for word in sys.argv[1:] if not word.startswith("-")]
    corpus = Path(folders[0]) if folders else SCRATCH / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in seeds().items():
        (corpus / f"sound_{name}").write_bytes(data)
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    atheris.Setup([sys.argv[0], str(corpus), "-max_len=20000", *options], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
