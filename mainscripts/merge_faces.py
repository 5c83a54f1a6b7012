"""Who is who in the faces of a merge: tracks of extraction, or, for faces of other tools, tracks found here; and what
can be told about single faces.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import BrokenFile, NotAFace
from core.options import Options, option
from core.progress import Progress
from core.shots import find_shots
from core.words import counted
from facelib.extraction import FoundFace
from facelib.tracking import LOOK_SIDE, Sight, link_faces, look_of
from merger.face_choice import FaceChoice, require_tracks, track_lines
from merger.frames import FrameFaces
from samplelib.sample import Sample

FILL_MISSING = ("off", "ask", "on")


@dataclass(kw_only=True)
class FaceOptions(Options):
    """What `merge` can be told about single faces, and about those that were missed."""

    face_settings: str | None = option(
        None,
        "Settings of single faces",
        ask=False,
        help='Numbers of tracks, and what is otherwise for them: "2:mode=seamless,erode_mask=5 3:mode=original". Not'
        " for what is done to the whole frame: degrading, raw-predict, compat. A session is begun with it.",
    )
    fill_missing: str = option(
        "ask",
        "Fill missing",
        choices=FILL_MISSING,
        ask=False,
        help="Frames that miss a face, up to 5 in a row, between frames that show it. on: it is laid in there, between"
        " its places. ask: they are named, and a terminal waits 5 seconds for Enter; without one, and with compat dfl,"
        " they stay as they are.",
    )


_NO_LOOK = np.full((LOOK_SIDE, LOOK_SIDE, 3), 128, np.uint8)


def choose_faces(
    frames: Sequence[FrameFaces],
    samples: Iterable[Sample],
    choice: FaceChoice,
    progress: Progress,
    own: Collection[int] = (),
    has_session: bool = False,
) -> list[FrameFaces]:
    """The frames with the faces that shall be swapped; where some show several, their tracks are told.

    Args:
        samples: the stored faces, whose names are those of the frames' faces.
        own: tracks that are told something of their own.
        has_session: it may know tracks that have something of their own.

    Raises:
        BadOption: as `FaceChoice.of`; or there is no such track.
    """
    if not own and not has_session and not choice.needs_tracks and all(len(frame.faces) < 2 for frame in frames):
        return choice.of(frames)
    tracked = with_tracks(frames, samples, progress)
    for line in track_lines(tracked):
        progress.say(f"  {line}")
    chosen = choice.of(tracked)
    require_tracks(own, chosen, "--face-settings")
    left_out = sum(len(frame.faces) for frame in tracked) - sum(len(frame.faces) for frame in chosen)
    if left_out:
        progress.say(f"Left as filmed (--faces {choice.text}): {counted(left_out, 'face')}.")
    return chosen


def with_tracks(frames: Sequence[FrameFaces], samples: Iterable[Sample], progress: Progress) -> list[FrameFaces]:
    """The frames with a track for every face: the recorded ones, or, where no face has one, those found by place, shape
    and looks.
    """
    if any(face.track for frame in frames for face in frame.faces):
        return list(frames)
    by_name = {sample.path.name: sample for sample in samples}
    sights: list[Sight] = []
    place_of: dict[int, tuple[int, int]] = {}
    with progress.task("Following faces", total=len(frames), unit="frame") as task:
        for number, frame in enumerate(frames):
            found, looks = [], []
            for place, face in enumerate(frame.faces):
                try:
                    found.append(FoundFace.from_landmarks(face.landmarks, 1.0))
                except NotAFace:
                    continue
                looks.append(_look(by_name.get(face.name)))
                place_of[id(found[-1])] = number, place
            sights.append(Sight(tuple(found), tuple(looks)))
            task.advance()
    shots = find_shots([frame.path.name for frame in frames], [None] * len(frames), [None] * len(frames))
    faces = [list(frame.faces) for frame in frames]
    for track in link_faces(sights, shots):
        for seen in track.faces.values():
            number, place = place_of[id(seen)]
            faces[number][place] = dataclasses.replace(faces[number][place], track=track.number)
    return [dataclasses.replace(frame, faces=tuple(mine)) for frame, mine in zip(frames, faces, strict=True)]


def _look(sample: Sample | None) -> np.ndarray:
    """How a stored face looks, small; gray where it cannot be seen."""
    if sample is None:
        return _NO_LOOK
    try:
        return look_of(sample.image(), sample.metadata.landmarks)
    except (BrokenFile, NotAFace):
        return _NO_LOOK
