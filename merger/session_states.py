"""Which frames of a sitting show what is set now, and which are to be rendered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from merger.session_records import SessionFrame

STATES = ("done", "changed", "pending", "failed")

Look = tuple[Any, ...]
"""Everything the settings say about a frame: frames rendered with equal looks need no other rendering."""


class FrameStates:
    """What a session knows of its finished frames; it says itself how a frame shall look."""

    frames: tuple[SessionFrame, ...]
    cursor: int

    def __init__(self) -> None:
        self._looks: dict[int, Look | None] = {}
        self._failed: dict[int, str] = {}

    def look(self, frame: int) -> Look:
        """What the settings say about a frame now; take it along when you render, for `rendered`."""
        raise NotImplementedError

    def _go_on(self) -> None:
        """Called when a frame is settled."""

    def rendered(self, frame: int, look: Look | None = None) -> None:
        """A frame is finished; look: as it was when the work began. If it has changed since, it is to be done again."""
        self._failed.pop(frame, None)
        self._looks[frame] = self.look(frame) if look is None else look
        self._go_on()

    def failed(self, frame: int, reason: str) -> None:
        """A frame could not be rendered; nobody waits for it."""
        self._failed[frame] = reason
        self._go_on()

    def resume(self, reasons: Sequence[Sequence[str]]) -> None:
        """Takes over what an earlier sitting finished. reasons: of each frame, what Journal.state_of says."""
        for frame, why in enumerate(reasons):
            if not why:
                self._looks[frame] = self.look(frame)
            elif not {"new", "missing"} & set(why):
                self._looks[frame] = None

    def outdate(self, frames: Sequence[int]) -> None:
        """Frames whose sources, faces or networks are others now."""
        self._looks.update({frame: None for frame in frames if frame in self._looks})

    def state_of(self, frame: int) -> str:
        """A word of STATES."""
        if frame in self._failed:
            return "failed"
        if frame not in self._looks:
            return "pending"
        return "done" if self._looks[frame] == self.look(frame) else "changed"

    def is_settled(self, frame: int) -> bool:
        """Whether there is nothing to wait for."""
        return self.state_of(frame) in ("done", "failed")

    def unfinished(self, ahead: int | None = None) -> list[int]:
        """The frames to be rendered, the current one first, then those behind it, then those before.

        Args:
            ahead: only so many frames, from the current one on.
        """
        count = len(self.frames)
        order = [*range(self.cursor, count), *range(self.cursor)]
        window = order if ahead is None else order[: min(ahead, count - self.cursor)]
        return [frame for frame in window if not self.is_settled(frame)]
