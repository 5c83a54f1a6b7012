"""Which faces of a shot are swapped, and in which order they are pasted: `--faces`.

    all          every face
    largest      the largest face of each frame
    left:2       in each frame the second face from the left; right:1 the first from the right
    2,1          these tracks, pasted in this order: track 1 comes to lie over track 2
    not:3,4      every track but these

A track is one person through one shot (facelib/tracking.py); its number is in the record of each of its faces. What is
left out stays in the frame as it was. `--face-settings` says what single tracks are merged with instead of what all
are: "2:mode=seamless,erode_mask=5 3:mode=original". Source: spec merging 10.4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import BadOption
from core.words import counted
from facelib.alignment import bbox_from_landmarks
from merger.frames import FrameFace, FrameFaces
from merger.presets import check_settings
from merger.settings import WHOLE_FRAME

_NAMED_TRACKS = 12
_SIDES = ("left", "right")
_KINDS = "all, largest, left:1, right:1, numbers of tracks such as 2,1, or not:3"


@dataclass(frozen=True)
class FaceChoice:
    """A choice of faces.

    Attributes:
        kind: all, largest, left, right, tracks, not.
        numbers: of tracks, or the one place from the left or right, from 1.
        text: as it was asked for.
    """

    kind: str = "all"
    numbers: tuple[int, ...] = ()
    text: str = "all"

    @classmethod
    def parse(cls, text: str) -> FaceChoice:
        """Of a word of the module's table. BadOption: not to be understood."""
        word = "".join(text.split()).casefold()
        if word in ("all", "largest"):
            return cls(word, (), text)
        kind, colon, rest = word.rpartition(":")
        kind = kind or "tracks"
        listed = rest.split(",")
        numbers = tuple(int(n) for n in listed if n.isdecimal())
        asks_for_places = kind in _SIDES
        sound = len(numbers) == len(listed) and all(numbers) and kind in (*_SIDES, "tracks", "not")
        if not sound or (asks_for_places and len(numbers) != 1) or (colon and kind == "tracks"):
            raise BadOption(f"Faces are chosen by {_KINDS}. Received: --faces {text}.")
        return cls(kind, numbers, text)

    @property
    def needs_tracks(self) -> bool:
        """Whether it is about tracks."""
        return self.kind in ("tracks", "not")

    def of(self, frames: Sequence[FrameFaces]) -> list[FrameFaces]:
        """The frames with the chosen faces alone, in the order they are pasted.

        Raises:
            BadOption: there is no such track, or no frame shows so many faces.
        """
        if self.kind == "all":
            return list(frames)
        if self.needs_tracks:
            require_tracks(self.numbers, frames, f"--faces {self.text}")
        chosen = [self._of(frame) for frame in frames]
        if not any(frame.faces for frame in chosen):
            most = max((len(frame.faces) for frame in frames), default=0)
            raise BadOption(
                f"No face is left to swap. Received: --faces {self.text}.",
                f"A frame shows at most {counted(most, 'face')}.",
            )
        return chosen

    def _of(self, frame: FrameFaces) -> FrameFaces:
        chosen = self._of_frame(frame.faces)
        left_out = tuple(face for face in frame.faces if not any(face is one for one in chosen))
        return dataclasses.replace(frame, faces=tuple(chosen), left_out=left_out)

    def _of_frame(self, faces: Sequence[FrameFace]) -> list[FrameFace]:
        if self.kind == "largest":
            return [max(faces, key=_side)] if faces else []
        if self.kind == "not":
            return [face for face in faces if face.track not in self.numbers]
        if self.kind == "tracks":
            return [face for number in self.numbers for face in faces if face.track == number]
        across = sorted(faces, key=_center, reverse=self.kind == "right")
        return across[self.numbers[0] - 1 : self.numbers[0]]


def _side(face: FrameFace) -> float:
    box = bbox_from_landmarks(face.landmarks)
    return float(box[2] - box[0])


def _center(face: FrameFace) -> float:
    box = bbox_from_landmarks(face.landmarks)
    return float(box[0] + box[2]) / 2


def require_tracks(numbers: Collection[int], frames: Sequence[FrameFaces], asked: str) -> None:
    """BadOption: one of these tracks is not there. asked: what was received."""
    known = {face.track for frame in frames for face in frame.faces}
    strange = [number for number in numbers if number not in known]
    if strange:
        raise BadOption(
            f"There is no track {strange[0]}. Received: {asked}.",
            " ".join(track_lines(frames)) or "The faces have no tracks.",
        )


def parse_face_settings(text: str | None) -> dict[int, dict[str, Any]]:
    """ "2:mode=seamless,erode_mask=5 3:mode=original" -> {number of a track: {setting: value}}.

    Raises:
        BadOption: not to be understood; or a setting, or a value, that one face cannot have alone.
    """
    own: dict[int, dict[str, Any]] = {}
    for part in (text or "").split():
        number, colon, rest = part.partition(":")
        pairs = [word.partition("=") for word in rest.split(",")]
        if not colon or not number.isdecimal() or not int(number) or any(not sign for _, sign, _ in pairs):
            raise BadOption(
                f"Settings of single faces are written as 2:mode=seamless,erode_mask=5. Received: {part}.",
                "Between one face and the next is a blank.",
            )
        values = check_settings({name: value for name, _, value in pairs})
        whole = [name for name, value in values.items() if name in WHOLE_FRAME or value == "raw-predict"]
        if whole:
            raise BadOption(
                f"{', '.join(whole)}: this is done to the whole frame, not to one face. Received: {part}.",
                f"Set it for all faces. So are {', '.join(WHOLE_FRAME)}, and mode raw-predict.",
            )
        own.setdefault(int(number), {}).update(values)
    return own


def track_lines(frames: Sequence[FrameFaces]) -> list[str]:
    """The tracks of a shot, a line each: number, first and last frame, size. The longest, in the order of numbers."""
    tracks: dict[int, list[tuple[FrameFaces, FrameFace]]] = {}
    for frame in frames:
        for face in frame.faces:
            if face.track:
                tracks.setdefault(face.track, []).append((frame, face))
    longest = sorted(tracks, key=lambda number: (-len(tracks[number]), number))
    lines = []
    for number in sorted(longest[:_NAMED_TRACKS]):
        seen = tracks[number]
        size = float(np.median([_side(face) for _, face in seen]))
        lines.append(
            f"Track {number}: {seen[0][0].stem} to {seen[-1][0].stem}, {counted(len(seen), 'frame')}, "
            f"faces of {size:.0f} pixels."
        )
    if len(longest) > _NAMED_TRACKS:
        lines.append(f"And {len(longest) - _NAMED_TRACKS} shorter ones.")
    return lines
