"""Which faces are in which frame: frames and face records, brought together by the stem of the frame's name.

Only the records count, never the name of a face file; so faces may be renamed and sorted at will. The suffix of the
frame is ignored. Source: spec merging 1.3, steps-and-cli 11.2 (28, 30-32).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption, BrokenFile, MissingInput
from core.picture_headers import picture_kind
from core.shots import film_and_number
from core.words import counted
from facelib.metadata import FaceMetadata
from merger.settings import MergeSettings

_EXAMPLES = 5
"""So many names are shown where a list would be long."""


_FEW = 0.05
"""A film with so much less frames than another one is hardly a second shot."""


@dataclass(frozen=True)
class Motion:
    """How a face moves: (dx, dy) frame pixels from the frame before to the frame after, which are `frames` apart."""

    dx: float = 0.0
    dy: float = 0.0
    frames: int = 2

    def per_frame(self, share: float) -> tuple[float, float]:
        """`share` of the way from one frame to the next."""
        return self.dx * share / self.frames, self.dy * share / self.frames


STILL = Motion()


@dataclass(frozen=True, eq=False)
class FrameFace:
    """What merging needs to know of a face in a frame.

    Attributes:
        landmarks: (68, 2) float32, frame pixels.
        brow_lift: how far the outline goes above the brows; 1.0 is usual.
        name: of the face file, for messages.
        motion: of merger/motion.py, for motion blur.
        confidence: 0..1, how sure the face finder was; None: its record does not say.
        track: number of the person's track through the shot (facelib/tracking.py); 0: not known.
        settings: its own, in each rendering of its frame; (): those of the frame.
        is_bridged: nobody found it here; its landmarks lie between those of frames around (merger/gaps.py).
    """

    landmarks: NDArray
    brow_lift: float = 1.0
    name: str = ""
    motion: Motion = STILL
    confidence: float | None = None
    track: int = 0
    settings: tuple[MergeSettings, ...] = ()
    is_bridged: bool = False

    def settings_in(self, frames: MergeSettings, rendering: int = 0) -> MergeSettings:
        """What it is merged with in one rendering of its frame. frames: those of the frame."""
        return self.settings[rendering] if self.settings else frames


@dataclass(frozen=True, eq=False)
class FrameFaces:
    """A frame and the faces in it, in natural order of their files; none: the frame is copied.

    Attributes:
        shares: of the renderings it is mixed of; usually of one. With more, every face has settings for each.
        left_out: faces that were found, and stay as they are.
    """

    path: Path
    faces: tuple[FrameFace, ...] = ()
    shares: tuple[float, ...] = (1.0,)
    left_out: tuple[FrameFace, ...] = ()

    def every_settings(self, own: MergeSettings) -> list[MergeSettings]:
        """Each of the settings that its faces are merged with. own: those of the frame."""
        return every_settings(self.faces, own)

    @property
    def stem(self) -> str:
        """The name of the finished frame without its suffix."""
        return self.path.stem


def every_settings(faces: Iterable[FrameFace], own: MergeSettings) -> list[MergeSettings]:
    """Each of the settings that the faces of a frame are merged with. own: those of the frame."""
    found = [one for face in faces for one in face.settings or (own,)] or [own]
    return list({id(one): one for one in found}.values())


@dataclass(frozen=True)
class FrameCollection:
    """All frames of a shot, and what did not fit together.

    Attributes:
        frames: every frame, in natural order.
        orphans: face files whose frame is not among them.
    """

    frames: list[FrameFaces]
    orphans: list[str] = field(default_factory=list)

    @property
    def without_face(self) -> list[FrameFaces]:
        return [frame for frame in self.frames if not frame.faces]

    @property
    def with_several(self) -> list[FrameFaces]:
        return [frame for frame in self.frames if len(frame.faces) > 1]

    def notes(self, *, all_faces: bool = True) -> list[str]:
        """What a user should know before merging, one sentence each. all_faces: every face is to be swapped."""
        found = []
        if self.orphans:
            found.append(
                f"Left out, as their frames are not there: {counted(len(self.orphans), 'face')} "
                f"({shortened(self.orphans)})."
            )
        several = self.with_several
        if several and all_faces:
            names = shortened([f"{f.path.name} ({', '.join(face.name for face in f.faces)})" for f in several])
            found.append(
                f"More than one face in {counted(len(several), 'frame')}, and all of them are swapped: {names}. "
                "Choose by --faces (largest, left:1, numbers of tracks), or delete the faces that shall stay as they "
                "are from the aligned folder."
            )
        missing = self.without_face
        if missing:
            names = shortened([frame.path.name for frame in missing])
            found.append(f"{len(missing)} of {len(self.frames)} frames have no face and are copied: {names}.")
        return found


def collect_frames(paths: Sequence[Path], faces: Iterable[tuple[str, FaceMetadata]]) -> FrameCollection:
    """Joins frames and faces.

    Args:
        paths: the frames, in natural order.
        faces: (name of the face file, its record), in natural order.

    Raises:
        MissingInput: no frames, no faces, or no face whose frame is there.
        BadOption: two frames would be written to one file.
    """
    if not paths:
        raise MissingInput("There are no frames to merge.", "Run 3) extract images from video data_dst first.")
    _refuse_clashes(paths)
    by_stem: dict[str, list[FrameFace]] = {path.stem: [] for path in paths}
    orphans, referred, count = [], "", 0
    for name, record in faces:
        count += 1
        stem = frame_stem(record.frame_name)
        referred = referred or stem
        if stem in by_stem:
            landmarks = np.asarray(record.frame_landmarks)
            face = FrameFace(landmarks, record.brow_lift, name, STILL, _confidence(record), recorded_track(record))
            by_stem[stem].append(face)
        else:
            orphans.append(name)
    if count == 0:
        raise MissingInput("There are no faces to swap.", "Run 5) data_dst faceset extract first.")
    if len(orphans) == count:
        raise MissingInput(
            f"0 of {len(paths)} frames match: frames are named like {paths[0].stem}, the faces refer to {referred}.",
            "Give the frames the names they had when the faces were extracted, or run 5) data_dst faceset extract.",
        )
    return FrameCollection([FrameFaces(path, tuple(by_stem[path.stem])) for path in paths], orphans)


def strange_frames(paths: Sequence[Path]) -> list[str]:
    """Frames that may be none of the shot: "holiday.png (named unlike 00001.png)", "00007.png (80x60, not 160x120)".

    A name is strange that no other is like, or few are, when most are like one another. A frame that cannot be read has
    no size here; merging will tell of it.
    """
    films = [film_and_number(path.name)[0] for path in paths]
    count = Counter(films)
    usual, most = count.most_common(1)[0]
    example = paths[films.index(usual)].name
    sizes: dict[Path, tuple[int, int]] = {}
    for path in paths:
        with contextlib.suppress(BrokenFile):
            kind = picture_kind(path)
            sizes[path] = kind.width, kind.height
    usual_size = Counter(sizes.values()).most_common(1)[0][0] if sizes else (0, 0)
    found = []
    for path, film in zip(paths, films, strict=True):
        width, height = sizes.get(path, usual_size)
        if 2 * most > len(paths) and film != usual and count[film] <= max(1, _FEW * most):
            found.append(f"{path.name} (named unlike {example})")
        elif (width, height) != usual_size:
            found.append(f"{path.name} ({width}x{height}, not {usual_size[0]}x{usual_size[1]})")
    return found


def _confidence(record: FaceMetadata) -> float | None:
    finding = record.extra.get("finding")
    score = finding.get("score") if isinstance(finding, Mapping) else None
    return float(score) if isinstance(score, (int, float)) else None


def recorded_track(record: FaceMetadata) -> int:
    """The number of the track that extraction gave a face; 0 where it gave none."""
    finding = record.extra.get("finding")
    number = finding.get("track") if isinstance(finding, Mapping) else None
    return number if isinstance(number, int) and number > 0 else 0


def frame_stem(frame_name: str) -> str:
    """The stem of a recorded frame name; a folder in it, of either kind of slash, is passed over."""
    return PurePosixPath(PureWindowsPath(frame_name).name).stem


def _refuse_clashes(paths: Sequence[Path]) -> None:
    """Two frames of one stem (00001.png and 00001.jpg) would overwrite each other's result, and share their faces."""
    # Without case: some disks take A.png and a.png for one file.
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(path.stem.casefold(), []).append(path.name)
    clashes = [" and ".join(names) for names in groups.values() if len(names) > 1]
    if clashes:
        raise BadOption(
            f"Several frames have the same name but for the suffix, so they would be written to one file. "
            f"Received: {shortened(clashes, 20)}.",
            "Keep one of each (frames extracted twice, as png and as jpg?) and run this step again.",
        )


def shortened(names: Sequence[str], most: int = _EXAMPLES) -> str:
    """The first few names of a list, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
