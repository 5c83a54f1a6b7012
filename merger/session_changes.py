"""What is different from when a session was saved, and how it moves on to the frames there are now."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.words import counted
from merger.frames import shortened
from merger.ledger import Place
from merger.session import MergeSession
from merger.session_records import SessionFrame
from merger.timeline import Timeline

_OF_FRAMES = {"key": 3, "cut": 1, "mark": 1, "preset": 1}
"""Where in a place the number of a frame stands."""


@dataclass(frozen=True)
class Identity:
    """The networks of a session. weights, segmenter: texts that change whenever their answers may; "": not known."""

    model: str
    model_class: str
    iteration: int
    weights: str = ""
    segmenter: str = ""


@dataclass(frozen=True)
class SessionChanges:
    """What is different now.

    Attributes:
        iterations: of the model, before and now; None: the same.
        weights, segmenter: whether they are others.
        added, removed: names of frames.
        changed_frames, changed_faces: places (now) of frames whose file, or whose faces, are others.
        is_other_shot: whether not one of its frames is here.
    """

    iterations: tuple[int, int] | None = None
    weights: bool = False
    segmenter: bool = False
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed_frames: list[int] = field(default_factory=list)
    changed_faces: list[int] = field(default_factory=list)
    is_other_shot: bool = False

    @property
    def is_other_model(self) -> bool:
        """Whether frames finished before show another state of the model."""
        return self.weights or self.iterations is not None

    def sentences(self, frames: Sequence[SessionFrame]) -> list[str]:
        """What a user should know, a sentence each."""
        said = []
        if self.iterations is not None:
            before, now = self.iterations
            said.append(f"The model was at iteration {before:,} when the session was saved and is at {now:,} now.")
        elif self.weights:
            said.append("The model has other weights than when the session was saved, at the same iteration.")
        if self.segmenter:
            said.append("The XSeg model is another one than when the session was saved.")
        if self.added:
            new = f"{counted(len(self.added), 'frame')} ({shortened(self.added)})"
            said.append(f"New since the session was saved: {new}, with the settings of the frame before.")
        if self.removed:
            gone = f"{counted(len(self.removed), 'frame')} ({shortened(self.removed)})"
            said.append(f"Gone since the session was saved: {gone}; the keys moved on.")
        for places, what in ((self.changed_frames, "another picture"), (self.changed_faces, "other faces")):
            if places:
                names = shortened([frames[place].name for place in places])
                said.append(f"With {what} since the session was saved: {counted(len(places), 'frame')} ({names}).")
        return said


def compare(
    before: Identity, frames_before: Sequence[SessionFrame], now: Identity, frames: Sequence[SessionFrame]
) -> SessionChanges:
    """What changed between two times."""
    old = {frame.stem: frame for frame in frames_before}
    pairs = [(place, old[frame.stem], frame) for place, frame in enumerate(frames) if frame.stem in old]
    stems = {frame.stem for frame in frames}
    return SessionChanges(
        None if before.iteration == now.iteration else (before.iteration, now.iteration),
        _is_other(before.weights, now.weights),
        _is_other(before.segmenter, now.segmenter),
        [frame.name for frame in frames if frame.stem not in old],
        [frame.name for frame in frames_before if frame.stem not in stems],
        [place for place, was, is_ in pairs if (was.size, was.changed_ns) != (is_.size, is_.changed_ns)],
        [place for place, was, is_ in pairs if [h for h, _ in was.faces] != [h for h, _ in is_.faces]],
        is_other_shot=not pairs,
    )


def _is_other(before: str, now: str) -> bool:
    return bool(before and now) and before != now


def move_to_frames(session: MergeSession, frames: Sequence[SessionFrame]) -> MergeSession:
    """The session on the frames there are now. What stood on a frame that is gone stands on the next one that is left,
    where nothing of its kind stands already; behind the last one it goes.
    """
    places = {frame.stem: place for place, frame in enumerate(frames)}
    onto: list[int | None] = []
    following: int | None = None
    for frame in reversed(session.frames):
        following = places.get(frame.stem, following)
        onto.append(following)
    onto.reverse()

    def place_of(place: Place) -> Place | None:
        at = _OF_FRAMES.get(str(place[0]))
        if at is None:
            return place
        frame = int(place[at])
        now = onto[frame] if 0 <= frame < len(onto) else None
        return None if now is None else (*place[:at], now, *place[at + 1 :])

    moved = copy.copy(session)
    moved.frames = tuple(frames)
    if any(place != frame for place, frame in zip(onto, range(len(frames)), strict=False)) or len(onto) != len(frames):
        session.ledger.map_places(place_of)
    moved.timeline = Timeline(len(frames), session.base, session.ledger)
    cursor = onto[session.cursor]
    moved.cursor = len(frames) - 1 if cursor is None else cursor
    moved.visited = {now for frame in session.visited if (now := onto[frame]) is not None} | {moved.cursor}
    return moved
