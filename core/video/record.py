"""`.frames.json` in a folder of frames: which video they came from, so that later steps need not guess.

    {"schema": "Frames.1", "source": {"name": "data_dst.mp4", "bytes": 1432234, "sha256_of_first_mib": "..."},
     "frames": 354, "extension": ".png", "depth": 8, "width": 512, "height": 512, "rate": "30000/1001",
     "sample_aspect": "1/1", "colors": {"matrix": "bt709", "primaries": "bt709", "transfer": "bt709", "range": "tv",
     "chroma": "left"}, "frames_read": 354, "repeated": 0, "dropped": 0, "deinterlaced": false, "denoised": null}

`frames` pictures lie at `rate`; `frames_read` were in the video; `colors` are settled, of HDR also `mastering` and
`light` (core/video/mastering.py). Pictures named later by other steps keep their own names: the record does not list
them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from core.errors import BrokenFile
from core.files import atomic_write_text
from core.video.properties import ColorTags, colors_from_plain, colors_to_plain, settle_colors, show_rate

SCHEMA = "Frames.1"
_NAME = ".frames.json"
_MIB = 1 << 20


@dataclass(frozen=True)
class FramesRecord:
    """What `.frames.json` says; see the module's docstring."""

    source_name: str
    source_bytes: int
    source_hash: str
    frames: int
    extension: str
    depth: int
    width: int
    height: int
    rate: Fraction
    sample_aspect: Fraction
    colors: ColorTags
    frames_read: int
    repeated: int = 0
    dropped: int = 0
    deinterlaced: bool = False
    denoised: int | None = None

    def is_from(self, video: Path) -> bool:
        """Whether the frames came from this very file (size and first MiB agree; its name may have changed)."""
        return video.is_file() and (self.source_bytes, self.source_hash) == fingerprint(video)


def record_path(folder: Path) -> Path:
    """Where the record of a folder of frames lies."""
    return folder / _NAME


def fingerprint(path: Path) -> tuple[int, str]:
    """(size in bytes, SHA-256 of the first MiB in hex): enough to know a video again."""
    with open(path, "rb") as stream:
        return path.stat().st_size, hashlib.sha256(stream.read(_MIB)).hexdigest()


def write_record(folder: Path, record: FramesRecord) -> None:
    """Puts the record into a folder of frames."""
    plain: dict[str, Any] = {
        "schema": SCHEMA,
        "source": {
            "name": record.source_name,
            "bytes": record.source_bytes,
            "sha256_of_first_mib": record.source_hash,
        },
        "frames": record.frames,
        "extension": record.extension,
        "depth": record.depth,
        "width": record.width,
        "height": record.height,
        "rate": show_rate(record.rate),
        "sample_aspect": f"{record.sample_aspect.numerator}/{record.sample_aspect.denominator}",
        "colors": colors_to_plain(record.colors),
        "frames_read": record.frames_read,
        "repeated": record.repeated,
        "dropped": record.dropped,
        "deinterlaced": record.deinterlaced,
        "denoised": record.denoised,
    }
    atomic_write_text(record_path(folder), json.dumps(plain, ensure_ascii=False, indent=1) + "\n")


def read_record(folder: Path) -> FramesRecord | None:
    """The record of a folder of frames; None when it has none (frames that did not come from `extract-video`).

    Raises:
        BrokenFile: there is one and it cannot be understood.
    """
    path = record_path(folder)
    if not path.is_file():
        return None
    try:
        plain = json.loads(path.read_text("utf-8"))
        if plain["schema"] != SCHEMA:
            raise BrokenFile(path, f"written by another version ({plain['schema']}).", _REMEDY)
        source = plain["source"]
        width, height = _positive(plain["width"]), _positive(plain["height"])
        return FramesRecord(
            source_name=str(source["name"]),
            source_bytes=int(source["bytes"]),
            source_hash=str(source["sha256_of_first_mib"]),
            frames=_positive(plain["frames"]),
            extension=str(plain["extension"]),
            depth=int(plain["depth"]),
            width=width,
            height=height,
            rate=_positive_fraction(plain["rate"]),
            sample_aspect=_positive_fraction(plain["sample_aspect"]),
            colors=settle_colors(colors_from_plain(plain["colors"]), width, height),
            frames_read=int(plain["frames_read"]),
            repeated=int(plain["repeated"]),
            dropped=int(plain["dropped"]),
            deinterlaced=bool(plain["deinterlaced"]),
            denoised=None if plain["denoised"] is None else int(plain["denoised"]),
        )
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as problem:
        raise BrokenFile(path, f"this is not a record of frames ({problem!r}).", _REMEDY) from problem


_REMEDY = "Extract the frames again, or delete this file: rate and colors are then taken from the video itself."


def _positive(value: Any) -> int:
    if int(value) < 1:
        raise ValueError(value)
    return int(value)


def _positive_fraction(text: Any) -> Fraction:
    value = Fraction(str(text))
    if value <= 0:
        raise ValueError(text)
    return value
