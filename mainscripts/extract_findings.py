"""What the finder has seen in every frame, kept beside the faces: tracks need all frames before a face is cut out.

`<folder of faces>/.faceloom_found.jsonl`, one JSON object per line, only ever appended to; arrays are base64:

    {"frame": "00001.png", "bytes": 4711, "mtime_ns": 17..., "detector": "face_mesh 1 (...)", "size": [640, 480],
     "glance": <8*8*3 uint8>, "faces": [{"landmarks": <68*2 float32>, "score": 0.93, "presence": 17.2,
                                         "look": <8*8*3 uint8>}, ...]}
    {"again": "00002.png", "bytes": ..., "mtime_ns": ..., "detector": ..., "expected": "<hash of landmarks>",
     "face": {...} or null}                                                  searched where a track led

It saves time and nothing else: whoever deletes it has the frames searched anew, with the same result.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenFile, NotAFace
from core.journal import JsonLines
from core.paths import EXTRACTION_FINDINGS
from core.shots import GLANCE_SIDE, glance
from facelib.extraction import FoundFace
from facelib.landmarks import LANDMARKS
from facelib.tracking import LOOK_SIDE, Sight, look_of
from mainscripts.extract_journal import Fingerprint


@dataclass(frozen=True, eq=False)
class Finding:
    """What was seen in one frame. size: width and height; glance: as `core.shots.glance`."""

    fingerprint: Fingerprint
    size: tuple[int, int]
    glance: NDArray[np.uint8]
    sight: Sight


def finding_of(frame: NDArray, faces: Sequence[FoundFace], fingerprint: Fingerprint) -> Finding:
    """What there is to keep of a frame (H, W, 3) BGR uint8 and the faces in it."""
    looks = tuple(look_of(frame, face.landmarks) for face in faces)
    return Finding(fingerprint, (frame.shape[1], frame.shape[0]), glance(frame), Sight(tuple(faces), looks))


def expected_key(landmarks: NDArray) -> str:
    """A short name for a place that was searched."""
    return hashlib.sha256(np.asarray(landmarks, "<f4").tobytes()).hexdigest()[:16]


class Findings:
    """The findings of one folder and one detector, read whole, then appended to.

    Attributes:
        frames: frame name -> its last finding.
    """

    def __init__(self, folder: Path, detector: str) -> None:
        """Reads what is there; lines that cannot be read, and those of other detectors, are passed over."""
        self.path = folder / EXTRACTION_FINDINGS
        self.detector = detector
        self.frames: dict[str, Finding] = {}
        self._again: dict[tuple[str, Fingerprint, str], FoundFace | None] = {}
        self._lines = JsonLines(self.path)
        with contextlib.suppress(BrokenFile):
            for entry in self._lines.read():
                self._take(entry)

    def _take(self, entry: Mapping[str, Any]) -> None:
        try:
            if entry["detector"] != self.detector:
                return
            fingerprint = Fingerprint(int(entry["bytes"]), int(entry["mtime_ns"]))
            if "again" in entry:
                face = None if entry["face"] is None else _face(entry["face"])
                self._again[str(entry["again"]), fingerprint, str(entry["expected"])] = face
                return
            faces = tuple(_face(told) for told in entry["faces"])
            looks = tuple(_bytes_of(told["look"], LOOK_SIDE) for told in entry["faces"])
            width, height = (int(length) for length in entry["size"])
            small = _bytes_of(entry["glance"], GLANCE_SIDE)
            self.frames[str(entry["frame"])] = Finding(fingerprint, (width, height), small, Sight(faces, looks))
        except (ValueError, KeyError, TypeError, AttributeError, NotAFace):
            return

    def __enter__(self) -> Findings:
        """Opens the file for appending once something is added."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def of(self, path: Path) -> Finding | None:
        """What was seen in this frame, unless it has changed since."""
        finding = self.frames.get(path.name)
        return finding if finding is not None and finding.fingerprint == Fingerprint.of(path) else None

    def add(self, name: str, finding: Finding) -> None:
        """A frame was searched."""
        self.frames[name] = finding
        faces = [
            {**_told(face), "look": _text(look)}
            for face, look in zip(finding.sight.faces, finding.sight.looks, strict=True)
        ]
        self._lines.add(
            {
                "frame": name,
                **self._identity(finding),
                "size": list(finding.size),
                "glance": _text(finding.glance),
                "faces": faces,
            }
        )

    def seen_again(self, name: str, expected: NDArray) -> tuple[FoundFace | None] | None:
        """The result of an earlier search at this place, in a tuple; None where there was none."""
        key = name, self.frames[name].fingerprint, expected_key(expected)
        return (self._again[key],) if key in self._again else None

    def add_again(self, name: str, expected: NDArray, face: FoundFace | None) -> None:
        """A frame was searched at one place."""
        finding = self.frames[name]
        key = expected_key(expected)
        self._again[name, finding.fingerprint, key] = face
        told = None if face is None else _told(face)
        self._lines.add({"again": name, **self._identity(finding), "expected": key, "face": told})

    def _identity(self, finding: Finding) -> dict[str, Any]:
        mark = finding.fingerprint
        return {"bytes": mark.bytes, "mtime_ns": mark.mtime_ns, "detector": self.detector}


def _told(face: FoundFace) -> dict[str, Any]:
    return {"landmarks": _text(np.asarray(face.landmarks, "<f4")), "score": face.score, "presence": face.presence}


def _face(told: dict[str, Any]) -> FoundFace:
    landmarks = np.frombuffer(base64.b64decode(told["landmarks"], validate=True), "<f4").reshape(LANDMARKS, 2)
    presence = None if told["presence"] is None else float(told["presence"])
    return FoundFace.from_landmarks(landmarks, float(told["score"]), presence)


def _text(array: NDArray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def _bytes_of(text: str, side: int) -> NDArray[np.uint8]:
    return np.frombuffer(base64.b64decode(text, validate=True), np.uint8).reshape(side, side, 3)
