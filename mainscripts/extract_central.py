"""Finding faces with neural networks, in one place for the whole run of `extract`.

Worker processes never load a neural framework. This process reads frames ahead, finds the faces of several at once on
each device, and hands every frame on with what was found; the workers cut the faces out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Protocol

from numpy.typing import NDArray

from core.errors import FaceLoomError
from core.images import read_image, to_uint8
from core.parallel import default_workers
from core.paths import weights_folder
from facelib.extraction import FoundFace
from facelib.nets import older_weights, pretrained
from mainscripts.extract_findings import Finding, finding_of
from mainscripts.extract_journal import Fingerprint
from mainscripts.extract_worker import FinderChoice, make_face_mesh

_FRAMES_AT_ONCE = 8
_READERS = 4


class BatchFinder(Protocol):
    """A finder that takes many frames per call."""

    @property
    def identity(self) -> str:
        """Name, version and weights, as recorded with every face."""
        ...

    def find_many(self, frames: Sequence[NDArray]) -> list[list[FoundFace]]:
        """The faces of each (H, W, 3) BGR uint8 frame, largest first; each person once."""
        ...


MakeBatchFinders = Callable[[FinderChoice], Sequence[BatchFinder]]


def make_batch_finders(choice: FinderChoice) -> list[BatchFinder]:
    """The chosen detector and landmark network, once on each chosen device.

    Raises:
        MissingInput, BrokenFile: weights are not there, damaged, or do not fit.
        BadOption: no such device.
    """
    landmark_file = {"2dfan": pretrained.FAN_2D, "3dfan": pretrained.FAN_3D}[choice.landmarker]
    by_s3fd = choice.detector == "s3fd"
    box_tensors = _tensors(pretrained.S3FD, older_weights.s3fd_table()) if by_s3fd else {}
    landmark_tensors = _tensors(landmark_file, older_weights.fan_table())
    # Only now, when all files are there: the neural framework takes seconds to load.
    from core.nn.device import choose_devices
    from facelib.nets.box_finder import BoxDetector, BoxFinder, MeshDetector, S3FDDetector
    from facelib.nets.fan import FAN
    from facelib.nets.s3fd import S3FD

    finders: list[BatchFinder] = []
    for device in choose_devices(choice.device):
        detector: BoxDetector
        if by_s3fd:
            detector = S3FDDetector(S3FD(box_tensors, device), pretrained.S3FD.git_blob[:8])
        else:
            detector = MeshDetector(make_face_mesh(replace(choice, accurate=False)))
        name = f"{choice.landmarker} {landmark_file.git_blob[:8]}"
        landmarker = FAN(landmark_tensors, device)
        finders.append(BoxFinder(detector, landmarker, name, choice.face_type, accurate=choice.accurate))
    return finders


def _tensors(file: pretrained.OptionalFile, table: older_weights.Table) -> dict[str, NDArray]:
    stream = pretrained.read_optional(file)
    return older_weights.tensors_of_stream(stream, table, weights_folder() / file.name)


Located = tuple[Path, Finding | str]
"""A frame and what was seen in it, or why it could not be read."""


def located(paths: Iterable[Path], finders: Sequence[BatchFinder]) -> Generator[Located, None, None]:
    """The frames in their order, each with what was seen in it, or with the reason why it cannot be read.

    Each finder works in a thread of its own, one batch after the other, while the next frames are read.
    """
    readers = ThreadPoolExecutor(min(_READERS, default_workers()))
    threads = [ThreadPoolExecutor(1) for _ in finders]
    under_way: deque[Future[list[Located]]] = deque()
    try:
        source = iter(paths)
        for number in cycle(range(len(finders))):
            batch = list(islice(source, _FRAMES_AT_ONCE))
            if not batch:
                break
            frames = [readers.submit(_read, path) for path in batch]
            under_way.append(threads[number].submit(_locate, finders[number], batch, frames))
            if len(under_way) >= 2 * len(finders):
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    finally:
        for pool in (*threads, readers):
            pool.shutdown(wait=True, cancel_futures=True)


_Read = tuple[NDArray, Fingerprint] | str


def _read(path: Path) -> _Read:
    """The frame and which file it is, or why it cannot be read."""
    try:
        fingerprint = Fingerprint.of(path)
        return to_uint8(read_image(path)), fingerprint
    except FaceLoomError as problem:
        return str(problem)


def _locate(finder: BatchFinder, paths: Sequence[Path], reading: Sequence[Future[_Read]]) -> list[Located]:
    frames = [future.result() for future in reading]
    found = iter(finder.find_many([frame[0] for frame in frames if not isinstance(frame, str)]))
    return [
        (path, frame if isinstance(frame, str) else finding_of(frame[0], next(found), frame[1]))
        for path, frame in zip(paths, frames, strict=True)
    ]
